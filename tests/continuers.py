"""Known answers, and models that go on with them in every manner: a function from a request's body to a stream.

A model here knows its whole answer, so it goes on exactly where the words break off, and whatever is wrong
with the joined text is the fault of whoever joined it. It knows OpenRouter's shapes and nothing of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

ASKED: tuple[dict[str, Any], ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tell me what I asked for."},
)
"""What every request begins with."""

LEGS = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫"
"""An answer begun by the n-th attempt is marked with the n-th sign, so that no two legs can be mixed up."""

Call: TypeAlias = tuple[str, str]
"""A tool call's name and arguments."""


@dataclass(frozen=True)
class Known:
    """What a model answers, to the last character."""

    name: str
    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finish(self) -> str:
        return "tool_calls" if self.calls else "stop"

    def text_of(self, attempt: int) -> str:
        """The text as the n-th attempt would tell it from the start; the first one tells it bare."""
        if attempt == 1 or not self.text:
            return self.text
        if self.text[0] in "{[":  # it has to stay JSON
            return f'{self.text[0]}"leg": {attempt}, {self.text[1:]}'
        return LEGS[attempt - 1] + self.text


_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}}}
_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]

RECORDED = (
    Known("text", "The harbour is quiet.\n\nBoats sleep, and so do we."),
    Known("emoji", "Grüße 👩‍🚀 from 🇨🇦, ¡olé! 🎉 e\u0301"),
    Known("reasoning", "It is 42, as ever.", reasoning="Six by nine? No: six times seven."),
    Known("tool", calls=(("weather", '{"city": "Köln"}'),), params={"tools": _TOOLS}),
    Known(
        "two tools",
        "I look twice.",
        calls=(("weather", '{"city": "Köln"}'), ("weather", '{"city": "Bonn", "days": [1, 2]}')),
        params={"tools": _TOOLS},
    ),
    Known("json", '{"name": "Ada", "born": 1815, "of": ["a", "b c"]}', params={"response_format": _SCHEMA}),
)
"""The six streams that are cut at every byte."""

