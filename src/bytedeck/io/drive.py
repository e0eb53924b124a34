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
from typing import Generic, Protocol, TypeVar

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
    Settle,
    Start,
    Tick,
    Wait,
)
from ..errors import ByteError
from ..types import Delta, Request
from .store import Store, Verdict
from .wire import AsyncLine, Late, Line, Wire, WireError

T = TypeVar("T")
BegunT = TypeVar("BegunT")
LineT = TypeVar("LineT", bound=Line | AsyncLine)
LineT_co = TypeVar("LineT_co", bound=Line | AsyncLine, covariant=True)
Flow = Generator[Command, "Outcome | float", T]


class Leg(Generic[BegunT, LineT]):
    """One attempt as a driver sees it."""

    def __init__(self, begun: BegunT) -> None:
        self.begun = begun
        """Where the store's verdict arrives."""
        self.line: LineT | None = None
        self.opened = False


class _Lines(Protocol[LineT_co]):
    def line(self, request: Request) -> LineT_co: ...


class Driver(Generic[T, BegunT, LineT]):
    """What both drivers share: the request, its legs, and carrying out what does not wait."""

    def __init__(self, flow: Flow[T], store: Store, wire: _Lines[LineT]) -> None:
        self._flow = flow
        self._store = store
        self._wire: _Lines[LineT] = wire
        self._legs: dict[int, Leg[BegunT, LineT]] = {}
        self._started = False
        self._result: T | None = None
        self.over = False
        """Whether the request has ended, by its result, an error or the caller's leaving."""
        self.left = False
        """Whether it ended because the caller left."""

    @property
    def result(self) -> T:
        """What the request returned. Only after it ended well."""
        if self._result is None:
            raise RuntimeError("the request has not been answered")
        return self._result

    def _resume(self) -> Command | None:
        """The first command, or the one after an Emit: the caller has come back."""
        if self._started:
            return self._send(self._now())
        self._started = True
        return self._send(None)

    def _send(self, answer: Outcome | float | None) -> Command | None:
        """The next command; None once the request has returned. What it raises ends it."""
        try:
            # A fresh generator takes None; the type of Generator cannot say so.
            return self._flow.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self.over = True
            self._result = stop.value
            return None
        except BaseException:
            self.over = True
            raise

    def _throw(self, error: ByteError) -> Command | None:
        """The next command after an error of ours in a wait: the request settles and raises it."""
        try:
            return self._flow.throw(error)
        except StopIteration as stop:
            self.over = True
            self._result = stop.value
            return None
        except BaseException:
            self.over = True
            raise

    def _begin(self, command: Begin) -> BegunT:
        """Hand a Begin to the store; the answer is where its verdict will arrive."""
        raise NotImplementedError

    def _perform(self, command: Command) -> None:
        """Carry out a command that does not wait."""
        if isinstance(command, Begin):
            self._legs[command.leg] = Leg(self._begin(command))
        elif isinstance(command, Start):
            self._legs[command.leg].line = self._wire.line(command.request)
        elif isinstance(command, Mark):
            self._store.mark(command.attempt, command.generation_id)
        elif isinstance(command, Settle):
            leg = self._legs.pop(command.leg)
            self._store.settle(command.settlement)
            if leg.line is not None:
                leg.line.close(command.whole)
        else:
            raise TypeError(f"{command!r} is not carried out here")

    def _now(self) -> float:
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
            while not isinstance(command, (Wait, Emit)):
                self._perform(command)
                command = self._flow.send(self._now())
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


class Drive(Driver[T, SimpleQueue[Verdict], Line]):
    """The blocking driver."""

    def __init__(
        self,
        flow: Flow[T],
        store: Store,
        wire: Wire,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(flow, store, wire)
        self._clock = clock
        self._sleep = sleep
        self._reader: int | None = None

    def advance(self) -> list[Delta] | None:
        """Run until the request hands something over; None once it has ended. Raises what it raises."""
        if self._reader is not None:
            raise RuntimeError("this answer is already being read by another thread")
        if self.over:
            return None
        self._reader = threading.get_ident()
        try:
            command = self._resume()
            while command is not None:
                if type(command) is Wait:
                    try:
                        outcome = self._wait(command)
                    except ByteError as error:  # a local model that does not start, say
                        command = self._throw(error)
                    else:
                        command = self._send(outcome)
                elif type(command) is Emit:
                    return command.deltas
                else:
                    self._perform(command)
                    command = self._send(self._clock())
        except BaseException:
            super().leave()  # does nothing where the request itself has raised
            raise
        finally:
            self._reader = None
        return None

    def leave(self) -> None:
        if self._reader not in (None, threading.get_ident()):
            raise RuntimeError("this answer is still being read by another thread")
        super().leave()

    def _now(self) -> float:
        return self._clock()

    def _begin(self, command: Begin) -> SimpleQueue[Verdict]:
        begun: SimpleQueue[Verdict] = SimpleQueue()
        self._store.begin(command.intent, begun.put)
        return begun

    def _wait(self, command: Wait) -> Outcome:
        if not command.legs:
            self._sleep(max(0.0, command.until - self._clock()))
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

    def _verdict(self, name: int, begun: SimpleQueue[Verdict], until: float) -> Outcome:
        try:
            verdict = begun.get(timeout=max(0.0, until - self._clock()))
        except Empty:
            return Tick(max(self._clock(), until))
        return judged(name, self._clock(), verdict)


def judged(leg: int, at: float, verdict: Verdict) -> Outcome:
    """The store's verdict on a Begin."""
    return Began(leg, at) if verdict is None else Broken(leg, at, "begin", str(verdict))
