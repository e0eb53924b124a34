"""A task's order of models is written into the settings file, and every other byte of it stays, as in `edit`.

Where the models only change places, a comment beside one goes with it. `arranged` is the function of texts.
"""

from __future__ import annotations

import contextlib
import json
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError
from .document import Document, content, parsed
from .edit import MARK, alone, changed_inside, last_of, unwritten, with_line, with_table, without_line
from .files import staged
from .names import fold

if TYPE_CHECKING:
    from .lines import Place

_TAIL = re.compile(r"[ \t]*(?:#[^\r\n]*)?")


@contextlib.contextmanager
def ordered(path: Path, task: str, models: Sequence[str] | None) -> Iterator[bool]:
    """The settings file with `models` of `[tasks.<task>]` in this order; None takes the setting out of it.

    Within the block nobody else of ours changes the file, and the new one stands beside it unseen, on the disk. It takes
    its place in one step when the block has ended; if the block raises, all stays as it was. Gives whether the file has
    to be changed. Raises ConfigError for a file that is not TOML, and for one that cannot be written or changed by us.
    """
    with alone(path):
        raw = content(path, required=False)
        document = parsed(path, raw)
        mark = MARK if raw.startswith(MARK) else b""
        text = raw.removeprefix(mark).decode()
        steps = ("tasks", _written(document, task), "models")
        new = arranged(text, steps, models)
        if new == text:
            yield False
            return
        _check(path, text, new, steps, models)
        with _in_place(path, mark + new.encode()):
            yield True


def written(path: Path, task: str) -> tuple[str, ...] | None:
    """The order that the settings file has for a task; None: it says nothing of it. Raises ConfigError."""
    document = parsed(path, content(path, required=False))
    found = document.data.get("tasks", {}).get(_written(document, task), {}).get("models")
    return None if found is None else tuple(map(str, found))


@contextlib.contextmanager
def _in_place(path: Path, data: bytes) -> Iterator[None]:
    """As `files.staged`; a link stays one."""
    try:
        target = path.resolve()
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        with staged(target, data, mode):
            yield
    except OSError as exc:
        raise unwritten(path, exc) from exc


def _written(document: Document, task: str) -> str:
    """How the file spells the task's name; the name itself where it does not have it."""
    tables = document.data.get("tasks", {})
    if not isinstance(tables, dict):
        raise document.wrong(("tasks",), "expected a table")
    found = next((name for name in tables if fold(name) == fold(task)), task)
    table = tables.get(found, {})
    if not isinstance(table, dict):
        raise document.wrong(("tasks", found), "expected a table")
    if not isinstance(table.get("models", []), list):
        raise document.wrong(("tasks", found, "models"), "expected a list")
    return found


def arranged(text: str, path: tuple[str, ...], models: Sequence[str] | None) -> str:
    """A valid TOML text in which the key at `path`, of a table below another, is this list; None: it is not there."""
    from .lines import places  # as in `edit`

    found = list(places(text))
    own = next((one for one in found if one.path == path and one.value is not None), None)
    if own is not None and own.value is not None:
        if models is None:
            return _without(text, found, own)
        return f"{text[: own.value]}{_list(text[own.value : own.end], models)}{text[own.end :]}"
    for depth in range(len(path) - 1, 0, -1):
        short = next((one for one in found if one.path == path[:depth] and one.value is not None), None)
        if short is not None:
            return _inside(text, short, path[depth:], models)
    return text if models is None else _added(text, found, path, _list("", models))


def _inside(text: str, table: Place, path: tuple[str, ...], models: Sequence[str] | None) -> str:
    """The same where a table above the key is an inline one."""
    from .lines import inside

    assert table.value is not None  # noqa: S101 (for mypy: it is a key's place)
    for one in inside(text, table.value):
        if one.path == path and one.value is not None and models is not None:
            return f"{text[: one.value]}{_list(text[one.value : one.end], models)}{text[one.end :]}"
        if len(one.path) < len(path) and one.path == path[: len(one.path)]:
            return _inside(text, one, path[len(one.path) :], models)
    value = None if models is None else _list("", models)
    return changed_inside(text, table.value, table.end, path, value)


