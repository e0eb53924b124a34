"""The gateway's own server: uvicorn's protocol on a socket of ours, until SIGTERM or Ctrl-C, and then an orderly end.

The order of the end: no new connections, no new requests, running answers get their time and are then told, the
ledger is written, the process ends with 0. A second signal cuts the time short.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import uvicorn
from msgspec.structs import replace
from uvicorn.server import ServerState

from ...async_client import AsyncHub
from ...errors import CallerError, LedgerError
from ...io.keys import Keys
from ..app import App, Settings
from ..door.door import LOOPBACK
from .protocol import Protocol
from .workers import check_possible, supervise

BACKLOG = 4096
KEEP_ALIVE = 75
"""Seconds that an idle connection is kept; proxies in front commonly keep theirs for 60."""
_LOOKS = 5
"""How often it is looked whether a client reads, within the time for which it need not."""
_TO_READ, _BETWEEN = 2.0, 0.01
"""Seconds in which clients may read, at the end, what was written already; and between two looks whether they have."""
_MOST_FILES = 1 << 17
_OTHER_FILES = 64
"""Open files that are no connection."""
_COLLECT_EVERY = 10_000
"""Objects between two looks of Python's cycle collector, instead of 700: a request makes some hundred that live as long as
it does, and hardly a cycle. With what is here from the start left alone, a request takes a tenth less."""

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
    host: str,
    port: int,
    *,
    settings: Settings | None = None,
    workers: int = 1,
    announce: Callable[[str, AsyncHub], object],
) -> None:
    """Serve until a signal. `announce` gets the URL and a hub once requests are welcome.

    Raises CannotListen, WorkersFailed, and ConfigError where the configuration cannot be read.
    """
    hub, settings = AsyncHub(), settings or Settings(hosts=(host,))
    settings = replace(settings, is_exposed=check_host(host, hub.house.keys))
    if workers > 1:
        check_possible()
    with bind(host, port) as listener:
        if workers > 1:
            supervise(listener, settings, workers, lambda: announce(url_of(listener), hub))
            return
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run(App(hub, settings), listener, announce))


def check_host(host: str, keys: Keys) -> bool:
    """Whether nobody comes in without a key: others can reach the address, or there are keys already, so that also a
    worker which is started anew asks for one. Raises CannotListen where others can and there is no key that would tell
    who they are, and LedgerError where nobody knows."""
    if host in LOOPBACK:
        with contextlib.suppress(LedgerError):  # the door looks again, and lets nobody in until it knows
            return bool(keys.load().callers)
        return False
    if not keys.load().callers:
        raise CannotListen(
            f"Without keys the gateway listens on this machine alone, and {host} may be reached by others.",
            hint=("Create a key first: byte keys create NAME", "Or leave --host away."),
        )
    return True


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


def most_connections(wanted: int) -> int:
    """How many clients there may be, by how many files may be open: each may need a connection to the upstream, too.

    Raises the process's own limit as far as it may.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower one besides
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(wanted, (soft - _OTHER_FILES) // 2)) if soft != resource.RLIM_INFINITY else wanted


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

    def __init__(
        self, app: Any, listener: socket.socket, most: int | None = None, patience: float = 300.0
    ) -> None:
        """`most`: connections that may be open at once; `patience`: seconds for which a client may read nothing."""
        self._most, self._patience = most, patience
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
        self._watch: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._date(loop)
        self._look(loop)

        def made() -> asyncio.Protocol:
            return Protocol(self._config, self._state, {}, loop, self._most)

        self._server = await loop.create_server(made, sock=self._listener, backlog=BACKLOG)

    def _date(self, loop: asyncio.AbstractEventLoop) -> None:
        """The Date header, made once a second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = loop.call_later(1.0, self._date, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of who has stopped reading."""
        now = loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, Protocol):
                connection.look(now, self._patience)
        self._watch = loop.call_later(self._patience / _LOOKS, self._look, loop)

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
        """Close what is left. What was written goes out as far as it is read soon."""
        self.refuse()
        for timer in (self._clock, self._watch):
            if timer is not None:
                timer.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1.0)
        for connection in list(self._state.connections):
            connection.transport.close()  # once what was written is out
        await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TO_READ):
                while self._state.connections:  # noqa: ASYNC110 (uvicorn tells nobody when one of them is gone)
                    await asyncio.sleep(_BETWEEN)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:  # who wrote to one that read nothing
            await asyncio.wait(self._state.tasks, timeout=1.0)


async def run(
    app: App,
    listener: socket.socket,
    announce: Callable[[str, AsyncHub], object],
    lifeline: int | None = None,
) -> None:
    """Serve until a signal, or until the other end of `lifeline`, a pipe, is closed; then end in order."""
    settings, ended = app.settings, asyncio.Event()
    serving = Serving(app, listener, most_connections(settings.max_connections), settings.stall)
    loop = asyncio.get_running_loop()

    def end() -> None:
        if ended.is_set():  # asked for a second time
            app.interrupt()
        ended.set()

    def orphaned() -> None:
        loop.remove_reader(lifeline)  # type: ignore[arg-type]
        ended.set()

    # Not within a thread, and not on Windows: there a signal ends the process as it always does.
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, end)
        loop.add_signal_handler(signal.SIGHUP, app.reload)
    if lifeline is not None:
        loop.add_reader(lifeline, orphaned)
    await app.start()
    await serving.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)
    announce(url_of(listener), app.hub)
    try:
        await ended.wait()
        app.log.say("info", _closing(len(app.running), settings.grace))
        serving.refuse()
        await app.drain()
    finally:
        await serving.stop()
        await app.aclose()


def _closing(running: int, grace: float) -> str:
    if not running:
        return "Shutting down."
    what = "1 request has" if running == 1 else f"{running} requests have"
    return f"Shutting down; {what} {grace:g} s to end."
