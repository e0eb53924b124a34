"""What can be looked at: models, the key, whether the gateway is well. Each page is a function of the app and a visit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from ..callers import Caller
from ..errors import ModelUnavailable
from ..guard import access
from ..house import House
from . import own
from .asgi import Refused
from .parts import encode
from .visit import App, Visit

Page: TypeAlias = Callable[[App, Visit], Awaitable[bytes]]

_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"

# How long the first one who asks waits for a catalogue that is not there yet.
_CATALOGUE_PATIENCE = 10.0
_MOST_SEEN = 100
"""Keys whose lists are kept: to match hundreds of models with hundreds of patterns takes a tenth of a second."""


class _Id(msgspec.Struct):
    id: str = ""


class _List(msgspec.Struct):
    data: list[msgspec.Raw] = []


_read_list = msgspec.json.Decoder(_List).decode
_read_id = msgspec.json.Decoder(_Id).decode


async def models(app: App, visit: Visit) -> bytes:
    """The tasks as models, then what the upstream lists, each item whole and as it came: what the key may use of them."""
    items = await _items(app, visit)
    told = {
        "data": list(items.values()),
        "object": "list",
        "total_count": len(items),
        "links": {"next": None},
    }
    return encode(told)


async def model(app: App, visit: Visit) -> bytes:
    """One item. Raises Refused (404)."""
    return bytes(await _item(app, visit))


async def one_model(app: App, visit: Visit) -> bytes:
    """One item in an envelope, as OpenRouter's `GET /model/{author}/{slug}` has it. Raises Refused (404)."""
    return encode({"data": await _item(app, visit)})


async def count(app: App, visit: Visit) -> bytes:
    """How many there are."""
    return encode({"data": {"count": len(await _items(app, visit))}})


async def key(app: App, visit: Visit) -> bytes:
    """What the ledger knows of the key that asks, in the shape of OpenRouter's `GET /key`."""
    return encode({"data": await own.told(app, visit.caller)})


async def metrics(app: App, visit: Visit) -> None:
    """The numbers, as Prometheus reads them."""
    body = await asyncio.to_thread(app.metrics.text, app)
    headers = [(b"content-type", _PROMETHEUS), (b"content-length", b"%d" % len(body))]
    await visit.send({"type": "http.response.start", "status": 200, "headers": headers})
    await visit.send({"type": "http.response.body", "body": body})


async def healthz(app: App, visit: Visit) -> bytes:
    """The process lives."""
    return b'{"status":"ok"}'


async def readyz(app: App, visit: Visit) -> bytes:
    """Whether requests are welcome. Raises ModelUnavailable (503)."""
    if app.is_closing:
        raise ModelUnavailable("The gateway is being shut down.", code="unavailable")
    return b'{"status":"ready"}'


async def _item(app: App, visit: Visit) -> msgspec.Raw:
    found = (await _items(app, visit)).get(visit.name)
    if found is None:
        raise Refused(404, f"There is no model {visit.name!r}.")
    return found


async def _items(app: App, visit: Visit) -> dict[str, msgspec.Raw]:
    """Every model that the key may use by its id: tasks, the one on this machine, the upstream's."""
    found, caller = await _every(app), visit.caller
    if caller is None or not (caller.models or caller.tasks):
        return found
    known = app.seen.get(caller.name)
    if known is None or known[0] is not caller or known[1] is not found:
        if len(app.seen) >= _MOST_SEEN:
            app.seen.clear()
        items = {id_: item for id_, item in found.items() if _may_see(app, caller, id_)}
        known = app.seen[caller.name] = caller, found, items
    return known[2]


def _may_see(app: App, caller: Caller, id_: str) -> bool:
    """A task is there where the key may name it, and may use one of its models."""
    house, (start, _, name) = app.hub.house, id_.partition("/")
    if start != "byte":
        # Who may use tasks alone names no model.
        return _may_use(house, caller, id_) if caller.models or not caller.tasks else False
    named = house.config.tasks.values() if name == "auto" else (house.config.tasks[name],)
    return any(
        access.may_task(caller, task.name)
        and any(_may_use(house, caller, house.named(model)[0]) for model in task.models)
        for task in named
    )


def _may_use(house: House, caller: Caller, id_: str) -> bool:
    """As `access.may_use`, by what an alias of OpenRouter's stands for, too."""
    catalog = house.models.current()
    info = catalog.find(id_) if catalog is not None else None
    return access.may_use(caller, id_, (info.alias_target or "") if info is not None else "")


async def _every(app: App) -> dict[str, msgspec.Raw]:
    house = app.hub.house
    if house.models.due() and house.config.api_key is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATALOGUE_PATIENCE):
                await house.models.afetch(app.hub.wire)
    made_of = (house.models.current(), house.config)
    if app.listed is None or any(a is not b for a, b in zip(app.listed[0], made_of, strict=True)):
        app.listed = (made_of, await asyncio.to_thread(_listed, app))
    return app.listed[1]


def _listed(app: App) -> dict[str, msgspec.Raw]:
    house = app.hub.house
    found = {}
    for task in house.config.tasks.values():
        id_, name = f"byte/{task.name}", f"Byte: {task.label}"
        found[id_] = msgspec.Raw(encode(_own(id_, name, task.description, None, "-1")))
    auto = _own("byte/auto", "Byte: Auto", "Looks at the prompt, and takes the task that fits.", None, "-1")
    found["byte/auto"] = msgspec.Raw(encode(auto))
    local = house.config.local
    words = "A small model on the gateway's own machine."
    found[local.id] = msgspec.Raw(encode(_own(local.id, local.name, words, local.context_length, "0")))
    for item in _upstream(house.models.path):
        found[_read_id(item).id] = item
    return found


def _upstream(path: Any) -> list[msgspec.Raw]:
    """The items of the catalogue's copy on disk; none where there is no copy."""
    try:
        return [item for item in _read_list(path.read_bytes()).data if _has_id(item)]
    except (OSError, msgspec.MsgspecError):
        return []


def _has_id(item: msgspec.Raw) -> bool:
    try:
        return bool(_read_id(item).id)
    except msgspec.MsgspecError:
        return False


def _own(id_: str, name: str, description: str, context: int | None, price: str) -> dict[str, Any]:
    """An item of ours with all that strict clients look for. A price of "-1" depends on who will answer."""
    return {
        "id": id_,
        "canonical_slug": id_,
        "object": "model",
        "owned_by": "bytedeck",
        "name": name,
        "description": description,
        "created": 0,
        "context_length": context,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": price, "completion": price},
        "top_provider": {"context_length": context, "max_completion_tokens": None, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "temperature", "top_p", "stop", "tools", "response_format"],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/model/{id_}"},
    }
