"""The clocks of a store: the calendar's, and one that only ever goes forward and is the same for all processes."""

from __future__ import annotations

import time

_STEADY = getattr(time, "CLOCK_BOOTTIME", None)
"""Goes on while the machine sleeps."""


def wall() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def steady() -> int:
    """Microseconds since a moment that is the same for every process since this machine was started.

    Nobody can set it, so that limits do not mind when the calendar's clock is set.
    """
    return (time.monotonic_ns() if _STEADY is None else time.clock_gettime_ns(_STEADY)) // 1000
