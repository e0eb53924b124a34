"""`byte ledger`: whether the ledger is sound, costs that come later, and its rows for other programs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..ledger.entry import Row
    from ..ledger.report import Reconciled, Verification

# Rows that are written to stdout at once.
_AT_ONCE = 200


@click.group("ledger")
def command() -> None:
    """Look after the ledger."""


@command.command("verify")
@as_json()
@click.pass_context
def verify(ctx: click.Context, json_: bool) -> None:
    """Look through the whole ledger.

    Attempts whose process died are settled before, where the ledger can be written. The exit code is 0 where all is
    well, attempts that still await their cost included, and 8 where not.
    """
    from contextlib import suppress

    from ..client import Hub
    from ..errors import TABLE, LedgerError

    with Hub() as hub:
        with suppress(LedgerError):  # what is wrong with the file is told by what follows
            hub.house.store.sweep()
        found = hub.verify()
    if json_:
        tell.out_json(_verified_json(found))
    else:
        tell.out(_verified(found))
    ctx.exit(0 if found.ok else TABLE["ledger_failed"].exit_code)


@command.command("reconcile")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How long to wait for costs that may come any moment.",
)
@as_json()
@click.pass_context
def reconcile(ctx: click.Context, wait: float, json_: bool) -> None:
    """Ask OpenRouter what attempts have cost whose end did not tell it.

    Such as broke off, were left, or whose process died. Needs the API key. The exit code is 0 where all could be
    asked for, whether or not the cost is known by now.
    """
    from ..client import Hub

    with Hub() as hub:
        found = hub.reconcile(wait)
    for sentence in hub.house.store.lost:
        tell.warn(sentence)
    if json_:
        tell.out_json(_reconciled_json(found))
    else:
        tell.out(_reconciled(found))
    if found.stopped is not None:
        tell.failure(found.stopped)
        ctx.exit(found.stopped.exit_code)


@command.command("export")
@click.option(
    "--csv", "form", flag_value="csv", default="csv", help="Comma-separated, with a line of names.  [default]"
)
@click.option("--json", "form", flag_value="json", help="A JSON list, an attempt a line.")
@click.option("--since", metavar="WHEN", help="7d, 24h, today, 2026-11-01 …  [default: from the beginning]")
def export(form: str, since: str | None) -> None:
    """Print every attempt, oldest first, for other programs.

    Amounts are decimal text in USD, times are UTC. The columns stand in docs/ledger.md.
    """
    from datetime import UTC, datetime

    from ..client import Hub
    from ..ledger.report import parse_since

    try:
        start = parse_since(since, datetime.now(UTC)) if since is not None else None
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="'--since'") from exc
    with Hub() as hub:
        for text in _FORMS[form](hub.house.store.export(start)):
            tell.out(text, end="")


def _as_csv(rows: Iterable[Row]) -> Iterator[str]:
    import csv

    from ..ledger.export import COLUMNS, cells

    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for count, row in enumerate(rows, start=1):
        writer.writerow(cells(row))
        if count % _AT_ONCE == 0:
            yield page.getvalue()
            page.seek(0)
            page.truncate()
    yield page.getvalue()


def _as_json(rows: Iterable[Row]) -> Iterator[str]:
    import json

    from ..ledger.export import record

    page, before = "[", "\n"
    for count, row in enumerate(rows, start=1):
        page += before + json.dumps(record(row), ensure_ascii=False)
        before = ",\n"
        if count % _AT_ONCE == 0:
            yield page
            page = ""
    yield page + "\n]\n"


_FORMS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {"csv": _as_csv, "json": _as_json}


def _verified_json(found: Verification) -> dict[str, Any]:
    from ..money import to_text

    return {
        "ok": found.ok,
        "location": found.location,
        "attempts": found.attempts,
        "settled": found.settled,
        "awaiting": found.awaiting,
        "in_flight": found.in_flight,
        "orphaned": found.orphaned,
        "cost": to_text(found.cost_units),
        "unknown": found.unknown,
        "unknown_at_most": to_text(found.worst_units),
        "unbounded": found.unbounded,
        "problems": list(found.problems),
    }


def _verified(found: Verification) -> str:
    from ..money import to_text

    rows = [
        ("attempts", f"{found.attempts:,}", f"${to_text(found.cost_units)} together, as far as it is known"),
        ("settled", f"{found.settled:,}", ""),
        ("awaiting their cost", f"{found.awaiting:,}", "byte ledger reconcile asks for it"),
        ("in flight", f"{found.in_flight:,}", ""),
        ("orphaned", f"{found.orphaned:,}", "their process died before their end"),
        ("cost not known", f"{found.unknown:,}", f"of all these; {tell.at_most(found)}"),
    ]
    shown = [row[:2] if row[1] == "0" else row for row in rows]
    lines = [found.location, tell.table([(*row, "")[:3] for row in shown], right=(1,))]
    lines += [f"Problem: {problem}" for problem in found.problems]
    lines.append("All is well." if found.ok else f"Problems: {len(found.problems)}.")
    return "\n".join(lines)


def _reconciled_json(found: Reconciled) -> dict[str, Any]:
    from ..money import to_text

    return {
        "swept": found.swept,
        "found": found.found,
        "cost": to_text(found.cost_units),
        "unknown": found.unknown,
        "given_up": found.given_up,
        "error": found.stopped.code if found.stopped else None,
    }


def _reconciled(found: Reconciled) -> str:
    from ..money import to_text

    lines = []
    if found.swept:
        lines.append(f"Settled, as their process had died: {_attempts(found.swept)}.")
    if found.found:
        lines.append(f"Now known: {_attempts(found.found)}, ${to_text(found.cost_units)} together.")
    if found.unknown:
        lines.append(f"Not known yet: {_attempts(found.unknown)}. Ask again later.")
    if found.given_up:
        lines.append(f"Given up, as OpenRouter knows nothing of them: {_attempts(found.given_up)}.")
    return "\n".join(lines) or "No attempt awaits its cost."


def _attempts(count: int) -> str:
    return f"{count:,} attempt" + ("" if count == 1 else "s")
