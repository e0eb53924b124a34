"""What is thought of models' strengths in the middle of a tournament: a normal approximation, cheap enough for every battle.

Bradley–Terry with a normal prior, its peak by Newton and its curvature there (Laplace 1774); a tie counts as half a win. It
only chooses who meets next: what is told of models is fitted by `rating.fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import cos, exp, log, log2, pi, sqrt
from typing import TypeAlias

from msgspec import Struct

from ..types import Result
from .linear import Matrix, cholesky, dot, solve, zeros

SPREAD = 0.75
"""The prior's standard deviation, in log-odds: 130 points, about what models that compete with each other are apart."""
_ROUNDS = 30
_STILL = 1e-2
"""Who moves less than that has arrived: next to the doubt it is nothing."""
_LEAST = 1e-300

Counts: TypeAlias = dict[tuple[int, int], tuple[float, float]]
"""Of each pair of places, the smaller one first: the first one's score, and how many battles."""


class Beliefs(Struct, frozen=True):
    """Strengths as jointly normal, by the places of the models."""

    means: tuple[float, ...]
    """Log-odds; the prior's mean is 0."""
    lower: Matrix
    """The Cholesky factor of their precision."""
    columns: Matrix
    """Its columns from the last one on, each from its end up to the diagonal: so a draw is made of inner products alone."""


def counted(results: Iterable[Result], places: Mapping[str, int]) -> Counts:
    """The results between models that have a place; of a model against itself there is nothing to learn."""
    made: Counts = {}
    for result in results:
        first, second = places.get(result.first), places.get(result.second)
        if first is not None and second is not None and first != second:
            add(made, first, second, result.score)
    return made


def add(counts: Counts, first: int, second: int, score: float) -> None:
    """One more battle, with the first one's score."""
    if second < first:
        first, second, score = second, first, 1.0 - score
    before = counts.get((first, second), (0.0, 0.0))
    counts[first, second] = (before[0] + score, before[1] + 1.0)


def believed(counts: Counts, size: int) -> Beliefs:
    """What the battles say of the strengths of so many models. With so strong a prior Newton's steps need no damping."""
    means = [0.0] * size
    for _ in range(_ROUNDS):
        lower = cholesky(_precision(counts, means))
        step = solve(lower, _slope(counts, means))
        means = [mean + each for mean, each in zip(means, step, strict=True)]
        if all(abs(each) < _STILL for each in step):
            break
    return _at(counts, means)


def expected(counts: Counts, beliefs: Beliefs, pairs: Iterable[tuple[int, int]]) -> Beliefs:
    """What will be thought once these battles, added to the counts here, have come out as expected: the same, more surely."""
    for first, second in pairs:
        add(counts, first, second, chance(beliefs.means[first] - beliefs.means[second]))
    return _at(counts, beliefs.means)


def drawn(beliefs: Beliefs, draw: Callable[[], float]) -> list[float]:
    """Strengths as they may be, by chance. `draw` gives numbers from 0 to 1, all alike."""
    made: list[float] = []
    for column, value in zip(beliefs.columns, _normal(len(beliefs.means), draw), strict=True):
        made.append((value - dot(column, made)) / column[-1])
    return [mean + value for mean, value in zip(beliefs.means, reversed(made), strict=True)]


def gap(beliefs: Beliefs, first: int, second: int) -> tuple[float, float]:
    """By how much the first one is thought to be stronger, and the variance of that."""
    made: list[float] = []
    for at, row in enumerate(beliefs.lower):
        made.append(((at == first) - (at == second) - dot(row, made)) / row[-1])
    return beliefs.means[first] - beliefs.means[second], dot(made, made)


def information(mean: float, variance: float) -> float:
    """What a battle is expected to tell of such a gap, in bits: ½ log₂(1 + p (1 − p) v), with p the chance of a win.

    The less is known of the gap the more, and the more even the two the more.
    """
    win = chance(mean)
    return log2(1 + win * (1 - win) * variance) / 2


def chance(ahead: float) -> float:
    """How probable a win is for who is ahead by so many log-odds."""
    return 1 / (1 + exp(-ahead)) if ahead > 0 else exp(ahead) / (1 + exp(ahead))


def _at(counts: Counts, means: Sequence[float]) -> Beliefs:
    lower = cholesky(_precision(counts, means))
    last = len(means) - 1
    columns = [[lower[row][at] for row in range(last, at - 1, -1)] for at in range(last, -1, -1)]
    return Beliefs(tuple(means), lower, columns)


def _normal(count: int, draw: Callable[[], float]) -> list[float]:
    """Standard normal numbers (Box and Muller 1958)."""
    made: list[float] = []
    while len(made) < count:
        radius, angle = sqrt(-2 * log(max(_LEAST, 1 - draw()))), 2 * pi * draw()
        made += (radius * cos(angle), radius * cos(angle - pi / 2))
    return made[:count]


def _slope(counts: Counts, means: Sequence[float]) -> list[float]:
    made = [-mean / SPREAD**2 for mean in means]
    for (first, second), (score, battles) in counts.items():
        pull = score - battles * chance(means[first] - means[second])
        made[first] += pull
        made[second] -= pull
    return made


def _precision(counts: Counts, means: Sequence[float]) -> Matrix:
    """The lower triangle of the curvature."""
    made = zeros(len(means))
    for at, row in enumerate(made):
        row[at] = SPREAD**-2
    for (first, second), (_, battles) in counts.items():
        win = chance(means[first] - means[second])
        weight = battles * win * (1 - win)
        made[first][first] += weight
        made[second][second] += weight
        made[second][first] -= weight
    return made
