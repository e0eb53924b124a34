"""Questions to the SQLite ledger, each on a read-only connection of its own and in one snapshot.

A file that is missing or empty is an empty ledger, and reading does not create it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from msgspec import Struct, json
from msgspec.structs import asdict

from ..claims import NEW, Bucket, Budget
from ..errors import LedgerError
from ..guard.budget import account
from ..health import Learnt, Seen
from ..ledger.entry import ALL, Awaiting, Row, Wanted, cost_problem, instant, lost, moment, seconds
from ..ledger.report import By, Report, Tally, Verification, build
from ..types import Settlement
from . import clock, sql
from .owner import boot, is_gone, pulse
from .sqlite_claims import SqliteClaims
from .sqlite_faults import explain
from .sqlite_file import applied, connect, prepare, refuse_newer
from .store import MOST_RECENT, Cursor, Recent, Standing

# As the SQL splits its sums: in billions of units, and the rest.
_SPLIT = 1_000_000_000
_EVER = -(2**62)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_MOST_PROBLEMS = 100
# Who looks for news is not to wait for somebody's lock: there will be a next time.
_RECENT_TIMEOUT = 0.25
# Rows that an export holds at once.
_PAGE = 1000


def usage(path: str, busy_timeout: float, by: By, since: datetime | None) -> Report:
    """See `Store.usage`."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return build(by, since, (), {}, 0)
        return _usage(connection, by, since)


def rows(
    path: str, busy_timeout: float, limit: int, since: datetime | None, wanted: Wanted = ALL
) -> list[Row]:
    """See `Store.rows`."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return []
        found = _ask(connection, "rows", limit=max(limit, 0), since=_start(since), **asdict(wanted))
        return [_row(one) for one in _named(found)]


def attempts(path: str, busy_timeout: float, requests: Sequence[str]) -> list[Row]:
    """See `Store.attempts`. By the attempts' names, which are the requests' with a number."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return []
        found = _ask(connection, "attempts_of", requests=json.encode(requests).decode())
        return [_row(one) for one in _named(found)]


def export(path: str, busy_timeout: float, since: datetime | None) -> Iterator[Row]:
    """See `Store.export`. Page by page: a reader that takes its time must not keep the log from being tidied up."""
    after, last = 0, -1
    while True:
        with reading(path, busy_timeout) as connection:
            if connection is None:
                return
            if last < 0:
                (last,) = _ask(connection, "last_intent").fetchone()
            page = _ask(connection, "export", after=after, last=last, since=_start(since), limit=_PAGE)
            found = _named(page)
        for fields in found:
            after = fields.pop("id")
            yield _row(fields)
        if len(found) < _PAGE:
            return


def awaiting(path: str, busy_timeout: float, limit: int, after: int) -> list[Awaiting]:
    """See `Store.awaiting`."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return []
        found = _ask(connection, "awaiting", limit=max(limit, 0), after=after)
        return [
            Awaiting(attempt=attempt, generation_id=generation, key=key, settled_at=at, place=place)
            for attempt, generation, key, at, place in found
        ]


def standing(
    path: str,
    busy_timeout: float,
    buckets: Sequence[Bucket],
    budgets: Sequence[Budget],
    at: int,
    steady: Callable[[], int],
) -> Standing:
    """See `Store.standing`. `at`: microseconds since 1970; `steady`: the machine's own clock, in microseconds."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return Standing((NEW,) * len(buckets), (NEW,) * len(budgets), at, at)
        claims = SqliteClaims(connection, sql.statements("sqlite"), steady)
        is_known, ahead, latest = _ask(connection, "clock_of", boot=boot()).fetchone() or (False, 0, 0)
        now = steady() + ahead if is_known else max(at, latest)
        accounts = tuple(claims.standing(account(one, at)) for one in budgets)
        return Standing(claims.levels(buckets), accounts, now, at)


