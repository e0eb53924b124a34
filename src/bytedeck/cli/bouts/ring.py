"""A match on a terminal, live: the fighters side by side, each in its colour.

What is finished is printed once and never touched again; only the running round, the judges at work and the
commentator's words are redrawn, a dozen times a second at most.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from ...arena.events import (
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
)
from ...arena.show.story import Story
from ...arena.types import Match
from .. import keyboard
from . import scorecard
from .scenes import Judging, Round, Scene, Summing, rule, text
from .scorecard import Line

# Faster than the eye reads, and slow enough for a terminal behind a slow line.
_PICTURES_A_SECOND = 12
Done = list[RenderableType]
"""What is printed for good."""


class _Whole:
    """A terminal that shows each picture at once, and not its making: it would flicker. Others ignore the mode (DEC 2026)."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(f"\x1b[?2026h{text}\x1b[?2026l" if "\x1b[2K" in text else text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Ring:
    """Tell it each event in order. With `past=True` nothing is drawn live: it has happened already."""

    def __init__(self, match: Match, *, hidden: bool = False, console: Console | None = None) -> None:
        """`hidden`: the models' names are not shown."""
        self.console = console or Console(file=cast(TextIO, _Whole(sys.stdout)), highlight=False)
        self.story = Story(match, hidden=hidden)
        # The live view is drawn by a thread of its own.
        self._lock = threading.Lock()
        self._scene: Scene | None = None
        self._live: Live | None = None
        self._unhush: Callable[[], None] = lambda: None
        self._told: set[str] = set()
        self._print(self._opening())

    def hear(self, event: Event, *, past: bool = False) -> None:
        """Show what happened."""
        with self._lock:
            self.story.hear(event)
            told = _TOLD.get(type(event))
            done = told(self, event) if told is not None else []
        if done:
            self._close(done)
        if self._scene is not None and not past:
            self._draw()

    def leave(self) -> None:
        """End what is drawn live; what has come of the running round stays there. Idempotent."""
        with self._lock:
            done = self._taken()
        self._close(done)

    def tell(self, lines: Iterable[Line]) -> None:
        """More about the match, in lines."""
        self._print(list(map(text, lines)))

    # What each event changes besides the story.

    def _turn_began(self, event: TurnBegan) -> Done:
        where = (event.turn.leg, event.turn.round)
        if isinstance(self._scene, Round) and self._scene.where == where:
            return []
        done = self._taken()
        self._scene = Round(self.story, *where)
        return done

    def _judge_began(self, _: JudgeBegan) -> Done:
        if isinstance(self._scene, Judging):
            return []
        done = self._taken()
        self._scene = Judging(self.story)
        return done

    def _comment_began(self, _: CommentBegan) -> Done:
        done = self._taken()
        self._scene = Summing(self.story)
        return done

    def _done(self, _: RoundEnded | CommentEnded) -> Done:
        return self._taken()

    def _decided(self, _: Decided) -> Done:
        return [*self._taken(), rule("The verdict"), *map(text, scorecard.verdict(self.story))]

    def _noteworthy(self, _: JudgeFailed | Paused | Resumed) -> Done:
        """The sentence that the story says of it; each once, as a judge has several looks."""
        said = self.story.log[-1].text
        is_new = said not in self._told
        self._told.add(said)
        done = self._taken() if self.story.paused is not None else []
        return [*done, Text(said, "yellow")] if is_new else done

    def _over(self, _: Ended) -> Done:
        line = scorecard.ended(self.story)
        return [*self._taken(), *([text(line)] if line else [])]

    def _taken(self) -> Done:
        """What the running scene leaves behind; it is over then."""
        scene, self._scene = self._scene, None
        return scene.whole(self.console) if scene is not None else []

    # Drawing

    def _opening(self) -> Done:
        topic = Text(scorecard.spoken(self.story.match.topic).strip(), "bold")
        lines = [text(line) for line in scorecard.opening(self.story)]
        return [Panel(Group(topic, Text(), *lines), border_style="dim", padding=(0, 1))]

    def _close(self, done: Done) -> None:
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            finally:
                self._unhush()
        self._print(done)

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self.console,
                get_renderable=self._picture,
                refresh_per_second=_PICTURES_A_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._unhush = keyboard.hush()
            self._live.start(refresh=True)

    def _picture(self) -> RenderableType:
        with self._lock:
            return self._scene.live(self.console) if self._scene is not None else ""

    def _print(self, done: Done) -> None:
        for one in done:
            self.console.print(one)


_TOLD: dict[type, Callable[[Ring, Any], Done]] = {
    TurnBegan: Ring._turn_began,
    RoundEnded: Ring._done,
    JudgeBegan: Ring._judge_began,
    JudgeFailed: Ring._noteworthy,
    Decided: Ring._decided,
    CommentBegan: Ring._comment_began,
    CommentEnded: Ring._done,
    Paused: Ring._noteworthy,
    Resumed: Ring._noteworthy,
    Ended: Ring._over,
}
