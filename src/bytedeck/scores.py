"""What all matches together have said, read for who rates, pairs and proposes; and what a match says, kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from random import random
from typing import Literal

from msgspec.structs import replace

from . import feedback
from .arena import pairing, promotion, results
from .arena.pairing import Pair
from .arena.promotion import Proposal
from .arena.standings import Cost
from .arena.types import Change, Result, Source
from .config import Task, written
from .errors import InvalidRequest
from .house import House
from .io.clock import wall
from .money import to_units
from .route import resolve
from .tournament import Aim, Field, Terms

_MILLION = 1_000_000


class Scores:
    """The kept results, under the ids that the models have now."""

    def __init__(self, house: House) -> None:
        self._house = house

    def record(self, match: str, sources: Iterable[Source]) -> tuple[Result, ...]:
        """Keep what the match says by these sources; returns the judges' rows.

        Two votes at once are read by both: who writes last looks again whether it had seen all of them.
        """
        store = self._house.matches
        events, votes = store.events(match), store.votes(match)
        kept = store.find(match).match
        while True:
            said = results.results(kept, events, votes)
            for source in sources:
                store.record(match, source, said.results[source], said.opinions if source == "judges" else ())
            seen, votes = votes, store.votes(match)
            if votes == seen:
                return said.results["judges"]

    def results(self, task: str, source: str) -> tuple[str, tuple[Result, ...]]:
        """The task's own name, and what was said of its models by the ids that those have now."""
        of = self.named(task)
        catalog = self._house.models.current()
        rows = self._house.matches.results(of, sourced(source))
        ids = {one: resolve.concrete(one, catalog) for row in rows for one in (row.first, row.second)}
        moved = {one for one, now in ids.items() if one != now}
        if not moved:
            return of, rows
        return of, tuple(replace(row, first=ids[row.first], second=ids[row.second]) for row in rows)

    def named(self, task: str) -> str:
        """The name that a task's matches are kept under. One that is configured no more may still have some."""
        if not task or (task not in self._house.config.tasks and self._house.matches.results(task)):
            return task
        return self._house.task(task).name

    def rated(self, models: Iterable[str]) -> dict[str, str]:
        """The id that each name means now, which it is rated under."""
        config, catalog = self._house.config, self._house.models.current()
        return {one: resolve.concrete(resolve.resolve(one, config, catalog).id, catalog) for one in models}

    def known(self, ids: Iterable[str]) -> tuple[dict[str, str], dict[str, Cost]]:
        """What each id is called, and what its tokens cost."""
        config, catalog = self._house.config, self._house.models.current()
        names, costs = {}, {}
        for id_ in ids:
            names[id_] = resolve.display_name(id_, config, catalog)
            info = catalog.find(id_) if catalog is not None else None
            if id_ == config.local.id:
                costs[id_] = Cost(0, 0)
            elif info is not None and info.price is not None:
                costs[id_] = Cost(_units(info.price.prompt), _units(info.price.completion))
        return names, costs

    def proposal(self, task: Task, source: Source) -> Proposal | None:
        rated = self.rated(task.models)
        changes = self._house.matches.changes(task.name)
        _, costs = self.known(rated.values())
        return promotion.propose(
            task.name,
            task.models,
            self.results(task.name, source)[1],
            {id_: cost.blended for id_, cost in costs.items()},
            feedback.in_force(changes, task.models),
            now=wall(),
            rated=rated,
            source=source,
        )

    def promote(self, found: Proposal, by: Literal["person", "automatic"]) -> Change:
        is_written = written(self._house.config.file, found.task) is not None
        told = {name: value for name, value in found.evidence.items() if not isinstance(value, bool)}
        evidence = {**told, "was": "file" if is_written else "shipped"}
        change = Change(
            task=found.task,
            before=found.before,
            after=found.after,
            why=found.why,
            evidence=evidence,
            by=by,
        )
        return feedback.apply(self._house, change)

    def may_promote(self, task: str) -> bool:
        found = self._house.config.tasks.get(task)
        return found is not None and found.promote == "auto"

    def listed(self, task: str, models: Iterable[str]) -> tuple[str, dict[str, str]]:
        """The task's own name, and its models or those given: by the ids that they are rated under, as they are asked for."""
        _, found = feedback.current(self._house, task)
        given = tuple(models)
        by_id: dict[str, str] = {}
        for model, id_ in self.rated(given or found.models).items():
            by_id.setdefault(id_, model)
        return found.name, by_id

    def next(
        self,
        task: str,
        ids: Sequence[str],
        count: int,
        aim: Aim,
        under_way: Iterable[tuple[str, str]] = (),
    ) -> tuple[Pair, ...]:
        return pairing.next_pairs(
            self.results(task, "judges")[1],
            ids,
            count,
            random,
            incumbent=ids[0] if aim == "order" and ids else "",
            under_way=under_way,
        )

    def field(self, terms: Terms) -> Field:
        """What a tournament takes its pairs from."""
        task, by_id = self.listed(terms.task, terms.models)
        names, _ = self.known(by_id)
        asked = len(self.results(task, "judges")[1])
        return Field(terms, task, by_id, names, asked, partial(self.next, task))


def sourced(said: str, *allowed: Source) -> Source:
    """Raises InvalidRequest."""
    known = allowed or results.SOURCES
    found = next((one for one in known if one == said), None)
    if found is None:
        raise InvalidRequest(f"source is {said!r}, and has to be {' or '.join(known)}.")
    return found


def _units(price: Decimal | None) -> int | None:
    """A million tokens, in units."""
    return None if price is None else to_units(price * _MILLION)
