"""`byte ledger`: whether the ledger is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..ledger.report import Verification


@click.group("ledger")
def command() -> None:
    """Look after the ledger."""


@command.command("verify")
@as_json()
@click.pass_context
def verify(ctx: click.Context, json_: bool) -> None:
    """Look through the whole ledger.

    The exit code is 0 where all is well, attempts that still await their cost included, and 8 where not.
    """
    from ..client import Hub
    from ..errors import TABLE

    with Hub() as hub:
        found = hub.verify()
    if json_:
        tell.out_json(_as_json(found))
    else:
        tell.out(_drawn(found))
    ctx.exit(0 if found.ok else TABLE["ledger_failed"].exit_code)


def _as_json(found: Verification) -> dict[str, Any]:
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
        "problems": list(found.problems),
    }


def _drawn(found: Verification) -> str:
    from ..money import to_text

    rows = [
        ("attempts", f"{found.attempts:,}", ""),
        ("settled", f"{found.settled:,}", f"${to_text(found.cost_units)} together"),
        ("awaiting their cost", f"{found.awaiting:,}", "known to the upstream, by their generation ids"),
        ("in flight", f"{found.in_flight:,}", ""),
        ("orphaned", f"{found.orphaned:,}", "their process died before their end"),
    ]
    shown = [row[:2] if row[1] == "0" else row for row in rows]
    lines = [found.location, tell.table([(*row, "")[:3] for row in shown], right=(1,))]
    lines += [f"Problem: {problem}" for problem in found.problems]
    lines.append("All is well." if found.ok else f"Problems: {len(found.problems)}.")
    return "\n".join(lines)
