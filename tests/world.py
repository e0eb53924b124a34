"""A strict world for engine tests: it carries out a request's commands in virtual time.

Nothing sleeps, nothing is sent. It refuses what a real driver could not do: waiting on a leg
that is over, settling twice, going on after the caller has left.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bytedeck.call.steps import (
    Abandoned,
    Began,
    Begin,
    Broken,
    Data,
    Emit,
    Ended,
    Mark,
    Opened,
    Outcome,
    Refused,
    Settle,
    Start,
    Tick,
    Wait,
)
from bytedeck.types import Delta, Intent, Request, Settlement


@dataclass(frozen=True)
class Act:
    """How the upstream behaves towards one attempt."""

    pieces: Sequence[bytes] = ()
    end: str = "end"
    """end, reset, stall; or before the headers: refused (connect), lost, silent."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    every: float = 0.0
    """Seconds before each piece."""


@dataclass
class Leg:
    intent: Intent
    act: Act
    request: Request | None = None
    opened: bool = False
    left: list[bytes] = field(default_factory=list)
    dead: bool = False
    waiting_until: float | None = None


class World:
    """Plays `acts` in order, the last one again and again."""

    def __init__(self, *acts: Act, slow_reader: float = 0.0, begin: str = "began") -> None:
        self.acts = list(acts)
        self.now = 1000.0
        self.slow_reader = slow_reader
        self.begin = begin
        self.legs: dict[int, Leg] = {}
        self.requests: list[Request] = []
        self.intents: list[Intent] = []
        self.refused: list[str] = []
        self.marks: list[tuple[str, str]] = []
        self.settled: list[tuple[Settlement, bool]] = []
        self.emitted: list[Delta] = []
        self.pauses: list[float] = []
        self.turns = 0

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.emitted)

    def run(self, flow: Generator[Any, Any, Any], *, leave_at: int | None = None, how: str = "leave") -> Any:
        """The request's result. At turn `leave_at` the caller leaves (only in a Wait or an Emit)."""
        answer: Outcome | float | None = None
        while True:
            try:
                command = flow.send(answer)
            except StopIteration as stop:
                self.check()
                return stop.value
            except BaseException:
                self.check()
                raise
            self.turns += 1
            if leave_at is not None and self.turns >= leave_at and isinstance(command, Wait | Emit):
                return self._leave(flow, how)
            answer = self._do(command)

    def _leave(self, flow: Generator[Any, Any, Any], how: str) -> None:
        if how == "close":
            flow.close()  # what garbage collection does in a cycle: no command may come of it
            return
        try:
            command = flow.throw(Abandoned())
            while True:
                assert isinstance(command, Mark | Settle), f"{command!r} after the caller left"
                command = flow.send(self._do(command))
        except Abandoned:
            self.check()

    def check(self) -> None:
        """One settlement for each Begin that was not refused."""
        begun = [i.attempt for i in self.intents if i.attempt not in self.refused]
        assert sorted(s.attempt for s, _ in self.settled) == sorted(begun)
        assert not self.legs

    def _do(self, command: Any) -> Outcome | float:
        match command:
            case Begin(leg, intent):
                assert leg not in self.legs
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                self.legs[leg] = Leg(intent, act, left=list(act.pieces))
                self.intents.append(intent)
            case Start(leg, request):
                assert self.legs[leg].request is None
                self.legs[leg].request = request
                self.requests.append(request)
            case Mark(leg, attempt, generation):
                assert self.legs[leg].opened
                self.marks.append((attempt, generation))
            case Settle(leg, settlement, whole):
                assert self.legs.pop(leg).intent.attempt == settlement.attempt
                self.settled.append((settlement, whole))
            case Emit(deltas):
                assert deltas
                self.emitted += deltas
                self.now += self.slow_reader
            case Wait(legs, until):
                return self._wait(legs, until)
            case _:
                raise AssertionError(f"no such command: {command!r}")
        return self.now

    def _wait(self, legs: tuple[int, ...], until: float) -> Outcome:
        if not legs:
            self.pauses.append(max(0.0, until - self.now))
            self.now = max(self.now, until)
            return Tick(self.now)
        (name,) = legs
        leg = self.legs[name]
        assert not leg.dead, "a leg that is over was waited for"
        if leg.request is None:
            return self._begin(name, leg, until)
        return self._opening(name, leg, until) if not leg.opened else self._reading(name, leg, until)

    def _begin(self, name: int, leg: Leg, until: float) -> Outcome:
        match self.begin:
            case "began":
                return Began(name, self.now)
            case "refused":
                del self.legs[name]
                self.refused.append(leg.intent.attempt)
                return Refused(name, self.now, "too many requests", 12.0)
            case "broken":
                return Broken(name, self.now, "begin", "the disk is full.")
        return self._tick(until)

    def _opening(self, name: int, leg: Leg, until: float) -> Outcome:
        match leg.act.end:
            case "refused":
                leg.dead = True
                return Broken(name, self.now, "connect", "connection refused")
            case "lost":
                leg.dead = True
                return Broken(name, self.now, "headers", "connection reset")
            case "silent":
                leg.dead = True
                return self._tick(until)
        leg.opened = True
        return Opened(name, self.now, 1_800_000_000.0, leg.act.status, leg.act.headers)

    def _reading(self, name: int, leg: Leg, until: float) -> Outcome:
        if leg.left:
            if self.now + leg.act.every > until:
                leg.dead = True
                return self._tick(until)
            self.now += leg.act.every
            return Data(name, self.now, leg.left.pop(0))
        leg.dead = True
        match leg.act.end:
            case "end":
                return Ended(name, self.now)
            case "reset":
                return Broken(name, self.now, "body", "connection reset by peer")
        return self._tick(until)

    def _tick(self, until: float) -> Outcome:
        self.now = max(self.now, until)
        return Tick(self.now)
