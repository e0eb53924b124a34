"""The attempts of some requests, as both stores tell them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytedeck.errors import LedgerError
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Store
from marks import begin, intent, settlement, unknown

ONE, OTHER, THIRD = "0" * 31 + "1", "0" * 31 + "2", "0" * 30 + "10"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "ledger.db"))
    yield made
    made.close()


def test_attempts_of_requests(store: Store) -> None:
    """All attempts of the named requests and of no others, oldest first, as far as they are written."""
    for request, number in ((ONE, 1), (OTHER, 1), (THIRD, 1), (ONE, 2), (ONE, 11)):
        begin(store, intent(number, request))
    store.settle(settlement(1, ONE))
    store.settle(unknown(2, ONE))
    found = store.attempts((ONE, THIRD))
    assert [(row.request, row.number) for row in found] == [(ONE, 1), (THIRD, 1), (ONE, 2), (ONE, 11)]
    assert [row.spend_units for row in found] == [93_000_000, None, None, None]
    assert [row.state for row in found] == ["settled", "open", "awaiting", "open"]
    assert {row.worst_units for row in found} == {5_000_000}
    assert store.attempts(()) == []
    assert store.attempts(("nobody", "")) == []


def test_many_requests(store: Store) -> None:
    """More than a statement has parameters for."""
    begin(store, intent(1, ONE))
    assert len(store.attempts([f"{number:032x}" for number in range(40_000)])) == 1


def test_an_empty_ledger_has_none(tmp_path: Path) -> None:
    """A file that is not there is not made."""
    store = SqliteStore(str(tmp_path / "ledger.db"))
    assert store.attempts((ONE,)) == []
    assert not (tmp_path / "ledger.db").exists()


def test_a_damaged_ledger_says_so(tmp_path: Path) -> None:
    """In a LedgerError."""
    (tmp_path / "ledger.db").write_bytes(b"no database " * 100)
    with pytest.raises(LedgerError):
        SqliteStore(str(tmp_path / "ledger.db")).attempts((ONE,))
