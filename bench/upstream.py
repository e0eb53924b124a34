"""A fast fake OpenRouter for measuring: asyncio, one process, every byte made beforehand.

    python upstream.py          prints its port, runs until its stdin is closed

A marker in the prompt says what to answer, so that it gets here through any client:

    [[n=1000 per=100 us=4000 pid=42]]

A stream of `n` chunks, `per` chunks a write, `us` microseconds between the writes (0: all at once).
`pid` notes when the request came and how much CPU that process had used by then; GET /arrival?<pid>
tells. As with servers that flush each event, each event is an HTTP chunk of its own.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
import time
from typing import Any, cast

MODEL = "openai/gpt-4o-mini"
_GENERATION = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
_MARKER = re.compile(rb"\[\[(.*?)\]\]")
_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)

arrivals: dict[int, dict[str, float]] = {}


def _chunk(content: str, finish: str | None = None, **more: Any) -> bytes:
    delta = {"role": "assistant", "content": content}
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish,
        "native_finish_reason": finish,
        "logprobs": None,
    }
    event = {
        "id": _GENERATION,
        "provider": "OpenAI",
        "model": MODEL,
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "system_fingerprint": None,
        "choices": [choice],
    } | more
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


WORDS = (" lorem", " ipsum", " dolor", " magna")
"""What the chunks say in turn: about a token each, as real ones do. The event around has some 320 bytes.
Not always the same word, for one of the clients takes that for a model gone mad and raises."""


def usage(n: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 120,
        "completion_tokens": n,
        "total_tokens": 120 + n,
        "cost": 0.000378,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": 0.0001,
            "upstream_inference_completions_cost": 0.000278,
        },
    }


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@functools.cache
def writes(n: int, per: int) -> list[bytes]:
    """A stream's writes: the headers go with the first group, the end with the last."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        b"X-Generation-Id: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % _GENERATION.encode()
    )
    # The usage comes on the finish chunk: one of the official SDKs refuses it on a chunk of its own.
    end = _framed(_chunk("", "stop", usage=usage(n))) + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    said = [_framed(_chunk(word)) for word in WORDS]
    every = [said[at % len(WORDS)] for at in range(n)]
    groups = [b"".join(every[at : at + per]) for at in range(0, n, per)]
    groups[0] = head + _framed(b": OPENROUTER PROCESSING\n\n") + groups[0]
    groups[-1] += end
    return groups


@functools.cache
def completion(n: int) -> bytes:
    """The same answer in one piece, for who asks for no stream."""
    message = {
        "role": "assistant",
        "content": "".join(WORDS[at % len(WORDS)] for at in range(n)),
        "refusal": None,
        "reasoning": None,
    }
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "native_finish_reason": "stop",
        "logprobs": None,
    }
    body = {
        "id": _GENERATION,
        "provider": "OpenAI",
        "model": MODEL,
        "object": "chat.completion",
        "created": 1790000000,
        "system_fingerprint": None,
        "choices": [choice],
        "usage": usage(n),
    }
    return _json(body, (f"X-Generation-Id: {_GENERATION}",))


def _json(body: Any, headers: tuple[str, ...] = ()) -> bytes:
    data = json.dumps(body, separators=(",", ":")).encode()
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + data


def _cpu_of(pid: int) -> float:
    """CPU seconds of all threads of another process, ended ones too: Linux' clock of that process."""
    return time.clock_gettime((~pid << 3) | 2)


class Upstream(asyncio.Protocol):
    """One connection, one request at a time on it."""

    def __init__(self) -> None:
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        body, self._buffer = rest[:size], rest[size:]
        if head.startswith(b"POST"):
            self._chat(body)
        else:
            self._get(head.split(b" ", 2)[1].decode())

    def _get(self, target: str) -> None:
        path, _, query = target.partition("?")
        if path == "/arrival":
            self._transport.write(_json(arrivals.get(int(query))))
        else:
            pricing = {"prompt": "0.00000015", "completion": "0.0000006"}
            model = {"id": MODEL, "name": "GPT-4o mini", "context_length": 128000, "pricing": pricing}
            self._transport.write(_json({"data": [model]}))

    def _chat(self, body: bytes) -> None:
        marker = _MARKER.search(body)
        pairs = (pair.split("=") for pair in (marker[1].decode() if marker else "").split())
        asked = {name: int(value) for name, value in pairs}
        if pid := asked.get("pid"):
            arrivals.setdefault(pid, {"at": time.monotonic(), "cpu": _cpu_of(pid)})
        n, pause = asked.get("n", 1), asked.get("us", 0) / 1e6
        if not _STREAM.search(body):
            self._transport.write(completion(n))
            return
        groups = writes(n, asked.get("per", n))
        if pause:
            self._paced(groups, 0, pause)
        else:
            self._transport.write(b"".join(groups))

    def _paced(self, groups: list[bytes], at: int, pause: float) -> None:
        """Each write sets off the next one: a late one is never made up for by two in a row."""
        if self._transport.is_closing():
            return
        self._transport.write(groups[at])
        if at + 1 < len(groups):
            self._loop.call_later(pause, self._paced, groups, at + 1, pause)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
