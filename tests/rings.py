"""Debates on both faces over a simulator, so that a test can hold both to the same promise; everything blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bytedeck import AsyncHub, Hub
from bytedeck.arena.events import Event, TurnEnded, Words
from bytedeck.simulator import Simulator

PAIR = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5")
TOPIC = "Tabs are better than spaces."
SHORT: dict[str, Any] = {"rounds": 2, "judges": 0, "commentator": "", "max_tokens": 24}
"""A debate that is soon over."""


class Ring:
    """`kind` is one of `faces.FACES`. What it opens stands in `home`."""

    def __init__(self, kind: str, sim: Simulator, home: Path, **options: Any) -> None:
        given = {
            "api_key": sim.api_key,
            "base_url": sim.base_url,
            "home": home,
            "database_url": f"sqlite:///{home}/ledger.db",
        }
        self.loop = asyncio.new_event_loop() if kind == "async" else None
        self.hub: Any = Hub(**(given | options)) if self.loop is None else AsyncHub(**(given | options))

    def run(self, found: Any) -> Any:
        """What a method gives, waited for where it has to be."""
        return self.loop.run_until_complete(found) if self.loop is not None else found

    def debate(self, topic: Any = TOPIC, fighters: Any = PAIR, **options: Any) -> Any:
        return self.made(lambda: self.hub.debate(topic, fighters, **options))

    def resume(self, match: str, **options: Any) -> Any:
        return self.made(lambda: self.hub.resume(match, **options))

    def made(self, make: Callable[[], Any]) -> Any:
        """Made within the loop, where there is one."""
        if self.loop is None:
            return make()

        async def making() -> Any:
            return make()

        return self.run(making())

    def next(self, debate: Any) -> Event | None:
        """The next event; None at its end."""
        if self.loop is None:
            return next(debate, None)
        return self.run(_anext(debate))

    def rest(self, debate: Any, most: int = 100_000) -> list[Event]:
        """All that comes, at most so many."""
        found: list[Event] = []
        while len(found) < most and (event := self.next(debate)) is not None:
            found.append(event)
        return found

    def leave(self, debate: Any) -> None:
        if self.loop is None:
            debate.close()
        else:
            self.run(debate.aclose())

    def held(self, *args: Any, **options: Any) -> tuple[Any, list[Event]]:
        """A debate from its beginning to its end."""
        debate = self.debate(*args, **options)
        return debate, self.rest(debate)

    def rows(self) -> list[Any]:
        """The ledger's, oldest first."""
        self.hub.house.store.flush()
        return list(self.hub.house.store.export())

    def spent(self) -> int:
        """Units, by the ledger; of what is not known the worst case."""
        return sum(
            (row.worst_units or 0) if row.spend_units is None else row.spend_units for row in self.rows()
        )

    def close(self) -> None:
        if self.loop is None:
            self.hub.close()
            return
        self.run(self.hub.aclose())
        self.run(asyncio.sleep(0.01))
        self.loop.close()


async def _anext(debate: Any) -> Event | None:
    return await anext(debate, None)


def kinds(events: list[Event]) -> list[str]:
    """What happened, words left out."""
    return [type(event).__name__ for event in events if not isinstance(event, Words)]


def of(events: Any, *kind: type) -> list[Any]:
    """Those of some kinds."""
    return [event for event in events if isinstance(event, kind)]


def texts(events: list[Event]) -> dict[str, str]:
    """Part → what its words come to."""
    found: dict[str, str] = {}
    for event in of(events, Words):
        said = found.get(event.part, "")
        found[event.part] = (said[: -event.erase] if event.erase else said) + event.text
    return found


def turns(events: list[Event]) -> dict[str, str]:
    """Part → what was said in a turn."""
    return {event.turn.part: event.text for event in of(events, TurnEnded)}
