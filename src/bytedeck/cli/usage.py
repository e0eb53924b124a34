"""`byte usage`: what was spent, with bars and sparklines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..ledger.report import Line, Report

_BAR = 16


@click.command("usage")
@click.option(
    "--by",
    type=click.Choice(["task", "model", "key", "day"]),
    default="task",
    show_default=True,
    help="What the lines stand for.",
)
@click.option("--since", metavar="WHEN", help="7d, 24h, today, 2026-11-01 …  [default: from the beginning]")
@as_json()
def command(by: str, since: str | None, json_: bool) -> None:
    """Show what was spent."""  # fmt: skip
    from ..client import Hub
    from ..ledger.report import as_json as report_as_json
    from ..ledger.report import grouping

    with Hub() as hub:
        try:
            report = hub.usage(grouping(by), since)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="'--since'") from exc
        where = hub.house.store.location
    if json_:
        tell.out_json(report_as_json(report))
    elif report.lines:
        tell.out(_drawn(report))
    else:
        tell.out("Nothing was asked " + ("since then." if report.since else "so far."))
    if not json_:
        tell.say(f"Ledger: {where}. Days are days in UTC.", dim=True)


def _drawn(report: Report) -> str:
    """A line for each label, the total below, and what the numbers do not tell."""
    most = max(map(_weight(report), report.lines))
    heads = [report.by.upper(), "REQUESTS", "TOKENS", "COST", "", ""]
    rows = [_row(line, most, report) for line in report.lines]
    total = _row(report.total, 0, report)
    total[0] = "total"
    since = f"since {report.since:%Y-%m-%d %H:%M} UTC" if report.since else "from the beginning"
    lines = [f"Spent {since}", tell.table([heads, *rows, total], right=(1, 2, 3))]
    if report.total.unknown:
        lines.append(f"Not in the sums, as their cost is not known (yet): {_attempts(report.total.unknown)}.")
        lines.append(f"They may have cost {tell.at_most(report.total)}.")
    if report.total.estimated:
        lines.append(f"Partly or wholly estimated: {_attempts(report.total.estimated)}.")
    return "\n".join(lines)


def _weight(report: Report) -> Callable[[Line], int]:
    """What the bars measure: money, or tokens where nothing has cost anything."""
    return (lambda line: line.cost_units) if report.total.cost_units else (lambda line: line.tokens)


def _row(line: Line, most: int, report: Report) -> list[str]:
    from ..ledger.report import bar, spark
    from ..money import to_text

    # A report by day is its own trend.
    trend = spark(line.trend[-_room() :]) if report.by != "day" and len(line.trend) > 1 else ""
    return [
        line.label or "(none)",
        f"{line.requests:,}",
        f"{line.tokens:,}",
        f"${to_text(line.cost_units)}",
        bar(_weight(report)(line), most, _BAR),
        trend,
    ]


def _room() -> int:
    """How many days fit beside the columns."""
    return max(7, shutil.get_terminal_size().columns - 80)


def _attempts(count: int) -> str:
    return f"{count:,} attempt" + ("" if count == 1 else "s")
