"""Signs of life: who cannot look at a process knows by them whether it lives; and one that comes back harms nothing."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bytedeck.claims import Budget, Claim
from bytedeck.io import owner, sqlite_file, sqlite_read
from bytedeck.io.owner import BEAT, LEASE, SILENCE, is_gone, pulse, this_owner
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_file import SqliteFile
from bytedeck.ledger.entry import instant
from marks import REQUEST, begin, intent, settlement, unknown

TESTS = str(Path(__file__).parents[1])
PID, TOKEN, BOOT, _ = this_owner().split("-")
HIDDEN = f"{PID}-{TOKEN}-{BOOT}-00000000"
"""A process in another container."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()
    assert store.lost == []


def raw(path: Path, statement: str, *params: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, params).fetchall()
    finally:
        connection.close()


def soon(what: Callable[[], object], within: float = 10.0) -> bool:
    until = time.monotonic() + within
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(what())


def sink(store: SqliteStore) -> SqliteFile:
    assert isinstance(store._writer._sink, SqliteFile)
    return store._writer._sink


@pytest.mark.parametrize(
    ("who", "age", "silent", "gone"),
    [
        (HIDDEN, 0, None, False),
        (HIDDEN, LEASE - 1, None, False),
        (HIDDEN, LEASE, None, True),
        (HIDDEN, 0, SILENCE, True),
        (HIDDEN, LEASE, SILENCE - 1, False),
        (HIDDEN, -LEASE, SILENCE, True),  # the calendar was set back: it does not matter
        (HIDDEN, LEASE, -5, False),
        (this_owner(), LEASE, SILENCE, False),  # we see that it lives
        (f"{PID}-1-{BOOT}-{this_owner().split('-')[3]}", 0, 0, True),  # and that it does not
        (f"{PID}-{TOKEN}-00000000-00000000", 0, 0, True),
    ],
    ids=itertools.count(),  # the owners' own names are others in each process
)
def test_who_is_gone(who: str, age: int, silent: int | None, gone: bool) -> None:
    """What can be looked at is; else the signs of life count, and where there never was one, a day."""
    assert is_gone(who, 10**15, 10**15 + age, silent) == gone
    assert BEAT * 5 <= SILENCE  # a few signs may be late


def test_the_first_row_is_a_sign(store: SqliteStore, path: Path) -> None:
    """From its first intent on a process is known, and the following ones cost no statement more."""
    before = pulse()
    begin(store, intent(1))
    found = raw(path, "select name, boot, beat from owner")
    ((name, boot, beat),) = found
    assert (name, boot) == (this_owner(), owner.boot())
    assert isinstance(beat, int)
    assert before <= beat <= pulse()
    begin(store, intent(2))
    store.settle(settlement(2))
    store.flush()
    assert raw(path, "select name, boot, beat from owner") == found


def test_later_rows_bring_another_one(store: SqliteStore, path: Path) -> None:
    """After a while a commit takes one along; also where the clock was set back."""
    now = 10**15
    store._clock = lambda: now  # type: ignore[method-assign]
    begin(store, intent(1))
    beats = [raw(path, "select beat from owner")]
    for number, moment in enumerate((BEAT - 1, BEAT, BEAT + 5, 7), start=2):
        now = 10**15 + moment
        begin(store, intent(number))
        beats.append(raw(path, "select beat from owner"))
    assert [before != after for before, after in itertools.pairwise(beats)] == [
        False,
        True,
        False,
        True,
    ]


