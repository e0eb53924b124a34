"""Faults in what is said, over a real connection: empty answers, odd tool calls, late signatures, continuations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.faults import table as faults
from simclient import HI, Came, chat, streamed

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        },
    }
]


def test_empty_answers(sim: Simulator) -> None:
    """D31: no tokens and a blank finish, free. D30: all tokens were reasoning, and are paid."""
    zero = chat(sim, fault="zero_completion").json
    assert zero["usage"]["completion_tokens"] == 0
    assert zero["usage"]["cost"] == 0
    assert not zero["choices"][0]["finish_reason"]
    thought = chat(sim, fault="reasoning_only").json
    assert thought["choices"][0]["finish_reason"] == "length"
    assert not thought["choices"][0]["message"]["content"]
    details = thought["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == thought["usage"]["completion_tokens"] > 0


def tool_pieces(came: Came) -> list[dict[str, Any]]:
    return [
        call
        for event in came.events
        if isinstance(event, dict)
        for choice in event.get("choices") or ()
        for call in choice["delta"].get("tool_calls") or ()
    ]


def test_tool_calls_in_odd_forms(sim: Simulator) -> None:
    """One index for two calls, no id, no arguments, white space only, an unknown name, arguments that break off."""
    pieces = {
        name: tool_pieces(streamed(sim, name, tools=TOOLS))
        for name, row in faults.table().items()
        if row.needs_tools
    }
    same = [piece for piece in pieces["same_index"] if piece.get("id")]
    assert {piece["index"] for piece in pieces["same_index"]} == {0}
    assert len({piece["id"] for piece in same}) == len(same) >= 2
    assert not any("id" in piece for piece in pieces["missing_tool_id"])
    assert "".join(piece["function"]["arguments"] for piece in pieces["missing_arguments"]) == ""
    assert any(
        piece["function"]["arguments"] and not piece["function"]["arguments"].strip()
        for piece in pieces["whitespace_argument"]
    )
    assert pieces["unknown_tool"][0]["function"]["name"] == "no_such_tool"
    with pytest.raises(ValueError, match=r".+"):
        json.loads("".join(piece["function"]["arguments"] for piece in pieces["cut_arguments"]))


def test_a_signature_comes_late_and_alone(sim: Simulator) -> None:
    """After the last word, in an item without text."""
    came = streamed(sim, "", model="sim/late_signature")
    items = [
        (place, item)
        for place, event in enumerate(came.events[:-1])
        for choice in event["choices"]
        for item in choice["delta"].get("reasoning_details") or ()
    ]
    signed = [(place, item) for place, item in items if item.get("signature")]
    words = [p for p, e in enumerate(came.events[:-1]) for c in e["choices"] if c["delta"].get("content")]
    assert signed
    assert all(place > words[-1] and not item["text"] for place, item in signed)


@pytest.mark.parametrize("manner", ["echo", "repeat", "paraphrase", "greet", "drop_space", "plain"])
def test_how_a_continuation_begins(sim: Simulator, manner: str) -> None:
    """The rest of the same text follows, after whatever the manner puts before it."""
    model = "sim/fine"
    full = chat(sim, model).json["choices"][0]["message"]["content"]
    words = full.split(" ")
    partial = " ".join(words[:12])
    told = [*HI, {"role": "assistant", "content": partial}]
    went_on = chat(sim, model, fault=f"continue_{manner}", messages=told).json["choices"][0]["message"][
        "content"
    ]
    rest = full[len(partial) :]
    assert went_on.replace(" ", "").endswith(rest.replace(" ", ""))
    assert (went_on == rest) is (manner in ("echo", "plain"))
