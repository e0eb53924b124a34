"""Writes what others hand over, in one FIFO: by whoever comes where that is quick, else in a thread.

Who hands over a row while nobody writes has the turn and writes it here and now: handing it to a
thread and back costs more than the row. Who comes in another's turn only queues, and the next round
writes all that came meanwhile in one commit. The thread does what may take long (open the file, wait
for a lock, tidy up) and what fails: no caller waits for that. Nothing is raised: who waits for a row
gets the error as its verdict, all other rows that could not be written are told in `lost`. Works on
after a fork, and writes what is left when the interpreter ends.
"""

from __future__ import annotations

import atexit
import enum
import os
import threading
import time
import weakref
from collections import deque
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
# What a caller writes for others before it leaves them to the thread: four times 64 rows, some 3 ms.
_FEW = 64
_ROUNDS = 4
_MOST_LOST = 1000
# A fork waits for the commit in progress, but not for a database that somebody else has locked.
_FORK_PATIENCE = 1.0


class Job(NamedTuple):
    """A row to write. Without one, `done` is called when all that came before is written or lost."""

    row: Mark | None
    at: int
    """When it was handed over, in microseconds since 1970."""
    done: Callable[[Verdict], None] | None = None
    close: bool = False
    """Whether to let go of the file, too."""


class Sink(Protocol):
    """What is written to. Only who has the turn calls it, and all but `write_now` only the thread."""

    def write_now(self, jobs: list[Job]) -> bool:
        """Make the rows durable, all or none, without waiting. False: none is, `write` them."""

    def write(self, jobs: list[Job]) -> None:
        """Make the rows durable, all or none. Opens the file, waits for locks. May raise anything."""

    def untidy(self) -> bool:
        """Whether it is time to `tidy`."""

    def tidy(self) -> None:
        """Do what writing leaves for later."""

    def close(self) -> None:
        """Let go of the file; the next `write` opens it again."""

    def leave(self, clean: bool) -> None:
        """In the child of a fork: forget what belongs to the parent. `clean`: nothing was going on."""

    def explain(self, error: Exception) -> LedgerError:
        """The error as a person should read it."""

    def hopeless(self, error: Exception) -> bool:
        """Whether every other row would fail as this one did, perhaps after a long wait."""


class _Turn(NamedTuple):
    """The right to write; compared by identity."""

    thread: int


