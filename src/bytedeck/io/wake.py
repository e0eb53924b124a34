"""What one task waits for, and goes on with at once: within the call that wakes it, not in the loop's next turn.

A future's waiter is told by the loop: one more turn, one more look at all sockets, for each piece that is read. Who
reads a connection waits for nothing but its next bytes, and the loop is in no task when it hands them over; so the
task may go on there and then. A task takes any object that behaves like a future as far as this one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context


class Wake:
    """One waiter at a time; it may wait again and again."""

    __slots__ = ("_asyncio_future_blocking", "_go_on", "_is_cancelled", "_is_stdlib", "_loop", "_where")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Other loops take what a callback raises for an error of the connection, also a SystemExit of the task's.
        self._is_stdlib = isinstance(loop, asyncio.BaseEventLoop)
        self._asyncio_future_blocking = False
        self._go_on: Callable[[Wake], object] | None = None
        self._where: Context | None = None
        self._is_cancelled = False

    def __await__(self) -> Generator[Wake, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def now(self) -> None:
        """Who waits goes on before this returns. To be called by the loop; in a task it is as `soon`."""
        if (go_on := self._go_on) is None:
            return
        if not self._is_stdlib or asyncio.current_task(self._loop) is not None:
            self.soon()
        elif self._where is not None:
            self._go_on = None
            self._where.run(go_on, self)

    def soon(self) -> None:
        """Who waits goes on in the loop's next turn."""
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            self._loop.call_soon(go_on, self, context=self._where)

    # What a task asks of a future.

    def add_done_callback(self, go_on: Callable[[Wake], object], *, context: Context) -> None:
        self._go_on, self._where, self._is_cancelled = go_on, context, False

    def cancel(self, msg: object = None) -> bool:
        """As `Future.cancel`: False where nobody waits any more."""
        if self._go_on is None:
            return False
        self._is_cancelled = True
        self.soon()
        return True

    def result(self) -> None:
        if self._is_cancelled:
            raise asyncio.CancelledError

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop
