"""The periods of budgets, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import Period
from bytedeck.guard.period import day_of, until_next

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _micros(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _begin(period: Period, when: datetime) -> datetime:
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if period == "month" else midnight


@settings(deadline=None)
@given(MOMENTS)
@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_the_calendar(period: Period, when: datetime) -> None:
    """A period is named by its first day in UTC, and ends where the next one begins, to the microsecond."""
    now = _micros(when)
    begin = _begin(period, when)
    assert day_of(period, now) == begin.date().isoformat()
    rest = until_next(period, now)
    assert rest is not None
    assert rest > 0
    following = when + timedelta(microseconds=rest)
    assert following == _begin(period, following)
    assert _begin(period, following - timedelta(microseconds=1)) == begin


@pytest.mark.parametrize(
    ("period", "when", "first", "rest"),
    [
        ("day", "2028-02-28T23:59:59", "2028-02-28", 1),
        ("day", "2028-02-29T00:00:00", "2028-02-29", 86_400),
        ("month", "2028-02-29T23:59:58", "2028-02-01", 2),
        ("month", "2027-12-31T23:00:00", "2027-12-01", 3600),
        ("week", "2026-03-01T23:59:59", "2026-02-23", 1),  # a Sunday
        ("week", "2026-03-02T00:00:00", "2026-03-02", 7 * 86_400),  # a Monday
        ("week", "2027-01-01T12:00:00", "2026-12-28", 2 * 86_400 + 43_200),
    ],
)
def test_edges(period: Period, when: str, first: str, rest: int) -> None:
    """Leap days, ends of years, and weeks that lie across them."""
    now = _micros(datetime.fromisoformat(when).replace(tzinfo=UTC))
    assert day_of(period, now) == first
    assert until_next(period, now) == rest * 1_000_000


def test_a_total_never_ends() -> None:
    """It has no first day, and no next one."""
    assert (day_of("total", 0), until_next("total", 0)) == ("", None)
