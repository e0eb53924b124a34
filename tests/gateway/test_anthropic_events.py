"""A streamed answer as Anthropic's own client puts it together, however it was cut; breaks are raised."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import anthropic
import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bytedeck.codec.chunks import Reader
from bytedeck.codec.encode import DONE, event
from bytedeck.errors import error_from
from bytedeck.events import FellBack, Seam, Started, Waiting
from bytedeck.types import Attempt, Delta, Fault, Reply, ToolCall, ToolCallPart, Usage
from messages_told import HI, IDENTITY, SKIN, blocks, call, client, events, read_body, read_stream, streamed

CLAUDE = "anthropic-claude-v1"
STARTED = Delta(event=Started(model="anthropic/claude", attempt=1), text="Hel")
USAGE = Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=60, reasoning_tokens=5)
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
SOURCE = {"type": "url_citation", "url_citation": {"url": "https://a/b", "title": "T", "content": "w"}}


def part(index: int, arguments: str = "", name: str = "") -> ToolCallPart:
    return ToolCallPart(index, id=f"t{index}" if name else "", name=name, arguments=arguments)


def tools(*parts: ToolCallPart) -> list[Delta]:
    return [Delta(tool_calls=(one,)) for one in parts]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def tool(index: int, name: str, given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"t{index}", "name": name, "input": given}


def thought(words: str, signature: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def detail(words: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": words, "format": CLAUDE, "index": index, **more}


def test_the_order_of_events() -> None:
    """Named as Anthropic names them, each one strictly of its client's types, one block open at a time."""
    deltas = [STARTED, Delta(text="lo"), *tools(part(0, name="f"), part(0, '{"a":'), part(0, "1}"))]
    reply = Reply(text="Hello", model="x", finish_reason="tool_calls", usage=USAGE, provider="P")
    told = events(streamed(deltas, reply))
    for name, data in told:
        assert data["type"] == name
        EVENT.validate_python(data, strict=True)
    assert [name.removeprefix("content_") for name, _ in told] == [
        "message_start",
        "block_start",
        "block_delta",
        "block_delta",
        "block_stop",
        "block_start",
        "block_delta",
        "block_delta",
        "block_stop",
        "message_delta",
        "message_stop",
    ]
    start, ending = told[0][1]["message"], told[-2][1]
    assert (start["id"], start["model"]) == ("msg_" + IDENTITY.request, "anthropic/claude")
    assert ending["usage"]["input_tokens"] == 40
    assert ending["usage"]["cost_known"] == "unknown"
    assert ending["provider"] == "P"


def test_the_client_puts_it_together() -> None:
    """Words, sources, calls, the stop reason and the usage."""
    deltas = [
        STARTED,
        Delta(text="lo", annotations=(SOURCE,)),
        *tools(part(0, '{"a":1}', "f"), part(1, name="g")),
    ]
    calls = (ToolCall(0, "t0", "f", '{"a":1}'), ToolCall(1, "t1", "g", "{}"))
    message = read_stream(streamed(deltas, Reply(finish_reason="tool_calls", usage=USAGE, tool_calls=calls)))
    [words, *used] = blocks(message)
    assert (words["text"], words["citations"][0]["url"]) == ("Hello", "https://a/b")
    assert used == [tool(0, "f", {"a": 1}), tool(1, "g", {})]
    assert (message.stop_reason, message.usage.input_tokens) == ("tool_use", 40)
    assert message.usage.output_tokens_details.thinking_tokens == 5


