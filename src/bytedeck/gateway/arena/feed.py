"""What happens in one match, for all in this process who watch it: encoded once, and the same bytes go to everybody.

Nobody holds up anybody here: who can take a piece at once is handed it, and everybody else is woken to send it himself.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Struct

from ...arena.events import Ended, Event, Resumed
from ...arena.types import Match
from ...io.matches import Standing, noted
from .frames import frame
from .seen import Form, event_as

MEMORY = 8 << 20
"""Bytes of events that are kept here, about; older ones are read from the store."""
PIECE = 256 << 10
"""Bytes that are written to one watcher at a time, about: who comes late, and reads nothing, keeps no more than that waiting."""
_FRAME = 600
"""Bytes of an event besides its text, about: itself, and as it is told."""


class Sight(Struct, frozen=True):
    """In which form somebody sees a match."""

    form: Form = "whole"
    is_named: bool = True
    """Whether each event has its type's name in the stream: `EventSource.onmessage` hears only those without."""


class Listener(Protocol):
    """One who watches."""

    at: int
    """The number of the event that it wants next."""
    sight: Sight

    def pour(self, framed: bytes) -> bool:
        """Take a chunk of a body (RFC 9112 7.1) at once; False: it cannot, or does not want to."""


class _Row(Struct):
    event: Event
    frames: dict[Sight, bytes]
    size: int


class Feed:
    """Of one match, from the event `first` on. Belongs to one event loop."""

    def __init__(self, match: Match, first: int, standing: Standing = Standing()) -> None:  # noqa: B008 (frozen)
        """`standing`: of the match before that event."""
        self.match = match
        self.standing = standing
        """When it was taken up again, up to the last event here; nothing else of it is kept up."""
        self.first = first
        """The number of the oldest event that is kept here."""
        self.watchers = 0
        self.is_over = False
        self.is_left = False
        """Whether nothing more comes from here, though the match is not over."""
        self._rows: list[_Row] = []
        self._size = 0
        self._joined: dict[tuple[int, Sight], tuple[bytes, int]] = {}
        """What those who are at one place are to be told, until more happens; and where they are then."""
        self._chunks: dict[tuple[int, Sight], bytes] = {}
        """The same as chunks of a body."""
        self._waiting: dict[Listener, asyncio.Future[None]] = {}
        self._is_due = False
        self._heartbeat = 0.0
        self._beat: asyncio.TimerHandle | None = None

    @property
    def next(self) -> int:
        """The number that the next event will have."""
        return self.first + len(self._rows)

    @property
    def last(self) -> Event | None:
        """The last event that is kept here."""
        return self._rows[-1].event if self._rows else None

    def tell(self, event: Event) -> None:
        """What happened next. What was told before is passed over."""
        if event.seq != self.next:
            return
        row = _Row(event, {}, _FRAME + 2 * len(getattr(event, "text", "")))
        if isinstance(event, Resumed):
            self.standing = noted(self.standing, event)
        self._rows.append(row)
        self._size += row.size
        self._trim()
        self._joined.clear()
        self._chunks.clear()
        self.is_over = isinstance(event, Ended)
        self._happened()

    def leave(self) -> None:
        """Nothing more comes from here."""
        self.is_left = True
        self._happened()

    def since(self, at: int, sight: Sight) -> tuple[bytes, int]:
        """A piece of the events from number `at` on, which is not before `first`; and the number of the one after it."""
        key = at, sight
        found = self._joined.get(key)
        if found is None:
            told: list[bytes] = []
            size, place = 0, at - self.first
            while place < len(self._rows) and size < PIECE:
                told.append(self._frame(self._rows[place], sight))
                size, place = size + len(told[-1]), place + 1
            found = self._joined[key] = b"".join(told), max(at, self.first + place)
        return found

    def _frame(self, row: _Row, sight: Sight) -> bytes:
        found = row.frames.get(sight)
        if found is None:
            told, life = event_as(self.match, row.event, sight.form), self.standing.life(row.event.seq)
            found = row.frames[sight] = frame(told, life, sight.is_named)
        return found

    def _trim(self) -> None:
        """Forget the older half, which is written long since, where that is too much."""
        if self._size > MEMORY and len(self._rows) > 1:
            gone = self._rows[: len(self._rows) // 2]
            del self._rows[: len(gone)]
            self.first += len(gone)
            self._size -= sum(row.size for row in gone)

    # -- who waits ---------------------------------------------------------------------------------

    async def news(self, listener: Listener, heartbeat: float) -> None:
        """Wait for something that the listener has to do itself: its next event, the end, or a sign of life.

        Meanwhile what happens is poured out to it, as long as it takes that.
        """
        if self.next > listener.at or self.is_over or self.is_left:
            return
        loop = asyncio.get_running_loop()
        if self._beat is None:  # one clock for all
            self._heartbeat = heartbeat
            self._beat = loop.call_later(heartbeat, self._wake)
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting[listener] = turn
        try:
            await turn
        finally:
            if self._waiting.get(listener) is turn:
                del self._waiting[listener]
            if not self._waiting:
                self._stop_beat()

    def _happened(self) -> None:
        """Tell of it in a moment: of all that happens until then at once."""
        if not self._is_due and self._waiting:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._pour)

    def _pour(self) -> None:
        self._is_due = False
        self._stop_beat()
        is_end = self.is_over or self.is_left
        for listener, turn in list(self._waiting.items()):
            if (is_end or not self._took(listener)) and not turn.done():
                turn.set_result(None)
        if self._waiting and not is_end:
            self._beat = asyncio.get_running_loop().call_later(self._heartbeat, self._wake)

    def _took(self, listener: Listener) -> bool:
        if listener.at < self.first:
            return False
        if listener.at < self.next:
            key = listener.at, listener.sight
            data, at = self.since(*key)
            framed = self._chunks.get(key)
            if framed is None:
                framed = self._chunks[key] = b"%x\r\n%b\r\n" % (len(data), data)
            if not listener.pour(framed):
                return False
            listener.at = at
        return listener.at >= self.next  # else it goes on by itself

    def _wake(self) -> None:
        """A sign of life is due."""
        self._stop_beat()
        for turn in self._waiting.values():
            if not turn.done():
                turn.set_result(None)

    def _stop_beat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
