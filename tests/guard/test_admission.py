"""Limits and budgets together: all or nothing, settled once, and the books always right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import (
    NEW,
    UNUSED,
    Bucket,
    Budget,
    Claim,
    Denied,
    Granted,
    Hold,
    Later,
    Limit,
    Used,
    Verdict,
)
from bytedeck.guard.admission import Books, decide, held, names, settle
from bytedeck.guard.budget import account
from bytedeck.guard.limits import left

SECOND, DAY = 1_000_000, 86_400_000_000
NOW = 20_000 * DAY + 7 * 3600 * SECOND
USD = 10**12

REQUESTS = Bucket("requests", "model", "a/b", Limit(2, 60))
TOKENS = Bucket("tokens", "key", "…abcd", Limit(1000, 60))
DAILY = Budget("all", "", "day", USD)
TASK = Budget("task", "coding", "total", 2 * USD)
SOFT = Budget("key", "…abcd", "month", USD, hard=False)


def _claim(attempt: str = "a-1", **fields: object) -> Claim:
    given = {"buckets": (REQUESTS, TOKENS), "budgets": (DAILY, TASK), "tokens": 100, "units": USD // 4}
    return Claim(attempt=attempt, **{**given, **fields})  # type: ignore[arg-type]


def test_a_grant_takes_from_all() -> None:
    """Every bucket and every account says so, and the holds tell what may come back."""
    books = Books()
    assert books.begin(_claim(), NOW) == Granted()
    daily, task = account(DAILY, NOW), account(TASK, NOW)
    assert left(REQUESTS.limit, books.states[REQUESTS.name], NOW) == 1
    assert left(TOKENS.limit, books.states[TOKENS.name], NOW) == 900
    assert books.states[daily] == books.states[task] == (0, USD // 4)
    assert {hold.name: hold.amount for hold in books.holds["a-1"]} == {
        TOKENS.name: 100,
        daily: USD // 4,
        task: USD // 4,
    }


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        (
            [_claim("1"), _claim("2"), _claim("3")],
            Later("The limit of 2 requests a minute to the model a/b is reached.", 30 * SECOND),
        ),
        (
            [_claim("1", tokens=950), _claim("2")],
            Later("The limit of 1000 tokens a minute with the key …abcd is reached.", 3 * SECOND),
        ),
        (
            [_claim("1", units=USD * 3 // 4), _claim("2", units=USD // 2)],
            Later("What is left of the hard budget of $1 a day is held for attempts that run.", 0, True),
        ),
        (
            [_claim("1", units=USD * 3 // 4), _claim("2"), _claim("3")],
            Later("The limit of 2 requests a minute to the model a/b is reached.", 30 * SECOND, True),
        ),
        (
            [_claim("1", units=USD + 1)],
            Denied(
                "over_budget",
                "At worst this costs $1.000000000001, and $1 is left of the hard budget of $1 a day.",
                None,
                ("Allow more, ask for fewer max_tokens, or name a cheaper model.",),
            ),
        ),
        (
            [_claim("1", units=None)],
            Denied(
                "over_budget",
                "What this costs cannot be bounded, and the hard budget of $1 a day has to hold.",
                None,
                (
                    "Set max_tokens, and name a model with a listed price, or bound its price with provider.max_price.",
                ),
            ),
        ),
        (
            [_claim("1", tokens=1001)],
            Denied(
                "over_limit",
                "This may use 1001 tokens, and the limit of 1000 tokens a minute with the key …abcd lets 1000 through"
                " at once.",
                None,
                ("Ask for fewer max_tokens, or raise the limit's burst.",),
            ),
        ),
    ],
)
def test_what_is_not_granted_takes_nothing(claims: list[Claim], verdict: Verdict) -> None:
    """Whichever of them is in the way, it is told, and all of them are as they were."""
    books = Books()
    for claim in claims[:-1]:
        assert isinstance(books.begin(claim, NOW), Granted)
    states, holds = dict(books.states), dict(books.holds)
    assert books.begin(claims[-1], NOW) == verdict
    assert {name: state for name, state in books.states.items() if state != NEW} == states
    assert books.holds == holds


def test_a_budget_that_is_used_up_is_so_until_the_period_ends() -> None:
    """Nothing is held that may come back, so it is told when the next period begins; then it goes."""
    books, claim = Books(), _claim("2", budgets=(DAILY,), buckets=())
    books.begin(_claim("1", budgets=(DAILY,)), NOW)
    books.settle("1", Used(units=USD * 4 // 5), NOW)
    found = books.begin(claim, NOW)
    assert isinstance(found, Denied)
    assert found.again == 17 * 3600 * SECOND
    assert found.why == "At worst this costs $0.25, and $0.2 is left of the hard budget of $1 a day."
    assert books.begin(claim, NOW + found.again - 1) == Denied(found.code, found.why, 1, found.hint)
    assert books.begin(claim, NOW + found.again) == Granted()


def test_an_attempt_belongs_to_the_period_in_which_it_was_reserved() -> None:
    """It is begun before midnight and settled after: yesterday has spent it."""
    books, tomorrow = Books(), NOW + DAY
    books.begin(_claim(), NOW)
    books.settle("a-1", Used(units=7, tokens=7), tomorrow)
    assert books.states[account(DAILY, NOW)] == (7, 0)
    assert account(DAILY, tomorrow) not in books.states


def test_what_costs_nothing_goes_where_all_is_spent() -> None:
    """A free model needs no budget, but what it costs after all is counted."""
    books = Books()
    books.begin(_claim("1", units=USD), NOW)
    books.settle("1", Used(units=USD + 5), NOW)
    assert books.begin(_claim("2", units=0), NOW) == Granted(
        ("$1.000000000005 of the hard budget of $1 a day is spent.",)
    )
    books.settle("2", Used(units=1), NOW)
    assert books.states[account(DAILY, NOW)] == (USD + 6, 0)


def test_a_soft_budget_warns_and_refuses_nothing() -> None:
    """Beyond its share, beyond all of it, and for what cannot be bounded."""
    books = Books()
    for number, (units, warned) in enumerate(
        [(USD * 4 // 5, False), (None, True), (10 * USD, True), (1, True)]
    ):
        verdict = books.begin(_claim(str(number), units=units, budgets=(SOFT,), buckets=()), NOW)
        assert isinstance(verdict, Granted)
        assert bool(verdict.warnings) == warned
        books.settle(str(number), Used(units=units or 0), NOW)
    assert verdict.warnings == ("$10.8 of the soft budget of $1 a month for the key …abcd is spent.",)


@pytest.mark.parametrize("used", [UNUSED, Used(), Used(units=3), Used(tokens=3, units=USD)])
def test_settling_is_idempotent(used: Used) -> None:
    """The second time, and for an attempt that never was, nothing happens."""
    books = Books()
    books.begin(_claim(), NOW)
    books.settle("a-1", used, NOW)
    states = dict(books.states)
    books.settle("a-1", used, NOW + SECOND)
    books.settle("a-1", Used(), NOW + SECOND)
    books.settle("a-2", used, NOW)
    assert books.states == states
    assert bool(books.holds) == (used.units is None)


def test_a_cost_that_becomes_known_later() -> None:
    """Until then the worst case counts as spent; then what it was, once."""
    books, daily = Books(), account(DAILY, NOW)
    books.begin(_claim(), NOW)
    books.settle("a-1", Used(), NOW)
    assert books.states[daily] == (USD // 4, 0)
    assert held(hold for holds in books.holds.values() for hold in holds) == {}
    books.settle("a-1", Used(units=3), NOW + DAY)
    books.settle("a-1", Used(units=4), NOW + DAY)
    assert (books.states[daily], books.holds) == ((3, 0), {})


def test_a_state_that_was_mended_is_written_where_nothing_is_granted() -> None:
    """Else a clock that was set back would lock out whoever asks again and again."""
    claim = _claim(budgets=(), buckets=(REQUESTS,))
    far = {REQUESTS.name: (NOW + 3600 * SECOND, 0)}
    decision = decide(far, claim, NOW)
    assert decision.verdict == Later(
        "The limit of 2 requests a minute to the model a/b is reached.", 30 * SECOND
    )
    assert decide(far | decision.states, claim, NOW + 30 * SECOND).verdict == Granted()


def test_names() -> None:
    """They are told before anything is read, and the same one twice is a mistake."""
    assert names(_claim(), NOW) == (
        "requests/model/a/b",
        "tokens/key/…abcd",
        "units/all/day/2024-10-04/",
        "units/task/total//coding",
    )
    with pytest.raises(ValueError, match="twice"):
        names(_claim(budgets=(DAILY, Budget("all", "", "day", 5, hard=False))), NOW)


def test_an_attempt_begins_once() -> None:
    """Its holds would be lost otherwise."""
    books = Books()
    books.begin(_claim(), NOW)
    with pytest.raises(ValueError, match="a-1 has begun already"):
        books.begin(_claim(), NOW)


def test_a_claim_of_nothing() -> None:
    """Where nothing is configured, everything goes, and nothing is written."""
    books = Books()
    assert books.begin(Claim(attempt="a-1"), NOW) == Granted()
    assert (books.states, books.holds) == ({}, {})
    assert settle({}, (), Used(), NOW) == ({}, ())


def test_what_is_held_is_told() -> None:
    """By name, without what is counted already, and without tokens."""
    holds = (
        Hold(name="x", kind="units", amount=3),
        Hold(name="x", kind="units", amount=4),
        Hold(name="y", kind="units", amount=5, counted=True),
        Hold(name="z", kind="tokens", amount=6),
    )
    assert held(holds) == {"x": 7}


_WORST = st.one_of(st.none(), st.integers(0, USD))
_STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "settle", "again"]), st.integers(0, 8), _WORST, st.integers(0, 100)),
    max_size=40,
)


@settings(deadline=None)
@given(_STEPS)
def test_the_books_are_right_at_every_step(steps: list[tuple[str, int, int | None, int]]) -> None:
    """Any order of beginnings, settlements and second ones: no hard budget is ever passed, and every account is the
    sum of what its attempts cost, or may cost, and of what they hold."""
    books, now = Books(), NOW
    costs: dict[str, dict[str, int]] = {}
    worst: dict[str, int] = {}
    for number, (what, which, units, percent) in enumerate(steps):
        now += percent * DAY // 300
        if what == "begin":
            attempt = str(number)
            if isinstance(books.begin(_claim(attempt, units=units, buckets=()), now), Granted):
                worst[attempt] = units or 0
                costs[attempt] = {account(one, now): -1 for one in (DAILY, TASK)}
        elif costs:
            attempt = list(costs)[which % len(costs)]
            was_open = attempt in books.holds
            cost = None if units is None else worst[attempt] * percent // 100
            books.settle(attempt, Used(units=cost), now)
            if was_open and (cost is not None or -1 in costs[attempt].values()):
                costs[attempt] = dict.fromkeys(costs[attempt], worst[attempt] if cost is None else cost)
        for name, (spent, in_hold) in books.states.items():
            limit = DAILY.units if "/day/" in name else TASK.units
            assert spent + in_hold <= limit
            rows = [(attempt, row[name]) for attempt, row in costs.items() if name in row]
            assert spent == sum(cost for _, cost in rows if cost >= 0)
            assert in_hold == sum(worst[attempt] for attempt, cost in rows if cost < 0)
        sums = held(hold for holds in books.holds.values() for hold in holds)
        assert all(in_hold == sums.get(name, 0) for name, (_, in_hold) in books.states.items())


@settings(deadline=None)
@given(_STEPS)
def test_nothing_is_left_when_all_has_ended(steps: list[tuple[str, int, int | None, int]]) -> None:
    """Who waited for a release gets it: in the end nothing is held, and what was refused had no room."""
    books = Books()
    for number, (_, _, units, percent) in enumerate(steps):
        claim = _claim(str(number), units=units or 0, buckets=())
        verdict = books.begin(claim, NOW)
        while isinstance(verdict, Later):
            assert verdict.held
            running = next(attempt for attempt, holds in books.holds.items() if not holds[0].counted)
            books.settle(running, Used(units=books.holds[running][0].amount * percent // 100), NOW)
            verdict = books.begin(claim, NOW)
        if isinstance(verdict, Denied):
            spent, _ = books.states[account(DAILY, NOW)]
            total, _ = books.states[account(TASK, NOW)]
            assert spent + (units or 0) > DAILY.units or total + (units or 0) > TASK.units
    for attempt in list(books.holds):
        books.settle(attempt, UNUSED, NOW)
    assert books.holds == {}
    assert all(in_hold == 0 for _, in_hold in books.states.values())
