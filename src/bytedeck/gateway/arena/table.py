"""The arena's routes as a table: the places, the docs and the tests read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ..asgi import Refused
from ..fields import of_body, of_query
from ..visit import App, Visit
from . import shapes
from .asked import Asked

Handler: TypeAlias = Callable[[Asked], Awaitable[None]]
Who: TypeAlias = Literal["anyone", "user"]

MOST_BODY = 1 << 20
"""Bytes: a topic of the largest size with every sign of it escaped."""


class Operation(Struct, frozen=True, kw_only=True):
    """One of them. Its handler's docstring is its summary."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    """Below `/arena`; `{id}` is a match's."""
    handler: str
    """Its file of this room, and its name there; imported at the first request."""
    need: Who = "anyone"
    query: Any = shapes.NoQuery
    body: Any = None
    is_body_needed: bool = True


_MATCH = "/matches/{id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(method="POST", path="/debates", handler="making.debate", need="user", body=shapes.NewDebate),
    Operation(method="POST", path="/battles", handler="making.battle", need="user", body=shapes.NewBattle),
    Operation(method="GET", path="/matches", handler="looking.listed", query=shapes.ListQuery),
    Operation(method="GET", path=_MATCH, handler="looking.one", query=shapes.MatchQuery),
    Operation(method="DELETE", path=_MATCH, handler="making.forget"),
    Operation(method="GET", path=_MATCH + "/events", handler="looking.events", query=shapes.EventsQuery),
    Operation(method="POST", path=_MATCH + "/votes", handler="looking.vote", body=shapes.NewVote),
    Operation(method="GET", path=_MATCH + "/votes", handler="looking.votes"),
    Operation(method="POST", path=_MATCH + "/resume", handler="making.resume", need="user", body=shapes.Resumption,
              is_body_needed=False),
    Operation(method="POST", path=_MATCH + "/stop", handler="making.stop"),
    Operation(method="GET", path=_MATCH + "/page", handler="looking.page", query=shapes.MatchQuery),
    Operation(method="GET", path=_MATCH + "/card", handler="looking.card", query=shapes.MatchQuery),
    Operation(method="GET", path=_MATCH + "/transcript", handler="looking.transcript", query=shapes.MatchQuery),
    Operation(method="GET", path="/board", handler="looking.board", query=shapes.BoardQuery),
)  # fmt: skip

# A path → the operations there by their method.
PATHS: dict[str, dict[str, Operation]] = {}
for _one in OPERATIONS:
    PATHS.setdefault(_one.path, {})[_one.method] = _one


@cache
def handler(operation: Operation) -> Handler:
    """What answers it."""
    file, _, name = operation.handler.partition(".")
    return getattr(import_module(f".{file}", __package__), name)  # type: ignore[no-any-return]


def answerer(path: str) -> Callable[[App, Visit], Awaitable[None]]:
    """What answers at a path."""
    operations = PATHS[path]

    async def answer(app: App, visit: Visit) -> None:
        # The place lets in only methods that are here.
        operation = operations[visit.scope["method"]]
        if len(visit.name) > 100:
            raise Refused(404, "There is no such match.")
        query = of_query(visit.scope.get("query_string", b""), operation.query)
        body = await of_body(app, visit, operation.body, MOST_BODY, is_needed=operation.is_body_needed)
        await handler(operation)(Asked(app=app, visit=visit, match=visit.name, query=query, body=body))

    return answer
