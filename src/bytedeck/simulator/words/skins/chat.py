"""The form of chat completions: one body, or a stream of chunks (wire reference, 4, 5.1, 5.2).

A superset of documentation and specification: id, object, created, model, provider, system_fingerprint, logprobs and
native_finish_reason are always there. An event of plain text is its words between two byte strings made once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal, TypeAlias

from ...shapes import Event, Piece, Sent
from ..thought import details
from . import parts

Usage: TypeAlias = Literal["bare", "double"]
"""How usage comes: in a chunk without choices, as documented; or in a second chunk with the finish reason."""

DONE = Event(b"data: [DONE]\n\n", kind="done")


def body(sent: Sent) -> bytes:
    """The body of an answer that is not streamed."""
    answer = sent.answer
    choice = {
        "index": 0,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "message": _message(sent),
    }
    told = head(sent, "chat.completion") | {"choices": [choice], "usage": usage(sent)}
    return parts.encode(told | tail(sent))


def usage(sent: Sent) -> dict[str, Any]:
    """The `usage` object, with all its details (wire reference, 4.2)."""
    counts, bill = sent.answer.counts, sent.bill
    told: dict[str, Any] = {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "cost": parts.number(bill.cost),
        "is_byok": bill.is_byok,
        "prompt_tokens_details": {
            "cached_tokens": counts.cached,
            "cache_write_tokens": counts.cache_write,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": parts.cost_details(
            bill, "upstream_inference_prompt_cost", "upstream_inference_completions_cost"
        ),
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "image_tokens": counts.images,
            "audio_tokens": 0,
        },
    }
    if counts.web_searches:
        told["server_tool_use"] = {"web_search_requests": counts.web_searches}
        told["server_tool_use_details"] = parts.searches(sent)
    return told


def events(sent: Sent, usage_form: Usage = "bare") -> Iterator[Event]:
    """The stream: role, deltas, finish, usage, `[DONE]`."""
    start = parts.encode(head(sent, "chat.completion.chunk") | _tier(sent))[:-1]
    before = b"data: " + start + b',"choices":[{"index":0,"delta":'
    after = b',"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n'
    yield Event(before + b'{"role":"assistant","content":""}' + after, kind="open")
    waiting = yield from _deltas(sent, before, after)
    finish = _finish(sent)
    yield Event(b"data: " + start + b',"choices":[' + finish + b"]}\n\n", waiting, "finish")
    choices = b"[" + finish + b"]" if usage_form == "double" else b"[]"
    told = parts.encode({"usage": usage(sent)} | _metadata(sent))[1:]
    yield Event(b"data: " + start + b',"choices":' + choices + b"," + told + b"\n\n", kind="usage")
    yield DONE


def _deltas(sent: Sent, before: bytes, after: bytes) -> Generator[Event, None, int]:
    """One event for each piece that can be seen; returns the tokens of those at the end that cannot."""
    encode = parts.encode
    words_before, words_after = before + b'{"content":', b"}" + after
    waiting = 0
    for piece in _gathered(sent.answer.pieces):
        if piece.kind == "content" and piece.text:
            data = words_before + encode(piece.text) + words_after
            yield Event(data, piece.tokens + waiting, "delta", piece.text)
        elif parts.is_shown(piece):
            data = before + encode(delta(piece)) + after
            yield Event(data, piece.tokens + waiting)
        else:
            waiting += piece.tokens
            continue
        waiting = 0
    return waiting


def _gathered(pieces: tuple[Piece, ...]) -> Iterator[Piece]:
    """All annotations in one piece, where the last one stood: openai's accumulator knows no second list of them."""
    notes = [piece for piece in pieces if piece.kind == "annotation"]
    for piece in pieces:
        if piece.kind != "annotation":
            yield piece
        elif piece is notes[-1]:
            told = {"annotations": [note.data for note in notes]}
            yield Piece("annotation", "", sum(note.tokens for note in notes), told)


def delta(piece: Piece) -> dict[str, Any]:
    """A piece as the `delta` of a chunk."""
    data = piece.data or {}
    if piece.kind == "reasoning":
        key = "summary" if data.get("type") == "reasoning.summary" else "text"
        told: dict[str, Any] = {"content": "", "reasoning": piece.text}
        return told | ({"reasoning_details": [data | {key: piece.text}]} if data else {})
    if piece.kind == "details":
        return {"content": "", "reasoning_details": [data]}
    if piece.kind == "tool":
        return {"content": None, "tool_calls": [_call(piece)]}
    if piece.kind == "annotation":
        return {"content": "", **(data if "annotations" in data else {"annotations": [data]})}
    if piece.kind == "image":
        return {"content": "", "images": [data]}
    return {piece.kind: piece.text}


def _call(piece: Piece) -> dict[str, Any]:
    data = piece.data or {}
    told: dict[str, Any] = {"index": data.get("index", 0)}
    if "id" in data:
        told |= {"id": data["id"], "type": "function"}
    function: dict[str, Any] = {"name": data["name"]} if "name" in data else {}
    return told | {"function": function | {"arguments": piece.text}}


def _finish(sent: Sent) -> bytes:
    told = {
        "index": 0,
        "delta": {"content": ""},
        "finish_reason": sent.answer.finish_reason,
        "native_finish_reason": sent.answer.native_finish_reason,
        "logprobs": None,
    }
    return parts.encode(told)


def head(sent: Sent, kind: str) -> dict[str, Any]:
    """What a body and every chunk begin with."""
    return {
        "id": sent.id,
        "object": kind,
        "created": sent.created,
        "model": sent.model.id,
        "provider": sent.provider,
        "system_fingerprint": None,
    }


def tail(sent: Sent) -> dict[str, Any]:
    """What stands beside the usage: the tier that served, and the routing where it was asked for."""
    return _tier(sent) | _metadata(sent)


def _tier(sent: Sent) -> dict[str, Any]:
    return {"service_tier": sent.service_tier} if sent.service_tier is not None else {}


def _metadata(sent: Sent) -> dict[str, Any]:
    return {"openrouter_metadata": sent.metadata} if sent.metadata is not None else {}


def _message(sent: Sent) -> dict[str, Any]:
    answer = sent.answer
    text = parts.joined(answer, "content")
    called = parts.calls(answer)
    told: dict[str, Any] = {
        "role": "assistant",
        "content": None if called and not text else text,
        "refusal": parts.joined(answer, "refusal") or None,
        "reasoning": parts.joined(answer, "reasoning") or None,
    }
    if items := details(answer.pieces):
        told["reasoning_details"] = items
    if called:
        told["tool_calls"] = [
            {"index": at, "type": "function", "function": _function(call)}
            | ({"id": call["id"]} if "id" in call else {})
            for at, call in enumerate(called)
        ]
    if notes := parts.data_of(answer, "annotation"):
        told["annotations"] = notes
    if images := parts.data_of(answer, "image"):
        told["images"] = images
    return told


def _function(call: dict[str, str]) -> dict[str, str]:
    return {key: call[key] for key in ("name", "arguments") if key in call}
