"""The ledger in a SQLite file: a writer thread with group commit, and a read-only connection per question.

Making a `SqliteStore` does no I/O and imports no `sqlite3`; the thread opens the file at the first row.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from ..claims import Bucket, Budget, Claim, Later
from ..ledger.entry import ALL, Awaiting, Opened, Reconciliation, Row, Swept, Wanted
from ..ledger.report import By, Report, Verification, grouping
from ..types import Intent, Settlement
from .clock import steady, wall
from .sink import Job, Sink
from .store import Beginning, Cursor, Owed, Recent, Standing, Verdict
from .sweep import Sweeper
from .writer import Writer

# To write down how far a sweep has come is worth it only where it saves the next one so many rows.
_WORTH_IT = 1000


class SqliteStore:
    """See `Store`. Safe to use from any thread, and after a fork."""

    def __init__(
        self,
        path: str,
        clock: Callable[[], int] = wall,
        busy_timeout: float = 5.0,
        steady: Callable[[], int] = steady,
    ) -> None:
        self.location = path
        self.lost: list[str] = []
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._steady = steady
        self._writer = Writer(lambda: _file(path, busy_timeout, steady), self.lost)
        # Once nobody holds the store, the thread ends after what was handed over.
        weakref.finalize(self, self._writer.stop).atexit = False
        self._sweeper = Sweeper(weakref.WeakMethod(self.sweep))

    @property
    def owed(self) -> Owed:
        return self._writer.owed

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        at = self._clock()
        self._writer.write([Job(intent, at, self._minded(done, claim), claim)])
        self._sweeper.look(at)

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        at = self._clock()
        jobs = [Job(one.intent, at, self._minded(one.done, one.claim), one.claim) for one in beginnings]
        self._writer.write(jobs)
        self._sweeper.look(at)

    def _minded(self, done: Callable[[Verdict], None], claim: Claim | None) -> Callable[[Verdict], None]:
        """What others hold is worth a sweep: they may be dead."""
        if claim is None:
            return done

        def told(verdict: Verdict) -> None:
            if isinstance(verdict, Later) and verdict.held:
                self._sweeper.want()
            done(verdict)

        return told

    def mark(self, attempt: str, generation_id: str) -> None:
        self._writer.put(Job(Opened(attempt, generation_id), self._clock()))

    def settle(self, settlement: Settlement) -> None:
        self._writer.put(Job(settlement, self._clock()))

    def reconcile(self, found: Reconciliation) -> None:
        self._writer.put(Job(found, self._clock()))

    def sweep(self) -> int:
        from . import sqlite_read

        found = sqlite_read.orphans(self.location, self._busy_timeout, self._clock())
        for end in found.ends:
            self.settle(end)
        if found.before - found.began >= _WORTH_IT:
            self._writer.put(Job(Swept(found.before), self._clock()))
        if found.ends:
            self.flush()
        return len(found.ends)

    def flush(self, timeout: float = 5.0) -> None:
        self._writer.flush(timeout)

    def close(self) -> None:
        self._sweeper.close()
        self._writer.close()

    def standing(self, buckets: Sequence[Bucket], budgets: Sequence[Budget]) -> Standing:
        from . import sqlite_read

        self.flush()
        at, steady = self._clock(), self._steady
        return sqlite_read.standing(self.location, self._busy_timeout, buckets, budgets, at, steady)

    def usage(self, by: By = "task", since: datetime | None = None) -> Report:
        from . import sqlite_read

        self.flush()
        return sqlite_read.usage(self.location, self._busy_timeout, grouping(by), since)

    def rows(
        self, limit: int = 100, since: datetime | None = None, wanted: Wanted | None = None
    ) -> list[Row]:
        from . import sqlite_read

        self.flush()
        return sqlite_read.rows(self.location, self._busy_timeout, limit, since, wanted or ALL)

    def attempts(self, requests: Sequence[str]) -> list[Row]:
        from . import sqlite_read

        self.flush()
        return sqlite_read.attempts(self.location, self._busy_timeout, requests)

    def export(self, since: datetime | None = None) -> Iterator[Row]:
        from . import sqlite_read

        self.flush()
        return sqlite_read.export(self.location, self._busy_timeout, since)

    def awaiting(self, limit: int = 1000, after: int = 0) -> list[Awaiting]:
        from . import sqlite_read

        self.flush()
        return sqlite_read.awaiting(self.location, self._busy_timeout, limit, after)

    def verify(self) -> Verification:
        from . import sqlite_read

        self.flush()
        found, owed = sqlite_read.verify(self.location, self._busy_timeout, self._clock()), self.owed
        return (
            found if not owed.rows else replace(found, owed=owed.rows, problems=(str(owed), *found.problems))
        )

    def is_shared(self) -> bool:
        return os.path.exists(self.location)

    def recent(self, since: int, after: Cursor, own: Container[str] = ()) -> Recent:
        from . import sqlite_read

        return sqlite_read.recent(self.location, since, after, own)


def _file(path: str, busy_timeout: float, steady: Callable[[], int]) -> Sink:
    from .sqlite_file import SqliteFile  # brings sqlite3: not before the first row

    return SqliteFile(path, busy_timeout, steady)
