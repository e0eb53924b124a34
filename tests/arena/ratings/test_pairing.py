"""Who meets next: those of whom too little is known, then those between whom it is open who is the best."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from math import exp, log2

import pytest

from bytedeck.arena.ratings.beliefs import (
    Counts,
    add,
    believed,
    chance,
    counted,
    drawn,
    expected,
    gap,
    information,
)
from bytedeck.arena.ratings.pairing import Pair, next_pairs
from bytedeck.arena.types import Result
from bytedeck.errors import InvalidRequest


def row(first: str, second: str, score: float) -> Result:
    return Result(match="", task="t", kind="battle", source="judges", first=first, second=second, score=score)


def names(pairs: Sequence[Pair]) -> list[frozenset[str]]:
    return [frozenset((each.first, each.second)) for each in pairs]


def known(strengths: dict[str, float], battles: int) -> list[Result]:
    """Everybody has met everybody so often, and won as often as their strengths say."""
    models = list(strengths)
    made = []
    for at, one in enumerate(models):
        for other in models[at + 1 :]:
            wins = round(battles * chance(strengths[one] - strengths[other]))
            made += [row(one, other, 1.0)] * wins + [row(other, one, 1.0)] * (battles - wins)
    return made


def test_new_models_come_first() -> None:
    """At first everybody fights once; then the winners meet, until all can be compared; a new one comes before all else."""
    models = [f"m{at}" for at in range(8)]
    pairs = next_pairs([], models, 4, random.Random(1).random)
    assert Counter(name for pair in names(pairs) for name in pair) == Counter(models)
    assert all("no battles yet" in pair.why for pair in pairs)
    results = [row(pair.first, pair.second, 1.0) for pair in pairs]
    joined = next_pairs(results, models, 3, random.Random(1).random)
    assert all("never met" in pair.why for pair in joined)
    groups = [set(each) for each in names(pairs)]
    for pair in names(joined):
        one, other = (next(group for group in groups if name in group) for name in pair)
        assert one is not other
        one |= other
        groups.remove(other)
    (new,) = next_pairs(known({"A": 1, "B": 0}, 50), ["A", "B", "C"], 1, random.Random(1).random)
    assert "C" in (new.first, new.second)
    assert new.why == "C has no battles yet."


def test_the_contenders_meet() -> None:
    """Where two may be the best and the others are surely not, the two meet."""
    results = known({"A": 1.0, "B": 1.05, "C": -2.0, "D": -2.1, "E": -2.05}, 30)
    told = [
        next_pairs(results, ["A", "B", "C", "D", "E"], 1, random.Random(seed).random)[0] for seed in range(20)
    ]
    assert set(names(told)) == {frozenset("AB")}
    assert told[0].why == "Both may be the best, and it is open which is better."


def test_who_is_surely_behind_does_not_meet_the_leader() -> None:
    """However little is known of a model's strength: where it is known that it is not the best, a battle is no use."""
    results = [*known({"A": 1.0, "B": 0.9}, 60), *[row("A", "C", 1.0)] * 8, *[row("B", "C", 1.0)] * 8]
    told = [next_pairs(results, list("ABC"), 1, random.Random(seed).random)[0] for seed in range(20)]
    assert set(names(told)) == {frozenset("AB")}


def test_several_at_once_are_different() -> None:
    """No pair comes twice before all have come once; with more than there are pairs they begin anew."""
    results = known({"A": 1.0, "B": 1.0, "C": 0.9, "D": -1.0}, 10)
    pairs = names(next_pairs(results, list("ABCD"), 6, random.Random(2).random))
    assert len(set(pairs)) == 6
    assert len(names(next_pairs(results, list("ABCD"), 9, random.Random(2).random))) == 9
    assert len(next_pairs([], ["A", "B"], 3, random.Random(2).random)) == 3
    assert next_pairs([], ["A", "B"], 0, random.Random(2).random) == ()


def test_battles_under_way_are_not_chosen_as_if_nobody_held_them() -> None:
    """Who is fighting already is not new any more."""
    chosen = next_pairs([], list("ABCD"), 1, random.Random(3).random, under_way=[("A", "B"), ("A", "gone")])
    assert names(chosen) == [frozenset("CD")]


def test_with_an_incumbent_all_pairs_are_challenges() -> None:
    """Each pair is the incumbent, first, and a challenger, the promising ones more often."""
    results = known({"A": 0.0, "B": 0.6, "C": -0.6}, 12)
    draw = random.Random(4).random
    told = [next_pairs(results, list("ABC"), 1, draw, incumbent="A")[0] for _ in range(60)]
    assert {each.first for each in told} == {"A"}
    often = Counter(each.second for each in told)
    assert often["B"] > 3 * often["C"] > 0
    assert told[0].why in ("B may be better than A.", "C may be better than A.")
    (turned,) = next_pairs(results, list("ABC"), 1, draw, incumbent="C")
    assert turned.first == "C"


