"""`byte models health`: how the models are doing, by the requests of all who share the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import tell
from .options import as_json

if TYPE_CHECKING:
    from ..health import Health, Standing

_STATES = {"closed": "well", "open": "open", "half_open": "half open"}
_HEADS = ("MODEL", "STATE", "ASKED", "ERRORS", "FIRST", "P95", "TOK/S")
_RIGHT = (2, 3, 4, 5, 6)
_LESSONS = {
    "no_prefill": "takes no beginning of its answer",
    "reasoning_mandatory": "cannot answer without reasoning",
}


@click.command("health")
@as_json()
def health(json_: bool) -> None:
    """Show how the models are doing.

    How often each was asked, its errors, the seconds to its first token (median and 95th percentile) and its
    tokens per second are of the last five minutes. An open model is asked last; once half open, one request tries it.
    """
    from ..client import Hub

    with Hub() as hub:
        hub.house.watch.read()
        found = hub.house.watch.health()
        where = hub.house.store.location
    if json_:
        tell.out_json(_as_json(found))
        return
    tell.out(_drawn(found))
    tell.say(f"From the ledger: {where}.", dim=True)


def _drawn(found: Health) -> str:
    parts = []
    if found.models:
        every = sorted(found.models.items(), key=_worst_first)
        head, *rows = tell.table([_HEADS, *(_row(name, one) for name, one in every)], _RIGHT).splitlines()
        parts.append(head)
        for row, (_, one) in zip(rows, every, strict=True):
            parts += [row, *_trouble(one)]
    parts += [_key(label, one) for label, one in found.keys.items() if one.state != "closed"]
    parts += [
        f"{model} {' and '.join(_LESSONS[one] for one in sorted(lessons))}."
        for model, lessons in sorted(found.learnt.items())
    ]
    return (
        "\n".join(parts)
        or "No model was asked lately, so there is nothing to tell. All are taken to be well."
    )


def _worst_first(item: tuple[str, Standing]) -> tuple[bool, float, str]:
    name, one = item
    return one.state == "closed", -one.error_rate, name


def _row(name: str, one: Standing) -> tuple[str, ...]:
    return (
        name,
        _STATES[one.state] + (", being tried" if one.probing else ""),
        f"{one.attempts:,}",
        f"{one.error_rate:.0%}" if one.attempts else "",
        _seconds(one.first_token_p50),
        _seconds(one.first_token_p95),
        "" if one.tokens_per_second is None else f"{one.tokens_per_second:,.0f}",
    )


def _trouble(one: Standing) -> list[str]:
    """A line of its own for what went wrong: beside the figures it would be too wide for a terminal."""
    failure = _failure(one)
    if not failure:
        return []
    again = f"; asked last, and tried again in {_span(one.again_in)}" if one.again_in is not None else ""
    return [f"  failed: {failure}{again}"]


def _key(label: str, one: Standing) -> str:
    again = (
        f"it is tried again in {_span(one.again_in)}" if one.again_in is not None else "it may be tried again"
    )
    return f"The key {label} is refused ({_failure(one)}); {again}."


def _failure(one: Standing) -> str:
    if one.failed_ago is None:
        return ""
    return f"{one.last_failure.replace('_', ' ')}, {_span(one.failed_ago)} ago"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _as_json(found: Health) -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "models": [{"model": name, **to_builtins(one)} for name, one in sorted(found.models.items())],
        "keys": [{"key": label, **to_builtins(one)} for label, one in sorted(found.keys.items())],
        "learnt": {model: sorted(lessons) for model, lessons in sorted(found.learnt.items())},
    }
