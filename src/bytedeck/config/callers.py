"""Virtual keys as a person says them, at the terminal or to the admin API, and as they are told again.

Budgets are `5/day`, limits `60/minute`, spans `30d`: the forms of the settings file, and its sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ..callers import Caller, Role
from ..claims import MOST_UNITS, Budget, Limit, Period, Rates
from ..errors import InvalidRequest
from ..money import to_text
from .limits import WARN_PERCENT, amount, limit, limit_text

_BUDGET = re.compile(r"(\S+?)(?: ?/ ?| an? | in )(day|week|month|total|all)(?: (soft|hard))?")
_PERIODS: dict[str, Period] = {
    "day": "day",
    "week": "week",
    "month": "month",
    "total": "total",
    "all": "total",
}
_SPAN = re.compile(r"([0-9]{1,9}) ?(s|m|h|d|w)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NEVER = ("never", "off", "none")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

A_BUDGET = f'a budget such as 5/day, 0.50/week, "50/month soft" or 100/total, in USD above 0 and up to {to_text(MOST_UNITS)}'
A_SPAN = "a span such as 90s, 10m, 12h, 30d or 4w"
AN_EXPIRY = "a span such as 12h, 30d or 4w; a day such as 2027-01-31, which begins in UTC; or never"

LIFTED = {
    "models": "'*' allows all",
    "tasks": "'*' allows all",
    "budgets": "off takes all budgets away",
    "requests": "off lifts the limit",
    "tokens": "off lifts the limit",
    "expires": "never is the word for no end",
}
"""How each is lifted in so many words: an empty text may be a variable that nobody has set, and lifts nothing."""


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of a key. UNSET: nothing, so it stays as it is."""

    role: Role | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    """Ids, aliases, or patterns with `*`; none at all or `*`: every one."""
    tasks: tuple[str, ...] | UnsetType = UNSET
    """Names or aliases; none at all or `*`: every one."""
    requests: str | UnsetType | None = UNSET
    """`60/minute`; None or `off`: no limit."""
    tokens: str | UnsetType | None = UNSET
    budgets: tuple[str, ...] | UnsetType = UNSET
    """`5/day`, `50/month soft`: all that there are to be; no text at all or `off`: none."""
    expires: str | UnsetType | None = UNSET
    """`30d`, `2027-01-31`, an ISO 8601 moment; None or `never`."""
    cache: str | int | UnsetType | None = UNSET
    """`10m`, or seconds; None or `off`: as the task says."""


def apply(
    caller: Caller,
    said: Said,
    *,
    task: Callable[[str], str],
    model: Callable[[str], str],
    now: int,
) -> Caller:
    """The key as it is said to be. `now`: microseconds since 1970.

    `task`: a task's name → its canonical one, or UnknownTask. `model`: a model's name → the id that it stands for.
    Raises InvalidRequest that says what was expected.
    """
    _refuse_empty(said)
    return replace(
        caller,
        role=_or(said.role, caller.role),
        owner=_or(said.owner, caller.owner),
        tags=caller.tags if said.tags is UNSET else tuple(dict.fromkeys(said.tags)),
        models=caller.models if said.models is UNSET else _every(said.models, lambda one: _model(one, model)),
        tasks=caller.tasks if said.tasks is UNSET else _every(said.tasks, task),
        rates=Rates(
            requests=_rate("requests", said.requests, caller.rates.requests),
            tokens=_rate("tokens", said.tokens, caller.rates.tokens),
        ),
        budgets=caller.budgets if said.budgets is UNSET else tuple(_budgets(said.budgets, caller.name)),
        expires=caller.expires if said.expires is UNSET else expiry(said.expires, now),
        cache=caller.cache if said.cache is UNSET else _cache(said.cache),
    )


def told(caller: Caller, now: int) -> dict[str, Any]:
    """A key for JSON, in the words of `Said`; moments are ISO 8601 in UTC. Its secret nobody knows."""
    return {
        "name": caller.name,
        "role": caller.role,
        "state": caller.state(now),
        "hint": f"…{caller.hint}",
        "owner": caller.owner,
        "tags": list(caller.tags),
        "models": list(caller.models),
        "tasks": list(caller.tasks),
        "requests": None if caller.rates.requests is None else limit_text(caller.rates.requests),
        "tokens": None if caller.rates.tokens is None else limit_text(caller.rates.tokens),
        "budgets": [budget_text(one) for one in caller.budgets],
        "cache": caller.cache,
        "created": moment_text(caller.created),
        "expires": None if caller.expires is None else moment_text(caller.expires),
        "revoked": None if caller.revoked is None else moment_text(caller.revoked),
    }


