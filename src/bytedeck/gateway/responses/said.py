"""What is said of a call that cannot be meant: sentences that name the field. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import InvalidRequest
from ..body import brief


def refuse(name: str, found: object, wanted: str) -> InvalidRequest:
    """`input[2] is 5, and has to be an object.`"""
    what = "missing" if found is None else brief(found)
    return InvalidRequest(f"{name} is {what}, and has to be {wanted}.")


def an_object(name: str, found: object) -> dict[str, Any]:
    """The same, if it is an object."""
    if not isinstance(found, dict):
        raise refuse(name, found, "an object")
    return found


def a_text(name: str, found: object) -> str:
    """The same, if it is a text."""
    if not isinstance(found, str):
        raise refuse(name, found, "a text")
    return found


def a_list(name: str, found: object) -> list[Any]:
    """The same, if it is a list."""
    if not isinstance(found, list):
        raise refuse(name, found, "a list")
    return found


def json_text(found: object) -> str:
    """A value as the text of its JSON."""
    return msgspec.json.encode(found).decode()
