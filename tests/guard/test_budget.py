"""Whether an attempt may go out under a bound on cost, and what accounts say before and after."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.claims import MOST_UNITS, NEW, Budget, Period
from bytedeck.errors import BudgetExceeded
from bytedeck.guard.budget import Standing, account, afford, correct, phrase, reserve, settle, warning

CENT = 10_000_000_000
USD = 100 * CENT
MONDAY = 1_772_409_600_000_000  # 2026-03-02


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
    ("hard", "spent", "held", "worst", "standing"),
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
def test_reserve(hard: bool, spent: int, held: int, worst: int | None, standing: Standing) -> None:
    """A hard budget lets through what fits beside all that is held, waits where that may end, and else refuses."""
    budget = Budget("all", "", "day", USD, hard)
    state, found = reserve(budget, (spent, held), worst)
    assert found == standing
    counted = worst if standing == "granted" and worst is not None and worst <= MOST_UNITS else 0
    assert state == (spent, held + counted)


@pytest.mark.parametrize(
    ("cost", "after"), [(3, (13, 20)), (0, (10, 20)), (5, (15, 20)), (7, (17, 20)), (None, (15, 20))]
)
def test_settle(cost: int | None, after: tuple[int, int]) -> None:
    """What was held goes and what it cost is spent: nothing, less, all, more; all of it where nobody knows."""
    assert settle((10, 25), 5, cost) == after


@pytest.mark.parametrize("cost", [0, 3, 5, 8])
def test_a_cost_that_becomes_known_corrects_what_was_counted(cost: int) -> None:
    """To settle without a cost and to correct it comes to the same as to have known it."""
    assert correct(settle((10, 25), 5, None), 5, cost) == settle((10, 25), 5, cost)


def test_no_sum_is_negative() -> None:
    """A worst case or a cost below nothing is nobody's."""
    with pytest.raises(ValueError, match="not negative"):
        reserve(Budget("all", "", "day", USD), NEW, -1)
    with pytest.raises(ValueError, match="not negative"):
        settle((0, 5), 5, -1)
    with pytest.raises(ValueError, match="not negative"):
        correct((5, 0), 5, -1)


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
    ("budget", "name", "says"),
    [
        (Budget("all", "", "day", USD), "units/all/day/2026-03-04/", "the hard budget of $1 a day"),
        (
            Budget("key", "…a/b", "week", USD // 2, hard=False),
            "units/key/week/2026-03-02/…a/b",
            "the soft budget of $0.5 a week for the key …a/b",
        ),
        (
            Budget("task", "coding", "month", 20 * USD),
            "units/task/month/2026-03-01/coding",
            "the hard budget of $20 a month for the task coding",
        ),
        (Budget("all", "", "total", USD), "units/all/total//", "the hard budget of $1 in all"),
    ],
)
def test_accounts_have_names(budget: Budget, name: str, says: str) -> None:
    """A new period has an account of its own; a person reads whose it is, and how much."""
    wednesday = MONDAY + 2 * 86_400_000_000
    assert account(budget, wednesday) == name
    assert phrase(budget) == says


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
    begin = MONDAY + 30 * 86_400_000_000  # Wednesday, 1 April
    before = {account(budget, begin - day * 86_400_000_000) for day in (1, 2, 3, 40)}
    assert (account(budget, begin) in before) == (period == "week")
