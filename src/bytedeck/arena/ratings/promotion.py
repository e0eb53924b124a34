"""When the order of a task's models should change: a proposal, with what speaks for it and what it costs.

Only the first place is at stake, and only models of the task's own list stand for it. A change is proposed where the evidence
holds as a test, and where it is worth one: hysteresis keeps two nearly equal models from changing places back and forth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, to_builtins

from ..types import Change, Result, Source
from .evidence import ALPHA, LOOKS, Finding, findings
from .rating import POINTS, Fit, fit

DAY = 24 * 3600 * 1_000_000
"""In microseconds."""


class Terms(Struct, frozen=True, kw_only=True):
    """What a change takes."""

    alpha: float = ALPHA
    """How probable a false one may be between two changes, all challengers together."""
    looks: tuple[int, ...] = LOOKS
    least_gap: float = 20.0
    """In points: a smaller gap is not worth a change, however sure it is. At 20 points 53 of 100 battles are won."""
    pause: int = DAY
    """Microseconds that must have gone by since the last change."""


TERMS = Terms()


class Point(Struct, frozen=True, kw_only=True):
    """A model of the list by price and strength."""

    model: str
    """As it stands in the list."""
    points: float
    """At equal style, with the 95 % interval; see `rating.Strength`."""
    low: float
    high: float
    price_units: int | None
    """Of a million tokens, units of 10⁻¹² USD, as the caller mixes those in and out; None: not known."""
    is_on_front: bool
    """Whether no model that is as strong, or stronger, is cheaper, nor one that costs as much stronger. Without a price: no."""


class Outlook(Struct, frozen=True, kw_only=True):
    """How a challenger stands."""

    model: str
    """As it stands in the list."""
    finding: Finding
    level_gap: float | None
    """By how many points it is stronger at equal style, from all battles since the last change; None: not yet looked at."""
    hindrance: str
    """Why it is not proposed, a sentence for people; "": it may be."""


class Proposal(Struct, frozen=True, kw_only=True):
    """A change of a task's order that the evidence speaks for."""

    task: str
    source: Source
    before: tuple[str, ...]
    after: tuple[str, ...]
    """The challenger comes first; the others stay as they were."""
    model: str
    """The challenger, as it stands in the list."""
    finding: Finding
    level_gap: float
    """By how many points it is stronger at equal style."""
    front: tuple[Point, ...]
    """Those of the list that have battles, the strongest first."""
    why: str
    """A sentence or two for people."""

    @property
    def evidence(self) -> dict[str, str | int | float | None]:
        """What speaks for it, as a `Change` keeps it."""
        kept = to_builtins(self.finding)
        del kept["holds"]  # or there were no proposal
        return {"source": self.source, **kept, "level_gap": self.level_gap}


def propose(
    task: str,
    models: Sequence[str],
    results: Iterable[Result],
    prices: Mapping[str, int | None],
    last_change: Change | None = None,
    *,
    now: int,
    rated: Mapping[str, str] | None = None,
    source: Source = "judges",
    terms: Terms = TERMS,
) -> Proposal | None:
    """The change that the evidence speaks for most, if it does for any.

    `models` is the task's list in its order, `rated` tells of each entry the id that it is rated under (left out: itself),
    `prices` what a million tokens cost by that id, in units. Of the results those of this task and source count, whatever
    else is among them; as evidence only those since the last change. `now` is in microseconds since 1970.
    """
    results = tuple(_own(results, task, source))
    rated = rated or {}
    told = outlooks(task, models, results, last_change, now=now, rated=rated, source=source, terms=terms)
    ready = [each for each in told if not each.hindrance]
    if not ready:
        return None
    best = max(ready, key=lambda each: each.level_gap or 0.0)
    return Proposal(
        task=task,
        source=source,
        before=tuple(models),
        after=(best.model, *(each for each in models if each != best.model)),
        model=best.model,
        finding=best.finding,
        level_gap=best.level_gap or 0.0,
        front=front(models, rated, fit(results, style=True), prices),
        why=_why(best, prices),
    )


