"""The application on the wire: what is refused and how, who leaves, who is silent, who reads slowly."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bytedeck import AsyncHub
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.server import protocol
from bytedeck.simulator import Simulator
from gateways import Gateway, dial, post, read_until

CHAT = "/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"


def asked(model: str = MODEL, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more}).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a whole answer."""
    head, _, rest = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(rest) < int(headers["content-length"]) and (piece := connection.recv(65536)):
        rest += piece
    return int(first.split()[1]), headers, json.loads(rest)


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


BAD = {
    "no JSON": (post(CHAT, b'{"model": '), 400, "no JSON"),
    "no UTF-8": (post(CHAT, b'{"model": "\xff"}'), 400, "no JSON"),
    "an empty body": (post(CHAT, b""), 400, "no JSON"),
    "nested without end": (post(CHAT, b"[" * 990), 400, ""),
    "a list": (post(CHAT, b"[]"), 400, "has to be an object"),
    "no messages": (post(CHAT, b"{}"), 400, "messages is missing"),
    "messages of another type": (post(CHAT, b'{"messages": "hi"}'), 400, "messages is"),
    "a message of another type": (post(CHAT, b'{"messages": [1]}'), 400, "messages[0]"),
    "a role that nobody has": (post(CHAT, b'{"messages": [{"role": "king"}]}'), 400, "messages[0]"),
    "a model of another type": (post(CHAT, asked() [:-1] + b',"model": 5}'), 400, "model is 5"),
    "models of another type": (post(CHAT, asked(models="a")), 400, "models is"),
    "stream of another type": (post(CHAT, asked(stream="yes")), 400, "stream is"),
    "an unknown model": (post(CHAT, asked("gpt-4o-minni")), 404, "Did you mean:"),
    "an unknown task": (post(CHAT, asked("byte/codign")), 404, "coding"),
    "a way that nobody knows": (post(CHAT, asked(), "X-Byte-Failover: pray"), 400, "X-Byte-Failover"),
    "a form": (post(CHAT, asked(), "Content-Type: text/plain"), 415, "application/json"),
    "a foreign host": (post(CHAT, asked(), host="evil.example"), 403, "evil.example"),
    "a foreign page": (post(CHAT, asked(), "Origin: https://evil.example"), 403, "Origin"),
    "a page from nowhere": (post(CHAT, asked(), "Origin: null"), 403, "Origin"),
    "too large, said": (post(CHAT, b"x" * 2000), 413, "larger"),
    "too large, unsaid": (
        post(CHAT, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n", 413, "larger",
    ),
    "an unknown path": (post("/v1/nothing", asked()), 404, "/v1/nothing"),
    "no path": (post("/", asked()), 404, "/"),
    "another method": (b"GET " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "POST"),
    "another method of a page": (post("/v1/models", b"{}"), 405, "GET"),
    "an unknown model's page": (b"GET /v1/models/a/b HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "a/b"),
}  # fmt: skip


@pytest.fixture
def small(sim: Simulator) -> Iterator[Gateway]:
    with Gateway(max_body=1000) as running:
        yield running


@pytest.mark.parametrize("name", BAD)
def test_bad_input(small: Gateway, sim: Simulator, name: str) -> None:
    """Each in JSON, with its status and a sentence; nothing was asked or written, and the connection can be used again."""
    sent, status, needle = BAD[name]
    with dial(small.port, sent) as connection:
        told, headers, body = answer(connection)
        assert (told, body["error"]["code"]) == (status, status)
        assert needle in body["error"]["message"]
        assert len(headers["x-request-id"]) == 32
        connection.sendall(post(CHAT, asked()))
        assert answer(connection)[0] == 200
    assert len(sim.journal(path="*/chat/completions")) == len(small.rows()) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, 431),
        (b"what is this?\r\n\r\n", 400),
        (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
def test_what_is_no_request(gateway: Gateway, sent: bytes, status: int) -> None:
    """Headers beyond reason and what is no HTTP: JSON, and the connection is closed."""
    with dial(gateway.port, sent) as connection:
        told, headers, body = answer(connection)
        assert (told, body["error"]["code"], headers["connection"]) == (status, status, "close")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"POST / HT", post(CHAT, asked())[:-10]])
