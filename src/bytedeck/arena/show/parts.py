"""The nouns of a match's story: what one turn, judge or summary has come to, and what things are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct, field

from ..judges.damage import FULL as FULL
from ..match import schedule
from ..match.ballot import LETTERS
from ..types import Fighter, Match, Phase, Turn, Verdict
from .text import one_line

State = Literal["waiting", "speaking", "said", "failed"]


class Said(Struct, kw_only=True):
    """One turn as it stands."""

    turn: Turn
    phase: Phase
    state: State = "waiting"
    text: str = ""
    """As far as it is written; "" of a turn that failed."""
    model: str = ""
    request: str = ""
    is_void: bool = False
    is_cut: bool = False
    """Whether the limit of tokens ended it."""
    note: str = ""
    """Why it failed or is void: a sentence."""
    tokens: int | None = None
    seconds: float = 0.0
    began: int = 0
    """Microseconds since 1970."""


class Bench(Struct, kw_only=True):
    """One judge as it stands."""

    place: int
    model: str
    looks: dict[tuple[int, bool], Verdict] = field(default_factory=dict)
    """By leg, and whether the sides were swapped."""
    running: int = 0
    is_out: bool = False
    note: str = ""
    """Why it is left out."""


class Comment(Struct, kw_only=True):
    """The commentator's summary as it stands."""

    state: State = "waiting"
    text: str = ""
    model: str = ""
    note: str = ""


class Note(Struct, frozen=True):
    """Something that was no argument and no verdict, for people."""

    at: int
    text: str


class Sum(Struct, frozen=True):
    """An amount of money."""

    units: int
    is_whole: bool
    """False: a part of it is not known, so it is at least that much."""


class Costs(Struct, frozen=True, kw_only=True):
    """What a match cost, by whom it was spent on."""

    fighters: tuple[Sum, ...]
    judges: Sum
    comment: Sum
    total: Sum


def labels(fighters: Sequence[Fighter], *, hidden: bool = False) -> tuple[str, ...]:
    """What to call the fighters, all different: by persona, else by the model's name; hidden: A, B and so on."""
    letters = LETTERS[: len(fighters)]
    if hidden:
        return tuple(letters)
    names = [one_line(f.persona.name if f.persona else "", 40) or _short(f) for f in fighters]
    return tuple(
        f"{name} ({letter})" if names.count(name) > 1 or not name else name
        for name, letter in zip(names, letters, strict=True)
    )


def _short(fighter: Fighter) -> str:
    name = one_line(fighter.name, 40)
    return name.partition(": ")[2] or name or one_line(fighter.model.rpartition("/")[2], 40)


def heading(number: int, phase: Phase, rounds: int) -> str:
    """What a round is called: `Opening`, `Rebuttal 2`, `Closing`, `Answer`."""
    return f"Rebuttal {number}" if phase == "rebuttal" and rounds > 3 else phase.capitalize()


def waiting(match: Match) -> Iterable[Said]:
    """Every turn that there will be, in the order in which they are held."""
    for one in schedule.rounds(match):
        for turn in one.turns:
            yield Said(turn=turn, phase=one.phase)
