"""kill -9 under load: after the sweep and the look-up our books are the simulator's."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bytedeck.ledger.entry import Reconciliation, join, lost
from marks import intent, settlement

sys.path.append(str(Path(__file__).parents[1] / "bench"))  # last, for it has an `upstream` of its own

import kill


def test_twenty_kills() -> None:
    """Every hit has its one attempt, what was named costs what was charged, the rest is no more than was in flight."""
    assert not kill.kill(20, "7")


COST = Decimal("0.000093")


def _lost(number: int, named: str, cost_units: int | None, owner: str = "12-34-ab") -> Any:
    asked = intent(number, f"{number:032x}")
    found = Reconciliation(attempt=asked.attempt, cost_units=cost_units) if cost_units is not None else None
    return join(asked, 0, owner, None, lost(asked.attempt, asked.model, named), 1, found, 2)


def _answered(number: int) -> Any:
    asked = intent(number, f"{number:032x}")
    return join(
        asked, 0, "99-1-ab", None, settlement(number, asked.request, generation_id=f"gen-{number}"), 1
    )


def _books(rows: list[Any], hits: list[int], **charges: Decimal) -> kill.Books:
    known = {f"gen-{number}": COST for number in hits} | {
        name.replace("_", "-"): cost for name, cost in charges.items()
    }
    return kill.Books(rows, [(f"{number:032x}", f"gen-{number}") for number in hits], known)


GOOD = [_answered(1), _lost(2, "gen-2", 93_000_000), _lost(3, "", None)]


@pytest.mark.parametrize(
    ("books", "in_flight", "says"),
    [
        (_books(GOOD, [1, 2, 3]), 1, ""),
        (_books(GOOD, [1, 2]), 1, ""),
        (_books(GOOD, [1, 2, 3]), 0, "1 attempts of unknown cost, 0 were in flight"),
        (_books(GOOD[1:], [1, 2, 3]), 1, "1 hits, 0 attempts"),
        (_books(GOOD, [1, 1, 2]), 1, "2 hits, 1 attempts"),
        (_books(GOOD, [1, 2], gen_2=Decimal("0.000094")), 1, "says 0.000093, charged were 0.000094"),
        (_books([*GOOD, _lost(4, "gen-4", None)], [1, 2, 4]), 2, "is awaiting"),
        (_books([join(intent(1, f"{1:032x}"), 0, "12-34-ab", None, None, None)], [1]), 1, "is open"),
        (_books([_lost(3, "", None, "99-1-ab")], []), 1, "its process was not killed"),
    ],
)  # fmt: skip
def test_the_judge_finds_what_is_wrong(books: kill.Books, in_flight: int, says: str) -> None:
    """A hit, a unit or a state that is not as it should be does not pass."""
    told = kill.broken(books, [12], in_flight)
    assert bool(told) == bool(says), told
    assert says in " ".join(told)
