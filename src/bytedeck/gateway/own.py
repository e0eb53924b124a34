"""What a key may know of itself, in the shape of OpenRouter's `GET /key`: what it has spent, its budgets, when it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..callers import Caller
from ..claims import Rules
from ..config.callers import moment_text
from ..house import House
from ..money import to_text
from ..standing import BudgetStanding, standings
from .visit import App

_RESETS = {"day": "daily", "week": "weekly", "month": "monthly", "total": None}


async def told(app: App, caller: Caller | None) -> dict[str, Any]:
    """Of the key that asks; without virtual keys, of the one that goes upstream."""
    house = app.hub.house
    label = house.key_label if caller is None else caller.name
    spent = {field: _usd(units) for field, units in (await app.spent.of(app.hub, label)).items()}
    budget = await asyncio.to_thread(_tightest, house, label, caller)
    return {"label": label, **_EVERY, **_of(caller), **_limit(budget), **spent}


def _of(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {}
    is_admin = caller.role == "admin"
    ends = None if caller.expires is None else moment_text(caller.expires)
    return {"is_management_key": is_admin, "is_provisioning_key": is_admin, "expires_at": ends}


def _tightest(house: House, label: str, caller: Caller | None) -> BudgetStanding | None:
    """The hard budget of the key with the least left: its own ones, and those of the settings. Blocks."""
    said = tuple(one for one in house.rules.budgets if (one.scope, one.of) == ("key", label))
    found = standings(house.store, Rules(budgets=said), () if caller is None else (caller,)).budgets
    return min((one for one in found if one.budget.hard), key=lambda one: one.left_units, default=None)


def _limit(one: BudgetStanding | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {
        "limit": _usd(one.budget.units),
        "limit_remaining": _usd(one.left_units),
        "limit_reset": _RESETS[one.budget.period],
    }


def _usd(units: int) -> msgspec.Raw:
    """A number with all its digits."""
    return msgspec.Raw(to_text(units).encode())


_EVERY: dict[str, Any] = {
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
