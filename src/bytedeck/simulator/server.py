"""Serving an application: uvicorn's protocol on a socket of ours, started and ended without signals or log lines.

Three ways to have it: `serve` in the foreground, `Simulator` in a thread, `SimulatorProcess` in a child.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from .errors import SimulatorError
from .settings import LOOPBACK, Settings
from .wire import Protocol

BACKLOG = 4096
_PATIENCE = 5.0
"""Seconds for requests to notice that they are over; they take milliseconds."""

# What bind() says → what the person can do.
_TROUBLE = {
    errno.EADDRINUSE: "Port {port} on {host} is in use. Choose another, or 0 for any free one.",
    errno.EACCES: "Port {port} on {host} may not be used without more rights. Choose one above 1023.",
    errno.EADDRNOTAVAIL: "{host} is no address of this machine.",
}


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises SimulatorError."""
    host, port = settings.host, settings.port
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as exc:
        raise SimulatorError(f"{host!r} is no address that can be listened at.") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        known = _TROUBLE.get(exc.errno or 0, f"{{host}}:{{port}} cannot be listened at: {exc.strerror}.")
        raise SimulatorError(known.format(host=host, port=port)) from exc
    return listener


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def url_of(listener: socket.socket) -> str:
    """`http://host:port`; who listens everywhere is reached here."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_public(settings: Settings) -> bool:
    """Whether other machines may reach it."""
    return settings.host not in LOOPBACK


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
            proxy_headers=False,  # nothing stands between an event and its connection
            server_header=False,
            date_header=False,  # the application tells the date of its own clock
            timeout_keep_alive=75,
        )
        self._state = ServerState()
        self._listener = listener
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        self._config.load()
        loop = asyncio.get_running_loop()

        def made() -> asyncio.Protocol:
            return Protocol(self._config, self._state, {}, loop)

        self._server = await loop.create_server(made, sock=self._listener, backlog=BACKLOG)

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self._state.connections)

    @property
    def tasks(self) -> int:
        """Requests that are being answered."""
        return len(self._state.tasks)

    async def stop(self) -> None:
        """Accept no more, end what there is."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
        if self._server is not None:
            await self._server.wait_closed()
        await asyncio.sleep(0)


def serve(settings: Settings, announce: Callable[[str], None] | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM. `announce` gets the URL once it can be reached. Raises SimulatorError.

    Connections are ended first; then SIGTERM does what it did before.
    """
    from .app import App

    app = App(settings)
    listener = bind(settings)
    before = signal.getsignal(signal.SIGTERM)
    terminated = False
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            terminated = runner.run(_serve(app, listener, announce or _announce))
    finally:
        listener.close()
    if terminated:
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)


def _announce(url: str) -> None:
    sys.stderr.write(f"The simulator listens at {url}/api/v1\n")


async def _serve(app: Any, listener: socket.socket, announce: Callable[[str], None]) -> bool:
    """Returns whether SIGTERM ended it."""
    serving, ended = Serving(app, listener), asyncio.Event()
    # Not within a thread, and not on Windows: there SIGTERM ends the process as it always does.
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await app.start(serving)
    await serving.start()
    announce(url_of(listener))
    try:
        await ended.wait()
    finally:
        await serving.stop()
        await app.stop()
    return True
