"""Stores whose clocks the test moves, and attempts that claim."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bytedeck.claims import Bucket, Budget, Claim, State
from bytedeck.guard import limits
from bytedeck.io.store import Store, Verdict
from bytedeck.ledger.entry import Reconciliation, instant
from bytedeck.types import Settlement
from marks import REQUEST, begin, intent, settlement, unknown

USD = 10**12
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = instant(datetime(2026, 11, 20, 12, tzinfo=UTC))
"""A Friday."""


class Times:
    """Both clocks of a store, in microseconds."""

    def __init__(self, wall: int = START, steady: int = 5_000 * SECOND) -> None:
        self.now = wall
        self.since_start = steady

    def wall(self) -> int:
        return self.now

    def steady(self) -> int:
        return self.since_start

    def pass_(self, span: int) -> None:
        """So much time goes by."""
        self.now += span
        self.since_start += span

    def set_to(self, wall: int) -> None:
        """Somebody sets the calendar's clock."""
        self.now = wall


def claim(*needs: Bucket | Budget, worst: int | None = 0, tokens: int = 0) -> Claim:
    """What an attempt needs, from whom."""
    return Claim(
        buckets=tuple(one for one in needs if isinstance(one, Bucket)),
        budgets=tuple(one for one in needs if isinstance(one, Budget)),
        tokens=tokens,
        units=worst,
    )


def ask(
    store: Store,
    number: int,
    *needs: Bucket | Budget,
    worst: int | None = 0,
    tokens: int = 0,
    **fields: Any,
) -> Verdict:
    """The store's verdict on attempt `number`; without needs it claims nothing."""
    wanted = claim(*needs, worst=worst, tokens=tokens) if needs else None
    return begin(store, intent(number, worst_units=worst, **fields), claim=wanted)


def end(store: Store, number: int, cost: int | None, **fields: Any) -> None:
    """Attempt `number` is over and has cost so many units; None: nobody knows. It is written when this returns."""
    store.settle(_ended(number, cost, fields))
    store.flush()


def _ended(number: int, cost: int | None, fields: dict[str, Any]) -> Settlement:
    if cost is None:
        return unknown(number, **fields)
    return settlement(number, **{"cost_units": cost, "cost_text": "", "usage": None, **fields})


def find(store: Store, number: int, cost: int | None, **fields: Any) -> None:
    """What the upstream says afterwards of attempt `number`; None: it was given up."""
    store.reconcile(Reconciliation(attempt=f"{REQUEST}-{number}", cost_units=cost, **fields))
    store.flush()


def account(store: Store, budget: Budget) -> State:
    """What is spent, and what is held."""
    return store.standing((), (budget,)).accounts[0]


def room(store: Store, bucket: Bucket) -> int:
    """How many would get through now."""
    found = store.standing((bucket,), ())
    return limits.left(bucket.limit, found.levels[0], found.steady)
