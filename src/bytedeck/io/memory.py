"""The ledger in memory: for tests, and for a process that shall leave no trace.

Keeps every row for as long as the process lives; the same answers as SQLite, by one contract test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime

from ..call.health import LESSONS
from ..claims import GRANTED, NEW, Account, Bucket, Budget, Claim, Granted, Hold, State
from ..errors import LedgerError
from ..guard import admission, budget
from ..health import Learnt, Seen
from ..ledger.entry import (
    Awaiting,
    Opened,
    Reconciliation,
    Row,
    Wanted,
    cost_problem,
    instant,
    join,
    spend_units,
    used_tokens,
)
from ..ledger.report import By, Report, Tally, Verification, build, day_text, grouping
from ..types import Intent, Settlement
from . import clock as clocks
from .store import MOST_RECENT, NOTHING_OWED, Beginning, Cursor, Recent, Standing, Verdict


class MemoryStore:
    """See `Store`. Every row is written at once, on the caller's thread."""

    def __init__(
        self, clock: Callable[[], int] = clocks.wall, steady: Callable[[], int] = clocks.steady
    ) -> None:
        self.location = "memory"
        self.lost: list[str] = []
        self.owed = NOTHING_OWED
        self._clock = clock
        self._steady = steady
        self._lock = threading.Lock()
        self._intents: dict[str, tuple[Intent, int]] = {}
        self._names: list[str] = []
        """Of the attempts, in their order."""
        self._learnt: dict[tuple[str, str], int] = {}
        self._opened: dict[str, Opened] = {}
        self._settled: dict[str, tuple[Settlement, int]] = {}
        self._reconciled: dict[str, tuple[Reconciliation, int]] = {}
        self._buckets: dict[str, State] = {}
        self._accounts: dict[Account, State] = {}
        """Those that a budget has asked for. Each is the sum of its rows."""
        self._holds: dict[str, tuple[Hold, ...]] = {}

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        with self._lock:
            verdict = self._begin(intent, claim, self._clock())
        done(verdict)

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        for one in beginnings:
            self.begin(one.intent, one.done, one.claim)

    def _begin(self, intent: Intent, claim: Claim | None, at: int) -> Verdict:
        if intent.attempt in self._intents:
            return LedgerError(f"The attempt {intent.attempt} is in the ledger already.")
        verdict = GRANTED if claim is None else self._take(intent.attempt, claim, at)
        if isinstance(verdict, Granted):
            self._intents[intent.attempt] = intent, at
            self._names.append(intent.attempt)
            self._count(intent, at, held=intent.worst_units or 0)
        return verdict

    def _take(self, attempt: str, claim: Claim, at: int) -> Verdict:
        found = self._standing(claim.buckets, claim.budgets, at)
        decision = admission.decide(claim, found.levels, found.accounts, steady=found.steady, wall=found.wall)
        for bucket, level in zip(claim.buckets, decision.levels, strict=False):
            self._buckets[bucket.name] = level
        if decision.holds:
            self._holds[attempt] = decision.holds
        return decision.verdict

    def _standing(self, buckets: Sequence[Bucket], budgets: Sequence[Budget], at: int) -> Standing:
        return Standing(
            tuple(self._buckets.get(bucket.name, NEW) for bucket in buckets),
            tuple(self._account(budget.account(one, at)) for one in budgets),
            self._steady(),
            at,
        )

    def _account(self, account: Account) -> State:
        """How an account stands; one that nobody has asked for yet begins as the sum of the rows it covers."""
        if account not in self._accounts:
            spent = held = 0
            for name in self._names:
                intent, at = self._intents[name]
                if not _covers(account, intent, at):
                    continue
                if name in self._settled:
                    spent += self._counted(name)
                else:
                    held += intent.worst_units or 0
            self._accounts[account] = spent, held
        return self._accounts[account]

    def _counted(self, attempt: str) -> int:
        """What a settled attempt counts as spent."""
        settlement, _ = self._settled[attempt]
        found = self._reconciled.get(attempt)
        told = settlement if found is None or found[0].cost_units is None else found[0]
        spend = spend_units(told.cost_units, told.usage)
        return budget.counted(spend, self._intents[attempt][0].worst_units)

    def _count(self, intent: Intent, at: int, *, spent: int = 0, held: int = 0) -> None:
        for account, (old_spent, old_held) in self._accounts.items():
            if _covers(account, intent, at):
                self._accounts[account] = old_spent + spent, old_held + held

    def mark(self, attempt: str, generation_id: str) -> None:
        with self._lock:
            if attempt in self._intents:
                self._opened.setdefault(attempt, Opened(attempt, generation_id))

    def settle(self, settlement: Settlement) -> None:
        with self._lock:
            if settlement.attempt not in self._intents or settlement.attempt in self._settled:
                return
            at = self._clock()
            self._settled[settlement.attempt] = settlement, at
            intent, begun = self._intents[settlement.attempt]
            self._count(
                intent, begun, spent=self._counted(settlement.attempt), held=-(intent.worst_units or 0)
            )
            self._give_back(settlement)
            if settlement.outcome in LESSONS:
                self._learnt[self._intents[settlement.attempt][0].model, settlement.outcome] = at

    def reconcile(self, found: Reconciliation) -> None:
        with self._lock:
            if found.attempt not in self._settled or found.attempt in self._reconciled:
                return
            before = self._counted(found.attempt)
            self._reconciled[found.attempt] = found, self._clock()
            self._count(*self._intents[found.attempt], spent=self._counted(found.attempt) - before)

    def _give_back(self, settlement: Settlement) -> None:
        holds = self._holds.pop(settlement.attempt, ())
        self._buckets |= admission.settle(self._buckets, holds, used_tokens(settlement), self._steady())

    def standing(self, buckets: Sequence[Bucket], budgets: Sequence[Budget]) -> Standing:
        with self._lock:
            return self._standing(buckets, budgets, self._clock())

    def flush(self, timeout: float = 5.0) -> None:
        pass  # nothing is ever pending

    def close(self) -> None:
        pass  # nothing is held

    def usage(self, by: By = "task", since: datetime | None = None) -> Report:
        grouping(by)
        rows = self._joined(since)
        groups: dict[tuple[str, int], list[Row]] = {}
        requests: dict[str, set[str]] = {}
        for row in rows:
            groups.setdefault(("" if by == "day" else getattr(row, by), _day(row)), []).append(row)
            label = day_text(_day(row)) if by == "day" else getattr(row, by)
            requests.setdefault(label, set()).add(row.request)
        return build(
            by,
            since,
            [_tally(label, day, group) for (label, day), group in groups.items()],
            {label: len(names) for label, names in requests.items()},
            len({row.request for row in rows}),
        )

    def rows(
        self, limit: int = 100, since: datetime | None = None, wanted: Wanted | None = None
    ) -> list[Row]:
        found = self._joined(since)
        if wanted is not None:
            if wanted.before:
                names = [row.attempt for row in found]
                found = found[: names.index(wanted.before)] if wanted.before in names else []
            found = [row for row in found if wanted.fits(row)]
        return found[::-1][: max(limit, 0)]

    def attempts(self, requests: Sequence[str]) -> list[Row]:
        wanted = set(requests)
        return [row for row in self._joined(None) if row.request in wanted]

    def export(self, since: datetime | None = None) -> Iterator[Row]:
        return iter(self._joined(since))

    def sweep(self) -> int:
        return 0  # memory ends with its process: nothing is ever left open by a dead one

    def awaiting(self, limit: int = 1000, after: int = 0) -> list[Awaiting]:
        places = enumerate(self._joined(None), start=1)
        found = [
            Awaiting(
                attempt=row.attempt,
                generation_id=row.generation_id,
                key=row.upstream_key or row.key,
                settled_at=instant(row.settled_at),
                place=place,
            )
            for place, row in places
            if place > after and row.state == "awaiting" and row.settled_at is not None
        ]
        return found[: max(limit, 0)]

    def verify(self) -> Verification:
        rows = self._joined(None)
        unknown = [row for row in rows if row.cost_units is None]
        found = (cost_problem(row.attempt, row.cost_units, row.cost_text) for row in rows)
        states = [row.state for row in rows]
        return Verification(
            location=self.location,
            attempts=len(rows),
            settled=states.count("settled"),
            awaiting=states.count("awaiting"),
            in_flight=states.count("open"),
            cost_units=sum(row.spend_units or 0 for row in rows),
            unknown=len(unknown),
            worst_units=sum(row.worst_units or 0 for row in unknown),
            unbounded=sum(row.worst_units is None for row in unknown),
            problems=tuple(sentence for sentence in found if sentence),
        )

    def is_shared(self) -> bool:
        return False

    def recent(self, since: int, after: Cursor, own: Container[str] = ()) -> Recent:
        with self._lock:
            last = len(self._names)
            fresh = range(max(after.last, last - MOST_RECENT), last)
            names = {self._names[place] for place in fresh if self._names[place] in own}
            found = [(place, self._seen(self._names[place])) for place in (*after.open, *fresh)]
            learnt = tuple(Learnt(model, outcome, at) for (model, outcome), at in self._learnt.items())
        found = [(place, seen) for place, seen in found if seen.begun >= since and seen.attempt not in names]
        still_open = tuple(place for place, seen in found if seen.ended is None)[-MOST_RECENT:]
        told = tuple(seen for place, seen in found if place >= after.last or seen.ended is not None)
        return Recent(told, learnt, Cursor(last, still_open), tuple(names))

    def _seen(self, attempt: str) -> Seen:
        intent, begun = self._intents[attempt]
        settlement, ended = self._settled.get(attempt, (None, None))
        if settlement is None:
            return Seen(
                attempt=attempt, model=intent.model, key=intent.upstream_key or intent.key, begun=begun
            )
        return Seen(
            attempt=attempt,
            model=intent.model,
            key=intent.upstream_key or intent.key,
            begun=begun,
            ended=ended,
            outcome=settlement.outcome,
            first_token=settlement.first_token,
            seconds=settlement.seconds,
            tokens=settlement.usage.completion_tokens if settlement.usage else 0,
        )

    def _joined(self, since: datetime | None) -> list[Row]:
        """All attempts since a moment, oldest first."""
        with self._lock:
            marks = [
                (
                    self._opened.get(name),
                    *self._settled.get(name, (None, None)),
                    *self._reconciled.get(name, (None, None)),
                )
                for name in self._names
            ]
            intents = [self._intents[name] for name in self._names]
        joined = (join(*begun, "", *rest) for begun, rest in zip(intents, marks, strict=True))
        return [row for row in joined if since is None or row.at >= since]


def _covers(account: Account, intent: Intent, at: int) -> bool:
    whose = {"all": "", "key": intent.key, "task": intent.task}
    return account.since <= at < account.until and whose.get(account.scope) == account.of


def _day(row: Row) -> int:
    return instant(row.at) // 86_400_000_000


def _tally(label: str, day: int, rows: Sequence[Row]) -> Tally:
    known = [row for row in rows if row.cost_units is not None]
    unknown = [row for row in rows if row.cost_units is None]
    return Tally(
        label=label,
        day=day,
        attempts=len(rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        units=sum(row.spend_units or 0 for row in known),
        unknown=len(unknown),
        worst_units=sum(row.worst_units or 0 for row in unknown),
        unbounded=sum(row.worst_units is None for row in unknown),
        estimated=sum(row.quality in ("partial", "estimated") for row in known),
    )
