"""The reader's rules beyond the recorded streams: order, odd types, in-band errors, bodies, verdicts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.codec.chunks import REASONS, Reader
from bytedeck.codec.sse import LIMIT
from bytedeck.errors import TABLE
from bytedeck.types import Delta, Reply, ToolCallPart

from .recorded import (
    ALL,
    ANNOTATIONS,
    DONE,
    DOUBLE_FINISH,
    ERROR,
    IMAGES,
    REASONING,
    SAID,
    TEXT,
    chunk,
    detail,
    sse,
    tail,
    tool,
    usage,
    words,
)


def read(*pieces: bytes) -> Reader:
    reader = Reader()
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader


def code(reader: Reader) -> str:
    fault = reader.verdict()
    return fault.code if fault else ""


# -- what the engine watches ---------------------------------------------------------------------


def test_it_counts_data_events_and_tells_when_words_come() -> None:
    """Comments count for nothing; the first empty chunk is an event without words."""
    reader = Reader()
    assert reader.feed(b": OPENROUTER PROCESSING\n\n") == []
    assert (reader.events, reader.tokens, reader.generation_id) == (0, False, "")
    assert reader.feed(chunk({"role": "assistant", "content": ""})) == []
    assert (reader.events, reader.tokens, reader.generation_id) == (1, False, "gen-1")
    assert reader.feed(words("a", "b")) == [Delta(text="ab")]
    assert (reader.events, reader.tokens, reader.finished) == (3, True, False)
    reader.feed(chunk({}, "stop"))
    assert (reader.events, reader.finished, reader.done) == (4, True, False)
    reader.feed(DONE)
    assert (reader.done, reader.fault) == (True, None)


@pytest.mark.parametrize(
    ("delta", "counts"),
    [
        ({"content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"refusal": "a"}, True),
        ({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]}, True),
        ({"images": [{"type": "image_url", "image_url": {"url": "u"}}]}, True),
        ({"audio": {"data": "AA"}}, True),
        ({"content": ""}, False),
        ({"role": "assistant"}, False),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, False),
        ({"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}, False),
    ],
)
def test_tokens_are_what_a_person_can_see_or_use(delta: dict[str, Any], counts: bool) -> None:
    """Words, reasoning, refusals, calls, pictures and sound are; signatures and citations are not."""
    reader = Reader()
    reader.feed(chunk(delta))
    assert reader.tokens is counts


def test_one_read_is_one_delta_unless_order_needs_more() -> None:
    """Reasoning before words before calls share one; what goes back in that order opens the next."""
    reader = Reader()
    deltas = reader.feed(
        chunk({"reasoning": "r1"}) + chunk({"reasoning": "r2"}) + words("t1", "t2") + tool(0, "{}", "c", "f")
    )
    part = ToolCallPart(index=0, id="c", name="f", arguments="{}")
    assert deltas == [Delta(reasoning="r1r2", text="t1t2", tool_calls=(part,))]
    deltas = reader.feed(words("a") + chunk({"reasoning": "b"}) + words("c", "d") + chunk({"reasoning": "e"}))
    assert deltas == [Delta(text="a"), Delta(reasoning="b", text="cd"), Delta(reasoning="e")]
    image = {"type": "image_url", "image_url": {"url": "u"}}
    deltas = reader.feed(words("a") + chunk({"images": [image]}) + words("b"))
    assert deltas == [Delta(text="a", images=(image,)), Delta(text="b")]


def test_the_reply_has_every_field_of_the_wire() -> None:
    """Names, ids, tier, metadata, usage in exact units, and what we do not know."""
    metadata = {"strategy": "direct", "attempt": 1}
    reader = read(
        TEXT.data[: -len(tail())]
        + chunk({}, "stop")
        + chunk(usage=usage(), openrouter_metadata=metadata, timings={"a": 1.5})
    )
    reply = reader.reply()
    assert (reply.model, reply.provider, reply.generation_id) == ("a/claude", "Anthropic", "gen-1")
    assert (reply.system_fingerprint, reply.service_tier) == ("fp_1", "default")
    assert (reply.finish_reason, reply.native_finish_reason, reply.whole) == ("stop", "end_turn", True)
    assert (reply.openrouter_metadata, reply.extra) == (metadata, {"timings": {"a": 1.5}})
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.reasoning_tokens, reply.usage.cached_tokens) == (12, 2, 3)
    assert (reply.usage.cost_units, reply.usage.cost_text) == (93_000_000, "9.3e-05")


def test_a_reader_that_heard_nothing_has_an_empty_reply() -> None:
    """So that an engine may always ask."""
    assert Reader().reply() == Reply()


# -- usage and finish reasons --------------------------------------------------------------------


def test_of_two_finish_chunks_the_usage_is_the_later_and_the_reason_one() -> None:
    """SSE-07."""
    reply = read(DOUBLE_FINISH.data).reply()
    assert reply.usage is not None
    assert (reply.finish_reason, reply.usage.cost_units) == ("stop", 500_000_000_000)


@pytest.mark.parametrize(
    ("reasons", "kept", "native"),
    [
        (("stop", "stop"), "stop", "stop"),
        (("tool_calls", "stop"), "tool_calls", "tool_calls"),
        (("stop", "length"), "length", "length"),
        (("length", "stop"), "length", "length"),
        (("end_turn",), "stop", "end_turn"),
        (("function_call",), "tool_calls", "function_call"),
        (("STOP",), "stop", "STOP"),
        (("MAX_TOKENS",), "length", "MAX_TOKENS"),
        (("", "stop"), "stop", "stop"),
        (("weird", "stop"), "stop", "stop"),
    ],
)
def test_one_reason_counts_and_the_raw_one_is_kept(reasons: tuple[str, ...], kept: str, native: str) -> None:
    """The first one, unless a later one says that the answer was cut."""
    pieces = [sse({"choices": [{"delta": {}, "finish_reason": reason}]}) for reason in reasons]
    reply = read(words("a"), *pieces).reply()
    assert (reply.finish_reason, reply.native_finish_reason) == (kept, native)


def test_a_native_reason_may_come_before_the_end() -> None:
    """Some servers tell it with the last words, and the finish reason alone behind them."""
    early = sse({"choices": [{"delta": {"content": "b"}, "native_finish_reason": "end_turn"}]})
    last = sse({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    reply = read(words("a"), early, last).reply()
    assert (reply.text, reply.native_finish_reason) == ("ab", "end_turn")


@pytest.mark.parametrize("reason", ["", "weird", "cancelled", None])
def test_an_unknown_reason_proves_nothing(reason: str | None) -> None:
    """Not with `[DONE]` either: the answer is truncated, and the reason is told."""
    reader = read(words("a"), sse({"choices": [{"delta": {}, "finish_reason": reason}]}), DONE)
    fault = reader.verdict()
    assert fault is not None
    assert (fault.code, fault.message) == ("truncated", f"the provider ended with {reason}" if reason else "")
    assert reader.finished is False


def test_every_known_reason_is_one_of_five() -> None:
    """The wire's own vocabulary (4.1)."""
    assert set(REASONS.values()) == {"stop", "tool_calls", "length", "content_filter", "error"}


