"""Requests and models for tests of what the simulator says, without a server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from bytedeck.simulator.shapes import Answer, Bill, Call, Event, Model, Reasoning, Sent
from bytedeck.simulator.words import answer

CAN = frozenset(
    {"tools", "tool_choice", "response_format", "structured_outputs", "reasoning", "max_tokens", "stop"}
)

PLAIN = Model(
    id="openai/gpt-4o",
    shown={},
    canonical="openai/gpt-4o-2024-11-20",
    name="OpenAI: GPT-4o",
    context_length=128_000,
    max_completion_tokens=16_384,
    providers=("OpenAI",),
    parameters=CAN,
    input_modalities=frozenset({"text"}),
    output_modalities=frozenset({"text"}),
)
THINKS: dict[str, Any] = {"default_enabled": True, "default_effort": "medium", "supports_max_tokens": True}
CLAUDE = msgspec.structs.replace(
    PLAIN,
    id="anthropic/claude-sonnet-4.5",
    reasoning=THINKS,
    signs_reasoning=True,
    reasoning_format="anthropic-claude-v1",
    native_stop="end_turn",
)
GPT = msgspec.structs.replace(
    PLAIN,
    id="openai/gpt-5.6",
    reasoning=THINKS,
    reasoning_format="openai-responses-v1",
    native_stop="completed",
)
GEMINI = msgspec.structs.replace(
    PLAIN,
    id="google/gemini-3.1-pro-preview",
    reasoning=THINKS | {"mandatory": True},
    reasoning_format="google-gemini-v1",
    native_stop="STOP",
    needs_reasoning_details=True,
    output_modalities=frozenset({"text", "image"}),
)
MODELS = {"plain": PLAIN, "claude": CLAUDE, "gpt": GPT, "gemini": GEMINI}

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the forecast of a place",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["place", "days"],
            "additionalProperties": False,
        },
    },
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_time", "description": "Say what hour it is"},
}


def user(text: str) -> dict[str, Any]:
    """A user's turn."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    """An assistant's turn."""
    return {"role": "assistant", "content": text}


def call(*messages: dict[str, Any] | str, **more: Any) -> Call:
    """A chat request; text stands for a user's turn."""
    told = tuple(user(each) if isinstance(each, str) else each for each in messages or ("Hello",))
    usual: dict[str, Any] = {"skin": "chat", "body": {}, "raw": b"", "models": (PLAIN.id,), "stream": True}
    return Call(**{**usual, "messages": told, **more})


def quiet(*messages: dict[str, Any] | str, **more: Any) -> Call:
    """The same, with reasoning switched off."""
    return call(*messages, reasoning=Reasoning(enabled=False), **more)


def sent(
    request: Call, model: Model = PLAIN, seed: str = "seed", *, said: Answer | None = None, **more: Any
) -> Sent:
    """The answer to a request, on its way."""
    bill = Bill(cost=Decimal("0.0000930"), upstream=Decimal("0.000093"), upstream_completion=Decimal("9E-7"))
    usual: dict[str, Any] = {
        "id": "gen-1700000000-abc",
        "created": 1_700_000_000,
        "provider": "OpenAI",
        "bill": bill,
    }
    return Sent(
        model=model, call=request, answer=said or answer.compose(request, model, seed), **{**usual, **more}
    )


def payloads(events: list[Event]) -> list[Any]:
    """The JSON of a stream's events, `[DONE]` left out; each is one event and ends with a blank line."""
    told = []
    for event in events:
        assert event.data.endswith(b"\n\n")
        assert event.data.count(b"\n\n") == 1
        data = next(line[6:] for line in event.data.split(b"\n") if line.startswith(b"data: "))
        if data != b"[DONE]":
            told.append(msgspec.json.decode(data))
    return told


REQUESTS: dict[str, tuple[Call, Model]] = {
    "text": (call("Hello"), PLAIN),
    "thinking, signed": (call("Hello"), CLAUDE),
    "thinking, summed": (call("Hello"), GPT),
    "thinking, encrypted": (call("Hello"), GEMINI),
    "thinking, hidden": (call("Hello", reasoning=Reasoning(exclude=True)), CLAUDE),
    "only thinking": (call("Hello [[sim: reasoning=90]]", max_tokens=30), CLAUDE),
    "only hidden thinking": (
        call("Hello [[sim: reasoning=90]]", max_tokens=30, reasoning=Reasoning(exclude=True)),
        CLAUDE,
    ),
    "one tool": (call("What is the forecast?", tools=(WEATHER,), tool_choice="required"), PLAIN),
    "two tools": (call("[[sim: tools=get_weather,get_time]]", tools=(WEATHER, CLOCK)), CLAUDE),
    "two tools, Gemini": (call("[[sim: tools=2]]", tools=(WEATHER, CLOCK)), GEMINI),
    "tool cut short": (call("[[sim: tools=1]]", tools=(WEATHER,), max_tokens=9), PLAIN),
    "JSON": (call("Hello", response_format={"type": "json_object"}), PLAIN),
    "citations": (call("Hello [[sim: words=120]]", plugins=("web",)), PLAIN),
    "picture": (call("Draw", modalities=("text", "image")), GEMINI),
    "cut": (call("Hello", max_tokens=7), PLAIN),
    "stop string": (call('[[sim: say="one two three"]]', stop=("two",)), CLAUDE),
    "filtered": (call("Hello [[sim: finish=content_filter]]"), PLAIN),
    "refused": (call('[[sim: refusal="I would rather not."]]'), PLAIN),
    "broken": (call("Hello [[sim: finish=error]]"), PLAIN),
    "nothing": (call('[[sim: say=""]]'), PLAIN),
    "prefill": (call("Hello", assistant("Well, ")), CLAUDE),
}
"""One of every kind of answer."""
