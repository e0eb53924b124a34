"""Leaving out the oldest turns of a conversation that is too long for a model (wire reference, D24). Pure.

Only whole turns go, and only the oldest: what stands at the beginning (system, developer) and the last thing
that the user said, with all that follows, always stay. Tool calls go with their results, or not at all.

Nobody here can count tokens, so a prompt is measured in bytes of text. Before sending they bound the tokens by a
guess; after a refusal the upstream has mostly told its own count, and the share that fits is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from ..types import Message

# Before sending: prose has four to five bytes to a token, code and Chinese three. Too low costs some words of an
# old turn, too high a refusal, after which the share is known.
BYTES_PER_TOKEN = 3
# A picture or a file costs about a thousand tokens, however many bytes it has.
PART = 4096
# Role and separators.
FRAME = 16
# Of what fits by the upstream's own count, because the turns that stay may hold more tokens to a byte.
MARGIN = 0.9
# What stays where nobody told a number.
HALF = 0.5

_FIRST = ("system", "developer")
_RESULTS = ("tool", "function")


class Compacted(Struct, frozen=True):
    """A shorter conversation."""

    messages: tuple[Message, ...]
    left_out: int
    """How many messages are gone."""


def compact(messages: Sequence[Message], most: int) -> Compacted | None:
    """The conversation without so many of its oldest turns that the rest weighs at most `most` bytes.

    Where what has to stay weighs more, it stays alone. None where nothing can be left out.
    """
    head = _head(messages)
    cuts = [at for at in _turns(messages) if at > head]
    if not cuts:
        return None
    # The weight of what follows each cut, from the last one on, so that every message is weighed once.
    room, rest, end, best = most - weight(messages[:head]), 0, len(messages), cuts[-1]
    for at in reversed(cuts):
        rest += weight(messages[at:end])
        if rest > room:
            break
        best, end = at, at
    return Compacted(without(messages, best - head), best - head)


def without(messages: Sequence[Message], left_out: int) -> tuple[Message, ...]:
    """The conversation without so many of its oldest messages, those at its beginning kept."""
    head = _head(messages)
    return (*messages[:head], *messages[head + left_out :])


def weight(messages: Sequence[Message]) -> int:
    """Bytes of all that becomes tokens: texts, names and arguments of calls; the rest at a flat rate."""
    return sum(FRAME + sum(_weights(message)) for message in messages)


def before(limit: int, output: int | None) -> int:
    """The bytes that likely fit in `limit` tokens beside the answer, for a prompt that is surely too long."""
    return (limit - min(output or 0, limit // 2)) * BYTES_PER_TOKEN


def after(words: str, messages: Sequence[Message]) -> int:
    """The bytes that fit by the upstream's own count, as told in the words of its refusal of these messages."""
    return int(weight(messages) * _share(words))


def note(left_out: int) -> str:
    """The sentence for the person who asked."""
    told = f"{left_out} of the oldest messages were" if left_out > 1 else "The oldest message was"
    return f"{told} left out, so that the prompt fits."


def _head(messages: Sequence[Message]) -> int:
    """How many messages stand at the beginning and stay."""
    return next((at for at, one in enumerate(messages) if one.get("role") not in _FIRST), len(messages))


def _turns(messages: Sequence[Message]) -> list[int]:
    """Where a turn of the user's begins without parting a tool's result from its call; ascending."""
    found: list[int] = []
    lacking: set[Any] = set()  # results whose calls stand further up
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        role = message.get("role")
        if role in _RESULTS:
            lacking.add(message.get("tool_call_id"))
        elif role == "assistant":
            lacking.difference_update(_calls(message))
        elif role == "user" and not lacking and not (at and messages[at - 1].get("role") == "user"):
            found.append(at)
    return found[::-1]


def _calls(message: Message) -> Iterator[Any]:
    if message.get("function_call"):
        yield None  # the old form, whose result names no call
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, Sequence) else ():
        if isinstance(call, dict):
            yield call.get("id")


def _weights(message: Message) -> Iterator[int]:
    content = message.get("content")
    for part in content if isinstance(content, list | tuple) else (content,):
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield _bytes(text)
        elif part is not None:
            yield PART
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list | tuple) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield _bytes(str(function.get("name", ""))) + _bytes(str(function.get("arguments", "")))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# -- what a refusal tells ---------------------------------------------------------------------------

_N = r"(?P<{}>\d[\d,]{{0,11}})"
_LIMIT, _ASKED, _INPUT, _OUTPUT = map(_N.format, ("limit", "asked", "input", "output"))

# How upstreams tell what they hold and what they got; the first that fits counts.
_TOLD = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # OpenRouter, OpenAI: "… maximum context length is N tokens. However, you requested about M tokens (I of text
        # input, O in the output)", "(I in the messages, O in the completion)", "your messages resulted in M tokens"
        rf"maximum context length is {_LIMIT} tokens.{{0,60}}?(?:requested(?: about)?|resulted in) {_ASKED} tokens"
        rf"(?: \({_INPUT} .{{0,40}}?, {_OUTPUT} in the)?",
        # Anthropic: "prompt is too long: M tokens > N maximum", "input length and `max_tokens` exceed context limit: I + O > N"
        rf"prompt is too long: {_ASKED} tokens > {_LIMIT}",
        rf"exceeds? context limit: {_INPUT} \+ {_OUTPUT} > {_LIMIT}",
        # Google: "The input token count (M) exceeds the maximum number of tokens allowed (N)."
        rf"token count \(?{_ASKED}\)? exceeds the maximum number of tokens allowed \(?{_LIMIT}",
        # llama.cpp: "request (M tokens) exceeds the available context size (N tokens)"
        rf"\({_ASKED} tokens\) exceeds the available context size \({_LIMIT} tokens",
    )
)


def _share(words: str) -> float:
    """Which part of the prompt fits, by the words of a refusal: above 0, below 1."""
    told = next((found for pattern in _TOLD if (found := pattern.search(words))), None)
    if told is None:
        return HALF
    count = {name: int(value.replace(",", "")) for name, value in told.groupdict().items() if value}
    room = count["limit"] - count.get("output", 0)
    got = count.get("input") or count.get("asked", 0)
    # An answer that leaves no room, or a prompt that would have fitted: these numbers are not what they seem.
    return MARGIN * room / got if 0 < room < got else HALF
