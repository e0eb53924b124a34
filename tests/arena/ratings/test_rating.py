"""Ratings: the same as others have them, intervals that hold what they say, and no league that breaks them."""

from __future__ import annotations

import random
from math import exp, inf, isfinite, isinf, log, sqrt

import evalica
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.arena.ratings.rating import BASE, POINTS, RIDGE, Z95, Fit, fit
from bytedeck.arena.types import Result
from bytedeck.errors import InvalidRequest
from leagues import LEANINGS, TIES, league, name, panel, row, strengths


def times(count: int, first: str, second: str, score: float) -> list[Result]:
    return [row(first, second, score)] * count


@pytest.mark.parametrize("models", [2, 5, 12])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_evalica_without_ties(models: int, seed: int) -> None:
    """Without ties and a prior the strengths are those of evalica's Bradley–Terry, within a millionth."""
    rng = random.Random(seed)
    rows = league(rng, strengths(rng, models), 60 * models)
    winners = [evalica.Winner.X if one.score else evalica.Winner.Y for one in rows]
    theirs = evalica.bradley_terry(
        [one.first for one in rows],
        [one.second for one in rows],
        winners,
        tolerance=1e-12,
        limit=100_000,
    )
    logs = {model: log(score) for model, score in theirs.scores.items()}
    middle = sum(logs.values()) / len(logs)
    found = fit(rows, ridge=0)
    assert len(found.strengths) == len(logs) == models
    for one in found.strengths:
        assert one.strength == pytest.approx(logs[one.model] - middle, abs=1e-6)


def test_two_models_have_a_formula() -> None:
    """Of two models, w wins, l losses and t ties: the gap is ln (w / l), ν is t / √(w·l) (Davidson 1970), and w + l
    battles alone tell of the gap: its error is √(1 / w + 1 / l)."""
    found = fit(times(30, "a", "b", 1) + times(10, "b", "a", 1) + times(20, "a", "b", 0.5), ridge=0)
    gap, error = found.gap("a", "b")
    assert gap == pytest.approx(log(3))
    assert found.gap("b", "a") == (pytest.approx(-log(3)), pytest.approx(error))
    assert found.tie == pytest.approx(20 / sqrt(300))
    assert error == pytest.approx(sqrt(1 / 30 + 1 / 10), rel=1e-5)
    best, other = found.strengths
    assert (best.model, best.battles, best.wins, best.losses, best.ties) == ("a", 60, 30, 10, 20)
    assert (other.wins, other.losses, other.ties) == (10, 30, 20)
    assert best.points == pytest.approx(BASE + POINTS * log(3) / 2)
    assert best.high - best.low == pytest.approx(POINTS * Z95 * error, rel=1e-5)


@pytest.mark.parametrize("models", [2, 10])
@pytest.mark.parametrize("tie", TIES.values(), ids=map(str, TIES))
def test_the_intervals_hold_the_truth(models: int, tie: float) -> None:
    """From 200 battles on the 95 % intervals of the gaps hold the truth in 92 to 97 % of the cases.

    400 leagues of two or 80 of ten: chance moves the share by about a point. The many leagues stand in bench/ratings.py.
    """
    held = cases = 0
    rng = random.Random(11)
    for _ in range(400 if models == 2 else 80):
        truth = strengths(rng, models)
        found = fit(league(rng, truth, 200, tie))
        for one in range(models):
            for other in range(one):
                gap, error = found.gap(name(one), name(other))
                cases += 1
                held += abs(gap - (truth[one] - truth[other])) <= Z95 * error
    assert 0.92 <= held / cases <= 0.97


def test_ranks_have_a_range() -> None:
    """Who is surely better or worse bounds a model's rank; equals share theirs."""
    rows = [
        *(times(90, "top", "mid", 1) + times(10, "mid", "top", 1)),
        *(times(51, "mid", "also mid", 1) + times(49, "also mid", "mid", 1)),
        *(times(90, "mid", "low", 1) + times(10, "low", "mid", 1)),
    ]
    found = fit(rows)
    ranks = [(one.model, one.rank, one.rank_low, one.rank_high) for one in found.strengths]
    assert ranks == [("top", 1, 1, 1), ("mid", 2, 2, 3), ("also mid", 3, 2, 3), ("low", 4, 4, 4)]


