"""Events become steps: how fast an answer comes. Pure; chance comes from a seed, waiting is left to the wire."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from random import Random

from msgspec import Struct

from .faults.connection import waiting
from .faults.events import COMMENT
from .settings import Settings
from .shapes import Event, Pause, Refusal, Step, Write


class Pace(Struct, frozen=True):
    """Tokens a second (0: no waiting), seconds to the first token, and how much a pause may differ."""

    tps: float = 0.0
    ttft: float = 0.0
    jitter: float = 0.0


_HEADERS = {"x-sim-tps": "tps", "x-sim-ttft": "ttft", "x-sim-jitter": "jitter"}


def pace_of(settings: Settings, headers: Mapping[str, str]) -> Pace:
    """The settings' pace, changed by the request's X-Sim-TPS, X-Sim-TTFT, X-Sim-Jitter. Raises Refusal (400)."""
    values = {name: getattr(settings, name) for name in ("tps", "ttft", "jitter")}
    for header, name in _HEADERS.items():
        if (text := headers.get(header)) is not None:
            values[name] = _number(header, text)
    return Pace(values["tps"], values["ttft"], min(values["jitter"], 1.0))


def _number(header: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise Refusal(400, f"{header} is {text!r}, and has to be a number from 0.", "invalid_request")
    return value


def streamed(events: Iterable[Event], pace: Pace, seed: str) -> Iterator[Step]:
    """One write an event. Until the first token may come there are comments."""
    yield Write(COMMENT)
    if not pace.tps and not pace.ttft:
        for event in events:
            yield Write(event.data, event.tokens)
        return
    chance = Random(seed)  # noqa: S311 - the same each time
    yield from waiting(_varied(pace.ttft, pace, chance))
    first = True
    for event in events:
        if event.tokens and pace.tps:
            if not first:  # the first one's time was that to the first token
                yield Pause(_varied(event.tokens / pace.tps, pace, chance))
            first = False
        yield Write(event.data, event.tokens)


def at_once(body: bytes, tokens: int, pace: Pace, seed: str) -> tuple[Pause | None, Write]:
    """A whole answer: the time that all of it takes, then its body."""
    seconds = pace.ttft + (tokens / pace.tps if pace.tps else 0.0)
    pause = Pause(_varied(seconds, pace, Random(seed))) if seconds else None  # noqa: S311
    return pause, Write(body, tokens)


def _varied(seconds: float, pace: Pace, chance: Random) -> float:
    return seconds * (1 + pace.jitter * chance.uniform(-1, 1)) if pace.jitter else seconds
