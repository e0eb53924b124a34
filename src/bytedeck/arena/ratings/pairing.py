"""Which two models should meet next: the battle that is worth most for finding the best one.

Top-two sampling (Russo 2020; the challenger much as by Shang and others 2020): the leader is the best of strengths drawn
from what is thought of them; it meets the one that is hardest to tell from it. So battles go to the contenders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import exp
from typing import TypeAlias

from msgspec import Struct

from ...errors import InvalidRequest
from ..types import Result
from .beliefs import Beliefs, Counts, believed, counted, drawn, expected, gap, information

_NEW = ("{0} has no battles yet.", "{1} has no battles yet.")
_APART = "{0} and {1} have never met, not even by way of others."
_BEST = "Both may be the best, and it is open which is better."
_CHALLENGE = "{1} may be better than {0}."

_At: TypeAlias = tuple[int, int]
"""A pair by the models' places, the smaller one first."""


class Pair(Struct, frozen=True, kw_only=True):
    """Two models that should meet."""

    first: str
    second: str
    """Which one is shown first is no matter of this: it is drawn for each match."""
    why: str
    """A sentence for people."""
    information: float
    """How much the outcome is expected to tell of the two's gap, in bits; see `beliefs.information`."""


def next_pairs(
    results: Iterable[Result],
    models: Sequence[str],
    count: int,
    draw: Callable[[], float],
    *,
    incumbent: str = "",
    under_way: Iterable[tuple[str, str]] = (),
) -> tuple[Pair, ...]:
    """The next battles, to be held at once or in this order. No pair comes twice before all have come once.

    `results`: of one source, and of the tasks that are meant; those of other models are left out. `draw` gives numbers from
    0 to 1, evenly: the same ones give the same pairs. Models that have not met the others come first. With `incumbent`, one
    of the models, every pair is that one and a challenger, each as often as it may be the strongest of them (Thompson 1933):
    that is what `evidence.findings` counts, and a promotion comes soonest so. `under_way`: battles that are being held.
    Raises InvalidRequest for fewer than two models, and for an incumbent that is none of them.
    """
    models = tuple(dict.fromkeys(models))
    _check(models, incumbent)
    places = {model: at for at, model in enumerate(models)}
    counts = counted(results, places)
    held = [(places[one], places[other]) for one, other in under_way if one in places and other in places]
    beliefs = expected(counts, believed(counts, len(models)), held)
    made: list[Pair] = []
    left: set[_At] = set()
    for _ in range(count):
        left = left or set(_pairs(len(models), places.get(incumbent)))
        strengths = drawn(beliefs, draw)
        at, why = _challenge(left, strengths) if incumbent else _choice(beliefs, counts, left, strengths)
        left.discard(at)
        first, second = (models[place] for place in (at[::-1] if models[at[1]] == incumbent else at))
        told = information(*gap(beliefs, *at))
        made.append(Pair(first=first, second=second, why=why.format(first, second), information=told))
        beliefs = expected(counts, beliefs, (at,))
    return tuple(made)


def _check(models: Sequence[str], incumbent: str) -> None:
    if len(models) < 2:
        raise InvalidRequest("A battle needs two models.", hint=("Name at least two different ones.",))
    if incumbent and incumbent not in models:
        raise InvalidRequest(f"{incumbent} is none of the models that are to meet.")


def _pairs(size: int, incumbent: int | None) -> list[_At]:
    every = combinations(range(size), 2)
    return [at for at in every if incumbent is None or incumbent in at]


def _challenge(left: set[_At], strengths: Sequence[float]) -> tuple[_At, str]:
    """The pair of the strongest challenger: the incumbent is in all of them."""
    return max(left, key=lambda at: (strengths[at[0]] + strengths[at[1]], at)), _CHALLENGE


def _choice(beliefs: Beliefs, counts: Counts, left: set[_At], strengths: Sequence[float]) -> tuple[_At, str]:
    groups = _groups(counts, len(strengths))
    if len(groups) > 1:
        return _joining(groups, strengths)
    leader = max({place for at in left for place in at}, key=strengths.__getitem__)
    return max(sorted(at for at in left if leader in at), key=lambda at: _worth(beliefs, at)), _BEST


def _worth(beliefs: Beliefs, at: _At) -> float:
    """What a battle tells of the gap, times e^(−z²): how little it is known who is ahead, z being the gap in standard errors."""
    mean, variance = gap(beliefs, *at)
    return information(mean, variance) * exp(-mean * mean / variance)


def _groups(counts: Counts, size: int) -> list[list[int]]:
    """The models by who has met whom, directly or by way of others."""
    group = [[at] for at in range(size)]
    for first, second in counts:
        if group[first] is not group[second]:
            group[first] += group[second]
            for at in group[second]:
                group[at] = group[first]
    return [members for at, members in enumerate(group) if at == min(members)]


def _joining(groups: list[list[int]], strengths: Sequence[float]) -> tuple[_At, str]:
    """The strongest of the two smallest groups, as in a knock-out: the best have met soon."""
    tops = [max(members, key=strengths.__getitem__) for members in groups]
    order = sorted(range(len(groups)), key=lambda at: (len(groups[at]), -strengths[tops[at]]))[:2]
    first, second = sorted(tops[at] for at in order)
    new = tops[order[0]]
    if len(groups[order[0]]) > 1:
        return (first, second), _APART
    return (first, second), _NEW[new == second]
