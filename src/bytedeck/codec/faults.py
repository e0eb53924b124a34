"""What an upstream's error means: an answer or an error in the stream → a Fault with a code of `errors.TABLE`.

Classified in the order of the wire reference, section 7: availability, error type, shape of the
metadata, status; the words of the message refine what these leave open. All of it is tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..types import Fault
from .shapes import drawn, objects, read_json, text_of
from .waits import wait_of
from .words import cleaned, redact

__all__ = ["from_error", "from_response", "redact"]

# An error that is larger tells nothing more, and is not worth reading.
_MOST_BODY = 1024 * 1024

AVAILABILITY = {
    "model_not_found": "model_not_found",
    "wrong_endpoint": "invalid_request",
    "no_endpoints": "model_not_found",
    "model_deprecated": "model_not_found",
    "model_unavailable_upstream": "model_not_found",
    "free_variant_ended": "model_not_found",
    "capacity_exhausted": "rate_limited",
    "temporarily_unavailable": "unavailable",
    "region_restricted": "region_restricted",
    "privacy_restricted": "constraint_unmet",
    "constraint_filtered": "constraint_unmet",
}
"""`error.availability.code` (wire reference 6.4) → our code."""

TYPES = {
    # OpenRouter's own vocabulary, all 27 (wire reference 6.3)
    "context_length_exceeded": "context_too_long",
    "max_tokens_exceeded": "invalid_request",
    "token_limit_exceeded": "upstream_budget",
    "string_too_long": "context_too_long",
    "authentication": "authentication",
    "permission_denied": "permission_denied",
    "payment_required": "insufficient_credits",
    "rate_limit_exceeded": "rate_limited",
    "provider_overloaded": "unavailable",
    "provider_unavailable": "unavailable",
    "invalid_request": "invalid_request",
    "invalid_prompt": "invalid_request",
    "not_found": "model_not_found",
    "precondition_failed": "invalid_request",
    "payload_too_large": "payload_too_large",
    "unprocessable": "invalid_request",
    "content_policy_violation": "content_filtered",
    "refusal": "content_filtered",
    "invalid_image": "invalid_request",
    "image_too_large": "invalid_request",
    "image_too_small": "invalid_request",
    "unsupported_image_format": "invalid_request",
    "image_download_failed": "image_unreachable",
    "image_not_found": "invalid_request",
    "server": "server_error",
    "unmapped": "server_error",
    "timeout": "upstream_timeout",
    # what OpenAI-, Anthropic- and llama.cpp-like servers write in `type` or `code`
    "server_error": "server_error",
    "api_error": "server_error",
    "internal_error": "server_error",
    "overloaded_error": "unavailable",
    "unavailable_error": "unavailable",
    "timeout_error": "upstream_timeout",
    "rate_limit_error": "rate_limited",
    "insufficient_quota": "insufficient_credits",
    "billing_error": "insufficient_credits",
    "authentication_error": "authentication",
    "invalid_api_key": "authentication",
    "permission_error": "permission_denied",
    "not_found_error": "model_not_found",
    "model_not_found": "model_not_found",
    "invalid_request_error": "invalid_request",
    "exceed_context_size_error": "context_too_long",
    "image_content_policy_violation": "content_filtered",
}
"""An error type → our code."""

STATUSES = {
    400: "invalid_request",
    401: "authentication",
    402: "insufficient_credits",
    403: "permission_denied",
    404: "model_not_found",
    408: "upstream_timeout",
    410: "model_not_found",
    412: "invalid_request",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    500: "server_error",
    502: "unavailable",
    503: "unavailable",
    504: "upstream_timeout",
    **dict.fromkeys(range(520, 531), "unavailable"),  # the edge in front of OpenRouter; 529 is overload
    524: "upstream_timeout",
}
"""An HTTP status → our code, where nothing better is known."""

_CLASSES = {4: "invalid_request", 5: "server_error"}

# What the metadata's shape says: (our code so far, key of the metadata, our code).
SHAPES = (
    ("permission_denied", "reasons", "moderated"),
    ("permission_denied", "patterns", "guardrail"),
)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# What the message says: (our code so far, words, our code). The first row that fits counts.
MESSAGES = (
    ("insufficient_credits", _words(r"fewer max_tokens|can only afford"), "max_tokens_unaffordable"),
    ("insufficient_credits", _words(r"\bkey limit\b"), "key_limit"),
    ("insufficient_credits", _words(r"\bbudget\b"), "upstream_budget"),
    ("permission_denied", _words(r"\bbudgets?\b|spend(ing)? limit"), "upstream_budget"),
    ("permission_denied", _words(r"guardrail"), "guardrail"),
    ("permission_denied", _words(r"moderation|flagged"), "moderated"),
    ("permission_denied", _words(r"\bregion\b|\bcountry\b|not available in your"), "region_restricted"),
    ("rate_limited", _words(r"free-models-per-day"), "free_limit"),
    ("rate_limited", _words(r"free-models-per-min"), "rate_limited_account"),
    (
        "model_not_found",
        _words(
            r"endpoints? found (that|which) (can )?(support|handle)|data policy|allowed providers|guardrail"
        ),
        "constraint_unmet",
    ),
    ("invalid_request", _words(r"not a valid model( ID)?|no such model|unknown model"), "model_not_found"),
    (
        "invalid_request",
        _words(r"assistant message prefill|must end with a user message|prefill is not supported"),
        "prefill_refused",
    ),
    (
        "invalid_request",
        _words(r"reasoning is mandatory|reasoning cannot be disabled"),
        "reasoning_mandatory",
    ),
    (
        "invalid_request",
        _words(
            r"thought_?signature|signature.{0,20}thinking|thinking.{0,40}signature|reasoning details.{0,40}preserved"
        ),
        "reasoning_history",
    ),
    (
        "invalid_request",
        _words(
            r"(maximum|exceeds?|exceeded).{0,40}context|context (length|window|size).{0,40}exceed|prompt is too long"
            r"|too many (input )?tokens"
        ),
        "context_too_long",
    ),
    ("invalid_request", _words(r"content (management )?policy|safety system"), "content_filtered"),
)

# Once the stream had begun, the provider's own failures are one thing (wire reference, D6):
# OpenRouter has already tried its other providers.
IN_STREAM = dict.fromkeys(("unavailable", "server_error", "upstream_timeout"), "provider_error")

_AFFORD = re.compile(r"can only afford ([\d,]{1,15})", re.IGNORECASE)


class _Seen(Struct, frozen=True):
    """An error taken apart."""

    error: dict[str, Any]
    metadata: dict[str, Any]
    availability: dict[str, Any]
    beside: dict[str, Any]
    """What stood beside the error in its envelope."""
    message: str
    """All words that came, not cleaned: for patterns only."""
    status: int | None


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, now_epoch: float | None = None
) -> Fault:
    """A response that is not 200 → Fault. `headers` has lower-case names.

    `now_epoch` (seconds) is needed for hints that name a moment; without it they are left out.
    """
    envelope = _envelope(body)
    if envelope is None and status == 404:
        # No API of the kind we speak answers so: most likely it is another server, or another path.
        return Fault(
            code="malformed", message="HTTP 404 without a JSON answer: is the base URL right?", status=404
        )
    # The page itself is a stranger's markup; that there was one is worth telling.
    return _fault(
        _seen(envelope or {"error": f"HTTP {status} without a JSON answer"}, status), headers, now_epoch
    )


def from_error(
    error: object,
    *,
    status: int | None = None,
    provider: str = "",
    is_stream: bool = False,
    now_epoch: float | None = None,
) -> Fault:
    """An error that came inside a 200 → Fault. `error` is what stood under `error`, of any type.

    `is_stream`: the answer had begun, so that a failure is the provider's (code `provider_error`).
    """
    fault = _fault(_seen({"error": error}, status), {}, now_epoch, provider)
    return replace(fault, code=IN_STREAM.get(fault.code, fault.code)) if is_stream else fault


def _fault(seen: _Seen, headers: Mapping[str, str], now_epoch: float | None, provider: str = "") -> Fault:
    code = _code(seen, headers)
    provider = text_of(seen.metadata.get("provider_name")) or provider
    affordable = _AFFORD.search(seen.message) if code == "max_tokens_unaffordable" else None
    types = _types(seen)
    return Fault(
        code=code,
        message=_with_names(_message(seen, provider), seen.availability),
        status=seen.status,
        retry_after=wait_of(headers, seen.metadata, seen.availability, now_epoch),
        error_type=cleaned(types[0]) if types else "",
        provider=cleaned(provider),
        affordable_tokens=int(affordable[1].replace(",", "") or 0) if affordable else None,
    )


# -- taking apart --------------------------------------------------------------------------------


def _envelope(body: bytes) -> dict[str, Any] | None:
    """The object that holds an error; None where the body is no such JSON."""
    if len(body) > _MOST_BODY:
        return None
    found = read_json(body)
    first = next(iter(objects(found)), None)  # Google answers with a list of one
    if first is None:
        return None
    listed = next(iter(objects(first.get("errors"))), None)
    error = first.get("error") or listed or (first if "message" in first or "detail" in first else None)
    return None if error is None else {**first, "error": error}


def _seen(envelope: dict[str, Any], status: int | None) -> _Seen:
    found = envelope.get("error")
    error = found if isinstance(found, dict) else {"message": found}
    metadata = drawn(error, "metadata")
    words = [text_of(error.get(key)) for key in ("message", "detail", "title")]
    message = next(filter(None, words), "")
    return _Seen(
        error=error,
        metadata=metadata,
        availability=drawn(error, "availability"),
        beside=envelope,
        message=f"{message} {_raw(metadata)}"[:8192],
        status=_status(error) or status,
    )


def _status(error: dict[str, Any]) -> int | None:
    """`code`, or `http_status` where the error has no code of its own (wire reference 6.1)."""
    for key in ("code", "http_status", "status"):
        value = error.get(key)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return None


def _types(seen: _Seen) -> list[str]:
    """Every word that names the kind of the error, the most telling first."""
    error = seen.error
    found = (
        seen.metadata.get("error_type"),
        error.get("error_type"),
        seen.availability.get("code"),
        error.get("code"),
        error.get("type"),
    )
    return [word for word in found if isinstance(word, str) and word and not word.isdigit()]


def _raw(metadata: dict[str, Any]) -> str:
    """`metadata.raw`: text, JSON in text, or an object → its message."""
    raw = metadata.get("raw")
    found = read_json(raw.encode(errors="replace")) if isinstance(raw, str) and len(raw) < _MOST_BODY else raw
    for item in objects(found):
        error = item.get("error")
        inner = error if isinstance(error, dict) else {"message": error}
        words = text_of(inner.get("message")) or text_of(item.get("message")) or text_of(item.get("detail"))
        if words:
            return words
    return text_of(raw)


def _message(seen: _Seen, provider: str) -> str:
    """The upstream's words; where it only passes on that a provider failed, the provider's."""
    message = text_of(seen.error.get("message")) or seen.message.strip()
    raw = _raw(seen.metadata)
    if raw and message.strip().rstrip(".").lower() in ("", "provider returned error"):
        raw = cleaned(raw)
        message = f"{provider}: {raw}" if provider and raw else raw or message
    return cleaned(message)


# What an availability names, so that a person can act on it: its key, and our words before it.
_NAMED = {"excluded_by": "excluded by", "fallback_models": "in its place"}


def _with_names(message: str, availability: Mapping[str, Any]) -> str:
    """The message, with the constraints that left nobody over and the models that are proposed, unless it names them."""
    told = []
    for key, words in _NAMED.items():
        found = availability.get(key)
        names = [text_of(one) for one in found] if isinstance(found, list) else []
        named = ", ".join(one for one in names if one and one not in message)
        told += [f"{words} {named}"] if named else []
    return cleaned(f"{message} ({'; '.join(told)})".strip()) if told else message


# -- classifying ---------------------------------------------------------------------------------


def _code(seen: _Seen, headers: Mapping[str, str]) -> str:
    code = _by_availability(seen.availability) or _by_type(seen) or _by_status(seen.status)
    for before, key, after in SHAPES:
        if code == before and seen.metadata.get(key):
            return after
    for before, words, after in MESSAGES:
        if code == before and words.search(seen.message):
            return after
    if code == "model_not_found" and seen.availability.get("excluded_by"):
        return "constraint_unmet"
    if code == "permission_denied" and _is_blocked_by_guardrail(seen.beside):
        return "guardrail"
    if code == "rate_limited" and _is_of_the_account(seen, headers):
        return "rate_limited_account"
    return code


def _by_availability(availability: dict[str, Any]) -> str:
    name = text_of(availability.get("code"))
    code = AVAILABILITY.get(name, "")
    # The flag counts more than the code: the same code can mean now or for good.
    if availability.get("retryable") is True and code in ("", "model_not_found"):
        return "unavailable"
    return code


def _by_type(seen: _Seen) -> str:
    return next((TYPES[word] for word in _types(seen) if word in TYPES), "")


def _by_status(status: int | None) -> str:
    if status is None:
        return "provider_error"
    return STATUSES.get(status) or _CLASSES.get(status // 100, "malformed")


def _is_blocked_by_guardrail(beside: dict[str, Any]) -> bool:
    stages = objects(drawn(beside, "openrouter_metadata").get("pipeline"))
    return any(
        stage.get("type") == "guardrail" and drawn(stage, "data").get("action") == "blocked"
        for stage in stages
    )


def _is_of_the_account(seen: _Seen, headers: Mapping[str, str]) -> bool:
    """OpenRouter's own limits carry X-RateLimit-*; a provider's name its provider (wire reference 2.3, RL-06)."""
    metadata = seen.metadata
    if (
        metadata.get("provider_name")
        or metadata.get("provider_code")
        or metadata.get("limit_source") == "upstream"
    ):
        return False
    names = [*headers, *(str(name).lower() for name in drawn(metadata, "headers"))]
    return any(name.startswith("x-ratelimit-") for name in names)
