"""One request that is answered: what drives it at one end, the client at the other.

The first words commit the status; until then an error has its own. Whoever leaves ends the upstream at once; whoever
reads slowly holds us in `send`, where no deadline runs.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from ..errors import TABLE, ByteError, InternalError, ModelUnavailable
from ..events import Started
from ..types import Ask, Delta, Reply
from .asgi import Headers, Receive, Send, header, headers_of, send_json
from .call import Call, Identity, Skin, Teller
from .load import Answer, Begin

Why = Literal["left", "closing"]
"""Why it is ended from outside: the client has hung up; the gateway is being shut down."""

_LOG = logging.getLogger("bytedeck.gateway")
_STREAM: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy in between shall not gather what is meant to be seen at once
]


class Exchange:
    """Answers one request. `run` it once, in a task of its own."""

    def __init__(
        self,
        skin: Skin,
        call: Call,
        ask: Ask,
        send: Send,
        begin: Begin,
        created: int,
    ) -> None:
        self._skin, self._call, self._ask, self._send, self._begin = skin, call, ask, send, begin
        self._identity = Identity(request=ask.id, created=created)
        self._headers: Headers = [(b"x-request-id", ask.id.encode())]
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._drive: Answer | None = None
        self._teller: Teller | None = None
        self.status = 0
        """The HTTP status that was told; 0: none yet."""
        self.reply: Reply | None = None
        """The whole answer, once it is there."""
        self.error: ByteError | None = None
        """How it ended otherwise."""
        self.first: float | None = None
        """When the first words of a stream were there, by the loop's clock."""
        self.why: Why | None = None
        """Why it was ended from outside."""
        self._is_over = False
        self._is_committed = False
        # Of the heartbeat: whether we wait for the upstream, when something was last written, who writes one.
        self._is_waiting = False
        self._wrote = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None

    def interrupt(self, why: Why) -> None:
        """End it now, from outside. The upstream is closed and settled; who is still there is told."""
        if self._is_over or self.why is not None or self._task is None:
            return
        self.why = why
        self._task.cancel()

    async def run(self, heartbeat: float) -> None:
        """Answer. Raises nothing of ours. `heartbeat`: seconds of silence in a stream that are worth a sign of life."""
        self._task = asyncio.current_task()
        try:
            await self._tell(heartbeat)
        except asyncio.CancelledError:
            if self.why is None or self._task is None:
                raise
            self._task.uncancel()
            if self.why == "closing":
                self._leave()
                await self._fail(_closing())
        finally:
            self._is_over = True
            if self._timer is not None:
                self._timer.cancel()
            if self._beat is not None:
                self._beat.cancel()
            self._leave()

    async def watch(self, receive: Receive) -> None:
        """Wait until the client hangs up, where the server has no other way to tell."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.interrupt("left")

    async def _tell(self, heartbeat: float) -> None:
        try:
            if self._call.streamed:
                await self._stream(heartbeat)
            else:
                await self._whole()
        except ByteError as error:
            await self._fail(error)
        except Exception as exc:  # noqa: BLE001 (the last stop before the client: it gets a sentence, not a torn connection)
            await self._fail(bug(exc, self._ask.id))

    async def _whole(self) -> None:
        drive = self._drive = await self._begin(self._ask, self._headers)
        while await drive.advance() is not None:
            pass
        reply = self.reply = drive.result
        body = self._skin.whole(self._call, reply, self._identity)
        self._headers.append((b"x-byte-model", header(reply.model)))
        self._headers += _passed_back(reply.headers)
        self._is_committed, self.status = True, 200
        await send_json(self._send, 200, body, self._headers)

    async def _stream(self, heartbeat: float) -> None:
        teller = self._teller = self._skin.teller(self._call, self._identity)
        self._wrote = self._loop.time()
        self._timer = self._loop.call_later(heartbeat, self._tick, heartbeat)
        self._is_waiting = True
        drive = self._drive = await self._begin(self._ask, self._headers)
        held: list[Delta] = []
        has_started = False
        while (deltas := await drive.advance()) is not None:
            self._is_waiting = False
            if not has_started:
                # What happens before the first words commits nothing: all may fail yet, with a status of its own.
                held += deltas
                has_started = self._is_started(deltas)
                self.first = self._loop.time() if has_started else None
                deltas = held if has_started else []
            if deltas and (data := teller.deltas(deltas)):
                if (
                    self._is_committed and self._beat is None
                ):  # as `_write` does it, for each chunk of a stream
                    self._wrote = self._loop.time()
                    await self._send({"type": "http.response.body", "body": data, "more_body": True})
                else:
                    await self._write(data)
            self._is_waiting = True
        self._is_waiting = False
        reply = self.reply = drive.result
        await self._write(teller.end(reply), more=False)

    def _is_started(self, deltas: list[Delta]) -> bool:
        for delta in deltas:
            if type(delta.event) is Started:
                self._headers.append((b"x-byte-model", header(delta.event.model)))
                self._headers += _passed_back(delta.event.headers)
                return True
        return False

    async def _fail(self, error: ByteError) -> None:
        """Tell an error: with its status, or within what has begun."""
        self._is_waiting, self.error = False, error
        if self._is_committed and self._teller is not None:
            await self._write(self._teller.broke(error), more=False)
        elif not self._is_committed:
            body, self.status = self._skin.refusal(error, self._identity), error.http_status
            await send_json(self._send, error.http_status, body, self._headers + headers_of(error))

    async def _write(self, data: bytes, more: bool = True) -> None:
        while self._beat is not None:  # it may be held up by a slow reader, as we are then
            await asyncio.wait({self._beat})  # which does not end it where we are ended
        if not self._is_committed:
            await self._commit()
        self._wrote = self._loop.time()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _commit(self) -> None:
        self._is_committed, self.status = True, 200
        start = {"type": "http.response.start", "status": 200, "headers": _STREAM + self._headers}
        await self._send(start)

    def _leave(self) -> None:
        if self._drive is not None:
            self._drive.leave()

    # -- the heartbeat ---------------------------------------------------------------------------

    def _tick(self, every: float) -> None:
        """The timer only ever has to ring early enough: it looks again when the silence is long enough."""
        silent = self._loop.time() - self._wrote
        if self._is_waiting and self._beat is None and silent >= every:  # one at a time, if it is held up
            self._beat = self._loop.create_task(self._live())
            silent = 0.0
        left = every - silent if self._is_waiting and self._beat is None else every
        self._timer = self._loop.call_later(max(0.0, left), self._tick, every)

    async def _live(self) -> None:
        try:
            if self._is_waiting:
                if not self._is_committed:
                    await self._commit()
                self._wrote = self._loop.time()
                await self._send(
                    {"type": "http.response.body", "body": self._skin.heartbeat, "more_body": True}
                )
        finally:
            self._beat = None


def _passed_back(told: tuple[tuple[str, str], ...]) -> Headers:
    return [(header(name), header(value)) for name, value in told]


def _closing() -> ByteError:
    return ModelUnavailable("The gateway is being shut down. Ask again.", code="unavailable")


def bug(exc: Exception, request: str) -> ByteError:
    """What the client is told of a bug of ours; where it was stands in the log."""
    # Not its message: nobody knows what it holds.
    trace, place = exc.__traceback__, ""
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {trace.tb_lineno}"
        trace = trace.tb_next
    _LOG.error("request %s: a bug: %s in %s", request, type(exc).__name__, place)
    return InternalError(TABLE["internal"].sentence)
