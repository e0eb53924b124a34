"""Requests that a model answers, and what is reckoned of a body alone: from the body to the exchange and its record."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from importlib import import_module

from msgspec.structs import replace

from ..errors import InvalidRequest, ModelUnavailable
from ..types import Ask, Policy, Reply
from . import wishes
from .asgi import LEFT, Headers, client_of, read_body, send_json
from .call import Call, Skin
from .door.door import check_json
from .exchange import Exchange
from .load import Begin, Share, take_turn
from .parts import encode
from .passed import Passed, Told
from .visit import App, Visit
from .watch.record import ANSWERED, Record
from .watch.record import LEFT as ABANDONED

_NOTHING = Reply()
_MOST_MODELS, _LONGEST_NAME = 100, 300
_SECRET = re.compile(r"sk-[\w-]{20}")


async def converse(app: App, visit: Visit) -> None:
    """One request to a model. Raises what is refused before it was begun; then the exchange tells all."""
    skin = app.skin(visit.form)
    with Share(app.bodies) as share:
        _check_room(app, visit)
        call = skin.read(await read(app, visit, share))
        ask = _ask(app, visit, call)
        begin = app.answers.begin(app.hub, visit.headers)
        check_open(app)
        await _exchange(app, visit, skin, call, ask, begin)


async def pass_on(app: App, visit: Visit) -> None:
    """As `converse`, for what is passed through: embeddings, rerank."""
    with Share(app.bodies) as share:
        _check_room(app, visit)
        body = await read(app, visit, share)
        skin = Passed("/" + visit.scope["path"].rpartition("/")[2], body)
        call = skin.read(body)
        ask = _ask(app, visit, call)
        check_open(app)

        async def begin(ask: Ask, told: Headers) -> Told:
            hub, parcel = app.hub, skin.parcel
            return Told(await take_turn(app.gate, lambda ask: hub.relay(ask, parcel), ask), parcel)

        await _exchange(app, visit, skin, call, ask, begin)


def _check_room(app: App, visit: Visit) -> None:
    """Raises Overloaded, before a body is read."""
    app.gate.check(visit.caller.name if visit.caller is not None else "")


async def _exchange(app: App, visit: Visit, skin: Skin, call: Call, ask: Ask, begin: Begin) -> None:
    """Answer it, and see to it that this ends when the client leaves."""
    exchange = Exchange(skin, call, ask, visit.send, begin, int(time.time()))
    visit.is_told = True
    app.running.add(exchange)
    unwatch = _watch(exchange, visit)
    try:
        await exchange.run(app.settings.heartbeat)
    finally:
        app.running.discard(exchange)
        unwatch()
        if app.is_closing and not app.running:
            app.idle.set()
        app.tell(_record(visit, ask, exchange))


async def count(app: App, visit: Visit) -> None:
    """What is reckoned of a body alone: nobody is asked."""
    with Share(app.bodies) as share:
        body = await read(app, visit, share)
        found = import_module(f".{visit.form[1:]}", __package__).count(body)
    await send_json(visit.send, 200, encode(found), [])


async def read(app: App, visit: Visit, share: Share) -> bytes:
    """The body, which is said to be JSON. Raises Refused, Overloaded, ClientLeft."""
    check_json(visit.headers)
    return await read_body(visit.headers, visit.receive, app.settings.max_body, share)


def check_open(app: App) -> None:
    """Raises ModelUnavailable while the gateway is being shut down."""
    if app.is_closing:
        raise ModelUnavailable("The gateway is being shut down.", code="unavailable", retry_after=1.0)


def _ask(app: App, visit: Visit, call: Call) -> Ask:
    """What is to be asked. Raises InvalidRequest for messages that are none."""
    headers = visit.headers
    _check_names(call.models)
    ask = app.hub.house.ask(
        call.messages, task=wishes.task(headers), model=call.models or "", system="", timeout=None,
        max_cost=None, headers=None, policy=wishes.failover(headers), params={}, streamed=call.streamed,
        can_erase=False,  # no protocol here can take words back
        caller=visit.caller,
    )  # fmt: skip
    if (
        call.echo.get("truncation") == "auto"
    ):  # of the Responses protocol: OpenRouter's chats have no such field
        ask = replace(ask, policy=Policy(compact=True).over(ask.policy))
    return replace(ask, params=call.params, headers=wishes.passed_on(headers))


def _check_names(models: Sequence[str]) -> None:
    """Raises InvalidRequest for what no model is called, and no chain needs: each name is looked up in all tables."""
    if len(models) > _MOST_MODELS:
        raise InvalidRequest(f"models names {len(models)} models; at most {_MOST_MODELS} are tried.")
    if any(len(name) > _LONGEST_NAME for name in models):
        raise InvalidRequest(f"A model's name has at most {_LONGEST_NAME} signs.")
    if any("sk-" in name and _SECRET.search(name) for name in models):  # it would stand in the ledger
        raise InvalidRequest("What is named as a model looks like an API key.")


def _watch(exchange: Exchange, visit: Visit) -> Callable[[], object]:
    """See to it that the exchange ends when the client hangs up; call the answer when that is of no interest any more.

    Our own server tells; of any other a task has to ask.
    """
    connection = visit.scope.get("extensions", {}).get(LEFT)
    if connection is None:
        return asyncio.get_running_loop().create_task(exchange.watch(visit.receive)).cancel
    connection.tell(exchange)
    return connection.forget  # type: ignore[no-any-return]


def _record(visit: Visit, ask: Ask, exchange: Exchange) -> Record:
    """What an exchange came to."""
    error, now = exchange.error, asyncio.get_running_loop().time()
    reply = exchange.reply or (error.reply if error is not None else None) or _NOTHING
    first = exchange.first
    if first is None and exchange.reply is not None:
        first = now  # an answer that is whole at once
    known = [one.cost_units for one in reply.attempts if one.cost_units is not None]
    return Record(
        id=ask.id,
        protocol=visit.protocol,
        method="POST",
        path=visit.scope["path"],
        status=exchange.status,
        outcome=error.code if error is not None else ANSWERED if exchange.reply is not None else ABANDONED,
        seconds=now - visit.began,
        caller=visit.caller.name if visit.caller is not None else "",
        client=client_of(visit.scope),
        key=ask.key,
        task=reply.task,
        model=reply.attempts[-1].model if reply.attempts else "",
        streamed=ask.streamed,
        prompt_tokens=reply.usage.prompt_tokens if reply.usage is not None else 0,
        completion_tokens=reply.usage.completion_tokens if reply.usage is not None else 0,
        cost_units=sum(known) if known else None,
        first=None if first is None else first - visit.began,
        tokens_per_second=reply.tokens_per_second,
        seams=len(reply.seams),
        attempts=reply.attempts,
    )
