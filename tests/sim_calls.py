"""What the tests of the simulator's catalogue, money and cache ask with."""

from __future__ import annotations

import json
from typing import Any

from bytedeck.simulator.money.generations import Generation
from bytedeck.simulator.shapes import Bill, Call, Counts, Model, Refusal

NOON = 1_782_907_200.0
"""Wednesday 1 July 2026, 12:00:00 UTC."""


def call(text: str = "Hello", *, skin: Any = "chat", stream: bool = False, **fields: Any) -> Call:
    """A checked request; `body` and `raw` agree with it unless given."""
    messages = fields.pop("messages", ({"role": "user", "content": text},))
    body = fields.pop("body", {"model": "openai/gpt-4o", "messages": list(messages)})
    raw = fields.pop("raw", json.dumps(body).encode())
    return Call(
        skin=skin,
        body=body,
        raw=raw,
        models=("openai/gpt-4o",),
        stream=stream,
        messages=tuple(messages),
        **fields,
    )


def generation(name: str, model: Model, bill: Bill, **fields: Any) -> Generation:
    """An inference that began at NOON and took two seconds."""
    known: dict[str, Any] = {
        "provider": model.providers[0],
        "skin": "chat",
        "counts": Counts(prompt=100, completion=20),
        "created": NOON,
        "first_token": NOON + 0.5,
        "ended": NOON + 2,
    }
    return Generation(id=name, model=model, bill=bill, **(known | fields))


def told(refusal: Refusal) -> tuple[int, str, str]:
    """Status, error_type and availability code of a refusal."""
    return refusal.status, refusal.error_type, (refusal.availability or {}).get("code", "")
