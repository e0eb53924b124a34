"""What a match cost, by what was asked: its events name the requests, and the ledger knows what each of them cost."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from .events import CommentBegan, Event, JudgeBegan, TurnBegan
from .types import COMMENT


class Charge(Struct, frozen=True, kw_only=True):
    """One attempt's row of the ledger, as far as it matters here. Amounts are units of 10⁻¹² USD."""

    request: str
    units: int | None
    """None: not known (yet)."""
    worst_units: int | None
    """What it can cost at most; None: no known price bounds it."""

    @property
    def counted(self) -> int | None:
        """What it counts for while a budget is held: its cost, or its worst case while that is not known."""
        return self.worst_units if self.units is None else self.units


class Bill(Struct, frozen=True, kw_only=True):
    """What a match cost, from the ledger. Amounts are units of 10⁻¹² USD."""

    parts: dict[str, int | None]
    """By what was asked (`Turn.part`, `Look.part`, COMMENT), in that order, every call for it together, those that were
    lost, too; None: not known."""
    total_units: int | None
    """Their sum; None where one of them is not known."""
    known: dict[str, int] = {}
    """By what was asked: what is known of it, also where another call for it was lost."""
    known_units: int = 0
    """The sum of all that is known."""
    at_most_units: int | None = None
    """The sum with the worst case of what is not known; None where no price bounds that."""


def requests(events: Iterable[Event]) -> dict[str, str]:
    """Request → part, of every call that ever began, in their order."""
    found = {}
    for event in events:
        if isinstance(event, TurnBegan):
            found[event.request] = event.turn.part
        elif isinstance(event, JudgeBegan):
            found[event.request] = event.look.part
        elif isinstance(event, CommentBegan):
            found[event.request] = COMMENT
    return found


def bill(events: Iterable[Event], charges: Iterable[Charge]) -> Bill:
    """The bill of a match. `charges`: the ledger's rows of its requests; a call without one was never sent, and is free."""
    of = requests(events)
    parts: dict[str, int | None] = dict.fromkeys(of.values(), 0)
    known: dict[str, int] = dict.fromkeys(parts, 0)
    counted = []
    for charge in charges:
        part = of[charge.request]
        sofar = parts[part]
        parts[part] = None if sofar is None or charge.units is None else sofar + charge.units
        known[part] += charge.units or 0
        counted.append(charge.counted)
    return Bill(
        parts=parts,
        total_units=None if None in parts.values() else sum(known.values()),
        known=known,
        known_units=sum(known.values()),
        at_most_units=summed(counted),
    )


def summed(amounts: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
