"""A real HTTP/1.1 server on 127.0.0.1 that does what it is told, impolite things too.

    upstream.script(error(429, message="slow down"), words("Hello there."))
    upstream.on("/models", whole({"data": []}))
    upstream.script(words("Hello there.").cut(40, Reset()))

It knows OpenRouter's shapes (wire reference, sections 4–6) and nothing of ours. What came in
stands in `upstream.requests`, how each connection ended in `upstream.closed`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from answers import (
    CATALOGUE,
    MODEL,
    Answer,
    End,
    Hang,
    Pause,
    Raw,
    Reset,
    Step,
    chunk,
    completion,
    error,
    events,
    listed,
    pieces,
    sse,
    usage_of,
    whole,
    words,
)

__all__ = [
    "BASE",
    "CATALOGUE",
    "CHAT",
    "MODEL",
    "Answer",
    "Closed",
    "End",
    "Hang",
    "Pause",
    "Raw",
    "Reset",
    "Seen",
    "Step",
    "Upstream",
    "blackhole",
    "chunk",
    "completion",
    "error",
    "events",
    "listed",
    "nobody",
    "pieces",
    "sse",
    "usage_of",
    "whole",
    "words",
]

BASE = "/api/v1"
CHAT = "/chat/completions"


@dataclass(frozen=True)
class Seen:
    """A request as it came. `headers` has lower-case names; `when` is monotonic seconds."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    when: float
    connection: int

    @property
    def path(self) -> str:
        """Without the query, and without the host where we were asked as a proxy."""
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Phase = Literal["idle", "request", "headers", "body"]


@dataclass(frozen=True)
class Closed:
    """How a connection ended. `phase`: no request on it, in the middle of one, before our headers,
    before our body was finished. `requests` counts what had come in on it."""

    connection: int
    by: Literal["client", "server"]
    phase: Phase
    requests: int
    when: float


Answering: TypeAlias = Answer | Callable[[Seen], Answer]


class Upstream:
    """The server. `start()` and `stop()`, or a `with` block; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._scripts: dict[str, list[Answering]] = {}
        self._threads: list[threading.Thread] = []
        self._requests: list[Seen] = []
        self._closed: list[Closed] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        # Closing one end of this pair wakes every thread, whatever it waits for.
        self._bell, self.stopping = socket.socketpair()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{BASE}"
        catalogue = whole({"data": CATALOGUE, "total_count": len(CATALOGUE), "links": {"next": None}})
        self.script(words())
        self.on("/models", catalogue)
        self.on("/models/user", catalogue)

    def __enter__(self) -> Upstream:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def script(self, *answers: Answering) -> None:
        """The answers to POST …/chat/completions from now on, in order; the last one repeats."""
        self.on(CHAT, *answers)

    def on(self, path: str, *answers: Answering) -> None:
        """The same for another path under `/api/v1`, for every method."""
        if not answers:
            raise ValueError("at least one answer")
        with self._changed:
            self._scripts[BASE + path] = list(answers)

    @property
    def requests(self) -> list[Seen]:
        """What came in so far, in order, whole requests only."""
        with self._changed:
            return list(self._requests)

    @property
    def chats(self) -> list[Seen]:
        """Of these the POSTs to …/chat/completions."""
        return [seen for seen in self.requests if seen.path == BASE + CHAT]

    @property
    def closed(self) -> list[Closed]:
        """The connections that ended so far, in order of their end."""
        with self._changed:
            return list(self._closed)

    def wait_closed(self, n: int = 1, timeout: float = 5.0) -> list[Closed]:
        """Return once `n` connections have ended; AssertionError after `timeout` seconds."""
        return self._wait(self._closed, n, timeout, "connections ended")

    def wait_requests(self, n: int = 1, timeout: float = 5.0) -> list[Seen]:
        """Return once `n` requests have come in; AssertionError after `timeout` seconds."""
        return self._wait(self._requests, n, timeout, "requests came")

    def start(self) -> None:
        self._spawn(self._accept)

    def stop(self) -> None:
        """End every connection and every thread. Idempotent."""
        self._bell.close()
        while self._threads:
            thread = self._threads.pop()
            thread.join(timeout=10)
            if thread.is_alive():
                raise RuntimeError(f"{thread.name} does not end")
        self._listener.close()
        self.stopping.close()

    def answer_to(self, seen: Seen) -> Answer:
        """Note the request and take the next answer from its path's script."""
        with self._changed:
            self._requests.append(seen)
            self._changed.notify_all()
            script = self._scripts.get(seen.path)
            if script is None:
                return error(404, message=f"nothing is scripted for {seen.path}")
            answer = script[0] if len(script) == 1 else script.pop(0)
        return answer(seen) if callable(answer) else answer

    def note_closed(self, closed: Closed) -> None:
        with self._changed:
            self._closed.append(closed)
            self._changed.notify_all()

    def _wait(self, journal: Sequence[Any], n: int, timeout: float, what: str) -> list[Any]:
        with self._changed:
            if not self._changed.wait_for(lambda: len(journal) >= n, timeout):
                raise AssertionError(f"{len(journal)} of {n} {what} within {timeout} s")
            return list(journal)

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=f"upstream-{self.port}")
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        for number in itertools.count():
            if self.stopping.fileno() in _ready(
                {self._listener: select.POLLIN, self.stopping: select.POLLIN}
            ):
                return
            sock, _ = self._listener.accept()
            self._spawn(_Connection(self, sock, number).run)


