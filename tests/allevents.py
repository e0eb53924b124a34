"""A made-up match of the arena with an event of every kind, and what it says of the models."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from bytedeck.arena.events import (
    Begun,
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from bytedeck.arena.types import Fighter, Look, Match, Opinion, Persona, Result, Ruling, Scores, Turn, Verdict
from bytedeck.io.matches import Matches

NOW = 1_000_000_000
FIRST, SECOND, THIRD = "abcdefgh23", "abcxyz4567", "zzzzzzzz77"
FIGHTERS = (
    Fighter(
        "a/one",
        "Yes.",
        Persona(name="Ö", style="Dry.", colour="#00ff00"),
        ("b/two",),
        rated="a/one",
        name="One",
    ),
    Fighter("c/three"),
)
TURN, LOOK = Turn(0, 1, 1), Look(2, 0, True)
SCORES = Scores(evidence=1, reasoning=10, rebuttal=5, clarity=6)
ALL: tuple[Event, ...] = (
    TurnBegan(turn=TURN, phase="rebuttal", request="r1"),
    Words(part=TURN.part, text="Quite\x00 so — “no” 🦉\u2028"),
    Words(part=TURN.part, text="x", erase=3),
    TurnFailed(turn=TURN, request="r1", code="truncated", message="The answer broke off.", cost_units=5),
    TurnEnded(
        turn=TURN, request="r2", text="Quite so.", model="b/two", cost_units=10**15, seconds=0.1, is_void=True
    ),
    RoundEnded(leg=0, round=1),
    JudgeBegan(look=LOOK, judge="j/one", request="r3"),
    JudgeFailed(look=LOOK, judge="j/one", request="r3", code="nonsense", message="?", is_out=False),
    JudgeEnded(
        look=LOOK,
        judge="j/one",
        request="r4",
        verdict=Verdict(places=(1, 1), scores=((SCORES, SCORES),), reason="Ä."),
    ),
    Decided(
        rulings=(Ruling(judge="j/one", first=0, second=1, plain=1.0, swapped=0.0, score=0.5),),
        score=((0, 1, 0.5),),
        winner=1,
        health=((100, 93),),
    ),
    CommentBegan(model="m/c", request="r5"),
    CommentEnded(request="r5", text="So it went."),
    Paused(spent_units=7, needed_units=None, budget_units=8),
    Resumed(budget_units=10**18, lost=("r6",)),
    Ended(end="decided", is_rated=True, why="", cost_units=10**16),
)


def told(*events: Event, after: int = 0) -> tuple[Event, ...]:
    """The events with the numbers and moments that they have after that one."""
    return tuple(replace(one, seq=seq, at=NOW + seq) for seq, one in enumerate(events, start=after + 1))


def match(name: str = FIRST, **fields: Any) -> Match:
    values: dict[str, Any] = {"kind": "debate", "topic": "Is it?", "fighters": FIGHTERS, "created": NOW}
    return Match(id=name, **(values | fields))


def begin(matches: Matches, name: str = FIRST, **fields: Any) -> Match:
    """A match that is kept there from now on."""
    made = match(name, **fields)
    matches.create(made, Begun(match=made, at=NOW))
    return made


def result(name: str = FIRST, **fields: Any) -> Result:
    values: dict[str, Any] = {"task": "coding", "kind": "debate", "source": "judges", "score": 0.5}
    values |= {"first": "a/one", "second": "c/three", "style": (0.5, -1.0), "at": NOW}
    return Result(match=name, **(values | fields))


def opinion(name: str = FIRST, **fields: Any) -> Opinion:
    values: dict[str, Any] = {"task": "coding", "judge": "j/one", "first": "a/one", "second": "c/three"}
    return Opinion(match=name, **(values | {"plain": 1.0, "swapped": 0.5, "at": NOW} | fields))
