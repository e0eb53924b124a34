"""The `usage` object of an answer → Usage, and the record of a generation. Nonsense in it never costs the answer."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from ..claims import MOST_UNITS
from ..money import to_units
from ..types import Usage
from .shapes import drawn, read_exact

# More tokens than this in one answer is a broken counter.
_MOST_TOKENS = 10**12

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=_MOST_TOKENS)] | None


class _Tokens(Struct, gc=False):
    """`prompt_tokens_details` and `completion_tokens_details`."""

    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    reasoning_tokens: _Count = None


class _Searches(Struct, gc=False):
    web_search_requests: _Count = None


class _Upstream(Struct, gc=False):
    upstream_inference_cost: Any = None


class Bill(Struct, gc=False):
    """What is read of a usage object, sums of money as they came: a number with a point as its text."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    cost: Any = None
    is_byok: bool | None = None
    prompt_tokens_details: _Tokens | None = None
    completion_tokens_details: _Tokens | None = None
    cost_details: _Upstream | None = None
    server_tool_use: _Searches | None = None
    server_tool_use_details: _Searches | None = None
    """The docs and the specification name it differently (wire reference 4.2); it is one count."""


BLANK = Bill()
"""What is read of an empty usage object, which is none, and of one that tells nothing we know."""
_NO_TOKENS = _Tokens()


def bill_of(found: object) -> Bill | None:
    """A usage object of any types (see `shapes.read_exact`) → what fits of it; None where it is none, or empty."""
    if not isinstance(found, dict) or not found:
        return None
    return Bill(
        prompt_tokens=_count(found, "prompt_tokens"),
        completion_tokens=_count(found, "completion_tokens"),
        total_tokens=_count(found, "total_tokens"),
        cost=found.get("cost"),
        is_byok=found.get("is_byok") is True,
        prompt_tokens_details=_tokens_of(drawn(found, "prompt_tokens_details")),
        completion_tokens_details=_tokens_of(drawn(found, "completion_tokens_details")),
        cost_details=_Upstream(drawn(found, "cost_details").get("upstream_inference_cost")),
        server_tool_use=_searches_of(drawn(found, "server_tool_use")),
        server_tool_use_details=_searches_of(drawn(found, "server_tool_use_details")),
    )


def _tokens_of(found: dict[str, Any]) -> _Tokens:
    return _Tokens(*(_count(found, name) for name in _Tokens.__struct_fields__))


def _searches_of(found: dict[str, Any]) -> _Searches:
    return _Searches(_count(found, "web_search_requests"))


def read_usage(found: object, before: Usage | None = None) -> Usage | None:
    """A usage object (numbers with a point as text, see `shapes.read_exact`) → Usage. See `usage_of`."""
    bill = bill_of(found)
    return before if bill is None else usage_of(bill, before)


def usage_of(bill: Bill, before: Usage | None) -> Usage:
    """The later one of an answer counts (wire reference, SSE-07), but one that tells no cost does not erase a cost
    that was told."""
    prompt = bill.prompt_tokens_details or _NO_TOKENS
    completion = bill.completion_tokens_details or _NO_TOKENS
    tokens_in, tokens_out = bill.prompt_tokens or 0, bill.completion_tokens or 0
    cost_units, cost_text = _money(bill.cost)
    upstream = bill.cost_details.upstream_inference_cost if bill.cost_details else None
    upstream_units = None if upstream is None else _money(upstream)[0]
    is_byok = bill.is_byok is True
    if is_byok and upstream_units is None:
        cost_units, cost_text = None, ""  # one of two bills is not the cost
    usage = Usage(
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        total_tokens=bill.total_tokens or tokens_in + tokens_out,
        cached_tokens=prompt.cached_tokens or 0,
        cache_write_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
        web_searches=_searches(bill) if bill.server_tool_use or bill.server_tool_use_details else 0,
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


def _searches(bill: Bill) -> int:
    told = (bill.server_tool_use, bill.server_tool_use_details)
    return max(one.web_search_requests or 0 for one in told if one is not None)


def _with_cost_of(usage: Usage, before: Usage) -> Usage:
    return replace(
        usage,
        cost_units=before.cost_units,
        cost_text=before.cost_text,
        upstream_units=before.upstream_units,
        is_byok=before.is_byok,
    )


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
