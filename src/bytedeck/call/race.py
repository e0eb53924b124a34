"""Several attempts at once, of which the first to speak wins: one generator out of many.

What does not wait is passed through, the waits of all legs are one, and whoever waits for nothing
but itself again, because the others lost or failed, has the driver to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from ..errors import ByteError
from ..types import Settlement
from .steps import Abandoned, Command, Emit, Flow, Lost, Outcome, Raised, Settle, Speak, Tick, Wait

T = TypeVar("T")

_NEVER = float("inf")

Meaning: TypeAlias = Literal["won", "next", "stop"]
"""What it means that an attempt ended without a word: it has answered all the same, the next one may be
asked, or nobody is to be asked any more."""


class Runner(Struct, Generic[T], frozen=True):
    """One who may take part."""

    make: Callable[[float], Flow[T] | None]
    """Its attempt, begun at a monotonic moment; None: it cannot be made (too dear, say), and the next one is."""
    patience: float
    """Seconds from its start within which it has to speak, before the next one starts beside it."""


class Finish(Struct, Generic[T], frozen=True, kw_only=True):
    """How one who took part ended. Without `result` and `error` it lost: another one spoke first, or answered."""

    place: int
    """Its place among the runners, from 0."""
    result: T | None = None
    """What its attempt returned."""
    error: ByteError | None = None
    """What its attempt raised instead."""
    spoke: bool = False
    """Whether it spoke, and so won, however it ended then."""
    settlement: Settlement | None = None
    """Its row, where it did not speak; None where a limit had refused it."""


class _Leg(Generic[T]):
    """One who runs. Between two turns of the race it stands at `command`: a Wait, or what it spoke with."""

    def __init__(self, place: int, flow: Flow[T]) -> None:
        self.place = place
        self.flow = flow
        self.command: Command | None = None
        """None: it has not begun."""
        self.settlement: Settlement | None = None

    @property
    def wait(self) -> Wait | None:
        return self.command if isinstance(self.command, Wait) else None


def race(
    runners: Sequence[Runner[T]], at: float, judge: Callable[[T], Meaning]
) -> Flow[tuple[Finish[T], ...]]:
    """Start the first at the monotonic moment `at`, and each next one when nobody has spoken in time.

    Who fails before it speaks leaves the race; where it was the only one, the next starts at once, if `judge`
    allows it. The answer is how each ended who took part, in that order: the last one is the one that
    counts, the winner or, where nobody won, the last to fail. Empty where none could be made.
    Raises what is no ByteError, and what is thrown in, once all others are settled.
    """
    heat = _Heat(runners, at, judge)
    try:
        last = yield from heat.run()
        if last is not None:
            try:
                # It stands at a Speak, which asks for no answer, so that it can be adopted as it is.
                finish = Finish(place=last.place, result=(yield from last.flow), spoke=True)
            except ByteError as error:
                finish = Finish(place=last.place, error=error, spoke=True)
            heat.finishes.append(finish)
    except GeneratorExit:  # nothing may be yielded any more: the driver settles what is left
        for leg in heat.running:
            leg.flow.close()
        raise
    except BaseException:
        for leg in tuple(heat.running):
            yield from heat.dismiss(leg, Abandoned())
        raise
    return tuple(heat.finishes)


class _Heat(Generic[T]):
    """The race's own book: who runs, who is to come, who has ended."""

    def __init__(self, runners: Sequence[Runner[T]], at: float, judge: Callable[[T], Meaning]) -> None:
        self.at = at
        self.running: list[_Leg[T]] = []
        self.finishes: list[Finish[T]] = []
        self._to_come = list(enumerate(runners))
        self._due = at
        """When the next one starts, if nobody has spoken by then."""
        self._judge = judge

    def run(self) -> Flow[_Leg[T] | None]:
        """Until one is left, and speaks; None: all have ended."""
        while self.running or self._to_come:
            if self._to_come and (not self.running or self._due <= self.at):
                leg = self._next()
                if leg is not None and (self._to_come or len(self.running) > 1):
                    yield from self._advance(leg, None)
            elif len(self.running) == 1 and not self._to_come:
                leg = self.running[0]
                finish = yield from _carry(leg)
                if finish is None:
                    return leg
                self.running.remove(leg)
                self.finishes.append(finish)
            else:
                yield from self._wait()
        return None

    def _next(self) -> _Leg[T] | None:
        """The next one, which has still to begin; None where it cannot be made."""
        place, runner = self._to_come.pop(0)
        flow = runner.make(self.at)
        if flow is None:
            return None
        self._due = self.at + runner.patience
        leg = _Leg(place, flow)
        self.running.append(leg)
        return leg

    def _wait(self) -> Flow[None]:
        """Wait for all of them as one, and let those go on whom the outcome is for."""
        waits = [(leg, leg.wait) for leg in self.running]
        until = min(self._due if self._to_come else _NEVER, *(wait.until for _, wait in waits if wait))
        legs = tuple(name for _, wait in waits if wait for name in wait.legs)
        outcome = yield Wait(legs, until, keep=True)
        if isinstance(outcome, float):
            raise TypeError("a driver answered Wait with a bare time")
        self.at = max(self.at, outcome.at)  # legs are told of by several clocks' readers
        for leg, wait in waits:
            if wait and leg in self.running and _is_for(wait, outcome):
                yield from self._advance(leg, outcome)

    def _advance(self, leg: _Leg[T], answer: Outcome | None) -> Flow[None]:
        """Let one go on until it waits again, speaks or ends."""
        try:
            leg.command = _passed_on(leg.flow, answer)
            while not isinstance(leg.command, Wait | Speak | Emit):
                leg.command = leg.flow.send((yield from self._pass(leg, leg.command)))
        except StopIteration as stop:
            yield from self._end(leg, Finish(place=leg.place, result=stop.value, settlement=leg.settlement))
        except ByteError as error:
            yield from self._end(leg, Finish(place=leg.place, error=error, settlement=leg.settlement))
        else:
            if leg.wait is None:
                yield from self._beat_others(leg)

    def _pass(self, leg: _Leg[T], command: Command) -> Flow[float]:
        """Pass a command on that does not wait."""
        if isinstance(command, Settle):
            leg.settlement = command.settlement
        answer = yield command
        if not isinstance(answer, float):
            raise TypeError("a driver answered a command that does not wait with an outcome")
        self.at = answer
        return answer

    def _end(self, leg: _Leg[T], finish: Finish[T]) -> Flow[None]:
        """One ended by itself before it spoke."""
        self.running.remove(leg)
        meaning = "next" if finish.result is None else self._judge(finish.result)
        if meaning != "next":
            self._to_come.clear()
        if meaning == "won":
            yield from self._beat_others(leg)
        self.finishes.append(finish)

    def _beat_others(self, winner: _Leg[T]) -> Flow[None]:
        self._to_come.clear()
        for leg in [leg for leg in self.running if leg is not winner]:
            yield from self.dismiss(leg, Lost())
            self.finishes.append(Finish(place=leg.place, settlement=leg.settlement))

    def dismiss(self, leg: _Leg[T], why: Abandoned) -> Flow[None]:
        """Throw one out: it settles, and waits for nothing any more."""
        self.running.remove(leg)
        try:
            leg.command = leg.flow.throw(why)
            while not isinstance(leg.command, Wait | Speak | Emit):
                leg.command = leg.flow.send((yield from self._pass(leg, leg.command)))
        except StopIteration:
            return
        except Abandoned as thrown:
            if thrown is not why:  # somebody leaves in the midst of it
                raise
            return
        raise RuntimeError("an attempt that was dismissed wanted to go on")


