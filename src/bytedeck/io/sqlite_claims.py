"""Limits and budgets in the SQLite ledger: what a claim needs to know, and what it takes, within a transaction.

Accounts are kept by triggers, whoever writes; here they are read, and made where they are missing, with the triggers
where these are the first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from ..claims import NEW, Account, Bucket, Claim, Decision, Hold, State
from ..guard import admission, budget
from .owner import boot

# As the SQL splits its sums: in billions of units, and the rest.
_SPLIT = 1_000_000_000
_MOST = 8_000_000_000_000_000_000
"""Beyond it an account does not grow."""
# How long an account outlives its period: for a report's sake, since a row that comes later needs none.
_KEPT = 7 * 86_400_000_000

_holds = msgspec.json.Decoder(tuple[Hold, ...])


class SqliteClaims:
    """One connection's view. What writes has to be within a transaction that was begun as immediate."""

    def __init__(
        self, connection: sqlite3.Connection, statements: dict[str, str], steady: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._sql = statements
        self._steady = steady
        self._ahead: int | None = None

    def take(self, claim: Claim, at: int) -> Decision:
        """Decide, and write the buckets' levels; what a budget holds the intent itself will tell.

        `at`: the attempt's moment, in microseconds since 1970.
        """
        steady = self.now(at) if claim.buckets else 0
        accounts = tuple(self.open(budget.account(one, at), at) for one in claim.budgets)
        decision = admission.decide(claim, self.levels(claim.buckets), accounts, steady=steady, wall=at)
        for bucket, level in zip(claim.buckets, decision.levels, strict=False):
            self._connection.execute(self._sql["fill"], (bucket.name, *level, steady))
        return decision

    def hold(self, intent: int, holds: tuple[Hold, ...]) -> None:
        """Keep what an attempt took, by its row's number."""
        self._connection.execute(self._sql["hold"], (intent, msgspec.json.encode(holds).decode()))

    def release(self, intent: int, tokens: int | None, at: int) -> None:
        """The attempt is over and has used so many tokens (None: not known): give the rest back."""
        found = self._connection.execute(self._sql["release"], (intent,)).fetchone()
        if found is None:
            return
        holds = _holds.decode(found[0])
        levels = {hold.name: self._level(hold.name) for hold in holds}
        steady = self.now(at)
        for name, level in admission.settle(levels, holds, tokens, steady).items():
            self._connection.execute(self._sql["fill"], (name, *level, steady))

    def now(self, at: int) -> int:
        """The moment by the clock of the buckets."""
        if self._ahead is None:
            steady = self._steady()
            self._connection.execute(self._sql["clock"], (boot(), at, steady))
            (self._ahead,) = self._connection.execute(self._sql["ahead"]).fetchone()
        return self._steady() + (self._ahead or 0)

    def levels(self, buckets: Iterable[Bucket]) -> tuple[State, ...]:
        """How full the buckets are. Only reads."""
        return tuple(self._level(bucket.name) for bucket in buckets)

    def _level(self, name: str) -> State:
        found: State | None = self._connection.execute(self._sql["bucket"], (name,)).fetchone()
        return found or NEW

    def standing(self, account: Account) -> State:
        """How an account stands, also one that is not there yet. Only reads."""
        return self._kept(account) or self.summed(account)

    def _kept(self, account: Account) -> State | None:
        found: State | None = self._connection.execute(self._sql["account"], _key(account)).fetchone()
        return None if found is None or None in found else found

    def summed(self, account: Account) -> State:
        """What the rows say. Only reads."""
        sums = self._connection.execute(self._sql["account_rows"], _key(account)).fetchone()
        spent, held = sums[0] * _SPLIT + sums[1], sums[2] * _SPLIT + sums[3]
        return min(spent, _MOST), min(held, _MOST)

    def open(self, account: Account, at: int) -> State:
        """How an account stands, which from now on is kept. The first time all rows of its period are looked through."""
        found = self._kept(account)
        if found is not None:
            return found
        self._connection.execute(self._sql["forget_accounts"], {"before": at - _KEPT})
        for listener in ("hear_intents", "hear_settlements"):
            self._connection.execute(self._sql[listener])
        spent, held = self.summed(account)
        params = {**_key(account), "period": account.period, "spent": spent, "held": held}
        self._connection.execute(self._sql["open_account"], params)
        return spent, held

    def accounts(self) -> list[tuple[Account, State]]:
        """All that there are. Only reads."""
        rows = self._connection.execute(self._sql["accounts"])
        return [(Account(*row[:5]), (row[5], row[6])) for row in rows]


def _key(account: Account) -> dict[str, str | int]:
    return {
        "scope": account.scope,
        "whose": account.of,
        "since": account.since,
        "until": account.until,
    }
