"""What dead processes leave open is settled, once, and nothing is taken from a process that lives."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from books import USD, ask, end
from bytedeck.claims import GRANTED, Bucket, Budget, Later, Limit
from bytedeck.io import owner, sweep
from bytedeck.io.owner import LEASE, is_gone, lives, standing, this_owner
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sweep import EVERY
from bytedeck.io.watch import Watch
from bytedeck.ledger.entry import instant
from marks import REQUEST, begin, intent, settlement, unknown

TESTS = str(Path(__file__).parents[1])
OTHERS = "f" * 32
HEAD = f"""
import os, sys
sys.path.insert(0, {TESTS!r})
from bytedeck.io.stores import open_store
from marks import begin, intent, settlement
store = open_store("sqlite://" + sys.argv[1])
def say(word): os.write(1, word.encode() + b"\\n")
"""
RUNS = """
begin(store, intent(1, "f" * 32))
begin(store, intent(2, "f" * 32)); store.mark("f" * 32 + "-2", "gen-2")
begin(store, intent(3, "f" * 32, model="local/smollm2-135m"))
begin(store, intent(4, "f" * 32)); store.settle(settlement(4, "f" * 32))
store.flush()
say("runs"); sys.stdin.readline()
store.settle(settlement(1, "f" * 32)); store.flush()
say("ended"); sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()
    assert store.lost == []


Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts a process with a script, and returns once it has said its first word."""
    children: list[subprocess.Popen[bytes]] = []

    def run(script: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HEAD + script, str(path)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline()
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def states(store: SqliteStore) -> dict[int, tuple[str, str]]:
    return {row.number: (row.state, row.outcome) for row in store.rows()}


LEFT = {
    1: ("settled", "lost"),
    2: ("awaiting", "lost"),
    3: ("settled", "lost"),
    4: ("settled", "answered"),
}


def test_what_a_killed_process_left(store: SqliteStore, start: Start):
    """With a generation's name it awaits its cost, without one nobody knows it; a local model costs nothing."""
    child = start(RUNS)
    child.kill()
    child.wait()
    assert store.verify().orphaned == 3
    assert store.sweep() == 3
    assert states(store) == LEFT
    costs = {row.number: (row.cost_units, row.quality, row.generation_id) for row in store.rows()}
    assert costs[1] == (None, "unknown", "")
    assert costs[2] == (None, "unknown", "gen-2")
    assert costs[3] == (0, "reported", "")
    assert [one.generation_id for one in store.awaiting()] == ["gen-2"]
    assert store.sweep() == 0
    check = store.verify()
    assert (check.ok, check.orphaned, check.in_flight, check.unknown) == (True, 0, 0, 2)


def test_one_that_its_parent_has_not_buried_is_dead(store: SqliteStore, start: Start):
    """Killed, and its number still taken: nobody has waited for it."""
    child = start(RUNS)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    assert store.sweep() == 3


def test_a_process_that_lives_keeps_its_attempts(store: SqliteStore, start: Start):
    """Paused for however long; when it goes on, its own settlement counts."""
    child = start(RUNS)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    store._clock = lambda: instant(store.rows()[0].at) + 400 * LEASE
    assert store.sweep() == 0
    assert store.verify().in_flight == 3
    child.send_signal(signal.SIGCONT)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"ended\n"
    assert states(store)[1] == ("settled", "answered")


