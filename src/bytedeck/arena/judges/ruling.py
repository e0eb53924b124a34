"""From verdicts to a decision: what each judge says of two fighters, and what the panel does.

Each judge looks at every leg twice, with the sides in one order and reversed. Who does not name the same winner when they
are swapped has judged their places, not their arguments: that counts as a tie (Zheng et al. 2023, arXiv:2306.05685).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from ..types import Look, Match, Ruling, Verdict
from . import judging

TIE = 0.5


def looks(match: Match) -> tuple[Look, ...]:
    """All looks of all judges at all legs."""
    return tuple(
        Look(judge, leg, is_swapped)
        for judge in range(len(match.rules.judges))
        for leg in range(match.legs)
        for is_swapped in (False, True)
    )


def rulings(match: Match, verdicts: Mapping[Look, Verdict]) -> tuple[Ruling, ...]:
    """What each judge that gave every one of its verdicts says of each pair, judge by judge."""
    wanted = looks(match)
    found = []
    for judge, model in enumerate(match.rules.judges):
        own = [look for look in wanted if look.judge == judge]
        if all(look in verdicts for look in own):
            for first, second in combinations(range(len(match.fighters)), 2):
                plain, swapped = (
                    _mean(
                        _score(verdicts[look], first, second)
                        for look in own
                        if _is_ahead(match, look, first, second) is way
                    )
                    for way in (True, False)
                )
                score = _side(plain) if _side(plain) == _side(swapped) else TIE
                found.append(
                    Ruling(judge=model, first=first, second=second, plain=plain, swapped=swapped, score=score)
                )
    return tuple(found)


def _is_ahead(match: Match, look: Look, first: int, second: int) -> bool:
    """Whether the judge was shown the first one before the second: of two looks it is so in one."""
    order = judging.shown(match, look)
    return order.index(first) < order.index(second)


def decision(
    fighters: int, rulings: Iterable[Ruling]
) -> tuple[tuple[tuple[int, int, float], ...], int | None]:
    """(The score of each pair, the winner's place or None.)

    A pair goes to whom more judges are for than against (the mean of their scores is above or below a half; a tie
    counts for neither). The winner is who has most points over all its pairs (Copeland), alone.
    """
    by_pair: dict[tuple[int, int], list[float]] = {}
    for one in rulings:
        by_pair.setdefault((one.first, one.second), []).append(one.score)
    scores = tuple((first, second, _side(_mean(found))) for (first, second), found in by_pair.items())
    points = [0.0] * fighters
    for first, second, score in scores:
        points[first] += score
        points[second] += 1 - score
    best = [place for place in range(fighters) if points[place] == max(points)]
    return scores, best[0] if len(best) == 1 and scores else None


def _score(verdict: Verdict, first: int, second: int) -> float:
    return _side(TIE + (verdict.places[second] - verdict.places[first]))


def _side(mean: float) -> float:
    """1, 0.5 or 0: on which side of a half it stands."""
    return TIE if mean == TIE else float(mean > TIE)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
