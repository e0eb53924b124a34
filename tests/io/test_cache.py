"""The file of kept answers: how long they are kept, what goes where it is full, and what is no error."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from bytedeck.io.cache import Cache
from bytedeck.io.stores import cache_path

SECOND = 1_000_000


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def made(tmp_path: Path, clock: Clock, most: int = 1 << 20) -> Cache:
    return Cache(str(tmp_path / "new" / "cache.db"), most, clock)


def test_kept_and_found(tmp_path: Path, clock: Clock) -> None:
    """As it was, with its age, in the place of what was there before; for others' eyes it is closed."""
    cache = made(tmp_path, clock)
    assert cache.find(key(1), 60) is None
    cache.keep(key(1), b"old", 60)
    cache.keep(key(1), b"\x00words", 60)
    clock.now += 5 * SECOND
    found = cache.find(key(1), 60)
    assert found is not None
    assert (found.value, found.age) == (b"\x00words", 5.0)
    assert cache.find(key(2), 60) is None
    cache.close()
    assert cache.find(key(1), 60) is not None  # it may be used again
    if os.name == "posix":
        assert stat.S_IMODE(os.stat(cache.path).st_mode) == 0o600


@pytest.mark.parametrize(
    ("kept", "wanted", "after", "there"),
    [(60, 60, 59, True), (60, 60, 60, False), (60, 10, 9, True), (60, 10, 10, False), (10, 60, 11, False), (60, 60, -1, False)],
)  # fmt: skip
def test_for_how_long(
    tmp_path: Path, clock: Clock, kept: float, wanted: float, after: int, there: bool
) -> None:
    """As long as was said when it was kept, and as is said now; a clock that was set back makes nothing young for ever."""
    cache = made(tmp_path, clock)
    cache.keep(key(1), b"words", kept)
    clock.now += after * SECOND
    assert (cache.find(key(1), wanted) is not None) == there


def test_a_full_one_makes_room(tmp_path: Path, clock: Clock) -> None:
    """First goes what has expired, then what was not used for longest; the bound always holds, and one answer that is
    a large part of it is not kept at all."""
    cache = made(tmp_path, clock, most=100_000)
    cache.keep(key(1), b"x" * 20_000, 1000)
    assert cache.find(key(1), 1000) is None  # more than an eighth
    cache.keep(key(2), b"x" * 10_000, 30)
    for number in range(3, 12):
        clock.now += SECOND
        cache.keep(key(number), b"x" * 10_000, 1000)
    clock.now += 100 * SECOND
    assert cache.find(key(3), 1000) is not None  # the oldest, but used now
    cache.keep(key(12), b"x" * 10_000, 1000)
    there = [number for number in range(2, 13) if cache.find(key(number), 1000)]
    assert there == [3, *range(5, 13)]  # 2 had expired, 4 was not used for longest
    assert _held(cache) == 90_000
    for number in range(1000):
        cache.keep(key(number), b"x" * (number * 13 % 12_000), 1000)
    assert _held(cache) <= 100_000


def _held(cache: Cache) -> int:
    with sqlite3.connect(cache.path) as db:
        counted, told = db.execute(
            "select (select sum(size) from answers), (select bytes from held)"
        ).fetchone()
    db.close()
    assert counted == told
    return int(told)


def test_a_damaged_file_is_thrown_away(tmp_path: Path, clock: Clock) -> None:
    """Rubbish, or damage in its middle: nothing was there, and what is kept from now on is found."""
    cache = made(tmp_path, clock)
    path = Path(cache.path)
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    assert cache.find(key(1), 60) is None
    cache.keep(key(1), b"words", 60)
    assert cache.find(key(1), 60) is not None
    for number in range(50):
        cache.keep(key(number), b"x" * 5000, 60)
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:60_000] = b"\xff" * (60_000 - 4096)
    path.write_bytes(data)
    assert cache.find(key(1), 60) is None
    cache.keep(key(1), b"words", 60)
    assert cache.find(key(1), 60) is not None


def test_what_is_in_the_way(tmp_path: Path, clock: Clock, logged: list[str]) -> None:
    """A folder, a stranger's database, a lock: no error, nothing of theirs is touched; told in the log, and not each time."""
    folder = Cache(str(tmp_path), 1 << 20, clock)
    theirs = tmp_path / "theirs.db"
    with sqlite3.connect(theirs) as db:
        db.execute("create table answers (words)")
    db.close()
    before = theirs.read_bytes()
    for cache in (folder, Cache(str(theirs), 1 << 20, clock)):
        for _ in range(3):
            cache.keep(key(1), b"words", 60)
            assert cache.find(key(1), 60) is None
    assert theirs.read_bytes() == before
    assert len([line for line in logged if "cannot be used" in line]) == 2
    cache = made(tmp_path, clock)
    cache.keep(key(1), b"words", 60)
    with sqlite3.connect(cache.path, isolation_level=None) as other:
        other.execute("begin exclusive")
        cache.keep(key(2), b"words", 60)
        assert cache.find(key(1), 60) is not None
        other.execute("rollback")
    other.close()
    assert cache.find(key(2), 60) is None
    cache.keep(key(2), b"words", 60)
    assert cache.find(key(2), 60) is not None


def _fill(path: str, first: int) -> None:
    cache = Cache(path, 300_000)
    for number in range(first, first + 100):
        cache.keep(key(number), b"x" * 1000, 60)
    cache.close()


def test_several_processes_share_it(tmp_path: Path) -> None:
    """Also where all of them make it at the same moment."""
    path = str(tmp_path / "cache.db")
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_fill, args=(path, 1000 * number)) for number in range(2)]
    for one in others:
        one.start()
    for one in others:
        one.join(30)
    cache = Cache(path, 300_000)
    assert sum(cache.find(key(number), 60) is not None for number in (50, 99, 1050, 1099)) >= 3
    assert _held(cache) <= 200_000


@pytest.mark.parametrize(
    ("url", "expected"),
    [("sqlite:///a/b/ledger.db", "/a/b/cache.db"), ("memory:", "/home/ada/cache.db")],
)
def test_where_it_is(url: str, expected: str) -> None:
    """Beside the ledger."""
    assert cache_path(url, "/home/ada") == expected


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("value", 10**12),
        ("value", "words"),
        ("at", "now"),
        ("at", b"now"),
        ("until", "never"),
        ("until", 1e300),
    ],
)
def test_a_row_of_another_hand(tmp_path: Path, clock: Clock, column: str, wrong: object) -> None:
    """SQLite keeps any type in any column: what is none of ours was not there."""
    cache = made(tmp_path, clock)
    cache.keep(key(1), b"words", 60)
    with sqlite3.connect(cache.path) as db:
        db.execute(f"update answers set {column} = ?", (wrong,))
    db.close()
    assert cache.find(key(1), 60) is None
    cache.close()


def test_who_finds_it_damaged_throws_away_what_he_had_open(tmp_path: Path, clock: Clock) -> None:
    """And not the good one that another process has made in its place meanwhile."""
    first, second = made(tmp_path, clock), made(tmp_path, clock)
    first.keep(key(1), b"old", 60)
    for end in ("", "-wal", "-shm"):
        os.unlink(first.path + end)
    second.keep(key(2), b"new", 60)
    damaged = sqlite3.DatabaseError("malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    first._failed(damaged)
    third = made(tmp_path, clock)
    assert third.find(key(2), 60) is not None
    for one in (first, second, third):
        one.close()
