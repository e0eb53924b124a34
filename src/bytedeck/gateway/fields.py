"""A query and a body as shapes: what cannot be meant is refused with 422, and the field is named."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from .asgi import Refused, read_body
from .door.door import check_json
from .load import Share
from .visit import App, Visit

_BAD, _UNPROCESSABLE = 400, 422
_PLACE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*?)`$", re.DOTALL)


def of_query(text: bytes, shape: Any) -> Any:
    """Raises Refused (422) for what cannot be meant, and names the field."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as exc:
        raise Refused(_BAD, "The query cannot be read.") from exc
    said = dict(pairs)
    if len(said) < len(pairs):
        raise Refused(_UNPROCESSABLE, "A field of the query is said twice.")
    try:
        return msgspec.convert(said, shape, strict=False)
    except msgspec.ValidationError as exc:
        raise _invalid(exc) from exc


async def of_body(app: App, visit: Visit, shape: Any, most: int, *, is_needed: bool = True) -> Any:
    """`shape`: None where no body is taken; `most`: bytes; `is_needed`: else an empty one is the shape's defaults.

    Raises Refused: 400 for no JSON, 422 for what cannot be meant; and ClientLeft.
    """
    if shape is not None and (is_needed or b"content-type" in visit.headers):
        check_json(visit.headers)
    with Share(app.bodies) as share:
        raw = await read_body(visit.headers, visit.receive, most, share)
    if shape is None:
        return None
    if not raw and not is_needed:
        return shape()
    check_json(visit.headers)
    try:
        return msgspec.json.decode(raw, type=shape)
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
