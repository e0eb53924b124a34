"""Rate limits by GCRA with cost: two integers a bucket, exact, never over `burst + time * rate`.

The theoretical arrival time (TAT) is the moment at which the bucket will be full again. What a take costs in
time is rounded up, by less than 0.1 % where one takes a millisecond or more, else by less than a microsecond a
take. See the ATM Forum's Generic Cell Rate Algorithm, and Brandur Leach's `throttled`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..claims import SECOND, Hold, Limit, State

_MOST_DEBT = 86_400 * SECOND
"""An upstream whose counter is broken shall not lock everybody out for longer."""
_FINE = 1000
"""Microseconds a unit from which on its time is rounded to a whole number, so that n takes of one are one of n."""


def span(limit: Limit, cost: int) -> int:
    """The microseconds in which so many come back. Raises ValueError for a negative cost."""
    if cost < 0:
        raise ValueError(f"a cost is not negative: {cost}")
    each = _each(limit)
    return cost * each if each else -(-cost * limit.seconds * SECOND // limit.count)


def fits(limit: Limit, cost: int) -> bool:
    """Whether so many can ever get through at once."""
    return cost <= limit.at_once


def take(limit: Limit, state: State, now: int, cost: int) -> tuple[State, int]:
    """The state afterwards, and 0; or, where it cannot be now, the state as it is, and how many microseconds later it can.

    Raises ValueError for a cost that never fits.
    """
    states, wait = take_all(((limit, state, cost),), now)
    return states[0], wait


def take_all(takes: Sequence[tuple[Limit, State, int]], now: int) -> tuple[list[State], int]:
    """As `take`, from several buckets: from all of them, or from none. The wait is the longest one."""
    after, longest = [], 0
    for limit, state, cost in takes:
        if not fits(limit, cost):
            raise ValueError(f"{cost} never get through at once where {limit.at_once} may")
        tat, back = state
        tat = max(tat, now) + span(limit, cost)
        longest = max(longest, tat - now - _full(limit))
        after.append((tat, back))
    return ([state for _, state, _ in takes], longest) if longest > 0 else (after, 0)


def left(limit: Limit, state: State, now: int) -> int:
    """How many would get through now."""
    tat, _ = state
    room, each = max(0, _full(limit) - max(0, tat - now)), _each(limit)
    return room // each if each else room * limit.count // (limit.seconds * SECOND)


def settle(state: State, hold: Hold, used: int, now: int) -> State:
    """A take that is settled by what was really used: the rest is given back, what came on top is taken, too.

    What has passed already is not given back, the bucket has filled by it. What was given back since counts
    as passed: others may have taken it. So no more can ever be given back than the bucket lacks (before the
    moment `hold.end - back` it was never full), and the bound holds for what is really used. A bucket of two
    integers knows no better; it costs throughput only where much more is held than a burst.
    """
    tat, back = state
    actual = -(-hold.span * used // hold.amount) if hold.amount else 0
    if actual > hold.span:  # a debt: nobody gets through until it has come back
        return max(tat, now) + min(actual - hold.span, _MOST_DEBT), back
    gift = max(0, min(hold.span - actual, hold.end - back - now))
    return tat - gift, back + gift


def _each(limit: Limit) -> int:
    """The microseconds that one takes, where it is a whole number of them; else 0."""
    period = limit.seconds * SECOND
    return -(-period // limit.count) if period >= limit.count * _FINE else 0


def _full(limit: Limit) -> int:
    """The microseconds in which an empty bucket fills."""
    return span(limit, limit.at_once)
