"""The seam to the network: what a wire is, and what every wire has to get alike.

A `Line` is one request's connection: open it, read it, close it. There is a blocking and
an async form: on sockets (`http.py`), on asyncio (`aio.py`), and both on a script
(`testing.py`). One contract test holds them all.
"""

from __future__ import annotations

import os
import re
import sys
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from ..types import Request, Route

if TYPE_CHECKING:
    import ssl

Phase = Literal["connect", "headers", "body"]


_USERINFO = re.compile(r"//[^/\s]*@")


class Late(Exception):
    """The deadline passed before anything came. The line is good for nothing but `close`."""


class WireError(Exception):
    """The line broke; `str()` is for the detail of an error and holds no key."""

    def __init__(self, phase: Phase, why: str) -> None:
        super().__init__(_USERINFO.sub("//", why))  # a proxy's password is a key, too
        self.phase: Phase = phase


class Line(Protocol):
    """One request on a blocking wire. Moments are monotonic seconds."""

    def open(self, until: float) -> tuple[int, dict[str, str]]:
        """Send the request; the status and the headers by lower-case name. Raises Late, WireError."""

    def read(self, until: float) -> bytes:
        """The next bytes of the body as they come, decoded; b"" at its clean end. Raises Late, WireError."""

    def kill(self) -> None:
        """From any thread: what the line is doing, or does next, ends at once with a WireError (a look-up of a
        name when the system lets go of it), and nothing more is sent. Who works with it closes it afterwards.
        Idempotent, never raises, does not wait."""

    def close(self, whole: bool) -> None:
        """Let go of the connection, for the next request where the answer was whole. Idempotent, never raises."""


class Wire(Protocol):
    """Makes lines."""

    def line(self, request: Request) -> Line: ...

    def close(self) -> None: ...


class AsyncLine(Protocol):
    """One request on an async wire. Deadlines are the driver's: it cancels."""

    async def open(self) -> tuple[int, dict[str, str]]: ...

    async def read(self) -> bytes: ...

    def ready(self) -> bytes:
        """What `read` would bring at once; b"" where it had to wait, or had more to tell."""

    def close(self, whole: bool) -> None:
        """As `Line.close`; what has to wait goes on in the background."""


class AsyncWire(Protocol):
    """Makes async lines."""

    def line(self, request: Request) -> AsyncLine: ...

    async def aclose(self) -> None: ...


class Endpoint(Struct, frozen=True, gc=False):
    """Where a route's requests go. The headers hold the key, so this is never printed."""

    base_url: str
    headers: tuple[tuple[str, str], ...]
    is_here: bool = False
    """On this machine, and ours: never through a proxy."""

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"


class Endpoints(Protocol):
    """Finds a route's endpoint; may block while a local model starts."""

    def __call__(self, route: Route) -> Endpoint: ...


# We read streams as they come; a compressed one would sit in the provider's buffers.
_PLAIN = ("accept-encoding", "identity")
_AGENT = ("user-agent", "bytedeck/0.1")


def headers_for(endpoint: Endpoint, request: Request) -> list[tuple[str, str]]:
    """All headers of a request; what the request names wins over the endpoint's."""
    named = {name.lower() for name, _ in request.headers}
    ours = [_PLAIN, _AGENT, *endpoint.headers]
    if request.body:
        ours.append(("content-type", "application/json"))
    return [*(h for h in ours if h[0].lower() not in named), *request.headers]


def proxy_of(endpoint: Endpoint) -> str | None:
    """The proxy to an endpoint, for every wire alike."""
    return None if endpoint.is_here else proxy_for(endpoint.base_url)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL: HTTPS_PROXY, ALL_PROXY, NO_PROXY."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if parts.hostname is None:
        return None
    # With its port, and without the brackets of an IPv6 address.
    if proxy_bypass(parts.netloc.rpartition("@")[2]) or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is not None and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy is not None and not proxy.lower().startswith("http://"):
        raise WireError("connect", f"A proxy over {proxy.partition('://')[0]} is not supported; use http.")
    return proxy


# Where distributions keep their certificates, for a Python whose OpenSSL was built to look elsewhere.
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_context() -> ssl.SSLContext:
    """Which certificates are trusted (SSL_CERT_FILE, SSL_CERT_DIR, else the system's), for every wire alike."""
    import ssl

    cafile, capath = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if cafile or capath:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    if sys.platform in ("darwin", "win32"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        found = next(filter(os.path.isfile, _CA_FILES), None)
        if found:
            context.load_verify_locations(found)
    return context


# What one read may inflate to: a thousandfold is possible, and then somebody wants our memory.
MOST_INFLATED = 16 << 20


class Inflate:
    """Undoes a Content-Encoding that came although none was asked for."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        self._codec: Any = None
        self._begun = False
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._codec = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
        elif encoding not in ("identity", ""):
            raise WireError(
                "headers", f"The answer is encoded as {encoding[:40]!r}, which was not asked for."
            )

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to undo."""
        return self._codec is None

    def __call__(self, data: bytes) -> bytes:
        if self._codec is None:
            return data
        self._begun = True
        try:
            inflated: bytes = self._codec.decompress(data, MOST_INFLATED)
        except zlib.error as exc:
            raise WireError("body", "The compressed answer is damaged.") from exc
        if self._codec.unconsumed_tail:
            raise WireError("body", f"The compressed answer holds over {MOST_INFLATED} bytes in one piece.")
        if self._codec.unused_data:
            raise WireError("body", "Something stands behind the compressed answer.")
        return inflated

    def end(self) -> None:
        """The body has ended. Raises WireError where what is in it has not."""
        if self._begun and not self._codec.eof:
            raise WireError("body", "The compressed answer ends too early.")
