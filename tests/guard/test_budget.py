"""Whether an attempt may go out under a bound on cost."""

from __future__ import annotations

import pytest

from bytedeck.errors import BudgetExceeded
from bytedeck.guard.budget import afford

CENT = 10_000_000_000


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
