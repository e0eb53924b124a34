"""A small language: sentences from a vocabulary, and the rule by which text is cut into tokens.

Everything follows from the seed that is given: the same seed says the same words, on every machine.

A user message may hold directives, for tests that need an exact answer:

    [[sim: words=120 reasoning=40 tools=get_weather finish=length]]      [[sim: say="exactly this, \\"quoted\\"\\n"]]

`say` the text itself, `words` or `tokens` how many of them, `reasoning` how many tokens of thought, `tools` how many
calls or the names of the functions, `arguments` what these are given, `finish` the finish reason, `refusal` the words of a refusal. What is not
understood is ignored, and so is a value that does not fit its key; `misread` tells what that was.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

_TOKEN = re.compile(r" ?[^\W\d_]{1,6}|\d{1,3}| ?[^\w\s]{1,3}|\s{1,4}|[\s\S]")
LONGEST_TOKEN = 7
"""Characters."""
# Above this the rest is counted in proportion: a prompt of megabytes must not stop the server's loop.
_COUNTED = 400_000
_PER_MESSAGE = 4
_PER_CALL = 3
PART_TOKENS: dict[str, int] = {
    "image_url": 258,
    "input_audio": 200,
    "video_url": 1_000,
    "input_video": 1_000,
    "file": 500,
}
"""What a part that is not text counts for, whatever is in it."""

_VOCABULARY: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "words.toml").read_text("utf-8")
)
_ADJECTIVES, _PLACES = _VOCABULARY["adjectives"], _VOCABULARY["places"]
_REMARKS, _TEMPLATES = _VOCABULARY["remarks"], _VOCABULARY["templates"]
_SLOT = re.compile(r"\{(\w)\}")
_SLOTS: Mapping[str, Sequence[str]] = {
    "a": _ADJECTIVES,
    "n": _VOCABULARY["nouns"],
    "v": _VOCABULARY["verbs"],
    "p": _PLACES,
}

_DIRECTIVES = re.compile(r"\[\[sim:((?:[^\[\]\"]|\"(?:[^\"\\]|\\.)*\"|\](?!\]))*)\]\]", re.DOTALL)
_PAIR = re.compile(r"(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"]+))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}
MOST_WORDS = 200_000
"""More than that no answer has."""


class Directives(msgspec.Struct, frozen=True, kw_only=True):
    """What a user message asks of the simulator. None: nothing said."""

    say: str | None = None
    words: int | None = None
    tokens: int | None = None
    reasoning: int | None = None
    tools: int | None = None
    names: tuple[str, ...] = ()
    """Functions by name."""
    arguments: str | None = None
    """Of each call, as they are."""
    finish: str | None = None
    refusal: str | None = None


_FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "error"})
_NUMBERS = frozenset({"words", "tokens", "reasoning"})
_TEXTS = frozenset({"say", "refusal", "arguments"})
_WANTED: Mapping[str, str] = {
    "say": "text",
    "words": "a whole number",
    "tokens": "a whole number",
    "reasoning": "a whole number",
    "tools": "a number, or names of functions",
    "arguments": "text",
    "finish": "stop, length, tool_calls, content_filter or error",
    "refusal": "text",
}
"""Key → what its value has to be, in words."""
_OPENING = "[[sim:"
_QUOTED = 40
"""Characters of a prompt that a phrase about it repeats."""


def directives(text: str) -> Directives:
    """What `[[sim: …]]` in a text asks for; of two that say the same key, the later one."""
    asked: dict[str, Any] = {}
    for found in _DIRECTIVES.finditer(text):
        for key, quoted, bare in _PAIR.findall(found[1]):
            asked |= _read(key, bare or _unescape(quoted))
    return Directives(**asked)


def misread(text: str) -> tuple[str, ...]:
    """What in a text's directives is not understood, a phrase for each."""
    told: list[str] = []
    for found in _DIRECTIVES.finditer(text):
        for key, quoted, bare in _PAIR.findall(found[1]):
            if not _read(key, bare or _unescape(quoted)):
                told.append(_misfit(key, bare or quoted))
        if rest := " ".join(_PAIR.sub(" ", found[1]).split()):
            told.append(f"{rest[:_QUOTED]!r} is no key=value")
    if _OPENING in without_directives(text):
        told.append("a [[sim: is not closed by ]]")
    return tuple(told)


