"""Where in a TOML text a key, a table and a value stand, so that an error can say so and one line can be changed.

tomllib keeps no positions. This walks over a text that tomllib has accepted already; keys inside
an inline table are told as the line where that table begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

Path = tuple[str, ...]


class Place(NamedTuple):
    """A key with its value, or the header of a table."""

    path: Path
    start: int
    """Where its key or its bracket begins."""
    value: int | None
    """Where the value begins; None for a header."""
    end: int
    """Just after the value or the header; a comment may follow."""


BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONG_BASIC = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'{3,5}", re.DOTALL)
_BASIC = re.compile(r'"(?:\\.|[^"\\])*"')
_LITERAL = re.compile(r"'[^']*'")
STRINGS = (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL)
# What may stand between the strings, brackets, commas, comments and the end of a value: numbers, dates, words.
_PLAIN = re.compile(r"[^\"'\[\]{}#,\n]+")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


class Lines:
    """The lines (from 1) of a text's keys and tables. The text is walked once, however many are looked up."""

    def __init__(self, text: str) -> None:
        self._own: dict[Path, int] = {}
        """Where a name itself stands first."""
        self._first: dict[Path, int] = {}
        """The same, where a longer name below it counts, too, as a header `[a.b]` does for `a`."""
        line, at = 1, 0
        for place in places(text):
            line, at = line + text.count("\n", at, place.start), place.start
            self._own.setdefault(place.path, line)
            for depth in range(1, len(place.path) + 1):
                self._first.setdefault(place.path[:depth], line)

    def of(self, path: Path) -> int | None:
        """Of the key, or of the nearest table above it that the text names; None if none is."""
        if path in self._first:
            return self._first[path]
        above = (path[:depth] for depth in range(len(path) - 1, 0, -1))
        return next((self._own[one] for one in above if one in self._own), None)


def places(text: str) -> Iterator[Place]:
    """Each table header and each key of the text, with its whole path."""
    table: Path = ()
    at = 0
    while (at := _after(BLANK, text, at)) < len(text):
        start = at
        if text[at] == "[":
            width = 2 if text.startswith("[[", at) else 1
            table, at = _key(text, at + width)
            at = _after(_SPACE, text, at) + width
            yield Place(table, start, None, at)
        else:
            found = _entry(text, at, "#\n")
            at = found.end
            yield found._replace(path=(*table, *found.path))


def inside(text: str, at: int) -> Iterator[Place]:
    """Each key of the inline table that begins there; paths begin at that table."""
    while text[at := _after(BLANK, text, at + 1)] != "}":
        found = _entry(text, at, ",}")
        at = _after(BLANK, text, found.end)
        yield found
        if text[at] == "}":
            return


def _entry(text: str, start: int, ends: str) -> Place:
    """A key and its value, which one of these signs ends."""
    path, at = _key(text, start)
    value = _after(_SPACE, text, _after(_SPACE, text, at) + 1)
    return Place(path, start, value, _value_end(text, value, ends))


def _key(text: str, at: int) -> tuple[Path, int]:
    """A dotted key: its parts and where it ends."""
    parts = []
    while True:
        at = _after(_SPACE, text, at)
        part, at = _part(text, at)
        parts.append(part)
        after = _after(_SPACE, text, at)
        if not text.startswith(".", after):
            return tuple(parts), at
        at = after + 1


def _part(text: str, at: int) -> tuple[str, int]:
    if text[at] == "'":
        end = _after(_LITERAL, text, at)
        return text[at + 1 : end - 1], end
    if text[at] == '"':
        end = _after(_BASIC, text, at)
        return _unescaped(text[at:end]), end
    end = _after(_BARE, text, at)
    return text[at:end], end


def _unescaped(quoted: str) -> str:
    import tomllib

    return str(tomllib.loads(f"key = {quoted}")["key"]) if "\\" in quoted else quoted[1:-1]


def _value_end(text: str, at: int, ends: str) -> int:
    """Where the value that begins here ends: before one of these signs, outside of brackets and strings."""
    depth = 0
    while at < len(text):
        sign = text[at]
        if not depth and sign in ends:
            break
        if sign in "\"'":
            at = next(found.end() for one in STRINGS if (found := one.match(text, at)))
        elif sign == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif sign in "[]{},\n":
            depth += _DEPTH.get(sign, 0)
            at += 1
        else:
            at = _after(_PLAIN, text, at)
    while text[at - 1] in " \t\r":
        at -= 1
    return at


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
