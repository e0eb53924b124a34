"""One claim against all its limits and budgets: all or nothing, and decided alike for every store.

A store reads the states that `names` tells, asks `decide` and writes what comes back, in one transaction and by
its own clock; when an attempt ends, the same with its holds and `settle`. `Books` is such a store in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..claims import (
    NEW,
    Bucket,
    Budget,
    Claim,
    Decision,
    Denied,
    Granted,
    Hold,
    Later,
    Limit,
    State,
    Used,
    Verdict,
)
from ..money import to_text
from . import budget as money
from . import limits
from .period import until_next

_PER = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}
_WHOSE = {"all": "", "model": " to the model {}", "key": " with the key {}", "task": " of the task {}"}

_FEWER = ("Ask for fewer max_tokens, or raise the limit's burst.",)
_ALLOW = ("Allow more, ask for fewer max_tokens, or name a cheaper model.",)
_BOUND = (
    "Set max_tokens, and name a model with a listed price, or bound its price with provider.max_price.",
)


def names(claim: Claim, now: int) -> tuple[str, ...]:
    """Under which names the states stand that a claim needs: of its buckets, then of its budgets.

    Raises ValueError where two are the same.
    """
    found = (*(one.name for one in claim.buckets), *(money.account(one, now) for one in claim.budgets))
    if len(set(found)) < len(found):
        raise ValueError(f"a claim names a limit or a budget twice: {', '.join(found)}")
    return found


def decide(states: Mapping[str, State], claim: Claim, now: int) -> Decision:
    """Whether an attempt may go out. `now`: microseconds since 1970 by the store's clock.

    States that are missing are new. What comes back is to be written whatever the verdict is.
    """
    found = names(claim, now)
    takes = [
        (bucket.limit, states.get(name, NEW), _cost(bucket, claim))
        for name, bucket in zip(found, claim.buckets, strict=False)
    ]
    accounts = [
        _account(name, budget, states.get(name, NEW), claim.units)
        for name, budget in zip(found[len(takes) :], claim.budgets, strict=True)
    ]
    denied = _too_dear(accounts, claim.units, now) or _too_large(claim)
    if denied is not None:
        return Decision(denied, {})
    taken, wait = limits.take_all(takes, now)
    levels = dict(zip(found, taken, strict=False))
    later = _later(claim, takes, accounts, wait, now)
    if later is not None:
        return Decision(later, levels if wait else {})
    return Decision(
        Granted(tuple(said for one in accounts if (said := money.warning(one.budget, one.before)))),
        {**levels, **{one.name: one.after for one in accounts}},
        (*_token_holds(claim, levels), *_unit_holds(claim, accounts)),
    )


def settle(
    states: Mapping[str, State], holds: Iterable[Hold], used: Used, now: int
) -> tuple[dict[str, State], tuple[Hold, ...]]:
    """An attempt is over, or its cost has become known: the states to write, and the holds to keep for it.

    A hold is kept where the cost is not known yet; to settle it again then corrects what was counted. Without
    holds nothing happens: an attempt that was settled, or refused, is settled by nothing a second time.
    """
    after: dict[str, State] = {}
    kept: list[Hold] = []
    for hold in holds:
        state = states.get(hold.name, NEW)
        if hold.kind == "tokens":
            after[hold.name] = limits.settle(state, hold, _tokens(hold, used), now)
            continue
        if not hold.counted:
            after[hold.name] = money.settle(state, hold.amount, used.units)
        elif used.units is not None:
            after[hold.name] = money.correct(state, hold.amount, used.units)
        if used.units is None:
            kept.append(replace(hold, counted=True))
    return after, tuple(kept)


def held(holds: Iterable[Hold]) -> dict[str, int]:
    """What is held under each name, in units: what the accounts have to say, too."""
    found: dict[str, int] = {}
    for hold in holds:
        if hold.kind == "units" and not hold.counted:
            found[hold.name] = found.get(hold.name, 0) + hold.amount
    return found


class Books:
    """States and holds in memory. The clock is the caller's, and so is the lock."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.holds: dict[str, tuple[Hold, ...]] = {}

    def begin(self, claim: Claim, now: int) -> Verdict:
        """Whether the attempt may go out. Raises ValueError for one that is running."""
        if claim.attempt in self.holds:
            raise ValueError(f"the attempt {claim.attempt} has begun already")
        decision = decide(self.states, claim, now)
        self.states |= decision.states
        if decision.holds:
            self.holds[claim.attempt] = decision.holds
        return decision.verdict

    def settle(self, attempt: str, used: Used, now: int) -> None:
        """The attempt is over, or its cost has become known. Idempotent."""
        states, kept = settle(self.states, self.holds.pop(attempt, ()), used, now)
        self.states |= states
        if kept:
            self.holds[attempt] = kept


