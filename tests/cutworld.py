"""A world in virtual time, whose models know their answers, break off at a byte, and go on in a manner.

It carries out a request's commands, one leg at a time, and keeps what a caller would have before its eyes,
who takes back what it is told to take back.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bytedeck.call.steps import (
    Began,
    Begin,
    Broken,
    Data,
    Emit,
    Ended,
    Mark,
    Opened,
    Settle,
    Start,
    Tick,
    Wait,
)
from bytedeck.events import Seam, Started
from bytedeck.types import Delta, Intent, Policy, Reply, Request, Settlement
from continuers import MANNERS, PREFILL_REFUSED, Known, Wanted, stream, wanted

BEGAN = 1000.0
MAX_TOKENS = 500
MODELS = ("maker/one", "maker/two", "maker/three")
FAULTS = ("end", "reset", "stall", "error", "garbage")
NO_CALLS = " No tool is needed for that."
_GARBAGE = b"data: {\x00\xff nonsense\n\n"
_ERROR = (
    b'\n\ndata: {"id":"gen-1","error":{"code":502,"message":"Provider overloaded","metadata":'
    b'{"error_type":"provider_unavailable"}},"choices":[{"index":0,"delta":{"content":""},'
    b'"finish_reason":"error"}]}\n\n'
)
_TAILS = {"error": _ERROR, "garbage": _GARBAGE}
SLICES = (0, 211, 59)
"""Bytes a read; 0: all at once."""


@dataclass(frozen=True)
class Cut:
    """Where the n-th attempt's stream breaks, and how."""

    at: int
    fault: str = "reset"
    slicing: int = 0

    def pieces(self, whole: bytes) -> list[bytes]:
        data = whole[: self.at] + _TAILS.get(self.fault, b"")
        size = self.slicing or len(data) or 1
        return [data[i : i + size] for i in range(0, len(data), size)]

    @property
    def end(self) -> str:
        return self.fault if self.fault in ("reset", "stall") else "end"


@dataclass(frozen=True)
class Schedule:
    """Who answers what, and where it breaks."""

    known: Known
    cuts: tuple[Cut, ...]
    """Of the first attempts, in order; later ones are whole."""
    manners: tuple[str, ...] = ("echo",)
    """Of each model of the chain; the last one's counts for the rest."""
    chain: int = 1
    prefill: bool | None = None
    """What the configuration says of the models."""
    refuses_prefill: bool = False
    policy: Policy = field(default_factory=Policy)
    can_erase: bool = True
    streamed: bool = True
    thinks: bool = False
    """Whether a model that goes on reasons first."""
    calls_again: bool = True
    """Whether attempts after the first one call the tools; if not, they say why not."""


@dataclass
class _Leg:
    name: int
    intent: Intent
    request: Request | None = None
    opened: Opened | None = None
    left: list[bytes] = field(default_factory=list)
    end: str = "end"
    is_dead: bool = False


class Upstream:
    """Answers each attempt by its request and its place."""

    def __init__(self, plan: Schedule) -> None:
        self.plan = plan
        self.wanted: list[Wanted] = []
        self.texts: list[str] = []  # of the answers that were begun afresh
        self.told: list[str] = []  # what each attempt says

    def answer(self, intent: Intent, request: Request) -> tuple[int, list[bytes], str]:
        """Status, pieces, and how it ends."""
        body = json.loads(request.body)
        want = wanted(body)
        assert 0 < body["max_tokens"] <= MAX_TOKENS
        assert body["max_tokens"] == MAX_TOKENS or want.way != "fresh"
        self.wanted.append(want)
        number = len(self.wanted)
        if want.way == "prefill" and self.plan.refuses_prefill:
            self.told.append("")
            return 400, [PREFILL_REFUSED], "end"
        whole = self._stream(want, intent.model, number)
        uncut = Cut(len(whole), "end", SLICES[(number + len(whole)) % len(SLICES)])
        cut = self.plan.cuts[number - 1] if number <= len(self.plan.cuts) else uncut
        return 200, cut.pieces(whole), cut.end

    def _stream(self, want: Wanted, model: str, number: int) -> bytes:
        known = self.plan.known
        calls = known.calls if number == 1 or self.plan.calls_again else ()
        if want.way == "fresh":
            self.texts.append(known.text_of(number) + ("" if calls or not known.calls else NO_CALLS))
            self.told.append(self.texts[-1])
            return stream(self.texts[-1], known.reasoning, calls, number)
        # Where a manner has spoilt the words, the next one goes on with them as they are.
        spoilt = f"{want.partial.rstrip()} and so on."
        whole = next((text for text in reversed(self.texts) if text.startswith(want.partial)), spoilt)
        manners = self.plan.manners
        manner = MANNERS[manners[min(MODELS.index(model), len(manners) - 1)]]
        self.told.append(manner(whole, want))
        reasoning = "Where was I? There." if self.plan.thinks else ""
        return stream(self.told[-1], reasoning, calls, number)


