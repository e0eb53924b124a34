"""Matches of the arena in memory: for tests, and for a process that shall leave no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ..arena.events import Begun, Event
from ..arena.types import Change, Match, Opinion, Result, Source, Vote
from . import matches
from .clock import wall
from .matches import Kept, Standing


class _One:
    """All that is kept of one match."""

    def __init__(self, match: Match, begun: Begun) -> None:
        self.match = match
        self.events: list[Event] = [begun]
        self.standing = Standing()
        self.is_held = True
        self.due = 0
        self.votes: dict[tuple[str, str, int | None], Vote] = {}
        self.results: dict[Source, tuple[Result, ...]] = {}
        self.opinions: dict[Source, tuple[Opinion, ...]] = {}

    def kept(self) -> Kept:
        return Kept(
            match=self.match,
            state=matches.state(self.standing, self.is_held),
            standing=self.standing,
            last=self.events[-1].seq,
            at=self.events[-1].at,
            is_held=self.is_held,
            is_ours=self.is_held,
            due=self.due,
        )


class MemoryMatches:
    """See `Matches`. Only this process sees it."""

    def __init__(self, clock: Callable[[], int] = wall) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._version = 0
        self._all: dict[str, _One] = {}
        """By id, in the order in which they were made."""
        self._changes: list[Change] = []

    def create(self, match: Match, begun: Begun) -> None:
        matches.checked(match, begun)
        matches.encoded(begun)  # what a file could not hold is refused here, too
        with self._lock:
            if match.id in self._all:
                raise matches.taken(match.id)
            self._all[match.id] = _One(match, begun)

    def append(self, match: str, events: Sequence[Event]) -> None:
        if not events:
            return
        for event in events:
            matches.encoded(event)
        with self._lock:
            one = self._one(match)
            if not one.is_held:
                raise matches.lost(match)
            if one.standing.end:
                raise matches.over(match)
            matches.in_order(match, one.events[-1].seq, events)
            for event in events:
                one.events.append(event)
                one.standing = matches.noted(one.standing, event)
            one.due += bool(one.standing.end)

    def hold(self, match: str) -> None:
        with self._lock:
            one = self._one(match)
            if one.standing.end:
                raise matches.over(match)
            _refuse_held(one)
            one.is_held = True

    def release(self, match: str) -> None:
        with self._lock:
            self._one(match).is_held = False

    def forget(self, match: str) -> None:
        with self._lock:
            one = self._one(match)
            _refuse_held(one)
            self._version += any(one.results.values())
            del self._all[match]

    def close(self) -> None:
        with self._lock:
            for one in self._all.values():
                one.is_held = False

    def find(self, match: str) -> Kept:
        with self._lock:
            prefix = matches.prefix(match)
            found = [one for one in reversed(self._all) if prefix and one.startswith(prefix)]
            return self._all[matches.meant(match, found, self._all)].kept()

    def list(self, limit: int = 50, before: str = "", owner: str | None = None) -> tuple[Kept, ...]:
        with self._lock:
            ids = [*self._all]
            if before:
                self._one(before)
                ids = ids[: ids.index(before)]
            wanted = (self._all[one] for one in reversed(ids))
            found = [one.kept() for one in wanted if owner is None or one.match.owner == owner]
            return tuple(found[: max(limit, 0)])

    def events(self, match: str, after: int = -1, limit: int | None = None) -> tuple[Event, ...]:
        with self._lock:
            found = self._one(match).events[max(after, -1) + 1 :]
            return tuple(found if limit is None else found[: max(limit, 0)])

    def vote(self, vote: Vote) -> None:
        with self._lock:
            one = self._one(vote.match)
            matches.encoded(vote)
            one.votes[vote.source, vote.voter, vote.round] = vote
            one.due += bool(one.standing.end)

    def votes(self, match: str) -> tuple[Vote, ...]:
        with self._lock:
            return tuple(self._one(match).votes.values())

    def record(
        self, match: str, source: Source, results: Sequence[Result], opinions: Sequence[Opinion] = ()
    ) -> None:
        matches.of_match(match, source, results, opinions)
        with self._lock:
            one = self._one(match)
            self._version += bool(results or one.results.get(source))
            one.results[source] = tuple(results)
            one.opinions[source] = tuple(opinions)

    def due(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(id_ for id_, one in self._all.items() if one.due)

    def recorded(self, match: str, due: int) -> bool:
        with self._lock:
            one = self._one(match)
            is_all = one.due == due
            one.due = 0 if is_all else one.due
            return is_all

    def results(self, task: str = "", source: str = "", since: int = 0) -> tuple[Result, ...]:
        with self._lock:
            found = (one for each in self._all.values() for rows in each.results.values() for one in rows)
            wanted = (
                one
                for one in found
                if task in ("", one.task) and source in ("", one.source) and one.at >= since
            )
            return tuple(sorted(wanted, key=lambda one: one.at))

    def opinions(self, task: str = "") -> tuple[Opinion, ...]:
        with self._lock:
            found = (one for each in self._all.values() for rows in each.opinions.values() for one in rows)
            return tuple(sorted((one for one in found if task in ("", one.task)), key=lambda one: one.at))

    def change(self, change: Change) -> int:
        matches.encoded(change)
        with self._lock:
            number = len(self._changes) + 1
            if change.undoes is not None:
                is_there = 0 < change.undoes < number
                if not is_there or any(one.undoes == change.undoes for one in self._changes):
                    raise matches.undone(change.undoes, is_there)
            self._changes.append(replace(change, number=number, at=change.at or self._clock()))
            self._version += 1
            return number

    def changes(self, task: str = "") -> tuple[Change, ...]:
        with self._lock:
            return tuple(one for one in self._changes if task in ("", one.task))

    def version(self) -> int:
        return self._version

    def _one(self, match: str) -> _One:
        """Raises InvalidRequest for an id that no match has."""
        found = self._all.get(match)
        if found is None:
            raise matches.unknown(match, self._all)
        return found


def _refuse_held(one: _One) -> None:
    if one.is_held:
        raise matches.held(one.match.id, is_ours=True)
