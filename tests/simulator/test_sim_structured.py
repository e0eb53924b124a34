"""Answers by a JSON schema, in each protocol, whole and streamed: the same valid JSON, and billed as any other answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from bytedeck.simulator import Simulator
from simclient import HI, MODEL, Came, ask

POINTS = {"type": "integer", "enum": [1, 2, 3]}
SIDE = {
    "type": "object",
    "properties": {"evidence": POINTS, "clarity": POINTS},
    "required": ["evidence", "clarity"],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "sides": {"type": "array", "items": SIDE, "minItems": 2, "maxItems": 2},
    },
    "required": ["reason", "sides"],
    "additionalProperties": False,
}
NAMED = {"name": "verdict", "strict": True, "schema": SCHEMA}
SKINS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/chat/completions",
        {"messages": HI, "response_format": {"type": "json_schema", "json_schema": NAMED}},
    ),
    "responses": ("/responses", {"input": "hi", "text": {"format": {"type": "json_schema", **NAMED}}}),
    "messages": (
        "/messages",
        {
            "messages": HI,
            "max_tokens": 2_000,
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        },
    ),
}


def said(skin: str, came: Came, is_stream: bool) -> str:
    """The text of an answer, in the form of its protocol."""
    if skin == "chat":
        return came.text if is_stream else came.json["choices"][0]["message"]["content"]
    if not is_stream:
        parts = came.json["content"] if skin == "messages" else came.json["output"][-1]["content"]
        return "".join(part["text"] for part in parts)
    events = [one for one in came.events if isinstance(one, dict)]
    if skin == "messages":
        return "".join(one["delta"].get("text", "") for one in events if one["type"] == "content_block_delta")
    return "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta")


@pytest.mark.parametrize("skin", SKINS)
def test_the_answer_fits_its_schema(skin: str) -> None:
    """Twice whole and once streamed, it is the same JSON; each costs what the account is charged."""
    path, body = SKINS[skin]
    with Simulator() as sim:
        texts = [
            said(skin, ask(sim, "POST", f"/api/v1{path}", {"model": MODEL, **body, **more}), bool(more))
            for more in ({}, {}, {"stream": True})
        ]
        spent = [Decimal(row["cost"]) for row in sim.ledger()]
    assert len(set(texts)) == 1
    jsonschema_rs.validator_for(SCHEMA).validate(json.loads(texts[0]))
    assert len(spent) == 3
    assert len(set(spent)) == 1
    assert spent[0] > 0


def test_another_prompt_gets_another_answer() -> None:
    """By the prompt alone: the schema fixes the form, not the values."""
    path, body = SKINS["chat"]
    with Simulator() as sim:
        texts = {
            said(
                "chat", ask(sim, "POST", f"/api/v1{path}", {"model": MODEL, **body, "messages": asked}), False
            )
            for asked in ([{"role": "user", "content": f"hi {number}"}] for number in range(5))
        }
    assert len(texts) == 5


def test_an_answer_that_is_cut_is_no_json() -> None:
    """As with a real model: max_tokens knows nothing of braces."""
    path, body = SKINS["chat"]
    with Simulator() as sim:
        came = ask(sim, "POST", f"/api/v1{path}", {"model": MODEL, **body, "max_tokens": 3})
    assert came.json["choices"][0]["finish_reason"] == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(said("chat", came, False))
