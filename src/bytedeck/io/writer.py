"""Writes what is handed over, in one FIFO with group commit: a thread, or who has to wait for a row anyway.

A row that somebody waits for (`write`) takes what nobody waits for along, here and now, where that costs no
waiting; else the thread writes it. What nobody waits for (`put`) is on disk within `_LINGER`.

A Ctrl-C may be raised after any call. So who writes on the spot takes rows from the queue only when they are
written: a mark or a settlement may be written twice, which does nothing, but is never lost.

Nothing is raised: who waits for a row gets the error as its verdict; all other rows that could not be written
are tried again (`backlog.py`) where the reason may pass, and else told in `lost`. Works on after a fork, and
writes what is left when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..claims import GRANTED
from ..errors import LedgerError
from ..types import Intent, Settlement
from .backlog import Backlog, comes_again, sentence
from .sink import Job, Sink, Verdicts
from .store import NOTHING_OWED, Owed, Verdict

# Bounds how long the first row of a batch waits for the last one: 500 rows take about 5 ms.
_BATCH = 500
# How long a row that nobody waits for may wait for company. It is what a kill -9 can lose.
_LINGER = 0.01
# How long the thread leaves the rows to those who write them along, before it looks after the file itself.
_LEAVE_TO_OTHERS = 0.25
# What a caller writes along with its own row; a longer queue is the thread's.
_ALONG = 100
_MOST_LOST = 1000
# Rows that are tried one by one on a disk that takes no more: a smaller one may still fit.
_STRIKES = 8
# Seconds for which an end is put off by rows that cannot be written. Who waits for its prompt to come back does not
# free space meanwhile, and for a lock each try waits by itself.
_LAST_PATIENCE = 1.0
# Seconds after which the sink is looked after, though nothing comes.
_IDLE = 30.0
# A fork waits for the commit in progress, but not for a database that somebody else has locked.
_FORK_PATIENCE = 1.0


_STOP = Job(None, 0)
_REST = Job(None, 0)
"""As `_STOP`, and what could not be written is kept for the next thread."""
_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """The queue and its thread, which is started at the first row and again after a `close`."""

    _rung: bool

    def __init__(self, make: Callable[[], Sink], lost: list[str]) -> None:
        self._make = make
        self._sink: Sink | None = None
        self._lost = lost
        self._renew()
        _writers.add(self)

    def put(self, job: Job) -> None:
        """Hand over a row that nobody waits for. Returns at once; safe within a garbage collection."""
        self._queue.append(job)
        if not self._rung:
            self._rung = True
            self._bell.put(False)
        if self._thread is None:
            self._start()

    def write(self, jobs: Sequence[Job]) -> None:
        """Write rows that somebody waits for: here and now, or as soon as the thread can. Never waits."""
        verdicts, busy = None, self._busy
        # Between a call and a `try` behind it a signal may raise, and the lock would stay; before a loop's body not.
        for is_held in map(busy.acquire, (False,)):
            if is_held:
                try:
                    verdicts = self._written_along(jobs)
                finally:
                    busy.release()
        for job in jobs:
            if verdicts is None:
                self._hurry(job)
            else:
                self._tell(job, verdicts.get(id(job), GRANTED))

    def flush(self, timeout: float) -> None:
        """Return when all that was handed over is written, owed or lost, or after `timeout` seconds."""
        thread = self._thread
        if thread is threading.current_thread() or (thread is None and not self._backlog):
            return
        done = threading.Event()
        self._hurry(Job(None, 0, lambda _verdict: done.set()))
        done.wait(timeout)

    def stop(self) -> None:
        """Let the thread end after all that was handed over, without waiting for it."""
        if self._thread is not None or self._backlog:
            self._hurry(_STOP)

    @property
    def owed(self) -> Owed:
        """What could not be written yet."""
        rows, why = len(self._backlog), self._backlog.why
        return Owed(rows, str(why)) if rows and why is not None else NOTHING_OWED

    def close(self, timeout: float = 15.0) -> None:
        """Let the thread end, and wait for it."""
        with self._starting:  # a thread that somebody is about to start cannot be waited for
            thread = self._thread
        self.stop()
        thread = thread or self._thread  # which `stop` has started for what is owed
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _renew(self) -> None:
        self._unbegun: deque[str] = deque(maxlen=_MOST_LOST)
        """Attempts whose intent could not be written."""
        self._queue: deque[Job] = deque()
        # Rings the thread: True to write now, False to linger first. Unlike an Event, it may be rung
        # by a finalizer in the midst of being rung.
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._rung = False  # since the thread last took
        self._emptied = 0.0  # when somebody else last took all there was
        self._most = _BATCH
        self._backlog = Backlog()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._busy = threading.Lock()  # held by who takes from the queue and writes

    def _hurry(self, job: Job) -> None:
        self._queue.append(job)
        self._bell.put(True)
        if self._thread is None:
            self._start()

    def _written_along(self, jobs: Sequence[Job]) -> Verdicts | None:
        """Write these rows and those before them, if that can be done at once; else None.

        Not where others wait for theirs, or for their turn: the thread was told, and takes all of them at once.
        """
        queue, sink = self._queue, self._sink
        if sink is None or self._backlog or len(queue) > _ALONG:
            return None
        before = []
        for at in range(len(queue)):  # while others may append to it
            other = queue[at]
            if other.row is None or other.done is not None:
                return None
            before.append(other)
        verdicts = sink.write_at_once([*before, *jobs])
        if verdicts is not None:
            for _ in before:
                queue.popleft()
            self._emptied = time.monotonic()
        return verdicts

    def _start(self) -> None:
        """Start the thread; where there can be none any more, write here and now."""
        thread = threading.Thread(target=self._run, name="bytedeck-ledger", daemon=True)
        with self._starting:
            if self._thread is not None:
                return
            _see_to_the_end()
            self._thread = threading.current_thread() if _ending else thread
            try:
                if not _ending:
                    thread.start()
                    return
            except RuntimeError:  # too many threads
                self._thread = threading.current_thread()
            except BaseException:  # a Ctrl-C; should it run all the same, it sees that it is not the one
                self._thread = None
                raise
        self._queue.append(_STOP if _ending else _REST)
        self._bell.put(True)
        self._run()

    def _run(self) -> None:
        with self._starting:
            is_ours = self._thread is threading.current_thread()
        try:
            while is_ours:
                is_ours = self._turn()
        except BaseException:  # no memory, say: the next row starts another thread
            self._thread = None
            raise

    def _turn(self) -> bool:
        """Write what is there. False once the thread shall end."""
        # Woken to linger first, unless somebody waits.
        with suppress(Empty):
            if not self._bell.get(timeout=self._backlog.wait if self._backlog else _IDLE):
                self._linger()
        with self._busy:
            self._rung = False
            jobs = self._take()
            verdicts = self._written(jobs)
            if self._sink is not None:
                self._sink.tidy()
        for job in jobs:
            if job.done is not None:
                with suppress(BaseException):  # a callback that exits does so alone
                    self._tell(job, verdicts.get(id(job), GRANTED))
        if not any(job is _STOP or job is _REST for job in jobs):
            return True
        self._leave(for_good=any(job is _STOP for job in jobs))
        return False

    def _linger(self) -> None:
        """Wait for company, but not where somebody rings who waits himself.

        As long as who writes on the spot takes all there is along, the thread stays out of the way: at each of its
        statements it would have to wait for the interpreter again, while everybody waits for it.
        """
        began = time.monotonic()
        while (
            left := max(began, min(self._emptied, began + _LEAVE_TO_OTHERS)) + _LINGER - time.monotonic()
        ) > 0:
            with suppress(Empty):
                self._bell.get(timeout=left)
                return

    def _take(self) -> list[Job]:
        """What is there, in its order; of more than a batch the rest is for the next turn."""
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), self._most))]
        if len(jobs) == self._most:
            self._bell.put(True)
        return jobs

    def _written(self, jobs: list[Job]) -> Verdicts:
        """Write what these are, and what is owed, where that may go by now. Only while `_busy`."""
        backlog, rows = self._backlog, [job for job in jobs if job.row is not None]
        if backlog:  # no row overtakes one of its own attempt
            rows = [job for job in rows if not (self._is_awaited(job) and backlog.takes(job))]
        verdicts = self._write(rows)
        failed = [(job, error) for job in rows if isinstance(error := verdicts.get(id(job)), Exception)]
        # After a failure all at once: to wait for a lock once a batch would take longer than rows come in.
        self._most = len(self._queue) + _BATCH if failed else _BATCH
        kept = [error for job, error in failed if job.done is None and self._is_kept(job, error)]
        if kept:
            backlog.put_off(self._explain(kept[-1]))
        # Who waits for a flush asks for it; and where an intent could be written, there may be room again.
        is_asked = any(job.done is not None for job in jobs)
        if backlog and not failed and (is_asked or not backlog.wait):
            self._pay()
        return verdicts

    def _is_awaited(self, job: Job) -> bool:
        """Whether the ledger has room for what nobody waits for: a row without its intent would do nothing."""
        sink, row = self._sink, job.row
        return job.done is None and row is not None and sink is not None and sink.awaits(row)

    def _is_kept(self, job: Job, error: Exception) -> bool:
        """Whether a row that was not written is owed; else it is lost."""
        is_kept = self._may_pass(error) and self._is_awaited(job) and self._backlog.takes(job)
        if not is_kept:
            self._lose(job, error)
        return is_kept

    def _may_pass(self, error: object) -> bool:
        return isinstance(error, Exception) and self._sink is not None and self._sink.may_pass(error)

    def _pay(self) -> None:
        """Write what is owed, the oldest first, up to the first batch of which something stays."""
        backlog = self._backlog
        while batch := backlog.first(_BATCH):
            verdicts = self._write(batch)
            failed = {
                id(job): error for job in batch if isinstance(error := verdicts.get(id(job)), Exception)
            }
            stay = {name: error for name, error in failed.items() if self._may_pass(error)}
            backlog.drop(job for job in batch if id(job) not in stay)
            for job in batch:
                if id(job) in failed and id(job) not in stay:
                    self._lose(job, failed[id(job)])
            if stay:
                backlog.put_off(self._explain(next(iter(stay.values()))))
                return
        backlog.hurry()

    def _write(self, rows: list[Job]) -> Verdicts:
        """Write the rows; an exception is the verdict on one that failed."""
        if not rows:
            return {}
        try:
            self._sink = self._sink or self._make()
            return self._sink.write(rows)
        except Exception as exc:  # noqa: BLE001 - the thread must live; the error becomes a verdict
            return self._apart(rows, exc)

    def _apart(self, rows: list[Job], error: Exception) -> Verdicts:
        """Row by row, so that a bad one takes no others along; but those of its own attempt behind it."""
        sink = self._sink
        if sink is None or len(rows) == 1:
            return {id(job): error for job in rows}
        verdicts: Verdicts = {}
        broken: dict[str, Exception] = {}
        strikes = 0
        for job in rows:
            attempt = getattr(job.row, "attempt", "")
            if attempt not in broken and not sink.hopeless(error) and strikes < _STRIKES:
                try:
                    verdicts |= sink.write([job])
                    strikes = 0
                    continue
                except Exception as exc:  # noqa: BLE001 - as above
                    error = exc
                    strikes += sink.may_pass(exc)
            verdicts[id(job)] = error = broken.get(attempt, error)
            if job.done is None:
                broken[attempt] = error
        return verdicts

    def _tell(self, job: Job, verdict: Verdict) -> None:
        if isinstance(verdict, Exception):
            verdict = self._explain(verdict)
            if isinstance(job.row, Intent):
                self._unbegun.append(job.row.attempt)
        if job.done is not None:
            try:  # noqa: SIM105 - `suppress` would cost each row a microsecond
                job.done(verdict)
            except Exception:  # noqa: BLE001, S110 - this waiter is gone (a closed loop, say); the others are not
                pass

    def _lose(self, job: Job, error: Exception) -> None:
        row = job.row
        if row is None or comes_again(row):
            return
        if isinstance(row, Settlement) and row.cost_units == 0 and row.attempt in self._unbegun:
            return  # it was refused for want of its intent, and who began it was told
        if len(self._lost) < _MOST_LOST:
            self._lost.append(sentence(row, self._explain(error)))

    def _explain(self, error: Exception) -> LedgerError:
        if self._sink is None:  # not even made: Python without sqlite3, say
            return LedgerError(f"The ledger cannot be written: {error}.")
        return self._sink.explain(error)

    def _settle_up(self) -> None:
        """The last tries; what is owed after them is lost."""
        backlog, until = self._backlog, time.monotonic() + _LAST_PATIENCE
        backlog.hurry()
        while backlog:
            with self._busy:
                self._pay()
            if not backlog or time.monotonic() + backlog.wait > until:
                break
            time.sleep(backlog.wait)
        if backlog.why is not None:
            for job in backlog.give_up():
                self._lose(job, backlog.why)

    def _leave(self, *, for_good: bool) -> None:
        """Let go of the file and the thread. What came meanwhile is another thread's: somebody waits for the end of this one."""
        if for_good:
            self._settle_up()
        with self._busy:
            self._thread = None
            if self._sink is not None:
                self._sink.close()
        # Who put a row meanwhile saw no thread and started one, or the row is seen here.
        if self._queue and self._thread is None:
            self._start()


# A thread that is started while the interpreter ends would never run, and its starter would hang.
_ending = False


def _close_all() -> None:
    global _ending
    _ending = True
    for writer in list(_writers):
        writer.close()


atexit.register(_close_all)


def _see_to_the_end() -> None:
    """A process of multiprocessing ends without `atexit`."""
    process: Any = sys.modules.get("multiprocessing.process")
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and process.parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=0)


class _Forking(threading.local):
    """What this thread holds while it forks."""

    def __init__(self) -> None:
        self.held: list[tuple[Writer, bool]] = []


_forking = _Forking()


def _before_fork() -> None:
    """No commit in progress is carried into a child."""
    _forking.held = [(writer, writer._busy.acquire(timeout=_FORK_PATIENCE)) for writer in list(_writers)]


def _in_parent() -> None:
    for writer, held in _forking.held:
        if held:
            writer._busy.release()
    _forking.held = []


def _in_child() -> None:
    """Queue, thread and file are the parent's: begin anew."""
    for writer, held in _forking.held:
        writer._renew()
        if writer._sink is not None:
            writer._sink.leave(held)
    _forking.held = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