def test_a_match_of_several_pairs_is_one_voice() -> None:
    """Rows of one match depend on each other: told twice in the same match a battle proves no more than once, told by
    two matches it does."""
    rng = random.Random(5)
    rows = league(rng, strengths(rng, 4), 300, TIES[0.2])
    once, twice = fit(rows, ridge=0), fit([*rows, *rows], ridge=0)
    apart = fit([*rows, *(row(one.first, one.second, one.score) for one in rows)], ridge=0)
    assert (once.battles, once.matches) == (300, 300)
    assert (twice.battles, twice.matches) == (600, 300)
    gap, error = once.gap(name(0), name(1))
    assert twice.gap(name(0), name(1)) == (pytest.approx(gap), pytest.approx(error, rel=1e-4))
    assert apart.gap(name(0), name(1))[1] == pytest.approx(error / sqrt(2), rel=1e-4)


def test_matches_of_three_keep_the_coverage() -> None:
    """Also where every match has three fighters, the intervals hold the truth as often as they say."""
    rng = random.Random(3)
    held = cases = 0
    for _ in range(150):
        truth = strengths(rng, 6)
        found = fit(league(rng, truth, 300, TIES[0.1], fighters=3))
        for other in range(1, 6):
            gap, error = found.gap(name(0), name(other))
            cases += 1
            held += abs(gap - (truth[0] - truth[other])) <= Z95 * error
    assert 0.92 <= held / cases <= 0.98


def test_models_that_never_met_cannot_be_compared() -> None:
    """Two groups are told apart: within each there are gaps, between them no bounds, and every rank is possible that
    those of the other group leave open."""
    found = fit(
        times(80, "a", "b", 1) + times(20, "b", "a", 1) + times(60, "c", "d", 1) + times(40, "d", "c", 1)
    )
    assert found.groups == 2
    assert isfinite(found.gap("a", "b")[1])
    assert isfinite(found.gap("c", "d")[1])
    assert isinf(found.gap("a", "c")[1])
    places = {one.model: one for one in found.strengths}
    assert places["a"].group == places["b"].group != places["c"].group == places["d"].group
    assert (places["a"].rank_low, places["a"].rank_high) == (1, 3)
    assert (places["b"].rank_low, places["b"].rank_high) == (2, 4)
    for one, other in (("a", "b"), ("c", "d")):
        assert places[one].strength + places[other].strength == pytest.approx(0)


def test_a_bridge_makes_one_group() -> None:
    """One battle between two groups is enough to compare them, and little is known then."""
    rows = times(80, "a", "b", 1) + times(20, "b", "a", 1) + times(60, "c", "d", 1) + times(40, "d", "c", 1)
    found = fit([*rows, row("a", "c", 1)])
    assert found.groups == 1
    assert found.gap("a", "b")[1] < 0.3
    assert 2 < found.gap("b", "d")[1] < inf


def test_nothing_to_fit() -> None:
    """No results, or only a model against itself, is an empty board; nobody is asked for who has not fought."""
    for rows in ([], [row("a", "a", 1)]):
        found = fit(rows)
        assert found == Fit()
        assert found.find("a") is None
        with pytest.raises(InvalidRequest, match="a has no battles yet"):
            found.gap("a", "b")


@pytest.mark.parametrize("count", [1, 10, 1_000, 100_000])
def test_who_has_only_won_is_no_infinity(count: int) -> None:
    """All wins give finite points and an interval that is as wide as so few or so many losses leave it: no narrower than
    what n wins in a row say by themselves (the exact bound of Clopper and Pearson)."""
    found = fit(times(count, "a", "b", 1))
    gap, error = found.gap("a", "b")
    exact = 0.025 ** (1 / count)
    lowest = log(exact / -(exact - 1)) if count > 1 else 0.0
    assert 0 < gap < 20
    assert 1 < error < 5
    assert gap - Z95 * error <= max(lowest, 0.0) + 0.5
    best = found.strengths[0]
    assert best.wins == count
    assert best.high - best.low == pytest.approx(POINTS * Z95 * error)


