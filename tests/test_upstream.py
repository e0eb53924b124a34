"""The test server keeps its word: what is scripted is what a client gets, and what it did is told."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

import canary
from upstream import (
    Answer,
    End,
    Hang,
    Pause,
    Raw,
    Reset,
    Seen,
    Upstream,
    blackhole,
    chunk,
    completion,
    error,
    events,
    nobody,
    pieces,
    sse,
    whole,
    words,
)


def post(upstream: Upstream, body: object = None, timeout: float = 5.0) -> httpx2.Response:
    """One POST to the chat path on a connection of its own."""
    return httpx2.post(f"{upstream.url}/chat/completions", json=body or {"model": "a/b"}, timeout=timeout)


def connect(upstream: Upstream) -> socket.socket:
    """A bare socket with a request already sent."""
    sock = socket.create_connection(("127.0.0.1", upstream.port), timeout=5)
    sock.sendall(b"POST /api/v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    return sock


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    """What came up to and with `mark`."""
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def test_a_good_stream(upstream: Upstream) -> None:
    """`words` is a stream as the reference has it: comment, role, words, finish, usage, [DONE]."""
    upstream.script(words("Hello there,  friend.\n", model="a/b"))
    response = post(upstream)
    blocks = response.text.strip().split("\n\n")
    assert blocks[0] == ": OPENROUTER PROCESSING"
    assert blocks[-1] == "data: [DONE]"
    data = [json.loads(block.removeprefix("data: ")) for block in blocks[1:-1]]
    assert "".join(item["choices"][0]["delta"]["content"] for item in data[:-1]) == "Hello there,  friend.\n"
    assert data[0]["choices"][0]["delta"]["role"] == "assistant"
    assert data[-2]["choices"][0]["finish_reason"] == "stop"
    assert data[-1]["choices"] == []
    assert data[-1]["usage"]["total_tokens"] == 7 + 4
    assert '"cost":0.000042,' in response.text
    assert {item["id"] for item in data} == {response.headers["x-generation-id"]}
    assert {item["model"] for item in data} == {"a/b"}


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({"done": False}, ["[DONE]"]),
        ({"usage": None}, ['"usage"']),
        ({"finish": None}, ['"finish_reason":"stop"']),
        ({"finish": None, "usage": None, "done": False}, ["[DONE]", '"usage"', '"finish_reason":"stop"']),
    ],
)
def test_ends_left_out(options: dict[str, object], gone: list[str]) -> None:
    """Each part of a stream's end can be left out, and only that."""
    every = {"[DONE]", '"usage"', '"finish_reason":"stop"'}
    body = words("One two.", **options).body.decode()  # type: ignore[arg-type]
    assert {mark for mark in every if mark not in body} == set(gone)


@pytest.mark.parametrize("text", ["", " ", "one", " one  two ", "a\n\nb\n", "äß 漢字 🙂"])
def test_pieces_join(text: str) -> None:
    """Cutting into words loses no character."""
    assert "".join(pieces(text)) == text


def test_the_script_goes_on_in_order(upstream: Upstream) -> None:
    """Answers come in their order, the last one repeats; an answer may depend on the request."""
    upstream.script(
        error(429, message="slow down", headers=[("Retry-After", "2")], provider_name="X"),
        lambda seen: completion(seen.json["model"]),
    )
    first, second, third = post(upstream), post(upstream), post(upstream, {"model": "c/d"})
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    assert first.json()["error"] == {"code": 429, "message": "slow down", "metadata": {"provider_name": "X"}}
    assert second.json()["choices"][0]["message"]["content"] == "a/b"
    assert third.json()["choices"][0]["message"]["content"] == "c/d"
    assert [seen.json["model"] for seen in upstream.chats] == ["a/b", "a/b", "c/d"]
    assert upstream.chats[0].when < upstream.chats[1].when


def test_other_paths(upstream: Upstream) -> None:
    """/models has a catalogue by default, `on` scripts any path, all others are a 404 that names them."""
    with httpx2.Client(base_url=upstream.url) as client:
        listed = client.get("/models").json()["data"]
        assert {"id", "name", "context_length", "pricing"} <= listed[0].keys()
        upstream.on("/generation", whole({"data": {"total_cost": Decimal("0.00000000000123")}}))
        assert client.get("/generation?id=gen-1").text == '{"data":{"total_cost":1.23E-12}}'
        assert (upstream.requests[-1].path, upstream.requests[-1].query) == ("/api/v1/generation", "id=gen-1")
        missing = client.get("/nothing")
        assert missing.status_code == 404
        assert "/api/v1/nothing" in missing.json()["error"]["message"]


