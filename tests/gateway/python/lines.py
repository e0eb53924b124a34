"""How a test asks a client of Python in an environment of its own: a line of JSON in, a line of JSON out.

The same as node/lines.mjs. Nothing may be imported here that all of the clients do not have.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel

HI = "hi"
Told = dict[str, Any]
Operation = Callable[[Mapping[str, Any], Told], Awaitable[Told | None]]


class Number(BaseModel):
    """What a structured answer holds."""

    n: int


def prompt(asked: Mapping[str, Any]) -> str:
    """What is to be said."""
    return str(asked.get("prompt") or HI)


def _named(error: BaseException) -> Told:
    status = getattr(error, "status_code", None)
    return {"name": type(error).__name__, "status": status, "message": str(error)}


async def _answer(operations: Mapping[str, Operation]) -> None:
    for line in sys.stdin:
        asked, told = json.loads(line), {"text": ""}
        try:
            told |= await operations[asked["do"]](asked, told) or {}
        except Exception as error:  # whatever a client raises is what is wanted
            told["error"] = _named(error)
        print(json.dumps(told), flush=True)


def answer(operations: Mapping[str, Operation]) -> None:
    """Answer line by line until there are no more."""
    asyncio.run(_answer(operations))
