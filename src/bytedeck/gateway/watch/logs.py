"""The gateway's log on stderr: one line for each request, and what has to be told besides.

No words of a prompt or an answer, no header, no query, no key. A line is written by a thread of its own: a stderr that
nobody reads, or that is closed, holds up no request.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

import msgspec
from msgspec import Struct

from ...config.names import without_keys
from ...money import to_text
from ..settings import Form
from .record import ANSWERED, LEFT, Record

_encode = msgspec.json.Encoder().encode
_TOGETHER = 0.05
"""Seconds in which the lines of requests are gathered for one write."""
_MOST_WAITING = 4 << 20
"""Bytes that may wait for a slow stderr; what comes then is lost, and told as such."""
_FOR_GOOD = frozenset({errno.EPIPE, errno.EBADF, errno.EINVAL})
"""What a stderr says that will never take anything again; a disk that is full may have room later."""
_LAST_WORDS = 1.0
_AT_ONCE = 4096
"""Bytes that a pipe takes in one piece, whoever else writes to it."""
_LONGEST_PATH = 200
_QUIET = frozenset({"health"})
"""What is asked every few seconds by machines is told only where it fails."""
_LOGGERS = ("bytedeck", "asyncio", "uvicorn")


class Log:
    """Writes in one form. `request` is for the event loop's thread, `say` for any."""

    def __init__(self, form: Form, write: Callable[[bytes], object] | None = None) -> None:
        """`write`: where the bytes go; may block, and raise OSError when there is nobody any more."""
        self._form = _FORMS.get(form)
        self._write = write or _to_stderr
        self._parts: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lost = 0
        self._waiting = 0
        """Bytes in the queue."""
        self._counting = threading.RLock()  # a finalizer may log while we count
        self._handler = _Handler(self)
        if self._form is not None:
            for name in _LOGGERS:
                logging.getLogger(name).addHandler(self._handler)

    def request(self, record: Record) -> None:
        """A request has ended."""
        if self._form is None or (record.protocol in _QUIET and record.status < 400):
            return
        self._parts.append(self._form[0](record))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._flush)

    def say(self, level: str, message: str, **more: Any) -> None:
        """Something that is not a request's."""
        if self._form is not None:
            self._put(self._form[1](level, message, more))

    def close(self) -> None:
        """Write what waits, for a second at most. Nothing is written afterwards."""
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self._handler)
        self._flush()
        self._form = None
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_LAST_WORDS)

    def _flush(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        parts, self._parts = self._parts, []
        if parts:
            self._put(b"".join(parts), len(parts))

    def _put(self, data: bytes, lines: int = 1) -> None:
        with self._counting:
            if self._waiting >= _MOST_WAITING:
                self._lost += lines
                return
            lost, self._lost = self._lost, 0
            if lost and self._form is not None:
                told = f"{lost} lines of this log are lost: nobody took them."
                data = self._form[1]("warning", told, {}) + data
            self._waiting += len(data)
            self._queue.put(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bytedeck-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        is_there = True
        while (data := self._queue.get()) is not None:
            with self._counting:
                self._waiting -= len(data)
            if is_there:
                is_there = self._written(data)

    def _written(self, data: bytes) -> bool:
        """Write; whether there is any sense in writing more."""
        try:
            self._write(data)
        except OSError as exc:
            with self._counting:
                self._lost += data.count(b"\n")
            return exc.errno not in _FOR_GOOD
        except (ValueError, AttributeError):  # closed, or there never was one
            return False
        return True


class _Handler(logging.Handler):
    """Warnings of the library, as lines of the same log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        # Without the traceback: a local variable of a frame may be a prompt, and the message names the place.
        self._log.say(record.levelname.lower(), record.getMessage(), logger=record.name)


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told of a request, in this order; what there is nothing of is left out."""

    ts: str
    level: str
    request: str = ""
    key: str = ""
    protocol: str
    method: str
    path: str
    status: int
    outcome: str
    task: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    attempts: int = 0
    seams: int = 0
    client: str = ""
    cost_usd: msgspec.Raw | None = None
    ttft_ms: float | None = None
    duration_ms: float


def told(record: Record) -> Line:
    """A request as it is told."""
    path = _plain(record.path[:_LONGEST_PATH])
    return Line(
        ts=_now(),
        level=_level(record),
        request=record.id,
        key=record.caller or record.key,
        protocol=record.protocol,
        method=record.method,
        path=without_keys(path) if "sk-" in path else path,
        status=record.status,
        outcome=record.outcome,
        task=record.task,
        model=_plain(record.model),
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        attempts=len(record.attempts),
        seams=record.seams,
        client=record.client,
        cost_usd=None if record.cost_units is None else msgspec.Raw(to_text(record.cost_units).encode()),
        ttft_ms=None if record.first is None else round(record.first * 1000, 1),
        duration_ms=round(record.seconds * 1000, 1),
    )


def _level(record: Record) -> str:
    if record.status >= 500:
        return "error"
    is_well = record.status < 400 and record.outcome in (ANSWERED, LEFT)
    return "info" if is_well else "warning"  # a stream that broke off has a status of 200


@lru_cache(maxsize=2)
def _second(at: int, is_here: bool) -> str:
    """Second → its text in UTC, or the time of day here: most lines share theirs with the line before."""
    if is_here:
        return time.strftime("%H:%M:%S", time.localtime(at))
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _now() -> str:
    second, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(second, False)}.{rest // 1_000_000:03d}Z"


def line(level: str, message: str, **more: Any) -> str:
    """One line of a log in JSON, for who has something to say before there is one."""
    return _json_message(level, message, more).decode().rstrip()


def _json(record: Record) -> bytes:
    return _encode(told(record)) + b"\n"


def _json_message(level: str, message: str, more: Mapping[str, Any]) -> bytes:
    return _encode({"ts": _now(), "level": level, "message": _plain(without_keys(message)), **more}) + b"\n"


_SHOWN = (
    "key",
    "task",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "seams",
    "ttft_ms",
    "client",
    "request",
)


def _text(record: Record) -> bytes:
    """`15:04:45 info    POST /v1/messages 200 answered … 812 ms`: as a person reads it."""
    found = told(record)
    words = [f"{found.level:<7}", found.method, _joined(found.path), str(found.status), found.outcome]
    words += [f"{name}={_joined(_shown(value))}" for name in _SHOWN if (value := getattr(found, name))]
    return f"{_second(int(time.time()), True)} {' '.join(words)} {found.duration_ms:g} ms\n".encode()


def _text_message(level: str, message: str, more: Mapping[str, Any]) -> bytes:
    return f"{_second(int(time.time()), True)} {level:<7} {_plain(without_keys(message))}\n".encode()


def _shown(value: object) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)


# Form → how a request is told, and how a sentence is.
_FORMS: dict[str, tuple[Callable[[Record], bytes], Callable[[str, str, Mapping[str, Any]], bytes]]] = {
    "json": (_json, _json_message),
    "text": (_text, _text_message),
}


def _plain(text: str) -> str:
    """On one line, and nothing that a terminal obeys, whatever a client wrote."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _joined(text: str) -> str:
    """As one word, so that no client writes columns of its own."""
    return text.replace(" ", "%20") if " " in text else text


def _to_stderr(data: bytes) -> None:
    write_lines(sys.stderr.fileno(), data)


def write_lines(fd: int, data: bytes) -> None:
    """All of it, a few whole lines at a time: several processes may write to one pipe. Raises OSError."""
    held = b""
    for line in data.splitlines(keepends=True):
        if held and len(held) + len(line) > _AT_ONCE:
            _write(fd, held)
            held = b""
        held += line
    _write(fd, held)


def _write(fd: int, data: bytes) -> None:
    """Also where it takes a part at a time, or does not block."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            time.sleep(_TOGETHER)
