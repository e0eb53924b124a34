"""How soon watchers of a debate read what a model writes: from the upstream's write to the last watcher's read.

    python bench/watchers.py [--watchers 200] [--rate 50] [--tokens 300] [--runs 3]

Three processes on one machine: an upstream that writes the moment into each chunk, `byte serve`, and the watchers, each
with a connection of its own. Two fighters speak at once, `rate` chunks a second each. A chunk counts once all have read it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

import upstream

BYTE = Path(sys.executable).parent / "byte"
STARTING = 60.0
_WORDS = re.compile(rb'"type":"words"[^\n]*')
_STAMP = re.compile(rb" (\d{10,20})\b")


class Stamped(upstream.Upstream):
    """Each chunk says when it was written: nanoseconds of the machine's clock that never goes back."""

    tokens, pause = 300, 0.02

    def _chat(self, body: bytes) -> None:
        self._transport.write(upstream.writes(1, 1)[0].split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n")
        self._say(self.tokens)

    def _say(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if not left:
            end = upstream._chunk("", "stop", usage=upstream.usage(self.tokens))
            self._transport.write(
                upstream._framed(end) + upstream._framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
            )
            return
        self._loop.call_later(self.pause, self._say, left - 1)
        self._transport.write(upstream._framed(upstream._chunk(f" {time.monotonic_ns()}")))


async def serve_upstream(tokens: int, rate: float) -> None:
    """Until stdin ends."""
    Stamped.tokens, Stamped.pause = tokens, 1 / rate
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stamped, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class Crowd:
    """All watchers, and when the last of them read each chunk."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read: Counter[bytes] = Counter()
        self.last: dict[bytes, int] = {}
        self.every: list[float] = []
        """Milliseconds, of every watcher and chunk."""
        self.came: list[list[tuple[int, bytes]]] = []
        self.joined = 0
        """When the last of them heard its first byte."""
        self.over = asyncio.Event()
        self.open = size

    def heard(self, data: bytes, now: int) -> None:
        for words in _WORDS.findall(data):
            for stamp in _STAMP.findall(words):
                self.read[stamp] += 1
                self.last[stamp] = max(now, self.last.get(stamp, 0))
                self.every.append((now - int(stamp)) / 1e6)

    def left(self, came: list[tuple[int, bytes]]) -> None:
        self.came.append(came)
        self.open -= 1
        if not self.open:
            self.over.set()

    def count(self) -> None:
        """Look at all that came; an event counts when its last byte is there."""
        for came in self.came:
            held = b""
            for now, data in came:
                whole, end, rest = (held + data).rpartition(b"\n\n")
                held = rest if end else whole + rest
                if end:
                    self.heard(whole + b"\n", now)

    def lasts(self) -> list[float]:
        """Milliseconds until the last watcher had read it, of each chunk that all have read."""
        return sorted(
            (self.last[one] - int(one)) / 1e6 for one, count in self.read.items() if count == self.size
        )


class Watcher(asyncio.Protocol):
    """One connection."""

    def __init__(self, crowd: Crowd, path: str) -> None:
        self._crowd, self._path = crowd, path
        self._came: list[tuple[int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        head = f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        transport.write(head.encode())  # type: ignore[union-attr]

    def data_received(self, data: bytes) -> None:
        if not self._came:
            self._crowd.joined = time.monotonic_ns()
        self._came.append((time.monotonic_ns(), data))  # read later: the watchers share one core

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.left(self._came)


class Figures(NamedTuple):
    """Milliseconds to the last watcher, and CPU seconds of the gateway a second."""

    chunks: int
    median: float
    p99: float
    worst: float
    each: float
    """The median over all watchers."""
    cpu: float


@contextlib.contextmanager
def processes(tokens: int, rate: float) -> Iterator[tuple[int, int]]:
    """The gateway's port and process id."""
    upstream_ = subprocess.Popen(
        [sys.executable, __file__, "--upstream", "--tokens", str(tokens), "--rate", str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert upstream_.stdout
    up = int(upstream_.stdout.readline())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "BYTE_HOME": home, "LANG": "C.UTF-8"}
        environment |= {
            "OPENROUTER_API_KEY": "sk-or-v1-" + "0" * 64,
            "OPENROUTER_BASE_URL": f"http://127.0.0.1:{up}/api/v1",
        }
        gateway = subprocess.Popen(
            [BYTE, "serve", "--port", str(port)],
            env=environment,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait(port)
            yield port, gateway.pid
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(20)
            upstream_.communicate(timeout=20)


def _wait(port: int) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if _ask(port, "GET", "/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise SystemExit("The gateway did not start.")


def _ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        raw = None if body is None else json.dumps(body)
        connection.request(method, path, raw, {"Content-Type": "application/json"} if raw else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


async def measure(port: int, pid: int, watchers: int) -> Figures:
    """One debate of one round, watched by so many from its beginning."""
    asked = {
        "topic": "What time is it?",
        "fighters": [upstream.MODEL, upstream.MODEL],
        "rounds": 2,
        "judges": 0,
        "commentator": "",
        "max_tokens": 4096,
    }
    # Begun before anybody watches: who comes first hears the past, which is no chunk of this moment.
    status, told = await asyncio.to_thread(_ask, port, "POST", "/v1/arena/debates", asked)
    if status != 201:
        raise SystemExit(f"The debate was refused: {told}")
    loop = asyncio.get_running_loop()
    crowd = Crowd(watchers)
    path = told["links"]["events"]
    await asyncio.gather(
        *(loop.create_connection(lambda: Watcher(crowd, path), "127.0.0.1", port) for _ in range(watchers))
    )
    began, cpu = time.monotonic_ns(), _cpu(pid)
    await crowd.over.wait()
    used = (_cpu(pid) - cpu) / (time.monotonic_ns() - began) * 1e9
    crowd.count()
    began = crowd.joined + 200_000_000
    for stamp in [one for one in crowd.read if int(one) < began]:  # while they came
        del crowd.read[stamp]
    found, every = crowd.lasts(), sorted(crowd.every)
    return Figures(len(found), _share(found, 0.5), _share(found, 0.99), found[-1], _share(every, 0.5), used)


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _cpu(pid: int) -> float:
    """CPU seconds of a process (Linux)."""
    return time.clock_gettime((~pid << 3) | 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--watchers", type=int, nargs="+", default=[200])
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.upstream:
        uvloop.run(serve_upstream(told.tokens, told.rate))
        return
    print(f"2 fighters x {told.rate:g} chunks/s, {os.cpu_count()} cores; milliseconds to the last watcher")
    print("| watchers | chunks | median | p99 | worst | median of all | gateway's CPU | load |")
    print("|---|---|---|---|---|---|---|---|")
    with processes(told.tokens, told.rate) as (port, pid):
        for watchers in told.watchers:
            for _ in range(told.runs):
                one = uvloop.run(measure(port, pid, watchers))
                print(
                    f"| {watchers} | {one.chunks} | {one.median:.1f} | {one.p99:.1f} | {one.worst:.1f} | {one.each:.1f} "
                    f"| {one.cpu:.0%} | {os.getloadavg()[0]:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
