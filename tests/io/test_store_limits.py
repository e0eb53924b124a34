"""The contract of every store on limits and budgets: one set of tests for memory and SQLite alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from books import DAY, HOUR, SECOND, START, USD, Times, account, ask, claim, end, find, room
from bytedeck.claims import GRANTED, MOST_UNITS, Bucket, Budget, Denied, Granted, Later, Limit, Scope
from bytedeck.errors import LedgerError
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Store
from bytedeck.ledger.entry import instant
from bytedeck.types import Usage
from marks import begin, intent, settlement

TWO = Bucket("requests", "model", "m/one", Limit(2, 60))
MANY = Bucket("requests", "all", "", Limit(1000, 60))
TOKENS = Bucket("tokens", "key", "home", Limit(1000, 60))
DAILY = Budget("all", "", "day", USD)
MONTHLY = Budget("key", "home", "month", 10 * USD)
TASK = Budget("task", "coding", "total", 2 * USD)
SOFT = Budget("all", "", "day", USD, hard=False)


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, times: Times) -> Iterator[Store]:
    made: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(times.wall, times.steady),
        "sqlite": lambda: SqliteStore(str(tmp_path / "ledger.db"), times.wall, steady=times.steady),
    }
    store = made[request.param]()
    yield store
    assert store.verify().problems == ()
    store.close()
    assert store.lost == []


# -- limits


def test_a_limit_lets_its_burst_through_and_then_one_at_a_time(store: Store, times: Times):
    """Who comes too early is told how long to wait, to the microsecond, and leaves no trace."""
    assert [ask(store, number, TWO) for number in (1, 2)] == [GRANTED, GRANTED]
    times.pass_(10 * SECOND)
    told = Later("The limit of 2 requests a minute to the model m/one is reached.", 20 * SECOND)
    assert [ask(store, 3, TWO) for _ in range(2)] == [told, told]
    times.pass_(20 * SECOND - 1)
    assert ask(store, 3, TWO) == Later(told.why, 1)
    times.pass_(1)
    assert ask(store, 3, TWO) == GRANTED
    assert [row.number for row in store.rows()] == [3, 2, 1]


def test_a_request_is_not_given_back(store: Store, times: Times):
    """However it ends, also where it cost nothing."""
    for number in (1, 2):
        ask(store, number, TWO)
        end(store, number, 0, outcome="refused")
    assert isinstance(ask(store, 3, TWO), Later)


def test_tokens_come_back_once(store: Store):
    """At the first settlement what was not used; a second one, and a reconciliation, give nothing."""
    assert ask(store, 1, TOKENS, tokens=900) == GRANTED
    assert room(store, TOKENS) == 100
    assert isinstance(ask(store, 2, TOKENS, tokens=200), Later)
    end(store, 1, None, usage=Usage(total_tokens=400))
    assert room(store, TOKENS) == 600
    end(store, 1, 0, usage=Usage(total_tokens=10))
    find(store, 1, 5, usage=Usage(total_tokens=10))
    assert room(store, TOKENS) == 600
    assert ask(store, 2, TOKENS, tokens=600) == GRANTED
    assert room(store, TOKENS) == 0


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"usage": Usage(total_tokens=900)}, 100),
        ({"usage": Usage(total_tokens=950)}, 50),
        ({"usage": None}, 100),
        ({"usage": Usage()}, 100),
        ({"cost": 0, "usage": None, "outcome": "refused"}, 1000),
        ({"cost": 0, "usage": None}, 100),
    ],
)
def test_what_an_attempt_is_taken_to_have_used(store: Store, fields: dict[str, Any], left: int):
    """What it told, be it more than was claimed; all that was claimed where it told nothing; nothing where it came to
    nothing."""
    ask(store, 1, TOKENS, tokens=900)
    end(store, 1, **{"cost": None, **fields})
    assert room(store, TOKENS) == left


def test_a_refused_attempt_that_is_settled_all_the_same_gives_nothing_back(store: Store):
    """It has taken nothing."""
    ask(store, 1, TOKENS, tokens=900)
    assert isinstance(ask(store, 2, TOKENS, tokens=200), Later)
    end(store, 2, 0, outcome="refused")
    assert room(store, TOKENS) == 100


def test_over_the_burst(store: Store, times: Times):
    """What never fits is told at once, with what would help."""
    found = ask(store, 1, TOKENS, MANY, tokens=1001)
    assert isinstance(found, Denied)
    assert (found.code, found.again, found.hint != ()) == ("over_burst", None, True)
    assert (room(store, MANY), store.rows()) == (1000, [])


def test_a_limit_that_is_changed_begins_with_a_full_bucket(store: Store, times: Times):
    """Raised or lowered in the configuration: it holds from then on; and one that is set back goes on where it was."""
    slow = Bucket("requests", "model", "m/one", Limit(1, 86_400))
    assert ask(store, 1, slow) == GRANTED
    assert [ask(store, number, TWO) for number in (2, 3)] == [GRANTED, GRANTED]
    assert ask(store, 4, TWO) == Later(
        "The limit of 2 requests a minute to the model m/one is reached.", 30 * SECOND
    )
    times.pass_(HOUR)
    assert ask(store, 4, slow) == Later(
        "The limit of 1 request a day to the model m/one is reached.", 23 * HOUR
    )


def test_what_was_used_beyond_its_hold_is_owed(store: Store, times: Times):
    """Told by an attempt that runs, it is taken from the rest, and beyond it nobody gets through until it has come back;
    to ask meanwhile, and to tell it twice, changes nothing."""
    assert ask(store, 1, TOKENS, tokens=100) == GRANTED
    assert ask(store, 2, TOKENS, tokens=900) == GRANTED
    end(store, 1, 5, usage=Usage(total_tokens=3100))  # 3000 more: three minutes
    end(store, 1, 5, usage=Usage(total_tokens=9000))
    find(store, 1, 5, usage=Usage(total_tokens=9000))
    told = Later("The limit of 1000 tokens a minute with the key home is reached.", 180 * SECOND + 60_000)
    assert [ask(store, 3, TOKENS, tokens=1) for _ in range(3)] == [told] * 3
    times.pass_(45 * SECOND)
    end(
        store, 2, 5, usage=Usage(total_tokens=400)
    )  # 15 seconds of what it took have not come back by themselves: they pay
    times.pass_(120 * SECOND + 60_000 - 1)
    assert ask(store, 3, TOKENS, tokens=1) == Later(told.why, 1)
    times.pass_(1)
    assert ask(store, 3, TOKENS, tokens=1) == GRANTED
    assert isinstance(ask(store, 4, TOKENS, tokens=1), Later)


def test_a_debt_of_more_than_a_day_is_forgotten(store: Store, times: Times):
    """A counter that is broken locks nobody out for longer."""
    assert ask(store, 1, TOKENS, tokens=1000) == GRANTED
    end(store, 1, 5, usage=Usage(total_tokens=10**15))
    found = ask(store, 2, TOKENS, tokens=1000)
    assert isinstance(found, Later)
    assert found.wait == DAY + 60 * SECOND
    times.pass_(found.wait)
    assert ask(store, 2, TOKENS, tokens=1000) == GRANTED


# -- budgets


def test_a_budget_is_held_and_given_back(store: Store):
    """The worst case is held until the attempt ends; then what it cost is spent."""
    assert ask(store, 1, DAILY, worst=USD * 3 // 4) == GRANTED
    assert account(store, DAILY) == (0, USD * 3 // 4)
    busy = Later(
        "What is left of the hard budget of $1 a day is held for attempts that run.", 0, True, USD // 4
    )
    assert ask(store, 2, DAILY, worst=USD // 2) == busy
    end(store, 1, USD // 8)
    assert account(store, DAILY) == (USD // 8, 0)
    assert ask(store, 2, DAILY, worst=USD * 7 // 8) == GRANTED
    assert ask(store, 3, DAILY, worst=1) == Later(busy.why, 0, True, 0)
    end(store, 2, USD * 7 // 8)
    refused = ask(store, 3, DAILY, worst=1)
    assert isinstance(refused, Denied)
    assert (refused.code, refused.again, refused.room) == ("over_budget", 12 * HOUR, 0)
    assert account(store, DAILY) == (USD, 0)
    assert [row.number for row in store.rows()] == [2, 1]


COSTS: dict[str, tuple[list[tuple[str, dict[str, Any]]], int]] = {
    "known": ([("end", {"cost": 7})], 7),
    "nothing": ([("end", {"cost": 0})], 0),
    "more than its worst case": ([("end", {"cost": 150})], 150),
    "not known": ([("end", {"cost": None})], 100),
    "not known, then found": ([("end", {"cost": None}), ("find", {"cost": 7})], 7),
    "not known, then found to be more": ([("end", {"cost": None}), ("find", {"cost": 150})], 150),
    "not known, and given up": ([("end", {"cost": None}), ("find", {"cost": None})], 100),
    "given up, then found": (
        [("end", {"cost": None}), ("find", {"cost": None}), ("find", {"cost": 7})],
        100,
    ),
    "known, then corrected": ([("end", {"cost": 7}), ("find", {"cost": 8})], 8),
    "known, and given up": ([("end", {"cost": 7}), ("find", {"cost": None})], 7),
    "found twice": ([("end", {"cost": None}), ("find", {"cost": 7}), ("find", {"cost": 9})], 7),
    "settled twice": ([("end", {"cost": 7}), ("end", {"cost": 9})], 7),
    "settled again with a cost": ([("end", {"cost": None}), ("end", {"cost": 9})], 100),
    "with one's own key": ([("end", {"cost": 7, "usage": Usage(upstream_units=50, is_byok=True)})], 57),
    "with one's own key, without a bill": ([("end", {"cost": 7, "usage": Usage(is_byok=True)})], 7),
    "with theirs": ([("end", {"cost": 7, "usage": Usage(upstream_units=50)})], 7),
    "with one's own key, not known": (
        [("end", {"cost": None, "usage": Usage(upstream_units=50, is_byok=True)})],
        100,
    ),
    "with one's own key, found": (
        [("end", {"cost": None}), ("find", {"cost": 7, "usage": Usage(upstream_units=50, is_byok=True)})],
        57,
    ),
    "one's own key, and then it was not": (
        [
            ("end", {"cost": 7, "usage": Usage(upstream_units=50, is_byok=True)}),
            ("find", {"cost": 9, "usage": Usage(upstream_units=50)}),
        ],
        9,
    ),
}


@pytest.mark.parametrize("late", [False, True], ids=["", "account-made-late"])
@pytest.mark.parametrize("case", COSTS)
def test_what_an_attempt_has_spent(store: Store, case: str, late: bool):
    """By what it told, and by what was found out: in the account that was there, and in one that is summed up later."""
    steps, spent = COSTS[case]
    assert (
        begin(store, intent(1, worst_units=100), claim=None if late else claim(DAILY, worst=100)) == GRANTED
    )
    for what, fields in steps:
        {"end": end, "find": find}[what](store, 1, **fields)
    if late:
        assert ask(store, 2, DAILY) == GRANTED
    assert account(store, DAILY) == (spent, 0)


def fill(store: Store, times: Times) -> None:
    """Attempts of two days that claim nothing: open, ended, of unknown cost, of two keys and tasks."""
    ask(store, 1, worst=1000)  # yesterday's
    times.pass_(DAY)
    for number in (2, 3, 4):
        ask(store, number, worst=100)
    ask(store, 5, worst=100, key="work")
    ask(store, 6, worst=100, task="general")
    ask(store, 7, worst=None)
    end(store, 1, 900)
    end(store, 3, 30)
    end(store, 4, None)
    end(store, 5, 60)


ACCOUNTS = {
    "all a day": (Budget("all", "", "day", USD), (190, 200), (192, 106)),
    "all in a month": (Budget("all", "", "month", USD), (1090, 200), (1092, 106)),
    "all ever": (Budget("all", "", "total", USD), (1090, 200), (1092, 106)),
    "of a key": (Budget("key", "home", "total", USD), (1030, 200), (1032, 100)),
    "of the other": (Budget("key", "work", "day", USD), (60, 0), (60, 6)),
    "of those without a key": (Budget("key", "", "day", USD), (0, 0), (0, 0)),
    "of a task": (Budget("task", "coding", "day", USD), (190, 100), (192, 0)),
    "of the other task": (Budget("task", "general", "day", USD), (0, 100), (0, 106)),
    "of a task by a key's name": (Budget("task", "home", "day", USD), (0, 0), (0, 0)),
}


@pytest.mark.parametrize("case", ACCOUNTS)
def test_an_account_that_is_made_late(store: Store, times: Times, case: str):
    """It begins as the sum of its rows, the open ones too, before anybody has claimed, and from then on it covers every
    attempt of its scope and period, also those that claim nothing."""
    budget, before, after = ACCOUNTS[case]
    fill(store, times)
    assert account(store, budget) == before
    assert ask(store, 20, budget, key="?", task="?") == GRANTED
    assert account(store, budget) == before
    end(store, 2, 0)
    ask(store, 8, worst=5)
    ask(store, 9, worst=6, key="work", task="general")
    ask(store, 10, worst=None)
    end(store, 7, None)
    end(store, 8, 2)
    assert account(store, budget) == after


MIDNIGHT = instant(datetime(2026, 11, 21, tzinfo=UTC))
MONDAY = instant(datetime(2026, 11, 23, tzinfo=UTC))
DECEMBER = instant(datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(("scope", "of"), [("all", ""), ("key", "home"), ("task", "coding")])
@pytest.mark.parametrize(
    ("period", "edge"), [("day", MIDNIGHT), ("week", MONDAY), ("month", DECEMBER), ("total", None)]
)
def test_a_period_ends_to_the_microsecond(
    store: Store, times: Times, scope: Scope, of: str, period: Any, edge: int | None
):
    """What was spent before is not of the new one; what began before counts where it began, whenever it ends."""
    budget = Budget(scope, of, period, USD)
    last = (edge or DECEMBER) - 1
    times.pass_(last - times.now)
    assert ask(store, 1, budget, worst=USD * 3 // 4) == GRANTED
    assert ask(store, 2, budget, worst=USD // 4) == GRANTED
    end(store, 1, USD * 3 // 4)
    refused = ask(store, 3, budget, worst=USD // 2)
    assert isinstance(refused, Denied)
    assert refused.again == (None if edge is None else 1)
    times.pass_(1)
    found = ask(store, 3, budget, worst=USD // 2)
    end(store, 2, USD // 4)
    if edge is None:
        assert (isinstance(found, Denied), account(store, budget)) == (True, (USD, 0))
        return
    assert (found, account(store, budget)) == (GRANTED, (0, USD // 2))
    times.set_to(last)
    assert account(store, budget) == (USD, 0)


def test_a_budget_that_is_changed_keeps_its_account(store: Store):
    """What was spent under the old amount counts under the new one."""
    assert ask(store, 1, DAILY, worst=USD) == GRANTED
    end(store, 1, USD)
    assert isinstance(ask(store, 2, DAILY, worst=1), Denied)
    assert isinstance(ask(store, 2, Budget("all", "", "day", 2 * USD), worst=USD), Granted)


def test_what_has_no_worst_case(store: Store):
    """No hard budget lets it through; under a soft one it goes, and counts what it cost."""
    absurd = (None, MOST_UNITS + 1, 2**62)
    for worst in absurd:
        refused = ask(store, 1, DAILY, worst=worst)
        assert isinstance(refused, Denied)
        assert (refused.code, refused.again) == ("over_budget", None)
    assert ask(store, 1, SOFT, worst=None) == GRANTED
    assert account(store, SOFT) == (0, 0)
    end(store, 1, None)
    assert account(store, SOFT) == (0, 0)
    find(store, 1, 7)
    assert account(store, SOFT) == (7, 0)


def test_what_costs_nothing_goes_where_all_is_spent(store: Store):
    """And what it costs after all is counted."""
    ask(store, 1, DAILY, worst=USD)
    end(store, 1, USD)
    assert isinstance(ask(store, 2, DAILY, worst=0), Granted)
    end(store, 2, 5)
    assert account(store, DAILY) == (USD + 5, 0)


@pytest.mark.parametrize("hard", [True, False])
def test_a_budget_warns(store: Store, hard: bool):
    """From its share on at each attempt, for what is spent and not for what is held; one that is soft refuses nothing."""
    budget = Budget("all", "", "day", USD, hard, warn_percent=50)
    assert ask(store, 1, budget, worst=USD) == GRANTED
    end(store, 1, USD // 2 - 1)
    assert ask(store, 2, budget, worst=1) == GRANTED
    end(store, 2, 1)
    kind = "hard" if hard else "soft"
    told = Granted((f"$0.5 of the {kind} budget of $1 a day is spent.",))
    assert [ask(store, number, budget, worst=1) for number in (3, 4)] == [told, told]
    found = ask(store, 5, budget, worst=10 * USD)
    assert found == told if not hard else isinstance(found, Denied)


def _error(verdict: object) -> Exception:
    assert isinstance(verdict, Exception), verdict
    return verdict


@pytest.mark.parametrize("worst", [-1, -(10**30)])
def test_a_worst_case_below_nothing(store: Store, worst: int):
    """Is an error to who asks, be it raised or told, and makes room for nobody."""
    assert ask(store, 1, DAILY, worst=USD) == GRANTED
    with pytest.raises((ValueError, LedgerError)):
        raise _error(ask(store, 2, DAILY, worst=worst))
    assert account(store, DAILY) == (0, USD)
    assert [row.number for row in store.rows()] == [1]


def test_sums_beyond_64_bits(store: Store):
    """An upstream that tells absurd costs costs no row: each is written, and nothing is let through any more."""
    assert ask(store, 1, DAILY, SOFT, worst=5) == GRANTED
    for number in range(2, 9):
        ask(store, number, worst=5)
    for number in range(1, 8):
        end(store, number, 2**63 - 1)
        assert isinstance(ask(store, 9, DAILY, worst=1), Denied)
    find(store, 1, 2**62)
    assert isinstance(ask(store, 9, SOFT, worst=5), Granted)
    assert [row.state for row in store.rows()] == ["open", "open", *["settled"] * 7]
    assert account(store, DAILY)[1] == 10
    assert account(store, DAILY)[0] >= 7 * 10**18


# -- all or nothing


REFUSED = {
    "a bucket is empty": ([TWO], {}, Later),
    "another one is": ([TOKENS], {"tokens": 500}, Later),
    "a budget is held": ([DAILY], {"worst": USD // 2}, Later),
    "another one is spent": ([TASK], {"worst": USD}, Denied),
    "its cost is not known": ([DAILY], {"worst": None}, Denied),
    "it is too large": ([TOKENS], {"tokens": 1001}, Denied),
}


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "amid", "last"])
@pytest.mark.parametrize("case", REFUSED)
def test_all_or_nothing(store: Store, times: Times, case: str, place: int):
    """Whichever is in the way, and wherever it stands: no other bucket and no other budget has lost anything, and there
    is no row."""
    needs, fields, kind = REFUSED[case]
    for number in (1, 2):
        assert ask(store, number, TWO, TOKENS, DAILY, worst=USD * 2 // 5, tokens=300) == GRANTED
    ask(store, 3, worst=3 * USD // 2)
    end(store, 3, 3 * USD // 2, usage=None)
    times.pass_(DAY)  # buckets fill, and the day's budget is new
    for number in (4, 5):
        assert ask(store, number, TWO, TOKENS, DAILY, worst=USD * 2 // 5, tokens=300) == GRANTED
    others: list[Bucket | Budget] = [MANY, MONTHLY]
    others[place:place] = needs
    buckets, budgets = (TWO, MANY, TOKENS), (DAILY, MONTHLY, TASK, SOFT)
    before = store.standing(buckets, budgets)
    for _ in range(3):
        verdict = ask(store, 6, *others, **{"worst": 1, "tokens": 1, **fields})
        assert isinstance(verdict, kind), verdict
    assert store.standing(buckets, budgets) == before
    assert [row.number for row in store.rows()] == [5, 4, 3, 2, 1]


def test_a_grant_takes_from_all(store: Store):
    """Every bucket and every account says so."""
    assert ask(store, 1, TWO, MANY, TOKENS, DAILY, MONTHLY, TASK, worst=7, tokens=10) == GRANTED
    assert [room(store, one) for one in (TWO, MANY, TOKENS)] == [1, 999, 990]
    assert [account(store, one) for one in (DAILY, MONTHLY, TASK)] == [(0, 7)] * 3


def test_a_second_intent_of_the_same_name_takes_nothing(store: Store):
    """It gets its error, and buckets and accounts are as they were; when the first one ends, it ends once."""
    needs = (TWO, TOKENS, DAILY)
    assert ask(store, 1, *needs, worst=7, tokens=10) == GRANTED
    before = store.standing((TWO, TOKENS), (DAILY,))
    for _ in range(2):
        assert isinstance(ask(store, 1, *needs, worst=9, tokens=90), LedgerError)
    assert store.standing((TWO, TOKENS), (DAILY,)) == before
    end(store, 1, 3, usage=Usage(total_tokens=4))
    assert (account(store, DAILY), room(store, TOKENS)) == ((3, 0), 996)


def test_standing_tells_and_takes_nothing(store: Store, times: Times, tmp_path: Path):
    """Of what is there and of what is not, any number of times; where there is no ledger none is made."""
    new = store.standing((TWO, TOKENS), (DAILY, TASK))
    assert (new.levels, new.accounts, new.wall) == (((0, 0),) * 2, ((0, 0),) * 2, START)
    assert list(tmp_path.iterdir()) == []
    ask(store, 1, TWO, DAILY, worst=7)
    for _ in range(3):
        found = store.standing((MANY, TWO), (TASK, DAILY))
        assert found.accounts == ((0, 7), (0, 7))
        assert (found.levels[0], found.levels[1] != (0, 0)) == ((0, 0), True)
    ask(store, 2, worst=5)
    assert store.standing((), (TASK, DAILY)).accounts == ((0, 12), (0, 12))
    assert store.standing((), ()).accounts == ()
    times.pass_(HOUR)
    later = store.standing((TWO,), ())
    assert (later.steady - found.steady, later.wall - found.wall) == (HOUR, HOUR)


def test_many_claims_in_one_batch(store: Store):
    """Handed over together, with ends between them: each is decided by what came before it."""
    verdicts: list[object] = []
    for number in range(1, 7):
        store.begin(intent(number, worst_units=USD // 2), verdicts.append, claim(DAILY, worst=USD // 2))
        if number == 3:
            store.settle(settlement(1, cost_units=0, cost_text="", usage=None))
    store.flush()
    assert [type(one) for one in verdicts] == [Granted, Granted, Later, Granted, Later, Later]
    assert account(store, DAILY) == (0, USD)


# -- clocks


@pytest.mark.parametrize("back", [HOUR, 30 * DAY])
def test_the_calendar_is_set_back(store: Store, times: Times, back: int):
    """Limits go on by a clock that nobody sets: no wait is longer, and none is shorter."""
    for number in (1, 2):
        ask(store, number, TWO)
    times.set_to(times.now - back)
    assert ask(store, 3, TWO) == Later(
        "The limit of 2 requests a minute to the model m/one is reached.", 30 * SECOND
    )
    times.pass_(30 * SECOND)
    assert ask(store, 3, TWO) == GRANTED
    times.set_to(times.now + 2 * back)
    assert isinstance(ask(store, 4, TWO), Later)


def test_the_calendar_is_set_back_over_midnight(store: Store, times: Times):
    """An attempt belongs to the day that its own row names; neither day's budget is passed, and nothing is lost."""
    times.set_to(MIDNIGHT + 5)
    assert ask(store, 1, DAILY, worst=USD) == GRANTED
    times.set_to(MIDNIGHT - HOUR)
    assert ask(store, 2, DAILY, worst=USD * 3 // 4) == GRANTED
    assert isinstance(ask(store, 3, DAILY, worst=USD // 2), Later)
    end(store, 1, USD * 3 // 4)
    end(store, 2, USD // 2)
    assert account(store, DAILY) == (USD // 2, 0)
    times.set_to(MIDNIGHT + HOUR)
    assert account(store, DAILY) == (USD * 3 // 4, 0)
    assert isinstance(ask(store, 3, DAILY, worst=USD // 2), Denied)


def test_the_calendar_is_set_far_ahead_and_back(store: Store, times: Times):
    """Accounts that were long past by the clock in between are what their rows say."""
    assert ask(store, 1, DAILY, MONTHLY, worst=USD) == GRANTED
    times.set_to(START + 3000 * DAY)
    assert ask(store, 2, DAILY, worst=7) == GRANTED
    end(store, 1, USD // 2)
    times.set_to(START)
    assert account(store, DAILY) == account(store, MONTHLY) == (USD // 2, 0)
    assert isinstance(ask(store, 3, DAILY, worst=USD * 3 // 4), Denied)
    assert ask(store, 3, DAILY, worst=USD // 2) == GRANTED


@pytest.mark.parametrize("scope", ["all", "key", "task"])
def test_names_of_any_kind(store: Store, scope: Scope):
    """Quotes, percent signs, nothing at all: a name is only a name."""
    for number, name in enumerate(("x' or 1=1 --", "%", "_", "…ab", "ALL", ""), start=1):
        budget = Budget(scope, "" if scope == "all" else name, "day", USD)
        bucket = Bucket("requests", scope, name, Limit(1, 60))
        assert ask(store, number, budget, bucket, worst=USD // 6, key=name, task=name) == GRANTED
        assert isinstance(ask(store, 99, bucket), Later)
        assert account(store, budget) == (0, USD // 6 * (number if scope == "all" else 1))
