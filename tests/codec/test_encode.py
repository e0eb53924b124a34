"""Both ends: what we encode is read back by our reader, in any slices, and by the official `openai` client."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bytedeck.codec.chunks import Reader
from bytedeck.codec.encode import DONE, chat_stream, error_of, usage_of
from bytedeck.types import Fault, Reply, ToolCall, Usage

USAGE = Usage(
    prompt_tokens=12,
    completion_tokens=8,
    total_tokens=20,
    cached_tokens=3,
    cache_write_tokens=1,
    reasoning_tokens=2,
    web_searches=4,
    cost_units=93_000_000,
    upstream_units=36,
    is_byok=True,
    cost_text="0.000093",
)
FULL = Reply(
    text="Grüße 🎉\u2028, world",
    model="a/claude",
    reasoning="hm",
    refusal="not that",
    reasoning_details=({"type": "reasoning.text", "text": "hm", "index": 0, "signature": "s"},),
    tool_calls=(ToolCall(0, "a", "f", '{"x": "ü"}'), ToolCall(1, "b", "g", "{}")),
    annotations=({"type": "url_citation", "url_citation": {"url": "u"}},),
    images=({"type": "image_url", "image_url": {"url": "data:x"}},),
    audio={"id": "au", "data": "AA", "transcript": "hi"},
    logprobs=({"token": "a", "logprob": -0.5},),
    finish_reason="tool_calls",
    native_finish_reason="tool_use",
    usage=USAGE,
    provider="Anthropic",
    generation_id="gen-1",
    system_fingerprint="fp",
    service_tier="flex",
    openrouter_metadata={"attempt": 1},
    extra={"odd": [1, "x"]},
)
PLAIN = Reply(
    text="Hello, world", model="m", generation_id="gen-2", finish_reason="stop", native_finish_reason="stop"
)


def read(data: bytes, size: int) -> tuple[Reader, str]:
    reader = Reader()
    shown = "".join(
        delta.text for i in range(0, len(data), size) for delta in reader.feed(data[i : i + size])
    )
    reader.end()
    return reader, shown


@pytest.mark.parametrize("reply", [FULL, PLAIN], ids=["full", "plain"])
@pytest.mark.parametrize("size", [1, 2, 3, 17, 10**6])
def test_what_we_encode_is_what_we_read(reply: Reply, size: int) -> None:
    """Every field of a reply that the wire can carry, in any slices."""
    pieces = [reply.text[:3], "", reply.text[3:]]
    reader, shown = read(b"".join(chat_stream(reply, pieces)), size)
    assert reader.verdict() is None
    assert (reader.reply(), shown, reader.done) == (reply, reply.text, True)


@settings(max_examples=40)
@given(
    st.lists(st.text(max_size=6), max_size=5),
    st.text(max_size=6),
    st.sampled_from(["stop", "tool_calls", "length"]),
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=4), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
        ),
        max_size=3,
        unique_by=lambda call: call[0],
    ),
    st.integers(0, 10**16),
    st.integers(1, 99),
)
def test_any_reply_comes_back(
    pieces: list[str],
    reasoning: str,
    finish: str,
    calls: list[tuple[str, dict[str, int]]],
    cost: int,
    size: int,
) -> None:
    """Any text, calls and cost, to the last unit."""
    tool_calls = tuple(
        ToolCall(n, id_, "f", json.dumps(arguments)) for n, (id_, arguments) in enumerate(calls)
    )
    reply = replace(
        PLAIN,
        text="".join(pieces),
        reasoning=reasoning,
        finish_reason=finish,
        native_finish_reason=finish,
        tool_calls=tool_calls,
        usage=Usage(prompt_tokens=1, total_tokens=1, cost_units=cost),
    )
    reader, shown = read(b"".join(chat_stream(reply, pieces)), size)
    found = reader.reply()
    assert found.usage is not None
    assert found.usage.cost_units == cost
    assert (replace(found, usage=reply.usage), shown) == (reply, reply.text)


@pytest.mark.parametrize(
    ("units", "text", "number"),
    [
        (93_000_000, "", b"0.000093"),
        (1, "", b"0.000000000001"),
        (0, "", b"0"),
        (93_000_000, "9.3e-05", b"9.3e-05"),
        (300_000_000_000, "0.30000000000000004", b"0.30000000000000004"),
        (93_000_000, "about 1", b"0.000093"),
        (93_000_000, "0x1", b"0.000093"),
    ],
)
def test_costs_are_exact_decimal_numbers(units: int, text: str, number: bytes) -> None:
    """In the provider's own text where it is a number; never a binary float, never a string."""
    events = chat_stream(replace(PLAIN, usage=Usage(cost_units=units, cost_text=text)))
    assert b'"cost":' + number + b"}" in events[-2]


