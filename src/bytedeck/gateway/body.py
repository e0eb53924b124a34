"""A request's body as JSON, and how a value that is wrong is told. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from ..errors import InvalidRequest
from .parts import encode

_LONGEST = 40
"""Signs of a value that a sentence shows."""

# Numbers with a point stay the decimals that they were: 0.70 is not 0.7 where bytes make a cache's key.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def object_of(body: bytes) -> dict[str, Any]:
    """The object that a body is. Raises InvalidRequest for what is none."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"The body is no JSON: {exc}.") from exc
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.") from exc
    if not isinstance(found, dict):
        raise InvalidRequest(f"The body is {brief(found)}, and has to be an object.")
    return found


def brief(found: object) -> str:
    """A value as a person may read it in a sentence."""
    if isinstance(found, list | dict) and len(found) > _LONGEST:
        return f"{'a list' if isinstance(found, list) else 'an object'} of {len(found)}"
    text = encode(found[: 2 * _LONGEST] if isinstance(found, str) else found).decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
