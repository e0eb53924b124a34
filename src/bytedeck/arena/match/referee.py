"""Who is to do what now: a fold over a match's events, and what follows from them.

It decides and does nothing. Whoever drives it writes each event down, lets it be heard, and begins what is due; a match
that was cut off is its events heard once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cached_property
from typing import ClassVar, TypeAlias

from msgspec import Struct

from ...errors import InternalError
from ..events import (
    Begun,
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from ..judges import damage, ruling
from ..types import COMMENT, Look, Match, Phase, Turn
from . import ratable, schedule

MOST_FAILURES = 2
"""Turns that a fighter may fail running: after them it is out."""
FEWEST = 2
"""Fewer fighters make no debate."""


class Speak(Struct, frozen=True):
    """A fighter's turn."""

    turn: Turn
    phase: Phase

    @property
    def part(self) -> str:
        return self.turn.part


class Assess(Struct, frozen=True):
    """A judge's look."""

    look: Look

    @property
    def part(self) -> str:
        return self.look.part


class Comment(Struct, frozen=True):
    """The commentator's summary."""

    @property
    def part(self) -> str:
        return COMMENT


Step: TypeAlias = Speak | Assess | Comment


class Referee:
    """One match as far as it has come. `hear` every event in its order; then `follows`, then `due`."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.budget_units: int | None = match.rules.budget_units
        self.spent_units = 0
        """What is known of the cost of all that has ended, units of 10⁻¹² USD."""
        self.turns: dict[Turn, TurnEnded | TurnFailed] = {}
        """The turns that are over, in the order in which they ended."""
        self.looks: dict[Look, JudgeEnded] = {}
        """Verdicts, by the look as it was first asked for (`again` is False)."""
        self.failures: dict[Look, JudgeFailed] = {}
        """Looks that were failed last, under the same key."""
        self.decided: Decided | None = None
        self.comment: CommentEnded | None = None
        self.ended: Ended | None = None
        self.is_paused = False
        self._running: dict[str, str] = {}
        self._rounds: set[tuple[int, int]] = set()
        self._failed: dict[int, int] = {}
        """How many turns each fighter has failed running."""

    @property
    def running(self) -> Mapping[str, str]:
        """Part → request of what has begun and not ended."""
        return self._running

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @cached_property
    def rounds(self) -> tuple[schedule.Round, ...]:
        """All rounds of all legs, in their order."""
        return schedule.rounds(self.match)

    @property
    def out(self) -> frozenset[int]:
        """The places of the fighters that speak no more."""
        return frozenset(place for place, count in self._failed.items() if count >= MOST_FAILURES)

    @property
    def spoke(self) -> frozenset[int]:
        """The places of the fighters that have said anything at all."""
        return frozenset(turn.fighter for turn, event in self.turns.items() if isinstance(event, TurnEnded))

    @property
    def is_held(self) -> bool:
        """Whether there is anything to be judged: two could speak to the end, and two have spoken."""
        return self._can_be_held and len(self.spoke) >= FEWEST

    @property
    def left_out(self) -> frozenset[int]:
        """The judges that count no more, by their places."""
        return frozenset(look.judge for look, event in self.failures.items() if event.is_out)

    @property
    def rated_as(self) -> tuple[str | None, ...]:
        """Of each fighter the id that it is rated under; None: it is not rated, because a turn of its own is void."""
        return ratable.rated_as(self.match, self.turns)

    # hearing

    def hear(self, event: Event) -> None:
        """Fold one event, in the order in which they were written. Raises InternalError for one that cannot come now."""
        if self.ended is not None:
            raise InternalError(f"{type(event).__name__} cannot come: the match {self.match.id} is over.")
        self._HEARS[type(event)](self, event)

    def _nothing(self, event: Event) -> None:
        """It changes nothing that is decided here."""

    def _began(self, event: TurnBegan | JudgeBegan | CommentBegan) -> None:
        part = _part(event)
        if part in self._running:
            raise InternalError(f"{part} of the match {self.match.id} is already running.")
        self._running[part] = event.request

    def _left(self, event: TurnEnded | TurnFailed | JudgeEnded | JudgeFailed | CommentEnded) -> None:
        part = _part(event)
        if self._running.get(part) != event.request:
            raise InternalError(f"{part} of the match {self.match.id} does not run as {event.request}.")
        del self._running[part]
        self.spent_units += event.cost_units or 0

    def _turn(self, event: TurnEnded | TurnFailed) -> None:
        self._left(event)
        self.turns[event.turn] = event
        failed = self._failed.get(event.turn.fighter, 0) + 1
        self._failed[event.turn.fighter] = failed if isinstance(event, TurnFailed) else 0

    def _verdict(self, event: JudgeEnded) -> None:
        self._left(event)
        first = _first(event.look)
        self.looks[first] = event
        self.failures.pop(first, None)

    def _no_verdict(self, event: JudgeFailed) -> None:
        self._left(event)
        self.failures[_first(event.look)] = event

    def _summed_up(self, event: CommentEnded) -> None:
        self._left(event)
        self.comment = event

    def _round(self, event: RoundEnded) -> None:
        self._rounds.add((event.leg, event.round))

    def _judged(self, event: Decided) -> None:
        self.decided = event

    def _pause(self, event: Paused) -> None:
        self.is_paused = True

    def _resume(self, event: Resumed) -> None:
        self.is_paused = False
        if event.budget_units is not None:
            self.budget_units = event.budget_units
        lost = set(event.lost)
        self._running = {part: one for part, one in self._running.items() if one not in lost}

    def _end(self, event: Ended) -> None:
        self.ended = event

    _HEARS: ClassVar[Mapping[type, Callable[..., None]]] = {
        Begun: _nothing,
        Words: _nothing,
        TurnBegan: _began,
        TurnEnded: _turn,
        TurnFailed: _turn,
        RoundEnded: _round,
        JudgeBegan: _began,
        JudgeEnded: _verdict,
        JudgeFailed: _no_verdict,
        Decided: _judged,
        CommentBegan: _began,
        CommentEnded: _summed_up,
        Paused: _pause,
        Resumed: _resume,
        Ended: _end,
    }

    # deciding

    def follows(self) -> tuple[Event, ...]:
        """What follows by itself, in its order, to be written and heard before anything is begun.

        `seq` and `at` are the driver's to fill in. The same again until it is heard.
        """
        ahead, found = self._copy(), []
        while (event := ahead._next()) is not None:
            ahead.hear(event)
            found.append(event)
        return tuple(found)

    def due(self) -> tuple[Step, ...]:
        """The calls to be begun now. What runs is not among them; none while it is paused, or something follows."""
        if self.is_paused or self._next() is not None:
            return ()
        return tuple(step for step in self._wanted() if step.part not in self._running)

    def _copy(self) -> Referee:
        ahead = copy(self)
        ahead._rounds = set(self._rounds)
        return ahead

    def _wanted(self) -> Iterator[Step]:
        """The calls of the present stage, running or not."""
        if self.is_over:
            return
        now = self._round_now()
        if now is not None:
            group = next(one for one in now.groups if self._open(one))
            yield from (Speak(turn, now.phase) for turn in self._open(group))
        elif self._judges():
            yield from map(Assess, self._open_looks())
        elif self._comments() and not self._running.keys() - {COMMENT}:
            yield Comment()

    def _next(self) -> Event | None:
        """The one event that follows first."""
        if self.is_over or self.is_paused:
            return None
        now = self._round_now()
        if now is not None:
            done = not any(self._open(group) for group in now.groups)
            return RoundEnded(leg=now.leg, round=now.round) if done else None
        if self._running:
            return None
        if self._judges():
            return None if any(self._open_looks()) else self._decision()
        return None if self._comments() else self._ending()

    @property
    def _can_be_held(self) -> bool:
        """Whether there are two left that have something to say to each other."""
        return len(self.match.fighters) - len(self.out) >= FEWEST

    def _round_now(self) -> schedule.Round | None:
        """The first round that has not ended; None: nobody is to speak any more."""
        rest = (one for one in self.rounds if (one.leg, one.round) not in self._rounds)
        found = next(rest, None)
        if found is None or self._can_be_held:
            return found
        # Fewer than two are left: what runs still ends, and no other round begins.
        is_begun = any(turn in self.turns or turn.part in self._running for turn in found.turns)
        return found if is_begun else None

    def _open(self, group: tuple[Turn, ...]) -> tuple[Turn, ...]:
        """The turns of a group that are not over, but for those of who is out."""
        out = self.out
        stays = self._can_be_held
        return tuple(
            turn
            for turn in group
            if turn not in self.turns and (turn.part in self._running or (stays and turn.fighter not in out))
        )

    def _judges(self) -> bool:
        """Whether it is the panel's hour."""
        rules = self.match.rules
        if not rules.judges or self.decided is not None or not self.is_held:
            return False
        return len(self.left_out) < len(rules.judges)

    def _comments(self) -> bool:
        """Whether somebody is still to sum up what was said."""
        return bool(self.match.rules.commentator) and self.comment is None and self.is_held

    def _open_looks(self) -> Iterator[Look]:
        """The looks without a verdict of the judges that are left; one that failed is asked once more."""
        left_out = self.left_out
        for look in ruling.looks(self.match):
            if look not in self.looks and look.judge not in left_out:
                failed = self.failures.get(look)
                yield look if failed is None else Look(look.judge, look.leg, look.is_swapped, again=True)

    def _decision(self) -> Decided:
        verdicts = {
            look: event.verdict for look, event in self.looks.items() if look.judge not in self.left_out
        }
        # Who has said nothing at all is compared with nobody: a judge may have placed it all the same.
        spoke = self.spoke
        rulings = tuple(
            one for one in ruling.rulings(self.match, verdicts) if {one.first, one.second} <= spoke
        )
        scores, winner = ruling.decision(len(self.match.fighters), rulings)
        health = damage.health(self.match, verdicts.items(), scores)
        return Decided(rulings=rulings, score=scores, winner=winner, health=health)

    def _ending(self) -> Ended:
        everybody = frozenset(range(len(self.match.fighters)))
        course = ratable.Course(
            match=self.match,
            is_held=self.is_held,
            is_decided=self.decided is not None,
            silent=self.out | (everybody - self.spoke),
            left_out=self.left_out,
            rated_as=self.rated_as,
        )
        end, is_rated, why = ratable.ending(course)
        return Ended(end=end, is_rated=is_rated, why=why, cost_units=self.spent_units)


def _part(
    event: TurnBegan
    | TurnEnded
    | TurnFailed
    | JudgeBegan
    | JudgeEnded
    | JudgeFailed
    | CommentBegan
    | CommentEnded,
) -> str:
    if isinstance(event, TurnBegan | TurnEnded | TurnFailed):
        return event.turn.part
    return event.look.part if isinstance(event, JudgeBegan | JudgeEnded | JudgeFailed) else COMMENT


def _first(look: Look) -> Look:
    """The look as it was first asked for."""
    return Look(look.judge, look.leg, look.is_swapped)