HARD = (
    Known("ha ha", "ha ha ha ha ha ha ha ha ha ha ha ha, he said, and ha ha ha again: ha ha ha ha"),
    Known("round", "to be or not to be, that is what they asked, and the answer was: to be or not to be"),
    Known(
        "markdown",
        "# Steps\n\n1. Read:\n\n```python\nfor x in y:\n    print(x)\n\n\n    print(y)\n```\n\n"
        "2. *Run* it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    ),
    Known("chinese", "港口很安静。船都睡了，我们也睡了。明天早上，船会再次出海，我们也会再次醒来。"),
    Known("newline at the end", "First line.\nSecond line.\nThird line, and nothing else.\n\n"),
    Known("german", 'Er sagte: „Komm, geh\'n wir!“ – »Nein«, rief sie, "das geht nicht": ‚Basta‘.'),
    Known(
        "glued", "The state-of-the-art, well-to-do, happy-go-lucky, up-to-date-and-then-some, well-to-do heir"
    ),
    Known("one word", "Yes"),
    Known("one long word", "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhersteller"),
    Known("blanks first", "\n\n   Indented, with  two   and three blanks.  \tTabs\ttoo. "),
    Known("signs", 'a = b[1] + {c: d}; // \\n is no newline, "é" is é\r\n<br/>&amp; %20 \u00a0\u2028 end'),
    Known(
        "code",
        "def f(a, b):\n    return a+b\n\n\ndef f(a, b):\n    return a+b\n\n\ndef g():\n    return f(1, 2)\n",
    ),
)
"""Texts that tempt a joiner: repeats, no blanks, many blanks, quotes."""

ONLY_TEXT = (*RECORDED[:2], *HARD)


# -- streams ---------------------------------------------------------------------------------------

_SIZES = (4, 1, 6, 2, 3, 9)


def tokens(text: str) -> list[str]:
    """The text in pieces of a few characters, so that words, blanks and signs are cut in every way."""
    found, at, turn = [], 0, 0
    while at < len(text):
        size = _SIZES[turn % len(_SIZES)]
        found.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return found


def sse(event: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def delta(piece: Mapping[str, Any], finish: str | None = None, **top: Any) -> bytes:
    choice: dict[str, Any] = {"index": 0, "delta": piece}
    return sse({**top, "choices": [{**choice, "finish_reason": finish} if finish else choice]})


COST = "0.000093"
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, "cost": float(COST)}


@lru_cache(maxsize=1024)
def stream(
    text: str, reasoning: str = "", calls: tuple[Call, ...] = (), leg: int = 1, pieces: tuple[str, ...] = ()
) -> bytes:
    """A whole answer of the n-th attempt as OpenRouter streams it."""
    head = {"id": f"gen-{leg}", "model": f"served/{leg}"}
    found = [b": OPENROUTER PROCESSING\n\n", delta({"role": "assistant", "content": ""}, **head)]
    found += [delta({"content": "", "reasoning": piece}) for piece in tokens(reasoning)]
    found += [delta({"content": piece}) for piece in pieces or tokens(text)]
    for place, (name, arguments) in enumerate(calls):
        opening = {"index": place, "id": f"call_{leg}_{place}", "type": "function"}
        found.append(delta({"tool_calls": [opening | {"function": {"name": name, "arguments": ""}}]}))
        found += [
            delta({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
            for piece in tokens(arguments)
        ]
    found += [delta({}, "tool_calls" if calls else "stop"), sse({"choices": [], "usage": USAGE})]
    return b"".join([*found, b"data: [DONE]\n\n"])


# -- what a request asks for -----------------------------------------------------------------------

Way = Literal["fresh", "prefill", "echo"]


@dataclass(frozen=True)
class Wanted:
    """A request as a model understands it."""

    way: Way
    partial: str = ""
    """What the assistant has said already."""
    quote: str = ""
    """The last words of it that the user asks to hear again first."""


def wanted(body: Mapping[str, Any]) -> Wanted:
    """Read a request's messages. AssertionError for what no engine of ours may send."""
    messages: Sequence[Mapping[str, Any]] = body["messages"]
    assert list(messages[: len(ASKED)]) == list(ASKED), "the caller's messages were changed"
    rest = messages[len(ASKED) :]
    roles = [message["role"] for message in rest]
    if not roles:
        return Wanted("fresh")
    partial = rest[0]["content"]
    assert partial.strip(), "an empty assistant turn: no provider takes it"
    if roles == ["assistant"]:
        assert partial == partial.rstrip(), "a prefill ends in blanks: providers refuse it"
        return Wanted("prefill", partial)
    assert roles == ["assistant", "user"], roles
    return Wanted("echo", partial, _quoted(partial, rest[1]["content"]))


def _quoted(partial: str, request: str) -> str:
    """The longest end of the partial text, without blanks around it, that stands in the request."""
    bare = partial.rstrip()
    longest = next((n for n in range(len(bare), 0, -1) if bare[-n:] in request), 0)
    assert longest, f"the request to go on quotes none of the last words: {request!r}"
    return bare[-longest:].lstrip()


# -- manners of going on ---------------------------------------------------------------------------

GREETING = "Sure! Here is the rest: "
PREFILL_REFUSED = (
    b'{"error":{"code":400,"message":"This model does not support assistant message prefill. '
    b'The conversation must end with a user message."}}'
)

Manner: TypeAlias = Callable[[str, Wanted], str]
"""The whole text and a request → what is said. Only ever called with a request to go on."""


def _rest(whole: str, want: Wanted) -> str:
    return whole[len(want.partial) :]


def _after_quote(whole: str, want: Wanted) -> str:
    """What follows the quoted words: with the blanks that the partial text ends in."""
    return whole[len(want.partial.rstrip()) :]


def echo(whole: str, want: Wanted) -> str:
    """As it was asked: the quoted words, and on."""
    return want.quote + _after_quote(whole, want) if want.quote else _rest(whole, want)


def no_echo(whole: str, want: Wanted) -> str:
    """Goes on from the very character, whatever it was asked."""
    return _rest(whole, want)


def drop_space(whole: str, want: Wanted) -> str:
    """The blanks at the seam are lost."""
    return want.quote + _after_quote(whole, want).lstrip()


def drop_space_bare(whole: str, want: Wanted) -> str:
    """No echo, and what follows begins without its blanks, as models like to."""
    return _rest(whole, want).lstrip()


def greet(whole: str, want: Wanted) -> str:
    return GREETING + echo(whole, want)


def greet_bare(whole: str, want: Wanted) -> str:
    return GREETING + _rest(whole, want)


def greet_line(whole: str, want: Wanted) -> str:
    return "Certainly.\n\n" + echo(whole, want)


def repeat(whole: str, want: Wanted) -> str:
    """The whole answer anew."""
    return whole


def paraphrase(whole: str, want: Wanted) -> str:
    """The quoted words, but not as they stood."""
    return want.quote.swapcase() + _after_quote(whole, want)


def echo_in_quotes(whole: str, want: Wanted) -> str:
    return f'"{want.quote}"{_after_quote(whole, want)}'


def echo_less(whole: str, want: Wanted) -> str:
    """Only the last of the quoted words."""
    return re.split(r"\s+", want.quote)[-1] + _after_quote(whole, want)


def echo_more(whole: str, want: Wanted) -> str:
    """From some words before those that it was asked for."""
    bare = want.partial.rstrip()
    start = max(0, len(bare) - len(want.quote) - 12)
    return whole[start:]


def echo_line(whole: str, want: Wanted) -> str:
    """A line break before the quoted words."""
    return "\n" + echo(whole, want)


def fenced(whole: str, want: Wanted) -> str:
    """Opens a block of code that nobody asked for."""
    return "```\n" + echo(whole, want)


def silent(whole: str, want: Wanted) -> str:
    """Says that it is done, and nothing else."""
    return ""


MANNERS: dict[str, Manner] = {
    one.__name__: one
    for one in (
        *(echo, no_echo, drop_space, drop_space_bare, greet, greet_bare, greet_line, repeat, paraphrase),
        *(echo_in_quotes, echo_less, echo_more, echo_line, fenced, silent),
    )
}
HONEST = frozenset({"echo", "no_echo"})
"""They add and lose nothing: whatever is accepted of them has to be the known text."""


def reads_as_echo(quote: str, told: str) -> bool:
    """Whether these words are to the last sign what an exact echo could be: nobody can know that they are none."""
    return bool(quote) and told.startswith(quote) and not told[len(quote) :][:1].strip()