@pytest.mark.parametrize("count", [1, 50, 5_000])
def test_only_ties_are_equals(count: int) -> None:
    """Ties alone say: equal, and nothing sure about by how much not."""
    found = fit(times(count, "a", "b", 0.5))
    assert found.gap("a", "b") == (pytest.approx(0), pytest.approx(found.gap("a", "b")[1]))
    assert found.gap("a", "b")[1] > 0.5
    assert found.tie > 1
    assert [one.rank_high for one in found.strengths] == [2, 2]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (times(5, "a", "b", 1), "only won"),
        (times(5, "a", "b", 0.5), "only won"),
        (times(5, "a", "b", 1) + times(2, "b", "a", 1) + times(1, "b", "c", 1), "only won"),
        ([row("a", "b", 1, style=[1.0])] * 5 + [row("a", "b", 0, style=[-1.0])] * 5, "style"),
    ],
    ids=["all wins", "all ties", "a loser", "style tells all"],
)
def test_no_prior_no_guess(rows: list[Result], why: str) -> None:
    """Without a prior, results that have no finite strengths are refused with a sentence; with it they are fitted."""
    with pytest.raises(InvalidRequest, match=why):
        fit(rows, ridge=0, style=True)
    assert all(isfinite(one.low) and isfinite(one.high) for one in fit(rows, style=True).strengths)


def test_the_default_prior_says_next_to_nothing() -> None:
    """From 200 battles on the prior moves no gap by more than a fifth of its error."""
    rng = random.Random(2)
    rows = league(rng, strengths(rng, 6), 200, TIES[0.1])
    free, drawn = fit(rows, ridge=0), fit(rows)
    for other in range(1, 6):
        gap, error = free.gap(name(0), name(other))
        assert abs(drawn.gap(name(0), name(other))[0] - gap) < error / 5


def test_sides_and_order_do_not_matter() -> None:
    """The same battles in another order, or with first and second exchanged, give the same fit, style and all."""
    rng = random.Random(9)
    truth = strengths(rng, 5)
    rows, _ = panel(rng, truth, [0.0] * 5, 200, LEANINGS["the longer text, always"])
    turned = [
        row(one.second, one.first, 1 - one.score, style=[-x for x in one.style]) for one in reversed(rows)
    ]
    one, other = fit(rows, style=True), fit(turned, style=True)
    assert [each.model for each in one.strengths] == [each.model for each in other.strengths]
    for mine, theirs in zip(one.strengths, other.strengths, strict=True):
        assert (mine.strength, mine.low, mine.high) == pytest.approx(
            (theirs.strength, theirs.low, theirs.high)
        )
    assert one.effects[0].value == pytest.approx(other.effects[0].value)


def test_a_large_league() -> None:
    """A hundred thousand results of fifty models are fitted, and near the truth."""
    rng = random.Random(1)
    truth = strengths(rng, 50)
    found = fit(league(rng, truth, 100_000, TIES[0.1]))
    assert found.battles == 100_000
    assert found.tie == pytest.approx(TIES[0.1], abs=0.02)
    assert all(abs(one.strength - truth[int(one.model[1:])]) < 0.15 for one in found.strengths)
    assert max(one.high - one.low for one in found.strengths) < 30


@pytest.mark.parametrize("leaning", LEANINGS.values(), ids=LEANINGS)
def test_a_judge_that_likes_length_moves_little(leaning: object) -> None:
    """One of three judges prefers the longer text: at equal style, at most a tenth is left of what it moves otherwise.

    What it moves is measured along the models' verbosity: the slope of the ratings' change on it. The many leagues stand in
    bench/ratings.py.
    """
    raw = left = 0.0
    verbosity = [-0.4, 0.4, -0.2, 0.2, 0.3, -0.3]
    for seed in (1, 2, 3):
        rng = random.Random(seed)
        fair, leaned = panel(rng, strengths(rng, 6), verbosity, 1_500, leaning)  # type: ignore[arg-type]
        before, after, level = fit(fair), fit(leaned), fit(leaned, style=True)
        for at, each in enumerate(verbosity):
            known = before.strengths[before.places[name(at)]].strength
            raw += each * (after.strengths[after.places[name(at)]].strength - known)
            left += each * (level.strengths[level.places[name(at)]].strength - known)
    assert raw > 0.3
    assert abs(left / raw) <= 0.1


