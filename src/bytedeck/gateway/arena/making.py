"""Matches are begun, taken up again, stopped and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import structs

from ...arena.match import outcome
from ...arena.match.referee import Referee
from ...arena.types import Kind
from ...debates.adebate import AsyncDebate
from ...debates.making import Asked as Wanted
from ...debates.making import budget_units
from ...debates.opening import Again
from ...errors import InvalidRequest, PermissionRefused
from ...guard import access
from ..asgi import Refused
from ..door.access import now
from ..talk import check_open
from ..visit import App
from . import shapes, told, who
from .asked import Asked

_CONFLICT = 409
_STOPPED = "It was stopped by who holds it."


async def debate(asked: Asked) -> None:
    """Begin a debate; it goes on in the background."""
    body: shapes.NewDebate = asked.body
    said = structs.asdict(body)
    await _begin(asked, "debate", said.pop("topic"), said.pop("fighters"), said)


async def battle(asked: Asked) -> None:
    """Begin a battle of two hidden models; it goes on in the background."""
    body: shapes.NewBattle = asked.body
    said = structs.asdict(body)
    await _begin(asked, "battle", said.pop("prompt"), said.pop("models"), said)


async def _begin(asked: Asked, kind: Kind, topic: str, fighters: Sequence[Any], said: dict[str, Any]) -> None:
    app, caller = asked.app, asked.caller
    check_open(app)
    # What its results count for is no request's task, so no request's check would tell.
    access.admit_task(caller, app.hub.house.task(said["task"]).name)
    made = tuple(shapes.fighter(one, app.hub.house.config) for one in fighters)
    if "judges" in said and isinstance(said["judges"], tuple):
        said["judges"] = list(said["judges"])
    begun = AsyncDebate(
        app.hub, Wanted(kind=kind, topic=topic, fighters=made, caller=caller, **said), _recorder(app)
    )
    await app.hall.hold(begun, caller)
    found = await who.view(app, caller, begun.id)
    links = told.links(asked.base, begun.id)
    answer = told.brief(found, asked.base) | {"notes": list(begun.notes)}
    await asked.answer(answer, 201, [(b"location", links["self"].encode())])


def _recorder(app: App) -> Any:
    async def record(match: str) -> tuple[str, ...]:
        return (await app.hub.arena.record(match)).notes

    return record


async def resume(asked: Asked) -> None:
    """Go on with a match that waits for a larger budget, or was cut off."""
    app, caller = asked.app, asked.caller
    check_open(app)
    view = await who.view(app, caller, asked.match)
    if not view.is_owner:
        raise PermissionRefused("This match is another key's, and only who made it pays for it.")
    budget: Decimal | None = asked.body.budget
    units = None if budget is None else budget_units(budget)
    if units is not None and view.match.rules.budget_units is None:
        raise Refused(422, "This match has no budget that could grow.", field="budget")
    _check_here(asked, view)
    again = AsyncDebate(app.hub, Again(match=asked.match, budget_units=units, caller=caller), _recorder(app))
    try:
        await app.hall.hold(again, caller)
    except InvalidRequest as error:  # it is over, or goes on elsewhere
        raise Refused(_CONFLICT, error.message) from error
    await asked.answer(told.brief(await who.view(app, caller, asked.match), asked.base))


def _check_here(asked: Asked, view: who.View) -> None:
    """Raises Refused (409) where there is nothing to be taken up."""
    if view.kept.end:
        raise Refused(_CONFLICT, "The match is over.")
    if asked.app.hall.running(asked.match) or view.kept.is_held:
        raise Refused(_CONFLICT, "The match is going on.")


async def stop(asked: Asked) -> None:
    """End a match for good. What runs is closed and settled; its results count for nothing."""
    app = asked.app
    view = await who.view(app, asked.caller, asked.match)
    who.check_rule(view)
    if view.kept.end:
        raise Refused(_CONFLICT, "The match is over.")
    await app.hall.leave(asked.match)
    await asyncio.to_thread(_stop, app, asked.match)
    await asked.answer(told.brief(await who.view(app, asked.caller, asked.match), asked.base))


def _stop(app: App, match: str) -> None:
    """Raises Refused (409) where another process holds it, or it ended just now."""
    store = app.hub.house.matches
    try:
        store.hold(match)
    except InvalidRequest as error:
        raise Refused(_CONFLICT, error.message) from error
    try:
        found = store.find(match)
        referee = Referee(found.match)
        for event in store.events(match):
            referee.hear(event)
        ended = outcome.stopped(referee, _STOPPED)
        store.append(match, (structs.replace(ended, seq=found.last + 1, at=max(now(), found.at)),))
    finally:
        store.release(match)


async def forget(asked: Asked) -> None:
    """Remove a match, and what it said of its models."""
    view = await who.view(asked.app, asked.caller, asked.match)
    who.check_rule(view)
    if asked.app.hall.running(asked.match) or view.kept.is_held:
        raise Refused(_CONFLICT, "The match is going on. Stop it first.")
    await asked.app.hub.arena.forget(asked.match)
    await asked.answer(None, 204)
