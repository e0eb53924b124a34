"""What only the async wire has to get right: cancelling, other people's loops, and a reader that is slow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from answers import Hang, words
from bytedeck import AsyncHub
from bytedeck.io.aio import AsyncHttpWire, _first
from bytedeck.io.wire import Endpoint, WireError
from bytedeck.types import Request
from canary import CANARY
from upstream import Upstream, blackhole
from wires import POST

LOOPS = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS.append(uvloop.new_event_loop)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    """As `asyncio.run`; whatever a loop has to complain of fails the test."""
    complaints: list[Any] = []

    def run(work: Any) -> Any:
        def make() -> asyncio.AbstractEventLoop:
            loop = request.param()
            loop.set_exception_handler(lambda loop, context: complaints.append(context))
            return loop

        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(work)

    yield run
    gc.collect()
    assert complaints == []


def wire_to(url: str) -> AsyncHttpWire:
    return AsyncHttpWire(lambda route: Endpoint(url, ()))


async def ask(wire: AsyncHttpWire, request: Request = POST) -> bytes:
    line = wire.line(request)
    whole = False
    try:
        await line.open()
        body = b""
        while data := await line.read():
            body += data
        whole = True
        return body
    finally:
        line.close(whole)


def mute() -> socket.socket:
    """A server whose kernel takes connections and which never says a word."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("where", ["name", "connect", "tls", "tunnel", "headers", "body"])
def test_cancelled_anywhere(
    run: Callable[[Any], Any], upstream: Upstream, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """At whatever moment: nothing is left open, running, or unsaid; and the wire goes on."""

    async def work(url: str) -> None:
        wire = wire_to(url)
        for seconds in (0.0, 0.001, 0.05):
            with pytest.raises((TimeoutError, WireError) if where == "name" else TimeoutError):
                async with asyncio.timeout(seconds):
                    await ask(wire)
        asking = [asyncio.create_task(ask(wire)) for _ in range(5)]
        await asyncio.sleep(0.02)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        assert where == "name" or all(task.cancelled() for task in asking)
        await asyncio.sleep(0.01)  # what asyncio itself cancels takes a turn or two
        assert len(asyncio.all_tasks()) == 1
        await wire.aclose()

    if where == "name":
        run(work("http://nobody.invalid/api/v1"))
    elif where == "connect":
        with blackhole() as url:
            run(work(url))
    elif where in ("tls", "tunnel"):
        with mute() as server:
            if where == "tunnel":
                monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
            run(work(f"https://127.0.0.1:{server.getsockname()[1]}/api/v1"))
    else:
        upstream.script(words().cut(50, Hang()) if where == "body" else words().first(Hang()))
        run(work(upstream.url))


def test_one_hub_on_many_loops(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """A hub that nobody closes between its loops leaves no connection open, and warns of none."""
    hub = AsyncHub(api_key=CANARY, base_url=upstream.url, database_url="memory:")
    for _ in range(3):
        assert run(hub.chat("hi", model="openai/gpt-4o-mini")).text == "Hello there."
        gc.collect()
    asked = {seen.connection for seen in upstream.requests}
    assert len(upstream.wait_closed(len(asked))) == len(asked)
    run(hub.aclose())


def test_a_stream_that_outlives_its_loop(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """An answer that is left half read when its loop ends is closed with it, and may be closed again."""

    async def begin() -> Any:
        line = wire_to(upstream.url).line(POST)
        await line.open()
        assert await line.read()
        return line

    upstream.script(words().cut(50, Hang()))
    for whole in (False, True):
        line = run(begin())
        upstream.wait_closed(1)
        line.close(whole)


def test_a_hub_that_is_dropped(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """Nor one that is forgotten while its loop runs."""

    async def work() -> None:
        wire = wire_to(upstream.url)
        await ask(wire)
        del wire
        gc.collect()
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(upstream.wait_closed, 1)

    run(work())


def test_closing_waits_for_what_drains(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """A close right after an answer that still misses its end, and one that will never have it."""

    async def work() -> None:
        wire = wire_to(upstream.url)
        line = wire.line(POST)
        await line.open()
        assert await line.read()
        line.close(True)
        began = time.monotonic()
        await wire.aclose()
        assert time.monotonic() - began < 1.0
        assert len(asyncio.all_tasks()) == 1

    upstream.script(words().cut(50, Hang()))
    run(work())
    upstream.script(words().paced(0.001))
    run(work())


def test_a_slow_reader_holds_the_server_back(run: Callable[[Any], Any]) -> None:
    """Of an endless answer only a little is held for a reader that does something else; and then it goes on."""
    sent = 0
    size = 60_000_000

    def serve(server: socket.socket) -> None:
        nonlocal sent
        client, _ = server.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            while sent < size:
                sent += client.send(b"x" * 500_000)
            client.recv(1)

    async def work(url: str) -> None:
        wire = wire_to(url)
        line = wire.line(POST)
        await line.open()
        await asyncio.sleep(0.3)
        assert sent < 30_000_000  # the kernel's own buffers take some
        length = 0
        while data := await line.read():
            length += len(data)
        assert length == size
        line.close(True)
        await wire.aclose()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        run(work(f"http://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()


def test_many_at_once(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """A hundred answers at once, and of their connections as many are kept as may be."""

    async def work() -> None:
        wire = wire_to(upstream.url)
        for _ in range(2):
            bodies = await asyncio.gather(*(ask(wire) for _ in range(100)))
            assert len(bodies) == 100
        await asyncio.to_thread(upstream.wait_closed, 36)
        await wire.aclose()

    run(work())


def test_the_first_address_that_answers(
    run: Callable[[Any], Any], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name's addresses: one of no known kind, one that is mute, one that refuses, one that answers, one too many."""

    async def work(mute: int) -> None:
        loop = asyncio.get_running_loop()
        kind, refusing = (socket.SOCK_STREAM, 6, ""), 1

        async def found(*name: object, **options: object) -> list[Any]:
            ports = [mute, refusing, upstream.port, mute]
            return [(99, *kind, ()), *((socket.AF_INET, *kind, ("127.0.0.1", port)) for port in ports)]

        began = time.monotonic()
        sock = await _first(_Names(loop, found), "somewhere.invalid", 80)  # type: ignore[arg-type]
        assert sock.getpeername()[1] == upstream.port
        assert 0.2 < time.monotonic() - began < 1.0
        sock.close()
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    with blackhole() as url:
        run(work(urlsplit(url).port))


class _Names:
    """A loop with names of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, found: Any) -> None:
        self.create_task, self.sock_connect, self.getaddrinfo = loop.create_task, loop.sock_connect, found
