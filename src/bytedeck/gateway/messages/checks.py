"""What the fields of an Anthropic request have to be: each check returns the value as its type, or names the field."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidRequest

Block = dict[str, Any]


def refuse(where: str, wanted: str) -> InvalidRequest:
    """The error that names a field and says what it has to be."""
    return InvalidRequest(f"{where}: {wanted}.")


def text(found: object, where: str) -> str:
    """A string."""
    if not isinstance(found, str):
        raise refuse(where, "has to be a string")
    return found


def thing(found: object, where: str) -> Block:
    """A JSON object."""
    if not isinstance(found, dict):
        raise refuse(where, "has to be an object")
    return found


def things(found: object, where: str) -> list[Block]:
    """A list of JSON objects."""
    return [thing(one, f"{where}[{at}]") for at, one in enumerate(items(found, where))]


def items(found: object, where: str) -> list[Any]:
    """A list."""
    if not isinstance(found, list):
        raise refuse(where, "has to be a list")
    return found


def kind(block: Block, where: str) -> str:
    """A block's `type`."""
    return text(block.get("type"), f"{where}.type")


def flag(found: object, where: str) -> bool:
    """true or false."""
    if not isinstance(found, bool):
        raise refuse(where, "has to be true or false")
    return found


def number(found: object, where: str) -> float:
    """A number."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise refuse(where, "has to be a number")
    return found


def whole(found: object, where: str, least: int = 0) -> int:
    """An integer of at least so much; 5.0 counts as one."""
    count = number(found, where)
    if count != int(count) or count < least:
        raise refuse(where, f"has to be a whole number of at least {least}")
    return int(count)
