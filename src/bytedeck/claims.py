"""What an attempt claims before it may go out, and what it is told: limits, budgets, reservations.

Money is in units of 10⁻¹² USD, moments and spans are whole microseconds by the store's clock, and nothing
here is a float, so that memory, SQLite and any other store hold the same numbers.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Scope = Literal["all", "model", "key", "task"]
"""Whom a limit or a budget is for; `of` names which one."""

Measure = Literal["requests", "tokens"]

Period = Literal["day", "week", "month", "total"]
"""Of a budget, by the calendar in UTC; a week begins on Monday."""

SECOND = 1_000_000
"""In microseconds."""

LONGEST = 31 * 86_400
"""Seconds after which a bucket that was emptied is full again, at most."""

MOST_UNITS = 10**18
"""A million USD. Sums of several still fit into 64 bits."""

_MOST_COUNT = 10**9

State: TypeAlias = tuple[int, int]
"""What a store keeps. Of a bucket: the theoretical arrival time, and all the time ever given back. Of a budget's
account: the units spent, and the units held."""

NEW: State = (0, 0)
"""Of what the store does not have yet."""


class Limit(Struct, frozen=True):
    """So many in so many seconds, and so many at once (0: as many as `count`).

    "10 a minute" is: after a pause 10 at once, then one each 6 seconds. In any span of t seconds no more
    than `burst + t * count / seconds` get through; in the long run it is `count / seconds`.
    Raises ValueError for what is no limit.
    """

    count: int
    seconds: int
    burst: int = 0

    def __post_init__(self) -> None:
        _whole("the number", self.count, 1, _MOST_COUNT)
        _whole("the span in seconds", self.seconds, 1, LONGEST)
        _whole("the burst", self.burst, 0, _MOST_COUNT)
        if self.burst * self.seconds > LONGEST * self.count:
            raise ValueError(f"a burst of {self.burst} takes longer than 31 days to come back")

    @property
    def at_once(self) -> int:
        """How many get through at once after a pause."""
        return self.burst or self.count


class Bucket(Struct, frozen=True):
    """A limit, and whose."""

    measure: Measure
    scope: Scope
    of: str
    """A model's id, a key's label, a task's name; "" for `all`."""
    limit: Limit

    @property
    def name(self) -> str:
        """Under which a store keeps its state. The limit is in it: one that is changed begins with a full bucket."""
        limit = self.limit
        return f"{self.measure}/{self.scope}/{self.of}/{limit.count}-{limit.seconds}-{limit.at_once}"


class Budget(Struct, frozen=True):
    """How much may be spent in a period, and by whom. Raises ValueError for what is no budget."""

    scope: Scope
    of: str
    period: Period
    units: int
    hard: bool = True
    """Whether what could pass it is refused; if not, it only warns."""
    warn_percent: int = 80
    """Of the units; once so much is spent, it is told."""

    def __post_init__(self) -> None:
        if self.scope == "model":
            raise ValueError("a budget is for all, for a key or for a task")
        _whole("the budget in units", self.units, 1, MOST_UNITS)
        _whole("the share to warn at, in percent,", self.warn_percent, 1, 100)


class Account(Struct, frozen=True):
    """What is spent and held in one period by one scope. It covers every attempt of theirs that was begun in it."""

    scope: Scope
    of: str
    period: Period
    since: int
    """The period's first moment, in microseconds since 1970."""
    until: int
    """The first moment after it."""


class Rates(Struct, frozen=True):
    """What is allowed to one of a scope. None: no limit."""

    requests: Limit | None = None
    tokens: Limit | None = None


class Rules(Struct, frozen=True, kw_only=True, cache_hash=True):
    """All limits and budgets that are configured."""

    everything: Rates = Rates()
    """All requests together."""
    models: tuple[tuple[str, Rates], ...] = ()
    """By a model's id, or a pattern with `*`. Every model that fits has a bucket of its own."""
    keys: tuple[tuple[str, Rates], ...] = ()
    """By the key's label."""
    tasks: tuple[tuple[str, Rates], ...] = ()
    """By the task's canonical name."""
    budgets: tuple[Budget, ...] = ()


class Claim(Struct, frozen=True, kw_only=True):
    """What one attempt needs, all or nothing. Its buckets have different names; its budgets may share an account."""

    buckets: tuple[Bucket, ...] = ()
    budgets: tuple[Budget, ...] = ()
    tokens: int = 0
    """What it may use, by estimate; for the buckets that measure tokens."""
    units: int | None = 0
    """Its worst case; None: no known price bounds it."""
    discreet: bool = False
    """Whether who asks has a virtual key, and is not to be told what others have spent."""

    @property
    def is_strict(self) -> bool:
        """Whether it may not go out unchecked: a hard budget holds, also where no store answers."""
        return any(budget.hard for budget in self.budgets)


class Hold(Struct, frozen=True, kw_only=True):
    """The tokens that a running attempt took from a bucket. A store keeps an attempt's holds together."""

    name: str
    amount: int
    span: int
    """How much time of the bucket they took."""
    end: int
    """Both numbers of the bucket's state together, just after they were taken."""


class Granted(Struct, frozen=True):
    """It may go out."""

    warnings: tuple[str, ...] = ()
    """A sentence for each budget that is nearly spent, or overspent where it is soft."""


class Later(Struct, frozen=True):
    """Not now. Nothing was taken."""

    why: str
    wait: int
    """Not before so many microseconds have passed; 0: no limit is in the way."""
    held: bool = False
    """Whether a running attempt has to give back something first; when that is, nobody knows."""
    room: int | None = None
    """Where money is in the way: the units that could be had now."""


class Denied(Struct, frozen=True):
    """Not at all, or not in this period. Nothing was taken."""

    code: Literal["over_burst", "over_budget"]
    why: str
    again: int | None = None
    """Microseconds until a new period begins, where that helps."""
    hint: tuple[str, ...] = ()
    room: int | None = None
    """Where money is in the way: the units that could be had now."""


Verdict: TypeAlias = Granted | Later | Denied

GRANTED = Granted()


class Decision(Struct, frozen=True):
    """What follows from a claim."""

    verdict: Verdict
    levels: tuple[State, ...] = ()
    """Of the claim's buckets, in their order, to be written; empty where nothing was granted."""
    holds: tuple[Hold, ...] = ()
    """To be kept under the attempt until it is settled."""


def noun(measure: Measure, count: int) -> str:
    """`request` for one, `requests` for all others."""
    return measure.removesuffix("s") if count == 1 else measure


def _whole(what: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:  # neither True nor 1.0 is a count
        raise ValueError(f"{what} has to be a whole number from {least} to {most}, and is {value!r}")
