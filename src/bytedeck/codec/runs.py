"""The pieces of one network read, in their order → as few Deltas as keep it."""

from __future__ import annotations

from typing import Any, TypeAlias

Runs: TypeAlias = list[tuple[str, list[Any]]]
"""The Delta's field, and what came for it, one after the other."""

# Fields of one rank share a Delta. A lower rank after a higher one opens a new Delta, so that
# who shows reasoning, then words, then calls never shows them in another order than they came.
_RANK = {
    "reasoning": 0,
    "reasoning_details": 0,
    "text": 1,
    "refusal": 1,
    "logprobs": 1,
    "annotations": 1,
    "audio": 1,
    "images": 2,
    "tool_calls": 2,
}
STRINGS = ("reasoning", "text", "refusal")


def add(runs: Runs, name: str, found: str | list[Any] | None) -> None:
    """Append what came for a field; nothing is no piece."""
    if found:
        runs.append((name, found if isinstance(found, list) else [found]))


def fold(runs: Runs) -> list[dict[str, Any]]:
    """Runs → the fields of each Delta."""
    folded: list[dict[str, list[Any]]] = []
    rank = len(_RANK)
    for name, pieces in runs:
        if _RANK[name] < rank or not folded:
            folded.append({})
        rank = _RANK[name]
        folded[-1].setdefault(name, []).extend(pieces)
    return [
        {name: "".join(pieces) if name in STRINGS else tuple(pieces) for name, pieces in held.items()}
        for held in folded
    ]
