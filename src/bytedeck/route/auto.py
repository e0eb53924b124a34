"""`task="auto"`: which task a prompt looks like, by rules that are data. Nothing leaves the machine for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from ..config import Auto, Task
from ..types import Message
from .fit import texts

# The point of a long prompt stands at its beginning or at its end.
_WINDOW = 4000


class Verdict(Struct, frozen=True):
    """What a prompt looks like, and why."""

    task: Task
    light: bool
    """Whether the task's light model should be asked first."""
    why: str
    """Half a sentence for a person."""


def classify(messages: Sequence[Message], tasks: Mapping[str, Task], rules: Auto) -> Verdict:
    """The task whose keywords the last user message holds most of; `general` if it holds none."""
    text = "\n".join(texts(_last_user(messages)))
    head = text if len(text) <= 2 * _WINDOW else f"{text[:_WINDOW]}\n{text[-_WINDOW:]}"
    folded = head.casefold()
    found = {name: _hits(task.keywords, folded) for name, task in tasks.items() if task.keywords}
    best = max(found, key=lambda name: len(found[name]), default="general")
    hits = found.get(best, ())
    task = tasks[best] if hits else tasks["general"]
    why = f"auto found {_quoted(hits)}" if hits else "auto found no other task's keywords"
    if not _simple(messages, text, folded, rules):
        return Verdict(task, False, why)
    return Verdict(task, bool(task.light), f"{why}, and the prompt is short and simple")


def _last_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    return next(((one,) for one in reversed(messages) if one.get("role") == "user"), ())


def _simple(messages: Sequence[Message], text: str, folded: str, rules: Auto) -> bool:
    begun = any(one.get("role") in ("assistant", "tool") for one in messages)
    short = len(text) <= rules.simple_characters and "\n" not in text.strip()
    return short and not begun and not _hits(rules.demanding, folded)


def _hits(keywords: tuple[str, ...], folded: str) -> tuple[str, ...]:
    """The different keywords in a text, in the order in which they come."""
    return tuple(dict.fromkeys(_pattern(keywords).findall(folded))) if keywords else ()


@lru_cache(maxsize=64)
def _pattern(keywords: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted((one.casefold() for one in keywords), key=len, reverse=True)
    return re.compile("|".join(_begins_word(one) + re.escape(one) for one in longest_first))


def _begins_word(keyword: str) -> str:
    # Only where words are set apart: in Chinese or Japanese any place may begin one.
    return r"(?<![a-zà-ÿ0-9])" if keyword[0].isascii() and keyword[0].isalnum() else ""


def _quoted(hits: Sequence[str]) -> str:
    return ", ".join(f"“{one.strip()}”" for one in hits[:3])
