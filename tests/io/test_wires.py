"""One contract for every wire: blocking, async on asyncio's loop, async on uvloop's."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from answers import Answer, End, Hang, Pause, Raw, Reset, events, whole, words
from bytedeck.io.wire import Late, WireError, proxy_for
from bytedeck.types import Request
from upstream import Upstream

CERTS = Path(__file__).parent.parent / "certs"


def test_an_answer_comes_as_it_is(make: Callable[[str], Any], upstream: Upstream) -> None:
    """Status, headers by lower-case name, the body byte for byte; key, agent and body were sent."""
    upstream.script(answer := words("Grüße 👋"))
    status, headers, body = make(upstream.url).ask()
    assert (status, body) == (200, answer.body)
    assert headers["x-generation-id"].startswith("gen-")
    (seen,) = upstream.chats
    sent = {name.lower(): value for name, value in seen.headers.items()}
    assert seen.json == {"model": "a/b"}
    assert sent["authorization"] == "Bearer sk-or-v1-wire"
    assert sent["accept-encoding"] == "identity"
    assert sent["content-type"] == "application/json"


def test_a_requests_own_headers_win(make: Callable[[str], Any], upstream: Upstream) -> None:
    """What a request names replaces ours, whatever the case."""
    mine = Request(
        route="openrouter", path="/chat/completions", body=b"{}", headers=(("User-Agent", "mine/1"),)
    )
    make(upstream.url).ask(mine)
    agents = [value for name, value in upstream.chats[0].headers.items() if name.lower() == "user-agent"]
    assert agents == ["mine/1"]


def test_a_whole_answers_connection_is_used_again(make: Callable[[str], Any], upstream: Upstream) -> None:
    """Three whole answers need one connection."""
    wire = make(upstream.url)
    for _ in range(3):
        wire.ask()
    assert len({seen.connection for seen in upstream.chats}) == 1


def test_a_late_answer_takes_its_connection_along(make: Callable[[str], Any], upstream: Upstream) -> None:
    """What was given up is closed, and never mistaken for the next answer."""
    upstream.script(words().cut(50, Hang()), words("second"))
    wire = make(upstream.url)
    with pytest.raises(Late):
        wire.ask(within=0.2)
    assert b"second" in wire.ask()[2]
    assert upstream.wait_closed(1)[0].by == "client"


@pytest.mark.parametrize("status", [400, 429, 500])
def test_error_statuses_are_answers(make: Callable[[str], Any], upstream: Upstream, status: int) -> None:
    """A wire does not judge."""
    upstream.script(whole({"error": {"message": "no"}}, status))
    assert make(upstream.url).ask()[0] == status


def test_redirects_are_not_followed(make: Callable[[str], Any], upstream: Upstream) -> None:
    """A key is not sent where somebody else says."""
    upstream.script(Answer(status=307, headers=(("Location", upstream.url + "/elsewhere"),), chunked=False))
    assert make(upstream.url).ask()[0] == 307
    assert len(upstream.requests) == 1


def _phase(make: Callable[[str], Any], url: str, within: float = 3.0) -> str:
    with pytest.raises(WireError) as caught:
        make(url).ask(within=within)
    assert str(caught.value)
    return caught.value.phase


def test_nobody_listens(make: Callable[[str], Any]) -> None:
    """A refused connection is told as such: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert _phase(make, f"http://127.0.0.1:{port}/api/v1") == "connect"


def test_no_such_host(make: Callable[[str], Any]) -> None:
    """So is a name that nobody knows."""
    assert _phase(make, "http://nobody.invalid/api/v1", 10.0) == "connect"


@pytest.mark.parametrize("step", [Reset(), End()])
def test_broken_before_the_headers(make: Callable[[str], Any], upstream: Upstream, step: Any) -> None:
    """The request may have arrived: that is another phase."""
    upstream.script(words().first(step))
    assert _phase(make, upstream.url) == "headers"


@pytest.mark.parametrize("step", [Reset(), End()])
def test_broken_in_the_body(make: Callable[[str], Any], upstream: Upstream, step: Any) -> None:
    """A body that does not come to its HTTP end is broken, not ended."""
    upstream.script(words().cut(100, step))
    assert _phase(make, upstream.url) == "body"


