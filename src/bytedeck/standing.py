"""How limits and budgets stand: what is left of each, and what they would say to an attempt. Takes and writes nothing.

A pattern such as `*` has a bucket for every model that fits. Those that are not full are told by their models' ids;
the pattern itself stands for all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from .callers import Caller
from .claims import GRANTED, SECOND, Bucket, Budget, Claim, Granted, Rules, State, Verdict
from .errors import LedgerError
from .guard import admission, budget, limits, rules
from .guard.period import EVER
from .io.store import Standing, Store
from .money import to_text
from .types import Plan

_NONE = Rules()


class LimitStanding(Struct, frozen=True, kw_only=True):
    """One limit of requests or tokens."""

    bucket: Bucket
    """The limit and whose it is; `of` is a pattern where it stands for all models that fit and are not told apart."""
    left: int
    """How many would get through now."""
    full_in: float
    """Seconds until as many get through at once as ever do; 0: now."""

    def __str__(self) -> str:
        return f"{self.left:,} left of {admission.phrase(self.bucket)}."


class BudgetStanding(Struct, frozen=True, kw_only=True):
    """One budget in its period of now. Units are 10⁻¹² USD."""

    budget: Budget
    spent_units: int
    """What counts as spent: an attempt whose cost is not known counts with its worst case."""
    held_units: int
    """The worst cases of the attempts that run."""
    since: datetime | None
    """When the period began, in UTC; None for `total`."""
    until: datetime | None
    """When the next one begins."""

    @property
    def left_units(self) -> int:
        """What an attempt may still cost; 0 where a soft budget is overspent."""
        return max(0, self.budget.units - self.spent_units - self.held_units)

    def __str__(self) -> str:
        held = f", ${to_text(self.held_units)} held for attempts that run" if self.held_units else ""
        left = f"${to_text(self.left_units)} is left of {budget.phrase(self.budget)}"
        return f"{left}: ${to_text(self.spent_units)} spent{held}."


class Standings(Struct, frozen=True, kw_only=True):
    """How limits and budgets stood at one moment."""

    limits: tuple[LimitStanding, ...] = ()
    budgets: tuple[BudgetStanding, ...] = ()


class Outlook(Struct, frozen=True, kw_only=True):
    """What limits and budgets would say to one candidate now."""

    model: str
    name: str
    worst_units: int | None
    """Its worst case; None: no known price bounds it."""
    prompt_bytes: int
    verdict: Verdict = GRANTED
    capped_at: int | None = None
    """The `max_tokens` to which the request would be lowered, so that a budget pays for it; None: as it is."""


class Explanation(Struct, frozen=True, kw_only=True):
    """What would happen to a request, before anything is sent."""

    plan: Plan
    worst_units: int | None
    """The first candidate's worst case, units of 10⁻¹² USD; None: no known price bounds it."""
    prompt_bytes: int
    """Size of the request's body."""
    standing: Standings = Standings()
    """How the limits and budgets stand that the first candidate comes under."""
    outlooks: tuple[Outlook, ...]
    """Of the candidates in their order, as far as the first one that may go at once."""

    @property
    def verdict(self) -> Verdict:
        """What limits and budgets would say to the first attempt now."""
        return self.outlooks[0].verdict

    @property
    def capped_at(self) -> int | None:
        """The first one's `Outlook.capped_at`."""
        return self.outlooks[0].capped_at


def judged(store: Store, claim: Claim | None) -> tuple[Verdict, Standings]:
    """What the store would say to a claim now, and how what it comes under stands.

    Raises LedgerError where the ledger cannot be read and a hard budget has to hold, as an attempt would.
    """
    if claim is None:
        return GRANTED, Standings()
    try:
        found = store.standing(claim.buckets, claim.budgets)
    except LedgerError as error:
        if claim.is_strict:
            raise
        return Granted((error.message,)), Standings()
    decision = admission.decide(claim, found.levels, found.accounts, steady=found.steady, wall=found.wall)
    return decision.verdict, _told(claim.buckets, claim.budgets, found)


def standings(store: Store, said: Rules, callers: Iterable[Caller] = ()) -> Standings:
    """How everything that is configured stands, and what virtual keys have of their own. Raises LedgerError where the
    ledger cannot be read."""
    said = rules.with_callers(said, callers)
    if said == _NONE:
        return Standings()
    every = tuple(_buckets(said, _asked_lately(store, said)))
    found = _told(every, said.budgets, store.standing(every, said.budgets))
    named = {name for name, _ in said.models}
    return replace(found, limits=tuple(one for one in found.limits if _is_worth_telling(one, named)))


def _is_worth_telling(one: LimitStanding, named: set[str]) -> bool:
    """A full bucket of a model is not, unless the settings name it."""
    return one.bucket.scope != "model" or one.full_in > 0 or one.bucket.of in named


def _asked_lately(store: Store, said: Rules) -> list[str]:
    """The models whose bucket may not be full."""
    spans = [
        limits.span(one, one.at_once)
        for _, rates in said.models
        for one in (rates.requests, rates.tokens)
        if one is not None
    ]
    if not spans:
        return []
    # Tokens are taken until the end of an attempt, which was begun before.
    since = datetime.now(UTC) - timedelta(microseconds=2 * max(spans)) - timedelta(hours=1)
    return sorted(line.label for line in store.usage("model", since).lines)


def _buckets(said: Rules, asked: Iterable[str]) -> Iterable[Bucket]:
    """Every bucket once: of all, of models, the patterns for all others behind them, of keys, of tasks."""
    models = sorted(dict.fromkeys([*asked, *(name for name, _ in said.models)]), key=lambda name: "*" in name)
    whose = [
        ("", "", ""),
        *((model, "", "") for model in models),
        *(("", label, "") for label, _ in said.keys),
        *(("", "", task) for task, _ in said.tasks),
    ]
    found = (bucket for one in whose for bucket in rules.buckets(said, *one))
    return dict.fromkeys(bucket for bucket in found if bucket.scope == "all" or bucket.of)


def _told(buckets: Iterable[Bucket], budgets: Iterable[Budget], found: Standing) -> Standings:
    return Standings(
        limits=tuple(
            _limit(bucket, level, found.steady) for bucket, level in zip(buckets, found.levels, strict=True)
        ),
        budgets=tuple(
            _budget(one, state, found.wall) for one, state in zip(budgets, found.accounts, strict=True)
        ),
    )


def _limit(bucket: Bucket, level: State, steady: int) -> LimitStanding:
    _, wait = limits.take(bucket.limit, level, steady, bucket.limit.at_once)
    return LimitStanding(bucket=bucket, left=limits.left(bucket.limit, level, steady), full_in=wait / SECOND)


def _budget(one: Budget, state: State, wall: int) -> BudgetStanding:
    account = budget.account(one, wall)
    since, until = (
        None if (account.since, account.until) == EVER else datetime.fromtimestamp(at // SECOND, UTC)
        for at in (account.since, account.until)
    )
    return BudgetStanding(budget=one, spent_units=state[0], held_units=state[1], since=since, until=until)
