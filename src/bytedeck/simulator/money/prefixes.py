"""The providers' prompt cache: how many tokens of a prompt are read from it, and how many are written.

The rule, per account and model: a prompt is its tools and then its messages; each run of them from the start is
a prefix. The longest prefix seen within the last ten minutes is cached, in whole blocks of 128 tokens and from
1,024 on. Claude caches only up to a `cache_control` mark (on a message or a part, or on the request, which
marks its end) and charges for what it writes; GPT-5.6 charges for writing too; others cache by themselves.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import msgspec
from msgspec.structs import replace

from ..models.facts import caching
from ..shapes import Call, Counts, Model

WITHIN = 600.0
BLOCK = 128
LEAST = 1024
_ENCODER = msgspec.json.Encoder(order="deterministic")


def _mark(item: Any) -> str:
    """The `cache_control` on a message, a tool or one of its parts: its ttl, or "" for none."""
    marks = [item.get("cache_control")] if isinstance(item, dict) else []
    content = item.get("content") if isinstance(item, dict) else None
    if isinstance(content, list):
        marks += [part.get("cache_control") for part in content if isinstance(part, dict)]
    found = [mark.get("ttl") or "5m" for mark in marks if isinstance(mark, dict)]
    return found[-1] if found else ""


def _unmarked(item: Any) -> Any:
    """The item without its marks: they may move while the text stays."""
    if isinstance(item, dict):
        return {name: _unmarked(value) for name, value in item.items() if name != "cache_control"}
    return [_unmarked(value) for value in item] if isinstance(item, list) else item


class Prefix(msgspec.Struct, frozen=True):
    """A prompt's first items."""

    digest: bytes
    tokens: int
    mark: str


def prefixes(call: Call, prompt_tokens: int) -> list[Prefix]:
    """All prefixes, the shortest first; tokens are shared out by the items' size as JSON."""
    items = [*call.tools, *call.messages]
    texts = [_ENCODER.encode(_unmarked(item)) for item in items]
    whole, seen, digest, found = sum(map(len, texts)), 0, hashlib.sha256(), []
    for item, text in zip(items, texts, strict=True):
        digest.update(len(text).to_bytes(8) + text)
        seen += len(text)
        found.append(Prefix(digest.digest(), prompt_tokens * seen // whole, _mark(item)))
    return found


def _blocks(tokens: int) -> int:
    return tokens // BLOCK * BLOCK if tokens >= LEAST else 0


class PromptCache:
    """What was seen lately."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, str, bytes], float] = OrderedDict()

    def counted(self, counts: Counts, account: str, model: Model, call: Call, now: float) -> Counts:
        """The counts with `cached`, `cache_write` and `cache_write_1h` filled in; remembers the prompt."""
        kind = caching(model)
        if not kind or counts.prompt < LEAST:
            return counts
        runs = prefixes(call, counts.prompt)
        ttl = "5m"
        if kind == "explicit":
            runs, ttl = _marked(runs, call)
        cached = self._longest(runs, account, model, now)
        self._remember(runs, account, model, now)
        written = 0
        if kind in ("explicit", "written") and runs:
            written = max(0, _blocks(runs[-1].tokens) - cached)
        return replace(
            counts, cached=cached, cache_write=written, cache_write_1h=written if ttl == "1h" else 0
        )

    def _longest(self, runs: list[Prefix], account: str, model: Model, now: float) -> int:
        for run in reversed(runs):
            if now - self._seen.get((account, model.id, run.digest), float("-inf")) <= WITHIN:
                return _blocks(run.tokens)
        return 0

    def _remember(self, runs: list[Prefix], account: str, model: Model, now: float) -> None:
        for run in runs:
            name = (account, model.id, run.digest)
            self._seen[name] = now
            self._seen.move_to_end(name)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)


def _marked(runs: list[Prefix], call: Call) -> tuple[list[Prefix], str]:
    """The prefixes up to the last mark, and how long that one keeps."""
    whole = call.body.get("cache_control")
    if isinstance(whole, dict):
        return runs, str(whole.get("ttl") or "5m")
    last = max((number for number, run in enumerate(runs) if run.mark), default=-1)
    return runs[: last + 1], runs[last].mark if last >= 0 else "5m"
