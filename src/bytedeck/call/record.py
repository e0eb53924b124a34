"""What a caller may read of an attempt, by its rows."""

from __future__ import annotations

from ..money import spend
from ..types import Attempt, Fault, Intent, Settlement


def record_of(intent: Intent, settlement: Settlement, fault: Fault | None = None) -> Attempt:
    """What a caller may read of an attempt by its two rows, and by how it failed where that is known.

    Its cost is the charge, and the provider's bill where the key was one's own, as the ledger adds them up.
    """
    usage, cost = settlement.usage, settlement.cost_units
    return Attempt(
        model=intent.model,
        outcome=settlement.outcome,
        cost_units=cost if usage is None else spend(cost, usage.upstream_units, usage.is_byok),
        quality=settlement.quality,
        generation_id=settlement.generation_id,
        message=fault.message if fault else "",
        status=fault.status if fault else None,
        first_token=settlement.first_token,
        seconds=settlement.seconds,
        completion_tokens=usage.completion_tokens if usage else None,
    )
