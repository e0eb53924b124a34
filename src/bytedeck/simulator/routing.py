"""Who answers: the models of a chain in their order, each with the faults that hit it, until one can.

Fail-over is silent and ends with the first token; after it nothing is swapped any more (wire reference, 1 and 5.1).
"""

from __future__ import annotations

from random import Random

from msgspec import Struct

from .checks import check
from .faults import table as faults
from .faults.fault import Moment
from .faults.script import Asked
from .faults.table import Chosen
from .metadata import Attempt
from .models import catalogue
from .refusals import named as refusals
from .request import Request
from .shapes import Call, Model, Refusal
from .turn import Turn
from .words import language as words
from .world import World


class Route(Struct, frozen=True, kw_only=True):
    """A model that can answer, by a provider of its."""

    asked: str
    """The slug as it was sent."""
    model: Model
    provider: str
    available: tuple[str, ...]
    faults: tuple[Chosen, ...]


def find(turn: Turn) -> Route:
    """The first model of the chain that can answer; who could not is noted in the turn's `attempts`.

    Raises the last one's Refusal, which tells of those before it.
    """
    world, attempts = turn.world, turn.attempts
    skin = turn.call.skin
    for (
        slug
    ) in turn.call.models:  # a fault that cannot be meant is told, and nobody else answers in its place
        for own in faults.from_slug(slug):
            faults.fitting(own, skin)
    told = _of_header(world, turn.request, skin)
    told = [faults.fitting(one, skin) for one in told]
    everywhere = [chosen for chosen in told if world.tally.counts(chosen)]
    refusal: Refusal | None = None
    for slug in turn.call.models or (catalogue.DEFAULT,):
        try:
            return _tried(turn, slug, everywhere)
        except Refusal as no:
            refusal = no
    assert refusal is not None  # noqa: S101 - the chain is never empty
    if len(attempts) > 1 and refusal.status != 401:
        before = [{"provider": a.provider, "code": a.status, "status": a.status} for a in attempts[:-1]]
        refusal.metadata = {**refusal.metadata, "previous_errors": before}
    raise refusal


def _tried(turn: Turn, slug: str, everywhere: list[Chosen]) -> Route:
    world, call, now = turn.world, turn.call, turn.now
    chosen = (*everywhere, *_of_model(turn, slug))
    entry = turn.request.entry
    entry.faults = tuple(dict.fromkeys((*entry.faults, *(one.text for one in chosen))))
    _refuse(world, now, slug, chosen, turn.attempts)
    found = world.catalogue.find(faults.bare_slug(slug), now)
    model = world.catalogue.routed(found, _chance(turn), _needs(call))
    prompt = words.prompt_tokens(call.messages, call.tools)
    price = world.catalogue.price(model, prompt, now)
    check.fits(call, model, prompt, asked=slug, price=price)
    world.admit(turn.key, call, model, prompt, now)
    available = check.eligible(call, model) or model.providers
    provider = _answering(turn, model, available, chosen)
    return Route(asked=slug, model=model, provider=provider, available=available, faults=chosen)


def unfit(turn: Turn) -> Route:
    """The last model of the chain, which would have answered but for the request's size. Raises Refusal."""
    slug = (turn.call.models or (catalogue.DEFAULT,))[-1]
    found = turn.world.catalogue.find(faults.bare_slug(slug), turn.now)
    model = turn.world.catalogue.routed(found, _chance(turn), _needs(turn.call))
    available = check.eligible(turn.call, model) or model.providers
    return Route(asked=slug, model=model, provider=available[0], available=available, faults=())


def weather(world: World, request: Request) -> list[Chosen]:
    """The faults that hit a page of data, to a script the skin "data". Raises the Refusal of those that refuse."""
    told = _of_header(world, request, faults.DATA)
    asked = Asked(now=request.now, number=request.entry.number, model="", key="", skin=faults.DATA)
    chosen = [one for one in (*told, *world.script.choose(asked)) if world.tally.counts(one)]
    request.entry.faults = tuple(one.text for one in chosen)
    _refuse(world, request.now, "", tuple(chosen), [])
    return chosen


def _of_header(world: World, request: Request, skin: str) -> list[Chosen]:
    """The faults that the request itself asks for, random ones drawn."""
    told = faults.parse(request.headers.get(faults.HEADER, ""), world.began)
    chance = _luck(world, faults.HEADER, request.entry.number)
    return [faults.drawn(one, skin, chance) for one in told]


def _luck(world: World, place: str, number: int) -> Random:
    """What random faults of this place and request are drawn by."""
    return Random(f"{world.settings.seed}:{place}:{number}")  # noqa: S311 - it must be the same each time


def _of_model(turn: Turn, slug: str) -> list[Chosen]:
    """The faults of the slug itself, and those of the script."""
    world, entry = turn.world, turn.request.entry
    asked = Asked(now=turn.now, number=entry.number, model=slug, key=entry.key, skin=turn.call.skin)
    chance = _luck(world, slug, entry.number)
    own = [faults.drawn(one, asked.skin, chance) for one in faults.from_slug(slug, world.began)]
    found = [faults.fitting(one, turn.call.skin) for one in (*own, *world.script.choose(asked))]
    return [one for one in found if world.tally.counts(one)]


def _refuse(world: World, now: float, slug: str, chosen: tuple[Chosen, ...], attempts: list[Attempt]) -> None:
    for one in chosen:
        if one.fault.refuse is None:
            continue
        moment = Moment(now=now, since=one.since, model=slug, provider=_first_provider(world, slug))
        refusal = one.fault.refuse(one.params, moment)
        if refusal is not None:
            if refusal.status >= 429:  # what is refused below that was refused before any provider
                attempts.append(Attempt(moment.provider, slug, refusal.status))
            raise refusal


def _first_provider(world: World, slug: str) -> str:
    """Who would have been asked; a model that nobody serves has the simulator's own."""
    try:
        return (*world.catalogue.find(faults.bare_slug(slug)).providers, faults.PROVIDERS[0])[0]
    except Refusal:
        return faults.PROVIDERS[0]


def _answering(turn: Turn, model: Model, available: tuple[str, ...], chosen: tuple[Chosen, ...]) -> str:
    """The first provider that does not fail."""
    attempts, left = turn.attempts, list(available)
    failing = [status for one in chosen if one.fault.failures for status in one.fault.failures(one.params)]
    may_fail_over = (turn.call.body.get("provider") or {}).get("allow_fallbacks") is not False
    for status in failing:
        attempts.append(Attempt(left.pop(0), model.id, status))
        if not left or not may_fail_over:
            raise refusals.make("provider_unavailable", model=model.id, provider=attempts[-1].provider)
    attempts.append(Attempt(left[0], model.id, 200))
    return left[0]


def _chance(turn: Turn) -> str:
    """What a router's choice follows from."""
    return f"{turn.world.settings.seed}\n{len(turn.call.raw)}"


def _needs(call: Call) -> frozenset[str]:
    """What a router's choice has to be able to do."""
    return frozenset({"tools"} if call.tools else ())
