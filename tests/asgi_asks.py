"""Questions to the gateway's application by the bare protocol, without a server and its sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from bytedeck.gateway.app import App

LOCAL = {"host": "127.0.0.1:4000"}


class Told(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: App,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: Any = b"",
    query: str = "",
) -> Told:
    """Ask, and wait for the end of the answer. What is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json"} | LOCAL | (headers or {})
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": raw, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if parts:
            return parts.pop()
        await asyncio.Event().wait()
        raise AssertionError("nothing ever comes")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in named.items() if value
        ],
        "client": ("127.0.0.1", 50000),
    }
    await app(scope, receive, send)
    told = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Told(sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:]))


def bearer(secret: str) -> dict[str, str]:
    """How a key is shown."""
    return {"authorization": f"Bearer {secret}"}
