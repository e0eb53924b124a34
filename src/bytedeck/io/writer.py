"""A thread that writes what others hand over: one FIFO, group commit, no waiting for the caller.

Nothing is raised out of the thread: who waits for a row gets the error as its verdict, all other
rows that could not be written are told in `lost`. Works on after a fork, and writes what is left
when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from ..errors import LedgerError
from ..ledger.entry import Mark, Opened
from ..types import Intent
from .store import Verdict

# Bounds how long the first row of a batch waits for the last one: 500 rows take about 5 ms.
_BATCH = 500
_MOST_LOST = 1000
# A fork waits for the commit in progress, but not for a database that somebody else has locked.
_FORK_PATIENCE = 1.0


class Job(NamedTuple):
    """A row to write. Without one, `done` is called when all that came before is written or lost."""

    row: Mark | None
    at: int
    """When it was handed over, in microseconds since 1970."""
    done: Callable[[Verdict], None] | None = None


class Sink(Protocol):
    """What the thread writes to, made at the first row. Only the thread calls it, but for `leave`."""

    def write(self, jobs: list[Job]) -> None:
        """Make the rows durable, all or none. May raise anything."""

    def close(self) -> None:
        """Let go of the file; the next `write` opens it again."""

    def leave(self, clean: bool) -> None:
        """In the child of a fork: forget what belongs to the parent. `clean`: nothing was going on."""

    def explain(self, error: Exception) -> LedgerError:
        """The error as a person should read it."""

    def hopeless(self, error: Exception) -> bool:
        """Whether every other row would fail as this one did, perhaps after a long wait."""


_STOP = Job(None, 0)
_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """The thread, started at the first row and again after a `close`."""

    def __init__(self, make: Callable[[], Sink], lost: list[str]) -> None:
        self._make = make
        self._sink: Sink | None = None
        self._lost = lost
        self._renew()
        _writers.add(self)

    def put(self, job: Job) -> None:
        """Hand over a row. Returns at once."""
        self._queue.put(job)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float) -> None:
        """Return when all that was handed over is written or lost, or after `timeout` seconds."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        done = threading.Event()
        self.put(Job(None, 0, lambda _verdict: done.set()))
        done.wait(timeout)

    def stop(self) -> None:
        """Let the thread end after all that was handed over, without waiting for it."""
        if self._thread is not None:
            self._queue.put(_STOP)

    def close(self, timeout: float = 10.0) -> None:
        """Let the thread end, and wait for it."""
        thread = self._thread
        self.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _renew(self) -> None:
        self._queue: SimpleQueue[Job] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._busy = threading.Lock()

    def _start(self) -> None:
        """Start the thread; where there can be none any more, write here and now."""
        thread = threading.Thread(target=self._run, name="bytedeck-ledger", daemon=True)
        with self._starting:
            if self._thread is not None:
                return
            self._thread = threading.current_thread() if _ending else thread
            try:
                if not _ending:
                    thread.start()
                    return
            except RuntimeError:  # too many threads
                self._thread = threading.current_thread()
        self._queue.put(_STOP)
        self._run()

    def _run(self) -> None:
        while True:
            jobs = self._take()
            with self._busy:
                failed = self._write([job for job in jobs if job.row is not None])
            for job in jobs:
                self._tell(job, failed.get(id(job)))
            if any(job is _STOP for job in jobs) and self._left():
                return

    def _take(self) -> list[Job]:
        """Wait for a row and take it, with all that came meanwhile."""
        queue = self._queue
        jobs = [queue.get()]
        for _ in range(min(queue.qsize(), _BATCH)):
            jobs.append(queue.get_nowait())  # nobody else takes
        return jobs

    def _write(self, rows: list[Job]) -> dict[int, Exception]:
        """Write the rows; by identity, those that failed."""
        if not rows:
            return {}
        try:
            self._sink = self._sink or self._make()
            self._sink.write(rows)
        except Exception as exc:  # noqa: BLE001 - the thread must live; the error becomes a verdict
            return self._apart(rows, exc)
        return {}

    def _apart(self, rows: list[Job], error: Exception) -> dict[int, Exception]:
        """Row by row, so that a bad one takes no others along."""
        if self._sink is None or len(rows) == 1:
            return {id(job): error for job in rows}
        failed: dict[int, Exception] = {}
        for job in rows:
            if not self._sink.hopeless(error):
                try:
                    self._sink.write([job])
                    continue
                except Exception as exc:  # noqa: BLE001 - as above
                    error = exc
            failed[id(job)] = error
        return failed

    def _tell(self, job: Job, error: Exception | None) -> None:
        verdict = None if error is None else self._explain(error)
        if job.done is None:
            if verdict is not None and len(self._lost) < _MOST_LOST:
                self._lost.append(_sentence(job, verdict))
            return
        with suppress(Exception):  # this waiter is gone (a closed loop, say); the others are not
            job.done(verdict)

    def _explain(self, error: Exception) -> LedgerError:
        if self._sink is None:  # not even made: Python without sqlite3, say
            return LedgerError(f"The ledger cannot be written: {error}.")
        return self._sink.explain(error)

    def _left(self) -> bool:
        """Let go of the file and the thread. False if there is more to do after all."""
        if self._sink is not None:
            self._sink.close()
        self._thread = None
        # Who put a row meanwhile saw either no thread, and started one, or the row is seen here.
        return self._queue.empty() or not self._claim()

    def _claim(self) -> bool:
        """Be the thread that writes, if there is none."""
        with self._starting:
            if self._thread is not None:
                return False
            self._thread = threading.current_thread()
        return True


def _sentence(job: Job, verdict: LedgerError) -> str:
    assert job.row is not None  # noqa: S101 - only rows fail
    kind = "generation id" if isinstance(job.row, Opened) else "settlement"
    if isinstance(job.row, Intent):
        kind = "intent"
    return f"The {kind} of attempt {job.row.attempt} was not recorded. {verdict}"


# A thread that is started while the interpreter ends would never run, and its starter would hang.
_ending = False


def _close_all() -> None:
    global _ending
    _ending = True
    for writer in list(_writers):
        writer.close()


atexit.register(_close_all)

_held: list[tuple[Writer, bool]] = []


def _before_fork() -> None:
    """No commit in progress is carried into a child."""
    _held[:] = [(writer, writer._busy.acquire(timeout=_FORK_PATIENCE)) for writer in list(_writers)]


def _in_parent() -> None:
    for writer, held in _held:
        if held:
            writer._busy.release()
    _held.clear()


def _in_child() -> None:
    """Queue, thread and file are the parent's: begin anew."""
    for writer, held in _held:
        writer._renew()
        if writer._sink is not None:
            writer._sink.leave(held)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
