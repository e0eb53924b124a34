"""The admin API's description of itself (OpenAPI 3.1), made of its table and its shapes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from ...ledger.export import COLUMNS
from . import shapes
from .table import OPERATIONS, Operation

_ALWAYS = (400, 401, 403, 422, 503)
"""Statuses that every operation may have: a query that cannot be read or meant, no key or another's, no ledger."""
_WORDS = {
    400: "It cannot be read.",
    401: "No key was shown, or one that is not accepted.",
    403: "The key is not an admin's; without keys: the request does not come from this machine.",
    404: "There is nothing of this name.",
    409: "The name is taken; the key is revoked or has expired; or it is the one that was shown, which cannot lock itself out.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "A value cannot be meant; `param` names it.",
    503: "The store cannot be read or written now.",
}
_REF = "#/components/schemas/{name}"
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]


@cache
def description() -> bytes:
    """The whole document."""
    kinds = {kind for one in OPERATIONS for kind in (one.told, one.body, one.query) if kind is not None}
    ordered = sorted(kinds | {shapes.Problem}, key=lambda kind: kind.__name__)
    found, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    schemas = dict(zip((kind.__name__ for kind in ordered), found, strict=True))
    _describe_rows(components)
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(f"/admin/{one.path}", {})[one.method.lower()] = _operation(one, schemas, components)
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Bytedeck gateway: admin API", "version": "1", "description": _INTRODUCTION},
        "security": _SECURITY,
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }
    return msgspec.json.encode(told)


_INTRODUCTION = (
    "Keys, usage, recent calls, health, limits and configuration of a running gateway. "
    "Money is decimal text in USD, moments are ISO 8601 in UTC. Every error has one shape."
)
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key whose role is admin."},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def _operation(one: Operation, schemas: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary = (inspect.getdoc(one.handler) or "").partition("\n")[0]
    told: dict[str, Any] = {
        "operationId": f"{one.handler.__module__.rpartition('.')[2]}_{one.handler.__name__}",
        "summary": summary,
        "parameters": [*_names(one), *_query(one, components)],
        "responses": {str(one.status): _answer(one, schemas)} | _errors(one, schemas),
    }
    if one.body is not None:
        content = {"application/json": {"schema": schemas[one.body.__name__]}}
        told["requestBody"] = {"required": one.needs_body, "content": content}
    return told


def _answer(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if one.told is None:
        return {"description": "Done."}
    return {
        "description": (inspect.getdoc(one.told) or "").partition("\n")[0],
        "content": {"application/json": {"schema": schemas[one.told.__name__]}},
    }


def _errors(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    statuses = {*_ALWAYS, *one.errors, 413, *((415,) if one.body is not None else ())}
    content = {"application/json": {"schema": schemas["Problem"]}}
    return {str(status): {"description": _WORDS[status], "content": content} for status in sorted(statuses)}


def _names(one: Operation) -> Iterator[dict[str, Any]]:
    if "{name}" in one.path:
        yield {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query(one: Operation, components: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, schema in components[one.query.__name__].get("properties", {}).items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _describe_rows(components: dict[str, Any]) -> None:
    """An attempt is told in the columns of the ledger's export."""
    properties = {name: {"description": column.meaning} for name, column in COLUMNS.items()}
    components["Requests"]["properties"]["data"]["items"] = {
        "type": "object",
        "properties": properties,
        "required": list(COLUMNS),
    }
