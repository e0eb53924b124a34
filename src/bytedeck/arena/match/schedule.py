"""Who speaks when: the rounds of a match and, in each, who speaks together and who after whom."""

from __future__ import annotations

from msgspec import Struct

from ..types import Match, Phase, Turn


class Round(Struct, frozen=True):
    """One round of one leg."""

    leg: int
    round: int
    phase: Phase
    groups: tuple[tuple[Turn, ...], ...]
    """Turns of one group are held at once, groups one after another."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All of them, in the order in which they are held and shown."""
        return tuple(turn for group in self.groups for turn in group)


def rounds(match: Match) -> tuple[Round, ...]:
    """All rounds of all legs. A battle has one; the second leg has the order of speakers reversed."""
    count = 1 if match.kind == "battle" else match.rules.rounds
    return tuple(
        Round(leg, number, phase(match, number), _groups(match, leg, number))
        for leg in range(match.legs)
        for number in range(count)
    )


def phase(match: Match, number: int) -> Phase:
    """What a round of this number is: of one round alone there is the opening only."""
    if match.kind == "battle":
        return "answer"
    if number == 0:
        return "opening"
    return "closing" if number == match.rules.rounds - 1 else "rebuttal"


def _groups(match: Match, leg: int, number: int) -> tuple[tuple[Turn, ...], ...]:
    places = range(len(match.fighters))
    turns = tuple(Turn(leg, number, place) for place in (reversed(places) if leg % 2 else places))
    if match.kind == "battle" or match.rules.turns == "simultaneous":
        return (turns,)
    return tuple((turn,) for turn in turns)
