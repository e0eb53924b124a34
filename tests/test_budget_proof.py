"""Processes, kills, hedges and hang-ups against one hard budget: the simulator's own ledger says it was never passed."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bytedeck.ledger.entry import join, lost
from marks import intent, settlement, unknown

sys.path.append(str(Path(__file__).parents[1] / "bench"))  # last, for it has an `upstream` of its own

import budget
from kill import Books


def test_two_processes_spend_a_budget() -> None:
    """Never over it, at no moment; at the end nothing is held and less than one worst case is left."""
    assert not budget.budget(processes=2, tasks=14, kills=2, usd="0.008", seed="7")


COST = Decimal("0.000093")
WORST = 100_000_000


def _row(number: int, marks: Any, owner: str = "99-1-ab") -> Any:
    asked = intent(number, f"{number:032x}", worst_units=WORST)
    return join(asked, 0, owner, None, marks, 1 if marks is not None else None)


def _answered(number: int) -> Any:
    return _row(number, settlement(number, f"{number:032x}", generation_id=f"gen-{number}"))


def _unheard(number: int, **fields: Any) -> Any:
    return _row(number, unknown(number, f"{number:032x}", **({"generation_id": ""} | fields)))


def _lost(number: int, owner: str) -> Any:
    name = f"{number:032x}"
    return _row(number, lost(f"{name}-{number}", "m/one", ""), owner)


def _books(*rows: Any, hits: tuple[int, ...] = (1, 2), cost: Decimal = COST) -> Books:
    return Books(
        list(rows),
        [(f"{number:032x}", f"gen-{number}") for number in hits],
        {f"gen-{number}": cost for number in hits},
    )


GOOD = (_answered(1), _answered(2))


@pytest.mark.parametrize(
    ("books", "limit", "says"),
    [
        (_books(*GOOD), 186_000_000, ""),
        (_books(*GOOD), 185_999_999, "0.000186 was charged, of 0.000185999999"),
        (_books(*GOOD, cost=Decimal("0.000101")), 10**12, "cost 0.000101, and at worst 100000000 units"),
        (_books(*GOOD, cost=Decimal("0.000092")), 10**12, "says 0.000093, charged were 0.000092"),
        (_books(GOOD[0]), 10**12, "has 1 hits, 0 attempts"),
        (_books(GOOD[0], _row(2, None)), 10**12, "is open"),
        (_books(GOOD[0], _unheard(2, outcome="lost_race")), 10**12, ""),
        (_books(GOOD[0], _unheard(2)), 10**12, "is truncated, and its cost unknown"),
        (_books(GOOD[0], _lost(2, "12-34-ab")), 10**12, ""),
        (_books(GOOD[0], _lost(2, "99-1-ab")), 10**12, "its process was not killed"),
    ],
)  # fmt: skip
def test_the_judge_finds_what_is_wrong(books: Books, limit: int, says: str) -> None:
    """A budget that was passed, a worst case that was none, a hit or a unit too many do not pass."""
    told = budget.broken(books, limit, killed=[12])
    assert bool(told) == bool(says), told
    assert says in " ".join(told)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"most": 1_001}, "was spent and held at once"),
        ({"held": 1}, "is held, and nobody asks"),
        ({"spent": 900}, "is left, and"),
        ({"worst": 0}, "is left, and"),
    ],
)
def test_the_judge_looks_at_the_account(changed: dict[str, int], says: str) -> None:
    """Too much at any moment, something held at the end, or more than one worst case left do not pass."""
    told = budget.unsettled(
        **({"spent": 901, "held": 0, "most": 1_000, "limit": 1_000, "worst": 100} | changed)
    )
    assert bool(told) == bool(says), told
    assert says in " ".join(told)
