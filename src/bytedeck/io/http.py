"""The blocking wire: plain sockets, and the same reader of HTTP as the async one.

Its sockets look up the deadline before each operation, so no read outlives it, however slowly
bytes drip, in the headers as in the body; no second thread has to shut sockets.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..types import Request
from .http1 import Malformed, Response
from .place import Place, place_of
from .wire import Endpoint, Endpoints, Inflate, Late, Phase, WireError, tls_context

if TYPE_CHECKING:
    import ssl

READ_SIZE = 64 * 1024
# What is sent before anybody looks whether the answer is there already. Most requests are smaller.
SEND_SIZE = 64 * 1024
_LONGEST = 86_400.0  # what a socket's timeout can hold
MOST_IDLE = 64
KEEPALIVE = 60.0
# How long a finished answer's last chunk may take, so that its connection can be used again.
DRAIN = 0.05


class _Grip:
    """The socket that a line holds at the moment, whatever it waits for with it, so that another thread can shut
    it. A close would not wake who reads; and only who reads closes, or a number could be somebody else's by now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.is_shut = False

    def hold(self, sock: socket.socket) -> None:
        """From now on this one. Raises ConnectionAbortedError where it was shut already."""
        with self._lock:
            if self.is_shut:
                raise ConnectionAbortedError("nobody waits for the answer any more")
            self._sock = sock

    def release(self) -> None:
        """Nothing any more: to be called before a socket is closed or kept."""
        with self._lock:
            self._sock = None

    def shut(self) -> None:
        with self._lock:
            self.is_shut = True
            if self._sock is not None:
                with suppress(OSError):
                    # Not a TLS socket's own way: its reader would get ciphertext.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class _Connection:
    """One connection, direct or through a proxy. Every operation ends at `until`."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self.until = until
        self.idle_since = 0.0
        self.is_torn = False
        """A request on it was not sent to its end."""

    def send(self, data: bytes, response: Response) -> None:
        """Send a request; a large one only until it is refused."""
        view = memoryview(data)
        is_large = len(data) > SEND_SIZE
        while view:
            if is_large and self._is_refused(response):
                self.is_torn = True
                return
            self._sock.settimeout(0.0 if is_large else _left(self.until))
            try:
                view = view[self._sock.send(view[:SEND_SIZE]) :]
            except OSError as exc:
                if not (is_large and _would_wait(exc)):
                    raise

    def _is_refused(self, response: Response) -> bool:
        """Wait until more may be sent, and read what comes meanwhile: whether it is a refusal."""
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT if response.opened else select.POLLIN | select.POLLOUT)
        while True:
            found = poll.poll(_left(self.until) * 1000)
            events = found[0][1] if found else 0
            if events & select.POLLIN:
                self._sock.settimeout(0.0)
                try:
                    self.read_on(response, wait=False)
                except OSError as exc:
                    if not _would_wait(exc):  # TLS has words of its own
                        raise
                if response.opened:
                    return response.status >= 400
            elif events:
                return False

    def read_on(self, response: Response, wait: bool = True) -> None:
        """Read what comes next into the response."""
        self._sock.settimeout(_left(self.until) if wait else 0.0)
        if data := self._sock.recv(READ_SIZE):
            response.feed(data)
        else:
            response.end()

    def ask(self, data: bytes, response: Response) -> None:
        """Send a request and read the response's head."""
        try:
            self.send(data, response)
        except ConnectionError:  # a server that answers before it has read all may close, too
            self.is_torn = True
            with suppress(OSError, Malformed):
                while not response.opened:
                    self.read_on(response)
            if not response.opened:
                raise
        while not response.opened:
            self.read_on(response)

    def tunnel(self, place: Place) -> None:
        """Ask the proxy for a way through."""
        response = Response("CONNECT")
        self.ask(place.tunnel, response)
        if response.status >= 300:
            raise OSError(f"the proxy gives no tunnel: {response.status}")

    def encrypt(self, tls: ssl.SSLContext, name: str, grip: _Grip) -> None:
        self._sock.settimeout(_left(self.until))  # of the handshake as a whole
        encrypted = tls.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
        self._sock = encrypted
        self.hold(grip)
        encrypted.do_handshake()

    def hold(self, grip: _Grip) -> None:
        grip.hold(self._sock)

    def is_stale(self) -> bool:
        """Whether an idle connection has something to say: it can only be that the server closed it."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._sock.close()


class HttpWire:
    """A blocking wire that keeps idle connections for the next request."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._places: dict[str, Place] = {}
        self._idle: dict[str, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def line(self, request: Request) -> HttpLine:
        return HttpLine(self, request)

    def place(self, endpoint: Endpoint) -> Place:
        place = self._places.get(endpoint.base_url)
        if place is None:
            place = self._places[endpoint.base_url] = place_of(endpoint)
        return place

    def kept(self, base_url: str, until: float) -> _Connection | None:
        """An idle connection that is still good."""
        if self._process != os.getpid():  # a fork: the parent goes on with these sockets
            self._idle, self._lock, self._process = {}, threading.Lock(), os.getpid()
        while (kept := self._pop(base_url)) is not None:
            if time.monotonic() - kept.idle_since < KEEPALIVE and not kept.is_stale():
                kept.until = until
                return kept
            kept.close()
        return None

    def connect(self, place: Place, seconds: float, until: float, grip: _Grip) -> _Connection:
        """A new connection, within some seconds: proxy and TLS included. Raises Late, WireError."""
        try:
            made = self._dialled(place, min(time.monotonic() + seconds, until), grip)
        except (OSError, ValueError) as exc:
            raise _told(exc, "connect", until, f"{place.authority}: ") from exc
        made.until = until
        return made

    def _dialled(self, place: Place, due: float, grip: _Grip) -> _Connection:
        made = _Connection(_dial((place.host, place.port), due, grip), due)
        try:
            if place.tunnel:
                made.tunnel(place)
            if place.tls:
                made.encrypt(self._context(), place.tls, grip)
        except BaseException:
            grip.release()
            made.close()
            raise
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
        self._grip = _Grip()
        self._response = Response(request.method)
        self._inflate = Inflate({})

    def open(self, until: float) -> tuple[int, dict[str, str]]:
        wire, request, response = self._wire, self._request, self._response
        endpoint = wire.endpoints(request.route)
        place = wire.place(endpoint)
        data = place.ask(endpoint, request)
        self._base_url = endpoint.base_url
        connection = wire.kept(self._base_url, until)
        if connection is None:
            connection = wire.connect(place, request.connect_timeout, until, self._grip)
        self._connection = connection
        try:
            connection.hold(self._grip)
            connection.ask(data, response)
        except (OSError, ValueError) as exc:
            raise _told(exc, "headers", until) from exc
        self._inflate = Inflate(response.headers)
        return response.status, response.headers

    def read(self, until: float) -> bytes:
        connection, response = self._connection, self._response
        if connection is None:
            return b""
        connection.until = until
        try:
            # A piece may inflate to nothing yet; only the end is b"".
            while True:
                if piece := response.take():
                    if data := self._inflate(piece):
                        return data
                elif response.ended:
                    if self._grip.is_shut:  # the end of a body that goes on until the connection's
                        raise ConnectionAbortedError("the line was killed")
                    self._inflate.end()
                    return b""
                else:
                    connection.read_on(response)
        except (OSError, ValueError) as exc:
            raise _told(exc, "body", until) from exc

    def kill(self) -> None:
        self._grip.shut()

    def close(self, whole: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._grip.release()
        if whole and self._is_drained(connection):
            self._wire.keep(self._base_url, connection)
        else:
            connection.close()

    def _is_drained(self, connection: _Connection) -> bool:
        """Whether the body has come to its end, and the connection may be used again."""
        connection.until = time.monotonic() + DRAIN
        with suppress(OSError, Malformed):
            while not self._response.ended:
                self._response.take()
                connection.read_on(self._response)
        return self._response.reusable and not connection.is_torn


def _left(until: float) -> float:
    """Seconds until a moment. Raises TimeoutError where it has passed."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return min(left, _LONGEST)


def _dial(address: tuple[str, int], until: float, grip: _Grip) -> socket.socket:
    """Connect to the first of a name's addresses that answers, all of them within one deadline."""
    failure: OSError = OSError(f"no address for {address[0]}")
    found = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)
    for tried, (family, kind, protocol, _, place) in enumerate(found):
        try:
            # One that never answers leaves the others their share of the time.
            share = _left(until) / (len(found) - tried)
            return _reached(socket.socket(family, kind, protocol), place, share, grip)
        except OSError as exc:
            failure = exc
    raise failure


def _reached(sock: socket.socket, place: Any, seconds: float, grip: _Grip) -> socket.socket:
    try:
        grip.hold(sock)
        sock.settimeout(seconds)
        sock.connect(place)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        grip.release()
        sock.close()
        raise
    return sock


def _would_wait(exc: OSError) -> bool:
    """Whether a socket that does not wait would have to; told by name, because plain HTTP needs no `ssl`."""
    return isinstance(exc, BlockingIOError) or type(exc).__name__ in ("SSLWantReadError", "SSLWantWriteError")


def _told(exc: Exception, phase: Phase, until: float, where: str = "") -> Exception:
    """Foreign errors → Late or WireError. A connect has a timeout of its own; else only the deadline rings."""
    if isinstance(exc, TimeoutError) and (phase != "connect" or time.monotonic() >= until):
        return Late()
    return WireError(phase, where + (str(exc) or type(exc).__name__))