class CutWorld:
    """Carries out the commands of one request. One leg at a time, strictly."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.now = BEGAN
        self.leg: _Leg | None = None
        self.intents: list[Intent] = []
        self.settled: list[Settlement] = []
        self.emitted: list[Delta] = []

    def run(self, flow: Generator[Any, Any, Reply]) -> Reply:
        answer: Any = None
        while True:
            try:
                command = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = self._do(command)

    def _do(self, command: Any) -> Any:
        match command:
            case Wait(legs, until):
                return self._wait(legs, until)
            case Emit(deltas):
                assert deltas, "an Emit of nothing"
                self.emitted += deltas
            case Begin(name, intent):
                assert self.leg is None, "two legs at once"
                self.leg = _Leg(name, intent)
                self.intents.append(intent)
            case Start(name, request):
                self._start(name, request)
            case Mark():
                pass
            case Settle(name, settlement):
                assert self.leg is not None
                assert (self.leg.name, self.leg.intent.attempt) == (name, settlement.attempt)
                self.leg = None
                self.settled.append(settlement)
            case _:
                raise AssertionError(f"no such command: {command!r}")
        return self.now

    def _start(self, name: int, request: Request) -> None:
        leg = self.leg
        assert leg is not None
        assert (leg.name, leg.request) == (name, None)
        leg.request = request
        status, leg.left, leg.end = self.upstream.answer(leg.intent, request)
        kind = "text/event-stream" if status == 200 else "application/json"
        leg.opened = Opened(name, self.now, 1_800_000_000.0, status, {"content-type": kind})

    def _wait(self, legs: tuple[int, ...], until: float) -> Any:
        if not legs:
            return self._tick(until)
        leg = self.leg
        assert leg is not None
        assert (leg.name,) == legs
        assert not leg.is_dead, "a leg that is over was waited for"
        if leg.request is None:
            return Began(leg.name, self.now)
        if leg.opened is not None:
            opened, leg.opened = leg.opened, None
            return opened
        if leg.left:
            return Data(leg.name, self.now, leg.left.pop(0))
        leg.is_dead = True
        if leg.end == "stall":
            return self._tick(until)
        if leg.end == "reset":
            return Broken(leg.name, self.now, "body", "connection reset by peer")
        return Ended(leg.name, self.now)

    def _tick(self, until: float) -> Tick:
        self.now = max(self.now, until)
        return Tick(self.now)


_NOTHING = Delta()


class Shown:
    """What a caller has before its eyes, who does what the events say."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.calls: list[list[str]] = []
        self.events: list[Any] = []
        self.begun_by = 0
        """The attempt that the text began with."""

    def take(self, delta: Delta) -> None:
        if delta.event is not None:
            self._note(delta.event)
        self.text += delta.text
        self.reasoning += delta.reasoning
        for part in delta.tool_calls:
            if part.index == len(self.calls):
                self.calls.append([part.id, part.name, ""])
            assert part.index < len(self.calls), "a call without its beginning"
            self.calls[part.index][2] += part.arguments
        is_silent = msgspec.structs.replace(delta, event=None) == _NOTHING
        assert self.begun_by or is_silent, "words before the start"
        assert delta.event is not None or not is_silent, "a delta of nothing"

    def _note(self, event: Any) -> None:
        if isinstance(event, Started):
            assert not self.begun_by, "a second start"
            self.begun_by = event.attempt
        if isinstance(event, Seam):
            assert self.begun_by, "a seam before the start"
            assert event.after == len(self.text), (event, self.text)
            assert event.erase == (event.after if event.kind == "restart" else 0), event
            if event.kind == "restart":
                self.text, self.reasoning, self.calls = "", "", []
                self.begun_by = event.attempt
        self.events.append(event)

    @property
    def seams(self) -> tuple[Seam, ...]:
        return tuple(event for event in self.events if isinstance(event, Seam))
