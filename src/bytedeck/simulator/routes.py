"""Which path leads to which page: one table for OpenRouter's API, one for the simulator's own control."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import unquote

from . import inference, routing
from .faults.table import Chosen
from .pages import control, data
from .refusals import named as refusals
from .request import Request, as_json, reply
from .shapes import Skin
from .wire import Reply

Route: TypeAlias = Callable[[Any, Request], Awaitable[Reply]]

_SKINS: dict[str, Skin] = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/responses": "responses",
    "/messages": "messages",
    "/embeddings": "embeddings",
    "/rerank": "rerank",
}
"""Path → whose form requests, answers and refusals have."""

_RSS = "application/rss+xml"
"""The only page that is text."""
_PREFIX = re.compile(r"(/api)?/v1(?=/|$)")


def is_api(path: str) -> bool:
    """Whether a path is OpenRouter's rather than the simulator's own."""
    return path != "/" and not path.startswith("/sim/")


def within(path: str) -> str:
    """The path within the API: `/api/v1/models` and `/v1/models` are `/models`. "" for what is nowhere."""
    outside = not is_api(path) or path == "/auth"
    if not _PREFIX.match(path):
        return path if outside else ""
    inside = _PREFIX.sub("", path, count=1)
    return "" if not is_api(inside) or inside == "/auth" else inside


def skin_of(path: str) -> Skin:
    """In whose form a refusal at this path is told."""
    if path.startswith("/messages"):
        return "messages"
    return _SKINS.get(path, "chat")


def _infers(skin: Skin) -> Route:
    async def route(app: Any, request: Request) -> Reply:
        return await inference.infer(app.world, request, skin)

    return route


def _shows(page: Callable[[Any, Request], Any]) -> Route:
    """A page of OpenRouter's data. Faults before the answer and of the connection hit it as well."""

    async def route(app: Any, request: Request) -> Reply:
        chosen = routing.weather(app.world, request)
        shown = page(app.world, request)
        answer = reply(200, shown.encode(), {}, _RSS) if isinstance(shown, str) else as_json(shown)
        for one in chosen:
            if one.fault.steps is not None:
                answer = _broken(one, answer)
        return answer

    return route


def _broken(chosen: Chosen, answer: Reply) -> Reply:
    assert chosen.fault.steps is not None  # noqa: S101 - looked at by who calls
    yield from chosen.fault.steps(chosen.params, answer)


async def _consents(app: Any, request: Request) -> Reply:
    """GET /auth: as if a person had said yes. With callback_url the code goes there, else it is shown."""
    code = data.consent(app.world, request)
    if not (place := request.query.get("callback_url")):
        return as_json({"code": code})
    mark = "&" if "?" in place else "?"
    return reply(302, b"", {"Location": f"{place}{mark}code={code}"})


def _steers(page: Callable[[Any, Request], Any]) -> Route:
    """A page of control."""

    async def route(app: Any, request: Request) -> Reply:
        return as_json(page(app, request))

    return route


async def _options(app: Any, request: Request) -> Reply:
    allowed = {
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": request.headers.get("access-control-request-headers", "*"),
        "Allow": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    }
    return reply(204, b"", allowed) if is_api(request.path) else reply(204, b"", {"Allow": allowed["Allow"]})


_TABLE: list[tuple[str, re.Pattern[str], Route]] = [
    (method, re.compile(pattern), route)
    for method, pattern, route in [
        *(("POST", path, _infers(skin)) for path, skin in _SKINS.items()),
        *((method, pattern, _shows(page)) for method, pattern, page in data.PAGES),
        ("GET", "/auth", _consents),
        *((method, pattern, _steers(page)) for method, pattern, page in control.PAGES),
    ]
]


def find(request: Request) -> Route:
    """The route of a request. Raises Refusal: 404 for an unknown path, 405 for a known one."""
    method = "GET" if request.method == "HEAD" else request.method
    path = unquote(request.path)
    allowed = []
    for known, pattern, route in _TABLE:
        if not pattern.fullmatch(path):
            continue
        if known == method:
            return route
        allowed.append(known)
    if request.method == "OPTIONS":
        return _options
    if allowed:
        refusal = refusals.make("method_not_allowed")
        refusal.headers["Allow"] = ", ".join(dict.fromkeys(allowed))
        raise refusal
    raise refusals.make("not_found")