def test_garbage_for_a_chunk(make: Callable[[str], Any], upstream: Upstream) -> None:
    """Garbage where a chunk's size should stand is noticed at once: it breaks a body, and never ends it."""
    upstream.script(words().cut(100, Pause(0.05), Raw(b"zz\r\ngarbage"), Hang()))
    assert _phase(make, upstream.url) == "body"


@pytest.mark.parametrize("phase", ["connect", "headers", "body", "drip"])
def test_late(make: Callable[[str], Any], upstream: Upstream, phase: str) -> None:
    """The deadline holds in every phase, also when bytes drip in time for each single read."""
    drip = words("a b c d e f g h i j k l m n o p q r s t u v w x y z").paced(0.08)
    script = {
        "connect": words(),
        "headers": words().first(Hang()),
        "body": words().cut(50, Hang()),
        "drip": drip,
    }
    upstream.script(script[phase])
    wire = make(upstream.url)
    if phase == "connect":  # no time at all
        with pytest.raises(Late):
            wire.ask(within=0.0)
        return
    began = time.monotonic()
    with pytest.raises(Late):
        wire.ask(within=0.4)
    assert 0.35 < time.monotonic() - began < 2.0


def test_headers_that_drip(make: Callable[[str], Any]) -> None:
    """A header a tenth of a second for ever is late, too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip_headers, args=(server,))
        thread.start()
        began = time.monotonic()
        with pytest.raises(Late):
            make(f"http://127.0.0.1:{server.getsockname()[1]}").ask(within=0.4)
        assert time.monotonic() - began < 2.0
        thread.join()


def _drip_headers(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for n in range(100):
                connection.sendall(b"X-%d: drip\r\n" % n)
                time.sleep(0.05)
        except OSError:
            return


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("identity", bytes)])
def test_compressed_although_not_asked(
    make: Callable[[str], Any], upstream: Upstream, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """What is compressed all the same is read, however it is sliced."""
    body = words("Hello compressed world").body
    packed = pack(body)
    steps = tuple(packed[at : at + 7] for at in range(0, len(packed), 7))
    upstream.script(Answer(headers=(("Content-Encoding", encoding),), steps=steps))
    assert make(upstream.url).ask()[2] == body


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_that_nobody_asked_for(
    make: Callable[[str], Any], upstream: Upstream, encoding: str
) -> None:
    """What cannot be read is an error, not words."""
    upstream.script(Answer(headers=(("Content-Encoding", encoding),), steps=(b"xx",)))
    assert _phase(make, upstream.url) == "headers"


def test_damaged_gzip(make: Callable[[str], Any], upstream: Upstream) -> None:
    """So is what is compressed badly."""
    upstream.script(Answer(headers=(("Content-Encoding", "gzip"),), steps=(b"\x1f\x8bnonsense" * 5,)))
    assert _phase(make, upstream.url) == "body"


def test_a_large_event(make: Callable[[str], Any], upstream: Upstream) -> None:
    """Five megabytes in one event arrive whole."""
    answer = events({"x": "y" * 5_000_000})
    upstream.script(answer)
    assert make(upstream.url).ask(within=20.0)[2] == answer.body


class Proxy:
    """A proxy that notes what it was asked for: forwards plain requests, tunnels CONNECT."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:pass@127.0.0.1:{self.server.getsockname()[1]}"
        self.heads: list[bytes] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.heads.append(head)
        target = head.split(b" ")[1].removeprefix(b"http://").split(b"/")[0].decode()
        host, _, port = target.partition(":")
        with client, socket.create_connection((host, int(port or 80))) as server:
            if head.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                server.sendall(head)
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def tls(upstream: Upstream) -> Iterator[str]:
    """The upstream behind TLS with a certificate of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / "server.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=relay, args=(plain,), daemon=True).start()

    def relay(plain: socket.socket) -> None:
        with plain, socket.create_connection(("127.0.0.1", upstream.port)) as inner:
            try:
                with context.wrap_socket(plain, server_side=True) as client:
                    threading.Thread(target=_pump, args=(client, inner), daemon=True).start()
                    while data := inner.recv(65536):
                        client.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{server.getsockname()[1]}/api/v1"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_plain_requests_through_a_proxy(
    make: Callable[[str], Any], upstream: Upstream, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY is used, with its name and password."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert make(upstream.url).ask()[0] == 200
    assert proxy.heads[0].startswith(b"POST http://127.0.0.1:")
    assert b"dXNlcjpwYXNz" in proxy.heads[0]  # user:pass


def test_no_proxy(
    make: Callable[[str], Any], upstream: Upstream, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY is left alone."""
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert make(upstream.url).ask()[0] == 200
    assert proxy.heads == []


