"""OpenRouter as a place: its endpoint, and its catalogue with a copy on disk."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from ..config import Config
from ..route import catalog
from ..route.catalog import Catalog
from ..types import Request
from .wire import AsyncWire, Endpoint, Late, Wire, WireError

MODELS = ("/models/user", "/models")
"""The account's own list first; a server that has none of that answers the second."""

FRESH_FOR = 6 * 3600.0
RETRY_AFTER = 300.0
TIMEOUT = 20.0
MAX_SIZE = 32 << 20


def endpoint(config: Config) -> Endpoint:
    """Where requests go, with the key and the names of the app (wire reference 2.2)."""
    headers = []
    if config.api_key is not None:
        headers.append(("authorization", f"Bearer {config.api_key.reveal()}"))
    if config.app_url:
        headers.append(("http-referer", config.app_url))
    if config.app_title:
        headers += [("x-openrouter-title", config.app_title), ("x-title", config.app_title)]
    return Endpoint(config.base_url, tuple(headers))


class Models:
    """The catalogue: in memory, else from the copy on disk, fetched anew when it is old.

    Nobody waits for it: without it prices are unknown until it is there.
    """

    def __init__(self, config: Config) -> None:
        # A copy belongs to its server: prices of one must never be taken for another's.
        name = sha256(config.base_url.encode()).hexdigest()[:12]
        self.path: Path = config.home / "cache" / f"models-{name}.json"
        self._catalog: Catalog | None = None
        self._known = False
        self._fetched = 0.0
        self._tried = 0.0

    def current(self) -> Catalog | None:
        """What is known now, without asking anybody. A damaged copy counts as none."""
        if not self._known:
            self._known = True
            with contextlib.suppress(OSError, ValueError):
                self._catalog = catalog.parse(self.path.read_bytes())
                self._fetched = self.path.stat().st_mtime
        return self._catalog

    def settled(self, names: Sequence[str]) -> bool:
        """Whether what is known will do for a request of these models: neither `due` nor `unsure` would say yes."""
        known, asked = self._catalog, self._fetched if self._fetched > self._tried else self._tried
        if known is None:
            return False
        now = time.time()
        if now - asked < RETRY_AFTER:
            return True
        return now - self._fetched < FRESH_FOR and not _lacks(known, names)

    def due(self) -> bool:
        """Whether to fetch now; says yes once, then not again for a while."""
        self.current()
        now = time.time()
        if now - self._fetched < FRESH_FOR or now - self._tried < RETRY_AFTER:
            return False
        self._tried = now
        return True

    def unsure(self, names: Iterable[str]) -> bool:
        """Whether a name is not in a copy that may be out of date: worth asking again before refusing it."""
        known = self.current()
        if known is None or time.time() - max(self._fetched, self._tried) < RETRY_AFTER:
            return False
        if not _lacks(known, names):
            return False
        self._tried = time.time()
        return True

    def take(self, body: bytes) -> Catalog:
        """A body as it was fetched becomes what is known, and the copy on disk. Raises ValueError."""
        parsed = catalog.parse(body)
        if not parsed.models:
            raise ValueError("a list without models tells nothing")
        self._catalog, self._known, self._fetched = parsed, True, time.time()
        with contextlib.suppress(OSError):  # a home that cannot be written: it is known in memory
            self._write(body)
        return parsed

    def _write(self, body: bytes) -> None:
        import tempfile

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise

    def fetch(self, wire: Wire) -> Catalog | None:
        """Ask for it, blocking. None where it cannot be had; raises nothing."""
        with contextlib.suppress(Late, WireError, ValueError):
            for path in MODELS:
                status, body = get(wire, path, TIMEOUT)
                if status == 200:
                    return self.take(body)
        return None

    async def afetch(self, wire: AsyncWire) -> Catalog | None:
        """As `fetch`, async."""
        import asyncio

        with contextlib.suppress(Late, WireError, ValueError, TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                for path in MODELS:
                    status, body = await aget(wire, path)
                    if status == 200:
                        return self.take(body)
        return None


def _lacks(known: Catalog, names: Iterable[str]) -> bool:
    return any("/" in name and known.find(name) is None for name in names)


def get(wire: Wire, path: str, timeout: float) -> tuple[int, bytes]:
    """One GET: status and body. Raises Late, WireError, ValueError for a body beyond reason."""
    status, _, body = ask(wire, path, timeout)
    return status, body


def ask(wire: Wire, path: str, timeout: float) -> tuple[int, dict[str, str], bytes]:
    """As `get`, with the headers by lower-case name."""
    until = time.monotonic() + timeout
    line = wire.line(Request(route="openrouter", path=path, method="GET"))
    whole = False
    try:
        status, headers = line.open(until)
        body = bytearray()
        while data := line.read(until):
            body += data
            if len(body) > MAX_SIZE:
                raise ValueError("the catalogue is larger than any catalogue")
        whole = True
        return status, headers, bytes(body)
    finally:
        line.close(whole)


async def aget(wire: AsyncWire, path: str) -> tuple[int, bytes]:
    """As `get`; the caller bounds the time."""
    status, _, body = await aask(wire, path)
    return status, body


async def aask(wire: AsyncWire, path: str) -> tuple[int, dict[str, str], bytes]:
    """As `ask`; the caller bounds the time."""
    line = wire.line(Request(route="openrouter", path=path, method="GET"))
    whole = False
    try:
        status, headers = await line.open()
        body = bytearray()
        while data := await line.read():
            body += data
            if len(body) > MAX_SIZE:
                raise ValueError("the catalogue is larger than any catalogue")
        whole = True
        return status, headers, bytes(body)
    finally:
        line.close(whole)
