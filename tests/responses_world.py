"""Answers of every kind, and what the Responses API makes of them."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from bytedeck.errors import ByteError
from bytedeck.events import FellBack, Seam, Started, Waiting
from bytedeck.gateway.call import Call, Identity
from bytedeck.gateway.responses import Responses
from bytedeck.types import Attempt, Delta, Reply, ToolCall, ToolCallPart, Usage

SKIN = Responses()
IDENTITY = Identity(request="0123456789abcdef0123456789abcdef", created=1_700_000_000)
MODEL = "openai/gpt-4o-mini"
USAGE = Usage(
    prompt_tokens=12,
    completion_tokens=7,
    total_tokens=19,
    cached_tokens=3,
    reasoning_tokens=2,
    cost_units=93_000_000,
)
ATTEMPT = Attempt(model=MODEL, outcome="answered", cost_units=93_000_000, quality="reported")
STARTED = Delta(event=Started(model=MODEL, attempt=1))
NOTE = {
    "type": "url_citation",
    "url_citation": {
        "url": "https://a.example",
        "title": "A",
        "content": "…",
        "start_index": 0,
        "end_index": 3,
    },
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
CALLS = (
    ToolCall(0, "call_a", "get_weather", '{"city":"Bern"}'),
    ToolCall(1, "call_b", "get_weather", '{"city":"Oslo"}'),
)
SIGNED = {
    "type": "reasoning.text",
    "text": "Let me see.",
    "signature": "c2ln",
    "format": "anthropic-claude-v1",
    "index": 0,
}
SUMMED = {
    "type": "reasoning.summary",
    "summary": "**A** plan",
    "format": "openai-responses-v1",
    "id": "rs_1",
    "index": 0,
}
SUMMED_ON = SUMMED | {"summary": "**B** plan", "index": 1}
SECRET = {
    "type": "reasoning.encrypted",
    "data": "c2VjcmV0",
    "format": "openai-responses-v1",
    "id": "rs_1",
    "index": 2,
}


class Answer(Struct, frozen=True):
    """The deltas of an answer, and the reply that they make."""

    deltas: tuple[Delta, ...]
    reply: Reply


def whole(*deltas: Delta, **fields: Any) -> Answer:
    """An answer that came to its end; what the reply has beside its fields is what all have."""
    usual = {"model": MODEL, "finish_reason": "stop", "usage": USAGE, "attempts": (ATTEMPT,), "seconds": 2.4}
    return Answer((STARTED, *deltas), Reply(**(usual | fields)))


def _parts(call: ToolCall, cut: int) -> tuple[ToolCallPart, ...]:
    words = call.arguments
    return (
        ToolCallPart(call.index, call.id, call.name, ""),
        ToolCallPart(call.index, arguments=words[:cut]),
        ToolCallPart(call.index, arguments=words[cut:]),
    )


_SEAM = Seam(kind="proven", from_model=MODEL, to_model="b/c", why="truncated", attempt=2, after=6)

ANSWERS: dict[str, Answer] = {
    "text": whole(Delta(text="Hello "), Delta(text="wörld"), text="Hello wörld"),
    "logprobs": whole(Delta(text="Hi", logprobs=(LOGPROB,)), text="Hi", logprobs=(LOGPROB,)),
    "cut": whole(Delta(text="Hello"), text="Hello", finish_reason="length"),
    "only thinking": whole(Delta(reasoning="Hm"), reasoning="Hm", finish_reason="length"),
    "refusal": whole(Delta(refusal="I will "), Delta(refusal="not."), refusal="I will not."),
    "cited": whole(Delta(text="See A", annotations=(NOTE,)), text="See A", annotations=(NOTE,)),
    "picture": whole(Delta(text="Here: "), Delta(images=(IMAGE,)), text="Here: ", images=(IMAGE,)),
    "thought": whole(
        Delta(reasoning="Let me ", reasoning_details=(SIGNED | {"text": "Let me ", "signature": None},)),
        Delta(reasoning="see.", reasoning_details=(SIGNED | {"text": "see.", "signature": None},)),
        Delta(reasoning_details=({"type": "reasoning.text", "signature": "c2ln", "index": 0},)),
        Delta(text="Yes"),
        reasoning="Let me see.",
        reasoning_details=(SIGNED,),
        text="Yes",
    ),
    "plain thought": whole(Delta(reasoning="Hm, "), Delta(reasoning="well"), Delta(text="Yes"), reasoning="Hm, well", text="Yes"),
    "summary": whole(
        Delta(reasoning="**A** plan", reasoning_details=(SUMMED,)),
        Delta(reasoning="**B** plan", reasoning_details=(SUMMED_ON,)),
        Delta(reasoning_details=(SECRET,)),
        Delta(text="Yes"),
        reasoning="**A** plan**B** plan",
        reasoning_details=(SUMMED, SUMMED_ON, SECRET),
        text="Yes",
    ),
    "calls": whole(
        Delta(tool_calls=_parts(CALLS[0], 4)),
        Delta(tool_calls=_parts(CALLS[1], 9)),
        tool_calls=CALLS,
        finish_reason="tool_calls",
    ),
    "words and calls": whole(
        Delta(text="I look."),
        Delta(tool_calls=_parts(CALLS[0], 1)),
        Delta(annotations=(NOTE,)),
        text="I look.",
        annotations=(NOTE,),
        tool_calls=CALLS[:1],
        finish_reason="tool_calls",
    ),
    "joined": whole(
        Delta(event=Waiting(model=MODEL, why="rate_limited", seconds=2.0)),
        Delta(text="Hello "),
        Delta(event=FellBack(from_model=MODEL, to_model="b/c", why="truncated")),
        Delta(event=_SEAM, text="again"),
        text="Hello again",
        model="b/c",
        seams=(_SEAM,),
    ),
}  # fmt: skip

TOOLS = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]


def call(**fields: Any) -> Call:
    """A call as the skin reads it."""
    return SKIN.read(json.dumps({"model": MODEL, "input": "hi", "tools": TOOLS} | fields).encode())


def told(answer: Answer, asked: Call | None = None) -> bytes:
    """The stream of an answer, one write a delta."""
    teller = SKIN.teller(asked or call(), IDENTITY)
    return b"".join([*(teller.deltas([one]) for one in answer.deltas), teller.end(answer.reply)])


def broken(error: ByteError, *deltas: Delta) -> bytes:
    """A stream that ends in an error."""
    teller = SKIN.teller(call(), IDENTITY)
    return teller.deltas(deltas) + teller.broke(error)


def body(answer: Answer, asked: Call | None = None) -> bytes:
    """An answer that is not streamed."""
    return SKIN.whole(asked or call(), answer.reply, IDENTITY)


def events(stream: bytes) -> list[dict[str, Any]]:
    """The events' data; that each is named by its type is checked on the way. `[DONE]` and comments are left out."""
    found = []
    for block in stream.decode().split("\n\n"):
        if not block or block.startswith(":") or block == "data: [DONE]":
            continue
        name, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == "event: " + value["type"]
        found.append(value)
    return found


def comments(stream: bytes) -> list[str]:
    """What only people and logs read."""
    return [line for line in stream.decode().split("\n") if line.startswith(":")]
