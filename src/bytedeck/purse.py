"""What a request may cost: the price that an attempt is reckoned at, its worst case, and what all of them have spent.

Units are 10⁻¹² USD throughout.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from .call import bound, request
from .call.compact import BYTES_PER_TOKEN
from .call.request import Amends
from .claims import MOST_UNITS, Claim
from .config import Config
from .guard import budget, rules
from .route import catalog
from .types import Ask, Candidate, Intent, Plan

_OWN_KEY_FEE = 20
"""One part in so many comes on top where the account has a provider's key of its own (wire reference 4.2): nobody knows
beforehand whether that one is used."""
_USUAL_ANSWER = 1024
"""Tokens by which an answer without a cap is reckoned for limits; what it takes more is owed."""
_A_CAP = len(',"max_tokens":1000000000')
"""The bytes by which a request grows that is given a cap."""


class Purse(Struct):
    """One request's."""

    ask: Ask
    plan: Plan
    config: Config
    utc_minutes: int
    spent: int = 0
    """What is known, and the worst case of what is not."""

    def reckoned(self, candidate: Candidate, size: int) -> Candidate:
        """Under a bound on cost, the candidate at the dearest price that may hold for a body of `size` bytes: the one
        that is reckoned with, and is sent as the ceiling."""
        info = candidate.info
        if not self.plan.is_bound or info is None or not info.price_rules:
            return candidate
        return replace(candidate, info=catalog.dearest(info, size + _A_CAP, self.utc_minutes))

    def worst(self, candidate: Candidate, cap: int | None, size: int) -> int | None:
        """What one attempt with a body of `size` bytes and at most `cap` tokens of an answer can cost at most; None where
        no price bounds it."""
        if candidate.route == "local":
            return 0
        ask, plan = self.ask, self.plan
        info = bound.priced(ask, candidate)
        if info is None or not bound.is_bounded(ask, plan, candidate):
            return None
        worst = catalog.worst_case(info, size, cap, self.utc_minutes)
        if worst is None:
            return None
        worst *= bound.answers(ask, plan)
        worst += -(-worst // _OWN_KEY_FEE)
        return worst if worst <= MOST_UNITS else None

    def afford(self, worst: int | None, beside: int, model: str) -> None:
        """Raise BudgetExceeded where an attempt could take the request over its own bound, `max_cost`.

        `beside`: the worst case of an attempt that runs at the same time.
        """
        budget.afford(self.ask.max_cost_units, self.spent + beside, worst, model)

    def claim(self, intent: Intent, candidate: Candidate, cap: int | None, size: int) -> Claim | None:
        """What an attempt takes from limits and budgets; None where nothing limits it."""
        said = rules.beside(self.config.rules, self.ask.caller)
        if said == rules.NONE:
            return None
        answers = bound.answers(self.ask, self.plan)
        tokens = size // BYTES_PER_TOKEN + (_USUAL_ANSWER if cap is None else cap) * answers
        info = candidate.info
        model = "" if info is None else info.alias_target or info.id
        is_local = candidate.route == "local"
        return rules.claim(said, intent, tokens, model=model, is_local=is_local)

    def capped(self, candidate: Candidate, amends: Amends, size: int, units: int) -> Amends | None:
        """The same, asking for as many tokens as so many units pay for; None where that is not ours to change, or is
        no answer."""
        reckoned = self.reckoned(candidate, size)

        def worst(cap: int) -> int | None:
            return self.worst(reckoned, cap, size + _A_CAP)

        return request.affordable(self.ask, self.plan, candidate, amends, worst, units)

    def spend(self, cost: int | None, worst: int | None) -> None:
        """An attempt is over. `cost`: None where it is not known."""
        self.spent += budget.counted(cost, worst)
