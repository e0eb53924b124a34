"""One who watches a match: the past from the store or from memory, then what happens, without gap or repeat.

Each has a place of its own in the events, and no queue: whoever reads slowly falls behind, alone, and is let go in the
end. It can come back with the number of the last event that it has read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ...arena.events import Ended, Event, Resumed
from ...arena.types import Match
from ...io.matches import Standing, noted
from ..asgi import LEFT, Headers, Receive
from ..visit import Visit
from . import frames
from .feed import Feed, Sight
from .seen import event_as

PATIENCE = 30.0
"""Seconds for which a watcher may be behind."""
Read = Callable[[int], Awaitable[Sequence[Event]]]
"""What is kept after the event of this number; a page of it."""

_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy in between shall not gather what is meant to be seen at once
]


class Watcher:
    """`run` it once, in the task of its request."""

    def __init__(
        self,
        visit: Visit,
        match: Match,
        sight: Sight,
        at: int,
        read: Read,
        feed: Feed | None,
        standing: Standing = Standing(),  # noqa: B008 (frozen)
    ) -> None:
        """`at`: the number of the first event that it wants; `feed`: None where the match is over; `standing`: of the
        match, as it is kept."""
        self._visit, self._match = visit, match
        self.sight, self.at = sight, at
        self._read, self._feed, self._standing = read, feed, standing
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._has_left = False
        self._behind = 0.0
        """Since when it has not had all; 0: it has."""
        self._may_stay: Callable[[], bool] = bool
        self._pour: Callable[[bytes], bool] | None = None

    def interrupt(self, why: str) -> None:
        """Its client has hung up."""
        if not self._has_left and self._task is not None:
            self._has_left = True
            self._task.cancel()

    def pour(self, framed: bytes) -> bool:
        """As `Listener`: where the server is our own, and nothing of before waits to be read."""
        return self._pour is not None and self._may_stay() and self._pour(framed)

    async def watch(self, receive: Receive) -> None:
        """Wait until the client hangs up, where the server has no other way to tell."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.interrupt("left")

    async def run(self, heartbeat: float, may_stay: Callable[[], bool]) -> None:
        """Tell until the end, or until the client has left. `may_stay`: asked before each piece."""
        self._task, self._may_stay = asyncio.current_task(), may_stay
        unwatch = self._listen()
        try:
            await self._tell(heartbeat)
        except asyncio.CancelledError:
            if not self._has_left or self._task is None:
                raise
            self._task.uncancel()
        finally:
            unwatch()
            self._task = None

    def _listen(self) -> Callable[[], object]:
        """As `talk` does it: our own server tells when a client leaves, of any other a task has to ask."""
        connection = self._visit.scope.get("extensions", {}).get(LEFT)
        if connection is None:
            return self._loop.create_task(self.watch(self._visit.receive)).cancel
        connection.tell(self)
        self._pour = connection.pour
        return connection.forget  # type: ignore[no-any-return]

    async def _tell(self, heartbeat: float) -> None:
        await self._visit.send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await self._write(frames.OPENING)
        last = b""
        while self._may_stay():
            data, is_all = await self._piece()
            if data:
                await self._write(data)
                if self._is_too_slow(is_all):
                    last = frames.TOO_SLOW
                    break
            elif self._feed is None or self._feed.is_over:
                break
            elif self._feed.is_left:
                last = frames.LEAVING
                break
            else:
                await self._feed.news(self, heartbeat)
                if self._feed.next == self.at and not (self._feed.is_over or self._feed.is_left):
                    await self._write(frames.BEAT)
        await self._write(last, more=False)

    async def _piece(self) -> tuple[bytes, bool]:
        """What comes next, and whether that is all that there is just now; nothing at the end, or when it has to wait."""
        feed = self._feed
        if feed is not None and self.at >= feed.first:
            if feed.next <= self.at:
                return b"", True
            data, self.at = feed.since(self.at, self.sight)
            return data, self.at >= feed.next
        events = await self._read(self.at - 1)
        if not events:
            return b"", True
        self.at = events[-1].seq + 1
        return b"".join(map(self._frame, events)), isinstance(events[-1], Ended)

    def _frame(self, event: Event) -> bytes:
        """Of an event that was read. One that is read may tell of a new life before the feed does."""
        if self._feed is not None and len(self._feed.standing.resumed) > len(self._standing.resumed):
            self._standing = self._feed.standing
        if isinstance(event, Resumed) and event.seq not in self._standing.resumed:
            self._standing = noted(self._standing, event)
        told = event_as(self._match, event, self.sight.form)
        return frames.frame(told, self._standing.life(event.seq), self.sight.is_named)

    def _is_too_slow(self, is_all: bool) -> bool:
        """Whether it has been behind for too long, once a piece is written."""
        if is_all and (self._feed is None or self._feed.next == self.at):
            self._behind = 0.0
            return False
        now = self._loop.time()
        self._behind = self._behind or now
        return now - self._behind > PATIENCE

    async def _write(self, data: bytes, more: bool = True) -> None:
        await self._visit.send({"type": "http.response.body", "body": data, "more_body": more})
