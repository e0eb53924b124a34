"""Clients that send what no client should, or leave at any moment: a clear answer or none, no crash, and nothing left open."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.wire import MOST_HEAD
from simclient import HI, MODEL, ask, chat, connected

CHAT = "/api/v1/chat/completions"
BODY = json.dumps({"model": MODEL, "messages": HI, "max_tokens": 3}).encode()
STREAM = json.dumps({"model": MODEL, "messages": HI, "stream": True}).encode()


@pytest.fixture(autouse=True)
def nothing_is_left(openrouter: Simulator, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """After each test: no crash in the journal, nothing open, not a word on stderr, and an ordinary answer."""
    yield
    _until(openrouter, lambda stats: stats["connections"] == stats["tasks"] == stats["replies"] == 0)
    assert not {entry.end for entry in openrouter.journal()} & {"crashed", "open"}
    assert chat(openrouter).status == 200
    assert capfd.readouterr().err == ""


def _until(sim: Simulator, holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds(stats := sim.stats()):
        assert time.monotonic() < deadline, stats
        time.sleep(0.002)


def head(sim: Simulator, method: str = "POST", path: str = CHAT, *lines: str, version: str = "1.1") -> bytes:
    told = ("Host: localhost", "Connection: close", f"Authorization: Bearer {sim.api_key}", *lines)
    return "\r\n".join((f"{method} {path} HTTP/{version}", *told, "", "")).encode()


def sized(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


def raw(sim: Simulator, *parts: bytes) -> bytes:
    """All that comes after these packets."""
    came = b""
    with connected(sim, 5) as line:
        for part in parts:
            line.sendall(part)
        while part := line.recv(65_536):
            came += part
    return came


def status(came: bytes) -> int:
    return int(came[9:12])


def test_a_large_head_passes_and_one_without_end_is_refused(openrouter: Simulator) -> None:
    """64 KB are answered; more than the bound is a 431 while it still comes; the journal keeps little of either."""
    assert (
        status(raw(openrouter, head(openrouter, "POST", CHAT, f"X-A: {'a' * 65_536}", sized(BODY)) + BODY))
        == 200
    )
    assert max(map(len, openrouter.journal()[0].headers.values())) <= 4096
    with connected(openrouter, 5) as line:
        line.sendall(b"GET /api/v1/models HTTP/1.1\r\nX-A: ")
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - it is told at some moment of the sending
            for _ in range(MOST_HEAD // 1000 + 10_000):
                line.sendall(b"a" * 1000)
            line.recv(1)
    with connected(openrouter, 5) as line:
        line.sendall(b"GET /api/v1/models HTTP/1.1\r\nX-A: " + b"a" * (MOST_HEAD + 1))
        assert line.recv(100).startswith(b"HTTP/1.1 431")


def test_many_headers(openrouter: Simulator) -> None:
    """A thousand of them."""
    lines = [f"X-{number}: {number}" for number in range(1000)]
    assert status(raw(openrouter, head(openrouter, "POST", CHAT, *lines, sized(BODY)) + BODY)) == 200


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("depth", [10, 60, 100, 200, 450, 700, 900, 2000, 100_000])
@pytest.mark.parametrize("place", ["tools", "response_format", "trace", "unheard_of", "messages"])
@pytest.mark.parametrize(("opens", "closes"), [('{"properties":{"a":', "}}"), ("[", "]"), ('{"a":[', "]}")])
def test_bodies_without_a_bottom(
    openrouter: Simulator, depth: int, place: str, opens: str, closes: str
) -> None:
    """An answer, or a 400 that says so; also where a long prompt is looked up in the cache of prompts."""
    deep = opens * depth + "{}" + closes * depth
    if opens == "[":
        deep = f'{{"type": "object", "enum": {deep}}}'
    told = {
        "tools": f'[{{"type": "function", "function": {{"name": "f", "parameters": {deep}}}}}], "tool_choice": "required"',
        "response_format": f'{{"type": "json_schema", "json_schema": {{"name": "n", "schema": {deep}}}}}',
        "messages": f'[{{"role": "user", "content": "{"word " * 2000}", "unheard_of": {deep}}}]',
    }.get(place, deep)
    said = "" if place == "messages" else f', "messages": {json.dumps(HI)}'
    came = ask(openrouter, "POST", CHAT, f'{{"model": "{MODEL}", "{place}": {told}{said}}}'.encode())
    assert came.status in ((200,) if depth <= 10 else (200, 400))
    if depth >= 200:
        assert (came.status, "nested too deeply" in came.json["error"]["message"]) == (400, True)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_bodies(openrouter: Simulator, size: int) -> None:
    """A body may come in chunks of any size."""
    came = raw(openrouter, head(openrouter, "POST", CHAT, "Transfer-Encoding: chunked"), chunked(BODY, size))
    assert status(came) == 200
    assert json.loads(openrouter.journal()[0].body) == json.loads(BODY)


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/models HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"POST /api/v1/key HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST /api/v1/key HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
        b"POST /api/v1/key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/models/" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/models?" + b"a=1&" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http(openrouter: Simulator, sent: bytes) -> None:
    """400, and the connection is closed."""
    assert status(raw(openrouter, sent)) == 400


def test_expect_100_continue(openrouter: Simulator) -> None:
    """The body is asked for, then answered."""
    with connected(openrouter, 5) as line:
        line.sendall(head(openrouter, "POST", CHAT, "Expect: 100-continue", sized(BODY)))
        assert line.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(BODY)
        assert line.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_http_1_0(openrouter: Simulator, body: bytes) -> None:
    """Answered, and closed."""
    came = raw(openrouter, head(openrouter, "POST", CHAT, sized(body), version="1.0") + body)
    assert (status(came), b"usage" in came) == (200, True)


def test_an_upgrade_is_not_taken(openrouter: Simulator) -> None:
    """No websocket here: an ordinary answer, or the end of the connection."""
    told = ("Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
    sent = head(openrouter, "GET", "/api/v1/models/count", *told).replace(
        b"Connection: close", b"Connection: Upgrade"
    )
    with connected(openrouter, 5) as line:
        line.sendall(sent)
        assert line.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_hundred_pipelined_requests(openrouter: Simulator) -> None:
    """One after the other, streams among them."""
    one = head(openrouter, "GET", "/api/v1/models/count").replace(b"Connection: close\r\n", b"")
    stream = head(openrouter, "POST", CHAT, sized(STREAM)).replace(b"Connection: close\r\n", b"") + STREAM
    came = raw(openrouter, (one * 9 + stream) * 10 + head(openrouter, "GET", "/api/v1/models/count"))
    assert (came.count(b"HTTP/1.1 200"), came.count(b"[DONE]")) == (101, 10)
    assert len(openrouter.journal()) == 101


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
def test_wrong_methods(openrouter: Simulator, method: str) -> None:
    """405 with what is allowed."""
    came = ask(openrouter, method, CHAT)
    assert (came.status, came.headers["allow"]) == (405, "POST")
    assert (came.body == b"") is (method == "HEAD")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("//api/v1/models", 404),
        ("/api//v1/models", 404),
        ("/api/v1//models", 404),
        ("/api/v1/../../sim/stats", 404),
        ("/api/v1/model/openai%2Fgpt-4o-mini", 200),
        ("/api/v1/model/meta-llama/llama-3.3-70b-instruct%3Afree", 200),
        ("/api/v1/models/openai%2Fgpt-4o/endpoints", 200),
        ("/api/v1/model/%7Eanthropic/claude-opus-latest", 200),
        ("/api/v1/model/%ff/%00", 404),
        ("/api/v1/model/a/b%0d%0aX-Evil:%201", 404),
        ("/api/v1/model/%25252F/x", 404),
        ("http://localhost/api/v1/models/count", 200),
        ("/api/v1/models/count?" + "category=programming&" * 2000, 200),
        ("/api/v1/models?q=%ff%fe", 200),
        ("/api/v1/models?limit=" + "9" * 5000, 400),
        ("/api/v1/models?offset=-1", 400),
        ("/api/v1/models?min_price=nan", 400),
        ("/api/v1/generation?id=" + "x" * 30_000, 404),
    ],
)
def test_odd_paths_and_queries(openrouter: Simulator, path: str, expected: int) -> None:
    """A page or a refusal, and no header that was smuggled in."""
    came = raw(openrouter, head(openrouter, "GET", path))
    assert status(came) == expected
    assert b"X-Evil: 1\r\n" not in came.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/key", "/sim/health"])
@pytest.mark.parametrize("fault", ["", "cut;bytes=100", "gzip", "drip", "split_utf8"])
def test_head_has_the_head_alone(openrouter: Simulator, path: str, fault: str) -> None:
    """Whatever the weather."""
    came = raw(openrouter, head(openrouter, "HEAD", path, f"X-Sim-Fault: {fault}"))
    assert status(came) == 200
    assert came.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("rude", [False, True])
@pytest.mark.parametrize("sent", [0, 1, 40, -100, -1, None])
@pytest.mark.parametrize("body", [BODY, STREAM])
def test_a_client_leaves_at_any_stage(
    openrouter: Simulator, body: bytes, sent: int | None, rude: bool
) -> None:
    """Before it says anything, within its head, within its body, or at once when all was said."""
    whole = head(openrouter, "POST", CHAT, sized(body)) + body
    with connected(openrouter, 5) as line:
        line.sendall(whole[:sent])
        if rude:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _until(openrouter, lambda stats: stats["connections"] == 0)


@pytest.mark.parametrize("seen", [1, 100, 1000, 5000])
def test_a_client_leaves_within_the_answer(openrouter: Simulator, seen: int) -> None:
    """At any byte of it; the journal and the ledger know."""
    openrouter.reset(tps=2000)
    with connected(openrouter, 5) as line:
        line.sendall(head(openrouter, "POST", CHAT, sized(STREAM)) + STREAM)
        got = 0
        while got < seen:
            got += len(line.recv(min(1024, seen - got)))
    _until(openrouter, lambda stats: stats["replies"] == 0)
    assert openrouter.journal()[0].end in ("client left", "whole")
    assert len(openrouter.ledger()) == 1


@pytest.mark.parametrize(
    "sent", [b"", b"GET /api/v1/mo", b"POST /api/v1/key HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"]
)
def test_slow_requests_are_given_up(
    openrouter: Simulator, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """A connection whose request does not come to its end is closed after `PATIENCE`."""
    monkeypatch.setattr("bytedeck.simulator.wire.PATIENCE", 0.05)
    with connected(openrouter, 5) as line:
        line.sendall(sent)
        assert line.recv(100) == b""


def test_patience_is_for_requests_not_for_answers(
    openrouter: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer may take as long as it likes, and a kept connection gets new patience."""
    monkeypatch.setattr("bytedeck.simulator.wire.PATIENCE", 0.05)
    openrouter.reset(ttft=0.15)
    keep = head(openrouter, "POST", CHAT, sized(BODY)).replace(b"Connection: close\r\n", b"") + BODY
    with connected(openrouter, 5) as line:
        for _ in range(2):
            line.sendall(keep)
            came = b""
            while b"total_tokens" not in came:
                came += line.recv(65_536)
            assert came.startswith(b"HTTP/1.1 200")


def test_two_thousand_connections_that_say_nothing(openrouter: Simulator) -> None:
    """They cost no request and hold up nobody."""
    resource = pytest.importorskip("resource")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = 2000 if most > 5000 else most // 4
    with ExitStack() as lines:
        for _ in range(count):
            lines.enter_context(connected(openrouter, 5))
        _until(openrouter, lambda stats: stats["connections"] == count)
        assert chat(openrouter).status == 200
        assert openrouter.stats()["tasks"] == 0
