"""Matches of the arena in the ledger's SQLite file: one connection for what is written, one for each question.

Imported only when a match is looked for or held: it needs `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..arena.events import Begun, Event
from ..arena.types import Change, Match, Opinion, Result, Source, Vote
from ..errors import ByteError, LedgerError
from . import matches, sql
from .clock import wall
from .matches import Kept, Standing
from .owner import BEAT, boot, is_gone, pulse, this_owner
from .sqlite_file import BUSY_TIMEOUT
from .sqlite_open import SqliteOpen
from .sqlite_read import reading

T = TypeVar("T")

_EVER = 2**62
_NO_ROUND = -1
_FORGET = ("forget_events", "forget_votes", "forget_results", "forget_opinions", "forget_match")

_match = msgspec.json.Decoder(Match)
_standing = msgspec.json.Decoder(Standing)
_events = msgspec.json.Decoder(tuple[Event, ...])
_votes = msgspec.json.Decoder(tuple[Vote, ...])
_results = msgspec.json.Decoder(tuple[Result, ...])
_opinions = msgspec.json.Decoder(tuple[Opinion, ...])
_change = msgspec.json.Decoder(Change)

_here: set[tuple[str, str]] = set()
"""File and match of what goes on in this process. The row only tells which process it is, also where that could not write
any more that it is done."""


class _Row(NamedTuple):
    """Where a match is; `number` is its row's."""

    number: int
    holder: str
    held_at: int
    standing: Standing
    last: int


