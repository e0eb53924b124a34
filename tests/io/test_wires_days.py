"""Bad days on every wire: odd framing, connections that are no good, servers and proxies that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bytedeck.io.wire import Late, WireError
from bytedeck.types import Request
from upstream import Upstream, blackhole
from wires import POST

OK = b"HTTP/1.1 200 OK\r\n"
HI = OK + b"content-length: 2\r\n\r\nhi"
Serve = Callable[[socket.socket], None]


class Server:
    """Gives each connection, in order, to the next of its scripts; the last one repeats."""

    def __init__(self, *scripts: Serve) -> None:
        self.connections = 0
        self._scripts = scripts
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._run)]
        self._threads[0].start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(script, client)))
                self._threads[-1].start()

    def _serve(self, script: Serve, client: socket.socket) -> None:
        client.settimeout(5.0)
        with client, contextlib.suppress(OSError):
            script(client)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def build(*scripts: Serve) -> Server:
        made.append(Server(*scripts))
        return made[-1]

    yield build
    for server in made:
        server.close()


def says(*answers: bytes) -> Serve:
    """An answer to each request, and another request is never answered."""

    def script(client: socket.socket) -> None:
        for answer in answers:
            if not client.recv(65536):
                return
            client.sendall(answer)
        client.recv(65536)

    return script


def mute(client: socket.socket) -> None:
    """Listens, and says nothing."""
    while client.recv(65536):
        pass


GOES_ON = {
    "a length": HI,
    "chunks": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a trailer": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n",
    "1.0 that stays": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
}
ENDS = {
    "close": OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
    "1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "bytes left over": HI + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    "two framings": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", [*GOES_ON, *ENDS])
def test_which_connection_goes_on(
    make: Callable[[str], Any], serve: Callable[..., Server], name: str
) -> None:
    """After an answer that has ended exactly, and only after such a one."""
    answer = (GOES_ON | ENDS)[name]
    server = serve(says(answer, HI), says(HI))
    wire = make(server.url)
    assert [wire.ask()[2], wire.ask()[2]] == [b"hi", b"hi"]
    assert server.connections == (1 if name in GOES_ON else 2)


@pytest.mark.parametrize("late", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"\r\n"])
def test_an_idle_connection_that_ends_or_speaks(
    make: Callable[[str], Any], serve: Callable[..., Server], late: bytes
) -> None:
    """Is given up: the next request takes a new one, and nobody takes its words for an answer."""
    spoken = threading.Event()

    def script(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(HI)
        time.sleep(0.1)
        client.sendall(late)
        spoken.set()
        if late:
            client.recv(65536)

    server = serve(script, says(HI))
    wire = make(server.url)
    assert wire.ask()[2] == b"hi"
    spoken.wait()
    wire.rest(0.05)
    assert wire.ask()[2] == b"hi"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi", "headers"),
        (OK + b"transfer-encoding: gzip\r\n\r\nhi", "headers"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "headers"),
        (b"220 mail.example.com ESMTP\r\n", "headers"),
        (OK + b"nonsense\r\n\r\n", "headers"),
        (OK + b"x: " + b"y" * 70_000, "headers"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0x2\r\nhi", "body"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi!", "body"),
    ],
)
def test_framing_that_is_none(
    make: Callable[[str], Any], serve: Callable[..., Server], answer: bytes, phase: str
) -> None:
    """Is told at once, although the server goes on waiting, and the connection is not used again."""
    wire = make(serve(says(answer), says(HI)).url)
    with pytest.raises(WireError) as caught:
        wire.ask()
    assert caught.value.phase == phase
    assert wire.ask()[2] == b"hi"


def test_what_came_before_garbage_is_read(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """Words and garbage in one read: first the words."""
    wire = make(serve(says(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n")).url)
    pieces: list[bytes] = []
    with pytest.raises(WireError):
        wire.ask(each=pieces.append)
    assert pieces == [b"hi"]


def test_an_answer_before_all_was_sent(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """A server that refuses a large body and hangs up is heard, and not only the broken pipe."""

    def refuse(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        time.sleep(0.2)  # then it closes with bytes unread, which resets the connection

    server = serve(refuse, says(HI))
    wire = make(server.url)
    large = Request(route="openrouter", path="/x", body=b"x" * 30_000_000)
    assert wire.ask(large)[::2] == (413, b"no")
    assert wire.ask()[2] == b"hi"
    assert server.connections == 2


def test_a_body_that_nobody_reads(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """A reset without an answer is an error like another."""

    def reset(client: socket.socket) -> None:
        client.recv(4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with pytest.raises(WireError) as caught:
        make(serve(reset).url).ask(Request(route="openrouter", path="/x", body=b"x" * 30_000_000))
    assert caught.value.phase == "headers"


def test_a_last_chunk_that_comes_late(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """Whoever has read enough waits a moment for the end; then the connection is used again."""

    def script(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
        time.sleep(0.02)
        client.sendall(b"0\r\n\r\n")
        says(HI)(client)

    server = serve(script)
    wire = make(server.url)
    assert wire.ask(enough=2)[2] == b"hi"
    wire.rest(0.1)
    assert wire.ask()[2] == b"hi"
    assert server.connections == 1


def test_a_last_chunk_that_never_comes(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """Is not waited for."""
    wire = make(serve(says(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"), says(HI)).url)
    began = time.monotonic()
    assert wire.ask(enough=2)[2] == b"hi"
    wire.rest(0.3)
    assert wire.ask()[2] == b"hi"
    assert time.monotonic() - began < 2.0


def test_nobody_answers_a_connect(make: Callable[[str], Any]) -> None:
    """A connection has its own time, and is told with the host's name."""
    with blackhole() as url:
        began = time.monotonic()
        with pytest.raises(WireError, match=r"^127\.0\.0\.1:") as caught:
            make(url).ask(Request(route="openrouter", path="/x", connect_timeout=0.3))
        assert caught.value.phase == "connect"
        assert time.monotonic() - began < 2.0


