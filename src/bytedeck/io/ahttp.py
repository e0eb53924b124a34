"""The async wire on httpcore2, for where aiohttp is not installed. Imported only when it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import httpcore2

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
    proxy_of,
    tls_context,
)

if TYPE_CHECKING:
    from httpcore2 import AsyncConnectionPool

KEEPALIVE = 60.0
# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.25

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

    def pool(self, endpoint: Endpoint) -> AsyncConnectionPool:
        base_url = endpoint.base_url
        if base_url not in self._pools:
            self._pools[base_url] = httpcore2.AsyncConnectionPool(**_pool_options(endpoint))
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
        pool = self._wire.pool(endpoint)
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


def _pool_options(endpoint: Endpoint) -> dict[str, Any]:
    options: dict[str, Any] = {"max_connections": None, "keepalive_expiry": KEEPALIVE}
    if endpoint.base_url.startswith("https://"):
        options["ssl_context"] = tls_context()
    if proxy := proxy_of(endpoint):
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
