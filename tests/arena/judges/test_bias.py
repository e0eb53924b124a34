"""Judges that prefer a seat move no ratings: they are asked both ways round, and debates in turns are held both ways."""

from __future__ import annotations

import random
from math import sqrt
from statistics import fmean, stdev

import pytest

from bytedeck.arena.ratings.rating import fit
from leagues import SEATED, seated, slope, strengths

MODELS, LEAGUES, BATTLES = 6, 16, 150
T95 = 2.13
"""Student's, for 15 degrees of freedom."""


@pytest.mark.parametrize("leaning", [1, 2])
@pytest.mark.parametrize("prefers", SEATED)
def test_a_preferred_seat_moves_no_rating(prefers: str, leaning: int) -> None:
    """The 95 % interval of the shift holds 0, with one such judge of three and with two, where the same models always have
    the preferred seat. Asked once, in one leg, the same judges move the ratings beyond any doubt."""
    shifts, raw = [], []
    for seed in range(LEAGUES):
        rng = random.Random(seed)
        fair, leaned, once = seated(rng, strengths(rng, MODELS), BATTLES, prefers, leaning=leaning)
        before = fit(fair)
        shifts.append(slope(before, fit(leaned), MODELS))
        raw.append(slope(before, fit(once), MODELS))
    assert abs(fmean(shifts)) <= _half(shifts)
    assert abs(fmean(raw)) > 5 * _half(raw)
    assert abs(fmean(shifts)) < 0.1 * abs(fmean(raw))


def _half(found: list[float]) -> float:
    """Of the 95 % interval of their mean."""
    return T95 * stdev(found) / sqrt(len(found))
