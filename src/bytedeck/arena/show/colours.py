"""The fighters' colours: their own where they are colours and differ, else by place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..types import Fighter

PALETTE = ("#3b82f6", "#f9731a", "#12b886", "#a855f7")
"""Told apart by people with any colour vision, and seen on white as on black."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def colours(fighters: Sequence[Fighter]) -> tuple[str, ...]:
    """`#rrggbb` of each, all different. What is no such colour is not used: it would be foreign text in a style."""
    wanted = [f.persona.colour.lower() if f.persona else "" for f in fighters]
    found: list[str] = []
    for place, colour in enumerate(wanted):
        is_own = bool(_COLOUR.fullmatch(colour)) and colour not in found
        free = [one for one in (*PALETTE[place:], *PALETTE) if one not in found and one not in wanted]
        found.append(colour if is_own else (free or [f"#80808{place}"])[0])
    return tuple(found)


def ink(colour: str) -> str:
    """Black or white, whichever is read better on this colour (WCAG 2.2, relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # White's contrast is 1.05 / (light + 0.05), black's (light + 0.05) / 0.05. White is kept while it reads well enough.
    return "#ffffff" if light < 0.33 else "#111418"
