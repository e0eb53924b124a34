"""Limits and budgets as a settings file says them: `"10/minute"`, `daily = "5"`.

    [limits]
    per_model = "10/minute"                 # each model by itself
    requests = "100/minute"                 # all requests together; tokens likewise
    [limits.models."openai/*"]
    tokens = "100000/minute"
    [keys."…abcd".limits]                   # and [tasks.coding.limits]
    requests = "30/minute, burst 5"
    [budget]                                # and [keys."…abcd".budget], [tasks.coding.budget]
    daily = "5"
    monthly = "50 soft"                     # warns, and refuses nothing
    warn_percent = 90

Nothing reads these tables of a user's file yet: what is configured has to hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from ..claims import MOST_UNITS, Budget, Limit, Period, Rates, Rules, Scope
from ..money import to_text, to_units
from .document import Document
from .names import fold

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_LIMIT = re.compile(r"([0-9][0-9_]{0,19}) ?/ ?([a-z]+)(?:, ?burst ([0-9][0-9_]{0,19}))?")
_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,12})?)( soft)?")
_PERIODS: dict[str, Period] = {"daily": "day", "weekly": "week", "monthly": "month", "total": "total"}

WARN_PERCENT = 80

_A_LIMIT = 'expected a limit such as "10/minute" or "10/minute, burst 3", for a second, minute, hour or day'
_AN_AMOUNT = f'expected an amount in USD in quotes, such as "5", "0.50" or "5 soft", above 0 and up to {to_text(MOST_UNITS)}'


class _RatesTable(Struct, frozen=True, forbid_unknown_fields=True):
    requests: Any = UNSET
    tokens: Any = UNSET


class _LimitsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`."""

    requests: Any = UNSET
    tokens: Any = UNSET
    per_model: Any = UNSET
    models: dict[str, Any] = {}


class _BudgetTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[budget]`."""

    daily: Any = UNSET
    weekly: Any = UNSET
    monthly: Any = UNSET
    total: Any = UNSET
    warn_percent: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET


class _Owner(Struct, frozen=True):
    """Whose table it is, and where in the file it stands."""

    scope: Scope
    of: str
    table: Mapping[str, Any]
    path: tuple[str, ...]


def limit(text: str) -> Limit:
    """`10/minute` or `10/minute, burst 3` as a Limit. Raises ValueError that says what was expected."""
    found = _LIMIT.fullmatch(text.strip())
    if found is None or found[2] not in _SECONDS or (found[3] and _count(found[3]) == 0):
        raise ValueError(_A_LIMIT)
    try:
        return Limit(_count(found[1]), _SECONDS[found[2]], _count(found[3] or "0"))
    except ValueError as exc:
        raise ValueError(f"{_A_LIMIT}; {exc}") from None


def amount(said: object) -> tuple[int, bool]:
    """`5`, `"0.50"` or `"5 soft"` as units, and whether it is hard. Raises ValueError that says what was expected."""
    # A float is not exact, and True is an int.
    found = _AMOUNT.fullmatch(str(said).strip()) if type(said) in (str, int) else None
    units = to_units(found[1]) if found else 0
    if found is None or not 0 < units <= MOST_UNITS:
        raise ValueError(_AN_AMOUNT)
    return units, not found[2]


def rules(document: Document, tasks: Iterable[str]) -> Rules:
    """All limits and budgets of a settings file; `tasks` are the canonical names that there are.

    Raises ConfigError that tells file, line, path and what was expected.
    """
    owners = tuple(_owners(document, tasks))
    general = document.convert(document.data.get("limits", {}), _LimitsTable, "limits")
    return Rules(
        everything=_both(document, general, "limits"),
        models=tuple(_models(document, general)),
        keys=tuple(_rates(document, owners, "key")),
        tasks=tuple(_rates(document, owners, "task")),
        budgets=tuple(budget for owner in owners for budget in _budgets(document, owner)),
    )


def _owners(document: Document, tasks: Iterable[str]) -> Iterator[_Owner]:
    names = {fold(name): name for name in tasks}
    yield _Owner("all", "", document.data, ())
    for label, table in _tables(document, "keys"):
        yield _Owner("key", label, table, ("keys", label))
    for written, table in _tables(document, "tasks"):
        yield _Owner("task", names.get(fold(written), written), table, ("tasks", written))


def _tables(document: Document, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in document.convert(document.data.get(name, {}), dict[str, Any], name).items():
        yield key, document.convert(value, dict[str, Any], name, key)


def _models(document: Document, general: _LimitsTable) -> Iterator[tuple[str, Rates]]:
    """`per_model` is what holds for any model; a table of its own outweighs it."""
    if general.per_model is not UNSET:
        yield "*", Rates(requests=_limit(document, general.per_model, "limits", "per_model"))
    for pattern, value in general.models.items():
        path = ("limits", "models", pattern)
        if "/" not in pattern and "*" not in pattern:
            raise document.wrong(
                path, "expected a model id such as author/name, or a pattern such as author/*"
            )
        yield pattern, _both(document, document.convert(value, _RatesTable, *path), *path)


def _rates(document: Document, owners: Iterable[_Owner], scope: Scope) -> Iterator[tuple[str, Rates]]:
    for owner in owners:
        if owner.scope == scope and "limits" in owner.table:
            path = (*owner.path, "limits")
            table = document.convert(owner.table["limits"], _RatesTable, *path)
            yield owner.of, _both(document, table, *path)


def _both(document: Document, table: _RatesTable | _LimitsTable, *path: str) -> Rates:
    return Rates(
        requests=_limit(document, table.requests, *path, "requests"),
        tokens=_limit(document, table.tokens, *path, "tokens"),
    )


def _limit(document: Document, value: object, *path: str) -> Limit | None:
    if value is UNSET:
        return None
    if not isinstance(value, str):
        raise document.wrong(path, _A_LIMIT)
    try:
        return limit(value)
    except ValueError as exc:
        raise document.wrong(path, str(exc)) from exc


def _budgets(document: Document, owner: _Owner) -> Iterator[Budget]:
    path = (*owner.path, "budget")
    table = document.convert(owner.table.get("budget", {}), _BudgetTable, *path)
    warn = WARN_PERCENT if isinstance(table.warn_percent, UnsetType) else table.warn_percent
    for name, period in _PERIODS.items():
        said = getattr(table, name)
        if said is UNSET:
            continue
        try:
            units, hard = amount(said)
        except ValueError as exc:
            raise document.wrong((*path, name), str(exc)) from exc
        yield Budget(owner.scope, owner.of, period, units, hard, warn)


def _count(digits: str) -> int:
    return int(digits.replace("_", ""))
