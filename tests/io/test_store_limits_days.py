"""Limits and budgets in a SQLite file on bad days: reboots, old files, tampering, deaths, locks, several at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from books import DAY, HOUR, SECOND, START, USD, Times, account, ask, end, find, room
from bytedeck.claims import GRANTED, Bucket, Budget, Denied, Granted, Later, Limit
from bytedeck.errors import LedgerError
from bytedeck.guard import budget
from bytedeck.io import sql
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_file import connect, make_file, prepare
from bytedeck.io.sqlite_rows import INSERTS
from bytedeck.ledger.entry import Opened, Reconciliation
from bytedeck.types import Usage
from marks import REQUEST, intent, settlement, unknown

HOURLY = Bucket("requests", "all", "", Limit(1, 3600))
TOKENS = Bucket("tokens", "all", "", Limit(1000, 86_400))
TOKEN = 86_400_000
"""Microseconds in which one of them comes back."""
DAILY = Budget("all", "", "day", USD)
TOTAL = Budget("key", "home", "total", USD)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Opens a store of the file; in the end its books are right."""
    stores: list[SqliteStore] = []

    def one(times: Times, busy_timeout: float = 5.0) -> SqliteStore:
        stores.append(SqliteStore(str(path), times.wall, busy_timeout, times.steady))
        return stores[-1]

    yield one
    for store in stores:
        assert store.verify().problems == ()
        store.close()
        assert store.lost == []


@pytest.fixture
def store(opened: Callable[..., SqliteStore], times: Times) -> SqliteStore:
    return opened(times)


