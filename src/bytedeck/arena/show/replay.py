"""A match once more, in the time that it took: when each event is due, and which waits are shortened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...errors import InvalidRequest
from ..events import Event, Resumed

PAUSE = 2.0
"""Seconds that a replay waits at most where the match itself stood still: at a budget, or between two processes."""


def replay(events: Iterable[Event], speed: float = 1.0) -> Iterator[tuple[float, Event]]:
    """Every event in its order, with the seconds to wait before it: byte for byte what the watchers saw.

    A clock that was set back waits for nothing. Before a `Resumed` nothing happened, so it waits `PAUSE` at most
    (see `left_out`). Raises InvalidRequest for a speed that is not above 0.
    """
    if not speed > 0:
        raise InvalidRequest(
            f"A speed of {speed} plays nothing.",
            hint=("Take a number above 0: 1 is the original timing, 4 is four times as fast.",),
        )
    return _paced(events, speed)


def _paced(events: Iterable[Event], speed: float) -> Iterator[tuple[float, Event]]:
    before: Event | None = None
    for event in events:
        seconds = 0.0 if before is None else _gap(before, event)
        yield (min(seconds, PAUSE) if isinstance(event, Resumed) else seconds) / speed, event
        before = event


def left_out(events: Iterable[Event]) -> dict[int, float]:
    """Which waits `replay` shortens: `seq` of the event after it → seconds that are left out."""
    found: dict[int, float] = {}
    before: Event | None = None
    for event in events:
        if before is not None and isinstance(event, Resumed) and (gap := _gap(before, event)) > PAUSE:
            found[event.seq] = gap - PAUSE
        before = event
    return found


def _gap(before: Event, event: Event) -> float:
    return max(0, event.at - before.at) / 10**6
