"""Looks up what attempts have cost for the async face: the same `Lookup` in a thread, on the loop's own wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ..ledger.report import Reconciled
from .lookup import TIMEOUT, Desk, Lookup
from .openrouter import aask
from .wire import AsyncWire, Late

_T = TypeVar("_T")


async def reconcile(
    desk: Desk, wire: AsyncWire, wait: float, sleep: Callable[[float], Awaitable[None]] | None
) -> Reconciled:
    """See `Hub.reconcile`. Cancelled, it lets go of what it asks for; what was told by then is in the ledger."""
    bridge = _Bridge(asyncio.get_running_loop())

    async def asked(path: str) -> tuple[int, dict[str, str], bytes]:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await aask(wire, path)
        except TimeoutError as exc:
            raise Late from exc

    async def slept(seconds: float) -> None:
        await (sleep or asyncio.sleep)(seconds)

    lookup = Lookup(
        desk,
        lambda path: bridge.cross(asked(path)),
        lambda seconds: bridge.cross(slept(seconds)),
        is_left=lambda: bridge.is_left,
    )
    try:
        return await asyncio.to_thread(lookup.run, wait)
    finally:
        bridge.leave()


class _Bridge:
    """Lets threads wait for what a loop does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[Future[Any]] = set()
        self.is_left = False

    def cross(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What the work comes to, from another thread. Raises CancelledError once nobody waits any more."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._waiting.add(future)
        if self.is_left:
            future.cancel()
        try:
            return future.result()
        finally:
            self._waiting.discard(future)

    def leave(self) -> None:
        """Nobody waits any more."""
        self.is_left = True
        for future in tuple(self._waiting):
            future.cancel()
