"""What each key has spent, added up from the ledger no more often than the machine can bear."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from ..async_client import AsyncHub

_REST = 10
_SINCE = {"usage": None, "usage_daily": "day", "usage_weekly": "week", "usage_monthly": "month"}


class Spent:
    """What each key has spent. Belongs to one event loop.

    The ledger is added up for all keys at once, by one request at a time, and anew only after `_REST` times as long as
    that has taken: however often and by whomever it is asked, most of the machine is left for answers.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._units: dict[str, dict[str, int]] = {}
        self._until = 0.0

    async def of(self, hub: AsyncHub, label: str) -> dict[str, int]:
        """Units of 10⁻¹² USD, by OpenRouter's names of the spans."""
        async with self._turn:
            if time.monotonic() >= self._until:
                began = time.monotonic()
                self._units = await self._added_up(hub)
                self._until = time.monotonic() + _REST * (time.monotonic() - began)
        return {field: units.get(label, 0) for field, units in self._units.items()}

    async def _added_up(self, hub: AsyncHub) -> dict[str, dict[str, int]]:
        now, found = datetime.now(UTC), {}
        for field, span in _SINCE.items():
            report = await hub.usage("key", _since(span, now))
            found[field] = {line.label: line.cost_units for line in report.lines}
        return found


def _since(span: str | None, now: datetime) -> datetime | None:
    """When the day, the week (from Monday) or the month began, UTC; None for all times."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match span:
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=midnight.weekday())
        case "month":
            return midnight.replace(day=1)
    return None
