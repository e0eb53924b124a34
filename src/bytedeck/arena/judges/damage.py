"""Hit points: the judges' scores of each round as something to watch. Nothing is rated by it.

Each has 100 at first. In a round a fighter whose mean score m (over judges, looks and the four parts of the rubric, 1 to
10) is below the best one's M loses `100 / N · min(1, (M - m) / 4)`, N being the rounds of all legs: only whoever is
four points behind in every round goes down to 0, and whoever has lost to nobody keeps 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from ..types import Look, Match, Verdict

FULL = 100
"""Hit points at first."""
CLEAR = 4.0
"""Points of the rubric by which one has to be behind for all that a round can take."""
# What is left is rounded up: a sum of floats must not take the last point from who has one.
_DUST = 1e-9


def health(
    match: Match,
    verdicts: Iterable[tuple[Look, Verdict]],
    scores: Iterable[tuple[int, int, float]] = (),
) -> tuple[tuple[int, ...], ...]:
    """Hit points of each fighter after each round, leg by leg; () where no judge has scored any round.

    `scores`: those of the pairs, as in `Decided`.
    """
    means = _means(match, verdicts)
    if not any(means):
        return ()
    fighters = range(len(match.fighters))
    beaten = {second if score > 0.5 else first for first, second, score in scores if score != 0.5}
    lost = [0.0] * len(match.fighters)
    told = []
    for row in means:
        for place in fighters:
            lost[place] += damage(row, place) / len(means)
        told.append(tuple(_left(lost[place], place in beaten) for place in fighters))
    return tuple(told)


def damage(means: tuple[float, ...], place: int) -> float:
    """What a round takes from a fighter were it the only one, 0 to 100; `means`: each one's mean score; (): none."""
    behind = max(means) - means[place] if means else 0.0
    return FULL * min(1.0, behind / CLEAR)


def _left(lost: float, is_beaten: bool) -> int:
    return max(0 if is_beaten else 1, ceil(FULL - lost - _DUST))


def _means(match: Match, verdicts: Iterable[tuple[Look, Verdict]]) -> list[tuple[float, ...]]:
    """The mean score of each fighter by round, leg after leg; () for a round that nobody has scored."""
    count = 1 if match.kind == "battle" else match.rules.rounds
    rows: list[list[tuple[float, ...]]] = [[] for _ in range(match.legs * count)]
    for look, verdict in verdicts:
        for number, scored in enumerate(verdict.scores[:count]):
            rows[look.leg * count + number].append(tuple(one.mean for one in scored))
    return [tuple(sum(column) / len(row) for column in zip(*row, strict=True)) for row in rows]
