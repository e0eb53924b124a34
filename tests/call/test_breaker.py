"""The breaker's table, exhausted: every state and happening, and every short history."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from bytedeck.call.breaker import (
    CLOSED,
    FIRST_OPEN,
    IN_A_ROW,
    JITTER,
    LENGTHS,
    LONGEST_OPEN,
    MOVES,
    RATE_WINDOW,
    SECOND,
    Breaker,
    Kind,
    length,
    state,
    step,
)
from bytedeck.health import State

T0 = 1_700_000_000 * SECOND
OUTCOMES = {"ok": "answered", "failed": "unavailable", "gone": "model_not_found"}


def after(
    breaker: Breaker, kind: Kind, now: int, begun: int | None = None, *, crowded: bool = False
) -> Breaker:
    """One attempt that began (just now, unless told) and ended at a moment."""
    return step(breaker, "m", kind, OUTCOMES[kind], now if begun is None else begun, now, crowded=crowded)


def opened(now: int = T0) -> Breaker:
    """Open since a moment, by three failures."""
    breaker = CLOSED
    for _ in range(IN_A_ROW):
        breaker = after(breaker, "failed", now)
    assert state(breaker, now) == "open"
    return breaker


def test_the_table_has_a_move_for_everything() -> None:
    """No state meets a happening that it does not know."""
    assert set(MOVES) == set(product(get_args(State), get_args(Kind)))


def test_three_failures_in_a_row_open_it() -> None:
    """Two do not, nor three with a success between them."""
    two = after(after(CLOSED, "failed", T0), "failed", T0)
    assert state(two, T0) == "closed"
    assert state(after(two, "failed", T0), T0) == "open"
    between = after(after(two, "ok", T0), "failed", T0)
    assert (state(between, T0), between.failures) == ("closed", 1)


def test_a_crowd_of_failures_opens_it() -> None:
    """The first one that makes it too many, whatever came just before."""
    assert state(after(CLOSED, "failed", T0, crowded=True), T0) == "open"
    assert state(after(CLOSED, "ok", T0, crowded=True), T0) == "closed"


def test_a_dead_model_opens_it_at_once_for_long() -> None:
    """One failure of this kind is enough, and it stays open for about ten minutes."""
    breaker = after(CLOSED, "gone", T0)
    assert state(breaker, T0 + 479 * SECOND) == "open"
    assert state(breaker, T0 + 600 * SECOND) == "half_open"


def test_it_stays_open_for_twice_as_long_each_time() -> None:
    """5 s, 10 s, 20 s, and then never more than 25 s, all a little shorter for some."""
    breaker, now, lengths = opened(), T0, []
    for _ in range(2000):
        lengths.append(breaker.until - breaker.opened)
        now = breaker.until
        breaker = after(breaker, "failed", now)
        assert state(breaker, now) == "open"
    assert lengths == [length("m", "unavailable", times) for times in range(2000)]
    for had, whole in zip(
        lengths, [FIRST_OPEN, 2 * FIRST_OPEN, 4 * FIRST_OPEN, *[LONGEST_OPEN] * 3], strict=False
    ):
        assert (1 - JITTER) * whole <= had <= whole
    assert max(lengths) <= LONGEST_OPEN
    assert len({length(f"m/{n}", "unavailable", 0) for n in range(100)}) > 90


def test_failures_while_it_is_open_change_nothing() -> None:
    """Who names one model has it asked all the same; its failures do not keep the others from it."""
    breaker = opened()
    for second in range(4):
        assert after(breaker, "failed", T0 + second * SECOND).until == breaker.until


def test_a_success_closes_it() -> None:
    """Open or half open, if the attempt began after it had opened."""
    breaker = opened()
    for now in (T0 + SECOND, breaker.until, breaker.until + 3600 * SECOND):
        assert state(after(breaker, "ok", now), now) == "closed"


def test_what_began_before_it_turned_does_not_count() -> None:
    """Stragglers: an old success does not close it, old failures neither open it again nor for longer."""
    breaker = opened()
    assert after(breaker, "ok", T0 + SECOND, T0 - SECOND) == breaker
    late = breaker.until + SECOND
    assert after(breaker, "failed", late, T0 + SECOND) == breaker
    closed = after(breaker, "ok", late)
    for _ in range(2 * IN_A_ROW):
        assert after(closed, "failed", late + SECOND, late - SECOND) == closed


@pytest.mark.parametrize(("well", "first"), [(RATE_WINDOW - SECOND, False), (RATE_WINDOW + SECOND, True)])
def test_who_flaps_is_remembered(well: int, first: bool) -> None:
    """What opens again within a minute stays open for longer; after a longer while it is as new."""
    breaker = opened()
    closed = after(breaker, "ok", breaker.until)
    again = closed
    for _ in range(IN_A_ROW):
        again = after(again, "failed", breaker.until + well)
    assert again.until - again.opened == length("m", "unavailable", 0 if first else 1)


def test_a_clock_that_was_set_back() -> None:
    """What was opened in the future may be tried at once, and a success closes it."""
    breaker = opened(T0 + 3600 * SECOND)
    assert state(breaker, T0) == "half_open"


HAPPENINGS = ("ok", "failed", "gone", 3 * SECOND, 25 * SECOND)


def test_every_history_up_to_six_happenings() -> None:
    """In each of 19,530: a fresh success closes, a failure never does, no opening lasts longer than it may."""
    for long in range(1, 7):
        for history in product(HAPPENINGS, repeat=long):
            breaker, now, row = CLOSED, T0, 0
            for one in history:
                before = state(breaker, now)
                if isinstance(one, int):
                    now += one
                    assert (before == "closed") == (state(breaker, now) == "closed")
                    continue
                breaker = after(breaker, one, now)  # type: ignore[arg-type]
                row = 0 if one == "ok" else row + 1
                expected = "closed"
                if one != "ok":
                    is_open = before != "closed" or row >= IN_A_ROW or one == "gone"
                    expected = "open" if is_open else "closed"
                assert (state(breaker, now), breaker.failures) == (expected, row), history
            assert breaker.until - breaker.opened <= max(LENGTHS.values())
            if "gone" not in history:
                assert breaker.until - breaker.opened <= LONGEST_OPEN
