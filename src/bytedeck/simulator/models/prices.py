"""What a price list's strings mean: exact decimals, overrides by prompt size, UTC window and weekday. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from ..shapes import Price

DYNAMIC = Price(prompt=Decimal(0), completion=Decimal(0), dynamic=True)
"""The list says "-1": who answers sets the price."""

FIELDS = (
    "prompt",
    "completion",
    "request",
    "image",
    "web_search",
    "internal_reasoning",
    "input_cache_read",
    "input_cache_write",
    "input_cache_write_1h",
    "image_output",
)


def base_price(pricing: dict[str, Any]) -> Price:
    """A price list's prices under default conditions."""
    if pricing["prompt"].startswith("-"):
        return DYNAMIC
    return msgspec.convert({name: pricing[name] for name in FIELDS if name in pricing}, Price)


def price_at(base: Price, overrides: Sequence[dict[str, Any]], prompt_tokens: int, now: float) -> Price:
    """The prices of one request: of the entries whose conditions all hold, the later one wins, key by key."""
    moment = datetime.fromtimestamp(now, UTC)
    for entry in overrides:
        if applies(entry, prompt_tokens, moment):
            base = replace(base, **{name: Decimal(entry[name]) for name in FIELDS if name in entry})
    return base


def applies(entry: dict[str, Any], prompt_tokens: int, moment: datetime) -> bool:
    """Whether all conditions of an override hold."""
    if "min_prompt_tokens" in entry and prompt_tokens <= entry["min_prompt_tokens"]:
        return False  # strictly greater
    if "utc_days" in entry and moment.strftime("%A").lower() not in entry["utc_days"]:
        return False
    if "utc_start" not in entry:
        return True
    start, end = int(entry["utc_start"]), int(entry["utc_end"])
    clock = moment.hour * 100 + moment.minute
    return start <= clock < end if start <= end else clock >= start or clock < end