def test_one_connection_many_requests(upstream: Upstream) -> None:
    """A kept connection serves one request after another and ends idle, by its client."""
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=5)
    for _ in range(3):
        connection.request("POST", "/api/v1/chat/completions", b"{}", {"X-Thing": "Word"})
        assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
    connection.close()
    (closed,) = upstream.wait_closed()
    assert (closed.by, closed.phase, closed.requests) == ("client", "idle", 3)
    assert {seen.connection for seen in upstream.requests} == {0}
    assert upstream.requests[0].headers["x-thing"] == "Word"


def test_asked_as_a_proxy(upstream: Upstream) -> None:
    """It also stands in for an HTTP proxy: the target is whole, the path is the same."""
    with httpx2.Client(proxy=f"http://127.0.0.1:{upstream.port}") as client:
        response = client.post("http://openrouter.test/api/v1/chat/completions", json={})
    assert response.status_code == 200
    assert upstream.chats[0].target == "http://openrouter.test/api/v1/chat/completions"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (words().first(Reset()), httpx2.ReadError),
        (words().first(End()), httpx2.RemoteProtocolError),
        (words().first(Hang()), httpx2.ReadTimeout),
        (words().cut(40, Reset()), httpx2.ReadError),
        (words().cut(40, End()), httpx2.RemoteProtocolError),
        (words().cut(40, Hang()), httpx2.ReadTimeout),
        (words().cut(40, Raw(b"not a chunk\r\n")), httpx2.RemoteProtocolError),
        (
            Answer(headers=(("Content-Length", "9"),), steps=(b"12345678", End()), chunked=False),
            httpx2.RemoteProtocolError,
        ),
    ],
)
def test_breaks(upstream: Upstream, answer: Answer, failure: type[Exception]) -> None:
    """Each break reaches a real client as that break, before the headers and in the body."""
    upstream.script(answer)
    with pytest.raises(failure):
        post(upstream, timeout=1.0)


@pytest.mark.parametrize(
    "answer", [words("Hi."), words("Hi.").sliced(1), words("Hi.").paced(0.001), words("Hi.").cut(9**9)]
)
def test_reshaped_bodies_are_the_same(upstream: Upstream, answer: Answer) -> None:
    """Slicing, pacing and an uncut cut change the writes, not the bytes."""
    upstream.script(answer)
    assert post(upstream).content == answer.body


@pytest.mark.parametrize(
    ("answer", "header"),
    [
        (Answer(steps=(b"abc",)), ("transfer-encoding", "chunked")),
        (Answer(steps=(b"a", b"bc"), chunked=False), ("content-length", "3")),
        (Answer(steps=(b"abc",), chunked=False, until_close=True), ("connection", "close")),
    ],
)
def test_framing(upstream: Upstream, answer: Answer, header: tuple[str, str]) -> None:
    """The three ways in which HTTP ends a body."""
    upstream.script(answer)
    response = post(upstream)
    assert response.content == b"abc"
    assert response.headers[header[0]] == header[1]


def test_pauses_take_their_time(upstream: Upstream) -> None:
    """A pause is at least as long as it says."""
    upstream.script(events(chunk({"content": "a"}), b": comment\n\n", "[DONE]").then(Pause(0.05)))
    began = time.monotonic()
    assert post(upstream).content == sse(chunk({"content": "a"})) + b": comment\n\ndata: [DONE]\n\n"
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize(
    ("answer", "mark", "phase"),
    [
        (words().first(Hang()), b"", "headers"),
        (words().first(Pause(60)), b"", "headers"),
        (words().cut(10, Hang()), b": OPEN", "body"),
        (words().cut(10, Pause(60)), b": OPEN", "body"),
        # More than the kernel's buffers hold: the server is stuck in its write.
        (Answer(steps=(b"x" * 50_000_000,)), b"xxx", "body"),
    ],
)
def test_a_client_that_leaves_is_seen(upstream: Upstream, answer: Answer, mark: bytes, phase: str) -> None:
    """A closed connection is noticed at once in every phase, and it is told who closed it."""
    upstream.script(answer)
    with connect(upstream) as sock:
        upstream.wait_requests()
        read_until(sock, mark)
        assert upstream.closed == []
    left = time.monotonic()
    (closed,) = upstream.wait_closed()
    assert (closed.by, closed.phase, closed.requests) == ("client", phase, 1)
    assert closed.when - left < 0.5


