"""Refusals: every row has a form that OpenRouter's description and the official SDKs' own classes accept."""

from __future__ import annotations

import json
from typing import Any, get_args

import anthropic.types
import openai.types.responses
import pytest
from openrouter import components, errors
from pydantic import TypeAdapter, ValidationError

from bytedeck.simulator.refusals import named as refusals
from bytedeck.simulator.refusals.envelopes import PAGE, Shape
from bytedeck.simulator.refusals.rows import DEFAULTS, RETRYABLE
from bytedeck.simulator.shapes import Refusal, Skin
from openapi_spec import component

JSON_NAMES = [name for name in refusals.NAMES if not refusals.ROWS[name].page]
PAGES = [name for name in refusals.NAMES if refusals.ROWS[name].page]
SHAPES: tuple[Shape, ...] = get_args(Shape)
ERROR_TYPES = {
    "context_length_exceeded", "max_tokens_exceeded", "token_limit_exceeded", "string_too_long", "authentication",
    "permission_denied", "payment_required", "rate_limit_exceeded", "provider_overloaded", "provider_unavailable",
    "invalid_request", "invalid_prompt", "not_found", "precondition_failed", "payload_too_large", "unprocessable",
    "content_policy_violation", "refusal", "invalid_image", "image_too_large", "image_too_small", "unsupported_image_format",
    "image_not_found", "image_download_failed", "server", "timeout", "unmapped",
}  # fmt: skip
SDK_CLASSES = {
    400: errors.BadRequestResponseErrorData,
    401: errors.UnauthorizedResponseErrorData,
    402: errors.PaymentRequiredResponseErrorData,
    403: errors.ForbiddenResponseErrorData,
    404: errors.NotFoundResponseErrorData,
    408: errors.RequestTimeoutResponseErrorData,
    413: errors.PayloadTooLargeResponseErrorData,
    422: errors.UnprocessableEntityResponseErrorData,
    429: errors.TooManyRequestsResponseErrorData,
    500: errors.InternalServerResponseErrorData,
    502: errors.BadGatewayResponseErrorData,
    503: errors.ServiceUnavailableResponseErrorData,
    524: errors.EdgeNetworkTimeoutResponseErrorData,
    529: errors.ProviderOverloadedResponseErrorData,
}
PLACE = {"id": "gen-1", "model": "a/b", "created": 1_700_000_000, "provider": "OpenAI"}


def body(skin: Skin, refusal: Refusal, **more: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(refusals.envelope(skin, refusal, **more))
    return decoded


def events(skin: Skin, refusal: Refusal, shape: Shape) -> list[tuple[str, dict[str, Any]]]:
    """(name of the event, data) of each."""
    sent = refusals.event(skin, refusal, shape=shape, **PLACE).decode()
    assert sent.endswith("\n\n")
    found = []
    for block in sent.removesuffix("\n\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event", ""), json.loads(lines["data"])))
    return found


def test_all_error_types_and_availability_codes_have_a_row() -> None:
    """The 27 error types and the 11 availability codes of the reference can each be had, and no others."""
    rows = refusals.ROWS.values()
    assert {row.error_type for row in rows if row.error_type} == ERROR_TYPES
    assert {row.availability for row in rows if row.availability} == set(RETRYABLE)


def test_all_statuses_have_a_row() -> None:
    """Each status of the reference, 6.2, can be had."""
    expected = {400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 422, 429, 500, 502, 503, 504, 524, 529}
    assert {refusals.ROWS[name].status for name in JSON_NAMES} == expected
    assert {refusals.ROWS[name].status for name in PAGES} >= {520, 521, 522, 523, 524, 525, 526, 530}


@pytest.mark.parametrize("name", JSON_NAMES)
def test_the_description_accepts_every_envelope(name: str) -> None:
    """Chat and Responses bodies have the described shape, Messages bodies Anthropic's; 500s say nothing."""
    refusal = refusals.make(name)
    sent = body("chat", refusal, user_id="user_1")
    component("BadRequestResponse").validate(sent)
    component("BadRequestResponse").validate(body("responses", refusal))
    component("AnthropicMessagesErrorResponse").validate(body("messages", refusal, request_id="gen-1"))
    assert sent["error"]["code"] == refusal.status
    assert sent["user_id"] == "user_1"
    assert "{" not in refusal.message.replace('{"', "")


@pytest.mark.parametrize("name", JSON_NAMES)
def test_the_official_sdk_reads_every_envelope(name: str) -> None:
    """The class that openrouter raises for the status takes the body."""
    refusal = refusals.make(name)
    if kind := SDK_CLASSES.get(refusal.status):
        for skin in ("chat", "responses"):
            assert kind.model_validate(body(skin, refusal)).error.message