def _cost(bucket: Bucket, claim: Claim) -> int:
    return 1 if bucket.measure == "requests" else claim.tokens


def _tokens(hold: Hold, used: Used) -> int:
    return hold.amount if used.tokens is None else used.tokens


class _Account(Struct, frozen=True):
    """A budget, and what a reservation would do to its account."""

    name: str
    budget: Budget
    before: State
    after: State
    standing: money.Standing


def _account(name: str, budget: Budget, state: State, worst: int | None) -> _Account:
    return _Account(name, budget, state, *money.reserve(budget, state, worst))


def _too_dear(accounts: Sequence[_Account], worst: int | None, now: int) -> Denied | None:
    """Where a budget cannot pay for it in this period, whatever is given back."""
    for one in accounts:
        if one.standing == "unbounded":
            why = f"What this costs cannot be bounded, and {money.phrase(one.budget)} has to hold."
            return Denied("over_budget", why, hint=_BOUND)
        if one.standing == "over" and worst is not None:
            left = to_text(max(0, one.budget.units - one.before[0]))
            why = f"At worst this costs ${to_text(worst)}, and ${left} is left of {money.phrase(one.budget)}."
            again = until_next(one.budget.period, now) if worst <= one.budget.units else None
            return Denied("over_budget", why, again, _ALLOW)
    return None


def _too_large(claim: Claim) -> Denied | None:
    """Where a limit never lets so many through at once."""
    for bucket in claim.buckets:
        cost = _cost(bucket, claim)
        if not limits.fits(bucket.limit, cost):
            most = f"{_phrase(bucket)} lets {bucket.limit.at_once} through at once"
            return Denied("over_limit", f"This may use {cost} {bucket.measure}, and {most}.", hint=_FEWER)
    return None


def _later(
    claim: Claim,
    takes: Sequence[tuple[Limit, State, int]],
    accounts: Sequence[_Account],
    wait: int,
    now: int,
) -> Later | None:
    """Why it has to wait; None where it need not."""
    busy = next((one.budget for one in accounts if one.standing == "later"), None)
    if wait:
        waits = [limits.take(limit, state, now, cost)[1] for limit, state, cost in takes]
        slowest = _phrase(claim.buckets[waits.index(wait)])
        return Later(f"{slowest[:1].upper()}{slowest[1:]} is reached.", wait, busy is not None)
    if busy is not None:
        why = f"What is left of {money.phrase(busy)} is held for attempts that run."
        return Later(why, wait, held=True)
    return None


def _phrase(bucket: Bucket) -> str:
    """`the limit of 10 requests a minute to the model openai/gpt-4o`: as it goes into a sentence."""
    limit = bucket.limit
    per = _PER.get(limit.seconds, f"in {limit.seconds} seconds")
    return f"the limit of {limit.count} {bucket.measure} {per}{_WHOSE[bucket.scope].format(bucket.of)}"


def _token_holds(claim: Claim, levels: Mapping[str, State]) -> tuple[Hold, ...]:
    """The tokens that may be given back. A request that went out is none less for how it ended."""
    return tuple(
        Hold(
            name=bucket.name,
            kind="tokens",
            amount=claim.tokens,
            span=limits.span(bucket.limit, claim.tokens),
            end=sum(levels[bucket.name]),
        )
        for bucket in claim.buckets
        if bucket.measure == "tokens"
    )


def _unit_holds(claim: Claim, accounts: Sequence[_Account]) -> tuple[Hold, ...]:
    """What is held of each account. Also where that is nothing: what it costs in the end is to be counted."""
    return tuple(Hold(name=one.name, kind="units", amount=one.after[1] - one.before[1]) for one in accounts)