def test_effects_of_the_style() -> None:
    """A known effect is found, with its name and unit; a feature that never differs is left out, and one that does nothing
    has an interval that holds 0."""
    rng = random.Random(4)
    rows = []
    for at in range(3_000):
        gap, long, bold = rng.gauss(0, 0.5), rng.gauss(0, 0.3), rng.gauss(0, 0.2)
        score = float(rng.random() < 1 / (1 + 2.718281828 ** -(gap * 0 + 2 * long)))
        rows.append(row(name(at % 3), name((at + 1) % 3), score, style=(long, 0.0, 0.0, bold)))
    length, strong = fit(rows, style=True).effects
    assert (length.name, strong.name) == ("length", "bold")
    assert length.unit == pytest.approx(0.3, rel=0.05)
    assert length.low < 2 * length.unit < length.high
    assert length.low > 0.4
    assert strong.low < 0 < strong.high
    assert fit(rows).effects == ()


def test_rows_without_style_count_too() -> None:
    """Where some results have no style, they are rated as if there were no difference."""
    rows = (
        times(30, "a", "b", 1)
        + [row("b", "a", 1, style=(0.5, 0, 0, 0))] * 10
        + [row("a", "b", 1, style=(0.2,))]
    )
    found = fit(rows, style=True)
    assert found.battles == 41
    assert found.effects[0].unit == pytest.approx(sqrt((10 * 0.5**2 + 0.2**2) / 41))


LOPSIDED = [
    times(3, "d", "e", 1) + times(3, "b", "c", 1) + times(1_000, "e", "a", 0.5),
    times(3, "a", "b", 0.5) + times(1_000, "a", "b", 0.5) + times(3, "c", "a", 1) + times(3, "a", "b", 1),
    times(1_000, "a", "b", 1) + times(1, "b", "c", 1) + times(1_000, "c", "d", 1),
]


@pytest.mark.parametrize("rows", LOPSIDED)
def test_the_peak_is_found_however_lopsided(rows: list[Result]) -> None:
    """Where Newton's full steps lead astray the fit still ends at the peak: each model's surplus over its expected score is
    what the prior holds against."""
    found = fit(rows)
    surplus = dict.fromkeys(found.places, 0.0)
    for one in rows:
        half = found.gap(one.first, one.second)[0] / 2
        whole = exp(half) + exp(-half) + found.tie
        off = one.score - (exp(half) + found.tie / 2) / whole
        surplus[one.first] += off
        surplus[one.second] -= off
    for each in found.strengths:
        assert surplus[each.model] == pytest.approx(RIDGE * each.strength, abs=1e-6)


ROWS = st.lists(
    st.builds(
        row,
        first=st.sampled_from("abcdef"),
        second=st.sampled_from("abcdef"),
        score=st.sampled_from([0.0, 0.5, 1.0]),
        match=st.sampled_from(["", "1", "2", "3"]),
        style=st.lists(st.floats(-1, 1), max_size=2),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, style=st.booleans())
def test_any_results_have_a_board(rows: list[Result], style: bool) -> None:
    """Whatever the results, the board has all their models once, with finite intervals and ranks that fit together."""
    found = fit(rows, style=style)
    models = {model for one in rows if one.first != one.second for model in (one.first, one.second)}
    assert {one.model for one in found.strengths} == models
    assert [one.rank for one in found.strengths] == list(range(1, len(models) + 1))
    for one in found.strengths:
        assert isfinite(one.low)
        assert one.low <= one.points <= one.high < inf
        assert 1 <= one.rank_low <= one.rank <= one.rank_high <= len(models)
        assert one.battles == one.wins + one.losses + one.ties > 0
    for group in {one.group for one in found.strengths}:
        assert sum(one.strength for one in found.strengths if one.group == group) == pytest.approx(
            0, abs=1e-6
        )
