"""The form of the messages API: Anthropic's SDK reads it, and its own accumulator makes the body of the events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from bytedeck.simulator.shapes import Reasoning, Sent
from bytedeck.simulator.words.skins import messages
from said import GEMINI, REQUESTS, call, payloads, sent

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def answered(name: str) -> Sent:
    """One of every kind."""
    request, model = REQUESTS[name]
    return sent(msgspec.structs.replace(request, skin="messages"), model)


def built(events: list[Any]) -> dict[str, Any]:
    """The message that the events make."""
    told: dict[str, Any] = dict(events[0]["message"])
    told["content"] = []
    arguments: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(told["content"])
            told["content"].append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            add(told["content"][event["index"]], event["delta"], event["index"], arguments)
        elif event["type"] == "message_delta":
            told |= event["delta"] | {"usage": event["usage"]}
    for at, text in arguments.items():
        try:
            told["content"][at]["input"] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            told["content"][at]["input"] = {}
    return told


def add(block: dict[str, Any], delta: dict[str, Any], at: int, arguments: dict[int, str]) -> None:
    """A delta, to its block."""
    kind = delta["type"]
    if kind == "input_json_delta":
        arguments[at] = arguments.get(at, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block["citations"] or []), delta["citation"]]
    else:
        key = kind.removesuffix("_delta")
        block[key] += delta[key]


@pytest.mark.parametrize("name", REQUESTS)
def test_the_sdks_read_the_body(name: str) -> None:
    """Anthropic's, strictly, and find the text in it; the official openrouter SDK has no classes for it."""
    told = answered(name)
    body = Message.model_validate_json(messages.body(told))
    said = told.answer.text or "".join(piece.text for piece in told.answer.pieces if piece.kind == "refusal")
    assert "".join(block.text for block in body.content if block.type == "text") == said
    assert body.usage.output_tokens == told.answer.counts.completion


@pytest.mark.parametrize("name", REQUESTS)
def test_the_events_build_the_body(name: str) -> None:
    """Each is one that Anthropic's SDK knows, and in order they make the whole message."""
    told = answered(name)
    events = payloads(list(messages.events(told)))
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    for event in events:
        if event["type"] != "ping":
            EVENT.validate_python(event)
    assert events[-1] == {"type": "message_stop"}
    assert built(events) == msgspec.json.decode(messages.body(told))


@pytest.mark.parametrize("name", REQUESTS)
def test_events_are_named_and_know_their_tokens(name: str) -> None:
    """The name is the type; a picture has no block here, but its time passes."""
    told = answered(name)
    events = list(messages.events(told))
    assert sum(event.tokens for event in events) == told.answer.counts.completion
    for event in events:
        head, data = event.data.decode().split("\n")[:2]
        assert head.removeprefix("event: ") == msgspec.json.decode(data.removeprefix("data: "))["type"]


@pytest.mark.parametrize(
    ("name", "reason", "sequence"),
    [
        ("text", "end_turn", None),
        ("stop string", "stop_sequence", "two"),
        ("cut", "max_tokens", None),
        ("two tools", "tool_use", None),
        ("refused", "refusal", None),
        ("filtered", "refusal", None),
    ],
)
def test_the_stop_reason_is_anthropics(name: str, reason: str, sequence: str | None) -> None:
    """Whatever model answered."""
    body = msgspec.json.decode(messages.body(answered(name)))
    assert (body["stop_reason"], body["stop_sequence"]) == (reason, sequence)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("thinking, signed", ["thinking", "text"]),
        ("thinking, summed", ["thinking", "redacted_thinking", "text"]),
        ("two tools", ["thinking", "tool_use", "tool_use"]),
        ("thinking, hidden", ["text"]),
    ],
)
def test_kinds_become_blocks(name: str, kinds: list[str]) -> None:
    """In the order in which they were said."""
    body = msgspec.json.decode(messages.body(answered(name)))
    told = [block["type"] for block in body["content"]]
    assert [kind for kind in told if kind != "text" or kinds[-1] == "text"] == kinds


def test_input_tokens_leave_out_what_a_cache_had() -> None:
    """As Anthropic counts."""
    told = answered("text")
    counts = msgspec.structs.replace(told.answer.counts, prompt=100, cached=60, cache_write=10)
    said = msgspec.structs.replace(told.answer, counts=counts)
    usage = msgspec.json.decode(messages.body(msgspec.structs.replace(told, answer=said)))["usage"]
    assert (
        usage["input_tokens"],
        usage["cache_read_input_tokens"],
        usage["cache_creation_input_tokens"],
    ) == (30, 60, 10)


@pytest.mark.parametrize("missing", ["id", "name"])
def test_a_damaged_call_is_still_a_block(missing: str) -> None:
    """Events and body stay alike."""
    told = answered("two tools")
    pieces = tuple(
        msgspec.structs.replace(
            piece, data={key: value for key, value in piece.data.items() if key != missing}
        )
        if piece.kind == "tool" and piece.data
        else piece
        for piece in told.answer.pieces
    )
    hurt = msgspec.structs.replace(told, answer=msgspec.structs.replace(told.answer, pieces=pieces))
    body = msgspec.json.decode(messages.body(hurt))
    calls = [block for block in body["content"] if block["type"] == "tool_use"]
    assert [missing in block for block in calls] == [False, False]
    assert built(payloads(list(messages.events(hurt)))) == body


def test_a_proof_without_thoughts_is_a_redacted_block() -> None:
    """Hidden reasoning of a model that asks for it back."""
    told = sent(call(skin="messages", reasoning=Reasoning(exclude=True)), GEMINI)
    body = msgspec.json.decode(messages.body(told))
    assert [block["type"] for block in body["content"]] == ["redacted_thinking", "text"]
    assert built(payloads(list(messages.events(told)))) == body
