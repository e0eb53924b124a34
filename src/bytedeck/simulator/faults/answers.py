"""Faults in what is said: tool calls and reasoning in odd forms, empty answers, and how a continuation begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from ..shapes import Answer, Call, Counts, Model, Piece
from ..words import answer as answers
from .fault import CHAT, CHUNKS, SPOKEN, WITH_TOOLS, Fault, Params


def _empty(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    counts = replace(answer.counts, completion=0, reasoning=0, images=0)
    return replace(answer, pieces=(), finish_reason="", native_finish_reason="", counts=counts)


def _only_reasoning(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    """All of max_tokens was thought away (REQ-12)."""
    kept = tuple(piece for piece in answer.pieces if piece.kind == "reasoning")
    if not kept:
        kept = tuple(Piece("reasoning", p.text, p.tokens) for p in answer.pieces if p.kind == "content")
    spent = sum(piece.tokens for piece in kept)
    counts = replace(answer.counts, completion=spent, reasoning=spent, images=0)
    return replace(answer, pieces=kept, finish_reason="length", native_finish_reason="length", counts=counts)


def _ended(reason: str, native: str) -> Any:
    def end(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
        """The answer up to `tokens`, and this reason."""
        kept, sent = [], 0
        for piece in answer.pieces:
            if piece.tokens and sent >= params["tokens"]:
                break
            kept.append(piece)
            sent += piece.tokens
        counts = _spent(answer.counts, kept)
        return replace(
            answer, pieces=tuple(kept), finish_reason=reason, native_finish_reason=native, counts=counts
        )

    return end


def _spent(counts: Counts, pieces: list[Piece]) -> Counts:
    total = sum(piece.tokens for piece in pieces)
    thought = sum(piece.tokens for piece in pieces if piece.kind == "reasoning")
    return replace(counts, completion=total, reasoning=thought)


def _odd_finish(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    return replace(answer, finish_reason=params["reason"])


_MOST_MEGABYTES = 64


def _big(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    """One piece of so many megabytes; it counts as one token, so that no account is emptied by it."""
    line = "All work and no play makes a dull buffer. "
    text = line * (int(min(params["megabytes"], _MOST_MEGABYTES) * 1_000_000) // len(line) + 1)
    big = Piece("content", text, 1)
    counts = replace(answer.counts, completion=answer.counts.completion + 1)
    return replace(answer, pieces=(*answer.pieces, big), counts=counts)


def _late_signature(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    """Signatures come alone, after the last word."""
    kept, late = [], []
    for piece in answer.pieces:
        data = piece.data or {}
        if piece.kind != "details" or "signature" not in data:
            kept.append(piece)
            continue
        bare = {name: value for name, value in data.items() if name != "signature"}
        if bare.get("text"):
            kept.append(replace(piece, data=bare))
        late.append(Piece("details", "", 0, {**bare, "text": "", "signature": data["signature"]}))
    return replace(answer, pieces=(*kept, *late))


def _tools(change: Any) -> Any:
    """Change each piece of each tool call; `change` may give none, one or several for one."""

    def changed(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
        pieces: list[Piece] = []
        for piece in answer.pieces:
            pieces += change(piece) if piece.kind == "tool" else (piece,)
        return replace(answer, pieces=tuple(pieces))

    return changed


def _same_index(piece: Piece) -> Iterator[Piece]:
    yield replace(piece, data={**(piece.data or {}), "index": 0})


def _without_id(piece: Piece) -> Iterator[Piece]:
    yield replace(piece, data={name: value for name, value in (piece.data or {}).items() if name != "id"})


def _without_arguments(piece: Piece) -> Iterator[Piece]:
    if "name" in (piece.data or {}):
        yield replace(piece, text="")


def _with_space(piece: Piece) -> Iterator[Piece]:
    """An argument piece that is nothing but white space, after the real ones' beginning."""
    yield piece
    if "name" not in (piece.data or {}):
        yield replace(piece, text=" \n", tokens=0)


def _misnamed(piece: Piece) -> Iterator[Piece]:
    data = piece.data or {}
    yield replace(piece, data={**data, "name": "no_such_tool"}) if "name" in data else piece


def _second_call(answer: Answer) -> Answer:
    """The answer with its first call made twice, where it makes only one: an index needs two to be the same."""
    tools = [piece for piece in answer.pieces if piece.kind == "tool"]
    if not tools or any((piece.data or {}).get("index") for piece in tools):
        return answer
    again = []
    for piece in tools:
        data = {**(piece.data or {}), "index": 1}
        if "id" in data:
            data["id"] += "2"
        again.append(replace(piece, data=data))
    counts = replace(answer.counts, completion=answer.counts.completion + sum(p.tokens for p in again))
    return replace(answer, pieces=(*answer.pieces, *again), counts=counts)


