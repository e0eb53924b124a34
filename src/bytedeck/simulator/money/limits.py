"""Platform limits on `:free` models and on the data endpoints, counted per account.

Headers only on the 429, mirrored in `error.metadata.headers`, the reset in epoch milliseconds.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from ..refusals import named as refusals
from ..shapes import Model, Refusal
from .accounts import FREE_TIER_CREDITS, Account

MINUTE = 60.0
DAY = 86_400


class Ceilings(Struct, frozen=True, kw_only=True):
    """How many requests."""

    per_minute: int = 20
    per_day: int = 50
    """For accounts that bought fewer than ten credits ever."""
    per_day_paid: int = 1000
    data_per_minute: int = 30
    """Data endpoints (benchmarks, classifications), per key."""
    data_per_day: int = 500


class _Count:
    """Requests of one account: the last minute's moments, sliding, and today's number."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque()
        self.day = -1
        self.today = 0

    def roll(self, now: float) -> None:
        while self.recent and self.recent[0] <= now - MINUTE:
            self.recent.popleft()
        if (day := int(now // DAY)) != self.day:
            self.day, self.today = day, 0

    def add(self, now: float) -> None:
        self.recent.append(now)
        self.today += 1


class Limits:
    """Counters, and the refusal when one is full."""

    def __init__(self, ceilings: Ceilings | None = None) -> None:
        self.ceilings = ceilings or Ceilings()
        self._free: dict[str, _Count] = {}
        self._data: dict[str, _Count] = {}

    def daily(self, account: Account) -> int:
        """How many `:free` requests a day an account has."""
        paid = account.bought >= FREE_TIER_CREDITS
        return self.ceilings.per_day_paid if paid else self.ceilings.per_day

    def admit(self, account: Account, model: Model, now: float) -> None:
        """Count a request to a free model; 429 if the minute or the UTC day is full. Others pass uncounted."""
        if not model.is_free:
            return
        count, daily = self._counted(self._free, account.id, now), self.daily(account)
        if count.today >= daily:
            paid = account.bought >= FREE_TIER_CREDITS
            raise _full("free_per_day_paid" if paid else "free_per_day", daily, _midnight(now))
        if len(count.recent) >= self.ceilings.per_minute:
            raise _full("free_per_minute", self.ceilings.per_minute, count.recent[0] + MINUTE)
        count.add(now)

    def admit_data(self, key: str, account: Account, now: float) -> None:
        """Count a request to a data endpoint: so many a minute per key, so many a day per account."""
        mine = self._counted(self._data, f"key {key}", now)
        ours = self._counted(self._data, f"account {account.id}", now)
        if ours.today >= self.ceilings.data_per_day:
            daily = self.ceilings.data_per_day
            raise _full(
                "data_per_minute", daily, _midnight(now), f"Rate limit exceeded: {daily} requests per day."
            )
        if len(mine.recent) >= self.ceilings.data_per_minute:
            ceiling, reset = self.ceilings.data_per_minute, mine.recent[0] + MINUTE
            raise _full(
                "data_per_minute", ceiling, reset, f"Rate limit exceeded: {ceiling} requests per minute."
            )
        mine.add(now)
        ours.add(now)

    def today(self, account: Account, now: float) -> dict[str, int]:
        """`free_model_daily_requests` of GET /key."""
        used, limit = self._counted(self._free, account.id, now).today, self.daily(account)
        return {"limit": limit, "used": used, "remaining": max(0, limit - used)}

    @staticmethod
    def _counted(counts: dict[str, _Count], name: str, now: float) -> _Count:
        count = counts.setdefault(name, _Count())
        count.roll(now)
        return count


def _midnight(now: float) -> float:
    return (now // DAY + 1) * DAY


def _full(name: str, limit: int, reset: float, message: str | None = None) -> Refusal:
    return refusals.make(
        name, limit=str(limit), remaining="0", reset_ms=str(round(reset * 1000)), message=message
    )
