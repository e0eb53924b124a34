"""The breaker of one model or key: a table of states and happenings. Pure; times are microseconds since 1970.

Closed, it opens after too many failures; after a while it is half open, and one attempt may try: a success closes
it, a failure opens it again, for twice as long. An attempt speaks of the time from its beginning: what began
before the breaker last turned neither closes nor opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from ..health import State

SECOND = 1_000_000
IN_A_ROW = 3
"""So many failures in a row open it."""
RATE_OF = 10
"""Or half of the last minute's attempts, where there were at least so many."""
RATE_WINDOW = 60 * SECOND
FIRST_OPEN = 5 * SECOND
# With the attempt that tries and its answer that makes less than thirty seconds from a recovery on.
LONGEST_OPEN = 25 * SECOND
LENGTHS: Mapping[str, int] = {"model_not_found": 600 * SECOND}
"""Failures that open it at once, and for how long: they do not pass by themselves."""
JITTER = 0.2
"""By how much of itself a length may be shorter."""

Kind = Literal["ok", "failed", "gone"]
"""What an attempt says. `gone`: a failure of `LENGTHS`."""
Move = Literal["clear", "count", "close", "open", "stay"]


class Breaker(Struct, frozen=True, gc=False):
    """Where a breaker stands. What it is at a moment tells `state`."""

    failures: int = 0
    """In a row."""
    opened: int = 0
    until: int = 0
    """When half open begins; 0: it is closed."""
    closed: int = 0
    """When it last closed."""
    times: int = 0
    """How often it has opened without being closed for long in between."""


CLOSED = Breaker()

MOVES: Mapping[tuple[State, Kind], Move] = {
    ("closed", "ok"): "clear",
    ("closed", "failed"): "count",
    ("closed", "gone"): "open",
    ("open", "ok"): "close",  # somebody named this model alone, so it was asked all the same
    ("open", "failed"): "stay",  # or it would stay open for as long as somebody does
    ("open", "gone"): "open",
    ("half_open", "ok"): "close",
    ("half_open", "failed"): "open",
    ("half_open", "gone"): "open",
}


def state(breaker: Breaker, now: int) -> State:
    """What it is at a moment. One that was opened in the future (the clock was set back) may be tried at once."""
    if not breaker.until:
        return "closed"
    return "open" if breaker.opened <= now < breaker.until else "half_open"


def step(
    breaker: Breaker, subject: str, kind: Kind, outcome: str, begun: int, ended: int, *, crowded: bool
) -> Breaker:
    """The breaker after an attempt. `crowded`: of the last minute's attempts, this one included, too many failed."""
    now = state(breaker, ended)
    if begun < _since(breaker, now, kind):
        return breaker
    move = MOVES[now, kind]
    if move == "clear":
        return replace(breaker, failures=0) if breaker.failures else breaker
    if move == "close":
        return Breaker(closed=ended, times=breaker.times)
    counted = replace(breaker, failures=breaker.failures + 1)
    if move == "stay" or (move == "count" and counted.failures < IN_A_ROW and not crowded):
        return counted
    return _opened(counted, subject, outcome, ended)


def _since(breaker: Breaker, now: State, kind: Kind) -> int:
    """When an attempt must have begun to count."""
    if now == "closed":
        return 0 if kind == "ok" else breaker.closed
    if now == "half_open" and kind == "failed":
        return breaker.until
    return breaker.opened


def _opened(breaker: Breaker, subject: str, outcome: str, at: int) -> Breaker:
    lasted = breaker.until == 0 and at - breaker.closed > RATE_WINDOW
    times = 0 if lasted else breaker.times
    return Breaker(
        failures=breaker.failures,
        opened=at,
        until=at + length(subject, outcome, times),
        closed=breaker.closed,
        times=times + 1,
    )


def length(subject: str, outcome: str, times: int) -> int:
    """How long it stays open for the `times`-th time after the first, a little shorter for some than for others:
    models that failed together are not all tried together."""
    # The exponent is bounded before the power is taken.
    longest = LENGTHS.get(outcome) or min(LONGEST_OPEN, FIRST_OPEN << min(times, 8))
    return longest - int(longest * JITTER * crc32(subject.encode("utf-8", "replace")) / 2**32)
