"""From the arena into the routing: a task's order of models is changed in the settings file, with a trail and a way back.

The change is kept in the store first, with its evidence, and then the file takes its place: whatever dies in between, the
file alone says what the order is, and a kept change whose order does not stand there has never come to hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ..arena.ratings.order import Whence
from ..arena.types import Change
from ..config import Config, Task, ordered, shipped_tasks, written
from ..errors import InvalidRequest
from ..house import House
from ..io.clock import wall
from ..route import tasks


def current(house: House, name: str) -> tuple[Config, Task]:
    """The configuration and a task as the files have them at this moment. Raises UnknownTask, ConfigError."""
    config = house.reread()
    return config, tasks.find(config.tasks, name)


def apply(house: House, change: Change, *, as_shipped: bool = False) -> Change:
    """Write the order into the settings file; returns the change as it is kept.

    `as_shipped`: by taking our line out of the file. From the next request on this process goes by it; a running gateway
    within a second, any other process at its next start. Raises InvalidRequest where the order is not the one that the change begins with,
    ConfigError where the file cannot be written, LedgerError where the change cannot be kept: then nothing is changed.
    """
    with ordered(house.config.file, change.task, None if as_shipped else change.after):
        _, task = current(house, change.task)
        if task.models != change.before:
            raise InvalidRequest(
                f"The order of {task.name} has changed meanwhile: it is {shown(task.models)} now.",
                hint=(f"Look again: byte tasks explain {task.name}",),
            )
        if not change.number:  # else it is kept already
            change = replace(change, at=wall())
            change = replace(change, number=house.matches.change(change))
    config, _ = current(house, change.task)
    house.adopt(replace(house.config, tasks=config.tasks, where=config.where))
    return change


def undo(house: House, what: str | int, force: bool = False) -> Change:
    """Take back the change of this number, or the last one of a task that still holds; returns the change that does it.

    Raises InvalidRequest where there is none, where it was taken back already, and where the order was changed by hand
    since, unless `force` is set: then the order from before the change holds again all the same. An undo that was cut off
    before the file was written is brought to its end.
    """
    number = what if isinstance(what, int) else int(what) if what.isdecimal() else None
    changes = house.matches.changes()
    name = str(what) if number is None else _numbered(changes, number).task
    _, task = current(house, name)
    own = [one for one in changes if one.task == task.name]
    begun = _cut_off(own, task)
    if begun is not None and number in (None, begun.number, begun.undoes):
        return apply(house, begun, as_shipped=_was_shipped(_numbered(own, begun.undoes or 0)))
    undone = _last(own, task) if number is None else _not_undone(own, _numbered(own, number))
    if task.models != undone.after and not force:
        raise InvalidRequest(
            f"The order of {task.name} was changed by hand since: change {undone.number} made it"
            f" {shown(undone.after)}, and now it is {shown(task.models)}.",
            hint=(f"To have {shown(undone.before)} all the same: byte arena undo {what} --force",),
        )
    if task.models == undone.before:
        raise InvalidRequest(
            f"The order of {task.name} is the one from before change {undone.number} already."
        )
    return apply(
        house,
        Change(
            task=task.name,
            before=task.models,
            after=undone.before,
            why=f"Change {undone.number} was taken back.",
            by="undo",
            undoes=undone.number,
        ),
        as_shipped=_was_shipped(undone),
    )


def in_force(changes: Sequence[Change], models: tuple[str, ...]) -> Change | None:
    """The last change that has come to hold; `models` is the task's order now.

    One that ends where no later one begins, and whose own beginning stands there still, was cut off before the file was written.
    """
    for change in reversed(changes):
        if change.after == models or change.before != models:
            return change
    return None


def whence(house: House, task: Task, change: Change | None, changes: Sequence[Change]) -> Whence:
    """Who has made a task's order what it is; `change`: the one in force."""
    if change is not None and change.after == task.models:
        return "promoted" if is_forward(change, changes) else "undone"
    is_ours = is_shipped(task.name, task.models) and written(house.config.file, task.name) is None
    return "shipped" if is_ours else "file"


def is_shipped(task: str, models: Iterable[str]) -> bool:
    """Whether this is the order that the package brings along."""
    found = shipped_tasks().tasks.get(task)
    return found is not None and isinstance(found.models, list) and found.models == list(models)


def is_forward(change: Change, changes: Iterable[Change]) -> bool:
    """Whether it was made for its own sake, or takes back one that took another back."""
    if change.undoes is None:
        return True
    undone = next((one for one in changes if one.number == change.undoes), None)
    return undone is not None and not is_forward(undone, changes)


def shown(models: Iterable[str]) -> str:
    """An order for people."""
    return ", ".join(models)


def _last(changes: Sequence[Change], task: Task) -> Change:
    """The last change that was not taken back and is none itself, leaving out those that have never come to hold."""
    taken_back = {one.undoes for one in changes}
    for change in reversed(changes):
        if change.number in taken_back or not is_forward(change, changes):
            continue
        if change.after == task.models or change.before != task.models:
            return change
    raise InvalidRequest(
        f"There is nothing to take back in the order of {task.name}: the arena has not changed it"
        + ("." if not changes else ", or it was taken back already."),
        hint=(f"Why it is as it is: byte tasks explain {task.name}",),
    )


def _cut_off(changes: Sequence[Change], task: Task) -> Change | None:
    """The undo that was kept last, where its order never came to stand in the file: see `in_force`."""
    last = changes[-1] if changes else None
    if last is None or last.undoes is None or last.after == task.models or last.before != task.models:
        return None
    return last


def _was_shipped(undone: Change) -> bool:
    """Whether there was no line of ours before this change."""
    return undone.evidence.get("was") == "shipped" and is_shipped(undone.task, undone.before)


def _numbered(changes: Sequence[Change], number: int) -> Change:
    found = next((one for one in changes if one.number == number), None)
    if found is None:
        raise InvalidRequest(
            f"There is no change {number}.", hint=("All that there are: byte arena changes",)
        )
    return found


def _not_undone(changes: Sequence[Change], change: Change) -> Change:
    again = next((one for one in changes if one.undoes == change.number), None)
    if again is not None:
        raise InvalidRequest(f"Change {change.number} was taken back already, by change {again.number}.")
    return change
