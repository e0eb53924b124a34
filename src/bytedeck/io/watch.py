"""How models and keys are doing, by this process's own attempts and those of all who share the ledger.

It stands before the store: what a driver writes passes through and is noted, which takes no lock, so that a
finalizer may do it. What others have written is read at most once a second, by a short-lived thread. No request
ever fails by it: what cannot be read leaves what this process itself has seen.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..call.breaker import SECOND
from ..call.health import HORIZON, SET_BACK, Book
from ..claims import Claim, Denied, Later
from ..errors import LedgerError
from ..health import Health, Seen
from ..types import Intent, Settlement
from .clock import wall
from .store import Beginning, Cursor, Recent, Store, Verdict

EVERY = SECOND
"""How often others' rows are read, while there are requests."""
# Noted and not yet looked at: every request looks.
_MOST_NOTED = 20_000
# So many of others' attempts are folded before whoever else waits has a turn.
_AT_ONCE = 100
# The thread lets the request go first that started it: it would hold the interpreter for a millisecond.
_AFTER_YOU = 0.01

_watches: weakref.WeakSet[Watch] = weakref.WeakSet()


class Watch:
    """One house's view. Safe to use from any thread, and after a fork."""

    def __init__(self, store: Store, clock: Callable[[], int] = wall) -> None:
        """`clock`: microseconds since 1970. Does no I/O."""
        self._store = store
        self.mark = store.mark  # it says nothing of a model
        self._clock = clock
        self._noted: deque[Seen | tuple[Settlement, int]] = deque(maxlen=_MOST_NOTED)
        """What has begun, and what has ended and when."""
        self._renew()
        _watches.add(self)

    def _renew(self) -> None:
        self._book = Book()
        self._own: dict[str, None] = {}
        """Attempts that this process has begun: what the store tells of them is known."""
        self._cursor = Cursor()
        self._read_at = 0
        self._has_read = False
        self._reader: threading.Thread | None = None
        self._lock = threading.RLock()  # of the book; a signal's handler may come here while it is held
        self._reading = threading.Lock()

    # What a driver writes

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        """See `Store.begin`. What is not written runs all the same, unless a limit has refused it."""
        if claim is None:
            self._note(intent)
        else:
            done = self._noting(intent, done)
        self._store.begin(intent, done, claim)

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        """See `Store.begin_all`, and `begin`."""
        rows: list[Beginning] = []
        for one in beginnings:
            if one.claim is None:
                self._note(one.intent)
                rows.append(one)
            else:
                rows.append(Beginning(one.intent, self._noting(one.intent, one.done), one.claim))
        self._store.begin_all(rows)

    def _note(self, intent: Intent) -> None:
        key = intent.upstream_key or intent.key
        self._noted.append(Seen(attempt=intent.attempt, model=intent.model, key=key, begun=self._clock()))

    def _noting(self, intent: Intent, done: Callable[[Verdict], None]) -> Callable[[Verdict], None]:
        """For an attempt that a limit may keep back: it begins with the verdict."""

        def told(verdict: Verdict) -> None:
            if not isinstance(verdict, Later | Denied):
                self._note(intent)
            done(verdict)

        return told

    def settle(self, settlement: Settlement) -> None:
        """See `Store.settle`."""
        self._noted.append((settlement, self._clock()))
        self._store.settle(settlement)

    # What a request asks

    def health(self) -> Health:
        """The snapshot of this moment. The very first call reads the ledger, if there is one; no other call waits."""
        at = self._clock()
        if not 0 <= at - self._read_at < EVERY:
            self._keep_up(at)
        with self._lock:
            self._take()
            return self._book.snapshot(at)

    def claim_model(self, model: str, request: str) -> bool:
        """Whether this request may try a half-open model (`Book.claim_model`)."""
        with self._lock:
            self._take()
            return self._book.claim_model(model, request, self._clock())

    def claim_key(self, label: str, request: str) -> bool:
        """Whether this request may try a half-open key."""
        with self._lock:
            self._take()
            return self._book.claim_key(label, request, self._clock())

    # What others have seen

    def is_behind(self) -> bool:
        """Whether the ledger is there and was never read, so that `health` would have to wait for it."""
        return not self._has_read and self._store.is_shared()

    def catch_up(self) -> None:
        """Read now, and wait for it, unless somebody reads at this moment. Raises nothing."""
        with suppress(LedgerError, ImportError):  # no sqlite3 in this Python, say: who writes is told
            self.read()

    def read(self) -> None:
        """As `catch_up`, for who asks on purpose. Raises LedgerError."""
        if not self._reading.acquire(blocking=False):
            return
        try:
            self._has_read, self._read_at = True, self._clock()
            store = self._store
            if store.is_shared():
                self._fold(store.recent(self._read_at - HORIZON, self._cursor, self._own))
        finally:
            self._reading.release()

    def close(self, timeout: float = 1.0) -> None:
        """Wait for the thread that reads, if there is one."""
        reader = self._reader
        if reader is not None and reader is not threading.current_thread():
            reader.join(timeout)

    def _keep_up(self, at: int) -> None:
        if not self._has_read:
            self.catch_up()
            return
        with self._lock:
            if 0 <= at - self._read_at < EVERY or (self._reader is not None and self._reader.is_alive()):
                return
            self._read_at = at
        if self._store.is_shared():
            self._start()

    def _start(self) -> None:
        reader = threading.Thread(target=self._look_around, name="bytedeck-health", daemon=True)
        try:
            reader.start()
        except RuntimeError:  # too many threads, or the interpreter ends
            return
        self._reader = reader

    def _look_around(self) -> None:
        time.sleep(_AFTER_YOU)
        self.catch_up()

    def _take(self) -> None:
        """Fold what was noted. Only with the lock."""
        noted, book = self._noted, self._book
        while noted:
            row = noted.popleft()
            if isinstance(row, tuple):
                book.settled(*row)
            else:
                self._own[row.attempt] = None
                book.begun(row)
        while len(self._own) > _MOST_NOTED:
            del self._own[next(iter(self._own))]

    def _fold(self, recent: Recent) -> None:
        # What was written before the clock was set back may be in the future.
        latest = self._clock() + SET_BACK
        for start in range(0, len(recent.seen), _AT_ONCE):
            with self._lock:
                self._take()
                for seen in recent.seen[start : start + _AT_ONCE]:
                    if (seen.ended or seen.begun) <= latest:
                        self._others(seen)
        with self._lock:
            for attempt in recent.own:
                self._own.pop(attempt, None)
            for lesson in recent.learnt:
                self._book.learn(lesson)
        self._cursor = recent.next

    def _others(self, seen: Seen) -> None:
        if seen.attempt in self._own:
            if seen.ended is not None:
                del self._own[seen.attempt]
        elif seen.ended is None:
            self._book.begun(seen)
        else:
            self._book.ended(seen)


def _in_child() -> None:
    """Locks and the thread are the parent's: begin anew."""
    for watch in _watches:
        watch._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
