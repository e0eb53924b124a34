"""The periods of budgets, by the calendar in UTC: the one that a moment lies in."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from ..claims import SECOND, Period

DAY = 86_400 * SECOND
EVER = (0, 2**62)
"""The bounds of `total`."""
_EPOCH = date(1970, 1, 1).toordinal()


def bounds(period: Period, at: int) -> tuple[int, int]:
    """The first moment of the period that a moment lies in, and the first one after it; microseconds since 1970."""
    return _bounds(period, at // DAY)


def until_next(period: Period, at: int) -> int | None:
    """Microseconds until the next period begins; None for `total`."""
    return None if period == "total" else bounds(period, at)[1] - at


@lru_cache(maxsize=16)
def _bounds(period: Period, day: int) -> tuple[int, int]:
    """`day` is counted from 1970-01-01, a Thursday."""
    match period:
        case "day":
            first, after = day, day + 1
        case "week":
            first = day - (day + 3) % 7
            after = first + 7
        case "month":
            first = day - date.fromordinal(_EPOCH + day).day + 1
            # The 32nd day lies in the next month, wherever that begins.
            after = first + 32 - date.fromordinal(_EPOCH + first + 31).day
        case _:
            return EVER
    return first * DAY, after * DAY
