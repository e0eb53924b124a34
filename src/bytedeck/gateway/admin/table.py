"""The operations of the admin API as a table: the answers, the description and the tests read it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from . import keys, ledger, shapes, state
from .asked import Asked

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Handler: TypeAlias = Callable[[Asked], Awaitable[Any]]


class Operation(Struct, frozen=True, kw_only=True):
    """One of them. Its handler's docstring is its summary."""

    method: Method
    path: str
    """Below `/admin/`; a name stands in braces, and is one step of the path."""
    handler: Handler
    told: type | None
    """The shape of the answer; None: nothing (204)."""
    query: type = shapes.NoQuery
    body: type | None = None
    needs_body: bool = True
    status: int = 200
    errors: tuple[int, ...] = ()
    """Statuses beside those that every operation has."""


_KEY = "v1/keys/{name}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(method="GET", path="v1/keys", handler=keys.every, query=shapes.KeysQuery, told=shapes.Keys),
    Operation(method="POST", path="v1/keys", handler=keys.create, body=shapes.NewKey, told=shapes.KeyWithSecret,
              status=201, errors=(409,)),
    Operation(method="GET", path=_KEY, handler=keys.one, told=shapes.Key, errors=(404,)),
    Operation(method="PATCH", path=_KEY, handler=keys.change, body=shapes.ChangedKey, told=shapes.Key, errors=(404, 409)),
    Operation(method="DELETE", path=_KEY, handler=keys.forget, told=None, status=204, errors=(404, 409)),
    Operation(method="POST", path=_KEY + "/rotate", handler=keys.rotate, body=shapes.Rotation, needs_body=False,
              told=shapes.KeyWithSecret, errors=(404, 409)),
    Operation(method="POST", path=_KEY + "/revoke", handler=keys.revoke, told=shapes.Key, errors=(404, 409)),
    Operation(method="GET", path="v1/usage", handler=ledger.usage, query=shapes.UsageQuery, told=shapes.Usage),
    Operation(method="GET", path="v1/requests", handler=ledger.requests, query=shapes.RequestsQuery, told=shapes.Requests),
    Operation(method="GET", path="v1/limits", handler=ledger.limits, told=shapes.Limits),
    Operation(method="GET", path="v1/tasks", handler=state.tasks, told=shapes.Tasks),
    Operation(method="GET", path="v1/tasks/{name}", handler=state.task, told=shapes.TaskInfo, errors=(404,)),
    Operation(method="GET", path="v1/health", handler=state.health, told=shapes.HealthTold),
    Operation(method="GET", path="v1/config", handler=state.config, told=shapes.ConfigTold),
    Operation(method="POST", path="v1/config/reload", handler=state.reload, told=shapes.ConfigTold),
)  # fmt: skip

DESCRIPTION = "openapi.json"

# A template → the operations on it by their method.
_PATHS: dict[str, dict[str, Operation]] = {}
for _one in OPERATIONS:
    _PATHS.setdefault(_one.path, {})[_one.method] = _one
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), operations)
    for path, operations in _PATHS.items()
]


def find(path: str) -> tuple[dict[str, Operation], dict[str, str]]:
    """The operations at a path by their method, and the names in it; none where there is nothing."""
    for pattern, operations in _PATTERNS:
        found = pattern.fullmatch(path)
        if found:
            return operations, found.groupdict()
    return {}, {}