def test_a_long_silence_of_the_upstream(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an attempt runs the store's thread goes on giving signs, though nobody writes; after its end it stops."""
    monkeypatch.setattr("bytedeck.io.writer._IDLE", 0.01)
    monkeypatch.setattr(sqlite_file, "BEAT", 1)
    begin(store, intent(1))
    begin(store, intent(2))
    seen = raw(path, "select beat from owner")
    assert soon(lambda: raw(path, "select beat from owner") != seen)
    for number in (1, 2):
        store.settle(settlement(number))
    store.flush()
    with store._writer._busy:  # between two turns
        seen = raw(path, "select beat from owner")
    turns = []
    tidy = sink(store).tidy
    monkeypatch.setattr(sink(store), "tidy", lambda: (turns.append(1), tidy()))
    assert soon(lambda: len(turns) >= 3)
    assert raw(path, "select beat from owner") == seen


def test_old_signs_are_thrown_away(store: SqliteStore, path: Path) -> None:
    """Those of an earlier boot, and those that are older than the longest lease."""
    begin(store, intent(1))
    store.close()
    for name, boot, age in (
        ("other", "a boot", 0),
        ("old", owner.boot(), LEASE + 10**6),
        ("young", owner.boot(), 5),
    ):
        raw(path, "insert into owner values (?, ?, ?)", name, boot, pulse() - age)
    begin(store, intent(2))
    assert {name for (name,) in raw(path, "select name from owner")} == {this_owner(), "young"}


def test_the_sweep_goes_by_signs(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in another container keeps its attempts as long as it gives them, and no longer."""
    begin(store, intent(1))
    raw(path, "update intent set owner = ?", HIDDEN)
    raw(path, "update owner set name = ?", HIDDEN)
    ((beat,),) = raw(path, "select beat from owner")
    assert isinstance(beat, int)
    for silent, orphaned in ((SILENCE - 1, 0), (SILENCE, 1)):
        monkeypatch.setattr(sqlite_read, "pulse", lambda silent=silent: beat + silent)
        assert store.verify().orphaned == orphaned
        assert store.sweep() == orphaned
    assert (store.rows()[0].outcome, store.sweep()) == ("lost", 0)


CLAIM = Claim(budgets=(Budget("all", "", "total", 10**12),), units=5_000_000)
COME_BACK = [
    (settlement(1), "settled", "reconciled", 93_000_000),
    (unknown(1), "awaiting", "unknown", None),
    (unknown(1, generation_id=""), "settled", "unknown", None),
    (settlement(1, quality="estimated"), "awaiting", "unknown", None),
]


@pytest.mark.parametrize(("end", "state", "quality", "cost"), COME_BACK)
def test_one_that_comes_back(
    store: SqliteStore, path: Path, end: object, state: str, quality: str, cost: int | None
) -> None:
    """It was swept while it slept: the first settlement stays, and what the upstream had told it counts as said
    afterwards, once. Accounts are the sums of their rows."""
    begin(store, intent(1), claim=CLAIM)
    raw(path, "update intent set owner = ?", f"{PID}-1")
    assert store.sweep() == 1
    raw(path, "update intent set owner = ?", this_owner())
    for _ in range(2):
        store.settle(end)  # type: ignore[arg-type]
        store.flush()
    (row,) = store.rows()
    assert (row.outcome, row.state, row.quality, row.cost_units) == ("lost", state, quality, cost)
    check = store.verify()
    assert (check.ok, check.settled + check.awaiting) == (True, 1)
    assert store.standing((), CLAIM.budgets).accounts == ((5_000_000 if cost is None else cost, 0),)


def test_who_settles_twice_corrects_nothing(store: SqliteStore) -> None:
    """Only what a sweep has settled without knowing is corrected: not one's own settlement, nor a known cost."""
    begin(store, intent(1))
    begin(store, intent(2))
    store.settle(unknown(1))
    store.settle(settlement(2))
    for number in (1, 2):
        store.settle(settlement(number, cost_units=5, cost_text=""))
    store.flush()
    assert {row.number: (row.cost_units, row.reconciled_at) for row in store.rows()} == {
        1: (None, None),
        2: (93_000_000, None),
    }


@cache
def has_containers() -> bool:
    """Whether this system lets us count processes anew, where nobody else sees it."""
    tool = shutil.which("unshare")
    command = [str(tool), "-Urpf", "--mount-proc", "true"]
    return tool is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


CONTAINER = f"""
import os, sys
sys.path.insert(0, {TESTS!r})
from bytedeck.io import sqlite_file, writer
from bytedeck.io.sqlite import SqliteStore
from marks import begin, intent, settlement
writer._IDLE, sqlite_file.BEAT = 0.02, 1
store = SqliteStore(sys.argv[1])
begin(store, intent(1))
os.write(1, b"runs\\n"); sys.stdin.readline()
store.settle(settlement(1)); store.flush()
os.write(1, b"ended\\n"); sys.stdin.readline()
"""


@pytest.mark.skipif(not has_containers(), reason="no other namespace can be made here")
def test_a_process_in_a_real_container(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another namespace of process ids on this machine: it cannot be looked at, lives by its signs, and when it comes
    back after it was given up, nothing is counted twice."""
    command = ["unshare", "-Urpf", "--mount-proc", sys.executable, "-c", CONTAINER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"runs\n"
            (row,) = store.rows()
            assert owner.standing(row.owner) == "hidden"
            seen = raw(path, "select beat from owner where name = ?", row.owner)
            assert soon(lambda: raw(path, "select beat from owner where name = ?", row.owner) != seen)
            store._clock = lambda: instant(row.at) + 2 * LEASE  # type: ignore[method-assign]
            assert store.sweep() == 0
            monkeypatch.setattr(sqlite_read, "pulse", lambda: pulse() + SILENCE)
            assert store.sweep() == 1
            child.stdin.write(b"\n")
            child.stdin.flush()
            assert child.stdout.readline() == b"ended\n"
        finally:
            child.kill()
    (row,) = store.rows()
    assert (row.outcome, row.cost_units, row.quality) == ("lost", 93_000_000, "reconciled")
    assert store.verify().ok


def test_a_fork_is_another_process(store: SqliteStore, path: Path) -> None:
    """It gives signs of its own, and not for what its parent runs."""
    begin(store, intent(1))
    child = os.fork()
    if child == 0:
        begin(store, intent(1, "c" * 32))
        os._exit(len(sink(store)._running))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert len(raw(path, "select name from owner")) == 2
    assert sink(store)._running == {f"{REQUEST}-1"}
