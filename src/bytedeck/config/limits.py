"""Limits and budgets as a settings file says them: `"10/minute"`, `daily = "5"`.

    [limits]
    per_model = "10/minute"                 # each model by itself
    requests = "100/minute"                 # all requests together; tokens likewise
    wait = 60                               # seconds, before a request is refused
    [limits.models."openai/*"]
    tokens = "100000/minute"
    [keys."…abcd".limits]                   # and [tasks.coding.limits]
    requests = "30/minute, burst 5"
    [budget]                                # and [keys."…abcd".budget], [tasks.coding.budget]
    daily = "5"
    monthly = "50 soft"                     # warns, and refuses nothing
    warn_percent = 90

`rules` reads them, `settings` tells them again, `whence` tells where each stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..claims import MOST_UNITS, Budget, Limit, Period, Rates, Rules, Scope
from ..money import to_text, to_units
from .document import LONGEST_LABEL, Document, dotted
from .names import fold, key_label

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_LIMIT = re.compile(r"([0-9][0-9_]{0,19}) ?/ ?([a-z]+)(?:, ?burst ([0-9][0-9_]{0,19}))?")
_AMOUNT = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,12})?)(?: (soft|hard))?")
_TABLES = ("limits", "budget")
_ANY_MODEL = ("limits", "models", "*", "requests")
PERIODS: dict[str, Period] = {"daily": "day", "weekly": "week", "monthly": "month", "total": "total"}

WARN_PERCENT = 80
WAIT = 60.0
"""Seconds that a request waits for a limit, or for money that running ones hold."""

A_LIMIT = "10/minute or 10/minute, burst 3, for a second, minute, hour or day"
AN_AMOUNT = f"USD above 0 and up to {to_text(MOST_UNITS)}, such as 5, 0.50 or 5 soft"
"""What is expected of a person who types it."""
_A_LIMIT = 'expected a limit such as "10/minute" or "10/minute, burst 3", for a second, minute, hour or day'
_AN_AMOUNT = f'expected an amount in USD in quotes, such as "5", "0.50" or "5 soft", above 0 and up to {to_text(MOST_UNITS)}'
_A_LABEL = 'expected a key as `byte usage --by key` calls it, such as "…6789" or a virtual key\'s name'


class _RatesTable(Struct, frozen=True, forbid_unknown_fields=True):
    requests: Any = UNSET
    tokens: Any = UNSET


class LimitsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`."""

    requests: Any = UNSET
    tokens: Any = UNSET
    per_model: Any = UNSET
    wait: Annotated[float, Meta(ge=0, le=86400)] | UnsetType = UNSET
    models: dict[str, Any] = {}


class BudgetTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[budget]`."""

    daily: Any = UNSET
    weekly: Any = UNSET
    monthly: Any = UNSET
    total: Any = UNSET
    warn_percent: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET

    @property
    def warn_at(self) -> int:
        """In percent."""
        return WARN_PERCENT if isinstance(self.warn_percent, UnsetType) else self.warn_percent


class _Owner(Struct, frozen=True):
    """Whose limits and budgets a table holds, and where in the file it stands."""

    scope: Scope
    of: str
    table: Mapping[str, Any]
    path: tuple[str, ...]
    """As it is written in the file."""


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
    """`5`, `"0.50"`, `"$5"` or `"5 soft"` as units, and whether it is hard. Raises ValueError that says what was expected."""
    # A float is not exact, and True is an int.
    found = _AMOUNT.fullmatch(str(said).strip()) if type(said) in (str, int) else None
    units = to_units(found[1]) if found else 0
    if found is None or not 0 < units <= MOST_UNITS:
        raise ValueError(_AN_AMOUNT)
    return units, found[2] != "soft"


def rules(document: Document, tasks: Iterable[str]) -> Rules:
    """All limits and budgets of a settings file; `tasks` are the canonical names that there are.

    Raises ConfigError that tells file, line, path and what was expected.
    """
    owners = tuple(_owners(document, tasks))
    _check_twice(document, owners)
    general = document.convert(document.data.get("limits", {}), LimitsTable, "limits")
    return Rules(
        everything=_both(document, general, "limits"),
        models=tuple(_models(document, general)),
        keys=tuple(_rates(document, owners, "key")),
        tasks=tuple(_rates(document, owners, "task")),
        budgets=tuple(budget for owner in owners for budget in _budgets(document, owner)),
    )


def with_daily(found: Rules, said: str, table: BudgetTable) -> Rules:
    """The same with another daily budget of all together; without one where it says `off`. Raises ValueError."""
    others = tuple(one for one in found.budgets if (one.scope, one.period) != ("all", "day"))
    if said.lower() != "off":
        units, hard = amount(said)
        others = (Budget("all", "", "day", units, hard, table.warn_at), *others)
    return msgspec.structs.replace(found, budgets=others)


def settings(rules: Rules) -> Iterator[tuple[str, str]]:
    """Each limit and each budget again: its path in the file, and its value as it could be written there."""
    yield from _rate_settings(("limits",), rules.everything)
    for pattern, rates in rules.models:
        yield from _rate_settings(("limits", "models", pattern), rates)
    for label, rates in rules.keys:
        yield from _rate_settings(("keys", label, "limits"), rates)
    for task, rates in rules.tasks:
        yield from _rate_settings(("tasks", task, "limits"), rates)
    names = {period: name for name, period in PERIODS.items()}
    for one in rules.budgets:
        path = (*_own_path(one.scope, one.of), "budget")
        yield _name(*path, names[one.period]), amount_text(one.units, one.hard)
        if one.warn_percent != WARN_PERCENT:
            yield _name(*path, "warn_percent"), str(one.warn_percent)


def whence(document: Document, tasks: Iterable[str]) -> dict[str, str]:
    """Where in the file each limit and each budget stands, by the names of `settings`. For a file that `rules` took."""
    return {
        _name(*_own_path(owner.scope, owner.of), table, *leaf): document.place((*owner.path, table, *leaf))
        for owner in _owners(document, tasks)
        for table in _TABLES
        for leaf in _leaves(owner.table.get(table, {}))
    }


def amount_text(units: int, hard: bool) -> str:
    """`5` or `5 soft`."""
    return to_text(units) if hard else f"{to_text(units)} soft"


def limit_text(one: Limit) -> str:
    """`10/minute` or `10/minute, burst 3`."""
    span = next(name for name, seconds in _SECONDS.items() if seconds == one.seconds)
    return f"{one.count}/{span}" + (f", burst {one.burst}" if one.burst else "")


def _rate_settings(path: tuple[str, ...], rates: Rates) -> Iterator[tuple[str, str]]:
    if rates.requests is not None:
        yield _name(*path, "requests"), limit_text(rates.requests)
    if rates.tokens is not None:
        yield _name(*path, "tokens"), limit_text(rates.tokens)


def _name(*path: str) -> str:
    return "limits.per_model" if path == _ANY_MODEL else dotted(path)


def _own_path(scope: Scope, of: str) -> tuple[str, ...]:
    return () if scope == "all" else (f"{scope}s", of)


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((key, *below) for below in _leaves(value))
        else:
            yield (key,)


def _owners(document: Document, tasks: Iterable[str]) -> Iterator[_Owner]:
    names = {fold(name): name for name in tasks}
    yield _Owner("all", "", document.data, ())
    for written, table in _tables(document, "keys"):
        yield _Owner("key", _label(document, written), table, ("keys", written))
    for written, table in _tables(document, "tasks"):
        yield _Owner("task", names.get(fold(written), written), table, ("tasks", written))


def _tables(document: Document, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of keys or tasks that hold limits or budgets."""
    for key, value in document.convert(document.data.get(name, {}), dict[str, Any], name).items():
        table = document.convert(value, dict[str, Any], name, key)
        if any(one in table for one in _TABLES):
            yield key, table


def _label(document: Document, written: str) -> str:
    """A key's label as the rows have it. One that no key can have would limit nothing."""
    label = key_label(written)
    if not label:
        is_key = len(written) > LONGEST_LABEL
        raise document.wrong(("keys", written), _A_LABEL + ("; not the key itself" if is_key else ""))
    return label


def _check_twice(document: Document, owners: Iterable[_Owner]) -> None:
    """Two spellings of one name would be two limits of one."""
    first: dict[tuple[Scope, str], _Owner] = {}
    for owner in owners:
        other = first.setdefault((owner.scope, owner.of), owner)
        if other is not owner:
            raise document.wrong(
                owner.path, f"this is `{dotted(other.path)}`, which has limits or budgets already"
            )


def _models(document: Document, general: LimitsTable) -> Iterator[tuple[str, Rates]]:
    """`per_model` is what holds for any model; a table of its own outweighs it."""
    if general.per_model is not UNSET:
        yield "*", Rates(requests=_limit(document, general.per_model, "limits", "per_model"))
    for pattern, value in general.models.items():
        path = ("limits", "models", pattern)
        if "/" not in pattern and "*" not in pattern:
            raise document.wrong(
                path, "expected a model id such as author/name, or a pattern such as author/*"
            )
        rates = document.convert(value, _RatesTable, *path)
        if pattern == "*" and UNSET not in (general.per_model, rates.requests):
            raise document.wrong((*path, "requests"), "`limits.per_model` says this already")
        yield pattern, _both(document, rates, *path)


def _rates(document: Document, owners: Iterable[_Owner], scope: Scope) -> Iterator[tuple[str, Rates]]:
    for owner in owners:
        if owner.scope == scope and "limits" in owner.table:
            path = (*owner.path, "limits")
            table = document.convert(owner.table["limits"], _RatesTable, *path)
            yield owner.of, _both(document, table, *path)


def _both(document: Document, table: _RatesTable | LimitsTable, *path: str) -> Rates:
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
    table = document.convert(owner.table.get("budget", {}), BudgetTable, *path)
    for name, period in PERIODS.items():
        said = getattr(table, name)
        if said is UNSET:
            continue
        try:
            units, hard = amount(said)
        except ValueError as exc:
            raise document.wrong((*path, name), str(exc)) from exc
        yield Budget(owner.scope, owner.of, period, units, hard, table.warn_at)


def _count(digits: str) -> int:
    return int(digits.replace("_", ""))
