"""Faults within a stream's events or a whole body: errors after the first token (F1–F6, T1), and events made worse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import json

from ..refusals import named as refusals
from ..refusals.envelopes import Shape, failed_response, public_error
from ..shapes import Event, Refusal, Sent
from .fault import CHAT, CHUNKS, SPOKEN, Fault, Params

_AFTER = {"tokens": 3}
_ENDING = {"name": "provider_unavailable", "done": 0, **_AFTER}
COMMENT = b": OPENROUTER PROCESSING\n\n"
USER = "user_simulated"
_MOST = 1000


def until(events: Iterable[Event], tokens: int) -> Iterator[Event]:
    """The events up to so many tokens, and never the answer's end."""
    sent = 0
    for event in events:
        if event.kind not in ("open", "delta") or (event.tokens and sent >= tokens):
            return
        sent += event.tokens
        yield event


def _refusal(params: Params, sent: Sent) -> Refusal:
    name = params["name"]
    if name not in refusals.ROWS:
        name = "provider_unavailable"
    return refusals.make(name, model=sent.model.id, provider=sent.provider)


def _error(shape: Shape, params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    """The first tokens, then the error in this shape, then [DONE] if asked for."""
    left = iter(events)
    count = 0
    for event in until(left, params["tokens"]):
        count += 1
        yield event
    data = refusals.event(
        sent.call.skin,
        _refusal(params, sent),
        id=sent.id,
        model=sent.model.id,
        created=sent.created,
        provider=sent.provider,
        shape=shape,
        sequence=count,
        user_id=USER,
    )
    yield Event(data, kind="finish")
    if params["done"]:
        yield from (event for event in left if event.kind == "done")


def _error_row(name: str, shape: Shape, rows: str, summary: str, done: int = 0) -> Fault:
    def events(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
        return _error(shape, params, sent, events)

    def body(params: Params, sent: Sent, whole: bytes) -> bytes:
        return (
            _failed_body(params, sent, whole) if shape == "F2" else _partial_body(shape, params, sent, whole)
        )

    return Fault(
        name=name,
        summary=summary,
        rows=rows,
        params=_ENDING | {"done": done},
        outcome="error",
        events=events,
        body=body,
    )


def _failed_body(params: Params, sent: Sent, whole: bytes) -> bytes:
    """F5: an error where an answer was to be."""
    refusal = _refusal(params, sent)
    if sent.call.skin == "responses":
        return json.encode(failed_response(refusal, sent.id, sent.model.id, sent.created))
    return refusals.envelope(sent.call.skin, refusal, request_id=sent.id, user_id=USER)


def _partial_body(shape: Shape, params: Params, sent: Sent, whole: bytes) -> bytes:
    """F6: an answer that breaks off and says so. F4's has no error object."""
    if sent.call.skin not in CHUNKS:
        return _failed_body(params, sent, whole)
    body = json.decode(whole)
    for choice in body.get("choices") or ():
        holder, key = (choice["message"], "content") if "message" in choice else (choice, "text")
        text = holder.get(key) or ""
        holder[key] = text[: max(1, len(text) // 3)]
        choice["finish_reason"] = "error"
        choice["native_finish_reason"] = "MALFORMED_FUNCTION_CALL" if shape == "F4" else "error"
        if shape != "F4":
            choice["error"] = public_error(_refusal(params, sent))
    for key in ("cost", "cost_details"):
        body.get("usage", {}).pop(key, None)  # a failed part is free, and floats would lose its digits
    return json.encode(body)


def _f5_events(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    return _error("F2", {**params, "tokens": 0}, sent, ())


def _truncated(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    return until(events, params["tokens"])


def _half(params: Params, sent: Sent, whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _malformed(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    """One event whose JSON breaks off, between the others, which are well."""
    count, done = 0, False
    for event in events:
        if not done and event.kind in ("delta", "finish") and count >= params["tokens"]:
            done = True
            end = event.data.rstrip(b"\n")
            yield Event(end[: max(end.rfind(b"data:") + 8, len(end) * 2 // 3)] + b"\n\n")
        count += event.tokens
        yield event


def _without_done(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    return (event for event in events if event.kind != "done")


def _commented(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        yield Event(COMMENT * min(params["count"], _MOST), kind="open")
        yield event


def _debug(params: Params, sent: Sent, events: Iterable[Event]) -> Iterator[Event]:
    yield from (
        debug_event(sent, {"messages": list(sent.call.messages)}) for _ in range(min(params["count"], _MOST))
    )
    yield from events


def debug_event(sent: Sent, upstream: dict[str, Any]) -> Event:
    """What `debug.echo_upstream_body` brings for each provider that was tried (wire reference, 5.1)."""
    chunk = {
        "id": sent.id,
        "object": "chat.completion.chunk",
        "created": sent.created,
        "model": sent.model.id,
        "provider": sent.provider,
        "system_fingerprint": None,
        "choices": [],
        "debug": {"echo_upstream_body": upstream},
    }
    return Event(b"data: " + json.encode(chunk) + b"\n\n", kind="open")


ROWS = (
    _error_row(
        "error_chunk",
        "F1",
        "F1, D6, MID-01",
        "After `tokens`: a chunk with an error and finish_reason error.",
    ),
    _error_row("error_bare", "F2", "F2, D6, MID-02", "After `tokens`: an error without id or choices."),
    _error_row(
        "error_no_choices",
        "F3",
        "F3, D6, MID-02",
        "After `tokens`: an error in a chunk whose choices are [].",
    ),
    _error_row(
        "error_finish", "F4", "F4, D6, MID-04", "After `tokens`: finish_reason error, and no error.", 1
    ),
    Fault(
        name="error_body",
        summary="Status 200, and the body is an error without choices; in a stream its only event is one.",
        rows="F5, D7, ERR-01",
        params={"name": "provider_rate_limit", "done": 0},
        outcome="error",
        events=_f5_events,
        body=_failed_body,
    ),
    Fault(
        name="error_message",
        summary="Status 200, part of the answer, finish_reason error and choices[0].error; in a stream as error_chunk.",
        rows="F6, D7, ERR-02",
        params=_ENDING,
        outcome="error",
        events=lambda params, sent, events: _error("F1", params, sent, events),
        body=lambda params, sent, whole: _partial_body("F1", params, sent, whole),
    ),
    Fault(
        name="truncated",
        summary="After `tokens` the stream ends cleanly, without finish_reason and [DONE]; a whole body is half of it.",
        rows="T1, D5, SSE-06",
        params=_AFTER,
        outcome="truncated",
        events=_truncated,
        body=_half,
    ),
    Fault(
        name="malformed",
        summary="After `tokens` one event whose JSON breaks off; a whole body is half of it.",
        rows="SSE-03",
        params=_AFTER,
        events=_malformed,
        body=_half,
    ),
    Fault(
        name="no_done",
        summary="The stream ends without [DONE]; on messages without message_stop.",
        rows="5.1",
        skins=SPOKEN,
        events=_without_done,
    ),
    Fault(
        name="comments",
        summary="Keep-alive comments before every event.",
        rows="SSE-01",
        skins=SPOKEN,
        params={"count": 1},
        events=_commented,
    ),
    Fault(
        name="debug",
        summary="Chunks with choices [] and debug before the content.",
        rows="SSE-11",
        skins=CHAT,
        params={"count": 1},
        events=_debug,
    ),
)
