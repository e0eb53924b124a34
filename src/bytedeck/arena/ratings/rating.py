"""How strong models are, from who beat whom: Bradley–Terry with ties (Davidson 1970), a weak prior, honest intervals.

Strengths are log-odds: at a gap of d, and leaving ties aside, the stronger one wins with a probability of
1 / (1 + e⁻ᵈ). The page is `fit`: rows are counted by pair, Newton finds the strengths, the sandwich says how sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, log

from msgspec import Struct

from ...errors import InvalidRequest
from ..types import Result
from .likelihood import Peak, climb
from .linear import mirrored
from .spread import Spread, spread
from .tables import Counts, Table, is_strong, tabled

RIDGE = 0.1
"""The prior's weight: each strength is drawn towards 0 as by N(0, 1/0.1), a spread of about 550 points. That is far wider
than any board is, so that it says next to nothing from ten battles on, and keeps who has only won from infinity."""

POINTS = 400 / log(10)
"""Points for a log-odds of 1: 400 points more are ten times the odds, as in Elo's ratings."""
BASE = 1000.0
Z95 = 1.959963984540054
"""The normal distribution's quantile for a two-sided 95 %."""


class Strength(Struct, frozen=True, kw_only=True):
    """One model's place."""

    model: str
    strength: float
    """Log-odds; the mean over the models of its group is 0."""
    points: float
    """1000 + 400 / ln 10 · strength."""
    low: float
    high: float
    """The 95 % interval, in points."""
    rank: int
    """By strength, from 1."""
    rank_low: int
    """1 + how many are surely better, by the 95 % intervals of the gaps: the best rank that it may have."""
    rank_high: int
    """How many there are less those that are surely worse: the worst rank that it may have."""
    battles: int
    wins: int
    losses: int
    ties: int
    group: int = 0
    """Which models have met, directly or by way of others. Strengths of two groups cannot be compared: their gap has no bounds."""


class Effect(Struct, frozen=True, kw_only=True):
    """What a feature of the style does to the odds, all else equal."""

    name: str
    value: float
    """Log-odds for a difference as large as usual: its root mean square over the battles."""
    low: float
    high: float
    unit: float
    """That root mean square."""


class Fit(Struct, frozen=True, kw_only=True):
    """What the results say of the models."""

    strengths: tuple[Strength, ...] = ()
    """The best first."""
    tie: float = 0.0
    """Davidson's ν: equal models tie with a probability of ν / (2 + ν)."""
    effects: tuple[Effect, ...] = ()
    """The style's, where it was asked for; features that never differed are left out."""
    battles: int = 0
    matches: int = 0
    """A match of three fighters is three battles that are not independent of each other."""
    groups: int = 0
    """1: all models can be compared with each other."""
    errors: tuple[tuple[float, ...], ...] = ()
    """Of any two places in `strengths`: the standard error of the gap, in log-odds."""
    places: dict[str, int] = {}
    """Where a model stands in `strengths`."""

    def gap(self, first: str, second: str) -> tuple[float, float]:
        """By how many log-odds the first one is stronger, and the standard error of that: infinite where they have never
        met, not even by way of others. Raises InvalidRequest for a model without battles."""
        one, other = self._place(first), self._place(second)
        return self.strengths[one].strength - self.strengths[other].strength, self.errors[one][other]

    def find(self, model: str) -> Strength | None:
        """The model's place; None: it has no battles."""
        place = self.places.get(model)
        return None if place is None else self.strengths[place]

    def _place(self, model: str) -> int:
        if model not in self.places:
            raise InvalidRequest(f"{model} has no battles yet.", hint=("Let it fight with: byte battle",))
        return self.places[model]


def fit(results: Iterable[Result], *, style: bool = False, ridge: float = RIDGE) -> Fit:
    """The ratings that fit the results best, by maximum a posteriori.

    A tie counts as Davidson's model has it: P(win) : P(loss) : P(tie) = e^(d/2) : e^(−d/2) : ν. Rows of a model
    against itself say nothing and are left out. Rows of one match count as dependent on each other. With `style`
    the features of `style.FEATURES` are held equal: a row that has none counts as without a difference.
    `ridge=0` is the maximum likelihood; it raises InvalidRequest where that does not exist, as for who only wins.
    """
    table = tabled(results, style=style)
    if not table.models:
        return Fit()
    if ridge <= 0 and not is_strong(table):
        raise _endless("somebody has only won or only lost against the others")
    try:
        peak = climb(table, max(ridge, 0.0))
    except ValueError as exc:
        raise _endless("the style tells the winner, or the model") from exc
    return _told(table, peak, spread(table, peak))


def _endless(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"These results have no finite strengths without a prior: {why}.", hint=("Give a ridge above 0.",)
    )


def _told(table: Table, peak: Peak, known: Spread) -> Fit:
    """The fit for who reads it: the best first."""
    order = sorted(range(len(table.models)), key=lambda at: (-peak.values[at], table.models[at]))
    errors = _errors(table, known, order)
    better, worse = _sure([peak.values[at] for at in order], errors)
    records = table.records()
    return Fit(
        strengths=tuple(
            _strength(table, peak, at, rank, known.of(at), (better[rank], worse[rank]), records[at])
            for rank, at in enumerate(order)
        ),
        tie=peak.tie,
        effects=_effects(table, peak, known),
        battles=table.battles,
        matches=table.matches,
        groups=len(set(table.groups)),
        errors=errors,
        places={table.models[at]: rank for rank, at in enumerate(order)},
    )


def _errors(table: Table, known: Spread, order: list[int]) -> tuple[tuple[float, ...], ...]:
    lower = [
        [
            known.between(one, other) if table.groups[one] == table.groups[other] else inf
            for other in order[:rank]
        ]
        for rank, one in enumerate(order)
    ]
    return tuple(map(tuple, mirrored([[*row, 0.0] for row in lower])))


def _sure(strengths: list[float], errors: tuple[tuple[float, ...], ...]) -> tuple[list[int], list[int]]:
    """Of each place: how many are surely better, and how many surely worse."""
    better, worse = [0] * len(strengths), [0] * len(strengths)
    for low, row in enumerate(errors):
        for high in range(low):
            if strengths[high] - strengths[low] > Z95 * row[high]:
                worse[high] += 1
                better[low] += 1
    return better, worse


def _strength(
    table: Table, peak: Peak, at: int, place: int, error: float, sure: tuple[int, int], record: Counts
) -> Strength:
    points, reach = BASE + POINTS * peak.values[at], POINTS * Z95 * error
    wins, losses, ties = record
    return Strength(
        model=table.models[at],
        strength=peak.values[at],
        points=points,
        low=points - reach,
        high=points + reach,
        rank=place + 1,
        rank_low=1 + sure[0],
        rank_high=len(table.models) - sure[1],
        battles=wins + losses + ties,
        wins=wins,
        losses=losses,
        ties=ties,
        group=table.groups[at],
    )


def _effects(table: Table, peak: Peak, known: Spread) -> tuple[Effect, ...]:
    made = []
    for at, (name, unit) in enumerate(table.features, start=len(peak.values) - len(table.features)):
        reach = Z95 * known.of(at)
        value = peak.values[at]
        made.append(Effect(name=name, value=value, low=value - reach, high=value + reach, unit=unit))
    return tuple(made)
