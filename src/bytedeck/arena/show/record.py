"""A match as JSON, whole: what it is, all that happened, the votes and the bill; and read back.

The document: `format` (`bytedeck.match/1`), `match`, `events` (in order, each told apart by its `type`), `votes`, `bill`
(null, or `parts`, `total_usd`, `known_usd`, `at_most_usd`). Names are those of the nouns, but for money: what is `cost_units` there is `cost_usd`
here, decimal text, exact. Times are microseconds since 1970.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from ...errors import InvalidRequest
from ...money import to_text, to_units
from ..bill import Bill
from ..events import Event
from ..types import Match, Vote

FORMAT = "bytedeck.match/1"
# A half of a surrogate pair cannot be written as UTF-8, but JSON can name it.
_LONE = re.compile("[\ud800-\udfff]")


class Record(Struct, frozen=True, kw_only=True):
    """Everything about one match."""

    match: Match
    events: tuple[Event, ...]
    votes: tuple[Vote, ...] = ()
    bill: Bill | None = None


def as_json(
    match: Match, events: Iterable[Event], *, bill: Bill | None = None, votes: Iterable[Vote] = ()
) -> bytes:
    """The document, UTF-8, indented by one. `read` gives back the same record."""
    record = Record(match=match, events=tuple(events), votes=tuple(votes), bill=bill)
    document = {"format": FORMAT, **plain(record)}
    if document["bill"] is not None:
        document["bill"] = _billed(document["bill"], to_text)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return (_LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n").encode()


def read(document: bytes | str) -> Record:
    """The record of a document made by `as_json`. Raises InvalidRequest for what is none."""
    try:
        found = json.loads(document)
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise ValueError("it does not say that it is one")
        if isinstance(found.get("bill"), dict) and isinstance(found["bill"].get("parts"), dict):
            found["bill"] = _billed(found["bill"], to_units)
        return msgspec.convert(_renamed(found, "_usd", "_units", to_units), Record)
    except (ValueError, TypeError, RecursionError) as exc:  # msgspec's and json's errors are ValueErrors
        raise InvalidRequest(
            f"This is no match that Bytedeck has written: {exc}.",
            hint=("`byte arena export ID --format json` writes one.",),
        ) from exc


def plain(noun: Any) -> Any:
    """A noun of the arena as the document has it: dicts, lists, numbers and text."""
    return _renamed(msgspec.to_builtins(noun), "_units", "_usd", to_text)


def _renamed(value: Any, old: str, new: str, amount: Callable[[Any], Any]) -> Any:
    """The same tree with every amount of money under its other name and in its other form."""
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            if key.endswith(old):
                found[key.removesuffix(old) + new] = None if inner is None else amount(inner)
            else:
                found[key] = _renamed(inner, old, new, amount)
        return found
    if isinstance(value, list | tuple):
        return [_renamed(one, old, new, amount) for one in value]
    return value


def _billed(bill: dict[str, Any], amount: Callable[[Any], Any]) -> dict[str, Any]:
    parts = {part: None if units is None else amount(units) for part, units in bill["parts"].items()}
    return {**bill, "parts": parts}
