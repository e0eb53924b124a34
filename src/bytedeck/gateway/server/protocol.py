"""uvicorn's HTTP protocol with what a gateway adds: bounds on a request's head and time, JSON where it refuses, no
log lines of its own, and a word to who answers when the client hangs up."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ..asgi import LEFT
from ..exchange import Exchange

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

    _ASK: int | None = TIOCOUTQ
else:
    _ASK = None

MOST_HEAD = 64 * 1024
"""Bytes of a request's head; more is refused."""
PATIENCE = 60.0
"""Seconds in which a request has to be here, or at least `PACE` more bytes of it; then its connection is closed."""
PACE = 60_000
_NOT_WANTED = 5.0
"""Seconds in which a connection beyond the bound may say what it wants, to be told that it cannot have it."""

_LOG = logging.getLogger("bytedeck.gateway.http")
_LOG.setLevel(logging.ERROR)  # what clients do wrong is their own matter

_OF_UPGRADES = frozenset({b"connection", b"upgrade", b"http2-settings"})

_REFUSAL = (
    b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
)
_TOO_MUCH = b"431 Request Header Fields Too Large"
_TOO_MUCH_HEAD = b'{"error":{"message":"The headers are larger than 64 KB.","code":431}}'
_CONTINUE = b"HTTP/1.1 100 "
_CHUNKED = b"transfer-encoding: chunked\r\n"
_NO_HTTP = b'{"error":{"message":"This is no HTTP request that can be read.","code":400}}'
_TOO_MANY = b"503 Service Unavailable\r\nretry-after: 1"
_TOO_MANY_CONNECTIONS = (
    b'{"error":{"message":"Too many connections are open. Ask again in a moment.","code":503}}'
)


def _unread(transport: asyncio.Transport) -> int:
    """Bytes that the system has taken, and the client has not: it frees room in steps of a megabyte, so that ours alone
    would not tell a slow reader from one who has stopped. 0 where that is not told."""
    sock = transport.get_extra_info("socket")
    if _ASK is None or sock is None or sock.fileno() < 0:
        return 0
    try:
        return int.from_bytes(ioctl(sock.fileno(), _ASK, bytes(4)), sys.byteorder)
    except OSError:
        return 0


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


class _Bare(_Cork):
    """As `_Cork`, for who speaks HTTP/1.0, which knows no chunks: the end of the connection is the answer's."""

    __slots__ = ("_is_chunked",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        super().__init__(cycle)
        self._is_chunked: bool | None = None
        """None: there was no head yet."""

    def write(self, data: bytes) -> None:
        if self._is_chunked is None:
            if not data.startswith(_CONTINUE):
                self._head = data.replace(_CHUNKED, b"")
                self._is_chunked = len(self._head) < len(data)
            return
        if self._is_chunked and data:  # one piece: its size, itself, and perhaps the end
            size, _, rest = data.partition(b"\r\n")
            data = rest[: int(size, 16)]
        head, self._head = self._head, b""
        self._transport.write(head + data)


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
    _is_extra = False
    """Whether it came when there were too many."""
    _stuck: tuple[int, float] | None = None
    """Bytes that nobody reads, and since when they have not become fewer."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        most: int | None = None,
    ) -> None:
        """`most`: connections that may be open at once."""
        super().__init__(config, server_state, app_state, _loop)
        self._most = most
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

    def pour(self, framed: bytes) -> bool:
        """Write a chunk of an answer that has begun, framed already; False: it has to be sent in the usual way.

        For who tells the same to hundreds: what the usual way does for each is done once.
        """
        cycle = self.cycle
        if cycle is None or cycle.transport is not self.transport or not cycle.chunked_encoding:
            return False
        if self.flow.write_paused or cycle.disconnected or cycle.response_complete:
            return False
        self.transport.write(framed)
        return True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._turn_away(transport)
        else:
            self._await_request()

    def _turn_away(self, transport: asyncio.Transport) -> None:
        """One too many. Closed at once it would never read why, so it is told when it asks; but twice as many is an attack."""
        self._is_extra = True
        if len(self.connections) > 2 * (self._most or 0):
            transport.abort()
        else:
            self._late = self.loop.call_later(_NOT_WANTED, transport.abort)

    def look(self, now: float, patience: float) -> None:
        """Let go of a client that has read nothing for so many seconds of what was written. To be called now and then.

        Only where nothing more is written: while we are held back, or once the connection is to be closed.
        """
        size = self.transport.get_write_buffer_size()
        if size:
            size += _unread(self.transport)
        if not size or not (self.flow.write_paused or self.transport.is_closing()):
            self._stuck = None
        elif self._stuck is None or self._stuck[0] != size:
            self._stuck = size, now
        elif now - self._stuck[1] >= patience:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._request_is_here()
        self._unset_keepalive_if_required()  # uvicorn's own does so only at an orderly end
        # They lead back here: kilobytes of each connection would wait for the collector of cycles.
        self.cycle = self.scope = None  # type: ignore[assignment]
        self._extensions = {}
        self.pipeline.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.interrupt("left")

    def data_received(self, data: bytes) -> None:
        if self._is_extra:
            self._refuse(_TOO_MANY, _TOO_MANY_CONNECTIONS)
            return
        self._packet = len(data)
        self._came += len(data)
        self._unset_keepalive_if_required()
        self._read(data)
        if self._head is None:
            return
        self._head += len(data)  # and with it, at most one packet of the request before
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self._refuse(_TOO_MUCH, _TOO_MUCH_HEAD)

    def _read(self, data: bytes) -> None:
        """As `data_received` of uvicorn, but that a request which wishes another protocol is read as what it is.

        The parser stops before its body, as if another protocol began there. Java's client sends `Upgrade: h2c` with its
        first request, and RFC 9110 7.8 lets a server pass that over.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as exc:
                data = self._without_upgrade() + data[exc.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except httptools.HttpParserError:
                self.send_400_response("")
                return
            else:
                return

    def _without_upgrade(self) -> bytes:
        """The head that was just read, as a request for HTTP alone."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name not in _OF_UPGRADES]
        if not self.parser.should_keep_alive():
            lines.append(b"connection: close")
        return b"\r\n".join((*lines, b"\r\n"))

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
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")
        if self.parser.should_upgrade():
            return  # it comes again, without
        # A head that came in one packet was not counted yet; looked at only where it may be too large.
        if (self._head or 0) + self._packet > MOST_HEAD and self._size() > MOST_HEAD:
            self._head = -1
            raise ValueError(
                "too much of a head"
            )  # how a parser is told to stop: `send_400_response` follows
        self._head = None
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # its answer has no body that could bring the head along
            cork = _Bare if self.scope["http_version"] == "1.0" else _Cork
            self.cycle.transport = cork(self.cycle)  # type: ignore[assignment]

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
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
