"""What a call has come to: whose words count, what is void, and what it cost."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from arena_scripts import COST, JUDGES, events, favouring, match, verdict_text
from bytedeck.arena.events import CommentEnded, Ended, Event, JudgeEnded, JudgeFailed, TurnEnded, TurnFailed
from bytedeck.arena.match import outcome, ratable
from bytedeck.arena.match.referee import Assess, Comment, Referee, Speak
from bytedeck.arena.types import Fighter, Look, Match, Turn
from bytedeck.errors import InvalidRequest, StreamBroken
from bytedeck.events import Seam
from bytedeck.types import Attempt, Reply

FIRST = Speak(Turn(0, 0, 0), "opening")


def attempt(model: str = "a/x", cost: int | None = COST, outcome: str = "answered") -> Attempt:
    return Attempt(model=model, outcome=outcome, cost_units=cost, completion_tokens=9)


def reply(text: str = "Tea.", model: str = "a/x", **fields: Any) -> Reply:
    fields.setdefault("attempts", (attempt(model),))
    return Reply(text=text, requested_model=model, id="r1", finish_reason="stop", **fields)


def seam(kind: Any, from_model: str, to_model: str) -> Seam:
    return Seam(kind=kind, from_model=from_model, to_model=to_model, why="truncated", attempt=2, after=10)


def ended(answer: Reply, of: Match | None = None) -> Event:
    referee = Referee(of or match())
    return outcome.ended(referee, FIRST, answer)


def test_a_turn() -> None:
    """All that is known of it."""
    found = ended(reply(seconds=2.0, first_token=0.5, attempts=(attempt("a/x", 3, "truncated"), attempt())))
    assert found == TurnEnded(
        turn=FIRST.turn,
        request="r1",
        text="Tea.",
        model="a/x",
        finish_reason="stop",
        completion_tokens=9,
        cost_units=COST + 3,
        seconds=2.0,
        first_token=0.5,
    )


VOID = [
    ("its own words", reply(), ""),
    ("another model", reply(model="d/d"), "d/d spoke in its place."),
    ("gone on with by itself", reply(seams=(seam("proven", "a/x", "a/x"),)), ""),
    (
        "gone on with by another",
        reply(model="d/d", seams=(seam("proven", "a/x", "d/d"),)),
        "d/d went on with what a/x had begun.",
    ),
    (
        "begun by another",
        reply(seams=(seam("unproven", "d/d", "a/x"),)),
        "a/x went on with what d/d had begun.",
    ),
    ("begun anew by itself after another", reply(seams=(seam("restart", "d/d", "a/x"),)), ""),
    (
        "begun anew by another",
        reply(model="d/d", seams=(seam("proven", "a/x", "a/x"), seam("restart", "a/x", "d/d"))),
        "d/d spoke in its place.",
    ),
    (
        "begun anew, then gone on with",
        reply(model="d/d", seams=(seam("restart", "e/e", "a/x"), seam("proven", "a/x", "d/d"))),
        "d/d went on with what a/x had begun.",
    ),
]


@pytest.mark.parametrize(("answer", "why"), [row[1:] for row in VOID], ids=[row[0] for row in VOID])
def test_whose_turn_it_was(answer: Reply, why: str) -> None:
    """What another model said in whole or in part is void; what was taken back counts for nobody."""
    found = ended(answer)
    assert isinstance(found, TurnEnded)
    assert (found.is_void, found.why_void) == (bool(why), why)


def test_rated_as_the_one_that_spoke() -> None:
    """By the rule `spoke` a whole turn of another is that one's, and words of two are nobody's."""
    of = match(fallback="spoke")
    whole, mixed = ended(VOID[1][1], of), ended(VOID[3][1], of)
    assert isinstance(whole, TurnEnded)
    assert isinstance(mixed, TurnEnded)
    assert (whole.is_void, whole.model) == (False, "d/d")
    assert mixed.is_void


def test_a_fighter_is_known_by_what_is_sent() -> None:
    """The name in the match may be an alias, and the id that is rated another one."""
    fighters = (Fighter("opus", sent="~a/opus-latest", rated="a/opus-5"), Fighter("b/y"))
    of = replace(match(), fighters=fighters)
    found = ended(reply(model="~a/opus-latest"), of)
    assert isinstance(found, TurnEnded)
    assert not found.is_void
    referee = Referee(of)
    referee.hear(outcome.began(referee, FIRST, "r1"))
    referee.hear(found)
    assert referee.rated_as[0] == "a/opus-5"


SPOKEN = [
    (("a/x", "a/x"), "void", "a/x"),
    (("a/x", "d/d"), "void", None),
    (("d/d", "d/d"), "spoke", "d/d"),
    (("a/x", "d/d"), "spoke", None),
    (("a/x", ""), "spoke", None),
]


@pytest.mark.parametrize(("models", "fallback", "rated"), SPOKEN)
def test_rated_as(models: tuple[str, str], fallback: str, rated: str | None) -> None:
    """One and the same model in all turns, or nobody; "" stands for a turn that failed."""
    referee = Referee(match(fallback=fallback, judges=()))
    for round_, model in enumerate(models):
        step = Speak(Turn(0, round_, 0), "opening")
        referee.hear(outcome.began(referee, step, "r1"))
        referee.hear(
            outcome.ended(referee, step, reply(model=model))
            if model
            else outcome.failed(referee, step, "r1", StreamBroken("It broke off."))
        )
    assert referee.rated_as == (rated, None)


def test_two_that_one_model_spoke_for_are_a_mirror() -> None:
    """By the rule `spoke` a model may come to meet itself."""
    referee = Referee(match(fallback="spoke", rounds=1, judges=JUDGES[:1]))
    while not referee.is_over:
        for event in referee.follows():
            referee.hear(event)
        for step in referee.due():
            referee.hear(outcome.began(referee, step, "r1"))
            text = verdict_text(referee.match, {1: 1, 2: 1}, {1: 5, 2: 5})
            referee.hear(outcome.ended(referee, step, reply(text, "d/d")))
    assert referee.ended is not None
    assert (referee.ended.is_rated, referee.ended.why) == (False, ratable.MIRROR)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(""), "empty_answer"),
        (reply(" \n"), "empty_answer"),
        (reply("", refusal="I would rather not."), "content_filtered"),
    ],
)
def test_a_turn_without_a_word_is_none(answer: Reply, code: str) -> None:
    found = ended(answer)
    assert isinstance(found, TurnFailed)
    assert (found.code, found.cost_units) == (code, COST)
    assert found.message


def test_a_failure_never_holds_what_was_said() -> None:
    """What there was of the answer is dropped, what it cost is not."""
    error = StreamBroken("The answer broke off.", reply=reply("Half an argu"))
    referee = Referee(match(commentator="c/c"))
    steps = (FIRST, Assess(Look(0, 0, False)), Comment())
    found = [outcome.failed(referee, step, "r1", error) for step in steps]
    assert [type(one) for one in found] == [TurnFailed, JudgeFailed, CommentEnded]
    assert "argu" not in str(found)
    assert [one.cost_units for one in found] == [COST] * 3
    assert [one.message for one in found] == ["The answer broke off."] * 3


def test_a_failure_tells_what_the_upstream_said() -> None:
    """In its own words, behind our sentence."""
    error = InvalidRequest("The request was refused as invalid.", detail="max_tokens is below 16")
    found = outcome.failed(Referee(match()), FIRST, "r1", error)
    assert isinstance(found, TurnFailed)
    assert found.message == "The request was refused as invalid. It said: max_tokens is below 16"


def test_a_verdict() -> None:
    referee = Referee(match())
    text = verdict_text(referee.match, {1: 1, 2: 2}, {1: 9, 2: 4})
    found = outcome.ended(referee, Assess(Look(1, 0, True)), reply(text, "two/judge"))
    assert isinstance(found, JudgeEnded)
    assert (found.verdict.places, found.judge, found.cost_units) == ((2, 1), "two/judge", COST)


@pytest.mark.parametrize("again", [False, True])
def test_nonsense_costs_as_well(again: bool) -> None:
    referee = Referee(match())
    found = outcome.ended(referee, Assess(Look(1, 0, True, again)), reply("Both!", "two/judge"))
    assert isinstance(found, JudgeFailed)
    assert (found.code, found.is_out, found.cost_units) == ("nonsense", again, COST)


@pytest.mark.parametrize(
    ("costs", "wanted"), [((), None), ((None,), None), ((None, 3), 3), ((0,), 0), ((2, 3), 5)]
)
def test_cost(costs: tuple[int | None, ...], wanted: int | None) -> None:
    """What is known of it; None where nothing is."""
    assert outcome.cost([attempt(cost=one) for one in costs]) == wanted


def test_stopped() -> None:
    """What was paid until then is told."""
    found = list(events(match(), favouring(0)))
    referee = Referee(match())
    for event in found[:4]:
        referee.hear(event)
    assert outcome.stopped(referee, "Enough.") == Ended(
        end="stopped", is_rated=False, why="Enough.", cost_units=COST
    )
