"""Which battle of a tournament is next, whether there is money for it, and what has come of those before."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from ...arena.bill import Bill
from ...arena.events import Decided, Ended, Event, Paused, TurnEnded, TurnFailed
from ...arena.ratings.pairing import Pair
from ...errors import InvalidRequest
from ...money import to_usd

Aim = Literal["best", "order"]
"""What the battles are to find out: the best of all, or whether one of the others is better than the first."""

MOST_FAILURES = 3
"""Battles in a row that a model may fail in before it is left out."""


class Terms(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    prompts: tuple[str, ...]
    task: str = "general"
    models: tuple[str, ...] = ()
    battles: int = 20
    budget_units: int | None = None
    judges: int | tuple[str, ...] = 3
    max_tokens: int = 500
    at_once: int = 2
    aim: Aim = "best"


class Progress(Struct, frozen=True, kw_only=True):
    """One battle of a tournament that is over, or had to be left."""

    number: int
    """How many have ended, with this one."""
    of: int
    """How many are held at most."""
    match: str
    first: str
    """A model's name for people; so is the second."""
    second: str
    why: str
    """Why these two met."""
    score: float | None = None
    """1: the first one won, 0: the second one, 0.5: a tie; None: it says nothing."""
    note: str = ""
    """What is to be said of it: why it says nothing, why a model is left out, why no other battle begins."""
    cost_units: int | None = None
    """None: not known."""
    spent_units: int = 0
    """What all have cost so far; where a cost is not known, its worst case."""
    budget_units: int | None = None


class Battle(Struct, kw_only=True):
    """One that is held now."""

    pair: Pair
    prompt: str
    allowed_units: int | None
    """What it may cost."""
    ended: Ended | None = None
    score: float | None = None
    failed: tuple[int, ...] = ()
    """Places of fighters whose turns do not count."""
    is_short: bool = False
    """Whether it was left because the money was used up."""
    kept_back: str = ""
    """What else kept it back, and would every other; a sentence for people."""


class Field:
    """Which battle is next. One driver begins them; what happens in them may be heard in several threads."""

    def __init__(
        self,
        terms: Terms,
        task: str,
        models: Mapping[str, str],
        names: Mapping[str, str],
        asked: int,
        pairs: Callable[..., Sequence[Pair]],
    ) -> None:
        """`models`: by the id that each is rated under, as it is asked for. `asked`: battles before, so that prompts go on
        where they had ended. `pairs(ids, count, aim, under_way)`: see `pairing.next_pairs`."""
        self.terms = terms
        self.task = task
        self.spent_units = 0
        self._models = dict(models)
        self._names = names
        self._pairs = pairs
        self._at = asked
        self._begun = self._ended = 0
        self._running: list[Battle] = []
        self._failures: Counter[str] = Counter()
        self._stop = ""
        self._lock = threading.Lock()
        if len(self._models) < 2:
            raise InvalidRequest(
                "A tournament needs two models at least.", hint=("Name them: -m A -m B, or models=[…].",)
            )

    def begin(self) -> Battle | None:
        """The next battle; None: none is to begin now, nor at all where none runs. Reads all results."""
        terms = self.terms
        with self._lock:
            if self._stop or self._begun >= terms.battles or len(self._running) >= terms.at_once:
                return None
            allowed = self._share()
            if allowed is not None and allowed <= 0:
                self._stop = "The budget is used up."
                return None
            under_way = [(one.pair.first, one.pair.second) for one in self._running]
        pair = self._pairs(tuple(self._models), 1, terms.aim, under_way)[0]
        battle = Battle(pair=pair, prompt=terms.prompts[self._at % len(terms.prompts)], allowed_units=allowed)
        with self._lock:
            self._at += 1
            self._begun += 1
            self._running.append(battle)
        return battle

    def fighters(self, battle: Battle) -> tuple[str, str]:
        """As they are asked for."""
        return self._models[battle.pair.first], self._models[battle.pair.second]

    def options(self, battle: Battle) -> dict[str, Any]:
        """The other arguments of `hub.battle`."""
        allowed = battle.allowed_units
        return {
            "task": self.task,
            "judges": self.terms.judges if isinstance(self.terms.judges, int) else list(self.terms.judges),
            "max_tokens": self.terms.max_tokens,
            "budget": None if allowed is None else to_usd(allowed),
        }

    def hear(self, battle: Battle, event: Event) -> Decimal | None:
        """What happens in a battle. Returns USD that it may cost on top, where it waits for them and they are there."""
        if isinstance(event, Decided):
            battle.score = event.score[0][2] if event.score else None
        elif isinstance(event, TurnFailed) or (isinstance(event, TurnEnded) and event.is_void):
            battle.failed = (*battle.failed, event.turn.fighter)
        elif isinstance(event, Ended):
            battle.ended = event
        elif isinstance(event, Paused):
            with self._lock:
                return self._more(battle, event)
        return None

    def end(self, battle: Battle, match: str, bill: Bill) -> Progress:
        """A battle has ended, or was left."""
        is_rated = battle.ended is not None and battle.ended.is_rated
        with self._lock:
            self._running = [one for one in self._running if one is not battle]
            self._ended += 1
            worst = bill.at_most_units
            self.spent_units += (battle.allowed_units or bill.known_units) if worst is None else worst
            note = self._note(battle)
        return Progress(
            number=self._ended,
            of=self.terms.battles,
            match=match,
            first=self._names[battle.pair.first],
            second=self._names[battle.pair.second],
            why=battle.pair.why,
            score=battle.score if is_rated else None,
            note=note,
            cost_units=bill.total_units,
            spent_units=self.spent_units,
            budget_units=self.terms.budget_units,
        )

    def _note(self, battle: Battle) -> str:
        notes = [battle.ended.why if battle.ended is not None else "It was left, and can be resumed."]
        if battle.is_short:
            self._stop = "What is left of the budget does not pay for another battle."
        elif battle.kept_back:
            self._stop = f"No other battle begins: {battle.kept_back}"
        for place, model in enumerate((battle.pair.first, battle.pair.second)):
            self._failures[model] = self._failures[model] + 1 if place in battle.failed else 0
            if self._failures[model] >= MOST_FAILURES and model in self._models:
                del self._models[model]
                notes.append(
                    f"{self._names[model]} has failed {MOST_FAILURES} times running, and is left out."
                )
        if len(self._models) < 2:
            self._stop = "No two models are left."
        return " ".join(filter(None, (*notes, self._stop)))

    def _share(self) -> int | None:
        """What the next battle may cost: an equal share of what is free, with one share left for who needs more."""
        free = self._free()
        return None if free is None else free // (self.terms.at_once - len(self._running) + 1)

    def _free(self) -> int | None:
        budget = self.terms.budget_units
        if budget is None:
            return None
        return budget - self.spent_units - sum(one.allowed_units or 0 for one in self._running)

    def _more(self, battle: Battle, event: Paused) -> Decimal | None:
        if event.why:
            battle.kept_back = event.why
            return None
        free, allowed = self._free(), battle.allowed_units
        if free is None or allowed is None or event.needed_units is None:
            battle.is_short = True
            return None
        missing = event.spent_units + event.needed_units - (event.budget_units or 0)
        if not 0 < missing <= free:
            battle.is_short = True
            return None
        battle.allowed_units = allowed + missing
        return to_usd(missing)
