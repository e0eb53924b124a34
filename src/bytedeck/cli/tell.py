"""Words for the person: answers and tables on stdout, everything else on stderr.

What reaches a terminal holds no control characters: a model's or a server's words must not steer it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..errors import ByteError
    from ..ledger.report import Line, Verification
    from ..types import Attempt

_STAND = ("How your limits and budgets stand: byte limits",)
_MORE = dict.fromkeys(("over_limit", "over_burst", "over_budget", "budget_held"), _STAND)
"""What helps at the terminal, by an error's code."""
_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class OutputFailed(Exception):
    """stdout cannot take any more; the reason, as a phrase."""


def out(text: str, end: str = "\n") -> None:
    """Write to stdout, at once. Raises OutputFailed, and BrokenPipeError where the reader has left."""
    if sys.stdout is None:
        raise OutputFailed("the standard output is closed")
    try:
        sys.stdout.write((cleaned(text) if sys.stdout.isatty() else text) + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise OutputFailed(exc.strerror or "it cannot be reached") from exc


def out_json(data: Any) -> None:
    """One JSON document: on one line, or indented for a person."""
    import json

    out(json.dumps(data, ensure_ascii=False, indent=2 if is_terminal(sys.stdout) else None))


def say(text: str, **style: Any) -> None:
    """Write a line to stderr. Whether anybody can hear it must not change what happens, so it never raises."""
    if sys.stderr is None:
        return
    plain = (
        not is_terminal(sys.stderr) or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    )
    text = cleaned(text)
    with contextlib.suppress(OSError, ValueError):
        click.echo(text if plain else click.style(text, **style), file=sys.stderr, color=not plain)


def note(text: str) -> None:
    """Something worth knowing beside the answer."""
    say(f"Note: {text}", dim=True)


def warn(text: str) -> None:
    """Something is not as it should be, and the answer comes all the same."""
    say(f"Warning: {text}", fg="yellow")


def failure(error: ByteError) -> None:
    """The sentence, the upstream's own words, who was asked, and what the person can do."""
    say(f"Error: {error.message}", fg="red")
    if error.detail and error.detail not in error.message:
        told = "The provider said" if error.status is not None or error.provider else "Details"
        say(f"{told}: {error.detail}")
    if len(error.attempts) > 1:
        say(f"Asked: {_asked(error.attempts)}")
    for line in (*error.hint, *_MORE.get(error.code, ())):
        say(f"  → {line}")


def _asked(attempts: Sequence[Attempt]) -> str:
    """`openai/gpt-4o-mini (rate limited, 3 times), google/gemini-3-pro (unavailable)`."""
    told = [f"{one.model} ({one.outcome.replace('_', ' ')}" for one in attempts]
    return ", ".join(
        f"{one}, {count} times)" if (count := told.count(one)) > 1 else f"{one})"
        for one in dict.fromkeys(told)
    )


def at_most(found: Line | Verification) -> str:
    """What attempts of unknown cost may have cost: `at most $0.02 together, but for 3 without a bound`."""
    from ..money import to_text

    if found.unbounded == found.unknown > 0:
        return "any amount: no known price bounds it"
    bound = f"at most ${to_text(found.worst_units)} together"
    return f"{bound}, but for {found.unbounded:,} without a bound" if found.unbounded else bound


def cleaned(text: str) -> str:
    """The text without control characters; tabs and line ends stay."""
    return text.translate(_CONTROL)


def is_terminal(stream: Any) -> bool:
    """Whether a person reads this stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows as aligned columns, those of `right` flush right; the last column as it is."""
    rows = [[cleaned(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