def test_the_same_numbers_give_the_same_pairs() -> None:
    """Chance comes from outside alone; and the ends of its range do no harm."""
    results = known({"A": 1.0, "B": 0.5, "C": 0.0}, 8)
    one, other = (next_pairs(results, list("ABC"), 3, random.Random(5).random) for _ in range(2))
    assert one == other
    for end in (0.0, 1.0):
        assert len(next_pairs(results, list("ABC"), 3, lambda end=end: end)) == 3


def test_results_of_others_and_of_a_model_against_itself_are_left_out() -> None:
    """They change nothing of who meets."""
    results = known({"A": 1.0, "B": 0.5, "C": 0.0}, 8)
    more = [*results, row("A", "A", 0.5), row("A", "gone", 0.0), row("gone", "B", 1.0)]
    one, other = (next_pairs(each, list("ABC"), 3, random.Random(6).random) for each in (results, more))
    assert one == other


@pytest.mark.parametrize(
    ("models", "incumbent", "said"),
    [([], "", "two models"), (["A", "A"], "", "two models"), (["A", "B"], "C", "none of the models")],
)
def test_what_cannot_be_meant(models: list[str], incumbent: str, said: str) -> None:
    """One model meets nobody; an incumbent has to be there."""
    with pytest.raises(InvalidRequest, match=said):
        next_pairs([], models, 1, random.random, incumbent=incumbent)


def test_one_sided_results_have_finite_strengths() -> None:
    """A thousand wins in a row are no infinity, and the next pair is found all the same."""
    results = [row("A", "B", 1.0)] * 1000 + [row("B", "C", 1.0)] * 1000
    beliefs = believed(counted(results, {"A": 0, "B": 1, "C": 2}), 3)
    assert beliefs.means[0] > beliefs.means[1] > beliefs.means[2] > -10
    assert next_pairs(results, list("ABC"), 1, random.Random(7).random)


def test_draws_have_the_mean_and_the_spread_that_is_believed() -> None:
    """The sample of strengths is as wide as the information says, and moves together as it should."""
    counts: Counts = {}
    for first, second, score in [(0, 1, 1.0)] * 3 + [(1, 0, 1.0), (2, 1, 0.5), (1, 2, 1.0)]:
        add(counts, first, second, score)
    assert counts == {(0, 1): (3.0, 4.0), (1, 2): (1.5, 2.0)}
    beliefs = believed(counts, 3)
    draw = random.Random(8).random
    gaps = [each[0] - each[1] for each in (drawn(beliefs, draw) for _ in range(4000))]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(beliefs.means[0] - beliefs.means[1], abs=0.06)
    win = chance(beliefs.means[0] - beliefs.means[1])
    assert information(*gap(beliefs, 0, 1)) == pytest.approx(
        log2(1 + win * (1 - win) * variance) / 2, rel=0.06
    )
    more = expected(counts, beliefs, [(0, 1)] * 20)
    assert more.means == beliefs.means
    assert information(*gap(more, 0, 1)) < information(*gap(beliefs, 0, 1)) / 2


def best_found(choose: Callable[[list[Result], random.Random], Sequence[tuple[str, str]]], runs: int) -> int:
    """In how many runs the best of eight is found after eighty battles."""
    found, models = 0, [f"m{at}" for at in range(8)]
    for seed in range(runs):
        luck = random.Random(seed)
        strengths = {model: luck.gauss(0, 0.75) for model in models}
        results: list[Result] = []
        while len(results) < 80:
            for one, other in choose(results, luck):
                won = luck.random() < 1 / (1 + exp(strengths[other] - strengths[one]))
                results.append(row(one, other, float(won)))
        means = believed(counted(results, {model: at for at, model in enumerate(models)}), 8).means
        found += max(strengths, key=strengths.__getitem__) == models[max(range(8), key=means.__getitem__)]
    return found


def test_the_best_is_found_sooner_than_by_chance() -> None:
    """Beside random pairs, chosen ones find the best model clearly more often (at full size in scripts/arena-simulation)."""
    models = [f"m{at}" for at in range(8)]

    def chosen(results: list[Result], luck: random.Random) -> list[tuple[str, str]]:
        return [(each.first, each.second) for each in next_pairs(results, models, 4, luck.random)]

    def by_chance(results: list[Result], luck: random.Random) -> list[tuple[str, str]]:
        one, other = luck.sample(models, 2)
        return [(one, other)]

    runs = 40
    assert best_found(chosen, runs) >= best_found(by_chance, runs) + 4


def test_a_climb_that_is_cut_short_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds are bounded, and what is there by then puts the models in their order."""
    monkeypatch.setattr("bytedeck.arena.ratings.beliefs._ROUNDS", 1)
    means = believed(counted(known({"A": 1.0, "B": 0.0}, 40), {"A": 0, "B": 1}), 2).means
    assert means[0] > 0 > means[1]
