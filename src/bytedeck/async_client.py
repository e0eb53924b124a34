"""AsyncHub: the async door, on asyncio, with the methods of `client.Hub`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .face import CATALOGUE_GRACE, Face, moment, page
from .house import Explanation
from .ledger.report import By, Reconciled, Report, Verification
from .limits import AsyncLimits
from .relay import Parcel
from .streams import AsyncStream, OnChunk
from .types import Ask, Failover, Message, Policy, Reply, Timeouts

if TYPE_CHECKING:
    # Imported where it is used: 50 ms that a blocking program need not pay.
    import asyncio

    from .arena.types import Fallback, Fighter, Turns
    from .config import Config
    from .debates.adebate import AsyncDebate
    from .io.adrive import AsyncDrive
    from .io.alarm import Alarm
    from .io.testing import AsyncScript
    from .io.together import Together
    from .io.wire import AsyncWire
    from .league.league import AsyncLeague


class AsyncHub(Face):
    """The async face, on asyncio. Close it with `aclose`, or use it as an async context manager."""

    def _prepare(self) -> None:
        self._wire: AsyncWire | None = None
        self._together: Together | None = None
        self._alarm: Alarm | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sleep: Callable[[float], Awaitable[None]] | None = None
        self._fetching: asyncio.Task[object] | None = None

    async def chat(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109 (the engine's deadlines, not a cancel scope)
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        **params: Any,
    ) -> Reply:
        """As `Hub.chat`. Cancelling it closes the upstream and settles the attempt."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=False,
        )  # fmt: skip
        drive = await self._drive(ask)
        while await drive.advance() is not None:
            pass
        return drive.result

    def stream(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        on_chunk: OnChunk | None = None,
        can_erase: bool = True,
        **params: Any,
    ) -> AsyncStream:
        """As `Hub.stream`; iterate with `async for`. `on_chunk` may be async."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=True,
            can_erase=can_erase,
        )  # fmt: skip
        return AsyncStream(lambda: self._drive(ask), on_chunk)

    async def explain(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Failover | Policy | None = None,
        **params: Any,
    ) -> Explanation:
        """As `Hub.explain`."""
        import asyncio

        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, policy=policy, params=params, streamed=False,
        )  # fmt: skip
        if self._may_fetch():
            await self.house.models.afetch(self.wire)
        return await asyncio.to_thread(self.house.explain, ask)

    def debate(
        self,
        topic: str,
        fighters: Iterable[Fighter | str],
        *,
        rounds: int = 3,
        turns: Turns = "simultaneous",
        max_tokens: int = 500,
        temperature: float | None = 0.8,
        judges: int | Iterable[str] = 3,
        commentator: str | None = None,
        budget: Decimal | str | None = None,
        task: str = "general",
        fallback: Fallback = "void",
        vote_seconds: float = 0.0,
        public: bool = False,
    ) -> AsyncDebate:
        """As `Hub.debate`; found and kept by the first step, or by `open()`."""
        from .debates.adebate import AsyncDebate
        from .debates.making import Asked

        asked = Asked(
            kind="debate", topic=topic, fighters=fighters, rounds=rounds, turns=turns, max_tokens=max_tokens,
            temperature=temperature, judges=judges, commentator=commentator, budget=budget, task=task,
            fallback=fallback, vote_seconds=vote_seconds, public=public,
        )  # fmt: skip
        return AsyncDebate(self, asked, self._record)

    def battle(
        self,
        prompt: str,
        models: Iterable[Fighter | str],
        *,
        max_tokens: int = 1000,
        temperature: float | None = None,
        judges: int | Iterable[str] = 0,
        budget: Decimal | str | None = None,
        task: str = "general",
        fallback: Fallback = "void",
        public: bool = False,
    ) -> AsyncDebate:
        """As `Hub.battle`; found and kept by the first step, or by `open()`."""
        from .debates.adebate import AsyncDebate
        from .debates.making import Asked

        asked = Asked(
            kind="battle", topic=prompt, fighters=models, max_tokens=max_tokens, temperature=temperature,
            judges=judges, budget=budget, task=task, fallback=fallback, public=public,
        )  # fmt: skip
        return AsyncDebate(self, asked, self._record)

    def resume(self, match: str, *, budget: Decimal | str | None = None) -> AsyncDebate:
        """As `Hub.resume`; found and kept by the first step, or by `open()`."""
        from .debates.adebate import AsyncDebate
        from .debates.making import budget_units
        from .debates.opening import Again

        return AsyncDebate(self, Again(match=match, budget_units=budget_units(budget)), self._record)

    async def _record(self, match: str) -> tuple[str, ...]:
        return (await self.arena.record(match)).notes

    @property
    def limits(self) -> AsyncLimits:
        """As `Hub.limits`."""
        return AsyncLimits(self.house, self.explain)

    @property
    def arena(self) -> AsyncLeague:
        """As `Hub.arena`."""
        from .league.league import AsyncLeague

        return AsyncLeague(self.house, self.battle)

    async def usage(self, by: By = "task", since: datetime | str | None = None) -> Report:
        """As `Hub.usage`."""
        import asyncio

        return await asyncio.to_thread(lambda: self._settled().usage(by, moment(since)))

    async def verify(self) -> Verification:
        """As `Hub.verify`."""
        import asyncio

        return await asyncio.to_thread(lambda: self._settled().verify())

    async def reconcile(self, wait: float = 10.0) -> Reconciled:
        """As `Hub.reconcile`."""
        from .io.alookup import reconcile

        return await reconcile(self.house, self.wire, wait, self._sleep)

    @asynccontextmanager
    async def testing(self, *script: Any) -> AsyncIterator[AsyncScript]:
        """As `Hub.testing`."""
        import asyncio

        from .io.testing import AsyncScript

        scripted = AsyncScript(*script)
        kept = self._wire, self._loop, self._sleep
        self._wire, self._loop, self._sleep = scripted, asyncio.get_running_loop(), scripted.sleep
        try:
            with self.house.scripting():
                yield scripted
        finally:
            self._wire, self._loop, self._sleep = kept

    @property
    def wire(self) -> AsyncWire:
        """The network, made at first use in a loop: connections belong to their loop."""
        import asyncio

        return self._wire_in(asyncio.get_running_loop())

    def _wire_in(self, loop: asyncio.AbstractEventLoop) -> AsyncWire:
        if self._wire is None or self._loop is not loop:
            from .io.aio import AsyncHttpWire

            self._wire, self._loop = AsyncHttpWire(self.house.endpoints()), loop
        return self._wire

    def adopt(self, config: Config) -> AsyncWire | None:
        """As `Hub.adopt`."""
        if not self.house.adopt(config):
            return None
        wire, self._wire = self._wire, None
        return wire

    async def look_up(self, models: Sequence[str]) -> None:
        """As `Hub.look_up`."""
        if self._lacks(models):
            await self.house.models.afetch(self.wire)

    async def answer(self, ask: Ask) -> AsyncDrive[Reply]:
        """As `Hub.answer`."""
        return await self._drive(ask)

    async def relay(self, ask: Ask, parcel: Parcel) -> AsyncDrive[Reply]:
        """As `Hub.relay`."""
        return await self._drive(ask, parcel)

    @cached_property
    def _driver(self) -> type[AsyncDrive[Reply]]:
        """Imported with the first request: like asyncio, which a hub that is only made need not pay."""
        from .io.adrive import AsyncDrive

        return AsyncDrive

    async def _drive(self, ask: Ask, parcel: Parcel | None = None) -> AsyncDrive[Reply]:
        import asyncio

        loop, house = asyncio.get_running_loop(), self.house
        began = loop.time()
        wire = self._wire_in(loop)
        if not house.models.settled(ask.models):
            await self._renew(ask, wire)
        if house.watch.is_behind() and not house.scripted:
            await asyncio.to_thread(house.watch.catch_up)
        flow = page(ask, parcel, house.deck(ask), began)
        sleep, alarm = self._sleep or asyncio.sleep, self._alarm_in(loop)
        return self._driver(flow, self._receiver(loop), wire, sleep=sleep, alarm=alarm)

    async def _renew(self, ask: Ask, wire: AsyncWire) -> None:
        """Let the catalogue come where it is due, or a request needs it, which then waits for it for a while."""
        import asyncio

        patience = self._patience(ask)
        loop, fetching = asyncio.get_running_loop(), self._fetching
        is_running = fetching is not None and not fetching.done() and fetching.get_loop() is loop
        if not is_running and (self._may_fetch() or (patience and self.house.models.current() is not None)):
            fetching = self._fetching = loop.create_task(self.house.models.afetch(wire))
            is_running = True
        if patience and is_running and fetching is not None:
            await asyncio.wait({fetching}, timeout=patience)

    def _alarm_in(self, loop: asyncio.AbstractEventLoop) -> Alarm:
        """What wakes this loop's requests."""
        if self._alarm is None or self._alarm.loop is not loop:
            from .io.alarm import Alarm

            self._alarm = Alarm(loop)
        return self._alarm

    def _receiver(self, loop: asyncio.AbstractEventLoop) -> Together:
        """What takes the marks of this loop's attempts."""
        if self._together is None or not self._together.is_for(self.house.receiver, loop):
            from .io.together import Together

            self._together = Together(self.house.receiver, loop)
        return self._together

    async def aclose(self) -> None:
        """As `Hub.close`."""
        import asyncio

        fetching, self._fetching = self._fetching, None
        if fetching is not None and fetching.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({fetching}, timeout=CATALOGUE_GRACE)
            fetching.cancel()
            await asyncio.wait({fetching})
        wire, self._wire = self._wire, None
        if wire is not None and self._loop is asyncio.get_running_loop():
            await wire.aclose()
        await asyncio.to_thread(self.house.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
