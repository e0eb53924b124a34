"""Embeddings and rerank: deterministic vectors in which equal texts are equal and similar texts are near.

A text's vector is the sum of its words' and their trigrams' own directions, brought to length one; the score of a
document is how much of the query's words it has. Both answers come without id and cost, which the bill adds.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from msgspec import json

from ..shapes import Call, Counts, Model, Refusal
from . import language as words

USUAL_DIMENSIONS = 1_536
_DIMENSIONS: Mapping[str, int] = {
    "openai/text-embedding-3-large": 3_072,
    "google/gemini-embedding-001": 3_072,
    "baai/bge-m3": 1_024,
}
"""Of models that do not have the usual number."""
_MOST_DIMENSIONS = 8_192
_DIRECTIONS = 16
"""How many places of the vector a word turns to."""
_WORD = re.compile(r"\w+")
_DOCUMENTS_PER_UNIT = 100


def embeddings(call: Call, model: Model, seed: str) -> tuple[dict[str, Any], Counts]:
    """The body of an embeddings answer, and the tokens of all inputs.

    Raises:
        Refusal: 400, for an input without anything in it, or dimensions that no model has.
    """
    inputs = _inputs(call.body.get("input"))
    size = call.body.get("dimensions") or _DIMENSIONS.get(model.id, USUAL_DIMENSIONS)
    if not 1 <= size <= _MOST_DIMENSIONS:
        raise Refusal(400, f"dimensions: must be from 1 to {_MOST_DIMENSIONS}", "invalid_request")
    as_base64 = call.body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _form(vector(text, size, seed), as_base64)}
        for at, (text, _) in enumerate(inputs)
    ]
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model.id, "usage": usage}, Counts(prompt=tokens)


def _inputs(told: Any) -> list[tuple[str, int]]:
    """Each input as the text that stands for it, and its tokens; a list of numbers is one input of tokens."""
    if isinstance(told, str) or (told and isinstance(told, list) and isinstance(told[0], int)):
        told = [told]
    if not isinstance(told, list) or not told:
        raise Refusal(400, "input: must not be empty", "invalid_request")
    return [_input(each) for each in told]


def _input(told: Any) -> tuple[str, int]:
    if isinstance(told, str) and told:
        return told, words.count(told)
    if isinstance(told, list) and told:
        return " ".join(f"token{each}" for each in told), len(told)
    if isinstance(told, dict) and isinstance(parts := told.get("content"), list):
        text = words.text_of(parts)
        flat = sum(
            words.PART_TOKENS.get(str(part.get("type")), 0) for part in parts if isinstance(part, dict)
        )
        rest = [part for part in parts if isinstance(part, dict) and "text" not in part]
        return text + (json.encode(rest).decode() if rest else ""), words.count(text) + flat
    raise Refusal(400, "input: must not be empty", "invalid_request")


def vector(text: str, dimensions: int, seed: str) -> list[float]:
    """A text's direction, of length one."""
    sums = [0.0] * dimensions
    for mark, weight in _marks(text).items():
        for raw in _turns(f"{seed}\x1f{mark}"):
            sums[(raw >> 1) % dimensions] += weight if raw & 1 else -weight
    length = math.sqrt(sum(value * value for value in sums))
    return [value / length for value in sums] if length else [1.0, *sums[1:]]


def _marks(text: str) -> dict[str, float]:
    """A text's words, and with less weight their trigrams, so that "cat" and "cats" are no strangers."""
    told: dict[str, float] = {}
    for word in _WORD.findall(text.lower()) or [text]:
        told[word] = told.get(word, 0.0) + 1.0
        for at in range(len(word) - 2):
            mark = "#" + word[at : at + 3]
            told[mark] = told.get(mark, 0.0) + 0.3
    return told


@lru_cache(maxsize=50_000)
def _turns(mark: str) -> tuple[int, ...]:
    return struct.unpack(f"<{_DIRECTIONS}I", blake2b(mark.encode("utf-8", "surrogatepass")).digest())


def _form(values: Sequence[float], as_base64: bool) -> list[float] | str:
    """Numbers as they survive 32 bits, or those bits, little-endian, in base64."""
    packed = struct.pack(f"<{len(values)}f", *values)
    return b64encode(packed).decode() if as_base64 else [round(value, 8) for value in values]


def rerank(call: Call, model: Model, seed: str) -> tuple[dict[str, Any], Counts]:
    """The body of a rerank answer: the best documents first, their scores between 0 and 1.

    Raises:
        Refusal: 400, where there is no document.
    """
    query = words.text_of(call.body.get("query"))
    documents = [_document(each) for each in call.body.get("documents") or ()]
    if not documents:
        raise Refusal(400, "documents: must not be empty", "invalid_request")
    scores = [_score(query, document, seed) for document in documents]
    order = sorted(range(len(documents)), key=lambda at: (-scores[at], at))
    top = call.body.get("top_n") or len(order)
    results = [
        {"index": at, "relevance_score": scores[at], "document": documents[at]} for at in order[: max(0, top)]
    ]
    tokens = sum(words.count(document.get("text", "")) for document in documents)
    tokens += words.count(query) * len(documents)
    usage = {"search_units": math.ceil(len(documents) / _DOCUMENTS_PER_UNIT), "total_tokens": tokens}
    return {"model": model.id, "results": results, "usage": usage}, Counts(prompt=tokens)


def _document(told: Any) -> dict[str, Any]:
    if isinstance(told, str):
        return {"text": told}
    return {key: told[key] for key in ("text", "image") if key in told} if isinstance(told, dict) else {}


def _score(query: str, document: Mapping[str, Any], seed: str) -> float:
    """How much of the query is in the document, with a little chance, so that scores look like scores."""
    asked, told = _marks(query), _marks(str(document.get("text", "")))
    shared = sum(weight for mark, weight in asked.items() if mark in told)
    part = shared / (sum(asked.values()) or 1.0)
    chance = words.stream("rerank", seed, query, document.get("text"), document.get("image")).random()
    return round(min(0.9999, 0.02 + 0.93 * part + 0.04 * chance), 6)
