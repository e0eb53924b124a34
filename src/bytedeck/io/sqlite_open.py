"""One connection to the ledger's SQLite file that stays open for small changes that come often, such as words.

Imported only when something is written: it needs `sqlite3`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import sql
from .sqlite_faults import explain, is_full, is_harmless
from .sqlite_file import BUSY_TIMEOUT, connect, make_file, prepare

# Pages of log, of 2 kB each, after which a commit copies it into the file: no thread here would do it meanwhile.
_CHECKPOINT = 2000
# Seconds for which a fork waits for a change in progress, but not for a lock that somebody else has.
_FORK_PATIENCE = 1.0


class SqliteOpen:
    """Making one does no I/O. Safe to use from any thread, and after a fork."""

    def __init__(self, path: str, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        _all.add(self)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction, which is committed where nothing is raised, and rolled back where something is.

        Raises LedgerError.
        """
        with self._lock:
            try:
                connection = self._opened()
                try:
                    connection.execute("begin immediate")
                    yield connection
                    connection.execute("commit")
                except BaseException as exc:
                    self._recover(connection, exc)
                    raise
            except (sqlite3.Error, OSError, OverflowError) as exc:
                raise explain(exc, self._path) from exc

    def close(self) -> None:
        """Another change opens it again."""
        with self._lock:
            self._close()

    def _opened(self) -> sqlite3.Connection:
        """Opened anew where somebody has removed or replaced the file: what we wrote to the old one would be lost."""
        if self._connection is not None and _identity(self._path) == self._file:
            return self._connection
        self._close()
        make_file(self._path)
        connection = connect(self._path, self._busy_timeout)
        try:
            prepare(connection, self._path, sql.migrations("sqlite"), self._busy_timeout)
            connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT}")
            self._file = _identity(self._path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _recover(self, connection: sqlite3.Connection, exc: BaseException) -> None:
        """No transaction stays open, and a doubtful connection is not used again."""
        try:
            if connection.in_transaction:
                connection.execute("rollback")
        except sqlite3.Error:
            self._close()
            return
        if not isinstance(exc, sqlite3.Error):
            return
        if is_full(exc):  # once it is copied into the file, the log's own room can be used again
            with suppress(sqlite3.Error):
                connection.execute("pragma wal_checkpoint(passive)").fetchone()
        elif not is_harmless(exc):
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def leave(self, clean: bool) -> None:
        """In the child of a fork, as `SqliteFile.leave`. `clean`: nothing was going on."""
        self._lock = threading.Lock()
        if clean:
            self._close()
        elif self._connection is not None:
            _left_behind.append(self._connection)
            self._connection = None


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino


_all: weakref.WeakSet[SqliteOpen] = weakref.WeakSet()
# Connections that the child of a fork may neither use nor close.
_left_behind: list[sqlite3.Connection] = []


class _Forking(threading.local):
    """What this thread holds while it forks."""

    def __init__(self) -> None:
        self.held: list[tuple[SqliteOpen, bool]] = []


_forking = _Forking()


def _before_fork() -> None:
    """No change in progress is carried into a child."""
    _forking.held = [(one, one._lock.acquire(timeout=_FORK_PATIENCE)) for one in list(_all)]


def _in_parent() -> None:
    for one, held in _forking.held:
        if held:
            one._lock.release()
    _forking.held = []


def _in_child() -> None:
    for one, held in _forking.held:
        one.leave(held)
    _forking.held = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
