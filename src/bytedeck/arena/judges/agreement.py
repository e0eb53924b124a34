"""How the judges judge: what sways each, and how far they agree with each other and with people. A page for who chooses a panel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..ratings.style import FEATURES
from ..types import Opinion, Result
from .kappa import Judged, Kappa, Share, kappa, share

_LENGTH = FEATURES.index("length")
_EVEN = 0.5
_OFTEN = 0.2
"""Flips beyond that are told. Of two like texts the best of judges flip now and then."""
_WEAK = 0.2
"""Kappas below that are called slight (Landis and Koch 1977)."""

Case: TypeAlias = tuple[str, str, str]
"""The match, and two models in the order of their names."""


class Judge(Struct, frozen=True, kw_only=True):
    """One judge's record."""

    judge: str
    matches: int
    """In which it judged two fighters or more, each by two looks with the sides swapped (or more, over legs)."""
    pairs: int
    """Of fighters that it compared."""
    flips: Share
    """Where it chose otherwise when the sides were swapped. That counts as a tie."""
    ties: Share
    """Where it found them equal in both."""
    first_side: Share
    """How much of the score goes to the side that is shown first; 0.5 where the order is nothing to it."""
    longer: Share | None
    """How much of the score goes to the longer text; None: there were none of different length."""
    longer_of_others: float | None
    """The same of the other judges on the same texts: longer texts may be better, and they would see that, too."""
    others: Kappa | None
    """Agreement with all other judges, together."""
    people: Kappa | None
    """Agreement with the majority of people."""
    notes: tuple[str, ...] = ()
    """What stands out, each a sentence for people."""


class Between(Struct, frozen=True, kw_only=True):
    """How far two judges agree."""

    judge: str
    other: str
    kappa: Kappa


class Audit(Struct, frozen=True, kw_only=True):
    """All judges' records."""

    judges: tuple[Judge, ...] = ()
    """By name."""
    between: tuple[Between, ...] = ()
    """Any two that judged the same."""
    panel: Kappa | None = None
    """Any two judges, all together."""
    people: Kappa | None = None
    """The panel's majority and that of people."""
    matches: int = 0


class _Seen(Struct, frozen=True):
    """What a judge says of a case, for the model whose name comes first."""

    grade: float
    """0, 0.5 or 1; a flip is 0.5."""
    is_flip: bool
    first_side: float
    longer: float
    """Above 0: the model's text is the longer one; 0: neither, or it is not known."""


_Views: TypeAlias = Mapping[str, Mapping[Case, _Seen]]
"""By judge, then by case."""


def audit(opinions: Iterable[Opinion], people: Iterable[Result] = ()) -> Audit:
    """The judges' records. `people`: results by the owner and by spectators; those of judges are left out."""
    views: defaultdict[str, dict[Case, _Seen]] = defaultdict(dict)
    for one in opinions:
        if one.first != one.second:
            views[one.judge][_case(one.match, one.first, one.second)] = _seen(one)
    voted = _majority(row for row in people if row.source != "judges" and row.first != row.second)
    names = sorted(views)
    met = {two: _both(_grades(views[two[0]]), _grades(views[two[1]])) for two in combinations(names, 2)}
    panel = _majority_of(views)
    agreed = [(two, kappa(judged)) for two, judged in met.items()]
    return Audit(
        judges=tuple(_judge(name, views, met, voted) for name in names),
        between=tuple(Between(judge=a, other=b, kappa=found) for (a, b), found in agreed if found),
        panel=_of_any(met.values()),
        people=kappa(_both(panel, voted)),
        matches=len({case[0] for case in panel}),
    )


def _judge(
    name: str,
    views: _Views,
    met: Mapping[tuple[str, str], Mapping[str, list[Judged]]],
    voted: Mapping[Case, float],
) -> Judge:
    own = views[name]
    flips = _share(own, lambda _, seen: float(seen.is_flip))
    others = _others(name, views)
    unequal = {case: seen for case, seen in own.items() if seen.longer}
    beside = {case: seen for case, seen in unequal.items() if case in others}
    told = Judge(
        judge=name,
        matches=flips.count,
        pairs=len(own),
        flips=flips,
        ties=_share(own, lambda _, seen: float(seen.grade == _EVEN and not seen.is_flip)),
        first_side=_share(own, lambda _, seen: seen.first_side),
        longer=_share(unequal, lambda _, seen: _to_longer(seen.grade, seen)) if unequal else None,
        longer_of_others=(
            _share(beside, lambda case, seen: _to_longer(others[case], seen)).value if beside else None
        ),
        others=kappa(_merged(_turned(judged, two[0] == name) for two, judged in met.items() if name in two)),
        people=kappa(_both(_grades(own), voted)),
    )
    return replace(told, notes=tuple(_notes(told)))


