"""What a tool is called in chat, and what its calls are called to the client again. Pure.

A namespace groups tools (one MCP server's, say). Chat has none: `crm` and `find` become `crm__find`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

_BETWEEN = "__"
_LONGEST = 64
"""Signs that a function's name may have in chat."""


class Called(NamedTuple):
    """How a call is told to the client."""

    name: str
    namespace: str = ""
    is_custom: bool = False
    """Its input is free text."""


Names = Mapping[str, Called]
"""Name in chat → how its calls are told; only those that are told otherwise."""


def joined(namespace: object, name: str) -> str:
    """The name in chat of a tool of a namespace, or of none. One that is too long ends in a mark of the whole."""
    if not namespace or not isinstance(namespace, str):
        return name
    whole = namespace + _BETWEEN + name
    if len(whole) <= _LONGEST:
        return whole
    mark = sha256(whole.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{whole[: _LONGEST - len(mark) - 1]}_{mark}"


def names(echo: Mapping[str, Any]) -> Names:
    """Of the tools of a request, as an answer repeats them."""
    return dict(_names(echo))


def _names(echo: Mapping[str, Any]) -> Iterator[tuple[str, Called]]:
    for tool in echo.get("tools", ()):
        if tool["type"] == "namespace":
            for one in tool["tools"]:
                told = Called(one["name"], tool["name"], one["type"] == "custom")
                yield joined(tool["name"], one["name"]), told
        elif tool["type"] == "custom":
            yield tool["name"], Called(tool["name"], is_custom=True)
