"""Markdown that arrives in pieces, cut into blocks that no later word can change. Pure."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(`{3,}|~{3,})([^`\n]*)$")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_HEADING = re.compile(r"#{1,6}\s")
# By then it shows whether a line begins a list's next item.
_TELLING = 12


class Blocks:
    """Feed it text; it gives back each block once it is whole. `rest` is the one still running."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._tail = ""
        self._fence = ""

    @property
    def rest(self) -> str:
        """The running block as far as it has come."""
        return "\n".join([*self._lines, self._tail])

    def feed(self, text: str) -> list[str]:
        """The blocks that are whole now."""
        *lines, self._tail = (self._tail + text).split("\n")
        found = []
        for line in lines:
            if self._begins_another(line, whole=True):
                found.append(self._take())
            self._lines.append(line)
            if self._closes(line):
                found.append(self._take())
        if self._begins_another(self._tail, whole=False):
            found.append(self._take())
        return found

    def _take(self) -> str:
        block, self._lines = "\n".join(self._lines).strip("\n"), []
        return block

    def _begins_another(self, line: str, *, whole: bool) -> bool:
        """Whether an empty line before this one ended a block for good."""
        if self._fence or len(self._lines) < 2 or self._lines[-1].strip() or not line.strip():
            return False
        if line[0] in " \t":  # goes on inside a list's item
            return False
        if not self._is_list():
            return True
        telling = whole or " " in line or len(line) >= _TELLING
        return telling and not _ITEM.match(line)

    def _is_list(self) -> bool:
        first = next((line for line in self._lines if line.strip()), "")
        return bool(_ITEM.match(first.lstrip()))

    def _closes(self, line: str) -> bool:
        """Follow the fences; whether this line ends its block by itself."""
        mark = _FENCE.match(line.strip())
        if self._fence:
            if mark and mark[1].startswith(self._fence) and not mark[2].strip():
                self._fence = ""
                return not self._is_list()
            return False
        if mark:
            self._fence = mark[1]
            return False
        return bool(_HEADING.match(line)) and not any(one.strip() for one in self._lines[:-1])


def first_code(text: str) -> str | None:
    """What stands in the first fenced code block, without its fence; None where there is none.

    A fence that is never closed holds all that follows, as Markdown has it.
    """
    fence, indent = "", 0
    code: list[str] = []
    for line in text.split("\n"):
        mark = _FENCE.match(line.strip())
        if not fence:
            if mark:
                fence, indent = mark[1], len(line) - len(line.lstrip())
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            return "\n".join(code)
        else:
            code.append(line[indent:] if not line[:indent].strip() else line)
    return "\n".join(code) if fence else None