def _is_for(wait: Wait, outcome: Outcome) -> bool:
    """A Tick is for those whose own moment has passed, all else for whose leg it is."""
    return outcome.at >= wait.until if isinstance(outcome, Tick) else outcome.leg in wait.legs


def _passed_on(flow: Flow[T], answer: Outcome | None) -> Command:
    if isinstance(answer, Raised):
        return flow.throw(answer.error)
    return flow.send(answer)  # type: ignore[arg-type]  # a fresh generator takes None


def _carry(leg: _Leg[T]) -> Flow[Finish[T] | None]:
    """As `yield from`, for one that is left alone: until it speaks, and can be adopted (None), or ends."""
    flow, spoke = leg.flow, False
    try:
        command = next(flow) if leg.command is None else leg.command
        while not isinstance(command, Speak):
            if isinstance(command, Settle):
                leg.settlement = command.settlement
            spoke = spoke or isinstance(command, Emit)
            try:
                answer = yield command
            except GeneratorExit:
                flow.close()
                raise
            except BaseException as thrown:  # noqa: BLE001 - whatever is thrown in is the attempt's to handle
                command = flow.throw(thrown)
            else:
                command = flow.send(answer)
    except StopIteration as stop:
        return Finish(place=leg.place, result=stop.value, spoke=spoke, settlement=leg.settlement)
    except ByteError as error:
        return Finish(place=leg.place, error=error, spoke=spoke, settlement=leg.settlement)
    return None
