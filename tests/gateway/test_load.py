"""What the gateway takes on at once: its turn for each key, bodies, connections, clients that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bytedeck.gateway.load import Bodies, Gate, Overloaded, Share
from bytedeck.gateway.server import protocol
from bytedeck.gateway.server.serve import most_connections
from bytedeck.simulator import Simulator
from canary import CANARY
from gateways import Gateway, dial, post, read_until

CHAT = "/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"


def asked(model: str = MODEL, prompt: str = "hi", **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **more}).encode()


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


# -- whose turn it is


async def _queued(gate: Gate, keys: str) -> list[asyncio.Task[str]]:
    """One who waits for each letter, in this order."""

    async def wait(key: str) -> str:
        await gate.enter(key)
        return key

    tasks = [asyncio.create_task(wait(key)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def test_keys_take_turns() -> None:
    """However many of one key wait, another key's request is the next but one."""
    gate = Gate(1, 10)
    await gate.enter("a")
    tasks = await _queued(gate, "aaaabbc")
    order: list[str] = []
    for task in tasks:
        task.add_done_callback(lambda task: order.append(task.result()))
    for _ in tasks:
        gate.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert "".join(order) == "abcabaa"
    gate.leave()
    assert (gate.inside, gate.waiting) == (0, 0)


async def test_a_full_queue_turns_away_who_has_most_in_it() -> None:
    """A newcomer's key has its place: the last one of the greediest key goes instead. That key itself is refused."""
    gate = Gate(1, 4)
    await gate.enter("a")
    tasks = await _queued(gate, "aaaa")
    gate.check("b")
    with pytest.raises(Overloaded) as caught:
        gate.check("a")
    assert caught.value.retry_after
    assert caught.value.http_status == 503
    with pytest.raises(Overloaded):
        await gate.enter("a")
    [other] = await _queued(gate, "b")
    with pytest.raises(Overloaded):
        await tasks[-1]
    assert gate.waiting == 4
    for task in (*tasks[:-1], other):
        task.cancel()
    await asyncio.gather(*tasks[:-1], other, return_exceptions=True)
    assert (gate.inside, gate.waiting) == (1, 0)


async def test_who_leaves_the_queue_takes_no_place() -> None:
    """Cancelled while waiting, and at the very moment of being let in: the place is the next one's."""
    gate = Gate(1, 4)
    await gate.enter("a")
    first, second, third = await _queued(gate, "abc")
    first.cancel()
    gate.leave()  # before `first` has noticed
    await asyncio.sleep(0)
    assert await second == "b"
    gate.leave()
    third.cancel()  # it was let in, and does not know yet
    await asyncio.gather(first, third, return_exceptions=True)
    assert (gate.inside, gate.waiting) == (0, 0)
    await gate.enter("d")


def test_bodies_have_a_bound_together() -> None:
    """What is said to come takes nothing; what has come does, until its request has ended. One alone always fits."""
    bodies = Bodies(100)
    with Share(bodies) as one, Share(bodies) as other:
        one.expect(150)
        one.take(80)
        with pytest.raises(Overloaded):
            other.expect(30)
        other.take(20)
        with pytest.raises(Overloaded):
            other.take(1)
        assert bodies.held == 100
    assert bodies.held == 0


def test_connections_by_open_files() -> None:
    """As many as files may be open, at most: each may need one upstream, too."""
    assert most_connections(3) == 3
    resource = pytest.importorskip("resource")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft == resource.RLIM_INFINITY or 0 < most_connections(10**9) < soft / 2


# -- on the wire


def answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a whole answer."""
    head, _, rest = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(rest) < int(headers["content-length"]) and (piece := connection.recv(65536)):
        rest += piece
    return int(first.split()[1]), headers, json.loads(rest)


@pytest.fixture
def narrow(sim: Simulator) -> Iterator[Gateway]:
    with Gateway(max_requests=1, max_waiting=1) as running:
        yield running


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
}


def test_one_runs_one_waits_the_others_are_refused(narrow: Gateway, sim: Simulator) -> None:
    """503 at once with Retry-After in each protocol's form, and the connection can be used again; who waits has his
    turn when the first one leaves; nothing of what was refused reaches the upstream or the ledger."""
    gate = narrow.app.gate
    with dial(narrow.port, post(CHAT, asked("sim/hang"))):
        until(lambda: sim.journal(model="sim/hang"))
        with dial(narrow.port, post(CHAT, asked())) as second:
            until(lambda: gate.waiting)
            for path, body in BODIES.items():
                with dial(narrow.port, post(path, json.dumps(body | {"model": MODEL}).encode())) as third:
                    for _ in range(2):
                        status, headers, told = answer(third)
                        assert (status, headers["retry-after"]) == (503, "1")
                        assert "1 requests just now, and 1 wait" in json.dumps(told)
                        third.sendall(post(path, json.dumps(body | {"model": MODEL}).encode()))
            assert len(narrow.rows()) == 1
            until(lambda: gate.waiting == 1)
            narrow.do(_interrupt(narrow, "sim/hang"))
            assert answer(second)[0] == 200
    until(lambda: not narrow.app.running)
    assert (gate.inside, gate.waiting) == (0, 0)
    assert sorted(row.outcome for row in narrow.rows()) == ["abandoned", "answered"]


async def _interrupt(gateway: Gateway, model: str) -> None:
    for exchange in list(gateway.app.running):
        if exchange._ask.models == (model,):
            exchange.interrupt("left")


def test_who_waits_may_leave(narrow: Gateway, sim: Simulator) -> None:
    """It never comes to the upstream, and has no row."""
    with dial(narrow.port, post(CHAT, asked("sim/hang"))):
        until(lambda: sim.journal(model="sim/hang"))
        with dial(narrow.port, post(CHAT, asked(stream=True))):
            until(lambda: narrow.app.gate.waiting)
        until(lambda: not narrow.app.gate.waiting)
    until(lambda: not narrow.app.running)
    assert [row.outcome for row in narrow.rows()] == ["abandoned"]


def test_a_stream_that_waits_gives_signs_of_life(sim: Simulator) -> None:
    """Its connection stays alive in the queue, too."""
    with (
        Gateway(max_requests=1, heartbeat=0.02) as gateway,
        dial(gateway.port, post(CHAT, asked("sim/hang"))),
    ):
        until(lambda: sim.journal(model="sim/hang"))
        with dial(gateway.port, post(CHAT, asked(stream=True))) as waiting:
            assert read_until(waiting, b": byte\n\n").startswith(b"HTTP/1.1 200")
            assert gateway.app.gate.waiting == 1


def test_many_large_bodies(sim: Simulator) -> None:
    """What they hold together has a bound: who goes beyond is told so, what he sends on is not kept, and all is free again."""
    large = asked() + b" " * 40_000
    with Gateway(max_bodies=100_000) as gateway:
        held = [dial(gateway.port, post(CHAT, large)[:-10]) for _ in range(2)]
        until(lambda: gateway.app.bodies.held > 60_000)
        with dial(gateway.port, post(CHAT, large)) as third:
            status, headers, told = answer(third)
            assert (status, headers["retry-after"]) == (503, "1")
            assert "bodies" in told["error"]["message"]
            for one in held:
                one.sendall(large[-10:])
                assert answer(one)[0] == 200
                one.close()
            third.sendall(post(CHAT, large))
            assert answer(third)[0] == 200
        until(lambda: not gateway.app.bodies.held)


def test_too_many_connections(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told so when it asks, and let go of when it does not; twice as many are cut off."""
    monkeypatch.setattr(protocol, "_NOT_WANTED", 0.05)
    with Gateway(max_connections=2) as gateway:
        page = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        inside = [dial(gateway.port, page) for _ in range(2)]
        assert [answer(one)[0] for one in inside] == [200, 200]
        with dial(gateway.port, page) as third:
            status, headers, told = answer(third)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert "connections" in told["error"]["message"]
            assert third.recv(1) == b""
        with dial(gateway.port, b"") as silent:
            assert _end(silent) == b""
        extra = [dial(gateway.port, b"") for _ in range(3)]
        assert _end(extra[-1]) == b""
        for one in (*inside, *extra):
            one.close()
        until(lambda: _greeted(gateway.port, page))


