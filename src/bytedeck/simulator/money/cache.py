"""The response cache: the same bytes with the same key get the same answer, for nothing.

It holds opaque values. Key order is part of the key; streamed and whole answers lie apart (the body says which).
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..shapes import Call

DEFAULT_TTL = 300
LONGEST_TTL = 86_400
_WHOLE = re.compile(r"\s*([+-]?[0-9]+)")


class Asked(Struct, frozen=True):
    """What a request says of the cache."""

    enabled: bool = False
    ttl: int = DEFAULT_TTL
    clear: bool = False


class Hit(Struct, frozen=True):
    """A stored answer: `value` as it was given, and whose it was."""

    value: Any
    source_id: str
    age: int
    """Whole seconds."""
    left: int

    @property
    def headers(self) -> dict[str, str]:
        """The response headers of a hit; the TTL is what is left of it."""
        return {
            "X-OpenRouter-Cache-Status": "HIT",
            "X-OpenRouter-Cache-Age": str(self.age),
            "X-OpenRouter-Cache-TTL": str(self.left),
            "X-OpenRouter-Cache-Source-Id": self.source_id,
        }


def asked(headers: Mapping[str, str], *, zdr: bool = False) -> Asked:
    """Read `x-openrouter-cache*` (names in lower case). Zero data retention of the account switches all off."""
    enabled = headers.get("x-openrouter-cache", "").strip().lower() == "true" and not zdr
    return Asked(
        enabled,
        ttl_of(headers.get("x-openrouter-cache-ttl", "")),
        enabled and headers.get("x-openrouter-cache-clear", "").strip().lower() == "true",
    )


def ttl_of(text: str) -> int:
    """Seconds, read as `parseInt` reads (`60abc` is 60, `1.5` is 1), clamped; the default if unreadable."""
    found = _WHOLE.match(text)
    if not found:
        return DEFAULT_TTL
    # Longer than any clamp needs: int() of a text of any length would be slow.
    return max(1, min(LONGEST_TTL, int(found[1][:20])))


def miss(wish: Asked) -> dict[str, str]:
    """The response headers of an answer that fills the cache."""
    return {"X-OpenRouter-Cache-Status": "MISS", "X-OpenRouter-Cache-TTL": str(wish.ttl)}


class ResponseCache:
    """Entries by API key and body, the oldest dropped beyond `most`."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._entries: OrderedDict[str, tuple[Any, str, float, int]] = OrderedDict()

    @staticmethod
    def name(token: str, call: Call) -> str:
        """The entry's key: API key, skin, stream or not, and the body's bytes as they came."""
        mode = "stream" if call.stream else "whole"
        return f"{token}\n{call.skin}\n{mode}\n{hashlib.sha256(call.raw).hexdigest()}"

    def find(self, name: str, wish: Asked, now: float) -> Hit | None:
        """The entry, if the request wants it and its time is not over; `clear` deletes it instead."""
        entry = self._entries.get(name) if wish.enabled else None
        if entry is None:
            return None
        value, source_id, stored, ttl = entry
        if wish.clear or not now < stored + ttl:
            del self._entries[name]
            return None
        age = max(0, int(now - stored))
        return Hit(value, source_id, age, ttl - age)

    def store(self, name: str, wish: Asked, value: Any, source_id: str, now: float) -> None:
        """Keep an answer; nothing if the request did not ask for it."""
        if not wish.enabled:
            return
        self._entries[name] = (value, source_id, now, wish.ttl)
        self._entries.move_to_end(name)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
