"""One request to the arena, as what answers it gets it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...callers import Caller
from ..asgi import Headers, send_json
from ..parts import encode
from ..visit import App, Visit


class Asked(Struct, frozen=True, kw_only=True):
    """What was asked, checked by the operation's shapes."""

    app: App
    visit: Visit
    match: str
    """The id in the path; not looked for yet."""
    query: Any
    body: Any

    @property
    def caller(self) -> Caller | None:
        """Whose key was shown; None where there are none."""
        return self.visit.caller

    @property
    def base(self) -> str:
        """`/v1/arena` or `/api/v1/arena`, as it was asked."""
        path: str = self.visit.scope["path"]
        return path[: path.index("/arena/") + len("/arena")]

    async def answer(self, told: Any, status: int = 200, more: Headers | None = None) -> None:
        """JSON. What a match tells one may be another's secret, so nothing in between keeps it."""
        self.visit.status = status
        body = b"" if told is None else encode(told)
        await send_json(self.visit.send, status, body, [(b"cache-control", b"no-store"), *(more or ())])
