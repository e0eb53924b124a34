"""Matches of the arena: where they are kept, as a protocol, and what all that keep them do alike.

A match is its list of events, append-only, and one process at a time writes it: whoever holds it. `stores.py` opens
what keeps them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..arena.events import Begun, Decided, Ended, Event, Paused, Resumed
from ..arena.types import Change, End, Match, Opinion, Result, Source, Vote
from ..config import nearest
from ..errors import InvalidRequest, LedgerError

State = Literal["running", "paused", "cut off", "over"]
"""`paused`: it waits for a larger budget, or for what keeps it back to be mended, whoever holds it. `cut off`: it is not over, and nobody who lives holds it."""

LENGTH = 10
"""Signs of an id."""
_ID = re.compile(f"[a-z2-7]{{{LENGTH}}}")
_NAMED = 5
"""So many ids are named at most where several could be meant."""


class Lost(LedgerError):
    """Another process holds the match now, or nobody does any more: who asks has no say in it."""


class Standing(Struct, frozen=True, kw_only=True):
    """How a match stands, by its events; `noted` keeps it."""

    is_paused: bool = False
    end: End | Literal[""] = ""
    """"": it is not over."""
    is_rated: bool = False
    winner: int | None = None
    """A fighter's place by the panel; None: a tie, or not decided."""
    cost_units: int | None = None
    """What was known of its cost at its end."""
    resumed: tuple[int, ...] = ()
    """The `seq` of each `Resumed`."""

    def life(self, seq: int) -> int:
        """How often it had been taken up again by the event of this number, that one included.

        Words are handed out before they are written. Those that never were, because their process died, have numbers that
        other events have in the match's next life: `seq` and `life` together name an event for good.
        """
        return bisect_right(self.resumed, seq)

    def holds(self, seq: int, life: int) -> int:
        """The number of the last event that holds of what was heard up to this one: what comes after it is to be told anew.

        The first of that is a `Resumed`, which takes back all words of calls that were lost.
        """
        return min(seq, self.resumed[life] - 1) if 0 <= life < len(self.resumed) else seq


class Kept(Struct, frozen=True, kw_only=True):
    """A match as it is kept."""

    match: Match
    state: State
    standing: Standing
    last: int
    """The `seq` of its last event."""
    at: int
    """When that one was, microseconds since 1970."""
    is_held: bool
    """Whether a process that lives holds it."""
    is_ours: bool
    """Whether that is this process."""
    due: int = 0
    """How much has come that its results do not tell yet: its end, and votes since; 0: nothing."""

    @property
    def end(self) -> End | Literal[""]:
        """How it ended; "": it is not over."""
        return self.standing.end


class Matches(Protocol):
    """Blocks for as long as the store takes. May be called from any thread, and after a fork.

    Every method raises LedgerError where the store cannot be read or written, and InvalidRequest for what cannot be
    meant: its code is `unknown_match` for an id that no match has. What fails changes nothing. `match` is an id, whole;
    only `find` takes its beginning.
    """

    def create(self, match: Match, begun: Begun) -> None:
        """Keep a new match and its first event (`seq` 0). This process holds it."""

    def append(self, match: str, events: Sequence[Event]) -> None:
        """Keep what happened next, all of it or none. Each `seq` is the one after the last.

        Raises Lost where this process does not hold the match any more.
        """

    def hold(self, match: str) -> None:
        """Hold it from now on. Raises InvalidRequest where it is over, and while a process that lives holds it: also
        this one, where a debate goes on already."""

    def release(self, match: str) -> None:
        """Hold it no more. Changes nothing where this process does not."""

    def find(self, match: str) -> Kept:
        """The match of this id, or of the only one that begins so."""

    def list(self, limit: int = 50, before: str = "", owner: str | None = None) -> tuple[Kept, ...]:
        """Newest first. `before`: only those made before this one; `owner`: only whose match it is, None: anybody's."""

    def events(self, match: str, after: int = -1, limit: int | None = None) -> tuple[Event, ...]:
        """What happened after the event of this `seq`, in order; at most `limit`."""

    def vote(self, vote: Vote) -> None:
        """Keep a vote. It replaces the voter's own of the same round."""

    def votes(self, match: str) -> tuple[Vote, ...]:
        """In the order in which they were first given."""

    def record(
        self, match: str, source: Source, results: Sequence[Result], opinions: Sequence[Opinion] = ()
    ) -> None:
        """What the match says by this source from now on: it replaces all that it had said by it."""

    def due(self) -> tuple[str, ...]:
        """The matches of which something is due (`Kept.due`), oldest first. A look at an index."""

    def recorded(self, match: str, due: int) -> bool:
        """So much of what was due is in its results now; False where more, or less, was: then look again."""

    def results(self, task: str = "", source: str = "", since: int = 0) -> tuple[Result, ...]:
        """Oldest first; `since`: at this moment or later, microseconds since 1970; "": any."""

    def opinions(self, task: str = "") -> tuple[Opinion, ...]:
        """Oldest first."""

    def change(self, change: Change) -> int:
        """Keep a change of a task's order, and return its number. One is taken back (`undoes`) at most once."""

    def changes(self, task: str = "") -> tuple[Change, ...]:
        """Oldest first."""

    def version(self) -> int:
        """Another number whenever results or changes have changed; 0 where nothing was ever kept. A look at
        one row."""

    def forget(self, match: str) -> None:
        """Remove all that is kept of it, what it said of the models, too. The ledger keeps its rows. Raises
        InvalidRequest while a process that lives holds it."""

    def close(self) -> None:
        """Let go of the file; what this process holds is released. Another call opens it again."""


