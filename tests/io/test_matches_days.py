"""Matches of the arena in a file on bad days: two processes, kill -9, a fork, a locked file, a newer one's events."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from allevents import ALL, FIRST, NOW, SECOND, begin, result, told
from bytedeck import Hub
from bytedeck.arena.events import Words
from bytedeck.arena.types import Change, Vote
from bytedeck.claims import GRANTED
from bytedeck.errors import InvalidRequest, LedgerError
from bytedeck.io import sql
from bytedeck.io.matches import Lost
from bytedeck.io.memory_matches import MemoryMatches
from bytedeck.io.owner import BEAT, LEASE, SILENCE, this_owner
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_file import connect, make_file, prepare
from bytedeck.io.sqlite_matches import SqliteMatches
from marks import begin as begin_attempt
from marks import intent

TESTS = str(Path(__file__).parents[1])
HEAD = f"""
import os, sys
sys.path.insert(0, {TESTS!r})
from allevents import *
from bytedeck.errors import InvalidRequest
from bytedeck.io.matches import Lost
from bytedeck.io.sqlite_matches import SqliteMatches
matches = SqliteMatches(sys.argv[1])
def say(*words): print(*words, flush=True)
def heard(): sys.stdin.readline()
"""
HOLDER = "{}-{}-{}-00000000".format(*this_owner().split("-")[:3])
"""A process in another container."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.db"


@pytest.fixture
def matches(path: Path) -> Iterator[SqliteMatches]:
    made = SqliteMatches(str(path))
    yield made
    made.close()


class Other:
    """Another process that plays a script."""

    def __init__(self, script: str, path: Path) -> None:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + script, str(path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")

    def kill(self) -> str:
        """What it had said until then."""
        self._process.send_signal(signal.SIGKILL)
        return self.end()

    def end(self) -> str:
        said, _ = self._process.communicate(timeout=60)
        return said


def raw(path: Path, statement: str, *params: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, params).fetchall()
    finally:
        connection.close()


def test_reading_makes_no_file(matches: SqliteMatches, path: Path) -> None:
    """Nor does what can have no match yet; and a file is its owner's alone."""
    assert (matches.version(), matches.list(), matches.results(), matches.changes()) == (0, (), (), ())
    for use in (
        matches.hold,
        matches.release,
        matches.forget,
        lambda name: matches.record(name, "judges", (result(),)),
        lambda name: matches.vote(Vote(match=name, voter="v", source="owner", round=0, choice=0)),
    ):
        with pytest.raises(InvalidRequest, match="There is no match"):
            use(FIRST)
    assert not path.parent.exists()
    begin(matches)
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600] * 3


@pytest.mark.parametrize("is_written", [False, True])
def test_an_older_ledger_gets_its_tables(matches: SqliteMatches, path: Path, is_written: bool) -> None:
    """By the first look, or by the first match."""
    make_file(str(path))
    older = {name: text for name, text in sql.migrations("sqlite").items() if name < "0008"}
    connection = connect(str(path), 5.0)
    prepare(connection, str(path), older, 5.0)
    connection.close()
    if not is_written:
        assert (matches.list(), matches.version() > 0) == ((), True)
    begin(matches)
    assert matches.find(FIRST).last == 0


NEWER: dict[str, tuple[str, Callable[[SqliteMatches], Any]]] = {
    "an event": (
        "update arena_event set body = json_set(body, '$.type', 'danced') where seq = 1",
        lambda m: m.events(FIRST),
    ),
    "a match": ("update arena_match set said = json_set(said, '$.kind', 'duet')", lambda m: m.find(FIRST)),
    "how it stands": (
        'update arena_match set standing = \'{"end": "drawn"}\'',
        lambda m: m.append(FIRST, told(ALL[0], after=1)),
    ),
    "a result": ("update arena_result set said = '{}'", lambda m: m.results()),
    "a change": ("update arena_change set said = json_set(said, '$.by', 'x')", lambda m: m.changes()),
    "no JSON": ("update arena_event set body = 'nonsense'", lambda m: m.events(FIRST)),
}


@pytest.mark.parametrize(("statement", "use"), NEWER.values(), ids=NEWER)
def test_what_a_newer_bytedeck_wrote_is_not_guessed_at(
    matches: SqliteMatches, path: Path, statement: str, use: Callable[[SqliteMatches], Any]
) -> None:
    """Who asks for it is told to upgrade; a field more is passed over."""
    begin(matches)
    matches.append(FIRST, told(ALL[0]))
    matches.record(FIRST, "judges", (result(),))
    matches.change(Change(task="coding", before=(), after=("a",), why=""))
    raw(path, "update arena_event set body = json_set(body, '$.mood', 'fine')")
    assert matches.events(FIRST)[1:] == told(ALL[0])
    raw(path, statement)
    with pytest.raises(LedgerError, match="cannot be read") as caught:
        use(matches)
    assert "Upgrade Bytedeck" in caught.value.hint[0]


