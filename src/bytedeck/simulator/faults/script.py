"""Faults over time: a list of entries, each with a fault, when it holds and which requests it hits.

    [[fault]]
    fault = "overloaded;retry_after=5"
    after = 10            # seconds on the clock since the script began
    for = 60              # how long; left out: for good
    every = 120           # again and again, with this period
    model = "anthropic/*" # a glob over the model that is asked
    key = "ordinary"      # a glob over the key's label
    skin = "chat"         # chat, completions, responses, messages, embeddings, rerank; data: all other pages
    times = 3             # how often
    rate = 0.5            # the share of the requests, by chance with the seed

A fault that does not fit a request's skin does not happen to it. As TOML, or as JSON: a list of such objects, or an object with the list as `fault`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from ..errors import SimulatorError
from ..shapes import Refusal
from . import table as faults
from .fault import ALL
from .table import DATA, Chosen

_SKINS = (*ALL, DATA)
_NUMBER = ((int, float), "a number")
_TEXT = ((str,), "text")
_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "fault": _TEXT,
    "after": _NUMBER,
    "for": _NUMBER,
    "every": _NUMBER,
    "model": _TEXT,
    "key": _TEXT,
    "skin": _TEXT,
    "times": ((int,), "a whole number"),
    "rate": _NUMBER,
}
"""Key → what its values are, for Python and in words."""
_OPTIONAL = frozenset({"for", "every", "times"})
_WORDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_FORM = "A script is a list of faults: [[fault]] in TOML, a list of objects in JSON."


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a script."""

    fault: str
    after: float = 0.0
    for_: float | None = msgspec.field(default=None, name="for")
    every: float | None = None
    model: str = "*"
    key: str = "*"
    skin: str = "*"
    times: int | None = None
    rate: float = 1.0


class Asked(Struct, frozen=True, kw_only=True):
    """What a script may look at."""

    now: float
    number: int
    """The request's, in the order in which they come: what chance is made of."""
    model: str
    key: str
    skin: str


class _Playing(Struct):
    """An entry, when it was put there, and how often it was met."""

    entry: Entry
    since: float
    met: int = 0


class Script:
    """Entries that hold or do not, as the clock says."""

    def __init__(self, seed: str, entries: Iterable[Entry] = (), since: float = 0.0) -> None:
        self.since = since
        self._seed = seed
        self._playing: list[_Playing] = []
        self.add(entries, since)

    def __bool__(self) -> bool:
        return bool(self._playing)

    def add(self, entries: Iterable[Entry], since: float) -> None:
        """More entries, whose time begins now."""
        self._playing += (_Playing(entry, since) for entry in entries)

    def choose(self, asked: Asked) -> list[Chosen]:
        """The faults of every entry that holds now for this request; counts them."""
        found: list[Chosen] = []
        for place, playing in enumerate(self._playing):
            if self._holds(place, playing, asked):
                playing.met += 1
                begun = playing.since + playing.entry.after
                chance = self._chance(place, asked)
                chance.random()  # the first one decided whether
                chosen = faults.parse(playing.entry.fault, begun)
                played = (faults.drawn(one, asked.skin, chance) for one in chosen)
                found += (one for one in played if faults.fits(one.fault, asked.skin))
        return found

    def _holds(self, place: int, playing: _Playing, asked: Asked) -> bool:
        entry = playing.entry
        age = asked.now - playing.since - entry.after
        if age < 0 or (entry.times is not None and playing.met >= entry.times):
            return False
        if entry.every:
            age %= entry.every
        if entry.for_ is not None and age >= entry.for_:
            return False
        fits = (
            fnmatchcase(asked.model, entry.model)
            and fnmatchcase(asked.key, entry.key)
            and fnmatchcase(asked.skin, entry.skin)
        )
        return fits and (entry.rate >= 1 or self._chance(place, asked).random() < entry.rate)

    def _chance(self, place: int, asked: Asked) -> Random:
        return Random(f"{self._seed}:script:{place}:{asked.number}")  # noqa: S311 - it must be the same each time

    def listed(self) -> list[dict[str, Any]]:
        """The entries as JSON shows them, with when each began and how often it was met."""
        return [
            msgspec.to_builtins(playing.entry) | {"since": playing.since, "met": playing.met}
            for playing in self._playing
        ]


