"""One answer that several requests hear while it comes, and one that was kept.

What came is held for who joins late, and hears it from the beginning. Who reads slowly holds nobody up; but where all
of them do, the source waits, so that nothing is gathered that nobody reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from ...errors import TABLE, ByteError, InternalError
from ...types import Ask, Delta, Reply
from ..load import Answer
from . import replay

LEAD = 16
"""Reads of the source by which it may be ahead of who listens fastest."""


class Shared:
    """A request that is being answered, and what has come so far."""

    def __init__(self, streamed: bool) -> None:
        self._streamed = streamed
        self.came: list[list[Delta]] = []
        self.reply: Reply | None = None
        self.error: Exception | None = None
        self.is_over = False
        self.task: asyncio.Task[None] | None = None
        """What drives it."""
        self.listeners: set[Listener] = set()
        self._news = asyncio.Event()
        self._heard = asyncio.Event()

    def suits(self, ask: Ask) -> bool:
        """Whether a request can be answered by it: who wants to see it come needs one that is seen coming."""
        is_going_on = bool(self.listeners) or self.reply is not None  # else it ends, as all have left
        return is_going_on and (self._streamed or not ask.streamed)

    async def run(self, begun: Awaitable[Answer]) -> None:
        """Drive it to its end. What it raises is told to who listens."""
        try:
            drive = await begun
            try:
                while (deltas := await drive.advance()) is not None:
                    self.came.append(deltas)
                    self._tell()
                    await self._wait_for_ears()
                self.reply = drive.result
            finally:
                drive.leave()
        except Exception as exc:  # noqa: BLE001 (each listener raises it where its own errors are told)
            self.error = exc
        finally:
            self.is_over = True
            self._tell()

    async def news(self) -> None:
        """Wait until more has come, or the end."""
        await self._news.wait()

    async def _wait_for_ears(self) -> None:
        """As long as nobody has heard but what came long ago. No deadline runs meanwhile."""
        while self.listeners and len(self.came) - max(one.heard for one in self.listeners) > LEAD:
            self._heard.clear()
            await self._heard.wait()

    def hear(self) -> None:
        """Somebody has heard more."""
        self._heard.set()

    def leave(self, listener: Listener) -> None:
        """With the last one who leaves it ends, and what it has cost is settled."""
        self.listeners.discard(listener)
        if not self.listeners and not self.is_over and self.task is not None:
            self.task.cancel()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Listener:
    """One request's ear at a shared answer."""

    def __init__(self, shared: Shared, ask: Ask, *, is_first: bool) -> None:
        """`is_first`: it is the one that asked, and is told what it cost."""
        self._shared, self._request, self._is_first = shared, ask.id, is_first
        self.heard = 0
        """Reads of the source that were heard."""
        shared.listeners.add(self)

    @property
    def result(self) -> Reply:
        reply = self._shared.reply
        if reply is None:
            raise RuntimeError("the answer is not whole yet")
        return reply if self._is_first else replay.free(reply, self._request)

    async def advance(self) -> list[Delta] | None:
        shared = self._shared
        while self.heard == len(shared.came):
            if shared.error is not None:
                raise self._own(shared.error)
            if shared.reply is not None:
                return None
            if shared.is_over:  # it was cancelled, and not by us: the loop is ending
                raise InternalError(TABLE["internal"].sentence)
            await shared.news()
        came = shared.came[self.heard : self.heard + LEAD]
        self.heard += len(came)
        shared.hear()
        return came[0] if len(came) == 1 else [delta for deltas in came for delta in deltas]

    def _own(self, error: Exception) -> Exception:
        """The error as this one is told it: what its attempts cost was the first one's matter."""
        if self._is_first or not isinstance(error, ByteError) or error.reply is None:
            return error
        own = type(error).__new__(type(error), *error.args)
        own.__dict__ |= error.__dict__ | {"reply": replay.unpaid(error.reply, self._request)}
        return own

    def leave(self) -> None:
        """Idempotent."""
        self._shared.leave(self)


class Kept:
    """An answer that is there already."""

    def __init__(self, reply: Reply, streamed: bool) -> None:
        self.result = reply
        self._ahead = list(replay.deltas(reply)) if streamed else []

    async def advance(self) -> list[Delta] | None:
        ahead, self._ahead = self._ahead, []
        return ahead or None

    def leave(self) -> None:
        """Nothing is held."""