@pytest.mark.parametrize(
    "bad",
    [
        5,
        "none",
        [],
        {"cost": "much"},
        {"cost": -1},
        {"prompt_tokens": -4, "cost": True},
        {"completion_tokens": "x"},
        {"cost": 10**40},
    ],
)
def test_nonsense_in_usage_never_costs_the_answer(bad: object) -> None:
    """Nor does a number that no float can hold."""
    for data in (json.dumps(bad), '{"cost": 1e999}', '{"cost": NaN}', '{"total_tokens": ' + "9" * 400 + "}"):
        reader = read(
            words("a"), chunk({}, "stop"), b'data: {"choices": [], "usage": ' + data.encode() + b"}\n\n", DONE
        )
        assert code(reader) == ""
        assert reader.usage is None or reader.usage.cost_units is None


def test_usage_in_any_chunk_is_read_and_costs_no_word() -> None:
    """Also in one that brings words, and after a fault."""
    assert read(words("a"), chunk({"content": "b"}, usage=usage("0.25")), tail()).reply().text == "ab"
    reader = Reader()
    reader.feed(words("a"))
    assert reader.feed(chunk({"content": "b"}, usage=usage("0.25"))) == [Delta(text="b")]
    assert reader.usage is not None
    assert reader.usage.cost_units == 250_000_000_000
    reader.feed(chunk(error=ERROR))
    assert (
        reader.feed(words("not shown") + chunk(usage=usage("0.5")) + DONE + chunk(usage=usage("0.75"))) == []
    )
    assert reader.usage.cost_units == 500_000_000_000
    assert (reader.done, reader.reply().text) == (True, "ab")


