"""The blocking wire, on the standard library's HTTP client: a tenth of the import, a third of the CPU.

Its sockets look up the deadline before each operation, so no read outlives it, however slowly
bytes drip, in the headers as in the body; no second thread has to shut sockets.
"""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from ..types import Request
from .wire import Endpoint, Endpoints, Inflate, Late, Phase, WireError, headers_for, proxy_of, tls_context

if TYPE_CHECKING:
    import ssl

READ_SIZE = 64 * 1024
_LONGEST = 86_400.0  # what a socket's timeout can hold
MOST_IDLE = 64
KEEPALIVE = 60.0
# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.05


class _Timed:
    """A socket whose every operation ends at `until`; as much of one as http.client needs."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.until = 0.0

    def _arm(self) -> socket.socket:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(min(left, _LONGEST))
        return self._sock

    def sendall(self, data: bytes) -> None:
        self._arm().sendall(data)

    def recv_into(self, buffer: Any) -> int:
        return self._arm().recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self), READ_SIZE)

    def is_stale(self) -> bool:
        """Whether an idle connection has something to say: it can only be that the server closed it."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._sock.close()


class _Raw(io.RawIOBase):
    """What http.client reads from."""

    def __init__(self, sock: _Timed) -> None:
        self._timed = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.recv_into(buffer)


class _Connection:
    """One connection to a server, direct or through a proxy."""

    def __init__(self, base: SplitResult, proxy: str | None, tls: ssl.SSLContext | None) -> None:
        self._inner = _inner(base, proxy, tls)
        self._host = base.netloc.rpartition("@")[2]
        # A plain proxy is asked for the whole URL, and the password goes with each request.
        through = urlsplit(proxy) if proxy and tls is None else None
        self._target = (f"{base.scheme}://{self._host}" if through else "") + base.path
        self._more = _credentials(through) if through else {}
        self.sock: _Timed | None = None
        self.idle_since = 0.0

    def open(self, until: float, connect_timeout: float) -> _Timed:
        """Connect, TLS included."""
        due = min(time.monotonic() + connect_timeout, until)
        self._inner.timeout = _left(due)
        # http.client would give each address of a name the whole time.
        self._inner._create_connection = lambda address, *_: _dial(address, due)  # type: ignore[attr-defined]
        self._inner.connect()
        self._inner.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = _Timed(self._inner.sock)
        self._inner.sock = self.sock
        return self.sock

    def ask(self, endpoint: Endpoint, request: Request) -> http.client.HTTPResponse:
        """Send the request, in one write, and read the response's head."""
        sock = self.sock
        if sock is None:
            raise WireError("connect", "The connection is closed.")
        headers = [*headers_for(endpoint, request), *self._more.items()]
        sock.sendall(_head(self._target + request.path, self._host, request, headers) + request.body)
        response = http.client.HTTPResponse(sock, method=request.method)  # type: ignore[arg-type]
        response.begin()
        while 100 < response.status < 200 and response.status != 101:  # hints before the answer
            response.headers = response.msg = None  # type: ignore[assignment]
            response.begin()
        return response

    def close(self) -> None:
        self._inner.close()


