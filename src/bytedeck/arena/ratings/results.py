"""What a match says of its models, once it is over: the rows that ratings and the audit of judges are made of.

The judges' opinion, the owner's and the spectators' are kept apart. A fighter whose turns do not all count is in no row,
and a model that meets itself rates nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations

from msgspec import Struct

from ..events import Decided, Ended, Event, TurnEnded, TurnFailed
from ..match.ratable import rated_as
from ..types import Choice, Match, Opinion, Result, Source, Turn, Vote
from .style import difference, measured

SOURCES: tuple[Source, ...] = ("judges", "owner", "spectators")
HELD = ("decided", "unjudged")
"""The ends of a match that all have spoken in."""
_TIE = 0.5


class Said(Struct, frozen=True, kw_only=True):
    """All that a match says."""

    results: dict[Source, tuple[Result, ...]]
    """By every source; empty where it says nothing."""
    opinions: tuple[Opinion, ...] = ()


class Tally(Struct, frozen=True, kw_only=True):
    """The votes of one source on one round, or on the whole."""

    source: Source
    round: int | None
    """None: on the whole match."""
    counts: tuple[int, ...]
    """For each fighter."""
    ties: int
    leader: Choice
    """The place of the one with the most votes; None: a tie, or no votes."""

    @property
    def total(self) -> int:
        return sum(self.counts) + self.ties


class _Side(Struct, frozen=True):
    """A fighter that counts."""

    place: int
    model: str
    style: tuple[float, ...]


def results(match: Match, events: Iterable[Event], votes: Iterable[Vote] = ()) -> Said:
    """What it says by each source. Nothing before it is over, nor where it could not be held.

    All rows bear the time of the match's end, so that a late vote makes no old battle a new one.
    """
    turns: dict[Turn, TurnEnded | TurnFailed] = {}
    decided: Decided | None = None
    ended: Ended | None = None
    for event in events:
        if isinstance(event, TurnEnded | TurnFailed):
            turns[event.turn] = event
        elif isinstance(event, Decided):
            decided = event
        elif isinstance(event, Ended):
            ended = event
    nothing: dict[Source, tuple[Result, ...]] = dict.fromkeys(SOURCES, ())
    if ended is None or ended.end not in HELD:
        return Said(results=nothing)
    sides = _sides(match, turns)
    scores: dict[Source, dict[tuple[int, int], float]] = {
        "judges": _by_panel(decided) if ended.is_rated else {},
        **{source: _by_votes(match, source, votes) for source in ("owner", "spectators")},
    }
    rows = {source: tuple(_rows(match, source, sides, found, ended.at)) for source, found in scores.items()}
    told = _opinions(match, sides, decided, ended.at) if decided and ended.is_rated else ()
    return Said(results={**nothing, **rows}, opinions=tuple(told))


def tallies(match: Match, votes: Iterable[Vote]) -> tuple[Tally, ...]:
    """All votes, counted: the owner's before the spectators', rounds in their order before the whole. Those for nobody
    who fights here are left out.
    """
    choices = (None, *range(len(match.fighters)))
    kept = [one for one in votes if one.choice in choices]
    asked = sorted(
        {(one.source, one.round) for one in kept},
        key=lambda one: (SOURCES.index(one[0]), one[1] is None, one[1] or 0),
    )
    return tuple(
        _tally(match, source, number, [v.choice for v in kept if (v.source, v.round) == (source, number)])
        for source, number in asked
    )


def _tally(match: Match, source: Source, number: int | None, choices: list[Choice]) -> Tally:
    found = Counter(choices)
    counts = tuple(found[place] for place in range(len(match.fighters)))
    return Tally(
        source=source, round=number, counts=counts, ties=found[None], leader=_most(counts, found[None])
    )


def _most(counts: tuple[int, ...], ties: int) -> Choice:
    """Who has the most votes, alone, and no fewer than "a tie" has; None: nobody."""
    best = max(counts)
    is_alone = counts.count(best) == 1 and best > 0 and best >= ties
    return counts.index(best) if is_alone else None


def _sides(match: Match, turns: dict[Turn, TurnEnded | TurnFailed]) -> tuple[_Side, ...]:
    """The fighters that count, in their order; none where one meets itself, also by who spoke for it."""
    rated = rated_as(match, turns)
    known = [model for model in rated if model is not None]
    if match.is_mirror or len(set(known)) < len(known):
        return ()
    return tuple(
        _Side(place, model, measured(_words(place, turns)))
        for place, model in enumerate(rated)
        if model is not None
    )


def _words(place: int, turns: dict[Turn, TurnEnded | TurnFailed]) -> str:
    """All that a fighter said."""
    return "\n\n".join(
        event.text for turn, event in turns.items() if turn.fighter == place and isinstance(event, TurnEnded)
    )


def _by_panel(decided: Decided | None) -> dict[tuple[int, int], float]:
    return {} if decided is None else {(first, second): score for first, second, score in decided.score}


def _by_votes(match: Match, source: Source, votes: Iterable[Vote]) -> dict[tuple[int, int], float]:
    """Of each pair what people say: by who has more votes on the whole; without such votes, who leads in more rounds."""
    found = {one.round: one for one in tallies(match, (v for v in votes if v.source == source))}
    if None in found:
        points, ties = found[None].counts, found[None].ties
    elif source == "owner":  # who made it is asked about the whole only
        return {}
    else:
        leaders = Counter(one.leader for one in found.values())
        points, ties = tuple(leaders[place] for place in range(len(match.fighters))), leaders[None]
    return {
        (one, other): _score(points[one], points[other], ties)
        for one, other in combinations(range(len(match.fighters)), 2)
        if points[one] or points[other] or ties  # a vote for a third one says nothing of these two
    }


def _score(first: int, second: int, ties: int) -> float:
    """1, 0.5 or 0 for the first one, by the majority; a tie where most have called it one."""
    if first == second or ties > max(first, second):
        return _TIE
    return float(first > second)


def _rows(
    match: Match, source: Source, sides: tuple[_Side, ...], scores: dict[tuple[int, int], float], at: int
) -> Iterator[Result]:
    for one, other in combinations(sides, 2):
        score = scores.get((one.place, other.place))
        if score is not None:
            yield Result(
                match=match.id,
                task=match.task,
                kind=match.kind,
                source=source,
                first=one.model,
                second=other.model,
                score=score,
                style=difference(one.style, other.style),
                at=at,
            )


def _opinions(match: Match, sides: tuple[_Side, ...], decided: Decided, at: int) -> Iterator[Opinion]:
    by_place = {side.place: side for side in sides}
    for ruling in decided.rulings:
        one, other = by_place.get(ruling.first), by_place.get(ruling.second)
        if one is not None and other is not None:
            yield Opinion(
                match=match.id,
                task=match.task,
                judge=ruling.judge,
                first=one.model,
                second=other.model,
                plain=ruling.plain,
                swapped=ruling.swapped,
                first_style=difference(one.style, other.style),
                at=at,
            )
