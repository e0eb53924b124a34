"""The periods of budgets, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import Period
from bytedeck.guard.period import bounds, until_next

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def _begin(period: Period, when: datetime) -> datetime:
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if period == "month" else midnight


@settings(deadline=None)
@given(MOMENTS)
@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_the_calendar(period: Period, when: datetime) -> None:
    """A period begins on its first day in UTC, and ends where the next one begins, to the microsecond."""
    now = _micros(when)
    since, until = bounds(period, now)
    assert since == _micros(_begin(period, when))
    assert since <= now < until
    assert until_next(period, now) == until - now
    following = EPOCH + timedelta(microseconds=until)
    assert _begin(period, following) == following
    assert _begin(period, following - timedelta(microseconds=1)) == _begin(period, when)
    assert bounds(period, since) == bounds(period, until - 1) == (since, until)
    assert bounds(period, until)[0] == until
    assert bounds(period, since - 1)[1] == since


@pytest.mark.parametrize(
    ("period", "when", "first", "rest"),
    [
        ("day", "2028-02-28T23:59:59", "2028-02-28", 1),
        ("day", "2028-02-29T00:00:00", "2028-02-29", 86_400),
        ("month", "2028-02-29T23:59:58", "2028-02-01", 2),
        ("month", "2027-02-28T23:59:58", "2027-02-01", 2),
        ("month", "2100-02-28T23:59:58", "2100-02-01", 2),  # no leap year
        ("month", "2027-12-31T23:00:00", "2027-12-01", 3600),
        ("month", "2027-01-31T23:00:00", "2027-01-01", 3600),
        ("week", "2026-03-01T23:59:59", "2026-02-23", 1),  # a Sunday
        ("week", "2026-03-02T00:00:00", "2026-03-02", 7 * 86_400),  # a Monday
        ("week", "2027-01-01T12:00:00", "2026-12-28", 2 * 86_400 + 43_200),
        ("week", "1970-01-01T00:00:00", "1969-12-29", 4 * 86_400),
        ("day", "1969-12-31T23:59:59", "1969-12-31", 1),  # a clock that was never set
    ],
)
def test_edges(period: Period, when: str, first: str, rest: int) -> None:
    """Leap days, ends of years, and weeks that lie across them."""
    now = _micros(datetime.fromisoformat(when).replace(tzinfo=UTC))
    since, until = bounds(period, now)
    assert since == _micros(datetime.fromisoformat(first).replace(tzinfo=UTC))
    assert until - now == until_next(period, now) == rest * 1_000_000


@pytest.mark.parametrize("at", [0, 1, 1_760_000_000_000_000, 4_102_444_800_000_000])
def test_a_total_never_ends(at: int) -> None:
    """It has always been the same one, and no next one follows."""
    since, until = bounds("total", at)
    assert (since, until_next("total", at)) == (0, None)
    assert at + 1000 * 366 * 86_400_000_000 < until < 2**63
