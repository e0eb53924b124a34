"""The board: how strong the models are by one source, how sure that is, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..types import Result, Source
from .rating import Effect, Fit, Strength, fit

FEW = 30
"""Fewer battles than these say little, whatever the interval: at even odds it spans about 250 points then."""


class Cost(Struct, frozen=True):
    """What a model's tokens cost by the catalogue: units of 10⁻¹² USD for a million of them; None: not known."""

    prompt: int | None = None
    completion: int | None = None

    @property
    def blended(self) -> int | None:
        """One number for both: three tokens read for each one written, as comparisons of models usually have it."""
        if self.prompt is None or self.completion is None:
            return None
        return (3 * self.prompt + self.completion) // 4


class Row(Struct, frozen=True, kw_only=True):
    """One model of a board."""

    model: str
    """The id that it is rated under."""
    name: str
    points: float
    """See `rating.Strength`; so are the others."""
    low: float
    high: float
    rank: int
    rank_low: int
    rank_high: int
    battles: int
    wins: int
    losses: int
    ties: int
    is_provisional: bool
    """Whether it has fewer than `FEW` battles."""
    group: int = 0
    """Models of two groups have never met, not even by way of others: their points cannot be compared."""
    cost: Cost = Cost()


class Board(Struct, frozen=True, kw_only=True):
    """All that fought, the best first."""

    task: str
    """"": all tasks together."""
    source: Source
    is_styled: bool
    """Whether length and formatting are held equal."""
    rows: tuple[Row, ...] = ()
    battles: int = 0
    matches: int = 0
    tie: float = 0.0
    """Davidson's ν."""
    effects: tuple[Effect, ...] = ()
    """What the style does to the odds."""
    groups: int = 0
    notes: tuple[str, ...] = ()
    """What has to be said beside the numbers, a sentence each."""

    def find(self, model: str) -> Row | None:
        """The row of an id; None: it has no battles."""
        return next((row for row in self.rows if row.model == model), None)


def board(
    results: Iterable[Result],
    *,
    task: str,
    source: Source,
    style: bool,
    names: Mapping[str, str],
    costs: Mapping[str, Cost],
) -> Board:
    """The board of these results, all of one source. `names` and `costs` by id; what they lack is not known."""
    found = fit(results, style=style)
    rows = tuple(_row(one, names, costs) for one in found.strengths)
    return Board(
        task=task,
        source=source,
        is_styled=style,
        rows=rows,
        battles=found.battles,
        matches=found.matches,
        tie=found.tie,
        effects=found.effects,
        groups=found.groups,
        notes=tuple(_notes(found, rows)),
    )


def _row(one: Strength, names: Mapping[str, str], costs: Mapping[str, Cost]) -> Row:
    return Row(
        model=one.model,
        name=names.get(one.model, one.model),
        points=one.points,
        low=one.low,
        high=one.high,
        rank=one.rank,
        rank_low=one.rank_low,
        rank_high=one.rank_high,
        battles=one.battles,
        wins=one.wins,
        losses=one.losses,
        ties=one.ties,
        is_provisional=one.battles < FEW,
        group=one.group,
        cost=costs.get(one.model, Cost()),
    )


def _notes(found: Fit, rows: tuple[Row, ...]) -> list[str]:
    notes = []
    few = [row.name for row in rows if row.is_provisional]
    if len(few) == len(rows) and rows:
        notes.append(f"Provisional: no model has {FEW} battles yet, so the order may be chance.")
    elif few:
        notes.append(f"Provisional, with fewer than {FEW} battles: {', '.join(few)}.")
    if found.groups > 1:
        notes.append(
            f"These are {found.groups} groups of models that have never met: points of two groups cannot be compared."
        )
    return notes
