"""How a request is answered: from the cache, along with another one that asks the same, or by asking.

Where nothing is kept, a request goes straight to the gate. Else the first of several equal requests asks, in a task of
its own, and all of them hear it, each at its own pace; it ends when the last of them has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ...async_client import AsyncHub
from ...config import Config
from ...errors import InvalidRequest
from ...types import Ask, Failover, Plan
from ..asgi import Headers
from ..load import Answer, Begin, Gate, take_turn
from . import replay
from .shared import Kept, Listener, Shared

if TYPE_CHECKING:
    from ...io.cache import Cache, Found

_WISH = b"x-byte-cache"
_HEADER = b"x-byte-cache"
_SAVED = b"x-byte-cache-saved"
_TO_KEEP = 2.0
"""Seconds that the end waits for answers that are being written down."""


Result = Literal["hit", "coalesced", "miss"]
"""What the cache had for a request: its answer, another request's that is under way, or nothing."""


class _Wanted(Struct, frozen=True):
    """The answer to a question."""

    key: bytes
    failover: Failover | None
    """What becomes of it where it breaks off. What is kept never did; what still comes may."""
    seconds: float
    """For how long it is kept."""

    @property
    def equal(self) -> tuple[bytes, Failover | None]:
        """What is the same for those who may hear one answer while it comes."""
        return self.key, self.failover


class Answers:
    """Begins all requests of a gateway. Belongs to one event loop."""

    def __init__(self, gate: Gate, count: Callable[[Result], object]) -> None:
        """`count` hears what the cache had for each request to which it applies."""
        self.gate = gate
        self._count = count
        self._shared: dict[tuple[bytes, Failover | None], Shared] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cached: tuple[Config, bool] | None = None

    def begin(self, hub: AsyncHub, headers: Mapping[bytes, bytes]) -> Begin:
        """How a request with these headers is begun. Raises InvalidRequest for a wish that is none."""
        wish = _wish(headers)

        async def begin(ask: Ask, told: Headers) -> Answer:
            if wish == "off" or not self._may_be_kept(hub, ask):
                return await take_turn(self.gate, hub.answer, ask)
            plan = hub.house.plan(ask)
            seconds = _seconds(hub.house.config, ask, plan)
            if not seconds:
                return await take_turn(self.gate, hub.answer, ask)
            key = replay.key_of(ask, plan, hub.house.config)
            return await self._begin(hub, ask, told, _Wanted(key, plan.policy.failover, seconds), wish)

        return begin

    async def aclose(self) -> None:
        """Wait until all that was asked is settled and kept; who listens after that is told nothing more."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_TO_KEEP)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _may_be_kept(self, hub: AsyncHub, ask: Ask) -> bool:
        """Whether it is worth looking at more closely: cheap, for the many gateways that keep nothing."""
        if ask.caller is not None and ask.caller.cache:
            return True
        config = hub.house.config
        if self._cached is None or self._cached[0] is not config:
            self._cached = config, any(task.cache for task in config.tasks.values())
        return self._cached[1]

    async def _begin(self, hub: AsyncHub, ask: Ask, told: Headers, wanted: _Wanted, wish: str) -> Answer:
        shared = self._shared.get(wanted.equal)
        if shared is None and wish != "refresh":
            found = await _find(hub.house.cache, wanted)
            kept = replay.read(found.value) if found is not None else None
            if found is not None and kept is not None:
                self._tell(told, "hit")
                told += [(b"age", b"%d" % found.age), *_saved(kept[1])]
                return Kept(replay.free(kept[0], ask.id), ask.streamed)
            shared = self._shared.get(wanted.equal)  # somebody may have begun meanwhile
        if shared is not None and wish != "refresh" and shared.suits(ask):
            self._tell(told, "coalesced")
            return Listener(shared, ask, is_first=False)
        self._tell(told, "miss")
        shared = self._shared[wanted.equal] = Shared(ask.streamed)
        task = asyncio.create_task(self._ask(hub, ask, wanted, shared))
        shared.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Listener(shared, ask, is_first=True)

    def _tell(self, told: Headers, result: Result) -> None:
        self._count(result)
        told.append((_HEADER, result.encode()))

    async def _ask(self, hub: AsyncHub, ask: Ask, wanted: _Wanted, shared: Shared) -> None:
        try:
            await shared.run(take_turn(self.gate, hub.answer, ask))
            is_latest = self._shared.get(wanted.equal) is shared  # else somebody has refreshed it meanwhile
            if is_latest and shared.reply is not None and replay.is_worth_keeping(shared.reply):
                value = replay.written(shared.reply)
                await asyncio.to_thread(hub.house.cache.keep, wanted.key, value, wanted.seconds)
        finally:
            if self._shared.get(wanted.equal) is shared:
                del self._shared[wanted.equal]


async def _find(cache: Cache, wanted: _Wanted) -> Found | None:
    """What was kept. A thread costs many times what the look does, so it is asked only where it would wait."""
    if cache.is_free():
        return cache.find(wanted.key, wanted.seconds)
    return await asyncio.to_thread(cache.find, wanted.key, wanted.seconds)


def _wish(headers: Mapping[bytes, bytes]) -> Literal["", "off", "refresh"]:
    """What X-Byte-Cache says; nobody can switch a cache on by it."""
    told = headers.get(_WISH, b"").strip().lower()
    if told == b"":
        return ""
    if told == b"off":
        return "off"
    if told == b"refresh":
        return "refresh"
    raise InvalidRequest(f"X-Byte-Cache is {told.decode('latin-1')!r}, and has to be off or refresh.")


def _seconds(config: Config, ask: Ask, plan: Plan) -> float:
    """For how long an answer is kept: the key's word before the task's; 0: not at all."""
    if ask.caller is not None and ask.caller.cache:
        return float(ask.caller.cache)
    task = config.tasks.get(plan.task)
    return task.cache if task is not None else 0.0


def _saved(cost: str) -> Headers:
    return [(_SAVED, cost.encode())] if cost else []
