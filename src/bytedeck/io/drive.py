"""The drivers: carry out a request's commands. The blocking one, and what both share; `adrive` is the async one.

They decide nothing. Of the commands only Wait waits; what the caller's leaving (a close,
a Ctrl-C, a cancelled task) finds unfinished is told to the request by `Abandoned`, and
what it then commands is carried out: its one Settle.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from ..call.steps import (
    Abandoned,
    Began,
    Begin,
    Broken,
    Command,
    Data,
    Emit,
    Ended,
    Mark,
    Opened,
    Outcome,
    Raised,
    Refused,
    Settle,
    Speak,
    Start,
    Tick,
    Wait,
)
from ..claims import GRANTED, SECOND, Denied, Granted, Later
from ..errors import ByteError
from ..types import Delta, Request
from .store import Receiver, Verdict
from .wire import AsyncLine, Late, Line, Wire, WireError

T = TypeVar("T")
BegunT = TypeVar("BegunT", bound="_Inbox")
LineT = TypeVar("LineT", bound=Line | AsyncLine)
LineT_co = TypeVar("LineT_co", bound=Line | AsyncLine, covariant=True)
Flow = Generator[Command, "Outcome | float", T]


class Leg(Struct, Generic[BegunT, LineT], eq=False):
    """One attempt as a driver sees it."""

    begun: BegunT
    """Where the store's verdict arrives."""
    line: LineT | None = None
    opened: bool = False
    is_fresh: bool = False
    """Nothing was read since it was opened: words may have come with its head."""


_Leg: TypeAlias = Leg[SimpleQueue[Verdict], Line]

# A wait that only its own end ends: the request's deadlines are kept by who waits for it, and kills it.
_FOREVER = 86_400.0


class _Inbox(Protocol):
    def put(self, verdict: Verdict, /) -> None: ...


class _Lines(Protocol[LineT_co]):
    def line(self, request: Request) -> LineT_co: ...


class Driver(Generic[T, BegunT, LineT]):
    """What both drivers share: the request, its legs, and carrying out what does not wait."""

    over = False
    """Whether the request has ended, by its result, an error or the caller's leaving."""
    left = False
    """Whether it ended because the caller left."""
    _started = False
    _result: T | None = None

    def __init__(
        self, flow: Flow[T], store: Receiver, wire: _Lines[LineT], clock: Callable[[], float]
    ) -> None:
        self._flow = flow
        self._send: Callable[[Any], Command] = flow.send
        self._store = store
        self._wire: _Lines[LineT] = wire
        self._clock = clock
        self._legs: dict[int, Leg[BegunT, LineT]] = {}

    @property
    def result(self) -> T:
        """What the request returned. Only after it ended well."""
        if self._result is None:
            raise RuntimeError("the request has not been answered")
        return self._result

    def _resume(self) -> Wait | list[Delta] | None:
        """The first step, or the one after an Emit: the caller has come back."""
        if self._started:
            return self._go(self._send, self._clock())
        self._started = True
        return self._go(self._send, None)

    def _go(self, give: Callable[[Any], Command], given: object) -> Wait | list[Delta] | None:
        """Answer the request, by its `send` or its `throw`, and carry out what it commands, up to a Wait or what it
        hands over; None once it has returned. What it raises ends it."""
        while True:
            try:
                command = give(given)
            except StopIteration as stop:
                self.over = True
                self._result = stop.value
                return None
            except BaseException:
                self.over = True
                raise
            # By type: it is the inner loop, and no command is a kind of another.
            if type(command) is Wait:
                return command
            if type(command) is Emit:
                return command.deltas
            work = _WORK.get(type(command))
            if work is None:
                raise TypeError(f"{command!r} is not carried out here")
            work(self, command)
            give, given = self._send, self._clock()

    def _inbox(self) -> BegunT:
        """Where the verdict on a Begin will arrive."""
        raise NotImplementedError

    def _begin(self, command: Begin) -> None:
        begun = self._inbox()
        # Before the store has it: a Ctrl-C may come once its row is written, and that is to be settled.
        self._legs[command.leg] = Leg(begun)
        self._store.begin(command.intent, begun.put, command.claim)

    def _start(self, command: Start) -> None:
        self._legs[command.leg].line = self._wire.line(command.request)

    def _mark(self, command: Mark) -> None:
        self._store.mark(command.attempt, command.generation_id)

    def _speak(self, command: Speak) -> None:
        """Nothing to do."""

    def _settle(self, command: Settle) -> None:
        leg = self._legs.pop(command.leg)
        self._store.settle(command.settlement)
        self._let_go(command.leg, leg, command.whole)

    def _let_go(self, name: int, leg: Leg[BegunT, LineT], whole: bool) -> None:
        """The leg is over."""
        raise NotImplementedError

    def leave(self) -> None:
        """The caller leaves: the request gives its last commands, none of which waits. Idempotent."""
        if self.over:
            return
        self.over = self.left = True
        if not self._started:
            self._flow.close()
            return
        try:
            command = self._flow.throw(Abandoned())
            while (work := _WORK.get(type(command))) is not None:
                work(self, command)
                command = self._send(self._clock())
        except (Abandoned, StopIteration):
            return
        finally:
            self._flow.close()
        raise RuntimeError("a request that was left wanted to go on")

    def __del__(self) -> None:
        # The net: a stream that was dropped without being closed still gets its settlement.
        if self._started and not self.over:
            self.leave()
            warnings.warn(f"unclosed answer {self!r}", ResourceWarning, stacklevel=2, source=self)


