"""How wide text is, without a font: a picture is looked at with fonts that nobody here knows.

The widths are about those of DejaVu Sans Bold, wider than what most systems show; so what fits here fits there.
"""

from __future__ import annotations

import unicodedata
from itertools import accumulate, chain

# Widths in em of what is not like most letters.
_WIDTHS = dict(
    chain(
        ((sign, 0.36) for sign in "ijl|!.,:;'`’‘ "),
        ((sign, 0.46) for sign in 'frtI()[]{}-/\\"“”·'),
        ((sign, 1.04) for sign in "mwMWQ@%—…"),
        ((sign, 0.7) for sign in "0123456789"),
    )
)
_LOWER, _UPPER, _WIDE, _OTHER = 0.69, 0.8, 1.05, 0.84
REGULAR = 0.9
"""What to multiply a size with where the weight is not bold."""


def width(text: str, size: float) -> float:
    """About how wide a line is, in the unit of `size`, at most."""
    return size * sum(map(_one, text))


def _one(sign: str) -> float:
    known = _WIDTHS.get(sign)
    if known is not None:
        return known
    if unicodedata.east_asian_width(sign) in "WF":
        return _WIDE
    category = unicodedata.category(sign)
    if category in ("Mn", "Me", "Cf"):
        return 0.0
    return {"Ll": _LOWER, "Lu": _UPPER}.get(category, _OTHER)


def cut(text: str, size: float, room: float) -> str:
    """As much of a line as has room, with `…` where something is missing."""
    if width(text, size) <= room:
        return text
    used = accumulate((size * _one(sign) for sign in text), initial=width("…", size))
    kept = max(0, sum(1 for wide in used if wide <= room) - 1)
    return text[:kept].rstrip() + "…"


def wrap(text: str, size: float, room: float, most: int) -> tuple[str, ...]:
    """Lines that have room, at most so many: the last one is cut. A word wider than a line is broken."""
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < most - 1:
        kept = _fitting(rest, size, room)
        lines.append(rest[:kept].rstrip())
        rest = rest[kept:].lstrip()
    return (*lines, cut(rest, size, room)) if rest else tuple(lines)


def balanced(text: str, size: float, room: float, most: int) -> tuple[str, ...]:
    """`wrap`, with lines of about the same width: as narrow as the same number of lines allows."""
    lines = wrap(text, size, room, most)
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        narrower = wrap(text, size, room * share, most)
        if len(narrower) == len(lines) and not _is_cut(narrower):
            return narrower
    return lines


def _is_cut(lines: tuple[str, ...]) -> bool:
    return bool(lines) and lines[-1].endswith("…")


def _fitting(text: str, size: float, room: float) -> int:
    """How many signs stand in a line: to the last space or wide sign that fits, else to the edge."""
    used, last = 0.0, 0
    for place, sign in enumerate(text):
        used += size * _one(sign)
        if used > room and not sign.isspace():
            return last or max(1, place)
        if sign.isspace() or unicodedata.east_asian_width(sign) in "WF":
            last = place + 1
    return len(text)


def is_leftward(text: str) -> bool:
    """Whether a line reads from right to left: by its first letter that has a direction (UAX #9, P2)."""
    kinds = (unicodedata.bidirectional(sign) for sign in text)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"