@pytest.mark.parametrize("name", [name for name in JSON_NAMES if refusals.ROWS[name].availability])
def test_availability_says_what_it_always_says(name: str) -> None:
    """code, retryable, requested_models and docs_url are there; what is unknown is left out."""
    error = body("chat", refusals.make(name, models=("a/b", "c/d")))["error"]
    found = error["availability"]
    assert found["requested_models"] == ["a/b", "c/d"]
    assert found["docs_url"].endswith("#" + found["code"])
    assert found["retryable"] is RETRYABLE[found["code"]]
    assert all(value not in (None, [], "") for value in found.values())
    assert (error["http_status"], error["error_type"]) == (
        refusals.ROWS[name].status,
        refusals.ROWS[name].error_type,
    )


def test_the_documented_examples_of_availability_can_be_had() -> None:
    """An empty code leaves `error.code` out, as the documentation's examples do."""
    refusal = refusals.make(
        "capacity_exhausted",
        model="anthropic/claude-sonnet-4.5",
        message="All providers for anthropic/claude-sonnet-4.5 are at capacity. Retry after 40 seconds.",
        retry_after=40,
        affected_providers=["anthropic", "amazon-bedrock", "google-vertex"],
        fallback_models=["anthropic/claude-haiku-4.5"],
        previous_errors=[{"provider": "anthropic", "code": "capacity_exhausted", "status": 429}],
        code="",
    )
    assert body("chat", refusal) == {
        "error": {
            "message": "All providers for anthropic/claude-sonnet-4.5 are at capacity. Retry after 40 seconds.",
            "error_type": "rate_limit_exceeded",
            "http_status": 429,
            "availability": {
                "code": "capacity_exhausted",
                "retryable": True,
                "retry_after": 40,
                "requested_models": ["anthropic/claude-sonnet-4.5"],
                "affected_providers": ["anthropic", "amazon-bedrock", "google-vertex"],
                "fallback_models": ["anthropic/claude-haiku-4.5"],
                "docs_url": "https://openrouter.ai/docs/errors#capacity_exhausted",
            },
            "metadata": {
                "error_type": "rate_limit_exceeded",
                "previous_errors": [{"provider": "anthropic", "code": "capacity_exhausted", "status": 429}],
            },
        }
    }
    assert refusal.headers == {"Retry-After": "40"}


def test_a_date_to_retry_at_stays_in_the_header() -> None:
    """Retry-After may be a date; `retry_after` is seconds or absent."""
    refusal = refusals.make("temporarily_unavailable", retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert refusal.headers["Retry-After"].endswith("GMT")
    assert refusal.availability is not None
    assert "retry_after" not in refusal.availability


@pytest.mark.parametrize("name", ["free_per_minute", "free_per_day", "free_per_day_paid", "data_per_minute"])
def test_limits_are_mirrored_in_the_metadata(name: str) -> None:
    """A platform's 429 has the three X-RateLimit headers, and the same in metadata.headers, the reset in milliseconds."""
    refusal = refusals.make(name, limit=20, remaining=0, reset_ms=1743292800000)
    assert set(refusal.headers) == {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
    mirrored = body("chat", refusal)["error"]["metadata"]["headers"]
    assert {key: str(value) for key, value in mirrored.items()} == refusal.headers
    assert refusal.headers["X-RateLimit-Reset"] == "1743292800000"


MASKED: list[tuple[Skin, str]] = [("chat", "error"), ("responses", "error"), ("messages", "error")]


@pytest.mark.parametrize(("skin", "key"), MASKED)
def test_500s_are_masked(skin: Skin, key: str) -> None:
    """No words, codes or routing of the provider; the error type stays."""
    refusal = Refusal(500, "secret words of the provider", "server", metadata={"provider_code": "kaboom"})
    sent = refusals.envelope(skin, refusal, routing={"summary": "secret route"}).decode()
    ended = refusals.event(skin, refusal, **PLACE).decode()
    for text in (sent, ended):
        assert "secret" not in text
        assert "kaboom" not in text
        assert '"error_type":"server"' in text
    assert key in json.loads(sent)


def test_routing_lies_beside_the_error() -> None:
    """`openrouter_metadata` is a neighbour of `error`, but not where nobody was routed."""
    routing = {"attempt": 1}
    assert (
        body("chat", refusals.make("provider_unavailable"), routing=routing)["openrouter_metadata"] == routing
    )
    assert "openrouter_metadata" not in body("chat", refusals.make("authentication"), routing=routing)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("authentication", "authentication_error"), ("guardrail", "permission_error"), ("payment_required", "billing_error"),
        ("no_endpoints", "not_found_error"), ("image_not_found", "not_found_error"), ("free_per_day", "rate_limit_error"),
        ("overloaded", "overloaded_error"), ("timeout", "timeout_error"), ("context_length_exceeded", "invalid_request_error"),
        ("provider_unavailable", "api_error"), ("server", "api_error"), ("unmapped", "api_error"),
    ],
)  # fmt: skip
def test_messages_speak_anthropics_types(name: str, kind: str) -> None:
    """The native type is Anthropic's; the exact one is in error_type. Before routing there is no request id."""
    sent = body("messages", refusals.make(name))
    assert (sent["type"], sent["error"]["type"], sent["request_id"]) == ("error", kind, None)
    assert sent["error"]["error_type"] == refusals.ROWS[name].error_type


