"""HTTP itself: who wishes another protocol, who speaks an old one, who smuggles, and what is left of a connection."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from bytedeck.gateway import app as application
from bytedeck.gateway.server.protocol import Protocol
from bytedeck.gateway.server.serve import Serving, bind
from bytedeck.simulator import Simulator
from gateways import Gateway, dial, post, read_until

CHAT = "/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
WEB = ("Connection: keep-alive, Upgrade", "Upgrade: websocket")


def asked(model: str = MODEL, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more}).encode()


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


def chunked(body: bytes, *headers: str) -> bytes:
    head = post(CHAT, b"", *headers).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("headers", [H2C, WEB], ids=["h2c", "websocket"])
def test_who_wishes_another_protocol(gateway: Gateway, headers: tuple[str, ...]) -> None:
    """Is answered in this one, its body read: Java's client wishes for HTTP/2 with each first request. However it is cut
    and sent, several in a row, and with pages too."""
    sent = post(CHAT, asked(), *headers)
    with dial(gateway.port, b"") as connection:
        for cut in (0, 20, len(sent) - 5):
            connection.sendall(sent[:cut])
            time.sleep(0.01 if cut else 0)
            connection.sendall(sent[cut:])
            assert _status(connection) == 200
        connection.sendall(chunked(asked(), *headers) + sent)
        assert _status(connection) == _status(connection) == 200
        page = ["GET /healthz HTTP/1.1", "Host: localhost", *headers, "", ""]
        connection.sendall("\r\n".join(page).encode() * 300)
        assert [_status(connection) for _ in range(300)] == [200] * 300
    assert [row.outcome for row in gateway.rows()] == ["answered"] * 5


def _status(connection: socket.socket) -> int:
    """Of one answer with a length, which is read to its end and no further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        assert piece, head
        head += piece
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while left:
        left -= len(connection.recv(left))
    return int(head.split()[1])


def test_who_closes_and_wishes_another_protocol(gateway: Gateway) -> None:
    """Both are heeded as far as they are heard."""
    sent = post("/healthz", b"", "Connection: close, Upgrade", "Upgrade: h2c").replace(b"POST", b"GET")
    with dial(gateway.port, sent) as connection:
        assert read_until(connection, b"never").endswith(b'"ok"}')


def test_an_old_client(gateway: Gateway) -> None:
    """HTTP/1.0 knows no chunks: a stream goes out as it is, and ends with its connection."""
    for stream, end in ((True, b"data: [DONE]\n\n"), (False, b"}}")):
        sent = post(CHAT, asked(stream=stream), "Expect: 100-continue").replace(b" HTTP/1.1", b" HTTP/1.0")
        with dial(gateway.port, sent) as connection:
            head, _, body = read_until(connection, b"never").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"transfer-encoding" not in head
        assert body.startswith(b"data: {" if stream else b'{"id"')
        assert body.endswith(end)
        assert b"\r\n" not in body


BODY = asked()
TWICE = f"Content-Length: {len(BODY) - 1}"
SMUGGLED = {
    "two lengths": post(CHAT, BODY, TWICE),
    "a length and chunks": post(CHAT, BODY, "Transfer-Encoding: chunked"),
    "chunks that are not last": post(CHAT, BODY, "Transfer-Encoding: chunked, gzip"),
    "a folded header": post(CHAT, BODY, "X-A: b\r\n c"),
    "a blank before the colon": post(CHAT, BODY, "Transfer-Encoding : chunked"),
    "bare line feeds": post(CHAT, BODY).replace(b"\r\n", b"\n"),
    "a signed length": post(CHAT, BODY).replace(b"Length: ", b"Length: +"),
    "a length without end": post(CHAT, BODY).replace(b"Length: ", b"Length: 99999999999999999999"),
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel that is upgraded": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "upgraded, two lengths": post(CHAT, BODY, TWICE, *H2C),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_two_servers_could_read_in_two_ways(gateway: Gateway, name: str) -> None:
    """Is refused, its connection closed, and nobody asked."""
    with dial(gateway.port, SMUGGLED[name]) as connection:
        assert read_until(connection, b"never").startswith(b"HTTP/1.1 400")
    assert not gateway.rows()


def test_nothing_is_left_of_a_connection(gateway: Gateway, sim: Simulator) -> None:
    """It is freed when it is closed, not some day by the collector of cycles; in the middle of a stream, too."""
    sim.fault("hang", skin="messages", times=None)
    for sent, mark in (
        (asked(stream=True), b"[DONE]"),
        (asked("sim/stall:tokens=2", stream=True), b"content"),
    ):
        gc.collect()
        gc.disable()
        try:
            with dial(gateway.port, post(CHAT, sent)) as connection:
                read_until(connection, mark)
                held = gateway.do(_connections(gateway))
            until(lambda: not gateway.app.running)
            until(lambda held=held: not any(one() for one in held))  # type: ignore[misc]
        finally:
            gc.enable()


async def _connections(gateway: Gateway) -> list[weakref.ref[Protocol]]:
    return [weakref.ref(one) for one in gateway.serving._state.connections]  # type: ignore[misc]


# -- the end


def _thirsty(port: int, sent: bytes) -> socket.socket:
    """A connection whose kernel keeps little of what comes."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    found.settimeout(10)
    found.connect(("127.0.0.1", port))
    found.sendall(sent)
    return found


async def _unwritten(gateway: Gateway) -> int:
    return sum(one.transport.get_write_buffer_size() for one in gateway.serving._state.connections)


def test_the_end_waits_for_nobody_who_does_not_read(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """He had his time; the upstream is let go, it is settled, and the end is not waited for a second time."""
    monkeypatch.setattr(application, "_LAST_WORDS", 0.01)
    monkeypatch.setattr("bytedeck.gateway.server.serve._TO_READ", 0.01)
    with Gateway(grace=0.01) as gateway:
        model = "sim/big_event:megabytes=8"
        with _thirsty(gateway.port, post(CHAT, asked(model, stream=True))) as stuck:
            read_until(stuck, b"data: ")
            until(lambda: gateway.do(_unwritten(gateway)) > 1 << 20)
            gateway.do(gateway.app.drain())
            assert gateway.app.running  # it is stuck in telling
            gateway.do(gateway.serving.stop())
            assert not gateway.app.running
            assert len(gateway.rows()) == 1


async def test_what_was_written_may_be_read_at_the_end() -> None:
    """Megabytes that were on their way come whole to a client that reads on, while the server stops."""
    size = 32 << 20

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size)})

    with bind("127.0.0.1", 0) as listener:
        serving = Serving(app, listener)
        await serving.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        stopping = asyncio.create_task(serving.stop())
        assert len(await reader.read()) == size
        await stopping
        writer.close()
        await writer.wait_closed()
