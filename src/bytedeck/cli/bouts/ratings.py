"""What the matches say: the board, the battles that would tell most, and how the judges judge."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .. import naming, tell
from ..options import as_json

if TYPE_CHECKING:
    from ...arena.ratings.standings import Board, Cost, Row

_SOURCES = ("judges", "owner", "spectators")
# Columns of the picture of an interval.
_STRIP = 28
_NO_BATTLES = (
    "Nobody has fought there yet. Hold battles with: byte arena run --battles 20 --budget 1 --prompts FILE"
)

_task = click.option(
    "-t", "--task", default="", metavar="TASK", help="Only of this task type.  [default: all of them]"
)
_source = click.option(
    "--source",
    type=click.Choice(_SOURCES),
    default="judges",
    show_default=True,
    help="Whose opinion; they are never mixed.",
)


@click.command("board")
@_task
@_source
@click.option("--raw", is_flag=True, help="As judged, with what length and formatting did to it.")
@as_json()
def board(task: str, source: str, raw: bool, json_: bool) -> None:
    """Show how strong the models are, with 95 % intervals.

    1000 points are the average; 100 more mean that 64 of 100 battles are won. Unless --raw is given it is what they
    would be at equal length and formatting.
    """
    from ...client import Hub

    with Hub() as hub:
        found = hub.arena.board(task, source=source, style=not raw)
    if json_:
        import msgspec

        tell.out_json(msgspec.to_builtins(found))
    elif found.rows:
        _draw(found)
    else:
        tell.out(_NO_BATTLES)


def _draw(found: Board) -> None:
    from ...arena.show.text import plural

    tell.out(_table(found))
    of = f"the task {found.task}" if found.task else "all tasks"
    told = f"{plural(found.battles, 'battle')} in {found.matches:,} {'match' if found.matches == 1 else 'matches'}"
    tell.say(f"{told} of {of}, by {found.source}.", dim=True)
    for note in found.notes:
        tell.note(note)


def _table(found: Board) -> str:
    """The widest table that the terminal has room for; in a pipe never the narrowest."""
    width = shutil.get_terminal_size().columns
    tables = [
        tell.table([heads, *(row(one, found) for one in found.rows)], right) for heads, row, right in _TABLES
    ]
    fitting = [one for one in tables if max(map(len, one.splitlines())) <= width]
    return fitting[0] if fitting else tables[-1 if tell.is_terminal(sys.stdout) else 1]


def _wide(one: Row, found: Board) -> tuple[str, ...]:
    head, tail = _middle(one, found)[:4], _middle(one, found)[4:]
    return (*head, _strip(one, found), *tail)


def _middle(one: Row, found: Board) -> tuple[str, ...]:
    counts = (f"{one.battles:,}", f"{one.wins:,}", f"{one.losses:,}", f"{one.ties:,}")
    return (*_who(one), *counts, _price(one.cost))


def _narrow(one: Row, found: Board) -> tuple[str, ...]:
    return (*_who(one), f"{one.wins:,} / {one.losses:,} / {one.ties:,}", _price(one.cost))


def _who(one: Row) -> tuple[str, ...]:
    rank = str(one.rank_low) if one.rank_low == one.rank_high else f"{one.rank_low}–{one.rank_high}"
    points = f"{one.points:.0f}" + ("?" if one.is_provisional else "")
    return (rank, one.name or one.model, points, _interval(one))


_HEADS = ("RANK", "MODEL", "POINTS", "95 %")
_COUNTS = ("BATTLES", "WON", "LOST", "TIED", "USD / M TOKENS")
# Heads, what makes a row, and the columns that stand flush right; the widest first.
_TABLES: tuple[tuple[tuple[str, ...], Callable[[Row, Board], tuple[str, ...]], tuple[int, ...]], ...] = (
    ((*_HEADS, "", *_COUNTS), _wide, (2, 3, 5, 6, 7, 8)),
    ((*_HEADS, *_COUNTS), _middle, (2, 3, 4, 5, 6, 7)),
    ((*_HEADS, "WON / LOST / TIED", "USD / M"), _narrow, (2, 3, 4)),
)


def _interval(one: Row) -> str:
    return f"{_points(one.low)}–{_points(one.high)}"


def _points(points: float) -> str:
    return "?" if abs(points) > 100_000 else f"{points:.0f}"


def _strip(one: Row, found: Board) -> str:
    """The interval and its middle on a line that all share: `    ──●──   `."""
    known = [row for row in found.rows if abs(row.low) < 100_000 and abs(row.high) < 100_000]
    if one not in known:
        return ""
    low, high = min(row.low for row in known), max(row.high for row in known)
    scale = (_STRIP - 1) / ((high - low) or 1)
    first, middle, last = (round((at - low) * scale) for at in (one.low, one.points, one.high))
    line = [" "] * _STRIP
    line[first : last + 1] = "─" * (last + 1 - first)
    line[middle] = "●"
    return "".join(line)


def _price(cost: Cost) -> str:
    """In and out: `3 / 15`."""
    from ...money import to_text

    if cost.prompt is None or cost.completion is None:
        return ""
    return f"{to_text(cost.prompt)} / {to_text(cost.completion)}"


@click.command("next")
@click.option("-t", "--task", default="general", show_default=True, metavar="TASK", help="Among its models.")
@click.option("--count", type=click.IntRange(1, 50), default=3, show_default=True, help="How many.")
@click.option(
    "--aim",
    type=click.Choice(["best", "order"]),
    default="best",
    show_default=True,
    help="To find the best one; or to test the first one against the others.",
)
@as_json()
def next_(task: str, count: int, aim: str, json_: bool) -> None:
    """Tell which battles would tell most now. Holds none."""
    from ...client import Hub

    with Hub() as hub:
        found = hub.arena.next(task, count, aim=aim)
        rows = [
            (hub.house.named(one.first)[1], hub.house.named(one.second)[1], naming.named(hub.house, one.why))
            for one in found
        ]
    if json_:
        import msgspec

        tell.out_json(msgspec.to_builtins(found))
        return
    tell.out(tell.table([("ONE", "OTHER", "WHY"), *rows]))
    tell.say(
        f"Hold some of them: byte arena run --battles {count} --budget 1 -t {task} --prompts FILE", dim=True
    )


@click.group("judges")
def judges() -> None:
    """How the judges judge."""


@judges.command("audit")
@_task
@as_json()
def audit(task: str, json_: bool) -> None:
    """Show of each judge: flips, leanings to a side or to the longer text, and agreement with others and with people."""
    from ...client import Hub
    from . import audits

    with Hub() as hub:
        found = hub.arena.audit(task)
    if json_:
        tell.out_json(audits.as_json(found))
    else:
        audits.draw(found)


COMMANDS: tuple[click.Command, ...] = (board, next_, judges)
