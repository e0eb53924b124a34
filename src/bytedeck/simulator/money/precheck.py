"""The look into the purse before a provider is asked. Pure: amounts in, OpenRouter's 402 or 403 out.

Priced is the worst case: the whole prompt, and all of `max_tokens` or, without one, of the model's longest answer.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..refusals import named as refusals
from ..shapes import Price, Refusal
from .accounts import ZERO, Budget, Window
from .digits import plain
from .spending import next_reset

CREDITS = "https://openrouter.ai/settings/credits"
KEYS = "https://openrouter.ai/settings/keys"
LIMIT_SOURCES = {"workspace": "openrouter_workspace_budget"}


class Purse(Struct, frozen=True, kw_only=True):
    """What one request can be paid from."""

    balance: Decimal
    bought: Decimal
    remaining: Decimal | None
    """Of the key's limit."""
    limit_reset: Window | None
    byok: bool
    include_byok: bool

    @property
    def key_binds(self) -> bool:
        """Whether the key's limit ends before the account's balance."""
        return self.remaining is not None and (self.byok or self.remaining < self.balance)


def refused(name: str, message: str | None = None, **values: Any) -> Refusal:
    """A 402 of the table. It names no provider, so that nobody takes it for a provider's."""
    refusal = refusals.make(name, message=message, **values)
    refusal.metadata = {"provider_name": None}
    return refusal


def within_budget(budget: Budget, spent: Decimal, now: float) -> None:
    """403 if a budget of the organisation is met or exceeded."""
    if spent < budget.limit:
        return
    interval = budget.reset or "lifetime"
    metadata: dict[str, Any] = {
        "limit_source": LIMIT_SOURCES.get(budget.scope, "openrouter_guardrail_budget"),
        "scope": budget.scope,
        "limit_usd": budget.limit,
        "spend_usd": spent,
        "resets_at": next_reset(budget.reset, now).isoformat().replace("+00:00", "Z")
        if budget.reset
        else None,
    }
    name = "workspace_budget" if budget.scope == "workspace" else "guardrail_budget"
    refusal = refusals.make(name, interval=interval, budget=f"{budget.limit:.2f}")
    refusal.metadata = {
        name: plain(item) if isinstance(item, Decimal) else item for name, item in metadata.items()
    }
    raise refusal


def affordable(purse: Purse, price: Price, prompt_tokens: int, asked: int) -> None:
    """402 if the purse cannot pay the worst case. An account in debt is refused even what is free."""
    if purse.balance < 0:
        raise refused("payment_required")
    fixed, each = price.prompt * prompt_tokens + price.request, price.completion
    paid_here = not purse.byok or (purse.include_byok and purse.remaining is not None)
    if price.dynamic or not paid_here or (fixed == 0 and each == 0):
        return
    if purse.remaining is not None and purse.remaining <= 0:
        window = purse.limit_reset or "total"
        raise refused("key_limit", f"Key limit exceeded ({window} limit). Manage it using {KEYS}")
    if not purse.byok and purse.bought == 0 and purse.balance == 0:
        raise refused("never_purchased")
    _pay(purse, price, prompt_tokens, asked)


def _pay(purse: Purse, price: Price, prompt_tokens: int, asked: int) -> None:
    purses = [] if purse.byok else [purse.balance]
    if purse.remaining is not None:
        purses.append(purse.remaining)
    money = min(purses, default=ZERO) - price.request
    left = money - price.prompt * prompt_tokens
    if left < 0 and price.prompt:
        most = int(max(ZERO, money) // price.prompt)
        words = f"Prompt tokens limit exceeded: {prompt_tokens} > {most}. {_more(purse)}"
        raise refused("prompt_unaffordable", words)
    if left < 0 and not price.completion * asked:
        raise refused("payment_required")
    if left < price.completion * asked:
        most = int(max(ZERO, left) // price.completion)  # `/` could round up
        raise refused(
            "fewer_max_tokens",
            "This request requires more credits, or fewer max_tokens. You requested up to "
            f"{asked} tokens, but can only afford {most}. {_more(purse)}",
        )


def _more(purse: Purse) -> str:
    if purse.key_binds:
        return (
            f"To increase, visit {KEYS} and create a key with a higher {purse.limit_reset or 'total'} limit"
        )
    what = "add more credits" if purse.bought > 0 else "upgrade to a paid account"
    return f"To increase, visit {CREDITS} and {what}"
