"""The ledger in memory: for tests, and for a process that shall leave no trace.

Keeps every row for as long as the process lives; the same answers as SQLite, by one contract test.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from ..errors import LedgerError
from ..ledger.entry import Opened, Row, cost_problem, instant, join
from ..ledger.report import By, Report, Tally, Verification, build, day_text, grouping
from ..types import Intent, Settlement
from .store import Verdict


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class MemoryStore:
    """See `Store`. Every row is written at once, on the caller's thread."""

    def __init__(self, clock: Callable[[], int] = now) -> None:
        self.location = "memory"
        self.lost: list[str] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._intents: dict[str, tuple[Intent, int]] = {}
        self._opened: dict[str, Opened] = {}
        self._settled: dict[str, tuple[Settlement, int]] = {}

    def begin(self, intent: Intent, done: Callable[[Verdict], None]) -> None:
        with self._lock:
            at = self._clock()
            fresh = self._intents.setdefault(intent.attempt, (intent, at))[0] is intent
        done(None if fresh else LedgerError(f"The attempt {intent.attempt} is in the ledger already."))

    def mark(self, attempt: str, generation_id: str) -> None:
        with self._lock:
            if attempt in self._intents:
                self._opened.setdefault(attempt, Opened(attempt, generation_id))

    def settle(self, settlement: Settlement) -> None:
        with self._lock:
            if settlement.attempt in self._intents:
                self._settled.setdefault(settlement.attempt, (settlement, self._clock()))

    def flush(self, timeout: float = 5.0) -> None:
        pass  # nothing is ever pending

    def close(self) -> None:
        pass  # nothing is held

    def usage(self, by: By = "task", since: datetime | None = None) -> Report:
        grouping(by)
        rows = self._joined(since)
        groups: dict[tuple[str, int], list[Row]] = {}
        requests: dict[str, set[str]] = {}
        for row in rows:
            groups.setdefault(("" if by == "day" else getattr(row, by), _day(row)), []).append(row)
            label = day_text(_day(row)) if by == "day" else getattr(row, by)
            requests.setdefault(label, set()).add(row.request)
        return build(
            by,
            since,
            [_tally(label, day, group) for (label, day), group in groups.items()],
            {label: len(names) for label, names in requests.items()},
            len({row.request for row in rows}),
        )

    def rows(self, limit: int = 100, since: datetime | None = None) -> list[Row]:
        return self._joined(since)[::-1][: max(limit, 0)]

    def verify(self) -> Verification:
        rows = self._joined(None)
        found = (cost_problem(row.attempt, row.cost_units, row.cost_text) for row in rows)
        states = [row.state for row in rows]
        return Verification(
            location=self.location,
            attempts=len(rows),
            settled=states.count("settled"),
            awaiting=states.count("awaiting"),
            in_flight=states.count("open"),  # memory ends with its process: nothing is ever orphaned
            cost_units=sum(row.spend_units or 0 for row in rows),
            problems=tuple(sentence for sentence in found if sentence),
        )

    def _joined(self, since: datetime | None) -> list[Row]:
        """All attempts since a moment, oldest first."""
        with self._lock:
            marks = [
                (intent, at, self._opened.get(name), *self._settled.get(name, (None, None)))
                for name, (intent, at) in self._intents.items()
            ]
        joined = (join(intent, at, "", opened, end, end_at) for intent, at, opened, end, end_at in marks)
        return [row for row in joined if since is None or row.at >= since]


def _day(row: Row) -> int:
    return instant(row.at) // 86_400_000_000


def _tally(label: str, day: int, rows: Sequence[Row]) -> Tally:
    known = [row for row in rows if row.cost_units is not None]
    return Tally(
        label=label,
        day=day,
        attempts=len(rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        units=sum(row.spend_units or 0 for row in known),
        unknown=len(rows) - len(known),
        estimated=sum(row.quality in ("partial", "estimated") for row in known),
    )
