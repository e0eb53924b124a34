"""Limits and budgets together: all or nothing, and what is given back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import (
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
    Verdict,
)
from bytedeck.guard.admission import decide, settle
from bytedeck.guard.budget import HINT, counted
from bytedeck.guard.limits import left, span

SECOND, DAY = 1_000_000, 86_400_000_000
NOW = 20_000 * DAY + 7 * 3600 * SECOND
STEADY = 5_000 * SECOND
USD = 10**12

REQUESTS = Bucket("requests", "model", "a/b", Limit(2, 60))
TOKENS = Bucket("tokens", "key", "…abcd", Limit(1000, 60))
DAILY = Budget("all", "", "day", USD)
TASK = Budget("task", "coding", "total", 2 * USD)
SOFT = Budget("key", "…abcd", "month", USD, hard=False)

FULL = (STEADY + 60 * SECOND, 0)
"""Of a bucket that is empty, and full again in a minute."""


def _claim(**fields: object) -> Claim:
    given = {"buckets": (REQUESTS, TOKENS), "budgets": (DAILY, TASK), "tokens": 100, "units": USD // 4}
    return Claim(**{**given, **fields})  # type: ignore[arg-type]


def _decide(
    claim: Claim, levels: Sequence[State] | None = None, accounts: Sequence[State] | None = None
) -> Decision:
    """With states that are NEW where none are told."""
    return decide(
        claim,
        levels or [NEW] * len(claim.buckets),
        accounts or [NEW] * len(claim.budgets),
        steady=STEADY,
        wall=NOW,
    )


def test_a_grant_takes_from_all() -> None:
    """Every bucket says so, and the holds tell what tokens may come back; of requests none do."""
    found = _decide(_claim())
    assert found.verdict == Granted()
    requests, tokens = found.levels
    assert left(REQUESTS.limit, requests, STEADY) == 1
    assert left(TOKENS.limit, tokens, STEADY) == 900
    assert found.holds == (Hold(name=TOKENS.name, amount=100, span=6 * SECOND, end=STEADY + 6 * SECOND),)


REACHED = "The limit of 2 requests a minute to the model a/b is reached."
BUSY = "What is left of the hard budget of $1 a day is held for attempts that run."
ALLOW = (
    *HINT,
    "An attempt whose cost is not known counts at its worst: byte ledger reconcile asks for what it was.",
)
BOUND = (
    "Set max_tokens, and name a model with a listed price, or bound its price with provider.max_price.",
    "Pictures, files, plugins and web searches have prices of their own: only a soft budget lets them through.",
)


@pytest.mark.parametrize(
    ("claim", "levels", "accounts", "verdict"),
    [
        (_claim(), [FULL, NEW], [NEW, NEW], Later(REACHED, 30 * SECOND)),
        (
            _claim(),
            [NEW, (STEADY + 57 * SECOND, 0)],
            [NEW, NEW],
            Later("The limit of 1000 tokens a minute with the key …abcd is reached.", 3 * SECOND),
        ),
        (
            _claim(),
            [(STEADY + 31 * SECOND, 0), FULL],
            [NEW, NEW],
            Later("The limit of 1000 tokens a minute with the key …abcd is reached.", 6 * SECOND),
        ),
        (_claim(units=USD // 2), [NEW, NEW], [(0, USD * 3 // 4), NEW], Later(BUSY, 0, True, USD // 4)),
        (
            _claim(units=USD // 2),
            [NEW, NEW],
            [NEW, (USD * 3 // 2, 1)],
            Later(
                "What is left of the hard budget of $2 in all for the task coding is held for attempts that run.",
                0,
                True,
                USD // 2 - 1,
            ),
        ),
        (
            _claim(units=USD // 2),
            [FULL, NEW],
            [(0, USD * 3 // 4), NEW],
            Later(REACHED, 30 * SECOND, True),
        ),
        (
            _claim(units=USD + 1),
            [FULL, NEW],
            [NEW, NEW],
            Denied(
                "over_budget",
                "At worst this costs $1.000000000001, and $1 is left of the hard budget of $1 a day.",
                None,
                ALLOW,
                USD,
            ),
        ),
        (
            _claim(units=None),
            [NEW, NEW],
            [NEW, NEW],
            Denied(
                "over_budget",
                "What this costs cannot be bounded, and the hard budget of $1 a day has to hold.",
                None,
                BOUND,
            ),
        ),
        (
            _claim(tokens=1001),
            [FULL, NEW],
            [NEW, NEW],
            Denied(
                "over_burst",
                "This may use 1001 tokens, and the limit of 1000 tokens a minute with the key …abcd lets 1000 through"
                " at once.",
                None,
                ("Ask for fewer max_tokens, or raise the limit's burst.",),
            ),
        ),
        (
            _claim(tokens=1001),
            [NEW, NEW],
            [(USD, 0), NEW],
            Denied(
                "over_budget",
                "At worst this costs $0.25, and $0 is left of the hard budget of $1 a day.",
                17 * 3600 * SECOND,
                ALLOW,
                0,
            ),
        ),
        (
            _claim(),
            [NEW, NEW],
            [(3 * USD, 0), NEW],
            Denied(
                "over_budget",
                "At worst this costs $0.25, and $0 is left of the hard budget of $1 a day.",
                17 * 3600 * SECOND,
                ALLOW,
                0,
            ),
        ),
        (
            _claim(),
            [NEW, NEW],
            [NEW, (2 * USD, 0)],
            Denied(
                "over_budget",
                "At worst this costs $0.25, and $0 is left of the hard budget of $2 in all for the task coding.",
                None,
                ALLOW,
                0,
            ),
        ),
    ],
)
def test_what_is_not_granted_takes_nothing(
    claim: Claim, levels: list[State], accounts: list[State], verdict: Verdict
) -> None:
    """Whichever of them is in the way, it is told, and all of them are as they were."""
    found = _decide(claim, levels, accounts)
    assert found == Decision(verdict)


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (Limit(1, 1), "The limit of 1 request a second is reached."),
        (Limit(1, 3600), "The limit of 1 request an hour is reached."),
        (Limit(1, 86_400), "The limit of 1 request a day is reached."),
        (Limit(1, 90), "The limit of 1 request in 90 seconds is reached."),
    ],
)
def test_a_span_is_told_as_people_do(limit: Limit, says: str) -> None:
    """A limit that is on everything names nobody."""
    bucket = Bucket("requests", "all", "", limit)
    emptied = [(STEADY + span(limit, 1), 0)]
    verdict = _decide(_claim(buckets=(bucket,), budgets=()), emptied).verdict
    assert verdict == Later(says, span(limit, 1))


def test_a_task_has_its_limit_named() -> None:
    """As it is told where it is reached."""
    bucket = Bucket("requests", "task", "coding", Limit(1, 60))
    found = _decide(_claim(buckets=(bucket,), budgets=()), [FULL]).verdict
    assert isinstance(found, Later)
    assert found.why == "The limit of 1 request a minute of the task coding is reached."


def test_a_refusal_ends_with_its_period_and_not_before() -> None:
    """It is told to the microsecond when the next period begins; where that does not help, nothing is."""
    claim = _claim(budgets=(DAILY,), buckets=())
    for wall, again in ((NOW, 17 * 3600 * SECOND), (NOW + 17 * 3600 * SECOND - 1, 1)):
        found = decide(claim, (), [(USD, 0)], steady=0, wall=wall).verdict
        assert isinstance(found, Denied)
        assert found.again == again
    never = decide(_claim(budgets=(DAILY,), buckets=(), units=2 * USD), (), [NEW], steady=0, wall=NOW).verdict
    assert isinstance(never, Denied)
    assert never.again is None


def test_what_costs_nothing_goes_where_all_is_spent() -> None:
    """A free model needs no budget; how it stands is said all the same."""
    found = _decide(_claim(units=0), None, [(USD + 5, USD), NEW])
    assert found.verdict == Granted(("$1.000000000005 of the hard budget of $1 a day is spent.",))


@pytest.mark.parametrize(
    ("units", "spent", "warned"),
    [
        (1, USD * 4 // 5 - 1, False),
        (USD, USD * 4 // 5, True),
        (None, 0, False),
        (None, 10 * USD, True),
        (10**30, 10 * USD, True),
    ],
)
def test_a_soft_budget_warns_and_refuses_nothing(units: int | None, spent: int, warned: bool) -> None:
    """Beyond its share, beyond all of it, and for what cannot be bounded."""
    found = _decide(_claim(units=units, budgets=(SOFT,), buckets=()), None, [(spent, 0)])
    assert isinstance(found.verdict, Granted)
    assert bool(found.verdict.warnings) == warned


def test_each_budget_warns_for_itself() -> None:
    """In their order."""
    found = _decide(_claim(units=0, budgets=(SOFT, DAILY), buckets=()), None, [(USD, 0), (USD, 0)]).verdict
    assert found == Granted(
        (
            "$1 of the soft budget of $1 a month for the key …abcd is spent.",
            "$1 of the hard budget of $1 a day is spent.",
        )
    )


def test_a_hard_budget_holds_beside_a_soft_one() -> None:
    """In whichever order they are."""
    for budgets in ((SOFT, DAILY), (DAILY, SOFT)):
        claim = _claim(units=USD + 1, budgets=budgets, buckets=())
        assert isinstance(_decide(claim).verdict, Denied)
        assert claim.is_strict
    assert not _claim(budgets=(SOFT,)).is_strict


def test_a_claim_of_nothing() -> None:
    """Where nothing is configured, everything goes, and nothing is written."""
    assert _decide(Claim()) == Decision(Granted())
    assert settle({}, (), None, STEADY) == {}


@pytest.mark.parametrize(
    ("levels", "accounts"), [([NEW], [NEW, NEW]), ([NEW, NEW], [NEW]), ([NEW] * 3, [NEW, NEW])]
)
def test_every_bucket_and_budget_has_its_state(levels: list[State], accounts: list[State]) -> None:
    """A store that read too little or too much is told, not trusted."""
    with pytest.raises(ValueError, match="zip"):
        _decide(_claim(), levels, accounts)


@pytest.mark.parametrize("fields", [{"units": -1}, {"tokens": -1}])
def test_nothing_is_claimed_below_nothing(fields: dict[str, int]) -> None:
    """It would make room for others."""
    with pytest.raises(ValueError, match="not negative"):
        _decide(_claim(**fields))


@pytest.mark.parametrize(("used", "room"), [(0, 1000), (40, 960), (100, 900), (150, 850), (None, 900)])
def test_what_was_not_used_comes_back(used: int | None, room: int) -> None:
    """And what came on top is taken, too; where nobody knows, all of it counts."""
    found = _decide(_claim())
    after = settle({TOKENS.name: found.levels[1]}, found.holds, used, STEADY)
    assert left(TOKENS.limit, after[TOKENS.name], STEADY) == room
    assert set(after) == {TOKENS.name}


def test_several_holds_each_come_back_to_their_own_bucket() -> None:
    """Also to one whose state has vanished meanwhile."""
    other = Bucket("tokens", "all", "", Limit(500, 60))
    found = _decide(_claim(buckets=(TOKENS, REQUESTS, other)))
    states = dict(zip((TOKENS.name, REQUESTS.name, other.name), found.levels, strict=True))
    assert [hold.name for hold in found.holds] == [TOKENS.name, other.name]
    after = settle(states, found.holds, 0, STEADY)
    assert left(TOKENS.limit, after[TOKENS.name], STEADY) == 1000
    assert left(other.limit, after[other.name], STEADY) == 500
    gone = settle({}, found.holds, 0, STEADY)
    assert left(other.limit, gone[other.name], STEADY) == 500


class _Books:
    """Rows of attempts and states of buckets, as a store keeps them: accounts are sums of rows."""

    def __init__(self) -> None:
        self.now = NOW
        self.rows: list[tuple[int, Claim, tuple[int | None] | None]] = []
        """When it was begun, what it claimed, and its cost in a tuple once it is settled."""
        self.levels: dict[str, State] = {}

    def account(self, budget: Budget) -> State:
        rows = [
            (claim.units or 0, None if end is None else counted(end[0], claim.units))
            for at, claim, end in self.rows
            if budget.period == "total" or at // DAY == self.now // DAY
        ]
        return sum(cost or 0 for _, cost in rows), sum(worst for worst, cost in rows if cost is None)

    def begin(self, claim: Claim) -> Verdict:
        levels = [self.levels.get(one.name, NEW) for one in claim.buckets]
        accounts = [self.account(one) for one in claim.budgets]
        found = decide(claim, levels, accounts, steady=self.now, wall=self.now)
        for bucket, level in zip(claim.buckets, found.levels, strict=False):
            self.levels[bucket.name] = level
        if isinstance(found.verdict, Granted):
            self.rows.append((self.now, claim, None))
        return found.verdict

    def open(self) -> list[int]:
        return [number for number, (_, _, end) in enumerate(self.rows) if end is None]

    def end(self, number: int, cost: int | None) -> None:
        at, claim, _ = self.rows[number]
        self.rows[number] = at, claim, (cost,)


_WORST = st.one_of(st.none(), st.integers(0, USD))
_STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "end"]), st.integers(0, 8), _WORST, st.integers(0, 100)), max_size=40
)


@settings(deadline=None)
@given(_STEPS)
def test_no_hard_budget_is_ever_passed(steps: list[tuple[str, int, int | None, int]]) -> None:
    """Any order of beginnings and ends, across midnights, with costs that nobody tells; and what was refused or had
    to wait had no room."""
    books = _Books()
    for what, which, units, percent in steps:
        books.now += percent * DAY // 300
        if what == "begin":
            claim = _claim(units=units)
            before = [books.account(one) for one in claim.budgets]
            verdict = books.begin(claim)
            room = all(
                spent + held + (units or 0) <= one.units
                for one, (spent, held) in zip(claim.budgets, before, strict=True)
            )
            if isinstance(verdict, Granted):
                assert units is not None
            elif isinstance(verdict, Denied) or verdict.held:
                assert units is None or not room
        elif books.open():
            number = books.open()[which % len(books.open())]
            worst = books.rows[number][1].units or 0
            books.end(number, None if units is None else worst * percent // 100)
        for one in (DAILY, TASK):
            assert sum(books.account(one)) <= one.units


@settings(deadline=None)
@given(_STEPS)
def test_who_waits_for_a_release_gets_it(steps: list[tuple[str, int, int | None, int]]) -> None:
    """To wait ends: with what is given back, or with a refusal once nothing is held that could be."""
    books = _Books()
    for _, _, units, percent in steps:
        claim = _claim(units=units or 0, buckets=())
        verdict = books.begin(claim)
        while isinstance(verdict, Later):
            assert (verdict.held, verdict.wait) == (True, 0)
            number = books.open()[0]
            books.end(number, (books.rows[number][1].units or 0) * percent // 100)
            verdict = books.begin(claim)
        if isinstance(verdict, Denied):
            spent = [books.account(one)[0] for one in (DAILY, TASK)]
            assert spent[0] + (units or 0) > DAILY.units or spent[1] + (units or 0) > TASK.units


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 30 * SECOND)), max_size=20))
def test_several_limits_move_together(steps: list[tuple[int, int]]) -> None:
    """Who waits as long as is told gets through, a microsecond earlier nobody does; and each bucket has been taken from as
    often as the others."""
    slow = Bucket("requests", "all", "", Limit(1000, 31 * 86_400))
    narrow = Bucket("requests", "model", "m", Limit(5, 60, 2))
    levels, steady, granted = [NEW, NEW, NEW], STEADY, 0
    began = None
    for tokens, pause in steps:
        claim = _claim(buckets=(slow, narrow, TOKENS), budgets=(), tokens=tokens)
        found = decide(claim, levels, (), steady=steady, wall=NOW)
        if isinstance(found.verdict, Later):
            wait = found.verdict.wait
            assert found == Decision(found.verdict)
            early = decide(claim, levels, (), steady=steady + wait - 1, wall=NOW).verdict
            assert isinstance(early, Later)
            assert early.wait == 1
            steady += wait
            found = decide(claim, levels, (), steady=steady, wall=NOW)
        assert found.verdict == Granted()
        began = steady if began is None else began
        levels, granted, steady = list(found.levels), granted + 1, steady + pause
        assert levels[0] == (began + granted * span(slow.limit, 1), 0)
