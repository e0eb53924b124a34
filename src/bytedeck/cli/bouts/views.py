"""How a match is shown: live on a terminal, as text everywhere else, or as one event a line.

In a pipe nothing can be taken back, so there each turn is written once it is whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Protocol

from ...arena.events import (
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeFailed,
    Paused,
    Resumed,
    TurnBegan,
    TurnEnded,
    TurnFailed,
)
from ...arena.show.story import Story
from ...arena.show.text import one_line
from ...arena.types import Match, Turn
from .. import tell
from . import scorecard
from .scorecard import Line


class View(Protocol):
    """Who shows a match."""

    def hear(self, event: Event, *, past: bool = False) -> None:
        """Show what happened; `past`: some time ago."""

    def leave(self) -> None:
        """Free the terminal; what has come of the running round stays there. Idempotent."""

    def tell(self, lines: Iterable[Line]) -> None:
        """Say more about the match."""


class Plain:
    """Text in order: each turn whole, with its heading, once all before it in its round are over."""

    def __init__(self, match: Match, *, hidden: bool = False) -> None:
        self.story = Story(match, hidden=hidden)
        self._round: tuple[int, int] | None = None
        self._waiting: list[int] = []
        self._told: set[str] = set()
        tell.out(f"# {one_line(match.topic, 2000)}\n")
        self.tell(scorecard.opening(self.story))

    def hear(self, event: Event, *, past: bool = False) -> None:
        self.story.hear(event)
        told = _TOLD.get(type(event))
        if told is not None:
            told(self, event)

    def leave(self) -> None:
        """Nothing runs here that would have to be ended."""

    def tell(self, lines: Iterable[Line]) -> None:
        for line in lines:
            tell.out(scorecard.plain(line))

    def _began(self, event: TurnBegan) -> None:
        here = (event.turn.leg, event.turn.round)
        if here != self._round:
            self._round, self._waiting = here, []
            tell.out(f"\n## {scorecard.heading(self.story, *here)}")
        if event.turn.fighter not in self._waiting:
            self._waiting.append(event.turn.fighter)

    def _ended(self, event: TurnEnded | TurnFailed) -> None:
        turn = event.turn
        while self._waiting:
            one = self.story.said[Turn(turn.leg, turn.round, self._waiting[0]).part]
            if one.state not in ("said", "failed"):
                break
            self._waiting.pop(0)
            tell.out(f"\n### {scorecard.title(self.story.match, one.turn.fighter, self.story.hidden)}\n")
            paragraphs = [scorecard.spoken(one.text).strip(), scorecard.remarks(one)]
            tell.out("\n\n".join(filter(None, paragraphs)))

    def _decided(self, _: Decided) -> None:
        tell.out("\n## The verdict\n")
        self.tell(scorecard.verdict(self.story))

    def _noted(self, _: JudgeFailed | Paused | Resumed | CommentEnded) -> None:
        """What is no argument and no verdict goes to stderr; each cause once, as a judge has several looks."""
        if self.story.log and (said := self.story.log[-1].text) not in self._told:
            self._told.add(said)
            tell.say(said, dim=True)

    def _commented(self, event: CommentEnded) -> None:
        if event.text:
            tell.out(f"\n## The commentator\n\n{scorecard.spoken(event.text).strip()}")
        else:
            self._noted(event)

    def _over(self, _: Ended) -> None:
        if line := scorecard.ended(self.story):
            tell.out(f"\n{scorecard.plain(line)}")


_TOLD: dict[type, Callable[[Plain, Any], None]] = {
    TurnBegan: Plain._began,
    TurnEnded: Plain._ended,
    TurnFailed: Plain._ended,
    JudgeFailed: Plain._noted,
    Paused: Plain._noted,
    Resumed: Plain._noted,
    Decided: Plain._decided,
    CommentEnded: Plain._commented,
    Ended: Plain._over,
}


class Lines:
    """One event a line, as it is stored."""

    def hear(self, event: Event, *, past: bool = False) -> None:
        import msgspec

        tell.out(msgspec.json.encode(event).decode())

    def leave(self) -> None:
        """Nothing runs here that would have to be ended."""

    def tell(self, lines: Iterable[Line]) -> None:
        """Programs are told by events alone."""


def view(match: Match, *, hidden: bool = False, json_: bool = False) -> View:
    """What suits the standard output."""
    if json_:
        return Lines()
    if not can_draw():
        return Plain(match, hidden=hidden)
    from .ring import Ring

    return Ring(match, hidden=hidden)


def can_draw() -> bool:
    """Whether stdout is a terminal that can be drawn on, and rich is there to do it."""
    return (
        tell.is_terminal(sys.stdout)
        and os.environ.get("TERM", "") not in ("", "dumb")
        and find_spec("rich") is not None
    )