THOUGHTS: list[tuple[str, list[Delta], list[dict[str, Any]]]] = [
    ("bare", [Delta(reasoning="a"), Delta(reasoning="b"), Delta(text="x")], [thought("ab"), text("x")]),
    (
        "signed at its end",
        [
            Delta(reasoning="a", reasoning_details=(detail("a"),)),
            Delta(reasoning="b", reasoning_details=(detail("b"),)),
            Delta(reasoning_details=(detail("", signature="sig"),)),
            Delta(text="x"),
        ],
        [thought("ab", "sig"), text("x")],
    ),
    (
        "two of them",
        [
            Delta(
                reasoning="ab",
                reasoning_details=(detail("a", signature="s1"), detail("b", index=1, signature="s2")),
            )
        ],
        [thought("a", "s1"), thought("b", "s2")],
    ),
    (
        "hidden",
        [
            Delta(
                reasoning_details=(
                    {"type": "reasoning.encrypted", "data": "d", "format": CLAUDE, "index": 0},
                )
            ),
            Delta(text="x"),
        ],
        [{"type": "redacted_thinking", "data": "d"}, text("x")],
    ),
    (
        "between calls",
        [
            *tools(part(0, "{}", "f")),
            Delta(reasoning="b", reasoning_details=(detail("b", 1, signature="s"),)),
            *tools(part(1, "{}", "g")),
        ],
        [tool(0, "f", {}), thought("b", "s"), tool(1, "g", {})],
    ),
    (
        "words in the details only",
        [Delta(reasoning_details=(detail("a"), detail("b", signature="s")))],
        [thought("ab", "s")],
    ),
    (
        "more words than the details have",
        [Delta(reasoning="abc", reasoning_details=(detail("b", signature="s"),))],
        [thought("abc", "s")],
    ),
    (
        "of two ids at one index",
        [Delta(reasoning="ab", reasoning_details=(detail("a", id="r1"), detail("b", id="r2")))],
        [{"thinking": "a"}, {"thinking": "b"}],
    ),
    (
        "without an index, until the signature",
        [
            Delta(
                reasoning="abc",
                reasoning_details=(
                    {"type": "reasoning.text", "text": "a"},
                    {"type": "reasoning.text", "text": "b", "signature": "s"},
                    {"type": "reasoning.text", "text": "c"},
                ),
            )
        ],
        [{"thinking": "ab"}, {"thinking": "c"}],
    ),
    (
        "of no kind that is known",
        [Delta(reasoning_details=({"type": ["odd"]}, {}), text="x")],
        [{"type": "redacted_thinking"}, {"type": "redacted_thinking"}, text("x")],
    ),
]


@pytest.mark.parametrize(
    ("deltas", "expected"), [each[1:] for each in THOUGHTS], ids=[t[0] for t in THOUGHTS]
)
def test_thoughts(deltas: list[Delta], expected: list[dict[str, Any]]) -> None:
    """Each its own block, signed at its end, in the order in which they came."""
    found = blocks(read_stream(streamed(deltas, Reply(finish_reason="stop"))))
    assert [
        {key: block[key] for key in want} for block, want in zip(found, expected, strict=True)
    ] == expected


def test_a_late_signature_comes_back_in_its_place() -> None:
    """Words may stand between a thought and what signs it; on the way back they are one detail again."""
    own = {"type": "reasoning.text", "format": "google-gemini-v1", "index": 0}
    deltas = [
        Delta(reasoning="a", reasoning_details=({**own, "text": "a"},)),
        Delta(text="x"),
        Delta(reasoning_details=({**own, "signature": "late"},)),
    ]
    message = read_stream(streamed(deltas, Reply(finish_reason="stop")))
    turn = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    [told] = call(messages=[turn]).messages
    assert told["content"] == "x"
    assert [dict(sorted(each.items())) for each in told["reasoning_details"]] == [
        dict(sorted({**own, "text": "a", "signature": "late"}.items()))
    ]


MIXED: list[tuple[str, list[ToolCallPart]]] = [
    ("in turn", [part(0, '{"a":', "f"), part(0, "1}"), part(1, '{"b":2}', "g")]),
    (
        "mixed",
        [part(0, '{"a":', "f"), part(1, '{"b":', "g"), part(0, "1}"), part(1, "2}")],
    ),
    (
        "named late",
        [ToolCallPart(0, id="t0"), part(0, '{"a":1}'), part(0, name="f"), part(1, '{"b":2}', "g")],
    ),
    ("opened at once", [part(0, name="f"), part(1, name="g"), part(1, '{"b":2}'), part(0, '{"a":1}')]),
    ("blanks after it", [part(0, '{"a":1}', "f"), part(1, '{"b":2}', "g"), part(0, " \n")]),
]


@pytest.mark.parametrize("parts", [each[1] for each in MIXED], ids=[each[0] for each in MIXED])
def test_calls_are_told_one_after_the_other(parts: list[ToolCallPart]) -> None:
    """However their pieces are mixed: alone, and in one Delta."""
    whole = [Delta(tool_calls=tuple(parts))]
    for deltas in (tools(*parts), whole):
        body = streamed(deltas, Reply(finish_reason="tool_calls"))
        assert blocks(read_stream(body)) == [tool(0, "f", {"a": 1}), tool(1, "g", {"b": 2})]
        kinds = [name for name, _ in events(body) if name in ("content_block_start", "content_block_stop")]
        assert kinds == ["content_block_start", "content_block_stop"] * 2


