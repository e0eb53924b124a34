"""Debate: the blocking driver. Calls run in threads; whoever iterates does all the rest. `adebate.py` has its twin."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from ..arena.bill import Bill
from ..arena.events import Event
from ..io.drive import Drive
from ..types import Ask, Reply
from .course import PATIENCE, Course
from .making import Asked
from .opening import Again
from .stage import Job, Over, Said, Short, Stage, said

if TYPE_CHECKING:
    from ..house import House

Inbox: TypeAlias = SimpleQueue[Said | Over | None]


class Door(Protocol):
    """What a debate needs of a Hub."""

    house: House

    def answer(self, ask: Ask) -> Drive[Reply]: ...

    def look_up(self, models: Sequence[str]) -> None: ...


class Call:
    """One call in its thread; it may be told to end from any other, whenever."""

    def __init__(self, door: Door, job: Job, inbox: Inbox) -> None:
        self._lock = threading.Lock()
        self._drive: Drive[Reply] | None = None
        self._is_dropped = False
        self._thread = threading.Thread(
            target=self._run, args=(door, job, inbox), name="bytedeck-call", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, where it has begun."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self, door: Door, job: Job, inbox: Inbox) -> None:
        try:
            inbox.put(Over(job, self._read(door, job, inbox)))
        except BaseException as exc:  # noqa: BLE001 - it is told, or raised, where the debate is driven
            inbox.put(Over(job, exc))

    def _read(self, door: Door, job: Job, inbox: Inbox) -> Reply | None:
        drive = door.answer(job.ask)
        with self._lock:
            if self._is_dropped:
                return None
            self._drive = drive
        while (deltas := drive.advance()) is not None:
            if words := said(job, deltas):
                inbox.put(words)
        return None if drive.left else drive.result

    def drop(self) -> None:
        """It ends at once, and settles. Does not wait."""
        with self._lock:
            self._is_dropped, drive = True, self._drive
        if drive is not None:
            drive.abandon()


class Debate(Course[Call]):
    """A match while it is held: iterate over its events (`bytedeck.arena.events`). Closes itself at its end; else close it.

    Nothing is kept or asked before the first step. Who leaves may take it up again later: `hub.resume(debate.id)`.
    """

    def __init__(
        self, door: Door, start: Asked | Again, record: Callable[[str], Sequence[str]] | None = None
    ) -> None:
        """`record`: takes the results of a match that is over into the ratings, and returns what is to be said of it."""
        super().__init__(door.house, start)
        self._door = door
        self._record = record
        self._inbox: Inbox = SimpleQueue()
        self._lock = threading.RLock()  # a signal may close it in the midst of a step
        self._reader: int | None = None
        """The thread that reads it now, or closes it."""
        self._is_left = False
        """Whether it is being closed; where another thread has asked for that, who reads is to do it."""
        door.look_up(self._opening.unknown)
        self._opening.prepare()

    def open(self) -> None:
        """Write its beginning down, or take it up where it had ended; else the first step does. Raises LedgerError, and
        InvalidRequest where it is over, or goes on elsewhere."""
        if self._stage is not None or self._is_closed:
            return
        self._stage, first, self._scribe = self._begin_opening()
        self._ready.extend(first)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        with self._lock:
            if self._reader is not None and self._is_left:
                raise StopIteration
            if self._reader is not None:
                raise RuntimeError("this debate is already being read by another thread")
            self._reader = threading.get_ident()
        try:
            self.open()
            while not (self._ready or self._is_closed):
                if self._is_left:
                    self._let_go()
                else:
                    self._step(self._opened())
        except BaseException:
            self.close()
            raise
        finally:
            self._reader = None
        if self._ready:
            return self._ready.popleft()
        raise StopIteration

    def _step(self, stage: Stage) -> None:
        match self._move(stage):
            case "end":
                self.close()
            case "paused":
                if not self._tell(self._allowance(stage)):
                    self.close()
            case "follows":
                self._tell(stage.follows())
                if stage.is_over:
                    self._finish()
            case "vote":
                self._listen(stage, stage.voting())
            case "begin":
                self._begin(stage)
            case "listen":
                self._listen(stage, None)

    def _begin(self, stage: Stage) -> None:
        """Whatever is due and has room in the budget."""
        due = stage.due()
        if not isinstance(due, Short):
            self._tell(stage.began(due))
            for job in due:
                call = self._calls[job.request] = Call(self._door, job, self._inbox)
                call.start()
        elif self._calls:
            self._listen(stage, None)
        else:
            self._tell([stage.paused(due)])

    def _listen(self, stage: Stage, timeout: float | None) -> None:
        """The next that comes from a call; nothing, where none comes in time."""
        try:
            came = self._inbox.get(timeout=timeout)
        except Empty:
            return
        if came is not None:
            self._tell(self._take(stage, came))

    def _tell(self, events: list[Event]) -> bool:
        """Written down, and then handed out. Whether there was anything."""
        if events and self._scribe is not None:
            done: SimpleQueue[BaseException | None] = SimpleQueue()
            self._scribe.write(events, done.put)
            if (failure := done.get()) is not None:
                raise failure
            self._ready.extend(events)
        return bool(events)

    def _finish(self) -> None:
        """It is over, and its last events are still to be handed out."""
        self._let_go()
        if self._record is None:
            return
        try:
            self._said += tuple(self._record(self.id))
        except Exception as error:  # noqa: BLE001 - the debate itself is over, and well: it is told
            self._not_recorded(error)

    def bill(self) -> Bill:
        """What it has cost so far, by the ledger. Raises LedgerError."""
        return self._opening.bill()

    def close(self) -> None:
        """Leave: what runs is closed and settled, what had come is kept, and the match let go. Idempotent.

        From another thread than the one that reads it this does not wait: that one does it, and comes to its end.
        """
        own = threading.get_ident()
        with self._lock:
            self._is_left, reader = True, self._reader
            if reader is None:  # nobody begins to read before it is closed
                self._reader = own
        if reader not in (None, own):
            self._inbox.put(None)
            return
        try:
            self._ready.clear()
            self._let_go()
        finally:
            self._reader = reader

    def _let_go(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._drop()
        try:
            until = time.monotonic() + PATIENCE
            for call in self._calls.values():
                call.join(max(0.0, until - time.monotonic()))
        finally:
            late = []
            while not self._inbox.empty():
                late.append(self._inbox.get())
            self._close_book([came for came in late if came is not None])
        if self._scribe is not None:
            self._scribe.join(PATIENCE)

    def _drop(self) -> None:
        for call in tuple(self._calls.values()):
            call.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
