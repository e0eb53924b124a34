"""The ledger's rows for other programs: what each column is called, what it means, and how its values are written.

Amounts are decimal text in USD, moments ISO 8601 in UTC; what is not known is nothing (`null`, an empty cell).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from ..money import to_text
from .entry import Row

Value: TypeAlias = str | int | float | bool | None
"""What JSON has for it."""


class Column(NamedTuple):
    meaning: str
    value: Callable[[Row], Value]


def _field(name: str) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        found: Value = getattr(row, name)
        return found

    return value


def _money(name: str) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        units: int | None = getattr(row, name)
        return None if units is None else to_text(units)

    return value


def _moment(name: str) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        when: datetime | None = getattr(row, name)
        return None if when is None else when.isoformat(timespec="microseconds").replace("+00:00", "Z")

    return value


COLUMNS: Mapping[str, Column] = {
    "attempt": Column("its name: the request's id and its number", _field("attempt")),
    "request": Column("the request's id", _field("request")),
    "number": Column("which attempt of the request it is, from 1", _field("number")),
    "at": Column("when it began", _moment("at")),
    "settled_at": Column("when it ended", _moment("settled_at")),
    "reconciled_at": Column("when its cost was asked for afterwards, or given up", _moment("reconciled_at")),
    "state": Column("`settled`, `awaiting` its cost, or `open`", _field("state")),
    "task": Column("the task", _field("task")),
    "model": Column("the model that was asked", _field("model")),
    "answered": Column("the model that answered, as the provider names it", _field("answered")),
    "provider": Column("the provider", _field("provider")),
    "key": Column(
        "the virtual key's name, or the last four signs of the key that went upstream", _field("key")
    ),
    "streamed": Column("whether the caller saw the answer while it came", _field("streamed")),
    "outcome": Column("`answered`, `abandoned`, `lost`, or an error's code", _field("outcome")),
    "finish_reason": Column("the model's own reason to end", _field("finish_reason")),
    "error": Column("the upstream's word for what went wrong", _field("error")),
    "generation_id": Column("the upstream's name of it", _field("generation_id")),
    "quality": Column("how the cost is known", _field("quality")),
    "cost": Column("charged to the account, USD", _money("cost_units")),
    "cost_text": Column("the upstream's own text of that", _field("cost_text")),
    "upstream_cost": Column(
        "the provider's bill, USD; part of the spend only with `is_byok`", _money("upstream_units")
    ),
    "is_byok": Column("whether the provider's key was your own", _field("is_byok")),
    "spend": Column("what it cost in all, USD", _money("spend_units")),
    "worst": Column("what it could have cost at most, USD, by what was known before", _money("worst_units")),
    "prompt_tokens": Column("tokens of the prompt", _field("prompt_tokens")),
    "completion_tokens": Column("tokens of the answer, reasoning included", _field("completion_tokens")),
    "total_tokens": Column("both", _field("total_tokens")),
    "cached_tokens": Column("of the prompt: read from the provider's cache", _field("cached_tokens")),
    "cache_write_tokens": Column("of the prompt: written to that cache", _field("cache_write_tokens")),
    "reasoning_tokens": Column("of the answer: reasoning", _field("reasoning_tokens")),
    "web_searches": Column("searches of the web", _field("web_searches")),
    "first_token": Column("seconds from sending to the first token", _field("first_token")),
    "seconds": Column("seconds from sending to the end", _field("seconds")),
    "owner": Column("the process: its id, its start, the machine's boot, and where it ran", _field("owner")),
    "upstream_key": Column(
        "the last four signs of the key that went upstream, where `key` is another one",
        _field("upstream_key"),
    ),
}
"""In their order. New ones may come at the end; none is ever renamed."""


def record(row: Row) -> dict[str, Value]:
    """A row for JSON."""
    return {name: column.value(row) for name, column in COLUMNS.items()}


def cells(row: Row) -> list[str]:
    """A row for CSV."""
    return [_cell(column.value(row)) for column in COLUMNS.values()]


def _cell(value: Value) -> str:
    if isinstance(value, str):  # as most are
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)  # never an exponent
