"""How a question to the admin API is answered: its operation found, what it says checked, what is wrong told in one shape."""

from __future__ import annotations

from typing import Any

import msgspec

from ...config.names import without_keys
from ...errors import ByteError
from ..asgi import Refused, listed, send_json
from ..fields import of_body, of_query
from ..visit import App, Visit
from . import table
from .asked import Asked
from .shapes import Problem, Wrong

MOST_BODY = 64 * 1024
"""Bytes; a key with all that it may have is a tenth of it."""

_encode = msgspec.json.Encoder().encode


async def answer(app: App, visit: Visit) -> None:
    """Answer it. Raises what is wrong with it, before anything was sent."""
    method = "GET" if visit.scope["method"] == "HEAD" else visit.scope["method"]
    if visit.name == table.DESCRIPTION:
        await _describe(app, visit, method)
        return
    operations, names = table.find(visit.name)
    if not operations:
        raise Refused(404, f"There is nothing at {visit.scope['path']}.")
    operation = operations.get(method)
    if operation is None:
        raise _not_allowed(visit, operations)
    asked = Asked(
        app=app,
        caller=visit.caller,
        names=names,
        query=of_query(visit.scope.get("query_string", b""), operation.query),
        body=await of_body(app, visit, operation.body, MOST_BODY, is_needed=operation.needs_body),
    )
    found = await operation.handler(asked)
    visit.status = operation.status
    await send_json(visit.send, operation.status, b"" if operation.told is None else _encode(found), _PRIVATE)


_PRIVATE = [(b"cache-control", b"no-store")]
"""An answer may hold a secret."""


async def _describe(app: App, visit: Visit, method: str) -> None:
    from .openapi import description

    if method != "GET":
        raise _not_allowed(visit, {"GET": None})
    await send_json(visit.send, 200, description(), [])


def _not_allowed(visit: Visit, methods: Any) -> Refused:
    allowed = [*methods, *(("HEAD",) if "GET" in methods else ())]
    said = f"{visit.scope['method']} does nothing here; {listed(allowed)}."
    return Refused(405, said, allow=allowed)


def refusal(error: ByteError) -> bytes:
    """Every error, in one shape."""
    wrong = Wrong(
        code=error.http_status,
        type=error.code,
        message=without_keys(error.message),
        param=without_keys(error.field) if isinstance(error, Refused) else "",
        hint=list(error.hint),
    )
    return _encode(Problem(error=wrong))
