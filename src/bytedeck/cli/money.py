"""What limits, budgets and the day's spend have to do with one question: for `-u`, `--explain`, and while it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..claims import SECOND, Denied, Granted, Later, Rules
from ..errors import LedgerError
from ..money import to_text
from ..standing import standings
from . import limits, tell
from .limits import span

if TYPE_CHECKING:
    from ..client import Hub
    from ..config import Config
    from ..house import Explanation, Outlook
    from ..standing import BudgetStanding, LimitStanding

_SPENT = {"day": "today (UTC)", "week": "this week", "month": "this month", "total": "in all"}


def today(hub: Hub) -> str:
    """`today (UTC) $0.42 of $5`: all that the ledger knows since midnight UTC; "" where it cannot be read."""
    paid = tuple(one for one in hub.house.rules.budgets if one.scope == "all")
    try:
        found = standings(hub.house.store, Rules(budgets=paid)).budgets
        # The periods come from the shortest to the longest.
        if found and found[0].budget.period == "day":
            return _of_budget(found[0])
        total = hub.usage("day", "today").total
    except LedgerError:
        return ""  # why is told as a warning
    parts = [f"{_SPENT['day']} ${to_text(total.cost_units)}"]
    if total.unknown:
        parts.append(f"not known yet: {tell.at_most(total)}")
    return " · ".join([*parts, *map(_of_budget, found[:1])])


def _of_budget(one: BudgetStanding) -> str:
    held = f", ${to_text(one.held_units)} held" if one.held_units else ""
    spent = f"{_SPENT[one.budget.period]} ${to_text(one.spent_units)}"
    return f"{spent}{held} of ${to_text(one.budget.units)}"


def explained(found: Explanation, config: Config) -> list[str]:
    """Lines of what limits and budgets say to the first model, and to the next ones as far as they would be asked."""
    lines = [*map(str, found.standing.budgets), *map(_limit, found.standing.limits)]
    patience = min(config.limit_wait, found.plan.timeouts.total)
    is_only = len(found.plan.candidates) == 1
    for place, one in enumerate(found.outlooks):
        told, is_over = _told(one, "It" if is_only else one.name, patience)
        if place and isinstance(one.verdict, Granted):
            lines.append(f"{one.name} would be asked.")
        lines += told
        if is_over:
            break
    return lines


def _told(one: Outlook, who: str, patience: float) -> tuple[list[str], bool]:
    """What a candidate would be told, and whether nobody else would be asked then."""
    match one.verdict:
        case Granted(warnings=warnings):
            return [f"Note: {warning}" for warning in warnings], True
        case Denied(why=why) if one.capped_at is not None:
            return [f"{who} would be asked with max_tokens {one.capped_at:,} at most: {why}"], True
        case Denied(why=why, again=again):
            return [_refused(who, why, again)], False
        case Later(why=why, wait=wait):
            if patience > 0 and wait <= patience * SECOND:
                return [f"{who} would wait{_time(wait)}: {why}"], True
            return [_refused(who, why, wait or None)], False


def _time(wait: int) -> str:
    return f" {span(wait / SECOND)}" if wait else ""


def _refused(who: str, why: str, again: int | None) -> str:
    later = "" if again is None else f" It can be asked again in {span(again / SECOND)}."
    return f"{who} would be refused: {why}{later}"


def _limit(one: LimitStanding) -> str:
    bucket = one.bucket
    whose = {"all": "", "model": f" to {bucket.of}", "key": f" with the key {bucket.of}"}
    rate = limits.rate(bucket.limit, bucket.measure)
    return f"{one.left:,} left of {rate}{whose.get(bucket.scope, f' of the task {bucket.of}')}."


def admission(one: Outlook) -> dict[str, Any]:
    """What one candidate would be told, for programs; `again` is seconds, or null where it may go at once, or nobody knows.

    `max_tokens`: to how many it would be lowered so that a budget pays for it; null where it would not be.
    """
    verdict, why, again = "granted", "", None
    match one.verdict:
        case Denied() as denied:
            verdict, why, again = "denied", denied.why, denied.again
        case Later() as later:
            verdict, why, again = "later", later.why, later.wait or None
    return {
        "verdict": verdict,
        "why": why,
        "again": None if again is None else again / SECOND,
        "max_tokens": one.capped_at,
    }
