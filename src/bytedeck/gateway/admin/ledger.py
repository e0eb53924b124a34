"""What was spent and asked, by the admin API: questions to the ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...config.limits import limit_text
from ...ledger.entry import Wanted
from ...ledger.export import record
from ...ledger.report import Line, parse_since
from ...money import to_text
from ...standing import BudgetStanding, LimitStanding
from ..asgi import Refused
from .asked import Asked
from .shapes import BudgetTold, Limits, LimitTold, Requests, Usage, UsageLine

_UNPROCESSABLE = 422


async def usage(asked: Asked) -> Usage:
    """What was spent, by task, model, key or day."""
    found = await asked.app.hub.usage(asked.query.by, _since(asked.query.since))
    return Usage(
        by=found.by,
        since=_moment(found.since),
        lines=[_line(one) for one in found.lines],
        total=_line(found.total),
    )


async def requests(asked: Asked) -> Requests:
    """The latest attempts."""
    query, store = asked.query, asked.app.hub.house.store
    wanted = Wanted(
        key=query.key, task=query.task, model=query.model, outcome=query.outcome, before=query.before
    )
    found = await asyncio.to_thread(store.rows, query.limit, None, wanted)
    is_more = len(found) == query.limit
    return Requests(data=[record(row) for row in found], next=found[-1].attempt if is_more else None)


async def limits(asked: Asked) -> Limits:
    """How all limits and budgets stand."""
    found = await asyncio.to_thread(asked.app.hub.house.standing)
    return Limits(
        limits=[_limit(one) for one in found.limits], budgets=[_budget(one) for one in found.budgets]
    )


def _since(said: str) -> datetime | None:
    try:
        return parse_since(said, datetime.now(UTC)) if said else None
    except ValueError as exc:
        raise Refused(_UNPROCESSABLE, str(exc), field="since") from exc


def _moment(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat().replace("+00:00", "Z")


def _line(line: Line) -> UsageLine:
    return UsageLine(
        label=line.label,
        requests=line.requests,
        attempts=line.attempts,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
        cost=to_text(line.cost_units),
        unknown=line.unknown,
        worst=to_text(line.worst_units),
        estimated=line.estimated,
    )


def _limit(one: LimitStanding) -> LimitTold:
    bucket = one.bucket
    return LimitTold(
        scope=bucket.scope,
        of=bucket.of,
        measure=bucket.measure,
        limit=limit_text(bucket.limit),
        left=one.left,
        full_in=one.full_in,
    )


def _budget(one: BudgetStanding) -> BudgetTold:
    budget = one.budget
    told: dict[str, Any] = {
        "scope": budget.scope,
        "of": budget.of,
        "period": budget.period,
        "budget": to_text(budget.units),
        "is_hard": budget.hard,
        "spent": to_text(one.spent_units),
        "held": to_text(one.held_units),
        "left": to_text(one.left_units),
        "since": _moment(one.since),
        "until": _moment(one.until),
    }
    return msgspec.convert(told, BudgetTold)