def test_who_never_ends_a_request(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """A request that does not come is not waited for without end; who sends a long one fast enough has the time."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.05)
    with dial(gateway.port, sent) as connection:
        assert connection.recv(1) == b""
    monkeypatch.setattr(protocol, "PACE", 1)
    with dial(gateway.port, post(CHAT, asked())[:-10]) as connection:
        for piece in range(10):
            time.sleep(0.02)
            connection.sendall(post(CHAT, asked())[-10:][piece : piece + 1])
        assert answer(connection)[0] == 200
    assert len(gateway.rows()) == 1


@pytest.mark.parametrize("sent", [post(CHAT, asked())[:-10], post(CHAT, asked()), post(CHAT, b"{")])
def test_half_closed(gateway: Gateway, sim: Simulator, sent: bytes) -> None:
    """Who shuts his side down has left: nothing stays open, and what was begun is settled."""
    sim.fault("hang")
    with dial(gateway.port, sent) as connection:
        connection.shutdown(socket.SHUT_WR)
        read_until(connection, b"never")
    until(lambda: not gateway.app.running)
    assert all(row.outcome == "abandoned" for row in gateway.rows())
    until(lambda: all(entry.end != "open" for entry in sim.journal(path="*/chat/completions")))


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/v1/models", "/api/v1/models/user", "/v1/key", "/v1/models/count"]
)
def test_pages(gateway: Gateway, path: str) -> None:
    """Each answers 200 with JSON; to HEAD without a body."""
    with dial(gateway.port, b"GET %s HTTP/1.1\r\nHost: [::1]:80\r\n\r\n" % path.encode()) as connection:
        assert answer(connection)[0] == 200
        connection.sendall(
            b"HEAD %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode()
        )
        assert read_until(connection, b"never").endswith(b"\r\n\r\n")


def test_what_is_unknown_is_passed_on(gateway: Gateway, sim: Simulator) -> None:
    """Fields that nobody knows, in the caller's order, numbers with their digits; OpenRouter's own headers, no others."""
    body = (
        b'{"x_new":{"b":1.50,"a":[1e-7,12345678901234567890]},"model":"%s","temperature":0.70,'
        % MODEL.encode()
    )
    body += b'"messages":[{"z":1,"role":"user","content":"hi"}],"n":3}'
    with dial(
        gateway.port, post(CHAT, body, "x-session-id: s1", "X-Secret: s2", "Authorization: Bearer s3")
    ) as one:
        assert answer(one)[0] == 200
    [entry] = sim.journal(path="*/chat/completions")
    sent = entry.body
    assert sent.index('"x_new":{"b":1.50,"a":[1E-7,12345678901234567890]}') < sent.index('"temperature":0.70')
    assert '"messages":[{"z":1,"role":"user","content":"hi"}]' in sent
    assert entry.headers["x-session-id"] == "s1"
    assert not {"s2", "Bearer s3"} & set(entry.headers.values())


def opened(gateway: Gateway, model: str, *headers: str, stream: bool = True) -> socket.socket:
    return dial(gateway.port, post(CHAT, asked(model, stream=stream), *headers))


@pytest.mark.parametrize(
    ("fault", "stream", "mark"),
    [
        ("hang", False, b""),
        ("hang", True, b""),
        ("silence", True, b""),
        ("stall:tokens=3", True, b'"content":"'),
        ("stall:tokens=3", False, b""),
    ],
)
def test_who_hangs_up_ends_the_upstream(
    gateway: Gateway, sim: Simulator, fault: str, stream: bool, mark: bytes
) -> None:
    """In every phase: the upstream is closed, the row is settled as abandoned, nothing runs on."""
    with opened(gateway, f"sim/{fault}", stream=stream) as connection:
        until(lambda: sim.journal(path="*/chat/completions"))
        if mark:
            read_until(connection, mark)
    [entry] = until(lambda: [e for e in sim.journal(path="*/chat/completions") if e.end != "open"])
    assert entry.end == "client left"
    until(lambda: not gateway.app.running)
    assert [row.outcome for row in gateway.rows()] == ["abandoned"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_long_prompt_hangs_up_as_well(gateway: Gateway, sim: Simulator, stream: bool) -> None:
    """A body beyond what the server reads ahead: its reading is taken up again, or nobody would see the end."""
    body = {"model": "sim/hang", "messages": [{"role": "user", "content": "x" * 300_000}], "stream": stream}
    with dial(gateway.port, post(CHAT, json.dumps(body).encode())):
        until(lambda: sim.journal(path="*/chat/completions"))
    until(lambda: not gateway.app.running)
    assert [row.outcome for row in gateway.rows()] == ["abandoned"]


def test_a_reader_who_leaves_in_mid_write(gateway: Gateway, sim: Simulator) -> None:
    """Megabytes lie unread, and he hangs up: nothing waits for him any longer."""
    with opened(gateway, "sim/big_event:megabytes=5") as connection:
        read_until(connection, b"data: ")
    until(lambda: not gateway.app.running)
    assert len(gateway.rows()) == 1


@pytest.fixture
def lively(sim: Simulator) -> Iterator[Gateway]:
    with Gateway(heartbeat=0.02) as running:
        yield running


@pytest.mark.parametrize("fault", ["hang", "silence", "stall:tokens=3"])
def test_heartbeat(lively: Gateway, fault: str) -> None:
    """Silence is filled with comments, before the first token too; they commit the status."""
    with opened(lively, f"sim/{fault}") as connection:
        if fault.startswith("stall"):
            read_until(connection, b'"content":"')
        else:
            assert read_until(connection, b": byte\n\n").startswith(b"HTTP/1.1 200")
        assert b": byte\n\n" in read_until(connection, b": byte\n\n")


def test_an_error_after_a_heartbeat(sim: Simulator, tmp_path: Path) -> None:
    """The status is out, so that the error comes in the stream; without a heartbeat it has its own status."""
    config = tmp_path / "config.toml"
    config.write_text("retries = 0\n[timeouts]\nheaders = 0.2\n")
    os.environ["BYTE_CONFIG"] = str(config)  # the environment is scrubbed after the test
    try:
        for heartbeat, status in ((0.02, b"HTTP/1.1 200"), (60.0, b"HTTP/1.1 504")):
            with Gateway(heartbeat=heartbeat) as gateway, opened(gateway, "sim/hang") as connection:
                told = read_until(connection, b'"headers_timeout"')
                assert told.startswith(status)
                assert (b'"finish_reason":"error"' in told) == (heartbeat < 1)
    finally:
        del os.environ["BYTE_CONFIG"]


def test_fall_backs_before_the_first_word_commit_nothing(gateway: Gateway, sim: Simulator) -> None:
    """All models fail before a word: the last one's status, though the failing over was told meanwhile."""
    with dial(
        gateway.port,
        post(CHAT, asked("sim/no_endpoints", models=["sim/server", "sim/payment_required"], stream=True)),
    ) as connection:
        status, headers, body = answer(connection)
    assert (status, headers["x-should-retry"]) == (402, "false")
    assert len(body["error"]["metadata"]["attempts"]) == len(gateway.rows()) >= 3


def test_retry_after(gateway: Gateway, sim: Simulator) -> None:
    """When asking again makes sense stands in the header."""
    with opened(gateway, "sim/rate_limit:retry_after=700", stream=False) as connection:
        status, headers, _ = answer(connection)
    assert (status, headers["retry-after"]) == (429, "700")


def test_a_slow_reader_is_no_slow_model(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While the client does not read, nobody's patience runs; the answer is whole in the end."""
    config = tmp_path / "config.toml"
    config.write_text("[timeouts]\nidle = 0.3\nfirst_event = 0.3\ntotal = 5\n")
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    with Gateway() as gateway, opened(gateway, "sim/big_event:megabytes=3") as connection:
        read_until(connection, b"data: ")
        time.sleep(0.7)  # longer than any of the bounds, with megabytes still unread
        assert read_until(connection, b"[DONE]\n\n")
        assert [row.outcome for row in gateway.rows()] == ["answered"]


def test_pipelined_requests(gateway: Gateway) -> None:
    """Requests that come at once on a connection are answered in their order."""
    page = b"GET /v1/models/count HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with dial(gateway.port, post(CHAT, asked()) + page + post(CHAT, b"{")) as connection:
        found = read_until(connection, b"no JSON")
    assert found.index(b"chat.completion") < found.index(b'"count"') < found.index(b"no JSON")


def test_a_bug_is_told_without_its_words(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """A 500 in the protocol's own form, whose place stands in the log, and whose message nowhere."""

    async def broken(_: Any) -> Any:
        raise KeyError("secret words")

    monkeypatch.setattr(gateway.app.hub, "answer", broken)
    with opened(gateway, MODEL) as connection:
        status, headers, body = answer(connection)
    assert (status, body["error"]["type"]) == (500, "internal")
    assert any(headers["x-request-id"] in line and "KeyError in test_app.py" in line for line in logged)
    assert not any("secret words" in line for line in [*logged, json.dumps(body)])
    assert not gateway.app.running


ASKED = {
    "/chat/completions": {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]},
    "/messages": {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]},
    "/responses": {"model": MODEL, "input": "hi"},
}


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize("path", ASKED)
def test_every_protocol(gateway: Gateway, sim: Simulator, path: str, prefix: str) -> None:
    """Under both prefixes: whole, streamed, refused, broken off, each with the upstream's words and one row an attempt."""
    body = ASKED[path]
    with dial(gateway.port, post(prefix + path, json.dumps(body).encode())) as connection:
        status, headers, told = answer(connection)
        assert (status, headers["x-byte-model"]) == (200, MODEL)
        words = direct(sim)
        assert json.dumps(words)[1:-1] in json.dumps(told)
        connection.sendall(post(prefix + path, json.dumps(body | {"stream": True}).encode()))
        streamed = read_until(connection, b"0\r\n\r\n")
        assert b"text/event-stream" in streamed
        assert b"cost" in streamed
        connection.sendall(post(prefix + path, b"{"))
        assert answer(connection)[0] == 400
        connection.sendall(post(prefix + path, json.dumps(body | {"model": "sim/payment_required"}).encode()))
        status, headers, told = answer(connection)
        assert (status, headers["x-should-retry"]) == (402, "false")
        assert "Insufficient credits" in json.dumps(told)
    broken = json.dumps(body | {"model": "sim/truncated:tokens=5", "stream": True}).encode()
    with dial(gateway.port, post(prefix + path, broken, "X-Byte-Failover: error")) as connection:
        assert b"truncated" in read_until(connection, b"0\r\n\r\n")
    assert len(gateway.rows()) == 4


def direct(sim: Simulator) -> str:
    """What the upstream itself says."""
    sent = post("/api/v1/chat/completions", asked(), f"Authorization: Bearer {sim.api_key}")
    with dial(int(sim.url.rpartition(":")[2]), sent) as connection:
        text: str = answer(connection)[2]["choices"][0]["message"]["content"]
        return text


def test_counting_tokens(gateway: Gateway) -> None:
    """Reckoned here: nobody is asked; refused in the protocol's form."""
    path = "/v1/messages/count_tokens"
    with dial(gateway.port, post(path, json.dumps(ASKED["/messages"]).encode())) as connection:
        assert answer(connection)[2]["input_tokens"] > 0
        connection.sendall(post(path, b"{"))
        status, _, told = answer(connection)
    assert (status, told["type"]) == (400, "error")
    assert not gateway.rows()


# Other servers of ASGI


class Server:
    """The bare protocol, as any other server has it: no word of who left but in `receive`."""

    def __init__(self, body: bytes) -> None:
        self.sent: list[Any] = []
        self.left = asyncio.Event()
        self._body: bytes | None = body

    async def receive(self) -> Any:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(self, app: App) -> None:
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "path": CHAT, "method": "POST", "headers": headers}
        await app(scope, self.receive, self.send)


async def test_any_server_may_serve_it(sim: Simulator) -> None:
    """An answer, and a client that leaves, by the protocol alone; at the server's end the hub is closed."""
    app = App(AsyncHub(), Settings(grace=0.0))
    whole = Server(asked())
    await whole.ask(app)
    assert whole.sent[0]["status"] == 200
    hung = Server(asked("sim/hang", stream=True))
    task = asyncio.create_task(hung.ask(app))
    await asyncio.to_thread(until, lambda: sim.journal(model="sim/hang"))
    hung.left.set()
    await task
    assert hung.sent == []
    told = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        told.append(message["type"])

    store = app.hub.house.store
    await app({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert sorted(row.outcome for row in store.rows()) == ["abandoned", "answered"]
    store.close()
    late = Server(asked())
    await late.ask(app)
    assert late.sent[0]["status"] == 503


async def test_a_servers_own_cancel_is_no_answer(sim: Simulator) -> None:
    """A task that the server cancels ends as cancelled, and its attempt is settled."""
    app = App(AsyncHub(), Settings(grace=0.0))
    hung = Server(asked("sim/hang"))
    task = asyncio.create_task(hung.ask(app))
    await asyncio.to_thread(until, lambda: sim.journal(model="sim/hang"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not app.running
    await app.aclose()


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "x",
    "\x00",
    "é\U0001f600",
    [],
    [[]],
    [None],
    {},
    {"a": 1},
    {"type": "text"},
]
FIELDS = ["model", "models", "messages", "stream", "max_tokens", "max_completion_tokens", "n", "stop", "tools", "tool_choice",
          "response_format", "reasoning", "reasoning_effort", "provider", "plugins", "modalities", "service_tier",
          "temperature", "task", "can_erase", "headers", "usage", "transforms", "logit_bias", "web_search_options"]  # fmt: skip
IN_A_MESSAGE = ["role", "content", "tool_calls", "reasoning_details", "name", "tool_call_id"]


def odd_body(chance: random.Random) -> bytes:
    """A request in which some fields hold what nobody would put there."""
    message: dict[str, Any] = {
        "role": chance.choice(("user", "assistant", "system", "tool")),
        "content": "hi",
    }
    for name in chance.sample(IN_A_MESSAGE, chance.randint(0, 2)):
        message[name] = chance.choice(ODD)
    body: dict[str, Any] = {"model": MODEL, "messages": [message] * chance.randint(1, 3)}
    body["stream"] = chance.random() < 0.5
    for name in chance.sample(FIELDS, chance.randint(0, 3)):
        body[name] = chance.choice(ODD)
    return json.dumps(body).encode()


async def test_odd_bodies(sim: Simulator) -> None:
    """Whatever a field holds: an answer or the caller's own fault, never a bug of ours."""
    app, chance, found = App(AsyncHub(), Settings(grace=0.0)), random.Random(11), set()
    async with app.hub.testing("ok"):
        for _ in range(1000):
            body = odd_body(chance)
            server = Server(body)
            await server.ask(app)
            found.add(server.sent[0]["status"])
            assert b'"type":"internal"' not in b"".join(one.get("body", b"") for one in server.sent), body
    assert found == {200, 400, 404}
    await app.aclose()
