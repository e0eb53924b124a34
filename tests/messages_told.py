"""Helpers of the tests of Anthropic's protocol: its official client reads bytes of ours, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import msgspec
from anthropic import Anthropic

from bytedeck.gateway.call import Call, Identity
from bytedeck.gateway.messages import Messages
from bytedeck.types import Delta, Reply

HI: Any = [{"role": "user", "content": "hi"}]
IDENTITY = Identity(request="0123456789abcdef" * 2, created=1)
SKIN = Messages()


def call(**body: Any) -> Call:
    """What a client asked for."""
    return SKIN.read(msgspec.json.encode({"model": "a/b", "messages": HI, **body}))


def streamed(deltas: Sequence[Delta], reply: Reply, asked: Call | None = None) -> bytes:
    """A whole stream, each Delta told by itself."""
    teller = SKIN.teller(asked or call(), IDENTITY)
    return b"".join([*(teller.deltas([delta]) for delta in deltas), teller.end(reply)])


def client(body: bytes, status: int = 200) -> Anthropic:
    """The official client, which is answered with these bytes."""
    kind = "text/event-stream" if body.startswith((b"event:", b":")) else "application/json"

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": kind})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Anthropic(api_key="none", base_url="http://127.0.0.1:9", http_client=http, max_retries=0)


def read_stream(body: bytes) -> Any:
    """The message that the client makes of a stream. Raises what the client raises."""
    with client(body) as claude, claude.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
        return stream.get_final_message()


def read_body(body: bytes) -> Any:
    """The message that the client makes of a body."""
    with client(body) as claude:
        return claude.messages.create(model="m", max_tokens=9, messages=HI)


def events(body: bytes) -> list[tuple[str, Any]]:
    """Name and data of each event; comments are no events."""
    found = []
    for event in body.decode().split("\n\n"):
        if event and not event.startswith(":"):
            name, data = event.split("\n")
            found.append((name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))))
    return found


def blocks(message: Any) -> list[dict[str, Any]]:
    """The content of a message without what was not said."""
    return [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
