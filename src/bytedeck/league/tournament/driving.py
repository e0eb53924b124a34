"""The two drivers of a tournament, in threads and in tasks. What is to be done, `Field` decides."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from .field import Battle, Field, Progress

if TYPE_CHECKING:
    import asyncio

    from ...debates.adebate import AsyncDebate
    from ...debates.debate import Debate

Inbox: TypeAlias = SimpleQueue[tuple[Battle, BaseException | None]]
"""What comes from the threads: a battle that is over, and what was raised in it."""

PATIENCE = 5.0
"""Seconds that leaving waits for the battles that run to be settled."""


def held(field: Field, battle: Callable[..., Debate]) -> Iterator[Progress]:
    """Hold them, each in a thread of its own; blocks until the next one has ended."""
    inbox: Inbox = SimpleQueue()
    stop = threading.Event()
    running: dict[int, tuple[Debate, threading.Thread]] = {}
    try:
        while True:
            while (one := field.begin()) is not None:
                debate = battle(one.prompt, field.fighters(one), **field.options(one))
                thread = threading.Thread(
                    target=_watch, args=(field, one, debate, stop, inbox), name="bytedeck-battle", daemon=True
                )
                running[id(one)] = debate, thread
                thread.start()
            if not running:
                return
            over, failure = inbox.get()
            debate, _ = running.pop(id(over))
            if failure is not None:
                raise failure
            yield field.end(over, debate.id, debate.bill())
    finally:
        stop.set()
        for debate, _ in running.values():
            debate.close()  # its thread, where that reads, comes to its end
        for _, thread in running.values():
            thread.join(PATIENCE)


def _watch(field: Field, battle: Battle, debate: Debate, stop: threading.Event, inbox: Inbox) -> None:
    try:
        with debate:
            for event in debate:
                if stop.is_set():
                    break
                if more := field.hear(battle, event):
                    debate.allow(more)
    except BaseException as exc:  # noqa: BLE001 - it is raised where the tournament is driven
        inbox.put((battle, exc))
    else:
        inbox.put((battle, None))


async def aheld(field: Field, battle: Callable[..., AsyncDebate]) -> AsyncGenerator[Progress, None]:
    """As `held`, in tasks."""
    import asyncio  # as in `async_client`

    gate = asyncio.Lock()
    running: dict[asyncio.Task[None], tuple[Battle, AsyncDebate]] = {}
    try:
        while True:
            while (one := await asyncio.to_thread(field.begin)) is not None:
                debate = battle(one.prompt, field.fighters(one), **field.options(one))
                running[asyncio.create_task(_awatch(field, one, debate, gate))] = one, debate
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                over, debate = running.pop(task)
                task.result()
                yield field.end(over, debate.id, await debate.bill())
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _awatch(field: Field, battle: Battle, debate: AsyncDebate, gate: asyncio.Lock) -> None:
    async with debate:
        async with gate:  # one may have to fetch the catalogue, and the others find it then
            await debate.open()
        async for event in debate:
            if more := field.hear(battle, event):
                debate.allow(more)
