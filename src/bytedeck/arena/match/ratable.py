"""What of a match counts for the ratings, and how it ended.

A turn that failed, or that another model spoke, says nothing of the model that was to speak; a model that meets itself
says nothing of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..events import TurnEnded, TurnFailed
from ..types import End, Fighter, Match, Turn

MIRROR = "A model meets itself here, and that rates nobody."


class Course(Struct, frozen=True, kw_only=True):
    """How a match went, as far as that decides what it counts for. Fighters and judges are told by their places."""

    match: Match
    is_held: bool
    """Whether two spoke, and could to the end."""
    is_decided: bool
    silent: frozenset[int]
    """Fighters that never spoke, or could not any more."""
    left_out: frozenset[int]
    """Judges without a verdict."""
    rated_as: tuple[str | None, ...]


def rated_as(match: Match, turns: Mapping[Turn, TurnEnded | TurnFailed]) -> tuple[str | None, ...]:
    """Of each fighter the id that it is rated under; None: it is not rated.

    By `fallback="spoke"` that is the model that spoke, where one and the same spoke all its turns.
    """
    found = []
    for place, fighter in enumerate(match.fighters):
        own = [event for turn, event in turns.items() if turn.fighter == place]
        found.append(_rated(fighter, own))
    return tuple(found)


def _rated(fighter: Fighter, own: list[TurnEnded | TurnFailed]) -> str | None:
    names = {None if isinstance(one, TurnFailed) or one.is_void else one.model for one in own}
    if len(names) != 1:
        return None
    name = names.pop()
    return fighter.rated or fighter.model if name == sent(fighter) else name


def sent(fighter: Fighter) -> str:
    """The id that a fighter's own turns are asked under."""
    return fighter.sent or fighter.rated or fighter.model


def ending(course: Course) -> tuple[End, bool, str]:
    """(How the match ended, whether the judges' opinion counts, and what is to be said of it: sentences for people.)"""
    if not course.is_held:
        return "failed", False, _why_failed(course)
    left_out = _left_out(course)
    if not course.is_decided:
        return "unjudged", False, left_out or "Nobody was asked to judge it."
    unrated = _why_unrated(course)
    return "decided", not unrated, " ".join(filter(None, (unrated, left_out)))


def name(fighter: Fighter, place: int) -> str:
    """How a sentence calls a fighter."""
    persona = fighter.persona.name if fighter.persona else ""
    return persona or fighter.name or fighter.model or f"Fighter {place + 1}"


def _why_failed(course: Course) -> str:
    match = course.match
    silent = [name(match.fighters[place], place) for place in sorted(course.silent)]
    if len(silent) == len(match.fighters):
        return "None of them could speak."
    return f"{_joined(silent)} could not speak, and one alone makes no {match.kind}."


def _why_unrated(course: Course) -> str:
    """Why the decision counts for no rating; "" where it does."""
    match = course.match
    if match.is_mirror:
        return MIRROR
    if match.unrated:
        return match.unrated
    if 2 * len(course.left_out) >= len(match.rules.judges):
        return "Half of the panel or more gave no verdict, so it rates nobody."
    if len({one for one in course.rated_as if one is not None}) > 1:
        return ""
    void = [name(one, at) for at, one in enumerate(match.fighters) if course.rated_as[at] is None]
    if not void:
        return MIRROR
    return f"A turn of {_joined(void)} failed or was another model's, so it rates nobody."


def _left_out(course: Course) -> str:
    names = [course.match.rules.judges[place] for place in sorted(course.left_out)]
    if not names:
        return ""
    return f"{_joined(names)} gave no verdict, {'was' if len(names) == 1 else 'were'} asked once more, and left out."


def _joined(names: list[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
