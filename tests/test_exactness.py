"""Money to the last unit: what an answer says, what our ledger says and what the simulator charged are one figure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bytedeck.cli.outcome import as_json, took
from bytedeck.simulator import Simulator
from exactness import COUNTS, ROWS, WAYS, Books, Shape, differences, expected, play, units


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """Its records are there at once; its clock stands still."""
    with Simulator(frozen=True, generation_delay=0.0) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bytedeck.call.retry.FIRST_BACKOFF", 0.001)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_three_books_and_one_figure(name: str, way: str, sim: Simulator, tmp_path: Path) -> None:
    """Streamed or called, blocking or async: the same cost, to the unit, in the answer, our ledger and the upstream's."""
    shape = ROWS[name]
    books = play(sim, shape, way, tmp_path)
    _attempts(shape, way, books)
    _answer(books)
    _ledger(shape, way, books)


def _attempts(shape: Shape, way: str, books: Books) -> None:
    """Who was asked, and how each cost is known right afterwards."""
    wanted = expected(shape, way)
    assert [one.outcome for one in books.reply.attempts] == wanted.attempts
    assert [row.outcome for row in books.rows] == wanted.attempts
    assert [row.quality for row in books.rows] == wanted.known
    assert (books.error == "") is shape.whole


def _answer(books: Books) -> None:
    """The reply and what the command line makes of it say what the ledger said at that moment."""
    reply, rows = books.reply, books.rows
    assert [one.cost_units for one in reply.attempts] == [row.spend_units for row in rows]
    spent = _sum(row.spend_units for row in rows)
    told = _sum(row.spend_units for row in rows if row.quality == "reported")
    assert reply.cost == (None if spent is None else Decimal(spent).scaleb(-12))
    assert (reply.usage and reply.usage.spend_units) == told
    shown = as_json(reply)
    assert _units(shown["cost"]) == _shown(took(reply)) == spent
    assert _units((shown["usage"] or {}).get("cost")) == told
    for count in COUNTS if reply.usage is not None else ():
        assert getattr(reply.usage, count) == sum(getattr(row, count) for row in rows)


def _shown(line: str) -> int | None:
    """The amount in the line of `byte -u`."""
    found = re.search(r"\$([0-9.]+)(?: \((?:partial|estimated)\))? · ", line)
    assert (found is None) is ("cost not known yet" in line)
    return _units(found and found[1])


def _sum(amounts: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _units(text: str | None) -> int | None:
    return None if text is None else units(text)


def _ledger(shape: Shape, way: str, books: Books) -> None:
    """What is known is right; in the end all of it is known, and nothing was charged that we do not have."""
    for row in (*books.rows, *books.all_rows):
        if row.cost_units is not None:
            assert differences(row, books.charges[row.generation_id]) == []
    assert [row.state for row in books.final] == ["settled"] * len(books.final)
    assert sum(row.spend_units or 0 for row in books.final) == expected(shape, way).spend
    assert {row.generation_id for row in books.all_rows} == set(books.charges)
    assert books.reported == sum(row.spend_units or 0 for row in books.all_rows)
    assert books.problems == ()
