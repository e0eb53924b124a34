"""The contract of every store: one set of tests for memory and SQLite alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bytedeck.claims import Granted
from bytedeck.errors import ConfigError, LedgerError
from bytedeck.health import Learnt
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Cursor, Store
from bytedeck.io.stores import open_store
from bytedeck.ledger.entry import Reconciliation, Wanted, instant
from bytedeck.types import Usage
from marks import GRANTED, REQUEST, begin, intent, settlement, unknown

START = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)


class Clock:
    """The store's clock, moved by the test."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return instant(self.now)

    def pass_(self, **duration: int) -> datetime:
        self.now += timedelta(**duration)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(clock),
        "sqlite": lambda: SqliteStore(str(tmp_path / "byte" / "ledger.db"), clock),
    }
    store = made[request.param]()
    yield store
    store.close()
    assert store.lost == []


def test_one_attempt_from_intent_to_settlement(store: Store, clock: Clock):
    """Every field that was written comes back, to the unit and the microsecond."""
    assert begin(store, intent()) == GRANTED
    clock.pass_(seconds=1)
    store.mark(intent().attempt, "gen-opened")
    (row,) = store.rows()
    assert (row.state, row.generation_id, row.worst_units, row.at) == ("open", "gen-opened", 5_000_000, START)
    clock.pass_(seconds=1)
    store.settle(settlement())
    (row,) = store.rows()
    assert (row.attempt, row.request, row.number) == (f"{REQUEST}-1", REQUEST, 1)
    assert (row.task, row.model, row.key, row.streamed) == ("coding", "m/one", "home", True)
    assert (row.at, row.settled_at) == (START, START + timedelta(seconds=2))
    assert (row.state, row.outcome, row.quality) == ("settled", "answered", "reported")
    assert (row.answered, row.provider, row.generation_id) == ("m/one-2026", "P", "gen-1")
    assert (row.finish_reason, row.error, row.first_token, row.seconds) == ("stop", "", 0.25, 1.5)
    assert (row.cost_units, row.cost_text, row.spend_units) == (93_000_000, "0.000093", 93_000_000)
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (100, 50, 150)
    assert (row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens) == (30, 4, 20)
    assert (row.web_searches, row.is_byok, row.upstream_units) == (2, False, 80_000_000)


def test_first_settlement_wins(store: Store):
    """A second settlement, and a second mark, change nothing."""
    begin(store, intent())
    store.mark(intent().attempt, "gen-first")
    store.mark(intent().attempt, "gen-second")
    store.settle(unknown(generation_id=""))
    store.settle(settlement())
    (row,) = store.rows()
    assert (row.outcome, row.cost_units, row.generation_id) == ("truncated", None, "gen-first")


def test_marks_without_intent_do_nothing(store: Store):
    """Who was never begun is neither opened nor settled, not even by an intent that comes later."""
    store.mark(intent().attempt, "gen-1")
    store.settle(settlement())
    assert store.rows() == []
    assert begin(store, intent()) == GRANTED
    (row,) = store.rows()
    assert (row.state, row.generation_id) == ("open", "")


def test_an_attempt_is_begun_once(store: Store):
    """A second intent of the same name gets an error, and takes nobody else along."""
    verdicts: list[object] = []
    for number in (1, 2, 1, 3):
        store.begin(intent(number), verdicts.append)
    store.flush()
    assert [type(verdict) for verdict in verdicts] == [Granted, Granted, LedgerError, Granted]
    assert "is in the ledger already" in str(verdicts[2])
    assert [row.number for row in store.rows()] == [3, 2, 1]


def test_settlements_never_overtake_their_intents(store: Store):
    """A settlement handed over right behind its intent, before any verdict, counts."""
    for number in range(1, 1001):
        store.begin(intent(number), lambda verdict: None)
        store.settle(settlement(number))
    store.flush()
    check = store.verify()
    assert (check.attempts, check.settled, check.cost_units) == (1000, 1000, 93_000_000_000)