_WORK: dict[type[Command], Callable[[Driver[Any, Any, Any], Any], None]] = {
    Begin: Driver._begin,
    Start: Driver._start,
    Mark: Driver._mark,
    Speak: Driver._speak,
    Settle: Driver._settle,
}
"""How each command is carried out that does not wait."""


class _Deserted(Exception):
    """The one who reads is to end as if it had left: see `Drive.abandon`."""


class _Helper:
    """A thread in which one leg is waited for, so that it may outlive a deadline and others may race it.

    It ends with what it waits for. From outside it is only killed; what it reads, it closes itself.
    """

    def __init__(self, leg: _Leg, wait: Callable[[], Outcome], bell: SimpleQueue[None]) -> None:
        self._leg = leg
        self._wait = wait
        self._bell = bell
        self._lock = threading.Lock()
        self._is_busy = self._is_dropped = False
        self._came: Outcome | BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has an answer."""
        return not (self._came is None or self.is_mute)

    @property
    def is_mute(self) -> bool:
        """Whether it will never have one: of a script that is silent."""
        return type(self._came) is Tick

    def run(self) -> None:
        if not self._may_begin():
            return
        try:
            came: Outcome | BaseException = self._wait()
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
            came = exc
        with self._lock:
            self._is_busy = False
            is_dropped = self._is_dropped
        if not is_dropped:
            self._came = came
            self._bell.put(None)
        elif self._leg.line is not None:
            self._leg.line.close(False)

    def _may_begin(self) -> bool:
        with self._lock:
            self._is_busy = not self._is_dropped
            return self._is_busy

    def answer(self, name: int, at: float, keep: bool) -> Outcome:
        """What came. An error of ours is told, where it has to be told whose it is, else raised."""
        came = self._came
        if isinstance(came, ByteError) and keep:
            return Raised(name, at, came)
        if came is None or isinstance(came, BaseException):
            raise came or RuntimeError("nothing has come")
        return came

    def drop(self) -> bool:
        """Nobody asks any more. Whether the leg's line is still to be closed; else it is closed here."""
        with self._lock:
            self._is_dropped = True
            if not self._is_busy:
                return True
        if self._leg.line is None:
            self._leg.begun.put(GRANTED)  # wakes it, whatever the store will say
        else:
            self._leg.line.kill()
        return False


