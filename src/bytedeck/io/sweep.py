"""Sweeps the ledger now and then, beside the requests: in a short-lived thread that no request waits for.

It starts with the first attempt of a process and after a while again, as long as there are attempts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakMethod

from ..errors import LedgerError

EVERY = 60_000_000
"""Microseconds between two sweeps of one process."""
# A request that has just begun goes first: it would share the interpreter. A short run does not sweep at all.
_AFTER_YOU = 0.25


class Sweeper:
    """One store's. Safe to use from any thread, and after a fork."""

    def __init__(self, sweep: WeakMethod[Callable[[], int]]) -> None:
        """`sweep`: the store's method; who lets go of the store shall not be kept waiting."""
        self._sweep = sweep
        self._swept_at: int | None = None
        self._is_wanted = False
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, at: int) -> None:
        """An attempt was begun, at this moment (microseconds since 1970). Returns at once."""
        if self._swept_at is not None and 0 <= at - self._swept_at < EVERY:
            return
        self._swept_at = at
        bell = threading.Event()
        thread = threading.Thread(target=self._run, args=(bell,), name="bytedeck-sweep", daemon=True)
        with suppress(RuntimeError):  # too many threads, or the interpreter ends: another process will
            thread.start()
            self._bell, self._thread = bell, thread

    def want(self) -> None:
        """Somebody waits for what the dead hold: the sweep that is due is made also where the process ends before."""
        self._is_wanted = True

    def close(self, timeout: float = 1.0) -> None:
        """Let the thread end, and wait for it. The next attempt starts another one."""
        thread, self._swept_at = self._thread, None
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            self._bell.set()
            thread.join(timeout)

    def _run(self, bell: threading.Event) -> None:
        if bell.wait(_AFTER_YOU) and not self._is_wanted:
            return
        self._is_wanted = False
        sweep = self._sweep()
        if sweep is not None:
            with suppress(LedgerError, ImportError):  # who writes is told what is wrong with the file
                sweep()
