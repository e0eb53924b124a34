"""The periods of budgets, by the calendar in UTC: when the one began that a moment lies in, and when it ends."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from ..claims import SECOND, Period

DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1).toordinal()


def day_of(period: Period, now: int) -> str:
    """The first day of the period that a moment (microseconds since 1970) lies in, in ISO form; "" for `total`."""
    return _name(period, now // DAY)


def until_next(period: Period, now: int) -> int | None:
    """Microseconds until the next period begins; None for `total`."""
    today = now // DAY
    first = _first(period, today)
    if first is None:
        return None
    # The first day of the period that lies a whole period further on.
    longest = {"day": 1, "week": 7, "month": 31}[period]
    following = _first(period, first + longest)
    return None if following is None else following * DAY - now


@lru_cache(maxsize=16)
def _name(period: Period, day: int) -> str:
    first = _first(period, day)
    return "" if first is None else date.fromordinal(_EPOCH + first).isoformat()


def _first(period: Period, day: int) -> int | None:
    """The first day of the period that a day lies in; both counted from 1970-01-01, a Thursday."""
    match period:
        case "day":
            return day
        case "week":
            return day - (day + 3) % 7
        case "month":
            return day - date.fromordinal(_EPOCH + day).day + 1
        case _:
            return None