def test_an_unknown_authority_is_refused(make: Callable[[str], Any], tls: str) -> None:
    """A certificate of nobody's is not believed, and nothing is sent."""
    assert _phase(make, tls) == "connect"


def test_an_authority_of_ones_own(
    make: Callable[[str], Any], tls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names authorities to trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "ca.pem"))
    assert make(tls).ask()[0] == 200


def test_tls_through_a_proxy(
    make: Callable[[str], Any], tls: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY tunnels; the proxy sees neither key nor words."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "ca.pem"))
    monkeypatch.setenv("https_proxy", proxy.url)
    assert make(tls).ask()[0] == 200
    assert proxy.heads[0].startswith(b"CONNECT localhost:")
    assert b"sk-or-v1-wire" not in proxy.heads[0]


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://openrouter.ai/api/v1", None),
        ({"https_proxy": "http://p:1"}, "https://openrouter.ai/api/v1", "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "https://openrouter.ai/api/v1", "http://p:1"),
        ({"all_proxy": "http://p:2"}, "https://openrouter.ai/api/v1", "http://p:2"),
        ({"https_proxy": "http://p:1", "no_proxy": "openrouter.ai"}, "https://openrouter.ai/api/v1", None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, "https://openrouter.ai/api/v1", None),
        ({"http_proxy": "http://p:1"}, "https://openrouter.ai/api/v1", None),
        ({"https_proxy": "HTTP://p:1"}, "https://openrouter.ai/api/v1", "HTTP://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "::1"}, "http://[::1]:8080/v1", None),
        ({"all_proxy": "http://p:1", "no_proxy": "[::1]"}, "http://[::1]:8080/v1", None),
        ({"all_proxy": "http://p:1", "no_proxy": ".openrouter.ai"}, "https://eu.openrouter.ai/api/v1", None),
        ({"all_proxy": "http://p:1", "no_proxy": "openrouter.ai"}, "https://OpenRouter.AI/api/v1", None),
        ({"all_proxy": "http://p:1", "no_proxy": "openrouter.ai:8443"}, "https://openrouter.ai/v1", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "router.ai"}, "https://openrouter.ai/v1", "http://p:1"),
    ],
)  # fmt: skip
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
) -> None:
    """The environment's variables, read as everybody reads them."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


def test_pauses_are_no_end(make: Callable[[str], Any], upstream: Upstream) -> None:
    """A body that pauses is still one body."""
    answer = words("Hello").cut(40, Pause(0.1), b"rest")
    upstream.script(answer)
    assert make(upstream.url).ask()[2] == answer.body


def test_a_proxys_password_is_told_nowhere(
    make: Callable[[str], Any], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses us, or cannot be reached, is told without its password."""
    upstream.script(Answer(status=407, chunked=False))
    for url in (f"http://user:SEKRET@127.0.0.1:{upstream.port}", "http://user:SEKRET@127.0.0.1:1"):
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(WireError) as caught:
            make("https://openrouter.invalid/api/v1").ask(within=3.0)
        assert "SEKRET" not in str(caught.value)
        assert caught.value.phase == "connect"


def test_a_proxy_that_is_not_spoken(make: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is refused in so many words."""
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(WireError, match="socks5 is not supported"):
        make("http://openrouter.invalid/api/v1").ask()


def test_hints_before_the_answer(make: Callable[[str], Any]) -> None:
    """103 Early Hints are no answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(
                    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
                )

        thread = threading.Thread(target=serve)
        thread.start()
        assert make(f"http://127.0.0.1:{server.getsockname()[1]}").ask()[::2] == (200, b"hi")
        thread.join()
