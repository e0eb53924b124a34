"""The page: one request for inference, from its key to the steps of its answer.

key → form → cache → route (faults, model, money, limits) → words → bill → form → pace → ledger
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from . import metadata, routing, steps
from .checks import check
from .faults import events as broken
from .faults.fault import Outcome
from .faults.table import HEADER, PREFIX, Chosen
from .money import bills, cache, digits
from .money.charging import Charge
from .refusals import named as refusals
from .request import JSON, Request, refused
from .routing import Route
from .shapes import Answer, Call, Counts, Event, Head, Model, Pause, Refusal, Sent, Skin, Write
from .steps import Pace
from .turn import Turn
from .wire import Reply
from .words import answer as answers
from .words import borrowed, embed
from .words.skins import table as skins
from .world import World

_STREAM = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


class Stored(Struct, frozen=True):
    """What the response cache keeps: an answer, and whose it was."""

    asked: str
    model: Model
    provider: str
    answer: Answer
    body: dict[str, Any] | None


async def infer(world: World, request: Request, skin: Skin) -> Reply:
    """The reply to one request. A refusal is one too, in the skin's envelope."""
    generation = world.next_id(request.now)
    request.entry.generation, request.entry.skin = generation, skin
    turn: Turn | None = None
    told: dict[str, Any] = {}
    try:
        key = world.bank.key(request.authorization, request.now)
        request.entry.key = key.name
        told["user_id"] = world.bank.account(key).user_id
        call = check.read(skin, request.raw, request.headers)
        request.entry.models = call.models
        turn = Turn(world=world, request=request, key=key, call=call, generation=generation, attempts=[])
        wish = cache.asked(request.headers, zdr=world.bank.rules(key).zdr)
        if hit := _hit(turn, wish):
            return _cached(turn, hit)
        told["request_id"] = generation
        return await _routed(turn, wish)
    except Refusal as refusal:
        if turn is not None and turn.attempts and metadata.wanted(request.headers):
            last = turn.attempts[-1].model
            told["routing"] = metadata.made(turn.call, last, None, (), "", turn.attempts, False)
        return refused(refusal, skin, {"X-Generation-Id": generation}, **told)


async def _routed(turn: Turn, wish: cache.Asked) -> Reply:
    """The answer of whoever can give one. On the Responses API a broken limit of tokens ends an answer, and is no error."""
    try:
        route = routing.find(turn)
    except Refusal as refusal:
        if turn.call.skin != "responses" or refusal.error_type not in refusals.LENGTHS:
            raise
        route = routing.unfit(turn)
        length = Answer(pieces=(), finish_reason="length", native_finish_reason="length", counts=Counts())
        sent = replace(_sent(turn, route, length), bill=bills.NOTHING)
        turn.request.entry.model = route.model.id
        return _reply(turn, Charge(turn, sent, route.asked), sent, None, (), Pace(), {})
    return await _answered(turn, route, wish)


async def _answered(turn: Turn, route: Route, wish: cache.Asked) -> Reply:
    """What the model says, what it costs, and how it comes."""
    world, request = turn.world, turn.request
    pace = steps.pace_of(world.settings, request.headers)
    answer, body = await _said(turn, route)
    sent = _sent(turn, route, answer)
    headers = cache.miss(wish) if wish.enabled else {}
    if not route.faults:
        stored = Stored(route.asked, route.model, route.provider, answer, body)
        name = world.responses.name(turn.key.token, turn.call)
        world.responses.store(name, wish, stored, turn.generation, turn.now)
    request.entry.model = route.model.id
    charge = Charge(turn, sent, route.asked, _outcome(route.faults))
    return _reply(turn, charge, sent, body, route.faults, pace, headers)


async def _said(turn: Turn, route: Route) -> tuple[Answer, dict[str, Any] | None]:
    """The answer after all faults of speech, counted; embeddings and rerank have a body at once."""
    world, call, model = turn.world, turn.call, route.model
    answer, body = await _spoken(turn, route)
    account = world.bank.account(turn.key).id
    return replace(answer, counts=world.prompts.counted(answer.counts, account, model, call, turn.now)), body