def budget(said: str, name: str) -> Budget:
    """`5/day`, `$5 a day`, `50/month soft`, `100 in all` as the budget of a key. Raises ValueError."""
    found = _BUDGET.fullmatch(said.strip())
    if found is None:
        raise ValueError(f"expected {A_BUDGET}")
    try:
        units, hard = amount(f"{found[1]} {found[3] or 'hard'}")
    except ValueError:
        raise ValueError(f"expected {A_BUDGET}") from None
    return Budget("key", name, _PERIODS[found[2]], units, hard, WARN_PERCENT)


def budget_text(one: Budget) -> str:
    """`5/day` or `50/month soft`."""
    return f"{to_text(one.units)}/{one.period}" + ("" if one.hard else " soft")


def seconds(said: str) -> int:
    """`10m`, `12h`, `30d`; without a letter, seconds. Raises ValueError."""
    found = _SPAN.fullmatch(said.strip().lower())
    if found is None:
        raise ValueError(f"expected {A_SPAN}")
    return int(found[1]) * _SECONDS[found[2] or "s"]


def expiry(said: str | None, now: int) -> int | None:
    """From when on a key is not accepted, in microseconds since 1970; None: never. Raises InvalidRequest."""
    if said is None or said.strip().lower() in _NEVER:
        return None
    word = said.strip()
    try:
        if _SPAN.fullmatch(word.lower()) and not word.isdigit():
            return now + seconds(word) * 1_000_000
        when = datetime.fromisoformat(word)
    except ValueError:
        raise InvalidRequest(f"expires: expected {AN_EXPIRY}.") from None
    found = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    if found <= now:
        raise InvalidRequest(f"expires: {word} is in the past.")
    return found


def moment_text(microseconds: int) -> str:
    """ISO 8601 in UTC, to the second."""
    return (_EPOCH + timedelta(seconds=microseconds // 1_000_000)).isoformat().replace("+00:00", "Z")


def _refuse_empty(said: Said) -> None:
    for field, how in LIFTED.items():
        value = getattr(said, field)
        if isinstance(value, str) and not value.strip():
            raise InvalidRequest(f"{field}: it is empty; {how}.")
        if isinstance(value, tuple) and not all(map(str.strip, value)):
            raise InvalidRequest(f"{field}: one of them is empty; {how}.")


def _or(said: Any, before: Any) -> Any:
    return before if said is UNSET else said


def _every(said: Sequence[str], named: Callable[[str], str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(named(one.strip()) for one in said if one.strip() != "*"))
    return () if any(one.strip() == "*" for one in said) else names


def _model(said: str, named: Callable[[str], str]) -> str:
    """The id that goes upstream: what an alias stands for may change, and what a key may use may not."""
    found = said if "*" in said else named(said)
    if found.startswith("byte/"):
        raise InvalidRequest(f"models: {said} is a task; say it among the tasks.")
    if "/" not in found and "*" not in found:
        raise InvalidRequest(
            f"models: expected a model's id such as author/name, or a pattern such as author/*, and not {said!r}."
        )
    return found


def _rate(what: str, said: str | UnsetType | None, before: Limit | None) -> Limit | None:
    if isinstance(said, UnsetType):
        return before
    if said is None or said.strip().lower() in _NEVER:
        return None
    try:
        return limit(said)
    except ValueError as exc:
        raise InvalidRequest(f"{what}: {exc}.") from exc


def _budgets(said: Sequence[str], name: str) -> Iterator[Budget]:
    for one in said:
        if one.strip().lower() in _NEVER:
            continue
        try:
            yield budget(one, name)
        except ValueError as exc:
            raise InvalidRequest(f"budgets: {exc}.") from exc


def _cache(said: str | int | UnsetType | None) -> int:
    if said is None or isinstance(said, UnsetType) or str(said).strip().lower() in ("", *_NEVER):
        return 0
    try:
        return seconds(str(said))
    except ValueError as exc:
        raise InvalidRequest(f"cache: {exc}.") from exc
