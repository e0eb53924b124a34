"""The logical clock: moved, frozen, thawed; and moments as people write them."""

from __future__ import annotations

import time

import pytest

from bytedeck.simulator.clock import EPOCH, Clock, moment
from bytedeck.simulator.errors import SimulatorError


def test_a_frozen_clock_moves_only_when_it_is_moved() -> None:
    """Forwards, back, and to a moment."""
    clock = Clock(frozen=True)
    assert (clock.now(), clock.frozen) == (EPOCH, True)
    assert clock.advance(60) == EPOCH + 60
    assert clock.advance(-90.5) == EPOCH - 30.5
    assert clock.set(5) == clock.now() == 5


def test_a_running_clock_keeps_its_offset() -> None:
    """It runs on from where it was put."""
    clock = Clock(at=1000.0)
    assert 1000 <= clock.now() < 1010
    clock.advance(500)
    assert 1500 <= clock.now() < 1510
    assert abs(Clock().now() - time.time()) < 5


def test_freeze_and_thaw_lose_no_time() -> None:
    """Where it stood it goes on."""
    clock = Clock(at=1000.0)
    stands = clock.freeze()
    assert clock.now() == stands
    clock.thaw()
    assert stands <= clock.now() < stands + 10
    assert clock.freeze(7.0) == clock.now() == 7.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-22T12:00:00", EPOCH),
        ("2026-08-22T12:00:00Z", EPOCH),
        ("2026-08-22T14:00:00+02:00", EPOCH),
        ("2026-08-22", EPOCH - 43_200),
        ("1787400000", EPOCH),
        (12.5, 12.5),
    ],
)
def test_moments_as_people_write_them(text: str | float, expected: float) -> None:
    """Seconds or ISO 8601, UTC unless it says otherwise."""
    assert moment(text) == expected


@pytest.mark.parametrize("bad", ["yesterday", "nan", "inf", "1e300", "-1", "9999-12-31", ""])
def test_what_is_no_moment_is_told_so(bad: str) -> None:
    """One sentence."""
    with pytest.raises(SimulatorError, match="is no moment"):
        moment(bad)


def test_it_is_not_moved_out_of_the_calendar() -> None:
    """A sum of moves that lead there is refused, and the clock stays."""
    clock = Clock(frozen=True)
    for seconds in (-2e9, 40e9, float("nan")):
        with pytest.raises(SimulatorError):
            clock.advance(seconds)
    assert clock.now() == EPOCH
