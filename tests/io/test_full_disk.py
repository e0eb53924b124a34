"""The ledger on a disk that is full, and has room again: no row is missing afterwards, and nobody pays for it twice.

The disk is a real one: a small tmpfs in a namespace of its own, where the system allows that, or a file that may not
grow. What happens there happens in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_file import SqliteFile
from marks import GRANTED, begin, intent, settlement

TESTS = str(Path(__file__).parents[1])
HEAD = f"""
import json, os, random, resource, sys, threading, time
sys.path.insert(0, {TESTS!r})
from bytedeck.claims import Budget, Claim
from bytedeck.io.sqlite import SqliteStore
from marks import GRANTED, REQUEST, begin, intent, settlement
disk = sys.argv[1]
path, filler = disk + "/ledger.db", disk + "/filler"
budget = Budget("all", "", "total", 10**12)
claim = Claim(budgets=(budget,), units=5_000_000)

def fill():
    with open(filler, "ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size): pass
            except OSError: pass

def free(): os.unlink(filler)

def soon(what, within=20.0):
    until = time.monotonic() + within
    while not what() and time.monotonic() < until: time.sleep(0.01)
    return bool(what())

def tell(**found): print(json.dumps(found), flush=True)
"""
ON_A_DISK = 'mount -t tmpfs -o size=$3 tmpfs "$1" && exec "$0" -c "$2" "$1"'


@cache
def has_small_disks() -> bool:
    """Whether this system lets us mount one, where nobody else sees it."""
    tool = shutil.which("unshare")
    if tool is None:
        return False
    command = [tool, "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def on_a_disk(script: str, folder: Path, size: str = "512k") -> dict[str, Any]:
    """What the script told last, run with a disk of this size at `folder`."""
    if not has_small_disks():
        pytest.skip("no small disk can be mounted here")
    command = ["unshare", "-Urm", "sh", "-c", ON_A_DISK, sys.executable, str(folder), HEAD + script, size]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


SETTLED_LATER = """
store = SqliteStore(path)
assert [begin(store, intent(n), claim=claim) for n in (1, 2, 3)] == [GRANTED] * 3
fill()
store.mark(f"{REQUEST}-1", "gen-1"); store.settle(settlement(1)); store.settle(settlement(2))
full = store.verify()
refused = begin(store, intent(4), claim=claim)
free()
paid = soon(lambda: not store.owed.rows)
check, standing = store.verify(), store.standing((), (budget,))
again = begin(store, intent(4), claim=claim) == GRANTED
tell(owed=full.owed, problems=full.problems, open=full.in_flight, refused=str(refused), hint=refused.hint,
     paid=paid, ok=check.ok, left=check.owed, settled=check.settled, standing=standing.accounts[0], again=again,
     lost=store.lost)
store.close()
"""


def test_settlements_are_made_up_for(tmp_path: Path) -> None:
    """While the disk is full they are owed, and verify says so; with room they are written, though nobody asks. Who
    begins meanwhile is refused, and a budget counts to the unit in the end."""
    found = on_a_disk(SETTLED_LATER, tmp_path)
    full = f"The ledger {tmp_path}/ledger.db cannot be written: the disk is full."
    assert found["owed"] in (2, 3)  # a mark is small: it may still fit into the log's last block
    assert found["open"] == 3
    assert found["problems"] == [f"{found['owed']} rows wait to be written. {full}"]
    assert (found["refused"], found["hint"][0]) == (full, "Free some space on that disk.")
    assert (found["paid"], found["ok"], found["left"], found["settled"]) == (True, True, 0, 2)
    assert found["standing"] == [2 * 93_000_000, 5_000_000]
    assert (found["again"], found["lost"]) == (True, [])


CLOSED = """
store = SqliteStore(path)
begin(store, intent(1))
fill()
store.mark(f"{REQUEST}-1", "gen-1"); store.settle(settlement(1, error="x" * 500_000))
began = time.monotonic()
store.close()
seconds, lost = time.monotonic() - began, list(store.lost)
closed = SqliteStore(path).verify()
free()
pid = os.fork()
if pid == 0:
    begin(store, intent(2)); os._exit(0)
os.waitpid(pid, 0)
store.settle(settlement(1))
tell(seconds=seconds, lost=lost, closed=[closed.ok, closed.in_flight], after=store.verify().settled)
"""


def test_an_end_does_not_wait_for_room(tmp_path: Path) -> None:
    """At close what is owed is tried for a second, then told, once, with what it cost; the file is as it was."""
    found = on_a_disk(CLOSED, tmp_path)
    assert found["seconds"] < 10
    (told,) = found["lost"]
    assert told.startswith("The settlement of attempt ")
    assert "($0.000093) was not recorded. The ledger" in told
    assert "the disk is full" in told
    assert (found["closed"], found["after"]) == ([True, 1], 1)


KILLED = """
pid = os.fork()
if pid == 0:
    store = SqliteStore(path)
    for n in range(1, 5): begin(store, intent(n), claim=claim)
    store.mark(f"{REQUEST}-1", "gen-1"); store.flush()
    fill()
    for n in range(1, 4): store.settle(settlement(n))
    store.flush()
    assert store.owed.rows == 3
    os.kill(os.getpid(), 9)
os.waitpid(pid, 0)
store = SqliteStore(path)
swept_full, full = store.sweep(), store.verify()
lost, owed = list(store.lost), store.owed.rows
free()
swept = store.sweep()
check, standing = store.verify(), store.standing((), (budget,))
tell(full=[full.ok, full.orphaned, swept_full, lost, owed], swept=swept, ok=check.ok, awaiting=check.awaiting,
     settled=check.settled, orphaned=check.orphaned, standing=standing.accounts[0], lost=store.lost,
     begun=begin(store, intent(9), claim=claim) == GRANTED)
store.close()
"""


def test_killed_on_a_full_disk(tmp_path: Path) -> None:
    """What was owed then died with its process: the sweep settles it, once there is room, and the worst cases count
    until the upstream is asked. A sweep that cannot write leaves it to the next one, and complains to nobody."""
    found = on_a_disk(KILLED, tmp_path)
    assert found["full"] == [True, 4, 4, [], 0]
    assert (found["swept"], found["ok"], found["orphaned"]) == (4, True, 0)
    assert (found["awaiting"], found["settled"]) == (1, 3)
    assert found["standing"] == [4 * 5_000_000, 0]
    assert (found["lost"], found["begun"]) == ([], True)


FIRST = """
store = SqliteStore(path)
if BEFORE: begin(store, intent(9)); store.close()
fill()
verdict = begin(store, intent(1))
store.settle(settlement(1)); store.flush()
lost, owed = len(store.lost), store.owed.rows
store.close()
free()
tell(verdict=str(verdict), lost=lost, owed=owed, later=begin(store, intent(2)) == GRANTED, rows=len(store.rows()))
store.close()
"""


@pytest.mark.parametrize("before", [0, 1])
def test_a_disk_that_was_full_before(tmp_path: Path, before: int) -> None:
    """A ledger that cannot be made or opened is told, and what has no intent is not kept; with room it goes."""
    found = on_a_disk(FIRST.replace("BEFORE", str(before)), tmp_path)
    assert found["verdict"].startswith(f"The ledger {tmp_path}/ledger.db cannot be ")
    assert found["verdict"].endswith(": the disk is full.")
    assert (found["owed"], found["lost"]) == (0, 1)
    assert (found["later"], found["rows"]) == (True, 1 + before)


HAMMERED = """
from bytedeck.io import sqlite_file
sqlite_file.CHECKPOINT = 200  # else the log alone would fill so small a disk
store = SqliteStore(path, busy_timeout=0.2)
begin(store, intent(0)); store.settle(settlement(0))
granted, stop = [], threading.Event()

def work(name):
    request, number = f"{name:032x}", 0
    while not stop.is_set():
        number += 1
        if begin(store, intent(number, request), claim=claim) == GRANTED:
            granted.append(number)
            store.mark(f"{request}-{number}", f"gen-{number}")
            store.settle(settlement(number, request))
        else: time.sleep(0.005)

threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
for thread in threads: thread.start()
most, dice = 0, random.Random(5)
for _ in range(8):
    time.sleep(dice.uniform(0.01, 0.05)); fill()
    until = time.monotonic() + dice.uniform(0.05, 0.3)
    while time.monotonic() < until: most = max(most, store.owed.rows); time.sleep(0.005)
    free()
stop.set()
for thread in threads: thread.join()
store.flush()
paid = soon(lambda: not store.owed.rows)
check, standing = store.verify(), store.standing((), (budget,))
tell(most=most, paid=paid, ok=check.ok, granted=len(granted), settled=check.settled, attempts=check.attempts,
     standing=standing.accounts[0], lost=store.lost, problems=check.problems)
store.close()
"""


def test_a_disk_that_is_full_now_and_then(tmp_path: Path) -> None:
    """Four threads under a hard budget, the disk full eight times: each attempt that was granted is settled, nothing
    is lost, and the account is the sum of its rows."""
    found = on_a_disk(HAMMERED, tmp_path, "64m")
    assert (found["paid"], found["lost"], found["problems"]) == (True, [], [])
    assert found["settled"] == found["attempts"] == found["granted"] + 1
    assert found["standing"] == [93_000_000 * found["attempts"], 0]
    assert found["most"] > 0


COPIED = """
store = SqliteStore(path)
begin(store, intent(1))

def beginning():
    with open(path + "-wal", "rb") as log: return log.read(16)[12:]

before = beginning()
fill()
for n in (2, 3): begin(store, intent(n)); store.flush()
held = beginning() == before
free()
numbers = iter(range(4, 10**6))

def copied():
    begin(store, intent(next(numbers)))
    store.flush()
    return beginning() != before

tell(held=held, copied=soon(copied))
store.close()
"""


def test_the_log_does_not_take_all_the_room(tmp_path: Path) -> None:
    """What a full disk kept from being copied into the file is copied soon after there is room, not thousands of
    commits later: else the log would fill the disk again, and for good."""
    assert on_a_disk(COPIED, tmp_path) == {"held": True, "copied": True}


ASKED = """
from bytedeck import Hub
from bytedeck.errors import LedgerError
from canary import CANARY
from upstream import Upstream, words
open(disk + "/config.toml", "w").write('budget.daily = "5"\\nlimits.wait = 0\\n')
def full(seen):
    fill()
    return words("Hello there.")
with Upstream() as upstream:
    upstream.script(words("One."), full, words("Three."))
    options = {"api_key": CANARY, "base_url": upstream.url, "config": disk + "/config.toml", "home": disk}
    with Hub(database_url="sqlite://" + path, **options) as hub:
        ask = lambda: hub.chat("hi", model="openai/gpt-4o-mini", max_tokens=50)
        one, two = ask(), ask()
        hub.house.store.flush()
        owed, warnings, sent = hub.house.store.owed.rows, hub.warnings, len(upstream.chats)
        try: ask(); refused = ""
        except LedgerError as error: refused = str(error)
        sent = [sent, len(upstream.chats)]
        free()
        three, check = ask(), hub.verify()
        spent = sum(row.spend_units for row in hub.house.store.rows())
        tell(texts=[one.text, two.text, three.text], owed=owed, warnings=warnings, refused=refused, sent=sent,
             check=[check.ok, check.settled, check.attempts], spent=spent == check.cost_units > 0,
             after=hub.warnings)
"""


def test_the_answer_is_worth_more_than_its_receipt(tmp_path: Path) -> None:
    """Full in the middle of a request under a hard budget: its answer comes; the next request is refused before
    anything is sent; with room the row is made up for, and requests go again."""
    found = on_a_disk(ASKED, tmp_path)
    assert found["texts"][:2] == ["One.", "Hello there."]
    assert found["owed"] >= 1
    assert any("to be written. The ledger" in warning for warning in found["warnings"])
    assert "the disk is full" in found["refused"]
    assert found["sent"] == [2, 2]
    assert found["texts"][2] == "Three."
    assert (found["check"], found["spent"]) == ([True, 3, 3], True)
    assert not any("written" in warning or "recorded" in warning for warning in found["after"])


A_MATCH = """
from allevents import ALL, FIRST, begin as begin_match, told
from bytedeck.errors import LedgerError
from bytedeck.io.sqlite_matches import SqliteMatches
matches = SqliteMatches(path)
begin_match(matches)
fill()
last, why = 0, ""
while not why:  # what the log has room for yet
    try: matches.append(FIRST, told(*ALL[:4], after=last)); last += 4
    except LedgerError as error: why = str(error)
kept = len(matches.events(FIRST)) - 1
free()
matches.append(FIRST, told(*ALL[:4], after=last))
tell(why=why, last=last, kept=kept, after=matches.find(FIRST).last)
matches.close()
"""


def test_a_match_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """What could not be kept is told, all or nothing of it; the next try is as if nothing had been."""
    found = on_a_disk(A_MATCH, tmp_path)
    assert "the disk is full" in found["why"]
    assert (found["kept"], found["after"]) == (found["last"], found["last"] + 4)


MAY_NOT_GROW = """
store = SqliteStore(path)
for n in range(1, 40): begin(store, intent(n))
store.flush()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, most))
for n in range(1, 40): store.settle(settlement(n))
store.flush()
owed, why = store.owed.rows, store.owed.why
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
paid = soon(lambda: not store.owed.rows)
check = store.verify()
tell(owed=owed, why=why, paid=paid, ok=check.ok, settled=check.settled, lost=store.lost)
store.close()
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """`ulimit -f` is an error of the disk's to SQLite: the rows are owed, and made up for once it is lifted."""
    command = [sys.executable, "-c", HEAD + MAY_NOT_GROW, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found["owed"] == 39
    assert "the disk fails" in found["why"] or "the disk is full" in found["why"]
    assert (found["paid"], found["ok"], found["settled"], found["lost"]) == (True, True, 39, [])


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = SqliteStore(str(tmp_path / "ledger.db"))
    yield store
    store.close()


def written_by(store: SqliteStore) -> Any:
    """The connection of the writer's thread."""
    assert isinstance(store._writer._sink, SqliteFile)
    return store._writer._sink._connection


def test_small_rows_go_on(store: SqliteStore) -> None:
    """A row that does not fit waits; smaller ones are written before it, and it follows once there is room."""
    for number in (1, 2):
        begin(store, intent(number))
    connection = written_by(store)
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages}")
    with store._writer._busy:  # one batch
        store.settle(settlement(1, error="x" * 100_000))
        store.settle(settlement(2))
    store.flush()
    assert (store.owed.rows, store.lost) == (1, [])
    assert begin(store, intent(3)) == GRANTED
    assert {row.number: row.state for row in store.rows()} == {1: "open", 2: "settled", 3: "open"}
    connection.execute(f"pragma max_page_count = {pages + 1000}")
    assert {row.number: row.state for row in store.rows()} == {1: "settled", 2: "settled", 3: "open"}
    assert (store.verify().ok, store.owed.rows, store.lost) == (True, 0, [])


def test_a_moment_of_being_read_only(store: SqliteStore) -> None:
    """The file refuses one row; the next try opens it anew, and the row is there."""
    begin(store, intent(1))
    store.flush()
    written_by(store).execute("pragma query_only = 1")
    store.settle(settlement(1))
    store.flush()
    assert [row.state for row in store.rows()] == ["settled"]
    assert (store.owed.rows, store.lost) == (0, [])
