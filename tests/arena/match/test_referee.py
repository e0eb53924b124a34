"""Who is to do what now: exhaustively for small matches, and after a cut at every place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import pytest

from arena_scripts import COST, JUDGES, Answer, Player, broken, events, favouring, match, outcome_of
from bytedeck.arena.events import (
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from bytedeck.arena.match import outcome, schedule
from bytedeck.arena.match.referee import Comment, Referee, Speak, Step
from bytedeck.arena.match.script import Call
from bytedeck.arena.types import Look, Match, Turn
from bytedeck.errors import InternalError


def told(found: list[Event], kind: type) -> list[Event]:
    return [one for one in found if isinstance(one, kind)]


def failing(*parts: str, best: int = 0) -> Player:
    """These parts fail, all others go as for `favouring`."""
    well = favouring(best)

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        return broken() if step.part in parts else well(referee, step, call)

    return play


def test_a_debate_from_beginning_to_end() -> None:
    """Two rounds of two, six looks, a decision, the end: each begun once, and the sum of what was paid."""
    found = list(events(match(commentator="c/c"), favouring(1)))
    assert len(told(found, TurnEnded)) == 4
    assert [(one.leg, one.round) for one in told(found, RoundEnded)] == [(0, 0), (0, 1)]
    assert len(told(found, JudgeBegan)) == 6
    (decided,), (comment,), end = told(found, Decided), told(found, CommentEnded), found[-1]
    assert decided.winner == 1
    assert decided.score == ((0, 1, 0.0),)
    assert decided.health == ((50, 100), (0, 100))
    assert comment.text == "What a day."
    assert end == Ended(end="decided", is_rated=True, cost_units=11 * COST)


def test_all_speak_at_once() -> None:
    """A round's turns are due together, the next round's not before all of them have ended."""
    referee = Referee(match("a/x", "b/y", "c/z"))
    first = referee.due()
    assert [step.part for step in first] == ["t0.0.0", "t0.0.1", "t0.0.2"]
    assert [step.phase for step in first] == ["opening"] * 3
    for step in first:
        referee.hear(outcome.began(referee, step, step.part))
    assert referee.due() == ()
    for step in first[::-1]:
        assert referee.follows() == ()
        referee.hear(outcome_of(referee, step, step.part, favouring(0)))
    assert referee.due() == (), "something follows"
    assert referee.follows() == (RoundEnded(leg=0, round=0),)


@pytest.mark.parametrize(
    ("rounds", "phases"),
    [
        (1, ["opening"]),
        (2, ["opening", "closing"]),
        (4, ["opening", "rebuttal", "rebuttal", "closing"]),
    ],
)
def test_phases(rounds: int, phases: list[str]) -> None:
    """First the opening, last the closing, between them rebuttals."""
    found = told(list(events(match(rounds=rounds, judges=()), favouring(0))), TurnBegan)
    assert [one.phase for one in found[::2]] == phases


def test_one_after_the_other_and_then_the_other_way_round() -> None:
    """Alternating turns: each waits for the one before it, and the second leg has the order reversed."""
    found = list(events(match(turns="alternating"), favouring(0)))
    turns = [one.turn for one in told(found, TurnBegan)]
    assert [turn.fighter for turn in turns] == [0, 1, 0, 1, 1, 0, 1, 0]
    assert [turn.leg for turn in turns] == [0] * 4 + [1] * 4
    assert all(isinstance(found[found.index(one) + 1], TurnEnded) for one in told(found, TurnBegan))
    assert len(told(found, JudgeBegan)) == 12, "each leg is looked at twice"


def test_a_battle_is_one_turn_each() -> None:
    """Whatever the rules say of rounds and turns."""
    found = list(events(match(kind="battle", rounds=3, turns="alternating"), favouring(1)))
    assert [one.phase for one in told(found, TurnBegan)] == ["answer", "answer"]
    assert found[-1].end == "decided"


def test_the_turn_after_a_failed_one_may_be_held() -> None:
    """Who failed once speaks again; that the pair rates nobody is said."""
    found = list(events(match(), failing("t0.0.0")))
    assert len(told(found, TurnFailed)) == 1
    assert len(told(found, TurnEnded)) == 3
    assert (found[-1].end, found[-1].is_rated) == ("decided", False)
    assert found[-1].why == "A turn of a/x failed or was another model's, so it rates nobody."


def test_who_fails_twice_running_is_out() -> None:
    """And one that is left alone debates with nobody: it ends, unrated, and what was paid is told."""
    found = list(events(match(rounds=4), failing("t0.1.0", "t0.2.0")))
    assert found[-1] == Ended(
        end="failed",
        is_rated=False,
        why="a/x could not speak, and one alone makes no debate.",
        cost_units=4 * COST,
    )
    assert not told(found, JudgeBegan)


def test_failures_that_do_not_follow_each_other_put_nobody_out() -> None:
    found = list(events(match(rounds=4), failing("t0.0.0", "t0.2.0")))
    assert len(told(found, TurnBegan)) == 8
    assert found[-1].end == "decided"


def test_three_go_on_without_the_one_that_is_out() -> None:
    """The others are judged, and their pair is rated."""
    found = list(events(match("a/x", "b/y", "c/z", rounds=3), failing("t0.0.2", "t0.1.2")))
    assert [one.turn.fighter for one in told(found, TurnBegan)] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert (found[-1].end, found[-1].is_rated) == ("decided", True)
    referee = Referee(found[0].match)
    for event in found:
        referee.hear(event)
    assert referee.rated_as == ("a/x", "b/y", None)


def test_who_never_spoke_never_wins() -> None:
    """Whatever a judge makes of its silence; the other two are compared."""
    found = list(events(match("a/x", "b/y", "c/z"), failing("t0.0.0", "t0.1.0", best=0)))
    (decided,) = told(found, Decided)
    assert (decided.score, decided.winner) == (((1, 2, 0.5),), None)


def test_all_down() -> None:
    """Nobody speaks: it ends, unrated."""
    found = list(events(match(rounds=3), lambda *_: broken()))
    assert [type(one) for one in found[-2:]] == [RoundEnded, Ended]
    assert (found[-1].end, found[-1].why) == ("failed", "None of them could speak.")


def test_a_battle_with_one_answer_is_none() -> None:
    found = list(events(match(kind="battle", commentator="c/c"), failing("t0.0.1")))
    assert found[-1].end == "failed"
    assert not told(found, JudgeBegan)
    assert not told(found, CommentEnded)


def test_a_judge_is_asked_once_more() -> None:
    """After nonsense; the second answer counts like any other."""
    nonsense = favouring(0)

    def play(referee: Referee, step: Step, call: Call) -> Answer:
        return "I liked both!" if step.part == "j1.0.s" else nonsense(referee, step, call)

    found = list(events(match(), play))
    (failed,) = told(found, JudgeFailed)
    assert (failed.code, failed.is_out, failed.judge) == ("nonsense", False, JUDGES[1])
    assert "j1.0.s.2" in [one.look.part for one in told(found, JudgeBegan)]
    assert found[-1] == Ended(end="decided", is_rated=True, cost_units=11 * COST)


def test_a_judge_that_fails_again_is_left_out_and_that_is_said() -> None:
    found = list(events(match(), failing("j2.0.p", "j2.0.p.2", best=1)))
    assert [one.is_out for one in told(found, JudgeFailed)] == [False, True]
    (decided,) = told(found, Decided)
    assert {one.judge for one in decided.rulings} == set(JUDGES[:2])
    assert decided.winner == 1
    assert found[-1].is_rated
    assert found[-1].why == "three/judge gave no verdict, was asked once more, and left out."


def test_half_a_panel_rates_nobody() -> None:
    """One of two that is left decides, and the ratings do not take it."""
    found = list(events(match(judges=JUDGES[:2]), failing("j0.0.p", "j0.0.p.2")))
    assert (found[-1].end, found[-1].is_rated) == ("decided", False)
    assert found[-1].why.startswith("Half of the panel")


def test_no_judge_left() -> None:
    parts = [f"j{judge}.0.{way}{again}" for judge in range(3) for way in "ps" for again in ("", ".2")]
    found = list(events(match(commentator="c/c"), failing(*parts)))
    assert (found[-1].end, found[-1].is_rated) == ("unjudged", False)
    assert "left out" in found[-1].why
    assert not told(found, Decided)
    assert told(found, CommentEnded)


def test_nobody_judges() -> None:
    found = list(events(match(judges=()), favouring(0)))
    assert found[-1] == Ended(
        end="unjudged", is_rated=False, why="Nobody was asked to judge it.", cost_units=4 * COST
    )


def test_a_mirror_rates_nobody() -> None:
    found = list(events(match("a/x", "a/x"), favouring(0)))
    assert (found[-1].end, found[-1].is_rated) == ("decided", False)
    assert found[-1].why == "A model meets itself here, and that rates nobody."


def test_a_commentator_that_fails_changes_nothing() -> None:
    found = list(events(match(commentator="c/c"), failing("comment")))
    (comment,) = told(found, CommentEnded)
    assert (comment.text, bool(comment.message)) == ("", True)
    assert (found[-1].end, found[-1].is_rated) == ("decided", True)


SMALL = [
    match(judges=JUDGES[:1]),
    match(judges=JUDGES[:1], turns="alternating", rounds=1),
    match(kind="battle", judges=JUDGES[:1], commentator="c/c"),
]


def _parts(small: Match) -> list[str]:
    turns = [turn.part for one in schedule.rounds(small) for turn in one.turns]
    return [*turns, "j0.0.p", "j0.0.s", "j0.0.p.2"]


@pytest.mark.parametrize("small", SMALL, ids=["together", "in turns", "battle"])
@pytest.mark.parametrize("last_first", [False, True])
def test_every_match_ends_whatever_fails(small: Match, last_first: bool) -> None:
    """For all sets of failing calls: no turn is begun twice, none after its fighter is out, the end is the last event."""
    parts = _parts(small)
    for failed in product((False, True), repeat=len(parts)):
        broken_parts = [part for part, is_broken in zip(parts, failed, strict=True) if is_broken]
        found = list(events(small, failing(*broken_parts), last_first))
        assert isinstance(found[-1], Ended)
        assert len(told(found, Ended)) == 1
        begun = [one.turn for one in told(found, TurnBegan)]
        assert len(set(begun)) == len(begun)
        for first, second in pairwise(told(found, RoundEnded)):
            assert (first.leg, first.round) < (second.leg, second.round)
        decided = bool(told(found, Decided))
        assert decided == (found[-1].end == "decided")
        if not broken_parts:
            assert found[-1].is_rated


def cuts(whole: list[Event]) -> Iterator[tuple[Referee, tuple[str, ...]]]:
    """A referee after each beginning of the events, and what ran then."""
    for count in range(1, len(whole)):
        referee = Referee(whole[0].match)
        for event in whole[:count]:
            referee.hear(event)
        yield referee, tuple(referee.running.values())


@pytest.mark.parametrize("small", SMALL, ids=["together", "in turns", "battle"])
@pytest.mark.parametrize("parts", [(), ("t0.0.1", "j0.0.s"), ("j0.0.p", "j0.0.p.2")])
def test_a_cut_anywhere_loses_nothing(small: Match, parts: tuple[str, ...]) -> None:
    """After every prefix: what ran is due again, what had ended is not, and the end is the same."""
    whole = list(events(small, failing(*parts)))
    for referee, running in cuts(whole):
        before = dict(referee.running)
        over = set(referee.turns), set(referee.looks)
        referee.hear(Resumed(lost=running))
        for event in referee.follows():
            referee.hear(event)
        due = {step.part for step in referee.due()}
        assert before.keys() <= due
        assert not referee.running
        count = 0
        while not referee.is_over:
            for event in referee.follows():
                referee.hear(event)
            for step in referee.due():
                count += 1
                assert step.part not in {turn.part for turn in over[0]} | {look.part for look in over[1]}
                referee.hear(outcome.began(referee, step, f"again{count}"))
                referee.hear(outcome_of(referee, step, f"again{count}", failing(*parts)))
        assert referee.ended is not None
        assert (referee.ended.end, referee.ended.why) == (whole[-1].end, whole[-1].why)
        assert referee.decided == next(iter(told(whole, Decided)), None)


def test_what_runs_elsewhere_still_runs_after_a_pause() -> None:
    """Only what is told lost is asked for once more."""
    referee = Referee(match())
    for step in referee.due():
        referee.hear(outcome.began(referee, step, step.part))
    referee.hear(Resumed(lost=("t0.0.1",)))
    assert [step.part for step in referee.due()] == ["t0.0.1"]


def test_a_pause() -> None:
    """Nothing is due until somebody allows more; what was spent stays known."""
    referee = Referee(match(budget_units=20))
    referee.hear(Paused(spent_units=0, needed_units=None, budget_units=20))
    assert (referee.due(), referee.follows(), referee.is_paused) == ((), (), True)
    referee.hear(Resumed(budget_units=50))
    assert (referee.budget_units, referee.is_paused, len(referee.due())) == (50, False, 2)
    referee.hear(Resumed())
    assert referee.budget_units == 50


def test_it_can_be_stopped_at_any_time() -> None:
    """And then nothing is due, and nothing more is heard."""
    for referee, _ in cuts(list(events(match(), favouring(0)))):
        referee.hear(outcome.stopped(referee, "Enough."))
        assert (referee.due(), referee.follows(), referee.is_over) == ((), (), True)
        with pytest.raises(InternalError, match="is over"):
            referee.hear(Words(part="t0.0.0", text="x"))


@pytest.mark.parametrize("wrong", ["twice", "never begun", "another request"])
def test_what_cannot_come_is_an_error(wrong: str) -> None:
    """Two who write one match at once do not go unseen."""
    referee = Referee(match())
    step = referee.due()[0]
    assert isinstance(step, Speak)
    if wrong != "never begun":
        referee.hear(outcome.began(referee, step, "r1"))
    event = (
        outcome.began(referee, step, "r2")
        if wrong == "twice"
        else outcome_of(referee, step, "r2", favouring(0))
    )
    with pytest.raises(InternalError):
        referee.hear(event)


def test_follows_is_the_same_until_it_is_heard() -> None:
    """Looking ahead changes nothing."""
    for referee, _ in cuts(list(events(match(commentator="c/c"), favouring(0)))):
        before = dict(vars(referee))
        assert referee.follows() == referee.follows()
        assert {name: vars(referee)[name] for name in before} == before


def test_parts_of_steps() -> None:
    assert Comment().part == "comment"
    assert Speak(Turn(1, 2, 3), "closing").part == "t1.2.3"
    assert Look(2, 0, True, again=True).part == "j2.0.s.2"
