"""Who asks with a virtual key: a name, what it may use, and limits and budgets of its own.

The key itself is nowhere here: of a secret only its digest is kept, beside the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from .claims import Budget, Rates

Role = Literal["user", "admin"]


class Caller(Struct, frozen=True, kw_only=True):
    """One virtual key, as it is kept. Moments are microseconds since 1970."""

    name: str
    """`[a-z0-9][a-z0-9._-]{0,63}`: what its rows in the ledger are labelled with."""
    role: Role = "user"
    """`admin` opens the admin API and the metrics, and asks no model."""
    owner: str = ""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Ids that it may use, or patterns with `*`; empty: every one."""
    tasks: tuple[str, ...] = ()
    """Canonical names of the tasks that it may name; empty: every one."""
    rates: Rates = Rates()
    budgets: tuple[Budget, ...] = ()
    """At most one a period; their scope is `key`, and they are of `name`."""
    cache: int = 0
    """Seconds for which its answers are kept; 0: as the task says."""
    created: int = 0
    expires: int | None = None
    """From this moment on it is not accepted any more."""
    revoked: int | None = None
    hint: str = ""
    """The last four signs of its secret."""

    def state(self, now: int) -> Literal["active", "expired", "revoked"]:
        """Whether it is accepted at a moment."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


class Ring(Struct, frozen=True):
    """All virtual keys at one moment. Whether any exists decides whether one is needed, also where all are revoked."""

    version: int = 0
    """Another one whenever a key has changed."""
    callers: tuple[Caller, ...] = ()
    """In the order of their names."""
    digests: Mapping[str, str] = {}
    """Digest of a secret → name of its key."""
    until: Mapping[str, int] = {}
    """Digests of secrets that were replaced → the first moment at which they are not accepted any more."""
    names: Mapping[str, Caller] = {}
    """By name; made of `callers`."""

    def __post_init__(self) -> None:
        force_setattr(self, "names", {caller.name: caller for caller in self.callers})

    def holder(self, digest: str, now: int) -> Caller | None:
        """Whose secret has this digest; None where nobody's has. A key that is revoked or expired has its holder yet."""
        name, until = self.digests.get(digest), self.until.get(digest)
        return None if name is None or (until is not None and now >= until) else self.names.get(name)
