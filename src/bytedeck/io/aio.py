"""The async wire: asyncio's transports, and the same reader of HTTP as the blocking one.

A connection only keeps what came and wakes whoever reads: parsing, and what it raises, happens in
the reader's task, at the reader's pace (and at once: `wake.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket
import threading
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from ..types import Request
from .http1 import Malformed, Response
from .place import Place, place_of
from .wake import Wake
from .wire import Endpoint, Endpoints, Inflate, WireError, tls_context

if TYPE_CHECKING:
    import ssl

MOST_IDLE = 64
KEEPALIVE = 60.0
# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.25
# Past this the server waits for the reader. As much as a loop reads at once, so that a burst never pauses.
MOST_UNREAD = 256 * 1024
# What one read brings at most. All connections of a wire read into one buffer, one after the other, as a
# loop does it: a buffer a read costs more than what is in it.
READ_SIZE = 256 * 1024
# When a name's next address is tried beside one that does not answer (RFC 8305).
_NEXT_ADDRESS = 0.25


class _Connection(asyncio.BufferedProtocol):
    """One connection, direct or through a proxy."""

    def __init__(self, loop: asyncio.AbstractEventLoop, alive: set[_Connection], buffer: memoryview) -> None:
        self.loop = loop
        self._alive = alive
        self._buffer = buffer
        self._thread = threading.get_ident()
        self._transport: Any = None
        self._poll = select.poll()
        self.came: list[bytes] = []
        """What has come, and was not taken."""
        self._unread = 0
        self._wake = Wake(loop)
        self.is_over = False
        self._why: Exception | None = None
        self.pool: list[_Connection] | None = None
        """Where it lies while it is idle."""
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._poll.register(transport.get_extra_info("socket"), select.POLLIN)
        self._alive.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.pool is not None:  # unasked: nobody could tell what it answers
            self.abort()
            return
        self.came.append(bytes(self._buffer[:nbytes]))
        self._unread += nbytes
        if self._unread > MOST_UNREAD:
            self._transport.pause_reading()
        self._wake.now()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)
        self._end(exc)

    def _end(self, why: Exception | None) -> None:
        self.is_over, self._why = True, self._why or why
        if self.pool is not None:
            self.abort()
        self._wake.soon()

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    async def read_on(self, response: Response) -> None:
        """Read what comes next into the response. An answer that came before a break is read before the break."""
        if not (self.came or self.is_over):
            await self._wake
        if self.came:
            response.feed(self.take())
        elif self._why is None:
            response.end()
        else:
            raise ConnectionError(str(self._why) or type(self._why).__name__) from self._why

    def take(self) -> bytes:
        """What came, without waiting."""
        data = b"".join(self.came)  # of one piece it is that piece
        self.came.clear()
        if self._unread > MOST_UNREAD and not self.is_over:
            self._transport.resume_reading()
        self._unread = 0
        return data

    def is_clean(self) -> bool:
        """Whether nothing is under way in either direction."""
        return not (self.came or self.is_over or self._transport.get_write_buffer_size())

    def is_stale(self) -> bool:
        """Whether an idle connection has something to say that the loop has not seen yet: mostly its end."""
        return bool(self._poll.poll(0))

    def is_here(self) -> bool:
        """Whether this is its loop's thread, and the loop is not closed. A stream that was dropped may outlive
        it, or be dropped by a garbage collection on another thread."""
        return threading.get_ident() == self._thread and not self.loop.is_closed()

    def abort(self) -> None:
        self.is_over = True
        pool, self.pool = self.pool, None
        if pool is not None and self in pool:
            pool.remove(self)
        if self.is_here():
            self._transport.abort()
        else:
            with contextlib.suppress(RuntimeError):  # closed
                self.loop.call_soon_threadsafe(self._transport.abort)

    async def tunnel(self, place: Place, tls: ssl.SSLContext) -> None:
        """Ask the proxy for a way through, and speak TLS to the server behind it."""
        plain = self._transport
        try:
            plain.write(place.tunnel)
            response = Response("CONNECT")
            while not response.opened:
                await self.read_on(response)
            if response.status >= 300:
                raise OSError(f"the proxy gives no tunnel: {response.status}")
            self._transport = await self.loop.start_tls(plain, self, tls, server_hostname=place.tls)
            if self._transport is None:
                raise OSError("the connection was lost before TLS was spoken")
        except BaseException:
            plain.abort()
            raise


class AsyncHttpWire:
    """An async wire that keeps idle connections for the next request. It belongs to one event loop."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._places: dict[str, Place] = {}
        self._idle: dict[str, list[_Connection]] = {}
        self._alive: set[_Connection] = set()
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._warden: AsyncGenerator[None, None] | None = None
        self._tls: ssl.SSLContext | None = None
        self._draining: set[asyncio.Task[None]] = set()

    def line(self, request: Request) -> AsyncHttpLine:
        return AsyncHttpLine(self, request)

    def place(self, endpoint: Endpoint) -> Place:
        place = self._places.get(endpoint.base_url)
        if place is None:
            place = self._places[endpoint.base_url] = place_of(endpoint)
        return place

    def kept(self, base_url: str) -> _Connection | None:
        """An idle connection. Those that the server has closed are gone already."""
        pool = self._idle.get(base_url)
        while pool:
            connection = pool.pop()
            connection.pool = None
            if time.monotonic() - connection.idle_since < KEEPALIVE and not connection.is_stale():
                return connection
            connection.abort()
        return None

    async def connect(self, place: Place, seconds: float) -> _Connection:
        """A new connection, within some seconds: name, proxy and TLS included. Raises WireError."""
        if self._warden is None:
            self._warden = _ward(self._alive)
            await anext(self._warden)
        try:
            async with asyncio.timeout(seconds):
                return await self._dial(place)
        except TimeoutError as exc:
            raise WireError("connect", f"{place.authority}: timed out") from exc
        except (OSError, ValueError) as exc:
            raise WireError("connect", f"{place.authority}: {str(exc) or type(exc).__name__}") from exc

    async def _dial(self, place: Place) -> _Connection:
        loop = asyncio.get_running_loop()
        tls = self._context() if place.tls else None
        options: dict[str, Any] = {}
        if tls is not None and not place.tunnel:
            options = {"ssl": tls, "server_hostname": place.tls}
        sock = await _first(loop, place.host, place.port)
        connection = functools.partial(_Connection, loop, self._alive, self._buffer)
        _, made = await loop.create_connection(connection, sock=sock, **options)
        if tls is not None and place.tunnel:
            await made.tunnel(place, tls)
        return made

    def _context(self) -> ssl.SSLContext:
        """One for all: reading the system's certificates takes some 40 ms, plain http needs none."""
        if self._tls is None:
            self._tls = tls_context()
        return self._tls

    def release(self, base_url: str, connection: _Connection, response: Response) -> None:
        """Keep the connection for the next request, or close it."""
        if not (response.reusable and connection.is_clean()):
            connection.abort()
            return
        pool = self._idle.setdefault(base_url, [])
        now = connection.idle_since = time.monotonic()
        connection.pool = pool
        pool.append(connection)
        while now - pool[0].idle_since > KEEPALIVE or len(pool) > MOST_IDLE:
            pool[0].abort()

    def drain(self, base_url: str, connection: _Connection, response: Response) -> None:
        """Release it once the answer's last chunk has come, in the background."""

        async def drain() -> None:
            try:
                async with asyncio.timeout(DRAIN):
                    while not response.ended:
                        response.take()
                        await connection.read_on(response)
            except (OSError, Malformed):  # a TimeoutError is an OSError
                pass
            finally:
                self.release(base_url, connection, response)

        task = connection.loop.create_task(drain())
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def aclose(self) -> None:
        if self._draining:
            await asyncio.wait(self._draining, timeout=2 * DRAIN)
        warden, self._warden = self._warden, None
        if warden is not None:
            await warden.aclose()
            await asyncio.sleep(0)  # the loop closes an aborted connection in its next turn


