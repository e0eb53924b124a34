"""The gateway's own server: uvicorn's protocol on a socket of ours, until SIGTERM or Ctrl-C, and then an orderly end.

The order of the end: no new connections, no new requests, running answers get their time and are then told, the
ledger is written, the process ends with 0. A second signal cuts the time short.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from ..client import AsyncHub
from ..errors import CallerError
from .app import App, Settings
from .door import LOOPBACK
from .protocol import Protocol

BACKLOG = 4096
KEEP_ALIVE = 75
"""Seconds that an idle connection is kept; proxies in front commonly keep theirs for 60."""

# What bind() says → what the person can do.
_TROUBLE = {
    errno.EADDRINUSE: "Port {port} on {host} is in use. Choose another with --port, or 0 for any free one.",
    errno.EACCES: "Port {port} on {host} may not be used without more rights. Choose one above 1023.",
    errno.EADDRNOTAVAIL: "{host} is no address of this machine.",
}


class CannotListen(CallerError):
    """The address cannot be listened at, or must not."""

    code = "bad_config"


def serve(
    host: str, port: int, *, settings: Settings | None = None, announce: Callable[[str, AsyncHub], object]
) -> None:
    """Serve until a signal. `announce` gets the URL and the hub once requests are welcome.

    Raises CannotListen, and ConfigError where the configuration cannot be read.
    """
    check_host(host)
    hub = AsyncHub()
    with bind(host, port) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(App(hub, settings or Settings(hosts=(host,))), listener, announce))


def check_host(host: str) -> None:
    """Raises CannotListen for an address that others can reach: there are no keys yet that would tell who they are."""
    if host not in LOOPBACK:
        raise CannotListen(
            f"Without keys the gateway listens on this machine alone, and {host} may be reached by others.",
            hint=("Leave --host away, and put what asks who calls in front of it.",),
        )


def bind(host: str, port: int) -> socket.socket:
    """The listening socket. Raises CannotListen."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as exc:
        raise CannotListen(f"{host!r} is no address that can be listened at.") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        known = _TROUBLE.get(exc.errno or 0, f"{{host}}:{{port}} cannot be listened at: {exc.strerror}.")
        raise CannotListen(known.format(host=host, port=port)) from exc
    return listener


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def url_of(listener: socket.socket) -> str:
    """`http://host:port`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Serving:
    """An application on a listening socket, within a running loop."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._state = ServerState()
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._date(loop)

        def made() -> asyncio.Protocol:
            return Protocol(self._config, self._state, {}, loop)

        self._server = await loop.create_server(made, sock=self._listener, backlog=BACKLOG)

    def _date(self, loop: asyncio.AbstractEventLoop) -> None:
        """The Date header, made once a second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = loop.call_later(1.0, self._date, loop)

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self._state.connections)

    def refuse(self) -> None:
        """Accept no more; idle connections are closed, the others with the end of their answer."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def stop(self) -> None:
        """Close what is left. What was written goes out as far as it is taken at once."""
        self.refuse()
        if self._clock is not None:
            self._clock.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1.0)
        for connection in list(self._state.connections):
            connection.transport.close()
        await asyncio.sleep(0)


async def _serve(app: App, listener: socket.socket, announce: Callable[[str, AsyncHub], object]) -> None:
    serving, ended = Serving(app, listener), asyncio.Event()

    def end() -> None:
        if ended.is_set():  # asked for a second time
            app.interrupt()
        ended.set()

    loop = asyncio.get_running_loop()
    # Not within a thread, and not on Windows: there a signal ends the process as it always does.
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, end)
    await serving.start()
    announce(url_of(listener), app.hub)
    try:
        await ended.wait()
        serving.refuse()
        await app.drain()
    finally:
        await serving.stop()
        await app.aclose()
