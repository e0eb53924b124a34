"""Who may come in: who shows a key with the right to; where there are no keys, this machine's own programs.

Without keys no page of the web may come in through a browser on this machine. It may send here by a name of its own that
leads to this machine (DNS rebinding), or by a form from elsewhere; its browser then tells the name in Host and the page in
Origin, and a form cannot send JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ...callers import Caller
from ...errors import AuthenticationFailed, PermissionRefused
from ..asgi import Refused
from .access import Access, caller_of

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_MOST_KNOWN = 1000


_NO_KEYS = (
    "This gateway wants a key and has none, so nobody may use it. Create one with: byte keys create NAME."
)
# What a place needs → what is said to a key of the other role.
_REFUSED = {
    "user": "The key {name} is an admin's, which opens the admin API and asks no model. Use a key of a user.",
    "admin": "The key {name} is a user's, and this is for admins.",
}


class Door:
    """Lets requests in: by their keys, or where there are none by the names that they give."""

    def __init__(self, access: Access, names: Iterable[str] = (), is_exposed: bool = False) -> None:
        """`names`: by which the gateway may be called besides this machine's own, where there are no keys.
        `is_exposed`: nobody comes in without a key."""
        self._access = access
        self._is_exposed = is_exposed
        self._names = LOOPBACK | {name.lower() for name in names}
        self._known: set[bytes] = set()
        """Hosts and origins that were looked at before, and were well."""

    async def enter(
        self, headers: Mapping[bytes, bytes], need: Literal["anyone", "user", "admin"]
    ) -> Caller | None:
        """Whose key is shown; None where there are no keys, and were none before.

        Raises AuthenticationFailed, PermissionRefused for a role or a place that may not, LedgerError where nobody knows.
        """
        ring = self._access.fresh() or await self._access.current()
        if ring.callers:
            caller = await caller_of(self._access, headers)
            if need not in ("anyone", caller.role):
                raise PermissionRefused(_REFUSED[need].format(name=caller.name))
            return caller
        if self._is_exposed or self._access.is_needed:
            raise AuthenticationFailed(_NO_KEYS)
        self._check_here(headers)
        return None

    def _check_here(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises PermissionRefused for a foreign Host or Origin."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if host not in self._known:
            self._look("Host", host)
        if origin is not None and origin not in self._known:
            self._look("Origin", origin)

    def _look(self, header: str, told: bytes) -> None:
        name = name_in(told.decode("latin-1"))
        if name not in self._names:
            raise PermissionRefused(
                f"This gateway has no keys, so it answers to this machine alone; the {header} header names {name!r}."
            )
        if len(self._known) < _MOST_KNOWN:  # ports differ without end
            self._known.add(told)


def check_json(headers: Mapping[bytes, bytes]) -> None:
    """Raises Refused for a body that is not said to be JSON."""
    kind = headers.get(b"content-type", b"")
    if kind == b"application/json":
        return
    kind = kind.partition(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        said = kind.decode("latin-1") or "missing"
        raise Refused(415, f"The Content-Type is {said}, and has to be application/json.")


def name_in(told: str) -> str:
    """The name in a Host or Origin header, in lower case: `http://[::1]:80` is `::1`."""
    place = told.rpartition("://")[2].lower()
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
