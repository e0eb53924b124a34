"""Davidson's model of wins, losses and ties as a likelihood: its value, slope and curvature, and the climb to its peak.

The parameters are one list: the strengths by place, then ln ν where there are ties, then the effects of the style.
With d the gap of strengths (plus style), and D = e^(d/2) + e^(−d/2) + ν: P(win) = e^(d/2)/D, P(tie) = ν/D.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from math import exp, log
from operator import mul

from msgspec import Struct

from .linear import Matrix, cholesky, dot, solve, zeros
from .tables import Table

_ROUNDS = 100
_STEP = 4.0
"""The longest step, in log-odds: the likelihood is nearly flat far out, and Newton would jump over all of it."""
_STILL = 1e-5
"""A step shorter than that is the last one: what is left after it is about its square."""


class Peak(Struct, frozen=True):
    """The parameters of the highest posterior probability, and how it is curved there."""

    values: tuple[float, ...]
    tie: float
    """Davidson's ν; 0 where there were no ties."""
    curvature: Matrix
    """The lower triangle, the prior's included, and 1 added between all models of a group: see `climb`."""
    ridge: float


class _View(Struct, frozen=True):
    """What a place in the space of parameters looks like."""

    height: float
    """ln of the posterior, up to a constant."""
    slope: list[float]
    curvature: Matrix
    """Minus the second derivatives, of which the lower triangle is filled."""


def climb(table: Table, ridge: float) -> Peak:
    """Damped Newton to the peak. The posterior is concave in all its parameters, so there is one peak.

    Only gaps are known, not the level of a group of models that have met: 1 is added to the curvature between all models
    of a group. That moves nothing, since no slope goes that way, and the matrix has an inverse without a prior, too.
    """
    values = _start(table, ridge)
    here = _look(table, values, ridge)
    for _ in range(_ROUNDS):
        step = solve(cholesky(here.curvature), here.slope)
        longest = max(map(abs, step))
        values, here = _moved(table, values, here, step, ridge, min(1.0, _STEP / max(longest, _STILL)))
        if longest < _STILL:
            break
    return Peak(tuple(values), tie_of(table, values), here.curvature, ridge)


def _start(table: Table, ridge: float) -> list[float]:
    """Where the climb begins: as without the style, whose few cells are quickly gone through, or with equal models."""
    values = [0.0] * len(table.models)
    if table.columns:
        return [*climb(table.plain(), ridge).values, *(0.0 for _ in table.columns)]
    if table.drawn:
        values.append(log(2 * (table.drawn + 0.5) / (table.battles - table.drawn + 0.5)))
    return values


def _moved(
    table: Table, values: list[float], here: _View, step: list[float], ridge: float, share: float
) -> tuple[list[float], _View]:
    """A step up: halved until it does not lead down."""
    while True:
        moved = [value + share * each for value, each in zip(values, step, strict=True)]
        there = _look(table, moved, ridge)
        # At the peak the heights differ by rounding alone.
        if there.height >= here.height - 1e-9 * (1 + abs(here.height)) or share < _STILL:
            return moved, there
        share /= 2


def tie_of(table: Table, values: Sequence[float]) -> float:
    """Davidson's ν; without ties it is 0 and no parameter."""
    return exp(values[len(table.models)]) if table.drawn else 0.0


def gaps(table: Table, values: Sequence[float]) -> list[float]:
    """Of each cell: by how many log-odds the first one is ahead, with its style."""
    made: list[float] = []
    for first, second, start, end in table.runs:
        made.extend(repeat(values[first] - values[second], end - start))
    for column, effect in zip(table.columns, values[table.size - len(table.columns) :], strict=True):
        made = [gap + effect * x for gap, x in zip(made, column, strict=True)]
    return made


def chances(gap: float, tie: float) -> tuple[float, float]:
    """The probabilities of a win and of a tie at a gap of log-odds; ν is `tie`."""
    up, down = exp(gap / 2), exp(-gap / 2)
    whole = up + down + tie
    return up / whole, tie / whole


def _look(table: Table, values: Sequence[float], ridge: float) -> _View:
    """Slope and curvature of the sum over the battles. With y the score and t whether it is a tie, the slope by d is
    y − E[y], that by ln ν is t − P(tie), and the curvature is their covariance."""
    tie = tie_of(table, values)
    height = -ridge * dot(values, values) / 2 + (table.drawn * log(tie) if table.drawn else 0.0)
    pulls, scores, mixes, draws = [], [], [], []
    expected = 0.0
    for gap, (wins, losses, ties) in zip(gaps(table, values), table.counts, strict=True):
        half = gap / 2
        up = exp(half)
        whole = up + exp(-half) + tie
        drawn = tie / whole
        count, score = wins + losses + ties, up / whole + drawn / 2
        height += (wins - losses) * half - count * log(whole)
        pulls.append(wins + ties / 2 - count * score)
        scores.append(count * (score - drawn / 4 - score * score))
        mixes.append(count * drawn * (0.5 - score))
        draws.append(count * drawn * (1 - drawn))
        expected += count * drawn
    slope = [-ridge * value for value in values]
    for first, second, start, end in table.runs:
        pull = sum(pulls[start:end])
        slope[first] += pull
        slope[second] -= pull
    if table.drawn:
        slope[len(table.models)] += table.drawn - expected
    for at, column in enumerate(table.columns, start=table.size - len(table.columns)):
        slope[at] += dot(pulls, column)
    return _View(height, slope, _with_prior(gather(table, scores, mixes, draws), table, ridge))


def gather(table: Table, scores: list[float], mixes: list[float], draws: list[float]) -> Matrix:
    """The lower triangle of Σ g·gᵀ over the cells, g being how a cell's gap and ln ν hang on the parameters: weighed by
    `scores` where the gap meets itself, by `mixes` where it meets ln ν, and by `draws` where that meets itself."""
    made, tied = zeros(table.size), len(table.models)
    for first, second, start, end in table.runs:
        whole = sum(scores[start:end])
        made[first][first] += whole
        made[second][second] += whole
        made[second][first] -= whole
        if table.drawn:
            mix = sum(mixes[start:end])
            made[tied][first] += mix
            made[tied][second] -= mix
    if table.drawn:
        made[tied][tied] = sum(draws)
    columns = table.size - len(table.columns)
    for at, column in enumerate(table.columns):
        row, weighed = made[columns + at], list(map(mul, scores, column))
        for first, second, start, end in table.runs:
            whole = sum(weighed[start:end])
            row[first] += whole
            row[second] -= whole
        if table.drawn:
            row[tied] = dot(mixes, column)
        for other in range(at + 1):
            row[columns + other] = dot(weighed, table.columns[other])
    return made


def _with_prior(made: Matrix, table: Table, ridge: float) -> Matrix:
    for at, row in enumerate(made):
        row[at] += ridge
    for one, group in enumerate(table.groups):
        for other in range(one + 1):
            if table.groups[other] == group:
                made[one][other] += 1.0
    return made
