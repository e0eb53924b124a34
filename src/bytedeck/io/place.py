"""Where a connection to an endpoint goes, and how requests on it begin; the same for every wire."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from ..types import Request
from . import http1
from .wire import Endpoint, WireError, headers_for, proxy_of

_NO_PROXY = "The proxy that the environment names is no address. In its name and password / is written %2F, # %23, @ %40."

_MOST_STARTS = 64
"""More are not kept: who names headers of their own each time gains nothing by it."""


class Place(Struct, frozen=True):
    """May hold a proxy's password, so it is never printed."""

    host: str
    """Whom to dial: the server, or the proxy before it."""
    port: int
    tls: str
    """The name that the server's certificate has to bear; "" for plain HTTP."""
    tunnel: bytes
    """What asks a proxy for a way through to the server; b"" where none is needed."""
    authority: str
    """The server as the request and our errors name it."""
    prefix: str
    """What stands before a request's path; for a plain proxy the server, too."""
    headers: tuple[tuple[str, str], ...]
    """For a plain proxy: its credentials."""
    starts: dict[tuple[object, ...], bytes] = {}
    """How requests began before: most of them are alike up to their length."""

    def __repr__(self) -> str:
        return f"Place({self.authority!r})"

    def ask(self, endpoint: Endpoint, request: Request) -> bytes:
        """A whole request. Raises WireError for a header that would break out of its line."""
        alike = request.method, request.path, request.headers, endpoint.headers, not request.body
        start = self.starts.get(alike)
        if start is None:
            start = self._start(endpoint, request)
            if len(self.starts) < _MOST_STARTS:
                self.starts[alike] = start
        return start + http1.length(request.method, len(request.body)) + request.body

    def _start(self, endpoint: Endpoint, request: Request) -> bytes:
        headers = [*headers_for(endpoint, request), *self.headers]
        try:
            return http1.start(request.method, self.prefix + request.path, self.authority, headers)
        except ValueError as exc:
            raise WireError(
                "headers", "A header cannot be sent: it is not Latin-1, or breaks its line."
            ) from exc


def place_of(endpoint: Endpoint) -> Place:
    """Reads the environment's proxies. Raises WireError for a URL or a proxy that nobody can connect to."""
    try:
        return _place(urlsplit(endpoint.base_url), proxy_of(endpoint))
    except ValueError as exc:  # a port that is none, say
        raise WireError("connect", f"{endpoint.base_url}: {exc}") from exc


def _place(base: SplitResult, proxy: str | None) -> Place:
    host, authority, is_tls = base.hostname or "", base.netloc.rpartition("@")[2], base.scheme == "https"
    port = base.port or (443 if is_tls else 80)
    tls = host if is_tls else ""
    if proxy is None:
        return Place(host, port, tls, b"", authority, base.path, ())
    at, gate, credentials = _through(proxy)
    if not is_tls:
        return Place(at, gate, "", b"", authority, f"http://{authority}{base.path}", credentials)
    way = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Place(at, gate, tls, http1.head("CONNECT", way, way, 0, credentials), authority, base.path, ())


def _through(proxy: str) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    """The proxy's host and port, and the header that it wants."""
    try:
        parts = urlsplit(proxy)
        return parts.hostname or "", parts.port or 80, _credentials(parts)
    except ValueError:  # which may quote a part of the password
        raise WireError("connect", _NO_PROXY) from None


def _credentials(proxy: SplitResult) -> tuple[tuple[str, str], ...]:
    if not proxy.username:
        return ()
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return (("Proxy-Authorization", "Basic " + b64encode(pair.encode()).decode()),)
