"""`byte keys create` and its like: the secret once and alone on stdout, sentences on stderr, and nothing half-done."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from bytedeck.guard.access import digest
from bytedeck.io.sqlite_keys import SqliteKeys
from upstream import Upstream

SECRET = re.compile(r"sk-byte-[A-Za-z0-9_-]{43}\n")


@pytest.fixture
def keys(home: Path) -> SqliteKeys:
    return SqliteKeys(str(home / "ledger.db"))


def test_create(byte, keys: SqliteKeys) -> None:
    """Alone on stdout, whatever is said beside it on stderr; and it opens."""
    made = byte(
        "keys", "create", "alice", "--budget", "5/day", "--budget", "50/month soft", "--rpm", "60", "--tpm", "1000",
        "--models", "openai/gpt-4o-mini,anthropic/*", "--models", "a/b", "--tasks", "coding,general", "--expires", "30d",
        "--owner", "Alice", "--tag", "x", "--tag", "y", "--cache", "10m",
    )  # fmt: skip
    assert (made.exit_code, bool(SECRET.fullmatch(made.stdout))) == (0, True)
    assert made.stdout.strip() not in made.stderr
    assert made.stderr.startswith("Made the key alice.")
    ring = keys.load()
    assert ring.digests == {digest(made.stdout.strip()): "alice"}
    told = json.loads(byte("keys", "show", "alice", "--json").stdout)
    assert told["state"] == "active"
    assert {name: told[name] for name in ("models", "tasks", "tags", "requests", "tokens", "budgets", "cache", "owner")} == {
        "models": ["openai/gpt-4o-mini", "anthropic/*", "a/b"],
        "tasks": ["coding", "general"],
        "tags": ["x", "y"],
        "requests": "60/minute",
        "tokens": "1000/minute",
        "budgets": ["5/day", "50/month soft"],
        "cache": 600,
        "owner": "Alice",
    }  # fmt: skip
    assert [(one["of"], one["period"], one["left"]) for one in told["standing"]["budgets"]] == [
        ("alice", "day", "5"), ("alice", "month", "50"),
    ]  # fmt: skip


def test_create_as_json(byte, keys: SqliteKeys) -> None:
    """The secret is a field of it."""
    told = json.loads(byte("keys", "create", "root", "--admin", "--json").stdout)
    assert (told["name"], told["role"], told["hint"][-4:]) == ("root", "admin", told["secret"][-4:])
    assert digest(told["secret"]) in keys.load().digests


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--budget", "-5/day"), 2, "--budget: expected a budget such as 5/day"),
        (("--budget", "5"), 2, "--budget: expected"),
        (("--rpm", "0"), 2, "--rpm: expected a whole number from 1, or off."),
        (("--rpd", "-1"), 2, "--rpd: expected a whole number from 1, or off."),
        (("--tpm", "abc"), 2, "--tpm: expected a whole number from 1, or off."),
        (("--expires", "soon"), 2, "--expires: expected a span"),
        (("--rpm", "1", "--rpd", "2"), 2, "--rpm and --rpd"),
        (("--expires", "2020-01-01"), 2, "--expires: 2020-01-01 is in the past"),
        (("--models", "no-such"), 2, "--models: expected a model's id"),
        (("--cache", "-1"), 2, "--cache: expected a span"),
        (("--cache", "40d"), 14, "0 to 31 days"),
        (("--tasks", "codng"), 6, "Did you mean: coding?"),
        (("--budget", "5/day", "--budget", "6/day"), 14, "two: day"),
    ],
)
def test_what_cannot_be_meant(byte, home: Path, options: tuple[str, ...], code: int, says: str) -> None:
    """A sentence, the exit code, and no key."""
    told = byte("keys", "create", "bob", *options)
    assert (told.exit_code, told.stdout) == (code, "")
    assert says in " ".join(told.stderr.split())
    assert not (home / "ledger.db").exists()


EMPTY = {
    "--models": ("", " ", " , ", "\u00a0"),
    "--tasks": ("", ","),
    "--budget": ("", " "),
    "--rpm": ("",),
    "--rpd": (" ",),
    "--tpm": ("",),
    "--expires": ("", " "),
}


@pytest.mark.parametrize(
    ("option", "value"), [(name, one) for name, values in EMPTY.items() for one in values]
)
def test_an_empty_value_opens_nothing(byte, keys: SqliteKeys, option: str, value: str) -> None:
    """It may be a variable that nobody has set: no key is made by it, and none may do more by it."""
    told = byte("keys", "create", "bob", option, value)
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"{option} is empty; " in " ".join(told.stderr.split())
    byte("keys", "create", "alice", "--models", "a/b", "--tasks", "coding", "--budget", "5/day", "--rpm", "6",
         "--tpm", "7", "--expires", "30d")  # fmt: skip
    before = keys.list()
    assert byte("keys", "update", "alice", option, value).exit_code == 2
    assert keys.list() == before
    assert [one.name for one in before] == ["alice"]


def test_a_comma_too_many(byte, keys: SqliteKeys) -> None:
    """Between names that are there an empty one is a slip, and means nothing."""
    assert byte("keys", "create", "alice", "--models", "a/b,,c/d,").exit_code == 0
    assert keys.find("alice").models == ("a/b", "c/d")


@pytest.mark.parametrize("name", ["Alice", "sk-or-v1-abc", "a b", "x" * 65])
def test_what_is_no_name(byte, name: str) -> None:
    """It says what one looks like, and does not repeat what may be a secret."""
    told = byte("keys", "create", name)
    assert (told.exit_code, told.stdout) == (14, "")
    assert "A key's name is 1 to 64" in told.stderr
    assert name not in told.stderr


def test_a_name_is_taken_once(byte, keys: SqliteKeys) -> None:
    """What to do instead stands below it."""
    byte("keys", "create", "alice")
    before = keys.load()
    told = byte("keys", "create", "alice")
    assert (told.exit_code, told.stdout) == (14, "")
    assert "There is a key alice already." in told.stderr
    assert "byte keys rotate alice" in told.stderr
    assert keys.load() == before


@pytest.mark.parametrize("command", ["show", "update", "rotate", "revoke", "forget"])
def test_an_unknown_name(byte, home: Path, command: str) -> None:
    """Exit code 6, with the nearest; where there is no ledger none is made."""
    assert byte("keys", command, "alcie").exit_code == 6
    assert not (home / "ledger.db").exists()
    byte("keys", "create", "alice")
    told = byte("keys", command, "alcie")
    assert (told.exit_code, told.stdout) == (6, "")
    assert "There is no key 'alcie'." in told.stderr
    assert "Did you mean: alice?" in told.stderr


def test_list_and_show(byte) -> None:
    """What each may do, on one line; and how its limits and budgets stand."""
    assert "There are no virtual keys." in byte("keys", "list").stdout
    assert byte("keys", "list", "--json").stdout == "[]\n"
    byte(
        "keys",
        "create",
        "alice",
        "--budget",
        "5/day",
        "--rpm",
        "60",
        "--expires",
        "2099-01-01",
        "--owner",
        "A",
    )
    byte("keys", "create", "bob", "--models", "openai/gpt-4o-mini", "--rpd", "9")
    byte("keys", "create", "root", "--admin")
    byte("keys", "revoke", "bob")
    lines = [re.split("  +", line) for line in byte("keys", "list").stdout.splitlines()]
    told = {name: (state, *rest) for name, _, state, *rest in lines}
    assert told["alice"] == ("until 2099-01-01 00:00", "everything", "60 requests a minute", "5/day", "A")
    assert told["bob"] == ("revoked", "openai/gpt-4o-mini", "9 requests a day")
    assert told["root"] == ("active", "administration")
    shown = byte("keys", "show", "alice").stdout
    assert "a day, key alice" in shown
    assert "60 requests a minute" in shown
    assert "key bob" not in shown
    assert "all, key bob" in byte("limits").stdout


def test_update(byte, keys: SqliteKeys) -> None:
    """What is given replaces what was, the rest and the secret stay; off lifts."""
    secret = byte(
        "keys", "create", "alice", "--budget", "5/day", "--rpm", "60", "--owner", "A"
    ).stdout.strip()
    told = byte("keys", "update", "alice", "--budget", "7/week", "--tasks", "coding")
    assert told.stdout == "The key alice: byte/coding; 60 requests a minute; spends at most 7/week.\n"
    told = byte("keys", "update", "alice", "--budget", "off", "--rpm", "off", "--tasks", "*", "--json")
    assert {name: json.loads(told.stdout)[name] for name in ("budgets", "requests", "tasks", "owner")} == {
        "budgets": [], "requests": None, "tasks": [], "owner": "A",
    }  # fmt: skip
    assert keys.load().digests == {digest(secret): "alice"}


def test_rotate(byte, keys: SqliteKeys) -> None:
    """Another secret, alone on stdout; with a grace both are accepted."""
    first = byte("keys", "create", "alice").stdout.strip()
    told = byte("keys", "rotate", "alice", "--grace", "1h")
    assert SECRET.fullmatch(told.stdout)
    assert "The old one is accepted for 1h yet." in told.stderr
    assert set(keys.load().digests) == {digest(first), digest(told.stdout.strip())}
    last = byte("keys", "rotate", "alice", "--json")
    assert digest(json.loads(last.stdout)["secret"]) in keys.load().digests
    assert byte("keys", "rotate", "alice", "--grace", "long").exit_code == 2
    assert byte("keys", "rotate", "alice", "--grace", "32d").exit_code == 14


def test_revoke_and_forget(byte, keys: SqliteKeys) -> None:
    """A revoked one stays until it is forgotten; that the last one went is told."""
    byte("keys", "create", "alice")
    assert byte("keys", "revoke", "alice").stdout == "The key alice is revoked.\n"
    assert byte("keys", "revoke", "alice").stdout == "The key alice was revoked already.\n"
    told = byte("keys", "update", "alice", "--rpm", "3")
    assert told.stdout == "The key alice: everything; 3 requests a minute; revoked, so nobody can use it.\n"
    assert byte("keys", "rotate", "alice").exit_code == 14
    assert "the last one" in byte("keys", "forget", "alice").stderr
    assert keys.list() == ()


def test_aliases_are_resolved_and_slips_are_told(byte, keyed: Upstream, keys: SqliteKeys) -> None:
    """What a key may use is an id, which no later change of an alias moves; a pattern that fits nothing is warned of."""
    byte("models", "gpt")
    told = byte("keys", "create", "alice", "--models", "sonnet,opnai/*")
    assert told.exit_code == 0
    assert "no model of the catalogue is called opnai/*" in told.stderr
    assert keys.find("alice").models[0].startswith("~anthropic/")
    assert keys.find("alice").models[1] == "opnai/*"


def test_a_ledger_in_memory_keeps_no_key(byte, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be gone before it was used."""
    monkeypatch.setenv("BYTE_DATABASE_URL", "memory:")
    told = byte("keys", "create", "alice")
    assert (told.exit_code, told.stdout) == (14, "")
    assert "kept in memory" in told.stderr


