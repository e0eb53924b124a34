"""How sure a fit is: the sandwich estimate, clustered by match, and of nothing surer than Davidson's model itself.

A⁻¹·M·A⁻¹ holds also where the model of the odds does not quite (White 1982): A is the curvature, M the sum over the matches
of s·sᵀ, s the slope of a match. From few battles M comes out too small, most of all for who has only won, and for two groups
that one battle joins: there the slope is almost 0, and the sandwich would be surest of what the prior alone holds. So of
every gap the variance is the larger one of the sandwich's and of A⁻¹. (bench/ratings.py measures what the intervals cover.)
"""

from __future__ import annotations

from collections import defaultdict
from math import sqrt

from msgspec import Struct

from .likelihood import Peak, chances, gaps, gather
from .linear import Matrix, add_outer, cholesky, dot, inverse, mirrored, sandwich
from .tables import Row, Table

_SCORES = (1.0, 0.0, 0.5)
"""Of a win, a loss and a tie."""


class Spread(Struct, frozen=True):
    """The covariance of all parameters, by their places in `Peak.values`, estimated in two ways."""

    robust: Matrix
    own: Matrix

    def of(self, at: int) -> float:
        """The standard error of one parameter."""
        return sqrt(max(self.robust[at][at], self.own[at][at], 0.0))

    def between(self, one: int, other: int) -> float:
        """The standard error of the difference of two."""
        return sqrt(
            max(*(m[one][one] + m[other][other] - 2 * m[one][other] for m in (self.robust, self.own)), 0.0)
        )


def spread(table: Table, peak: Peak) -> Spread:
    """Both estimates."""
    own = _levelled(inverse(cholesky(peak.curvature)), table, peak)
    return Spread(sandwich(own, mirrored(_meat(table, peak))), own)


def _meat(table: Table, peak: Peak) -> Matrix:
    """The lower triangle of the sum over the matches of s·sᵀ: first as if each row were a match of its own."""
    scores, mixes, draws = [], [], []
    for gap, (wins, losses, ties) in zip(gaps(table, peak.values), table.counts, strict=True):
        win, tie = chances(gap, peak.tie)
        won, lost, drawn = 1 - win - tie / 2, -win - tie / 2, 0.5 - win - tie / 2
        scores.append(wins * won * won + losses * lost * lost + ties * drawn * drawn)
        mixes.append(ties * drawn - (wins * won + losses * lost + ties * drawn) * tie)
        draws.append((wins + losses) * tie * tie + ties * (1 - tie) * (1 - tie))
    made = gather(table, scores, mixes, draws)
    for rows in table.joint:
        whole: defaultdict[int, float] = defaultdict(float)
        for row in rows:
            slope = _slope(row, table, peak)
            add_outer(made, slope, -1.0)
            for at, value in slope:
                whole[at] += value
        add_outer(made, tuple(whole.items()))
    return made


def _slope(row: Row, table: Table, peak: Peak) -> list[tuple[int, float]]:
    """The slope of one battle's log-likelihood, by the places where it is not 0."""
    first, second, style, outcome = row
    columns = table.size - len(table.columns)
    gap = peak.values[first] - peak.values[second] + dot(style, peak.values[columns:])
    win, tie = chances(gap, peak.tie)
    off = _SCORES[outcome] - win - tie / 2
    made = [(first, off), (second, -off)]
    if table.drawn:
        made.append((len(table.models), (_SCORES[outcome] == 0.5) - tie))
    return made + [(at, off * x) for at, x in enumerate(style, start=columns)]


def _levelled(inverted: Matrix, table: Table, peak: Peak) -> Matrix:
    """Without the doubt about a group's level, which is no doubt about a model: the strengths of a group have the mean 0.

    The level is a direction of the curvature of its own (`likelihood.climb`), of the weight ridge + the group's size.
    """
    sizes = [table.groups.count(group) for group in range(len(set(table.groups)))]
    for one, group in enumerate(table.groups):
        level = 1 / (sizes[group] * (peak.ridge + sizes[group]))
        for other, another in enumerate(table.groups):
            if another == group:
                inverted[one][other] -= level
    return inverted
