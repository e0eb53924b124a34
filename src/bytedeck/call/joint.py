"""Where a continuation takes up the words that were shown before: the echo is dropped, the rest shown.

Pure text: fed piece by piece, it holds words back until it is clear how they fit, and gives the
same result however they are sliced.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["open", "proven", "unproven", "refused"]

ECHO_WORDS = 8
ECHO_CHARACTERS = 24
"""An echo has at least so many words and characters, where there are so many."""
ECHO_LIMIT = 200
"""And at most so many characters: an address or a line of Chinese is one word."""
GREETING = 120
"""How many characters may stand before an echo: "Sure! Here is the rest:"."""
_REMARK = re.compile(r"\S*\w\S*\s+[^\n]*[:.!…。：！]\s+")
# Fewer characters in common may be chance.
_CHANCE = 12


def echo_of(said: str) -> str:
    """The last words of a text, as a continuation shall repeat them; blanks at its end are left out.

    Enough of them that they stand nowhere else in the text, if `ECHO_LIMIT` allows it.
    """
    bare = said.rstrip()
    start, words = len(bare), 0
    while start > 0:
        before = _word_before(bare, start)
        if len(bare) - before > ECHO_LIMIT:
            break
        start, words = before, words + 1
        is_long = words >= ECHO_WORDS and len(bare) - start >= ECHO_CHARACTERS
        if is_long and is_unique(bare[start:], bare):
            break
    return (bare[start:] or bare[-ECHO_LIMIT:]).lstrip()


def is_unique(echo: str, bare: str) -> bool:
    """Whether the words stand at the end of the text only."""
    return bare.find(echo) == len(bare) - len(echo)


def _letters(text: str) -> str:
    """The letters and digits alone, without their case."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _word_before(text: str, end: int) -> int:
    """Where the last word before `end` begins."""
    while end > 0 and text[end - 1].isspace():
        end -= 1
    while end > 0 and not text[end - 1].isspace():
        end -= 1
    return end


class Joint:
    """One seam. `verdict` is `open` until it is clear; then words flow through."""

    def __init__(self, said: str, echo: str) -> None:
        """`said`: what was shown. `echo`: what the continuation was asked to repeat; "" where it goes on by itself."""
        self.verdict: Verdict = "open"
        self._bare = said.rstrip()
        self._trail = said[len(self._bare) :]
        self._echo = echo
        self._is_long = len(echo) >= ECHO_CHARACTERS
        self._is_unique = is_unique(echo, self._bare)
        self._is_sure = len(echo) >= _CHANCE and self._is_unique
        self._held = ""

    def feed(self, text: str) -> str:
        """More words of the continuation → those that can be shown now."""
        if self.verdict == "refused":
            return ""
        if self.verdict != "open":
            return text
        self._held += text
        return self._decide(is_end=False)

    def end(self) -> str:
        """The continuation is whole: decide with what there is."""
        return self._decide(is_end=True) if self.verdict == "open" else ""

    def _decide(self, is_end: bool) -> str:
        rest, may_come = self._repeated()
        if rest is not None:
            return self._after_echo(rest, is_end)
        if may_come and not is_end:
            return ""
        if overlap := self._overlap(self._held):
            return self._unproven(self._held[overlap:])
        return self._without_echo(is_end)

    # -- the echo --------------------------------------------------------------------------------

    def _repeated(self) -> tuple[str | None, bool]:
        """What comes behind the echo; else whether one may still come."""
        if not self._echo:
            return None, False
        # A few words may follow upon themselves ("ha ha"): they are an echo at the very beginning only.
        held = self._held.lstrip() if self._is_long else self._held
        if len(held) < len(self._held):
            self._is_sure = False  # a text may go on with a blank, and with what it has said before
        if held.startswith(self._echo):
            return held[len(self._echo) :], False
        if not self._is_long:
            return None, self._echo.startswith(held)
        taken, may_come = self._again(held)
        if taken or may_come:
            return held[taken:] if taken else None, may_come
        place = held.find(self._echo)
        if 0 < place <= GREETING and _REMARK.fullmatch(held, 0, place):
            self._is_sure = False  # the words before it are dropped, too
            return held[place + len(self._echo) :], False
        return None, len(held) < len(self._echo) + GREETING

    def _again(self, bare: str) -> tuple[int, bool]:
        """How many characters repeat more than was asked for, or the whole answer; else whether they still may."""
        if len(bare) < ECHO_CHARACTERS:
            return 0, True
        head, place = bare[:ECHO_CHARACTERS], -1
        may_come = False
        last = len(self._bare) - len(self._echo)
        while 0 <= (place := self._bare.find(head, place + 1)) <= last:
            length = len(self._bare) - place
            if len(bare) < length:
                may_come = may_come or self._bare.startswith(bare, place)
            elif bare.startswith(self._bare[place:]):
                return length, False
        return 0, may_come

    def _overlap(self, held: str) -> int:
        """How many characters repeat the end of what was said, from a word's beginning: less than the echo asked for."""
        if not self._is_long:
            return 0
        most = min(len(held), len(self._echo) - 1)
        return next((n for n in range(most, _CHANCE - 1, -1) if self._repeats(held[:n])), 0)

    def _repeats(self, words: str) -> bool:
        before = self._bare[: len(self._bare) - len(words)]
        return self._bare.endswith(words) and (not before or before[-1].isspace())

    # -- the verdict -----------------------------------------------------------------------------

    def _after_echo(self, rest: str, is_end: bool) -> str:
        """A blank or the end behind the echo shows that nothing was lost there; a lost blank would not show."""
        is_blank = not rest.strip()
        if is_blank and not is_end and len(rest) < max(1, len(self._trail)):
            return ""
        is_clear = rest[0].isspace() and rest.startswith(self._trail) if rest else True
        if not is_clear or not self._is_sure:
            return self._unproven(rest)
        self.verdict = "proven"
        return rest.removeprefix(self._trail)

    def _without_echo(self, is_end: bool) -> str:
        """Words that repeat nothing fit where a blank stands at the seam, or where none was asked to."""
        if not self._held.strip():
            return self._nothing(is_end)
        is_apart = self._trail or self._held[0].isspace() or not self._echo
        if not is_apart or self._is_nearly_said():
            self.verdict = "refused"
            return ""
        return self._unproven(self._held)

    def _is_nearly_said(self) -> bool:
        """Whether the echo came after all, with other quotes, capitals or words about it: joined, it would stand twice."""
        if not (self._is_long and self._is_unique):
            return False
        echo = _letters(self._echo)
        # No further than was waited for, or it would depend on how the words are sliced.
        held = _letters(self._held.lstrip()[: len(self._echo) + GREETING])
        return len(echo) >= _CHANCE and echo in held

    def _nothing(self, is_end: bool) -> str:
        """Not a word came. Who was to go on by himself had nothing to add."""
        if not is_end:
            return ""
        if not self._echo:
            return self._unproven(self._held)
        self.verdict = "refused"
        return ""

    def _unproven(self, rest: str) -> str:
        self.verdict = "unproven"
        blanks = rest[: len(rest) - len(rest.lstrip())]
        # Blanks that were shown before the break are not shown twice.
        if self._trail.startswith(blanks):
            return rest[len(blanks) :]
        return rest.removeprefix(self._trail)
