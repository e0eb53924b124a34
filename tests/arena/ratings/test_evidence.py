"""When a challenger is taken to be better: exactly as rarely by mistake as is said, and soon where it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from math import comb, exp, log, sqrt

import pytest

from bytedeck.arena.ratings.evidence import ALPHA, Finding, _bound, _tail, findings, looks_until
from bytedeck.arena.ratings.pairing import next_pairs
from bytedeck.arena.types import Result

SMALL = (4, 6, 9)


def row(first: str, second: str, score: float, at: int = 0) -> Result:
    return Result(
        match="", task="t", kind="battle", source="judges", first=first, second=second, score=score, at=at
    )


def rows(scores: Sequence[float]) -> list[Result]:
    """Battles of B against A with B's scores, in turn from either side."""
    return [
        row("B", "A", score, at) if at % 2 else row("A", "B", 1 - score, at)
        for at, score in enumerate(scores)
    ]


def found(scores: Sequence[float], **options: object) -> Finding:
    (finding,) = findings(rows(scores), "A", ["B"], **options)  # type: ignore[arg-type]
    return finding


def test_before_the_first_look_nothing_holds() -> None:
    """Forty-nine wins in a row are not looked at; the fiftieth makes them evidence."""
    early = found([1.0] * 49)
    assert (early.battles, early.look, early.next_look, early.holds, early.p) == (49, 0, 50, False, 1.0)
    due = found([1.0] * 50)
    assert (due.look, due.next_look, due.wins, due.holds) == (50, 100, 50, True)
    assert due.p == pytest.approx(2**-50)


@pytest.mark.parametrize(("wins", "holds"), [(32, False), (33, True)])
def test_the_bound_of_the_first_look(wins: int, holds: bool) -> None:
    """With one challenger 33 of 50 are needed: P(≥ 33) = 0.0164 fits into half of 4 %, P(≥ 32) = 0.0325 does not."""
    finding = found([1.0] * wins + [0.0] * (50 - wins))
    assert finding.holds is holds
    assert finding.p == pytest.approx(sum(comb(50, k) for k in range(wins, 51)) / 2**50)
    assert finding.allowed == pytest.approx(sum(comb(50, k) for k in range(33, 51)) / 2**50)


def test_battles_after_a_look_count_at_the_next_one() -> None:
    """What comes after the fiftieth battle changes nothing until the hundredth."""
    half = [1.0, 0.0] * 25
    assert found(half + [1.0] * 49).wins == 25
    after = found(half + [1.0] * 50)
    assert (after.look, after.wins, after.holds) == (100, 75, True)


def test_the_latest_look_decides() -> None:
    """What held once holds no longer where later battles speak against it."""
    assert found([1.0] * 40 + [0.0] * 10).holds
    assert not found([1.0] * 40 + [0.0] * 60).holds


def test_ties_say_nothing_of_who_is_better() -> None:
    """They count as battles, and the test is that of the decisive ones."""
    tied = found([0.5] * 60 + [1.0] * 29 + [0.0] * 11)
    assert (tied.look, tied.wins, tied.losses, tied.ties) == (100, 29, 11, 60)
    assert tied.p == pytest.approx(sum(comb(40, k) for k in range(29, 41)) / 2**40)
    assert not found([0.5] * 400).holds


def test_gap_and_error() -> None:
    """The gap is the log-odds of the decisive battles, half a battle added to each side."""
    finding = found([1.0] * 30 + [0.0] * 15 + [0.5] * 5)
    assert finding.gap == pytest.approx(log(30.5 / 15.5))
    assert finding.error == pytest.approx(sqrt(1 / 30.5 + 1 / 15.5))


def test_only_their_own_battles_count() -> None:
    """Battles with others are no evidence, and the challengers share the error."""
    others = (row("B", "C", 1.0), row("C", "D", 1.0), row("A", "C", 1.0), row("A", "A", 0.5))
    results = [*rows([1.0] * 50), *others]
    told = findings(results, "A", ["B", "C", "A", "B", "D"])
    assert [(each.challenger, each.battles) for each in told] == [("B", 50), ("C", 1), ("D", 0)]
    assert told[0].spent <= ALPHA / 3 / 2
    assert found([1.0] * 33 + [0.0] * 17).holds
    assert not findings(rows([1.0] * 33 + [0.0] * 17), "A", ["B", "C", "D"])[0].holds
    assert findings(results, "A", []) == ()


