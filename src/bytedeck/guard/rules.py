"""Which limits and budgets an attempt comes under."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from ..callers import Caller
from ..claims import Bucket, Budget, Claim, Rates, Rules, Scope
from ..types import Intent

NONE = Rules()
"""Nothing is limited."""
_NO_RATES = Rates()


def beside(rules: Rules, caller: Caller | None) -> Rules:
    """What is configured, and what the key that asks has of its own: both hold."""
    if caller is None or (caller.rates == _NO_RATES and not caller.budgets):
        return rules
    return _with_one(rules, caller)


@lru_cache(maxsize=1024)
def _with_one(rules: Rules, caller: Caller) -> Rules:
    return with_callers(rules, (caller,))


def with_callers(rules: Rules, callers: Iterable[Caller]) -> Rules:
    """The same with the limits and budgets that these keys have of their own."""
    callers = tuple(callers)
    budgets = (*rules.budgets, *(budget for one in callers for budget in one.budgets))
    rated = ((one.name, one.rates) for one in callers if one.rates != _NO_RATES)
    return replace(rules, keys=(*rules.keys, *rated), budgets=tuple(dict.fromkeys(budgets)))


def claim(
    rules: Rules, intent: Intent, tokens: int, *, model: str = "", is_local: bool = False
) -> Claim | None:
    """What an attempt claims; None where nothing limits it. What runs on this machine costs nothing.

    `tokens`: what it may use, by estimate. `model`: what the model is called in the catalogue, whatever name it is
    asked by.
    """
    if rules == NONE:
        return None
    takes = buckets(rules, model or intent.model, intent.key, intent.task)
    pays = () if is_local else budgets(rules, intent.key, intent.task)
    if not takes and not pays:
        return None
    return Claim(
        buckets=takes,
        budgets=pays,
        tokens=tokens,
        units=intent.worst_units,
        discreet=bool(intent.upstream_key),
    )


@lru_cache(maxsize=1024)
def budgets(rules: Rules, key: str, task: str) -> tuple[Budget, ...]:
    """The budgets that pay for a task's request with a key."""
    whose = {"all": "", "key": key, "task": task}
    return tuple(one for one in rules.budgets if one.of == whose.get(one.scope))


@lru_cache(maxsize=1024)
def buckets(rules: Rules, model: str, key: str, task: str) -> tuple[Bucket, ...]:
    """The buckets that a request to a model takes from. A key has two of a kind where the settings and the key itself
    tell different limits."""
    of: tuple[tuple[Scope, str, Rates], ...] = (
        ("all", "", rules.everything),
        ("model", model, _of_model(rules, model)),
        *(("key", key, rates) for label, rates in rules.keys if label == key),
        *(("task", task, rates) for name, rates in rules.tasks if name == task),
    )
    found = []
    for scope, name, rates in of:
        if rates.requests is not None:
            found.append(Bucket("requests", scope, name, rates.requests))
        if rates.tokens is not None:
            found.append(Bucket("tokens", scope, name, rates.tokens))
    return tuple(dict.fromkeys(found))


def _of_model(rules: Rules, model: str) -> Rates:
    """The rates of a model, each from the closest row that tells it: the id itself, then the longest pattern."""
    rows = [row for row in rules.models if fits(row[0], model)]
    rows.sort(key=lambda row: (row[0] == model, len(row[0])), reverse=True)
    return Rates(
        requests=next((rates.requests for _, rates in rows if rates.requests is not None), None),
        tokens=next((rates.tokens for _, rates in rows if rates.tokens is not None), None),
    )


def fits(pattern: str, model: str) -> bool:
    """Whether a model's id fits a pattern, in which only `*` has a meaning: anything, also nothing."""
    return pattern == model or ("*" in pattern and _compiled(pattern).fullmatch(model) is not None)


@lru_cache(maxsize=4096)  # re's own cache holds 512, and settings may have more
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))
