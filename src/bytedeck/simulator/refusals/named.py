"""Refusals by name: `make("free_per_day", reset_ms="…")`. The rows are in `rows`, the forms in `envelopes`.

Pure: the same name and values give the same refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..shapes import Refusal
from .envelopes import PAGE, envelope, event, failed_response, public_error
from .rows import DEFAULTS, RETRYABLE, ROWS, Row

__all__ = [
    "LENGTHS",
    "NAMES",
    "ROWS",
    "envelope",
    "event",
    "failed_response",
    "invalid",
    "make",
    "public_error",
]

NAMES: tuple[str, ...] = tuple(ROWS)
LENGTHS = frozenset(
    {"context_length_exceeded", "max_tokens_exceeded", "token_limit_exceeded", "string_too_long"}
)
"""Error types that the Responses API tells as a success with `length` (wire reference, 6.5)."""
_DOCS = "https://openrouter.ai/docs/errors#"
_LISTED = ("affected_providers", "excluded_by", "fallback_models")


def make(name: str, **values: Any) -> Refusal:
    """The refusal of this row, its words filled with `values`.

    Every value has a default, so that a name is enough. KeyError for an unknown name, TypeError for an unknown value.
    """
    row = ROWS[name]
    known = {**DEFAULTS, **row.values}
    if unknown := values.keys() - known.keys():
        raise TypeError(
            f"refusal {name!r} takes no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(known))}"
        )
    known.update(values)
    headers = {key: str(value) for key, value in _filled(row.headers, known).items()}
    if row.page:
        headers["Content-Type"] = PAGE
    return Refusal(
        row.status,
        known["message"] or row.message.format_map(known),
        row.error_type,
        code=known["code"],
        metadata=_filled(row.metadata, known),
        availability=_availability(row, known) if row.availability else None,
        headers=headers,
    )


def invalid(message: str) -> Refusal:
    """400 invalid_request, in these words."""
    return Refusal(400, message, "invalid_request")


def _availability(row: Row, known: Mapping[str, Any]) -> dict[str, Any]:
    """The object of the wire reference, 6.4. Optional fields are left out, never empty."""
    code = row.availability
    shown: dict[str, Any] = {
        "code": code,
        "retryable": RETRYABLE[code] if known["retryable"] is None else known["retryable"],
    }
    if isinstance(known["retry_after"], int | float):  # a date in the header has no place here
        shown["retry_after"] = known["retry_after"]
    shown["requested_models"] = list(known["models"] or [known["model"]])
    shown.update({key: list(known[key]) for key in _LISTED if known[key]})
    if known["constraint_field"]:
        shown["constraint"] = {"field": known["constraint_field"], "detail": known["constraint_detail"]}
    shown["docs_url"] = _DOCS + code
    return shown


def _filled(template: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The template with its values; keys whose value is None are left out."""
    pairs = ((key, _value(part, known)) for key, part in template.items())
    return {key: value for key, value in pairs if value is not None}


def _value(part: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(part, dict):
        return _filled(part, known)
    if isinstance(part, list):
        return [_value(item, known) for item in part]
    value = known[part[1:-1]]
    return value.replace("{model}", known["model"]) if isinstance(value, str) else value