def checked(match: Match, begun: Begun) -> None:
    """A match that is new. Raises InvalidRequest."""
    if not _ID.fullmatch(match.id):
        raise InvalidRequest(f"A match's id is {LENGTH} signs of a–z and 2–7, and not {match.id!r}.")
    if begun.seq != 0 or begun.match != match:
        raise InvalidRequest("The first event of a match is the one that tells it, with the number 0.")


def in_order(match: str, last: int, events: Sequence[Event]) -> None:
    """Whether the events go on where the match is. Raises LedgerError."""
    for seq, event in enumerate(events, start=last + 1):
        if event.seq != seq:
            raise LedgerError(
                f"Event {event.seq} of the match {match} cannot be kept: the next one is {seq}.",
                detail=f"{type(event).__name__} after {last}",
            )


def noted(standing: Standing, event: Event) -> Standing:
    """How the match stands after one more event."""
    match event:
        case Paused():
            return replace(standing, is_paused=True)
        case Resumed():
            return replace(standing, is_paused=False, resumed=(*standing.resumed, event.seq))
        case Decided():
            return replace(standing, winner=event.winner)
        case Ended():
            return replace(
                standing, end=event.end, is_rated=event.is_rated, cost_units=event.cost_units, is_paused=False
            )
    return standing


def state(standing: Standing, is_held: bool) -> State:
    """One word for it."""
    if standing.end:
        return "over"
    if standing.is_paused:
        return "paused"
    return "running" if is_held else "cut off"


def prefix(said: str) -> str:
    """What somebody typed, as the beginning of an id; "" where no id begins so."""
    typed = said.strip().lower()
    return typed if re.fullmatch(f"[a-z2-7]{{1,{LENGTH}}}", typed) else ""


def meant(said: str, found: Sequence[str], ids: Iterable[str]) -> str:
    """The one match that begins so. `found`: those that do; `ids`: those that might have been meant. Raises InvalidRequest."""
    if not found:
        raise unknown(said, ids)
    if len(found) > 1:
        raise InvalidRequest(
            f"Several matches begin with {said!r}.",
            hint=(f"Say more of its id: {', '.join(found[:_NAMED])}{' …' if len(found) > _NAMED else ''}",),
        )
    return found[0]


def unknown(said: str, ids: Iterable[str] = ()) -> InvalidRequest:
    """No match has this id."""
    near = nearest(said, ids)
    hint = (f"Did you mean: {', '.join(near)}?",) if near else ("All that there are: byte arena list",)
    return InvalidRequest(f"There is no match {said!r}.", code="unknown_match", hint=hint)


def held(match: str, is_ours: bool) -> InvalidRequest:
    """Somebody holds it."""
    where = "in this process" if is_ours else "in another process"
    return InvalidRequest(
        f"The match {match} is going on {where}.",
        hint=("Close it there first.", f"Watch it with: byte arena show {match}"),
    )


def over(match: str) -> InvalidRequest:
    """Nothing more can happen in it."""
    return InvalidRequest(f"The match {match} is over.", hint=(f"See it with: byte arena show {match}",))


def lost(match: str) -> Lost:
    """See `Lost`."""
    return Lost(
        f"The match {match} is held by another process now: what happens here is not kept.",
        hint=(f"Watch it with: byte arena show {match}",),
    )


def taken(match: str) -> InvalidRequest:
    """Another match has the id."""
    return InvalidRequest(f"There is a match {match} already.")


def undone(number: int, is_there: bool) -> InvalidRequest:
    """A change that cannot be taken back."""
    if is_there:
        return InvalidRequest(f"The change {number} was taken back already.")
    return InvalidRequest(f"There is no change {number}.", hint=("All that there are: byte arena changes",))


def of_match(match: str, source: Source, results: Sequence[Result], opinions: Sequence[Opinion]) -> None:
    """Whether all of them are the match's own, by this source. Raises InvalidRequest."""
    strangers: list[str] = [one.match for one in results if one.match != match]
    strangers += [one.match for one in opinions if one.match != match]
    strangers += [one.source for one in results if one.source != source]
    if strangers:
        raise InvalidRequest(f"A result of {strangers[0]!r} is none of the match {match} by {source}.")


def half_character(exc: UnicodeEncodeError) -> InvalidRequest:
    """Text that no file can hold."""
    return InvalidRequest(
        "A text of the match holds half a character, which cannot be kept.",
        detail=str(exc),
        hint=("Leave out the sign that cannot be shown.",),
    )


def encoded(thing: Struct) -> bytes:
    """As JSON. Raises InvalidRequest for text that no file can hold."""
    try:
        return msgspec.json.encode(thing)
    except UnicodeEncodeError as exc:
        raise half_character(exc) from exc