def drip(client: socket.socket) -> None:
    client.recv(65536)
    client.sendall(OK)
    for n in range(100):
        client.sendall(b"X-%d: drip\r\n" % n)
        time.sleep(0.05)


def chatter(client: socket.socket) -> None:
    client.recv(65536)
    client.sendall(OK)
    while True:
        client.sendall(b"X: y\r\n" * 1000)


@pytest.mark.parametrize(
    "proxy",
    [drip, chatter, mute, says(b""), says(b"HTTP/1.1 403 No\r\n\r\n"), says(b"nonsense\r\n\r\n"),
     says(b"HTTP/1.0 200 Connection established\r\n\r\n"), says(OK + b"\r\nnonsense"), lambda client: None],
    ids=["drip", "chatter", "silence", "nothing", "403", "nonsense", "no TLS", "TLS of nonsense", "end"],
)  # fmt: skip
def test_a_proxy_that_gives_no_tunnel(
    make: Callable[[str], Any], serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, proxy: Serve
) -> None:
    """However it fails to: the time for connecting bounds it as a whole, and no key was sent."""
    monkeypatch.setenv("https_proxy", serve(proxy).url.removesuffix("/api/v1"))
    began = time.monotonic()
    with pytest.raises(WireError, match=r"^openrouter\.invalid: ") as caught:
        make("https://openrouter.invalid/api/v1").ask(
            Request(route="openrouter", path="/x", connect_timeout=0.4)
        )
    assert caught.value.phase == "connect"
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("server", [mute, says(b""), says(HI)], ids=["silence", "end", "plain"])
def test_a_server_that_speaks_no_tls(
    make: Callable[[str], Any], serve: Callable[..., Server], server: Serve
) -> None:
    """The handshake is part of connecting."""
    with pytest.raises(WireError) as caught:
        make(f"https://127.0.0.1:{serve(server).port}").ask(
            Request(route="openrouter", path="/x", connect_timeout=0.4)
        )
    assert caught.value.phase == "connect"


def test_the_deadline_holds_while_connecting(
    make: Callable[[str], Any], serve: Callable[..., Server]
) -> None:
    """Where the request's own time ends first, it is late, and no failed connection."""
    began = time.monotonic()
    with pytest.raises(Late):
        make(f"https://127.0.0.1:{serve(mute).port}").ask(within=0.3)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/x", "http://[::1/x", "http://127.0.0.1:99999/x"])
def test_an_address_that_is_none(make: Callable[[str], Any], url: str) -> None:
    """Is told as what it is: nobody to connect to."""
    with pytest.raises(WireError) as caught:
        make(url).ask()
    assert caught.value.phase == "connect"


def test_a_header_that_cannot_be_sent(make: Callable[[str], Any], upstream: Upstream) -> None:
    """Is refused before anything leaves, and not shown."""
    evil = Request(route="openrouter", path="/x", headers=(("x", "SEKRET\r\ny: z"),))
    with pytest.raises(WireError) as caught:
        make(upstream.url).ask(evil)
    assert "SEKRET" not in str(caught.value)
    assert upstream.requests == []


