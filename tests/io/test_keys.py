"""Virtual keys where they are kept: one contract for memory and SQLite, and what only a file has."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck.callers import Caller
from bytedeck.claims import GRANTED, Budget, Limit, Rates
from bytedeck.errors import ConfigError, InvalidRequest, LedgerError
from bytedeck.guard.access import digest
from bytedeck.io import sql
from bytedeck.io.keys import Keys
from bytedeck.io.memory_keys import MemoryKeys
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_keys import SqliteKeys
from bytedeck.io.stores import open_keys
from marks import begin, intent

SECOND = 1_000_000
FULL = Caller(
    name="alice",
    role="user",
    owner="Alice Ö.",
    tags=("a", "b"),
    models=("openai/*", "a/b"),
    tasks=("coding",),
    rates=Rates(requests=Limit(60, 60, 5), tokens=Limit(1000, 3600)),
    budgets=(Budget("key", "alice", "day", 5 * 10**12), Budget("key", "alice", "total", 10**18, False, 90)),
    cache=600,
    expires=10_000 * SECOND,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.db"


@pytest.fixture(params=["memory", "sqlite"])
def keys(request: pytest.FixtureRequest, path: Path, clock: Clock) -> Keys:
    return MemoryKeys(clock) if request.param == "memory" else SqliteKeys(str(path), clock)


@pytest.fixture
def filed(path: Path, clock: Clock) -> SqliteKeys:
    return SqliteKeys(str(path), clock)


def holder(keys: Keys, secret: str, now: int) -> str:
    found = keys.load().holder(digest(secret), now)
    return found.name if found else ""


def test_a_key_is_kept_as_it_was_said(keys: Keys, clock: Clock) -> None:
    """Every field; and its secret opens, while only the last four signs of it can be looked up."""
    assert (keys.version(), keys.list(), keys.load().callers) == (0, (), ())
    secret = keys.create(FULL)
    assert re.fullmatch(r"sk-byte-[A-Za-z0-9_-]{43}", secret)
    assert keys.find("alice") == replace(FULL, created=clock.now, hint=secret[-4:])
    assert keys.list() == keys.load().callers == (keys.find("alice"),)
    assert holder(keys, secret, clock.now) == "alice"
    assert holder(keys, secret[:-1] + "?", clock.now) == ""
    assert keys.load().version == keys.version() != 0


def test_names_are_sorted_and_taken_once(keys: Keys) -> None:
    """The second of one name is told so, and the first one stays as it was."""
    secrets = {name: keys.create(Caller(name=name)) for name in ("b", "c", "a")}
    assert [one.name for one in keys.list()] == ["a", "b", "c"]
    assert len(set(secrets.values())) == 3
    with pytest.raises(InvalidRequest, match="There is a key b already"):
        keys.create(Caller(name="b", owner="x"))
    assert keys.find("b").owner == ""


@pytest.mark.parametrize("name", ["Alice", "sk-secret", "a" * 65])
def test_what_is_no_key_is_not_kept(keys: Keys, name: str) -> None:
    """Nothing is half-done."""
    with pytest.raises(InvalidRequest, match="A key's name is"):
        keys.create(Caller(name=name))
    assert (keys.version(), keys.list()) == (0, ())


USES: dict[str, Callable[[Keys], Any]] = {
    "find": lambda keys: keys.find("alcie"),
    "update": lambda keys: keys.update("alcie", lambda _: FULL),
    "rotate": lambda keys: keys.rotate("alcie"),
    "revoke": lambda keys: keys.revoke("alcie"),
    "forget": lambda keys: keys.forget("alcie"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_name_that_no_key_has(keys: Keys, use: Callable[[Keys], Any]) -> None:
    """The error tells the nearest, and where nothing is there nothing is made."""
    with pytest.raises(InvalidRequest, match="There is no key 'alcie'") as nothing:
        use(keys)
    assert (nothing.value.code, nothing.value.http_status, nothing.value.exit_code) == ("unknown_key", 404, 6)
    assert keys.version() == 0
    keys.create(Caller(name="alice"))
    before = keys.load()
    with pytest.raises(InvalidRequest) as caught:
        use(keys)
    assert caught.value.hint == ("Did you mean: alice?",)
    assert keys.load() == before


def test_the_version_moves_with_every_change(keys: Keys, clock: Clock) -> None:
    """Also with a second one of the same kind; and not where nothing has changed."""
    steps: tuple[Callable[[], Any], ...] = (
        lambda: keys.create(Caller(name="a")),
        lambda: keys.create(Caller(name="b")),
        lambda: keys.update("a", lambda _: Caller(name="a", owner="x")),
        lambda: keys.update("a", lambda _: Caller(name="a", owner="y")),
        lambda: keys.rotate("a"),
        lambda: keys.rotate("a"),
        lambda: keys.revoke("a"),
        lambda: keys.forget("a"),
        lambda: keys.create(Caller(name="a")),
    )
    seen = [keys.version()]
    for step in steps:
        step()
        seen.append(keys.version())
    assert len(set(seen)) == len(seen)
    keys.revoke("b")
    last = keys.version()
    keys.revoke("b")
    assert keys.version() == last


def test_update_changes_what_it_may_do_and_nothing_else(keys: Keys, clock: Clock) -> None:
    """Its name, secret and beginning stay; an update never undoes that it was revoked."""
    secret = keys.create(FULL)
    made = keys.find("alice")
    clock.now += SECOND
    changed = keys.update("alice", lambda _: Caller(name="bob", owner="B", created=5, revoked=6, hint="zzzz"))
    assert (
        changed == keys.find("alice") == Caller(name="alice", owner="B", created=made.created, hint=made.hint)
    )
    assert holder(keys, secret, clock.now) == "alice"
    keys.revoke("alice")
    assert keys.update("alice", lambda _: Caller(name="alice")).revoked == clock.now
    with pytest.raises(InvalidRequest, match="in the past"):
        keys.update("alice", lambda _: Caller(name="alice", expires=clock.now))


def test_a_key_that_has_expired_can_be_changed(keys: Keys, clock: Clock) -> None:
    """Its owner, say; or until when it is accepted."""
    keys.create(FULL)
    clock.now = 20_000 * SECOND
    assert keys.update("alice", lambda _: replace(FULL, owner="x")).state(clock.now) == "expired"
    with pytest.raises(InvalidRequest, match="has expired"):
        keys.rotate("alice")
    assert keys.update("alice", lambda _: replace(FULL, expires=clock.now + 1)).state(clock.now) == "active"
    keys.rotate("alice")


def test_rotate_at_the_boundary_of_its_grace(keys: Keys, clock: Clock) -> None:
    """The old secret is accepted up to that moment, the new one at once; without grace only the new one is."""
    first = keys.create(Caller(name="a"))
    second = keys.rotate("a", 10.0)
    until = clock.now + 10 * SECOND
    assert [holder(keys, one, until - 1) for one in (first, second)] == ["a", "a"]
    assert [holder(keys, one, until) for one in (first, second)] == ["", "a"]
    assert keys.find("a").hint == second[-4:]
    third = keys.rotate("a")
    assert [holder(keys, one, clock.now) for one in (first, second, third)] == ["a", "", "a"]
    clock.now = until
    assert len(keys.load().digests) == 1
    fourth = keys.rotate("a")
    assert keys.load().digests == {digest(fourth): "a"}


@pytest.mark.parametrize("grace", [-1.0, float("inf"), float("nan"), 31 * 86_400.0 + 1])
def test_a_grace_that_cannot_be_meant(keys: Keys, grace: float) -> None:
    """It says what can, and the old secret stays."""
    secret = keys.create(Caller(name="a"))
    with pytest.raises(InvalidRequest, match="31 days"):
        keys.rotate("a", grace)
    assert holder(keys, secret, 1_000 * SECOND) == "a"


def test_revoke_and_forget(keys: Keys, clock: Clock) -> None:
    """A revoked key has its holder yet, who is told why; a forgotten one is nobody's, and its name is free."""
    secret = keys.create(Caller(name="a"))
    at = clock.now
    assert keys.revoke("a").revoked == at
    clock.now += 1
    assert keys.revoke("a").revoked == at
    assert holder(keys, secret, clock.now) == "a"
    with pytest.raises(InvalidRequest, match="was revoked"):
        keys.rotate("a")
    keys.forget("a")
    assert (holder(keys, secret, clock.now), keys.list(), keys.load().digests) == ("", (), {})
    again = keys.create(Caller(name="a"))
    assert (holder(keys, secret, clock.now), holder(keys, again, clock.now)) == ("", "a")


