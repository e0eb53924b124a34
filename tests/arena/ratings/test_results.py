"""What a match says of its models: which rows there are, by whom, and which there must not be."""

from __future__ import annotations

import pytest

from bouts import A, B, bout, fighter
from bytedeck.arena.ratings.results import SOURCES, Said, results, tallies
from bytedeck.arena.types import Choice, Rules, Source, Vote

C = "gamma/three"


def vote(
    match: str, choice: Choice, voter: str = "v", source: Source = "spectators", round_: int | None = None
) -> Vote:
    return Vote(match=match, voter=voter, source=source, round=round_, choice=choice)  # type: ignore[arg-type]


def scores(said: Said) -> dict[str, list[tuple[str, str, float]]]:
    return {
        source: [(row.first, row.second, row.score) for row in said.results[source]] for source in SOURCES
    }


def test_a_decided_match_says_what_its_judges_say() -> None:
    """A row with both models, the score, the style's difference and the end's time; an opinion for each judge."""
    match, events = bout(score=0.0, texts=("one two three", "one"), judges=("x/j", "y/j"), at=5_000)
    said = results(match, events)
    (row,) = said.results["judges"]
    assert (row.match, row.task, row.kind, row.source) == (match.id, "coding", "battle", "judges")
    assert (row.first, row.second, row.score, row.at) == (A, B, 0.0, events[-1].at)
    assert row.style[0] == pytest.approx(0.5)
    assert [(one.judge, one.plain, one.swapped, one.first_style) for one in said.opinions] == [
        ("x/j", 0.0, 0.0, row.style),
        ("y/j", 0.0, 0.0, row.style),
    ]
    assert said.results["owner"] == said.results["spectators"] == ()


def test_three_fighters_make_three_rows() -> None:
    """One for each pair; those of a fighter with a void or failed turn are left out, the others stay."""
    pairs = [(0, 1, 1.0), (0, 2, 0.5), (1, 2, 0.0)]
    match, events = bout((A, B, C), kind="debate", scores=pairs)
    assert scores(results(match, events))["judges"] == [(A, B, 1.0), (A, C, 0.5), (B, C, 0.0)]
    for broken in ({"void": [1]}, {"failed": [1]}):
        match, events = bout((A, B, C), kind="debate", scores=pairs, **broken)  # type: ignore[arg-type]
        said = results(match, events)
        assert scores(said)["judges"] == [(A, C, 0.5)]
        assert [(one.first, one.second) for one in said.opinions] == [(A, C)]


@pytest.mark.parametrize(
    "broken",
    [
        {"models": (A, A)},
        {"models": (A, fighter("alias", rated=A))},
        {"void": [0]},
        {"failed": [1]},
        {"end": "failed"},
        {"end": "stopped"},
        {"is_over": False},
    ],
    ids=str,
)
def test_what_rates_nobody(broken: dict[str, object]) -> None:
    """A mirror, by whatever names; a turn that does not count; a match that is not over or could not be held: nobody's votes count, either."""
    match, events = bout(**broken)  # type: ignore[arg-type]
    said = results(match, events, [vote(match.id, 0), vote(match.id, 0, source="owner")])
    assert said == Said(results=dict.fromkeys(SOURCES, ()))


def test_judges_that_do_not_count_leave_the_votes() -> None:
    """Where the judges' opinion is not rated, or there is none, people's votes stand by themselves."""
    for broken in ({"is_rated": False}, {"score": None, "end": "unjudged"}):
        match, events = bout(**broken)  # type: ignore[arg-type]
        said = results(match, events, [vote(match.id, 1)])
        assert scores(said) == {"judges": [], "owner": [], "spectators": [(A, B, 0.0)]}
        assert said.opinions == ()


@pytest.mark.parametrize(
    ("choices", "score"),
    [
        ([0], 1.0), ([1], 0.0), ([None], 0.5), ([0, 1], 0.5), ([0, 0, 1], 1.0), ([0, 1, 1, None], 0.0),
        ([0, None, None], 0.5), ([0, 0, 1, None, None], 1.0), ([0, 0, 1, None, None, None], 0.5), ([], None),
    ],
)  # fmt: skip
def test_spectators_decide_by_majority(choices: list[Choice], score: float | None) -> None:
    """Who has more votes wins; as many are a tie, and so is it where most have said so."""
    match, events = bout()
    votes = [vote(match.id, choice, voter=str(place)) for place, choice in enumerate(choices)]
    assert scores(results(match, events, votes))["spectators"] == ([] if score is None else [(A, B, score)])


def test_rounds_count_where_nobody_voted_on_the_whole() -> None:
    """The spectators' only: who led in more rounds. One vote on the whole outweighs all of them. The owner is asked about the whole."""
    match, events = bout(kind="debate", rules=Rules(rounds=3))
    rounds = [vote(match.id, choice, round_=place) for place, choice in enumerate((0, 1, 0))]
    assert scores(results(match, events, rounds))["spectators"] == [(A, B, 1.0)]
    assert scores(results(match, events, rounds[:2]))["spectators"] == [(A, B, 0.5)]
    assert scores(results(match, events, [*rounds, vote(match.id, 1)]))["spectators"] == [(A, B, 0.0)]
    own = [vote(match.id, 0, source="owner", round_=0)]
    assert scores(results(match, events, own))["owner"] == []
    both = [vote(match.id, 0, source="owner"), vote(match.id, 1)]
    assert scores(results(match, events, both)) == {
        "judges": [(A, B, 1.0)],
        "owner": [(A, B, 1.0)],
        "spectators": [(A, B, 0.0)],
    }


def test_a_vote_for_one_of_three_says_nothing_of_the_others() -> None:
    """Who chose the first one has not said that the second and the third are alike."""
    match, events = bout((A, B, C), kind="debate", score=None, end="unjudged")
    assert scores(results(match, events, [vote(match.id, 0)]))["spectators"] == [(A, B, 1.0), (A, C, 1.0)]
    tie = results(match, events, [vote(match.id, None)])
    assert [row.score for row in tie.results["spectators"]] == [0.5, 0.5, 0.5]


def test_who_spoke_is_rated_where_the_rules_say_so() -> None:
    """By `fallback="spoke"` another model's turns count for it; spoken by both, for nobody; and it may not meet itself."""
    rules = Rules(rounds=1, judges=("j/j",), fallback="spoke")
    for spoken, rated in ((C, [(C, B, 1.0)]), (A, [(A, B, 1.0)]), (B, [])):
        match, events = bout(rules=rules, spoken=(spoken, B))
        assert scores(results(match, events))["judges"] == rated


def test_votes_are_counted_by_source_and_round() -> None:
    """The owner's first, rounds in their order, the whole last; the leader is who has most, alone."""
    match, _ = bout(kind="debate", rules=Rules(rounds=2))
    votes = [
        vote(match.id, 0, "a"), vote(match.id, 0, "b"), vote(match.id, 1, "c"), vote(match.id, None, "d"),
        vote(match.id, 1, "a", round_=1), vote(match.id, 0, "b", round_=1), vote(match.id, 1, "a", round_=0),
        vote(match.id, None, "o", source="owner"),
    ]  # fmt: skip
    assert [(t.source, t.round, t.counts, t.ties, t.leader) for t in tallies(match, votes)] == [
        ("owner", None, (0, 0), 1, None),
        ("spectators", 0, (0, 1), 0, 1),
        ("spectators", 1, (1, 1), 0, None),
        ("spectators", None, (2, 1), 1, 0),
    ]
