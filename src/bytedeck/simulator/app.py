"""The application: a request comes in, is noted, finds its route; a reply's steps go out, and that is noted too.

Raw ASGI: nothing stands between a stream's events and the connection.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl

from . import routes
from .errors import SimulatorError
from .refusals import named as refusals
from .request import Request, date, refused
from .settings import LOOPBACK, MAX_BODY, Settings, check
from .shapes import Head, Refusal
from .wire import EXTENSION, Connection, Progress, Reply, Send, play
from .world import World

_CORS = {"Access-Control-Allow-Origin": "*"}


class Serving(Protocol):
    """What the server tells of itself."""

    @property
    def connections(self) -> int: ...

    @property
    def tasks(self) -> int: ...


class App:
    """What a server serves. One world at a time; `reset` gives the next one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = check(settings)
        self.world = World(self.settings)
        self._serving: Serving | None = None
        self._streams = 0
        self._began = time.monotonic()

    async def start(self, serving: Serving) -> None:
        """The server that will call us."""
        self._serving = serving

    async def stop(self) -> None:
        """It calls no more."""
        self._serving = None

    def reset(self, settings: Settings | None = None) -> None:
        """A world as new. Requests under way end in the old one."""
        if settings is not None:
            self.settings = check(settings)
        self.world = World(self.settings)

    def stats(self) -> dict[str, int]:
        """What is open at this moment, and how much there was."""
        serving = self._serving
        return {
            "connections": serving.connections if serving else 0,
            "tasks": serving.tasks if serving else 0,
            "replies": self._streams,
            "requests": self.world.journal.count,
            "uptime_seconds": int(time.monotonic() - self._began),
        }

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        world, connection = self.world, scope["extensions"][EXTENSION]
        request = _request(world, scope)
        request.raw, trouble = await _body(receive)
        world.journal.note_body(request.entry, request.raw)
        if connection.lost:  # it left before its body was here
            request.entry.end, request.entry.ended = "client left", world.clock.now()
            return
        await self._answer(world, request, trouble, connection, send)

    async def _answer(
        self, world: World, request: Request, trouble: Refusal | None, connection: Connection, send: Send
    ) -> None:
        progress, entry = Progress(), request.entry
        self._streams += 1
        try:
            reply = refused(trouble) if trouble else await self._reply(world, request)

            def began(head: Head) -> None:
                entry.status, entry.first_byte = head.status, world.clock.now()

            headers = {"Date": date(request.now), **(_CORS if routes.is_api(request.path) else {})}
            await play(
                _headed(reply, headers, request.method == "HEAD"),
                send,
                connection,
                progress,
                world.settings.scale,
                began,
            )
        except BaseException:
            progress.end = "crashed"
            raise
        finally:
            self._streams -= 1
            entry.ended, entry.end = world.clock.now(), progress.end
            entry.sent_bytes, entry.sent_tokens = progress.bytes, progress.tokens

    async def _reply(self, world: World, request: Request) -> Reply:
        try:
            _check_control(request, world.settings)
            return await routes.find(request)(self, request)
        except Refusal as refusal:
            return refused(refusal, routes.skin_of(request.path))
        except SimulatorError as error:
            return refused(refusals.invalid(str(error)))


def _headed(reply: Reply, headers: Mapping[str, str], alone: bool) -> Reply:
    """The reply with headers that all have, or the head `alone`. Closing it closes the reply within."""
    try:
        for step in reply:
            if type(step) is Head:
                yield Head(step.status, {**headers, **step.headers}, step.length)
                break
            yield step
        if not alone:
            yield from reply
    finally:
        reply.close()


def _request(world: World, scope: Any) -> Request:
    """The request's head, noted."""
    now = world.clock.now()
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    query = scope["query_string"].decode("latin-1")
    path = scope["path"]
    within = routes.within(path)
    entry = world.journal.open(scope["method"], path, now, query, headers, keep=routes.is_api(within))
    return Request(
        method=scope["method"],
        path=within,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=dict(headers),
        raw=b"",
        entry=entry,
        now=now,
        left=partial(scope["extensions"][EXTENSION].sleep, None),
    )


async def _body(receive: Any) -> tuple[bytes, Refusal | None]:
    """The request's body. One that is too large is read to its end, but not kept."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        if part := message["body"]:
            size += len(part)
            if size <= MAX_BODY:
                parts.append(part)
        if not message["more_body"]:
            break
    if size > MAX_BODY:
        return b"", refusals.make("payload_too_large", limit=MAX_BODY)
    return b"".join(parts), None


def _check_control(request: Request, settings: Settings) -> None:
    """Control is for this machine's own programs: no page of the web may use it.

    Not by a name of its own that leads here (DNS rebinding), and not by a form or script that sends here from elsewhere.
    """
    if routes.is_api(request.path):
        return
    allowed = (*LOOPBACK, *settings.control_hosts)
    origin = request.headers.get("origin")
    for told in (request.headers.get("host", ""), origin):
        if told is not None and (name := _host(told)) not in allowed:
            raise Refusal(403, f"/sim/ does not answer to the host name {name!r}.", "permission_denied")


def _host(told: str) -> str:
    """The name in a Host or an Origin header: `http://[::1]:80` is `::1`."""
    place = told.rpartition("://")[2].lower()
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
