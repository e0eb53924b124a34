"""The ledger's writer under duress: bursts, signals, many threads, threads that die, long locks."""

from __future__ import annotations

import gc
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from bytedeck.errors import LedgerError
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.writer import _BATCH, Job
from marks import GRANTED, begin, intent, settlement

TESTS = str(Path(__file__).parents[1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path), busy_timeout=0.2)
    yield store
    store.close()


def count(path: Path, kind: str = "settlement") -> int:
    connection = sqlite3.connect(path)
    try:
        (number,) = connection.execute(f"select count(*) from {kind}").fetchone()
        return int(number)
    finally:
        connection.close()


def soon(what: Callable[[], object], within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while not what() and time.monotonic() < until:
        time.sleep(0.005)
    return bool(what())


def test_a_burst_that_nobody_waits_for(store: SqliteStore, path: Path) -> None:
    """More rows at once than a batch takes are written to the last one, though nothing comes after them."""
    many = 3 * _BATCH + 7
    begin(store, intent(0))
    for number in range(1, many + 1):
        store.begin(intent(number), id)
    store.flush(20)
    with store._writer._busy:
        for number in range(1, many + 1):
            store.settle(settlement(number))
    assert soon(lambda: count(path) == many)


def test_a_signal_at_any_moment(store: SqliteStore) -> None:
    """A Ctrl-C in the midst of anything loses no row that was handed over, and the store goes on."""
    begin(store, intent(0))
    handed: list[int] = []
    number = caught = 0

    def ring(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    gc.disable()  # others' callbacks of it would swallow a signal, and complain
    try:
        while number < 6000:
            number += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_002, 0.000_15))
                store.begin(intent(number), id)
                store.settle(settlement(number))
                handed.append(number)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert caught > 100
    assert begin(store, intent(number + 1), 5.0) == GRANTED
    store.flush()
    settled = {row.number for row in store.rows(10_000) if row.state == "settled"}
    assert set(handed) <= settled
    assert store.verify().ok
    assert store.lost == []


