"""Which skin's file gives an answer its form."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...shapes import Event, Sent
from . import chat, completions, messages, responses

_BODIES: dict[str, Callable[[Sent], bytes]] = {
    "chat": chat.body,
    "completions": completions.body,
    "responses": responses.body,
    "messages": messages.body,
}
_EVENTS: dict[str, Callable[[Sent], Iterator[Event]]] = {
    "responses": responses.events,
    "messages": messages.events,
}
_CHUNKS: dict[str, Callable[[Sent, chat.Usage], Iterator[Event]]] = {
    "chat": chat.events,
    "completions": completions.events,
}
"""Skins with two ways to tell a stream's usage."""


def body(sent: Sent) -> bytes:
    """The answer in one piece."""
    return _BODIES[sent.call.skin](sent)


def events(sent: Sent, usage: str) -> Iterator[Event]:
    """The answer as a stream, its usage told as "bare" or "double" where the skin has both."""
    if (chunks := _CHUNKS.get(sent.call.skin)) is not None:
        return chunks(sent, "double" if usage == "double" else "bare")
    return _EVENTS[sent.call.skin](sent)