async def _spoken(turn: Turn, route: Route) -> tuple[Answer, dict[str, Any] | None]:
    world, call, model = turn.world, turn.call, route.model
    seed = world.settings.seed
    if call.skin == "embeddings":
        body, counts = embed.embeddings(call, model, seed)
        return _wordless(counts), body
    if call.skin == "rerank":
        body, counts = embed.rerank(call, model, seed)
        return _wordless(replace(counts, search_units=int(body["usage"].get("search_units") or 0))), body
    call = _needed(call, route)
    answer = answers.compose(call, model, seed)
    if world.settings.words_from:
        note = turn.request.entry.note
        answer = await borrowed.spoken(world.settings, call, answer, turn.request.left, note)
    for one in route.faults:
        if one.fault.answer is not None:
            answer = one.fault.answer(one.params, call, model, seed, answer)
    return answer, None


def _needed(call: Call, route: Route) -> Call:
    """The call, changed so that there is something for its faults to damage."""
    if call.tools and any(one.fault.needs_tools for one in route.faults):
        call = replace(call, tool_choice="required")
    thinks = call.reasoning.enabled is None and call.reasoning.effort is None
    if thinks and any(one.fault.needs_reasoning for one in route.faults):
        call = replace(call, reasoning=replace(call.reasoning, enabled=True))
    return call


def _wordless(counts: Counts) -> Answer:
    return Answer(pieces=(), finish_reason="stop", native_finish_reason="stop", counts=counts)


def _outcome(faults: Iterable[Chosen]) -> Outcome:
    """The worst of all."""
    found = {one.fault.outcome for one in faults}
    return "error" if "error" in found else "truncated" if "truncated" in found else "whole"


def _sent(turn: Turn, route: Route, answer: Answer) -> Sent:
    """The answer with its bill, and with its route for who asked for that."""
    world, call = turn.world, turn.call
    asked = call.body.get("service_tier") if call.skin in ("chat", "completions", "responses") else None
    tier, _ = world.catalogue.tier(route.model, asked)
    failed = _outcome(route.faults) == "error"
    bill = world.bank.bill(
        turn.key,
        route.model,
        answer.counts,
        turn.now,
        tier,
        finish_reason="error" if failed else answer.finish_reason,
        provider=route.provider,
    )
    for one in route.faults:
        if one.fault.bill is not None:
            bill = one.fault.bill(one.params, bill)
    told = None
    if metadata.wanted(turn.request.headers):
        told = metadata.made(
            call, route.asked, route.model, route.available, route.provider, turn.attempts, bill.is_byok
        )
    return Sent(
        id=turn.generation,
        created=int(turn.now),
        model=route.model,
        provider=route.provider,
        call=call,
        answer=answer,
        bill=bill,
        service_tier=tier,
        metadata=told,
    )


def _hit(turn: Turn, wish: cache.Asked) -> cache.Hit | None:
    """A stored answer. Whoever asks for a fault does not want one."""
    world, call = turn.world, turn.call
    if world.script or HEADER in turn.request.headers or any(slug.startswith(PREFIX) for slug in call.models):
        return None
    return world.responses.find(world.responses.name(turn.key.token, call), wish, turn.now)


def _cached(turn: Turn, hit: cache.Hit) -> Reply:
    """The same answer under a new id, for nothing, without metadata."""
    stored: Stored = hit.value
    sent = Sent(
        id=turn.generation,
        created=int(turn.now),
        model=stored.model,
        provider=stored.provider,
        call=turn.call,
        answer=replace(stored.answer, counts=Counts()),
        bill=bills.NOTHING,
    )
    turn.request.entry.model = stored.model.id
    charge = Charge(turn, sent, stored.asked, source_id=hit.source_id)
    return _reply(turn, charge, sent, stored.body, (), Pace(), hit.headers)