def _end(connection: socket.socket) -> bytes:
    """What comes up to its end, however it ends."""
    try:
        return read_until(connection, b"never")
    except ConnectionError:
        return b""


def _greeted(port: int, page: bytes) -> bool:
    with dial(port, page) as connection:
        return answer(connection)[0] == 200


def test_who_stops_reading_is_let_go(sim: Simulator) -> None:
    """Megabytes wait, and nobody reads: after the time for it the connection is cut. Who reads slowly keeps it."""
    with Gateway(stall=0.4) as gateway:
        sent = post(CHAT, asked("sim/big_event:megabytes=8", stream=True))
        with _thirsty(gateway.port, sent) as stuck, _thirsty(gateway.port, sent) as slow:
            read_until(stuck, b"data: ")
            end = time.monotonic() + 10
            while len(gateway.app.running) > 1:
                assert time.monotonic() < end
                assert slow.recv(60_000)
                time.sleep(0.02)
            assert b"[DONE]" not in _end(stuck)
            assert b"[DONE]" in read_until(slow, b"[DONE]")
        assert not gateway.app.running


def _thirsty(port: int, sent: bytes) -> socket.socket:
    """A connection whose kernel keeps little of what comes."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    found.settimeout(10)
    found.connect(("127.0.0.1", port))
    found.sendall(sent)
    return found


class Flood:
    """An upstream that streams without end, as fast as it is read."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/v1"
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if not connection.recv(1 << 16).startswith(b"POST"):
                connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            event = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % (b"word " * 1000)
            while True:
                connection.sendall(event)
                self.sent += len(event)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_reader_who_stops_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without end is held back at its source, and what lies in between does not grow; in the end the
    upstream is let go, and settled."""
    flood = Flood()
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", flood.url)
    try:
        with Gateway(stall=1.5) as gateway:
            with _thirsty(gateway.port, post(CHAT, asked(stream=True))) as stuck:
                read_until(stuck, b"data: ")
                seen: list[int] = []
                until(lambda: _stands_still(flood, seen))
                assert seen[-1] < 40 << 20  # mostly what the system keeps for sockets
                held = gateway.do(_unwritten(gateway))
                assert 0 < held < 1 << 20
                until(lambda: not gateway.app.running)  # let go of, though the client is still there
            assert [row.outcome for row in gateway.rows()] == ["abandoned"]
    finally:
        flood.close()


def _stands_still(flood: Flood, seen: list[int]) -> bool:
    seen.append(flood.sent)
    time.sleep(0.02)
    return len(seen) > 10 and len(set(seen[-10:])) == 1


async def _unwritten(gateway: Gateway) -> int:
    connections = list(gateway.serving._state.connections)
    return sum(one.transport.get_write_buffer_size() for one in connections)


@pytest.mark.parametrize("body", [b"x" * 10, post(CHAT, asked())[-30:]])
def test_slow_bodies(sim: Simulator, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """A body that trickles in is not waited for without end, and what it held is free again."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.1)
    with Gateway() as gateway:
        head = post(CHAT, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        with dial(gateway.port, head) as connection, contextlib.suppress(ConnectionError):
            _trickle(connection, b"%x\r\n%s\r\n" % (len(body), body))
        until(lambda: not gateway.app.bodies.held)
        assert not gateway.rows()


def _trickle(connection: socket.socket, piece: bytes) -> None:
    """Send it again and again. Raises ConnectionError once nobody is there any more."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        connection.sendall(piece)
        time.sleep(0.02)
    raise AssertionError("it is still listened to")