def test_what_is_not_known_is_left_out() -> None:
    """An unknown cost is no 0, and a reply without usage has no usage chunk."""
    assert "cost" not in usage_of(Usage())
    assert "cost_details" not in usage_of(Usage())
    assert not any(b"usage" in event for event in chat_stream(PLAIN))
    assert chat_stream(PLAIN)[-1] == DONE
    assert b'"choices":[]' in chat_stream(replace(PLAIN, usage=USAGE))[-2]
    assert chat_stream(PLAIN, created=7)[0].count(b'"created":7') == 1
    assert b'"id":"gen-0"' in chat_stream(Reply(text="a"))[0]


def test_a_partial_reply_is_a_stream_that_breaks_off() -> None:
    """No finish, no `[DONE]`: nobody takes it for whole."""
    reader, shown = read(b"".join(chat_stream(replace(FULL, finish_reason=""))), 50)
    verdict = reader.verdict()
    assert verdict is not None
    assert (verdict.code, shown) == ("truncated", FULL.text)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (
            Fault(
                code="provider_error",
                message="boom",
                error_type="provider_unavailable",
                provider="P",
                status=502,
            ),
            "provider_error",
        ),
        (Fault(code="rate_limited", message="slow", status=429, retry_after=7.0), "rate_limited"),
        (Fault(code="provider_error"), "provider_error"),
    ],
)
def test_a_fault_ends_the_stream(fault: Fault, code: str) -> None:
    """F1: read back with its words, type, provider and wait."""
    reader, shown = read(b"".join(chat_stream(PLAIN, fault=fault)), 50)
    verdict = reader.verdict()
    assert verdict is not None
    assert (verdict.code, verdict.message, verdict.error_type, verdict.provider) == (
        code,
        fault.message,
        fault.error_type,
        fault.provider,
    )
    assert (verdict.retry_after, shown, reader.finished) == (fault.retry_after, PLAIN.text, True)
    assert error_of(fault)["code"] == (fault.status or 502)


# -- the official client -------------------------------------------------------------------------


class Slices(httpx2.SyncByteStream):
    def __init__(self, data: bytes, size: int) -> None:
        self.slices = [data[i : i + size] for i in range(0, len(data), size)]

    def __iter__(self):
        yield from self.slices


def official(data: bytes, size: int = 7) -> list[Any]:
    """The chunks that the openai client reads from these bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Slices(data, size))

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        openai.OpenAI(
            api_key="test", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0
        ) as client,
    ):
        return list(client.chat.completions.create(model="m", messages=[], stream=True))


def test_the_official_client_reads_our_streams() -> None:
    """Text, tool calls by index, one finish reason, usage in the last chunk with empty choices."""
    chunks = official(b"".join(chat_stream(FULL, ["Grüße 🎉", "\u2028, world"])))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == FULL.text
    assert [
        chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason
    ] == ["tool_calls"]
    arguments = {0: "", 1: ""}
    for delta in deltas:
        for call in delta.tool_calls or ():
            arguments[call.index] += call.function.arguments
    assert arguments == {0: '{"x": "ü"}', 1: "{}"}
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.total_tokens, chunks[-1].usage.cost, chunks[0].id) == (20, 0.000093, "gen-1")


def test_the_official_client_sees_our_faults() -> None:
    """As an APIError, after the words."""
    with pytest.raises(openai.APIError, match="boom"):
        official(b"".join(chat_stream(PLAIN, fault=Fault(code="provider_error", message="boom"))))
