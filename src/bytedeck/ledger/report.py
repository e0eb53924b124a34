"""Questions over the rows: what was spent by task, model, key or day, and how to draw it as text.

Pure: the store adds up and gives tallies, the caller gives the time now. Sums stay whole
units of money; only `as_json` turns them into decimal text. Days are days in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args

from msgspec import Struct

from ..errors import ByteError
from ..money import to_text

By = Literal["task", "model", "key", "day"]
"""What a report may be grouped by. `model` is the one that was asked."""

TREND_DAYS = 60
"""How many days back a line's trend goes at most: more would not fit on a terminal's line."""

_EIGHTHS_UP = "▁▂▃▄▅▆▇█"
_EIGHTHS_RIGHT = "▏▎▍▌▋▊▉█"
_FIRST_DAY = date(1970, 1, 1).toordinal()
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"([0-9]{1,6})\s*([mhdw])")


class Tally(NamedTuple):
    """What a store adds up for one label on one day."""

    label: str
    day: int
    """Days since 1970. Where the report is by day, the label is ""."""
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    units: int
    """Sum of the known costs, the provider's bill included where the key was one's own."""
    unknown: int
    """Attempts whose cost is not known (yet): they run, await it, or nobody is left to tell it."""
    estimated: int
    """Attempts whose cost is partial or estimated."""
    worst_units: int = 0
    """Sum of the worst cases of those whose cost is not known, where there is one."""
    unbounded: int = 0
    """How many of them have none."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of a report."""

    label: str
    """The task, model, key or day (`2026-11-22`); "" where the rows name none."""
    requests: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_units: int = 0
    """Sum of the known costs."""
    unknown: int = 0
    """Attempts whose cost is not known (yet), and so not in the sum."""
    worst_units: int = 0
    """What those may have cost at most, but for the `unbounded` ones among them."""
    unbounded: int = 0
    estimated: int = 0
    trend: tuple[int, ...] = ()
    """Units spent on each of the report's `days`."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Report(Struct, frozen=True, kw_only=True):
    """What was spent, line by line: days in their order, all else dearest first."""

    by: By
    since: datetime | None
    lines: tuple[Line, ...]
    total: Line
    """Over all rows. A request with two models counts in two lines and once here."""
    days: tuple[str, ...] = ()
    """The days of the lines' trends, without gaps."""


class Verification(Struct, frozen=True, kw_only=True):
    """What a look through the whole ledger found."""

    location: str
    attempts: int = 0
    settled: int = 0
    awaiting: int = 0
    """Settled without a cost, which the generation's id can still tell. Not an error."""
    in_flight: int = 0
    """Not settled, and their process lives."""
    orphaned: int = 0
    """Not settled, and their process is gone. Not an error of the ledger's."""
    cost_units: int = 0
    """Sum of the known costs."""
    unknown: int = 0
    """Attempts whose cost is not known (yet), whatever their state: the same ones that a report counts."""
    worst_units: int = 0
    """What those may have cost at most, but for the `unbounded` ones among them."""
    unbounded: int = 0
    owed: int = 0
    """Rows of this process that could not be written yet. The first problem says why."""
    problems: tuple[str, ...] = ()
    """One sentence each."""

    @property
    def ok(self) -> bool:
        return not self.problems


class Reconciled(Struct, frozen=True, kw_only=True):
    """What came of asking the upstream for costs that attempts did not bring."""

    swept: int = 0
    """Attempts of processes that had died, settled now."""
    found: int = 0
    cost_units: int = 0
    """What those cost together, the provider's bill included where the key was one's own."""
    unknown: int = 0
    """Attempts that still await their cost: to be asked for later."""
    given_up: int = 0
    """Attempts of which the upstream knows nothing, and never will."""
    stopped: ByteError | None = None
    """Why not all could be asked for; None: all were."""


def build(
    by: By, since: datetime | None, tallies: Sequence[Tally], requests: Mapping[str, int], total: int
) -> Report:
    """A report from what a store added up.

    `requests` counts the different requests by label (by day: `2026-11-22`), `total` all of them: a
    request with two models counts in two lines.
    """
    days = _days({tally.day for tally in tallies})
    groups: dict[str, list[Tally]] = {}
    for tally in tallies:
        label = day_text(tally.day) if by == "day" else tally.label
        groups.setdefault(label, []).append(tally)
    lines = [_line(label, group, requests.get(label, 0), days) for label, group in groups.items()]
    lines.sort(key=(lambda line: line.label) if by == "day" else _dearest)
    return Report(
        by=by,
        since=since,
        lines=tuple(lines),
        total=_line("total", tallies, total, days),
        days=tuple(map(day_text, days)),
    )


