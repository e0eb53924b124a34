"""The ledger in a SQLite file: a writer thread with group commit, and a read-only connection per question.

Making a `SqliteStore` does no I/O and imports no `sqlite3`; the thread opens the file at the first row.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from datetime import datetime

from ..ledger.entry import Opened, Row
from ..ledger.report import By, Report, Verification, grouping
from ..types import Intent, Settlement
from .memory import now
from .store import Cursor, Recent, Verdict
from .writer import Job, Sink, Writer


class SqliteStore:
    """See `Store`. Safe to use from any thread, and after a fork."""

    def __init__(self, path: str, clock: Callable[[], int] = now, busy_timeout: float = 5.0) -> None:
        self.location = path
        self.lost: list[str] = []
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._writer = Writer(lambda: _file(path, busy_timeout), self.lost)
        # Once nobody holds the store, the thread ends after what was handed over.
        weakref.finalize(self, self._writer.stop).atexit = False

    def begin(self, intent: Intent, done: Callable[[Verdict], None]) -> None:
        self._writer.write(Job(intent, self._clock(), done))

    def mark(self, attempt: str, generation_id: str) -> None:
        self._writer.put(Job(Opened(attempt, generation_id), self._clock()))

    def settle(self, settlement: Settlement) -> None:
        self._writer.put(Job(settlement, self._clock()))

    def flush(self, timeout: float = 5.0) -> None:
        self._writer.flush(timeout)

    def close(self) -> None:
        self._writer.close()

    def usage(self, by: By = "task", since: datetime | None = None) -> Report:
        from . import sqlite_read

        self.flush()
        return sqlite_read.usage(self.location, self._busy_timeout, grouping(by), since)

    def rows(self, limit: int = 100, since: datetime | None = None) -> list[Row]:
        from . import sqlite_read

        self.flush()
        return sqlite_read.rows(self.location, self._busy_timeout, limit, since)

    def verify(self) -> Verification:
        from . import sqlite_read

        self.flush()
        return sqlite_read.verify(self.location, self._busy_timeout)

    def is_shared(self) -> bool:
        return os.path.exists(self.location)

    def recent(self, since: int, after: Cursor) -> Recent:
        from . import sqlite_read

        return sqlite_read.recent(self.location, since, after)


def _file(path: str, busy_timeout: float) -> Sink:
    from .sqlite_file import SqliteFile  # brings sqlite3: not before the first row

    return SqliteFile(path, busy_timeout)