def _notes(one: Judge) -> Iterator[str]:
    """What stands out: intervals that do not hold what they would hold of a judge without fault."""
    if one.first_side.low > _EVEN:
        yield f"It prefers the side that is shown first ({_told(one.first_side)} of the score)."
    elif one.first_side.high < _EVEN:
        yield f"It prefers the side that is shown last ({_told(one.first_side)} of the score goes to the first)."
    if one.flips.low > _OFTEN:
        yield f"It often changes its mind when the sides are swapped ({_told(one.flips)})."
    usual = _EVEN if one.longer_of_others is None else one.longer_of_others
    if one.longer and one.longer.low > max(_EVEN, usual):
        beside = "" if one.longer_of_others is None else f"; the other judges give it {usual:.0%}"
        yield f"It prefers the longer text ({_told(one.longer)} of the score{beside})."
    if one.others and one.others.high < _WEAK:
        yield f"It hardly agrees with the other judges (kappa {one.others.value:.2f})."
    if one.people and one.people.high < _WEAK:
        yield f"It hardly agrees with people (kappa {one.people.value:.2f})."


def _told(found: Share) -> str:
    return f"{found.value:.0%}, between {found.low:.0%} and {found.high:.0%}"


def _case(match: str, first: str, second: str) -> Case:
    return (match, first, second) if first < second else (match, second, first)


def _seen(one: Opinion) -> _Seen:
    grade = _grade(one.plain)
    is_flip = grade != _grade(one.swapped)  # as `Ruling.is_flip`
    longer = one.first_style[_LENGTH] if one.first_style else 0.0
    turned = one.first > one.second
    return _Seen(
        grade=_EVEN if is_flip else 1 - grade if turned else grade,
        is_flip=is_flip,
        # Shown first is the first one in the plain look, and the second one in the swapped look.
        first_side=(one.plain + 1 - one.swapped) / 2,
        longer=-longer if turned else longer,
    )


def _grade(score: float) -> float:
    """0, 0.5 or 1: a mean over legs is on one side or on neither."""
    return _EVEN if score == _EVEN else float(score > _EVEN)


def _grades(seen: Mapping[Case, _Seen]) -> dict[Case, float]:
    return {case: one.grade for case, one in seen.items()}


def _to_longer(grade: float, seen: _Seen) -> float:
    """How much of the score the longer text gets, where one is."""
    return grade if seen.longer > 0 else 1 - grade


def _share(seen: Mapping[Case, _Seen], value: Callable[[Case, _Seen], float]) -> Share:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for case, one in seen.items():
        found[case[0]].append(value(case, one))
    return share(found)


def _majority(people: Iterable[Result]) -> dict[Case, float]:
    """What people say of each case: the owner and the spectators, each with one voice."""
    found: defaultdict[Case, list[float]] = defaultdict(list)
    for row in people:
        score = row.score if row.first < row.second else 1 - row.score
        found[_case(row.match, row.first, row.second)].append(score)
    return {case: _grade(sum(scores) / len(scores)) for case, scores in found.items()}


def _others(name: str, views: _Views) -> dict[Case, float]:
    """What the judges but this one say of each case, on average."""
    found: defaultdict[Case, list[float]] = defaultdict(list)
    for other, seen in views.items():
        if other != name:
            for case, one in seen.items():
                found[case].append(one.grade)
    return {case: sum(grades) / len(grades) for case, grades in found.items()}


def _majority_of(views: _Views) -> dict[Case, float]:
    return {case: _grade(mean) for case, mean in _others("", views).items()}


def _both(one: Mapping[Case, float], other: Mapping[Case, float]) -> dict[str, list[Judged]]:
    """What two say of the cases that both know, by match."""
    found: defaultdict[str, list[Judged]] = defaultdict(list)
    for case in one.keys() & other.keys():
        found[case[0]].append((one[case], other[case]))
    return found


def _turned(judged: Mapping[str, list[Judged]], is_first: bool) -> Mapping[str, list[Judged]]:
    """The other way round, unless the one that is asked about stands first."""
    return judged if is_first else {match: [(b, a) for a, b in pairs] for match, pairs in judged.items()}


def _of_any(met: Iterable[Mapping[str, list[Judged]]]) -> Kappa | None:
    """The agreement of any two: each pair also the other way round, since neither is the one that is asked about."""
    many = tuple(met)
    found = kappa(_merged((*many, *(_turned(judged, False) for judged in many))))
    return found and replace(found, count=found.count // 2)


def _merged(many: Iterable[Mapping[str, list[Judged]]]) -> dict[str, list[Judged]]:
    found: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in many:
        for match, pairs in judged.items():
            found[match].extend(pairs)
    return found
