"""What only the async wire has to get right: cancelling, other people's loops, and a reader that is slow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
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


CERTS = Path(__file__).parent.parent / "certs"


def serve_letters(server: socket.socket, tls: ssl.SSLContext | None, size: int) -> None:
    """Answers each request with `size` times the letter that is its body."""

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            stream = tls.wrap_socket(client, server_side=True) if tls is not None else client
            with stream:
                while asked := stream.recv(65536):
                    stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                    for _ in range(size // 10_000):
                        stream.sendall(b"2710\r\n" + asked[-1:] * 10_000 + b"\r\n")
                    stream.sendall(b"0\r\n\r\n")

    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


@pytest.mark.parametrize("kind", ["http", "https"])
def test_streams_do_not_mix(run: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Connections share one buffer to read into; each gets its own bytes, also behind TLS, and again on reuse."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "ca.pem"))
    tls = None
    if kind == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTS / "server.pem")

    async def letter(wire: AsyncHttpWire, name: bytes) -> None:
        body = await ask(wire, Request(route="openrouter", path="/x", body=name))
        assert body == name * 2_000_000

    async def work(url: str) -> None:
        wire = wire_to(url)
        for _ in range(2):
            await asyncio.gather(*(letter(wire, bytes((97 + number,))) for number in range(8)))
        await wire.aclose()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve_letters, args=(server, tls, 2_000_000))
        thread.start()
        run(work(f"{kind}://localhost:{server.getsockname()[1]}"))
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_end_that_the_loop_has_not_seen(run: Callable[[Any], Any]) -> None:
    """A server that closes, or speaks, while the loop is busy: the next request takes another connection."""
    hi = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"

    def serve(server: socket.socket) -> None:
        for after in (b"", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b""):
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(hi)
                time.sleep(0.1)
                if after:
                    client.sendall(after)
                    with contextlib.suppress(ConnectionError):  # it was closed with these words unread
                        client.recv(65536)

    async def work(url: str) -> None:
        wire = wire_to(url)
        for _ in range(3):
            assert await ask(wire) == b"hi"
            time.sleep(0.2)  # noqa: ASYNC251 - somebody computes something
        await wire.aclose()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        run(work(f"http://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()


@pytest.mark.parametrize("whole", [False, True])
def test_a_stream_that_ends_on_another_thread(
    run: Callable[[Any], Any], upstream: Upstream, whole: bool
) -> None:
    """A garbage collection may run on any thread: what it closes is closed on the loop, and soon."""

    async def work() -> None:
        asyncio.get_running_loop().set_debug(True)
        wire = wire_to(upstream.url)
        line = wire.line(POST)
        await line.open()
        assert await line.read()
        closing = threading.Thread(target=line.close, args=(whole,))
        closing.start()
        closing.join()
        await asyncio.sleep(0.1)
        assert len(wire._alive) == 0
        await wire.aclose()

    upstream.script(words().cut(50, Hang()))
    run(work())


def test_a_dropped_answers_timer_on_another_thread(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """So is the timer of an answer that nobody reads to its end."""

    async def work() -> None:
        asyncio.get_running_loop().set_debug(True)
        hub = AsyncHub(api_key=CANARY, base_url=upstream.url, database_url="memory:")
        stream = hub.stream("hi", model="openai/gpt-4o-mini")
        async for _ in stream:
            break
        held = [stream]
        del stream
        dropping = threading.Thread(target=held.clear)
        dropping.start()
        dropping.join()
        gc.collect()
        await asyncio.sleep(0.05)
        assert hub.house.store.rows()[0].outcome == "abandoned"
        await hub.aclose()

    upstream.script(words("one two three four five").paced(0.05))
    with pytest.warns(ResourceWarning):
        run(work())


def test_closing_a_line_after_its_loop(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """A loop that was closed without looking after its generators: a line may still be closed."""
    made: list[Any] = []

    async def begin() -> None:
        line = wire_to(upstream.url).line(POST)
        await line.open()
        made.append(line)

    upstream.script(words().cut(50, Hang()))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    made[0].close(True)
    with warnings.catch_warnings():  # asyncio's, of a transport whose loop is gone
        warnings.simplefilter("ignore", ResourceWarning)
        made.clear()
        gc.collect()


def test_closing_the_wire_under_a_reader(run: Callable[[Any], Any]) -> None:
    """Whoever reads then is told that the connection ended, be the reading paused or not."""

    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        with contextlib.suppress(OSError), client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 8_000_000)

    async def work(url: str) -> None:
        wire = wire_to(url)
        line = wire.line(POST)
        await line.open()
        await asyncio.sleep(0.1)
        await wire.aclose()
        with pytest.raises(WireError):
            await _read_all(line)
        line.close(False)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        run(work(f"http://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()


async def _read_all(line: Any) -> None:
    while await line.read():
        pass


def test_nothing_grows(run: Callable[[Any], Any], upstream: Upstream) -> None:
    """Five hundred answers, on kept connections and closed ones, leave nothing, and little for the collector."""

    async def work() -> None:
        wire = wire_to(upstream.url)

        async def some(number: int) -> None:
            for _ in range(number):
                await ask(wire)
                line = wire.line(POST)
                await line.open()
                line.close(False)

        def ours() -> int:
            return sum(str(type(one).__module__).startswith("bytedeck.io") for one in gc.get_objects())

        await some(20)
        gc.collect()
        before = ours()
        gc.disable()
        try:
            await some(230)
            await asyncio.sleep(0.01)
            assert ours() - before < 20
        finally:
            gc.enable()
        await wire.aclose()

    run(work())