def test_a_file_that_cannot_be_written(path: Path) -> None:
    """Locked or no database: the ledger's own sentences, nothing is changed, and later it goes on."""
    matches = SqliteMatches(str(path), busy_timeout=0.05)
    begin(matches)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    for change in (lambda: matches.append(FIRST, told(ALL[0])), lambda: begin(matches, SECOND)):
        with pytest.raises(LedgerError, match="is locked by another program"):
            change()
    assert (len(matches.list()), matches.find(FIRST).last) == (1, 0)
    other.close()
    matches.append(FIRST, told(ALL[0]))
    matches.close()
    garbage = path.with_name("garbage.db")
    garbage.write_bytes(os.urandom(8192))
    for use in (SqliteMatches.list, begin):
        with pytest.raises(LedgerError, match="damaged"):
            use(SqliteMatches(str(garbage)))


def test_a_release_that_cannot_be_written(path: Path) -> None:
    """This process can take the match again, once it may write."""
    matches = SqliteMatches(str(path), busy_timeout=0.05)
    begin(matches)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    matches.close()
    other.close()
    assert matches.find(FIRST).state == "cut off"
    matches.hold(FIRST)
    assert matches.find(FIRST).is_ours
    matches.close()


def test_a_file_that_was_replaced(matches: SqliteMatches, path: Path) -> None:
    """Nothing is written into one that has gone."""
    begin(matches)
    for file in list(path.parent.iterdir()):
        file.unlink()
    with pytest.raises(InvalidRequest, match="There is no match"):
        matches.append(FIRST, told(ALL[0]))
    begin(matches)
    matches.append(FIRST, told(ALL[0]))
    assert raw(path, "select count(*) from arena_event") == [(2,)]


def test_ten_thousand_events(matches: SqliteMatches) -> None:
    """All of them are there, in their order, and the last ones without the others."""
    begin(matches)
    words = told(*(Words(part="t0.0.0", text=f"{n} ") for n in range(10_000)))
    matches.append(FIRST, words)
    assert matches.events(FIRST)[1:] == words
    assert matches.events(FIRST, 9_998) == words[-2:]


def test_rows_of_the_ledger_go_on_beside_it(matches: SqliteMatches, path: Path) -> None:
    """Words and attempts are written to one file at the same time, and none is refused."""
    begin(matches)
    store = SqliteStore(str(path))
    verdicts: list[Any] = []
    rows = threading.Thread(
        target=lambda: verdicts.extend(begin_attempt(store, intent(n)) for n in range(1, 101))
    )
    rows.start()
    for n in range(100):
        matches.append(FIRST, told(*ALL[1:3], after=2 * n))
    rows.join(60)
    assert (verdicts, matches.find(FIRST).last) == ([GRANTED] * 100, 200)
    store.close()


# -- two processes

RACE = """
heard()
try:
    matches.hold(FIRST); say("mine")
except InvalidRequest as error:
    say(error.message)
heard()
"""


def test_two_processes_take_it_at_once(matches: SqliteMatches, path: Path) -> None:
    """One holds it. Once it is killed, the next one takes it in the same moment, and not before."""
    begin(matches)
    matches.release(FIRST)
    others = [Other(RACE, path) for _ in range(3)]
    for one in others:
        one.tell()
    said = {one: one.says() for one in others}
    assert sorted(said.values()) == sorted(
        ["mine", *["The match abcdefgh23 is going on in another process."] * 2]
    )
    kept = matches.find(FIRST)
    assert (kept.state, kept.is_held, kept.is_ours) == ("running", True, False)
    for use in (matches.hold, matches.forget):
        with pytest.raises(InvalidRequest, match="in another process"):
            use(FIRST)
    for one, word in said.items():
        (one.kill if word == "mine" else one.tell)()
        one.end()
    assert matches.find(FIRST).state == "cut off"
    matches.hold(FIRST)
    matches.append(FIRST, told(ALL[0]))


def test_who_was_replaced_is_told(matches: SqliteMatches, path: Path) -> None:
    """A process that went on after another had taken its match over writes nothing, and takes nothing back."""
    begin(matches)
    raw(path, "update arena_match set holder = ''")  # as if we had been given up
    other = Other("matches.hold(FIRST); matches.append(FIRST, told(ALL[0])); say('ok'); heard()", path)
    assert other.says() == "ok"
    with pytest.raises(Lost, match="held by another process now"):
        matches.append(FIRST, told(ALL[0], after=1))
    matches.release(FIRST)
    assert matches.find(FIRST).is_held
    assert matches.find(FIRST).last == 1
    other.tell()
    other.end()


KILLED = """
begin(matches)
last = 0
while True:
    matches.append(FIRST, told(*ALL[1:3], ALL[4], after=last))
    last += 3
    say(last)
"""