class Orphans(Struct, frozen=True):
    """What a sweep found."""

    ends: tuple[Settlement, ...] = ()
    """The settlements of those whose process died."""
    began: int = 0
    """Where it began to look: what came before was settled at the last sweep."""
    before: int = 0
    """All attempts before this one are settled."""


def orphans(path: str, busy_timeout: float, now: int) -> Orphans:
    """The attempts that nobody will settle any more. `now`: microseconds since 1970."""
    with reading(path, busy_timeout) as connection:
        if connection is None:
            return Orphans()
        (last,) = _ask(connection, "last_intent").fetchone()
        (first,) = _ask(connection, "swept_before").fetchone()
        if last < first - 1:  # rows were taken out, and their numbers are used again
            first = 0
        found = _ask(connection, "open", first=first).fetchall()
        silent = _silences(connection)
    ends = tuple(
        lost(attempt, model, generation)
        for _, attempt, model, owner, at, generation in found
        if is_gone(owner, at, now, silent.get(owner))
    )
    return Orphans(ends, first, found[0][0] if found else last + 1)


def _silences(connection: sqlite3.Connection) -> dict[str, int]:
    """Process → microseconds since its last sign of life; of those that gave one since the machine was started."""
    beats, now = _ask(connection, "beats", boot=boot()).fetchall(), pulse()
    return {owner: now - beat for owner, beat in beats}


def recent(path: str, since: int, after: Cursor, own: Container[str]) -> Recent:
    """See `Store.recent`. Reads by the primary key alone, so that a ledger's size does not matter."""
    with reading(path, _RECENT_TIMEOUT) as connection:
        if connection is None:
            return Recent()
        (last,) = _ask(connection, "last_intent").fetchone()
        if last < after.last:  # another file
            after = Cursor()
        first = max(after.last, last - MOST_RECENT)
        # A busy process finds little but its own rows, and a name alone is a third of the work.
        names = {name for (name,) in _ask(connection, "names", first=first) if name in own}
        is_alone = len(names) == last - first
        found = [] if is_alone else _ask(connection, "recent", first=first, since=since).fetchall()
        learnt = tuple(Learnt(*row) for row in _ask(connection, "learnt"))
        watched = [row for id_ in after.open for row in _ask(connection, "watched", id=id_, since=since)]
    found = [row for row in found if row[1] not in names]
    still_open = tuple(row[0] for row in (*watched, *found) if row[5] is None)[-MOST_RECENT:]
    ended = (row for row in watched if row[5] is not None)
    return Recent(tuple(map(_seen, (*ended, *found))), learnt, Cursor(last, still_open), tuple(names))


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


def verify(path: str, busy_timeout: float, now: int) -> Verification:
    """See `Store.verify`. A damaged file is a problem that is told, not an error. `now`: microseconds since 1970."""
    try:
        with reading(path, busy_timeout) as connection:
            if connection is None:
                return Verification(location=path)
            return _verify(connection, path, now)
    except LedgerError as exc:
        cause = getattr(exc.__cause__, "sqlite_errorname", "") or ""
        if not cause.startswith(_DAMAGED):
            raise
        return Verification(location=path, problems=(str(exc),))


@contextmanager
def reading(path: str, busy_timeout: float) -> Iterator[sqlite3.Connection | None]:
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
        Tally(
            label=row["label"],
            day=row["day"],
            attempts=row["attempts"],
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            units=row["billions"] * _SPLIT + row["rest"],
            unknown=row["unknown"],
            estimated=row["estimated"],
            worst_units=row["worst_billions"] * _SPLIT + row["worst_rest"],
            unbounded=row["unbounded"],
        )
        for row in _named(_ask(connection, "usage", by=by, since=start))
    ]


def _named(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, values, strict=True)) for values in found]


def _row(fields: dict[str, Any]) -> Row:
    first = fields.pop("first_token_us")
    settled_at, reconciled_at = fields.pop("settled_at"), fields.pop("reconciled_at")
    return Row(
        at=moment(fields.pop("at")),
        settled_at=None if settled_at is None else moment(settled_at),
        reconciled_at=None if reconciled_at is None else moment(reconciled_at),
        streamed=bool(fields.pop("streamed")),
        is_byok=bool(fields.pop("is_byok")),
        first_token=None if first is None else seconds(first),
        seconds=seconds(fields.pop("duration_us")),
        **fields,
    )