def test_an_event_that_cannot_be_read_tells_no_cost_either() -> None:
    """Bytes that are no text make no JSON, also where nobody looks at the member that they stand in."""
    reader = read(words("a"), chunk({}, "stop"), b'data: {"usage": {"odd": "\xff", "cost": 1}}\n\n')
    assert (code(reader), reader.usage) == ("", None)


# -- errors in the stream ------------------------------------------------------------------------


def test_an_error_in_the_stream_keeps_its_words_and_its_provider() -> None:
    """MID-01: a typed fault with type, status and provider; the partial text stays."""
    fault = read(
        words("One "), chunk({"content": "more"}, "error", error=ERROR), words("not shown")
    ).verdict()
    assert fault is not None
    assert (fault.code, fault.message, fault.provider) == ("provider_error", SAID, "Anthropic")
    assert (fault.status, fault.error_type) == (502, "provider_unavailable")
    assert read(words("One "), chunk({"content": "more"}, "error", error=ERROR)).reply().text == "One more"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"error": "boom"}, "provider_error"),
        ({"error": {"code": "server_error", "message": "x"}}, "provider_error"),
        ({"error": {"code": 429, "message": "x"}}, "rate_limited"),
        ({"error": {"code": 402, "message": "x"}, "choices": None}, "insufficient_credits"),
        ({"choices": [{"delta": {}, "error": {"code": 503, "message": "x"}}]}, "provider_error"),
        ({"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 429}}]}, "rate_limited"),
        ({"choices": [{"delta": {}, "finish_reason": "error"}]}, "provider_error"),
        ({"error": [], "choices": [{"delta": {}, "finish_reason": "stop"}]}, ""),
    ],
)
def test_every_shape_of_an_error_is_one(event: dict[str, Any], expected: str) -> None:
    """F1 to F4, text instead of an object, in the choice; an empty one is none."""
    assert code(read(words("a"), sse(event))) == expected


def test_a_finish_error_tells_the_native_reason() -> None:
    """MID-04."""
    fault = read(words("a"), chunk({}, "error")).verdict()
    assert fault is not None
    assert fault.message == "the provider ended with MALFORMED_FUNCTION_CALL"


@pytest.mark.parametrize("error_type", ["max_tokens_exceeded", "context_length_exceeded"])
def test_a_limit_in_mid_answer_is_length(error_type: str) -> None:
    """D24 and 6.3: once words have come it is a result; before, it is an error."""
    event = sse({"error": {"code": 400, "metadata": {"error_type": error_type}}})
    reply = read(words("a"), event).reply()
    assert (code(read(words("a"), event)), reply.finish_reason, reply.native_finish_reason) == (
        "",
        "length",
        error_type,
    )
    assert code(read(event)) in ("invalid_request", "context_too_long")


