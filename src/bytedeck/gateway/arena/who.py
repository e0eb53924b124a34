"""Which match somebody asks for, whether it is theirs to see, and in which form. What is foreign is not there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ...arena.types import Match, Vote
from ...callers import Caller
from ...errors import InvalidRequest, PermissionRefused
from ..visit import App
from .seen import Form, is_hidden

if TYPE_CHECKING:
    from ...io.matches import Kept

_ID = re.compile("[a-z2-7]{10}")


class View(Struct, frozen=True, kw_only=True):
    """A match as one who asks may see it."""

    kept: Kept
    form: Form
    is_owner: bool
    may_rule: bool
    """Whether it may be stopped and removed: by its owner, and by who runs the gateway."""
    viewer: tuple[str, str]
    """As whom this one votes: source and name."""
    votes: tuple[Vote, ...] = ()
    """Read only where they decide what may be seen."""

    @property
    def match(self) -> Match:
        """As it is, with all names: not what is told."""
        return self.kept.match


def unknown(match: str) -> InvalidRequest:
    """No match has this id; or none that is anything to who asks, which is the same answer."""
    return InvalidRequest(f"There is no match {match[:40]!r}.", code="unknown_match")


def owns(caller: Caller | None, match: Match) -> bool:
    """Whether it is this key's match; without keys all are of who is at this machine.

    A key that was given a name later is not whose the name was before.
    """
    if caller is None:
        return True
    return caller.name == match.owner and match.created >= caller.created


def voter(caller: Caller | None, match: Match, said: str) -> tuple[str, str]:
    """As whom somebody votes: the owner as itself; everybody else, and whoever the owner's program names, as a spectator.

    Raises PermissionRefused where another one names somebody: its key would have as many votes as it has names.
    """
    is_owner = owns(caller, match)
    if said and not is_owner:
        raise PermissionRefused("This match is another key's: you have one vote, as yourself.")
    if not said and is_owner:
        return "owner", match.owner
    name = caller.name if caller is not None else ""
    return "spectators", "/".join(filter(None, (name, said)))


async def view(app: App, caller: Caller | None, match: str, said: str = "") -> View:
    """`said`: the voter that is named. Raises InvalidRequest (404) for what is not there, or not for this key."""
    if not _ID.fullmatch(match):
        raise unknown(match)
    return await asyncio.to_thread(_view, app, caller, match, said)


def _view(app: App, caller: Caller | None, match: str, said: str) -> View:
    store = app.hub.house.matches
    try:
        kept = store.find(match)
    except InvalidRequest as error:
        raise unknown(match) from error
    return _seen(app, caller, kept, said)


async def views(app: App, caller: Caller | None, kept: Sequence[Kept]) -> list[View]:
    """As `view`, of what was found."""
    return await asyncio.to_thread(lambda: [_seen(app, caller, one, "") for one in kept])


def _seen(app: App, caller: Caller | None, kept: Kept, said: str) -> View:
    match = kept.match.id
    is_owner, is_admin = owns(caller, kept.match), caller is not None and caller.role == "admin"
    if not (is_owner or is_admin or kept.match.is_public):
        raise unknown(match)
    viewer = voter(caller, kept.match, said)
    votes = app.hub.house.matches.votes(match) if kept.match.kind == "battle" else ()
    form: Form = "whole" if is_owner or is_admin else "guest"
    if is_hidden(kept.match, kept.end, votes, viewer):
        form = "hidden"
    return View(
        kept=kept,
        form=form,
        is_owner=is_owner,
        may_rule=is_owner or is_admin,
        viewer=viewer,
        votes=votes,
    )


def check_rule(one: View) -> None:
    """Raises PermissionRefused where this key may only watch."""
    if not one.may_rule:
        raise PermissionRefused("This match is another key's: you may watch it and vote.")
