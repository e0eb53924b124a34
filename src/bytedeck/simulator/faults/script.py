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
from .fault import Fault
from .table import Chosen

_DATA = "data"
"""The skin of pages that are no inference: to a script alone it is one."""
RANDOM = "random"
"""As a fault's name: any of them, by chance."""


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
                chosen = faults.parse(self._named(place, playing.entry, asked), begun)
                found += (one for one in chosen if _fits(one.fault, asked.skin))
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

    def _named(self, place: int, entry: Entry, asked: Asked) -> str:
        if entry.fault != RANDOM:
            return entry.fault
        chance = self._chance(place, asked)
        chance.random()  # the first one decided whether
        fit = [name for name, row in faults.table().items() if _fits(row, asked.skin)]
        return chance.choice(fit)

    def listed(self) -> list[dict[str, Any]]:
        """The entries as JSON shows them, with when each began and how often it was met."""
        return [
            msgspec.to_builtins(playing.entry) | {"since": playing.since, "met": playing.met}
            for playing in self._playing
        ]


def _fits(fault: Fault, skin: str) -> bool:
    return skin == _DATA or skin in fault.skins


def entries(data: Any) -> tuple[Entry, ...]:
    """A script's entries from decoded TOML or JSON. Raises SimulatorError with one sentence."""
    if isinstance(data, dict):
        if data.keys() - {"fault"}:
            raise SimulatorError(
                "A script is a list of faults: [[fault]] in TOML, a list of objects in JSON."
            )
        data = data.get("fault", [])
    try:
        found = msgspec.convert(data, tuple[Entry, ...])
    except msgspec.ValidationError as exc:
        raise SimulatorError(f"The script is malformed: {exc}.") from exc
    for place, entry in enumerate(found):
        _check(place, entry)
    return found


def _check(place: int, entry: Entry) -> None:
    try:
        named = entry.fault == RANDOM or faults.parse(entry.fault)
    except Refusal as exc:
        raise SimulatorError(f"Entry {place + 1} of the script: {exc.message}") from exc
    if not named:
        raise SimulatorError(f"Entry {place + 1} of the script names no fault.")
    numbers = {"after": entry.after, "for": entry.for_, "every": entry.every, "times": entry.times}
    for name, value in numbers.items():
        if value is not None and not value >= 0:
            raise SimulatorError(f"Entry {place + 1} of the script: {name} is {value}, and has to be from 0.")
    if not 0 <= entry.rate <= 1:
        raise SimulatorError(
            f"Entry {place + 1} of the script: rate is {entry.rate}, and has to be from 0 to 1."
        )


def load(path: str) -> tuple[Entry, ...]:
    """A script's file, TOML unless it is named .json. Raises SimulatorError."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SimulatorError(f"The script {path} cannot be read: {exc}.") from exc
    try:
        data = msgspec.json.decode(text) if path.endswith(".json") else tomllib.loads(text)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError) as exc:
        kind = "JSON" if path.endswith(".json") else "TOML"
        raise SimulatorError(f"The script {path} is no {kind}: {exc}.") from exc
    return entries(data)
