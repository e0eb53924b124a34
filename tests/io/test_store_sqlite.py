"""The SQLite ledger on bad days: full, locked, read-only, damaged, foreign, old, new, gone."""

from __future__ import annotations

import gc
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from bytedeck.errors import LedgerError
from bytedeck.io import sql, sqlite_file
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_file import APPLICATION_ID, SqliteFile, applied
from marks import GRANTED, REQUEST, begin, intent, settlement, unknown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path), busy_timeout=0.05)
    yield store
    store.close()


def written_by(store: SqliteStore) -> sqlite3.Connection:
    """The connection of the writer's thread."""
    assert isinstance(store._writer._sink, SqliteFile)
    assert store._writer._sink._connection is not None
    return store._writer._sink._connection


def refused(store: SqliteStore, number: int = 1) -> LedgerError:
    """The error that a begin gets."""
    verdict = begin(store, intent(number))
    assert isinstance(verdict, LedgerError), verdict
    assert store.location in str(verdict)
    assert "Traceback" not in str(verdict)
    return verdict


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


def test_making_a_store_costs_nothing(path: Path):
    """No I/O, no sqlite3, no asyncio, no thread before the first row."""
    script = (
        "import sys, threading\n"
        "from bytedeck.io.stores import open_store\n"
        f"store = open_store('sqlite://{path}')\n"
        "store.flush(); store.close()\n"
        "print('sqlite3' in sys.modules, 'asyncio' in sys.modules, threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "1"]
    assert not path.exists()


def test_nobody_else_may_read_it(tmp_path: Path):
    """The file, its -wal and -shm are 0600 and a new folder is 0700, whatever the umask."""
    before = os.umask(0)
    try:
        store = SqliteStore(str(tmp_path / "new" / "ledger.db"))
        begin(store, intent())
    finally:
        os.umask(before)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "new").iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    store.close()


def test_an_open_file_is_closed_to_others(store: SqliteStore, path: Path):
    """A file that anybody could read is not, once we write to it; its folder is somebody else's matter."""
    path.touch(0o644)
    path.parent.chmod(0o755)
    begin(store, intent())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_rows_survive_our_death_and_not_only_our_close(store: SqliteStore, path: Path):
    """WAL with synchronous=NORMAL, as promised."""
    begin(store, intent())
    assert raw(path, "pragma journal_mode") == [("wal",)]
    assert written_by(store).execute("pragma synchronous").fetchone() == (1,)


