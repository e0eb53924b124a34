"""The async driver: the same commands on asyncio. Apart from `drive`, because importing asyncio costs 50 ms."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import Awaitable, Callable

from ..call.steps import (
    Begin,
    Broken,
    Data,
    Emit,
    Ended,
    Opened,
    Outcome,
    Raised,
    Tick,
    Wait,
)
from ..errors import ByteError
from ..types import Delta
from .drive import Driver, Flow, Leg, T, judged
from .store import Receiver, Verdict
from .wire import AsyncLine, AsyncWire, Late, WireError


class AsyncDrive(Driver[T, asyncio.Future[Verdict], AsyncLine]):
    """The async driver: one lazily re-armed timer a request instead of a timeout a read."""

    def __init__(
        self,
        flow: Flow[T],
        store: Receiver,
        wire: AsyncWire,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(flow, store, wire)
        self._sleep = sleep
        self._loop = asyncio.get_running_loop()
        # asyncio's own loops ask the monotonic clock by a method; a loop of another kind may have a clock of its own.
        own = getattr(type(self._loop), "time", None) is asyncio.BaseEventLoop.time
        self._time: Callable[[], float] = time.monotonic if own else self._loop.time
        self._thread = threading.get_ident()
        self._waiter: asyncio.Task[object] | None = None
        self._until = 0.0
        self._late = False
        self._timer: asyncio.TimerHandle | None = None
        self._helpers: dict[int, asyncio.Task[Outcome]] = {}
        """The legs that are being waited for beside this task, or were, and nobody has asked yet."""

    async def advance(self) -> list[Delta] | None:
        """As `Drive.advance`. Two tasks in one request are an error."""
        if self.over:
            return None
        if self._waiter is not None:
            raise RuntimeError("this answer is already being read by another task")
        try:
            command = self._resume()
            while command is not None:
                if type(command) is Wait:
                    try:
                        if command.keep or self._helpers:
                            outcome = await self._wait_beside(command)
                        else:
                            outcome = self._ready(command) or await self._wait(command)
                    except ByteError as error:  # a local model that does not start, say
                        command = self._throw(error)
                    else:
                        command = self._send(outcome)
                elif type(command) is Emit:
                    return command.deltas
                else:
                    self._perform(command)
                    command = self._send(self._time())
        except BaseException:
            self._disarm()
            super().leave()  # does nothing where the request itself has raised
            raise
        self._disarm()
        return None

    def leave(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("this answer is still being read by another task: cancel that one")
        self._disarm()
        super().leave()

    def _now(self) -> float:
        return self._time()

    def _inbox(self) -> asyncio.Future[Verdict]:
        return self._loop.create_future()

    def _begin(self, command: Begin, begun: asyncio.Future[Verdict]) -> None:
        loop, here = self._loop, threading.get_ident()

        def tell(verdict: Verdict) -> None:
            if not begun.done():
                begun.set_result(verdict)

        def done(verdict: Verdict) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                if threading.get_ident() == here:
                    tell(verdict)
                else:
                    loop.call_soon_threadsafe(tell, verdict)

        self._store.begin(command.intent, done, command.claim)

    def _ready(self, command: Wait) -> Outcome | None:
        """What a Wait need not wait for: a verdict that was given on the spot, words that came with the headers."""
        if not command.legs:
            return None
        name = command.legs[0]
        leg = self._legs[name]
        if leg.line is None:
            if leg.begun.done():
                return judged(name, self._time(), leg.begun.result())
        elif leg.opened and (data := leg.line.ready()):
            return Data(name, self._time(), data)
        return None

    async def _wait(self, command: Wait) -> Outcome:
        self._waiter = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an answer is read within a task")
        if not command.legs:
            return await self._pause(command.until)
        cancelling = task.cancelling()
        self._late = False
        self._arm(command.until)
        try:
            return await self._next(command)
        except asyncio.CancelledError:
            # Ours, and nobody else's at the same moment?
            if self._late and task.uncancel() <= cancelling:
                return Tick(max(self._time(), command.until))
            raise
        finally:
            self._waiter = None

    async def _wait_beside(self, command: Wait) -> Outcome:
        """A Wait for several legs, or for what outlives it: each leg is waited for in a task of its own."""
        if not command.legs:
            return await self._wait(command)
        self._disarm()  # of an earlier wait: it would take this one for its own and cancel it
        self._waiter = asyncio.current_task()
        try:
            while (outcome := self._found(command)) is None:
                busy = {self._helpers[name] for name in command.legs if not self._helpers[name].done()}
                left = max(0.0, command.until - self._time())
                bound = None if left == float("inf") else left
                if (
                    not busy
                    or not (await asyncio.wait(busy, timeout=bound, return_when="FIRST_COMPLETED"))[0]
                ):
                    return Tick(max(self._time(), command.until))
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
                self._helpers[name] = self._loop.create_task(self._next(wait))
        return None

    def _answer(self, name: int, helper: asyncio.Task[Outcome], keep: bool) -> Outcome:
        """What came. An error of ours is told, where it has to be told whose it is, else raised."""
        try:
            return helper.result()
        except ByteError as error:
            if not keep:
                raise
            return Raised(name, self._time(), error)

    def _let_go(self, name: int, leg: Leg[asyncio.Future[Verdict], AsyncLine], whole: bool) -> None:
        helper = self._helpers.pop(name, None)
        super()._let_go(name, leg, whole and (helper is None or helper.done()))
        if helper is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if threading.get_ident() == self._thread:
                _drop(helper, leg.line)
            else:
                self._loop.call_soon_threadsafe(_drop, helper, leg.line)

    async def _pause(self, until: float) -> Outcome:
        self._disarm()  # of an earlier wait: it would take the pause for its own and cancel it
        try:
            await self._sleep(max(0.0, until - self._time()))
        finally:
            self._waiter = None
        return Tick(max(self._time(), until))

    async def _next(self, command: Wait) -> Outcome:
        name = command.legs[0]
        leg = self._legs[name]
        try:
            if leg.line is None:
                return judged(name, self._time(), await leg.begun)
            if not leg.opened:
                status, headers = await leg.line.open()
                leg.opened = True
                return Opened(name, self._time(), time.time(), status, headers)
            data = await leg.line.read()
            return Data(name, self._time(), data) if data else Ended(name, self._time())
        except Late:
            return Tick(max(self._time(), command.until))
        except WireError as exc:
            return Broken(name, self._time(), exc.phase, str(exc))

    def _arm(self, until: float) -> None:
        """The timer only ever has to ring early enough: it looks again at `_until` when it rings."""
        self._until = until
        timer = self._timer
        if timer is not None:
            if timer.when() <= until:
                return
            timer.cancel()
        self._timer = self._loop.call_at(until, _ring, weakref.ref(self))

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is None:
            return
        if threading.get_ident() == self._thread:
            timer.cancel()
        else:  # dropped by a garbage collection there
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(timer.cancel)

    def ring(self) -> None:
        """The timer rang: cancel the wait if its moment has really passed."""
        self._timer = None
        if self._waiter is None:
            return
        if self._time() < self._until:
            self._arm(self._until)
        else:
            self._late = True
            self._waiter.cancel()


def _ring(drive: weakref.ref[AsyncDrive[T]]) -> None:
    # A weak reference, so that the timer does not keep a dropped stream alive.
    if (alive := drive()) is not None:
        alive.ring()


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
