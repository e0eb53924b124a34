"""Pages of the web that may use the gateway: those of the origins that the settings name, and no others. Pure.

No wildcard and no cookies: a page has to show a key like everybody else. A page from elsewhere gets no header of these,
so that its browser keeps the answer from it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from ..asgi import Headers, Message, Send

_METHODS = b"GET, HEAD, POST, PATCH, DELETE"
_MAX_AGE = b"600"
_NAMES = re.compile(rb"[A-Za-z0-9_, -]{1,2000}")
"""Of headers that a page wants to send."""
_TOLD = (
    b"x-request-id, x-byte-model, x-byte-cache, x-byte-cache-saved, x-openrouter-cache-status, x-should-retry, "
    b"retry-after, age, allow"
)
"""What a page may read beside the body."""


def preflight(method: str, headers: Mapping[bytes, bytes], origins: Collection[str]) -> Headers | None:
    """The headers of the answer to a browser that asks whether a page may send; None: it is another request, or page."""
    if (
        method != "OPTIONS"
        or b"access-control-request-method" not in headers
        or not _is_allowed(headers, origins)
    ):
        return None
    wanted = headers.get(b"access-control-request-headers", b"")
    return [
        (b"access-control-allow-origin", headers[b"origin"]),
        (b"access-control-allow-methods", _METHODS),
        (
            b"access-control-allow-headers",
            wanted if _NAMES.fullmatch(wanted) else b"authorization, content-type",
        ),
        (b"access-control-max-age", _MAX_AGE),
        (b"vary", b"Origin, Access-Control-Request-Headers"),
    ]


def crossing(send: Send, headers: Mapping[bytes, bytes], origins: Collection[str]) -> Send:
    """Where answers go, with what a page of these origins needs to read them."""
    own: Headers = [(b"vary", b"Origin")]
    if _is_allowed(headers, origins):
        own += [
            (b"access-control-allow-origin", headers[b"origin"]),
            (b"access-control-expose-headers", _TOLD),
        ]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *own]}
        await send(message)

    return sent


def _is_allowed(headers: Mapping[bytes, bytes], origins: Collection[str]) -> bool:
    return headers.get(b"origin", b"").decode("latin-1") in origins