def _same_indexes(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    changed: Answer = _tools(_same_index)(params, call, model, seed, _second_call(answer))
    return changed


def _cut_arguments(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
    """The last call's arguments break off, as max_tokens does it (TOOL-06)."""
    last = max((i for i, p in enumerate(answer.pieces) if p.kind == "tool" and p.text), default=None)
    if last is None:
        return answer
    piece = answer.pieces[last]
    cut = replace(piece, text=piece.text[: len(piece.text) // 2])
    pieces = (*answer.pieces[:last], cut, *answer.pieces[last + 1 :])
    return replace(answer, pieces=pieces, finish_reason="length", native_finish_reason="length")


def _manner(name: str, summary: str) -> Fault:
    def go_on(params: Params, call: Call, model: Model, seed: str, answer: Answer) -> Answer:
        return answers.continuation(call, model, seed, name)  # type: ignore[arg-type]

    return Fault(name=f"continue_{name}", summary=summary, rows="7 C", skins=SPOKEN, answer=go_on)


_AFTER = {"tokens": 3}

ROWS = (
    Fault(
        name="zero_completion",
        summary="Status 200, no tokens, a blank finish_reason; nothing is charged.",
        skins=SPOKEN,
        rows="D31, USE-09",
        outcome="error",
        answer=_empty,
    ),
    Fault(
        name="reasoning_only",
        summary="finish_reason length, and all tokens were reasoning.",
        skins=SPOKEN,
        rows="D30, REQ-12",
        needs_reasoning=True,
        answer=_only_reasoning,
    ),
    Fault(
        name="length",
        summary="finish_reason length after `tokens`.",
        skins=SPOKEN,
        rows="D24",
        params=_AFTER,
        answer=_ended("length", "length"),
    ),
    Fault(
        name="content_filter",
        summary="finish_reason content_filter after `tokens`.",
        skins=SPOKEN,
        rows="D27",
        params=_AFTER,
        answer=_ended("content_filter", "content_filter"),
    ),
    Fault(
        name="odd_finish",
        summary="A finish_reason that no documentation knows: end_turn, function_call, or empty.",
        skins=(*CHUNKS, "messages"),
        rows="4.1",
        params={"reason": "end_turn"},
        answer=_odd_finish,
    ),
    Fault(
        name="big_event",
        summary="An event of so many `megabytes`.",
        skins=SPOKEN,
        rows="SSE-03",
        params={"megabytes": 5.0},
        answer=_big,
    ),
    Fault(
        name="late_signature",
        summary="The reasoning's signature comes alone, after the last word.",
        skins=WITH_TOOLS,
        rows="5.2, REQ-05",
        needs_reasoning=True,
        answer=_late_signature,
    ),
    Fault(
        name="same_index",
        summary="Two tool calls with index 0 and ids of their own.",
        skins=CHAT,
        rows="TOOL-01",
        needs_tools=True,
        answer=_same_indexes,
    ),
    Fault(
        name="missing_tool_id",
        summary="Tool calls without ids.",
        skins=WITH_TOOLS,
        rows="5.2",
        needs_tools=True,
        answer=_tools(_without_id),
    ),
    Fault(
        name="missing_arguments",
        summary="Tool calls without arguments.",
        skins=WITH_TOOLS,
        rows="TOOL-03",
        needs_tools=True,
        answer=_tools(_without_arguments),
    ),
    Fault(
        name="whitespace_argument",
        summary="Pieces of arguments that are white space only.",
        skins=WITH_TOOLS,
        rows="14",
        needs_tools=True,
        answer=_tools(_with_space),
    ),
    Fault(
        name="unknown_tool",
        summary="A call of a tool that nobody offered.",
        skins=WITH_TOOLS,
        rows="3.2",
        needs_tools=True,
        answer=_tools(_misnamed),
    ),
    Fault(
        name="cut_arguments",
        summary="The last call's arguments break off, finish_reason length.",
        skins=WITH_TOOLS,
        rows="TOOL-06",
        needs_tools=True,
        answer=_cut_arguments,
    ),
    _manner("echo", "A continuation that repeats the last words first, as asked."),
    _manner("repeat", "A continuation that repeats without being asked."),
    _manner("paraphrase", "A continuation that says the last words in others."),
    _manner("greet", "A continuation that greets before it goes on."),
    _manner("drop_space", "A continuation that loses the space at the seam."),
    _manner("plain", "A continuation that goes on at once, asked for an echo or not."),
)
