"""The async wire, on aiohttp. Imported only when it is used: 150 ms."""

from __future__ import annotations

import asyncio
import ssl
from typing import Literal

import aiohttp

from ..types import Request
from .wire import Endpoint, Endpoints, Inflate, Phase, Translating, headers_for, proxy_of, tls_context

# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.25
KEEPALIVE = 60.0
# One read brings at most this much: a burst should cost one turn of the loop, not many.
READ_BUFFER = 256 * 1024

_TABLE: dict[type[Exception], Phase | Literal["", "late"]] = {
    aiohttp.ClientConnectorError: "connect",
    aiohttp.ClientHttpProxyError: "connect",
    aiohttp.ConnectionTimeoutError: "connect",
    aiohttp.InvalidURL: "connect",
    aiohttp.ClientError: "",
    OSError: "",
}
_OPENING = Translating("headers", _TABLE)
_READING = Translating("body", _TABLE)


class AiohttpWire:
    """An async wire with one session; it belongs to one event loop."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}
        self._tls: ssl.SSLContext | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def line(self, request: Request) -> AiohttpLine:
        return AiohttpLine(self, request)

    async def endpoint(self, request: Request) -> Endpoint:
        if request.route == "local":  # it may have to be started first
            return await asyncio.to_thread(self._endpoints, request.route)
        return self._endpoints(request.route)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE)
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_BUFFER,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    def proxy(self, endpoint: Endpoint) -> str | None:
        if endpoint.base_url not in self._proxies:
            self._proxies[endpoint.base_url] = proxy_of(endpoint)
        return self._proxies[endpoint.base_url]

    def tls(self, base_url: str) -> ssl.SSLContext | bool:
        """One context for all: reading the system's certificates takes some 40 ms, plain http needs none."""
        if not base_url.startswith("https://"):
            return True
        if self._tls is None:
            self._tls = tls_context()
        return self._tls

    def later(self, closing: asyncio.Task[None]) -> None:
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        if self._closing:
            await asyncio.wait(self._closing, timeout=2 * DRAIN)
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class AiohttpLine:
    """One request on `AiohttpWire`."""

    def __init__(self, wire: AiohttpWire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._response: aiohttp.ClientResponse | None = None
        self._inflate = Inflate({})

    async def open(self) -> tuple[int, dict[str, str]]:
        endpoint = await self._wire.endpoint(self._request)
        with _OPENING:
            response = await self._wire.session().request(
                self._request.method,
                endpoint.base_url + self._request.path,
                headers=headers_for(endpoint, self._request),
                data=self._request.body or None,
                proxy=self._wire.proxy(endpoint),
                ssl=self._wire.tls(endpoint.base_url),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._request.connect_timeout),
                allow_redirects=False,
            )
        self._response = response
        headers = {name.lower(): value for name, value in response.headers.items()}
        self._inflate = Inflate(headers)
        return response.status, headers

    async def read(self) -> bytes:
        if self._response is None:
            return b""
        with _READING:
            # A piece may inflate to nothing yet; only the end is b"".
            while piece := await self._response.content.readany():
                if data := self._inflate(piece):
                    return data
        return b""

    def close(self, whole: bool) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        if not whole:
            response.close()
        elif response.content.at_eof():
            response.release()
        else:
            self._wire.later(asyncio.get_running_loop().create_task(_drained(response)))


async def _drained(response: aiohttp.ClientResponse) -> None:
    """Read a whole answer's last chunk and give the connection back."""
    try:
        async with asyncio.timeout(DRAIN):
            while await response.content.readany():
                pass
    except (aiohttp.ClientError, OSError):  # a TimeoutError is an OSError
        response.close()
    else:
        response.release()
