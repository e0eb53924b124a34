"""One claim against all its limits and budgets: all or nothing, and decided alike for every store.

In one transaction a store reads the states of the claim's buckets and accounts, asks `decide`, and writes the levels
that come back; where it was granted, the intent, which its accounts then hold, and the token holds, too. When the
attempt ends it does the same with those holds and `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..claims import (
    GRANTED,
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
    noun,
)
from ..money import to_text
from . import budget as money
from . import limits
from .period import until_next

_PER = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}
_WHOSE = {"all": "", "model": " to the model {}", "key": " with the key {}", "task": " of the task {}"}

_FEWER = ("Ask for fewer max_tokens, or raise the limit's burst.",)
_ALLOW = (
    *money.HINT,
    "An attempt whose cost is not known counts at its worst: byte ledger reconcile asks for what it was.",
)
_BOUND = (
    "Set max_tokens, and name a model with a listed price, or bound its price with provider.max_price.",
    "Pictures, files, plugins and web searches have prices of their own: only a soft budget lets them through.",
)


def decide(
    claim: Claim, levels: Sequence[State], accounts: Sequence[State], *, steady: int, wall: int
) -> Decision:
    """Whether an attempt may go out, by the states of the claim's buckets and of its budgets' accounts.

    Both clocks are the store's, in microseconds: `steady` only ever goes forward, at the pace of time, and is for the
    buckets; `wall` is since 1970, and is for the calendar.
    """
    takes = [
        (bucket.limit, level, _cost(bucket, claim))
        for bucket, level in zip(claim.buckets, levels, strict=True)
    ]
    denied = _too_dear(claim, accounts, wall) or _too_large(claim)
    if denied is not None:
        return Decision(denied)
    after, wait = limits.take_all(takes, steady)
    later = _later(claim, takes, accounts, wait, steady)
    if later is not None:
        return Decision(later)
    return Decision(_granted(claim, accounts), tuple(after), _holds(claim, after))


def settle(
    levels: Mapping[str, State], holds: Iterable[Hold], tokens: int | None, steady: int
) -> dict[str, State]:
    """An attempt with these holds is over: the buckets' states to be written, by name.

    `tokens`: what it used; None: not known, so that all that was taken counts.
    """
    return {
        hold.name: limits.settle(
            levels.get(hold.name, NEW), hold, hold.amount if tokens is None else tokens, steady
        )
        for hold in holds
    }


def _cost(bucket: Bucket, claim: Claim) -> int:
    return 1 if bucket.measure == "requests" else claim.tokens


def _granted(claim: Claim, accounts: Sequence[State]) -> Granted:
    pairs = zip(claim.budgets, accounts, strict=True)
    said = (money.warning(one, state) for one, state in pairs if not _is_others(claim, one))
    warnings = tuple(sentence for sentence in said if sentence)
    return Granted(warnings) if warnings else GRANTED


def _too_dear(claim: Claim, accounts: Sequence[State], wall: int) -> Denied | None:
    """Where a budget cannot pay for it in this period, whatever is given back."""
    worst = claim.units
    for budget, state in zip(claim.budgets, accounts, strict=True):
        found = money.standing(budget, state, worst)
        if found == "unbounded":
            why = f"What this costs cannot be bounded, and {money.phrase(budget)} has to hold."
            return Denied("over_budget", why, hint=_BOUND)
        if found == "over" and worst is not None:
            left = f"${to_text(max(0, budget.units - state[0]))}"
            if _is_others(claim, budget):
                left = "less"
            why = f"At worst this costs ${to_text(worst)}, and {left} is left of {money.phrase(budget)}."
            again = until_next(budget.period, wall) if worst <= budget.units else None
            return Denied("over_budget", why, again, _ALLOW, money.room(claim.budgets, accounts))
    return None


def _is_others(claim: Claim, budget: Budget) -> bool:
    """Whether a budget tells who asks what others have spent."""
    return claim.discreet and budget.scope != "key"


def _too_large(claim: Claim) -> Denied | None:
    """Where a limit never lets so many through at once."""
    for bucket in claim.buckets:
        cost = _cost(bucket, claim)
        if not limits.fits(bucket.limit, cost):
            most = f"{phrase(bucket)} lets {bucket.limit.at_once} through at once"
            return Denied(
                "over_burst", f"This may use {cost} {noun(bucket.measure, cost)}, and {most}.", hint=_FEWER
            )
    return None


def _later(
    claim: Claim,
    takes: Sequence[tuple[Limit, State, int]],
    accounts: Sequence[State],
    wait: int,
    steady: int,
) -> Later | None:
    """Why it has to wait; None where it need not."""
    found = zip(claim.budgets, accounts, strict=True)
    busy = next((one for one, state in found if money.standing(one, state, claim.units) == "later"), None)
    if wait:
        waits = [limits.take(limit, state, steady, cost)[1] for limit, state, cost in takes]
        slowest = phrase(claim.buckets[waits.index(wait)])
        return Later(f"{slowest[:1].upper()}{slowest[1:]} is reached.", wait, busy is not None)
    if busy is not None:
        why = f"What is left of {money.phrase(busy)} is held for attempts that run."
        return Later(why, wait, held=True, room=money.room(claim.budgets, accounts))
    return None


def phrase(bucket: Bucket) -> str:
    """`the limit of 10 requests a minute to the model openai/gpt-4o`: as it goes into a sentence."""
    limit = bucket.limit
    per = _PER.get(limit.seconds, f"in {limit.seconds} seconds")
    what = noun(bucket.measure, limit.count)
    return f"the limit of {limit.count} {what} {per}{_WHOSE[bucket.scope].format(bucket.of)}"


def _holds(claim: Claim, levels: Sequence[State]) -> tuple[Hold, ...]:
    """The tokens that may be given back. A request that went out is none less for how it ended."""
    return tuple(
        Hold(
            name=bucket.name,
            amount=claim.tokens,
            span=limits.span(bucket.limit, claim.tokens),
            end=sum(level),
        )
        for bucket, level in zip(claim.buckets, levels, strict=True)
        if bucket.measure == "tokens"
    )
