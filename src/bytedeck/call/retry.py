"""Failure → again, next or stop; and how long to wait (wire reference, section 7). Pure.

Time and chance come in as data. What a code means stands in `errors.TABLE`; here stands
only how the numbers go together.
"""

from __future__ import annotations

from typing import Literal
from zlib import crc32

from msgspec import Struct

from ..errors import TABLE
from ..types import Fault

SHORT_WAIT = 10.0
"""A Retry-After up to here is worth waiting for while another model could answer."""
FIRST_BACKOFF = 0.5
MAX_BACKOFF = 8.0
# A reset hint further away than this is not waited for, even at the end of the chain:
# who asks now wants an answer now, and the error tells when to come back.
LONG_WAIT = 60.0


class Verdict(Struct, frozen=True):
    """What happens after a failed attempt."""

    move: Literal["again", "next", "stop"]
    wait: float = 0.0
    """Seconds before that."""


STOP = Verdict("stop")
NEXT = Verdict("next")


def decide(fault: Fault, *, tries: int, most: int, last: bool, remaining: float, chance: float) -> Verdict:
    """What to do after the `tries`-th failure in a row of one model.

    `most`: how often a model is asked again whatever the failure. `last`: no other model is left. `remaining`: seconds until the request's total deadline.
    `chance`: evenly spread over [0, 1), for the jitter.
    """
    row = TABLE[fault.code]
    give_up = STOP if last or row.then == "stop" else NEXT
    if tries > min(row.retries, most):
        return give_up
    wait = _wait(fault, tries, chance)
    patience = LONG_WAIT if give_up is STOP else SHORT_WAIT
    if wait > patience or wait >= remaining:
        return give_up
    return Verdict("again", wait)


def backoff(tries: int, chance: float) -> float:
    """Full jitter under an exponential cap, seconds. Safe at any number of tries."""
    # The exponent is bounded before the power is taken: 2.0 ** 2000 overflows.
    return min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(tries - 1, 16)) * chance


def chance(attempt: str) -> float:
    """The jitter that follows an attempt, from its random name: [0, 1), no dice in the engine."""
    return crc32(attempt.encode()) / 2**32


def _wait(fault: Fault, tries: int, chance: float) -> float:
    if fault.retry_after is None:
        return backoff(tries, chance)
    # A herd that was sent away together must not come back together.
    return fault.retry_after + FIRST_BACKOFF * chance
