"""The tables of the TOML files, and how a table of tasks becomes a registry of `Task`s.

A field that a table does not name is UNSET, so that what lies below shows through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..types import Policy, Timeouts
from . import measures
from .document import Document, plain
from .names import fold, nearest
from .shape import Promote, Task

Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[list[Text], Meta(min_length=1)]
# A day is longer than any answer; "for ever" is not offered, because every stall has to end.
_Second = Annotated[float, Meta(gt=0, le=86400)]
_Whole = Annotated[int, Meta(ge=1, le=100_000_000)]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = ("auto", "byte")
_OURS = ("messages", "model", "models", "stream", "prompt")


class Seconds(Struct, frozen=True, forbid_unknown_fields=True):
    """`[timeouts]`."""

    connect: _Second | UnsetType = UNSET
    headers: _Second | UnsetType = UNSET
    first_event: _Second | UnsetType = UNSET
    idle: _Second | UnsetType = UNSET
    total: _Second | UnsetType = UNSET

    def over(self, below: Timeouts) -> Timeouts:
        """These bounds where they are set, those below elsewhere."""
        return msgspec.structs.replace(below, **_set(self))


class TaskTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[tasks.<name>]`."""

    label: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    models: Texts | UnsetType = UNSET
    light: str | UnsetType = UNSET
    system: str | UnsetType = UNSET
    aliases: list[Text] | UnsetType = UNSET
    keywords: list[Text] | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET
    timeouts: Seconds | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    limits: dict[str, Any] | UnsetType = UNSET
    budget: dict[str, Any] | UnsetType = UNSET
    """These two are read by `limits.rules`, and stand in `Config.rules`, not in the task."""
    cache: Text | UnsetType = UNSET
    promote: Promote | UnsetType = UNSET
    version: _Whole | UnsetType = UNSET

    def over(self, below: TaskTable) -> TaskTable:
        """This table's fields where they are set, those below elsewhere; parameters and bounds one by one."""
        fields = _set(self)
        if below.params is not UNSET and self.params is not UNSET:
            fields["params"] = {**below.params, **self.params}
        if below.timeouts is not UNSET and self.timeouts is not UNSET:
            fields["timeouts"] = msgspec.structs.replace(below.timeouts, **_set(self.timeouts))
        if below.policy is not UNSET and self.policy is not UNSET:
            fields["policy"] = self.policy.over(below.policy)
        return msgspec.structs.replace(below, **fields)

    def task(self, name: str, timeouts: Timeouts) -> Task:
        """The task itself. `models` has to be set."""
        fields = _set(self)
        fields.pop("limits", None)
        fields.pop("budget", None)
        for key in ("models", "aliases", "keywords"):
            fields[key] = tuple(fields.get(key, ()))
        if self.cache is not UNSET:
            fields["cache"] = 0.0 if self.cache == "off" else measures.seconds(self.cache)
        fields["timeouts"] = self.timeouts.over(timeouts) if self.timeouts is not UNSET else timeouts
        fields.setdefault("label", name.replace("_", " ").capitalize())
        fields.setdefault("description", "")
        fields["system"] = fields.get("system", "").strip()
        return Task(name=name, **fields)


class _Params(Struct):
    """The request fields whose range is known (wire reference, section 3); any other goes through unseen."""

    max_tokens: _Whole | UnsetType = UNSET
    max_completion_tokens: _Whole | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(gt=0, le=1)] | UnsetType = UNSET
    top_k: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    min_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    top_a: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    repetition_penalty: Annotated[float, Meta(gt=0, le=2)] | UnsetType = UNSET
    seed: int | UnsetType = UNSET


def _set(table: Struct) -> dict[str, Any]:
    return {key: value for key in table.__struct_fields__ if (value := getattr(table, key)) is not UNSET}


def registry(
    ship: Mapping[str, TaskTable], params: Mapping[str, Any], timeouts: Timeouts, document: Document
) -> tuple[dict[str, Task], dict[str, str]]:
    """All tasks by name, shipped ones first, and where each comes from.

    `params` is what every task starts from. Raises ConfigError for what the document has wrong.
    """
    base = TaskTable(params=dict(params))
    tables = {name: table.over(base) for name, table in ship.items()}
    where = dict.fromkeys(tables, "shipped")
    for written, value in document.data.get("tasks", {}).items():
        table = _table(document, written, value)
        name = _name(document, written, tables)
        if name not in tables:
            _check_new(document, written, table, tables)
        tables[name] = table.over(tables.get(name, base))
        where[name] = document.place(("tasks", written))
    tasks = {name: table.task(name, timeouts) for name, table in tables.items()}
    _check_names(document, tasks)
    return tasks, where


def _table(document: Document, name: str, value: object) -> TaskTable:
    """One `[tasks.<name>]` of the user's, checked by itself."""
    path = ("tasks", name)
    _check_misplaced(document, path, value)
    if isinstance(value, dict) and value.get("promote", "ask") not in get_args(Promote):
        raise document.wrong((*path, "promote"), 'expected "ask" or "auto"')
    table = document.convert(value, TaskTable, *path)
    if table.params is not UNSET:
        document.convert(table.params, _Params, *path, "params")
        for key, one in table.params.items():
            if key in _OURS:
                raise document.wrong((*path, "params", key), "a task cannot set this field of a request")
            if not plain(one):
                raise document.wrong((*path, "params", key), "expected a value that JSON can hold")
    if table.cache is not UNSET and table.cache != "off":
        try:
            measures.seconds(table.cache)
        except ValueError as exc:
            raise document.wrong((*path, "cache"), f"{exc}, or off") from exc
    for one in table.models or ():
        if one.startswith("byte/"):
            raise document.wrong((*path, "models"), f"a task cannot stand for another one ({one})")
    return table


def _check_misplaced(document: Document, path: tuple[str, ...], value: object) -> None:
    """`temperature` right inside a task is the likeliest mistake of all: say where it belongs."""
    own, params = TaskTable.__struct_fields__, _Params.__struct_fields__
    for key in value if isinstance(value, dict) else ():
        near = () if key in own else nearest(key, (*own, *params), 1)
        if near and near[0] in params:
            where = f"{'.'.join(path)}.params"
            raise document.wrong((*path, key), f"a request field belongs in [{where}], as `{near[0]}`")


def _name(document: Document, written: str, tables: Mapping[str, TaskTable]) -> str:
    """The canonical name: a task that is there already may be written as any of its spellings."""
    folded = fold(written)
    for name in tables:
        if folded == fold(name):
            return name
    if folded in _RESERVED:
        raise document.wrong(("tasks", written), "this name is reserved")
    if not _NAME.fullmatch(written):
        raise document.wrong(("tasks", written), "expected a name of small letters, digits and underscores")
    return written


def _check_new(document: Document, name: str, table: TaskTable, known: Iterable[str]) -> None:
    if table.models is UNSET:
        near = nearest(name, known, 1)
        guess = f"; did you mean `{near[0]}`?" if near else ""
        raise document.wrong(("tasks", name), f"a new task needs `models`{guess}")
    if not (table.system or table.description):
        raise document.wrong(("tasks", name), "a new task needs `system` or `description`")


def _check_names(document: Document, tasks: Mapping[str, Task]) -> None:
    """No name may mean two tasks."""
    owners = {fold(name): name for name in tasks}
    for task in tasks.values():
        for alias in task.aliases:
            owner = owners.setdefault(fold(alias), task.name)
            if owner != task.name or fold(alias) in _RESERVED:
                raise document.wrong(("tasks", task.name, "aliases"), f"{alias!r} already means {owner!r}")
