"""Marks of made-up attempts, and a store's verdict waited for."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from bytedeck.claims import GRANTED as GRANTED
from bytedeck.claims import Claim
from bytedeck.io.store import Store, Verdict
from bytedeck.types import Intent, Settlement, Usage

REQUEST = "0123456789abcdef0123456789abcdef"
USAGE = Usage(
    prompt_tokens=100,
    completion_tokens=50,
    total_tokens=150,
    cached_tokens=30,
    cache_write_tokens=4,
    reasoning_tokens=20,
    web_searches=2,
    cost_units=93_000_000,
    cost_text="0.000093",
    upstream_units=80_000_000,  # told, but not to be added: the key was not one's own
)


def intent(number: int = 1, request: str = REQUEST, **fields: Any) -> Intent:
    """Attempt `number` of a request."""
    values: dict[str, Any] = {"task": "coding", "model": "m/one", "key": "home", "streamed": True}
    values |= {"worst_units": 5_000_000} | fields
    return Intent(attempt=f"{request}-{number}", request=request, number=number, **values)


def settlement(number: int = 1, request: str = REQUEST, **fields: Any) -> Settlement:
    """How it ended: answered for $0.000093, unless `fields` say otherwise."""
    values: dict[str, Any] = {"outcome": "answered", "quality": "reported", "usage": USAGE}
    values |= {"cost_units": 93_000_000, "cost_text": "0.000093", "model": "m/one-2026", "provider": "P"}
    values |= {"generation_id": "gen-1", "finish_reason": "stop", "first_token": 0.25, "seconds": 1.5}
    return Settlement(attempt=f"{request}-{number}", **(values | fields))


def unknown(number: int = 1, request: str = REQUEST, **fields: Any) -> Settlement:
    """A settlement whose cost nobody told."""
    values: dict[str, Any] = {"outcome": "truncated", "quality": "unknown", "usage": None}
    values |= {"cost_units": None, "cost_text": ""} | fields
    return settlement(number, request, **values)


def begin(store: Store, row: Intent, timeout: float = 20.0, claim: Claim | None = None) -> Verdict:
    """The store's verdict."""
    told: SimpleQueue[Verdict] = SimpleQueue()
    store.begin(row, told.put, claim)
    return told.get(timeout=timeout)
