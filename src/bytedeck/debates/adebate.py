"""AsyncDebate: the async driver, on asyncio, with the methods of `debate.Debate`. Calls run in tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, TypeVar

from ..arena.bill import Bill
from ..arena.events import Event
from ..types import Ask, Reply
from .course import PATIENCE, Course
from .making import Asked
from .opening import Again
from .stage import Job, Over, Said, Short, Stage, said

if TYPE_CHECKING:
    from ..house import House
    from ..io.adrive import AsyncDrive

Inbox: TypeAlias = asyncio.Queue[Said | Over | None]
Call: TypeAlias = asyncio.Task[None]
T = TypeVar("T")


class AsyncDoor(Protocol):
    """What a debate needs of an AsyncHub."""

    house: House

    async def answer(self, ask: Ask) -> AsyncDrive[Reply]: ...

    async def look_up(self, models: Sequence[str]) -> None: ...


async def _call(door: AsyncDoor, job: Job, inbox: Inbox) -> None:
    """One call. Cancelling it closes the upstream and settles."""
    try:
        drive = await door.answer(job.ask)
        while (deltas := await drive.advance()) is not None:
            if words := said(job, deltas):
                inbox.put_nowait(words)
        inbox.put_nowait(Over(job, drive.result))
    except asyncio.CancelledError:
        inbox.put_nowait(Over(job, None))
        raise
    except BaseException as exc:  # noqa: BLE001 - it is told, or raised, where the debate is driven
        inbox.put_nowait(Over(job, exc))


def _aside(work: Callable[[], T]) -> asyncio.Future[T]:
    """In a thread; whoever waits for it may leave."""
    future = asyncio.ensure_future(asyncio.to_thread(work))
    future.add_done_callback(_look_at)  # also where nobody waits for it any more
    return future


def _look_at(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


class AsyncDebate(Course[Call]):
    """As `Debate`, with `async for`, `await bill()`, `await aclose()`. Cancelling a step closes it."""

    def __init__(
        self,
        door: AsyncDoor,
        start: Asked | Again,
        record: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        """As `Debate`; models and matches are looked for by `open`."""
        super().__init__(door.house, start)
        self._door = door
        self._record = record
        self._inbox: Inbox = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._being_opened: asyncio.Future[None] | None = None
        self._aside: asyncio.Future[list[Job] | Short] | None = None
        """What is worked out in a thread, which goes on where the caller leaves."""
        self._is_gone = asyncio.Event()
        self._is_read = False
        self._lock = threading.Lock()

    async def open(self) -> None:
        """Find its models, and write its beginning down, or take it up where it had ended; else the first step does. Raises
        what `Debate` raises when it is made and opened."""
        if self._stage is not None or self._is_closed:
            return
        self._loop = asyncio.get_running_loop()
        await self._door.look_up(self._opening.unknown)
        if self._being_opened is None:
            self._being_opened = _aside(self._open)
        await asyncio.shield(self._being_opened)

    def _open(self) -> None:
        """In a thread, which goes on where the caller leaves: then what it holds is let go at once."""
        stage, first, scribe = self._begin_opening()
        with self._lock:
            if not self._is_closed:
                self._stage, self._scribe = stage, scribe
                self._ready.extend(first)
                return
        scribe.close()
        scribe.join(PATIENCE)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._is_read:
            raise RuntimeError("this debate is already being read by another task")
        self._is_read = True
        try:
            await self.open()
            while not self._ready and not self._is_closed:
                await self._step(self._opened())
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._is_read = False
        if self._ready:
            return self._ready.popleft()
        raise StopAsyncIteration

    async def _step(self, stage: Stage) -> None:
        match self._move(stage):
            case "end":
                await self.aclose()
            case "paused":
                if not await self._tell(self._allowance(stage)):
                    await self.aclose()
            case "follows":
                await self._tell(stage.follows())
                if stage.is_over:
                    await self._finish()
            case "vote":
                await self._listen(stage, stage.voting())
            case "begin":
                await self._begin(stage)
            case "listen":
                await self._listen(stage, None)

    async def _begin(self, stage: Stage) -> None:
        """Whatever is due and has room in the budget."""
        due = await self._due(stage) if stage.is_bound else stage.due()
        if self._is_closed:  # by another task
            return
        if not isinstance(due, Short):
            await self._tell(stage.began(due))
            for job in () if self._is_closed else due:
                call = _call(self._door, job, self._inbox)
                self._calls[job.request] = asyncio.create_task(call, name=f"bytedeck-call-{job.step.part}")
        elif self._calls:
            await self._listen(stage, None)
        else:
            await self._tell([stage.paused(due)])

    async def _due(self, stage: Stage) -> list[Job] | Short:
        self._aside = _aside(stage.due)
        return await asyncio.shield(self._aside)

    async def _listen(self, stage: Stage, timeout: float | None) -> None:  # noqa: ASYNC109 - no scope to cancel
        """The next that comes from a call; nothing, where none comes in time."""
        try:
            async with asyncio.timeout(timeout):
                came = await self._inbox.get()
        except TimeoutError:
            return
        if came is not None and not self._is_closed:
            await self._tell(self._take(stage, came))

    async def _tell(self, events: list[Event]) -> bool:
        """Written down, and then handed out. Whether there was anything."""
        if events and self._scribe is not None and not self._is_closed:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[BaseException | None] = loop.create_future()

            def tell(failure: BaseException | None) -> None:
                with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                    loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(failure))

            self._scribe.write(events, tell)
            if (failure := await done) is not None:
                raise failure
            self._ready.extend(() if self._is_closed else events)
        return bool(events)

    async def _finish(self) -> None:
        """It is over, and its last events are still to be handed out."""
        await self._let_go()
        if self._record is None:
            return
        try:
            self._said += tuple(await self._record(self.id))
        except Exception as error:  # noqa: BLE001 - the debate itself is over, and well: it is told
            self._not_recorded(error)

    async def bill(self) -> Bill:
        """As `Debate.bill`."""
        return await asyncio.to_thread(self._opening.bill)

    async def aclose(self) -> None:
        """As `Debate.close`; from whichever task, it waits."""
        self._ready.clear()
        await self._let_go()
        self._inbox.put_nowait(None)  # wakes who reads

    async def _let_go(self) -> None:
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
        if not is_first:
            await self._is_gone.wait()
            return
        try:
            await self._leave()
        finally:
            self._is_gone.set()

    async def _leave(self) -> None:
        calls = tuple(self._calls.values())
        for call in calls:
            call.cancel()
        pending = {one for one in (*calls, self._being_opened, self._aside) if one is not None}
        try:
            if pending:
                await asyncio.wait(pending, timeout=PATIENCE)
        finally:  # also where who leaves is hurried
            late = []
            while not self._inbox.empty():
                late.append(self._inbox.get_nowait())
            self._close_book([came for came in late if came is not None])
        if self._scribe is not None:
            await asyncio.to_thread(self._scribe.join, PATIENCE)

    def _drop(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                for call in self._calls.values():
                    self._loop.call_soon_threadsafe(call.cancel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
