"""`byte tasks`: the task registry, in a table or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..config import Task
    from ..house import House


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
