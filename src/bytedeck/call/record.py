"""What a caller may read of an attempt, by its rows."""

from __future__ import annotations

from ..money import spend
from ..types import Attempt, Intent, Settlement, Usage


def record_of(intent: Intent, settlement: Settlement) -> Attempt:
    """What a caller may read of an attempt of which only the rows are left."""
    return Attempt(
        model=intent.model,
        outcome=settlement.outcome,
        cost_units=spent(settlement.cost_units, settlement.usage),
        quality=settlement.quality,
        generation_id=settlement.generation_id,
        first_token=settlement.first_token,
        seconds=settlement.seconds,
        completion_tokens=settlement.usage.completion_tokens if settlement.usage else None,
    )


def spent(cost_units: int | None, usage: Usage | None) -> int | None:
    """The charge, and the provider's bill where the key was one's own, as the ledger adds them up."""
    return cost_units if usage is None else spend(cost_units, usage.upstream_units, usage.is_byok)
