"""The scenes of a match on a terminal: a round, the judges at work, the commentator. Each is drawn live, and once whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ...arena.show.parts import Bench, Said
from ...arena.show.story import Story
from ...arena.show.text import one_line
from ...arena.types import Turn
from ..show import markdown
from . import scorecard
from .scorecard import Line

NARROW = 80
"""Terminals with fewer columns show the fighters one above the other."""
# Columns that a fighter needs beside others so that lines are not cut to shreds.
_LEAST_WIDTH = 36
_LEAST_ROWS = 3
_EDGES = 4  # of a panel: its borders and the blanks beside them
# No turn is this long, and no terminal shows as much.
_STEP = 8_000
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_A_SECOND = 10


class Scene(Protocol):
    """What is on the stage."""

    def live(self, console: Console) -> RenderableType:
        """As it is now, no taller than the terminal."""

    def whole(self, console: Console) -> list[RenderableType]:
        """As it stays; empty: nothing does."""


def text(line: Line) -> RenderableType:
    """A line of the scorecard; where it is indented, all the lines that it needs are."""
    whole = Text.assemble(*line)
    indent = len(whole.plain) - len(whole.plain.lstrip(" "))
    return Padding(whole[indent:], (0, 0, 0, indent)) if indent else whole


def rule(words: str) -> Rule:
    return Rule(Text(words, "bold"), style="dim")


def across(count: int, width: int) -> int:
    """How many of `count` panels stand side by side in `width` columns: all of them, an equal part, or one."""
    if width < NARROW:
        return 1
    fits = (one for one in range(count, 1, -1) if count % one == 0 and width // one >= _LEAST_WIDTH)
    return next(fits, 1)


class Round:
    """All fighters of one round, each with its words."""

    def __init__(self, told: Story, leg: int, number: int) -> None:
        self.where = (leg, number)
        self._told = told
        self._parts = [Turn(leg, number, place).part for place in range(len(told.match.fighters))]
        self._rows = _LEAST_ROWS

    def live(self, console: Console) -> RenderableType:
        width, height = console.size
        columns = across(len(self._parts), width)
        lines = len(self._parts) // columns
        room = max(_LEAST_ROWS, (height - 2) // lines - 2)
        inner = max(1, width // columns - _EDGES)
        bodies = [tail(console, one.text, inner, room) for one in self._said()]
        # It only grows, so that nothing jumps.
        self._rows = min(room, max(self._rows, *map(len, bodies)))
        panels = [
            self._panel(place, Text("\n").join(body[-self._rows :]), self._rows + 2)
            for place, body in enumerate(bodies)
        ]
        return Group(self._rule(), _grid(panels, columns))

    def whole(self, console: Console) -> list[RenderableType]:
        columns = across(len(self._parts), console.width)
        options = console.options.update(width=max(1, console.width // columns - _EDGES))
        bodies = [_body(one) for one in self._said()]
        heights = [len(console.render_lines(body, options)) + 2 for body in bodies]
        panels = []
        for place, body in enumerate(bodies):
            first = place - place % columns
            panels.append(self._panel(place, body, max(heights[first : first + columns]), is_live=False))
        return [self._rule(), _grid(panels, columns)]

    def _said(self) -> list[Said]:
        return [self._told.said[part] for part in self._parts]

    def _rule(self) -> Rule:
        return rule(scorecard.heading(self._told, *self.where))

    def _panel(self, place: int, body: RenderableType, height: int, *, is_live: bool = True) -> Panel:
        match, one = self._told.match, self._told.said[self._parts[place]]
        name = scorecard.title(match, place, self._told.hidden)
        colour = scorecard.colour(match, place)
        spins = is_live and one.state == "speaking"
        return Panel(
            body,
            title=Text(f"{_frame()} {name}" if spins else name, f"bold {colour}"),
            title_align="left",
            subtitle=Text(_state(one, self._told.hidden), "dim"),
            subtitle_align="right",
            border_style="red" if one.state == "failed" else colour,
            height=height,
        )


def _state(one: Said, hidden: bool) -> str:
    if one.state == "waiting":
        return "waits"
    if one.state == "speaking":
        return f"{len(one.text.split()):,} words …" if one.text else "thinking …"
    return "could not speak" if one.state == "failed" else scorecard.took(one, hidden)


def _body(one: Said) -> RenderableType:
    """All of its words, and what is to be known of them."""
    remark = scorecard.remarks(one)
    parts: list[RenderableType] = [markdown(scorecard.spoken(one.text))] if one.text.strip() else []
    return Group(*parts, Text(remark, "yellow")) if remark else Group(*parts)


class Judging:
    """The judges at work: how many of their looks are done."""

    def __init__(self, told: Story) -> None:
        self._told = told

    def live(self, console: Console) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for bench in self._told.judges:
            name = Text(one_line(bench.model, max(8, console.width - 20)), "dim" if bench.is_out else "")
            table.add_row(_mark(bench), name, Text(" ".join("●" * len(bench.looks) + "○" * bench.running)))
        return Group(rule("The judges"), table)

    def whole(self, console: Console) -> list[RenderableType]:
        return []


def _mark(bench: Bench) -> Text:
    if bench.is_out:
        return Text("✗", "yellow")
    return Text(_frame(), "dim") if bench.running else Text("✓" if bench.looks else " ", "green")


class Summing:
    """The commentator's words."""

    def __init__(self, told: Story) -> None:
        self._told = told

    def live(self, console: Console) -> RenderableType:
        room = max(_LEAST_ROWS, console.height - 4)
        return _said(Text("\n").join(tail(console, self._told.comment.text, console.width - _EDGES, room)))

    def whole(self, console: Console) -> list[RenderableType]:
        one = self._told.comment
        if one.state == "failed":
            return [Text(f"The commentator could not sum up: {one.note or 'it said nothing.'}", "yellow")]
        return [_said(markdown(scorecard.spoken(one.text)))] if one.text.strip() else []


def _said(body: Text | Markdown) -> RenderableType:
    return Panel(body, title=Text("The commentator", "bold"), title_align="left", border_style="dim")


def tail(console: Console, words: str, width: int, rows: int) -> Sequence[Text]:
    """The last lines of what was said, wrapped."""
    # What is cut off goes in large steps: lines that break anew with each word would jump.
    first = max(0, len(words) // _STEP - 1) * _STEP
    lines = scorecard.spoken(words[first:].lstrip("\n")).split("\n")[-rows:]
    return Text("\n".join(lines)).wrap(console, width)[-rows:]


def _grid(panels: Sequence[Panel], columns: int) -> RenderableType:
    grid = Table.grid(expand=True)
    for _ in range(columns):
        grid.add_column(ratio=1)
    for place in range(0, len(panels), columns):
        grid.add_row(*panels[place : place + columns])
    return grid


def _frame() -> str:
    return _FRAMES[int(time.monotonic() * _FRAMES_A_SECOND) % len(_FRAMES)]