def test_responses_have_the_bare_documented_form_too() -> None:
    """A code that is a text gives `{"error":{"code","message"},"metadata":null}`."""
    sent = body("responses", refusals.make("invalid_request", code="invalid_prompt"))
    assert sent == {
        "error": {"code": "invalid_prompt", "message": "Invalid request parameters"},
        "metadata": None,
    }
    assert body("responses", refusals.make("server"))["error_type"] == "server"


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_the_edge_are_html(name: str) -> None:
    """What Cloudflare answers is no JSON, in whichever skin, and its content type says so."""
    refusal = refusals.make(name)
    sent = refusals.envelope("messages", refusal, request_id="gen-1").decode()
    assert refusal.headers["Content-Type"] == PAGE
    assert sent.startswith("<!DOCTYPE html>")
    assert f"Error code {refusal.status}" in sent


@pytest.mark.parametrize("name", JSON_NAMES)
def test_chat_streams_end_in_four_shapes(name: str) -> None:
    """F1 and F3 are chunks with the error, F2 is the error alone, F4 a chunk without one; the SDK takes all but F2."""
    refusal = refusals.make(name)
    seen = {shape: events("chat", refusal, shape)[0][1] for shape in SHAPES}
    assert seen["F1"]["choices"][0]["finish_reason"] == seen["F4"]["choices"][0]["finish_reason"] == "error"
    assert seen["F3"]["choices"] == []
    assert seen["F2"].keys() == {"error", "user_id"}
    assert "error" not in seen["F4"]
    assert seen["F1"]["error"] == seen["F2"]["error"] == seen["F3"]["error"]
    for shape in ("F1", "F3", "F4"):
        if refusal.error_type or shape == "F4":
            component("ChatStreamChunk").validate(seen[shape])
            assert components.ChatStreamChunk.model_validate(seen[shape]).model == "a/b"
    with pytest.raises(ValidationError):
        components.ChatStreamChunk.model_validate(seen["F2"])


@pytest.mark.parametrize("name", JSON_NAMES)
def test_responses_streams_end_as_described(name: str) -> None:
    """`response.failed` and `error` have the shape of the description, of openai's classes and of openrouter's."""
    refusal = refusals.make(name)
    openai_event = TypeAdapter(openai.types.responses.ResponseStreamEvent)
    openrouter_event = TypeAdapter(components.StreamEvents)
    for shape, kind in (("F1", "response.failed"), ("F2", "error"), ("F4", "response.failed")):
        ((event, data),) = events("responses", refusal, shape)  # type: ignore[arg-type]
        assert event == data["type"] == kind
        component("StreamEvents").validate(data)
        assert openai_event.validate_python(data, strict=False).type == kind
        assert openrouter_event.validate_python(data).type == kind
    ((event, data),) = events("responses", refusal, "F3")
    assert event == data["type"] == "response.error"
    assert data["error"]["message"]


@pytest.mark.parametrize("name", JSON_NAMES)
def test_messages_streams_end_with_an_error_event(name: str) -> None:
    """`event: error` with Anthropic's types; F4 is a stop for "error" without any error."""
    refusal = refusals.make(name)
    for shape in ("F1", "F2", "F3"):
        ((event, data),) = events("messages", refusal, shape)  # type: ignore[arg-type]
        assert event == data["type"] == "error"
        component("MessagesErrorEvent").validate(data)
        assert TypeAdapter(anthropic.types.ErrorObject).validate_python(data["error"]).message
    names = [event for event, _ in events("messages", refusal, "F4")]
    assert names == ["message_delta", "message_stop"]


def test_a_failed_response_is_a_response() -> None:
    """The body of a Responses call that failed after routing, with its precise type beside the native code."""
    failed = refusals.failed_response(refusals.make("authentication"), "resp_1", "a/b", 1)
    component("OpenResponsesResult").validate(failed)
    assert (failed["status"], failed["error"]["code"], failed["error_type"]) == (
        "failed",
        "server_error",
        "authentication",
    )


def test_unknown_names_and_values_are_errors() -> None:
    """A fault that misspells a value is told so."""
    with pytest.raises(KeyError):
        refusals.make("nope")
    with pytest.raises(TypeError, match=r"takes no limitt; it takes .*limit"):
        refusals.make("free_per_day", limitt=3)


@pytest.mark.parametrize("name", refusals.NAMES)
def test_every_row_takes_the_common_values(name: str) -> None:
    """model, provider, retry_after and the rest may be given to any row."""
    given = {key: value for key, value in DEFAULTS.items() if value is not None}
    assert (
        refusals.make(name, **given, retry_after=3, raw='{"a": "{model}", "b": {}}').status
        == refusals.ROWS[name].status
    )


def test_words_can_be_replaced() -> None:
    """`message` replaces the row's words, whatever signs it holds."""
    assert refusals.make("server", message="{not a template}").message == "{not a template}"
