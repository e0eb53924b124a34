"""How a match comes onto the stage: made of what was asked for, or taken up where it had ended. All of it blocks."""

from __future__ import annotations

from msgspec import Struct

from ..arena.bill import Bill
from ..arena.events import Begun, Event
from ..arena.types import Match
from ..callers import Caller
from ..errors import LedgerError
from ..house import House
from .billing import bill, charges
from .making import Asked, Made, infos, made, new_id, wish
from .stage import Stage


class Again(Struct, frozen=True, kw_only=True):
    """A match that is to be taken up again."""

    match: str
    """Its id, or the beginning of it."""
    budget_units: int | None = None
    """What all of it may cost from now on; None: as before."""
    caller: Caller | None = None
    """Whose virtual key pays from now on."""


class Opening:
    """Of one match. What can be refused without a look at anything is refused when it is made."""

    def __init__(self, house: House, start: Asked | Again) -> None:
        self._house = house
        self._start = start
        self._wish = wish(start) if isinstance(start, Asked) else None
        self._made: Made | None = None
        self.id = start.match if isinstance(start, Again) else new_id()

    @property
    def unknown(self) -> tuple[str, ...]:
        """The models of which the catalogue should know before they are looked for."""
        return () if self._wish is None else self._wish.models

    @property
    def match(self) -> Match:
        """What is held. Raises RuntimeError before `prepare`."""
        if self._made is None:
            raise RuntimeError("the debate is not open yet: take its first event, or call open()")
        return self._made.match

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it."""
        return () if self._made is None else self._made.notes

    def prepare(self) -> None:
        """Find its models, or the match. Nothing is kept yet. Raises what `making.made` and `Matches.find` raise."""
        if self._made is not None:
            return
        if self._wish is not None:
            self._made = made(self._house, self._wish, self.id)
        else:
            self._made = Made(self._house.matches.find(self.id).match)
            self.id = self._made.match.id

    def open(self) -> tuple[Stage, list[Event]]:
        """The stage, and its first events; from now on this process holds the match. Raises LedgerError, InvalidRequest."""
        self.prepare()
        stage = Stage(self._house, self.match, self._start.caller)
        stage.know(infos(self._house, self.match, self._start.caller))
        if isinstance(self._start, Asked):
            begun = stage.begun()
            self._house.matches.create(self.match, begun)
            return stage, [begun]
        return stage, [self._take_up(stage, self._start)]

    def _take_up(self, stage: Stage, again: Again) -> Event:
        matches = self._house.matches
        matches.hold(self.id)
        try:
            events = matches.events(self.id)
            if not events or not isinstance(events[0], Begun):
                raise LedgerError(f"The match {self.id} has no beginning.")
            stage.recall(events, charges(self._house, events))
            event = stage.resumed(again.budget_units)
            matches.append(self.id, (event,))
        except BaseException:
            matches.release(self.id)
            raise
        return event

    def bill(self) -> Bill:
        """What it has cost so far. Raises LedgerError."""
        self.prepare()
        return bill(self._house, self._house.matches.events(self.id))
