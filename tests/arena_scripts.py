"""Matches for the tests of the arena, and who plays them: each call answered by a function, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bytedeck.arena.events import Begun, Event
from bytedeck.arena.judges import judging
from bytedeck.arena.match import outcome, script
from bytedeck.arena.match.referee import Assess, Referee, Speak, Step
from bytedeck.arena.types import Fighter, Match, Rules
from bytedeck.errors import ByteError, ServerError
from bytedeck.types import Attempt, Reply

JUDGES = ("one/judge", "two/judge", "three/judge")
COST = 7

Answer = str | ByteError
Player = Callable[[Referee, Step, script.Call], Answer]


def match(*models: str, kind: Any = "debate", **rules: Any) -> Match:
    """A match of these models (two, if none are named), the models of `JUDGES` judging."""
    fighters = tuple(Fighter(one) for one in models or ("a/x", "b/y"))
    told = {"judges": JUDGES, "rounds": 2} | rules
    return Match(
        id="abcdefgh23", kind=kind, topic="Tea or coffee?", fighters=fighters, rules=Rules(**told), seed=5
    )


def verdict_text(of: Match, places: dict[int, int], points: dict[int, int]) -> str:
    """A judge's JSON by the numbers of the sides, 1 first: their places, and their score in everything."""
    names = ("evidence", "reasoning", "rebuttal", "clarity")
    row = {f"side_{side}": dict.fromkeys(names, score) for side, score in points.items()}
    told = {
        "reason": "Side 1 was heard first.",
        "rounds": {f"round_{number + 1}": row for number in range(judging.rounds(of))},
        "places": {f"side_{side}": place for side, place in places.items()},
    }
    return msgspec.json.encode(told).decode()


def favouring(best: int) -> Player:
    """Fighters say who they are; judges prefer one of them, wherever it is shown."""

    def play(referee: Referee, step: Step, call: script.Call) -> Answer:
        if isinstance(step, Speak):
            return f"Words of {step.turn.fighter} in round {step.turn.round}."
        if isinstance(step, Assess):
            order = judging.shown(referee.match, step.look)
            sides = dict(enumerate(order, 1))
            return verdict_text(
                referee.match,
                {number: 1 if place == best else 2 for number, place in sides.items()},
                {number: 9 if place == best else 4 for number, place in sides.items()},
            )
        return "What a day."

    return play


def reply(text: str, step: Step, referee: Referee, request: str) -> Reply:
    """An answer of the model that was asked."""
    fighter = referee.match.fighters[step.turn.fighter] if isinstance(step, Speak) else None
    model = fighter.model if fighter else "a/judge"
    attempts = (Attempt(model=model, outcome="answered", cost_units=COST, completion_tokens=3),)
    return Reply(text=text, requested_model=model, id=request, attempts=attempts, finish_reason="stop")


def outcome_of(referee: Referee, step: Step, request: str, play: Player) -> Event:
    """The event that ends a call."""
    answer = play(referee, step, script.call(referee, step, {}))
    if isinstance(answer, ByteError):
        return outcome.failed(referee, step, request, answer)
    return outcome.ended(referee, step, reply(answer, step, referee, request))


def events(of: Match, play: Player, last_first: bool = False) -> Iterator[Event]:
    """All events of a match without words, as a driver would write them; calls end in the order in which they began,
    or the other way round."""
    referee, running, count = Referee(of), list[tuple[Step, str]](), 0

    def hear(event: Event) -> Event:
        referee.hear(event)
        return event

    yield hear(Begun(match=of))
    while not referee.is_over:
        for event in referee.follows():
            yield hear(event)
        for step in referee.due():
            count += 1
            assert count < 500, "it goes round in circles"
            running.append((step, f"r{count}"))
            yield hear(outcome.began(referee, step, f"r{count}"))
        if running:
            yield hear(outcome_of(referee, *running.pop(-1 if last_first else 0), play))
        assert running or referee.is_over or referee.follows() or referee.due(), "nothing goes on"


def broken() -> ByteError:
    """What a model's server may do."""
    return ServerError("OpenRouter server error. Try again shortly.")
