"""What can be looked at: models, the key, whether the gateway is well. Each page is a function of the app and a name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias

import msgspec

from ..client import AsyncHub
from ..errors import ModelUnavailable
from ..money import to_text
from .asgi import Refused
from .parts import encode


class App(Protocol):
    """What a page needs of the application."""

    hub: AsyncHub
    is_closing: bool
    listed: tuple[object, dict[str, msgspec.Raw]] | None
    """The catalogue that the list of models was made of, and the list."""


Page: TypeAlias = Callable[[App, str], Awaitable[bytes]]

# How long the first one who asks waits for a catalogue that is not there yet.
_CATALOGUE_PATIENCE = 10.0
_SINCE = {"usage": None, "usage_daily": "day", "usage_weekly": "week", "usage_monthly": "month"}


class _Id(msgspec.Struct):
    id: str = ""


class _List(msgspec.Struct):
    data: list[msgspec.Raw] = []


_read_list = msgspec.json.Decoder(_List).decode
_read_id = msgspec.json.Decoder(_Id).decode


async def models(app: App, name: str) -> bytes:
    """The tasks as models, then what the upstream lists, each item whole and as it came."""
    items = await _items(app)
    told = {
        "data": list(items.values()),
        "object": "list",
        "total_count": len(items),
        "links": {"next": None},
    }
    return encode(told)


async def model(app: App, name: str) -> bytes:
    """One item. Raises Refused (404)."""
    return bytes(await _item(app, name))


async def one_model(app: App, name: str) -> bytes:
    """One item in an envelope, as OpenRouter's `GET /model/{author}/{slug}` has it. Raises Refused (404)."""
    return encode({"data": await _item(app, name)})


async def count(app: App, name: str) -> bytes:
    """How many there are."""
    return encode({"data": {"count": len(await _items(app))}})


async def key(app: App, name: str) -> bytes:
    """What the ledger knows of the key that asks, in the shape of OpenRouter's `GET /key`."""
    label = app.hub.house.key_label
    now = datetime.now(UTC)
    spent = {field: await _spent(app, label, _since(span, now)) for field, span in _SINCE.items()}
    return encode({"data": {"label": label, **_NO_LIMITS, **spent}})


async def healthz(app: App, name: str) -> bytes:
    """The process lives."""
    return b'{"status":"ok"}'


async def readyz(app: App, name: str) -> bytes:
    """Whether requests are welcome. Raises ModelUnavailable (503)."""
    if app.is_closing:
        raise ModelUnavailable("The gateway is being shut down.", code="unavailable")
    return b'{"status":"ready"}'


async def _item(app: App, name: str) -> msgspec.Raw:
    items = await _items(app)
    found = items.get(name)
    if found is None:
        raise Refused(404, f"There is no model {name!r}.")
    return found


async def _items(app: App) -> dict[str, msgspec.Raw]:
    """Every model by its id: tasks, the one on this machine, the upstream's."""
    house = app.hub.house
    if house.models.due() and house.config.api_key is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATALOGUE_PATIENCE):
                await house.models.afetch(app.hub.wire)
    catalog = house.models.current()
    if app.listed is None or app.listed[0] is not catalog:
        app.listed = (catalog, await asyncio.to_thread(_listed, app))
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


def _since(span: str | None, now: datetime) -> datetime | None:
    """When the day, the week (from Monday) or the month began, UTC; None for all times."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match span:
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=midnight.weekday())
        case "month":
            return midnight.replace(day=1)
    return None


async def _spent(app: App, label: str, since: datetime | None) -> msgspec.Raw:
    report = await app.hub.usage("key", since)
    units = next((line.cost_units for line in report.lines if line.label == label), 0)
    return msgspec.Raw(to_text(units).encode())


_NO_LIMITS: dict[str, Any] = {
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": True,
    "byok_usage": 0,
    "byok_usage_daily": 0,
    "byok_usage_weekly": 0,
    "byok_usage_monthly": 0,
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "creator_user_id": None,
    "organization_id": None,
    "workspace_id": None,
    "expires_at": None,
    "allowed_data_regions": [],
    "budgets": [],
    "effective_budget": None,
    "free_model_daily_requests": {"limit": 0, "used": 0, "remaining": 0},
    "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
}
