"""Limits of `:free` models and of the data endpoints."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.money.accounts import Account
from bytedeck.simulator.money.limits import Ceilings, Limits
from bytedeck.simulator.shapes import Refusal
from sim_calls import NOON, told

ALL = catalogue.load()
FREE = ALL.find("meta-llama/llama-3.3-70b-instruct:free")
OTHER = ALL.find("qwen/qwen3-coder:free")
PAID = ALL.find("openai/gpt-4o")
MIDNIGHT = NOON + 12 * 3600


def account(bought: str = "10") -> Account:
    return Account(id="a", bought=Decimal(bought))


def refused(limits: Limits, who: Account, now: float, model: object = FREE) -> Refusal:
    with pytest.raises(Refusal) as caught:
        limits.admit(who, model, now)  # type: ignore[arg-type]
    assert told(caught.value)[:2] == (429, "rate_limit_exceeded")
    assert caught.value.metadata["headers"] == caught.value.headers
    return caught.value


def test_the_21st_free_request_within_a_minute_waits_for_the_first_to_be_a_minute_old() -> None:
    limits, who = Limits(), account()
    for number in range(20):
        limits.admit(who, FREE if number % 2 else OTHER, NOON + number)
    said = refused(limits, who, NOON + 59.9)
    assert said.message == "Rate limit exceeded: free-models-per-min. "
    assert said.headers == {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int((NOON + 60) * 1000)),
    }
    limits.admit(who, FREE, NOON + 60)
    refused(limits, who, NOON + 60)
    limits.admit(who, FREE, NOON + 61)


@pytest.mark.parametrize(
    ("bought", "daily", "words"),
    [
        ("0", 50, "free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"),
        ("9.99", 50, "free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"),
        ("10", 1000, "free-models-per-day-high-balance. "),
    ],
)
def test_a_utc_day_has_so_many_free_requests_by_what_was_ever_bought(
    bought: str, daily: int, words: str
) -> None:
    limits, who = Limits(), account(bought)
    for number in range(daily):
        limits.admit(who, FREE, NOON + number * 3)
    late = NOON + daily * 3 + 70
    assert limits.today(who, late) == {"limit": daily, "used": daily, "remaining": 0}
    said = refused(limits, who, late)
    assert said.message == f"Rate limit exceeded: {words}"
    assert said.headers["X-RateLimit-Limit"] == str(daily)
    assert said.headers["X-RateLimit-Reset"] == str(int(MIDNIGHT * 1000))
    refused(limits, who, MIDNIGHT - 0.001)
    limits.admit(who, FREE, MIDNIGHT)
    assert limits.today(who, MIDNIGHT)["used"] == 1


def test_what_was_used_counts_after_credits_were_bought() -> None:
    limits, who = Limits(), account("0")
    for number in range(50):
        limits.admit(who, FREE, NOON + number * 3)
    who.bought = Decimal(10)
    assert limits.today(who, NOON + 200) == {"limit": 1000, "used": 50, "remaining": 950}
    limits.admit(who, FREE, NOON + 200)


def test_a_refused_request_does_not_count() -> None:
    limits, who = Limits(Ceilings(per_minute=1)), account()
    limits.admit(who, FREE, NOON)
    for _ in range(5):
        refused(limits, who, NOON + 1)
    assert limits.today(who, NOON)["used"] == 1


def test_accounts_are_counted_apart_and_paid_models_not_at_all() -> None:
    limits = Limits(Ceilings(per_minute=1))
    limits.admit(Account(id="a"), FREE, NOON)
    limits.admit(Account(id="b"), FREE, NOON)
    for _ in range(100):
        limits.admit(Account(id="a"), PAID, NOON)
    refused(limits, Account(id="a"), NOON, OTHER)


def test_data_endpoints_are_limited_per_key_by_the_minute_and_per_account_by_the_day() -> None:
    limits, who = Limits(Ceilings(data_per_minute=2, data_per_day=5)), account()
    for key in ("one", "one", "two", "two"):
        limits.admit_data(key, who, NOON)
    with pytest.raises(Refusal) as minute:
        limits.admit_data("one", who, NOON + 1)
    limits.admit_data("three", who, NOON + 1)
    with pytest.raises(Refusal) as day:
        limits.admit_data("four", who, NOON + 100)
    limits.admit_data("one", who, MIDNIGHT)
    assert minute.value.headers["X-RateLimit-Limit"] == "2"
    assert day.value.headers["X-RateLimit-Reset"] == str(int(MIDNIGHT * 1000))
    assert limits.today(who, NOON)["used"] == 0
