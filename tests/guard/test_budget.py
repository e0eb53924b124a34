"""Whether an attempt may go out under a bound on cost, which account it belongs to, and what a person reads of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import MOST_UNITS, NEW, Account, Budget, Period
from bytedeck.errors import BudgetExceeded
from bytedeck.guard.budget import Standing, account, afford, counted, phrase, room, standing, warning

CENT = 10_000_000_000
USD = 100 * CENT
MONDAY = 1_772_409_600_000_000  # 2026-03-02
DAY = 86_400_000_000
_UNITS = st.integers(0, 40)


@pytest.mark.parametrize(
    ("bound", "spent", "worst", "goes"),
    [
        (None, 0, None, True),
        (CENT, 0, CENT, True),
        (CENT, 1, CENT, False),
        (CENT, 0, CENT + 1, False),
        (CENT, 2 * CENT, 1, False),
        (CENT, CENT, 0, True),
        (CENT, 0, None, False),
    ],
)
def test_afford(bound: int | None, spent: int, worst: int | None, goes: bool) -> None:
    """The worst case has to fit into what is left, to the unit; an unknown price never fits a bound."""
    if goes:
        afford(bound, spent, worst, "a/b")
        return
    with pytest.raises(BudgetExceeded, match="a/b"):
        afford(bound, spent, worst, "a/b")


@pytest.mark.parametrize(
    ("hard", "spent", "held", "worst", "found"),
    [
        (True, 0, 0, USD, "granted"),
        (True, 0, 0, USD + 1, "over"),
        (True, 1, 0, USD, "over"),
        (True, 0, 1, USD, "later"),
        (True, USD - 5, 0, 5, "granted"),
        (True, USD - 5, 1, 5, "later"),
        (True, USD - 5, 1, 6, "over"),
        (True, 2 * USD, 0, 1, "over"),
        (True, 2 * USD, USD, 0, "granted"),
        (True, 0, 0, None, "unbounded"),
        (True, 0, 0, MOST_UNITS + 1, "unbounded"),
        (True, 0, 0, 10**30, "unbounded"),
        (False, 2 * USD, USD, USD, "granted"),
        (False, 0, 0, None, "granted"),
        (False, 0, 0, 10**30, "granted"),
    ],
)
def test_standing(hard: bool, spent: int, held: int, worst: int | None, found: Standing) -> None:
    """A hard budget lets through what fits beside all that is held, waits where that may end, and else refuses."""
    assert standing(Budget("all", "", "day", USD, hard), (spent, held), worst) == found


@settings(deadline=None)
@given(_UNITS, _UNITS, _UNITS, st.one_of(st.none(), _UNITS))
def test_what_is_granted_never_passes_the_budget(
    units: int, spent: int, held: int, worst: int | None
) -> None:
    """Granted: all of it fits. Later: it would if what is held came back. Over: it would not even then."""
    found = standing(Budget("all", "", "day", max(units, 1), True), (spent, held), worst)
    units = max(units, 1)
    assert (worst is None) == (found == "unbounded")
    if worst is None or worst == 0:
        return
    fits = spent + held + worst <= units
    would = spent + worst <= units
    assert found == ("granted" if fits else "later" if would else "over")


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("worst", [-1, -(10**30)])
def test_a_worst_case_below_nothing_is_nobodys(hard: bool, worst: int) -> None:
    """It would make room for others."""
    with pytest.raises(ValueError, match="not negative"):
        standing(Budget("all", "", "day", USD, hard), NEW, worst)


@pytest.mark.parametrize(
    ("states", "units"),
    [
        ([NEW, NEW, NEW], 10),
        ([(3, 4), NEW, NEW], 3),
        ([NEW, (10, 5), NEW], 5),
        ([(3, 4), (19, 0), NEW], 1),
        ([(9, 4), NEW, NEW], 0),
        ([NEW, NEW, (50, 50)], 10),
    ],
)
def test_room(states: list[tuple[int, int]], units: int) -> None:
    """What the tightest hard budget has left beside what is spent and held, never less than nothing."""
    budgets = [
        Budget("all", "", "day", 10),
        Budget("all", "", "week", 20),
        Budget("all", "", "month", 5, False),
    ]
    assert room(budgets, states) == units


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), _UNITS, _UNITS), min_size=1, max_size=3))
def test_what_there_is_room_for_is_granted(rows: list[tuple[int, int, int]]) -> None:
    """And not a unit more."""
    budgets = [Budget("all", "", "day", units) for units, _, _ in rows]
    states = [(spent, held) for _, spent, held in rows]
    found = room(budgets, states)

    def fits(worst: int) -> bool:
        return all(standing(*pair, worst) == "granted" for pair in zip(budgets, states, strict=True))

    assert fits(found)
    assert not fits(found + 1)


@pytest.mark.parametrize(
    ("cost", "worst", "units"),
    [(3, 5, 3), (0, 5, 0), (5, 5, 5), (7, 5, 7), (3, None, 3), (None, 5, 5), (None, 0, 0), (None, None, 0)],
)
def test_counted(cost: int | None, worst: int | None, units: int) -> None:
    """What it cost, be it nothing or more than its worst case; that where nobody knows; nothing where none is known."""
    assert counted(cost, worst) == units


@pytest.mark.parametrize(
    ("spent", "percent", "says"),
    [
        (79 * CENT, 80, None),
        (80 * CENT - 1, 80, None),
        (80 * CENT, 80, "$0.8 of the hard budget of $1 a day is spent."),
        (3 * USD, 80, "$3 of the hard budget of $1 a day is spent."),
        (99 * CENT, 100, None),
        (CENT, 1, "$0.01 of the hard budget of $1 a day is spent."),
    ],
)
def test_warning(spent: int, percent: int, says: str | None) -> None:
    """From its share on a budget says what is spent of it; what is only held does not count."""
    assert warning(Budget("all", "", "day", USD, True, percent), (spent, 5 * USD)) == says


@pytest.mark.parametrize(
    ("budget", "first", "days", "says"),
    [
        (Budget("all", "", "day", USD), 2, 1, "the hard budget of $1 a day"),
        (
            Budget("key", "…a/b", "week", USD // 2, hard=False),
            0,
            7,
            "the soft budget of $0.5 a week for the key …a/b",
        ),
        (
            Budget("task", "coding", "month", 20 * USD),
            -1,
            31,
            "the hard budget of $20 a month for the task coding",
        ),
        (Budget("all", "", "total", USD), None, None, "the hard budget of $1 in all"),
    ],
)
def test_a_budget_has_an_account(budget: Budget, first: int | None, days: int | None, says: str) -> None:
    """Of its scope and of the period that the moment lies in; a person reads whose it is, and how much."""
    wednesday = MONDAY + 2 * DAY + 5
    if first is None or days is None:
        since, until = 0, 2**62
    else:
        since, until = MONDAY + first * DAY, MONDAY + (first + days) * DAY
    assert account(budget, wednesday) == Account(budget.scope, budget.of, budget.period, since, until)
    assert phrase(budget) == says


def test_an_account_minds_neither_the_amount_nor_the_kind() -> None:
    """So that a budget may be changed, and what was spent before still counts."""
    assert account(Budget("all", "", "day", USD), MONDAY) == account(
        Budget("all", "", "day", 5, hard=False, warn_percent=1), MONDAY
    )


@pytest.mark.parametrize("units", [0, -1, MOST_UNITS + 1, 10**30, 1.0, float("nan"), True, "5", None])
def test_what_is_no_budget(units: Any) -> None:
    """Nothing, less than nothing, absurdly much, and anything that is no whole number make no budget."""
    with pytest.raises(ValueError, match="has to be a whole number from 1 to"):
        Budget("all", "", "day", units)


@pytest.mark.parametrize("percent", [0, 101, 0.8])
def test_what_is_no_share(percent: Any) -> None:
    """The share to warn at is told in whole percent."""
    with pytest.raises(ValueError, match="in percent, has to be a whole number from 1 to 100"):
        Budget("all", "", "day", USD, True, percent)


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_a_new_period_is_a_new_account(period: Period) -> None:
    """What was spent yesterday is not of today."""
    budget = Budget("all", "", period, USD)
    begin = MONDAY + 30 * DAY  # Wednesday, 1 April
    before = {account(budget, begin - day * DAY) for day in (1, 2, 3, 40)}
    assert (account(budget, begin) in before) == (period == "week")
    assert account(budget, begin) == account(budget, begin + DAY - 1)