@pytest.mark.parametrize(
    "junk",
    [
        b"data: {\n\n",
        b"data: [1]\n\n",
        b"data: 5\n\n",
        b"data: \xff\n\n",
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
    ],
)
def test_what_cannot_be_read_is_a_fault_before_the_finish_and_nothing_after(junk: bytes) -> None:
    """A whole answer stays whole; an unfinished one is malformed, and says no more."""
    assert code(read(words("a"), junk, words("b"), tail())) == "malformed"
    assert read(words("a"), junk, words("b"), tail()).reply().text == "a"
    assert code(read(words("a"), chunk({}, "stop"), junk, DONE)) == ""


def test_blank_data_is_no_fault() -> None:
    """Some servers keep a line alive with it."""
    assert code(read(words("a"), b"data:   \n\n", tail())) == ""


@pytest.mark.parametrize("filler", [b"[" * 100_000, b'{"x":' + b"[" * 100_000])
def test_absurd_nesting_is_a_fault_not_a_crash(filler: bytes) -> None:
    """The interpreter's own limit counts as unreadable."""
    assert code(read(words("a"), b"data: " + filler + b"\n\n")) == "malformed"


def test_an_event_over_the_limit_is_a_fault_and_ends_the_reading() -> None:
    """With the words that came before it, in the same read and in earlier ones; memory is let go."""
    reader = Reader()
    large = b"data: " + b"x" * LIMIT
    assert reader.feed(words("a") + large) == [Delta(text="a")]
    assert reader.fault is not None
    assert (reader.fault.code, reader.fault.message) == (
        "malformed",
        "an event of the stream is larger than 8388608 bytes",
    )
    assert reader.feed(words("b")) == []
    assert reader.end() == reader.fault
    finished = Reader()
    finished.feed(words("a") + chunk({}, "stop") + large)
    assert finished.end() is None


# -- odd types -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            {
                "choices": [
                    {"delta": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}
                ]
            },
            "ab",
        ),
        ({"choices": [{"delta": {"content": [{"text": "a"}, {"type": "odd", "text": "b"}, 7]}}]}, "a"),
        ({"choices": [{"delta": {"content": 5}}]}, ""),
        ({"choices": [{"delta": {"content": "a", "role": 5, "refusal": 5}}]}, "a"),
        ({"choices": [{"delta": {"content": "a"}, "index": "0"}]}, "a"),
        ({"choices": [{"delta": {"content": "a"}, "index": 0.0}]}, "a"),
        ({"choices": [{"delta": {"content": "a"}}], "id": 5, "model": None}, "a"),
        ({"choices": [{"delta": {"content": "a"}, "finish_reason": 5}]}, "a"),
        ({"choices": [{"delta": []}, 5, None]}, ""),
        ({"choices": [{"delta": "a"}]}, ""),
        ({"choices": {"delta": {"content": "a"}}}, ""),
        ({"choices": "none"}, ""),
        ({"choices": [{"delta": {"content": "a"}, "index": 1}]}, ""),
        ({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}, "index": 1}]}, "a"),
        ({"choices": [{"delta": {"content": "b"}, "index": 1}, {"delta": {"content": "a"}}]}, "a"),
        ({"choices": [{"delta": None}]}, ""),
        ({"choices": [{"delta": {"content": "a"}, "logprobs": 5}]}, "a"),
    ],
)
def test_odd_types_lose_nothing_that_fits(event: dict[str, Any], text: str) -> None:
    """A field of the wrong type is passed over; only the choice with index 0 is read."""
    for before in (b"", words("")):
        reader = read(before, sse(event), tail())
        assert reader.reply().text == text
        assert code(reader) == ("" if text else "empty_answer")


def test_parts_of_content_may_hold_thoughts_and_pictures() -> None:
    """As Mistral and some gateways send them."""
    image = {"type": "image_url", "image_url": {"url": "u"}}
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        image,
    ]
    reply = read(sse({"choices": [{"delta": {"content": parts}}]}), tail()).reply()
    assert (reply.reasoning, reply.text, reply.images) == ("hm", "a", (image,))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00a"', "\ufffda"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"NaN", "logprobs": NaN', "NaN"),
        (rb'"a", "x": -Infinity', "a"),
    ],
)
def test_what_python_servers_write_wrong_is_mended(data: bytes, text: str) -> None:
    """Half surrogate pairs and NaN, which strict readers refuse."""
    event = b'data: {"choices": [{"delta": {"content": ' + data + b', "refusal": 5}}]}\n\n'
    assert read(event, tail()).reply().text == text


