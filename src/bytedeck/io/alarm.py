"""One timer for all requests of an event loop, instead of one for each that is set and cancelled.

It stays where it is when a request ends, and when it rings it looks who still waits: so a request that is
answered in time costs no timer at all, and a stream no more than a comparison a chunk.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from typing import Protocol

NEVER = float("inf")


class Sleeper(Protocol):
    """One that wants to be woken."""

    def ring(self, now: float) -> float:
        """Wake it if its moment has passed. When the alarm is to ring for it next; NEVER: it wants no waking."""


class Alarm:
    """One loop's, to be used in its thread. Holds nobody: who is dropped is no longer asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # asyncio's own loops ask the monotonic clock by a method; a loop of another kind may have a clock of its own.
        own = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
        self.time: Callable[[], float] = time.monotonic if own else loop.time
        self.at = NEVER
        """When it rings. Who wants to be woken later need not set it: when it rings everybody is asked."""
        self._timer: asyncio.TimerHandle | None = None
        self._sleepers: set[weakref.ref[Sleeper]] = set()

    def join(self, sleeper: Sleeper) -> None:
        """From now on it is asked whenever the alarm rings, until it is dropped, on whatever thread."""
        self._sleepers.add(weakref.ref(sleeper, self._sleepers.discard))

    def set(self, at: float) -> None:
        """Ring at this moment, which is before that for which it is set."""
        if self._timer is not None:
            self._timer.cancel()
        self.at, self._timer = at, self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self.at, self._timer = NEVER, None
        now, earliest = self.time(), NEVER
        for one in self._sleepers.copy():  # a collector may drop some of them meanwhile
            if (sleeper := one()) is not None:
                earliest = min(earliest, sleeper.ring(now))
        if earliest < NEVER:
            self.set(earliest)
