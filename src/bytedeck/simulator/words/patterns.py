"""Text that fits a regular expression: what a JSON schema's `pattern` asks for.

Knows literals, classes, groups, alternatives, anchors and counts; of anything else it says so by `Unknown`.
"""

from __future__ import annotations

import string
from random import Random

_CLASSES = {
    "d": string.digits,
    "w": string.ascii_lowercase + string.digits + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": "-",
    "S": string.ascii_lowercase,
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_PRINTABLE = "".join(chr(code) for code in range(32, 127))
_MANY = 3
"""How many more than the least an open-ended count repeats."""
_MOST = 1_000
# Counts within counts multiply: ((a{999}){999}){999} must not be made.
_ATOMS = 20_000


class Unknown(ValueError):
    """The expression has something that is not known here."""


def matching(pattern: str, chance: Random) -> str:
    """A text that the pattern finds itself in.

    Raises:
        Unknown: look-arounds, back-references, classes by property, and what is no expression at all.
    """
    reader = _Reader(pattern, chance)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise Unknown(pattern)
    return text


class _Reader:
    """Recursive descent; every rule returns the text that it made up."""

    def __init__(self, pattern: str, chance: Random) -> None:
        self.pattern = pattern
        self.chance = chance
        self.at = 0
        self.left = _ATOMS

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.pattern):
            raise Unknown(self.pattern)
        self.at += 1
        return self.pattern[self.at - 1]

    def alternatives(self) -> str:
        told = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            told.append(self.sequence())
        return self.chance.choice(told)

    def sequence(self) -> str:
        told: list[str] = []
        while self.peek() not in ("", "|", ")"):
            start = self.at
            first = self.atom()
            least, most = self.times()
            after = self.at
            times = self.chance.randint(least, most)
            told += [first] if times else []
            for _ in range(times - 1):
                self.at = start
                told.append(self.atom())
            self.at = after
        return "".join(told)

    def atom(self) -> str:
        self.left -= 1
        if self.left < 0:
            raise Unknown(self.pattern)
        sign = self.take()
        if sign in "^$":
            return ""
        if sign == "(":
            return self.group()
        if sign == "[":
            return self.chance.choice(self.choices())
        if sign == ".":
            return self.chance.choice(string.ascii_lowercase)
        if sign == "\\":
            return self.chance.choice(self.escape())
        if sign in "*+?{":
            raise Unknown(self.pattern)
        return sign

    def group(self) -> str:
        if self.peek() == "?":
            self.at += 1
            kind = self.take()
            if kind == "P" or (kind == "<" and self.peek() not in ("=", "!")):
                while self.take() != ">":
                    pass
            elif kind != ":":
                raise Unknown(self.pattern)
        text = self.alternatives()
        if self.take() != ")":
            raise Unknown(self.pattern)
        return text

    def escape(self) -> str:
        sign = self.take()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign in "xu":
            digits = "".join(self.take() for _ in range(2 if sign == "x" else 4))
            try:
                return chr(int(digits, 16))
            except ValueError as error:
                raise Unknown(self.pattern) from error
        if sign.isalnum():
            raise Unknown(self.pattern)
        return sign

    def choices(self) -> str:
        inverted = self.peek() == "^"
        self.at += inverted
        told = ""
        while (sign := self.take()) != "]":
            low = sign if sign != "\\" else self.escape()
            if (
                self.peek() == "-"
                and self.pattern[self.at + 1 : self.at + 2] not in ("]", "")
                and len(low) == 1
            ):
                self.at += 1
                high = self.take()
                high = self.escape() if high == "\\" else high
                told += "".join(chr(code) for code in range(ord(low), min(ord(high), ord(low) + 300) + 1))
            else:
                told += low
        if inverted:
            told = "".join(sign for sign in _PRINTABLE if sign not in told)
        if not told:
            raise Unknown(self.pattern)
        return told

    def times(self) -> tuple[int, int]:
        sign = self.peek()
        if sign not in ("*", "+", "?", "{"):
            return 1, 1
        self.at += 1
        least, most = {"*": (0, _MANY), "+": (1, _MANY), "?": (0, 1)}.get(sign, (-1, -1))
        if sign == "{":
            least, most = self.counted()
        if self.peek() in ("?", "+"):
            self.at += 1
        return least, most

    def counted(self) -> tuple[int, int]:
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at : end].partition(",")
        if end < 0 or not low.isdigit() or (high and not high.isdigit()):
            raise Unknown(self.pattern)
        self.at = end + 1
        least = int(low)
        most = int(high) if high else least + (_MANY if comma else 0)
        if not least <= most <= _MOST:
            raise Unknown(self.pattern)
        return least, most