def test_many_sweep_at_once(path: Path, start: Start):
    """Every attempt is settled once, whoever comes first."""
    child = start(
        'for number in range(1, 201): store.begin(intent(number, "f" * 32), id)\nstore.flush(); say("runs"); sys.stdin.read()'
    )
    child.kill()
    child.wait()
    stores = [SqliteStore(str(path)) for _ in range(4)]
    threads = [threading.Thread(target=one.sweep) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in stores:
        one.close()
    check = stores[0].verify()
    assert (check.ok, check.attempts, check.settled, check.unknown) == (True, 200, 200, 200)
    assert [one.lost for one in stores] == [[]] * 4


def test_who_writes_sweeps(store: SqliteStore, start: Start, monkeypatch: pytest.MonkeyPatch):
    """A moment after its first attempt, beside it; and at once it does not."""
    monkeypatch.setattr(sweep, "_AFTER_YOU", 0.0)
    child = start(RUNS)
    child.kill()
    child.wait()
    begin(store, intent())
    thread = store._sweeper._thread
    assert thread is not None
    thread.join(10)
    assert {number: state for number, state in states(store).items() if number > 1} == {
        number: state for number, state in LEFT.items() if number > 1
    }


def test_a_sweep_comes_again_after_a_while(store: SqliteStore):
    """Once a minute, as long as there are attempts; a clock that was set back does not stop it."""
    began: list[int] = []
    sweeper = sweep.Sweeper(lambda: lambda: began.append(0) or 0)  # type: ignore[arg-type]

    def looked(at: int) -> bool:
        before = sweeper._thread
        sweeper.look(at)
        return sweeper._thread is not before

    told = [looked(at) for at in (5, 6, EVERY, EVERY + 5, EVERY + 6, 3, 4)]
    assert told == [True, False, False, True, False, True, False]
    sweeper.close()


def test_closing_does_not_wait_for_a_sweep_that_has_not_begun(store: SqliteStore, monkeypatch):
    """A short run does not sweep, and leaves no thread."""
    monkeypatch.setattr(sweep, "_AFTER_YOU", 3600.0)
    begin(store, intent())
    store.close()
    assert store._sweeper._thread is not None
    assert not store._sweeper._thread.is_alive()


HOLDER = """
from books import USD
begin(store, intent(1, "f" * 32, model="local/small", worst_units=USD * 3 // 4))
say("runs"); sys.stdin.readline()
"""
"""Holds most of a dollar. What runs on this machine costs nothing, so that its end gives all of it back."""


def short_run(path: Path, number: int, monkeypatch: pytest.MonkeyPatch, *needs: Bucket | Budget) -> object:
    """The verdict on an attempt whose process ends before any sweep is due."""
    monkeypatch.setattr(sweep, "_AFTER_YOU", 3600.0)
    store = SqliteStore(str(path))
    found = ask(store, number, *needs, worst=USD // 2)
    if found == GRANTED:
        end(store, number, 0)
    store.close()
    thread = store._sweeper._thread
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()
    assert store.lost == []
    return found


def test_who_is_kept_back_by_the_dead_sweeps_at_its_end(
    path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
):
    """However short it runs: the next one goes."""
    child = start(HOLDER)
    child.kill()
    child.wait()
    budget = Budget("all", "", "total", USD)
    found = short_run(path, 1, monkeypatch, budget)
    assert isinstance(found, Later)
    assert found.held
    assert short_run(path, 2, monkeypatch, budget) == GRANTED


@pytest.mark.parametrize("who", ["nobody is kept back", "spent", "by a limit", "unchecked"])
def test_who_waits_for_nobody_does_not_sweep_at_its_end(
    path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, who: str
):
    """A short run is not made longer: what the dead hold is left to one that has the time, or needs it."""
    child = start(HOLDER)
    child.kill()
    child.wait()
    limit = Bucket("requests", "all", "", Limit(1, 3600))
    if who == "by a limit":
        assert short_run(path, 1, monkeypatch, limit) == GRANTED
    needs = {
        "nobody is kept back": [Budget("all", "", "total", 2 * USD)],
        "spent": [Budget("all", "", "total", USD // 4)],
        "by a limit": [limit],
        "unchecked": [],
    }
    found = short_run(path, 2, monkeypatch, *needs[who])
    assert (found == GRANTED) == (who in ("nobody is kept back", "unchecked"))
    store = SqliteStore(str(path))
    assert store.verify().orphaned == 1
    store.close()


SHORT = """
from books import USD, ask
from bytedeck.claims import Budget
print(type(ask(store, int(sys.argv[2]), Budget("all", "", "total", USD), worst=USD // 2)).__name__)
store.close()
"""


def test_processes_that_are_kept_back_by_the_dead(path: Path, start: Start):
    """The first sweeps when it ends, and the second goes."""
    child = start(HOLDER)
    child.kill()
    child.wait()

    def run(number: int) -> str:
        command = [sys.executable, "-c", HEAD + SHORT, str(path), str(number)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert [run(1), run(2)] == ["Later\n", "Granted\n"]


def test_a_ledger_that_cannot_be_read_does_not_break_the_sweeper(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who writes is told what is wrong; the sweep tells nobody."""
    monkeypatch.setattr(sweep, "_AFTER_YOU", 0.0)
    path.write_bytes(os.urandom(8192))
    store = SqliteStore(str(path))
    assert "damaged" in str(begin(store, intent()))
    store.close()


def raw(path: Path, statement: str, *params: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, params).fetchall()
    finally:
        connection.close()


PID = os.getpid()
_, TOKEN, BOOT, SPACE = this_owner().split("-")
PLACE = f"{BOOT}-{SPACE}"
OLD_PLACE = owner._places()[0]
OWNERS = [
    (this_owner(), "lives"),
    (f"{PID}-1-{PLACE}", "dead"),  # the number is used again
    (f"{PID}-1", "dead"),  # as the first versions wrote it
    (f"{os.getppid()}-1-{PLACE}", "dead"),
    (f"{2**40}-1-{PLACE}", "dead"),
    ("", "dead"),
    (f"{PID}-{TOKEN}-00000000-{SPACE}", "dead"),  # before the machine was last started
    (f"{PID}-{TOKEN}-00000000-00000000", "dead"),
    (f"{PID}-{TOKEN}-{BOOT}-00000000", "hidden"),  # in another container
    (f"{os.getppid()}-r0123-{PLACE}", "hidden"),  # the system did not tell its start
    (f"{os.getppid()}-1-{OLD_PLACE}", "dead"),  # as versions wrote it that did not tell boot and place apart
    (f"{PID}-{TOKEN}-00000000", "hidden"),  # as they did in another container, or before a reboot
]


@pytest.mark.parametrize(("who", "expected"), OWNERS, ids=range(len(OWNERS)))  # their names differ by process
def test_standing(who: str, expected: str):
    """The number, the start and the place together are one process."""
    assert standing(who) == expected
    assert lives(who) == (expected != "dead")


@pytest.mark.parametrize(("who", "expected"), OWNERS, ids=range(len(OWNERS)))  # their names differ by process
def test_whose_attempts_are_swept(store: SqliteStore, path: Path, who: str, expected: str):
    """The dead ones' at once; what cannot be looked at after a long lease; the living ones' never."""
    begin(store, intent())
    raw(path, "update intent set owner = ?", who)
    at = instant(store.rows()[0].at)
    for age, gone in ((0, {"dead"}), (LEASE - 1, {"dead"}), (LEASE, {"dead", "hidden"})):
        assert is_gone(who, at, at + age) == (expected in gone)
        store._clock = lambda age=age: at + age  # type: ignore[misc]
        check = store.verify()
        assert (check.orphaned, check.in_flight) == ((1, 0) if expected in gone else (0, 1))
    assert store.sweep() == (expected != "lives")
    assert store.sweep() == 0


def test_without_a_way_to_look(monkeypatch: pytest.MonkeyPatch):
    """Where the system tells no start and no place, a name of one's own is made once, and the host is the place."""
    monkeypatch.setattr(owner, "_made", {})
    monkeypatch.setattr(owner, "_start_token", lambda pid: None)

    def nothing(*args: object, **more: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", nothing)
    mine = this_owner()
    assert mine == this_owner()
    assert mine.split("-")[1].startswith("r")
    assert standing(mine) == "lives"
    assert standing(mine.replace(str(PID), str(os.getppid()), 1)) == "hidden"


def test_a_sweep_begins_where_the_last_one_ended(store: SqliteStore, path: Path, monkeypatch):
    """A large ledger is looked through once; an attempt that still runs is not passed over."""
    monkeypatch.setattr("bytedeck.io.sqlite._WORTH_IT", 3)
    for number in range(1, 11):
        begin(store, intent(number))
        if number not in (7, 9):
            store.settle(settlement(number))
    store.flush()
    assert store.sweep() == 0
    store.flush()
    assert raw(path, "select before from swept") == [(7,)]
    raw(path, "update intent set owner = ? where id in (3, 7)", f"{PID}-1")
    raw(
        path, "delete from settlement where intent = 3"
    )  # nobody does that: it shows that it is not looked at
    assert store.sweep() == 1
    assert states(store)[3][0] == "open"
    store.settle(settlement(9))
    store.flush()
    store.sweep()
    store.flush()
    assert raw(path, "select before from swept") == [(11,)]


def test_rows_that_were_taken_out(store: SqliteStore, path: Path, monkeypatch):
    """Where the numbers begin anew, so does the sweep."""
    monkeypatch.setattr("bytedeck.io.sqlite._WORTH_IT", 1)
    for number in range(1, 6):
        begin(store, intent(number))
        store.settle(settlement(number))
    store.sweep()
    store.flush()
    for table in ("intent", "settlement"):
        raw(path, f"delete from {table}")
    begin(store, intent(1, OTHERS))
    raw(path, "update intent set owner = ?", f"{PID}-1")
    assert store.sweep() == 1


def test_the_health_of_models_is_not_disturbed(store: SqliteStore, path: Path):
    """What dead processes left says nothing of the models; what they had failed before, does."""
    for number in (1, 2, 3):
        begin(store, intent(number))
        store.settle(unknown(number, outcome="unavailable"))
    for number in range(4, 40):
        begin(store, intent(number))
    store.flush()
    watch = Watch(store)
    before = watch.health().model("m/one")
    assert before.state == "open"
    raw(path, "update intent set owner = ?", f"{PID}-1")
    assert store.sweep() == 36
    store.flush()
    watch.read()
    after = watch.health().model("m/one")
    assert (after.state, after.attempts, after.failures) == (before.state, before.attempts, before.failures)
    assert (after.error_rate, after.measured) == (before.error_rate, before.measured)
    assert [row.outcome for row in store.rows(limit=1)] == ["lost"]
    assert f"{REQUEST}-39" == store.rows(limit=1)[0].attempt