def entries(data: Any, where: str = faults.PAGE) -> tuple[Entry, ...]:
    """A script's entries from decoded TOML or JSON. Raises SimulatorError with one sentence.

    `where` all faults are told, for who wrote one that is none.
    """
    if isinstance(data, dict):
        if data.keys() - {"fault"}:
            raise SimulatorError(_FORM)
        data = data.get("fault", [])
    if not isinstance(data, list | tuple):
        raise SimulatorError(f"{_FORM} This one is {_named(data)}.")
    return tuple(_entry(f"Entry {place} of the script", told, where) for place, told in enumerate(data, 1))


def _named(value: Any) -> str:
    return _WORDS.get(type(value), "something else")  # TOML has dates


def _entry(name: str, told: Any, where: str) -> Entry:
    _check_form(name, told)
    try:
        entry = msgspec.convert(told, Entry)
    except (msgspec.ValidationError, OverflowError) as exc:  # numbers that no float can hold
        raise SimulatorError(f"{name} is malformed: {exc}.") from exc
    _check(name, entry, where)
    return entry


def _check_form(name: str, told: Any) -> None:
    """Known keys with values of their kind, said in words."""
    if not isinstance(told, dict):
        raise SimulatorError(f"{name} is {_named(told)}, and has to be an object with the key fault.")
    if unknown := [str(key) for key in told if key not in _FIELDS]:
        raise SimulatorError(f"{name} has no use for {', '.join(unknown)}: it takes {', '.join(_FIELDS)}.")
    if "fault" not in told:
        raise SimulatorError(f"{name} names no fault: it needs the key fault.")
    for key, value in told.items():
        kinds, words = _FIELDS[key]
        if value is None and key in _OPTIONAL:
            continue
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SimulatorError(f"{name}: {key} is {value!r}, {_named(value)}, and has to be {words}.")


def _check(name: str, entry: Entry, where: str) -> None:
    try:
        chosen = faults.parse(entry.fault, where=where)
    except Refusal as exc:
        raise SimulatorError(f"{name}: {exc.message}") from exc
    if not chosen:
        raise SimulatorError(f"{name} names no fault.")
    numbers = {"after": entry.after, "for": entry.for_, "every": entry.every, "times": entry.times}
    for key, value in numbers.items():
        if value is not None and not value >= 0:
            raise SimulatorError(f"{name}: {key} is {value}, and has to be from 0.")
    if not 0 <= entry.rate <= 1:
        raise SimulatorError(f"{name}: rate is {entry.rate}, and has to be from 0 to 1.")
    if entry.every is not None and entry.for_ is not None and entry.every < entry.for_:
        raise SimulatorError(
            f"{name}: every is {entry.every:g} and shorter than for, {entry.for_:g}: it would never be over."
        )
    if not any(fnmatchcase(skin, entry.skin) for skin in _SKINS):
        raise SimulatorError(f"{name}: no skin is {entry.skin!r}. They are {', '.join(_SKINS)}.")


def load(path: str) -> tuple[Entry, ...]:
    """A script's file, TOML unless it is named .json. Raises SimulatorError, which begins with the file's name."""
    try:
        found = entries(_decoded(path), faults.COMMAND)
        if not found:
            raise SimulatorError("The script has no entries: it needs at least one [[fault]].")
    except SimulatorError as exc:
        raise SimulatorError(f"{path}: {exc}") from exc.__cause__
    return found


def _decoded(path: str) -> Any:
    """A file's data. Raises SimulatorError."""
    file = Path(path)
    if file.is_dir():
        raise SimulatorError("This is a directory, and a script is a file.")
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as exc:
        raise SimulatorError("There is no such script.") from exc
    except UnicodeDecodeError as exc:
        raise SimulatorError("The script cannot be read: it is no text in UTF-8.") from exc
    except (OSError, ValueError) as exc:
        raise SimulatorError(f"The script cannot be read: {getattr(exc, 'strerror', exc)}.") from exc
    if not text.strip():
        raise SimulatorError("The script is empty: it needs at least one [[fault]].")
    kind = "JSON" if path.endswith(".json") else "TOML"
    try:
        return msgspec.json.decode(text) if kind == "JSON" else tomllib.loads(text)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, RecursionError) as exc:
        raise SimulatorError(f"The script is no {kind}: {exc}.") from exc
