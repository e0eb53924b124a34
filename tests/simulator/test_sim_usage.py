"""Usage and cost told in odd ways: where they stand, how they are written, and what is charged."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.money import accounts
from simclient import Came, chat, streamed

SAY = [{"role": "user", "content": "[[sim: tokens=9]] Hello"}]
USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


def chunks(came: Came) -> list[Any]:
    """Without [DONE]."""
    return came.events[:-1]


def told(came: Came) -> list[int]:
    """Numbers of the chunks that have a usage."""
    return [number for number, event in enumerate(chunks(came)) if "usage" in event]


@pytest.mark.parametrize(
    ("at", "places"), [("first", [0]), ("middle", [5]), ("finish", [10]), ("each", list(range(11)))]
)
def test_the_usage_stands_where_it_is_wanted(sim: Simulator, at: str, places: list[int]) -> None:
    """In that chunk and in no other, not in one of its own; the last one that tells a cost tells all."""
    plain, came = streamed(sim, "", messages=SAY), streamed(sim, f"usage_at;at={at}", messages=SAY)
    assert (came.text, len(chunks(came))) == (plain.text, len(chunks(plain)) - 1)
    assert told(plain) == [len(chunks(plain)) - 1]
    assert told(came) == places
    assert chunks(came)[places[-1]]["usage"] == chunks(plain)[-1]["usage"]
    assert [row["cost"] for row in sim.ledger()] == [sim.ledger()[0]["cost"]] * 2


def test_a_usage_in_each_chunk_grows(sim: Simulator) -> None:
    """Tokens so far, and no cost before the last."""
    found = [event["usage"] for event in chunks(streamed(sim, "usage_at;at=each", messages=SAY))]
    assert [usage["completion_tokens"] for usage in found] == [*range(10), 9]
    assert all(usage["total_tokens"] == sum(usage[name] for name in USAGE[:2]) for usage in found)
    assert ["cost" in usage for usage in found] == [False] * 10 + [True]


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_without_a_cost(sim: Simulator, stream: bool) -> None:
    """No word of money, and it is charged all the same."""
    came = chat(sim, fault="no_cost", stream=stream)
    usage = chunks(came)[-1]["usage"] if stream else came.json["usage"]
    assert all(usage[name] for name in USAGE)
    assert b"cost" not in came.body
    assert Decimal(sim.ledger()[0]["cost"]) > 0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("cost", ["1e-7", "1E-07", "9.3e-05", "0.00009312345678901234", "0", "999.5"])
def test_a_cost_is_told_as_it_is_written(sim: Simulator, cost: str, stream: bool) -> None:
    """Sign by sign; and exactly that is charged."""
    before = sim.do(lambda world: world.bank.accounts["sim"].balance)
    came = chat(sim, fault=f"odd_cost;cost={cost}", stream=stream)
    assert re.findall(rb'"cost":([^,}]+)', came.body) == [cost.encode()]
    (row,) = sim.ledger()
    assert Decimal(row["cost"]) == Decimal(row["upstream"]) == Decimal(cost)
    assert before - sim.do(lambda world: world.bank.accounts["sim"].balance) == Decimal(cost)


def test_ones_own_key_pays_the_provider_as_ever(sim: Simulator) -> None:
    """Only what OpenRouter charges is another."""
    own = {"Authorization": f"Bearer {accounts.BYOK_OVER}"}
    for fault in ("", "odd_cost;cost=1e-7"):
        chat(sim, fault=fault, headers=own)
    usual, odd = sim.ledger()
    assert (odd["cost"], odd["upstream"], odd["is_byok"]) == ("0.0000001", usual["upstream"], True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("usage_at;at=last", "first, middle, finish or each"),
        ("odd_cost;cost=-1", "an amount below 1000"),
        ("odd_cost;cost=.5", "an amount below 1000"),
        ("odd_cost;cost=1e400", "an amount below 1000"),
        ("odd_cost;cost=NaN", "an amount below 1000"),
        ("odd_cost;cost=0.000000000000000000001", "an amount below 1000"),
    ],
)
def test_what_cannot_be_meant_is_told(sim: Simulator, fault: str, words: str) -> None:
    """A 400 that says what would do; nothing is charged."""
    came = chat(sim, fault=fault)
    assert (came.status, words in came.json["error"]["message"]) == (400, True)
    assert sim.ledger() == []