def raw(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Statements from outside; the rows of the last one."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        found: list[tuple[object, ...]] = []
        for statement in statements:
            found = connection.execute(statement).fetchall()
        return found
    finally:
        connection.close()


def reboot(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The machine runs anew."""
    for module in ("sqlite_claims", "sqlite_read"):
        monkeypatch.setattr(f"bytedeck.io.{module}.boot", lambda: name)


# -- the machine


@pytest.mark.parametrize("again", [1, 3])
def test_a_reboot_refills_nothing(opened, times: Times, monkeypatch: pytest.MonkeyPatch, again: int):
    """The machine's own clock begins again at nothing; a bucket goes on where it was, by the calendar."""
    reboot(monkeypatch, "first")
    store = opened(times)
    assert ask(store, 1, TOKENS, tokens=1000) == GRANTED
    for number in range(again):
        store.close()
        reboot(monkeypatch, f"boot {number}")
        times.set_to(times.now + TOKEN // 10)
        times.since_start = number
        store = opened(times)
        assert room(store, TOKENS) == 0
        times.pass_(TOKEN // 10)
        found = ask(store, 2, TOKENS, tokens=1)
        assert isinstance(found, Later)
        assert found.wait == TOKEN - (number + 1) * (TOKEN // 5)
    times.pass_(found.wait)
    assert ask(store, 2, TOKENS, tokens=1) == GRANTED


@pytest.mark.parametrize("back", [HOUR, 400 * DAY])
def test_a_reboot_with_the_calendar_set_back(opened, times: Times, monkeypatch, back: int):
    """Locks nobody out: no bucket is emptier than empty; and what runs across it gives back no more than it took."""
    reboot(monkeypatch, "first")
    store = opened(times)
    assert ask(store, 1, TOKENS, tokens=900) == GRANTED
    assert ask(store, 2, TOKENS, tokens=100) == GRANTED
    store.close()
    reboot(monkeypatch, "second")
    times.set_to(times.now - back)
    times.since_start = 7
    store = opened(times)
    assert ask(store, 3, TOKENS, tokens=1) == Later("The limit of 1000 tokens a day is reached.", TOKEN)
    end(store, 1, 0, outcome="refused")
    assert room(store, TOKENS) <= 900
    times.pass_(TOKEN)
    assert isinstance(ask(store, 3, TOKENS, tokens=1), Granted)


def test_a_reboot_after_the_calendar_was_set_right(opened, times: Times, monkeypatch: pytest.MonkeyPatch):
    """The machine began with a calendar that was a year ahead. The buckets' clock goes on from where it was, also where
    no attempt was ever that late by the calendar: nobody waits longer than for an empty bucket."""
    reboot(monkeypatch, "first")
    times.set_to(START + 365 * DAY)
    store = opened(times)
    assert ask(store, 1, HOURLY) == GRANTED
    times.set_to(START)
    times.pass_(20 * DAY)
    assert ask(store, 2, HOURLY) == GRANTED
    store.close()
    reboot(monkeypatch, "second")
    times.since_start = 7
    store = opened(times)
    assert room(store, HOURLY) == 0
    found = ask(store, 3, HOURLY)
    assert isinstance(found, Later)
    assert found.wait == HOUR
    times.pass_(HOUR)
    assert ask(store, 3, HOURLY) == GRANTED


def test_processes_count_by_one_clock(opened, times: Times):
    """By whoever looked first, whatever the calendar says to the others."""
    ahead, behind = Times(times.now + HOUR), Times(times.now - HOUR)
    first, second, third = opened(times), opened(ahead), opened(behind)
    assert ask(first, 1, HOURLY) == GRANTED
    for number, (store, clock) in enumerate(((second, ahead), (third, behind), (first, times)), start=2):
        assert ask(store, number, HOURLY) == Later("The limit of 1 request an hour is reached.", HOUR)
        assert store.standing((HOURLY,), ()).steady == START
        assert store.standing((HOURLY,), ()).wall == clock.now
    for clock in (times, ahead, behind):
        clock.pass_(HOUR)
    assert isinstance(ask(third, 5, HOURLY), Granted)
    assert isinstance(ask(second, 6, HOURLY), Later)


def test_a_first_look_at_the_clock_that_was_undone(opened, times: Times):
    """Who had looked, and could not write it down, looks again: else two would count by clocks of their own."""
    ahead = Times(times.now + 3 * HOUR)
    first, second = opened(times), opened(ahead)
    assert ask(first, 1) == GRANTED
    assert isinstance(ask(first, 1, HOURLY), LedgerError)  # there is one of this name
    assert ask(first, 2, HOURLY) == GRANTED
    assert ask(second, 3, HOURLY) == Later("The limit of 1 request an hour is reached.", HOUR)


# -- the file


def test_it_is_all_in_the_file(store: SqliteStore, times: Times):
    """Closed and opened again, buckets, accounts and holds are as they were."""
    assert ask(store, 1, HOURLY, TOKENS, DAILY, worst=7, tokens=900) == GRANTED
    before = store.standing((HOURLY, TOKENS), (DAILY, TOTAL))
    store.close()
    assert store.standing((HOURLY, TOKENS), (DAILY, TOTAL)) == before
    end(store, 1, 3, usage=Usage(total_tokens=100))
    assert (room(store, TOKENS), account(store, DAILY)) == (900, (3, 0))


def old_file(path: Path, upto: str) -> None:
    """A ledger as an older version made it, with rows of every kind."""
    make_file(str(path))
    connection = connect(str(path), 5.0)
    older = {name: text for name, text in sql.migrations("sqlite").items() if name < upto}
    prepare(connection, str(path), older, 5.0)
    if upto > "0005":  # a budget has asked for it before: triggers of the schema have kept it since
        for one in (DAILY, TOTAL):
            made = budget.account(one, START)
            whose = (made.scope, made.of, made.period, made.since, made.until)
            connection.execute("insert into account values (?, ?, ?, ?, ?, 0, 0)", whose)
    for number in range(1, 6):
        _write(connection, intent(number, worst_units=100, key="work" if number == 5 else "home"))
    _write(connection, intent(6, worst_units=None))
    _write(connection, settlement(1, cost_units=30, cost_text="", usage=None))
    _write(connection, unknown(2))
    _write(connection, unknown(3))
    _write(connection, Opened(f"{REQUEST}-4", "gen-4"))
    _write(connection, settlement(5, cost_units=1, usage=Usage(upstream_units=9, is_byok=True), cost_text=""))
    _write(connection, Reconciliation(attempt=f"{REQUEST}-3", cost_units=40))
    connection.close()


def _write(connection: sqlite3.Connection, row: object) -> None:
    name, encode = INSERTS[type(row)]  # type: ignore[index]
    statement, params = sql.statements("sqlite")[name], encode(row, START, "1-1-x")
    if name == "begin":  # as it was before 0007
        statement, params = statement.replace(", upstream_key)", ")").replace(", ?)", ")"), params[:-1]
    connection.execute(statement, params)


@pytest.mark.parametrize("upto", ["0002", "0003", "0004", "0009"])
def test_an_older_ledger(opened, path: Path, times: Times, upto: str):
    """It opens, its first budget counts the rows that are there, and from then on what becomes of them."""
    old_file(path, upto)
    store = opened(times)
    assert store.standing((), (DAILY, TOTAL)).accounts == ((180, 100), (170, 100))
    assert ask(store, 7, DAILY, TOTAL, worst=5) == GRANTED
    assert store.standing((), (DAILY, TOTAL)).accounts == ((180, 105), (170, 105))
    end(store, 4, 60)
    find(store, 2, 10)
    end(store, 6, 3)
    assert store.standing((), (DAILY, TOTAL)).accounts == ((53 + 100, 5), (43 + 100, 5))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("update account set spent = spent - 1", ["says 2 units are spent, its rows 3."]),
        ("update account set held = held + 1", ["says 8 units are held, its rows 7."]),
        (
            "update account set spent = 0, held = 0",
            ["says 0 units are spent, its rows 3.", "says 0 units are held, its rows 7."],
        ),
        ("update settlement set cost_units = 4", ["says 3 units are spent, its rows 4."]),
        ("update intent set worst_units = 9 where number = 2", ["says 7 units are held, its rows 9."]),
        (
            "delete from settlement",
            ["says 3 units are spent, its rows 0.", "says 7 units are held, its rows 12."],
        ),
    ],
)
def test_tampering_is_found(path: Path, times: Times, statement: str, says: list[str]):
    """An account that is not what its rows add up to is named, whichever of them was changed."""
    store = SqliteStore(str(path), times.wall, steady=times.steady)
    ask(store, 1, DAILY, worst=5)
    ask(store, 2, TOTAL, worst=7)
    end(store, 1, 3)
    assert store.verify().problems == ()
    raw(path, statement)
    problems = store.verify().problems
    for whose in ("all day", "key home total"):
        told = [one for one in problems if f"The account {whose} " in one]
        assert [one.partition(whose)[2].strip() for one in told] == says
    store.close()


def test_who_has_no_budget_pays_for_no_account(store: SqliteStore, path: Path):
    """A trigger costs each row: they come with the first account, and count from there on."""
    triggers = (
        "select name from sqlite_master where type = 'trigger' and tbl_name in ('intent', 'settlement')"
    )
    ask(store, 1, worst=5)
    end(store, 1, 3)
    assert raw(path, triggers) == []
    ask(store, 2, DAILY, worst=7)
    assert {name for (name,) in raw(path, triggers)} == {"intent_holds", "settlement_spends"}
    end(store, 2, 2)
    assert account(store, DAILY) == (5, 0)


def test_accounts_do_not_pile_up(store: SqliteStore, path: Path, times: Times):
    """Those of days long past are forgotten; what their rows say is not."""
    for number in range(1, 31):
        assert ask(store, number, DAILY, TOTAL, worst=number) == GRANTED
        end(store, number, number)
        times.pass_(DAY)
    assert raw(path, "select count(*) from account where period = 'day'")[0][0] <= 9
    assert raw(path, "select count(*) from account where period = 'total'") == [(1,)]
    times.set_to(START)
    assert account(store, DAILY) == (1, 0)
    assert account(store, TOTAL) == (30 * 31 // 2, 0)


def test_holds_do_not_pile_up(store: SqliteStore, path: Path):
    """Each goes with its attempt's settlement."""
    for number in range(1, 6):
        ask(store, number, TOKENS, HOURLY if number == 1 else TOKENS, tokens=10)
    assert raw(path, "select count(*) from held") == [(5,)]
    for number in range(1, 6):
        end(store, number, None)
    assert raw(path, "select count(*) from held") == [(0,)]


def test_a_file_that_was_taken_away(opened, path: Path, times: Times):
    """A new ledger is a new beginning, with a clock of its own."""
    store = opened(times)
    assert ask(store, 1, HOURLY, DAILY, worst=USD) == GRANTED
    for one in path.parent.glob("ledger.db*"):
        one.unlink()
    times.pass_(SECOND)  # longer than the file is trusted
    assert ask(store, 2, HOURLY, DAILY, worst=USD) == GRANTED
    assert raw(path, "select count(*) from clock") == [(1,)]
    assert isinstance(ask(opened(Times(times.now + 3 * HOUR)), 3, HOURLY), Later)


# -- the others


def test_two_share_what_there_is(opened, times: Times):
    """What one takes the other has not; an account that one of them made covers what the other begins and ends."""
    one, other = opened(times), opened(times)
    assert ask(one, 1, TOKENS, tokens=900, worst=0) == GRANTED
    assert ask(other, 2, worst=300) == GRANTED
    assert ask(one, 3, DAILY, worst=USD // 2) == GRANTED
    assert isinstance(ask(other, 4, TOKENS, tokens=200), Later)
    assert isinstance(ask(other, 4, DAILY, worst=USD // 2), Later)
    end(other, 1, None, usage=Usage(total_tokens=100))
    end(other, 3, 5)
    end(one, 2, 9)
    assert (room(one, TOKENS), account(one, DAILY)) == (900, (14, 0))
    assert isinstance(ask(other, 4, TOKENS, DAILY, tokens=900, worst=USD - 14), Granted)


def test_what_the_dead_have_held(store: SqliteStore, path: Path):
    """It is swept: held no more, counted as spent at its worst, since nobody knows; what ran on this machine cost
    nothing."""
    ask(store, 1, TOKENS, DAILY, worst=USD // 2, tokens=400)
    ask(store, 2, TOKENS, worst=USD // 4, tokens=300, model="local/small")
    ask(store, 3, DAILY, worst=7)
    raw(path, "update intent set owner = '1-1' where number < 3")
    assert isinstance(ask(store, 4, DAILY, worst=USD // 2), Later)
    assert store.sweep() == 2
    assert account(store, DAILY) == (USD // 2, 7)
    assert room(store, TOKENS) == 600
    assert raw(path, "select count(*) from held") == [(0,)]
    assert isinstance(ask(store, 4, DAILY, worst=USD // 2), Later)
    end(store, 3, 7)
    assert isinstance(ask(store, 4, DAILY, worst=USD // 2), Denied)


def test_behind_a_lock_nothing_is_taken(opened, path: Path, times: Times):
    """Who could not write is told so, and has taken nothing."""
    store = opened(times, busy_timeout=0.05)
    assert ask(store, 1, TOKENS, DAILY, worst=1, tokens=1) == GRANTED
    before = store.standing((TOKENS,), (DAILY,))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    assert isinstance(ask(store, 2, TOKENS, DAILY, worst=1, tokens=1), LedgerError)
    other.execute("rollback")
    other.close()
    assert store.standing((TOKENS,), (DAILY,)) == before
    assert ask(store, 2, TOKENS, DAILY, worst=1, tokens=1) == GRANTED
