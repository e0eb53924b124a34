"""What both faces of a debate share: what it is, what comes next in it, and what its caller may say."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from ..arena.events import Event
from ..arena.types import Match
from ..callers import Caller
from ..errors import ByteError, InternalError, InvalidRequest
from ..types import Reply
from .making import Asked, more
from .opening import Again, Opening
from .scribe import Scribe
from .stage import Over, Said, Stage

if TYPE_CHECKING:
    from ..arena.match.referee import Referee
    from ..house import House

CallT = TypeVar("CallT")
Move = Literal["end", "paused", "follows", "vote", "listen", "begin"]

PATIENCE = 5.0
"""Seconds that closing waits for calls to let go of the network, and for the store."""


class Course(Generic[CallT]):
    """A match while it is held."""

    def __init__(self, house: House, start: Asked | Again) -> None:
        self._house = house
        self._opening = Opening(house, start)
        self._stage: Stage | None = None
        self._scribe: Scribe | None = None
        self._calls: dict[str, CallT] = {}
        """What runs, by its request."""
        self._ready: deque[Event] = deque()
        self._allowed = 0
        self._listens = False
        """Whether nothing is to be done before a call has ended."""
        self._is_closed = False
        self._said: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The match's."""
        return self._opening.id

    @property
    def match(self) -> Match:
        """What is held. Raises RuntimeError before its models are found."""
        return self._opening.match

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it besides, a sentence each."""
        return (*self._opening.notes, *self._said)

    @property
    def referee(self) -> Referee:
        """How it stands. Raises RuntimeError before it is open."""
        return self._opened().referee

    @property
    def past(self) -> tuple[Event, ...]:
        """What had happened before it was taken up again. Raises RuntimeError before it is open."""
        return self._opened().past

    @property
    def is_closed(self) -> bool:
        """Whether it is over, or was left."""
        return self._is_closed

    def allow(self, amount: Decimal | str) -> None:
        """After `Paused`: its budget grows by so many USD, and the next step goes on. Raises InvalidRequest."""
        units = more(amount)
        if self._opened().referee.budget_units is None:
            raise InvalidRequest("This debate has no budget that could grow.")
        if self._is_closed:
            raise InvalidRequest(
                "This debate was left, or is over: nothing more can be allowed.",
                hint=("Take it up again, with a larger budget for all of it.",),
            )
        self._allowed += units

    def charge(self, caller: Caller | None) -> None:
        """Whose virtual key pays for the calls that begin from now on, by the bounds that it has now."""
        self._opened().charge(caller)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __del__(self) -> None:
        # The net: who drops it without closing it leaves a match that can be taken up again.
        if getattr(self, "_scribe", None) is not None and not self._is_closed:
            self._is_closed = True
            self._drop()
            self._scribe.close()  # type: ignore[union-attr]
            warnings.warn(f"unclosed debate {self!r}", ResourceWarning, stacklevel=2, source=self)

    def _begin_opening(self) -> tuple[Stage, list[Event], Scribe]:
        """On the stage, and held by this process; not where nobody could write it."""
        stage, first = self._opening.open()
        try:
            return stage, first, Scribe(self._house.matches, self.id)
        except BaseException:  # there is no thread to be had
            self._house.matches.release(self.id)
            raise

    def _drop(self) -> None:
        """Tell what runs to end at once. Does not wait; may be called from any thread."""
        raise NotImplementedError

    def _opened(self) -> Stage:
        if self._stage is None:
            raise RuntimeError("the debate is not open yet: take its first event, or call open()")
        return self._stage

    def _move(self, stage: Stage) -> Move:
        """What comes next. Words change nothing of it, and there are many of them."""
        if not self._listens:
            move = self._worked_out(stage)
            self._listens = move == "listen"
            return move
        return "listen"

    def _worked_out(self, stage: Stage) -> Move:
        if stage.is_over:
            return "end"
        if stage.is_paused:
            return "paused"
        if stage.has_more:
            return "follows"
        if stage.voting():
            return "vote"
        if stage.has_due:
            return "begin"
        if not self._calls:
            raise InternalError(f"Nothing is to be done in the match {self.id}, and it is not over.")
        return "listen"

    def _take(self, stage: Stage, came: Said | Over) -> list[Event]:
        """What has come from a call. Words are handed out at once; what is returned is to be written first."""
        if isinstance(came, Over):
            self._listens = False
            del self._calls[came.job.request]
            return stage.over(came)
        event = stage.words(came)
        self._ready.append(event)
        if self._scribe is not None:
            self._scribe.put(event)
        return []

    def _allowance(self, stage: Stage) -> list[Event]:
        """After a pause: it goes on with what was allowed meanwhile; nothing: it does not."""
        allowed, self._allowed = self._allowed, 0
        return [stage.resumed((stage.referee.budget_units or 0) + allowed)] if allowed else []

    def _close_book(self, late: Sequence[Said | Over]) -> None:
        """Let the match go, with all that had come of it."""
        try:
            self._keep_late(late)
        finally:
            if self._scribe is not None:
                self._scribe.close()

    def _keep_late(self, late: Sequence[Said | Over]) -> None:
        """What had come before it was heard: a call that had ended is not asked for again."""
        stage, scribe = self._stage, self._scribe
        for came in late:
            is_whole = isinstance(came, Said) or isinstance(came.came, Reply)
            if stage is not None and scribe is not None and not stage.is_over and is_whole:
                for event in [stage.words(came)] if isinstance(came, Said) else stage.over(came):
                    scribe.put(event)

    def _not_recorded(self, error: Exception) -> None:
        """Nothing is lost: the match is kept, and due to be recorded. Its end is told all the same, whatever the error."""
        why = str(error) if isinstance(error, ByteError) else repr(error)
        self._said += (f"Its result is not in the ratings yet: {why}",)
