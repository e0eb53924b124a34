"""The gateway as one raw ASGI application: each request through the door to its place, and the application's end.

Nothing stands between a stream and its connection. Every server of ASGI can serve it; `serve.py` is ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib import import_module
from uuid import uuid4

from msgspec import Raw

from ..async_client import AsyncHub
from ..callers import Caller
from ..errors import ByteError
from . import places
from .admin import refusal
from .arena.hall import Hall
from .asgi import ClientLeft, Receive, Refused, Scope, Send, client_of, headers_of, listed, send_json
from .cache.answers import Answers
from .call import Identity, Skin
from .door import cors
from .door.access import Access
from .door.door import Door
from .exchange import Exchange, bug
from .keeper import Keeper
from .load import Bodies, Gate
from .reload import Reloader
from .settings import Settings
from .spent import Spent
from .visit import Visit
from .watch.logs import Log
from .watch.metrics import Metrics
from .watch.record import ANSWERED, LEFT, Record

__all__ = ["App", "Settings"]

# Path → folder of this room, its Skin; imported at the first request.
_SKINS = {
    "/chat/completions": ("chat", "ChatCompletions"),
    "/messages": ("messages", "Messages"),
    "/responses": ("responses", "Responses"),
}

# How long requests may take to end once they were told to.
_LAST_WORDS = 5.0


class App:
    """What a server serves. It closes the hub when the server tells it to stop, or by `aclose`."""

    def __init__(self, hub: AsyncHub, settings: Settings = Settings()) -> None:  # noqa: B008 (frozen)
        self.hub = hub
        self.settings = settings
        self.is_closing = False
        self.listed: tuple[tuple[object, object], dict[str, Raw]] | None = None
        self.seen: dict[str, tuple[Caller, dict[str, Raw], dict[str, Raw]]] = {}
        self.running: set[Exchange] = set()
        self.idle = asyncio.Event()
        self.gate = Gate(settings.max_requests, settings.max_waiting)
        self.bodies = Bodies(settings.max_bodies)
        self.gauges: dict[str, Callable[[], float]] = self.gate.gauges() | self.bodies.gauges()
        self.access = Access(hub.house.keys)
        self.spent = Spent()
        self.metrics = Metrics(settings.numbers, settings.worker)
        self.answers = Answers(self.gate, self.metrics.count_cache)
        self.log = Log(settings.log)
        self.hall = Hall(hub, self.access, self.log.say)
        self.gauges |= self.hall.gauges()
        self.reloader = Reloader(hub, self.log.say, lambda: (*self.running, *self.hall.bouts()))
        self._door = Door(self.access, settings.hosts, settings.is_exposed)
        self._keeper = Keeper(self)
        self._skins: dict[str, Skin] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if origins := self.hub.house.config.origins:
            if (allowed := cors.preflight(scope["method"], headers, origins)) is not None:
                await send_json(send, 204, b"", allowed)
                return
            send = cors.crossing(send, headers, origins)
        place, name = places.find(scope["path"])
        visit = Visit(
            scope=scope,
            headers=headers,
            receive=receive,
            send=send,
            began=asyncio.get_running_loop().time(),
            form=place.form,
            protocol=place.protocol,
            name=name,
        )
        outcome = ANSWERED
        try:
            if place.need != "nobody":
                visit.caller = await self._door.enter(headers, place.need)
            _check_method(place, scope)
            await place.answer(self, visit)
        except ClientLeft:
            visit.status, outcome = 0, LEFT
        except Exception as exc:  # noqa: BLE001 (the last stop before the client: it gets a sentence, not a torn connection)
            outcome = await self._refuse(visit, exc)
        if not visit.is_told:
            self.tell(_record(visit, outcome))

    async def _refuse(self, visit: Visit, exc: Exception) -> str:
        """Say no, before anything was begun; the error's code."""
        identity = Identity(request=uuid4().hex, created=int(time.time()))
        error = exc if isinstance(exc, ByteError) else bug(exc, identity.request)
        headers = [(b"x-request-id", identity.request.encode()), *headers_of(error)]
        told = refusal(error) if visit.form == "/admin" else self.skin(visit.form).refusal(error, identity)
        visit.status = error.http_status
        await send_json(visit.send, error.http_status, told, headers)
        self.tell(_record(visit, error.code, identity.request))
        visit.is_told = True
        return error.code

    def skin(self, path: str) -> Skin:
        """The protocol of a path such as `/messages`, imported at its first request."""
        found = self._skins.get(path)
        if found is None:
            file, name = _SKINS[path]
            found = self._skins[path] = getattr(import_module(f".{file}", __package__), name)()
        return found

    def tell(self, record: Record) -> None:
        """A request has ended: it is counted, and written to the log."""
        self.metrics.count(record, self.hub.house)
        self.log.request(record)

    # -- its life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin what is done beside requests: the keys and the configuration are looked at again and again."""
        await self._keeper.start()

    def reload(self) -> None:
        """Look at the configuration now, changed or not (SIGHUP)."""
        self._keeper.reload()

    async def drain(self) -> None:
        """Take no new requests; let the running ones end, and when their time is over tell them so."""
        self.is_closing = True
        await self.hall.close()
        if not self.running:
            return
        try:
            async with asyncio.timeout(self.settings.grace):
                await self.idle.wait()
        except TimeoutError:
            self.interrupt()
            await self.idle.wait()

    def interrupt(self) -> None:
        """End what is running now: whoever is there is told, and who does not even read that is not waited for."""
        for exchange in list(self.running):
            exchange.interrupt("closing")
        asyncio.get_running_loop().call_later(_LAST_WORDS, self.idle.set)

    async def aclose(self) -> None:
        """Drain, and close the hub: what was asked is settled then."""
        await self.drain()
        await self.answers.aclose()
        await self._keeper.stop()
        await self.hub.aclose()
        await asyncio.to_thread(self.log.close)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's own messages: it has begun; it wants to stop."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.aclose()
            else:
                await self.start()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _check_method(place: places.Place, scope: Scope) -> None:
    """Raises Refused for a method that does nothing here. A place without methods tells them by itself."""
    method, path = scope["method"], scope["path"]
    if place.methods and method not in place.methods:
        raise Refused(405, f"{method} does nothing at {path}; {listed(place.methods)}.", allow=place.methods)


def _record(visit: Visit, outcome: str, request: str = "") -> Record:
    """Of what asked no model."""
    return Record(
        id=request,
        protocol=visit.protocol,
        method=visit.scope["method"],
        path=visit.scope["path"],
        status=visit.status,
        outcome=outcome,
        seconds=asyncio.get_running_loop().time() - visit.began,
        caller=visit.caller.name if visit.caller is not None else "",
        client=client_of(visit.scope),
    )
