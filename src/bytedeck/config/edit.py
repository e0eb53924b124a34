"""One value of a settings file is changed, and every other byte of it stays: comments, order, line ends.

`changed` is a function of texts; `set_budget` and `set_per_model` do it to the file.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .document import Document, content, parsed
from .files import replace
from .limits import PERIODS, amount, amount_text, limit, limit_text

if TYPE_CHECKING:
    from .lines import Place

MARK = "\ufeff".encode()


def set_budget(path: Path, name: str, said: str | int | None) -> bool:
    """Write `name` (daily, weekly, monthly or total) of `[budget]` into the settings file; None or "off" removes it.

    Makes the file (0600), and its folder, where they are missing. Returns whether the file had to be changed.
    Raises ConfigError for what is no budget, for a file that is not TOML, and for one that cannot be written.
    """
    if name not in PERIODS:
        raise ConfigError(f"{name!r} is no budget; there are {', '.join(PERIODS)}.")
    return _set(path, "budget", name, _value(name, said))


def set_per_model(path: Path, said: str | None) -> bool:
    """Write `per_model` of `[limits]`, such as "10/minute"; else as `set_budget`.

    Raises ConfigError, too, where the file limits every model already, by the pattern `*`.
    """
    value = None
    if said is not None and said.strip().lower() != "off":
        try:
            value = f'"{limit_text(limit(said))}"'
        except ValueError as exc:
            raise ConfigError(f"The limit {said!r}: {exc}.") from exc
    return _set(path, "limits", "per_model", value)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within it no other process of ours changes the file. The folder is locked, since the file is replaced."""
    import fcntl  # only who changes a file needs it

    try:
        folder = path.resolve().parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise unwritten(path, exc) from exc
    try:
        with contextlib.suppress(OSError):  # a file system without locks: as good as it gets there
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _check_pattern(document: Document) -> None:
    """Both would say the same, and `rules` takes only one of them."""
    place = ("limits", "models", "*", "requests")
    held: Any = document.data
    for step in place:
        held = held.get(step) if isinstance(held, dict) else None
    if held is not None:
        raise document.wrong(place, "this limits each model already: change it here")


def _set(path: Path, table: str, name: str, value: str | None) -> bool:
    if value is None and not content(path, required=False):
        return False  # no folder is made for it
    with alone(path):
        return _replaced(path, table, name, value)


def _replaced(path: Path, table: str, name: str, value: str | None) -> bool:
    raw = content(path, required=False)
    document = parsed(path, raw)
    if value is not None and name == "per_model":
        _check_pattern(document)
    held = document.data.get(table, {})
    if not isinstance(held, dict):
        raise document.wrong((table,), "expected a table")
    if isinstance(held.get(name), dict):
        raise document.wrong((table, name), "expected a value, not a table")
    mark = MARK if raw.startswith(MARK) else b""
    text = raw.removeprefix(mark).decode()
    new = changed(text, table, name, value)
    if new == text:
        return False
    _check(path, text, new, table, name, value)
    write(path, mark + new.encode())
    return True


def _value(name: str, said: str | int | None) -> str | None:
    if said is None or str(said).strip().lower() == "off":
        return None
    try:
        return f'"{amount_text(*amount(said))}"'
    except ValueError as exc:
        raise ConfigError(f"The {name} budget {said!r}: {exc}.") from exc


def changed(text: str, table: str, key: str, value: str | None) -> str:
    """A TOML text in which this key of a top-level table has this value, itself written as TOML; None removes it.

    The text is to be valid, the table one if it is there, and the key's value none.
    """
    from .lines import places  # as in `Document.place`

    found = list(places(text))
    own = next((one for one in found if one.path == (table, key)), None)
    if own is not None and own.value is not None:
        return without_line(text, own) if value is None else f"{text[: own.value]}{value}{text[own.end :]}"
    short = next((one for one in found if one.path == (table,) and one.value is not None), None)
    if short is not None and short.value is not None:
        return changed_inside(text, short.value, short.end, (key,), value)
    return text if value is None else with_table(text, found, table, f"{key} = {value}")


