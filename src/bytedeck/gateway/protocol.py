"""uvicorn's HTTP protocol with what a gateway adds: bounds on a request's head and time, JSON where it refuses, no
log lines of its own, and a word to who answers when the client hangs up."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from .asgi import LEFT
from .exchange import Exchange

MOST_HEAD = 64 * 1024
"""Bytes of a request's head; more is refused."""
PATIENCE = 60.0
"""Seconds in which a request has to be here, or at least `PACE` more bytes of it; then its connection is closed."""
PACE = 60_000

_LOG = logging.getLogger("bytedeck.gateway.http")
_LOG.setLevel(logging.ERROR)  # what clients do wrong is their own matter

_REFUSAL = (
    b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
)
_TOO_MUCH = b"431 Request Header Fields Too Large"
_TOO_MUCH_HEAD = b'{"error":{"message":"The headers are larger than 64 KB.","code":431}}'
_CONTINUE = b"HTTP/1.1 100 "
_NO_HTTP = b'{"error":{"message":"This is no HTTP request that can be read.","code":400}}'


class _Cork:
    """A transport that holds an answer's head back until its body comes: one packet and one system call for both."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._transport = cycle, cycle.transport
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            self._pop(data)
        elif data.startswith(_CONTINUE):
            self._transport.write(data)
        else:
            self._head = data

    def _pop(self, data: bytes) -> None:
        self._cycle.transport = self._transport
        self._transport.write(self._head + data)

    def close(self) -> None:
        self._pop(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Protocol(HttpToolsProtocol):
    """One client's connection."""

    _head: int | None = 0
    """Bytes of the head so far; None: it is complete; -1: it is too large."""
    _packet = 0
    """Bytes that are being read just now."""
    _came = 0
    """Bytes since somebody last looked whether they come too slowly."""
    _late: asyncio.TimerHandle | None = None
    _exchange: Exchange | None = None

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _LOG
        self.access_log = False
        self._extensions = {LEFT: self}

    def tell(self, exchange: Exchange) -> None:
        """Who is to be told when the client hangs up."""
        self.flow.resume_reading()  # a long body may have stopped it, and an end that is not read is not seen
        if self.transport.is_closing():
            self.loop.call_soon(exchange.interrupt, "left")
        else:
            self._exchange = exchange

    def forget(self) -> None:
        """It has been answered."""
        self._exchange = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._request_is_here()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.interrupt("left")

    def data_received(self, data: bytes) -> None:
        self._packet = len(data)
        self._came += len(data)
        super().data_received(data)
        if self._head is None:
            return
        self._head += len(data)  # and with it, at most one packet of the request before
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self._refuse(_TOO_MUCH, _TOO_MUCH_HEAD)

    def send_400_response(self, msg: str) -> None:
        if self._head == -1:
            self._refuse(_TOO_MUCH, _TOO_MUCH_HEAD)
        else:
            self._refuse(b"400 Bad Request", _NO_HTTP)

    def _refuse(self, status: bytes, body: bytes) -> None:
        self.transport.write(_REFUSAL % (status, len(body), body))
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        self._head = 0
        self._await_request()

    def on_headers_complete(self) -> None:
        # A head that came in one packet was not counted yet; looked at only where it may be too large.
        if (self._head or 0) + self._packet > MOST_HEAD and self._size() > MOST_HEAD:
            self._head = -1
            raise ValueError(
                "too much of a head"
            )  # how a parser is told to stop: `send_400_response` follows
        self._head = None
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # its answer has no body that could bring the head along
            self.cycle.transport = _Cork(self.cycle)  # type: ignore[assignment]

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_message_complete(self) -> None:
        self._request_is_here()
        super().on_message_complete()

    def _await_request(self) -> None:
        if self._late is None:
            self._came = 0
            self._late = self.loop.call_later(PATIENCE, self._look)

    def _look(self) -> None:
        self._late = None
        if self._came < PACE:
            self.transport.close()
        else:
            self._await_request()

    def _request_is_here(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