def test_locked_by_another_program(store: SqliteStore, path: Path):
    """Who waits is told, what nobody waits for is owed and told; afterwards it is written, and nothing was lost."""
    begin(store, intent(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    assert "locked by another program" in str(refused(store, 2))
    store.settle(settlement(1))
    store.flush()
    assert str(store.owed).startswith(f"1 row waits to be written. The ledger {path} is locked by another")
    other.execute("rollback")
    other.close()
    assert begin(store, intent(3)) == GRANTED
    assert [(row.number, row.state) for row in store.rows()] == [(3, "open"), (1, "settled")]
    assert (store.owed.rows, store.lost) == (0, [])


def test_many_rows_wait_once_for_a_lock(path: Path):
    """A hundred rows behind a lock wait for it once, not a hundred times; and what is still owed at the end is lost."""
    store = SqliteStore(str(path), busy_timeout=0.2)
    for number in range(1, 101):
        begin(store, intent(number))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    started = time.monotonic()
    for number in range(1, 101):
        store.settle(settlement(number))
    store.flush()
    assert time.monotonic() - started < 2.0
    assert (store.owed.rows, store.lost) == (100, [])
    store.close()
    assert time.monotonic() - started < 6.0
    assert (store.owed.rows, len(store.lost)) == (0, 100)
    told = f"The settlement of attempt {REQUEST}-1 ($0.000093) was not recorded. The ledger {path} is locked"
    assert store.lost[0].startswith(told)
    other.close()


def test_locked_before_it_was_ever_opened(store: SqliteStore, path: Path):
    """A lock that keeps even readers out is told to readers, too."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("create table t (x)")
    other.execute("begin exclusive")
    assert "locked" in str(refused(store))
    for ask in (store.rows, store.usage, store.verify):
        with pytest.raises(LedgerError, match="locked by another program"):
            ask()
    other.close()


def test_two_that_open_the_same_new_file(path: Path):
    """SQLite does not wait for the other when both turn on the WAL; we do."""
    path.touch()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    store = SqliteStore(str(path), busy_timeout=5.0)
    threading.Timer(0.1, other.close).start()
    assert begin(store, intent()) == GRANTED
    store.close()


def test_full_disk_for_one_that_waits(store: SqliteStore):
    """An intent that does not fit gets the sentence and what to do."""
    begin(store, intent(1))
    connection = written_by(store)
    connection.execute(f"pragma max_page_count = {connection.execute('pragma page_count').fetchone()[0]}")
    verdict = begin(store, intent(2, task="x" * 100_000))
    assert isinstance(verdict, LedgerError)
    assert str(verdict) == f"The ledger {store.location} cannot be written: the disk is full."
    assert verdict.hint[0] == "Free some space on that disk."


def test_read_only(store: SqliteStore):
    """SQLite's own word for a read-only file becomes ours; the next row tries again."""
    begin(store, intent(1))
    written_by(store).execute("pragma query_only = 1")
    assert "is read-only" in str(refused(store, 2))
    assert begin(store, intent(3)) == GRANTED


def test_a_home_that_is_no_folder(tmp_path: Path):
    """A path under a file cannot be made: who waits is told why."""
    (tmp_path / "home").write_text("a file")
    store = SqliteStore(str(tmp_path / "home" / "ledger.db"))
    assert "cannot be opened: Not a directory" in str(refused(store))
    with pytest.raises(LedgerError, match="Not a directory"):
        store.rows()


def test_a_folder_in_its_place(store: SqliteStore, path: Path):
    """A folder where the file should be is no ledger."""
    path.mkdir()
    assert "cannot be opened" in str(refused(store))


def test_garbage_is_not_overwritten(store: SqliteStore, path: Path):
    """A file of garbage is told as damaged, by every question, and left as it is."""
    garbage = os.urandom(8192)
    path.write_bytes(garbage)
    assert "damaged" in str(refused(store))
    for ask in (store.rows, store.usage):
        with pytest.raises(LedgerError, match="damaged"):
            ask()
    check = store.verify()
    assert not check.ok
    assert "damaged" in check.problems[0]
    store.close()
    assert path.read_bytes() == garbage


def test_a_damaged_page_is_found(store: SqliteStore, path: Path):
    """One page overwritten in a good file: verify says so."""
    for number in range(1, 200):
        store.begin(intent(number), lambda verdict: None)
        store.settle(settlement(number))
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[-3 * 4096 : -2 * 4096] = os.urandom(4096)
    path.write_bytes(damaged)
    assert not store.verify().ok


def test_somebody_elses_database(store: SqliteStore, path: Path):
    """Another program's database is neither written nor read as a ledger."""
    raw(path, "create table moz_places (id integer primary key)")
    assert "is a database of another program" in str(refused(store))
    with pytest.raises(LedgerError, match="another program"):
        store.rows()
    assert raw(path, "select name from sqlite_master") == [("moz_places",)]


def test_a_newer_ledger_is_refused(store: SqliteStore, path: Path):
    """What a later version wrote is not guessed at; the person is told to upgrade."""
    begin(store, intent())
    store.close()
    raw(path, "insert into migration values ('9999_later', 0)")
    error = refused(store, 2)
    assert "newer Bytedeck (9999_later)" in str(error)
    assert "Upgrade Bytedeck." in error.hint
    with pytest.raises(LedgerError, match="newer Bytedeck"):
        store.verify()


def newer_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a later version had shipped one more migration."""
    more = {**sql.migrations("sqlite"), "0900_color": "alter table intent add column color text default ';';"}
    monkeypatch.setattr(sql, "migrations", lambda dialect: more)


def test_an_older_ledger_is_brought_up_to_date_by_writing(store, path, monkeypatch):
    """Its rows stay, the new migration is run once and recorded by name."""
    begin(store, intent(1))
    store.close()
    newer_code(monkeypatch)
    assert begin(store, intent(2)) == GRANTED
    store.close()
    assert begin(store, intent(3)) == GRANTED
    assert len(store.rows()) == 3
    assert raw(path, "select name from migration order by 1")[-1:] == [("0900_color",)]
    assert raw(path, "select distinct color from intent") == [(";",)]


def test_an_older_ledger_is_brought_up_to_date_by_reading(store, path, monkeypatch):
    """`byte usage` right after an upgrade works, too."""
    begin(store, intent(1))
    store.close()
    newer_code(monkeypatch)
    assert len(store.rows()) == 1
    assert ("0900_color",) in raw(path, "select name from migration")


def test_a_migration_that_fails_changes_nothing(store, path, monkeypatch):
    """All or nothing: half a migration is rolled back."""
    begin(store, intent(1))
    store.close()
    broken = {**sql.migrations("sqlite"), "0900_bad": "create table half (x); select nonsense from nowhere;"}
    with monkeypatch.context() as patch:
        patch.setattr(sql, "migrations", lambda dialect: broken)
        assert "no such table: nowhere" in str(refused(store, 2))
    assert raw(path, "select name from sqlite_master where name = 'half'") == []
    assert begin(store, intent(3)) == GRANTED


def test_migrations_run_under_the_write_lock(store, path, monkeypatch):
    """From the look at what was run to the commit no other process gets in between."""
    locked: list[bool] = []

    def look(connection: sqlite3.Connection, where: str) -> tuple[str, ...]:
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            other.execute("begin immediate")
            locked.append(False)
        except sqlite3.OperationalError:
            locked.append(True)
        other.close()
        return applied(connection, where)

    monkeypatch.setattr(sqlite_file, "applied", look)
    assert begin(store, intent()) == GRANTED
    assert locked == [False, True]


def test_a_shipped_migration_is_what_it_was():
    """Databases exist that were made by it: a change goes into a new file."""
    assert list(sql.migrations("sqlite")) == [
        "0001_ledger",
        "0002_learnt",
        "0003_reconcile",
        "0004_limits",
        "0005_owner",
        "0006_estimates",
        "0007_callers",
        "0008_matches",
        "0009_listeners",
    ]
    assert APPLICATION_ID == 0x42797465


def test_processes_that_open_at_once(path: Path):
    """Six processes begin the same new file together: one migrates, all write, none fails."""
    script = (
        "import sys\nsys.path.insert(0, sys.argv[3])\n"
        "from bytedeck.io.stores import open_store\nfrom marks import GRANTED, begin, intent\n"
        "store = open_store('sqlite://' + sys.argv[1])\nsys.stdin.read()\n"
        "print([begin(store, intent(n, sys.argv[2] * 32)) for n in range(1, 21)] == [GRANTED] * 20)"
    )
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", script, str(path)]
    children = [
        subprocess.Popen([*command, str(n), tests], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    for child in children:  # all wait for their standard input to end
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    assert [child.communicate()[0].strip() for child in children] == ["True"] * 6
    store = SqliteStore(str(path))
    check = store.verify()
    # The last ones may have settled what the first ones have left.
    assert (check.ok, check.attempts, check.orphaned + check.settled) == (True, 120, 120)


def test_a_bad_row_takes_no_others_along(store: SqliteStore):
    """Of a batch with an amount that is too large for any ledger only that row fails."""
    begin(store, intent(100))
    verdicts: dict[int, object] = {}
    with store._writer._busy:  # as if somebody were writing: what comes meanwhile is one batch
        store.begin(intent(101), id)
        for number in range(1, 6):
            worst = 2**63 if number == 3 else 1
            store.begin(intent(number, worst_units=worst), lambda v, n=number: verdicts.update({n: v}))
            store.settle(settlement(number, cost_units=2**64 if number == 4 else 93_000_000))
    store.flush()
    assert [number for number, verdict in verdicts.items() if verdict != GRANTED] == [3]
    assert "does not fit" in str(verdicts[3])
    assert len(store.lost) == 1
    assert f"{REQUEST}-4 (" in store.lost[0]
    states = {row.number: row.state for row in store.rows()}
    assert states == {100: "open", 101: "open", 1: "settled", 2: "settled", 4: "open", 5: "settled"}


def test_a_waiter_that_fails_harms_nobody(store: SqliteStore):
    """An error in `done` stays with its waiter; the thread works on."""

    def fails(verdict: object) -> None:
        raise RuntimeError("the loop is closed")

    store.begin(intent(1), fails)
    assert begin(store, intent(2)) == GRANTED
    assert len(store.rows()) == 2


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_taken_away(store: SqliteStore, path: Path, how: str):
    """Rows do not vanish into a file that nobody can see any more."""
    begin(store, intent(1))
    for one in path.parent.glob("ledger.db*"):
        one.unlink()
    if how == "replaced":
        path.touch()
    time.sleep(0.02)  # longer than the file is trusted
    assert begin(store, intent(2)) == GRANTED
    assert [row.number for row in store.rows()] == [2]


def test_a_dropped_store_ends_its_thread(path: Path):
    """Nobody has to close: what was handed over is written, then the thread goes."""
    store = SqliteStore(str(path))
    begin(store, intent())
    thread = store._writer._thread
    assert thread is not None
    store.settle(settlement())
    del store
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
    assert SqliteStore(str(path)).rows()[0].state == "settled"


def test_without_threads_rows_are_written_here_and_now(store, monkeypatch):
    """Where no thread can be started any more, nothing is lost."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    verdicts: list[object] = []
    store.begin(intent(), verdicts.append)
    store.settle(settlement())
    monkeypatch.undo()
    assert verdicts == [GRANTED]
    assert store.rows()[0].state == "settled"


def test_python_without_sqlite(store, monkeypatch):
    """A Python that lacks sqlite3 is a sentence, not a dead thread."""
    monkeypatch.setitem(sys.modules, "bytedeck.io.sqlite_file", None)
    monkeypatch.delattr("bytedeck.io.sqlite_file")
    verdict = begin(store, intent(1))
    assert isinstance(verdict, LedgerError)
    assert "cannot be written" in str(verdict)
    monkeypatch.undo()
    assert begin(store, intent(2)) == GRANTED


def test_lost_rows_are_not_kept_without_end(store, monkeypatch):
    """A gateway on a full disk does not run out of memory over its complaints."""
    monkeypatch.setattr("bytedeck.io.writer._MOST_LOST", 3)
    begin(store, intent(1))
    for _ in range(5):
        store.settle(settlement(1, cost_units=2**64))
    store.flush()
    assert len(store.lost) == 3


def test_verify_finds_marks_without_intent(store: SqliteStore, path: Path):
    """A mark whose intent is gone is a problem, each kind with its count."""
    for number in (1, 2):
        begin(store, intent(number))
        store.mark(f"{REQUEST}-{number}", "gen")
        store.settle(settlement(number, generation_id=""))
    store.close()
    raw(path, "delete from intent where number = 2")
    check = store.verify()
    assert check.problems == (
        "1 rows of kind generation id have no intent.",
        "1 rows of kind settlement have no intent.",
    )


def test_verify_compares_the_sums(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    """If a report lost a row, its sum would differ from the rows': that is said."""
    begin(store, intent())
    store.settle(settlement())
    short = {**sql.statements("sqlite")}
    short["usage"] = short["usage"].replace("at >= :since", "at >= :since and 0")
    monkeypatch.setattr(sql, "statements", lambda dialect: short)
    (problem,) = store.verify().problems
    assert problem == "The sum of the known costs, in units, is 93000000 by the rows, 0 by the reports."


def test_a_reconciliation_outweighs_the_settlement(store: SqliteStore, path: Path):
    """What the upstream says afterwards is what a row says, and settles it."""
    begin(store, intent())
    store.settle(unknown(generation_id="gen-1"))
    assert store.rows()[0].state == "awaiting"
    raw(
        path,
        "insert into reconciliation select id, 'reconciled', 7, '0.000000000007', null, 0, 1, 2, 3, 0, 0, 0, 5 from intent",
    )
    (row,) = store.rows()
    assert (row.state, row.quality, row.cost_units, row.total_tokens) == ("settled", "reconciled", 7, 3)
    assert (row.outcome, row.generation_id) == ("truncated", "gen-1")
    check = store.verify()
    assert (check.ok, check.awaiting, check.cost_units) == (True, 0, 7)


def test_every_statement_is_used_and_every_file_loads():
    """The loader finds each named statement, and nothing between them."""
    assert set(sql.statements("sqlite")) == {
        *("begin", "mark", "settle", "reconcile", "rows", "export", "usage", "requests", "all_requests"),
        *("costs", "begun", "without_intent", "last_intent", "names", "recent", "watched", "learnt"),
        *("open", "swept", "swept_before", "awaiting"),
        *("clock", "ahead", "clock_of", "bucket", "fill", "hold", "release", "stale_holds", "attempts_of"),
        *("account", "open_account", "forget_accounts", "account_rows", "accounts"),
        *("hear_intents", "hear_settlements", "teach"),
        *("beat", "beats", "forget_beats", "is_lost"),
        *("callers_version", "callers", "caller", "put_caller", "change_caller", "forget_caller"),
        *("secrets", "put_secret", "replace_secret", "forget_secrets", "forget_old_secrets"),
        *("match_put", "match_state", "match_beginning", "match_ids", "match_kept", "match_list"),
        *("match_list_of", "match_stands", "match_held", "event_put", "events", "vote_put", "votes"),
        *("match_comes_due", "match_recorded", "matches_due"),
        *("result_put", "results_drop", "results", "results_of", "opinion_put", "opinions_drop", "opinions"),
        *("change_put", "change_there", "changes", "arena_version"),
        *("forget_match", "forget_events", "forget_votes", "forget_results", "forget_opinions"),
    }
    assert all(text and "-- name" not in text for text in sql.statements("sqlite").values())
    assert sqlite_file.BUSY_TIMEOUT == 5.0


def test_who_waits_writes_and_takes_the_others_along(store: SqliteStore, path: Path):
    """Once the file is open, an intent is in it when `begin` returns, with all that came before, in one commit."""
    begin(store, intent(1))
    store.mark(f"{REQUEST}-1", "gen-1")
    store.settle(settlement(1, generation_id=""))
    told: list[int] = []
    store.begin(intent(2), lambda verdict: told.append(threading.get_ident()))
    assert told == [threading.get_ident()]
    kinds = ("intent", "opened", "settlement")
    assert [raw(path, f"select count(*) from {kind}") for kind in kinds] == [[(2,)], [(1,)], [(1,)]]


def test_a_generations_id_is_written_once(store: SqliteStore, path: Path):
    """Where the settlement comes along and names it, there is no `opened` row, and nothing is missing."""
    begin(store, intent(1))
    with store._writer._busy:
        store.mark(f"{REQUEST}-1", "gen-1")
        store.settle(settlement(1, generation_id="gen-1"))
    store.flush()
    assert raw(path, "select count(*) from opened") == [(0,)]
    assert store.rows()[0].generation_id == "gen-1"


def test_what_nobody_waits_for_is_soon_written(store: SqliteStore, path: Path):
    """A settlement without company does not wait for the next request."""
    begin(store, intent(1))
    store.settle(settlement(1))
    until = time.monotonic() + 5
    while raw(path, "select count(*) from settlement") == [(0,)] and time.monotonic() < until:
        time.sleep(0.005)
    assert raw(path, "select count(*) from settlement") == [(1,)]


def test_a_caller_does_not_wait_for_a_lock(store: SqliteStore, path: Path):
    """`begin` returns at once while another program holds the file; the thread waits, and then it is written."""
    begin(store, intent(1))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    verdicts: SimpleQueue[object] = SimpleQueue()
    store.begin(intent(2), verdicts.put)
    assert verdicts.empty()
    other.execute("rollback")
    other.close()
    assert verdicts.get(timeout=5) == GRANTED


def test_the_log_is_copied_into_the_file_now_and_then(store: SqliteStore, path: Path, monkeypatch):
    """The log does not grow for ever, though no commit copies it."""
    monkeypatch.setattr("bytedeck.io.sqlite_file.CHECKPOINT", 5)
    begin(store, intent(1))
    before = path.stat().st_size
    for number in range(2, 40):
        begin(store, intent(number, task="x" * 10_000))
        store.settle(settlement(number))
    store.flush()
    assert path.stat().st_size > before
