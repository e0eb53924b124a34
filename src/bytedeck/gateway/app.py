"""The gateway as one raw ASGI application: which path leads where, who may come in, and its end.

Nothing stands between a stream and its connection. Every server of ASGI can serve it; `serve.py` is ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from uuid import uuid4

from msgspec import Raw, Struct
from msgspec.structs import replace

from ..client import AsyncHub
from ..errors import ByteError, ModelUnavailable
from ..types import Ask, Policy
from . import pages, wishes
from .asgi import (
    LEFT,
    ClientLeft,
    Headers,
    Receive,
    Refused,
    Scope,
    Send,
    headers_of,
    read_body,
    send_json,
)
from .call import Call, Identity, Skin
from .chat import ChatCompletions
from .door import Door, check_json
from .exchange import Exchange, bug
from .parts import encode

PREFIXES = ("/v1", "/api/v1")

# Path → folder of this room, its Skin; imported at the first request.
_SKINS = {
    "/chat/completions": ("chat", "ChatCompletions"),
    "/messages": ("messages", "Messages"),
    "/responses": ("responses", "Responses"),
}
# Path → folder of this room, its function of a body, and the path in whose form it refuses. Nobody is asked.
_COUNTS = {"/messages/count_tokens": ("messages", "count", "/messages")}
_PAGES: dict[str, pages.Page] = {
    "/models": pages.models,
    "/models/user": pages.models,
    "/models/count": pages.count,
    "/key": pages.key,
    "/auth/key": pages.key,
}
_NAMED: dict[str, pages.Page] = {"/models/": pages.model, "/model/": pages.one_model}
"""The rest of the path is a name, which may hold a slash."""
_HEALTH: dict[str, pages.Page] = {"/healthz": pages.healthz, "/readyz": pages.readyz}


# How long requests may take to end once they were told to.
_LAST_WORDS = 5.0


class Settings(Struct, frozen=True, kw_only=True):
    """How the gateway behaves."""

    max_body: int = 32 << 20
    """Bytes of a request's body; more is refused with 413."""
    heartbeat: float = 10.0
    """Seconds of silence in a stream after which a sign of life is written."""
    grace: float = 30.0
    """Seconds that running requests have when the gateway is shut down."""
    hosts: tuple[str, ...] = ()
    """Names by which it may be called besides this machine's own, while there are no keys."""


