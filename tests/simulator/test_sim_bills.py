"""What an answer costs, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.simulator.money import bills
from bytedeck.simulator.money.generations import discount
from bytedeck.simulator.shapes import Counts, Price

D = Decimal
CLAUDE = Price(
    prompt=D("0.000003"),
    completion=D("0.000015"),
    web_search=D("0.01"),
    input_cache_read=D("0.0000003"),
    input_cache_write=D("0.00000375"),
    input_cache_write_1h=D("0.000006"),
)
PLAIN = Price(prompt=D("0.000001"), completion=D("0.000002"))
PAINTER = Price(prompt=D("0.0000003"), completion=D("0.0000025"), image=D("0.001"), image_output=D("0.00003"))
THINKER = Price(prompt=D("0.000002"), completion=D("0.000012"), internal_reasoning=D("0.000001"))
SEARCHER = Price(prompt=D("0.000001"), completion=D("0.000001"), request=D("0.005"), web_search=D("0.005"))
RERANKER = Price(prompt=D(0), completion=D(0), request=D("0.001"))


@pytest.mark.parametrize(
    ("price", "counts", "cost"),
    [
        (PLAIN, Counts(prompt=31, completion=31), "0.000093"),
        (PLAIN, Counts(prompt=10, completion=10, reasoning=6), "0.000030"),
        (PLAIN, Counts(prompt=2000, completion=1, cached=1024), "0.002002"),
        (CLAUDE, Counts(prompt=2000, cached=1024), "0.0032352"),
        (CLAUDE, Counts(prompt=2000, cache_write=1024), "0.006768"),
        (CLAUDE, Counts(prompt=2000, cache_write=1024, cache_write_1h=1024), "0.009072"),
        (CLAUDE, Counts(prompt=2000, cached=1024, cache_write=512, completion=100), "0.0051192"),
        (CLAUDE, Counts(prompt=1, completion=1, web_searches=2), "0.020018"),
        (PLAIN, Counts(prompt=1, completion=1, web_searches=1), "0.007003"),
        (PAINTER, Counts(prompt=10, completion=1300, images=1290), "0.038728"),
        (PAINTER, Counts(prompt=10, completion=10, input_images=2), "0.002028"),
        (THINKER, Counts(prompt=10, completion=100, reasoning=60), "0.000560"),
        (SEARCHER, Counts(prompt=10, completion=10), "0.00502"),
        (RERANKER, Counts(prompt=50), "0.001"),
        (RERANKER, Counts(prompt=50, search_units=3), "0.003"),
    ],
)
def test_a_bill_is_counts_times_prices(price: Price, counts: Counts, cost: str) -> None:
    made = bills.bill(counts, price)
    assert made.cost == made.upstream == D(cost)
    assert not made.is_byok


def test_upstream_is_told_for_ordinary_requests_too_and_equals_the_cost() -> None:
    made = bills.bill(Counts(prompt=10, completion=5), PLAIN)
    assert (made.cost, made.upstream) == (D("0.000020"), D("0.000020"))
    assert (made.upstream_prompt, made.upstream_completion) == (D("0.000010"), D("0.000010"))


@pytest.mark.parametrize(("factor", "cost"), [("1", "0.000020"), ("0.5", "0.000010"), ("2", "0.000040")])
def test_the_tier_that_served_multiplies_the_tokens_price(factor: str, cost: str) -> None:
    assert bills.bill(Counts(prompt=10, completion=5), PLAIN, factor=D(factor)).cost == D(cost)


@pytest.mark.parametrize(
    ("allowance", "cost"),
    [("25000", "0"), ("0.005", "0"), ("0.003", "0.0001"), ("0", "0.00025"), ("-7", "0.00025")],
)
def test_ones_own_key_pays_the_provider_elsewhere_and_the_fee_only_above_the_allowance(
    allowance: str, cost: str
) -> None:
    made = bills.bill(Counts(prompt=1000, completion=2000), PLAIN, byok=True, allowance=D(allowance))
    assert (made.cost, made.upstream, made.is_byok) == (D(cost), D("0.005"), True)


@pytest.mark.parametrize(
    ("completion", "finish", "searches", "cost"),
    [
        (0, None, 0, "0"),
        (0, "", 0, "0"),
        (0, "stop", 0, "0.000010"),
        (7, "error", 0, "0"),
        (0, "error", 2, "0.014"),
        (5, None, 0, "0.000020"),
        (5, "length", 0, "0.000020"),
    ],
)
def test_nothing_said_costs_nothing_but_its_searches(
    completion: int, finish: str | None, searches: int, cost: str
) -> None:
    counts = Counts(prompt=10, completion=completion, web_searches=searches)
    assert bills.bill(counts, PLAIN, finish_reason=finish).cost == D(cost)


@pytest.mark.parametrize(
    ("counts", "saved"),
    [
        (Counts(prompt=2000), None),
        (Counts(prompt=2000, cached=1000), "0.0027"),
        (Counts(prompt=2000, cache_write=1000), "-0.00075"),
        (Counts(prompt=2000, cache_write=1000, cache_write_1h=1000), "-0.003"),
    ],
)
def test_the_cache_discount_is_what_the_cache_saved(counts: Counts, saved: str | None) -> None:
    assert discount(counts, CLAUDE) == (None if saved is None else D(saved))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_with_the_discount_added_back_the_prompt_costs_its_list_price(
    fresh: int, cached: int, written: int, completion: int
) -> None:
    counts = Counts(
        prompt=fresh + cached + written, cached=cached, cache_write=written, completion=completion
    )
    whole = bills.bill(Counts(prompt=counts.prompt, completion=completion), CLAUDE)
    assert bills.bill(counts, CLAUDE).cost + (discount(counts, CLAUDE) or 0) == whole.cost