def grouping(by: str) -> By:
    """The word as a grouping. Raises ValueError that names the possible ones."""
    for known in get_args(By):
        if by == known:
            return by  # type: ignore[return-value]  # it is one of them
    raise ValueError(f"Usage cannot be grouped by {by!r}; possible: {', '.join(get_args(By))}.")


def as_json(report: Report) -> dict[str, Any]:
    """The report as data for JSON: costs as decimal text in USD."""
    return {
        "by": report.by,
        "since": report.since.isoformat() if report.since else None,
        "lines": [_line_json(line) for line in report.lines],
        "total": _line_json(report.total),
        "days": list(report.days),
    }


def spark(values: Sequence[int]) -> str:
    """Values ≥ 0 as a line of bars, one character each; nothing is a dot: `▁·▃█`."""
    most = max(values, default=0)
    # Rounded up, so that the smallest sum still shows.
    return "".join(_EIGHTHS_UP[-(-8 * value // most) - 1] if value > 0 else "·" for value in values)


def bar(value: int, most: int, width: int) -> str:
    """A bar of at most `width` characters in steps of an eighth: full at `most`, empty at 0."""
    if value <= 0 or most <= 0 or width <= 0:
        return ""
    eighths = max(1, 8 * width * min(value, most) // most)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS_RIGHT[rest - 1] if rest else "")


def parse_since(text: str, now: datetime) -> datetime:
    """`7d`, `24h`, `today`, `2026-11-01` and the like → the moment that is meant.

    `now` has a time zone; days begin in it. Raises ValueError, with examples, for anything else.
    """
    word = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word == "today":
        return midnight
    if word == "yesterday":
        return midnight - timedelta(days=1)
    try:
        if ago := _AGO.fullmatch(word):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        when = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(
            f"Not a time that can be understood: {text!r}. "
            "Examples: 7d, 24h, today, yesterday, 2026-11-01, 2026-11-01T18:30."
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=now.tzinfo)


def day_text(day: int) -> str:
    """Days since 1970 → `2026-11-22`."""
    return date.fromordinal(_FIRST_DAY + day).isoformat()


def _line(label: str, tallies: Sequence[Tally], requests: int, days: Sequence[int]) -> Line:
    spent: dict[int, int] = {}
    for tally in tallies:
        spent[tally.day] = spent.get(tally.day, 0) + tally.units
    return Line(
        label=label,
        requests=requests,
        attempts=sum(tally.attempts for tally in tallies),
        prompt_tokens=sum(tally.prompt_tokens for tally in tallies),
        completion_tokens=sum(tally.completion_tokens for tally in tallies),
        cost_units=sum(tally.units for tally in tallies),
        unknown=sum(tally.unknown for tally in tallies),
        worst_units=sum(tally.worst_units for tally in tallies),
        unbounded=sum(tally.unbounded for tally in tallies),
        estimated=sum(tally.estimated for tally in tallies),
        trend=tuple(spent.get(day, 0) for day in days),
    )


def _dearest(line: Line) -> tuple[int, int, str]:
    return -line.cost_units, -line.attempts, line.label


def _days(seen: set[int]) -> Sequence[int]:
    """Every day from the first to the last, the latest `TREND_DAYS` of them."""
    if not seen:
        return ()
    return range(max(min(seen), max(seen) - TREND_DAYS + 1), max(seen) + 1)


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "label": line.label,
        "requests": line.requests,
        "attempts": line.attempts,
        "tokens": line.tokens,
        "prompt_tokens": line.prompt_tokens,
        "completion_tokens": line.completion_tokens,
        "cost": to_text(line.cost_units),
        "unknown": line.unknown,
        "unknown_at_most": to_text(line.worst_units),
        "unbounded": line.unbounded,
        "estimated": line.estimated,
        "trend": [to_text(units) for units in line.trend],
    }
