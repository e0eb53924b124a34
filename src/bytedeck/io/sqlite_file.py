"""The SQLite file under the ledger: open it, bring its schema up to date, write rows, say what went wrong.

Imported only when a row is written or read: it needs `sqlite3`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..call.health import LESSONS
from ..claims import Claim, Granted
from ..errors import LedgerError
from ..ledger.entry import LOST, Mark, Opened, Reconciliation, as_told_later, used_tokens
from ..types import Intent, Settlement
from . import clock, sql, sqlite_faults
from .owner import BEAT, LEASE, boot, pulse, this_owner
from .sink import Job, Verdicts
from .sqlite_claims import SqliteClaims
from .sqlite_faults import ANOTHER_PLACE
from .sqlite_rows import INSERTS
from .store import Verdict

# `application_id` of the file's header ("Byte"): tells our file from somebody else's database.
APPLICATION_ID = 0x42797465
BUSY_TIMEOUT = 5.0
# Commits between two copies of the log into the file: about 16 MB of log, 8 µs less an attempt than 4 MB.
CHECKPOINT = 5000
# Seconds between two tries where the disk has no room for it: each copies all of it anew.
_REST = 0.2
# Microseconds; a look is a system call.
_LOOK = 10_000


class SqliteFile:
    """One connection for writing, opened at the first write. One caller at a time."""

    def __init__(
        self, path: str, busy_timeout: float = BUSY_TIMEOUT, steady: Callable[[], int] = clock.steady
    ) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._steady = steady
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        """The connection's, kept as long as it is: to make one costs as much as a row's parameters."""
        self._claims: SqliteClaims | None = None
        self._file = (0, 0)
        self._looked = 0
        self._owner = ""
        self._statements: dict[str, str] = {}
        self._commits = 0
        """Since the log was last copied into the file."""
        self._rests_until = 0.0
        """The log is not copied before this moment of `time.monotonic`."""
        self._running: set[str] = set()
        """Attempts of this process whose intent is written, and whose settlement is not."""
        self._holding: set[str] = set()
        """Those of them that hold tokens, or were to."""
        self._beaten = self._told = 0
        """When this process last gave a sign of life, by `owner.pulse`; and with a row, by the row's time."""

    def write(self, jobs: list[Job]) -> Verdicts:
        """Make the rows durable, all or none. Raises sqlite3.Error, OSError, OverflowError."""
        connection = self._connection
        if connection is None or self._moved(jobs):
            connection = self._open()
        try:
            _patiently(lambda: connection.execute("begin immediate"), self._busy_timeout)
            return self._insert_all(connection, jobs)
        except BaseException as exc:
            self._recover(connection, exc)
            raise

    def write_at_once(self, jobs: list[Job]) -> Verdicts | None:
        """As `write`, but neither opens the file, nor waits for a lock, nor raises an Exception."""
        connection = self._connection
        if connection is None or self._moved(jobs):
            return None
        try:
            if len(jobs) > 1 or jobs[0].claim is not None or self._is_silent(jobs):
                (self._cursor or connection).execute("begin immediate")
            return self._insert_all(connection, jobs)
        except BaseException as exc:
            self._roll_back(connection)
            if isinstance(exc, Exception):  # `write` will meet it again, and tell
                return None
            raise

    def tidy(self) -> None:
        """Give a sign of life, where attempts run; and copy the log into the file, where it has grown: SQLite would
        do it in whoever's commit it is."""
        if self._connection is None:
            return
        if self._running and pulse() - self._beaten >= BEAT:
            with suppress(sqlite3.Error):  # the next row will meet it again, and tell
                self._beat(self._connection)
        if self._commits < CHECKPOINT or time.monotonic() < self._rests_until:
            return
        try:
            self._connection.execute("pragma wal_checkpoint(passive)").fetchone()
            # The log's new beginning is synced to the disk, too, in the next commit: let that be ours.
            self._connection.execute(f"pragma application_id = {APPLICATION_ID}")
            self._commits = 0
        except sqlite3.Error as exc:
            if sqlite_faults.is_full(
                exc
            ):  # soon again: the log must not take all the room that there will be
                self._rests_until = time.monotonic() + _REST
            else:  # somebody reads: next time
                self._commits = 0

    def close(self) -> None:
        self._claims = self._cursor = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def leave(self, clean: bool) -> None:
        """In the child of a fork. Closing lets SQLite forget the locks that only the parent holds; in
        the middle of a wait it would hang, so there the connection is left as it is."""
        connection, self._connection, self._claims = self._connection, None, None
        cursor, self._cursor = self._cursor, None
        self._running.clear()
        self._holding.clear()
        if connection is not None and clean:
            connection.close()
        elif connection is not None:
            _left_behind.append((connection, cursor))

    def explain(self, error: Exception) -> LedgerError:
        return sqlite_faults.explain(error, self._path)

    def hopeless(self, error: Exception) -> bool:
        return sqlite_faults.is_hopeless(error)

    def may_pass(self, error: Exception) -> bool:
        return sqlite_faults.may_pass(error)

    def awaits(self, row: Mark) -> bool:
        return isinstance(row, Reconciliation) or getattr(row, "attempt", None) in self._running

    def _is_silent(self, jobs: list[Job]) -> bool:
        """Whether this process has not given a sign of life for a while, by the rows' own time: that costs nothing."""
        return not 0 <= jobs[-1].at - self._told < BEAT

    def _beat(self, connection: sqlite3.Connection) -> None:
        """A sign of life, for who cannot look at this process."""
        now = pulse()
        connection.execute(self._statements["beat"], (self._owner, boot(), now))
        connection.execute(self._statements["forget_beats"], (boot(), now - LEASE))
        self._beaten = now

    def _moved(self, jobs: list[Job]) -> bool:
        """Whether somebody removed or replaced the file: what we wrote to the old one would be lost.

        Looked up every `_LOOK` of the rows' own time: so much later the file may seem to be gone.
        """
        now = jobs[-1].at
        if 0 <= now - self._looked < _LOOK:
            return False
        try:
            if _identity(self._path) != self._file:
                return True
        except OSError:  # gone; opening tells the rest
            return True
        self._looked = now
        return False

    def _open(self) -> sqlite3.Connection:
        self.close()
        make_file(self._path)
        connection = connect(self._path, self._busy_timeout)
        try:
            prepare(connection, self._path, sql.migrations("sqlite"), self._busy_timeout)
        except BaseException:
            connection.close()
            raise
        connection.execute("pragma busy_timeout = 0")  # from now on `_patiently` waits, where one may wait
        self._connection, self._cursor = connection, connection.cursor()
        self._file = _identity(self._path)
        self._owner, self._told = this_owner(), 0
        self._statements = sql.statements("sqlite")
        return connection

    def _insert_all(self, connection: sqlite3.Connection, jobs: list[Job]) -> Verdicts:
        verdicts: Verdicts = {}
        begun: list[str] = []
        # A settlement tells the generation's id, too: beside it in one commit `opened` would tell nothing. The first one
        # of an attempt counts.
        told = {row.attempt: row.generation_id for job in jobs[::-1] if type(row := job.row) is Settlement}
        for job in jobs:
            row = job.row
            kind = type(row)
            if kind is Intent:
                if job.claim is None:
                    self._insert(connection, job)
                else:
                    verdicts[id(job)] = verdict = self._admit(connection, job, job.claim)
                    if not isinstance(verdict, Granted):
                        continue
                begun.append(row.attempt)  # type: ignore[union-attr]  # mypy does not follow `kind`
            elif kind is Settlement:
                self._settle(connection, job, row)  # type: ignore[arg-type]
            elif kind is not Opened or not told.get(row.attempt):  # type: ignore[union-attr]
                self._insert(connection, job)
        if connection.in_transaction:  # else each statement is one
            if self._is_silent(jobs):
                self._beat(connection)
                self._told = jobs[-1].at
            (self._cursor or connection).execute("commit")
        self._commits += 1
        self._running.update(begun)
        self._running.difference_update(told)
        self._holding.difference_update(told)
        return verdicts

    def _admit(self, connection: sqlite3.Connection, job: Job, claim: Claim) -> Verdict:
        """An intent, where its claim is granted."""
        claims = self._claimed(connection)
        decision = claims.take(claim, job.at)
        if isinstance(decision.verdict, Granted):
            row = self._insert(connection, job).lastrowid
            if decision.holds and row is not None:
                self._holding.add(job.row.attempt)  # type: ignore[union-attr]  # only an intent has a claim
                claims.hold(row, decision.holds)
        return decision.verdict

    def _settle(self, connection: sqlite3.Connection, job: Job, row: Settlement) -> None:
        """A settlement, and what its attempt gives back, if it is the first one."""
        written = self._insert(connection, job)
        if written.rowcount > 0 and written.lastrowid is not None:  # the number of its intent
            if row.outcome in LESSONS:
                connection.execute(self._statements["teach"], (written.lastrowid, row.outcome, job.at))
            if row.attempt in self._running and row.attempt not in self._holding:
                return  # it is our own, and took nothing
            self._claimed(connection).release(written.lastrowid, used_tokens(row), job.at)
        elif written.rowcount == 0 and row.outcome != LOST:
            self._correct(connection, job, row)

    def _correct(self, connection: sqlite3.Connection, job: Job, row: Settlement) -> None:
        """The first settlement counts. But where that was a sweep's, which took us for dead and knew nothing, what
        the upstream has told us is what it says afterwards."""
        if connection.execute(self._statements["is_lost"], (row.attempt,)).fetchone() is None:
            return
        if row.generation_id:
            self._insert(connection, Job(Opened(row.attempt, row.generation_id), job.at))
        if row.quality == "reported" and row.cost_units is not None:
            self._insert(connection, Job(as_told_later(row), job.at))

    def _claimed(self, connection: sqlite3.Connection) -> SqliteClaims:
        if self._claims is None:
            self._claims = SqliteClaims(connection, self._statements, self._steady)
        return self._claims

    def _insert(self, connection: sqlite3.Connection, job: Job) -> sqlite3.Cursor:
        assert job.row is not None  # noqa: S101 - the writer hands over rows only
        name, encode = INSERTS[type(job.row)]
        statement, params = self._statements[name], encode(job.row, job.at, self._owner)
        cursor = self._cursor or connection.cursor()
        try:
            return cursor.execute(statement, params)
        except UnicodeEncodeError:  # half a surrogate pair, from a command line or a broken upstream
            return cursor.execute(statement, tuple(map(_readable, params)))

    def _recover(self, connection: sqlite3.Connection, exc: BaseException) -> None:
        """After a failure: no transaction stays open, and a doubtful connection is not used again."""
        self._roll_back(connection)
        if isinstance(exc, sqlite3.Error) and sqlite_faults.is_full(exc):
            # Once it is copied into the file, the log's own room can be used again.
            self._commits = CHECKPOINT
        if isinstance(exc, sqlite3.Error) and not sqlite_faults.is_harmless(exc):
            self.close()

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        self._claims = None  # its first look at the clock may be undone with the rest
        try:
            if connection.in_transaction:
                connection.execute("rollback")
        except sqlite3.Error:
            self.close()


