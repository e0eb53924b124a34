"""Debates that are left or end while something else goes on or goes wrong: nothing hangs, and no match stays held."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck.arena.events import Ended, Paused, TurnFailed
from bytedeck.errors import InternalError, InvalidRequest
from bytedeck.simulator import Simulator
from rings import PAIR, SHORT, TOPIC, Ring, of

MINI, SONNET = PAIR


@pytest.mark.parametrize("error", [RuntimeError("boom"), InternalError("Boom.")])
def test_its_end_is_told_whatever_the_ratings_do(ring: Ring, error: Exception) -> None:
    """A fault of ours behind its end takes no event from who watches; it is said, and the results are due."""
    debate = ring.debate(**SHORT)

    def broken(match: str) -> Any:
        raise error

    async def abroken(match: str) -> Any:
        raise error

    debate._record = broken if ring.loop is None else abroken
    assert isinstance(ring.rest(debate)[-1], Ended)
    assert "not in the ratings yet: " in debate.notes[-1]
    assert "oom" in debate.notes[-1]
    assert ring.hub.house.matches.due() == (debate.id,)


def test_no_thread_to_write_it(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has no thread left it is raised, and the match can be taken up later."""
    start = threading.Thread.start

    def starts(thread: threading.Thread) -> None:
        if thread.name == "bytedeck-scribe":
            raise RuntimeError("can't start new thread")
        start(thread)

    debate = ring.debate(**SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", starts)
        with pytest.raises(RuntimeError, match="can't start"):
            ring.next(debate)
    assert ring.hub.house.matches.find(debate.id).state == "cut off"
    assert isinstance(ring.rest(ring.resume(debate.id))[-1], Ended)


def test_what_cannot_be_kept_holds_nothing(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours while it is left is raised, and the match is let go all the same."""
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)

    def broken(late: object) -> None:
        raise InternalError("Boom.")

    monkeypatch.setattr(debate, "_keep_late", broken)
    with pytest.raises(InternalError):
        ring.leave(debate)
    debate._scribe.join(5)
    assert not ring.hub.house.matches.find(debate.id).is_held


def test_a_model_that_is_gone(ring: Ring) -> None:
    """With a budget, too, its turns fail, and the debate comes to its end."""
    debate = ring.debate(budget="1", **SHORT)
    ring.rest(debate, 1)
    ring.leave(debate)
    models = ring.hub.house.models
    catalog = models.current()
    left = {id_: one for id_, one in catalog.by_id.items() if id_ != SONNET}
    slugs = {slug: one for slug, one in catalog.by_slug.items() if one.id != SONNET}
    models.current = lambda: replace(catalog, by_id=left, by_slug=slugs)
    events = ring.rest(ring.resume(debate.id))
    assert {event.turn.fighter for event in of(events, TurnFailed)} == {1}
    assert {event.code for event in of(events, TurnFailed)} == {"unknown_model"}
    assert isinstance(events[-1], Ended)


def test_nothing_is_allowed_to_who_has_left(ring: Ring) -> None:
    """It would never be used; it is said what to do instead."""
    debate = ring.debate(budget="0.0000001", **SHORT)
    assert isinstance(ring.rest(debate)[-1], Paused)
    with pytest.raises(InvalidRequest, match="was left"):
        debate.allow("1")


# -- threads ---------------------------------------------------------------------------------------


class Slow(deque[Any]):
    """What is handed out, of somebody who takes his time to drop it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def clear(self) -> None:
        self.reached.set()
        self.go.wait(10)
        super().clear()


def test_who_comes_to_read_while_it_is_closed(sim: Simulator, tmp_path: Path) -> None:
    """The reader that comes between two steps is at the end, and does not wait for calls that nobody will hear of."""
    sim.fault("stall")
    ring = Ring("sync", sim, tmp_path)
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)
    debate._ready = slow = Slow()
    closing = threading.Thread(target=debate.close)
    closing.start()
    assert slow.reached.wait(10)
    found: list[Any] = []
    reading = threading.Thread(target=lambda: found.append(next(debate, "the end")), daemon=True)
    reading.start()
    reading.join(5)
    slow.go.set()
    closing.join(10)
    assert found == ["the end"]
    assert debate.is_closed
    assert next(debate, None) is None
    ring.close()


# -- tasks -----------------------------------------------------------------------------------------


def test_both_who_close_wait(aring: Ring, sim: Simulator) -> None:
    """Whoever has closed it may take it up again at once."""
    sim.fault("stall")

    async def closed() -> list[bool]:
        debate = aring.hub.debate(TOPIC, PAIR, **SHORT)
        for _ in range(3):
            await anext(debate)
        held = []

        async def close() -> None:
            await debate.aclose()
            held.append(aring.hub.house.matches.find(debate.id).is_held)

        await asyncio.gather(close(), close(), close())
        return held

    assert aring.run(closed()) == [False] * 3


def test_what_is_worked_out_in_a_thread_is_waited_for(aring: Ring) -> None:
    """Whoever closes it meanwhile: the stage belongs to one thread at a time."""

    async def closed() -> bool:
        debate = aring.hub.debate(TOPIC, PAIR, budget="1", **SHORT)
        await anext(debate)
        stage = debate._stage
        due, begun, go, is_done = stage.due, threading.Event(), threading.Event(), []

        def slow() -> Any:
            begun.set()
            go.wait(10)
            is_done.append(True)
            return due()

        stage.due = slow
        reader = asyncio.create_task(anext(debate, None))
        await asyncio.to_thread(begun.wait, 10)
        closing = asyncio.create_task(debate.aclose())
        await asyncio.sleep(0.05)
        assert not closing.done()
        go.set()
        await closing
        assert await reader is None
        return bool(is_done)

    assert aring.run(closed())
