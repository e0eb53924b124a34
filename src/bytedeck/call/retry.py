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
# Where nobody else is left, a hint further away than this is not waited for: who asks now wants an
# answer now, and the error tells when to come back. The caller's own deadline bounds it as well.
LONG_WAIT = 60.0
# A herd that was sent away together must not come back together: a hint is stretched by up to this share.
SPREAD = 0.1


class Verdict(Struct, frozen=True):
    """What happens after a failed attempt."""

    move: Literal["again", "next", "stop"]
    wait: float = 0.0
    """Seconds before that."""


STOP = Verdict("stop")
NEXT = Verdict("next")


def decide(
    fault: Fault,
    *,
    tries: int,
    most: int,
    last: bool,
    remaining: float,
    chance: float,
    may_repeat: bool = True,
    repeats: int | None = None,
) -> Verdict:
    """What to do after the `tries`-th failure of this kind of one model.

    `repeats`: how often the model was asked again already, whatever the failure; None: `tries` tells all of them.
    `most`: how often it is asked again at most. `last`: no other model is left. `remaining`: seconds
    until the request's total deadline. `chance`: evenly spread over [0, 1), for the jitter. `may_repeat`: whether the
    model fails seldom enough to be asked again while another one could answer.
    """
    row = TABLE[fault.code]
    is_end = last or row.then == "stop"
    give_up = STOP if is_end else NEXT
    repeats = tries - 1 if repeats is None else repeats
    if tries > row.retries or repeats >= most:
        return give_up
    if row.blames == "model" and not (may_repeat or is_end):
        return give_up
    # Not the jitter decides whether it is worth it, or the same failure would go now this way, now that.
    if (fault.retry_after or 0.0) > (LONG_WAIT if is_end else SHORT_WAIT):
        return give_up
    wait = _wait(fault, repeats + 1, chance)
    return give_up if wait >= remaining else Verdict("again", wait)


def backoff(tries: int, chance: float) -> float:
    """Full jitter under an exponential cap, seconds. Safe at any number of tries."""
    # The exponent is bounded before the power is taken: 2.0 ** 2000 overflows.
    return min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(tries - 1, 16)) * chance


def chance(attempt: str) -> float:
    """The jitter that follows an attempt, from its random name: [0, 1), no dice in the engine."""
    return crc32(attempt.encode()) / 2**32


def _wait(fault: Fault, tries: int, chance: float) -> float:
    hint = fault.retry_after
    if hint is None:
        return backoff(tries, chance)
    return hint + max(FIRST_BACKOFF, SPREAD * hint) * chance
