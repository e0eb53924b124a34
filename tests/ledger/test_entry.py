"""The rows of an attempt."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from bytedeck.ledger.entry import Opened, Reconciliation, cost_problem, instant, join, lost, micros, moment
from bytedeck.types import Usage
from marks import intent, settlement, unknown

AT = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ended", "cost", "quality", "generation", "found", "expected"),
    [
        (False, None, "unknown", "", False, "open"),
        (False, None, "unknown", "gen-1", False, "open"),
        (True, None, "unknown", "gen-1", False, "awaiting"),
        (True, None, "unknown", "", False, "settled"),
        (True, None, "unknown", "gen-1", True, "settled"),
        (True, 5, "estimated", "gen-1", False, "awaiting"),
        (True, 5, "estimated", "", False, "settled"),
        (True, 5, "estimated", "gen-1", True, "settled"),
        (True, 0, "reported", "gen-1", False, "settled"),
        (True, 5, "reported", "", False, "settled"),
    ],
)
def test_state(ended, cost, quality, generation, found, expected):
    """A row is final once its cost is known for sure, was given up, or nobody is left to tell it."""
    end = settlement(cost_units=cost, cost_text="", quality=quality, generation_id=generation)
    told = Reconciliation(attempt=intent().attempt, cost_units=None) if found else None
    row = join(
        intent(), 0, "", None, end if ended else None, 1 if ended else None, told, 2 if found else None
    )
    assert row.state == expected


@pytest.mark.parametrize(
    ("model", "generation", "cost", "quality", "expected"),
    [
        ("m/one", "gen-1", None, "unknown", "awaiting"),
        ("m/one", "", None, "unknown", "settled"),
        ("local/smollm2-135m", "", 0, "reported", "settled"),
    ],
)
def test_lost(model, generation, cost, quality, expected):
    """What a dead process left: its cost may still be told, or nobody knows it; on this machine it is nothing."""
    row = join(intent(model=model), 0, "", None, lost(intent().attempt, model, generation), 1)
    assert (row.outcome, row.cost_units, row.quality, row.state) == ("lost", cost, quality, expected)


def test_join_of_an_intent_alone():
    """Before anything came back there are only the intent's fields, and no cost is claimed."""
    row = join(intent(), instant(AT), "12-34", None, None, None)
    assert (row.at, row.owner, row.model, row.streamed) == (AT, "12-34", "m/one", True)
    assert (row.state, row.quality, row.cost, row.generation_id) == ("open", "unknown", None, "")


def test_join_takes_the_generation_id_from_either_mark():
    """A settlement without the generation's id does not lose the one that was marked."""
    opened = Opened("a", "gen-opened")
    assert join(intent(), 0, "", opened, None, None).generation_id == "gen-opened"
    assert join(intent(), 0, "", opened, unknown(generation_id=""), 1).generation_id == "gen-opened"
    assert join(intent(), 0, "", opened, settlement(), 1).generation_id == "gen-1"
    assert join(intent(), 0, "", opened, unknown(generation_id=""), 1).state == "awaiting"


def test_spend_counts_the_providers_bill_only_with_an_own_key():
    """`upstream_inference_cost` is added for BYOK rows and for no others."""
    for is_byok, spend in ((True, 93_000_007), (False, 93_000_000)):
        usage = Usage(upstream_units=7, is_byok=is_byok)
        row = join(intent(), 0, "", None, settlement(usage=usage), 1)
        assert row.spend_units == spend
    assert row.cost == Decimal("0.000093")


@pytest.mark.parametrize("when", [AT, datetime(1970, 1, 1, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)])
def test_moments_are_exact(when):
    """A moment survives being stored to the microsecond, whatever its zone."""
    assert moment(instant(when)) == when
    assert instant(when.astimezone(timezone(timedelta(hours=-9)))) == instant(when)


def test_a_moment_without_a_zone_is_refused():
    """A time that might mean any zone is not guessed at."""
    with pytest.raises(TypeError):
        instant(datetime(2026, 1, 1))  # noqa: DTZ001


def test_durations_are_whole_microseconds():
    """No floats in the ledger."""
    assert micros(0.1 + 0.2) == 300_000


@pytest.mark.parametrize(
    ("units", "text", "wrong"),
    [
        (93_000_000, "0.000093", None),
        (93_000_000, "9.3E-5", None),
        (0, "0", None),
        (5, "", None),
        (None, "", None),
        (2, "0.0000000000025", None),  # more than twelve decimals: half-even
        (3, "0.0000000000025", "says 3 units"),
        (None, "0.1", "says None units"),
        (-1, "", "negative"),
        (1, "lots", "no amount of money"),
        (1, "NaN", "no amount of money"),
    ],
)
def test_cost_problem(units, text, wrong):
    """A stored cost is its text in units, and not negative."""
    found = cost_problem("a-1", units, text)
    assert found is None if wrong is None else wrong in (found or "")
