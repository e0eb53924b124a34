"""`byte tasks`: the task registry, in a table or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import naming, tell
from .options import as_json

if TYPE_CHECKING:
    from ..arena.ratings.order import Order, Seat
    from ..config import Task
    from ..house import House

_HEADS = ("", "NAME", "MODEL", "POINTS", "95 %", "BATTLES", "$ IN", "$ OUT")


@click.group("tasks", invoke_without_command=True)
@as_json()
@click.pass_context
def command(ctx: click.Context, json_: bool) -> None:
    """List the task types, or show one whole."""
    if ctx.invoked_subcommand is None:
        _list(json_)


def _list(json_: bool) -> None:
    house = _house()
    tasks = house.config.tasks
    if json_:
        tell.out_json([_brief(house, task) for task in tasks.values()])
        return
    rows = [(task.name, house.named(task.models[0])[1], task.description) for task in tasks.values()]
    tell.out(tell.table([("TASK", "FIRST MODEL", "WHAT FOR"), *rows]))
    tell.say(
        "One whole: byte tasks show coding. Use one: byte -t coding …; or let Byte choose: -t auto", dim=True
    )


@command.command("show")
@click.argument("name", metavar="TASK")
@as_json()
def show(name: str, json_: bool) -> None:
    """Show a task whole: its models, parameters and system prompt."""
    house = _house()
    task = house.task(name)
    if json_:
        tell.out_json(_whole(house, task))
        return
    tell.out(f"{task.label} ({task.name}{_also(task)})\n{task.description}\n")
    rows = [(f"{place}.", *reversed(house.named(one))) for place, one in enumerate(task.models, start=1)]
    if task.light:
        rows.append(("light", *reversed(house.named(task.light))))
    tell.out(f"Models\n{_indented(tell.table(rows))}\n")
    tell.out(f"Parameters\n{_indented(_pairs(task.params))}\n")
    tell.out(f"Seconds at most\n{_indented(_pairs(_bounds(task)))}\n")
    tell.out(f"System prompt\n{_indented(task.system or '(none)')}\n")
    tell.out(f"Version {task.version}, from {house.config.where.get(f'tasks.{task.name}', 'shipped')}")


@command.command("explain")
@click.argument("name", metavar="TASK")
@as_json()
def explain(name: str, json_: bool) -> None:
    """Show why a task's models stand in their order, and what would change it.

    Where the order comes from, how the arena rates each model, what it costs, and what the next change waits for.
    """
    from ..client import Hub

    with Hub() as hub:
        order = hub.arena.explain(name)
        label = hub.house.task(name).label
        why = naming.named(hub.house, "\n".join(order.why))
    if json_:
        tell.out_json(_order(order))
        return
    tell.out(f"{label} ({order.task})\n")
    rows = [_HEADS, *(_seat(place, seat) for place, seat in enumerate(order.seats, start=1))]
    tell.out(f"{_indented(tell.table(rows, right=(3, 5, 6, 7)))}\n")
    tell.out(why)
    if any(seat.row is not None and seat.row.is_provisional for seat in order.seats):
        tell.say("~ few battles yet: the points say little.", dim=True)
    if all(seat.row is None for seat in order.seats):
        tell.say(f"Let them fight: byte arena run -t {order.task} --budget 1 --prompts FILE", dim=True)


def _seat(place: int, seat: Seat) -> tuple[str, ...]:
    row = seat.row
    rating = ("", "", "0") if row is None else (
        f"{'~' if row.is_provisional else ''}{row.points:.0f}", f"{row.low:.0f}–{row.high:.0f}", f"{row.battles:,}",
    )  # fmt: skip
    return (
        f"{place}.",
        seat.name,
        seat.model,
        *rating,
        _price(seat.cost.prompt),
        _price(seat.cost.completion),
    )


def _price(units: int | None) -> str:
    """USD per million tokens."""
    from ..money import to_text

    return "?" if units is None else to_text(units) if units else "free"


def _order(order: Order) -> dict[str, Any]:
    """As JSON: points as numbers, amounts as decimal text in USD per million tokens, moments in microseconds since 1970."""
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(order)
    for seat in told["seats"]:
        for one in filter(None, (seat, seat["row"])):
            cost = one.pop("cost")
            one["prompt_per_million"], one["completion_per_million"] = map(_usd, cost.values())
    return told


def _usd(units: int | None) -> str | None:
    from ..money import to_text

    return None if units is None else to_text(units)


def _house() -> House:
    from ..house import House

    return House()


def _brief(house: House, task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "label": task.label,
        "description": task.description,
        "aliases": list(task.aliases),
        "models": [_model(house, one) for one in task.models],
        "light": _model(house, task.light) if task.light else None,
    }


def _whole(house: House, task: Task) -> dict[str, Any]:
    return {
        **_brief(house, task),
        "system": task.system,
        "parameters": dict(task.params),
        "timeouts": _bounds(task),
        "keywords": list(task.keywords),
        "version": task.version,
        "source": house.config.where.get(f"tasks.{task.name}", "shipped"),
    }


def _model(house: House, written: str) -> dict[str, str]:
    model, name = house.named(written)
    return {"model": model, "model_name": name}


def _bounds(task: Task) -> dict[str, float]:
    import msgspec

    bounds: dict[str, float] = msgspec.to_builtins(task.timeouts)
    return bounds


def _also(task: Task) -> str:
    return f", also {', '.join(task.aliases)}" if task.aliases else ""


def _pairs(values: Any) -> str:
    return tell.table([(str(key), _number(value)) for key, value in values.items()]) if values else "(none)"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))
