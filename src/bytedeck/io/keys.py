"""Virtual keys: where they are kept, as a protocol, and what all that keep them do alike.

A secret is made here, told once, and kept nowhere: only its digest is. `stores.py` opens what keeps them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec.structs import replace

from ..callers import Caller, Ring
from ..config import nearest
from ..errors import InvalidRequest
from ..guard import access

LONGEST_GRACE = 31 * 86_400.0
"""Seconds for which a secret that was replaced may be accepted yet."""
_PREFIX = "sk-byte-"
_RANDOM = 32


class Keys(Protocol):
    """Blocks for as long as the store takes. May be called from any thread.

    Every method raises LedgerError where the store cannot be read or written, and InvalidRequest for what cannot be
    meant: its code is `unknown_key` for a name that no key has. What fails changes nothing.
    """

    def version(self) -> int:
        """Another number whenever a key has changed; 0 where there has never been one. A look at one row."""

    def load(self) -> Ring:
        """All of them, as they are at one moment."""

    def list(self) -> tuple[Caller, ...]:
        """In the order of their names."""

    def find(self, name: str) -> Caller:
        """The key of this name."""

    def create(self, caller: Caller) -> str:
        """Keep a new key, and return its secret, which nobody can tell again."""

    def update(self, name: str, change: Callable[[Caller], Caller]) -> Caller:
        """What the key may do from now on: `change` makes it of what stands there, and nobody else changes it meanwhile.
        Its name and secret, when it was made and whether it is revoked stay."""

    def rotate(self, name: str, grace: float = 0.0) -> str:
        """Give it another secret, and return that. The old one is accepted for `grace` seconds yet."""

    def revoke(self, name: str) -> Caller:
        """Accept it no more, for good. Revoking it again changes nothing."""

    def forget(self, name: str) -> None:
        """Remove it. The ledger keeps its rows."""


def made(caller: Caller, now: int) -> tuple[Caller, str]:
    """A new key as it is kept, and its secret. Raises InvalidRequest. `now`: microseconds since 1970."""
    secret = _PREFIX + secrets.token_urlsafe(_RANDOM)
    kept = replace(access.checked(caller, now), created=now, revoked=None, hint=secret[-4:])
    return kept, secret


def changed(old: Caller, new: Caller, now: int) -> Caller:
    """The key with other settings. Raises InvalidRequest."""
    kept = replace(new, name=old.name, created=old.created, revoked=old.revoked, hint=old.hint)
    if kept.expires == old.expires:  # that it has expired is no reason not to change the rest
        access.checked(replace(kept, expires=None), now)
        return kept
    return access.checked(kept, now)


def rotated(old: Caller, grace: float, now: int) -> tuple[Caller, str]:
    """The key with a new secret, and that one. Raises InvalidRequest."""
    if not 0 <= grace <= LONGEST_GRACE:
        raise InvalidRequest("The old secret can be accepted for 0 seconds to 31 days yet.")
    state = old.state(now)
    if state != "active":
        raise InvalidRequest(
            f"The key {old.name} {'was revoked' if state == 'revoked' else 'has expired'}: a new secret would not be"
            " accepted, either.",
            hint=("Make another one with: byte keys create NAME",),
        )
    secret = _PREFIX + secrets.token_urlsafe(_RANDOM)
    return replace(old, hint=secret[-4:]), secret


def taken(name: str) -> InvalidRequest:
    """Somebody was quicker, or it has been there all along."""
    return InvalidRequest(
        f"There is a key {name} already.",
        hint=(f"Change it with: byte keys update {name}", f"A new secret: byte keys rotate {name}"),
    )


def unknown(name: str, names: Iterable[str]) -> InvalidRequest:
    """No key has this name."""
    near = nearest(name, names)
    hint = (f"Did you mean: {', '.join(near)}?",) if near else ("All that there are: byte keys list",)
    return InvalidRequest(f"There is no key {name!r}.", code="unknown_key", hint=hint)