class SqliteMatches:
    """See `Matches`. Making one does no I/O; a file that is missing holds nothing."""

    def __init__(
        self, path: str, clock: Callable[[], int] = wall, busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self._path = path
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._open = SqliteOpen(path, busy_timeout)
        self._mine: set[str] = set()
        """What was taken through this object, and not released."""
        self._beaten = (0, "")
        """When the last sign of life was given, by `owner.pulse`, and whose."""

    # -- holding and writing

    def create(self, match: Match, begun: Begun) -> None:
        matches.checked(match, begun)
        said, standing, event = _text(match), _text(Standing()), _text(begun)
        with self._taking(match.id) as connection:
            if _ask(connection, "match_state", match.id).fetchone() is not None:
                raise matches.taken(match.id)
            row = match.id, match.owner, said, standing, this_owner(), self._clock()
            number = _ask(connection, "match_put", *row).lastrowid
            _ask(connection, "event_put", number, begun.seq, begun.at, event)
            self._beat(connection)

    def append(self, match: str, events: Sequence[Event]) -> None:
        if not events:
            return
        bodies = [_text(event) for event in events]
        with self._open.changing() as connection:
            row = self._row(connection, match)
            if row.holder != this_owner():
                raise matches.lost(match)
            if row.standing.end:
                raise matches.over(match)
            matches.in_order(match, row.last, events)
            standing = row.standing
            for event, body in zip(events, bodies, strict=True):
                _ask(connection, "event_put", row.number, event.seq, event.at, body)
                standing = matches.noted(standing, event)
            if standing != row.standing:
                _ask(connection, "match_stands", row.number, _text(standing))
            if standing.end:
                _ask(connection, "match_comes_due", row.number)
            self._beat(connection)

    def hold(self, match: str) -> None:
        self._refuse_unknown(match)
        with self._taking(match) as connection:
            row = self._row(connection, match)
            if row.standing.end:
                raise matches.over(match)
            self._refuse_held(connection, match, row)
            _ask(connection, "match_held", row.number, this_owner(), self._clock())
            self._beat(connection)

    def release(self, match: str) -> None:
        self._refuse_unknown(match)
        if match in self._mine:  # also where that cannot be written
            self._let_go(match)
        with self._open.changing() as connection:
            row = self._row(connection, match)
            # Another thread may have taken it already: it is that one's now.
            if row.holder == this_owner() and (self._path, match) not in _here:
                _ask(connection, "match_held", row.number, "", self._clock())

    def forget(self, match: str) -> None:
        self._refuse_unknown(match)
        with self._open.changing() as connection:
            row = self._row(connection, match)
            self._refuse_held(connection, match, row)
            for name in _FORGET:
                _ask(connection, name, row.number)

    def close(self) -> None:
        for match in tuple(self._mine):
            with suppress(ByteError):  # once this process has ended, it holds nothing all the same
                self.release(match)
        self._open.close()

    # -- reading

    def find(self, match: str) -> Kept:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                raise matches.unknown(match)
            found = []
            if prefix := matches.prefix(match):
                found = [one for (one,) in _ask(connection, "match_beginning", prefix=prefix)]
            chosen = matches.meant(match, found, _ids(connection) if not found else ())
            row = _ask(connection, "match_kept", chosen).fetchone()
            return self._kept(row, _silences(connection))

    def list(self, limit: int = 50, before: str = "", owner: str | None = None) -> tuple[Kept, ...]:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                if before:
                    raise matches.unknown(before)
                return ()
            asked: dict[str, Any] = {"limit": _bounded(limit), "before": _EVER}
            if before:
                asked["before"] = self._row(connection, before).number
            name = "match_list"
            if owner is not None:
                name, asked["owner"] = "match_list_of", owner
            silent = _silences(connection)
            return tuple(self._kept(row, silent) for row in _ask(connection, name, **asked).fetchall())

    def events(self, match: str, after: int = -1, limit: int | None = None) -> tuple[Event, ...]:
        with self._about(match) as (connection, number):
            most = _EVER if limit is None else _bounded(limit)
            return _all(connection, "events", _events, number, _bounded(after, -1), most)

    # -- votes, results, changes

    def vote(self, vote: Vote) -> None:
        self._refuse_unknown(vote.match)
        said = _text(vote)
        with self._open.changing() as connection:
            row = self._row(connection, vote.match)
            number_of_round = _NO_ROUND if vote.round is None else vote.round
            _ask(connection, "vote_put", row.number, vote.source, vote.voter, number_of_round, said)
            if row.standing.end:
                _ask(connection, "match_comes_due", row.number)

    def votes(self, match: str) -> tuple[Vote, ...]:
        with self._about(match) as (connection, number):
            return _all(connection, "votes", _votes, number)

    def record(
        self, match: str, source: Source, results: Sequence[Result], opinions: Sequence[Opinion] = ()
    ) -> None:
        matches.of_match(match, source, results, opinions)
        self._refuse_unknown(match)
        with self._open.changing() as connection:
            number = self._row(connection, match).number
            _ask(connection, "results_drop", number, source)
            _ask(connection, "opinions_drop", number, source)
            for one in results:
                row = number, source, one.task, one.first, one.second, one.score, one.at, _text(one)
                _ask(connection, "result_put", *row)
            for each in opinions:
                said = number, source, each.task, each.judge, each.at, _text(each)
                _ask(connection, "opinion_put", *said)

    def due(self) -> tuple[str, ...]:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                return ()
            return tuple(one for (one,) in _ask(connection, "matches_due"))

    def recorded(self, match: str, due: int) -> bool:
        self._refuse_unknown(match)
        with self._open.changing() as connection:
            number = self._row(connection, match).number
            return _ask(connection, "match_recorded", number, due).rowcount > 0

    def results(self, task: str = "", source: str = "", since: int = 0) -> tuple[Result, ...]:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                return ()
            asked: dict[str, Any] = {"source": source, "since": _bounded(since)}
            if task:
                return _all(connection, "results_of", _results, task=task, **asked)
            return _all(connection, "results", _results, **asked)

    def opinions(self, task: str = "") -> tuple[Opinion, ...]:
        with reading(self._path, self._busy_timeout) as connection:
            return () if connection is None else _all(connection, "opinions", _opinions, task=task)

    def change(self, change: Change) -> int:
        at = change.at or self._clock()
        said = _text(change)
        with self._open.changing() as connection:
            if change.undoes is not None:
                found = _ask(connection, "change_there", change.undoes).fetchone()
                if found is None or found[0] is not None:
                    raise matches.undone(change.undoes, is_there=found is not None)
            number = _ask(connection, "change_put", change.task, change.undoes, at, said).lastrowid
            return number or 0

    def changes(self, task: str = "") -> tuple[Change, ...]:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                return ()
            rows = _ask(connection, "changes", task=task).fetchall()
            return tuple(replace(_read(_change, said), number=number, at=at) for number, at, said in rows)

    def version(self) -> int:
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                return 0
            found: tuple[int] = _ask(connection, "arena_version").fetchone()
            return found[0]

    # -- within

    @contextmanager
    def _taking(self, match: str) -> Iterator[sqlite3.Connection]:
        """A change by which this process holds it: that is known here before anybody else can see the row."""
        is_ours = False
        try:
            with self._open.changing() as connection:
                yield connection
                is_ours = True
                self._mine.add(match)
                _here.add((self._path, match))
        except BaseException:
            if is_ours:
                self._let_go(match)
            raise

    def _let_go(self, match: str) -> None:
        self._mine.discard(match)
        _here.discard((self._path, match))

    def _beat(self, connection: sqlite3.Connection) -> None:
        """A sign of life, now and then, for who cannot look at this process."""
        now, who = pulse(), this_owner()
        if now - self._beaten[0] < BEAT and self._beaten[1] == who:
            return
        _ask(connection, "beat", who, boot(), now)
        self._beaten = now, who

    def _row(self, connection: sqlite3.Connection, match: str) -> _Row:
        """Raises InvalidRequest for an id that no match has."""
        found = None
        if matches.prefix(match) == match:
            found = _ask(connection, "match_state", match).fetchone()
        if found is None:
            raise matches.unknown(match, _ids(connection))
        number, holder, held_at, standing, last = found
        return _Row(number, holder, held_at, _read(_standing, standing), last)

    @contextmanager
    def _about(self, match: str) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A connection to ask about one match, and the number of its row. Raises InvalidRequest as `_row`."""
        with reading(self._path, self._busy_timeout) as connection:
            if connection is None:
                raise matches.unknown(match)
            yield connection, self._row(connection, match).number

    def _refuse_unknown(self, match: str) -> None:
        """Before a file would be made for it."""
        if match not in self._mine:
            with self._about(match):
                pass

    def _refuse_held(self, connection: sqlite3.Connection, match: str, row: _Row) -> None:
        if self._is_held(match, row.holder, row.held_at, _silences(connection)):
            raise matches.held(match, row.holder == this_owner())

    def _is_held(self, match: str, holder: str, since: int, silent: dict[str, int]) -> bool:
        if holder == this_owner():
            return (self._path, match) in _here
        return bool(holder) and not is_gone(holder, since, self._clock(), silent.get(holder))

    def _kept(self, row: tuple[Any, ...], silent: dict[str, int]) -> Kept:
        said, stands, holder, held_at, last, at, due = row
        match, standing = _read(_match, said), _read(_standing, stands)
        is_held = self._is_held(match.id, holder, held_at, silent)
        return Kept(
            match=match,
            state=matches.state(standing, is_held),
            standing=standing,
            last=last,
            at=at,
            is_held=is_held,
            is_ours=is_held and holder == this_owner(),
            due=due,
        )


def _ask(connection: sqlite3.Connection, name: str, *params: Any, **named: Any) -> sqlite3.Cursor:
    try:
        return connection.execute(sql.statements("sqlite")[name], named or params)
    except UnicodeEncodeError as exc:
        raise matches.half_character(exc) from exc


def _bounded(number: int, least: int = 0) -> int:
    """A number that somebody gave, as SQLite holds one."""
    return min(max(number, least), _EVER)


def _all(
    connection: sqlite3.Connection, name: str, decoder: msgspec.json.Decoder[T], *params: Any, **named: Any
) -> T:
    """What the rows say, decoded at once: in half the time of one by one."""
    return _read(decoder, f"[{','.join(said for (said,) in _ask(connection, name, *params, **named))}]")


def _ids(connection: sqlite3.Connection) -> list[str]:
    return [one for (one,) in _ask(connection, "match_ids")]


def _silences(connection: sqlite3.Connection) -> dict[str, int]:
    """Process → microseconds since its last sign of life."""
    found, now = _ask(connection, "beats", boot=boot()).fetchall(), pulse()
    return {owner: now - beat for owner, beat in found}


def _text(thing: Struct) -> str:
    return matches.encoded(thing).decode()


def _read(decoder: msgspec.json.Decoder[T], said: str) -> T:
    """Raises LedgerError for what a newer Bytedeck has written, and what nobody has."""
    try:
        return decoder.decode(said)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise LedgerError(
            "A match of the arena in the ledger cannot be read.",
            detail=str(exc),
            hint=("Upgrade Bytedeck: a newer one may have written it.",),
        ) from exc
