"""The ledger's rows as the parameters of the statements that write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ledger.entry import Mark, Opened, Reconciliation, Swept, micros
from ..types import Intent, Settlement, Usage

Params = tuple[Any, ...]

_NOTHING = Usage()


def _intent(row: Intent, at: int, owner: str) -> Params:
    return (
        row.attempt,
        row.request,
        row.number,
        row.task,
        row.model,
        row.key,
        int(row.streamed),  # what is no exact int goes through SQLite's adapters first
        row.worst_units,
        owner,
        at,
        row.upstream_key,
    )


def _opened(row: Opened, at: int, _owner: str) -> Params:
    return row.attempt, row.generation_id, at


def _usage(usage: Usage) -> Params:
    """What both tables that tell a cost have beside it."""
    return (
        usage.upstream_units,
        int(usage.is_byok),
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def _settlement(row: Settlement, at: int, _owner: str) -> Params:
    usage = row.usage or _NOTHING
    return (
        row.attempt,
        row.outcome,
        row.quality,
        row.cost_units,
        row.cost_text,
        *_usage(usage),
        usage.web_searches,
        row.model,
        row.provider,
        row.generation_id,
        row.finish_reason,
        row.error,
        None if row.first_token is None else micros(row.first_token),
        micros(row.seconds),
        at,
    )


def _reconciliation(row: Reconciliation, at: int, _owner: str) -> Params:
    usage = row.usage or _NOTHING
    return (
        row.attempt,
        row.quality,
        row.cost_units,
        row.cost_text,
        *_usage(usage),
        at,
    )


def _swept(row: Swept, _at: int, _owner: str) -> Params:
    return (row.before,)


INSERTS: dict[type[Mark], tuple[str, Callable[[Any, int, str], Params]]] = {
    Intent: ("begin", _intent),
    Opened: ("mark", _opened),
    Settlement: ("settle", _settlement),
    Reconciliation: ("reconcile", _reconciliation),
    Swept: ("swept", _swept),
}
"""The statement that writes a row, and the row as its parameters: with the moment, and the process."""