class _Then(enum.Enum):
    """What follows a try to have the turn."""

    NOTHING = "somebody else has it, and looks at the queue once more when it is over"
    LOOK = "look at the queue once more: who came during the turn relies on it"
    CALL = "call the thread"
    END = "the file is closed: the thread may go"


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """The queue, the turn, and the thread: started at the first row and again after a `close`."""

    def __init__(self, make: Callable[[], Sink], lost: list[str]) -> None:
        self._make = make
        self._sink: Sink | None = None
        self._lost = lost
        self._renew()
        _writers.add(self)

    def _renew(self) -> None:
        self._queue: deque[Job] = deque()
        self._turn: dict[None, _Turn] = {}  # whose it is; empty: nobody's
        self._thread: threading.Thread | None = None
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._starting = threading.RLock()

    def put(self, job: Job) -> None:
        """Hand over a row. Never waits for anybody."""
        self._queue.append(job)
        then = _Then.CALL  # also where a Ctrl-C gets us out of here: the row is queued still
        try:
            for _ in range(_ROUNDS):
                then = self._in_turn(self._write_few)
                if then is not _Then.LOOK or not self._queue:
                    return
            then = _Then.CALL
        finally:
            if then is _Then.CALL:
                self._call()

    def flush(self, timeout: float) -> None:
        """Return when all that was handed over is written or lost, or after `timeout` seconds."""
        if self._pending() and not self._in_my_turn():
            self._put_and_wait(timeout)

    def stop(self) -> None:
        """Let go of the file and the thread after all that was handed over, without waiting for it."""
        if self._thread is not None or self._pending():
            self.put(Job(None, 0, close=True))

    def close(self, timeout: float = 10.0) -> None:
        """Let go of the file and the thread after all that was handed over, and wait for it."""
        thread = self._thread
        if self._in_my_turn():
            self.stop()
        elif thread is not None or self._pending():
            self._put_and_wait(timeout, close=True)
            if thread is not None and thread is not threading.current_thread():
                thread.join(timeout)

    def _put_and_wait(self, timeout: float, *, close: bool = False) -> None:
        done = threading.Event()
        self.put(Job(None, 0, lambda _verdict: done.set(), close))
        done.wait(timeout)

    def _pending(self) -> bool:
        return bool(self._queue or self._turn)

    def _in_my_turn(self) -> bool:
        """Whether somebody's `done` asks, who would wait for itself."""
        turn = self._turn.get(None)
        return turn is not None and turn.thread == threading.get_ident()

    def _in_turn(self, work: Callable[[], _Then]) -> _Then:
        """Do it in a turn of one's own, if nobody has the turn."""
        turns, mine = self._turn, _Turn(threading.get_ident())
        try:
            # Atomic, and waits for nobody: not even for ourselves, where a finalizer or a signal's
            # handler hands over a row in the middle of our turn.
            if turns.setdefault(None, mine) is not mine:
                return _Then.NOTHING
            return work()
        finally:
            # Without a call: Python raises a Ctrl-C only after calls, and every turn must end.
            if None in turns and turns[None] is mine:
                del turns[None]

    def _write_few(self) -> _Then:
        """A round on a caller's thread. Whatever is not plain sailing is left to the thread."""
        jobs = self._first(_FEW)
        if not jobs:
            return _Then.LOOK
        sink = self._sink
        if sink is None or any(job.close for job in jobs):
            return _Then.CALL
        rows = [job for job in jobs if job.row is not None]
        if rows and not sink.write_now(rows):
            return _Then.CALL
        self._tell_all(jobs, {})
        return _Then.CALL if sink.untidy() else _Then.LOOK

    def _write_all(self) -> _Then:
        """A round on the thread, however long it takes."""
        jobs = self._first(_BATCH)
        failed = self._write([job for job in jobs if job.row is not None])
        end = any(job.close for job in jobs)
        if end and self._sink is not None:
            self._sink.close()
        self._tell_all(jobs, failed)
        if self._sink is not None and self._sink.untidy():
            self._sink.tidy()
        return _Then.END if end else _Then.LOOK

    def _first(self, most: int) -> list[Job]:
        """The oldest rows. They stay in the queue until they are told."""
        queue = self._queue
        return [queue[place] for place in range(min(len(queue), most))]

    def _tell_all(self, jobs: list[Job], failed: dict[int, Exception]) -> None:
        queue = self._queue
        for job in jobs:
            self._tell(job, failed.get(id(job)) if failed else None)
            queue.popleft()

    def _call(self) -> None:
        """Have the thread do what is left; where there can be none, do it here and now."""
        if self._thread is not None or self._start():
            self._calls.put(None)
        else:
            self._work()

    def _start(self) -> bool:
        """Start the thread, if there is none. False: there can be none."""
        with self._starting:
            if self._thread is not None:
                return True
            if _ending:
                return False
            thread = threading.Thread(target=self._run, args=(self._calls,), daemon=True)
            thread.name = "bytedeck-ledger"
            self._thread = thread  # first: a finalizer may hand over a row while it starts
            try:
                thread.start()
            except RuntimeError:  # too many threads
                self._thread = None
            return self._thread is not None

    def _run(self, calls: SimpleQueue[None]) -> None:
        """The thread: what it is called for, until the file is closed."""
        then = _Then.LOOK
        while then is not _Then.END:
            calls.get()
            then = self._work()
        self._calls = SimpleQueue()
        self._thread = None
        # Who came in our last turn, or called us after it, saw us and relied on us.
        if self._queue:
            self._call()

    def _work(self) -> _Then:
        """Rounds until nothing is left, or somebody else has the turn. END: the file was closed."""
        then = self._in_turn(self._write_all)
        while then is _Then.LOOK and self._queue:
            then = self._in_turn(self._write_all)
        return then

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

    def _seize(self, patience: float) -> _Turn | None:
        """Take the turn and keep it; None if somebody else kept it for so long."""
        until = time.monotonic() + patience
        mine = _Turn(threading.get_ident())
        while self._turn.setdefault(None, mine) is not mine:
            if self._in_my_turn() or time.monotonic() >= until:
                return None
            time.sleep(0.0005)
        return mine


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

_held: list[tuple[Writer, _Turn | None]] = []


def _before_fork() -> None:
    """No commit in progress is carried into a child."""
    _held[:] = [(writer, writer._seize(_FORK_PATIENCE)) for writer in list(_writers)]


def _in_parent() -> None:
    for writer, turn in _held:
        if turn is not None:
            del writer._turn[None]
            if writer._queue:  # who came meanwhile relies on us
                writer._call()
    _held.clear()


def _in_child() -> None:
    """Queue, turn, thread and file are the parent's: begin anew."""
    for writer, turn in _held:
        writer._renew()
        if writer._sink is not None:
            writer._sink.leave(turn is not None)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
