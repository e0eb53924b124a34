"""Who sits at the ring: a client of the arena's routes, its streams, and a debate and a battle to ask for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any, NamedTuple

from gateways import Gateway, dial

MINI, SONNET = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"
DEBATE: dict[str, Any] = {
    "topic": "Tabs are better than spaces.",
    "fighters": [MINI, SONNET],
    "rounds": 2,
    "judges": 0,
    "commentator": "",
    "max_tokens": 24,
}
LONG: dict[str, Any] = DEBATE | {"max_tokens": 2000, "rounds": 9}
"""It lasts until somebody stops it."""
BATTLE: dict[str, Any] = {"prompt": "Explain recursion.", "models": [MINI, SONNET], "max_tokens": 24}


class Told(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stream:
    """A stream of events as it comes; all that came is kept."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._data = connection, b""

    def until(self, mark: bytes) -> bytes:
        """All that came, once this is in it."""
        while mark not in self._data and (piece := self._connection.recv(65536)):
            self._data += piece
        return self._data

    def events(self) -> list[dict[str, Any]]:
        """All of them, once it has ended."""
        return parsed(self.until(b"\r\n0\r\n\r\n"))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Asks with a key, or without."""

    def __init__(self, gateway: Gateway, secret: str = "") -> None:
        self.port, self.secret = gateway.port, secret
        self.heard = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Told:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.secret:
            sent["Authorization"] = f"Bearer {self.secret}"
        raw = None if body is None else json.dumps(body)
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, "/v1/arena" + path, raw, sent)
        answer = connection.getresponse()
        headers_told = {name.lower(): value for name, value in answer.getheaders()}
        found = Told(answer.status, headers_told, answer.read().decode())
        connection.close()
        self.heard += f"{found.headers}\n{found.body}\n"
        return found

    def begin(self, body: dict[str, Any] = DEBATE, **more: Any) -> str:
        found = self.ask("POST", "/battles" if "prompt" in body else "/debates", body | more)
        assert found.status == 201, found
        match: str = found.json["id"]
        return match

    def over(self, match: str) -> dict[str, Any]:
        """The match once it is over."""
        return until(lambda: (told := self.ask("GET", f"/matches/{match}").json)["end"] and told)

    def stream(self, match: str, query: str = "", *headers: str) -> Stream:
        shown = (f"Authorization: Bearer {self.secret}",) if self.secret else ()
        lines = [f"GET /v1/arena/matches/{match}/events{query} HTTP/1.1", "Host: 127.0.0.1", *shown, *headers]
        return Stream(dial(self.port, "\r\n".join([*lines, "", ""]).encode()))

    def events(self, match: str, query: str = "", *headers: str) -> list[dict[str, Any]]:
        """All of a stream that ends by itself."""
        with self.stream(match, query, *headers) as stream:
            return stream.events()


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream's bytes; each told by the fields it had: id, event, data."""
    _, _, rest = data.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not size or not (count := int(size, 16)):
            break
        body, rest = body + rest[:count], rest[count + 2 :]
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
        if "data" in fields:
            told = json.loads(fields["data"])
            found.append(
                {
                    "id": int(fields.get("id", "-1-0").rpartition("-")[0]),
                    "event": fields.get("event", ""),
                    "data": told,
                }
            )
    return found


def until(done: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What it says, once that is something."""
    for _ in range(int(seconds / 0.02)):
        if found := done():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


def counts(gateway: Gateway) -> tuple[float, ...]:
    """(Matches held there, watchers.)"""
    return tuple(ask() for ask in gateway.app.hall.gauges().values())
