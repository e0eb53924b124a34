"""Foreign text made harmless for one line or many, and numbers as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ...money import to_text

# Every control but the tab and the line feed, and halves of surrogate pairs, which no file can hold.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What turns the direction of the text after it, or is there and is not seen (Unicode 9.0 of UAX #9, and Cf).
_TURNING = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_SPACE = re.compile(r"\s+")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_LATEST = 253_402_300_799_000_000
"""The last microsecond that a calendar of four-digit years knows."""


def cleaned(text: str) -> str:
    """Text of many lines without what no page can show: line ends are `\\n`, controls and lone surrogates are gone."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, most: int = 80) -> str:
    """A name or a sentence: one line, nothing unseen, nothing that turns the text around it, at most `most` signs."""
    # Cut twice: what is huge need not be cleaned to its end.
    told = _SPACE.sub(" ", _TURNING.sub("", cleaned(text[: 20 * most + 200]))).strip()
    return told if len(told) <= most else told[: most - 1].rstrip() + "…"


def money(units: int | None) -> str:
    """`$0.000093`, exact; `unknown` for None."""
    return "unknown" if units is None else f"${to_text(units)}"


def about(units: int) -> str:
    """An amount where space is short: `$0.0123`, two significant digits below a cent, else to the hundredth of a cent."""
    usd = units / 10**12  # only to be looked at; nothing is reckoned with it
    if 0 < usd < 0.01:
        return f"${usd:.2g}" if usd >= 0.0001 else "under $0.0001"
    return f"${usd:.4f}".rstrip("0").rstrip(".") if usd < 1 else f"${usd:.2f}"


def span(seconds: float) -> str:
    """`4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 days`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def when(at: int) -> str:
    """Microseconds since 1970 → `22 November 2026, 18:09 UTC`; "" for 0 and for what no calendar has."""
    if not 0 < at <= _LATEST:
        return ""
    moment = datetime.fromtimestamp(at // 10**6, UTC)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M} UTC"


def plural(count: int, noun: str) -> str:
    """`1 judge`, `3 judges`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
