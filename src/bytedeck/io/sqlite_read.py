"""Questions to the SQLite ledger, each on a read-only connection of its own and in one snapshot.

A file that is missing or empty is an empty ledger, and reading does not create it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, get_args

from ..errors import LedgerError
from ..health import Learnt, Seen
from ..ledger.entry import Row, cost_problem, instant, moment, seconds, state
from ..ledger.report import By, Report, Tally, Verification, build
from . import sql
from .owner import lives
from .sqlite_file import applied, connect, explain, prepare, refuse_newer
from .store import MOST_RECENT, Cursor, Recent

# As the SQL splits its sums: in billions of units, and the rest.
_SPLIT = 1_000_000_000
_EVER = -(2**62)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_MOST_PROBLEMS = 100
# Who looks for news is not to wait for somebody's lock: there will be a next time.
_RECENT_TIMEOUT = 0.25


def usage(path: str, busy_timeout: float, by: By, since: datetime | None) -> Report:
    """See `Store.usage`."""
    with _reading(path, busy_timeout) as connection:
        if connection is None:
            return build(by, since, (), {}, 0)
        return _usage(connection, by, since)


def rows(path: str, busy_timeout: float, limit: int, since: datetime | None) -> list[Row]:
    """See `Store.rows`."""
    with _reading(path, busy_timeout) as connection:
        if connection is None:
            return []
        found = _ask(connection, "rows", limit=max(limit, 0), since=_start(since))
        names = [column[0] for column in found.description]
        return [_row(dict(zip(names, values, strict=True))) for values in found]


def recent(path: str, since: int, after: Cursor) -> Recent:
    """See `Store.recent`. Reads by the primary key alone, so that a ledger's size does not matter."""
    with _reading(path, _RECENT_TIMEOUT) as connection:
        if connection is None:
            return Recent()
        (last,) = _ask(connection, "last_intent").fetchone()
        if last < after.last:  # another file
            after = Cursor()
        first = max(after.last, last - MOST_RECENT)
        found = _ask(connection, "recent", first=first, since=since).fetchall()
        learnt = tuple(Learnt(*row) for row in _ask(connection, "learnt"))
        watched = [row for id_ in after.open for row in _ask(connection, "watched", id=id_, since=since)]
    still_open = tuple(row[0] for row in (*watched, *found) if row[5] is None)[-MOST_RECENT:]
    ended = (row for row in watched if row[5] is not None)
    return Recent(tuple(map(_seen, (*ended, *found))), learnt, Cursor(last, still_open))


def _seen(row: tuple[Any, ...]) -> Seen:
    _id, attempt, model, key, begun, ended, outcome, first, duration, tokens = row
    return Seen(
        attempt=attempt,
        model=model,
        key=key,
        begun=begun,
        ended=ended,
        outcome=outcome or "",
        first_token=None if first is None else seconds(first),
        seconds=seconds(duration or 0),
        tokens=tokens or 0,
    )


def verify(path: str, busy_timeout: float) -> Verification:
    """See `Store.verify`. A damaged file is a problem that is told, not an error."""
    try:
        with _reading(path, busy_timeout) as connection:
            if connection is None:
                return Verification(location=path)
            return _verify(connection, path)
    except LedgerError as exc:
        cause = getattr(exc.__cause__, "sqlite_errorname", "") or ""
        if not cause.startswith(_DAMAGED):
            raise
        return Verification(location=path, problems=(str(exc),))


@contextmanager
def _reading(path: str, busy_timeout: float) -> Iterator[sqlite3.Connection | None]:
    """A connection in one read transaction; None: there is nothing. Raises LedgerError."""
    try:
        if not _there(path):
            yield None
            return
        connection = connect(path, busy_timeout, read_only=True)
        try:
            done = applied(connection, path)
            known = sql.migrations("sqlite")
            refuse_newer(done, known, path)
            if done and len(done) < len(known):
                connection.close()
                _upgrade(path, busy_timeout)
                connection = connect(path, busy_timeout, read_only=True)
            connection.execute("begin")
            yield connection if done else None
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as exc:
        raise explain(exc, path) from exc


def _there(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


def _upgrade(path: str, busy_timeout: float) -> None:
    connection = connect(path, busy_timeout)
    try:
        prepare(connection, path, sql.migrations("sqlite"), busy_timeout)
    finally:
        connection.close()


def _usage(connection: sqlite3.Connection, by: By, since: datetime | None) -> Report:
    start = _start(since)
    requests = dict(_ask(connection, "requests", by=by, since=start).fetchall())
    (total,) = _ask(connection, "all_requests", since=start).fetchone()
    return build(by, since, _tallies(connection, by, start), requests, total)


def _tallies(connection: sqlite3.Connection, by: By, start: int) -> list[Tally]:
    return [
        Tally(label, day, attempts, prompt, completion, high * _SPLIT + low, unknown, estimated)
        for label, day, attempts, prompt, completion, high, low, unknown, estimated in _ask(
            connection, "usage", by=by, since=start
        )
    ]


def _row(fields: dict[str, Any]) -> Row:
    first = fields.pop("first_token_us")
    settled_at = fields.pop("settled_at")
    return Row(
        at=moment(fields.pop("at")),
        settled_at=None if settled_at is None else moment(settled_at),
        streamed=bool(fields.pop("streamed")),
        is_byok=bool(fields.pop("is_byok")),
        first_token=None if first is None else seconds(first),
        seconds=seconds(fields.pop("duration_us")),
        **fields,
    )


def _verify(connection: sqlite3.Connection, path: str) -> Verification:
    problems = [
        f"SQLite finds the file damaged: {text}"
        for (text,) in connection.execute("pragma integrity_check")
        if text != "ok"
    ]
    for kind, count in _ask(connection, "without_intent"):
        problems.append(f"{count} rows of kind {kind} have no intent.")
    cost_units, wrong = _costs(connection)
    problems += wrong
    for by in get_args(By):
        summed = sum(tally.units for tally in _tallies(connection, by, _EVER))
        if summed != cost_units:
            problems.append(f"The rows sum up to {cost_units} units, the report by {by} to {summed}.")
    return Verification(
        location=path, cost_units=cost_units, problems=tuple(problems[:_MOST_PROBLEMS]), **_states(connection)
    )


def _costs(connection: sqlite3.Connection) -> tuple[int, list[str]]:
    """The sum of what was spent, row by row, and what is wrong with single costs."""
    total, wrong = 0, []
    for attempt, cost_units, cost_text, upstream_units, is_byok in _ask(connection, "costs"):
        if problem := cost_problem(attempt, cost_units, cost_text):
            wrong.append(problem)
        if cost_units is not None:
            total += cost_units + ((upstream_units or 0) if is_byok else 0)
    return total, wrong


def _states(connection: sqlite3.Connection) -> dict[str, int]:
    counts = {"attempts": 0, "settled": 0, "awaiting": 0, "in_flight": 0, "orphaned": 0}
    for settled, unknown, named, owner, count in _ask(connection, "states"):
        where: str = state(bool(settled), None if unknown else 0, "named" if named else "")
        if where == "open":
            where = "in_flight" if lives(owner) else "orphaned"
        counts[where] += count
        counts["attempts"] += count
    return counts


def _ask(connection: sqlite3.Connection, name: str, **params: str | int) -> sqlite3.Cursor:
    return connection.execute(sql.statements("sqlite")[name], params)


def _start(since: datetime | None) -> int:
    return _EVER if since is None else instant(since)
