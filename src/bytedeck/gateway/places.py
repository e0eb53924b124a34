"""What stands at which path, who may go there, and in whose form it refuses: tables, and how a path is looked up.

A path is taken as it is: nothing is folded, so `//v1/models`, `/v1/models/` and `/v1/../healthz` are other paths.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from . import pages, talk
from .admin import answer as admin
from .admin.table import DESCRIPTION, OPERATIONS
from .arena import table as arena
from .asgi import Refused, send_json
from .visit import App, Visit

Need: TypeAlias = Literal["nobody", "anyone", "user", "admin"]
"""Who has to show a key, where there are keys. `nobody`: no key; `anyone`: any that is accepted; else one of this role."""

Answerer: TypeAlias = Callable[[App, Visit], Awaitable[None]]

PREFIXES = ("/v1", "/api/v1")


class Place(Struct, frozen=True, kw_only=True):
    """What stands at a path."""

    need: Need
    answer: Answerer
    protocol: str
    """What its requests are counted under."""
    methods: tuple[str, ...] = ("POST",)
    form: str = "/chat/completions"
    """The path in whose form it refuses."""


# The protocols' own paths, under each prefix.
TALKS: dict[str, Place] = {
    "/chat/completions": Place(need="user", answer=talk.converse, protocol="chat"),
    "/messages": Place(need="user", answer=talk.converse, protocol="messages", form="/messages"),
    "/messages/count_tokens": Place(need="user", answer=talk.count, protocol="messages", form="/messages"),
    "/responses": Place(need="user", answer=talk.converse, protocol="responses", form="/responses"),
    "/embeddings": Place(need="user", answer=talk.pass_on, protocol="embeddings"),
    "/rerank": Place(need="user", answer=talk.pass_on, protocol="rerank"),
}


def _page(page: pages.Page, need: Need = "anyone", protocol: str = "pages") -> Place:
    async def answer(app: App, visit: Visit) -> None:
        await send_json(visit.send, 200, await page(app, visit), [])

    return Place(need=need, answer=answer, protocol=protocol, methods=("GET", "HEAD"))


_PAGES: dict[str, Place] = {
    "/models": _page(pages.models),
    "/models/user": _page(pages.models),
    "/models/count": _page(pages.count),
    "/key": _page(pages.key),
    "/auth/key": _page(pages.key),
}
_ROOT: dict[str, Place] = {
    "/healthz": _page(pages.healthz, "nobody", "health"),
    "/readyz": _page(pages.readyz, "nobody", "health"),
    "/metrics": Place(need="admin", answer=pages.metrics, protocol="health", methods=("GET", "HEAD")),
}


def _ring(path: str) -> Place:
    """What stands at a path of the arena's table."""
    operations = arena.PATHS[path]
    [need] = {one.need for one in operations.values()}
    answer = arena.answerer(path)
    return Place(need=need, answer=answer, protocol="arena", methods=tuple(operations))


_RINGS = {"/arena" + path: _ring(path) for path in arena.PATHS}
_BEFORE, _AFTER = "/arena/matches/", "/arena/matches/{id}"
_FIXED = {path: place for path, place in _RINGS.items() if not path.startswith(_AFTER)}
_MATCHES = {path.removeprefix(_AFTER): place for path, place in _RINGS.items() if path.startswith(_AFTER)}
"""By what follows a match's id."""
PLACES: dict[str, Place] = _ROOT | {
    prefix + path: place for path, place in (TALKS | _PAGES | _FIXED).items() for prefix in PREFIXES
}

# The rest of the path is a name, which may hold a slash.
_MODEL, _ONE_MODEL = _page(pages.model), _page(pages.one_model)
_ADMIN = Place(need="admin", answer=admin, protocol="admin", methods=(), form="/admin")
"""Its own table tells the methods."""
NAMED: tuple[tuple[str, Place], ...] = (
    *((prefix + "/models/", _MODEL) for prefix in PREFIXES),
    *((prefix + "/model/", _ONE_MODEL) for prefix in PREFIXES),
    ("/admin/", _ADMIN),
)


async def _nothing(app: App, visit: Visit) -> None:
    raise Refused(404, f"There is nothing at {visit.scope['path']}.")


NOWHERE = Place(need="anyone", answer=_nothing, protocol="pages", methods=())
"""What is not there is told to who may come in, and to nobody else."""


def find(path: str) -> tuple[Place, str]:
    """What stands at a path, and the name in it."""
    place = PLACES.get(path)
    if place is not None:
        return place, ""
    for prefix in PREFIXES:
        if path.startswith(prefix + _BEFORE):
            name, slash, rest = path.removeprefix(prefix + _BEFORE).partition("/")
            return (_MATCHES.get(slash + rest, NOWHERE), name) if name else (NOWHERE, "")
    for start, place in NAMED:
        name = path.removeprefix(start)
        if name != path and name:
            return place, name
    return NOWHERE, ""


def every() -> Iterator[tuple[str, str, Place]]:
    """Every route: method, path and place; a name in a path stands as `x`."""
    within = (
        (prefix + _BEFORE + "x" + rest, place) for rest, place in _MATCHES.items() for prefix in PREFIXES
    )
    for path, place in (*PLACES.items(), *((start + "x", place) for start, place in NAMED), *within):
        for method in place.methods:
            yield method, path, place
    for one in OPERATIONS:
        yield one.method, "/admin/" + one.path.replace("{name}", "x"), _ADMIN
    yield "GET", "/admin/" + DESCRIPTION, _ADMIN