def test_a_call_that_goes_on_after_its_block_is_no_success() -> None:
    """What was told of it is not all, so the stream ends in an error."""
    deltas = [*tools(part(0, '{"a":', "f")), Delta(text="x"), *tools(part(0, "1}"))]
    with pytest.raises(anthropic.APIStatusError, match="order"):
        read_stream(streamed(deltas, Reply(finish_reason="tool_calls")))


def test_what_happens_besides_words_is_a_comment() -> None:
    """The client sees one answer; whoever reads the wire sees the seam."""
    seam = Seam(kind="proven", from_model="a", to_model="b", why="truncated", attempt=2, after=3)
    deltas = [
        Delta(event=Waiting(model="a", why="rate_limited", seconds=2.0)),
        Delta(event=FellBack(from_model="a", to_model="b", why="x")),
        STARTED,
        Delta(event=seam),
        Delta(text="lo"),
    ]
    body = streamed(deltas, Reply(finish_reason="stop", seams=(seam,)))
    comments = [line for line in body.decode().split("\n\n") if line.startswith(":")]
    assert [line.split(" ")[2] for line in comments] == ["waiting", "fell_back", "seam", "cost"]
    assert '"kind":"proven"' in comments[2]
    assert body.startswith(b": byte waiting")
    message = read_stream(body)
    assert blocks(message) == [text("Hello")]
    assert message.model == "anthropic/claude"


def test_another_models_thoughts_are_another_block() -> None:
    """Both call their first detail index 0; neither signs the other's."""
    seam = Seam(kind="unproven", from_model="a", to_model="b", why="truncated", attempt=2, after=0)
    deltas = [
        Delta(reasoning="a", reasoning_details=(detail("a"),)),
        Delta(event=seam),
        Delta(reasoning="b", reasoning_details=(detail("b", signature="s"),)),
        Delta(text="x"),
    ]
    assert blocks(read_stream(streamed(deltas, Reply(finish_reason="stop")))) == [
        thought("a"),
        thought("b", "s"),
        text("x"),
    ]


def test_an_empty_stream_is_a_message() -> None:
    """An answer of which nothing has a block here (a picture) begins and ends."""
    message = read_stream(streamed([], Reply(model="m", finish_reason="stop")))
    assert (message.content, message.stop_reason, message.model) == ([], "end_turn", "m")


def test_the_heartbeat_means_nothing() -> None:
    """Before the first event, between two, within a block."""
    teller = SKIN.teller(call(), IDENTITY)
    told = [
        teller.deltas([STARTED]),
        teller.deltas([Delta(text="lo")]),
        teller.end(Reply(finish_reason="stop")),
    ]
    body = SKIN.heartbeat + SKIN.heartbeat.join(told)
    assert events(SKIN.heartbeat) == [("ping", {"type": "ping"})]
    assert blocks(read_stream(body)) == [text("Hello")]


@pytest.mark.parametrize("code", ["truncated", "seam_refused", "rate_limited", "unavailable", "internal"])
def test_a_break_is_raised(code: str) -> None:
    """As an APIStatusError whose body is Anthropic's, with the upstream's words."""
    teller = SKIN.teller(call(), IDENTITY)
    error = error_from(Fault(code=code, message="said upstream"))
    body = teller.deltas([STARTED]) + teller.broke(error)
    with pytest.raises(anthropic.APIStatusError, match="said upstream") as caught:
        read_stream(body)
    told: Any = caught.value.body
    assert (told["type"], told["error"]["code"]) == ("error", code)
    assert b"message_stop" not in body


def test_a_stream_that_is_refused_for_its_content_ends_as_one() -> None:
    """Anthropic tells it by the stop reason; the words that came stay, and the cost is told."""
    teller = SKIN.teller(call(), IDENTITY)
    reply = Reply(text="Hel", usage=USAGE, attempts=(Attempt(model="a", outcome="x", cost_units=1),))
    error = error_from(Fault(code="content_filtered", message="a rule"), reply)
    message = read_stream(teller.deltas([STARTED]) + teller.broke(error))
    assert (message.stop_reason, blocks(message)) == ("refusal", [text("Hel")])
    assert message.stop_details.explanation == "a rule"
    assert message.usage.output_tokens == 20