# -- pieces --------------------------------------------------------------------------------------


def test_reasoning_details_are_merged_with_their_late_signature() -> None:
    """Deltas carry the pieces as they came, the reply the whole items."""
    reply = read(REASONING.data).reply()
    assert reply.reasoning_details == (detail("Let me see.", signature="c2ln"),)
    reader = Reader()
    deltas = reader.feed(REASONING.data)
    assert deltas[0].reasoning_details == (detail("Let me "), detail("see."), detail(signature="c2ln"))


def test_reasoning_that_only_came_as_details_can_be_read() -> None:
    """So that nobody has to know two shapes."""
    assert read(chunk({"reasoning_details": [detail("hm")]}), words("a"), tail()).reply().reasoning == "hm"


def test_citations_and_pictures_come_once() -> None:
    """In the deltas as in the reply."""
    for stream, field, count in ((ANNOTATIONS, "annotations", 2), (IMAGES, "images", 1)):
        reader = Reader()
        deltas = reader.feed(stream.data)
        assert sum(len(getattr(delta, field)) for delta in deltas) == count
        assert len(getattr(reader.reply(), field)) == count


def test_sound_is_put_together() -> None:
    """Data and transcript in pieces, id and expiry once; it is an answer without a word."""
    reader = read(
        chunk({"audio": {"id": "au", "data": "AA", "transcript": "Hi"}}),
        chunk({"audio": {"data": "BB", "transcript": " you", "expires_at": 9, "id": None}}),
        tail(),
    )
    assert reader.reply().audio == {"id": "au", "data": "AABB", "transcript": "Hi you", "expires_at": 9}
    assert code(reader) == ""


def test_logprobs_are_joined() -> None:
    """Content's and the refusal's, in order."""
    pieces = [
        sse(
            {
                "choices": [
                    {"delta": {"content": text}, "logprobs": {"content": [{"token": text}], "refusal": None}}
                ]
            }
        )
        for text in ("a", "b")
    ]
    assert read(*pieces, tail()).reply().logprobs == ({"token": "a"}, {"token": "b"})


def test_the_old_function_call_is_a_tool_call() -> None:
    """Some servers still write it, with finish reason `function_call`."""
    event = {
        "choices": [
            {"delta": {"function_call": {"name": "f", "arguments": "{}"}}, "finish_reason": "function_call"}
        ]
    }
    reply = read(sse(event)).reply()
    assert (reply.finish_reason, reply.tool_calls[0].name, reply.tool_calls[0].id) == (
        "tool_calls",
        "f",
        "call_0",
    )


# -- the end -------------------------------------------------------------------------------------


def test_a_last_event_without_its_blank_line_is_read_at_a_clean_end() -> None:
    """Its words are handed over as `leftover`; half an event is dropped silently."""
    reader = Reader()
    assert reader.feed(
        words("a") + b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}'
    ) == [Delta(text="a")]
    assert reader.end() is None
    assert (reader.leftover, reader.reply().text) == ([Delta(text="b")], "ab")
    for last in (b"data: [DONE]", b"data: [DON", b'data: {"cho', b"data: ["):
        assert code(read(words("a"), chunk({}, "stop"), last)) == ""
        assert code(read(words("a"), last)) == "truncated"


def test_after_the_end_nothing_changes() -> None:
    """A second end tells the same, and keeps what the first one found."""
    reader = Reader()
    reader.feed(b'data: {"choices":[{"delta":{"content":"b"}}]}')
    assert reader.end() == reader.end()
    assert reader.feed(words("c") + tail()) == []
    assert (reader.leftover, code(reader)) == ([Delta(text="b")], "truncated")