def _reply(
    turn: Turn,
    charge: Charge,
    sent: Sent,
    body: dict[str, Any] | None,
    faults: tuple[Chosen, ...],
    pace: Pace,
    headers: Mapping[str, str],
) -> Reply:
    """The answer in its skin's form, with everything that goes wrong on its way."""
    settings, headers = turn.world.settings, {"X-Generation-Id": sent.id, **headers}
    if sent.answer.notes:
        headers["X-Sim-Note"] = "; ".join(sent.answer.notes)
        turn.request.entry.note(*sent.answer.notes)
    seed = f"{settings.seed}\n{sent.id}"
    if sent.call.stream:
        usage = next((one.fault.usage for one in faults if one.fault.usage), settings.usage)
        events = _charged(_worse(sent, _events(turn, sent, usage), faults), charge)
        return _through(_streamed(events, pace, seed, {**_STREAM, **headers}), faults, charge)
    whole = _body(sent, body)
    for one in faults:
        if one.fault.body is not None:
            whole = one.fault.body(one.params, sent, whole)
    pause, write = steps.at_once(whole, sent.answer.counts.completion, pace, seed)
    return _through(_at_once(pause, write, charge, headers), faults, charge)


def _through(reply: Reply, faults: tuple[Chosen, ...], charge: Charge) -> Reply:
    """The steps after all faults of the connection. However they end, the ledger knows."""
    played: Iterator[Any] = reply
    for one in faults:
        if one.fault.steps is not None:
            played = one.fault.steps(one.params, played)
    try:
        for step in played:
            if type(step) is Write:
                charge.tokens += step.tokens
            yield step
    finally:
        reply.close()
        charge.settle()


def _streamed(events: Iterator[Event], pace: Pace, seed: str, headers: dict[str, str]) -> Reply:
    yield Head(200, headers)
    yield from steps.streamed(events, pace, seed)


def _at_once(pause: Pause | None, write: Write, charge: Charge, headers: Mapping[str, str]) -> Reply:
    if pause is not None:
        yield pause
    charge.began()
    charge.whole()
    yield Head(200, {"Content-Type": JSON, **headers}, len(write.data))
    yield write


def _charged(events: Iterable[Event], charge: Charge) -> Iterator[Event]:
    """The events. With the first that ends the answer all of it was produced."""
    for event in events:
        if event.kind == "delta":
            charge.began()
        elif event.kind != "open":
            charge.whole()
        yield event


def _events(turn: Turn, sent: Sent, usage: str) -> Iterator[Event]:
    if (sent.call.body.get("debug") or {}).get("echo_upstream_body") is True and sent.call.skin == "chat":
        echoed = {name: value for name, value in sent.call.body.items() if name != "debug"}
        for attempt in turn.attempts:
            yield broken.debug_event(replace(sent, provider=attempt.provider), echoed)
    yield from skins.events(sent, usage)


def _worse(sent: Sent, events: Iterator[Event], faults: tuple[Chosen, ...]) -> Iterator[Event]:
    for one in faults:
        if one.fault.events is not None:
            events = one.fault.events(one.params, sent, events)
    return events


def _body(sent: Sent, body: dict[str, Any] | None) -> bytes:
    if body is None:
        return skins.body(sent)
    bill, counted = sent.bill, body["usage"]
    if bill is bills.NOTHING:
        counted = dict.fromkeys(counted, 0)
    usage = counted | {"cost": bill.cost, "is_byok": bill.is_byok}
    if sent.call.skin == "embeddings":
        usage["cost_details"] = {
            "upstream_inference_cost": bill.upstream,
            "upstream_inference_prompt_cost": bill.upstream_prompt,
            "upstream_inference_completions_cost": bill.upstream_completion,
        }
    return digits.encode({"id": sent.id, "provider": sent.provider, **body, "usage": usage})