def test_leaving_in_the_middle_of_a_request(upstream: Upstream) -> None:
    """Half a request is no request, and its end has its own phase."""
    with socket.create_connection(("127.0.0.1", upstream.port)) as sock:
        sock.sendall(b"POST /api/v1/chat/completions HTTP/1.1\r\nContent-Length: 20\r\n\r\nhalf")
    (closed,) = upstream.wait_closed()
    assert (closed.by, closed.phase, closed.requests) == ("client", "request", 0)
    assert upstream.requests == []


@pytest.mark.parametrize(("step", "phase"), [(Reset(), "body"), (End(), "body")])
def test_the_server_closing_is_told_apart(upstream: Upstream, step: Reset | End, phase: str) -> None:
    """What we closed is not put down to the client."""
    upstream.script(words().cut(10, step))
    with connect(upstream):
        (closed,) = upstream.wait_closed()
    assert (closed.by, closed.phase) == ("server", phase)


def test_stop_ends_everything() -> None:
    """Stopping wakes what hangs, and no thread or connection outlives it."""
    before = set(threading.enumerate())
    server = Upstream()
    server.start()
    server.script(words().cut(10, Hang()))
    # The idle one first: connections are taken in their order, so it is once the other is answered.
    with socket.create_connection(("127.0.0.1", server.port)) as idle, connect(server) as hanging:
        read_until(hanging, b": OPEN")
        server.stop()
        assert set(threading.enumerate()) == before
        assert (hanging.recv(1), idle.recv(1)) == (b"", b"")
    assert {(closed.by, closed.phase) for closed in server.closed} == {("server", "body"), ("server", "idle")}
    server.stop()


def test_waiting_has_an_end(upstream: Upstream) -> None:
    """What does not happen fails the test instead of holding it."""
    with pytest.raises(AssertionError, match="0 of 1 connections ended"):
        upstream.wait_closed(1, timeout=0.01)


def test_nobody_and_blackhole() -> None:
    """One port refuses, the other never answers a SYN."""
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(nobody())
    with blackhole() as url, pytest.raises(httpx2.ConnectTimeout):
        httpx2.get(url, timeout=0.05)


def test_the_canary_is_found(tmp_path: Path) -> None:
    """The look-out sees the key in files, trees, texts, bytes, causes of errors and reprs, and nothing else."""
    nested = tmp_path / "deep" / "ledger.sqlite3"
    nested.parent.mkdir()
    nested.write_bytes(b"\0" + canary.CANARY.encode() + b"\0")
    caused = RuntimeError("clean")
    caused.__cause__ = ValueError(canary.CANARY)
    for thing in (
        tmp_path,
        nested,
        f"x{canary.CANARY}",
        canary.CANARY.encode(),
        caused,
        {"k": [canary.CANARY]},
    ):
        with pytest.raises(AssertionError, match="canary key stands in"):
            canary.assert_no_canary(thing)
    nested.unlink()
    canary.assert_no_canary(tmp_path, "clean", b"clean", RuntimeError("clean"), {"k": 1})
    with pytest.raises(FileNotFoundError):
        canary.assert_no_canary(tmp_path / "missing")


def test_logs_are_collected(logged: list[str]) -> None:
    """Every logger's debug lines and tracebacks are looked through."""
    try:
        raise ValueError("inner words")
    except ValueError:
        logging.getLogger("some.library").debug("outer %s", "words", exc_info=True)
    assert "outer words" in logged[0]
    assert "inner words" in logged[0]


def test_a_leak_fails_its_test(tmp_path: Path) -> None:
    """A key in a log or on stdout turns a passing test into a failing one."""
    here = Path(__file__).parent
    leaky = tmp_path / "test_leaky.py"
    leaky.write_text(
        "import logging\nfrom canary import CANARY\n"
        "def test_logged(): logging.getLogger('x').debug(CANARY)\n"
        "def test_printed(): print(CANARY)\n"
        "def test_clean(): print('clean')\n"
    )
    (tmp_path / "conftest.py").write_text((here / "conftest.py").read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "--import-mode=importlib",
    ]
    command += ["-o", f"pythonpath={here}", str(leaky)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment)
    assert "1 failed, 2 passed, 1 error" in run.stdout, run.stdout + run.stderr


def test_who_left_first_counts(upstream: Upstream) -> None:
    """A client that was gone before our own break is told as the client's leaving."""
    gone = threading.Event()

    def late(seen: Seen) -> Answer:
        gone.wait(5)
        return words().first(Reset())

    upstream.script(late)
    with connect(upstream):
        upstream.wait_requests()
    gone.set()
    (closed,) = upstream.wait_closed()
    assert (closed.by, closed.phase) == ("client", "headers")
