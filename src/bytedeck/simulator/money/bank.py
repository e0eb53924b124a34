"""The bank: who may ask, what it may cost, what was charged, and the record of it.

The only place where an amount changes. Every moment is given (`now`), every amount exact. The ledger is whole, so
that it can be proven equal to another: it grows by one or two kilobytes a generation, until the world is reset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from ..models.catalogue import Catalogue
from ..models.facts import Rules
from ..refusals import named as refusals
from ..shapes import Bill, Call, Counts, Model
from . import accounts as built_in
from . import bills, generations, precheck
from .accounts import ZERO, Account, Budget, Key
from .generations import Generation
from .spending import Spending

DELAY = 1.0
"""Seconds from a generation's end until GET /generation knows it."""


class Bank:
    """Accounts, keys and what they paid."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        delay: float = DELAY,
        accounts: Iterable[Account] | None = None,
        keys: Iterable[Key] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.delay = delay
        self.accounts = {
            account.id: account for account in (built_in.accounts() if accounts is None else accounts)
        }
        self.keys = {key.token: key for key in (built_in.keys() if keys is None else keys)}
        self._credits: dict[str, Spending] = {}
        self._own: dict[str, Spending] = {}
        self._generations: dict[str, tuple[Key, Generation]] = {}

    # Who asks.

    def key(self, authorization: str | None, now: float) -> Key:
        """The key of an `Authorization` header (`Bearer …`, or the bare token of `x-api-key`). 401 otherwise."""
        token = (authorization or "").strip()
        scheme, _, rest = token.partition(" ")
        if scheme.lower() == "bearer":
            token = rest.strip()
        if not token:
            raise refusals.make("no_credentials")
        key = self.keys.get(token)
        if key is None:
            raise refusals.make("authentication")
        if key.disabled:
            raise refusals.make("key_disabled")
        if key.expires_at is not None and now >= key.expires_at:
            raise refusals.make("key_expired")
        return key

    def account(self, key: Key) -> Account:
        """Who pays for a key."""
        return self.accounts[key.account]

    def rules(self, key: Key) -> Rules:
        """What the account's preferences and the key's guardrail leave; the key's own count first."""
        mine, ours = key.rules, self.account(key).rules
        if mine is None:
            return ours
        return Rules(
            models=mine.models or ours.models,
            ignored_providers=mine.ignored_providers | ours.ignored_providers,
            zdr=mine.zdr or ours.zdr,
            region=mine.region or ours.region,
        )

    # What is left.

    def credits(self, key: Key) -> Spending:
        """Credits spent with a key since the start."""
        return self._credits.setdefault(key.token, Spending())

    def own(self, key: Key) -> Spending:
        """List-price USD spent with the account's own provider keys."""
        return self._own.setdefault(key.token, Spending())

    def remaining(self, key: Key, now: float) -> Decimal | None:
        """What a key's limit leaves in its window; None without a limit. May be below zero."""
        if key.limit is None:
            return None
        spent = key.spent + self.credits(key).within(key.limit_reset, now)
        if key.include_byok_in_limit:
            spent += self.own(key).within(key.limit_reset, now)
        return key.limit - spent

    def spend(self, key: Key, budget: Budget, now: float) -> Decimal:
        """What counts against a budget in its window: a workspace's budget counts all keys in it."""
        sharing = [key]
        if budget.scope != "api_key":
            sharing = [other for other in self.keys.values() if budget in other.budgets] or [key]
        return budget.spent + sum((self.credits(other).within(budget.reset, now) for other in sharing), ZERO)

    def allowance(self, account: Account, now: float) -> Decimal:
        """List-price USD with own keys that are still without fee this month."""
        mine = [key for key in self.keys.values() if key.account == account.id]
        return account.byok_allowance - sum((self.own(key).within("monthly", now) for key in mine), ZERO)

    # What it may cost, and costs.

    def precheck(self, key: Key, call: Call, model: Model, prompt_tokens: int, now: float) -> None:
        """Refuse what cannot be paid, before any provider is asked: 403 budgets and kind of key, else 402."""
        if key.is_management:
            raise refusals.make("inference_key_required")
        for budget in key.budgets:
            precheck.within_budget(budget, self.spend(key, budget, now), now)
        price = self.catalogue.price(model, prompt_tokens, now)
        purse = precheck.Purse(
            balance=self.account(key).balance,
            bought=self.account(key).bought,
            remaining=self.remaining(key, now),
            limit_reset=key.limit_reset,
            byok=self.is_byok(key, model.providers[0] if model.providers else ""),
            include_byok=key.include_byok_in_limit,
        )
        speaks = not model.output_modalities.isdisjoint({"text", "image"})
        asked = (call.max_tokens or model.max_completion_tokens) if speaks else 0
        precheck.affordable(purse, price, prompt_tokens, asked)

    def is_byok(self, key: Key, provider: str) -> bool:
        """Whether the account's own key of that provider is used."""
        own = self.account(key).byok_providers
        return "*" in own or provider in own

    def bill(
        self,
        key: Key,
        model: Model,
        counts: Counts,
        now: float,
        tier: str | None = None,
        *,
        finish_reason: str | None = "stop",
        provider: str | None = None,
    ) -> Bill:
        """What an answer costs; changes nothing. `tier` is the one that was served; `provider` None: the first."""
        byok = self.is_byok(key, provider or (model.providers[0] if model.providers else ""))
        return bills.bill(
            counts,
            self.catalogue.price(model, counts.prompt, now),
            factor=self.catalogue.tier(model, tier)[1],
            finish_reason=finish_reason,
            byok=byok,
            allowance=self.allowance(self.account(key), now) if byok else ZERO,
        )

    def charge(self, key: Key, generation: Generation) -> None:
        """Book a generation: once per id."""
        if generation.id in self._generations:
            raise ValueError(f"generation {generation.id} was charged before")
        bill = generation.bill
        self.account(key).used += bill.cost
        self.credits(key).add(bill.cost, generation.ended)
        if bill.is_byok:
            self.own(key).add(bill.upstream, generation.ended)
        if generation.cache_discount is None and not generation.source_id:
            price = self.catalogue.price(generation.model, generation.counts.prompt, generation.created)
            generation = replace(generation, cache_discount=generations.discount(generation.counts, price))
        self._generations[generation.id] = (key, generation)

    # What was charged.

    def generation(self, key: Key, id: str, now: float) -> dict[str, Any]:  # noqa: A002 - the query's own name
        """The answer of GET /generation. 404 until it has settled, and for another account's."""
        found = self._generations.get(id)
        if found is None or found[0].account != key.account or now < found[1].ended + self.delay:
            raise refusals.make("generation_not_found", id=id)
        return {"data": generations.record(found[1]) | {"workspace_id": found[0].workspace}}

    def ledger(self) -> list[dict[str, Any]]:
        """Every charge in its order, amounts as decimal text."""
        return [generations.line(item, key.name, key.label) for key, item in self._generations.values()]

    # Set from outside, for tests.

    def add_account(self, account: Account) -> Account:
        """A further account; ValueError if its id is taken."""
        if account.id in self.accounts:
            raise ValueError(f"there is an account {account.id} already")
        self.accounts[account.id] = account
        return account

    def add_key(self, key: Key) -> Key:
        """A further key; ValueError if the token is taken or the account unknown."""
        if key.token in self.keys:
            raise ValueError("there is a key with this token already")
        if key.account not in self.accounts:
            raise ValueError(f"there is no account {key.account}")
        self.keys[key.token] = key
        return key

    def top_up(self, account: str, amount: Decimal) -> Account:
        """Buy credits; below zero takes them away."""
        found = self.accounts[account]
        found.bought += amount
        return found

    def change_key(self, token: str, /, **fields: Any) -> Key:
        """Another limit, disabled or not, …: any field of Key but its token."""
        changed = replace(self.keys[token], **fields)
        if changed.token != token or changed.account not in self.accounts:
            raise ValueError("a key keeps its token and belongs to an account that there is")
        self.keys[token] = changed
        return changed


def new_token(seed: str) -> str:
    """A token for a key that is made while running: same seed, same token."""
    return "sk-or-v1-" + hashlib.sha256(f"key\n{seed}".encode()).hexdigest()
