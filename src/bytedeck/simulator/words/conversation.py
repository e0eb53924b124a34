"""What a conversation asks for: a fresh answer, or the rest of one that was broken off, and how it is to begin.

Reads the messages only. The text that answers them follows from the user's turns, never from the assistant's, so that
every model of a chain would say the same words, and a broken answer can be compared with the whole one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, json

from . import language as words

_GOES_ON = re.compile(
    r"\b(?:continu\w*|go(?:ing)? on|carry on|resume\w*|pick up|keep going|the rest|cut (?:off|short)|broke off"
    r"|broken off|interrupted|left off|where (?:you|it) (?:stopped|ended))\b",
    re.IGNORECASE,
)
_ECHO = re.compile(
    r"\b(?:repeat\w*|verbatim|word for word|echo\w*|(?:begin\w*|start\w*) (?:by|with)\b)", re.IGNORECASE
)
_NO_ECHO = re.compile(r"\b(?:not|n't|n’t|never|without)\s+(?:\w+\s+)?repeat\w*", re.IGNORECASE)
_LAST = re.compile(r"\blast\s+(\d{1,3}|\w+)\s+(words?|characters?)\b", re.IGNORECASE)
_NUMBERS = {
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
}
_USUAL_ECHO = 8
"""Words that are repeated where a turn asks for an echo and does not say of how much."""
_LONGEST_QUOTE = 400
_SHORTEST_QUOTE = 8
_LONGEST_REQUEST = 4_000


class Turns(Struct, frozen=True, kw_only=True):
    """What was read from the messages."""

    key: str
    """What the full text follows from: the user's turns, and what tools gave back."""
    asked: words.Directives
    """The directives of the last turn of the user's own."""
    misread: tuple[str, ...] = ()
    """What of them was not understood."""
    user: str
    """That turn's words, without directives."""
    partial: str | None = None
    """What the assistant has said already. None: nothing."""
    echo: str = ""
    """The end of `partial` that a user turn asks to have repeated, with the blanks after it."""
    prefilled: bool = False
    """Whether the last message is the assistant's."""
    after_tool: bool = False
    """Whether the last message is what a tool gave back."""


def read(messages: Sequence[Mapping[str, Any]], *, fresh: bool = False) -> Turns:
    """What the messages ask for. `fresh`: a request to go on is taken as a turn like any other."""
    own = list(messages)
    partials: list[str] = []
    request = ""
    prefilled = bool(own) and _said(own[-1]) is not None
    while own and not (fresh and not prefilled):
        if (said := _said(own[-1])) is not None and (partials or prefilled):
            partials.insert(0, said)
            own.pop()
        elif _is_request(own) and (said := _said(own[-2])) is not None:
            request = request or words.text_of(own[-1].get("content"))
            partials.insert(0, said)
            own = own[:-2]
        else:
            break
    text = _last_user(own)
    partial = _joined(partials) if partials else None
    return Turns(
        key=json.encode(
            [_told(message) for message in own if message.get("role") in ("user", "tool")]
        ).decode(),
        asked=words.directives(text) if "[[sim:" in text else words.Directives(),
        misread=words.misread(text) if "[[sim:" in text else (),
        user=words.without_directives(text),
        partial=partial,
        echo=_echo(request, partial) if partial and not prefilled else "",
        prefilled=prefilled,
        after_tool=bool(own) and own[-1].get("role") == "tool",
    )


def _last_user(messages: Sequence[Mapping[str, Any]]) -> str:
    turns = (message for message in reversed(messages) if message.get("role") == "user")
    return next((words.text_of(message.get("content")) for message in turns), "")


def _said(message: Mapping[str, Any]) -> str | None:
    """The words of an assistant's turn that was broken off; None for anything else."""
    if message.get("role") != "assistant" or message.get("tool_calls"):
        return None
    return words.text_of(message.get("content")) or None


def _is_request(messages: Sequence[Mapping[str, Any]]) -> bool:
    if len(messages) < 3 or messages[-1].get("role") != "user":
        return False
    text = words.text_of(messages[-1].get("content"))
    if len(text) > _LONGEST_REQUEST:
        return False
    return _GOES_ON.search(text) is not None or bool(_quoted(text, (_said(messages[-2]) or "").rstrip()))


def _quoted(request: str, bare: str) -> str:
    """The last words of a text, where a turn ends with them on lines of their own: so it is asked in any language."""
    asked = request.rstrip()
    longest = min(len(bare), len(asked), _LONGEST_QUOTE)
    found = (n for n in range(longest, 0, -1) if asked.endswith(bare[-n:]) and asked[:-n].endswith("\n\n"))
    return bare[-n:] if (n := next(found, 0)) else ""


def _told(message: Mapping[str, Any]) -> Any:
    """Words as words, however they are packed; what is no text as it is."""
    content = message.get("content")
    if not isinstance(content, list):
        return content
    rest = [part for part in content if not isinstance(part, dict) or "text" not in part]
    return [words.text_of(content), rest] if rest else words.text_of(content)


def _joined(partials: Sequence[str]) -> str:
    """The parts of a text; where one begins with the end of the one before, that is told once."""
    text = partials[0]
    for part in partials[1:]:
        longest = min(len(text), len(part), _LONGEST_QUOTE)
        overlap = next((n for n in range(longest, _SHORTEST_QUOTE - 1, -1) if text.endswith(part[:n])), 0)
        text += part[overlap:]
    return text


def _echo(request: str, partial: str) -> str:
    bare = partial.rstrip()
    blanks = partial[len(bare) :]
    if quote := _quoted(request, bare):
        return quote + blanks
    if not _ECHO.search(request) or _NO_ECHO.search(request):
        return ""
    for length in range(min(len(bare), _LONGEST_QUOTE), _SHORTEST_QUOTE - 1, -1):
        if bare[-length:] in request:
            return bare[-length:] + blanks
    number, unit = _USUAL_ECHO, "words"
    if found := _LAST.search(request):
        number = int(found[1]) if found[1].isdigit() else _NUMBERS.get(found[1].lower(), _USUAL_ECHO)
        unit = found[2].lower()
    if unit.startswith("char"):
        return partial[-max(1, number) :]
    return tail(partial, number)


def tail(text: str, number: int) -> str:
    """A text's last so many words, with the blanks between and after them."""
    starts = [found.start() for found in re.finditer(r"\S+", text)]
    return text[starts[-min(number, len(starts))] :] if starts and number > 0 else ""
