"""What came in and what became of it: one entry a request, kept in a ring.

Keys are shown by their last four signs only, wherever they stand. What it keeps is bounded: so many requests, of
each so much of its head and body, of all bodies together so many bytes; the oldest lose theirs first.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, field

_SECRET = re.compile(r"(sk-[A-Za-z0-9_-]{8,}|(?<=Bearer )\S{8,})")
_SECRET_HEADERS = frozenset(
    {"authorization", "x-api-key", "cookie", "x-openrouter-api-keys", "proxy-authorization"}
)
_BODY_SHOWN = 64 * 1024
"""More of a body is not kept: ten thousand requests of 32 MB would be 320 GB."""
_HEADER_SHOWN = 4096
"""Signs of a header or a query."""
_BODIES_KEPT = 128 * 1024 * 1024
"""Signs of all bodies together."""

ENDS = ("open", "whole", "client left", "reset", "cut", "crashed")
"""How a request's connection can have ended. `whole`: everything was sent that was to be sent."""


class Entry(Struct, kw_only=True):
    """One request. Moments are seconds since 1970 on the simulator's clock; None: it has not come to that."""

    number: int
    method: str
    path: str
    arrived: float
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    body_bytes: int = 0
    skin: str = ""
    models: tuple[str, ...] = ()
    """As asked for."""
    model: str = ""
    """Which one answered."""
    key: str = ""
    """The key's label, or its last four signs where nobody knows it."""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the author of a test may want to know: directives that came to nothing, borrowed words that did not come."""
    status: int | None = None
    generation: str = ""
    first_byte: float | None = None
    ended: float | None = None
    end: str = "open"
    sent_bytes: int = 0
    """Of the body, before chunks are put around them."""
    sent_tokens: int = 0

    def note(self, *told: str) -> None:
        """Add notes; keys in them are masked as everywhere."""
        self.notes += tuple(masked(one) for one in told)


class Journal:
    """The last so many requests, in the order in which they came."""

    def __init__(self, keep: int = 10_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._bodied: deque[Entry] = deque()
        self._signs = 0
        self._count = 0

    def open(
        self,
        method: str,
        path: str,
        arrived: float,
        query: str,
        headers: Iterable[tuple[str, str]],
        *,
        keep: bool = True,
    ) -> Entry:
        """Note a request whose head has come. What only steers the simulator is numbered 0 and not kept."""
        shown = {name: masked_header(name, value)[:_HEADER_SHOWN] for name, value in headers}
        self._count += keep
        entry = Entry(
            number=self._count if keep else 0,
            method=method,
            path=path,
            arrived=arrived,
            query=masked(query)[:_HEADER_SHOWN],
            headers=shown,
        )
        if keep:
            self._entries.append(entry)
        return entry

    def note_body(self, entry: Entry, raw: bytes) -> None:
        """Keep a request's body, as text with its keys masked."""
        entry.body_bytes = len(raw)
        entry.body = masked(raw[:_BODY_SHOWN].decode("utf-8", "replace"))
        if not entry.number or not entry.body:
            return
        self._bodied.append(entry)
        self._signs += len(entry.body)
        while self._signs > _BODIES_KEPT or len(self._bodied) > (self._entries.maxlen or 0):
            oldest = self._bodied.popleft()
            self._signs -= len(oldest.body)
            oldest.body = ""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def count(self) -> int:
        """How many there ever were, those that fell out of the ring too."""
        return self._count

    def find(
        self, *, since: int = 0, model: str = "*", path: str = "*", limit: int | None = None
    ) -> list[Entry]:
        """Entries numbered above `since`, oldest first; `model` and `path` are globs, `limit` keeps the newest."""
        found = [
            entry
            for entry in self._entries
            if entry.number > since
            and fnmatchcase(entry.path, path)
            and (model == "*" or any(fnmatchcase(name, model) for name in (*entry.models, entry.model)))
        ]
        return found if limit is None else found[max(0, len(found) - limit) :]


def masked(text: str) -> str:
    """The text with every key in it as its last four signs."""
    return _SECRET.sub(lambda found: f"…{found[0][-4:]}", text)


def masked_header(name: str, value: str) -> str:
    """A header's value as it may be shown."""
    if name in _SECRET_HEADERS:
        scheme, _, rest = value.rpartition(" ")
        return f"{scheme} …{rest[-4:] if len(rest) > 16 else ''}".strip()
    return masked(value)


def shown(entry: Entry) -> dict[str, Any]:
    """An entry as JSON shows it."""
    return {name: getattr(entry, name) for name in entry.__struct_fields__}
