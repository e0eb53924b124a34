"""Bad days on a switch: what a fault is, how it is written, and the table of all of them.

Written as `name` or `name;key=value;…`, several with commas: all of them at once. So in the header X-Sim-Fault, in a
script and in settings, and after `sim/` in a model's place; `:` does as well as `;`. Names are of this table, or
`random`; the reference's own ids (F1, T2, …) do as well. Two keys fit every fault: `times`, how often it happens before
it is over, and `skip`, how often it does not before it begins; both count for each way of writing it. A fault that
cannot happen to a request's skin is a 400 where the request asks for it, and passes over it where a script does.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from random import Random
from typing import Any

from msgspec import Struct

from ..refusals import named as refusals
from ..shapes import Refusal, Skin
from . import answers, before, connection, events, usage
from .fault import ALL, Fault

HEADER = "x-sim-fault"
PREFIX = "sim/"
ALWAYS: dict[str, Any] = {"times": 0, "skip": 0}
"""What every fault takes; `times` 0: for ever."""
DATA = "data"
"""The skin of pages that are no inference: to a script alone it is one."""
RANDOM = "random"
"""As a fault's name: any of them, by chance."""
PAGE = "GET /sim/faults"
COMMAND = "byte simulate --list-faults"
"""Where all faults are told: while a server runs, and without one."""

_ANY = Fault(name=RANDOM, summary="Any of the others that fits the request, by chance.", rows="", skins=ALL)
_FIRST_KEY = re.compile(r"[;:]")
_KEY = re.compile(r"[;:](?=\s*\w+\s*=)")
"""A text's value may hold both signs, as in `type=a:b`: a key begins where an equals sign follows."""
_NAME = re.compile(r"[\w-]+")
_GRAMMAR = "A fault is written as name;key=value;key=value, and a comma begins the next fault."


class Chosen(Struct, frozen=True):
    """A fault with the values of its keys."""

    fault: Fault
    params: dict[str, Any]
    text: str
    """As it was written; of a random one, what was drawn."""
    since: float = 0.0
    """When it began, on the simulator's clock."""
    counted: str = ""
    """What `times` and `skip` count by, where that is not `text`: a random fault's own words."""


def table() -> dict[str, Fault]:
    """Name → fault, in the order in which they are told."""
    return _TABLE


def aliases() -> dict[str, str]:
    """The reference's ids, lower case → names."""
    return _ALIASES


def parse(text: str, since: float = 0.0, where: str = PAGE) -> tuple[Chosen, ...]:
    """Faults separated by commas, each with its keys. Raises Refusal (400), which says `where` all of them are told."""
    return tuple(_one(part.strip(), since, where) for part in text.split(",") if part.strip())


def from_slug(slug: str, since: float = 0.0) -> tuple[Chosen, ...]:
    """What `sim/name:key=value,name` means; nothing for the plain model `sim/fine` and for all other models."""
    if not slug.startswith(PREFIX) or slug == FINE:
        return ()
    return parse(slug.removeprefix(PREFIX), since) or (_one("", since, PAGE),)


def drawn(chosen: Chosen, skin: str, chance: Random) -> Chosen:
    """The fault itself; in `random`'s place one that fits the skin, with its usual values."""
    if chosen.fault is not _ANY:
        return chosen
    fault = chance.choice([row for row in _TABLE.values() if fits(row, skin)])
    kept = {key: chosen.params[key] for key in ALWAYS}
    return Chosen(fault, fault.params | kept, fault.name, chosen.since, chosen.text)


def fits(fault: Fault, skin: str) -> bool:
    """Whether it can happen to this skin's requests; to pages of data all can, as far as they touch them."""
    return skin == DATA or skin in fault.skins


def fitting(chosen: Chosen, skin: Skin) -> Chosen:
    """The fault as it happens to this skin's requests. Raises Refusal (400) where it cannot.

    What breaks a token limit is no error of the Responses API: after it the answer is `incomplete` (wire reference, 6.5).
    """
    if skin not in chosen.fault.skins:
        raise _refused(f"The fault {chosen.fault.name} fits {', '.join(chosen.fault.skins)}; not {skin}.")
    row = refusals.ROWS.get(str(chosen.params.get("name", "")))
    if skin == "responses" and row is not None and row.error_type in refusals.LENGTHS:
        length = _TABLE["length"]
        kept = {key: value for key, value in chosen.params.items() if key in length.params | ALWAYS}
        return Chosen(length, {"tokens": 0} | kept, chosen.text, chosen.since, chosen.counted)
    return chosen


