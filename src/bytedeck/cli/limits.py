"""`byte limits`: how limits and budgets stand, and the quick way to set those of all requests together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..claims import Budget, Limit, Measure
    from ..config import Config
    from ..io.store import Store
    from ..standing import BudgetStanding, LimitStanding, Standings

PERIODS = {"daily": "a day", "weekly": "a week", "monthly": "a month", "total": "in all"}
_PER = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}
_SPANS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}
_SPANNED = {"daily": "in a day", "weekly": "in a week", "monthly": "in a month", "total": "in all"}
_ABOUT = "In USD, by all that share the ledger and these settings. What could pass it is not sent; soft only warns."
_BUDGETS = ("BUDGET", "", "SPENT", "HELD", "LEFT", "OF", "NEW IN")
_LIMITS = ("LIMIT", "LEFT", "OF", "FULL IN")
_BAR = 12
_WAYS = (
    ("byte limits daily 5", "at most $5 a day"),
    ("byte limits per-model 10/minute", "each model by itself"),
    ('byte limits monthly "50 soft"', "warns, and refuses nothing"),
)


@click.group("limits", invoke_without_command=True)
@as_json()
@click.pass_context
def command(ctx: click.Context, json_: bool) -> None:
    """Show how limits and budgets stand, or set one.

    What is left of each limit of requests or tokens, and when it is full again; what of each budget is spent, and what
    is held for attempts that run.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ..client import Hub

    with Hub() as hub:
        found = hub.limits.standing()
        config, store = hub.house.config, hub.house.store
        unknown = _unknown(found.budgets, store)
    where = store.location
    if json_:
        tell.out_json(_with_unknown(as_json_object(found), unknown))
    elif found.limits or found.budgets:
        tell.out(drawn(found, max(unknown, default=0)))
        tell.say(f"Ledger: {where}. Days are days in UTC.", dim=True)
    else:
        tell.out("There are no limits and no budgets.")
        tell.out(tell.table([(f"  {way}", what) for way, what in _WAYS]))
        tell.say(f"What else can be set: byte config. It goes into {config.file}", dim=True)


def _unknown(budgets: Sequence[BudgetStanding], store: Store) -> list[int]:
    """Of what counts as spent by each, the units that are worst cases, since nobody knows the cost (yet)."""
    report = cache(store.usage)  # many keys have a budget of one period
    found = []
    for one in budgets:
        scope, of = one.budget.scope, one.budget.of
        told = report("key" if scope == "key" else "task", one.since)
        lines = [told.total] if scope == "all" else [line for line in told.lines if line.label == of]
        # What runs has no cost yet, either; that is held.
        found.append(max(0, sum(line.worst_units for line in lines) - one.held_units))
    return found


def _with_unknown(told: dict[str, Any], unknown: list[int]) -> dict[str, Any]:
    from ..money import to_text

    for budget, units in zip(told["budgets"], unknown, strict=True):
        budget["unknown"] = to_text(units)
    return told


def _setter(name: str) -> click.Command:
    """`byte limits daily 5` and its like."""

    @click.command(
        name,
        context_settings={"ignore_unknown_options": True},
        help=f"Set what may be spent {_SPANNED[name]}: 5, 5 soft, or off.\n\n{_ABOUT}",
    )
    @click.argument("amount", nargs=-1, required=True, metavar="AMOUNT [soft]")
    def set_(amount: tuple[str, ...]) -> None:
        from ..config import load, set_budget

        changed = set_budget(load().file, name, _said(" ".join(amount)))
        _tell_set(load(), name, changed)

    return set_


def _said(text: str) -> str:
    """What is written into the file. Raises BadParameter for what is no budget."""
    from ..config.limits import AN_AMOUNT, amount

    said = text.strip().lower()
    try:
        if said != "off":
            amount(said)
    except ValueError as exc:
        raise click.BadParameter(f"it has to be {AN_AMOUNT}; or off.", param_hint="'AMOUNT'") from exc
    return said


@command.command("per-model", context_settings={"ignore_unknown_options": True})
@click.argument("limit", nargs=-1, required=True, metavar="LIMIT")
def per_model(limit: tuple[str, ...]) -> None:
    """Set how often each model may be asked, by itself: 10/minute, or off.

    For a second, minute, hour or day. After a pause so many get through at once; 10/minute, burst 1 paces them.
    """
    from ..config import load, set_per_model
    from ..config.limits import A_LIMIT
    from ..config.limits import limit as read

    said = " ".join(limit).strip().lower()
    try:
        held = None if said == "off" else read(said)
    except ValueError as exc:
        raise click.BadParameter(f"it has to be such as {A_LIMIT}; or off.", param_hint="'LIMIT'") from exc
    config = load()
    changed = set_per_model(config.file, said)
    now = "No limit for each model." if held is None else f"Each model by itself: {rate(held, 'requests')}."
    tell.out(("" if changed else "As it was: ") + now)
    tell.say(f"Settings file: {config.file}", dim=True)


for _name in PERIODS:
    command.add_command(_setter(_name))


