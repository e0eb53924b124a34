"""What a person's vote means, and whether there is anything to vote about yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ...config import fold
from ...errors import InvalidRequest
from ..events import Event, RoundEnded
from ..ratings.results import HELD
from ..types import Choice, End, Fighter, Match, Vote
from .schedule import rounds

LETTERS = "ABCD"
"""What fighters are called in their order, where no name may or can be said."""
TIES = ("tie", "draw", "both", "none", "=")
LONGEST_NAME = 200


def meant(match: Match, said: str) -> Choice:
    """The fighter's place that somebody names, by letter ("A"), number ("1"), persona, model or name; None for "tie".

    Raises InvalidRequest for what names nobody, or several.
    """
    wanted = said.strip().upper()
    if wanted.lower() in TIES:
        return None
    found = [
        place
        for place, one in enumerate(match.fighters)
        if wanted in (LETTERS[place], str(place + 1)) or fold(wanted) in _names(one)
    ]
    if len(found) == 1:
        return found[0]
    raise InvalidRequest(
        f"{said!r} {'could be several fighters' if found else 'is none of the fighters'}.",
        hint=(f"Vote for {', '.join(map(_called, match.fighters, LETTERS))}, or tie.",),
    )


def _called(fighter: Fighter, letter: str) -> str:
    """Never by its model, which a battle hides."""
    return f"{letter} ({fighter.persona.name})" if fighter.persona else letter


def _names(fighter: Fighter) -> set[str]:
    persona = fighter.persona.name if fighter.persona else ""
    said = (persona, fighter.name, fighter.model, fighter.rated)
    return {fold(one) for one in said} - {""}


def check(match: Match, end: End | Literal[""], events: Iterable[Event], vote: Vote) -> None:
    """Whether this may be voted about now, and by whom. Raises InvalidRequest.

    `end`: how it ended; `events` are looked at only where it is not over.
    """
    if vote.source == "owner" and vote.voter != match.owner:
        raise InvalidRequest(
            "Only who made a match votes as its owner.", hint=("Vote as a spectator instead.",)
        )
    if len(vote.voter) > LONGEST_NAME:
        raise InvalidRequest(f"A voter's name has {LONGEST_NAME} signs at most.")
    if vote.round is not None:
        _check_round(match, vote.round)
    if end:
        if end not in HELD:
            raise InvalidRequest(f"The match {match.id} could not be held: there is nothing to vote about.")
        return
    last = rounds(match)[-1]
    wanted = (last.leg, last.round) if vote.round is None else (0, vote.round)
    if not any(isinstance(one, RoundEnded) and (one.leg, one.round) == wanted for one in events):
        what = "It" if vote.round is None else f"Round {vote.round + 1}"
        raise InvalidRequest(
            f"{what} is still going on: vote once all have spoken.",
            hint=(f"Watch it: byte arena show {match.id}",),
        )


def _check_round(match: Match, number: int) -> None:
    if match.kind == "battle":
        raise InvalidRequest("A battle has no rounds: vote on the whole.")
    if not 0 <= number < match.rules.rounds:
        raise InvalidRequest(
            f"The match has the rounds 1 to {match.rules.rounds}, and no round {number + 1}."
        )
