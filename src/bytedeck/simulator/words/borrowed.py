"""Words of another server: an OpenAI-compatible one says the text, everything else stays the simulator's."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..refusals import named as refusals
from ..settings import LOOPBACK, Settings
from ..shapes import Answer, Call, Piece, Refusal
from . import language as words

_SECONDS = 120.0
_MOST_TOKENS = 512
_MOST_BYTES = 4 * 1024 * 1024
_PROBED = 2.0
"""Seconds for the first look, which holds up the start."""
_FAILURES = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError)
_PASSED = ("temperature", "top_p", "seed", "stop")


async def spoken(
    settings: Settings,
    call: Call,
    answer: Answer,
    left: Callable[[], Awaitable[None]],
    note: Callable[[str], None],
) -> Answer:
    """The answer with the other server's words, where it has any of its own to be replaced.

    Raises Refusal (502) where that server does not answer, and gives the reason to `note`; or where it does not before
    the client has `left`.
    """
    if not any(piece.kind == "content" for piece in answer.pieces) or call.response_format:
        return answer
    try:
        text = await _unless(left, settings, _body(settings, call))
    except Refusal as exc:
        if exc.__cause__ is not None:  # it failed; else the client left
            note(f"no words from {settings.words_from}: {_why(exc.__cause__)}")
        raise
    pieces = tuple(Piece("content", token, 1) for token in words.split(text))
    others = [piece for piece in answer.pieces if piece.kind not in ("content", "annotation")]
    first = [piece for piece in others if piece.kind in ("reasoning", "details")]
    last = [piece for piece in others if piece.kind not in ("reasoning", "details")]
    whole = (*first, *pieces, *last)
    counts = replace(answer.counts, completion=sum(piece.tokens for piece in whole))
    return replace(answer, pieces=whole, counts=counts)


async def _unless(left: Callable[[], Awaitable[None]], settings: Settings, body: bytes) -> str:
    """What the server says. A thread of its own that nobody waits for: neither a client that left nor the program's end."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[str] = loop.create_future()

    def ask() -> None:
        try:
            text = _ask(settings, body)
        except Refusal as exc:
            _tell(loop, said, exc)
        else:
            _tell(loop, said, text)

    threading.Thread(target=ask, name="borrowed words", daemon=True).start()
    gone = asyncio.ensure_future(left())
    try:
        await asyncio.wait((said, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
    if not said.done():
        said.cancel()
        raise _silent(settings.words_from)
    return said.result()


def _tell(loop: asyncio.AbstractEventLoop, said: asyncio.Future[str], told: str | Refusal) -> None:
    """From the thread: give the loop what came, if anybody still waits for it."""

    def give() -> None:
        if said.done():
            return
        if isinstance(told, Refusal):
            said.set_exception(told)
        else:
            said.set_result(told)

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(give)


def _body(settings: Settings, call: Call) -> bytes:
    messages = [
        {"role": _role(message), "content": words.text_of(message.get("content"))}
        for message in call.messages
        if message.get("content")
    ]
    body: dict[str, Any] = {
        "model": settings.words_model,
        "messages": messages,
        "max_tokens": min(call.max_tokens or _MOST_TOKENS, _MOST_TOKENS),
    }
    body |= {name: call.body[name] for name in _PASSED if call.body.get(name) is not None}
    return json.dumps(body).encode()


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    return role if role in ("system", "assistant") else "user"


def _ask(settings: Settings, body: bytes) -> str:
    url = settings.words_from.rstrip("/") + "/chat/completions"
    headers = {"content-type": "application/json"}
    if settings.words_key:
        headers["authorization"] = f"Bearer {settings.words_key}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked with the settings
    try:
        with _opener(url).open(request, timeout=_SECONDS) as reply:
            told = json.loads(reply.read(_MOST_BYTES))
        return str(told["choices"][0]["message"]["content"] or "")
    except urllib.error.HTTPError as exc:
        exc.close()
        raise _silent(url) from exc
    except _FAILURES as exc:
        raise _silent(url) from exc


def trouble(settings: Settings) -> str:
    """Why the other server cannot be reached at this moment; "" where it answers, whatever it says."""
    headers = {"authorization": f"Bearer {settings.words_key}"} if settings.words_key else {}
    try:
        url = settings.words_from.rstrip("/") + "/models"
        request = urllib.request.Request(url, None, headers)  # noqa: S310 - checked with the settings
        _opener(url).open(request, timeout=_PROBED).close()
    except urllib.error.HTTPError as exc:
        exc.close()
    except _FAILURES as exc:
        return _why(exc)
    return ""


def _opener(url: str) -> urllib.request.OpenerDirector:
    # No proxy stands between this machine and itself.
    proxies: dict[str, str] | None = {} if urlsplit(url).hostname in LOOPBACK else None
    return urllib.request.build_opener(urllib.request.ProxyHandler(proxies))


def _why(exc: BaseException) -> str:
    """A failure as a phrase."""
    if isinstance(exc, urllib.error.HTTPError):
        return f"HTTP {exc.code}"
    if isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, OSError):
        exc = exc.reason
    if isinstance(exc, TimeoutError):
        return "it takes too long"
    if isinstance(exc, OSError):
        return exc.strerror or str(exc) or type(exc).__name__
    return "it does not speak HTTP" if isinstance(exc, http.client.HTTPException) else "no chat completion"


def _silent(url: str) -> Refusal:
    return refusals.make("provider_unavailable", provider="Borrowed words", raw=f"no answer from {url}")
