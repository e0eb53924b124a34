"""When a cost is asked for again, and when it is given up. Pure: moments come in as data.

A generation's record comes a moment after its end (wire reference, USE-07), so a 404 means: not yet, or never. How
long ago the attempt ended tells which.
"""

from __future__ import annotations

from typing import Literal

FIRST_PAUSE = 0.5
MOST_PAUSE = 60.0
"""Seconds between two looks."""

_MINUTE = 60_000_000
SOON = 10 * _MINUTE
"""Microseconds after an attempt's end in which its record may come any moment: worth waiting for."""
GIVE_UP = 24 * 60 * _MINUTE
"""After which a record that is not there will not come."""
GIVE_UP_OTHERS = 30 * GIVE_UP
"""The same where another key had asked: it may only be that this one may not see it."""

Missing = Literal["soon", "later", "never"]


def pause(looks: int) -> float:
    """Seconds to wait after so many looks in vain, from 1: half a second, twice as long each time, at most a minute."""
    return MOST_PAUSE if looks > 8 else min(MOST_PAUSE, FIRST_PAUSE * 2 ** (looks - 1))


def missing(settled_at: int, now: int, is_ours: bool) -> Missing:
    """What it means that there is no record of an attempt that ended then. Moments are microseconds since 1970.

    `is_ours`: the key that looks is the one that had asked.
    """
    age = now - settled_at
    if age >= (GIVE_UP if is_ours else GIVE_UP_OTHERS):
        return "never"
    return "soon" if age < SOON else "later"
