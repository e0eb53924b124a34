"""The async driver: the same commands on asyncio. Apart from `drive`, because importing asyncio costs 50 ms."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from ..call.steps import (
    Broken,
    Data,
    Ended,
    Opened,
    Outcome,
    Raised,
    Tick,
    Wait,
)
from ..errors import ByteError
from ..types import Delta
from .alarm import NEVER, Alarm
from .drive import Driver, Flow, Leg, T, judged
from .store import Receiver, Verdict
from .wire import AsyncLine, AsyncWire, Late, WireError


class AsyncDrive(Driver[T, "_Inbox", AsyncLine]):
    """The async driver. One alarm, lazily set, serves all requests of a loop, instead of a timeout a read."""

    _waiter: asyncio.Task[object] | None = None
    _until = NEVER
    """When the alarm is to end the wait."""
    _late = False

    def __init__(
        self,
        flow: Flow[T],
        store: Receiver,
        wire: AsyncWire,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        alarm: Alarm | None = None,
    ) -> None:
        """`alarm`: that of the loop; without one the request has its own."""
        self._alarm = alarm = alarm or Alarm(asyncio.get_running_loop())
        super().__init__(flow, store, wire, alarm.time)
        self._sleep = sleep
        self._helpers: dict[int, asyncio.Task[Outcome]] = {}
        """The legs that are being waited for beside this task, or were, and nobody has asked yet."""
        alarm.join(self)

    async def advance(self) -> list[Delta] | None:
        """As `Drive.advance`. Two tasks in one request are an error."""
        if self.over:
            return None
        if self._waiter is not None:
            raise RuntimeError("this answer is already being read by another task")
        try:
            come = self._resume()
            while not (come is None or isinstance(come, list)):
                try:
                    if come.keep or self._helpers:
                        outcome = await self._wait_beside(come)
                    else:
                        outcome = self._ready(come) or await self._wait(come)
                except ByteError as error:  # a local model that does not start, say
                    come = self._go(self._flow.throw, error)
                else:
                    come = self._go(self._send, outcome)
            return come
        except BaseException:
            super().leave()  # does nothing where the request itself has raised
            raise

    def leave(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("this answer is still being read by another task: cancel that one")
        super().leave()

    def _inbox(self) -> _Inbox:
        return _Inbox(self._alarm.loop)

    def _ready(self, command: Wait) -> Outcome | None:
        """What a Wait need not wait for: a verdict that was given on the spot, words that came with the headers."""
        if not command.legs:
            return None
        name = command.legs[0]
        leg = self._legs[name]
        if leg.line is None:
            if (verdict := leg.begun.verdict) is not None:
                return judged(name, self._clock(), verdict)
        elif leg.is_fresh:
            leg.is_fresh = False
            if data := leg.line.ready():
                return Data(name, self._clock(), data)
        return None

    async def _wait(self, command: Wait) -> Outcome:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an answer is read within a task")
        self._waiter = task
        if not command.legs:
            return await self._pause(command.until)
        cancelling = task.cancelling()
        self._until, self._late = command.until, False
        if command.until < self._alarm.at:
            self._alarm.set(command.until)
        try:
            return await self._next(command)
        except asyncio.CancelledError:
            # Ours, and nobody else's at the same moment?
            if self._late and task.uncancel() <= cancelling:
                return self._tick(command.until)
            raise
        finally:
            self._waiter = None

    def _tick(self, until: float) -> Tick:
        return Tick(max(self._clock(), until))

    async def _wait_beside(self, command: Wait) -> Outcome:
        """A Wait for several legs, or for what outlives it: each leg is waited for in a task of its own."""
        if not command.legs:
            return await self._wait(command)
        self._until = NEVER  # that of an earlier wait would cancel this one
        self._waiter = asyncio.current_task()
        try:
            while (outcome := self._found(command)) is None:
                busy = {self._helpers[name] for name in command.legs if not self._helpers[name].done()}
                left = max(0.0, command.until - self._clock())
                bound = None if left == float("inf") else left
                if (
                    not busy
                    or not (await asyncio.wait(busy, timeout=bound, return_when="FIRST_COMPLETED"))[0]
                ):
                    return self._tick(command.until)
        finally:
            self._waiter = None
        return outcome

    def _found(self, command: Wait) -> Outcome | None:
        """What is there for a leg; where there is nothing, all legs are being waited for."""
        # Who was waited for longest comes first, so that a chatterbox starves nobody.
        for name, helper in self._helpers.items():
            if name in command.legs and helper.done() and not _is_mute(helper):
                del self._helpers[name]
                return self._answer(name, helper, command.keep)
        for name in command.legs:
            if name not in self._helpers:
                wait = Wait((name,), float("inf"))
                if (ready := self._ready(wait)) is not None:
                    return ready
                self._helpers[name] = self._alarm.loop.create_task(self._next(wait))
        return None

    def _answer(self, name: int, helper: asyncio.Task[Outcome], keep: bool) -> Outcome:
        """What came. An error of ours is told, where it has to be told whose it is, else raised."""
        try:
            return helper.result()
        except ByteError as error:
            if not keep:
                raise
            return Raised(name, self._clock(), error)

    def _let_go(self, name: int, leg: Leg[_Inbox, AsyncLine], whole: bool) -> None:
        helper = self._helpers.pop(name, None)
        if leg.line is not None:
            leg.line.close(whole and (helper is None or helper.done()))
        if helper is not None:
            _call(self._alarm.loop, _drop, helper, leg.line)

    async def _pause(self, until: float) -> Outcome:
        self._until = NEVER  # that of an earlier wait would cancel the pause
        try:
            await self._sleep(max(0.0, until - self._clock()))
        finally:
            self._waiter = None
        return self._tick(until)

    async def _next(self, command: Wait) -> Outcome:
        name = command.legs[0]
        leg = self._legs[name]
        try:
            if leg.line is None:
                return judged(name, self._clock(), await leg.begun.get())
            if not leg.opened:
                status, headers = await leg.line.open()
                leg.opened = leg.is_fresh = True
                return Opened(name, self._clock(), time.time(), status, headers)
            data = await leg.line.read()
            return Data(name, self._clock(), data) if data else Ended(name, self._clock())
        except Late:
            return self._tick(command.until)
        except WireError as exc:
            return Broken(name, self._clock(), exc.phase, str(exc))

    def ring(self, now: float) -> float:
        """The alarm rang: the wait is cancelled if its moment has really passed."""
        if self._waiter is None:
            return NEVER
        if now >= self._until:
            self._until, self._late = NEVER, True  # once
            self._waiter.cancel()
        return self._until


class _Inbox(Struct, eq=False):
    """Where the verdict on a Begin arrives, from any thread; mostly before anybody waits for it."""

    loop: asyncio.AbstractEventLoop
    verdict: Verdict | None = None
    waiter: asyncio.Future[None] | None = None

    def put(self, verdict: Verdict) -> None:
        self.verdict = verdict
        if self.waiter is not None:
            _call(self.loop, _wake, self.waiter)

    async def get(self) -> Verdict:
        # Who waits is there before it looks, and who puts has put before it looks for who waits.
        self.waiter = waiter = self.loop.create_future()
        if self.verdict is None:
            await waiter
            assert self.verdict is not None  # noqa: S101 - who wakes has put it there before
        return self.verdict


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: Any) -> None:
    """In the loop, wherever we are: a store answers from its own thread, a collector drops what it finds from any."""
    if asyncio._get_running_loop() is loop:
        what(*arguments)
    else:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(what, *arguments)


def _is_mute(helper: asyncio.Task[Outcome]) -> bool:
    """Whether it has ended without an answer: of a script that is silent."""
    return not helper.cancelled() and helper.exception() is None and type(helper.result()) is Tick


def _drop(helper: asyncio.Task[Outcome], line: AsyncLine | None) -> None:
    """Nobody asks any more. What it gets hold of before it ends is closed with it."""

    def close(helper: asyncio.Task[Outcome]) -> None:
        if not helper.cancelled():
            helper.exception()  # looked at, so that nobody complains of it
        if line is not None:
            line.close(False)

    helper.cancel()
    helper.add_done_callback(close)
