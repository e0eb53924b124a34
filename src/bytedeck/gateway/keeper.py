"""What goes on beside the requests: the keys and the configuration are looked at again and again, and what is odd is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .exchange import bug

if TYPE_CHECKING:
    from .visit import App

EVERY = 0.4
"""Seconds between two rounds: what has changed holds within a second, also where a round has to wait."""


class Keeper:
    """One task beside the requests."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._is_asked = False
        self._wake = asyncio.Event()
        self._told = 0
        """How many of the lost rows were told."""
        self._owed = ""

    async def start(self) -> None:
        """Begin, with a first round that has ended when this does. Idempotent."""
        if self._task is None:
            await self._round()
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; what was shared is written once more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._app.reloader.close()
        self._app.access.close()
        await asyncio.to_thread(self._app.metrics.share, self._app)

    def reload(self) -> None:
        """The configuration is looked at now."""
        self._is_asked = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            # Not wait_for: until Python 3.12 it swallows a cancel that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            self._wake.clear()
            await self._round()

    async def _round(self) -> None:
        app = self._app
        try:
            await app.access.refresh()
            is_asked, self._is_asked = self._is_asked, False
            await app.reloader.look(is_asked)
            await asyncio.to_thread(app.metrics.share, app)
            self._tell_of_rows()
        except Exception as exc:  # noqa: BLE001 (a bug in one round must not end all rounds)
            bug(exc, "none")

    def _tell_of_rows(self) -> None:
        """Rows that were lost, or wait to be written."""
        house, log = self._app.hub.house, self._app.log
        if "store" not in house.__dict__:
            return
        lost = house.store.lost
        for sentence in lost[self._told :]:
            log.say("error", sentence)
        self._told = len(lost)
        owed = house.store.owed
        if owed.why != self._owed:
            self._owed = owed.why
            log.say(
                "warning" if owed.rows else "info",
                str(owed) if owed.rows else "No row waits to be written any more.",
            )