def test_a_verdict_without_an_end_reads_nothing_more() -> None:
    """After the finish reason a reset costs nothing; before, the answer is truncated."""
    reader = Reader()
    reader.feed(words("a"))
    verdict = reader.verdict()
    assert verdict is not None
    assert verdict.code == "truncated"
    reader.feed(chunk({}, "stop") + b"data: {")
    assert reader.verdict() is None


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([chunk({"content": " "}), tail()], ""),
        ([chunk({"refusal": "No."}), tail()], ""),
        ([tool(0, "{}", "c", "f"), tail("tool_calls")], ""),
        ([tool(0, None, "c", "f"), tail("tool_calls")], ""),
        ([chunk({"reasoning": "hm"}), tail()], "empty_answer"),
        ([tail("tool_calls")], "empty_answer"),
        ([tail("length")], "reasoning_exhausted"),
        ([chunk({}, "length")], "empty_answer"),
        ([chunk({}, ""), DONE], "empty_answer"),
        ([chunk({"reasoning": "hm"}), chunk({}, ""), DONE], "truncated"),
        ([DONE], "truncated"),
        ([words("a"), tool(0, '{"a"', "c", "f"), tail("length")], "tool_arguments_truncated"),
        ([tool(0, None, "c", "f"), tail("length")], "tool_arguments_truncated"),
        ([tool(0, "{}", "c", "f"), tail("length")], ""),
        ([tool(0, "[" * 100_000, "c", "f"), tail("length")], "tool_arguments_truncated"),
        ([chunk({"refusal": "Not this."}), tail("content_filter")], "content_filtered"),
    ],
)
def test_verdicts(pieces: list[bytes], expected: str) -> None:
    """What counts as an answer, and what an empty one is called (D27, D30, D31, TOOL-06)."""
    reader = read(*pieces)
    assert code(reader) == expected


# -- bodies --------------------------------------------------------------------------------------


def body(message: dict[str, Any] | None = None, finish: str | None = "stop", **top: Any) -> bytes:
    choice = {
        "index": 0,
        "message": message or {},
        "finish_reason": finish,
        "native_finish_reason": "end_turn",
    }
    found = {
        "id": "gen-1",
        "model": "a/claude",
        "provider": "P",
        "choices": [choice],
        "usage": usage(),
        **top,
    }
    return json.dumps(found).encode()


