"""The SQLite ledger across kill -9, fork, and the end of the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bytedeck.io.owner import lives, this_owner
from bytedeck.io.sqlite import SqliteStore

TESTS = str(Path(__file__).parents[1])
HEAD = f"""
import os, sys, threading
sys.path.insert(0, {TESTS!r})
from bytedeck.io.stores import open_store
from marks import GRANTED, begin, intent, settlement
store = open_store("sqlite://" + sys.argv[1])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own, to its end."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + script, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


LOAD = """
def work(name):
    for number in range(1, 100000):
        request = f"{name:032x}"
        if begin(store, intent(number, request)) == GRANTED:
            os.write(1, f"{request}-{number}\\n".encode())
        store.mark(f"{request}-{number}", "gen")
        store.settle(settlement(number, request))
for name in range(4):
    threading.Thread(target=work, args=(name,)).start()
"""


@pytest.mark.parametrize("after", [1, 57, 400])
def test_kill_in_mid_load(path: Path, after: int):
    """Every intent whose verdict was given is there after kill -9; nothing is half-written."""
    child = subprocess.Popen([sys.executable, "-c", HEAD + LOAD, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    begun = [child.stdout.readline() for _ in range(after)]
    child.send_signal(signal.SIGKILL)
    begun += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    child.wait()
    store = SqliteStore(str(path))
    rows = {row.attempt: row for row in store.rows(limit=10**6)}
    assert {line.strip().decode() for line in begun if line.endswith(b"\n")} <= set(rows)
    check = store.verify()
    assert (check.ok, check.in_flight) == (True, 0)
    assert check.orphaned == sum(row.state == "open" for row in rows.values())
    assert check.orphaned + check.settled == len(rows) >= after


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise RuntimeError('a bug')"])
def test_the_interpreters_end_writes_what_is_left(path: Path, end: str):
    """Without `close` nothing that was handed over is lost, however Python ends."""
    run(f"for n in range(1, 501): store.begin(intent(n), id); store.settle(settlement(n))\n{end}", path)
    check = SqliteStore(str(path)).verify()
    assert (check.ok, check.settled) == (True, 500)


def test_a_settlement_after_the_end_began(path: Path):
    """A stream that is dropped while the interpreter shuts down still settles, and nothing hangs."""
    script = """
import atexit
class Stream:
    def __del__(self): store.settle(settlement(2))
begin(store, intent(1)); begin(store, intent(2))
keep = Stream()
store.keep = keep.cycle = keep
"""
    early = "import atexit, sys\natexit.register(lambda: store.settle(settlement(1)))\n"  # runs after ours
    command = [sys.executable, "-c", early + HEAD + script + "del keep", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    assert SqliteStore(str(path)).verify().settled >= 1


FORK = """
assert begin(store, intent(1)) == GRANTED
for n in range(2, 301): store.begin(intent(n), id)
pid = os.fork()
mine = ("c" if pid == 0 else "a") * 32
ok = [begin(store, intent(n, mine)) for n in range(1, 101)] == [GRANTED] * 100
store.settle(settlement(1, mine))
if pid:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(ok and status == 0, store.lost)
else:
    sys.exit(0 if ok and not store.lost else 1)
"""


def test_fork(path: Path):
    """After a fork both go on writing: each row once, the child's with an owner of its own."""
    done = run(FORK, path)
    assert (done.stdout, done.stderr) == ("True []\n", "")
    store = SqliteStore(str(path))
    rows = store.rows(limit=1000)
    assert len(rows) == 500
    owners = {row.request[0]: row.owner for row in rows}
    assert owners["a"] == owners["0"] != owners["c"]
    check = store.verify()
    assert (check.ok, check.settled + check.orphaned) == (True, 500)


FORK_AND_CLOSE = """
assert begin(store, intent(1)) == GRANTED
theirs, ours = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    assert begin(store, intent(2)) == GRANTED
    os.write(ours[1], b"x")
    os.read(theirs[0], 1)
    assert begin(store, intent(3)) == GRANTED
    sys.exit(0)
os.read(ours[0], 1)
store.close()
there = os.path.exists(sys.argv[1] + "-wal")
os.write(theirs[1], b"x")
print(there, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_the_child_holds_locks_of_its_own(path: Path):
    """The parent's close does not take the log away under the child: SQLite forgot what it had inherited."""
    done = run(FORK_AND_CLOSE, path)
    assert (done.stdout, done.stderr) == ("True 0\n", "")
    assert [row.number for row in SqliteStore(str(path)).rows()] == [3, 2, 1]


def test_the_other_process_reads_while_we_write(path: Path):
    """Readers need no lock of ours: a second process sees each settled row at once."""
    store = SqliteStore(str(path))
    script = "print(len(store.rows()), store.usage().total.attempts, store.verify().in_flight)"
    from marks import begin, intent

    begin(store, intent())
    assert run(script, path).stdout.split() == ["1", "1", "1"]
    store.close()


def test_owner_tells_living_from_dead():
    """A process is its id and its start: a dead one, and another with the same id, do not live."""
    assert lives(this_owner())
    pid = os.getpid()
    for dead in (f"{pid}-1", "999999999-1", f"{2**40}-1", "", "nonsense", "-1"):
        assert not lives(dead), dead
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        owner = f"{child.pid}-{stat.rpartition(')')[2].split()[19]}"
        assert lives(owner)
        assert not lives(f"{child.pid}-1")
    assert not lives(owner)
