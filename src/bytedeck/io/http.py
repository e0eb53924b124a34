"""The wire on httpcore2, blocking and async.

Blocking reads take their deadline from our own network backend: it is looked up before
each `recv`, in every phase, so no read outlives its leg's deadline, however slowly the
bytes drip, and no second thread has to shut sockets.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import httpcore2
from httpcore2 import NetworkBackend, NetworkStream

from ..types import Request
from .wire import (
    Endpoint,
    Endpoints,
    Inflate,
    Late,
    Phase,
    Translating,
    WireError,
    headers_for,
    proxy_for,
    tls_context,
)

if TYPE_CHECKING:
    import ssl

    from httpcore2 import AsyncConnectionPool, ConnectionPool

KEEPALIVE = 60.0
# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.05

_TABLE: dict[type[Exception], Phase | Literal["", "late"]] = {
    httpcore2.ReadTimeout: "late",
    httpcore2.WriteTimeout: "late",
    httpcore2.ConnectTimeout: "connect",
    httpcore2.ConnectError: "connect",
    httpcore2.ProxyError: "connect",
    httpcore2.UnsupportedProtocol: "connect",
    httpcore2.TimeoutException: "",
    httpcore2.NetworkError: "",
    httpcore2.ProtocolError: "",
    OSError: "",
}
_OPENING = Translating("headers", _TABLE)
_READING = Translating("body", _TABLE)

# What closing may meet: the connection is gone, and that is what was wanted.
_GONE: tuple[type[Exception], ...] = (
    Late,
    WireError,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    OSError,
)


class _Moment(threading.local):
    """The deadline of what this thread is doing on the network."""

    at: float = 0.0

    def left(self) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("deadline")
        return left


_moment = _Moment()


class _Stream(NetworkStream):
    """A network stream whose every operation ends at the thread's moment."""

    def __init__(self, inner: NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _moment.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _moment.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        left = min(_moment.left(), timeout or KEEPALIVE)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        left = min(_moment.left(), timeout or KEEPALIVE)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options))


class HttpWire:
    """A blocking wire with one pool of connections a host."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._pools: dict[str, ConnectionPool] = {}
        self._lock = threading.Lock()

    def line(self, request: Request) -> HttpLine:
        return HttpLine(self, request)

    def endpoint(self, request: Request) -> Endpoint:
        return self._endpoints(request.route)

    def pool(self, base_url: str) -> ConnectionPool:
        with self._lock:
            if base_url not in self._pools:
                self._pools[base_url] = httpcore2.ConnectionPool(
                    network_backend=_Backend(), **_pool_options(base_url)
                )
            return self._pools[base_url]

    def close(self) -> None:
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()


class HttpLine:
    """One request on `HttpWire`."""

    def __init__(self, wire: HttpWire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._response: httpcore2.Response | None = None
        self._body: Iterator[bytes] = iter(())
        self._inflate = Inflate({})

    def open(self, until: float) -> tuple[int, dict[str, str]]:
        endpoint = self._wire.endpoint(self._request)
        _moment.at = until
        with _OPENING:
            response = self._wire.pool(endpoint.base_url).handle_request(_request(endpoint, self._request))
        self._response = response
        headers = _headers(response)
        self._inflate = Inflate(headers)
        self._body = iter(response.stream)  # type: ignore[arg-type]
        return response.status, headers

    def read(self, until: float) -> bytes:
        _moment.at = until
        with _READING:
            # A piece may inflate to nothing yet; only the end is b"".
            while (piece := next(self._body, None)) is not None:
                if data := self._inflate(piece):
                    return data
        return b""

    def close(self, whole: bool) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        try:
            if whole:
                self._drain()
            response.close()
        except _GONE:
            pass

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN
        while self.read(until):
            pass


class AsyncHttpWire:
    """An async wire on httpcore2, for where aiohttp is not installed."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._pools: dict[str, AsyncConnectionPool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def line(self, request: Request) -> AsyncHttpLine:
        return AsyncHttpLine(self, request)

    async def endpoint(self, request: Request) -> Endpoint:
        if request.route == "local":  # it may have to be started first
            return await asyncio.to_thread(self._endpoints, request.route)
        return self._endpoints(request.route)

    def pool(self, base_url: str) -> AsyncConnectionPool:
        if base_url not in self._pools:
            self._pools[base_url] = httpcore2.AsyncConnectionPool(**_pool_options(base_url))
        return self._pools[base_url]

    def later(self, closing: asyncio.Task[None]) -> None:
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        if self._closing:
            await asyncio.wait(self._closing, timeout=2 * DRAIN)
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()


class AsyncHttpLine:
    """One request on `AsyncHttpWire`."""

    def __init__(self, wire: AsyncHttpWire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._response: httpcore2.Response | None = None
        self._body: AsyncIterator[bytes] = _nothing()
        self._inflate = Inflate({})

    async def open(self) -> tuple[int, dict[str, str]]:
        endpoint = await self._wire.endpoint(self._request)
        pool = self._wire.pool(endpoint.base_url)
        with _OPENING:
            response = await pool.handle_async_request(_request(endpoint, self._request))
        self._response = response
        headers = _headers(response)
        self._inflate = Inflate(headers)
        self._body = response.stream.__aiter__()  # type: ignore[union-attr]
        return response.status, headers

    async def read(self) -> bytes:
        with _READING:
            async for piece in self._body:
                if data := self._inflate(piece):
                    return data
        return b""

    def close(self, whole: bool) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # dropped after its loop: the pool goes with it
            return
        self._wire.later(loop.create_task(self._close(response, whole)))

    async def _close(self, response: httpcore2.Response, whole: bool) -> None:
        try:
            if whole:
                async with asyncio.timeout(DRAIN):
                    while await self.read():
                        pass
            await response.aclose()
        except _GONE:
            pass


def _pool_options(base_url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"max_connections": None, "keepalive_expiry": KEEPALIVE}
    if base_url.startswith("https://"):
        options["ssl_context"] = tls_context()
    if proxy := proxy_for(base_url):
        parts = urlsplit(proxy)
        auth = (parts.username or "", parts.password or "") if parts.username else None
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        options["proxy"] = httpcore2.Proxy(f"{parts.scheme}://{host}{port}", auth=auth)
    return options


def _request(endpoint: Endpoint, request: Request) -> httpcore2.Request:
    url = httpcore2.URL(endpoint.base_url + request.path)
    headers = [
        (name.encode("ascii"), value.encode("latin-1")) for name, value in headers_for(endpoint, request)
    ]
    host = url.host if url.port is None else b"%b:%d" % (url.host, url.port)
    headers = [(b"host", host), *headers, (b"content-length", b"%d" % len(request.body))]
    timeout = {"connect": request.connect_timeout}
    return httpcore2.Request(
        request.method, url, headers=headers, content=request.body, extensions={"timeout": timeout}
    )


def _headers(response: httpcore2.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


async def _nothing() -> AsyncIterator[bytes]:
    """The body of what has not been opened."""
    empty: tuple[bytes, ...] = ()
    for piece in empty:
        yield piece