class HttpWire:
    """A blocking wire that keeps idle connections for the next request."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._idle: dict[str, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def line(self, request: Request) -> HttpLine:
        return HttpLine(self, request)

    def endpoint(self, request: Request) -> Endpoint:
        return self._endpoints(request.route)

    def connection(self, endpoint: Endpoint, until: float, connect_timeout: float) -> _Connection:
        """An idle one that is still good, else a new one."""
        if self._process != os.getpid():  # a fork: the parent goes on with these sockets
            self._idle, self._lock, self._process = {}, threading.Lock(), os.getpid()
        while (kept := self._pop(endpoint.base_url)) is not None:
            if (
                kept.sock is not None
                and time.monotonic() - kept.idle_since < KEEPALIVE
                and not kept.sock.is_stale()
            ):
                kept.sock.until = until
                return kept
            kept.close()
        base = urlsplit(endpoint.base_url)
        made = _Connection(base, proxy_of(endpoint), self._context() if base.scheme == "https" else None)
        made.open(until, connect_timeout).until = until
        return made

    def keep(self, base_url: str, connection: _Connection) -> None:
        now = connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(base_url, [])
            idle.append(connection)
            old = [kept for kept in idle if now - kept.idle_since > KEEPALIVE] or idle[:-MOST_IDLE]
            self._idle[base_url] = [kept for kept in idle if kept not in old]
        for kept in old:
            kept.close()

    def _pop(self, base_url: str) -> _Connection | None:
        with self._lock:
            idle = self._idle.get(base_url)
            return idle.pop() if idle else None

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = tls_context()
            return self._tls

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()


class HttpLine:
    """One request on `HttpWire`."""

    def __init__(self, wire: HttpWire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._base_url = ""
        self._connection: _Connection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._inflate = Inflate({})

    def open(self, until: float) -> tuple[int, dict[str, str]]:
        endpoint = self._wire.endpoint(self._request)
        self._base_url = endpoint.base_url
        with _translating("connect", until, f"{urlsplit(endpoint.base_url).netloc.rpartition('@')[2]}: "):
            timeout = self._request.connect_timeout
            self._connection = self._wire.connection(endpoint, until, timeout)
        with _translating("headers", until):
            self._response = self._connection.ask(endpoint, self._request)
        headers = {name.lower(): value for name, value in self._response.getheaders()}
        self._inflate = Inflate(headers)
        return self._response.status, headers

    def read(self, until: float) -> bytes:
        response, connection = self._response, self._connection
        if response is None or connection is None or connection.sock is None:
            return b""
        connection.sock.until = until
        try:
            # A piece may inflate to nothing yet; only the end is b"".
            while piece := response.read1(READ_SIZE):
                if data := self._inflate(piece):
                    return data
        except (http.client.HTTPException, OSError, ValueError) as exc:
            raise _told(exc, "body", until) from exc
        if response.length:  # http.client does not mind a body that is shorter than it was said to be
            raise WireError("body", f"{response.length} bytes of the body are missing.")
        return b""

    def close(self, whole: bool) -> None:
        connection, self._connection = self._connection, None
        response, self._response = self._response, None
        if connection is None:
            return
        if whole and response is not None and self._is_drained(connection, response):
            self._wire.keep(self._base_url, connection)
            return
        if response is not None:
            response.close()
        connection.close()

    def _is_drained(self, connection: _Connection, response: http.client.HTTPResponse) -> bool:
        """Whether the body has come to its end, and the connection may be used again."""
        if connection.sock is None or response.will_close:
            return False
        connection.sock.until = time.monotonic() + DRAIN
        with suppress(http.client.HTTPException, OSError, ValueError):
            while response.read1(READ_SIZE):
                pass
            response.close()  # of this answer; the socket stays
            return not response.length
        return False


def _head(target: str, host: str, request: Request, headers: list[tuple[str, str]]) -> bytes:
    """The request line and the headers. Raises ValueError for what would not stay one line."""
    lines = [f"{request.method} {target} HTTP/1.1", f"host: {host}", f"content-length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break")
    return text.encode("latin-1") + b"\r\n\r\n"


def _inner(base: SplitResult, proxy: str | None, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    host, port = base.hostname or "", base.port or (443 if tls else 80)
    if proxy is None:
        return (
            http.client.HTTPSConnection(host, port, context=tls)
            if tls
            else http.client.HTTPConnection(host, port)
        )
    through = urlsplit(proxy)
    at, gate = through.hostname or "", through.port or 80
    if tls is None:
        return http.client.HTTPConnection(at, gate)
    tunnel = http.client.HTTPSConnection(at, gate, context=tls)
    tunnel.set_tunnel(host, port or 443, headers=_credentials(through))
    return tunnel


def _left(until: float) -> float:
    """Seconds until a moment. Raises TimeoutError where it has passed."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return min(left, _LONGEST)


def _dial(address: tuple[str, int], until: float) -> socket.socket:
    """Connect to the first of a name's addresses that answers, all of them within one deadline."""
    failure: OSError = OSError(f"no address for {address[0]}")
    for family, kind, protocol, _, place in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(until))
            sock.connect(place)
            return sock
        except OSError as exc:
            sock.close()
            failure = exc
    raise failure


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(pair.encode()).decode()}


@contextmanager
def _translating(phase: Phase, until: float, where: str = "") -> Iterator[None]:
    try:
        yield
    except (http.client.HTTPException, OSError, ValueError) as exc:
        raise _told(exc, phase, until, where) from exc


def _told(exc: Exception, phase: Phase, until: float, where: str = "") -> Exception:
    """Foreign errors → Late or WireError. A connect has a timeout of its own; else only the deadline rings."""
    if isinstance(exc, TimeoutError) and (phase != "connect" or time.monotonic() >= until):
        return Late()
    if isinstance(exc, http.client.IncompleteRead):
        return WireError(phase, "the server closed the connection in the middle of the body")
    return WireError(phase, where + (str(exc) or type(exc).__name__))
