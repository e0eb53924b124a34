"""A request as the routes see it, and the plain replies that need no model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any

from msgspec import Struct

from .journal import Entry
from .money import digits
from .refusals import named as refusals
from .shapes import Head, Refusal, Skin, Write
from .wire import Reply

JSON = "application/json"


class Request(Struct, kw_only=True):
    """What came in."""

    method: str
    path: str
    """Within the API: without `/api/v1`."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    entry: Entry
    """Its line in the journal."""
    now: float
    left: Callable[[], Awaitable[None]]
    """Returns when the client has left; for whoever waits for others on its behalf."""

    @property
    def authorization(self) -> str | None:
        """What names the key; Anthropic's clients send it as x-api-key."""
        if (told := self.headers.get("authorization")) is not None:
            return told
        key = self.headers.get("x-api-key")
        return None if key is None else f"Bearer {key}"


def reply(status: int, body: bytes, headers: Mapping[str, str], kind: str = JSON) -> Reply:
    """A body in one piece."""
    yield Head(status, {"Content-Type": kind, **headers}, len(body))
    if body:
        yield Write(body)


def as_json(data: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Reply:
    """A page. Decimals become plain numbers, with all their digits."""
    return reply(status, digits.encode(data), headers or {})


def refused(
    refusal: Refusal, skin: Skin = "chat", headers: Mapping[str, str] | None = None, **more: Any
) -> Reply:
    """OpenRouter's words for "no", in the skin's envelope."""
    body = refusals.envelope(skin, refusal, **more)
    return reply(refusal.status, body, {**(headers or {}), **refusal.headers})


def date(now: float) -> str:
    """The Date header of a moment."""
    return formatdate(now, usegmt=True)
