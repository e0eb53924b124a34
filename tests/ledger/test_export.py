"""The rows for other programs: exact, complete, documented."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bytedeck.ledger.entry import Reconciliation, Row, instant, join, lost
from bytedeck.ledger.export import COLUMNS, cells, record
from bytedeck.types import Usage
from marks import intent, settlement

AT = instant(datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC))
ROW = join(intent(), AT, "12-34-ab", None, settlement(seconds=0.0000015), AT + 1_876_544)


def test_amounts_are_text_and_moments_are_utc() -> None:
    """Never a binary float for money, never a time that may mean any zone."""
    told = record(ROW)
    assert (told["cost"], told["cost_text"], told["spend"], told["worst"]) == (
        *("0.000093", "0.000093", "0.000093"),
        "0.000005",
    )
    assert (told["at"], told["settled_at"]) == ("2026-11-22T12:30:15.123456Z", "2026-11-22T12:30:17.000000Z")
    assert (told["streamed"], told["is_byok"], told["state"]) == (True, False, "settled")
    assert json.loads(json.dumps(told)) == told


def test_cells_say_the_same() -> None:
    """Columns in one order; booleans as words, seconds without an exponent."""
    told = dict(zip(COLUMNS, cells(ROW), strict=True))
    assert (told["streamed"], told["is_byok"], told["seconds"], told["first_token"]) == (
        *("true", "false"),
        *("0.000002", "0.250000"),
    )
    assert (told["cost"], told["number"], told["at"]) == ("0.000093", "1", "2026-11-22T12:30:15.123456Z")


def test_what_is_not_known_is_nothing() -> None:
    """Neither 0 nor a word."""
    row = join(intent(worst_units=None), AT, "", None, lost(intent().attempt, "m/one", ""), AT)
    unknown = ("cost", "spend", "worst", "upstream_cost", "first_token", "reconciled_at")
    assert {record(row)[name] for name in unknown} == {None}
    assert {dict(zip(COLUMNS, cells(row), strict=True))[name] for name in unknown} == {""}


def test_a_spend_with_ones_own_key() -> None:
    """The charge and the provider's bill stand apart, and together."""
    usage = Usage(upstream_units=36_000_000_000, is_byok=True)
    found = Reconciliation(
        attempt=intent().attempt, cost_units=1_800_000_000, cost_text="0.0018", usage=usage
    )
    told = record(join(intent(), AT, "", None, settlement(cost_units=None, cost_text=""), AT, found, AT))
    assert (told["cost"], told["upstream_cost"], told["spend"], told["quality"]) == (
        *("0.0018", "0.036", "0.0378"),
        "reconciled",
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_documented(name: str) -> None:
    """In docs/ledger.md, with its meaning, so that nobody has to guess."""
    page = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text("utf-8")
    assert f"| `{name}` | {COLUMNS[name].meaning} |" in page


def test_no_field_is_left_out() -> None:
    """Every field of a row is in a column, by its own name or in units' place as decimal text."""
    renamed = {"cost_units": "cost", "upstream_units": "upstream_cost", "worst_units": "worst"}
    assert {renamed.get(name, name) for name in Row.__struct_fields__} | {"state", "spend"} == set(COLUMNS)
