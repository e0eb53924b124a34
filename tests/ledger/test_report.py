"""Questions over rows, and how the answers are drawn."""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bytedeck.ledger.report import TREND_DAYS, Tally, as_json, bar, build, grouping, parse_since, spark

DAY = 20_000  # 2024-10-04
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)


def tally(label: str, day: int = DAY, units: int = 0, **fields: int) -> Tally:
    """One label's day: one attempt, unless `fields` say otherwise."""
    values = {"attempts": 1, "prompt_tokens": 0, "completion_tokens": 0, "unknown": 0, "estimated": 0}
    return Tally(label=label, day=day, units=units, **(values | fields))


def test_days_of_a_label_are_added_up():
    """A line holds all days of its label; the total holds all lines."""
    report = build(
        "task",
        None,
        [
            tally("a", DAY, 5, prompt_tokens=10, completion_tokens=1, unknown=1),
            tally("a", DAY + 2, 7, estimated=1),
            tally("b", DAY + 2, 100),
        ],
        {"a": 2, "b": 1},
        2,
    )
    b, a = report.lines
    assert (a.label, a.requests, a.attempts, a.cost_units, a.tokens) == ("a", 2, 2, 12, 11)
    assert (a.unknown, a.estimated, a.trend) == (1, 1, (5, 0, 7))
    assert (b.label, b.trend) == ("b", (0, 0, 100))
    assert (report.total.requests, report.total.cost_units, report.total.trend) == (2, 112, (5, 0, 107))
    assert report.days == ("2024-10-04", "2024-10-05", "2024-10-06")


def test_days_come_in_their_order_and_all_else_dearest_first():
    """A report by day is a calendar; the others begin with what costs most."""
    tallies = [tally("", DAY + 1, 9), tally("", DAY, 10), tally("", DAY + 2, 1)]
    by_day = build("day", None, tallies, {"2024-10-04": 1}, 3)
    assert [line.label for line in by_day.lines] == ["2024-10-04", "2024-10-05", "2024-10-06"]
    assert by_day.lines[0].requests == 1
    by_model = build("model", None, [tally("x", units=1), tally("z", units=2), tally("y", units=2)], {}, 3)
    assert [line.label for line in by_model.lines] == ["y", "z", "x"]


def test_a_long_trend_ends_with_the_latest_day():
    """Years apart, the trend shows the last days and not thousands of them; the sums hold all."""
    report = build("task", None, [tally("a", DAY - 900, 5), tally("a", DAY, 7)], {"a": 1}, 1)
    assert len(report.days) == TREND_DAYS
    assert (report.lines[0].trend[-1], sum(report.lines[0].trend), report.total.cost_units) == (7, 7, 12)


def test_nothing_is_a_report_too():
    """An empty ledger has no lines and a total of nothing."""
    report = build("key", None, [], {}, 0)
    assert (report.lines, report.days, report.total.cost_units) == ((), (), 0)
    assert as_json(report)["total"]["cost"] == "0"


def test_json_has_costs_as_decimal_text():
    """Money leaves as text, to the last unit, never as a binary float."""
    report = build("task", NOW, [tally("a", DAY, 10**21 + 1)], {"a": 1}, 1)
    data = json.loads(json.dumps(as_json(report)))
    assert data["lines"][0]["cost"] == "1000000000.000000000001"
    assert data["lines"][0]["trend"] == ["1000000000.000000000001"]
    assert (data["by"], data["since"], data["days"]) == ("task", "2026-11-22T15:30:00+00:00", ["2024-10-04"])


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([0, 0], "··"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([0, 1, 10**30], "·▁█"),
        ([7], "█"),
        ([1, 2], "▄█"),
    ],
)
def test_spark(values, drawn):
    """One sign a value: the largest is full, the smallest still shows, nothing is a dot."""
    assert spark(values) == drawn


@pytest.mark.parametrize(
    ("value", "most", "width", "drawn"),
    [
        (0, 10, 5, ""),
        (10, 10, 5, "█████"),
        (99, 10, 5, "█████"),
        (5, 10, 5, "██▌"),
        (1, 10**30, 5, "▏"),
        (10**30, 10**30, 3, "███"),
        (1, 0, 5, ""),
        (1, 1, 0, ""),
    ],
)
def test_bar(value, most, width, drawn):
    """A bar in eighths of a character, never wider than asked for."""
    assert bar(value, most, width) == drawn


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24h", NOW - timedelta(hours=24)),
        (" 90M ", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
        ("today", datetime(2026, 11, 22, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T18:30", datetime(2026, 11, 1, 18, 30, tzinfo=UTC)),
        ("2026-11-01T18:30+02:00", datetime(2026, 11, 1, 16, 30, tzinfo=UTC)),
    ],
)
def test_since(text, when):
    """The ways to say since when."""
    assert parse_since(text, NOW) == when


def test_days_begin_in_the_zone_of_now():
    """`today` is the caller's today, and a date begins in the caller's zone."""
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))  # 00:30 on the 23rd
    assert parse_since("today", tokyo) == datetime(2026, 11, 22, 15, tzinfo=UTC)
    assert parse_since("2026-11-23", tokyo) == datetime(2026, 11, 22, 15, tzinfo=UTC)
    berlin = datetime(2026, 10, 25, 12, tzinfo=ZoneInfo("Europe/Berlin"))  # clocks went back at 3
    assert parse_since("today", berlin) == datetime(2026, 10, 24, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "7", "d", "-7d", "7 days", "2026-13-01", "999999d", "1.5h", "٣d"]
)
def test_since_that_cannot_be_understood(text):
    """Anything else is refused with examples."""
    with pytest.raises(ValueError, match=r"Examples: 7d, 24h, today"):
        parse_since(text, NOW)


def test_grouping():
    """An unknown grouping is refused with the known ones."""
    assert [grouping(by) for by in ("task", "model", "key", "day")] == ["task", "model", "key", "day"]
    with pytest.raises(ValueError, match="task, model, key, day"):
        grouping("colour")
