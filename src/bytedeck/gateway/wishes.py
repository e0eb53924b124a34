"""What a client's headers wish: a task, a way to fail over, and what goes on to the upstream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ..errors import InvalidRequest
from ..types import Failover

_TASK, _FAILOVER = b"x-byte-task", b"x-byte-failover"
# OpenRouter's own, which are of the request (wire reference 2.2). Those of the account and the app are the gateway's.
_PASSED_ON = frozenset(
    {
        b"x-session-id",
        b"x-openrouter-metadata",
        b"x-openrouter-experimental-metadata",
        b"x-openrouter-cache",
        b"x-openrouter-cache-ttl",
        b"x-openrouter-cache-clear",
        b"x-anthropic-beta",
        b"anthropic-beta",
    }
)
_RENAMED = {b"anthropic-beta": b"x-anthropic-beta"}
"""What Anthropic's clients say → what OpenRouter reads."""


def task(headers: Mapping[bytes, bytes]) -> str:
    """The task that X-Byte-Task names; "" where it names none."""
    return headers.get(_TASK, b"").decode("latin-1").strip()


def failover(headers: Mapping[bytes, bytes]) -> Failover | None:
    """The way that X-Byte-Failover names. Raises InvalidRequest."""
    told = headers.get(_FAILOVER)
    if told is None:
        return None
    said = told.decode("latin-1").strip().lower()
    if said not in get_args(Failover):
        known = ", ".join(get_args(Failover))
        raise InvalidRequest(f"X-Byte-Failover is {said!r}, and has to be one of {known}.")
    return said  # type: ignore[return-value]


def passed_on(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """The headers that the upstream gets as they came."""
    names = headers.keys() & _PASSED_ON
    if b"x-anthropic-beta" in names:
        names -= {b"anthropic-beta"}
    return tuple(
        (_RENAMED.get(name, name).decode(), headers[name].decode("latin-1")) for name in sorted(names)
    )