def without_line(text: str, place: Place) -> str:
    """Without the lines that a key and its value stand in, so also without a comment behind it."""
    start, end = line_start(text, place), text.find("\n", place.end) + 1
    rest = text[end:] if end else ""
    # What set it apart from the next lines is not wanted as the file's first one.
    return text[:start] + rest if start else rest.lstrip("\r\n")


def changed_inside(text: str, start: int, end: int, path: tuple[str, ...], value: str | None) -> str:
    """The same where the table is an inline one, from `start` to `end`; `path` begins in it."""
    from .lines import inside

    all_of_it = list(inside(text, start))
    at = next((number for number, one in enumerate(all_of_it) if one.path == path), None)
    if at is None:
        if value is None:
            return text
        line = f"{'.'.join(path)} = {value}"
        if not all_of_it:
            return f"{text[:start]}{{ {line} }}{text[end:]}"
        last = all_of_it[-1].end
        return f"{text[:last]}, {line}{text[last:]}"
    own = all_of_it[at]
    if value is not None:
        return f"{text[: own.value]}{value}{text[own.end :]}"
    if at + 1 < len(all_of_it):  # with the comma behind it; the last one with the comma before it
        return text[: own.start] + text[all_of_it[at + 1].start :]
    return text[: all_of_it[at - 1].end] + text[own.end :] if at else f"{text[:start]}{{}}{text[end:]}"


def with_table(text: str, found: list[Place], table: str, line: str) -> str:
    """With one more line: where the table's other keys stand, or in a table of its own at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    header = next((at for at, one in enumerate(found) if one.path == (table,)), None)
    if header is not None:
        return with_line(text, last_of(found, header), line, newline)
    first = next((at for at, one in enumerate(found) if one.value is None), len(found))
    dotted = [one for one in found[:first] if one.path[0] == table]
    if dotted:  # `[budget]` may not follow `budget.weekly = "5"`
        return with_line(text, dotted[-1], f"{table}.{line}", newline)
    ends = not text or text.endswith("\n")
    blank = not text.strip() or text.endswith(("\n\n", "\n\r\n"))
    gap = newline * (not ends) + newline * (not blank)
    return f"{text}{gap}[{table}]{newline}{line}{newline}"


def last_of(found: list[Place], header: int) -> Place:
    """The last key below a header; the header itself where there is none."""
    last = found[header]
    for one in found[header + 1 :]:
        if one.value is None:
            break
        last = one
    return last


def with_line(text: str, place: Place, line: str, newline: str) -> str:
    """With a line below that of a place, indented alike."""
    indent = text[line_start(text, place) : place.start]
    end = text.find("\n", place.end)
    end = len(text) if end < 0 else end - (text[end - 1] == "\r")
    return f"{text[:end]}{newline}{indent}{line}{text[end:]}"


def line_start(text: str, place: Place) -> int:
    return text.rfind("\n", 0, place.start) + 1


def _check(path: Path, text: str, new: str, table: str, name: str, value: str | None) -> None:
    """Whether all else still says the same. Our own reading of TOML could be wrong, and the file is not ours."""
    wanted = _tables(text, table)
    wanted[table].pop(name, None)
    if value is not None:
        wanted[table][name] = value[1:-1]
    try:
        good = _tables(new, table) == wanted
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"{path} cannot be changed by us: please set `{name}` in [{table}] yourself.")


def _tables(text: str, table: str) -> dict[str, Any]:
    """What a text says; where this table is not there it is empty."""
    import tomllib

    # Floats as texts, since NaN is not equal to itself.
    return {table: {}, **tomllib.loads(text, parse_float=str)}


def write(path: Path, data: bytes) -> None:
    try:
        target = path.resolve()  # a link stays one: many keep their settings elsewhere
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        replace(target, data, mode)
    except OSError as exc:
        raise unwritten(path, exc) from exc


def unwritten(path: Path, exc: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {exc.strerror or exc}.")