# -- any slicing --------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def chunks_of(seed: int, words: Sequence[str]) -> list[dict[str, Any]]:
    """A stream's deltas, as OpenRouter sends them: thoughts, words, sources, calls."""
    dice = random.Random(seed)
    is_detailed = dice.random() < 0.7
    found: list[dict[str, Any]] = []
    for at, word in enumerate(words):
        index = at // 3
        told = [{"type": "reasoning.text", "text": word, "format": CLAUDE, "index": index}]
        found.append({"reasoning": word} | ({"reasoning_details": told} if is_detailed else {}))
        if is_detailed and at % 3 == 2:
            found.append({"reasoning_details": [told[0] | {"text": "", "signature": f"s{index}"}]})
    found += [{"content": word} for word in words]
    if dice.random() < 0.5:
        found.insert(len(found) - 1, {"annotations": [SOURCE]})
    for index in range(dice.randrange(3)):
        function = {"name": f"f{index}", "arguments": ""}
        found.append({"tool_calls": [{"index": index, "id": f"t{index}", "function": function}]})
        for piece in ('{"a":', f'"{index}"', "}"):
            found.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return found


def wire_of(chunks: Sequence[dict[str, Any]]) -> bytes:
    body = [event({"id": "g", "model": "m", "choices": [{"index": 0, "delta": delta}]}) for delta in chunks]
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return b"".join([*body, event({"id": "g", "choices": [last], "usage": {"prompt_tokens": 3}}), DONE])


def told_in(slices: Sequence[bytes]) -> tuple[bytes, Reply]:
    """The stream that is told of an answer which came in these network reads."""
    reader, teller = Reader(), SKIN.teller(call(), IDENTITY)
    told = [teller.deltas(reader.feed(data)) for data in slices]
    reply = reader.reply()
    return b"".join([*told, teller.end(reply)]), reply


def built(body: bytes) -> list[dict[str, Any]]:
    """The blocks that the events make; the client does the same, but takes a hundred times as long."""
    content: list[dict[str, Any]] = []
    for name, data in events(body):
        if name == "content_block_start":
            assert data["index"] == len(content)
            content.append(dict(data["content_block"], json=""))
        elif name == "content_block_delta":
            block, delta = content[data["index"]], data["delta"]
            for key, place in (("text", "text"), ("thinking", "thinking"), ("partial_json", "json")):
                block[place] = block.get(place, "") + delta.get(key, "")
            if "signature" in delta:
                block["signature"] = delta["signature"]
            if "citation" in delta:
                block["citations"] = [*(block["citations"] or []), delta["citation"]]
    return content


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 999), words=st.lists(WORDS, min_size=1, max_size=8), data=st.data())
def test_any_slicing_gives_the_same_message(seed: int, words: list[str], data: st.DataObject) -> None:
    """The reads of the network change nothing, and the body of the whole answer says the same."""
    wire = wire_of(chunks_of(seed, words))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    slices = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    whole, reply = told_in([wire])
    cut, _ = told_in(slices)
    assert built(cut) == built(whole)
    in_body = blocks(read_body(SKIN.whole(call(), reply, IDENTITY))) if seed % 10 == 0 else None
    if in_body is not None:
        assert blocks(read_stream(cut)) == in_body


def test_long_answers_cost_no_more_a_piece() -> None:
    """Work grows with what comes, not with what came: what is told of a late piece is as long as of an early one."""
    teller = SKIN.teller(call(), IDENTITY)
    teller.deltas([STARTED])
    sizes = {len(teller.deltas([Delta(text="word ")])) for _ in range(5000)}
    assert len(sizes) == 1
    many = [part(index, '{"a":1}', "f") for index in range(2000)]
    body = streamed([Delta(tool_calls=tuple(many))], Reply(finish_reason="tool_calls"))
    assert len([name for name, _ in events(body) if name == "content_block_start"]) == 2000


def test_the_client_is_the_official_one() -> None:
    """It iterates over raw events, too, and ends with the stream."""
    body = streamed([STARTED], Reply(finish_reason="stop"))
    with client(body) as claude:
        stream = claude.messages.create(model="m", max_tokens=9, messages=HI, stream=True)
        assert [each.type for each in stream][-1] == "message_stop"
