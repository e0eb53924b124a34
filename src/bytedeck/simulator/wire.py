"""Steps become bytes on a connection. The only place that knows the transport.

A reply is an iterator of heads and steps; it is closed when the last byte went out or nobody can take any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .shapes import Cut, Head, Pause, Stall, Step, Write

EXTENSION = "bytedeck.connection"
"""Where a request's scope holds its `Connection`."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 86_400.0
"""Seconds; what was meant to be longer is never over either."""
MOST_HEAD = 512 * 1024
"""Bytes of a request's head; more is refused."""
PATIENCE = 120.0
"""Seconds that a client has for a whole request, head and body; then the connection is closed."""
_TOO_MUCH_HEAD = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_BREATH = 24
"""Writes between two turns of the loop: a stream without pauses must not starve the others."""

Reply: TypeAlias = Generator[Head | Step, None, None]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


class Progress(Struct):
    """How far a reply got."""

    status: int | None = None
    tokens: int = 0
    bytes: int = 0
    end: str = "open"
    """See `journal.ENDS`."""


class Connection:
    """One client's connection: can wait until it is lost, and end it rudely."""

    __slots__ = ("_waiting", "lost", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.lost = False
        self._waiting: asyncio.Future[None] | None = None

    def lose(self) -> None:
        """The transport says that it is over."""
        self.lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def sleep(self, seconds: float | None) -> None:
        """Wait so long, None for ever, but no longer than the client stays."""
        if self.lost:
            return
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        handle = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if handle is not None:
                handle.cancel()

    async def reset(self) -> None:
        """End it as a crashed server's kernel does: with RST, whatever is still to be sent."""
        if self.lost:  # the client was quicker
            return
        connected = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.sleep(None)

    async def close(self) -> None:
        """End it after what was sent; a body that is not whole stays so."""
        self.transport.close()
        await self.sleep(None)


def _logger() -> logging.Logger:
    """What breaks within is told; what clients do wrong (no HTTP, upgrades) is the journal's and their own matter."""
    logger = logging.getLogger("bytedeck.simulator")
    logger.setLevel(logging.ERROR)
    return logger


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which lets the application see its connection, and bounds what a request may take."""

    connection: Connection
    _head: int | None = 0
    """Bytes of the head so far; None: it is complete."""
    _late: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _logger()
        # The journal tells what came in; uvicorn would log it too, wherever a root logger has a handler.
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.connection = Connection(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._request_is_here()
        self.connection.lose()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is None:
            return
        self._head += len(data)  # and with it, at most one packet of the request before
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_MUCH_HEAD)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self.connection}  # type: ignore[dict-item]
        self._head = 0
        self._await_request()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._request_is_here()
        super().on_message_complete()

    def _await_request(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(PATIENCE, self.transport.close)

    def _request_is_here(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


async def play(
    reply: Reply,
    send: Send,
    connection: Connection,
    progress: Progress,
    scale: float,
    began: Callable[[Head], None],
) -> None:
    """Do a reply's steps. However it ends, the reply is closed, and `progress` tells how."""
    try:
        await _play(reply, send, connection, progress, scale, began)
    finally:
        reply.close()


async def _play(
    reply: Reply,
    send: Send,
    connection: Connection,
    progress: Progress,
    scale: float,
    began: Callable[[Head], None],
) -> None:
    chunk = {"type": "http.response.body", "body": b"", "more_body": True}
    breath, due = _BREATH, 0.0
    for step in reply:
        if type(step) is Write:
            chunk["body"] = step.data
            await send(chunk)
            progress.bytes += len(step.data)
            progress.tokens += step.tokens
            breath -= 1
            if not breath:
                breath = _BREATH
                await asyncio.sleep(0)
        elif type(step) is Pause:
            breath = _BREATH
            due = await _pause(connection, step.seconds * scale, due)
        elif type(step) is Head:
            await send({"type": "http.response.start", "status": step.status, "headers": _headers(step)})
            progress.status = step.status
            began(step)
        else:
            await _end(step, send, connection, progress, scale)
            return
        if connection.lost:  # looked at before the next step is made: what nobody can take is not produced
            progress.end = "client left"
            return
    progress.end = "whole"
    reply.close()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pause(connection: Connection, seconds: float, due: float) -> float:
    """Wait; returns when the wait was to be over. The next one counts from there, so that no pace is lost to a busy loop."""
    if seconds <= 0:
        await asyncio.sleep(0)  # what was written goes out as a packet of its own
        return due
    now = asyncio.get_running_loop().time()
    due = (due or now) + min(seconds, _LONGEST)
    if due > now:
        await connection.sleep(due - now)
    else:
        await asyncio.sleep(0)
    return due


async def _end(
    step: Stall | Cut | object, send: Send, connection: Connection, progress: Progress, scale: float
) -> None:
    """The steps after which nothing comes any more."""
    if isinstance(step, Stall):
        await _stall(step, send, connection, progress, scale)
        progress.end = "client left"
    elif isinstance(step, Cut):
        await asyncio.sleep(0)  # what was sent before is to arrive
        progress.end = "reset" if step.reset else "cut"
        await (connection.reset() if step.reset else connection.close())
    else:
        raise TypeError(f"{step!r} is no step")


async def _stall(step: Stall, send: Send, connection: Connection, progress: Progress, scale: float) -> None:
    if not step.comment or progress.status is None:
        await connection.sleep(None)
    while not connection.lost:
        await send({"type": "http.response.body", "body": step.comment, "more_body": True})
        progress.bytes += len(step.comment)
        # A scale of 0 would make it a flood.
        await connection.sleep(max(step.every * scale, 0.005))


def _headers(head: Head) -> list[tuple[bytes, bytes]]:
    # A fault may put any text there; a line end in it would be a header of its own.
    made = [
        (name.encode("latin-1"), _CONTROL.sub("", value).encode("latin-1", "replace"))
        for name, value in head.headers.items()
    ]
    if head.length is not None:
        made.append((b"content-length", b"%d" % head.length))
    return made
