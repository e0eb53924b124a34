"""`usage` → Usage: exact money, both spellings, and nothing that nonsense can break (USE-01 to USE-04)."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from bytedeck.codec.shapes import read_exact
from bytedeck.codec.usage import read_generation, read_usage
from bytedeck.money import to_units, to_usd
from bytedeck.types import Usage


def usage_in(text: str, before: Usage | None = None) -> Usage:
    usage = read_usage(read_exact(text.encode()), before)
    assert usage is not None
    return usage


@pytest.mark.parametrize(
    ("cost", "usd", "text"),
    [
        ("0.000093", "0.000093", "0.000093"),
        ("9.3e-05", "0.000093", "9.3e-05"),
        ("0.1", "0.1", "0.1"),
        ("0.30000000000000004", "0.3", "0.30000000000000004"),
        ("1.0000000000005", "1", "1.0000000000005"),
        ("0.1234567890125", "0.123456789012", "0.1234567890125"),
        ("0", "0", "0"),
        ("3", "3", "3"),
        ('"0.25"', "0.25", "0.25"),
        ("1e-400", "0", "1e-400"),
    ],
)
def test_the_cost_is_the_decimal_text_of_the_wire(cost: str, usd: str, text: str) -> None:
    """Never through a binary float; more than twelve decimals are rounded half-even, the text kept."""
    usage = usage_in(f'{{"cost": {cost}}}')
    assert usage.cost_units is not None
    assert (to_usd(usage.cost_units), usage.cost_text) == (Decimal(usd), text)


@pytest.mark.parametrize(
    "cost", ["null", '"much"', "-0.1", "true", "[]", '"NaN"', '"Infinity"', "1e999999", "1e12", '""']
)
def test_a_cost_that_is_none_is_not_told(cost: str) -> None:
    """USE-04: unknown, not 0."""
    usage = usage_in(f'{{"cost": {cost}, "prompt_tokens": 1}}')
    assert (usage.cost_units, usage.cost_text) == (None, "")


def test_own_keys_add_the_providers_price() -> None:
    """USE-01, USE-02: the provider's price counts only where the key was one's own."""
    text = '{"cost": 0.002, "is_byok": %s, "cost_details": {"upstream_inference_cost": 0.036}}'
    assert usage_in(text % "false").spend_units == 2_000_000_000
    assert usage_in(text % "true").spend_units == 38_000_000_000


def test_one_bill_of_two_is_not_the_cost() -> None:
    """With a key of one's own and the provider's price untold, what was spent is not known; a cost told before stays."""
    half = usage_in('{"cost": 0.002, "is_byok": true, "prompt_tokens": 1}')
    assert (half.cost_units, half.cost_text, half.spend_units) == (None, "", None)
    whole = usage_in('{"cost": 0.002, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.036}}')
    assert usage_in('{"cost": 0.002, "is_byok": true}', whole).spend_units == 38_000_000_000


def test_every_count() -> None:
    """And a total that was left out."""
    usage = usage_in(
        '{"prompt_tokens": 10, "completion_tokens": "4", "prompt_tokens_details": {"cached_tokens": 3.0, "cache_write_tokens": 2},'
        ' "completion_tokens_details": {"reasoning_tokens": 1}, "server_tool_use": {"web_search_requests": 2}}'
    )
    assert usage == Usage(
        prompt_tokens=10,
        completion_tokens=4,
        total_tokens=14,
        cached_tokens=3,
        cache_write_tokens=2,
        reasoning_tokens=1,
        web_searches=2,
    )


@pytest.mark.parametrize(
    ("text", "searches"),
    [
        ('{"server_tool_use": {"web_search_requests": 2}}', 2),
        ('{"server_tool_use_details": {"web_search_requests": 3, "tool_calls_requested": 9}}', 3),
        (
            '{"server_tool_use": {"web_search_requests": 2}, "server_tool_use_details": {"web_search_requests": 2}}',
            2,
        ),
        ('{"server_tool_use": null, "server_tool_use_details": []}', 0),
    ],
)
def test_searches_by_either_name_are_counted_once(text: str, searches: int) -> None:
    """Wire reference 4.2 and 12, row 6."""
    assert usage_in(text).web_searches == searches


@pytest.mark.parametrize(
    "count", ["-1", "1.5", '"x"', "null", "true", "[]", "1e15", '"²"', "9" * 30, '"' + "9" * 5000 + '"']
)
def test_a_count_that_is_none_is_zero(count: str) -> None:
    """Whatever stands there."""
    assert usage_in(f'{{"prompt_tokens": {count}, "completion_tokens": 1}}').prompt_tokens == 0


@pytest.mark.parametrize("found", [None, {}, [], "x", 5, True])
def test_no_usage_leaves_what_there_was(found: Any) -> None:
    """A null in a later chunk erases nothing."""
    before = Usage(prompt_tokens=1)
    assert read_usage(found) is None
    assert read_usage(found, before) is before


def test_the_later_usage_counts_but_erases_no_cost() -> None:
    """SSE-07: counts of the later one; a cost that only the first one told stays."""
    first = usage_in(
        '{"prompt_tokens": 1, "cost": 0.5, "is_byok": true, "cost_details": {"upstream_inference_cost": 1}}'
    )
    later = usage_in('{"prompt_tokens": 2}', first)
    assert (later.prompt_tokens, later.cost_units, later.cost_text, later.is_byok) == (
        2,
        5 * 10**11,
        "0.5",
        True,
    )
    assert later.upstream_units == 10**12
    assert usage_in('{"cost": 0.25}', later).cost_units == 25 * 10**10
    assert usage_in('{"prompt_tokens": 2}', Usage(prompt_tokens=1)).cost_units is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ('"usage": 0.0015, "total_cost": 0.0015', Usage(cost_units=1_500_000_000, cost_text="0.0015")),
        ('"usage": 9.3e-05', Usage(cost_units=93_000_000, cost_text="9.3e-05")),
        ('"total_cost": 0.1', Usage(cost_units=10**11, cost_text="0.1")),
        ('"usage": null, "total_cost": 0', Usage(cost_units=0, cost_text="0")),
        # The provider's bill is part of what was spent for a key of one's own, and of nothing else.
        (
            '"usage": 0.0018, "is_byok": true, "upstream_inference_cost": 0.036',
            Usage(cost_units=1_800_000_000, cost_text="0.0018", is_byok=True, upstream_units=36 * 10**9),
        ),
        (
            '"usage": 0.0015, "is_byok": false, "upstream_inference_cost": 0.0012',
            Usage(cost_units=1_500_000_000, cost_text="0.0015", upstream_units=1_200_000_000),
        ),
        # Tokens by the model's own tokenizer; the other count only where that is missing.
        (
            '"usage": 0, "tokens_prompt": 9, "native_tokens_prompt": 10, "tokens_completion": 25,'
            ' "native_tokens_completion": null, "native_tokens_cached": 3, "native_tokens_reasoning": 5',
            Usage(
                prompt_tokens=10, completion_tokens=25, total_tokens=35, cached_tokens=3, reasoning_tokens=5,
                cost_units=0, cost_text="0",
            ),
        ),
        ('"usage": 0, "native_tokens_prompt": "many"', Usage(cost_units=0, cost_text="0")),
        ('"usage": -1, "total_cost": true', None),
        ('"id": "gen-1"', None),
    ],
)  # fmt: skip
def test_a_generations_record(told: str, expected: Usage | None) -> None:
    """`GET /generation` → Usage, exact; None where it tells no cost."""
    found = read_generation(f'{{"data": {{{told}}}}}'.encode())
    assert found == expected
    if found is not None:
        assert found.spend_units == (found.cost_units or 0) + (36 * 10**9 if found.is_byok else 0)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"<html>", b'{"data": []}', b'{"usage": 1}', b"{" * 5000]
)
def test_no_record(body: bytes) -> None:
    """What is none tells nothing, and does no harm."""
    assert read_generation(body) is None


@pytest.mark.parametrize(
    "whole", ["", "0", "7", "123456789", "1234567890", "-1", "+1", "1_0", " 1", "٣", "²"]
)
@pytest.mark.parametrize(
    "fraction", ["", "0", "000378", "123456789012", "1234567890125", "5e-3", "1_0", "5 ", "٣", "²", "1.1"]
)
def test_a_sum_is_read_as_a_decimal_would_be(whole: str, fraction: str) -> None:
    """However it is written: what costs usually look like is read by a shorter way."""
    text = f"{whole}.{fraction}"
    try:
        usd = Decimal(text)
        told = to_units(usd)
    except (InvalidOperation, ValueError):
        with pytest.raises(ValueError, match="not an amount"):
            to_units(text)
    else:
        assert to_units(text) == told