PROVIDERS = ("Simulated", "Simulated Two", "Simulated Three")
"""Who serves the simulator's own models: as many as a fail-over needs."""
FINE = "sim/fine"
"""A model of the simulator's own to which nothing bad happens."""


def bare_slug(slug: str) -> str:
    """The slug under which the catalogue knows it: without keys, an alias as its name.

    Of several faults the first one's model, unless another needs one that thinks.
    """
    if not slug.startswith(PREFIX):
        return slug
    parts = slug.removeprefix(PREFIX).split(",")
    names = [_known(_FIRST_KEY.split(part, maxsplit=1)[0].strip()) for part in parts]
    thinking = (name for name in names if name in _TABLE and _TABLE[name].needs_reasoning)
    return PREFIX + next(thinking, names[0])


def find(name: str, where: str = PAGE) -> Fault:
    """The fault of this name or id. Raises Refusal (400) that names the nearest, and `where` all of them are told."""
    known = _known(name)
    if known == RANDOM:
        return _ANY
    if known in _TABLE:
        return _TABLE[known]
    if not _NAME.fullmatch(name) or known in _KEYS:
        raise _refused(f"{name!r} is no fault's name. {_GRAMMAR} All names: {where}")
    near = get_close_matches(known, [*_TABLE, *_ALIASES, RANDOM], 1, 0.7)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise _refused(f"The simulator knows no fault {name!r}.{hint} All of them: {where}")


def _known(name: str) -> str:
    low = name.lower()
    return _ALIASES.get(low, low.replace("-", "_"))


def _one(text: str, since: float, where: str) -> Chosen:
    name, *rest = (part.strip() for part in _FIRST_KEY.split(text.rstrip(";: "), maxsplit=1))
    pairs = [pair.strip() for told in rest for pair in _KEY.split(told)]
    fault = find(name.removeprefix(PREFIX), where)
    known = fault.params | ALWAYS
    params = dict(known)
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key not in known or not equals:
            told = ", ".join(known)
            raise _refused(f"The fault {fault.name} takes {told}; {pair!r} is none of them as key=value.")
        params[key] = _value(fault, key, value, known[key])
    return Chosen(fault, params, text, since)


def _value(fault: Fault, key: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        wanted = fault.texts.get(key)
        if wanted is not None and not re.fullmatch(wanted[0], text):
            raise _refused(f"The fault {fault.name} needs {wanted[1]} for {key}, not {text!r}.")
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    whole = isinstance(default, int)
    if not math.isfinite(number) or number < 0 or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        hint = f" {_GRAMMAR}" if _FIRST_KEY.search(text) else ""
        raise _refused(f"The fault {fault.name} needs {kind} from 0 for {key}, not {text!r}.{hint}")
    return int(number) if whole else number


def _refused(message: str) -> Refusal:
    return Refusal(400, message, "invalid_request")


class Tally:
    """How often each fault was met, for `times` and `skip`."""

    def __init__(self) -> None:
        self._met: dict[str, int] = {}

    def counts(self, chosen: Chosen) -> bool:
        """Whether the fault happens this time; counts it."""
        times, skip = chosen.params["times"], chosen.params["skip"]
        if not times and not skip:
            return True
        name = chosen.counted or chosen.text
        met = self._met[name] = self._met.get(name, 0) + 1
        return met > skip and (not times or met <= skip + times)


def listed() -> list[dict[str, Any]]:
    """The table as `GET /sim/faults` shows it."""
    return [
        {
            "name": row.name,
            "summary": row.summary,
            "rows": row.rows,
            "params": row.params,
            "skins": list(row.skins),
            "model": PREFIX + row.name,
            "stages": [stage for stage in _STAGES if getattr(row, stage) is not None],
        }
        for row in _TABLE.values()
    ]


_STAGES = ("refuse", "failures", "answer", "bill", "events", "body", "steps")


def _gathered() -> dict[str, Fault]:
    rows = [*before.ROWS, *events.ROWS, *usage.ROWS, *connection.ROWS, *answers.ROWS]
    found = {row.name: row for row in rows}
    if len(found) != len(rows):
        raise RuntimeError("two faults have one name")
    return found


_ALIASES = {
    "f1": "error_chunk",
    "f2": "error_bare",
    "f3": "error_no_choices",
    "f4": "error_finish",
    "f5": "error_body",
    "f6": "error_message",
    "t1": "truncated",
    "t2": "silence",
}
_TABLE = _gathered()
_KEYS = frozenset(ALWAYS).union(*(row.params for row in _TABLE.values())) - _TABLE.keys()
"""What is no fault's name, but a key's behind a wrong sign."""