class App:
    """What a server serves. It closes the hub when the server tells it to stop, or by `aclose`."""

    def __init__(self, hub: AsyncHub, settings: Settings = Settings()) -> None:  # noqa: B008 (frozen)
        self.hub = hub
        self.settings = settings
        self.is_closing = False
        self.listed: tuple[object, dict[str, Raw]] | None = None
        """The catalogue that the list of models was made of, and the list."""
        self._door = Door(settings.hosts)
        self._paths = {prefix + path: row for path, row in _SKINS.items() for prefix in PREFIXES}
        self._counts = {prefix + path: row for path, row in _COUNTS.items() for prefix in PREFIXES}
        self._skins: dict[str, Skin] = {}
        self._pages = {prefix + path: page for path, page in _PAGES.items() for prefix in PREFIXES} | _HEALTH
        self._running: set[Exchange] = set()
        self._idle = asyncio.Event()

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return len(self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path = scope["path"]
            if path in self._paths and scope["method"] == "POST":
                await self._converse(self._skins.get(path) or self._skin(path), scope, receive, send)
            elif path in self._counts and scope["method"] == "POST":
                await self._count(scope, receive, send)
            else:
                await self._show(scope, send)
        elif kind == "lifespan":
            await self._live(receive, send)

    # -- answers of models -----------------------------------------------------------------------

    def _skin(self, path: str) -> Skin:
        """The protocol of a path, imported at its first request."""
        file, name = self._paths[path]
        skin: Skin = getattr(import_module(f".{file}", __package__), name)()
        self._skins[path] = skin
        return skin

    async def _converse(self, skin: Skin, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            call = skin.read(await self._body(headers, receive))
            ask = self._ask(call, headers)
            self._check_open()
        except ClientLeft:
            return
        except Exception as exc:  # noqa: BLE001 (as in `Exchange`: a sentence, not a torn connection)
            await _refuse(skin, exc, send)
            return
        exchange = Exchange(skin, call, ask, send, self.hub.answer, int(time.time()))
        self._running.add(exchange)
        unwatch = _watch(exchange, scope, receive)
        try:
            await exchange.run(self.settings.heartbeat)
        finally:
            self._running.discard(exchange)
            unwatch()
            if self.is_closing and not self._running:
                self._idle.set()

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body of a request that may come in. Raises Refused, PermissionRefused, ClientLeft."""
        self._door.check(headers)
        check_json(headers)
        return await read_body(headers, receive, self.settings.max_body)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is reckoned of a body alone."""
        file, name, form = self._counts[scope["path"]]
        skin = self._skin(PREFIXES[0] + form)
        try:
            body = await self._body(dict(scope["headers"]), receive)
            found = getattr(import_module(f".{file}", __package__), name)(body)
            await send_json(send, 200, encode(found), [])
        except ClientLeft:
            return
        except Exception as exc:  # noqa: BLE001 (as above)
            await _refuse(skin, exc, send)

    def _ask(self, call: Call, headers: Mapping[bytes, bytes]) -> Ask:
        """What is to be asked. Raises InvalidRequest for messages that are none."""
        ask = self.hub.house.ask(
            call.messages, task=wishes.task(headers), model=call.models or "", system="", timeout=None,
            max_cost=None, headers=None, policy=wishes.failover(headers), params={}, streamed=call.streamed,
            can_erase=False,  # no protocol here can take words back
        )  # fmt: skip
        if (
            call.echo.get("truncation") == "auto"
        ):  # of the Responses protocol: OpenRouter's chats have no such field
            ask = replace(ask, policy=Policy(compact=True).over(ask.policy))
        return replace(ask, params=call.params, headers=wishes.passed_on(headers))

    def _check_open(self) -> None:
        if self.is_closing:
            raise ModelUnavailable("The gateway is being shut down.", code="unavailable", retry_after=1.0)

    # -- pages -----------------------------------------------------------------------------------

    async def _show(self, scope: Scope, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        more: Headers = []
        try:
            if path not in _HEALTH:
                self._door.check(dict(scope["headers"]))
            page, name = self._page(path)
            allowed = "GET, HEAD" if page is not None else "POST"
            if page is None and path not in self._paths and path not in self._counts:
                raise Refused(404, f"There is nothing at {path}.")
            if page is None or method not in ("GET", "HEAD"):
                more = [(b"allow", allowed.encode())]
                raise Refused(405, f"{method} does nothing at {path}; {allowed} does.")
            await send_json(send, 200, await page(self, name), more)
        except Exception as exc:  # noqa: BLE001 (as above)
            await _refuse(_PLAIN, exc, send, more)

    def _page(self, path: str) -> tuple[pages.Page | None, str]:
        """The page of a path, and the name in it."""
        page = self._pages.get(path)
        if page is not None:
            return page, ""
        for prefix in PREFIXES:
            for start, named in _NAMED.items():
                name = path.removeprefix(prefix + start)
                if name != path and name:
                    return named, name
        return None, ""

    # -- the end ---------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Take no new requests; let the running ones end, and when their time is over tell them so."""
        self.is_closing = True
        for seconds in (self.settings.grace, _LAST_WORDS):
            if not self._running:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._idle.wait()
            except TimeoutError:
                self.interrupt()

    def interrupt(self) -> None:
        """End what is running now: whoever is there is told."""
        for exchange in list(self._running):
            exchange.interrupt("closing")

    async def aclose(self) -> None:
        """Drain, and close the hub: what was asked is settled then."""
        await self.drain()
        await self.hub.aclose()

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's own messages: it has begun; it wants to stop."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.aclose()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


_PLAIN = ChatCompletions()
"""In whose form a refusal is told that belongs to no protocol."""


def _watch(exchange: Exchange, scope: Scope, receive: Receive) -> Callable[[], object]:
    """See to it that the exchange ends when the client hangs up; call the answer when that is of no interest any more.

    Our own server tells; of any other a task has to ask.
    """
    connection = scope.get("extensions", {}).get(LEFT)
    if connection is None:
        return asyncio.get_running_loop().create_task(exchange.watch(receive)).cancel
    connection.tell(exchange)
    return connection.forget  # type: ignore[no-any-return]


async def _refuse(skin: Skin, exc: Exception, send: Send, more: Headers | None = None) -> None:
    """Say no, before anything was begun."""
    identity = Identity(request=uuid4().hex, created=int(time.time()))
    error = exc if isinstance(exc, ByteError) else bug(exc, identity.request)
    headers = [(b"x-request-id", identity.request.encode()), *headers_of(error), *(more or ())]
    await send_json(send, error.http_status, skin.refusal(error, identity), headers)