def test_the_order_in_time_counts_and_not_that_of_the_rows() -> None:
    """The first fifty are the fifty that were held first."""
    results = rows([1.0] * 50 + [0.0] * 49)
    assert findings(results[::-1], "A", ["B"]) == findings(results, "A", ["B"])


def test_looks_go_on_by_doubling() -> None:
    """After the last one that is named each takes twice as many battles."""
    assert looks_until(49) == ()
    assert looks_until(3200) == (50, 100, 200, 400, 800, 1600, 3200)
    assert looks_until(25, (10, 15)) == (10, 15)


@pytest.mark.parametrize("decisive", [(4, 6, 9), (0, 3, 9), (4, 4, 8), (1, 2, 12)])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_the_error_spent_is_exact(decisive: tuple[int, ...], share: float) -> None:
    """Of all ways in which equals can fight, as many hold at some look as is told, and no more than may."""
    bounds = [_bound(decisive[: at + 1], share) for at in range(len(decisive))]
    wrong = 0
    for fought in product((0, 1), repeat=decisive[-1]):
        wrong += any(sum(fought[:n]) >= bound for n, (bound, _) in zip(decisive, bounds, strict=True))
    assert wrong / 2 ** decisive[-1] == pytest.approx(bounds[-1][1], abs=1e-12)
    assert bounds[-1][1] <= share
    # One win less at the last look would have cost more than it may spend by then.
    if len(decisive) > 1 and decisive[-1] > decisive[-2]:
        assert bounds[-1][1] + _tail(decisive[-1], bounds[-1][0] - 1) > share * (1 - 2 ** -len(decisive))


def test_a_long_row_stays_cheap_and_exact() -> None:
    """A hundred thousand battles: the bound is where the normal approximation has it, the error is nearly all spent."""
    looks = looks_until(110_000)
    bound, spent = _bound(looks, 0.05)
    assert 0.049 < spent <= 0.05
    assert 3.0 < (bound - looks[-1] / 2) / (sqrt(looks[-1]) / 2) < 4.5
    assert _tail(looks[-1], looks[-1] // 2) == pytest.approx(0.5, abs=0.002)
    assert _tail(3, 4) == 0.0


def world(gaps: Sequence[float], how: str, battles: int, seed: int, ties: float = 0.15) -> list[Finding]:
    """What holds in a league at some time; the first model is the incumbent, the gaps are in log-odds."""
    chance, models = random.Random(seed), [f"m{at}" for at in range(len(gaps))]
    results: list[Result] = []
    while len(results) < battles:
        for one, other in pairs(how, results, models, chance):
            gap = gaps[models.index(one)] - gaps[models.index(other)]
            win = (1 - ties) / (1 + exp(-gap))
            thrown = chance.random()
            score = 1.0 if thrown < win else 0.0 if thrown < 1 - ties else 0.5
            results.append(row(one, other, score, len(results)))
        held = [each for each in findings(results, models[0], models[1:]) if each.holds]
        if held:
            return held
    return []


def pairs(how: str, results: list[Result], models: list[str], chance: random.Random) -> list[tuple[str, str]]:
    if how == "random":
        one, other = chance.sample(models, 2)
        return [(one, other)] * 5
    incumbent = models[0] if how == "incumbent" else ""
    chosen = next_pairs(results, models, 5, chance.random, incumbent=incumbent)
    return [(each.first, each.second) for each in chosen]


@pytest.mark.parametrize(("how", "leagues"), [("random", 60), ("incumbent", 40), ("active", 10)])
def test_equals_are_hardly_ever_promoted(how: str, leagues: int) -> None:
    """In leagues of equals hardly one promotes a challenger, whichever way pairs are chosen (more in scripts/arena-simulation)."""
    wrong = sum(bool(world([0.0] * 3, how, 250, seed)) for seed in range(leagues))
    assert wrong <= max(1, 0.05 * leagues)


def test_a_better_one_is_found() -> None:
    """A challenger of 200 points more is found, and it is that one, in nearly all leagues of 300 battles."""
    told = [world([0.0, 0.0, 1.15], "incumbent", 300, seed) for seed in range(20)]
    assert sum(bool(each) and each[0].challenger == "m2" for each in told) >= 18
