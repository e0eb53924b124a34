"""Accounts and keys, and the built-in ones through which a test reaches each state of them.

Amounts are credits (1 credit = 1 USD), exact. A key is a frozen row; what was spent with it stands in the bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from ..models.facts import Rules

Window = Literal["daily", "weekly", "monthly"]
Scope = Literal["workspace", "api_key", "member"]

ZERO = Decimal(0)
FREE_TIER_CREDITS = Decimal(10)
"""Who ever bought so many has the larger daily allowance of `:free` requests."""
BYOK_ALLOWANCE = Decimal(25_000)
"""List-price USD a month with one's own provider keys, before the fee begins."""


class Account(Struct, kw_only=True):
    """Who pays. Changed only by the bank."""

    id: str
    bought: Decimal = ZERO
    """Credits ever bought."""
    used: Decimal = ZERO
    byok_providers: tuple[str, ...] = ()
    """Providers (display names) that the account has keys of its own for; "*" is all of them."""
    byok_allowance: Decimal = BYOK_ALLOWANCE
    rules: Rules = Rules()

    @property
    def user_id(self) -> str:
        """What OpenRouter shows of the account."""
        return f"user_{self.id}"

    @property
    def balance(self) -> Decimal:
        """Credits left; below zero is debt."""
        return self.bought - self.used


class Budget(Struct, frozen=True, kw_only=True):
    """A ceiling of the organisation over a key: its answer is 403, where a key's own limit is 402."""

    scope: Scope
    limit: Decimal
    reset: Window | None = None
    """None: a lifetime budget."""
    spent: Decimal = ZERO
    """By others, before the first request here."""
    id: str = ""


class Key(Struct, frozen=True, kw_only=True):
    """An API key."""

    token: str
    name: str
    account: str
    """The account's id."""
    limit: Decimal | None = None
    limit_reset: Window | None = None
    spent: Decimal = ZERO
    """With it, before the first request here; counts into every window."""
    include_byok_in_limit: bool = False
    is_management: bool = False
    disabled: bool = False
    expires_at: float | None = None
    budgets: tuple[Budget, ...] = ()
    rules: Rules | None = None
    """Its guardrail; None: the account's preferences alone."""
    workspace: str | None = None

    @property
    def label(self) -> str:
        """All of the token that is ever shown."""
        return f"{self.token[:12]}...{self.token[-3:]}"


def token(name: str) -> str:
    """The built-in token of that name: as long as a real one, and plainly none. "" is the ordinary one."""
    return ("sk-or-v1-sim" + "0" * 61)[: 73 - len(name)] + name


ORDINARY = token("")
MANAGEMENT = token("management")
POOR = token("poor")
LIMITED = token("limited")
SPENT = token("spent")
DEBT = token("debt")
FREE_TIER = token("freetier")
BYOK = token("byok")
BYOK_OVER = token("byokover")
EXPIRED = token("expired")
DISABLED = token("disabled")
BUDGET = token("budget")
GUARDRAIL = token("guardrail")
ALLOWLIST = token("allowlist")
ZDR = token("zdr")
EU = token("eu")

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        ORDINARY: "1,000 credits, no limit",
        MANAGEMENT: "a management key of the same account: /credits yes, inference 403",
        POOR: "an account with one cent left: 402 that says what it can afford",
        LIMITED: "a key with half a cent of its monthly limit left: 402 of the key's kind",
        SPENT: "a key whose limit is used up: 402",
        DEBT: "an account below zero: 402 even for :free",
        FREE_TIER: "an account that never bought credits: :free only, 50 a day",
        BYOK: "an account with provider keys of its own: cost 0, the provider's price upstream",
        BYOK_OVER: "the same with its month's allowance used up: cost is the fee of 5 %",
        EXPIRED: "401, expired",
        DISABLED: "401, disabled",
        BUDGET: "a workspace whose monthly budget is used up: 403",
        GUARDRAIL: "a guardrail whose daily budget is used up: 403",
        ALLOWLIST: "a guardrail that leaves Anthropic's models only",
        ZDR: "zero data retention: response cache off, 404 for models without such endpoints",
        EU: "data region eu: 403 for models without endpoints there",
    }
)
"""Token -> what it is for."""


def accounts() -> list[Account]:
    """The built-in accounts, new ones at each call."""
    return [
        Account(id="sim", bought=Decimal(1000)),
        Account(id="sim_poor", bought=Decimal(10), used=Decimal("9.99")),
        Account(id="sim_debt", bought=Decimal(10), used=Decimal("10.25")),
        Account(id="sim_free_tier"),
        Account(id="sim_byok", bought=Decimal(100), byok_providers=("*",)),
        Account(id="sim_byok_over", bought=Decimal(100), byok_providers=("*",), byok_allowance=ZERO),
        Account(id="sim_zdr", bought=Decimal(100), rules=Rules(zdr=True)),
        Account(id="sim_eu", bought=Decimal(100), rules=Rules(region="eu")),
    ]


def keys() -> list[Key]:
    """The built-in keys."""
    full = Decimal(500)
    return [
        Key(token=ORDINARY, name="ordinary", account="sim"),
        Key(token=MANAGEMENT, name="management", account="sim", is_management=True),
        Key(token=POOR, name="poor", account="sim_poor"),
        Key(
            token=LIMITED,
            name="limited",
            account="sim",
            limit=Decimal(5),
            limit_reset="monthly",
            spent=Decimal("4.995"),
        ),
        Key(token=SPENT, name="spent", account="sim", limit=Decimal(5), spent=Decimal(5)),
        Key(token=DEBT, name="debt", account="sim_debt"),
        Key(token=FREE_TIER, name="free-tier", account="sim_free_tier"),
        Key(token=BYOK, name="byok", account="sim_byok"),
        Key(token=BYOK_OVER, name="byok-over", account="sim_byok_over"),
        Key(token=EXPIRED, name="expired", account="sim", expires_at=0.0),
        Key(token=DISABLED, name="disabled", account="sim", disabled=True),
        Key(
            token=BUDGET,
            name="budget",
            account="sim",
            workspace="ws_sim",
            budgets=(Budget(scope="workspace", limit=full, reset="monthly", spent=full, id="bud_sim"),),
        ),
        Key(
            token=GUARDRAIL,
            name="guardrail",
            account="sim",
            budgets=(
                Budget(scope="api_key", limit=Decimal(5), reset="daily", spent=Decimal("5.02"), id="grd_sim"),
            ),
        ),
        Key(
            token=ALLOWLIST,
            name="allowlist",
            account="sim",
            rules=Rules(models=("anthropic/*", "~anthropic/*")),
        ),
        Key(token=ZDR, name="zdr", account="sim_zdr"),
        Key(token=EU, name="eu", account="sim_eu"),
    ]
