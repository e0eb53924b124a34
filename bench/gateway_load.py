"""Who asks a gateway, in a process of its own: keeps connections busy, holds every answer against what the upstream said.

    gateway_load.main('{"port": 4000, …}')      the fields of Order; prints one line of JSON

With `hold` it prints a line when every stream has its first event, and ends with its stdin. What is wrong with one answer is
an `error` in the line, and ends it all: nobody is measured while getting the answer wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple, cast

import httptools
import uvloop

from upstream import WORDS

OPENING = 64
"""Streams that wait for their first event at once while many are opened: a slow gateway sets the pace."""
PATIENCE = 240.0
"""Seconds for an order, beyond those that it asks for."""
_EVENT = b"data:"
_SHOWN = 300


class Order(NamedTuple):
    """What to ask for, and how often."""

    port: int
    path: str
    headers: list[str]
    body: str
    words: int
    """That an answer has."""
    connections: int
    seconds: float = 0.0
    """Each connection begins new requests for so long …"""
    times: int = 0
    """… or makes so many."""
    spread: float = 0.0
    """Seconds over which the first requests are spread, so that paced streams are out of step."""
    hold: bool = False
    """Open one stream on each connection, and leave them open."""


class Wrong(Exception):
    """An answer that is not the one that the upstream gave; the argument says what it was."""


class Connection(asyncio.Protocol):
    """One connection, one request at a time on it."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._began = 0.0
        self._loop = asyncio.get_running_loop()
        self.first = 0.0
        """Seconds until the first event of the last stream."""
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[bytes] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but no subclass

    def ask(self) -> asyncio.Future[bytes]:
        """The body of the answer, some day; `opened` is done before, with the first event. Raises Wrong."""
        if self._transport.is_closing():
            raise Wrong("the connection ended between two requests")
        self._parts, self.first = [], 0.0
        self.opened, self.ended = self._loop.create_future(), self._loop.create_future()
        self._began = time.perf_counter()
        self._transport.write(self._request)
        return self.ended

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        # Comments keep a connection alive, and answer nothing.
        if not self.first and _EVENT in body:
            self.first = time.perf_counter() - self._began
            if not self.opened.done():
                self.opened.set_result(None)

    def on_message_complete(self) -> None:
        body, status = b"".join(self._parts), self._parser.get_status_code()
        if status != 200:
            self._fail(f"{status}: {body[:_SHOWN].decode(errors='replace')}")
        elif not self.ended.done():
            self.ended.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection ended: {exc or 'by the other side'}")

    def close(self) -> None:
        self._transport.abort()

    def _fail(self, why: str) -> None:
        for waiting in (self.opened, self.ended):
            if not waiting.done():
                waiting.set_exception(Wrong(why))
                waiting.exception()  # looked at: who closes does not care


class Load:
    """All connections of one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        body = order.body.encode()
        lines = [
            f"POST {order.path} HTTP/1.1",
            f"Host: 127.0.0.1:{order.port}",
            "Content-Type: application/json",
        ]
        lines += ["Accept: */*", *order.headers, f"Content-Length: {len(body)}", "", ""]
        self._request = "\r\n".join(lines).encode() + body
        self._streamed = b'"stream": true' in body
        self._firsts: list[float] = []
        self._answers = 0

    async def run(self) -> dict[str, float]:
        """Requests until the time is up, or each connection has made its own."""
        connections = [await self._connect() for _ in range(self._order.connections)]
        began = time.perf_counter()
        until = began + self._order.seconds if self._order.seconds else None
        step = self._order.spread / len(connections)
        jobs = [
            asyncio.ensure_future(self._busy(connection, at * step, until))
            for at, connection in enumerate(connections)
        ]
        await asyncio.gather(*jobs)
        took = time.perf_counter() - began
        for connection in connections:
            connection.close()
        return self._told() | {"seconds": took, "per_second": self._answers / took}

    async def hold(self) -> dict[str, float]:
        """Streams that stay open until stdin ends."""
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        gate = asyncio.Semaphore(OPENING)

        async def opened() -> Connection:
            async with gate:
                connection = await self._connect()
                connection.ask()
                await connection.opened
                return connection

        held = await asyncio.gather(*(opened() for _ in range(self._order.connections)))
        say({"opened": time.perf_counter() - began})
        await loop.run_in_executor(None, sys.stdin.read)
        lost = sum(connection.ended.done() for connection in held)
        for connection in held:
            connection.close()
        if lost:
            raise Wrong(f"{lost} of {len(held)} held streams ended")
        return self._told()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._request), "127.0.0.1", self._order.port
        )
        return connection

    async def _busy(self, connection: Connection, delay: float, until: float | None) -> None:
        await asyncio.sleep(delay)
        made = 0
        while time.perf_counter() < until if until is not None else made < self._order.times:
            self._check(await connection.ask())
            if self._streamed:
                self._firsts.append(connection.first)
            self._answers += 1
            made += 1

    def _check(self, body: bytes) -> None:
        words = sum(body.count(word.encode()) for word in WORDS)
        if words != self._order.words:
            raise Wrong(f"{words} words of {self._order.words}: {body[-_SHOWN:].decode(errors='replace')}")
        if self._streamed and b"[DONE]" not in body[-_SHOWN:]:
            raise Wrong(f"a stream without its end: {body[-_SHOWN:].decode(errors='replace')}")

    def _told(self) -> dict[str, float]:
        firsts = sorted(self._firsts)
        tail = (
            {"first": firsts[len(firsts) // 2], "first_p99": firsts[int(len(firsts) * 0.99)]}
            if firsts
            else {}
        )
        return {"answers": self._answers, "words": self._answers * self._order.words} | tail


def say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


async def bounded(job: Awaitable[dict[str, float]], seconds: float) -> dict[str, Any]:
    """What the job told, or what went wrong."""
    try:
        async with asyncio.timeout(seconds):
            return await job
    except TimeoutError:
        return {"error": f"not done within {seconds:.0f} s"}
    except (Wrong, OSError, httptools.HttpParserError) as error:
        return {"error": str(error)}


def main(told: str) -> None:
    order = Order(**json.loads(told))
    load = Load(order)
    work = load.hold() if order.hold else load.run()
    before = time.process_time()
    done = uvloop.run(bounded(work, order.seconds + PATIENCE))
    say(done | {"cpu": time.process_time() - before})
