"""A user's TOML file: read, converted, and its mistakes told with file, line, path and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import ConfigError
from .names import nearest, without_keys

if TYPE_CHECKING:
    from .lines import Lines

_T = TypeVar("_T")

_WORDS = {
    "array": "a list",
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*?)`")
_PLACE = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
LONGEST_LABEL = 12
"""Signs that are shown of what stands as a key's label; what is longer may be the key itself."""
_TOML_LINE = re.compile(r" ?\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class Document:
    """One TOML file. `data` is what it says; every complaint about it goes through `wrong`, and shows no API key."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.data: dict[str, Any] = self._parse()

    def _parse(self) -> dict[str, Any]:
        import tomllib

        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as exc:
            said = str(exc)
            place = _TOML_LINE.search(said)
            line = int(place["line"]) if place and place["line"] else self.text.count("\n") + 1
            reason = without_keys(said[: place.start()] if place else said)
            raise ConfigError(f"{self.path}, line {line}: not valid TOML: {reason}.") from exc
        except RecursionError:
            raise ConfigError(f"{self.path}: not valid TOML: nested too deeply.") from None

    def convert(self, value: object, kind: type[_T], *above: str) -> _T:
        """A table of the file as `kind`. `above` is the table's own path.

        Raises ConfigError for an unknown key, a wrong type and a value out of range.
        """
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as exc:
            steps, said = _split(str(exc))
            path = (*above, *steps)
            unknown = _UNKNOWN.search(said)
            if unknown:
                table = _struct_at(kind, steps)
                raise self.unknown((*path, unknown["field"]), _fields(table)) from exc
            raise self.wrong(path, _friendly(said)) from exc

    def unknown(self, path: Sequence[str], known: Iterable[str]) -> ConfigError:
        """The error for a key that means nothing here, with the nearest ones that do."""
        known = tuple(known)
        near = nearest(path[-1], known)
        return ConfigError(
            f"{self.place(path)}: unknown setting `{dotted(path)}`"
            + (f"; did you mean `{dotted((*path[:-1], near[0]))}`?" if near else "."),
            hint=(f"Known here: {', '.join(sorted(known))}.",) if known else (),
        )

    def wrong(self, path: Sequence[str], expected: str) -> ConfigError:
        """The error for a value that cannot be: `expected` goes on the sentence after the path."""
        end = "" if expected.endswith("?") else "."
        return ConfigError(f"{self.place(path)}: `{dotted(path)}`: {without_keys(expected)}{end}")

    def place(self, path: Sequence[str]) -> str:
        """`/home/ada/.local/share/bytedeck/config.toml, line 12`."""
        line = self._lines.of(tuple(path))
        return f"{self.path}, line {line}" if line else str(self.path)

    @cached_property
    def _lines(self) -> Lines:
        from .lines import Lines  # few files need it, and its patterns take time to compile

        return Lines(self.text)


def read(path: Path, *, required: bool) -> Document:
    """The file as a Document; an empty one where it may be missing and is.

    Raises ConfigError for a missing required file, one that cannot be read, and one that is not UTF-8 TOML.
    """
    return parsed(path, content(path, required=required))


def content(path: Path, *, required: bool) -> bytes:
    """The file as it is; nothing where it may be missing and is. Raises ConfigError as `read` does."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not required:
            return b""
        raise ConfigError(f"There is no file {path}.", hint=("BYTE_CONFIG names it.",)) from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def parsed(path: Path, raw: bytes) -> Document:
    """A file's content as a Document. Raises ConfigError for what is not UTF-8 TOML."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}, line {line}: not valid UTF-8.") from exc
    return Document(path, text.replace("\r\n", "\n"))


def _split(message: str) -> tuple[tuple[str, ...], str]:
    """msgspec's message → the steps below the value, and what it says without them."""
    place = _PLACE.search(message)
    if not place:
        return (), message
    steps = tuple(key or f"[{index}]" for key, index in _STEP.findall(place["path"]))
    return steps, message[: place.start()]


def _struct_at(kind: Any, steps: Sequence[str]) -> Any:
    """The struct that is reached from `kind` by these field names."""
    for step in steps:
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == step)
        kind = next(
            one for one in (kind, *getattr(kind, "__args__", ())) if hasattr(one, "__struct_fields__")
        )
    return kind


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(getattr(kind, "__struct_encode_fields__", ()))


def _friendly(said: str) -> str:
    """``Expected `int`, got `str` `` → `expected a whole number, got a text in quotes`."""
    said = said.replace("of length >= 1", "that is not empty")
    return re.sub(r"`(\w+)`", lambda word: _WORDS.get(word[1], word[1]), said[:1].lower() + said[1:])


def dotted(path: Sequence[str]) -> str:
    """A path as TOML writes it, with quotes where a key needs them. Of an API key it shows no more than the end."""
    text = ""
    for step in _shown(path):
        if step.startswith("["):
            text += step
        else:
            text += ("." if text else "") + (step if re.fullmatch(r"[\w-]+", step, re.ASCII) else f'"{step}"')
    return text


def _shown(path: Sequence[str]) -> Iterable[str]:
    """The steps without API keys. One may stand where its label should, whatever it looks like."""
    for place, step in enumerate(path):
        is_long = path[0] == "keys" and place == 1 and len(step) > LONGEST_LABEL
        yield f"…{step[-4:]}" if is_long else without_keys(step)


def plain(value: object) -> bool:
    """Whether a value of a TOML file can go into a JSON body as it is: no dates, no infinities."""
    if isinstance(value, Mapping):
        return all(plain(one) for one in value.values())
    if isinstance(value, list):
        return all(plain(one) for one in value)
    if isinstance(value, float):
        return value - value == 0
    return isinstance(value, bool | int | str)
