"""`byte ledger`: costs that come later, and the rows for other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bytedeck.io.owner import this_owner
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.sqlite_rows import INSERTS
from bytedeck.ledger.export import COLUMNS
from bytedeck.types import Intent
from marks import begin, intent, settlement, unknown
from upstream import Answer, Upstream, error


def _record(cost: str) -> Answer:
    text = f'{{"data": {{"usage": {cost}, "is_byok": false}}}}'.encode()
    return Answer(headers=(("Content-Type", "application/json"),), steps=(text,), chunked=False)


@pytest.fixture
def store(home: Path):
    """The ledger that the command reads."""
    store = SqliteStore(str(home / "ledger.db"))
    yield store
    store.close()


def _fill(store: SqliteStore, count: int = 1, generation: str = "gen-{}") -> None:
    for number in range(1, count + 1):
        begin(store, intent(number))
        store.settle(unknown(number, generation_id=generation.format(number)))
    store.flush()


def test_costs_that_come_later(byte, keyed: Upstream, store: SqliteStore) -> None:
    """They are told, and stand in what was spent; the second time there is nothing to ask for."""
    keyed.on("/generation", _record("0.1"), _record("0.25"))
    _fill(store, 2)
    result = byte("ledger", "reconcile")
    assert (result.exit_code, result.stdout) == (0, "Now known: 2 attempts, $0.35 together.\n")
    assert byte("ledger", "reconcile").stdout == "No attempt awaits its cost.\n"
    assert "$0.35" in byte("usage").stdout
    told = json.loads(byte("ledger", "verify", "--json").stdout)
    assert (told["cost"], told["unknown"], told["awaiting"]) == ("0.35", 0, 0)


def test_costs_that_do_not_come_yet(byte, keyed: Upstream, store: SqliteStore) -> None:
    """That is no failure."""
    keyed.on("/generation", error(404))
    _fill(store)
    result = byte("ledger", "reconcile", "--wait", "0")
    assert (result.exit_code, result.stdout) == (0, "Not known yet: 1 attempt. Ask again later.\n")
    told = json.loads(byte("ledger", "reconcile", "--wait", "0", "--json").stdout)
    assert told == {"swept": 0, "found": 0, "cost": "0", "unknown": 1, "given_up": 0, "error": None}


@pytest.mark.parametrize(("answer", "code", "exit_code"), [(error(401), "authentication", 10), (error(429), "rate_limited", 13)])  # fmt: skip
def test_who_may_not_ask_is_told(byte, keyed, store, answer: Answer, code: str, exit_code: int) -> None:
    """With the exit code of the error, and how many are left."""
    keyed.on("/generation", answer)
    _fill(store, 3)
    result = byte("ledger", "reconcile", "--wait", "0")
    assert (result.exit_code, result.stdout) == (exit_code, "Not known yet: 3 attempts. Ask again later.\n")
    assert "Error:" in result.stderr
    result = byte("ledger", "reconcile", "--wait", "0", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]) == (exit_code, code)


def test_without_a_key(byte, upstream: Upstream, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence and what to do; where nothing is to be asked for, none is needed."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", upstream.url)
    assert byte("ledger", "reconcile").exit_code == 0
    _fill(store)
    result = byte("ledger", "reconcile")
    assert result.exit_code == 10
    assert "only to who has an API key" in result.stderr
    assert "byte keys set" in result.stderr
    assert upstream.requests == []


@pytest.mark.parametrize("wait", ["-1", "soon"])
def test_a_wait_that_is_none(byte, wait: str) -> None:
    """Wrong usage, before anything is asked."""
    assert byte("ledger", "reconcile", "--wait", wait).exit_code == 2


def test_what_a_dead_process_left(byte, keyed: Upstream, store: SqliteStore, monkeypatch) -> None:
    """Both commands settle it first, and say so."""
    keyed.on("/generation", _record("0.1"))
    _, encode = INSERTS[Intent]
    dead = this_owner().replace("-", "-9", 1)
    monkeypatch.setitem(INSERTS, Intent, ("begin", lambda row, at, _: encode(row, at, dead)))
    begin(store, intent(1))
    begin(store, intent(2))
    store.mark(intent(2).attempt, "gen-2")
    store.flush()
    result = byte("ledger", "reconcile")
    assert result.stdout.splitlines() == [
        "Settled, as their process had died: 2 attempts.",
        "Now known: 1 attempt, $0.1 together.",
    ]
    begin(store, intent(3))
    told = json.loads(byte("ledger", "verify", "--json").stdout)
    assert (told["orphaned"], told["settled"], told["unknown"]) == (0, 3, 2)
    assert (told["unknown_at_most"], told["unbounded"]) == ("0.00001", 0)
    assert (
        "cost not known       2  of all these; at most $0.00001 together" in byte("ledger", "verify").stdout
    )


def test_unknown_costs_are_told_alike(byte, store: SqliteStore) -> None:
    """By `byte usage` and by `byte ledger verify` the same number, and the same bound."""
    _fill(store, 2, generation="")
    begin(store, intent(3, worst_units=None))
    store.flush()
    usage, verified = byte("usage").stdout, byte("ledger", "verify").stdout
    assert "not known (yet): 3 attempts." in usage
    for text in (usage, verified):
        assert "at most $0.00001 together, but for 1 without a bound" in text
    told = json.loads(byte("usage", "--json").stdout)["total"]
    assert (told["unknown"], told["unknown_at_most"], told["unbounded"]) == (3, "0.00001", 1)


def test_a_cost_without_any_bound(byte, store: SqliteStore) -> None:
    """No sum is told where there is none."""
    begin(store, intent(worst_units=None))
    store.flush()
    assert "any amount: no known price bounds it" in byte("usage").stdout


def _exported(byte, *args: str) -> str:
    result = byte("ledger", "export", *args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_export(byte, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows, oldest first, as CSV and as JSON alike, however they are cut into pages."""
    monkeypatch.setattr("bytedeck.cli.ledger._AT_ONCE", 2)
    for number in range(1, 6):
        begin(store, intent(number, task='a "task", with\na line'))
        store.settle(settlement(number))
    store.flush()
    listed = json.loads(_exported(byte, "--json"))
    assert [row["number"] for row in listed] == [1, 2, 3, 4, 5]
    assert {row["cost"] for row in listed} == {"0.000093"}
    rows = list(csv.DictReader(io.StringIO(_exported(byte, "--csv"))))
    assert list(rows[0]) == list(listed[0]) == list(COLUMNS)
    for row, other in zip(rows, listed, strict=True):
        assert [row[name] for name in ("attempt", "task", "at", "cost", "spend")] == [
            other[name] for name in ("attempt", "task", "at", "cost", "spend")
        ]
    assert _exported(byte) == _exported(byte, "--csv")
    assert len(_exported(byte, "--json").splitlines()) == 7


def test_export_since(byte, store: SqliteStore) -> None:
    """From a moment on; a moment that is none is refused."""
    _fill(store)
    assert len(json.loads(_exported(byte, "--json", "--since", "1h"))) == 1
    assert json.loads(_exported(byte, "--json", "--since", "2100-01-01")) == []
    assert _exported(byte, "--since", "2100-01-01") == ",".join(COLUMNS) + "\n"
    result = byte("ledger", "export", "--since", "soon")
    assert result.exit_code == 2
    assert "7d" in result.stderr


def test_export_of_nothing(byte, home: Path) -> None:
    """No ledger yet: an empty list, and no file is made for it."""
    assert json.loads(_exported(byte, "--json")) == []
    assert not (home / "ledger.db").exists()


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_a_reader_that_leaves(spawn, store: SqliteStore, form: str) -> None:
    """`| head -1`: no word, no traceback; the code is the shells' for a closed pipe."""
    for number in range(1, 3001):
        store.begin(intent(number), id)
        store.settle(settlement(number))
    store.flush()
    process = spawn("ledger", "export", form)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=20) == 141
