"""How the gateway behaves: what `byte serve` was told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

Form = Literal["json", "text", "off"]
"""Of the log."""


class Settings(Struct, frozen=True, kw_only=True):
    """How the gateway behaves."""

    max_body: int = 32 << 20
    """Bytes of a request's body; more is refused with 413."""
    heartbeat: float = 10.0
    """Seconds of silence in a stream after which a sign of life is written."""
    grace: float = 30.0
    """Seconds that running requests have when the gateway is shut down."""
    max_requests: int = 2000
    """Requests that are answered at once."""
    max_waiting: int = 1000
    """Requests that wait for their turn beyond that; more are refused with 503."""
    max_connections: int = 10_000
    """Open connections; more are refused with 503."""
    max_bodies: int = 256 << 20
    """Bytes of all running requests' bodies together; what goes beyond is refused with 503."""
    stall: float = 300.0
    """Seconds for which a client may read nothing of what was written; then its connection is closed."""
    hosts: tuple[str, ...] = ()
    """Names by which it may be called besides this machine's own, while there are no keys."""
    is_exposed: bool = False
    """Whether others than this machine can reach it, or there were keys when it was started. A key is needed then, also
    where none exists (any more)."""
    log: Form = "off"
    """How each request is told on stderr."""
    numbers: Path | None = None
    """A folder in which several processes that serve one address tell each other their numbers; None: it is alone."""
    worker: int = 0
    """Which of them this one is."""
