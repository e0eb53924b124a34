"""Who may come in where there are no keys: this machine's own programs, and no page of the web in a browser on it.

A page may send here by a name of its own that leads to this machine (DNS rebinding), or by a form from elsewhere; its
browser then tells the name in Host and the page in Origin, and a form cannot send JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import PermissionRefused
from .asgi import Refused

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_MOST_KNOWN = 1000


class Door:
    """Lets requests in by the names that they give."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: by which the gateway may be called besides this machine's own."""
        self._names = LOOPBACK | {name.lower() for name in names}
        self._known: set[bytes] = set()
        """Hosts and origins that were looked at before, and were well."""

    def check(self, headers: Mapping[bytes, bytes]) -> None:
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
