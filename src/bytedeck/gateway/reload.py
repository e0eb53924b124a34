"""The configuration while the gateway runs: what has changed on disk is loaded whole, or not at all.

Requests that run end on what they began with: their plan holds the configuration, and their connections their address.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from ..async_client import AsyncHub
from ..config import Config, key_path
from ..errors import ConfigError

Tell: TypeAlias = Callable[[str, str], object]
"""Takes a level and a sentence."""
_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
_Running: TypeAlias = frozenset[object]


class Reloader:
    """Looks whether the settings file or the saved key have changed. Belongs to one event loop."""

    def __init__(self, hub: AsyncHub, tell: Tell, running: Callable[[], Iterable[object]] = tuple) -> None:
        """`running`: the requests and matches of each moment, as they come and go."""
        self._hub = hub
        self._tell = tell
        self._running = running
        self._turn = asyncio.Lock()
        """One look after the other: else one that read the file before the other could be the last to take it."""
        self._stamp = _stamp(hub.house.config)
        self._is_new = False
        """Whether the file was broken at the last look, and nobody was told yet: it may still be written."""
        self._retired: list[tuple[Callable[[], Awaitable[object]], _Running]] = []
        """Connections of before, and the requests that may still need them."""
        self.version = 1
        """Goes up with each configuration that was taken."""
        self.loaded = datetime.now(UTC)
        self.problem = ""
        """Why the file on disk is not what holds; "" where it is."""
        self.failures = 0
        """How often a file was refused."""

    async def look(self, is_asked: bool = False) -> None:
        """Load what has changed; `is_asked`: in any case."""
        async with self._turn:
            await self._close_retired()
            try:
                found = await asyncio.to_thread(self._read, is_asked)
            except ConfigError as error:
                self._refuse(" ".join((error.message, *error.hint)), is_asked)
                return
            if found is not None:
                self._take(found)

    async def close(self) -> None:
        """Let go of all connections of before, whoever needs them."""
        retired, self._retired = self._retired, []
        for close, _ in retired:
            await close()

    def _read(self, is_asked: bool) -> Config | None:
        """The configuration, where there is another one; None: there is not. Raises ConfigError."""
        house = self._hub.house
        stamp = _stamp(house.config)
        if stamp == self._stamp and not is_asked and not self._is_new:
            return None
        self._stamp = stamp
        return house.reread()

    def _refuse(self, sentence: str, at_once: bool) -> None:
        """Told at the second look in a row, but to who asks: at the first one the file may be half written."""
        if self.problem == sentence:
            self._is_new = False
            return
        if not self._is_new and not at_once:
            self._is_new = True
            return
        self._is_new, self.problem = False, sentence
        self.failures += 1
        self._tell("error", f"{sentence} The configuration of before holds on.")

    def _take(self, config: Config) -> None:
        was_broken, self.problem, self._is_new = bool(self.problem), "", False
        if config == self._hub.house.config and not was_broken:
            return
        old = self._hub.adopt(config)
        if old is not None:
            self._retired.append((old.aclose, frozenset(self._running())))
        self.version += 1
        self.loaded = datetime.now(UTC)
        self._tell("info", f"The configuration was loaded anew from {config.file}.")
        for sentence in self._hub.house.config.warnings:
            self._tell("warning", sentence)

    async def _close_retired(self) -> None:
        kept = []
        for close, needed in self._retired:
            left = needed.intersection(self._running())
            if left:
                kept.append((close, left))
            else:
                await close()
        self._retired = kept


def _stamp(config: Config) -> _Stamp:
    """What changes whenever one of the files does."""
    return tuple(_stamp_of(path) for path in (config.file, key_path(config.home)))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
