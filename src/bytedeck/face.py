"""What Hub and AsyncHub answer alike, and without waiting for anyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import pipeline
from .config import Task
from .health import Health
from .house import House
from .io.openrouter import TIMEOUT
from .io.store import Store
from .ledger.report import parse_since
from .relay import Parcel, relay
from .types import Ask, Reply

if TYPE_CHECKING:
    from .call.steps import Flow
    from .pipeline import Deck

# How long closing waits for a catalogue that is on its way, so that the next run has prices.
CATALOGUE_GRACE = 0.5


class Face:
    """What both faces are. Making one reads the configuration, and opens nothing else."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        database_url: str | None = None,
        home: str | Path | None = None,
        config: str | Path | None = None,
    ) -> None:
        """What is not given comes from the environment, then the user's file, then what ships.

        Raises ConfigError where the configuration cannot be read.
        """
        self.house = House(
            api_key=api_key, base_url=base_url, database_url=database_url, home=home, config=config
        )
        self._prepare()

    def _prepare(self) -> None:
        """What a face keeps besides."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.house.config.base_url}>"

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The task registry by canonical name."""
        return self.house.config.tasks

    def health(self) -> Health:
        """How models and keys are doing, by the requests of all who share the ledger; `Health.model(id)` tells of one.

        The first call in a process reads the ledger, a few milliseconds; no other waits.
        """
        return self.house.watch.health()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the configuration, a sentence each; and rows that the ledger lost, or could not write yet."""
        if "store" not in self.house.__dict__:
            return self.house.config.warnings
        store = self.house.store
        owed = (str(store.owed),) if store.owed.rows else ()
        return (*self.house.config.warnings, *owed, *store.lost)

    def _patience(self, ask: Ask) -> float:
        """Seconds worth waiting for a catalogue that is on its way: a bound on cost needs prices, and a
        named model may be newer than our copy. 0 for all others."""
        if self.house.scripted:
            return 0.0
        models = self.house.models
        is_worth_it = (
            self._is_bound(ask)
            if models.current() is None
            else bool(ask.models) and models.unsure(ask.models)
        )
        if not is_worth_it:
            return 0.0
        bounds = ask.timeouts or self.house.config.timeouts
        return min(TIMEOUT, ask.total_timeout or bounds.total)

    def _is_bound(self, ask: Ask) -> bool:
        """Whether a bound on cost or a hard budget holds."""
        own = ask.caller.budgets if ask.caller is not None else ()
        budgets = (*self.house.config.rules.budgets, *own)
        return ask.max_cost_units is not None or any(one.hard for one in budgets)

    def _may_fetch(self) -> bool:
        return self.house.config.api_key is not None and not self.house.scripted and self.house.models.due()

    def _lacks(self, names: Sequence[str]) -> bool:
        """Whether the catalogue is to be asked for before these models are looked for."""
        models, has_key = self.house.models, self.house.config.api_key is not None
        if self._may_fetch():
            return True
        return has_key and not self.house.scripted and models.current() is not None and models.unsure(names)

    def _settled(self) -> Store:
        self.house.store.flush()
        return self.house.store


def page(ask: Ask, parcel: Parcel | None, deck: Deck, began: float) -> Flow[Reply]:
    """The page that a request is read from; `parcel`: where it is passed through."""
    if parcel is None:
        return pipeline.answer(ask, deck, began)
    return relay(ask, deck, parcel, began)


def moment(since: datetime | str | None) -> datetime | None:
    """A moment as a caller says it ("7d", "today"). Raises InvalidRequest."""
    return parse_since(since, datetime.now(UTC)) if isinstance(since, str) else since
