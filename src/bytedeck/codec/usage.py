"""The `usage` object of an answer → Usage, and the record of a generation. Nonsense in it never costs the answer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..claims import MOST_UNITS
from ..money import to_units
from ..types import Usage
from .shapes import drawn, read_exact

# More tokens than this in one answer is a broken counter.
_MOST_TOKENS = 10**12


def read_usage(found: object, before: Usage | None = None) -> Usage | None:
    """A usage object (numbers with a point as text, see `shapes.read_exact`) → Usage.

    The later one of an answer counts (wire reference, SSE-07), but one that tells no cost does
    not erase a cost that was told.
    """
    if not isinstance(found, dict) or not found:
        return before
    prompt, completion = drawn(found, "prompt_tokens_details"), drawn(found, "completion_tokens_details")
    tokens_in, tokens_out = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    cost_units, cost_text = _money(found.get("cost"))
    upstream_units, _ = _money(drawn(found, "cost_details").get("upstream_inference_cost"))
    is_byok = found.get("is_byok") is True
    if is_byok and upstream_units is None:
        cost_units, cost_text = None, ""  # one of two bills is not the cost
    usage = Usage(
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        total_tokens=_count(found, "total_tokens") or tokens_in + tokens_out,
        cached_tokens=_count(prompt, "cached_tokens"),
        cache_write_tokens=_count(prompt, "cache_write_tokens"),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
        web_searches=_searches(found),
        cost_units=cost_units,
        upstream_units=upstream_units,
        is_byok=is_byok,
        cost_text=cost_text,
    )
    if cost_units is None and before is not None and before.cost_units is not None:
        return _with_cost_of(usage, before)
    return usage


def read_generation(body: bytes) -> Usage | None:
    """What `GET /generation` tells of an attempt (wire reference, section 8) → Usage; None where it tells no cost.

    Tokens are by the model's own tokenizer where that is told. What the provider charges is told only for a key of
    one's own: it is never part of the cost, and to be added to it only there.
    """
    found = drawn(read_exact(body), "data")
    # Both are the same sum; should they ever differ, `usage` is what was charged.
    cost_units, cost_text = _money(found.get("usage"))
    if cost_units is None:
        cost_units, cost_text = _money(found.get("total_cost"))
    if cost_units is None:
        return None
    tokens_in, tokens_out = _tokens(found, "prompt"), _tokens(found, "completion")
    return Usage(
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        total_tokens=tokens_in + tokens_out,
        cached_tokens=_count(found, "native_tokens_cached"),
        reasoning_tokens=_count(found, "native_tokens_reasoning"),
        cost_units=cost_units,
        upstream_units=_money(found.get("upstream_inference_cost"))[0],
        is_byok=found.get("is_byok") is True,
        cost_text=cost_text,
    )


def _tokens(found: dict[str, Any], which: str) -> int:
    native = f"native_tokens_{which}"
    return _count(found, f"tokens_{which}" if found.get(native) is None else native)


def _with_cost_of(usage: Usage, before: Usage) -> Usage:
    return replace(
        usage,
        cost_units=before.cost_units,
        cost_text=before.cost_text,
        upstream_units=before.upstream_units,
        is_byok=before.is_byok,
    )


def _searches(found: dict[str, Any]) -> int:
    """The docs and the specification name it differently (wire reference 4.2); it is one count."""
    named, detailed = drawn(found, "server_tool_use"), drawn(found, "server_tool_use_details")
    return max(_count(named, "web_search_requests"), _count(detailed, "web_search_requests"))


def _count(found: dict[str, Any], key: str) -> int:
    """A number of tokens; 0 for what is none."""
    value = found.get(key)
    if type(value) is int:  # as counts come; a bool is none
        return value if 0 <= value <= _MOST_TOKENS else 0
    if isinstance(value, str):
        whole, _, fraction = value.partition(".")
        # Twelve digits hold every real count; int() refuses texts of thousands of digits.
        if whole.isascii() and whole.isdigit() and len(whole) < 13 and not fraction.strip("0"):
            return int(whole)
    return 0


def _money(value: object) -> tuple[int | None, str]:
    """A cost → units and the provider's own text; None for what is no sum that can be charged."""
    if type(value) is not int and type(value) is not str:  # a bool is no sum
        return None, ""
    try:
        units = to_units(value)
    except ValueError:
        return None, ""
    return (units, str(value)) if 0 <= units <= MOST_UNITS else (None, "")
