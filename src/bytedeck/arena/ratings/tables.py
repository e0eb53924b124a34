"""Results counted by pair and outcome, which is all that a fit needs to know of them, and who can be compared with whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from math import sqrt
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..types import Result
from .style import FEATURES

WIN, LOSS, TIE = 0, 1, 2

Style: TypeAlias = tuple[float, ...]


class Key(NamedTuple):
    """Which battles are alike: the same two models, by place, with the same difference of style, in units of each feature."""

    first: int
    second: int
    style: Style


Row: TypeAlias = tuple[int, int, Style, int]
"""A key's parts and the outcome."""
Run: TypeAlias = tuple[int, int, int, int]
"""Two models, by place, the smaller one first, and from which cell to which (not included) their battles stand."""
Counts: TypeAlias = tuple[int, int, int]
"""Wins of the first one, losses and ties."""


class Table(Struct, frozen=True):
    """Results, counted. A cell is a key."""

    models: tuple[str, ...]
    runs: tuple[Run, ...]
    counts: tuple[Counts, ...]
    """By cell."""
    columns: tuple[tuple[float, ...], ...]
    """By feature of the style, then by cell, in units of the feature."""
    features: tuple[tuple[str, float], ...]
    """Of each column: the name, and how large a difference is usual (the root mean square)."""
    joint: tuple[tuple[Row, ...], ...]
    """The rows of matches that gave several; they are counted in `counts`, too."""
    groups: tuple[int, ...]
    """Of each model: which ones it has met, directly or by way of others."""
    battles: int
    matches: int
    drawn: int
    """How many of the battles are ties."""

    @property
    def size(self) -> int:
        """How many parameters a fit has: the strengths, ln ν where there are ties, and the effects of the style."""
        return len(self.models) + bool(self.drawn) + len(self.columns)

    def pairs(self) -> list[tuple[int, int, Counts]]:
        """Of each pair that met: the places and the counts."""
        made = []
        for first, second, start, end in self.runs:
            wins, losses, ties = (sum(each) for each in zip(*self.counts[start:end], strict=True))
            made.append((first, second, (wins, losses, ties)))
        return made

    def plain(self) -> Table:
        """The same without the style, a cell a pair."""
        pairs = self.pairs()
        return replace(
            self,
            runs=tuple((first, second, at, at + 1) for at, (first, second, _) in enumerate(pairs)),
            counts=tuple(counts for _, _, counts in pairs),
            columns=(),
            features=(),
            joint=(),
        )

    def records(self) -> list[Counts]:
        """Of each model: its wins, losses and ties."""
        made = [[0, 0, 0] for _ in self.models]
        for first, second, (wins, losses, ties) in self.pairs():
            for at, won, lost in ((first, wins, losses), (second, losses, wins)):
                made[at][WIN] += won
                made[at][LOSS] += lost
                made[at][TIE] += ties
        return [(wins, losses, ties) for wins, losses, ties in made]


_plain = attrgetter("first", "second", "score")
_styled = attrgetter("first", "second", "score", "style")
_match = attrgetter("match")


def tabled(results: Iterable[Result], *, style: bool) -> Table:
    """The results, counted; a model against itself is left out. A match's id "" means: a match of its own."""
    rows = [row for row in results if row.first != row.second]
    counted: Counter[tuple[str, str, float, Style]] = Counter(map(_styled, rows)) if style else _counted(rows)
    models = tuple(sorted({key[0] for key in counted} | {key[1] for key in counted}))
    places = {model: at for at, model in enumerate(models)}
    units = _units(counted)
    used = tuple(at for at, unit in enumerate(units) if unit > 0)
    cells: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row, count in counted.items():
        key, outcome = _keyed(row, places, units, used)
        cells[key][outcome] += count
    keys = sorted(cells)
    joint = _joint(rows, lambda row: _keyed(row, places, units, used), style=style)
    return Table(
        models=models,
        runs=(runs := _runs(keys)),
        counts=tuple((cells[key][WIN], cells[key][LOSS], cells[key][TIE]) for key in keys),
        columns=tuple(zip(*(key.style for key in keys), strict=True)),
        features=tuple((_name(at), units[at]) for at in used),
        joint=joint,
        groups=_groups(len(models), runs),
        battles=len(rows),
        matches=len(rows) - sum(len(each) - 1 for each in joint),
        drawn=sum(cell[TIE] for cell in cells.values()),
    )


