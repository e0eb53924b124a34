"""Whether an attempt may be dispatched: its worst case against what is left. Integer units throughout."""

from __future__ import annotations

from ..errors import TABLE, BudgetExceeded
from ..money import to_text

_HINT = ("Allow more, ask for fewer max_tokens, or name a cheaper model.",)


def afford(bound: int | None, spent: int, worst: int | None, model: str) -> None:
    """Raise BudgetExceeded where an attempt at `model` could take the request over its bound.

    `bound`: units that all attempts together may cost; None: no bound. `spent`: what may have been
    spent already. `worst`: the attempt's worst case; None: no known price bounds it.
    """
    if bound is None:
        return
    left = max(0, bound - spent)
    if worst is None:
        why = f"The price of {model} is not known, so its cost cannot be bounded."
    elif worst > left:
        why = f"At worst {model} costs ${to_text(worst)}, and ${to_text(left)} is left."
    else:
        return
    raise BudgetExceeded(f"{TABLE[BudgetExceeded.code].sentence} {why}", hint=_HINT)
