"""A gateway in a thread of its own, in front of the simulator: its application, on its server, with its own ledger."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from bytedeck import AsyncHub
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.server.serve import Serving, bind, new_loop, url_of

T = TypeVar("T")


class Gateway:
    """`with Gateway(heartbeat=0.05) as gateway:` it is reached at `gateway.url`; `gateway.app` is the application."""

    def __init__(self, **settings: Any) -> None:
        self._settings = Settings(**{"grace": 0.0} | settings)
        self._listener = bind("127.0.0.1", 0)
        self.url = url_of(self._listener)
        self.port: int = self._listener.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway")
        self.app: App
        self.serving: Serving
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    def _run(self) -> None:
        with self._listener, asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.app = App(AsyncHub(), self._settings)
        settings = self._settings
        serving = self.serving = Serving(self.app, self._listener, settings.max_connections, settings.stall)
        await self.app.start()
        await serving.start()
        self._ready.set()
        await self._ended.wait()
        serving.refuse()
        await self.app.aclose()
        await serving.stop()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Something done in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def rows(self) -> list[Any]:
        """The attempts in its ledger, newest first."""
        store = self.app.hub.house.store
        store.flush()
        return store.rows()

    def __enter__(self) -> Gateway:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


def dial(port: int, sent: bytes) -> socket.socket:
    """A connection on which these bytes were sent."""
    found = socket.create_connection(("127.0.0.1", port), 10)
    found.sendall(sent)
    return found


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """What comes, up to these bytes or the end."""
    data = b""
    while mark not in data and (piece := connection.recv(65536)):
        data += piece
    return data


def post(path: str, body: bytes, *headers: str, host: str = "127.0.0.1") -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + body
