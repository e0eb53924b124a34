"""What a fault is: which stages of an answer it touches, and what it does there. The rows are in its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from ..shapes import Answer, Bill, Call, Event, Head, Model, Refusal, Sent, Skin, Step

Params: TypeAlias = Mapping[str, Any]
Outcome: TypeAlias = Literal["whole", "error", "truncated"]
Steps: TypeAlias = Iterator[Head | Step]

CHAT: tuple[Skin, ...] = ("chat",)
CHUNKS: tuple[Skin, ...] = ("chat", "completions")
"""Skins whose streams are chunks with choices."""
WITH_TOOLS: tuple[Skin, ...] = ("chat", "responses", "messages")
SPOKEN: tuple[Skin, ...] = (*CHUNKS, "responses", "messages")
ALL: tuple[Skin, ...] = (*SPOKEN, "embeddings", "rerank")


class Moment(Struct, frozen=True, kw_only=True):
    """What a refusing fault may know: the clock, and when its script (or the world) began."""

    now: float
    since: float
    model: str
    provider: str


class Fault(Struct, frozen=True, kw_only=True):
    """One row: a name, what it does, and which stages of an answer it touches."""

    name: str
    summary: str
    rows: str
    """The rows, shapes and cases of the wire reference that it causes."""
    params: dict[str, Any] = field(default_factory=dict)
    """Keys with their defaults, whose types are the values' types."""
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of keys whose values are texts: a pattern that they have to fit, and what it means."""
    skins: tuple[Skin, ...] = ALL
    """Whose requests it can happen to."""
    outcome: Outcome = "whole"
    """What it makes of the answer's bill: all, nothing (the insurance), or what was sent."""
    refuse: Callable[[Params, Moment], Refusal | None] | None = None
    """Instead of an answer, before its head."""
    failures: Callable[[Params], tuple[int, ...]] | None = None
    """Statuses of the providers that fail before one answers."""
    answer: Callable[[Params, Call, Model, str, Answer], Answer] | None = None
    """Another answer; the text is the seed."""
    bill: Callable[[Params, Bill], Bill] | None = None
    """Another bill for the whole answer, told and charged."""
    usage: str = ""
    """Another way to tell a stream's usage: "bare", "double"."""
    needs_tools: bool = False
    """It damages tool calls, so that the answer has to have some where tools were given."""
    needs_reasoning: bool = False
    """It damages reasoning, so that the model has to think unless told not to."""
    events: Callable[[Params, Sent, Iterable[Event]], Iterator[Event]] | None = None
    """A stream's events, made worse."""
    body: Callable[[Params, Sent, bytes], bytes] | None = None
    """A whole answer's body, made worse."""
    steps: Callable[[Params, Steps], Steps] | None = None
    """What happens on the connection, streamed or not."""