def _misfit(key: str, value: str) -> str:
    if key in _WANTED:
        return f"{key} is {value[:_QUOTED]!r}, and has to be {_WANTED[key]}"
    return f"{key[:_QUOTED]} is no key: they are {', '.join(_WANTED)}"


def without_directives(text: str) -> str:
    """What a user really says."""
    return _DIRECTIVES.sub("", text)


def _read(key: str, value: str) -> dict[str, Any]:
    number = min(int(value), MOST_WORDS) if re.fullmatch(r"[0-9]{1,9}", value) else None
    if key in _NUMBERS and number is not None:
        return {key: number}
    if key in _TEXTS:
        return {key: value}
    if key == "finish" and value in _FINISHES:
        return {key: value}
    if key == "tools" and number is not None:
        return {"tools": number}
    if key == "tools" and (names := tuple(name for name in value.split(",") if name)):
        return {"names": names}
    return {}


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)


def stream(*parts: object) -> Random:
    """Chance that follows from what is given, and from nothing else."""
    told = "\x1f".join(str(part) for part in parts)
    return Random(hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest())  # noqa: S311  # not for secrets


def split(text: str) -> list[str]:
    """A text's tokens, about four characters each; joined, they are the text again."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """How many tokens a text has; what is beyond 400,000 characters is reckoned in proportion."""
    if len(text) <= _COUNTED:
        return len(_TOKEN.findall(text))
    return len(_TOKEN.findall(text, 0, _COUNTED)) * len(text) // _COUNTED


def text_of(content: Any) -> str:
    """The words of a message's content, be it a string, parts or nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def prompt_tokens(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()) -> int:
    """What a prompt counts for: its words, its tools as JSON, and a flat number for what is no text."""
    total = _PER_CALL + sum(_PER_MESSAGE + _message_tokens(message) for message in messages)
    return total + (count(msgspec.json.encode(tools).decode()) if tools else 0)


def parts_of(messages: Sequence[Mapping[str, Any]], kind: str) -> int:
    """How many parts of a kind the messages hold."""
    contents = (message.get("content") for message in messages)
    told = (part for content in contents if isinstance(content, list) for part in content)
    return sum(1 for part in told if isinstance(part, dict) and part.get("type") == kind)


def _message_tokens(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    total = count(text_of(content))
    if isinstance(content, list):
        total += sum(PART_TOKENS.get(str(part.get("type")), 0) for part in content if isinstance(part, dict))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        total += (
            _PER_MESSAGE + count(str(function.get("name", ""))) + count(str(function.get("arguments", "")))
        )
    return total


def sentence(chance: Random) -> str:
    """One sentence."""
    if chance.random() < 0.15:
        return chance.choice(_REMARKS)
    return _SLOT.sub(lambda found: _fill(found[1], chance), chance.choice(_TEMPLATES))


def _fill(slot: str, chance: Random) -> str:
    if slot == "d":
        return str(chance.randint(3, 990))
    if slot == "P":
        return _capital(chance.choice(_PLACES))
    return chance.choice(_SLOTS[slot])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentences(chance: Random) -> Iterator[str]:
    """Sentences without an end, each with the space or the blank line before it."""
    yield sentence(chance)
    while True:
        yield ("\n\n" if chance.random() < 0.12 else " ") + sentence(chance)


def prose(chance: Random, tokens: int) -> str:
    """Sentences of at least so many tokens in all; the last one is whole."""
    told: list[str] = []
    have = 0
    for part in sentences(chance):
        if have >= tokens:
            break
        told.append(part)
        have += count(part)
    return "".join(told)


def exactly(chance: Random, number: int) -> str:
    """So many words, as `str.split` counts them."""
    told: list[str] = []
    for part in sentences(chance):
        if len(told) >= number:
            break
        told += part.split()
    return " ".join(told[:number])


def trimmed(text: str, tokens: int) -> str:
    """A text's first so many tokens."""
    return "".join(split(text)[:tokens])


def altered(text: str, chance: Random) -> str:
    """The same in other words: what somebody remembers who does not quote."""
    told = text.split(" ")
    for at in range(0, len(told), 3):
        told[at] = chance.choice(_ADJECTIVES)
    return _capital(" ".join(told))
