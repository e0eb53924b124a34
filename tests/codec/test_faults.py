"""Errors of the upstream → codes of the table, row by row of the wire reference (6.2 to 7)."""

from __future__ import annotations

import json
import re
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.codec import faults
from bytedeck.codec.faults import from_error, from_response, redact
from bytedeck.errors import TABLE

NOW = 1_743_292_740.0
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


def error(code: int | str | None = None, message: str = "", **more: Any) -> bytes:
    found = {"message": message, **more}
    return json.dumps(
        {"error": found if code is None else {"code": code, **found}, "user_id": "user_2abc"}
    ).encode()


def meta(**metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata}


def available(code: str, **more: Any) -> dict[str, Any]:
    return {"availability": {"code": code, "retryable": False, **more}}


ROWS = [
    # transport-like statuses, with and without JSON
    ("D8", 408, error(408, "Request timed out"), "upstream_timeout"),
    ("D8", 504, b"", "upstream_timeout"),
    ("D8", 524, b"<html>timeout</html>", "upstream_timeout"),
    ("D9", 500, error(500, "Internal Server Error"), "server_error"),
    ("D9", 599, b"", "server_error"),
    ("D10", 502, b"<!DOCTYPE html><html>Bad gateway</html>", "unavailable"),
    ("D10", 503, error(503, "No instances", **meta(error_type="provider_overloaded")), "unavailable"),
    ("D10", 529, error(529, "Overloaded"), "unavailable"),
    *[("D10", status, b"", "unavailable") for status in (520, 521, 522, 523, 525, 526, 527, 530)],
    # 429
    (
        "D11",
        429,
        error(429, "Provider returned error", **meta(provider_name="Groq", raw="slow down")),
        "rate_limited",
    ),
    (
        "D11",
        429,
        error(429, "x", **meta(provider_name="Groq", headers={"X-RateLimit-Reset": "1"})),
        "rate_limited",
    ),
    ("D11", 429, error(None, "busy", **available("capacity_exhausted", retryable=True)), "rate_limited"),
    (
        "D11",
        429,
        error(429, "x", **meta(limit_source="upstream", headers={"X-RateLimit-Limit": "1"})),
        "rate_limited",
    ),
    (
        "D12",
        429,
        error(429, "Rate limit exceeded: free-models-per-min", **meta(headers={"X-RateLimit-Limit": "20"})),
        "rate_limited_account",
    ),
    ("D12", 429, error(429, "x", **meta(headers={"X-RateLimit-Limit": "20"})), "rate_limited_account"),
    ("D13", 429, error(429, "Rate limit exceeded: free-models-per-day. Add 10 credits"), "free_limit"),
    ("RL", 429, b"", "rate_limited"),
    # key and money
    ("D14", 401, error(401, "No auth credentials found"), "authentication"),
    ("D14", 400, error("invalid_api_key", "Incorrect API key"), "authentication"),
    (
        "D15",
        402,
        error(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 8192 tokens, but can only afford 1,234.",
        ),
        "max_tokens_unaffordable",
    ),
    (
        "D15",
        402,
        error(402, "fewer max_tokens please", **meta(error_type="payment_required")),
        "max_tokens_unaffordable",
    ),
    ("D16", 402, error(402, "Insufficient credits"), "insufficient_credits"),
    ("D16", 402, error(402, "Key limit exceeded (total limit). Manage it in your settings."), "key_limit"),
    ("D16", 402, b"", "insufficient_credits"),
    ("6.3", 400, error(400, "x", **meta(error_type="token_limit_exceeded")), "upstream_budget"),
    # 403
    (
        "D17",
        403,
        error(403, "Your chosen model requires moderation", **meta(reasons=["violence"], flagged_input="x")),
        "moderated",
    ),
    ("D18", 403, error(403, "Blocked", **meta(patterns=["p"])), "guardrail"),
    ("D18", 403, error(403, "x", **meta(error_type="permission_denied", patterns=["p"])), "guardrail"),
    (
        "D18",
        403,
        json.dumps(
            {
                "error": {"code": 403, "message": "Blocked"},
                "openrouter_metadata": {
                    "pipeline": [{"type": "plugin"}, {"type": "guardrail", "data": {"action": "blocked"}}]
                },
            }
        ).encode(),
        "guardrail",
    ),
    ("D19", 403, error(403, "Workspace budget exceeded"), "upstream_budget"),
    ("D20", 403, error(403, "x", **available("region_restricted")), "region_restricted"),
    ("D20", 403, error(403, "This model is not available in your region"), "region_restricted"),
    ("D21", 403, error(403, "Only management keys can perform this"), "permission_denied"),
    # the model
    ("D22", 400, error(400, "gpt-99 is not a valid model ID"), "model_not_found"),
    ("D22", 400, error(None, "gone", **available("model_not_found"), http_status=400), "model_not_found"),
    ("D22", 404, error(404, "No endpoints found for google/gemini-pro."), "model_not_found"),
    *[
        ("D22", 404, error(404, "x", **available(name)), "model_not_found")
        for name in ("no_endpoints", "model_deprecated", "model_unavailable_upstream", "free_variant_ended")
    ],
    ("6.4", 404, error(404, "x", **available("no_endpoints", retryable=True)), "unavailable"),
    ("6.4", 503, error(503, "x", **available("temporarily_unavailable", retryable=True)), "unavailable"),
    ("6.4", 404, error(404, "x", **available("quite_new", retryable=True)), "unavailable"),
    ("6.4", 404, error(404, "x", **available("quite_new")), "model_not_found"),
    ("6.4", 404, error(404, "x", **available("no_endpoints", excluded_by=["max_price"])), "constraint_unmet"),
    ("D23", 404, error(404, "No endpoints found that support tool use."), "constraint_unmet"),
    ("D23", 404, error(404, "No endpoints found matching your data policy"), "constraint_unmet"),
    ("D23", 404, error(404, "x", **available("privacy_restricted")), "constraint_unmet"),
    ("D23", 404, error(404, "x", **available("constraint_filtered")), "constraint_unmet"),
    ("6.4", 400, error(400, "x", **available("wrong_endpoint")), "invalid_request"),
    # the request
    ("D24", 400, error(400, "x", **meta(error_type="context_length_exceeded")), "context_too_long"),
    (
        "D24",
        400,
        error(400, "This endpoint's maximum context length is 8192 tokens. However, you …"),
        "context_too_long",
    ),
    (
        "D24",
        400,
        error(400, "the request exceeds the available context size", type="exceed_context_size_error"),
        "context_too_long",
    ),
    ("D24", 400, error(400, "x", **meta(error_type="string_too_long")), "context_too_long"),
    (
        "D25",
        400,
        error(
            400,
            "Provider returned error",
            **meta(raw='{"error":{"message":"Invalid `signature` in thinking block"}}'),
        ),
        "reasoning_history",
    ),
    (
        "D25",
        400,
        error(400, "Unable to submit request because thought_signature is missing"),
        "reasoning_history",
    ),
    ("D25", 400, error(400, "Gemini models require reasoning details to be preserved"), "reasoning_history"),
    (
        "D25b",
        400,
        error(
            400,
            "x: This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        "prefill_refused",
    ),
    (
        "D25b",
        400,
        error(400, "does not support assistant message prefill", **meta(error_type="invalid_request")),
        "prefill_refused",
    ),
    (
        "D26",
        400,
        error(400, "Reasoning is mandatory for this endpoint and cannot be disabled."),
        "reasoning_mandatory",
    ),
    ("D27", 400, error(400, "x", **meta(error_type="content_policy_violation")), "content_filtered"),
    ("D27", 400, error(400, "x", **meta(error_type="refusal")), "content_filtered"),
    ("D28", 400, error(400, "bad"), "invalid_request"),
    ("D28", 412, b"", "invalid_request"),
    ("D28", 413, b"<html>413</html>", "payload_too_large"),
    ("D28", 422, error(422, "bad"), "invalid_request"),
    ("D28", 409, b"", "invalid_request"),
    ("D29", 400, error(400, "'models' array must have 3 items or fewer"), "invalid_request"),
    # other servers, other paths
    (
        "6.5",
        529,
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        "unavailable",
    ),
    ("6.2", 410, b"", "model_not_found"),
    ("wrong path", 404, b"<html>Not found</html>", "malformed"),
    ("wrong path", 404, b'{"ok": true}', "malformed"),
    ("redirect", 302, b"", "malformed"),
    ("204", 204, b"", "malformed"),
    (
        "the type counts more than the status",
        500,
        error(500, "x", **meta(error_type="provider_unavailable")),
        "unavailable",
    ),
    (
        "availability counts more than the type",
        503,
        error(503, "x", **meta(error_type="server"), **available("model_deprecated")),
        "model_not_found",
    ),
]


@pytest.mark.parametrize(
    ("row", "status", "body", "code"), ROWS, ids=[f"{row[0]} {row[3]} {n}" for n, row in enumerate(ROWS)]
)
def test_each_row_of_the_decision_table(row: str, status: int, body: bytes, code: str) -> None:
    """Every row D8 to D29 that a response can show has its code."""
    fault = from_response(status, {}, body, NOW)
    assert fault.code == code
    assert fault.status == status


def test_every_code_that_is_given_is_in_the_table() -> None:
    """And every error type and availability code of the reference is known."""
    given_codes = {
        *faults.AVAILABILITY.values(),
        *faults.TYPES.values(),
        *faults.STATUSES.values(),
        *faults.IN_STREAM.values(),
        *(row[2] for row in faults.SHAPES),
        *(row[2] for row in faults.MESSAGES),
    }
    assert given_codes <= set(TABLE)
    assert len(faults.AVAILABILITY) == 11


@pytest.mark.parametrize(
    ("found", "code", "in_stream"),
    [
        ({"code": 502, "message": "x"}, "unavailable", "provider_error"),
        ({"code": "server_error", "message": "x"}, "server_error", "provider_error"),
        ({"message": "x", "metadata": {"error_type": "timeout"}}, "upstream_timeout", "provider_error"),
        ({"code": 429, "message": "x"}, "rate_limited", "rate_limited"),
        ({"code": "429", "message": "x"}, "rate_limited", "rate_limited"),
        ({"message": "x", "http_status": 402}, "insufficient_credits", "insufficient_credits"),
        ({"code": 403, "message": "x", "metadata": {"reasons": ["r"]}}, "moderated", "moderated"),
        ("Internal error", "provider_error", "provider_error"),
        (["x"], "provider_error", "provider_error"),
        ({}, "provider_error", "provider_error"),
        ({"code": 0}, "provider_error", "provider_error"),
        ({"code": True}, "provider_error", "provider_error"),
        ({"code": 10**400}, "provider_error", "provider_error"),
        (None, "provider_error", "provider_error"),
    ],
)
def test_errors_inside_a_200(found: object, code: str, in_stream: str) -> None:
    """`code` may be a number, a text or absent; in a stream a failure is the provider's (D6, D7)."""
    assert from_error(found).code == code
    assert from_error(found, is_stream=True).code == in_stream


def test_what_an_error_tells_is_kept() -> None:
    """Type, provider, status of the body, and the tokens that could be paid for."""
    fault = from_error(
        {
            "code": 503,
            "message": "busy",
            "metadata": {"error_type": "provider_overloaded", "provider_name": "Groq"},
        },
        provider="X",
    )
    assert (fault.error_type, fault.provider, fault.status, fault.message) == (
        "provider_overloaded",
        "Groq",
        503,
        "busy",
    )
    assert from_error({"message": "m"}, provider="X", status=418).provider == "X"
    assert from_error({"message": "m"}, provider="X", status=418).status == 418
    assert from_error({"message": "x", **available("no_endpoints")}).error_type == "no_endpoints"
    rows = [
        ("can only afford 1,234", 1234),
        ("can only afford 0.", 0),
        ("fewer max_tokens", None),
        ("can only afford ,", 0),
    ]
    for message, tokens in rows:
        assert from_response(402, {}, error(402, message)).affordable_tokens == tokens


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            error(502, "Provider returned error", **meta(provider_name="Groq", raw="upstream is down")),
            "Groq: upstream is down",
        ),
        (
            error(
                502,
                "Provider returned error",
                **meta(provider_name="Groq", raw='{"error":{"message":"too hot"}}'),
            ),
            "Groq: too hot",
        ),
        (
            error(502, "Provider returned error", **meta(provider_name="Groq", raw='{"error":"too hot"}')),
            "Groq: too hot",
        ),
        (
            error(502, "Provider returned error", **meta(provider_name="Groq", raw={"message": "too hot"})),
            "Groq: too hot",
        ),
        (
            error(
                502,
                "Provider returned error",
                **meta(provider_name="Groq", raw='[{"error":{"message":"too hot"}}]'),
            ),
            "Groq: too hot",
        ),
        (error(502, "Provider returned error", **meta(raw={"detail": "too hot"})), "too hot"),
        (error(502, "Provider returned error", **meta(raw={"odd": 1})), "Provider returned error"),
        (
            error(502, "Provider returned error", **meta(provider_name="Groq", raw="<html>no</html>")),
            "Provider returned error",
        ),
        (error(502, "Own words", **meta(provider_name="Groq", raw="not shown")), "Own words"),
        (error(502, ""), ""),
        (b'{"error":"just text"}', "just text"),
        (b'{"message":"top level"}', "top level"),
        (b'{"detail":"as FastAPI does"}', "as FastAPI does"),
        (b'{"detail":[{"msg":"x"}]}', ""),
        (b'{"errors":[{"message":"in a list"}]}', "in a list"),
        (b'[{"error":{"code":502,"message":"as Google does"}}]', "as Google does"),
        (b"<html><title>502</title></html>", "HTTP 502 without a JSON answer"),
        (b"\xff\xfe", "HTTP 502 without a JSON answer"),
        (b"plain words are not shown", "HTTP 502 without a JSON answer"),
        (error(502, "<html><body>inside JSON</body></html>"), ""),
        (error(502, "two\nlines \x1b[31mred\x00"), "two lines [31mred"),
        (error(502, "x" * 5000), "x" * 599 + "…"),
        (error(502, "x" * 600), "x" * 600),
        (error(502, "y" * 2_000_000), "HTTP 502 without a JSON answer"),
    ],
)
def test_the_upstreams_own_words(body: bytes, message: str) -> None:
    """ERR-03, ERR-04: the provider's words where ours says nothing; of a web page only that it was one; no HTML, no control signs, not endless."""
    fault = from_response(502, {}, body)
    assert (fault.message, fault.code) == (message, "unavailable")


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, error(429, "x"), None),
        ({"retry-after": "40"}, error(429, "x"), 40),
        ({"retry-after": "0"}, error(429, "x"), 0),
        ({"retry-after": "1.5"}, error(429, "x"), 1.5),
        ({"retry-after-ms": "250"}, error(429, "x"), 0.25),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, error(429, "x"), 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, error(429, "x"), 0),
        ({"retry-after": "soon"}, error(429, "x"), None),
        ({"retry-after": "-5"}, error(429, "x"), None),
        ({"retry-after": "nan"}, error(429, "x"), None),
        ({"retry-after": "inf"}, error(429, "x"), None),
        ({"retry-after": "99999999"}, error(429, "x"), None),
        ({"retry-after": "Mon, 99 Foo 2026 10:00:00 GMT"}, error(429, "x"), None),
        ({"retry-after": "9" * 400}, error(429, "x"), None),
        ({"x-ratelimit-reset": "1743292800000"}, error(429, "x"), 60),
        ({"x-ratelimit-reset": "1743292800"}, error(429, "x"), 60),
        ({"x-ratelimit-reset": "30"}, error(429, "x"), 30),
        ({"x-ratelimit-reset": "1743292000000"}, error(429, "x"), 0),
        ({}, error(429, "x", **meta(headers={"X-RateLimit-Reset": "1743292800000"})), 60),
        ({}, error(429, "x", **meta(headers={"Retry-After": 7})), 7),
        ({}, error(429, "x", **meta(headers=5)), None),
        ({}, error(429, "x", **meta(retry_after=12)), 12),
        ({}, error(503, "x", **available("temporarily_unavailable", retry_after=9)), 9),
        ({}, error(503, "x", **available("temporarily_unavailable", retry_after="9.5")), 9.5),
        ({}, error(503, "x", **available("temporarily_unavailable", retry_after=True)), None),
        ({"retry-after": "40"}, error(429, "x", **available("capacity_exhausted", retry_after=9)), 9),
        ({"retry-after": "-1"}, error(429, "x", **meta(headers={"X-RateLimit-Reset": "1743292800000"})), 60),
    ],
)
def test_when_to_come_back(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    """RL-01, RL-03: header, date, metadata or availability; the smallest believable hint."""
    assert from_response(429, headers, body, NOW).retry_after == (
        None if seconds is None else pytest.approx(seconds)
    )


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "UTC"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Sun Mar 30 00:00:00 2025"}, 60.0),  # asctime, which RFC 9110 still allows
        ({"retry-after": "Sunday, 30-Mar-25 00:00:00 GMT"}, 60.0),
        ({"retry-after": "Sun, 30 Mar 2025 00:00:00 -0000"}, 60.0),
        ({"retry-after": "1743292800"}, 60.0),  # a moment where a span should stand
        ({"retry-after": "Thu, 01 Jan 1970 00:05:00 GMT"}, 0.0),
        # our clock is an hour behind the server's
        ({"date": formatdate(NOW + 3600), "retry-after": formatdate(NOW + 3610)}, 10.0),
        ({"date": formatdate(NOW + 3600), "x-ratelimit-reset": f"{NOW + 3610:.0f}000"}, 10.0),
        ({"date": formatdate(NOW + 3600), "retry-after": "10"}, 10.0),
        ({"date": "today", "retry-after": formatdate(NOW + 10)}, 10.0),
    ],
)
def test_a_moment_is_what_its_author_means(
    headers: dict[str, str], seconds: float, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every form of a date is GMT wherever we are, and is read by the server's own clock where it tells it."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert from_response(429, headers, b"", NOW).retry_after == pytest.approx(seconds)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_without_a_clock_only_spans_count() -> None:
    """A moment says nothing to who does not know the time."""
    headers = {"retry-after": formatdate(NOW, usegmt=True), "x-ratelimit-reset": "1743292800000"}
    assert from_response(429, headers, b"").retry_after is None


SECRETS = [
    KEY,
    f"key {KEY}.",
    f"Bearer {KEY}",
    "Authorization: Bearer abc.def-ghi",
    "sk-ant-api03-AbC_dEf-123456",
    "sk-proj-abcdef123456",
    "gsk_abcdefgh12345678",
    "AIzaSyA1234567890abcdefghijk",
    "hf_abcdefghijkl",
    'api_key="abcdef123456"',
    "api-key: abcdef123456",
    "x-api-key=abcdef123456",
    "?access_token=abcdef123456&x=1",
    "Incorrect API key provided: sk-abcd************wxyz.",
    "in organization org-AbCdEf123456 on tokens",
    "of user_2abcDEF34567890",
    "ada.lovelace@example.com is over",
]


@pytest.mark.parametrize("text", SECRETS)
def test_keys_and_accounts_are_masked(text: str) -> None:
    """In every message, wherever they stand; the mask is stable."""
    masked = redact(text)
    secret = re.compile(
        r"0123456789ab|abc\.def|dEf-123|abcdef12|abcdefgh|A12345|abcdefghij|\*{6}|AbCdEf|2abcDEF|lovelace"
    )
    assert not secret.search(masked)
    assert "[key]" in masked or "[account]" in masked
    assert redact(masked) == masked
    assert redact(text) in from_response(400, {}, error(400, text)).message
    assert (
        redact(text) in from_error({"message": "Provider returned error", "metadata": {"raw": text}}).message
    )


@pytest.mark.parametrize(
    "text",
    ["Ask for fewer tokens.", "The basic plan", "task-based", "a risk-free model", "openai/gpt-4o-mini", ""],
)
def test_plain_words_are_not_masked(text: str) -> None:
    """What is no key stays readable."""
    assert redact(text) == text


def test_no_half_key_stands_at_the_end_of_a_cut_message() -> None:
    """The mask comes before the cut, also before the first wide one."""
    for length in (590, 598, 16 * 600 - 8):
        assert "0123" not in from_response(400, {}, error(400, "x " * (length // 2) + KEY)).message


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "code",
                    "message",
                    "metadata",
                    "availability",
                    "raw",
                    "headers",
                    "retry_after",
                    "provider_name",
                    "error_type",
                    "errors",
                    "detail",
                    "http_status",
                    "pipeline",
                    "openrouter_metadata",
                    "X-RateLimit-Reset",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "retry-after-ms"]), st.text(max_size=12)
    ),
    _json | st.binary(max_size=40),
    st.floats() | st.none(),
)
def test_nothing_that_comes_raises(
    status: int, headers: dict[str, str], body: object, now: float | None
) -> None:
    """Any status, headers, JSON or bytes: a code of the table, a printable message, a sane wait."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    for fault in (from_response(status, headers, data, now), from_error(body, is_stream=True)):
        assert fault.code in TABLE
        assert fault.message.isprintable()
        assert fault.retry_after is None or 0 <= fault.retry_after <= 7 * 86400