def test_a_body_is_read_like_a_stream() -> None:
    """Every field, one delta, exact cost."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reader = Reader()
    message = {"content": "Hi", "reasoning": "hm", "tool_calls": [call], "audio": {"id": "x", "data": "A"}}
    (delta,) = reader.body(b"\n  " + body(message, system_fingerprint="fp", odd=1))
    reply = reader.reply()
    assert (delta.text, delta.reasoning) == ("Hi", "hm")
    assert (reply.text, reply.tool_calls[0].name, reply.provider, reply.extra) == ("Hi", "f", "P", {"odd": 1})
    assert reply.usage is not None
    assert (reply.usage.cost_units, reply.native_finish_reason) == (93_000_000, "end_turn")
    assert (reader.verdict(), reader.tokens, reader.finished, reader.events) == (None, True, True, 1)


@pytest.mark.parametrize(
    ("data", "expected", "text"),
    [
        (body({"content": "cut"}, "length"), "", "cut"),
        (body({"content": "cut"}, None), "truncated", "cut"),
        (body({"content": ""}), "empty_answer", ""),
        (body({"content": "par"}, "error", error={"code": 503, "message": "x"}), "unavailable", "par"),
        (b'{"error":{"code":429,"message":"slow"},"user_id":"u"}', "rate_limited", ""),
        (b'{"error":{"code":402,"message":"x"},"choices":null}', "insufficient_credits", ""),
        (b'{"error":{"code":500,"message":"x"},"choices":[]}', "server_error", ""),
        (
            b'{"choices":[{"message":{"content":"par"},"finish_reason":"error","error":{"code":500}}]}',
            "server_error",
            "par",
        ),
        (b'{"choices":[{"message":{"content":"par"},"finish_reason":"error"}]}', "provider_error", "par"),
        (b"{}", "malformed", ""),
        (b"<html>no</html>", "malformed", ""),
        (b"[]", "malformed", ""),
        (b"\xff", "malformed", ""),
        (b"", "malformed", ""),
        (b'{"choices":"x"}', "malformed", ""),
    ],
)
def test_a_body_that_is_no_whole_answer(data: bytes, expected: str, text: str) -> None:
    """F5 and F6 with the status of the body, and everything that is no answer at all."""
    reader = Reader()
    reader.body(data)
    assert (code(reader), reader.reply().text) == (expected, text)


# -- anything ------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "index",
                    "id",
                    "function",
                    "name",
                    "arguments",
                    "type",
                    "text",
                    "url",
                    "code",
                    "message",
                    "metadata",
                    "content",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_delta = st.dictionaries(
    st.sampled_from(
        [
            "content",
            "reasoning",
            "refusal",
            "reasoning_details",
            "tool_calls",
            "function_call",
            "annotations",
            "images",
            "audio",
        ]
    ),
    _json,
    max_size=4,
)
_choices = st.lists(
    st.fixed_dictionaries(
        {"delta": _delta | _json},
        optional={
            "finish_reason": _json | st.sampled_from(["stop", "error"]),
            "index": _json,
            "error": _json,
            "logprobs": _json,
        },
    ),
    max_size=2,
)
_event = st.fixed_dictionaries(
    {},
    optional={
        "choices": _choices | _json,
        "usage": _json,
        "error": _json,
        "id": _json,
        "model": _json,
        "openrouter_metadata": _json,
        "x": _json,
    },
)


@settings(max_examples=40)
@given(st.lists(_event | _json | st.binary(max_size=12), max_size=5), st.integers(1, 50))
def test_nothing_that_comes_raises(events: list[object], size: int) -> None:
    """Any JSON and any bytes, in any slices, as a stream and as a body: a reply and a verdict of the table."""
    reader = Reader()
    data = b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"
        for event in events
    )
    for i in range(0, len(data), size):
        for delta in reader.feed(data[i : i + size]):
            assert isinstance(delta, Delta)
    fault = reader.end()
    assert fault is None or fault.code in TABLE
    assert isinstance(reader.reply(), Reply)
    for event in events:
        other = Reader()
        other.body(event if isinstance(event, bytes) else json.dumps(event).encode())
        found = other.verdict()
        assert found is None or found.code in TABLE
        assert isinstance(other.reply(), Reply)


def test_reading_is_fast_enough_to_be_linear() -> None:
    """A stream of 20,000 events in one read gives one delta."""
    assert [len(delta.text) for delta in Reader().feed(words("") + words("a") * 20_000)] == [20_000]
    assert len({stream.name for stream in ALL}) == len(ALL)


def test_a_reset_told_within_a_stream_is_a_wait():
    """A moment in `metadata.headers` becomes seconds, by the clock at which the answer began."""
    reader = Reader()
    reader.now_epoch = 1743292740.0
    told = {"code": 429, "message": "slow", "metadata": {"headers": {"X-RateLimit-Reset": "1743292800000"}}}
    reader.feed(b"data: " + json.dumps({"error": told}).encode() + b"\n\n")
    assert reader.fault is not None
    assert reader.fault.retry_after == 60


def test_an_answer_leaves_nothing_for_the_next_one() -> None:
    """Neither its words nor its end, bill, fault or unknown members."""
    for data in (TEXT.data, sse(ERROR), b'data: {"odd": 1}\n\n', b"data: {"):
        reader = Reader()
        reader.feed(data)
        reader.end()
    new = Reader()
    assert (new.reply(), new.events, new.tokens, new.done, new.fault, new.leftover) == (
        Reply(),
        0,
        False,
        False,
        None,
        [],
    )
