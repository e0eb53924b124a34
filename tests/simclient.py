"""A raw HTTP client for the simulator: what came on the connection, byte for byte, and how it ended."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bytedeck.simulator import Simulator

MODEL = "openai/gpt-4o-mini"
HI = [{"role": "user", "content": "hi"}]


@dataclass
class Came:
    """What a client saw."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    """The body ended as its framing says."""
    end: str = ""
    """"whole", "eof", "reset" or "timeout"."""
    packets: list[bytes] = field(default_factory=list)
    raw: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Decoded data of all events; "[DONE]" as it is. Takes any line ends, as the standard says."""
        text = self.body.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        found = []
        for block in text.split("\n\n"):
            lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
            if lines:
                data = "\n".join(lines)
                found.append(data if data == "[DONE]" else json.loads(data))
        return found

    @property
    def text(self) -> str:
        """The content of a chat stream."""
        return "".join(
            choice["delta"].get("content") or ""
            for event in self.events
            if isinstance(event, dict)
            for choice in event.get("choices") or ()
        )


def request_bytes(
    sim: Simulator, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """A whole request."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Host": urlsplit(sim.url).netloc, "Authorization": f"Bearer {sim.api_key}", "Connection": "close"}
    if data:
        told["Content-Type"] = "application/json"
    told |= {"Content-Length": str(len(data))} | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data


def connected(sim: Simulator, timeout: float) -> socket.socket:
    place = urlsplit(sim.url)
    return socket.create_connection((place.hostname, place.port), timeout)


def ask(
    sim: Simulator,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    timeout: float = 5.0,
) -> Came:
    """Send one request on a connection of its own and read to its end."""
    came = Came()
    with connected(sim, timeout) as line:
        line.sendall(request_bytes(sim, method, path, body, headers))
        came.end = _read(line, came, time.monotonic() + timeout)
    return _parsed(came, method)


def chat(sim: Simulator, model: str = MODEL, *, fault: str = "", timeout: float = 5.0, **body: Any) -> Came:
    """A chat completion."""
    headers = {"X-Sim-Fault": fault} if fault else {}
    headers |= body.pop("headers", {})
    told = {"model": model, "messages": HI} | body
    return ask(sim, "POST", "/api/v1/chat/completions", told, headers, timeout)


def streamed(sim: Simulator, fault: str, **more: Any) -> Came:
    return chat(sim, fault=fault, stream=True, **more)


def finishes(came: Came) -> list[Any]:
    choices = [
        choice for event in came.events if isinstance(event, dict) for choice in event.get("choices") or ()
    ]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"] is not None]


def settled(sim: Simulator) -> None:
    """Wait until the server has noticed that the client left: a turn of its loop, if the machine has time for it."""
    deadline = time.monotonic() + 10
    while sim.stats()["tasks"]:
        assert time.monotonic() < deadline, f"still open: {sim.stats()}"
        time.sleep(0.001)


def _read(line: socket.socket, came: Came, deadline: float) -> str:
    """Until the end, or the deadline of it all: comments must not prolong it."""
    with contextlib.suppress(TimeoutError):
        try:
            while part := line.recv(65_536):
                came.packets.append(part)
                line.settimeout(max(0.001, deadline - time.monotonic()))
        except ConnectionResetError:
            return "reset"
        return "eof"
    return "timeout"


def _parsed(came: Came, method: str) -> Came:
    came.raw = b"".join(came.packets)
    head, mark, rest = came.raw.partition(b"\r\n\r\n")
    if not mark:
        return came
    first, *lines = head.decode("latin-1").split("\r\n")
    came.status = int(first.split(" ")[1])
    came.headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
    if came.headers.get("transfer-encoding") == "chunked":
        came.body, came.whole = _unchunked(rest)
    else:
        came.body = rest
        came.whole = method == "HEAD" or len(rest) == int(came.headers.get("content-length", 0))
    if came.whole and came.end == "eof":
        came.end = "whole"
    return came


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    parts = []
    while rest:
        size, mark, after = rest.partition(b"\r\n")
        if not mark:
            break
        count = int(size, 16)
        if count == 0:
            return b"".join(parts), True
        parts.append(after[:count])
        rest = after[count + 2 :]
    return b"".join(parts), False
