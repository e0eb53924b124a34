"""How a question to the admin API is answered: its operation found, what it says checked, what is wrong told in one shape."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ...config.names import without_keys
from ...errors import ByteError
from ..asgi import Refused, listed, read_body, send_json
from ..door.door import check_json
from ..load import Share
from ..visit import App, Visit
from . import table
from .asked import Asked
from .shapes import Problem, Wrong
from .table import Operation

MOST_BODY = 64 * 1024
"""Bytes; a key with all that it may have is a tenth of it."""
_BAD, _UNPROCESSABLE = 400, 422
_PLACE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*?)`$", re.DOTALL)

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
        query=_query(operation, visit.scope.get("query_string", b"")),
        body=await _checked_body(operation, visit, app),
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


def _query(operation: Operation, text: bytes) -> Any:
    """Raises Refused (422) for what cannot be meant, and names the field."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as exc:
        raise Refused(_BAD, "The query cannot be read.") from exc
    said = dict(pairs)
    if len(said) < len(pairs):
        raise Refused(_UNPROCESSABLE, "A field of the query is said twice.")
    try:
        return msgspec.convert(said, operation.query, strict=False)
    except msgspec.ValidationError as exc:
        raise _invalid(exc) from exc


async def _checked_body(operation: Operation, visit: Visit, app: App) -> Any:
    """Raises Refused: 400 for no JSON, 422 for what cannot be meant; and ClientLeft."""
    if operation.body is not None and (operation.needs_body or b"content-type" in visit.headers):
        check_json(visit.headers)
    with Share(app.bodies) as share:
        raw = await read_body(visit.headers, visit.receive, MOST_BODY, share)
    if operation.body is None:
        return None
    if not raw and not operation.needs_body:
        return operation.body()
    check_json(visit.headers)
    try:
        return msgspec.json.decode(raw, type=operation.body)
    except msgspec.ValidationError as exc:
        raise _invalid(exc) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Refused(_BAD, f"The body is no JSON: {exc}.") from exc
    except RecursionError as exc:
        raise Refused(_BAD, "The body is nested too deeply.") from exc


def _invalid(exc: msgspec.ValidationError) -> Refused:
    """What the shape says, and of which field."""
    said = str(exc)
    place = _PLACE.search(said)
    sentence = said[: place.start()] if place else said
    field = place["path"].lstrip(".") if place else ""
    unknown = _UNKNOWN.search(sentence)
    if unknown:
        field = ".".join(filter(None, (field, unknown["field"][:80])))
    missing = re.search(r"missing required field `(\w+)`", sentence)
    if missing:
        field = ".".join(filter(None, (field, missing[1])))
    where = f"{field}: " if field and not unknown and not missing else ""
    return Refused(_UNPROCESSABLE, f"{where}{sentence[:300]}.", field=field)