def test_eight_threads_at_once(store: Store):
    """200 attempts on each of eight threads: every row is there, once."""
    verdicts: list[object] = []

    def work(number: int) -> None:
        request = f"{number:032x}"
        for attempt in range(1, 201):
            verdicts.append(begin(store, intent(attempt, request)))
            store.mark(f"{request}-{attempt}", f"gen-{number}-{attempt}")
            store.settle(settlement(attempt, request, generation_id=f"gen-{number}-{attempt}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [GRANTED] * 1600
    rows = store.rows(limit=2000)
    assert len({row.attempt for row in rows}) == len(rows) == 1600
    assert {row.state for row in rows} == {"settled"}
    report = store.usage("task")
    assert (report.total.requests, report.total.attempts) == (8, 1600)
    assert report.total.cost_units == 1600 * 93_000_000


def fill(store: Store, clock: Clock) -> None:
    """Three requests on two days: two models, two keys, every way of knowing a cost."""
    one, two, three = "1" * 32, "2" * 32, "3" * 32
    begin(store, intent(1, one))
    store.settle(unknown(1, one))
    begin(store, intent(2, one, model="m/two"))
    store.settle(settlement(2, one))
    clock.pass_(minutes=2)  # past midnight, UTC
    begin(store, intent(1, two, key="work", task="general"))
    byok = Usage(prompt_tokens=7, completion_tokens=3, upstream_units=1_000, is_byok=True)
    store.settle(settlement(1, two, usage=byok, cost_units=1, cost_text="0.000000000001"))
    begin(store, intent(1, three, key="", task=""))
    store.settle(settlement(1, three, quality="estimated", cost_units=10, cost_text="", usage=None))
    begin(store, intent(2, three, key="", task="", worst_units=None))


def figures(store: Store, by: str, since: datetime | None = None) -> list[tuple[object, ...]]:
    report = store.usage(by, since)  # type: ignore[arg-type]
    return [
        (one.label, one.requests, one.attempts, one.tokens, one.cost_units, one.unknown, one.estimated)
        for one in (*report.lines, report.total)
    ]


USAGE_BY = {
    "task": [
        ("coding", 1, 2, 150, 93_000_000, 1, 0),
        ("general", 1, 1, 10, 1_001, 0, 0),
        ("", 1, 2, 0, 10, 1, 1),
    ],
    "model": [("m/two", 1, 1, 150, 93_000_000, 0, 0), ("m/one", 3, 4, 10, 1_011, 2, 1)],
    "key": [
        ("home", 1, 2, 150, 93_000_000, 1, 0),
        ("work", 1, 1, 10, 1_001, 0, 0),
        ("", 1, 2, 0, 10, 1, 1),
    ],
    "day": [("2026-11-20", 1, 2, 150, 93_000_000, 1, 0), ("2026-11-21", 2, 3, 10, 1_011, 1, 1)],
}


@pytest.mark.parametrize("by", USAGE_BY)
def test_usage(store: Store, clock: Clock, by: str):
    """The sums by task, model, key and day; each adds up to the same total."""
    fill(store, clock)
    assert figures(store, by) == [*USAGE_BY[by], ("total", 3, 5, 160, 93_001_011, 2, 1)]
    report = store.usage(by)  # type: ignore[arg-type]
    assert (report.days, report.total.trend) == (("2026-11-20", "2026-11-21"), (93_000_000, 1_011))


def test_usage_since(store: Store, clock: Clock):
    """Only attempts begun at that moment or later count."""
    fill(store, clock)
    assert figures(store, "day", START + timedelta(minutes=2)) == [
        USAGE_BY["day"][1],
        ("total", 2, 3, 10, 1_011, 1, 1),
    ]
    assert figures(store, "task", clock.now + timedelta(microseconds=1)) == [("total", 0, 0, 0, 0, 0, 0)]


def test_sums_are_exact_beyond_64_bits(store: Store):
    """Many large costs add up without overflow and without losing a unit."""
    most = 2**63 - 1
    for number in range(1, 9):
        begin(store, intent(number))
        store.settle(settlement(number, cost_units=most, cost_text="9223372.036854775807"))
    assert store.usage("task").total.cost_units == 8 * most
    check = store.verify()
    assert (check.ok, check.cost_units) == (True, 8 * most)


def test_rows_newest_first(store: Store, clock: Clock):
    """`limit` takes the latest in the order of arrival, even if the clock was set back; `since` filters."""
    for number, hours in ((1, 0), (2, 2), (3, -1)):
        clock.pass_(hours=hours)
        begin(store, intent(number))
    assert [row.number for row in store.rows()] == [3, 2, 1]
    assert [row.number for row in store.rows(limit=1)] == [3]
    assert [row.number for row in store.rows(since=START + timedelta(minutes=30))] == [3, 2]
    assert store.rows(limit=0) == store.rows(limit=-1) == []


WANTED = {
    "all": (Wanted(), [4, 3, 2, 1]),
    "a key": (Wanted(key="ada"), [4, 2]),
    "a task": (Wanted(task="general"), [3]),
    "a model": (Wanted(model="m/one"), [4, 2, 1]),
    "an outcome": (Wanted(outcome="answered"), [2, 1]),
    "what runs": (Wanted(key="ada", model="m/one", before=f"{REQUEST}-4"), [2]),
    "a page": (Wanted(before=f"{REQUEST}-3"), [2, 1]),
    "before the first": (Wanted(before=f"{REQUEST}-1"), []),
    "before what never was": (Wanted(before="nothing"), []),
    "odd words": (Wanted(key="a' or 1=1 --"), []),
}


@pytest.mark.parametrize("name", WANTED)
def test_rows_that_are_wanted(store: Store, name: str):
    """By key, task, model and outcome together, and page by page."""
    begin(store, intent(1))
    begin(store, intent(2, key="ada"))
    begin(store, intent(3, task="general", model="m/two"))
    begin(store, intent(4, key="ada"))
    for number in (1, 2):
        store.settle(settlement(number))
    wanted, numbers = WANTED[name]
    assert [row.number for row in store.rows(wanted=wanted)] == numbers
    assert [row.number for row in store.rows(1, wanted=wanted)] == numbers[:1]


def test_verify_counts(store: Store, clock: Clock):
    """What is open or awaits its cost is counted, and is no problem."""
    fill(store, clock)
    check = store.verify()
    assert (check.ok, check.problems) == (True, ())
    assert (check.attempts, check.settled, check.awaiting) == (5, 2, 2)
    assert (check.in_flight, check.orphaned, check.cost_units) == (1, 0, 93_001_011)


def test_unknown_costs_are_counted_alike(store: Store, clock: Clock):
    """By `verify` and by every report the same: whatever the state, with what they may have cost at most."""
    fill(store, clock)  # one awaits its cost, one runs, without a bound
    begin(store, intent(9, "9" * 32, worst_units=2**62))
    store.settle(unknown(9, "9" * 32, generation_id=""))  # nobody will ever tell
    check = store.verify()
    assert (check.unknown, check.worst_units, check.unbounded) == (3, 5_000_000 + 2**62, 1)
    for by in USAGE_BY:
        total = store.usage(by).total  # type: ignore[arg-type]
        assert (total.unknown, total.worst_units, total.unbounded) == (3, 5_000_000 + 2**62, 1)


FOUND = Usage(
    prompt_tokens=11, completion_tokens=7, total_tokens=18, cached_tokens=5, reasoning_tokens=3,
    cost_units=2_000_000, cost_text="0.000002", upstream_units=40_000_000, is_byok=True,
)  # fmt: skip


def told(number: int = 1, cost_units: int | None = 2_000_000, **fields: object) -> Reconciliation:
    """What the upstream says afterwards; without a cost: it was given up."""
    values = {"cost_text": "0.000002", "usage": FOUND} if cost_units is not None else {}
    return Reconciliation(attempt=f"{REQUEST}-{number}", cost_units=cost_units, **(values | fields))  # type: ignore[arg-type]


def test_a_reconciliation_outweighs_the_settlement(store: Store, clock: Clock):
    """In the row, in the sums, in verify; what only the settlement knows stays."""
    begin(store, intent())
    store.settle(unknown(usage=Usage(prompt_tokens=1, cache_write_tokens=4, web_searches=2)))
    assert store.verify().awaiting == 1
    clock.pass_(seconds=90)
    store.reconcile(told())
    store.flush()
    (row,) = store.rows()
    assert (row.state, row.quality, row.reconciled_at) == ("settled", "reconciled", clock.now)
    assert (row.cost_units, row.cost_text, row.spend_units) == (2_000_000, "0.000002", 42_000_000)
    assert (row.upstream_units, row.is_byok) == (40_000_000, True)
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (11, 7, 18)
    assert (row.cached_tokens, row.reasoning_tokens, row.cache_write_tokens, row.web_searches) == (5, 3, 4, 2)
    assert (row.outcome, row.settled_at, row.provider) == ("truncated", START, "P")
    check, total = store.verify(), store.usage().total
    assert (check.ok, check.awaiting, check.settled, check.unknown) == (True, 0, 1, 0)
    assert check.cost_units == total.cost_units == 42_000_000
    assert (total.tokens, total.unknown, total.estimated) == (18, 0, 0)
    assert store.awaiting() == []


def test_the_first_reconciliation_wins(store: Store):
    """So that any number of processes may ask at once."""
    begin(store, intent())
    store.settle(unknown())
    store.reconcile(told())
    store.reconcile(told(cost_units=5, cost_text=""))
    store.reconcile(told(cost_units=None))
    store.flush()
    assert [row.cost_units for row in store.rows()] == [2_000_000]


def test_what_is_given_up_is_not_asked_for_again(store: Store):
    """Its cost stays unknown, and counted; what the settlement knows of it stays."""
    begin(store, intent())
    store.settle(unknown(usage=Usage(prompt_tokens=9, total_tokens=9)))
    store.reconcile(told(cost_units=None))
    store.flush()
    (row,) = store.rows()
    assert (row.state, row.quality, row.cost_units, row.prompt_tokens) == ("settled", "unknown", None, 9)
    assert row.reconciled_at is not None
    check = store.verify()
    assert (check.ok, check.settled, check.awaiting, check.unknown) == (True, 1, 0, 1)
    assert store.awaiting() == []


def test_a_reconciliation_without_settlement_does_nothing(store: Store):
    """The settlement comes first, and is never taken for its successor."""
    store.reconcile(told())
    begin(store, intent())
    store.reconcile(told())
    store.settle(unknown())
    store.flush()
    assert [(row.state, row.cost_units) for row in store.rows()] == [("awaiting", None)]


def test_awaiting(store: Store, clock: Clock):
    """Who has a generation's id and no cost, in order, page by page; neither the known nor the nameless nor the open."""
    cases = {
        1: unknown(1, generation_id="gen-1"),
        2: settlement(2),
        3: unknown(3, generation_id=""),
        4: None,
        5: unknown(5, generation_id=""),  # its id was marked
        6: unknown(6, generation_id="gen-6"),
    }
    for number, end in cases.items():
        begin(store, intent(number, key="" if number == 6 else "home"))
        if number in (4, 5):
            store.mark(f"{REQUEST}-{number}", f"gen-{number}")
        if end is not None:
            store.settle(end)
        clock.pass_(seconds=1)
    found = store.awaiting()
    assert [(one.attempt[-1], one.generation_id, one.key) for one in found] == [
        ("1", "gen-1", "home"),
        ("5", "gen-5", "home"),
        ("6", "gen-6", ""),
    ]
    assert found[1].settled_at == instant(START) + 4_000_000
    first = store.awaiting(limit=2)
    assert first == found[:2]
    assert store.awaiting(limit=2, after=first[-1].place) == found[2:]
    assert store.awaiting(after=found[-1].place) == store.awaiting(limit=0) == []


def test_ones_own_attempts_are_never_swept(store: Store, clock: Clock):
    """However long they run."""
    begin(store, intent())
    clock.pass_(days=400)
    assert store.sweep() == 0
    assert [row.state for row in store.rows()] == ["open"]


def test_export(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """Every attempt once, oldest first, as `rows` tells it, across pages; `since` filters; what comes later does not."""
    monkeypatch.setattr("bytedeck.io.sqlite_read._PAGE", 2)
    fill(store, clock)
    everything = store.rows()[::-1]
    assert list(store.export()) == everything
    assert list(store.export(START + timedelta(minutes=1))) == everything[2:]
    reading = store.export()
    assert next(reading) == everything[0]
    begin(store, intent(1, "8" * 32))
    assert list(reading) == everything[1:]


def test_verify_finds_a_cost_that_is_not_its_text(store: Store):
    """A row whose units and text differ is named, as is a negative cost."""
    begin(store, intent(1))
    store.settle(settlement(1, cost_units=93_000_001))
    begin(store, intent(2))
    store.settle(settlement(2, cost_units=-5, cost_text=""))
    check = store.verify()
    assert not check.ok
    assert "says 93000001 units" in check.problems[0]
    assert f"{REQUEST}-2 has a negative cost" in check.problems[1]
    assert len(check.problems) == 2


def test_an_empty_ledger(store: Store, tmp_path: Path):
    """Asking makes nothing: no rows, no sums, no problems, no file."""
    assert store.rows() == []
    assert store.usage("model").lines == ()
    assert store.verify().ok
    assert (list(store.export()), store.awaiting(), store.sweep()) == ([], [], 0)
    assert list(tmp_path.iterdir()) == []


def test_close_is_idempotent_and_not_the_end(store: Store):
    """A row that comes after `close` is written all the same."""
    store.close()
    begin(store, intent())
    store.close()
    store.close()
    store.settle(settlement())
    store.flush()
    (row,) = store.rows()
    assert row.state == "settled"


def test_text_of_any_kind(store: Store):
    """Half a surrogate pair from a command line, a NUL, quotes: nothing stops a row."""
    begin(store, intent(task="\udcff", model="m\0'; drop table intent; --"))
    store.settle(settlement(error="\ud800"))
    (row,) = store.rows()
    assert (row.state, row.model[2:6]) == ("settled", "'; d")


def test_usage_by_something_else(store: Store):
    """An unknown grouping is refused, not taken for a column."""
    with pytest.raises(ValueError, match="cannot be grouped by 'owner'"):
        store.usage("owner")  # type: ignore[arg-type]


def test_open_store(tmp_path: Path):
    """The URL chooses the store, and opening it does nothing yet."""
    assert isinstance(open_store("memory:"), MemoryStore)
    path = tmp_path / "a folder" / "100% ?#.db"
    store = open_store(f"sqlite://{path}")
    assert (isinstance(store, SqliteStore), store.location) == (True, str(path))
    assert list(tmp_path.iterdir()) == []
    begin(store, intent())
    assert path.is_file()
    assert len(store.rows()) == 1
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "sqlite:",
        "sqlite:///",
        "sqlite://ledger.db",
        "sqlite:ledger.db",
        "sqlite:///folder/",
        "sqlite:///a\0b",
        "postgresql://user:secret@host/db",
        "secret.db",
        "/secret/ledger.db",
    ],
)
def test_open_store_refuses(url: str):
    """Any other URL: what is possible is told, and no part of the URL that may be a secret."""
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert any("sqlite:///" in line for line in caught.value.hint)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_recent_tells_each_attempt_when_it_begins_and_when_it_ends(store: Store, clock: Clock):
    """Each once, whatever the order of the ends; what they teach comes along."""
    since = instant(START) - 1
    begin(store, intent(1))
    begin(store, intent(2, model="m/two", key=""))
    first = store.recent(since, Cursor())
    assert [(one.attempt[-2:], one.model, one.key, one.ended) for one in first.seen] == [
        ("-1", "m/one", "home", None),
        ("-2", "m/two", "", None),
    ]
    clock.pass_(seconds=3)
    store.settle(unknown(2, outcome="prefill_refused", first_token=None))
    store.flush()
    second = store.recent(since, first.next)
    (refused,) = second.seen
    assert (refused.attempt, refused.outcome, refused.first_token) == (
        f"{REQUEST}-2",
        "prefill_refused",
        None,
    )
    assert (refused.begun, refused.ended) == (instant(START), instant(START) + 3_000_000)
    assert second.learnt == (Learnt("m/two", "prefill_refused", instant(START) + 3_000_000),)
    begin(store, intent(3))
    store.settle(settlement(1))
    store.settle(settlement(3))
    store.flush()
    third = store.recent(since, second.next)
    assert [(one.attempt[-2:], one.outcome) for one in third.seen] == [("-1", "answered"), ("-3", "answered")]
    assert (third.seen[0].first_token, third.seen[0].seconds, third.seen[0].tokens) == (0.25, 1.5, 50)
    again = store.recent(since, second.next, own={f"{REQUEST}-3", f"{REQUEST}-9"})
    assert [one.attempt[-2:] for one in again.seen] == ["-1"]
    assert (again.own, again.next) == ((f"{REQUEST}-3",), third.next)
    own_begin = store.recent(since, Cursor(), own={f"{REQUEST}-{number}" for number in (1, 2, 3)})
    assert (own_begin.seen, len(own_begin.own)) == ((), 3)
    assert store.recent(since, third.next).seen == ()
    assert store.recent(since, third.next).learnt == second.learnt


def test_recent_looks_back_only_so_far(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """In time, and in number; what is too old is not kept an eye on."""
    monkeypatch.setattr("bytedeck.io.memory.MOST_RECENT", 3)
    monkeypatch.setattr("bytedeck.io.sqlite_read.MOST_RECENT", 3)
    begin(store, intent(1))
    found = store.recent(instant(START), Cursor())
    assert (len(found.seen), len(found.next.open)) == (1, 1)
    clock.pass_(minutes=11)
    later = instant(clock.now)
    store.settle(settlement(1))
    for number in range(2, 7):
        begin(store, intent(number))
    store.flush()
    found = store.recent(later, found.next)
    assert [one.attempt[-1] for one in found.seen] == ["4", "5", "6"]
    assert len(found.next.open) == 3


def test_a_lesson_is_kept_at_its_latest(store: Store, clock: Clock):
    """One line for each model and outcome; other outcomes teach nothing, a second settlement neither."""
    for number in (1, 2):
        begin(store, intent(number))
        store.settle(settlement(number, outcome="reasoning_mandatory"))
        clock.pass_(hours=1)
    begin(store, intent(3))
    store.settle(settlement(3))
    store.settle(settlement(3, outcome="prefill_refused"))
    store.flush()
    assert store.recent(instant(clock.now), Cursor()).learnt == (
        Learnt("m/one", "reasoning_mandatory", instant(START) + 3600 * 1_000_000),
    )


def test_an_estimate_is_asked_for(store: Store):
    """What was reckoned from tokens waits for the upstream's own figure, which then counts; given up, it stays."""
    for number in (1, 2):
        begin(store, intent(number))
        store.settle(
            settlement(number, quality="estimated", cost_units=5, cost_text="", generation_id=f"g{number}")
        )
    first, second = store.awaiting()
    store.reconcile(Reconciliation(attempt=first.attempt, cost_units=7, cost_text="0.000000000007"))
    store.reconcile(Reconciliation(attempt=second.attempt, cost_units=None))
    assert store.awaiting() == []
    found = [(row.number, row.cost_units, row.quality, row.state) for row in store.rows()]
    assert found == [(2, 5, "estimated", "settled"), (1, 7, "reconciled", "settled")]


def test_the_key_that_went_upstream(store: Store, clock: Clock):
    """The row tells both; who asks for a cost later, or after the models' health, is told that one."""
    begin(store, intent(1, key="alice", upstream_key="…home"))
    begin(store, intent(2, key="…home"))
    for number in (1, 2):
        store.settle(unknown(number))
    store.flush()
    assert [(row.key, row.upstream_key) for row in store.rows()] == [("…home", ""), ("alice", "…home")]
    assert [(row.key, row.upstream_key) for row in store.export()] == [("alice", "…home"), ("…home", "")]
    assert [one.key for one in store.awaiting()] == ["…home"] * 2
    assert {one.key for one in store.recent(instant(START) - 1, Cursor()).seen} == {"…home"}
    assert {line.label for line in store.usage("key").lines} == {"alice", "…home"}