def _joint(
    rows: Sequence[Result], keyed: Callable[[tuple[str, str, float, Style]], tuple[Key, int]], *, style: bool
) -> tuple[tuple[Row, ...], ...]:
    many = {match for match, count in Counter(map(_match, rows)).items() if count > 1 and match}
    made: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows if many else ():
        if row.match in many:
            key, outcome = keyed((row.first, row.second, row.score, row.style if style else ()))
            made[row.match].append((*key, outcome))
    return tuple(map(tuple, made.values()))


def _runs(keys: Sequence[Key]) -> tuple[Run, ...]:
    made, start = [], 0
    for (first, second), alike in groupby(keys, key=lambda key: key[:2]):
        end = start + sum(1 for _ in alike)
        made.append((first, second, start, end))
        start = end
    return tuple(made)


def _counted(rows: Sequence[Result]) -> Counter[tuple[str, str, float, Style]]:
    return Counter({(*key, ()): count for key, count in Counter(map(_plain, rows)).items()})


def _units(counted: Counter[tuple[str, str, float, Style]]) -> list[float]:
    """How large a difference of each feature is usual. About 0, not about its mean: which one is called the first is chance,
    and the fit must not depend on it."""
    squares = [0.0] * max((len(row[3]) for row in counted), default=0)
    for row, count in counted.items():
        for at, value in enumerate(row[3]):
            squares[at] += count * value * value
    whole = counted.total()
    return [sqrt(square / whole) for square in squares]


def _keyed(
    row: tuple[str, str, float, Style], places: dict[str, int], units: list[float], used: tuple[int, ...]
) -> tuple[Key, int]:
    """The row's key, with the smaller place first, and the outcome for that one."""
    first, second, score, style = row
    one, other = places[first], places[second]
    outcome = TIE if score == 0.5 else WIN if score > 0.5 else LOSS
    scaled = tuple((style[at] / units[at]) if at < len(style) else 0.0 for at in used)
    if one < other:
        return Key(one, other, scaled), outcome
    return Key(other, one, tuple(-value for value in scaled)), (LOSS, WIN, TIE)[outcome]


def _name(at: int) -> str:
    return FEATURES[at] if at < len(FEATURES) else f"feature {at + 1}"


def _groups(size: int, runs: Sequence[Run]) -> tuple[int, ...]:
    """The connected parts of the graph of who met whom, numbered in the order of their first model."""
    met: list[set[int]] = [set() for _ in range(size)]
    for first, second, *_ in runs:
        met[first].add(second)
        met[second].add(first)
    made = [-1] * size
    for at in range(size):
        if made[at] < 0:
            number = max(made) + 1
            for other in _reached(at, met):
                made[other] = number
    return tuple(made)


def is_strong(table: Table) -> bool:
    """Whether the maximum likelihood exists: within each group, everyone is reached from everyone by wins and ties (Ford
    1957), and not all battles are ties."""
    beat: list[set[int]] = [set() for _ in table.models]
    lost: list[set[int]] = [set() for _ in table.models]
    for first, second, (wins, losses, ties) in table.pairs():
        for winner, loser, count in ((first, second, wins + ties), (second, first, losses + ties)):
            if count:
                beat[winner].add(loser)
                lost[loser].add(winner)
    heads = {group: at for at, group in reversed(tuple(enumerate(table.groups)))}
    wholes = Counter(table.groups)
    reached = all(
        len(_reached(at, way)) == wholes[group] for group, at in heads.items() for way in (beat, lost)
    )
    return reached and table.drawn < table.battles


def _reached(start: int, ways: Sequence[set[int]]) -> set[int]:
    seen, open_ones = {start}, [start]
    while open_ones:
        fresh = ways[open_ones.pop()] - seen
        seen |= fresh
        open_ones.extend(fresh)
    return seen
