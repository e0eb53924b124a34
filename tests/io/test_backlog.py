"""Rows that could not be written and may be later: how many, in which order, and whose they are."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytedeck.errors import LedgerError
from bytedeck.io import backlog
from bytedeck.io.backlog import Backlog, sentence
from bytedeck.io.sink import Job
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import NOTHING_OWED, Owed
from bytedeck.ledger.entry import Mark, Opened, Reconciliation, Swept, lost
from marks import GRANTED, REQUEST, begin, intent, settlement, unknown

FOUND = Reconciliation(attempt=f"{REQUEST}-1", cost_units=7, cost_text="0.000000000007")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path), busy_timeout=0.01)
    yield store
    store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("begin immediate")
        yield
    finally:
        other.close()


@pytest.mark.parametrize(
    ("row", "belongs"),
    [
        (Opened(f"{REQUEST}-1", "gen-1"), True),
        (settlement(), True),
        (FOUND, True),
        (lost(f"{REQUEST}-1", "m/one", ""), False),
        (Swept(3), False),
    ],
)
def test_what_belongs_there(row: Mark, belongs: bool) -> None:
    """What nobody else will write again; what a sweep writes, the next sweep does."""
    rows = Backlog()
    assert rows.takes(Job(row, 1)) == belongs
    assert len(rows) == belongs
    assert not rows.takes(Job(row, 1, id))  # who waits for a row is told at once
    assert len(rows) == belongs


def test_the_first_one_counts() -> None:
    """Of two rows of one kind and attempt the older one is kept, in its place."""
    rows = Backlog()
    first = [Job(settlement(1), 1), Job(settlement(2), 2)]
    for job in (*first, Job(settlement(1, error="again"), 3), Job(FOUND, 4)):
        assert rows.takes(job)
    assert [job.at for job in rows.first(10)] == [1, 2, 4]
    assert [job.at for job in rows.first(2)] == [1, 2]
    rows.drop(first[:1])
    assert [job.at for job in rows.first(10)] == [2, 4]


def test_a_settlement_that_is_lost_tells_for_its_generations_name_too() -> None:
    """One attempt is complained of once; a name without its settlement is told."""
    rows = Backlog()
    for row in (Opened(f"{REQUEST}-1", "gen-1"), settlement(1), Opened(f"{REQUEST}-2", "gen-2")):
        rows.takes(Job(row, 1))
    assert [job.row for job in rows.give_up()] == [settlement(1), Opened(f"{REQUEST}-2", "gen-2")]
    assert len(rows) == 0


def test_tries_become_rarer() -> None:
    """Each pause is twice as long as the one before, up to the longest; a try that went well ends that."""
    rows, why = Backlog(), LedgerError("full")
    pauses = []
    for _ in range(12):
        rows.put_off(why)
        pauses.append(rows.wait)
    assert all(0 < wait <= backlog._LAST for wait in pauses)
    assert pauses[0] <= backlog._FIRST < pauses[2]
    assert pauses[-1] > backlog._LAST / 2
    rows.hurry()
    assert rows.wait == 0
    rows.put_off(why)
    assert rows.wait <= backlog._FIRST


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (settlement(), f"The settlement of attempt {REQUEST}-1 ($0.000093) was not recorded. Full."),
        (unknown(), f"The settlement of attempt {REQUEST}-1 was not recorded. Full."),
        (FOUND, f"The reconciled cost of attempt {REQUEST}-1 ($0.000000000007) was not recorded. Full."),
        (Opened("a-1", "gen-1"), "The generation id of attempt a-1 was not recorded. Full."),
    ],
)
def test_what_is_lost_is_told_with_its_cost(row: Mark, words: str) -> None:
    """So that a person can still add it up."""
    assert sentence(row, LedgerError("Full.")) == words


@pytest.mark.parametrize(("rows", "words"), [(1, "1 row waits"), (1234, "1,234 rows wait")])
def test_what_is_owed_in_words(rows: int, words: str) -> None:
    """One sentence, and why."""
    assert str(Owed(rows, "It is full.")) == f"{words} to be written. It is full."


def test_no_more_than_so_many(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit any more is lost, and told; what was there before is not."""
    monkeypatch.setattr(backlog, "MOST", 3)
    for number in range(1, 6):
        begin(store, intent(number))
    with locked(path):
        for number in range(1, 6):
            store.settle(settlement(number))
            store.flush()
        assert store.owed.rows == 3
        assert [f"{REQUEST}-4" in store.lost[0], f"{REQUEST}-5" in store.lost[1]] == [True, True]
    store.flush()
    assert {row.number: row.state for row in store.rows()} == {
        **dict.fromkeys((1, 2, 3), "settled"),
        **dict.fromkeys((4, 5), "open"),
    }
    assert (len(store.lost), store.owed) == (2, NOTHING_OWED)


