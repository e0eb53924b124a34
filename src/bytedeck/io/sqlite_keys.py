"""Virtual keys in the ledger's SQLite file. Each question and each change has a connection of its own.

Imported only when a key is looked for: it needs `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace

from ..callers import Caller, Ring
from ..errors import LedgerError
from ..guard.access import digest
from ..guard.budget import account
from . import keys, sql
from .clock import steady, wall
from .sqlite_claims import SqliteClaims
from .sqlite_faults import explain
from .sqlite_file import BUSY_TIMEOUT, connect, make_file, prepare
from .sqlite_read import reading

_decode = msgspec.json.Decoder(Caller).decode


class SqliteKeys:
    """See `Keys`. Making one does no I/O; a file that is missing holds no key."""

    def __init__(
        self, path: str, clock: Callable[[], int] = wall, busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self._path = path
        self._clock = clock
        self._busy_timeout = busy_timeout

    def version(self) -> int:
        with reading(self._path, self._busy_timeout) as connection:
            return 0 if connection is None else _version(connection)

    def load(self) -> Ring:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                return Ring()
            secrets = _ask(connection, "secrets", self._clock()).fetchall()
            return Ring(
                _version(connection),
                tuple(_caller(said) for (said,) in _ask(connection, "callers")),
                {one: name for one, name, _ in secrets},
                {one: until for one, _, until in secrets if until is not None},
            )

    def list(self) -> tuple[Caller, ...]:
        return self.load().callers

    def find(self, name: str) -> Caller:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                raise keys.unknown(name, ())
            return _find(connection, name)

    def create(self, caller: Caller) -> str:
        kept, secret = keys.made(caller, self._clock())
        with self._writing() as connection:
            if _ask(connection, "caller", kept.name).fetchone() is not None:
                raise keys.taken(kept.name)
            _ask(connection, "put_caller", kept.name, _encode(kept))
            _ask(connection, "put_secret", digest(secret), kept.name)
            self._open_accounts(connection, kept)
        return secret

    def update(self, name: str, change: Callable[[Caller], Caller]) -> Caller:
        with self._writing(name) as connection:
            found = _find(connection, name)
            kept = keys.changed(found, change(found), self._clock())
            self._open_accounts(connection, kept)
            return _keep(connection, kept)

    def rotate(self, name: str, grace: float = 0.0) -> str:
        with self._writing(name) as connection:
            now = self._clock()
            kept, secret = keys.rotated(_find(connection, name), grace, now)
            _ask(connection, "replace_secret", name, now + round(grace * 1_000_000))
            _ask(connection, "forget_old_secrets", now)
            _ask(connection, "put_secret", digest(secret), name)
            _keep(connection, kept)
        return secret

    def revoke(self, name: str) -> Caller:
        with self._writing(name) as connection:
            found = _find(connection, name)
            if found.revoked is not None:
                return found
            return _keep(connection, replace(found, revoked=self._clock()))

    def forget(self, name: str) -> None:
        with self._writing(name) as connection:
            _find(connection, name)
            _ask(connection, "forget_caller", name)
            _ask(connection, "forget_secrets", name)

    def _open_accounts(self, connection: sqlite3.Connection, caller: Caller) -> None:
        """What the rows under its name add up to, so that no request has to wait for the sum."""
        claims, at = SqliteClaims(connection, sql.statements("sqlite"), steady), self._clock()
        for one in caller.budgets:
            claims.open(account(one, at), at)

    @contextmanager
    def _writing(self, name: str = "") -> Iterator[sqlite3.Connection]:
        """A connection in one transaction, which is written down for good where nothing is raised. Raises LedgerError.

        `name`: of a key that is to be there already, for which no file is made.
        """
        if name:
            self.find(name)
        try:
            make_file(self._path)
            connection = connect(self._path, self._busy_timeout)
            try:
                prepare(connection, self._path, sql.migrations("sqlite"), self._busy_timeout)
                # Unlike a row of the ledger, that a key is revoked has to outlive a power cut.
                connection.execute("pragma synchronous = full")
                connection.execute("begin immediate")
                yield connection
                connection.execute("commit")
            finally:
                connection.close()  # which rolls back what was not committed
        except (sqlite3.Error, OSError) as exc:
            raise explain(exc, self._path) from exc


def _ask(connection: sqlite3.Connection, name: str, *params: Any) -> sqlite3.Cursor:
    return connection.execute(sql.statements("sqlite")[name], params)


def _version(connection: sqlite3.Connection) -> int:
    found: tuple[int] = _ask(connection, "callers_version").fetchone()
    return found[0]


def _find(connection: sqlite3.Connection, name: str) -> Caller:
    found = _ask(connection, "caller", name).fetchone()
    if found is None:
        raise keys.unknown(name, (_caller(said).name for (said,) in _ask(connection, "callers")))
    return _caller(found[0])


def _keep(connection: sqlite3.Connection, caller: Caller) -> Caller:
    _ask(connection, "change_caller", caller.name, _encode(caller))
    return caller


def _encode(caller: Caller) -> str:
    return msgspec.json.encode(caller).decode()


def _caller(said: str) -> Caller:
    """A key as it is kept. One that cannot be read lets nobody in."""
    try:
        return _decode(said)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise LedgerError(
            "A virtual key in the ledger cannot be read.",
            detail=str(exc),
            hint=("Upgrade Bytedeck: a newer one may have written it.",),
        ) from exc