def test_a_thread_whose_start_is_interrupted(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C in the midst of starting the thread: the next row starts one."""

    def start(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            store.begin(intent(1), id)
    assert begin(store, intent(2), 5.0) == GRANTED
    assert {row.number for row in store.rows()} == {1, 2}


def test_a_thread_that_dies(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kills the thread, the next row starts another, and what was there is written."""
    begin(store, intent(1))
    thread = store._writer._thread
    assert thread is not None
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def kill(*_: object) -> None:
        raise SystemExit

    with store._writer._busy:
        store.begin(intent(2), kill)
    store.flush(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(store._writer, "_take", kill)  # as if there were no memory
        store._writer._bell.put(True)
        thread.join(5.0)
    assert not thread.is_alive()
    store.settle(settlement(1))
    with store._writer._busy:
        verdicts: SimpleQueue[object] = SimpleQueue()
        store.begin(intent(3), verdicts.put)
    assert verdicts.get(timeout=5) == GRANTED
    assert {row.number: row.state for row in store.rows()} == {1: "settled", 2: "open", 3: "open"}


def test_many_threads_that_pause(store: SqliteStore, path: Path) -> None:
    """Eight threads with pauses of their own, closes and a program that locks the file now and then: each
    row once, each verdict given, and what nobody waits for is there soon after the last word."""
    begin(store, intent(0))
    stop = threading.Event()
    verdicts: list[object] = []

    def work(name: int) -> None:
        request, dice = f"{name:032x}", random.Random(name)
        for number in range(1, 121):
            verdicts.append(begin(store, intent(number, request), 10.0))
            store.mark(f"{request}-{number}", "gen")
            if dice.random() < 0.3:
                time.sleep(dice.uniform(0, 0.004))
            store.settle(settlement(number, request))
            if dice.random() < 0.02:
                store.close()

    def disturb() -> None:
        other = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        while not stop.wait(0.01):
            other.execute("begin immediate")
            time.sleep(0.003)
            other.execute("rollback")
        other.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    disturber = threading.Thread(target=disturb)
    for thread in (*threads, disturber):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    disturber.join()
    assert verdicts == [GRANTED] * 960
    assert soon(lambda: count(path) == 960, 1.0)
    check = store.verify()
    assert (check.ok, check.attempts, check.settled, store.lost) == (True, 961, 960, [])


def test_a_long_lock_does_not_gather_rows_without_end(store: SqliteStore, path: Path) -> None:
    """While another program holds the file, what waited as long as one may is told so, however much it is."""
    begin(store, intent(0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    verdicts: SimpleQueue[object] = SimpleQueue()
    many = 8 * _BATCH
    for number in range(1, many + 1):
        store.begin(intent(number), verdicts.put)
    began = time.monotonic()
    told = [verdicts.get(timeout=5) for _ in range(many)]
    assert time.monotonic() - began < 1.0  # not a busy timeout for each batch
    assert all("locked" in str(verdict) for verdict in told)
    other.execute("rollback")
    other.close()
    assert begin(store, intent(many + 1)) == GRANTED


def test_who_waits_never_syncs_the_disk(store: SqliteStore, path: Path, monkeypatch: Any) -> None:
    """The log's new beginning after a copy is synced to the disk: the thread sees to that, too."""
    monkeypatch.setattr("bytedeck.io.sqlite_file.CHECKPOINT", 3)
    begin(store, intent(1))

    def generation() -> bytes:
        with open(f"{path}-wal", "rb") as log:
            return log.read(16)[12:]

    copies = 0
    for number in range(2, 60):
        before = generation()
        assert begin(store, intent(number)) == GRANTED  # on the spot
        assert not store._writer._queue
        assert generation() == before
        store.settle(settlement(number))
        store.flush()
        copies += generation() != before
    assert copies > 3


PROCESS = f"""
import multiprocessing, os, sys
sys.path.insert(0, {TESTS!r})
from bytedeck.io.stores import open_store
from marks import GRANTED, begin, intent, settlement
store = open_store("sqlite://" + sys.argv[1])
def work(number):
    assert begin(store, intent(number)) == GRANTED
    store.settle(settlement(number))
if __name__ == "__main__":
    if sys.argv[2] == "used": work(100)
    context = multiprocessing.get_context("fork")
    for number in range(1, 4):
        child = context.Process(target=work, args=(number,))
        child.start()
        child.join()
        assert child.exitcode == 0
    store.close()
"""


@pytest.mark.parametrize("before", ["used", "fresh"])
def test_a_process_of_multiprocessing(path: Path, before: str) -> None:
    """Such a child ends without `atexit`, and still writes what it has."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROCESS, str(path), before]
    subprocess.run(command, check=True, timeout=30)
    states = {row.number: row.state for row in SqliteStore(str(path)).rows()}
    assert [states[number] for number in range(1, 4)] == ["settled"] * 3


DAEMONS = f"""
import sys, threading
sys.path.insert(0, {TESTS!r})
from bytedeck.io.stores import open_store
from marks import GRANTED, begin, intent, settlement
store = open_store("sqlite://" + sys.argv[1])
class Stream:
    def __del__(self): store.settle(settlement(1))
keep = Stream()
sys.modules["keep"] = keep
begin(store, intent(1))
def work(name):
    for number in range(1, 10**6): store.begin(intent(number, f"{{name:032x}}"), id)
for name in range(4): threading.Thread(target=work, args=(name,), daemon=True).start()
"""


def test_daemon_threads_that_write_while_the_interpreter_ends(path: Path) -> None:
    """One of them may be frozen in the midst of a row: nobody waits for it for ever."""
    for _ in range(2):
        command = [sys.executable, "-c", DAEMONS, str(path)]
        subprocess.run(command, check=False, timeout=20, capture_output=True)
    assert SqliteStore(str(path)).verify().ok


def test_a_verdict_may_ask_for_more(store: SqliteStore) -> None:
    """A callback that begins the next attempt: here and now, and on the thread."""
    begin(store, intent(1))
    verdicts: SimpleQueue[object] = SimpleQueue()

    def again(number: int) -> Callable[[object], None]:
        def done(verdict: object) -> None:
            verdicts.put(verdict)
            if number < 50:
                store.begin(intent(number + 1), again(number + 1))

        return done

    store.begin(intent(2), again(2))
    assert [verdicts.get(timeout=5) for _ in range(49)] == [GRANTED] * 49
    with store._writer._busy:
        store._writer.put(Job(None, 0, lambda verdict: store.flush()))  # not of itself
    store.flush()
    assert len(store.rows(limit=100)) == 50


def test_closing_waits_for_no_stranger(store: SqliteStore) -> None:
    """Rows that others put while one closes are another thread's work: `close` returns, again and again."""
    begin(store, intent(0))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            begin(store, intent(1, f"{number:032x}"))
            store.settle(settlement(1, f"{number:032x}"))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(30):
            store._writer.close(timeout=30.0)
    finally:
        stop.set()
        writing.join()
    store.flush()
    assert (store.verify().ok, store.lost) == (True, [])


def test_who_was_never_begun_loses_nothing(tmp_path: Path) -> None:
    """Where a ledger cannot be opened who begins is told so, and not once more of the end of what has no row."""
    (tmp_path / "file").write_text("no folder")
    store = SqliteStore(str(tmp_path / "file" / "ledger.db"))
    assert isinstance(begin(store, intent(1)), LedgerError)
    store.settle(settlement(1, cost_units=0, cost_text=""))
    store.close()
    assert store.lost == []


def test_who_waits_ends_the_linger(monkeypatch: pytest.MonkeyPatch, store: SqliteStore, path: Path) -> None:
    """However long the thread would wait for company: a flush is done at once."""
    monkeypatch.setattr("bytedeck.io.writer._LINGER", 3600.0)
    begin(store, intent())
    store.settle(settlement())
    store.flush()
    assert count(path) == 1


def test_rows_that_nobody_takes_along(store: SqliteStore, path: Path) -> None:
    """Where others write along all the time the thread keeps away, but not for good."""
    begin(store, intent())
    store._writer._emptied = float("inf")
    store.settle(settlement())
    assert soon(lambda: count(path) == 1)