def test_a_correction_does_not_overtake(store: SqliteStore, path: Path) -> None:
    """A reconciliation without its settlement would do nothing: it waits behind it, also once there is room."""
    for number in (1, 2):
        begin(store, intent(number))
    with locked(path):
        store.settle(unknown(1))
        store.flush()
        store.reconcile(FOUND)
        store.settle(unknown(2))
        store.flush()
        assert store.owed.rows == 3
    with store._writer._busy:  # comes with the first try after it
        store.reconcile(Reconciliation(attempt=f"{REQUEST}-2", cost_units=9))
    (two, one) = store.rows()
    assert (one.cost_units, one.quality, two.cost_units) == (7, "reconciled", 9)
    assert (store.lost, store.owed.rows) == ([], 0)


def test_a_correction_that_is_smaller_does_not_overtake(store: SqliteStore) -> None:
    """Nor within one batch, where the settlement does not fit and the correction does."""
    begin(store, intent(1))
    store.flush()
    connection = store._writer._sink._connection  # type: ignore[union-attr]
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages}")
    with store._writer._busy:
        store.settle(unknown(1, error="x" * 100_000))
        store.reconcile(FOUND)
    store.flush()
    assert store.owed.rows == 2
    connection.execute(f"pragma max_page_count = {pages + 1000}")
    (row,) = store.rows()
    assert (row.cost_units, row.error[:3], store.lost) == (7, "xxx", [])


def test_what_was_never_begun_is_not_kept(store: SqliteStore, path: Path) -> None:
    """The end of an attempt without an intent would do nothing: it takes no room, and is told as before."""
    begin(store, intent(1))
    with locked(path):
        assert "locked" in str(begin(store, intent(2)))
        store.settle(settlement(2))
        store.flush()
        assert (store.owed.rows, len(store.lost)) == (0, 1)


def test_who_begins_next_makes_up_for_it(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pause: an intent that could be written shows that there is room."""
    monkeypatch.setattr(backlog, "_FIRST", 3600.0)
    monkeypatch.setattr(backlog, "_LAST", 3600.0)
    begin(store, intent(1))
    store._writer._backlog = Backlog()
    with locked(path):
        store.settle(settlement(1))
        store.flush()
    assert store.owed.rows == 1
    assert begin(store, intent(2)) == GRANTED
    store._writer._busy.acquire()  # its verdict came before the thread was done
    store._writer._busy.release()
    assert store.owed.rows == 0


def test_verify_tells_of_it(store: SqliteStore, path: Path) -> None:
    """While rows are owed the ledger is not sound; afterwards it is."""
    begin(store, intent(1))
    with locked(path):
        store.settle(settlement(1))
        check = store.verify()
        assert (check.ok, check.owed, check.in_flight) == (False, 1, 1)
        assert check.problems == (str(store.owed),)
    check = store.verify()
    assert (check.ok, check.owed, check.settled) == (True, 0, 1)


def test_a_child_does_not_write_it_twice(store: SqliteStore, path: Path) -> None:
    """After a fork it is the parent's."""
    begin(store, intent(1))
    with locked(path):
        store.settle(settlement(1))
        store.flush()
        assert threading.active_count() >= 2
        child = os.fork()
        if child == 0:
            os._exit(store.owed.rows)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.flush()
    assert (store.rows()[0].state, store.lost) == ("settled", [])


def test_without_a_thread_it_is_kept(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started any more, who settles neither waits nor loses the row: the next one writes it."""
    begin(store, intent(1))
    store._writer.close()

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, locked(path):
        patch.setattr(threading.Thread, "start", start)
        store.settle(settlement(1))
        assert (store.owed.rows, store.lost) == (1, [])
    store.flush()
    assert (store.rows()[0].state, store.owed.rows) == ("settled", 0)
