"""A whole answer and an error as Anthropic's own client reads them."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import Message

from bytedeck.errors import TABLE, ByteError, InvalidRequest, error_from
from bytedeck.events import Seam
from bytedeck.gateway.call import Call
from bytedeck.types import Attempt, Fault, Reply, ToolCall, Usage
from messages_told import HI, IDENTITY, SKIN, blocks, call, client, read_body

CLAUDE = "anthropic-claude-v1"
USAGE = Usage(
    prompt_tokens=100,
    completion_tokens=20,
    cached_tokens=60,
    cache_write_tokens=10,
    reasoning_tokens=5,
    cost_units=93_000_000,
)
SOURCE = {
    "type": "url_citation",
    "url_citation": {
        "url": "https://a/b",
        "title": "T",
        "content": "words",
        "start_index": 1,
        "end_index": 4,
    },
}


def told(reply: Reply, asked: Call | None = None) -> dict[str, Any]:
    """The body, which the client's own types take strictly."""
    body = SKIN.whole(asked or call(), reply, IDENTITY)
    Message.model_validate_json(body, strict=True)
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def test_kinds_become_blocks() -> None:
    """Thoughts with their signature, words with their sources, calls with their arguments as they were written."""
    reply = Reply(
        model="anthropic/claude",
        provider="Anthropic",
        text="hello",
        reasoning="hm",
        reasoning_details=(
            {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": CLAUDE, "index": 0},
            {"type": "reasoning.encrypted", "data": "xyz", "format": CLAUDE, "index": 1},
        ),
        annotations=(SOURCE, {"type": "file", "file": {"hash": "h"}}),
        tool_calls=(ToolCall(0, "t1", "f", '{"b": 1.0, "a": 12345678901234567890}'),),
        finish_reason="tool_calls",
        usage=USAGE,
    )
    body = SKIN.whole(call(), reply, IDENTITY)
    assert b'"input":{"b": 1.0, "a": 12345678901234567890}' in body
    message = read_body(body)
    assert blocks(message) == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {
            "type": "text",
            "text": "hello",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "cited_text": "words",
                    "encrypted_index": "1-4",
                    "title": "T",
                    "url": "https://a/b",
                }
            ],
        },
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1.0, "a": 12345678901234567890}},
    ]
    assert (message.id, message.model, message.role, message.stop_reason) == (
        "msg_" + IDENTITY.request,
        "anthropic/claude",
        "assistant",
        "tool_use",
    )
    assert told(reply)["provider"] == "Anthropic"


