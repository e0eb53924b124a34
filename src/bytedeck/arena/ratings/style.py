"""What a text looks like, whatever it says: its length and its marks, which sway judges and people alike.

The four features are those that public leaderboards hold equal (Li, Angelopoulos and Chiang 2024, "Does style matter?").
"""

from __future__ import annotations

import re

FEATURES = ("length", "headings", "lists", "bold")
"""Words; Markdown's headings, items of lists, and bold runs."""

_FENCED = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_MARKS = (
    re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE),
    re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE),
    re.compile(r"\*\*(?!\s)[^*\n]+\*\*|__(?!\s)[^_\n]+__"),
)
_WORDS = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\s぀-ヿ㐀-鿿가-힯]+")
"""Runs without blanks; where a script has no blanks between words, each sign counts as one."""


def measured(text: str) -> tuple[float, ...]:
    """How much of each feature there is, by `FEATURES`. What looks like a mark within fenced code is none."""
    prose = _FENCED.sub("\n", text)
    return (float(len(_WORDS.findall(text))), *(float(len(mark.findall(prose))) for mark in _MARKS))


def difference(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    """How the first one differs from the second one, of each feature: (a − b) / (a + b), from −1 to 1; 0 where neither has it."""
    return tuple((a - b) / (a + b) if a + b else 0.0 for a, b in zip(first, second, strict=True))
