"""What an event or a body says beside its answer: ids, names, the bill, and what we do not know.

Read in one go where every member is of the type that it should be, else member by member: both give the same.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from .shapes import UNREADABLE, read_bill, read_object, text_of
from .usage import BLANK, Bill, bill_of


class Head(Struct, gc=False):
    """None: not said. "": said, but it is no text."""

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Bill | None = None

    def add(self, later: Head) -> None:
        """What a later event said: each name as it was said last, the first id."""
        self.id = self.id or later.id
        if later.model is not None:
            self.model = later.model
        if later.provider is not None:
            self.provider = later.provider
        if later.system_fingerprint is not None:
            self.system_fingerprint = later.system_fingerprint
        if later.service_tier is not None:
            self.service_tier = later.service_tier


class FullHead(Head, gc=False):
    """A head of an event that says more."""

    rest: dict[str, Any] = {}
    """The other members, by their names: `openrouter_metadata`, and those that we do not know."""


_PASSED_OVER = Raw()


class _Usual(Head, forbid_unknown_fields=True, gc=False):
    """An event with nothing else in it; what is raw is passed over."""

    object: Raw = _PASSED_OVER
    created: Raw = _PASSED_OVER
    choices: Raw = _PASSED_OVER
    error: Raw = _PASSED_OVER
    user_id: Raw = _PASSED_OVER
    openrouter_metadata: None = None


_NAMES = ("id", "model", "provider", "system_fingerprint", "service_tier")
_KNOWN = frozenset(_Usual.__struct_fields__) - {"openrouter_metadata"}

_read_usual = msgspec.json.Decoder(_Usual, float_hook=str).decode


def read_head(data: bytes) -> Head | None:
    """The data of an event that `read_chunk` reads → its head."""
    try:
        head = _read_usual(data.decode())  # what is passed over is no JSON, either, where it is no text
    except UNREADABLE:
        return full_head(read_object(data), data)
    return full_head(read_object(data), data) if head.usage == BLANK else head


def full_head(found: dict[str, Any] | None, data: bytes) -> FullHead | None:
    """The head of what was found in `data`, whatever the types of its members."""
    if found is None:
        return None
    names = {name: text_of(found[name]) for name in _NAMES if found.get(name) is not None}
    rest = {name: value for name, value in found.items() if value is not None and name not in _KNOWN}
    return FullHead(**names, usage=bill_of(read_bill(data)) if found.get("usage") else None, rest=rest)
