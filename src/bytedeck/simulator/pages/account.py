"""The pages about one's own key and money: who am I, what is left, what did it cost. Functions that return the body.

Money is left as Decimal: `digits.encode` makes plain numbers of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..money.accounts import Budget, Key
from ..money.bank import Bank
from ..money.limits import Limits
from ..money.spending import Spending, next_reset
from ..refusals import named as refusals

WINDOWS: dict[str, Any] = {"": None, "_daily": "daily", "_weekly": "weekly", "_monthly": "monthly"}
REGIONS = {"eu": "europe", "us": "us", "": "global"}


def _when(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _sums(name: str, spending: Spending, before: Decimal, now: float) -> dict[str, Decimal]:
    return {f"{name}{suffix}": before + spending.within(window, now) for suffix, window in WINDOWS.items()}


def _budget(budget: Budget, spent: Decimal, now: float) -> dict[str, Any]:
    workspace = budget.scope == "workspace"
    return {
        "scope": budget.scope,
        "limit_usd": budget.limit,
        "spend_usd": spent,
        "remaining_usd": budget.limit - spent,
        "reset_interval": budget.reset,
        "resets_at": next_reset(budget.reset, now).isoformat().replace("+00:00", "Z")
        if budget.reset
        else None,
        "include_byok": False,
        "budget_id": budget.id if workspace else None,
        "guardrail_id": None if workspace else budget.id,
    }


def _budgets(bank: Bank, key: Key, now: float) -> list[dict[str, Any]]:
    found = [_budget(budget, bank.spend(key, budget, now), now) for budget in key.budgets]
    left = bank.remaining(key, now)
    if key.limit is not None and left is not None:
        own = Budget(scope="api_key", limit=key.limit, reset=key.limit_reset)
        found.append(_budget(own, key.limit - left, now) | {"scope": "key_limit", "guardrail_id": None})
        found[-1]["include_byok"] = key.include_byok_in_limit
    return found


def key(bank: Bank, limits: Limits, mine: Key, now: float) -> dict[str, Any]:
    """GET /key (and /auth/key)."""
    account, budgets = bank.account(mine), _budgets(bank, mine, now)
    return {
        "data": {
            "label": mine.label,
            "limit": mine.limit,
            "limit_remaining": bank.remaining(mine, now),
            "limit_reset": mine.limit_reset,
            "include_byok_in_limit": mine.include_byok_in_limit,
            **_sums("usage", bank.credits(mine), mine.spent, now),
            **_sums("byok_usage", bank.own(mine), Decimal(0), now),
            "is_free_tier": account.bought == 0,
            "is_management_key": mine.is_management,
            "is_provisioning_key": mine.is_management,
            "creator_user_id": account.user_id,
            "organization_id": None,
            "workspace_id": mine.workspace,
            "expires_at": _when(mine.expires_at),
            "allowed_data_regions": [REGIONS[bank.rules(mine).region]],
            "budgets": budgets,
            "effective_budget": min(budgets, key=lambda budget: budget["remaining_usd"], default=None),
            "free_model_daily_requests": limits.today(account, now),
            "rate_limit": {
                "requests": -1,
                "interval": "10s",
                "note": "This field is deprecated and safe to ignore.",
            },
        }
    }


def credits(bank: Bank, mine: Key) -> dict[str, Any]:  # noqa: A001 - the endpoint's name
    """GET /credits. 403 for an inference key."""
    if not mine.is_management:
        raise refusals.make("management_key_required")
    account = bank.account(mine)
    return {"data": {"total_credits": account.bought, "total_usage": account.used}}


def generation(bank: Bank, mine: Key, id: str | None, now: float) -> dict[str, Any]:  # noqa: A002 - the query's own name
    """GET /generation?id=…"""
    if not id:
        raise refusals.invalid("id is required")
    return bank.generation(mine, id, now)