class AsyncHttpLine:
    """One request on `AsyncHttpWire`."""

    _base_url = ""
    _connection: _Connection | None = None
    _inflate: Inflate | None = None
    """None: the answer is not encoded, as none is that was asked for."""

    def __init__(self, wire: AsyncHttpWire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._response = Response(request.method)

    async def open(self) -> tuple[int, dict[str, str]]:
        wire, request, response = self._wire, self._request, self._response
        if request.route == "local":  # it may have to be started first
            endpoint = await asyncio.to_thread(wire.endpoints, request.route)
        else:
            endpoint = wire.endpoints(request.route)
        place = wire.place(endpoint)
        data = place.ask(endpoint, request)
        self._base_url = endpoint.base_url
        connection = wire.kept(endpoint.base_url) or await wire.connect(place, request.connect_timeout)
        self._connection = connection
        connection.send(data)
        try:
            while not response.opened:
                await connection.read_on(response)
        except (OSError, Malformed) as exc:
            raise WireError("headers", str(exc) or type(exc).__name__) from exc
        if "content-encoding" in response.headers:
            inflate = Inflate(response.headers)
            self._inflate = None if inflate.is_idle else inflate
        return response.status, response.headers

    async def read(self) -> bytes:
        connection, response = self._connection, self._response
        if connection is None:
            return b""
        try:
            while True:
                # A piece may inflate to nothing yet; only the end is b"".
                if piece := response.take():
                    if data := piece if self._inflate is None else self._inflate(piece):
                        return data
                elif response.ended:
                    if self._inflate is not None:
                        self._inflate.end()
                    return b""
                else:
                    await connection.read_on(response)
        except (OSError, Malformed) as exc:
            raise WireError("body", str(exc) or type(exc).__name__) from exc

    def ready(self) -> bytes:
        return self._response.take() if self._inflate is None and self._response.has_more else b""

    def close(self, whole: bool) -> None:
        connection, self._connection = self._connection, None
        response = self._response
        if connection is None:
            return
        if not whole or connection.is_over or not connection.is_here():
            connection.abort()
            return
        try:
            if connection.came or not response.ended:  # mostly the last chunk is here already
                response.feed(connection.take())
        except Malformed:
            connection.abort()
            return
        if response.ended:
            self._wire.release(self._base_url, connection, response)
        else:
            self._wire.drain(self._base_url, connection, response)


async def _first(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Connect to the first of a name's addresses that answers; one that does not is soon raced by the next.

    `create_connection` can do this, too, but loses a socket when it is cancelled at the wrong moment.
    """
    try:  # an address needs no look-up, which takes a thread
        left = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        left = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    racing: dict[asyncio.Task[None], socket.socket] = {}
    failure: BaseException = OSError(f"no address for {host}")
    try:
        while left or racing:
            if left:
                family, kind, protocol, _, address = left.pop(0)
                try:
                    sock = socket.socket(family, kind, protocol)
                except OSError as exc:  # a machine without IPv6
                    failure = exc
                    continue
                racing[loop.create_task(_reach(loop, sock, address))] = sock
            wait = _NEXT_ADDRESS if left else None
            done, _ = await asyncio.wait(racing, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                sock = racing.pop(task)
                if (told := task.exception()) is None:
                    return sock
                sock.close()
                failure = told
        raise failure
    finally:
        for task, sock in racing.items():
            task.cancel()
            task.add_done_callback(functools.partial(_drop, sock))


def _drop(sock: socket.socket, task: asyncio.Task[None]) -> None:
    """Of a connect that nobody wants any more. Not before its end: until then the loop listens to the socket."""
    sock.close()
    if not task.cancelled():
        task.exception()  # looked at, so that nobody complains of it


async def _reach(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Any) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_connect(sock, address)


async def _ward(alive: set[_Connection]) -> AsyncGenerator[None, None]:
    """Closes the connections when it is itself closed: by us, or by the loop, which sees to its generators
    when it shuts down and when one is dropped. So a wire that nobody closed leaves nothing open."""
    try:
        yield
    finally:
        for connection in list(alive):
            connection.abort()