def _added(text: str, found: list[Place], path: tuple[str, ...], value: str) -> str:
    """With one more key: where the table's other keys stand, or in a table of its own at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    table, name = path[:-1], path[-1]
    header = next((at for at, one in enumerate(found) if one.path == table and one.value is None), None)
    if header is not None:
        return with_line(text, last_of(found, header), f"{name} = {value}", newline)
    above: tuple[str, ...] = ()
    dotted: tuple[Place, str] | None = None
    for one in found:
        if one.value is None:
            above = one.path
        elif one.path[: len(table)] == table and len(above) < len(table):
            # Written with dots below a table further up: `[tasks.coding]` may not follow.
            dotted = one, ".".join((*table[len(above) :], name))
    if dotted is not None:
        return with_line(text, dotted[0], f"{dotted[1]} = {value}", newline)
    return with_table(text, found, ".".join(table), f"{name} = {value}")


def _without(text: str, found: list[Place], own: Place) -> str:
    """Without the key's line, and without its table's header where that was all that stood below it."""
    rest = without_line(text, own)
    at = found.index(own)
    header, after = found[at - 1] if at else own, found[at + 1] if at + 1 < len(found) else None
    if header.value is not None or header.path != own.path[:-1] or (after and after.value is not None):
        return rest
    between = text[header.end : own.start] + text[own.end : after.start if after else len(text)]
    return rest if between.strip() else without_line(rest, header)


def _list(old: str, models: Sequence[str]) -> str:
    """The list, in the old one's layout where the models are the same ones."""
    head, items, rest = _items(old) if old else ("", [], "")
    values = [_value(one.token) for one in items]
    if sorted(values) != sorted(models) or len(set(values)) < len(values):
        return f"[{', '.join(json.dumps(model, ensure_ascii=False) for model in models)}]"
    placed = [items[values.index(model)] for model in models]
    if not all("\n" in one.lead for one in items):  # not a line for each: only the texts change places
        placed = [one._replace(token=new.token) for one, new in zip(items, placed, strict=True)]
    commas = [one.comma or "," for one in items[:-1]] + [items[-1].comma]
    body = (f"{one.lead}{one.token}{comma}{one.tail}" for one, comma in zip(placed, commas, strict=True))
    return f"[{head}{''.join(body)}{rest}"


class _Item(NamedTuple):
    """One model of a list as it is written: what stands before it, itself, its comma, and the comment behind that."""

    lead: str
    token: str
    comma: str
    tail: str


def _items(old: str) -> tuple[str, list[_Item], str]:
    """A list of texts, taken apart: a comment beside its bracket, the texts, and what stands behind the last one."""
    from .lines import BLANK, STRINGS

    items: list[_Item] = []
    at = first = _tail(old, 1)
    while True:
        start, at = at, _after(BLANK, old, at)
        if old[at] == "]":
            return old[1:first], items, old[start:]
        token = next(found for one in STRINGS if (found := one.match(old, at)))[0]
        end = at + len(token)
        comma = _after(BLANK, old, end)
        comma = comma + 1 if old[comma] == "," else end
        tail = _tail(old, comma)
        items.append(_Item(old[start:at], token, old[end:comma], old[comma:tail]))
        at = tail


def _tail(text: str, at: int) -> int:
    """Where the comment ends that stands on this line; the same place where there is none."""
    end = _after(_TAIL, text, at)
    return end if "#" in text[at:end] else at


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _value(token: str) -> str:
    import tomllib

    return str(tomllib.loads(f"x = {token}")["x"])


def _check(path: Path, text: str, new: str, steps: tuple[str, ...], models: Sequence[str] | None) -> None:
    """Whether all else still says the same. Our own reading of TOML could be wrong, and the file is not ours."""
    try:
        good = _said(new, steps) == (_said(text, steps)[0], None if models is None else list(models))
    except ValueError:
        good = False
    if not good:
        wanted = "take out `models`" if models is None else f"set models = {_list('', models)}"
        raise ConfigError(f"{path} cannot be changed by us: please {wanted} yourself, in [tasks.{steps[1]}].")


def _said(text: str, steps: tuple[str, ...]) -> tuple[dict[str, Any], Any]:
    """What a text says without the key at the path, and what it says there."""
    import tomllib

    data = tomllib.loads(text, parse_float=str)  # as texts, since NaN is not equal to itself
    table = data
    for step in steps[:-1]:
        table = table.setdefault(step, {})
    return data, table.pop(steps[-1], None)