def test_a_name_with_two_addresses(make: Callable[[str], Any], upstream: Upstream) -> None:
    """localhost is mostly ::1 first, where nobody listens."""
    assert make(f"http://localhost:{upstream.port}/api/v1").ask(POST)[0] == 200


def test_plain_http_needs_no_tls() -> None:
    """The blocking wire to a plain upstream imports neither ssl nor a library for HTTP or mail."""
    code = (
        "import sys\nfrom bytedeck.io.http import HttpWire\nfrom bytedeck.io.wire import Endpoint, WireError\n"
        "from bytedeck.types import Request\n"
        "wire = HttpWire(lambda route: Endpoint('http://127.0.0.1:1', ()))\n"
        "try: wire.line(Request(route='openrouter', path='/')).open(1e12)\n"
        "except WireError: print(sorted({'ssl', 'http', 'email', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("packed", ["bomb", "cut", "more"])
def test_compressed_answers_that_are_no_good(
    make: Callable[[str], Any], serve: Callable[..., Server], packed: str
) -> None:
    """One that would fill the memory, one that ends too early, and one with something behind it."""
    body = {
        "bomb": gzip.compress(bytes(100_000_000)),
        "cut": gzip.compress(b"hi" * 1000)[:-5],
        "more": gzip.compress(b"hi") + b"more",
    }[packed]
    answer = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    pieces: list[bytes] = []
    with pytest.raises(WireError) as caught:
        make(serve(says(answer)).url).ask(each=pieces.append, within=10.0)
    assert caught.value.phase == "body"
    assert max(map(len, pieces), default=0) < 20_000_000


def test_an_answer_without_a_body_may_call_itself_compressed(
    make: Callable[[str], Any], serve: Callable[..., Server]
) -> None:
    """As some servers do for every answer."""
    answer = OK + b"content-encoding: gzip\r\ncontent-length: 0\r\n\r\n"
    assert make(serve(says(answer)).url).ask()[2] == b""


def test_garbage_after_what_was_enough(make: Callable[[str], Any], serve: Callable[..., Server]) -> None:
    """Whoever has read enough does not see that garbage follows; its connection is not used again all the same."""

    def script(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n")
        time.sleep(0.02)
        client.sendall(b"\r\n0\r\n\r\n")
        says(HI)(client)

    server = serve(script, says(HI))
    wire = make(server.url)
    assert wire.ask(enough=2)[2] == b"hi"
    wire.rest(0.1)
    assert wire.ask()[2] == b"hi"
    assert server.connections == 2


def test_a_refusal_by_a_server_that_reads_no_more(
    make: Callable[[str], Any], serve: Callable[..., Server]
) -> None:
    """It answers in the midst of a large body, and neither reads on nor hangs up: the answer is heard at once."""

    def refuse(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        gone.wait(5)

    gone = threading.Event()
    server = serve(refuse, says(HI))
    wire = make(server.url)
    large = Request(route="openrouter", path="/x", body=b"x" * 30_000_000)
    try:
        assert wire.ask(large)[::2] == (413, b"no")
        assert wire.ask()[2] == b"hi"
    finally:
        gone.set()
    assert server.connections == 2


@pytest.mark.parametrize("proxy", ["http://user:SEKRET/x@127.0.0.1:1", "user:SEK/RET@127.0.0.1:1",
                                   "http://user:SEKRET@[::1", "http://user:SEKRET#x@127.0.0.1:1"])  # fmt: skip
def test_a_proxy_whose_password_was_not_escaped(
    make: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Is no address; and what of the password got into its other parts is not told."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(WireError, match="proxy") as caught:
        make("https://openrouter.invalid/api/v1").ask()
    assert caught.value.phase == "connect"
    assert "SEK" not in str(caught.value)


def test_addresses_of_no_use_come_first(
    make: Callable[[str], Any], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that this machine lacks, and one that never answers, leave time for the one that does."""
    with blackhole() as url:
        kind, silent = (socket.SOCK_STREAM, 6, ""), ("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        found = [(99, *kind, ()), (socket.AF_INET, *kind, silent),
                 (socket.AF_INET, *kind, ("127.0.0.1", upstream.port))]  # fmt: skip
        look = socket.getaddrinfo

        def names(host: str, *more: Any, **options: Any) -> Any:
            return list(found) if host == "somewhere.invalid" else look(host, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", names)
        answer = make(f"http://somewhere.invalid:{upstream.port}/api/v1").ask(POST)
        assert answer[0] == 200
