"""One HTTP request that may come in, as all that answers here gets it; and the little that it needs of the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from ..async_client import AsyncHub
from ..callers import Caller
from .asgi import Receive, Scope, Send
from .watch.record import Record

if TYPE_CHECKING:
    from .arena.hall import Hall
    from .cache.answers import Answers
    from .call import Skin
    from .door.access import Access
    from .exchange import Exchange
    from .load import Bodies, Gate
    from .reload import Reloader
    from .settings import Settings
    from .spent import Spent
    from .watch.logs import Log
    from .watch.metrics import Metrics


class Visit(Struct, kw_only=True):
    """A request that has passed the door. What answers it may raise any ByteError before the first byte went out."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    """By lower-case name; of one that was sent twice the last."""
    receive: Receive
    send: Send
    began: float
    """By the loop's clock."""
    caller: Caller | None = None
    """Whose key was shown; None where this gateway has no keys."""
    form: str = ""
    """The path in whose form it is answered."""
    protocol: str = ""
    """What it is counted under."""
    name: str = ""
    """What the rest of the path names."""
    status: int = 200
    """With which it is answered."""
    is_told: bool = False
    """Whether it has told its own Record."""


class App(Protocol):
    """What answers a visit needs of the application."""

    hub: AsyncHub
    settings: Settings
    access: Access
    spent: Spent
    metrics: Metrics
    log: Log
    reloader: Reloader
    gate: Gate
    bodies: Bodies
    answers: Answers
    hall: Hall
    gauges: dict[str, Callable[[], float]]
    """What is told by /metrics beside its own: name → how much there is now."""
    is_closing: bool
    listed: tuple[tuple[object, object], dict[str, msgspec.Raw]] | None
    """What the list of models was made of, and the list."""
    seen: dict[str, tuple[Caller, dict[str, msgspec.Raw], dict[str, msgspec.Raw]]]
    """Name of a key → the key, the list, and what it may see of that."""
    running: set[Exchange]
    """Requests that are being answered."""
    idle: asyncio.Event
    """Set when the last one has ended while the gateway is being shut down."""

    def skin(self, path: str) -> Skin:
        """The protocol of a path such as `/messages`."""

    def tell(self, record: Record) -> None:
        """A request has ended."""