def outlooks(
    task: str,
    models: Sequence[str],
    results: Iterable[Result],
    last_change: Change | None = None,
    *,
    now: int,
    rated: Mapping[str, str] | None = None,
    source: Source = "judges",
    terms: Terms = TERMS,
) -> tuple[Outlook, ...]:
    """How each model of the list but the first stands, in the list's order, and what it waits for. Arguments: `propose`."""
    since = last_change.at if last_change else -1
    fresh = [each for each in _own(results, task, source) if each.at > since]
    entries: dict[str, str] = {}
    for model in models:
        entries.setdefault((rated or {}).get(model, model), model)
    found = findings(fresh, next(iter(entries), ""), entries, alpha=terms.alpha, looks=terms.looks)
    level = fit(fresh, style=True) if any(each.holds for each in found) else Fit()
    paused = last_change is not None and now < last_change.at + terms.pause
    return tuple(_outlook(entries[each.challenger], each, level, terms, paused) for each in found)


def front(
    models: Sequence[str], rated: Mapping[str, str], ratings: Fit, prices: Mapping[str, int | None]
) -> tuple[Point, ...]:
    """Which of these models nobody beats in price and strength at once; those without battles are left out."""
    made = []
    for model in models:
        name = rated.get(model, model)
        if (strength := ratings.find(name)) is not None:
            made.append((strength, model, prices.get(name)))
    made.sort(key=lambda each: each[0].rank)
    priced = [(price, strength.points) for strength, _, price in made if price is not None]
    return tuple(
        Point(
            model=model,
            points=strength.points,
            low=strength.low,
            high=strength.high,
            price_units=price,
            is_on_front=price is not None and not _is_beaten((price, strength.points), priced),
        )
        for strength, model, price in made
    )


def _is_beaten(own: tuple[int, float], others: Iterable[tuple[int, float]]) -> bool:
    return any(other != own and other[0] <= own[0] and other[1] >= own[1] for other in others)


def _own(results: Iterable[Result], task: str, source: Source) -> Iterable[Result]:
    return (each for each in results if each.task == task and each.source == source)


def _outlook(model: str, finding: Finding, level: Fit, terms: Terms, paused: bool) -> Outlook:
    gap = None
    if finding.holds:
        gap = POINTS * level.gap(finding.challenger, finding.incumbent)[0]
    return Outlook(
        model=model, finding=finding, level_gap=gap, hindrance=_hindrance(finding, gap, terms, paused)
    )


def _hindrance(finding: Finding, level_gap: float | None, terms: Terms, paused: bool) -> str:
    """The first thing that is missing."""
    against = f"against {finding.incumbent}"
    if not finding.look:
        return (
            f"It has {finding.battles} of the {finding.next_look} battles {against} that a first look takes."
        )
    if not finding.holds or level_gap is None:
        return (
            f"{_record(finding)} are no evidence yet (p = {finding.p:.2g}, where {finding.allowed:.2g} or less is needed): "
            f"the next look is at {finding.next_look}, and {finding.battles} are held."
        )
    if POINTS * finding.gap < terms.least_gap:
        return f"It is stronger by {POINTS * finding.gap:.0f} points, and less than {terms.least_gap:.0f} are not worth a change."
    if level_gap < terms.least_gap:
        return (
            f"It has won more often, but at equal length and layout of the texts it is ahead by {level_gap:.0f} points only, "
            f"and less than {terms.least_gap:.0f} are not worth a change."
        )
    return "The last change was too short a time ago." if paused else ""


def _record(finding: Finding) -> str:
    ties = f", {finding.ties} tied" if finding.ties else ""
    return f"{finding.look} battles against {finding.incumbent} ({finding.wins} won, {finding.losses} lost{ties})"


def _why(best: Outlook, prices: Mapping[str, int | None]) -> str:
    finding = best.finding
    said = f"{best.model} is stronger: {_record(finding)}, p = {finding.p:.2g}, where {finding.allowed:.2g} or less is needed."
    own, other = prices.get(finding.challenger), prices.get(finding.incumbent)
    if own is None or not other:
        return said
    return f"{said} A token of it costs {_times(own / other)}."


def _times(ratio: float) -> str:
    if 0.95 <= ratio <= 1.05:
        return "as much"
    return f"{ratio:.1f} times as much" if ratio >= 0.1 else f"{ratio:.2f} times as much"