@pytest.mark.parametrize("size", [2, 8])
def test_many_make_one_name(keys: Keys, size: int) -> None:
    """One wins; its secret opens, and the others are told."""
    told: list[Any] = []
    ready = threading.Barrier(size)

    def make() -> None:
        ready.wait(20)
        try:
            told.append(keys.create(Caller(name="a")))
        except InvalidRequest as error:
            told.append(error)

    threads = [threading.Thread(target=make) for _ in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (secret,) = (one for one in told if isinstance(one, str))
    assert [str(one) for one in told if one is not secret] == ["There is a key a already."] * (size - 1)
    assert holder(keys, secret, 1_000 * SECOND) == "a"


# -- of a file -----------------------------------------------------------------------------------


def test_reading_makes_no_file(filed: SqliteKeys, path: Path) -> None:
    """Nor does what fails."""
    assert (filed.version(), filed.list()) == (0, ())
    for use in USES.values():
        with pytest.raises(InvalidRequest):
            use(filed)
    assert not path.parent.exists()


def test_no_secret_stands_in_the_file(filed: SqliteKeys, path: Path) -> None:
    """Neither in the log beside it; and it is its owner's alone."""
    secrets = [filed.create(FULL), filed.rotate("alice", 60.0), filed.rotate("alice")]
    for file in path.parent.iterdir():
        data = file.read_bytes()
        assert not any(secret.encode() in data or secret[8:].encode() in data for secret in secrets), file
        assert not file.stat().st_mode & 0o077
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_process_sees_it_at_once(filed: SqliteKeys, path: Path, clock: Clock) -> None:
    """What one has changed another one's look finds; a ledger in the same file goes on meanwhile."""
    store, other = SqliteStore(str(path)), SqliteKeys(str(path), clock)
    assert begin(store, intent(1)) == GRANTED
    before = other.version()
    secret = filed.create(Caller(name="a"))
    assert other.version() != before
    assert holder(other, secret, clock.now) == "a"
    filed.revoke("a")
    assert other.find("a").revoked == clock.now
    assert begin(store, intent(2)) == GRANTED
    assert len(store.rows()) == 2
    store.close()


def test_another_file_has_another_version(filed: SqliteKeys, path: Path) -> None:
    """Who looks at the version alone notices that the file was replaced."""
    filed.create(Caller(name="a"))
    first = filed.version()
    for file in list(path.parent.iterdir()):
        file.unlink()
    assert filed.version() == 0
    filed.create(Caller(name="a"))
    assert filed.version() != first


def test_an_older_ledger_gets_its_tables(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the first look, too; its rows stay, and their upstream key is what it was."""
    older = {name: text for name, text in sql.migrations("sqlite").items() if name < "0007"}
    statements = {**sql.statements("sqlite")}
    statements["begin"] = statements["begin"].replace(", upstream_key)", ")").replace(", ?)", ")")
    with monkeypatch.context() as patch:
        patch.setattr(sql, "migrations", lambda dialect: older)
        patch.setattr(sql, "statements", lambda dialect: statements)
        patch.setattr("bytedeck.io.sqlite_file.INSERTS", _without_upstream_key())
        store = SqliteStore(str(path))
        assert begin(store, intent(1)) == GRANTED
        store.close()
    with sqlite3.connect(path) as raw:
        assert not raw.execute("select 1 from sqlite_master where name = 'caller'").fetchall()
    raw.close()
    keys = SqliteKeys(str(path), clock)
    assert (keys.version() > 0, keys.list()) == (True, ())
    assert holder(keys, keys.create(FULL), clock.now) == "alice"
    (row,) = SqliteStore(str(path)).rows()
    assert (row.key, row.upstream_key) == ("home", "")


def _without_upstream_key() -> dict[Any, Any]:
    from bytedeck.io.sqlite_rows import INSERTS
    from bytedeck.types import Intent

    name, encode = INSERTS[Intent]
    return {**INSERTS, Intent: (name, lambda row, at, owner: encode(row, at, owner)[:-1])}


def test_a_key_that_cannot_be_read_lets_nobody_in(filed: SqliteKeys, path: Path) -> None:
    """Whoever needs the keys is told, instead of finding none."""
    filed.create(Caller(name="a"))
    with sqlite3.connect(path) as raw:
        raw.execute("update caller set said = '{\"name\": 5}'")
    raw.close()
    for look in (filed.load, filed.list, lambda: filed.find("a")):
        with pytest.raises(LedgerError, match="cannot be read"):
            look()


def test_what_a_newer_one_has_added_is_passed_over(filed: SqliteKeys, path: Path) -> None:
    """A field more in the JSON is no reason to lock anybody out."""
    filed.create(Caller(name="a", owner="x"))
    with sqlite3.connect(path) as raw:
        raw.execute("update caller set said = json_set(said, '$.color', 'red')")
    raw.close()
    assert filed.find("a").owner == "x"


def test_a_file_that_cannot_be_written(path: Path, clock: Clock) -> None:
    """Locked, no database, a folder: the ledger's own sentences, and nothing is changed."""
    keys = SqliteKeys(str(path), clock, busy_timeout=0.05)
    secret = keys.create(Caller(name="a"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    before = keys.load()
    for change in (lambda: keys.create(Caller(name="b")), lambda: keys.rotate("a"), lambda: keys.revoke("a")):
        with pytest.raises(LedgerError, match="is locked by another program"):
            change()
    other.close()
    assert keys.load() == before
    assert holder(keys, secret, clock.now) == "a"
    garbage = path.with_name("garbage.db")
    garbage.write_bytes(os.urandom(8192))
    with pytest.raises(LedgerError, match="damaged"):
        SqliteKeys(str(garbage), clock).create(Caller(name="a"))
    with pytest.raises(LedgerError, match="damaged"):
        SqliteKeys(str(garbage), clock).version()


@pytest.mark.parametrize("url", ["postgres://x", "sqlite://relative"])
def test_where_keys_cannot_be_kept(url: str) -> None:
    """As the ledger itself."""
    with pytest.raises(ConfigError):
        open_keys(url)


def test_where_keys_are_kept(path: Path) -> None:
    """In the ledger's file, or in memory with it."""
    assert isinstance(open_keys("memory:"), MemoryKeys)
    found = open_keys(f"sqlite://{path}")
    assert isinstance(found, SqliteKeys)
    found.create(Caller(name="a"))
    assert path.exists()


def test_a_budget_begins_with_what_its_name_has_spent(filed: SqliteKeys, path: Path, clock: Clock) -> None:
    """The account is there before the first request, and is the sum of the rows."""
    store = SqliteStore(str(path), clock)
    assert begin(store, intent(1, key="alice", worst_units=7)) == GRANTED
    filed.create(FULL)
    filed.create(Caller(name="bob", budgets=(Budget("key", "bob", "total", 5),)))
    with sqlite3.connect(path) as raw:
        found = raw.execute(
            "select whose, period, spent, held from account order by whose, period"
        ).fetchall()
    raw.close()
    assert found == [("alice", "day", 0, 7), ("alice", "total", 0, 7), ("bob", "total", 0, 0)]
    assert store.verify().ok
    store.close()
