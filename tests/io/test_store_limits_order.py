"""Any order of beginnings, ends, deaths, findings and time: no hard budget is passed, and both stores say the same."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from books import DAY, HOUR, SECOND, START, Times, ask, end, find
from bytedeck.claims import NEW, Bucket, Budget, Granted, Later, Limit
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sweep import Sweeper
from bytedeck.ledger.entry import lost
from bytedeck.types import Usage
from marks import intent

MOST = 100
BUDGETS = (
    Budget("all", "", "day", MOST),
    Budget("key", "home", "week", 2 * MOST),
    Budget("task", "coding", "total", 3 * MOST),
    Budget("all", "", "month", MOST // 2, hard=False),
)
BUCKETS = (
    Bucket("requests", "all", "", Limit(6, 3600, 3)),
    Bucket("tokens", "key", "home", Limit(1000, 3600)),
    Bucket("tokens", "all", "", Limit(3000, 86_400, 2000)),
)

ALL = (*BUDGETS, *BUCKETS)
NEEDS = st.integers(0, 2 ** len(ALL) - 1).map(
    lambda bits: [one for at, one in enumerate(ALL) if bits >> at & 1]
)
UNITS = st.integers(0, MOST)
COSTS = st.one_of(st.none(), UNITS)
USAGES = st.one_of(
    st.none(),
    st.builds(Usage, total_tokens=st.integers(0, 1200)),
    st.builds(Usage, total_tokens=st.just(40), upstream_units=st.integers(0, 30), is_byok=st.booleans()),
)


class Attempt(Struct):
    """What is to be true of an attempt."""

    at: int
    key: str
    task: str
    worst: int | None
    claimed: tuple[Budget, ...]
    settled: bool = False
    died: bool = False
    told: bool = False
    """Whether its cost is known since it was settled."""
    found: bool = False
    spent: int = 0


@pytest.fixture(autouse=True, scope="module")
def _no_sweeps_beside() -> Iterator[None]:
    """The test sweeps when it says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sweeper, "look", lambda self, at: None)
        yield


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.times = Times()
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/ledger.db"
        self.memory = MemoryStore(self.times.wall, self.times.steady)
        self.file = SqliteStore(self.path, self.times.wall, steady=self.times.steady)
        self.attempts: dict[int, Attempt] = {}
        self.number = 0

    @initialize(hours=st.integers(0, 24 * 30))
    def begin_somewhen(self, hours: int) -> None:
        """In whatever place of a day, a week and a month."""
        self.times.set_to(START + hours * HOUR)

    @rule(
        needs=NEEDS,
        worst=st.one_of(*[st.integers(0, MOST // 2)] * 4, UNITS, st.none()),
        tokens=st.sampled_from([0, 100, 400, 700, 1000, 1001]),
        key=st.sampled_from(["home", "home", "work"]),
        task=st.sampled_from(["coding", "coding", ""]),
    )
    def begin(
        self, needs: list[Bucket | Budget], worst: int | None, tokens: int, key: str, task: str
    ) -> None:
        self.number += 1
        fields: dict[str, Any] = {"worst": worst, "tokens": tokens, "key": key, "task": task}
        verdict = ask(self.memory, self.number, *needs, **fields)
        assert ask(self.file, self.number, *needs, **fields) == verdict
        budgets = tuple(one for one in needs if isinstance(one, Budget))
        if isinstance(verdict, Granted):
            self.attempts[self.number] = Attempt(self.times.now, key, task, worst, budgets)
        elif isinstance(verdict, Later) and verdict.wait:
            self.times.pass_(verdict.wait - 1)
            assert isinstance(ask(self.file, self.number, *needs, **fields), Later)
            assert isinstance(ask(self.memory, self.number, *needs, **fields), Later)
            self.times.pass_(1)

    def open(self) -> list[int]:
        return [number for number, one in self.attempts.items() if not one.settled]

    @precondition(lambda self: self.open())
    @rule(which=st.integers(0, 50), cost=COSTS, usage=USAGES)
    def end(self, which: int, cost: int | None, usage: Usage | None) -> None:
        """A cost is at most the worst case; a bill that comes on top is not in our hands."""
        number = self.open()[which % len(self.open())]
        one = self.attempts[number]
        if cost is not None and one.worst is not None:
            cost = min(cost, one.worst)
        for store in (self.memory, self.file):
            end(store, number, cost, usage=usage)
        one.settled, one.told = True, cost is not None
        self._spends(one, cost, usage)

    @precondition(lambda self: self.attempts)
    @rule(which=st.integers(0, 50), cost=COSTS, usage=USAGES)
    def end_again(self, which: int, cost: int | None, usage: Usage | None) -> None:
        """It does nothing, but for one that was taken for dead: there it tells what nobody knew."""
        number = list(self.attempts)[which % len(self.attempts)]
        one = self.attempts[number]
        if not one.settled:
            return
        if cost is not None:
            cost = min(cost, one.worst or 0)
        for store in (self.memory, self.file):
            end(store, number, cost, usage=usage)
        if one.died and cost is not None:
            find(self.memory, number, cost, usage=usage)
            self._finds(one, cost, usage)

    @precondition(lambda self: self.attempts)
    @rule(which=st.integers(0, 50), cost=COSTS, usage=USAGES)
    def find(self, which: int, cost: int | None, usage: Usage | None) -> None:
        """What was told before is corrected downwards; to tell too little at first is not in our hands."""
        number = list(self.attempts)[which % len(self.attempts)]
        one = self.attempts[number]
        if one.told and cost is not None:
            cost, usage = min(cost, one.spent), None
        for store in (self.memory, self.file):
            find(store, number, cost, usage=usage)
        self._finds(one, cost, usage)

    @precondition(lambda self: self.open())
    @rule(which=st.sets(st.integers(0, 50), min_size=1, max_size=3))
    def die(self, which: set[int]) -> None:
        """The process of some attempts dies, and somebody sweeps."""
        dead = {self.open()[place % len(self.open())] for place in which}
        with sqlite3.connect(self.path) as connection:
            connection.executemany(
                "update intent set owner = '1-1' where number = ?", [(number,) for number in dead]
            )
        connection.close()
        assert self.file.sweep() == len(dead)
        for number in dead:
            row = intent(number)
            self.memory.settle(lost(row.attempt, row.model, ""))
            self.attempts[number].settled = self.attempts[number].died = True
            self._spends(self.attempts[number], None, None)

    @rule(span=st.sampled_from([1, SECOND, 60 * SECOND, 600 * SECOND, 7 * HOUR, DAY, 9 * DAY]))
    def time_passes(self, span: int) -> None:
        self.times.pass_(span)

    @rule(span=st.sampled_from([-DAY, -HOUR, -1, HOUR]))
    def somebody_sets_the_clock(self, span: int) -> None:
        self.times.set_to(self.times.now + span)

    @rule()
    def the_file_is_opened_again(self) -> None:
        self.file.close()

    def _spends(self, one: Attempt, cost: int | None, usage: Usage | None) -> None:
        bill = usage.upstream_units or 0 if usage is not None and usage.is_byok else 0
        one.spent = (one.worst or 0) if cost is None else cost + bill

    def _finds(self, one: Attempt, cost: int | None, usage: Usage | None) -> None:
        if one.settled and not one.found:
            one.found = True
            if cost is not None:
                self._spends(one, cost, usage)

    def _of(self, budget: Budget) -> list[Attempt]:
        """Whom an account covers now, in the plainest way."""
        whose = {"all": lambda one: "", "key": lambda one: one.key, "task": lambda one: one.task}[
            budget.scope
        ]
        period = {"day": 0, "week": 1, "month": 2, "total": 3}[budget.period]
        return [
            one
            for one in self.attempts.values()
            if whose(one) == budget.of and _periods(one.at)[period] == _periods(self.times.now)[period]
        ]

    @invariant()
    def accounts_are_sums_of_rows(self) -> None:
        found = self.file.standing(BUCKETS, BUDGETS)
        ours = self.memory.standing(BUCKETS, BUDGETS)
        assert found.accounts == ours.accounts
        # Both count from their own beginning; a bucket that is full is full, whenever it became so.
        ahead = found.steady - ours.steady
        for (tat, back), (other, gave) in zip(found.levels, ours.levels, strict=True):
            assert (tat, back) == ((other + ahead, gave) if (other, gave) != NEW else NEW)
        for budget, (spent, held) in zip(BUDGETS, found.accounts, strict=True):
            rows = self._of(budget)
            assert spent == sum(one.spent for one in rows if one.settled)
            assert held == sum(one.worst or 0 for one in rows if not one.settled)

    @invariant()
    def no_hard_budget_is_passed(self) -> None:
        """By those who claimed from it; what came on top of a worst case is not in our hands."""
        for budget in BUDGETS:
            claimed = [one for one in self._of(budget) if budget.hard and budget in one.claimed]
            bound = sum(min(one.spent, one.worst or 0) if one.settled else one.worst or 0 for one in claimed)
            assert bound <= budget.units

    def teardown(self) -> None:
        with self.folder:
            check = self.file.verify()
            self.file.close()
        assert (check.problems, self.file.lost) == ((), [])
        assert check.attempts == len(self.attempts)


def _periods(at: int) -> tuple[object, ...]:
    """What tells a moment's day, week, month and all time from another's."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return when.date(), when.isocalendar()[:2], (when.year, when.month), ()


AnyOrder.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_any_order = AnyOrder.TestCase
