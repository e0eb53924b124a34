"""The bare protocol between a server and us: a request's body in, JSON and its headers out."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeAlias

from ..errors import ByteError, CallerError, NoWayToAnswer

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

LEFT = "bytedeck.left"
"""Extension of the scope by our own server: what is given to it is told when the client has left."""

_NO_CONTENT, _UNAUTHORIZED = 204, 401


def listed(methods: Sequence[str]) -> str:
    """`GET and HEAD do`, as it goes into a sentence."""
    *others, last = methods
    return f"{', '.join(others)} and {last} do" if others else f"{last} does"


class Refused(CallerError):
    """A request that is none, by what HTTP itself has a status for."""

    code = "invalid_request"

    def __init__(self, status: int, message: str, *, allow: Sequence[str] = (), field: str = "") -> None:
        """`allow`: the methods that there are; `field`: what of the request is wrong."""
        super().__init__(message)
        self._status = status
        self.allow = allow
        self.field = field

    @property
    def http_status(self) -> int:
        """The status with which we answer."""
        return self._status


class ClientLeft(Exception):
    """The client hung up before its request was here."""


class Room(Protocol):
    """Where a body's bytes are kept. Both raise an error where there is none left."""

    def expect(self, size: int) -> None:
        """So many bytes are said to come."""

    def take(self, size: int) -> None:
        """So many bytes have come."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, most: int, room: Room) -> bytes:
    """The request's body. Raises ClientLeft, Refused for one of more than `most` bytes, which is not kept, and what
    `room` raises."""
    told = headers.get(b"content-length", b"")
    if told.isdigit():
        if int(told[:20]) > most:
            raise _too_large(most)
        room.expect(int(told[:20]))
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        room.take(len(part))
        if not message.get("more_body"):
            return part if not parts else b"".join((*parts, part))
        parts.append(part)


def _too_large(most: int) -> Refused:
    return Refused(
        413, f"The body is larger than {most / (1 << 20):g} MB, which is the most that is taken here."
    )


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """A whole answer; without a body where the status is 204."""
    own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == _NO_CONTENT:
        own = []
    await send({"type": "http.response.start", "status": status, "headers": own + headers})
    await send({"type": "http.response.body", "body": body})


def headers_of(error: ByteError) -> Headers:
    """What an error's headers say: when to ask again, or not at all where we have done it ourselves or it is no use;
    what is missing."""
    found: Headers = []
    if error.retry_after is not None:
        found.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))))
    if error.attempts or isinstance(error, NoWayToAnswer):
        found.append((b"x-should-retry", b"false"))
    elif error.http_status == _UNAUTHORIZED:
        found.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, Refused) and error.allow:
        found.append((b"allow", ", ".join(error.allow).encode()))
    return found


def client_of(scope: Scope) -> str:
    """The address that a request came from; "" where the server does not tell it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def header(text: str) -> bytes:
    """A text as a header's value; what cannot stand in one is replaced."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text.encode("ascii", "replace")
