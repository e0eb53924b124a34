"""What was spent with a key, day by day, so that UTC days, weeks from Monday and months can be told apart. Exact."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from .accounts import ZERO, Window


def day_of(now: float) -> date:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(now, UTC).date()


def first_day(window: Window, today: date) -> date:
    """The first day of the window that holds today."""
    if window == "daily":
        return today
    return today - timedelta(days=today.weekday()) if window == "weekly" else today.replace(day=1)


def next_reset(window: Window, now: float) -> datetime:
    """When the window rolls over: a UTC midnight."""
    first = first_day(window, day_of(now))
    days = {"daily": 1, "weekly": 7, "monthly": 32}[window]
    after = first + timedelta(days=days)
    after = after.replace(day=1) if window == "monthly" else after
    return datetime(after.year, after.month, after.day, tzinfo=UTC)


class Spending:
    """Sums of one kind (credits, or list price with own keys)."""

    def __init__(self) -> None:
        self.total = ZERO
        self._days: dict[date, Decimal] = {}

    def add(self, amount: Decimal, now: float) -> None:
        """Book an amount on its day."""
        day = day_of(now)
        self.total += amount
        self._days[day] = self._days.get(day, ZERO) + amount

    def within(self, window: Window | None, now: float) -> Decimal:
        """The sum of the current window; None is for ever."""
        if window is None:
            return self.total
        today = day_of(now)
        first = first_day(window, today)
        return sum((amount for day, amount in self._days.items() if first <= day <= today), ZERO)
