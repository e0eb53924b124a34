"""Which skin's file gives an answer its form."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..shapes import Event, Sent
from .skins import chat, messages, responses

_BODIES: dict[str, Callable[[Sent], bytes]] = {
    "chat": chat.body,
    "responses": responses.body,
    "messages": messages.body,
}
_EVENTS: dict[str, Callable[[Sent], Iterator[Event]]] = {
    "responses": responses.events,
    "messages": messages.events,
}


def body(sent: Sent) -> bytes:
    """The answer in one piece."""
    return _BODIES[sent.call.skin](sent)


def events(sent: Sent, usage: str) -> Iterator[Event]:
    """The answer as a stream; only that of chat has two ways to tell its usage."""
    if sent.call.skin == "chat":
        return chat.events(sent, "double" if usage == "double" else "bare")
    return _EVENTS[sent.call.skin](sent)
