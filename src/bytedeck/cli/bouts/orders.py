"""What follows from the ratings: a task's order of models changed, with its evidence, and changed back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .. import naming, tell
from ..options import as_json

if TYPE_CHECKING:
    from ...arena.ratings.promotion import Proposal
    from ...arena.types import Change
    from ...house import House


@click.command("promote")
@click.argument("task", required=False, default="")
@click.option("--dry-run", is_flag=True, help="Only show what is proposed.")
@click.option(
    "--source",
    type=click.Choice(["judges", "owner", "spectators"]),
    default="judges",
    show_default=True,
    help="Whose opinion it goes by.",
)
@as_json()
def promote(task: str, dry_run: bool, source: str, json_: bool) -> None:
    """Change a TASK's order of models, where the evidence holds. Without TASK: show what is proposed for any.

    The new order goes into your settings file. `byte arena undo TASK` takes it back.
    """
    from ...client import Hub

    with Hub() as hub:
        if dry_run or not task:
            found = hub.arena.proposals(task, source=source)
            if json_:
                tell.out_json([_proposed(one) for one in found])
            else:
                _tell_proposals(hub.house, found, task)
            return
        change = hub.arena.promote(task, source=source)
        _tell_change(hub.house, change, json_)


def _tell_proposals(house: House, found: tuple[Proposal, ...], task: str) -> None:
    for one in found:
        tell.out(f"{one.task}: {_order(house, one.before)}\n  → {_order(house, one.after)}")
        tell.out(naming.named(house, one.why))
        rows = [(house.named(point.model)[1], f"{point.points:.0f}", f"{point.low:.0f}–{point.high:.0f}",
                 _price(point.price_units), "on the front" if point.is_on_front else "") for point in one.front]  # fmt: skip
        if rows:
            tell.out(tell.table([("MODEL", "POINTS", "95 %", "USD / M TOKENS", ""), *rows], right=(1, 2, 3)))
        tell.say(f"Do it: byte arena promote {one.task}", dim=True)
    if not found:
        tell.out(f"Nothing speaks for another order{f' of {task}' if task else ''} yet.")
        tell.say(f"What it waits for: byte tasks explain {task or 'TASK'}", dim=True)


def _proposed(one: Proposal) -> dict[str, Any]:
    return {
        "task": one.task,
        "source": one.source,
        "before": list(one.before),
        "after": list(one.after),
        "why": one.why,
        "evidence": one.evidence,
        "front": [
            {
                "model": point.model,
                "points": point.points,
                "low": point.low,
                "high": point.high,
                "price": _price(point.price_units) or None,
                "is_on_front": point.is_on_front,
            }
            for point in one.front
        ],
    }


def _price(units: int | None) -> str:
    from ...money import to_text

    return "" if units is None else to_text(units)


@click.command("undo")
@click.argument("what", metavar="TASK|NUMBER")
@click.option("--force", is_flag=True, help="Also where the order was changed by hand since.")
@as_json()
def undo(what: str, force: bool, json_: bool) -> None:
    """Take back the last change of a task's order, or the one of a number."""
    from ...client import Hub

    with Hub() as hub:
        _tell_change(hub.house, hub.arena.undo(what, force=force), json_)


def _tell_change(house: House, change: Change, json_: bool) -> None:
    if json_:
        tell.out_json(_as_json(change))
        return
    tell.out(f"{change.task}: {_order(house, change.after)}")
    tell.out(f"It was: {_order(house, change.before)}\n{naming.named(house, change.why)}")
    tell.say(
        f"Change {change.number}, in {house.config.file}. Take it back: byte arena undo {change.number}",
        dim=True,
    )


@click.command("changes")
@click.argument("task", required=False, default="")
@as_json()
def changes(task: str, json_: bool) -> None:
    """List every change of an order that the arena made, with its evidence."""
    from ...client import Hub

    with Hub() as hub:
        found = hub.arena.changes(task)
        rows = [_row(hub.house, one) for one in found]
    if json_:
        tell.out_json([_as_json(one) for one in found])
    elif rows:
        tell.out(tell.table([("NUMBER", "WHEN (UTC)", "TASK", "FIRST NOW", "BY", "WHY"), *rows], right=(0,)))
    else:
        tell.out("The arena has changed no order.")


def _row(house: House, one: Change) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.at / 1e6))
    return str(one.number), when, one.task, house.named(one.after[0])[1], one.by, naming.named(house, one.why)


def _as_json(one: Change) -> dict[str, Any]:
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(one)
    return told


def _order(house: House, models: tuple[str, ...]) -> str:
    return ", ".join(house.named(one)[1] for one in models)


COMMANDS: tuple[click.Command, ...] = (promote, undo, changes)
