"""Whether a challenger is better than the model that is asked first: a test that may be looked at as often as one likes.

Counted are the battles of those two against each other, at fixed looks: after 50, 100, 200, 400 of them, then each time twice
as many. A chance of 4 % to be wrong is shared out over the challengers and spent over the looks (Lan and DeMets 1983). To watch
P(better) ≥ 0.95 after every battle is no such test: within 200 battles it promotes about 29 % of equals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count, takewhile
from math import ceil, exp, fsum, lgamma, log, sqrt

from msgspec import Struct

from ..types import Result
from .linear import dot

ALPHA = 0.04
"""The promise is 5 % of leagues; a thousand simulated ones stay below that with room for chance."""
LOOKS = (50, 100, 200, 400)
"""Battles of the two against each other, ties included."""
_NOTHING = 1e-18
"""A probability that nobody will miss."""


class Finding(Struct, frozen=True, kw_only=True):
    """What the battles of a challenger against the incumbent say."""

    challenger: str
    incumbent: str
    battles: int
    """Of the two against each other so far, ties included."""
    look: int
    """How many of them count: the first ones, as many as the last look that was reached takes; 0: none was reached yet."""
    next_look: int
    """At how many battles it is looked at again."""
    wins: int
    """The challenger's, of those that count; so are the losses and ties."""
    losses: int
    ties: int
    gap: float
    """By how many log-odds the challenger is stronger, by those that count. Once it holds it is likelier too large than too
    small: it held where chance had helped."""
    error: float
    """The standard error of the gap."""
    p: float
    """How probable as many wins or more are between equals (the sign test: ties say nothing of who is better)."""
    allowed: float
    """The largest p that counts as evidence at this look."""
    spent: float
    """The chance of a false finding about this challenger at this look or one before it: never more than alpha / challengers."""
    holds: bool
    """Whether p ≤ allowed."""


def findings(
    results: Iterable[Result],
    incumbent: str,
    challengers: Iterable[str],
    *,
    alpha: float = ALPHA,
    looks: Sequence[int] = LOOKS,
) -> tuple[Finding, ...]:
    """What speaks for each challenger, in their order. `results`: of one source, since the last change of the order.

    If all are equal, or worse than the incumbent, one of them holds at some time with a probability of at most `alpha`.
    That is so for whatever rule chose the pairs: a pair's battles are a row of throws of a coin, and of such a row the
    first 50 are fair, no matter when they were thrown and what stood in between (Doob 1936). Estimates from all battles
    together have no such warranty, so no others count. Given the ties, the test is exact.
    """
    names = [name for name in dict.fromkeys(challengers) if name != incumbent]
    scores: dict[str, list[float]] = {name: [] for name in names}
    for result in sorted(results, key=lambda each: each.at):
        if result.second == incumbent and result.first in scores:
            scores[result.first].append(result.score)
        elif result.first == incumbent and result.second in scores:
            scores[result.second].append(1.0 - result.score)
    share = alpha / max(1, len(names))
    return tuple(_finding(name, incumbent, scores[name], share, looks) for name in names)


def looks_until(battles: int, looks: Sequence[int] = LOOKS) -> tuple[int, ...]:
    """The looks that so many battles have reached."""
    return tuple(takewhile(lambda look: look <= battles, _every(looks)))


def _every(looks: Sequence[int]) -> Iterator[int]:
    return chain(looks, (looks[-1] * 2**more for more in count(1)))


def _finding(name: str, incumbent: str, scores: list[float], share: float, looks: Sequence[int]) -> Finding:
    reached = looks_until(len(scores), looks)
    look = reached[-1] if reached else 0
    decisive = tuple(sum(score != 0.5 for score in scores[:each]) for each in reached)
    wins = sum(score > 0.5 for score in scores[:look])
    losses = decisive[-1] - wins if reached else 0
    bound, spent = _bound(decisive, share)
    p, allowed = _tail(wins + losses, wins), _tail(wins + losses, bound) if reached else 0.0
    return Finding(
        challenger=name,
        incumbent=incumbent,
        battles=len(scores),
        look=look,
        next_look=next(each for each in _every(looks) if each > len(scores)),
        wins=wins,
        losses=losses,
        ties=look - wins - losses,
        # Half a battle is added to each, so that no gap is infinite (Haldane 1956).
        gap=log((wins + 0.5) / (losses + 0.5)),
        error=sqrt(1 / (wins + 0.5) + 1 / (losses + 0.5)),
        p=p,
        allowed=allowed,
        spent=spent,
        holds=bool(reached) and wins >= bound,
    )


@lru_cache(maxsize=4096)
def _bound(decisive: tuple[int, ...], share: float) -> tuple[int, float]:
    """How many wins are evidence at the last of these looks, given how many battles were decisive at each; and what is spent.

    Each look may spend half of what is left of the share. Exactly that, as far as whole wins allow: walked are all ways in
    which equals can have come here without having been taken for unequal before.
    """
    walk, least, before = [1.0], 0, 0  # the probabilities of `least`, `least` + 1, … wins
    bound, spent, allowed = 1, 0.0, 0.0
    for battles in decisive:
        lowest, more = _binomial(battles - before)
        walk, least, before = _convolved(walk, more), least + lowest, battles
        allowed += (share - allowed) / 2
        bound = least + len(walk)
        while walk and spent + walk[-1] <= allowed:
            spent += walk.pop()
            bound -= 1
    return bound, spent


def _binomial(battles: int) -> tuple[int, list[float]]:
    """Of the wins in so many battles of equals: the least that may be, and the probabilities from there on.

    What lies nine standard deviations out, 10⁻¹⁸ of it all, is left out: a long row stays cheap.
    """
    lowest = max(0, battles // 2 - ceil(4.5 * sqrt(battles)))
    return lowest, [_chance(battles, wins) for wins in range(lowest, battles - lowest + 1)]


def _chance(battles: int, wins: int) -> float:
    """The binomial probability for equals."""
    ways = lgamma(battles + 1) - lgamma(wins + 1) - lgamma(battles - wins + 1)
    return exp(ways - battles * log(2))


def _convolved(first: list[float], second: list[float]) -> list[float]:
    """The probabilities of a sum. The second one is symmetric, and so need not be turned around."""
    size, other = len(first), len(second)
    made = []
    for at in range(size + other - 1):
        begin = max(0, at - other + 1)
        made.append(dot(first[begin : at + 1], second[max(0, other - 1 - at) :]))
    return made


def _tail(battles: int, wins: int) -> float:
    """How probable so many wins or more are in so many battles of equals."""
    return min(1.0, fsum(_chance(battles, each) for each in range(wins, battles + 1)))
