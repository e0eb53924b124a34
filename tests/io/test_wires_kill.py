"""Killing a blocking line from another thread: it wakes whatever the line waits for, and sends nothing more."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from answers import Answer, Hang, words
from bytedeck.io.http import HttpWire
from bytedeck.io.testing import Script
from bytedeck.io.wire import Endpoint, Line, WireError
from bytedeck.types import Request
from upstream import Upstream, blackhole

POST = Request(route="openrouter", path="/chat/completions", body=b"{}", connect_timeout=60.0)
LARGE = Request(route="openrouter", path="/chat/completions", body=b" " * (32 << 20), connect_timeout=60.0)


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """A port on which everybody is accepted and nobody is ever answered or read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def wire_to(url: str) -> HttpWire:
    return HttpWire(lambda route: Endpoint(url, ()))


def killed(line: Line, work: Callable[[], object]) -> str:
    """The phase in which the line breaks when it is killed in the middle of some work, and within a second."""
    caught: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as exc:
            caught.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.15)
    assert thread.is_alive(), caught  # it really waits
    line.kill()
    line.kill()
    thread.join(1.0)
    assert not thread.is_alive()
    line.close(False)
    (exc,) = caught
    assert isinstance(exc, WireError), exc
    return exc.phase


def opening(line: Line) -> Callable[[], object]:
    return lambda: line.open(time.monotonic() + 60.0)


def test_while_it_connects() -> None:
    """Nobody answers the first packet."""
    with blackhole() as url:
        line = wire_to(url).line(POST)
        assert killed(line, opening(line)) == "connect"


def test_in_the_tls_handshake() -> None:
    """Somebody accepts and says nothing to our hello."""
    with deaf() as address:
        line = wire_to(f"https://{address}/api/v1").line(POST)
        assert killed(line, opening(line)) == "connect"


@pytest.mark.parametrize("target", ["http", "https"])
def test_at_a_proxy(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """A proxy says nothing: neither to a plain request nor to the wish for a tunnel."""
    with deaf() as address:
        monkeypatch.setenv(f"{target.upper()}_PROXY", f"http://{address}")
        line = wire_to(f"{target}://example.test/api/v1").line(POST)
        assert killed(line, opening(line)) == ("headers" if target == "http" else "connect")


def test_while_it_sends() -> None:
    """Nobody reads a large request."""
    with deaf() as address:
        line = wire_to(f"http://{address}/api/v1").line(LARGE)
        assert killed(line, opening(line)) == "headers"


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (words().first(Hang()), "headers"),
        (words("one two").cut(100, Hang()), "body"),
        (Answer(steps=(b"one", Hang()), chunked=False, until_close=True), "body"),
    ],
    ids=["headers", "body", "body until the end"],
)
def test_while_it_reads(upstream: Upstream, answer: Answer, phase: str) -> None:
    """An upstream that is silent; a body that goes on until the connection ends has not ended by that."""
    upstream.script(answer)
    line = wire_to(upstream.url).line(POST)

    def read() -> None:
        line.open(time.monotonic() + 60.0)
        while line.read(time.monotonic() + 60.0):
            pass

    assert killed(line, read) == phase
    closed = upstream.wait_closed(1, timeout=1.0)[0]
    assert closed.by == "client"


@pytest.mark.parametrize("warm", [False, True])
def test_before_it_begins(upstream: Upstream, warm: bool) -> None:
    """A line that was killed never sends its request, not even on a connection that is there already."""
    upstream.script(words("warm"))
    wire = wire_to(upstream.url)
    for _ in range(warm):
        ask(wire)
    line = wire.line(POST)
    line.kill()
    with pytest.raises(WireError):
        line.open(time.monotonic() + 5.0)
    line.close(False)
    assert len(upstream.chats) == warm
    ask(wire)
    wire.close()


def ask(wire: Any) -> bytes:
    """A whole answer, and its connection kept."""
    line: Line = wire.line(POST)
    line.open(time.monotonic() + 5.0)
    body = b""
    while data := line.read(time.monotonic() + 5.0):
        body += data
    line.close(True)
    return body


def test_after_its_end(upstream: Upstream) -> None:
    """A line that is over holds nothing any more: its connection is the next one's, and stays good."""
    upstream.script(words("one"))
    wire = wire_to(upstream.url)
    line = wire.line(POST)
    line.open(time.monotonic() + 5.0)
    while line.read(time.monotonic() + 5.0):
        pass
    line.close(True)
    line.kill()
    ask(wire)
    line.kill()
    assert {seen.connection for seen in upstream.chats} == {0}
    wire.close()


def test_at_any_moment(upstream: Upstream) -> None:
    """Wherever in a request the kill lands, it ends in a WireError or a whole answer, and no connection is left open."""
    upstream.script(words("one two three four five").sliced(40))
    wire = wire_to(upstream.url)
    for n in range(120):
        line = wire.line(POST)
        timer = threading.Timer(n * 0.00002, line.kill)
        timer.start()
        done = False
        try:
            line.open(time.monotonic() + 5.0)
            while line.read(time.monotonic() + 5.0):
                pass
            done = True
        except WireError:
            pass
        timer.join()
        line.close(done and n % 2 == 0)
    wire.close()
    upstream.wait_closed(len({seen.connection for seen in upstream.requests}), timeout=2.0)


def test_a_script() -> None:
    """A scripted line that was killed is as dead."""
    for opened in (False, True):
        line = Script("Hello").line(POST)
        if opened:
            line.open(0.0)
        line.kill()
        with pytest.raises(WireError):
            line.read(0.0) if opened else line.open(0.0)