class Drive(Driver[T, SimpleQueue[Verdict], Line]):
    """The blocking driver."""

    def __init__(
        self,
        flow: Flow[T],
        store: Receiver,
        wire: Wire,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(flow, store, wire, clock)
        self._sleep = sleep
        self._reader: int | None = None
        self._helpers: dict[int, _Helper] = {}
        """The legs that are being waited for beside this thread, or were, and nobody has asked yet."""
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_abandoned = False

    def advance(self) -> list[Delta] | None:
        """Run until the request hands something over; None once it has ended. Raises what it raises."""
        if self._reader is not None:
            raise RuntimeError("this answer is already being read by another thread")
        if self._is_abandoned:  # also one that has not begun: nothing is written of it
            super().leave()
        if self.over:
            return None
        self._reader = threading.get_ident()
        try:
            come = self._resume()
            while not (come is None or isinstance(come, list)):
                try:
                    outcome = self._outcome(come)
                except ByteError as error:  # a local model that does not start, say
                    come = self._go(self._flow.throw, error)
                else:
                    come = self._go(self._send, outcome)
            return come
        except _Deserted:
            super().leave()
        except BaseException:
            super().leave()  # does nothing where the request itself has raised
            raise
        finally:
            self._reader = None
        return None

    def _outcome(self, command: Wait) -> Outcome:
        # Looked at on both sides: who abandons it sets the flag first, and then ends what is being waited for.
        if not self._is_abandoned:
            outcome = self._wait_beside(command) if command.keep or self._helpers else self._wait(command)
            if not self._is_abandoned:
                return outcome
        raise _Deserted

    def leave(self) -> None:
        if self._reader not in (None, threading.get_ident()):
            raise RuntimeError("this answer is still being read by another thread")
        super().leave()

    def abandon(self) -> None:
        """From any thread, and without waiting: who reads this answer, or does so next, ends at once as if it had left.

        Who is reading settles. Idempotent.
        """
        self._is_abandoned = True
        for leg in tuple(self._legs.values()):
            leg.begun.put(GRANTED)  # wakes who waits for the verdict, whatever it will be
            if leg.line is not None:
                leg.line.kill()
        self._bell.put(None)

    def _inbox(self) -> SimpleQueue[Verdict]:
        return SimpleQueue()

    def _wait(self, command: Wait) -> Outcome:
        if not command.legs:
            self._pause(command.until)
            return Tick(max(self._clock(), command.until))
        name = command.legs[0]
        leg = self._legs[name]
        try:
            if leg.line is None:
                return self._verdict(name, leg.begun, command.until)
            if not leg.opened:
                status, headers = leg.line.open(command.until)
                leg.opened = True
                return Opened(name, self._clock(), time.time(), status, headers)
            data = leg.line.read(command.until)
            return Data(name, self._clock(), data) if data else Ended(name, self._clock())
        except Late:
            return Tick(max(self._clock(), command.until))
        except WireError as exc:
            return Broken(name, self._clock(), exc.phase, str(exc))

    def _pause(self, until: float) -> None:
        if self._sleep is not time.sleep:
            self._sleep(max(0.0, until - self._clock()))
            return
        while not self._is_abandoned and self._rings(until):
            pass  # a helper's: it is looked at when it is waited for

    def _wait_beside(self, command: Wait) -> Outcome:
        """A Wait for several legs, or for what outlives it: each leg is waited for in a thread of its own."""
        if not command.legs:
            return self._wait(command)
        for name in command.legs:
            if name not in self._helpers:
                self._help(name)
        while True:
            # Who was waited for longest comes first, so that a chatterbox starves nobody.
            for name, helper in self._helpers.items():
                if helper.is_done and name in command.legs:
                    del self._helpers[name]
                    return helper.answer(name, self._clock(), command.keep)
            is_mute = all(self._helpers[name].is_mute for name in command.legs)
            if is_mute or not self._rings(command.until):
                return Tick(max(self._clock(), command.until))

    def _help(self, name: int) -> None:
        leg, wait = self._legs[name], Wait((name,), self._clock() + _FOREVER)
        self._helpers[name] = helper = _Helper(leg, lambda: self._wait(wait), self._bell)
        if leg.line is None and not leg.begun.empty():
            helper.run()  # the store has answered on the spot
        else:
            threading.Thread(target=helper.run, name="bytedeck-leg", daemon=True).start()

    def _rings(self, until: float) -> bool:
        """Wait for a helper to be done."""
        try:
            self._bell.get(timeout=min(max(0.0, until - self._clock()), _FOREVER))
        except Empty:
            return False
        return True

    def _let_go(self, name: int, leg: _Leg, whole: bool) -> None:
        helper = self._helpers.pop(name, None)
        if (helper is None or helper.drop()) and leg.line is not None:
            leg.line.close(whole)

    def _verdict(self, name: int, begun: SimpleQueue[Verdict], until: float) -> Outcome:
        try:
            verdict = begun.get(timeout=max(0.0, until - self._clock()))
        except Empty:
            return Tick(max(self._clock(), until))
        return judged(name, self._clock(), verdict)


def judged(leg: int, at: float, verdict: Verdict) -> Outcome:
    """The store's verdict on a Begin."""
    if isinstance(verdict, Granted):
        return Began(leg, at, verdict.warnings)
    if isinstance(verdict, Later):
        if not verdict.wait:
            return Refused(leg, at, "budget_held", verdict.why, room=verdict.room)
        return Refused(leg, at, "over_limit", verdict.why, verdict.wait / SECOND)
    if isinstance(verdict, Denied):
        again = None if verdict.again is None else verdict.again / SECOND
        return Refused(leg, at, verdict.code, verdict.why, again, verdict.hint, verdict.room)
    return Broken(leg, at, "begin", str(verdict))