# Connections, and their cursors, that the child of a fork may neither use nor close.
_left_behind: list[tuple[sqlite3.Connection, sqlite3.Cursor | None]] = []


def make_file(path: str) -> None:
    """Create the file for its owner alone, and its folder too where that is missing. Raises OSError."""
    try:
        _create(path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _create(path)


def _create(path: str) -> None:
    try:
        # Never opened when it is there: closing it would drop the locks that SQLite has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        status = os.stat(path)
        if status.st_mode & 0o077 and status.st_uid == os.getuid():
            os.chmod(path, 0o600)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def connect(path: str, busy_timeout: float, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit; -wal and -shm get the file's own mode. Raises sqlite3.Error."""
    mode = "ro" if read_only else "rw"
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(
        f"file:{quoted}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,  # the child of a fork closes what the thread opened
    )


def prepare(
    connection: sqlite3.Connection, path: str, migrations: Mapping[str, str], busy_timeout: float
) -> None:
    """Set the connection up for writing and bring the schema up to date, one process at a time.

    Raises LedgerError for a newer schema or somebody else's database, sqlite3.Error otherwise; the
    connection is then to be closed, which rolls back.
    """
    # Of a new file only. Rows are small, and the log takes whole pages: half as large, a third less CPU.
    connection.execute("pragma page_size = 2048")
    _patiently(lambda: connection.execute("pragma journal_mode = wal").fetchone(), busy_timeout)
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma wal_autocheckpoint = 0")  # `tidy` does it
    if applied(connection, path) == tuple(migrations):
        return
    connection.execute("begin immediate")
    done = applied(connection, path)  # again: another process may have been quicker
    refuse_newer(done, migrations, path)
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    connection.execute(
        "create table if not exists migration (name text primary key, at integer not null) strict"
    )
    for name, script in migrations.items():
        if name not in done:
            _run(connection, script)
            record = "insert into migration (name, at) values (?, ?)"
            connection.execute(record, (name, time.time_ns() // 1000))
    connection.execute("commit")


def applied(connection: sqlite3.Connection, path: str) -> tuple[str, ...]:
    """The migrations that the file has had, by name; () for an empty file. Raises LedgerError for
    a database that is not ours."""
    tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    if not tables:
        return ()
    if connection.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
        raise LedgerError(
            f"The file {path} is a database of another program, not a ledger.", hint=(ANOTHER_PLACE,)
        )
    return tuple(name for (name,) in connection.execute("select name from migration order by name"))


def refuse_newer(done: tuple[str, ...], migrations: Mapping[str, str], path: str) -> None:
    """Raises LedgerError for a file that has had a migration which we do not know."""
    unknown = [name for name in done if name not in migrations]
    if unknown:
        raise LedgerError(
            f"The ledger {path} was written by a newer Bytedeck ({unknown[-1]}).",
            hint=("Upgrade Bytedeck.", ANOTHER_PLACE),
        )


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Every statement of a script (`executescript` would commit the transaction that we are in)."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _patiently(step: Callable[[], object], patience: float) -> None:
    """Ask for a lock again and again; SQLite itself does not wait where two processes turn on the WAL at once."""
    until = time.monotonic() + patience
    while True:
        try:
            step()
            return
        except sqlite3.OperationalError as exc:
            if not sqlite_faults.name(exc).startswith("SQLITE_BUSY") or time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _readable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
