"""A script that answers instead of a model: for our users' own tests, and for ours.

It speaks the wire's language, so all that stands above the wire runs for real: routing,
decoding, retries, fall-backs, the ledger. It waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, json

from ..codec import faults
from ..codec.encode import chat_stream
from ..errors import TABLE, ByteError
from ..types import Reply, Request
from .wire import Late, WireError

# A number that no float holds is infinite here; what a real upstream makes of it is its own matter.
_decode = json.Decoder(float_hook=float).decode

Item = str | bytes | Reply | type[ByteError] | tuple[str, str]


class _Act(Struct, frozen=True):
    """How one request is answered."""

    status: int
    pieces: tuple[bytes, ...]
    end: str = ""
    """"": cleanly; else "late" or the phase in which it breaks."""


class _Player:
    """Which answer comes next, and what was asked."""

    def __init__(self, *script: Any) -> None:
        self._acts = [_act(item) for item in script] or [_act("")]
        self.requests: list[dict[str, Any]] = []
        """The bodies of all requests so far, in their order."""
        self.waits: list[float] = []
        """The pauses that would have been made, in seconds."""

    def _next(self, request: Request) -> _Act:
        self.requests.append(_decode(request.body) if request.body else {})
        return self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]


class _Lines:
    """One scripted connection. Strict: it is good for nothing after its end."""

    def __init__(self, act: _Act) -> None:
        self._act = act
        self._left = list(act.pieces)
        self._closed = False

    def _open(self) -> tuple[int, dict[str, str]]:
        if self._act.end in ("connect", "headers"):
            raise WireError("connect" if self._act.end == "connect" else "headers", "the script says so")
        if self._act.end == "silent":
            raise Late
        kind = "text/event-stream" if self._act.status == 200 else "application/json"
        return self._act.status, {"content-type": kind}

    def _read(self) -> bytes:
        if self._closed:
            raise RuntimeError("a closed line was read")
        if self._left:
            return self._left.pop(0)
        if self._act.end == "late":
            raise Late
        if self._act.end == "body":
            raise WireError("body", "the script says so")
        return b""

    def close(self, whole: bool) -> None:
        self._closed = True


class _Line(_Lines):
    def __init__(self, act: _Act) -> None:
        super().__init__(act)
        self._is_killed = False

    def open(self, until: float) -> tuple[int, dict[str, str]]:
        if self._is_killed:
            raise WireError("headers", "killed")
        return self._open()

    def read(self, until: float) -> bytes:
        if self._is_killed:
            raise WireError("body", "killed")
        return self._read()

    def kill(self) -> None:
        self._is_killed = True


class _AsyncLine(_Lines):
    async def open(self) -> tuple[int, dict[str, str]]:
        await asyncio.sleep(0)
        return self._open()

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self._read()

    def ready(self) -> bytes:
        return b""


class Script(_Player):
    """A blocking wire that plays a script."""

    def line(self, request: Request) -> _Line:
        return _Line(self._next(request))

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def close(self) -> None:
        """Nothing to let go of."""


class AsyncScript(_Player):
    """An async wire that plays a script."""

    def line(self, request: Request) -> _AsyncLine:
        return _AsyncLine(self._next(request))

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def aclose(self) -> None:
        """Nothing to let go of."""


# How a wire shows the faults that are no words of an upstream.
_ENDS: Mapping[str, str] = {
    "connect_failed": "connect",
    "connection_lost": "headers",
    "headers_timeout": "silent",
    "first_event_timeout": "late",
    "idle_timeout": "late",
    "truncated": "body",
}
# And the in-band ones.
_IN_BAND: Mapping[str, bytes] = {
    "malformed": b"data: {nonsense\n\n",
    "provider_error": b'data: {"error":{"code":502,"message":"Provider returned error"}}\n\n',
    "empty_answer": b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "content_filtered": b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}\n\n',
}


def _act(item: Any) -> _Act:
    if isinstance(item, bytes):
        return _Act(200, (item,))
    if isinstance(item, str) and item not in TABLE:
        return _Act(200, tuple(chat_stream(Reply(text=item, finish_reason="stop"))))
    if isinstance(item, Reply):
        return _Act(200, tuple(chat_stream(item)))
    code, words = item if isinstance(item, tuple) else (item, "")
    if isinstance(code, type) and issubclass(code, ByteError):
        code = code.code
    if code not in TABLE:
        raise ValueError(
            f"a script cannot play {item!r}: it takes texts, bytes, Replies, errors and codes of errors"
        )
    return _failure(code, words)


def _failure(code: str, words: str) -> _Act:
    """A fault of `TABLE`, after some words."""
    spoken = (_words(words),) if words else ()
    if code in _ENDS:
        return _Act(200, spoken, _ENDS[code])
    if code in _IN_BAND:
        return _Act(200, (*spoken, _IN_BAND[code]))
    return _refusal(code)


def _refusal(code: str) -> _Act:
    """What an upstream says that is read as this code. Raises ValueError where no upstream says it."""
    status = TABLE[code].http_status
    kinds = [kind for kind, read in faults.TYPES.items() if read == code]
    for told in ({}, *({"error_type": kind} for kind in kinds)):
        body = json.encode({"error": {"code": status, "message": TABLE[code].sentence, "metadata": told}})
        if faults.from_response(status, {}, body).code == code:
            return _Act(status, (body,))
    raise ValueError(f"a script cannot play {code!r}: no answer of a model's server means that")


def _words(words: str) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {"content": words}}]}
    return b"data: " + json.encode(chunk) + b"\n\n"
