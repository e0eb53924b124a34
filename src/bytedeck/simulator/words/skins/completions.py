"""The form of the old completions: chat's, but a choice has a text instead of a message or a delta.

Only the documentation names this API (wire reference, 9); it has no tools, no pictures and no citations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...shapes import Event, Sent
from . import chat, parts

_KIND = "text_completion"
"""`object` of the body and of every chunk."""


def body(sent: Sent) -> bytes:
    """The body of an answer that is not streamed."""
    answer = sent.answer
    reasoning = parts.joined(answer, "reasoning")
    choice = _choice(answer.text, answer.finish_reason, answer.native_finish_reason)
    told = chat.head(sent, _KIND) | {"choices": [choice | ({"reasoning": reasoning} if reasoning else {})]}
    return parts.encode(told | {"usage": chat.usage(sent)} | chat.tail(sent))


def events(sent: Sent, usage_form: chat.Usage = "bare") -> Iterator[Event]:
    """The stream: texts, finish, usage, `[DONE]`."""
    waiting = 0
    for piece in sent.answer.pieces:
        waiting += piece.tokens
        if piece.text and piece.kind in ("content", "reasoning"):
            seen = piece.text if piece.kind == "content" else ""
            choice = _choice(seen, None, None) | ({} if seen else {"reasoning": piece.text})
            yield _event(sent, {"choices": [choice]}, waiting, text=seen)
            waiting = 0
    finish = _choice("", sent.answer.finish_reason, sent.answer.native_finish_reason)
    yield _event(sent, {"choices": [finish]}, waiting, "finish")
    last = {"choices": [finish] if usage_form == "double" else [], "usage": chat.usage(sent)}
    yield _event(sent, last | chat.tail(sent), kind="usage")
    yield chat.DONE


def _event(sent: Sent, told: dict[str, Any], tokens: int = 0, kind: Any = "delta", text: str = "") -> Event:
    return Event(parts.event(chat.head(sent, _KIND) | told), tokens, kind, text)


def _choice(text: str, finish: str | None, native: str | None) -> dict[str, Any]:
    return {
        "index": 0,
        "text": text,
        "logprobs": None,
        "finish_reason": finish,
        "native_finish_reason": native,
    }
