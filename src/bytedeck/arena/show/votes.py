"""People's votes counted: the owner's and the spectators', never mixed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from ..types import Vote


class Tally(Struct, frozen=True, kw_only=True):
    """The votes of one source on one round, or on the whole."""

    source: Literal["owner", "spectators"]
    round: int | None
    """None: on the whole match."""
    counts: tuple[int, ...]
    """For each fighter."""
    ties: int

    @property
    def total(self) -> int:
        return sum(self.counts) + self.ties


def tallies(votes: Iterable[Vote], fighters: int) -> tuple[Tally, ...]:
    """What was voted on, the owner's first; of each source the whole first, then the rounds in order.

    Votes for nobody who fights here are left out.
    """
    found: dict[tuple[bool, int], list[int]] = {}
    for vote in votes:
        place = fighters if vote.choice is None else vote.choice
        if 0 <= place <= fighters:
            key = (vote.source != "owner", -1 if vote.round is None else vote.round)
            found.setdefault(key, [0] * (fighters + 1))[place] += 1
    return tuple(
        Tally(
            source="spectators" if is_other else "owner",
            round=None if number < 0 else number,
            counts=tuple(counts[:-1]),
            ties=counts[-1],
        )
        for (is_other, number), counts in sorted(found.items())
    )