def _tell_set(config: Config, name: str, changed: bool) -> None:
    """What holds now. Another source than the file may win."""
    source = config.where[f"budget.{name}"]
    held = [one for one in config.rules.budgets if one.scope == "all" and _PER[one.period] == PERIODS[name]]
    tell.out(
        ("" if changed else "As it was: ") + (sentence(held[0]) if held else f"There is no {name} budget.")
    )
    if not source.startswith(str(config.file)) and source != "default":
        tell.warn(f"{source} is set in the environment, and wins over {config.file}.")
    else:
        tell.say(f"Settings file: {config.file}", dim=True)


def sentence(budget: Budget) -> str:
    """What a budget does, for who has just set it."""
    from ..money import to_text

    amount = f"${to_text(budget.units)} {_PER[budget.period]}"
    if budget.hard:
        return f"At most {amount}. What could pass it is not sent."
    return f"A warning at {budget.warn_percent} % of {amount}. Nothing is refused."


def drawn(found: Standings, unknown: int) -> str:
    """How they stand, for a person. `unknown`: units of what is spent that are worst cases."""
    from ..money import to_text

    parts = []
    if found.budgets:
        rows = [_BUDGETS, *map(_budget_row, found.budgets)]
        parts.append(tell.table(rows, right=(2, 3, 4)))
    if unknown:
        what = f"${to_text(unknown)} of what is spent is the worst case of attempts whose cost is not known."
        parts.append(f"{what}\nTo ask for what it was: byte ledger reconcile")
    if found.limits:
        limits = (_limit_row(one, _is_for_others(one, found)) for one in found.limits)
        parts.append(tell.table([_LIMITS, *limits], right=(1,)))
    return "\n\n".join(parts)


def _budget_row(one: BudgetStanding) -> tuple[str, ...]:
    from ..ledger.report import bar
    from ..money import to_text

    used = min(one.spent_units + one.held_units, one.budget.units)
    again = "" if one.until is None else span((one.until - datetime.now(UTC)).total_seconds())
    return (
        f"{_PER[one.budget.period]}{_whose(one.budget.scope, one.budget.of)}",
        bar(used, one.budget.units, _BAR),
        f"${to_text(one.spent_units)}",
        f"${to_text(one.held_units)}",
        f"${to_text(one.left_units)}",
        f"${to_text(one.budget.units)}" + ("" if one.budget.hard else " soft"),
        again,
    )


def _limit_row(one: LimitStanding, is_for_others: bool) -> tuple[str, ...]:
    bucket = one.bucket
    return (
        _models(bucket.of, is_for_others)
        if bucket.scope == "model"
        else f"all{_whose(bucket.scope, bucket.of)}",
        f"{one.left:,}",
        rate(bucket.limit, bucket.measure),
        span(one.full_in) if one.full_in else "",
    )


def _whose(scope: str, of: str) -> str:
    return "" if scope == "all" else f", {scope} {of}"


def _models(of: str, is_for_others: bool) -> str:
    """A pattern stands for the models that have no line of their own."""
    if "*" not in of:
        return of
    which = "any other" if is_for_others else "each"
    return f"{which} model" if of == "*" else f"{which} {of}"


def _is_for_others(one: LimitStanding, found: Standings) -> bool:
    """Whether a pattern's limit stands beside models that were asked lately."""
    return any(
        other.bucket.scope == "model"
        and "*" not in other.bucket.of
        and other.bucket.limit == one.bucket.limit
        for other in found.limits
    )


def rate(limit: Limit, measure: Measure) -> str:
    """`10 requests a minute, 3 at once`."""
    from ..claims import noun

    per = _SPANS.get(limit.seconds, f"in {limit.seconds} s")
    at_once = f", {limit.at_once:,} at once" if limit.at_once != limit.count else ""
    return f"{limit.count:,} {noun(measure, limit.count)} {per}{at_once}"


def span(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h 12 min`, `8 days`."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 2880:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days"


def as_json_object(found: Standings) -> dict[str, Any]:
    """Amounts are decimal text in USD, times are seconds or ISO in UTC."""
    return {
        "limits": [_limit_json(one) for one in found.limits],
        "budgets": [_budget_json(one) for one in found.budgets],
    }


def _limit_json(one: LimitStanding) -> dict[str, Any]:
    bucket = one.bucket
    return {
        "measure": bucket.measure,
        "scope": bucket.scope,
        "of": bucket.of,
        "count": bucket.limit.count,
        "seconds": bucket.limit.seconds,
        "at_once": bucket.limit.at_once,
        "left": one.left,
        "full_in": one.full_in,
    }


def _budget_json(one: BudgetStanding) -> dict[str, Any]:
    from ..money import to_text

    return {
        "scope": one.budget.scope,
        "of": one.budget.of,
        "period": one.budget.period,
        "amount": to_text(one.budget.units),
        "hard": one.budget.hard,
        "warn_percent": one.budget.warn_percent,
        "spent": to_text(one.spent_units),
        "held": to_text(one.held_units),
        "left": to_text(one.left_units),
        "since": one.since.isoformat() if one.since else None,
        "until": one.until.isoformat() if one.until else None,
    }
