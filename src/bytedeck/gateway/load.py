"""What the gateway takes on at once: requests that run, requests that wait for their turn, bytes of their bodies.

Whatever goes beyond that is refused at once, with 503 and Retry-After. Who waits is served key by key, in turn, so
that one key cannot keep the others out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from ..errors import ModelUnavailable
from ..types import Ask, Delta, Reply
from .asgi import Headers

RETRY_AFTER = 1.0
"""Seconds after which it is worth asking again."""


class Overloaded(ModelUnavailable):
    """The gateway has too much to do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why} Ask again in a moment.", code="unavailable", retry_after=RETRY_AFTER)


class Answer(Protocol):
    """What drives a request (`AsyncHub.answer`)."""

    @property
    def result(self) -> Reply: ...

    async def advance(self) -> list[Delta] | None: ...

    def leave(self) -> None: ...


Begin: TypeAlias = Callable[[Ask, Headers], Awaitable[Answer]]
"""Begins a request, and may add headers to its answer."""


class Gate:
    """So many may be inside at once, and so many more may wait. Belongs to one event loop."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self.most, self.most_waiting = most, most_waiting
        self.inside = 0
        self.waiting = 0
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, by key. The first key is the next one's turn."""

    def gauges(self) -> dict[str, Callable[[], float]]:
        """What is to be watched, by its name."""
        return {
            "byte_requests_running": lambda: self.inside,
            "byte_requests_waiting": lambda: self.waiting,
        }

    def check(self, key: str) -> None:
        """Raises Overloaded where `enter` would: cheap, for before a body is read."""
        if self.inside >= self.most and self._is_full(key) and self._longest(key) is None:
            raise self._overloaded()

    async def enter(self, key: str) -> None:
        """Wait for one's turn. Raises Overloaded. Whoever has entered has to `leave`."""
        if self.inside < self.most and not self.waiting:
            self.inside += 1
            return
        if self._is_full(key):
            self._send_away(key)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(key, deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # it was let in just as it went away
            else:
                self._forget(key, turn)
            raise

    def leave(self) -> None:
        """Make room for the next one."""
        while self._lines:
            key, line = next(iter(self._lines.items()))
            turn = line.popleft()
            self.waiting -= 1
            del self._lines[key]
            if line:
                self._lines[key] = line  # behind all other keys
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1

    def _is_full(self, key: str) -> bool:
        return self.waiting >= self.most_waiting

    def _send_away(self, key: str) -> None:
        """Make room in the queue: the last one of the key with most of them waiting. Raises Overloaded where that is
        this key itself."""
        longest = self._longest(key)
        if longest is None:
            raise self._overloaded()
        turn = self._lines[longest][-1]
        self._forget(longest, turn)
        if not turn.done():
            turn.set_exception(self._overloaded())

    def _longest(self, key: str) -> str | None:
        """The key that has more waiting than this one would have; None where there is none."""
        longest = max(self._lines, key=lambda name: len(self._lines[name]), default=None)
        mine = len(self._lines.get(key, ())) + 1
        return longest if longest is not None and len(self._lines[longest]) > mine else None

    def _forget(self, key: str, turn: asyncio.Future[None]) -> None:
        line = self._lines.get(key)
        if line is not None and turn in line:
            line.remove(turn)
            self.waiting -= 1
            if not line:
                del self._lines[key]

    def _overloaded(self) -> Overloaded:
        waits = f", and {self.waiting:,} wait" if self.most_waiting else ""
        return Overloaded(
            f"The gateway answers {self.inside:,} requests just now{waits}: that is all it takes."
        )


class Bodies:
    """The bytes of all request bodies that are being read or answered."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def gauges(self) -> dict[str, Callable[[], float]]:
        """What is to be watched, by its name."""
        return {"byte_body_bytes": lambda: self.held}

    def check(self, size: int) -> None:
        """Raises Overloaded where there is no room for so many more."""
        if self.held and self.held + size > self.most:  # one alone is bounded by `max_body`
            raise Overloaded(f"The bodies of running requests hold {self.held / (1 << 20):,.0f} MB already.")


class Share:
    """One request's part of `Bodies`, for the length of a `with`."""

    __slots__ = ("_bodies", "_size")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self._size = bodies, 0

    def expect(self, size: int) -> None:
        """So many bytes are said to come: nothing is taken yet, or who only says so would block all others."""
        self._bodies.check(size)

    def take(self, size: int) -> None:
        """So many bytes have come. Raises Overloaded."""
        self._bodies.check(size)
        self._bodies.held += size
        self._size += size

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held -= self._size
        self._size = 0


class Turn:
    """An answer that has a place inside, until it is left."""

    def __init__(self, drive: Answer, gate: Gate) -> None:
        self._drive, self._gate = drive, gate
        self._has_left = False
        self.advance = drive.advance

    @property
    def result(self) -> Reply:
        return self._drive.result

    def leave(self) -> None:
        """Idempotent."""
        if not self._has_left:
            self._has_left = True
            self._gate.leave()
        self._drive.leave()


async def take_turn(gate: Gate, begin: Callable[[Ask], Awaitable[Answer]], ask: Ask) -> Turn:
    """Begin a request once it is its key's turn. Raises Overloaded."""
    await gate.enter(ask.caller.name if ask.caller is not None else "")
    try:
        return Turn(await begin(ask), gate)
    except BaseException:
        gate.leave()
        raise