@pytest.mark.parametrize("after", [1, 40])
def test_kill_in_mid_append(matches: SqliteMatches, path: Path, after: int) -> None:
    """What `append` had returned for is there, nothing is half-written, and it goes on from there."""
    other = Other(KILLED, path)
    said = [other.says() for _ in range(after)]
    said += other.kill().split("\n")[:-1]
    last = matches.find(FIRST).last
    assert last % 3 == 0
    assert last >= int(said[-1])
    assert [one.seq for one in matches.events(FIRST)] == list(range(last + 1))
    assert matches.find(FIRST).state == "cut off"
    matches.hold(FIRST)
    matches.append(FIRST, told(ALL[0], after=last))


FORK = """
begin(matches)
matches.append(FIRST, told(ALL[0]))
pid = os.fork()
if pid == 0:
    try: matches.append(FIRST, told(ALL[1], after=1)); say("wrong")
    except Lost: pass
    begin(matches, SECOND)
    matches.append(SECOND, told(ALL[0]))
    matches.close()
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
matches.append(FIRST, told(ALL[1], after=1))
say(status, matches.find(FIRST).state, matches.find(SECOND).state)
"""


def test_fork(matches: SqliteMatches, path: Path) -> None:
    """The child holds nothing of its parent's, and both go on writing."""
    other = Other(FORK, path)
    assert other.end() == "0 running cut off\n"
    assert (matches.find(FIRST).last, matches.find(SECOND).last) == (2, 1)


@pytest.mark.parametrize(
    ("silent", "since", "state"),
    [
        (0, 0, "running"),
        (SILENCE - BEAT, 0, "running"),
        (SILENCE, 0, "cut off"),
        (None, 0, "running"),
        (None, LEASE, "cut off"),
    ],
)
def test_a_holder_that_cannot_be_looked_at(path: Path, silent: int | None, since: int, state: str) -> None:
    """In another container it is judged by its signs of life, which every write gives now and then."""
    matches = SqliteMatches(str(path), lambda: NOW)
    begin(matches)
    assert raw(path, "select name from owner") == [(this_owner(),)]
    if silent is None:
        raw(path, "delete from owner")
    else:
        raw(path, "update owner set name = ?, beat = beat - ?", HOLDER, silent)
    raw(path, "update arena_match set holder = ?, held_at = ?", HOLDER, NOW - since)
    assert matches.find(FIRST).state == state
    if state == "running":
        with pytest.raises(InvalidRequest, match="in another process"):
            matches.hold(FIRST)
    else:
        matches.hold(FIRST)
    matches.close()


def test_where_a_house_keeps_them(tmp_path: Path) -> None:
    """Beside the ledger; while a script is played in memory, and afterwards none of that is left."""
    path = tmp_path / "ledger.db"
    with Hub(database_url=f"sqlite://{path}", home=tmp_path) as hub:
        begin(hub.house.matches)
        with hub.testing():
            assert isinstance(hub.house.matches, MemoryMatches)
            begin(hub.house.matches, SECOND)
        assert [one.match.id for one in hub.house.matches.list()] == [FIRST]
    assert SqliteMatches(str(path)).find(FIRST).state == "cut off"
    assert not re.search(SECOND.encode(), path.read_bytes())


def between(
    matches: SqliteMatches, monkeypatch: pytest.MonkeyPatch, before: Any = None, after: Any = None
) -> None:
    """What another thread does just before, or just after, the next change of these is in the file."""
    changing = matches._open.changing

    @contextmanager
    def interrupted() -> Iterator[sqlite3.Connection]:
        if before is not None:
            before()
        with changing() as connection:
            yield connection
        if after is not None:
            after()

    monkeypatch.setattr(matches._open, "changing", interrupted)


def test_what_is_taken_is_not_taken_again_at_the_same_moment(
    matches: SqliteMatches, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads of one process, each with its own hub: the row alone does not tell them apart."""
    begin(matches)
    matches.release(FIRST)
    other = SqliteMatches(str(path))
    refused: list[InvalidRequest] = []

    def also() -> None:
        with pytest.raises(InvalidRequest, match="is going on in this process") as caught:
            other.hold(FIRST)
        refused.append(caught.value)

    with monkeypatch.context() as patch:
        between(matches, patch, after=also)
        matches.hold(FIRST)
    assert refused
    other.close()


def test_who_lets_go_takes_it_from_nobody_else(
    matches: SqliteMatches, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may hold it before the row says that it is free."""
    begin(matches)
    other = SqliteMatches(str(path))
    with monkeypatch.context() as patch:
        between(matches, patch, before=lambda: other.hold(FIRST))
        matches.release(FIRST)
    other.append(FIRST, told(ALL[0]))
    assert other.find(FIRST).is_ours
    other.close()


def test_what_could_not_be_taken_is_not_held(
    matches: SqliteMatches, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit failed: whoever tries next may have it."""
    begin(matches)
    matches.release(FIRST)

    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        between(matches, patch, after=fail)
        with pytest.raises(sqlite3.OperationalError):
            matches.hold(FIRST)
    other = SqliteMatches(str(path))
    other.hold(FIRST)
    other.close()