def _verify(connection: sqlite3.Connection, path: str, now: int) -> Verification:
    problems = [
        f"SQLite finds the file damaged: {text}"
        for (text,) in connection.execute("pragma integrity_check")
        if text != "ok"
    ]
    for kind, count in _ask(connection, "without_intent"):
        problems.append(f"{count} rows of kind {kind} have no intent.")
    found, wrong = _costs(connection)
    problems += wrong
    # All reports are one statement, and differ in the words they group by.
    tallies = _tallies(connection, "task", _EVER)
    for field, what in _PROVEN.items():
        summed = sum(getattr(tally, field) for tally in tallies)
        if summed != found[field]:
            problems.append(f"{what} is {found[field]} by the rows, {summed} by the reports.")
    problems += _accounts(connection)
    cost_units = found.pop("units")
    states = _states(connection, now)
    told = tuple(problems[:_MOST_PROBLEMS])
    return Verification(location=path, cost_units=cost_units, problems=told, **found, **states)


def _accounts(connection: sqlite3.Connection) -> list[str]:
    """Accounts of budgets that are not what the rows under them add up to."""
    claims, wrong = SqliteClaims(connection, sql.statements("sqlite"), clock.steady), []
    for one, (spent, held) in claims.accounts():
        rows_spent, rows_held = claims.summed(one)
        whose = " ".join(filter(None, (one.scope, one.of, one.period)))
        if spent != rows_spent:
            wrong.append(f"The account {whose} says {spent} units are spent, its rows {rows_spent}.")
        if held != rows_held:
            wrong.append(f"The account {whose} says {held} units are held, its rows {rows_held}.")
    (stale,) = _ask(connection, "stale_holds").fetchone()
    if stale:
        wrong.append(f"{stale} attempts that have ended still hold tokens of a limit.")
    return wrong


# What is added up row by row, and by every report, to the same.
_PROVEN = {
    "units": "The sum of the known costs, in units,",
    "unknown": "The number of attempts whose cost is not known",
    "worst_units": "The sum of their worst cases, in units,",
    "unbounded": "The number of those without one",
}


def _costs(connection: sqlite3.Connection) -> tuple[dict[str, int], list[str]]:
    """What `_PROVEN` names, row by row, and what is wrong with single costs."""
    total, wrong = dict.fromkeys(_PROVEN, 0), []
    for attempt, cost_units, cost_text, upstream_units, is_byok, worst_units in _ask(connection, "costs"):
        if problem := cost_problem(attempt, cost_units, cost_text):
            wrong.append(problem)
        if cost_units is not None:
            total["units"] += cost_units + ((upstream_units or 0) if is_byok else 0)
        else:
            total["unknown"] += 1
            total["worst_units"] += worst_units or 0
            total["unbounded"] += worst_units is None
    return total, wrong


def _states(connection: sqlite3.Connection, now: int) -> dict[str, int]:
    (attempts,) = _ask(connection, "begun").fetchone()
    awaiting = sum(1 for _ in _ask(connection, "awaiting", limit=attempts, after=0))
    silent = _silences(connection)
    running = [(owner, at) for _, _, _, owner, at, _ in _ask(connection, "open", first=_EVER)]
    orphaned = sum(is_gone(owner, at, now, silent.get(owner)) for owner, at in running)
    return {
        "attempts": attempts,
        "settled": attempts - awaiting - len(running),
        "awaiting": awaiting,
        "in_flight": len(running) - orphaned,
        "orphaned": orphaned,
    }


def _ask(connection: sqlite3.Connection, name: str, **params: str | int) -> sqlite3.Cursor:
    return connection.execute(sql.statements("sqlite")[name], params)


def _start(since: datetime | None) -> int:
    return _EVER if since is None else instant(since)