def test_a_ledger_that_cannot_be_written(byte, home: Path) -> None:
    """Exit code 8, and no secret that opens nothing."""
    home.mkdir()
    (home / "ledger.db").mkdir()
    told = byte("keys", "create", "alice")
    assert (told.exit_code, told.stdout) == (8, "")
    assert "cannot be opened" in told.stderr


def test_a_secret_that_nobody_sees_is_taken_back(spawn, keys: SqliteKeys) -> None:
    """Where stdout takes nothing, the name stays free."""
    process = spawn("keys", "create", "alice", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # before it writes
    assert process.wait(30) != 0
    process.stderr.close()
    assert keys.list() == ()


def test_a_secret_stands_in_no_file(byte, home: Path) -> None:
    """Nor does the next list tell it."""
    secret = byte("keys", "create", "alice").stdout.strip()
    told = [byte("keys", *words).stdout for words in (("list",), ("show", "alice"), ("list", "--json"))]
    assert not any(secret in text for text in told)
    assert not any(secret.encode() in file.read_bytes() for file in home.rglob("*") if file.is_file())
    with sqlite3.connect(home / "ledger.db") as raw:
        assert raw.execute("select count(*) from secret").fetchone() == (1,)
    raw.close()


def test_what_means_nothing_to_an_admin(byte) -> None:
    """A budget of a key that asks no model is taken, and said to mean nothing."""
    assert "asks no model" in byte("keys", "create", "root", "--admin", "--budget", "5/day").stderr
    assert "asks no model" not in byte("keys", "create", "alice", "--budget", "5/day").stderr
    assert "asks no model" in byte("keys", "update", "alice", "--admin").stderr


@pytest.mark.parametrize(("said", "shown"), [("90s", "90s"), ("600", "10m"), ("10m", "10m"), ("24h", "1d")])
def test_a_span_is_shown_as_one(byte, said: str, shown: str) -> None:
    """For how long answers are kept reads as it was said."""
    byte("keys", "create", "alice", "--cache", said)
    line = next(one for one in byte("keys", "show", "alice").stdout.splitlines() if one.startswith("cache"))
    assert line.split() == ["cache", shown]
