"""What all matches together have said, read for who rates, pairs and proposes; and what a match says, kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from random import random
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from ..arena.ratings import pairing, promotion, results, standings
from ..arena.ratings.pairing import Pair
from ..arena.ratings.promotion import Proposal
from ..arena.ratings.standings import Board, Cost
from ..arena.types import Change, Result, Source
from ..config import Task, written
from ..errors import ByteError, ConfigError, InvalidRequest
from ..house import House
from ..io.clock import wall
from ..money import to_units
from ..route import resolve
from . import feedback
from .tournament import Aim, Field, Terms

T = TypeVar("T")

_MILLION = 1_000_000


class Scores:
    """The kept results, under the ids that the models have now."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._memo = _memos.setdefault(house, _Memo())

    def record(self, match: str, sources: Iterable[Source] = results.SOURCES) -> tuple[Result, ...]:
        """Keep what the match says, by those sources that may say something else by now; returns the judges' rows.

        Two votes at once are read by both: who writes last looks again whether it had seen all of them.
        """
        store = self._house.matches
        events = store.events(match)
        while True:
            kept = store.find(match)
            said = results.results(kept.match, events, store.votes(match))
            for source in sources:
                store.record(match, source, said.results[source], said.opinions if source == "judges" else ())
            if store.recorded(match, kept.due):
                return said.results["judges"]

    def catch_up(self) -> None:
        """Keep what matches and votes say whose process died before it came to that. What cannot be kept now stays due."""
        store = self._house.matches
        for match in store.due():
            with suppress(
                ByteError
            ):  # a ledger that can only be read, a match of a newer Bytedeck, one that is forgotten now
                self.record(match)

    def results(self, task: str, source: str) -> tuple[str, tuple[Result, ...]]:
        """The task's own name, and what was said of its models by the ids that those have now."""
        self.catch_up()
        of, by = self.named(task), sourced(source)
        return of, self._remembered((of, by), lambda: self._results(of, by))

    def _results(self, task: str, source: Source) -> tuple[Result, ...]:
        catalog = self._house.models.current()
        rows = self._house.matches.results(task, source)
        ids = {one: resolve.concrete(one, catalog) for row in rows for one in (row.first, row.second)}
        if not any(one != now for one, now in ids.items()):
            return rows
        return tuple(replace(row, first=ids[row.first], second=ids[row.second]) for row in rows)

    def board(self, task: str, source: str, style: bool) -> Board:
        of, rows = self.results(task, source)
        return self._remembered((of, source, style), lambda: self._board(of, sourced(source), style, rows))

    def _board(self, task: str, source: Source, style: bool, rows: tuple[Result, ...]) -> Board:
        names, costs = self.known({id_ for row in rows for id_ in (row.first, row.second)})
        return standings.board(rows, task=task, source=source, style=style, names=names, costs=costs)

    def _remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is worked out from the results, the catalogue and the settings, for as long as those stay what they are."""
        house = self._house
        return self._memo.get((house.matches.version(), house.models.current(), house.config), key, make)

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
        """As the settings file says now: who has taken that back is not to be surprised by a process that runs for long."""
        try:
            config = self._house.reread()
        except ConfigError:
            config = self._house.config
        found = config.tasks.get(task)
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


class _Memo:
    """What was worked out from one state of things; another state forgets it."""

    def __init__(self) -> None:
        self._state: tuple[object, ...] = ()
        self._found: dict[Hashable, Any] = {}

    def get(self, state: tuple[object, ...], key: Hashable, make: Callable[[], T]) -> T:
        """Threads may ask at once: then it is made twice."""
        is_same = len(self._state) == len(state) and all(
            one is other or (isinstance(one, int) and one == other)
            for one, other in zip(self._state, state, strict=True)
        )
        found = self._found if is_same else {}
        if key not in found:
            found[key] = make()
            self._state, self._found = state, found
        made: T = found[key]
        return made


_memos: WeakKeyDictionary[House, _Memo] = WeakKeyDictionary()
"""Of each house, for a league is soon made."""


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
