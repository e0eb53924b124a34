"""The task registry: which task a name means."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import Task, fold, nearest
from ..errors import UnknownTask

__all__ = ["Task", "find"]


def find(tasks: Mapping[str, Task], name: str) -> Task:
    """The task of this name or alias; case, hyphens and underscores do not count.

    Raises UnknownTask, whose `hint` tells the nearest names.
    """
    if name in tasks:
        return tasks[name]
    wanted = fold(name)
    for task in tasks.values():
        if wanted == fold(task.name) or any(wanted == fold(alias) for alias in task.aliases):
            return task
    near = nearest(name, [*tasks, "auto", *(alias for task in tasks.values() for alias in task.aliases)])
    raise UnknownTask(
        f"There is no task {name!r}.",
        hint=(
            *((f"Did you mean: {', '.join(near)}?",) if near else ()),
            f"The tasks are: {', '.join(tasks)}, and auto.",
        ),
    )
