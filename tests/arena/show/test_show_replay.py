"""The replay: the same events in the same order, in the time that they took."""

from __future__ import annotations

import math

import pytest

import shows
from bytedeck.arena.events import Resumed, Words
from bytedeck.arena.show.replay import PAUSE, left_out, replay
from bytedeck.errors import InvalidRequest


@pytest.mark.parametrize("held", [shows.whole(), shows.eventful()], ids=["whole", "eventful"])
@pytest.mark.parametrize("speed", [0.5, 1.0, 16, math.inf])
def test_byte_for_byte(held: tuple[object, tuple[object, ...]], speed: float) -> None:
    """Every event comes back, and so the same words in the same order."""
    _, events = held
    played = [event for _, event in replay(events, speed)]  # type: ignore[arg-type]
    assert played == list(events)
    texts = [b"".join(e.text.encode() for e in es if isinstance(e, Words)) for es in (played, events)]
    assert texts[0] == texts[1] != b""


def test_the_original_timing() -> None:
    """Together the waits are what the match took, at twice the speed half of that."""
    _, events = shows.whole()
    took = (events[-1].at - events[0].at) / 10**6
    assert sum(wait for wait, _ in replay(events)) == pytest.approx(took)
    assert sum(wait for wait, _ in replay(events, 2)) == pytest.approx(took / 2)
    assert next(iter(replay(events)))[0] == 0


def test_what_stood_still_is_shortened_and_said() -> None:
    """Before it goes on a replay waits a moment only, and tells how much it left out."""
    _, events = shows.eventful()
    waits = [(wait, event.seq) for wait, event in replay(events) if isinstance(event, Resumed)]
    assert [wait for wait, _ in waits] == [PAUSE, PAUSE]
    assert left_out(events) == {waits[0][1]: pytest.approx(7198), waits[1][1]: pytest.approx(28)}


def test_a_clock_that_was_set_back_waits_for_nothing() -> None:
    """Waits are never negative."""
    events = [Words(seq=n, at=at, part="t0.0.0", text="x") for n, at in enumerate((50, 10, 20))]
    assert [wait for wait, _ in replay(events)] == pytest.approx([0, 0, 0.00001])
    assert list(replay([])) == []


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_is_above_zero(speed: float) -> None:
    """Anything else is the caller's mistake, said at once."""
    with pytest.raises(InvalidRequest, match="plays nothing"):
        replay([], speed)
