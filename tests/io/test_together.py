"""Attempts that begin one upon the other go to the store together; who is alone, and who leaves, waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bytedeck.claims import Claim, Denied
from bytedeck.io.memory import MemoryStore
from bytedeck.io.store import Beginning, Verdict
from bytedeck.io.together import CLOSE, COMPANY, ENOUGH, Together
from bytedeck.types import Intent
from marks import GRANTED, intent, settlement

NO = Denied("over_budget", "No.")


class Heard(MemoryStore):
    """A store that tells how many came at once."""

    def __init__(self, verdict: Verdict | None = None) -> None:
        super().__init__()
        self.groups: list[int] = []
        self.order: list[str] = []
        self._verdict = verdict

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        self.begin_all([Beginning(intent, done, claim)])

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        self.groups.append(len(beginnings))
        for one in beginnings:
            self.order.append(one.intent.attempt)
            if self._verdict is None:
                super().begin(one.intent, one.done, one.claim)
            else:
                one.done(self._verdict)


class World:
    """One loop's, with a clock that the test moves."""

    def __init__(self, store: Heard) -> None:
        self.now = 1000.0
        self.store = store
        self.together = Together(store, asyncio.get_running_loop(), lambda: self.now)
        self.told: list[Verdict] = []

    def begin(self, number: int, after: float = 0.0, claim: Claim | None = None) -> None:
        self.now += after
        self.together.begin(intent(number), self.told.append, claim)


Play = Callable[[World], Awaitable[None]]


def played(play: Play, verdict: Verdict | None = None) -> World:
    async def run() -> World:
        world = World(Heard(verdict))
        await play(world)
        return world

    return asyncio.run(run())


async def _alone(world: World) -> None:
    world.begin(1)
    world.together.settle(settlement(1))
    world.begin(2)


async def _apart(world: World) -> None:
    world.begin(1)
    world.begin(2, after=2 * CLOSE)
    world.begin(3, after=2 * CLOSE)


async def _close(world: World) -> None:
    for number in range(1, 5):
        world.begin(number)
    await asyncio.sleep(2 * COMPANY)


async def _many(world: World) -> None:
    for number in range(1, ENOUGH + 2):
        world.begin(number)


async def _leaves(world: World) -> None:
    world.begin(1)
    world.begin(2)
    world.together.settle(settlement(2))


async def _other_ends(world: World) -> None:
    world.begin(1)
    world.begin(2)
    world.together.settle(settlement(1))


@pytest.mark.parametrize(
    ("play", "groups"),
    [
        (_alone, [1, 1]),
        (_apart, [1, 1, 1]),
        (_close, [1, 3]),
        (_many, [1, ENOUGH]),
        (_leaves, [1, 1]),
        (_other_ends, [1]),
    ],
)
def test_who_goes_with_whom(play: Play, groups: list[int]) -> None:
    """Alone or apart each goes at once; close ones wait for company, for a while or until there is enough of it, or
    until one of them leaves."""
    world = played(play)
    assert world.store.groups == groups
    assert world.told == [GRANTED] * sum(groups)
    assert world.store.order == sorted(world.store.order, key=lambda name: int(name.rpartition("-")[2]))


def test_what_a_limit_keeps_back_is_no_company() -> None:
    """After a refusal nobody runs, so the next one goes straight through."""

    async def refused(world: World) -> None:
        for number in range(1, 4):
            world.begin(number, claim=Claim())

    world = played(refused, NO)
    assert world.store.groups == [1, 1, 1]
    assert world.told == [NO] * 3
