"""Answers that are kept for who asks the same again: a SQLite file of its own, bounded in size, shared by processes.

Nothing here is worth an error: what cannot be read was not there, what cannot be written is not kept, and a file that
is damaged is thrown away. Answers are told in the clear, so the file is its owner's alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from . import sql
from .clock import wall

APPLICATION_ID = 0x42797463
"""`Bytc`: tells our file from somebody else's database."""
_VERSION = 1
_BUSY = 0.25
"""Seconds that a lock is waited for: the request behind it is waiting, too."""
_REST = 10.0
"""Seconds after a failure in which the file is left alone."""
_MOST_USED = 10_000
"""Answers of which it is remembered that they were used: it is written down with the next one that is kept, as it
matters only where one has to go."""
_LARGEST = 8
"""One answer may take one part in so many of the whole."""
_ROOM = 0.9
"""Where it was full, so much is left of it: to make room is worth it only for several at once."""

_LOG = logging.getLogger("bytedeck.cache")
_T = TypeVar("_T")


class Found(Struct, frozen=True):
    """An answer that was kept."""

    value: bytes
    age: float
    """Seconds."""


class Cache:
    """One file, opened at the first use. Blocks; safe to use from any thread. Raises nothing."""

    def __init__(self, path: str, most: int, clock: Callable[[], int] = wall) -> None:
        """`most`: bytes of all answers together. `clock`: microseconds since 1970."""
        self.path, self.most = path, most
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        """Which file that is: there may be another one of this name by now."""
        self._rests_until = 0.0
        self._used: dict[bytes, int] = {}
        self._statements = sql.statements("cache")

    def is_free(self) -> bool:
        """Whether `find` would not wait: the file is open, and nobody of this process writes."""
        return self._connection is not None and not self._lock.locked()

    def find(self, key: bytes, seconds: float) -> Found | None:
        """The answer under a key, if it is not older than so many seconds."""
        return self._try(lambda db: self._find(db, key, seconds))

    def keep(self, key: bytes, value: bytes, seconds: float) -> None:
        """Keep an answer for so long, in the place of what was there."""
        if len(value) <= self.most // _LARGEST:
            self._try(lambda db: self._keep(db, key, value, seconds))

    def close(self) -> None:
        """Let go of the file. It may be used again. Idempotent."""
        with self._lock:
            self._let_go()

    def _find(self, db: sqlite3.Connection, key: bytes, seconds: float) -> Found | None:
        row = db.execute(self._statements["find"], (key,)).fetchone()
        now = self._clock()
        if row is None:
            return None
        value, at, until = row
        if type(value) is not bytes or type(at) is not int or type(until) is not int:  # SQLite takes anything
            return None
        # A clock that was set back must not make an answer young for ever.
        if now >= until or not 0 <= now - at < seconds * 1e6:
            return None
        if len(self._used) < _MOST_USED:
            self._used[key] = now
        return Found(value, (now - at) / 1e6)

    def _keep(self, db: sqlite3.Connection, key: bytes, value: bytes, seconds: float) -> None:
        now = self._clock()
        db.execute("begin immediate")
        try:
            used, self._used = self._used, {}
            db.executemany(self._statements["touch"], [(at, one) for one, at in used.items()])
            db.execute(self._statements["forget"], (key,))
            db.execute(self._statements["keep"], (key, value, now, now + int(seconds * 1e6), now, len(value)))
            if self._held(db) > self.most:
                self._make_room(db, now)
            db.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("rollback")
            raise

    def _held(self, db: sqlite3.Connection) -> int:
        held: int = db.execute(self._statements["held"]).fetchone()[0]
        return held

    def _make_room(self, db: sqlite3.Connection, now: int) -> None:
        """What has expired goes first, then what was not used for longest."""
        db.execute(self._statements["expire"], (now,))
        excess = self._held(db) - int(self.most * _ROOM)
        while excess > 0:
            oldest = db.execute(self._statements["oldest"]).fetchall()
            for key, size in oldest:
                if excess > 0:
                    db.execute(self._statements["forget"], (key,))
                    excess -= size
            if not oldest:
                return

    # -- the file --------------------------------------------------------------------------------

    def _try(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """What comes of it; None where the file is in the way."""
        with self._lock:
            if time.monotonic() < self._rests_until:
                return None
            try:
                if self._connection is None:
                    self._connection = self._open()
                return work(self._connection)
            except (sqlite3.Error, OSError) as exc:
                self._failed(exc)
                return None

    def _failed(self, exc: Exception) -> None:
        """A lock passes; whatever else it is, the file is left alone for a while, and thrown away where it is damaged."""
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return
        _LOG.warning("the response cache %s cannot be used just now: %s", self.path, exc)
        self._rests_until = time.monotonic() + _REST
        is_there = self._file == self._there()  # else another process has thrown it away, and made a new one
        self._let_go()
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            if is_there:
                for end in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        os.unlink(self.path + end)
            self._rests_until = 0.0

    def _there(self) -> int:
        """Which file stands at the path; 0: none."""
        try:
            return os.stat(self.path).st_ino
        except OSError:
            return 0

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._file = self._there()
        db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            is_ready = self._is_ready(db)
            # A power cut may damage it, and it is thrown away then: no answer waits for the disk.
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = off")
            if not is_ready:
                self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _is_ready(self, db: sqlite3.Connection) -> bool:
        """Whether the tables are there, in this version. Raises sqlite3.DatabaseError for a stranger's file."""
        known = db.execute("pragma application_id").fetchone()[0]
        version = db.execute("pragma user_version").fetchone()[0]
        if known != APPLICATION_ID and db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("it is somebody else's database")
        return bool(known == APPLICATION_ID and version == _VERSION)

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables, anew where they are another version's."""
        marks = f"pragma user_version = {_VERSION}; pragma application_id = {APPLICATION_ID};"
        db.executescript(f"begin immediate; {self._statements['schema']} {marks} commit;")
