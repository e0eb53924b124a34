"""Whether a prompt is surely too long for a model. It never refuses what might fit.

Counting tokens takes the model's own tokenizer, so here is a lower bound that holds for any:
no token is longer than 256 bytes (the longest in the large public vocabularies are runs of 128 spaces), and
no token covers more than four words (ordinary tokenizers split at white space; those that do not,
"superword" ones, stop at four). For prose this is about a fifth of the true number.
The local model's tokenizer is known: it never joins two words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, inf
from typing import Any

from ..types import Candidate, Message

_LONGEST = 256
_WORDS_ANY = 4
_WORDS_LOCAL = 1
# Splitting a long text at once would need many times its memory.
_SLICE = 1 << 16
# OpenRouter shortens prompts by itself for models that hold no more than this (wire reference, 3.7).
_COMPRESSED = 8192
_FIRST = ("system", "developer")


def holds(candidate: Candidate, params: Mapping[str, Any]) -> int | None:
    """The tokens that a candidate holds at most; None where that is not known or the upstream shortens prompts."""
    limit = candidate.info.context_length if candidate.info else None
    if limit is None or candidate.route == "local":
        return limit
    shortened = limit <= _COMPRESSED or "plugins" in params or "transforms" in params
    return None if shortened else limit


def too_long(
    messages: Sequence[Message], candidates: Sequence[Candidate], params: Mapping[str, Any]
) -> list[Candidate]:
    """The candidates for which the prompt is surely too long."""
    limited = [(one, limit) for one in candidates if (limit := holds(one, params)) is not None]
    # The bound below is never more than one token a character: most prompts are done here.
    if not limited or size(messages) <= min(limit for _, limit in limited):
        return []
    need = {
        local: least_tokens(messages, local=local) for local in {one.route == "local" for one, _ in limited}
    }
    return [one for one, limit in limited if need[one.route == "local"] > limit]


def room(candidates: Sequence[Candidate]) -> float:
    """The characters of a prompt that is too long for none of them, whatever else a request says: `holds` bounds nobody
    more closely for a parameter, and no text has more tokens than characters."""
    return min((limit for one in candidates if (limit := holds(one, {})) is not None), default=inf)


def core(messages: Sequence[Message]) -> list[Message]:
    """What stays of a conversation however much of it is left out: its instructions and the user's last word."""
    head = next((at for at, one in enumerate(messages) if one.get("role") not in _FIRST), len(messages))
    last = max((at for at, one in enumerate(messages) if one.get("role") == "user"), default=head)
    return [*messages[:head], *messages[max(head, last) :]]


def texts(messages: Iterable[Message]) -> Iterator[str]:
    """Every text in the messages; pictures, files and tool calls are left out."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list | tuple):
            for part in content:
                text = part.get("text") if isinstance(part, dict) else None
                if isinstance(text, str):
                    yield text


def size(messages: Iterable[Message]) -> int:
    """The length of all texts in characters: what `least_tokens` can never exceed."""
    found = 0
    for message in messages:
        content = message.get("content")
        found += len(content) if isinstance(content, str) else sum(map(len, texts((message,))))
    return found


def least_tokens(messages: Iterable[Message], *, local: bool = False) -> int:
    """As many tokens as the messages surely have."""
    per_token = _WORDS_LOCAL if local else _WORDS_ANY
    return sum(max(ceil(_bytes(text) / _LONGEST), ceil(_words(text) / per_token)) for text in texts(messages))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _words(text: str) -> int:
    """The number of words, at least: a word that a slice cuts in two counts once."""
    slices = range(0, len(text), _SLICE)
    return max(0, sum(len(text[at : at + _SLICE].split()) for at in slices) - max(0, len(slices) - 1))
