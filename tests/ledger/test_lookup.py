"""When a cost is asked for again, and when it is given up."""

from __future__ import annotations

import pytest

from bytedeck.ledger.lookup import GIVE_UP, GIVE_UP_OTHERS, SOON, missing, pause

ENDED = 1_700_000_000_000_000


def test_pauses_double_and_stay_bounded() -> None:
    """From half a second to a minute, however often nothing was there."""
    assert [pause(looks) for looks in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause(2000) == 60


@pytest.mark.parametrize(
    ("age", "ours", "others"),
    [
        (-3_600_000_000, "soon", "soon"),  # the clock was set back
        (0, "soon", "soon"),
        (SOON - 1, "soon", "soon"),
        (SOON, "later", "later"),
        (GIVE_UP - 1, "later", "later"),
        (GIVE_UP, "never", "later"),
        (GIVE_UP_OTHERS - 1, "never", "later"),
        (GIVE_UP_OTHERS, "never", "never"),
    ],
)
def test_what_no_record_means(age: int, ours: str, others: str) -> None:
    """Ten minutes, a day; and thirty days for what another key has asked for."""
    assert (missing(ENDED, ENDED + age, True), missing(ENDED, ENDED + age, False)) == (ours, others)