class _Gone(Exception):
    """The connection is over; the argument says by whom."""


class _Connection:
    """One connection: requests one after another, each with its answer."""

    def __init__(self, upstream: Upstream, sock: socket.socket, number: int) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upstream = upstream
        self._sock = sock
        self._number = number
        self._buffer = b""
        self._phase: Phase = "idle"
        self._requests = 0

    def run(self) -> None:
        by = "server"
        try:
            while True:
                seen = self._read_request()
                self._requests += 1
                self._phase = "headers"
                self._reply(self._upstream.answer_to(seen), head_only=seen.method == "HEAD")
                self._phase = "idle"
        except _Gone as gone:
            by = str(gone)
        finally:
            self._sock.close()
            self._upstream.note_closed(
                Closed(self._number, by, self._phase, self._requests, time.monotonic())  # type: ignore[arg-type]
            )

    def _read_request(self) -> Seen:
        self._phase = "request" if self._buffer else "idle"
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Seen(method, target, headers, body, time.monotonic(), self._number)

    def _more(self) -> None:
        self._watch(None)
        self._phase = "request"

    def _reply(self, answer: Answer, head_only: bool) -> None:
        for step in answer.before_headers:
            self._do(step, chunked=False)
        self._send(_head(answer))
        self._phase = "body"
        if head_only:
            return
        for step in answer.steps:
            self._do(step, answer.chunked)
        if answer.chunked:
            self._send(b"0\r\n\r\n")
        if answer.until_close:
            self._phase = "idle"
            raise _Gone("server")

    def _do(self, step: Step, chunked: bool) -> None:
        self._watch(0)
        match step:
            case bytes():
                self._send(b"%x\r\n%b\r\n" % (len(step), step) if chunked and step else step)
            case Raw(data):
                self._send(data)
            case Pause(seconds):
                self._pause(seconds)
            case Hang():
                self._pause(float("inf"))
            case End():
                raise _Gone("server")
            case Reset():
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Gone("server")

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._watch(None if left == float("inf") else left)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self._watch(None, writing=True)
            except OSError:
                raise _Gone("client") from None

    def _watch(self, timeout: float | None, *, writing: bool = False) -> None:
        """Wait for the client: keep what it sends, and notice when it leaves or the server stops."""
        wanted = select.POLLIN | (select.POLLOUT if writing else 0)
        ready = _ready({self._sock: wanted, self._upstream.stopping: select.POLLIN}, timeout)
        if self._upstream.stopping.fileno() in ready:
            raise _Gone("server")
        if not ready.get(self._sock.fileno(), 0) & ~select.POLLOUT:
            return
        try:
            data = self._sock.recv(1 << 16)
        except OSError:
            raise _Gone("client") from None
        if not data:
            raise _Gone("client")
        self._buffer += data


def _head(answer: Answer) -> bytes:
    headers = list(answer.headers)
    if answer.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif answer.until_close:
        headers.append(("Connection", "close"))
    elif "content-length" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Length", str(len(answer.body))))
    lines = [f"HTTP/1.1 {answer.status} Told"] + [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _ready(wanted: Mapping[socket.socket, int], timeout: float | None = None) -> dict[int, int]:
    """`poll`, as a mapping of file descriptor → events; its resolution is a millisecond."""
    poll = select.poll()
    for sock, events_wanted in wanted.items():
        poll.register(sock, events_wanted)
    return dict(poll.poll(None if timeout is None else timeout * 1000))


def nobody() -> str:
    """The URL of a port on which nobody listens: connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"http://127.0.0.1:{sock.getsockname()[1]}{BASE}"


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """The URL of a port that neither accepts nor refuses: connecting takes for ever.

    The queue of a listener that never accepts is filled; Linux then drops further SYNs.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{BASE}"
