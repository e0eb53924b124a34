"""Attempts in small, for tests of races and of the drivers under them: what `attempt` does, without its cares."""

from __future__ import annotations

from dataclasses import dataclass

from bytedeck.call.race import Meaning, Runner
from bytedeck.call.steps import (
    Abandoned,
    Began,
    Begin,
    Data,
    Ended,
    Flow,
    Opened,
    Refused,
    Settle,
    emit,
    speak,
    start,
    wait,
)
from bytedeck.codec.chunks import Reader
from bytedeck.errors import ByteError
from bytedeck.types import Intent, Request, Route, Settlement

REQUEST = "0123456789abcdef" * 2


@dataclass(frozen=True)
class Told:
    """How an attempt went; `fault` is "" for a whole answer."""

    leg: int
    text: str
    fault: str
    at: float


@dataclass
class Racer:
    """One attempt. `idle` bounds each of its waits, seconds; `shown=False` says nothing while it comes."""

    leg: int
    idle: float = 60.0
    shown: bool = True
    route: Route = "openrouter"
    body: bytes = b'{"model":"a/b"}'
    connect_timeout: float = 10.0
    request: str = REQUEST
    quiet: bool = False
    """It emits without having told that it speaks."""

    def run(self, at: float) -> Flow[Told]:
        name = f"{self.request}-{self.leg}"
        intent = Intent(
            attempt=name,
            request=self.request,
            number=self.leg,
            task="",
            model=f"maker/{self.leg}",
            key="",
            streamed=self.shown,
            worst_units=None,
        )
        reader = Reader()
        yield Begin(self.leg, intent)
        try:
            verdict = yield from wait(self.leg, at + self.idle)
            if isinstance(verdict, Refused):  # nothing was written
                return Told(self.leg, "", "Refused", verdict.at)
            fault, at = type(verdict).__name__, verdict.at
            if isinstance(verdict, Began):
                fault, at = yield from self._exchange(reader)
        except GeneratorExit:
            raise
        except BaseException as exc:
            yield Settle(self.leg, _row(name, _ending(exc), reader), False)
            raise
        yield Settle(self.leg, _row(name, fault or "answered", reader), not fault)
        return Told(self.leg, reader.reply().text, fault, at)

    def _exchange(self, reader: Reader) -> Flow[tuple[str, float]]:
        request = Request(
            route=self.route,
            path="/chat/completions",
            body=self.body,
            connect_timeout=self.connect_timeout,
        )
        at = yield from start(self.leg, request)
        opened = yield from wait(self.leg, at + self.idle)
        if not isinstance(opened, Opened):
            return type(opened).__name__, opened.at
        at = opened.at
        if opened.status != 200:
            return f"status {opened.status}", at
        has_spoken = False
        while True:
            outcome = yield from wait(self.leg, at + self.idle)
            if not isinstance(outcome, Data):
                fault = reader.end() if isinstance(outcome, Ended) else None
                is_whole = isinstance(outcome, Ended) and fault is None
                return "" if is_whole else type(outcome).__name__, outcome.at
            deltas = reader.feed(outcome.data)
            at = outcome.at
            if reader.tokens and not has_spoken:
                has_spoken = True
                if not self.quiet:
                    yield from speak(self.leg)
            if deltas and self.shown:
                at = yield from emit(deltas)
            if reader.done:
                return "" if reader.verdict() is None else "bad", at


def _ending(exc: BaseException) -> str:
    if isinstance(exc, Abandoned):
        return exc.outcome
    return exc.code if isinstance(exc, ByteError) else "internal"


def _row(name: str, outcome: str, reader: Reader) -> Settlement:
    return Settlement(
        attempt=name,
        outcome=outcome,
        quality="unknown",
        cost_units=None,
        generation_id=reader.generation_id,
    )


def runner(racer: Racer, patience: float, made: list[float] | None = None) -> Runner[Told]:
    """A racer that takes part; `made` notes when it started."""

    def make(at: float) -> Flow[Told]:
        if made is not None:
            made.append(at)
        return racer.run(at)

    return Runner(make, patience)


def judge(told: Told) -> Meaning:
    """Whole is won; whatever failed, the next may be asked."""
    return "next" if told.fault else "won"
