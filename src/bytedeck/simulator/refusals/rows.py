"""The table of refusals: every way in which OpenRouter says "no", with the words it says it in.

Data only. A text in braces is a value that `refusals.make` is given or, failing that, finds in `DEFAULTS`; a text that is one
brace and nothing else keeps the value's type, and its key is left out where the value is None.
Source: the wire reference, 6.2 to 6.4, and the D-rows of 7.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Row(Struct, frozen=True):
    """One way of saying no."""

    status: int
    error_type: str
    """One of the 27 of 6.3, or "" where OpenRouter tells none."""
    message: str
    availability: str = ""
    """`availability.code`; the object is built from the values of the call."""
    metadata: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    """Defaults of its own, before those of all."""
    page: str = ""
    """An HTML page is sent instead of JSON: its title."""


DEFAULTS: dict[str, Any] = {
    "model": "sim/model",
    "models": None,
    "provider": "Simulated",
    "provider_code": None,
    "raw": None,
    "retry_after": None,
    "retryable": None,
    "affected_providers": None,
    "excluded_by": None,
    "fallback_models": None,
    "previous_errors": None,
    "constraint_field": None,
    "constraint_detail": None,
    "message": None,
    "code": None,
}
"""Values that every row takes. `message` and `code` replace the row's own; `code=""` leaves `error.code` out, as the
documented examples of availability do."""

RETRYABLE: dict[str, bool] = {
    "model_not_found": False,
    "wrong_endpoint": False,
    "no_endpoints": False,
    "model_deprecated": False,
    "model_unavailable_upstream": False,
    "capacity_exhausted": True,
    "temporarily_unavailable": True,
    "region_restricted": False,
    "privacy_restricted": False,
    "constraint_filtered": False,
    "free_variant_ended": False,
}
"""The availability codes of 6.4, and whether the same request may succeed later."""

_CREDITS = "https://openrouter.ai/settings/credits"
_KEYS = "https://openrouter.ai/settings/keys"
_PRIVACY = "https://openrouter.ai/settings/privacy"
_RETRY = {"Retry-After": "{retry_after}"}
_FROM_PROVIDER = {"provider_name": "{provider}", "provider_code": "{provider_code}", "raw": "{raw}"}
_LIMITED = {
    "X-RateLimit-Limit": "{limit}",
    "X-RateLimit-Remaining": "{remaining}",
    "X-RateLimit-Reset": "{reset_ms}",
}

_BAD_REQUEST: dict[str, Row] = {
    "invalid_request": Row(400, "invalid_request", "Invalid request parameters"),
    "invalid_json": Row(
        400, "invalid_request", "Request body is not valid JSON: {detail}", values={"detail": "no value"}
    ),
    "invalid_prompt": Row(
        400, "invalid_prompt", "{detail}", values={"detail": 'Input required: specify "messages"'}
    ),
    "too_many_models": Row(400, "invalid_request", "'models' array must have 3 items or fewer."),
    "context_length_exceeded": Row(
        400,
        "context_length_exceeded",
        "This endpoint's maximum context length is {limit} tokens. However, you requested about {requested} tokens ({input}"
        " of text input, {output} in the output). Please reduce the length of either one, or use the context-compression"
        " plugin to compress your prompt automatically.",
        values={"limit": 8192, "requested": 9000, "input": 8000, "output": 1000},
    ),
    "max_tokens_exceeded": Row(
        400,
        "max_tokens_exceeded",
        "max_tokens is too large: {requested}. This model supports at most {limit} completion tokens.",
        values={"requested": 200_000, "limit": 128_000},
    ),
    "min_tokens": Row(
        400,
        "invalid_request",
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {limit}, but"
        " got {requested} instead.",
        metadata=_FROM_PROVIDER,
        values={"requested": 1, "limit": 16},
    ),
    "token_limit_exceeded": Row(
        400, "token_limit_exceeded", "The token budget of this request was exceeded."
    ),
    "string_too_long": Row(
        400,
        "string_too_long",
        "Invalid 'messages[0].content': string too long. Expected a string with maximum length"
        " {limit}, but got a string with length {requested} instead.",
        metadata=_FROM_PROVIDER,
        values={"limit": 1_048_576, "requested": 1_048_577, "provider_code": "string_above_max_length"},
    ),
    "model_not_found": Row(400, "invalid_request", "{model} is not a valid model ID", "model_not_found"),
    "wrong_endpoint": Row(
        400,
        "invalid_request",
        "{model} cannot be used with this endpoint. {constraint_detail}",
        "wrong_endpoint",
        values={"constraint_field": "model", "constraint_detail": "Use /api/v1/embeddings instead."},
    ),
    "mandatory_reasoning": Row(
        400, "invalid_request", "Reasoning is mandatory for this endpoint and cannot be disabled."
    ),
    "prefill_refused": Row(
        400,
        "invalid_request",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        metadata=_FROM_PROVIDER,
        values={"provider_code": "invalid_request_error"},
    ),
    "reasoning_details_missing": Row(
        400,
        "invalid_request",
        "Function call is missing a thought_signature in functionCall parts. Reasoning details need to be preserved: send"
        " the assistant turn's reasoning_details back unmodified (messages[{index}]).",
        metadata=_FROM_PROVIDER,
        values={"index": 1, "provider_code": "INVALID_ARGUMENT"},
    ),
    "signature_invalid": Row(
        400,
        "invalid_request",
        "messages.{index}.content.{item}: Invalid `signature` in `thinking` block",
        metadata=_FROM_PROVIDER,
        values={"index": 1, "item": 0, "provider_code": "invalid_request_error"},
    ),
    "server_tool_failed": Row(400, "invalid_request", "Server tool request failed"),
    "provider_bad_request": Row(
        400,
        "invalid_request",
        "Provider returned error",
        metadata=_FROM_PROVIDER,
        values={
            "raw": '{"error":{"message":"Unsupported parameter","type":"invalid_request_error"}}',
            "provider_code": "400",
        },
    ),
    "content_policy_violation": Row(
        400,
        "content_policy_violation",
        "The request was rejected by the provider's content filter.",
        metadata=_FROM_PROVIDER,
        values={"provider_code": "content_filter"},
    ),
    "refusal": Row(400, "refusal", "The model refused to comply with the request."),
    "invalid_image": Row(
        400, "invalid_image", "The image data you provided does not represent a valid image."
    ),
    "image_too_large": Row(400, "image_too_large", "The image exceeds the provider's maximum size of 5 MB."),
    "image_too_small": Row(
        400, "image_too_small", "The image is below the provider's minimum of 8 x 8 pixels."
    ),
    "unsupported_image_format": Row(
        400,
        "unsupported_image_format",
        "Unsupported image format. Supported: image/png, image/jpeg, image/webp, image/gif.",
    ),
    "image_download_failed": Row(
        400,
        "image_download_failed",
        "Failed to download the image from {url}.",
        values={"url": "the URL given"},
    ),
}

_KEYS_AND_MONEY: dict[str, Row] = {
    "no_credentials": Row(401, "authentication", "No auth credentials found"),
    "authentication": Row(401, "authentication", "User not found."),
    "key_disabled": Row(401, "authentication", "This API key has been disabled."),
    "key_expired": Row(401, "authentication", "This API key has expired."),
    "payment_required": Row(402, "payment_required", f"Insufficient credits. Add more using {_CREDITS}"),
    "never_purchased": Row(
        402,
        "payment_required",
        f"Insufficient credits. This account never purchased credits. Make sure your key is on the"
        f" correct account or org, and if so, purchase more at {_CREDITS}",
    ),
    "key_limit": Row(402, "payment_required", f"Key limit exceeded (total limit). Manage it using {_KEYS}"),
    "fewer_max_tokens": Row(
        402,
        "payment_required",
        "This request requires more credits, or fewer max_tokens. You requested up to {requested} tokens, but can only"
        f" afford {{affordable}}. To increase, visit {_CREDITS} and upgrade to a paid account",
        values={"requested": 64_000, "affordable": 1234},
    ),
    "prompt_unaffordable": Row(
        402,
        "payment_required",
        "Prompt tokens limit exceeded: {requested} > {affordable}. To increase, visit"
        f" {_CREDITS} and upgrade to a paid account",
        values={"requested": 9000, "affordable": 1234},
    ),
    "permission_denied": Row(403, "permission_denied", "You do not have permission to do this."),
    "management_key_required": Row(
        403, "permission_denied", "Only management keys can perform this operation"
    ),
    "inference_key_required": Row(403, "permission_denied", "Management keys cannot be used for inference."),
    "moderation": Row(
        403,
        "permission_denied",
        '{model} requires moderation on {provider}. Your input was flagged for "{reason}". No credits were charged.',
        metadata={
            "reasons": ["{reason}"],
            "flagged_input": "{flagged_input}",
            "provider_name": "{provider}",
            "model_slug": "{model}",
        },
        values={"reason": "violence", "flagged_input": "how to ... a test"},
    ),
    "guardrail": Row(
        403,
        "permission_denied",
        "Request blocked: prompt injection patterns detected",
        metadata={"patterns": ["{pattern}"]},
        values={"pattern": "ignore all previous instructions"},
    ),
    "workspace_budget": Row(
        403,
        "permission_denied",
        "Workspace {interval} budget of ${budget} exceeded. Contact your org admin.",
        values={"interval": "monthly", "budget": "500.00"},
    ),
    "guardrail_budget": Row(
        403,
        "permission_denied",
        "Guardrail {interval} budget of ${budget} exceeded. Contact your org admin.",
        values={"interval": "daily", "budget": "50.00"},
    ),
    "region_restricted": Row(
        403,
        "permission_denied",
        "{model} is not available in your region.",
        "region_restricted",
        values={"excluded_by": ["geo"]},
    ),
}

_NOT_THERE: dict[str, Row] = {
    "not_found": Row(404, "not_found", "Not Found"),
    "generation_not_found": Row(404, "not_found", "Generation {id} not found", values={"id": "gen-0"}),
    "image_not_found": Row(404, "image_not_found", "The referenced image could not be found."),
    "no_endpoints": Row(404, "not_found", "No endpoints found for {model}.", "no_endpoints"),
    "model_deprecated": Row(
        404,
        "not_found",
        "{model} has been deprecated. {advice}",
        "model_deprecated",
        values={"advice": "Choose another model."},
    ),
    "model_unavailable_upstream": Row(
        404,
        "not_found",
        "{model} is not available from any of its providers any more.",
        "model_unavailable_upstream",
    ),
    "free_variant_ended": Row(
        404, "not_found", "The free variant of {model} has ended.", "free_variant_ended"
    ),
    "privacy_restricted": Row(
        404,
        "not_found",
        f"No endpoints for {{model}} match your data policy ({{policy}}). Adjust at {_PRIVACY}.",
        "privacy_restricted",
        values={"policy": "zero data retention", "excluded_by": ["data_policy:zdr"]},
    ),
    "constraint_filtered": Row(
        404,
        "not_found",
        "No endpoints for {model} match your routing constraints: {constraint_detail}",
        "constraint_filtered",
        values={
            "constraint_field": "max_price",
            "constraint_detail": "max_price is below every price.",
            "excluded_by": ["max_price"],
        },
    ),
    "unsupported": Row(
        404,
        "not_found",
        "No endpoints found that support {feature}. To learn more about provider routing, visit:"
        " https://openrouter.ai/docs/guides/routing/provider-selection",
        "no_endpoints",
        values={"feature": "tool use"},
    ),
    "method_not_allowed": Row(405, "", "Method Not Allowed"),
    "request_timeout": Row(408, "timeout", "Request timed out"),
    "conflict": Row(409, "", "Conflict"),
    "gone": Row(410, "", "Gone"),
    "precondition_failed": Row(412, "precondition_failed", "Precondition failed"),
    "payload_too_large": Row(
        413,
        "payload_too_large",
        "Request payload too large: the limit is {limit} bytes.",
        values={"limit": 33_554_432},
    ),
    "unprocessable": Row(422, "unprocessable", "The request was well-formed but could not be processed."),
}

_LIMITS: dict[str, Row] = {
    "rate_limit": Row(429, "rate_limit_exceeded", "Rate limit exceeded", headers=_RETRY),
    "provider_rate_limit": Row(
        429, "rate_limit_exceeded", "Provider returned error", metadata=_FROM_PROVIDER, headers=_RETRY,
        values={"raw": "{model} is temporarily rate-limited upstream. Please retry shortly.", "provider_code": "rate_limited"},
    ),
    "capacity_exhausted": Row(
        429, "rate_limit_exceeded", "All providers for {model} are at capacity.", "capacity_exhausted",
        metadata={"previous_errors": "{previous_errors}"}, headers=_RETRY, values={"retry_after": 40},
    ),
    "free_per_minute": Row(
        429, "rate_limit_exceeded", "Rate limit exceeded: free-models-per-min. ", metadata={"headers": _LIMITED},
        headers=_LIMITED, values={"limit": "20", "remaining": "0", "reset_ms": "1743292800000"},
    ),
    "free_per_day": Row(
        429, "rate_limit_exceeded", "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model"
        " requests per day", metadata={"headers": _LIMITED}, headers=_LIMITED,
        values={"limit": "50", "remaining": "0", "reset_ms": "1743292800000"},
    ),
    "free_per_day_paid": Row(
        429, "rate_limit_exceeded", "Rate limit exceeded: free-models-per-day-high-balance. ", metadata={"headers": _LIMITED},
        headers=_LIMITED, values={"limit": "1000", "remaining": "0", "reset_ms": "1743292800000"},
    ),
    "data_per_minute": Row(
        429, "rate_limit_exceeded", "Rate limit exceeded: 30 requests per minute.", metadata={"headers": _LIMITED},
        headers=_LIMITED, values={"limit": "30", "remaining": "0", "reset_ms": "1743292800000"},
    ),
}  # fmt: skip

_BROKEN: dict[str, Row] = {
    "server": Row(500, "server", "Internal Server Error"),
    "unmapped": Row(500, "unmapped", "Internal Server Error"),
    "provider_unavailable": Row(502, "provider_unavailable", "Provider returned an invalid response", metadata=_FROM_PROVIDER),
    "provider_disconnected": Row(502, "provider_unavailable", "Provider disconnected mid-stream", metadata=_FROM_PROVIDER),
    "provider_overloaded": Row(503, "provider_overloaded", "Provider is temporarily overloaded", metadata=_FROM_PROVIDER, headers=_RETRY),
    "temporarily_unavailable": Row(
        503, "provider_overloaded", "{model} is temporarily unavailable.", "temporarily_unavailable",
        metadata={"previous_errors": "{previous_errors}"}, headers=_RETRY,
    ),
    "timeout": Row(504, "timeout", "The provider did not respond within the allowed time", metadata=_FROM_PROVIDER),
    "edge_timeout": Row(524, "timeout", "A timeout occurred"),
    "overloaded": Row(529, "provider_overloaded", "Provider returned error", metadata=_FROM_PROVIDER, values={"provider_code": "overloaded_error"}),
}  # fmt: skip

_PAGES: dict[str, tuple[int, str]] = {
    "page_502": (502, "Bad gateway"),
    "page_520": (520, "Web server is returning an unknown error"),
    "page_521": (521, "Web server is down"),
    "page_522": (522, "Connection timed out"),
    "page_523": (523, "Origin is unreachable"),
    "page_524": (524, "A timeout occurred"),
    "page_525": (525, "SSL handshake failed"),
    "page_526": (526, "Invalid SSL certificate"),
    "page_527": (527, "Railgun error"),
    "page_530": (530, "Origin DNS error"),
}
"""What the edge in front of OpenRouter says itself."""

ROWS: dict[str, Row] = {
    **_BAD_REQUEST,
    **_KEYS_AND_MONEY,
    **_NOT_THERE,
    **_LIMITS,
    **_BROKEN,
    **{name: Row(status, "", title, page=title) for name, (status, title) in _PAGES.items()},
}
