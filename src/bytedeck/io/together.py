"""Before the store, in an event loop: where attempts begin one upon the other, those of some 2 ms share one commit.

Who is alone, or begins a while after the others, goes straight through. A commit costs more than the rows in it, and in a
loop that begins a thousand attempts a second everybody waits for everybody's.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from ..claims import Claim, Granted
from ..types import Intent, Settlement
from .store import Beginning, Receiver, Verdict

CLOSE = 0.001
"""Seconds after another one within which an attempt is worth keeping for company."""
COMPANY = 0.002
"""Seconds for which it is kept at most."""
ENOUGH = 16
"""So many go at once: a larger commit saves little more, and its first one waits for its last."""


class Together:
    """One loop's. Begin in the loop's own thread; the other marks may come from any."""

    def __init__(
        self,
        receiver: Receiver,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self.mark = receiver.mark  # nobody waits for it
        self._loop = loop
        self._clock = clock
        self._last = 0.0
        """When an attempt last began."""
        self._running: set[str] = set()
        """Attempts that were begun here, and not settled."""
        self._waiting: deque[Beginning] = deque()
        self._names: set[str] = set()
        """The attempts that wait."""

    def is_for(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it stands before this receiver, in this loop."""
        return self._receiver is receiver and self._loop is loop

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        """See `Store.begin`."""
        now = self._clock()
        has_company, self._last = bool(self._running) and now - self._last < CLOSE, now
        self._running.add(intent.attempt)
        if claim is not None:
            done = self._telling(intent.attempt, done)
        if not (self._waiting or has_company):
            self._receiver.begin(intent, done, claim)
            return
        if not self._waiting:
            self._loop.call_later(COMPANY, self._hand_over)
        self._names.add(intent.attempt)
        self._waiting.append(Beginning(intent, done, claim))
        if len(self._waiting) >= ENOUGH:
            self._hand_over()

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        """See `Store.begin_all`."""
        for one in beginnings:
            self.begin(one.intent, one.done, one.claim)

    def settle(self, settlement: Settlement) -> None:
        """See `Store.settle`. No settlement overtakes its intent."""
        if settlement.attempt in self._names:
            self._hand_over()
        self._running.discard(settlement.attempt)
        self._receiver.settle(settlement)

    def _telling(self, attempt: str, done: Callable[[Verdict], None]) -> Callable[[Verdict], None]:
        """What a limit has kept back does not run, and is never settled."""

        def told(verdict: Verdict) -> None:
            if not isinstance(verdict, Granted):
                self._running.discard(attempt)
            done(verdict)

        return told

    def _hand_over(self) -> None:
        """What waits, each once: a finalizer may come here in the midst of it, and from another thread."""
        waiting, found = self._waiting, []
        while waiting:
            found.append(waiting.popleft())
        for one in found:
            self._names.discard(one.intent.attempt)
        if found:
            self._receiver.begin_all(found)
