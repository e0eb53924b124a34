"""Whether an attempt may be dispatched: its worst case against what is left. Integer units throughout.

A budget's account is what was spent in its period, and what is held for attempts that run: always the sum of the
ledger's own rows. An attempt belongs to the period in which it was begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..claims import MOST_UNITS, Account, Budget, State
from ..errors import TABLE, BudgetExceeded
from ..money import to_text
from .period import bounds

HINT = ("Allow more, ask for fewer max_tokens, or name a cheaper model.",)
_PER = {"day": " a day", "week": " a week", "month": " a month", "total": " in all"}

Standing = Literal["granted", "later", "over", "unbounded"]
"""`later`: what is held for others may be given back. `over`: it cannot be in this period. `unbounded`: its
worst case is not known."""


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
    raise BudgetExceeded(f"{TABLE[BudgetExceeded.code].sentence} {why}", hint=HINT)


def account(budget: Budget, at: int) -> Account:
    """The account of the period that a moment (microseconds since 1970) lies in."""
    since, until = bounds(budget.period, at)
    return Account(budget.scope, budget.of, budget.period, since, until)


def standing(budget: Budget, state: State, worst: int | None) -> Standing:
    """Whether an attempt's worst case, in units, can be held. A soft budget refuses nothing; what costs nothing
    always goes. Raises ValueError for a negative worst case."""
    spent, held = state
    if worst is not None and worst < 0:
        raise ValueError(f"a worst case is not negative: {worst}")
    if not budget.hard:
        return "granted"
    if worst is None or worst > MOST_UNITS:
        return "unbounded"
    if worst == 0 or spent + held + worst <= budget.units:
        return "granted"
    return "later" if spent + worst <= budget.units else "over"


def room(budgets: Sequence[Budget], accounts: Sequence[State]) -> int:
    """The units that every hard budget has left beside all that is spent and held. At least one has to be hard."""
    pairs = zip(budgets, accounts, strict=True)
    return max(0, min(one.units - spent - held for one, (spent, held) in pairs if one.hard))


def counted(cost: int | None, worst: int | None) -> int:
    """The units that an attempt which has ended counts as spent: its worst case while its cost is not known."""
    return (worst or 0) if cost is None else cost


def warning(budget: Budget, state: State) -> str | None:
    """A sentence where the share to warn at is spent; None: not yet."""
    spent, _ = state
    if spent * 100 < budget.units * budget.warn_percent:
        return None
    return f"${to_text(spent)} of {phrase(budget)} is spent."


def phrase(budget: Budget) -> str:
    """`the hard budget of $5 a day for the key …abcd`: as it goes into a sentence."""
    whose = "" if budget.scope == "all" else f" for the {budget.scope} {budget.of}"
    kind = "hard" if budget.hard else "soft"
    return f"the {kind} budget of ${to_text(budget.units)}{_PER[budget.period]}{whose}"