@pytest.mark.parametrize("arguments", ['{"a": 1', "oops", '{"a": NaN}', "[" * 5000])
def test_arguments_that_are_no_json(arguments: str) -> None:
    """They are told, in the wrapping that Anthropic's documentation advises."""
    reply = Reply(tool_calls=(ToolCall(0, "t1", "f", arguments),), finish_reason="tool_calls")
    assert told(reply)["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_usage_counts_as_anthropic_does() -> None:
    """Input without what a cache had; the cost of all attempts, exact, how it is known, and the seams."""
    seam = Seam(kind="proven", from_model="a", to_model="b", why="truncated", attempt=2, after=5)
    attempts = (
        Attempt(model="a", outcome="truncated", cost_units=7_000_000, quality="reported"),
        Attempt(model="b", outcome="answered", cost_units=86_000_000, quality="estimated"),
    )
    reply = Reply(text="a", finish_reason="stop", usage=USAGE, attempts=attempts, seams=(seam,))
    body = SKIN.whole(call(), reply, IDENTITY)
    assert b'"cost":0.000093,' in body
    usage = msgspec.json.decode(body)["usage"]
    assert [usage[key] for key in ("input_tokens", "cache_read_input_tokens", "output_tokens")] == [
        30,
        60,
        20,
    ]
    assert usage["cache_creation_input_tokens"] == 10
    assert usage["output_tokens_details"] == {"thinking_tokens": 5}
    assert usage["cost_known"] == "estimated"
    assert usage["seams"][0] | {"kind": "proven", "to_model": "b", "after": 5} == usage["seams"][0]
    assert read_body(body).usage.input_tokens == 30


@pytest.mark.parametrize(
    ("finish", "native", "calls", "stops", "reason", "sequence"),
    [
        ("stop", "end_turn", 0, [], "end_turn", None),
        ("stop", "stop", 0, ["x"], "end_turn", None),
        ("stop", "stop_sequence", 0, ["x"], "stop_sequence", "x"),
        ("stop", "stop_sequence", 0, ["x", "y"], "stop_sequence", None),
        ("length", "max_tokens", 0, [], "max_tokens", None),
        ("length", "length", 1, [], "max_tokens", None),
        ("length", "model_context_window_exceeded", 0, [], "model_context_window_exceeded", None),
        ("tool_calls", "tool_use", 1, [], "tool_use", None),
        ("stop", "STOP", 1, [], "tool_use", None),
        ("tool_calls", "tool_use", 0, [], "end_turn", None),
        ("content_filter", "refusal", 0, [], "refusal", None),
    ],
)
def test_the_stop_reason_is_anthropics(
    finish: str, native: str, calls: int, stops: list[str], reason: str, sequence: str | None
) -> None:
    """Whatever model answered; a turn with calls says so, since clients go on by that word."""
    reply = Reply(
        text="a",
        finish_reason=finish,
        native_finish_reason=native,
        tool_calls=(ToolCall(0, "t", "f", "{}"),) * calls,
    )
    body = told(reply, call(stop_sequences=stops))
    assert (body["stop_reason"], body["stop_sequence"]) == (reason, sequence)


def test_a_refusal_is_told_as_one() -> None:
    """In words and in its details."""
    body = told(Reply(refusal="I will not.", finish_reason="stop"))
    assert body["content"][0]["text"] == "I will not."
    assert body["stop_reason"] == "refusal"
    assert body["stop_details"]["explanation"] == "I will not."


DETAILS: list[list[dict[str, Any]]] = [
    [{"type": "reasoning.text", "text": "hm", "signature": "sig", "format": CLAUDE, "index": 0}],
    [{"type": "reasoning.encrypted", "data": "xyz", "format": CLAUDE, "index": 0}],
    [
        {
            "type": "reasoning.summary",
            "summary": "s",
            "format": "openai-responses-v1",
            "id": "rs",
            "index": 0,
        },
        {
            "type": "reasoning.encrypted",
            "data": "x",
            "format": "openai-responses-v1",
            "id": "rs",
            "index": 0,
        },
    ],
    [
        {"type": "reasoning.text", "text": "hm", "format": "google-gemini-v1", "index": 0},
        {
            "type": "reasoning.encrypted",
            "data": "x",
            "format": "google-gemini-v1",
            "id": "tool_1",
            "index": 1,
        },
    ],
    [
        {"type": "reasoning.text", "text": "é\n" * 9, "signature": "sig", "format": "unknown", "index": 7},
        {"type": "reasoning.server_tool_call", "tool_name": "f", "arguments": "{}", "index": 8},
    ],
]


@pytest.mark.parametrize("details", DETAILS)
def test_details_survive_the_round_trip(details: list[dict[str, Any]]) -> None:
    """Answer, client, next request: every family's details come back as they were said."""
    words = "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
    reply = Reply(text="a", reasoning=words, reasoning_details=tuple(details), finish_reason="stop")
    message = read_body(SKIN.whole(call(), reply, IDENTITY))
    turn = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    assert call(messages=[*HI, turn]).messages[1] == {
        "role": "assistant",
        "content": "a",
        "reasoning_details": details,
    }


def test_thoughts_without_details_come_back_as_words() -> None:
    """As the models that have none want them."""
    message = read_body(SKIN.whole(call(), Reply(text="a", reasoning="hm"), IDENTITY))
    turn = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    assert call(messages=[turn]).messages[0] == {"role": "assistant", "content": "a", "reasoning": "hm"}


RAISED: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    402: anthropic.APIStatusError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    502: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.DeadlineExceededError,
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@pytest.mark.parametrize("code", TABLE)
def test_errors_raise_the_clients_classes(code: str) -> None:
    """Each of our codes, by its status, with the upstream's own words."""
    error: ByteError = error_from(Fault(code=code, message="said upstream"))
    status = error.http_status
    with client(SKIN.refusal(error, IDENTITY), status) as claude, pytest.raises(RAISED[status]) as caught:
        claude.messages.create(model="m", max_tokens=9, messages=HI)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert (body["error"]["type"], body["error"]["code"]) == (TYPES[status], code)
    assert "said upstream" in body["error"]["message"]
    assert body["request_id"] == "req_" + IDENTITY.request


def test_a_prompt_that_is_too_long_says_so() -> None:
    """In the words by which clients know that they have to make it shorter."""
    error = error_from(Fault(code="context_too_long"))
    assert "prompt is too long" in msgspec.json.decode(SKIN.refusal(error, IDENTITY))["error"]["message"]


def test_a_refused_body_names_its_field() -> None:
    """What `read` raises is told whole."""
    with pytest.raises(InvalidRequest) as caught:
        call(max_tokens="many")
    body = msgspec.json.decode(SKIN.refusal(caught.value, IDENTITY))
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"].startswith("max_tokens: ")
