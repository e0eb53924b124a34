"""A strict world for engine tests: it carries out a request's commands in virtual time.

Nothing sleeps, nothing is sent. It refuses what a real driver could not do: waiting on a leg
that is over, settling twice, going on after the caller has left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
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
    Raised,
    Refused,
    Settle,
    Speak,
    Start,
    Tick,
    Wait,
)
from bytedeck.errors import ByteError, NoWayToAnswer
from bytedeck.types import Delta, Intent, Request, Settlement


@dataclass(frozen=True)
class Act:
    """How the upstream behaves towards one attempt."""

    pieces: Sequence[bytes] = ()
    end: str = "end"
    """end, reset, stall; or before the headers: refused (connect), lost, silent, raises (an error of ours)."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    every: float = 0.0
    """Seconds before each piece."""
    admitted: float = 0.0
    """Seconds before the store's verdict."""
    opens: float = 0.0
    """Seconds before the headers, or before what comes instead of them."""
    first: float = 0.0
    """Seconds before the first piece, besides `every`."""
    ends: float = 0.0
    """Seconds before the end."""
    begin: str = ""
    """The store's verdict: began, the code of a refusal, broken, slow; "": the world's own."""


@dataclass
class Leg:
    intent: Intent
    act: Act
    request: Request | None = None
    opened: bool = False
    left: list[bytes] = field(default_factory=list)
    dead: bool = False
    due: float | None = None
    """When what is being waited for comes; None: nobody waits."""


REFUSALS: dict[str, float | None] = {
    "over_limit": 12.0,
    "over_burst": None,
    "over_budget": None,
    "budget_held": None,
}
"""A code of a refusal → seconds after which it may go."""

Pick = Callable[[list[int]], int]
"""Of legs for which something comes at the same moment: whose comes first."""


class World:
    """Plays `acts` in order, the last one again and again."""

    def __init__(
        self,
        *acts: Act,
        slow_reader: float = 0.0,
        begin: str = "began",
        pick: Pick = lambda ready: ready[0],
        refuse: Mapping[int, str] | None = None,
    ) -> None:
        """`refuse`: which Begins a limit refuses, counted from 1, and with which code; none of them takes an act."""
        self.pick = pick
        self.refuse = refuse or {}
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
        answer: Outcome | float | ByteError | None = None
        while True:
            try:
                command = flow.throw(answer) if isinstance(answer, ByteError) else flow.send(answer)
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
        # The name of one that was refused is the next one's.
        begun = Counter(i.attempt for i in self.intents) - Counter(self.refused)
        assert Counter(s.attempt for s, _ in self.settled) == begun
        assert not self.legs

    def _do(self, command: Any) -> Outcome | float | ByteError:
        match command:
            case Begin(leg, intent):
                assert leg not in self.legs
                self.intents.append(intent)
                code = self.refuse.get(len(self.intents))
                act = Act(begin=code) if code else self._act(intent)
                self.legs[leg] = Leg(intent, act, left=list(act.pieces))
            case Start(leg, request):
                assert self.legs[leg].request is None
                self.legs[leg].request, self.legs[leg].due = request, None
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
            case Speak(leg):
                assert self.legs[leg].opened
            case Wait(legs, until, keep):
                return self._wait(legs, until, keep)
            case _:
                raise AssertionError(f"no such command: {command!r}")
        return self.now

    def _act(self, intent: Intent) -> Act:
        """What becomes of an attempt that may go."""
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]

    def _wait(self, legs: tuple[int, ...], until: float, keep: bool) -> Outcome | ByteError:
        if not legs:
            self.pauses.append(max(0.0, until - self.now))
            return self._tick(until)
        assert keep or len(legs) == 1, "legs that race are kept"
        due = {name: self._due(name) for name in legs}
        earliest = min(due.values())
        if max(earliest, self.now) > until or earliest == _NEVER:
            for name in () if keep else legs:
                self.legs[name].dead = self.legs[name].request is not None
            return self._tick(until)
        self.now = max(self.now, earliest)
        ready = [name for name, moment in due.items() if moment <= self.now]
        name = self.pick(ready) if len(ready) > 1 else ready[0]
        outcome = self._outcome(name, self.legs[name])
        return outcome.error if isinstance(outcome, Raised) and not keep else outcome

    def _due(self, name: int) -> float:
        """When what a leg waits for comes. Once it is waited for, that stays."""
        leg = self.legs[name]
        assert not leg.dead, "a leg that is over was waited for"
        if leg.due is None:
            leg.due = self.now + self._delay(leg)
        return leg.due

    def _delay(self, leg: Leg) -> float:
        act = leg.act
        if leg.request is None:
            return _NEVER if (act.begin or self.begin) == "slow" else act.admitted
        if not leg.opened:
            return _NEVER if act.end == "silent" else act.opens
        if leg.left:
            return act.every + (act.first if len(leg.left) == len(act.pieces) else 0.0)
        return act.ends if act.end in _ENDS else _NEVER

    def _outcome(self, name: int, leg: Leg) -> Outcome:
        leg.due = None
        if leg.request is None:
            return self._verdict(name, leg)
        if not leg.opened:
            return self._opening(name, leg)
        if leg.left:
            return Data(name, self.now, leg.left.pop(0))
        leg.dead = True
        return _ENDS[leg.act.end](name, self.now)

    def _verdict(self, name: int, leg: Leg) -> Outcome:
        begin = leg.act.begin or self.begin
        if begin in REFUSALS:
            del self.legs[name]
            self.refused.append(leg.intent.attempt)
            return Refused(name, self.now, begin, "It may not go.", REFUSALS[begin])
        if begin == "broken":
            return Broken(name, self.now, "begin", "the disk is full.")
        assert begin in ("", "began"), f"no such verdict: {begin}"
        return Began(name, self.now)

    def _opening(self, name: int, leg: Leg) -> Outcome:
        if leg.act.end in _NO_HEADERS:
            leg.dead = True
            return _NO_HEADERS[leg.act.end](name, self.now)
        leg.opened = True
        return Opened(name, self.now, 1_800_000_000.0, leg.act.status, leg.act.headers)

    def _tick(self, until: float) -> Outcome:
        self.now = max(self.now, until)
        return Tick(self.now)


_NEVER = float("inf")
_ENDS: dict[str, Callable[[int, float], Outcome]] = {
    "end": Ended,
    "reset": lambda leg, at: Broken(leg, at, "body", "connection reset by peer"),
}
"""How a body may end; else it stalls."""
_NO_HEADERS: dict[str, Callable[[int, float], Outcome]] = {
    "refused": lambda leg, at: Broken(leg, at, "connect", "connection refused"),
    "lost": lambda leg, at: Broken(leg, at, "headers", "connection reset"),
    "raises": lambda leg, at: Raised(leg, at, NoWayToAnswer("The local model does not start.")),
}
"""What may come instead of headers."""
