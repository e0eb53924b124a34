"""Damaged bodies of Anthropic's protocol: each is a call that can be sent, or refused."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from bytedeck.errors import InvalidRequest
from bytedeck.gateway.messages import Messages, count

HI = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral", "ttl": "1h"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

FULL: dict[str, Any] = {
    "model": "m",
    "max_tokens": 10,
    "system": [{"type": "text", "text": "s", "cache_control": MARK}],
    "messages": [
        HI,
        {
            "role": "assistant",
            "content": [
                {
                    "type": "thinking",
                    "thinking": "t",
                    "signature": "byte1.eyJ0eXBlIjoicmVhc29uaW5nLnRleHQifQ==",
                },
                {"type": "redacted_thinking", "data": "byte1.e30="},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]},
                {"type": "document", "source": {"type": "text", "data": "x"}, "title": "t"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                {"type": "search_result", "title": "a", "source": "b", "content": [{"text": "c"}]},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "stop_sequences": ["a"],
    "fallbacks": [{"model": "n"}],
    "stream": True,
}
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    "",
    "text",
    "byte1.",
    [],
    {},
    [None],
    [[]],
    {"type": []},
]
ODD += [{"type": "text"}, {"type": "thinking"}, {"type": "tool_result", "content": [{"type": "tool_result"}]}]


def mutated(found: Any, dice: random.Random) -> Any:
    """The same with about one value in eight replaced, dropped or doubled."""
    if dice.random() < 0.12:
        return dice.choice(ODD)
    if isinstance(found, dict):
        kept = {key: mutated(value, dice) for key, value in found.items() if dice.random() > 0.05}
        if dice.random() < 0.05:
            kept[dice.choice(["type", "content", "role", "name", "cache_control"])] = dice.choice(ODD)
        return kept
    if isinstance(found, list):
        return [mutated(value, dice) for value in found for _ in range(dice.choice([1, 1, 1, 1, 2]))]
    return found


def test_hostile_bodies_are_calls_or_refused() -> None:
    """20,000 damaged bodies: nothing but a Call that can be sent, or an InvalidRequest."""
    dice = random.Random(6)
    whole = msgspec.json.encode(FULL)
    calls = 0
    for _ in range(20_000):
        if dice.random() < 0.2:
            data = bytearray(whole)
            for _ in range(dice.randint(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            body = bytes(data)
        else:
            body = msgspec.json.encode(mutated(FULL, dice))
        try:
            call = Messages().read(body)
        except InvalidRequest:
            continue
        calls += 1
        msgspec.json.encode([call.messages, call.params])
        assert count(body)["input_tokens"] > 0
    assert 100 < calls < 19_900
