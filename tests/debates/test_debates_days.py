"""Bad days of debates: killed, cancelled anywhere, closed from elsewhere, a store that fails in the midst of it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck.arena.events import Begun, Ended, Event, RoundEnded, TurnEnded, TurnFailed, Words
from bytedeck.arena.match.referee import Comment
from bytedeck.arena.types import Fighter, Match
from bytedeck.debates.scribe import Scribe
from bytedeck.debates.stage import Job, said
from bytedeck.errors import LedgerError
from bytedeck.events import Seam, Started
from bytedeck.io.matches import Lost
from bytedeck.io.memory_matches import MemoryMatches
from bytedeck.simulator import Simulator
from bytedeck.types import Ask, Delta
from rings import SHORT, Ring, of

sys.path.append(str(Path(__file__).parents[2] / "bench"))  # last, for it has an `upstream` of its own

import kill_arena

# -- kill -9 -------------------------------------------------------------------------------------


def test_four_kills() -> None:
    """Nothing that was told is lost, nothing is held twice, every call is in the ledger, and the bills are its sums."""
    assert kill_arena.kill(4, "11") == []


def _held(ring: Ring) -> tuple[Event, ...]:
    debate, _ = ring.held(**(SHORT | {"judges": ["google/gemini-2.5-flash"]}))
    found: tuple[Event, ...] = ring.hub.house.matches.events(debate.id)
    return found


def test_the_judge_finds_what_is_wrong(aring: Ring) -> None:
    """What is not as it should be does not pass."""
    events = _held(aring)
    assert kill_arena.broken("m", events, 0) == []
    kept = {event.seq: type(event).__name__ for event in events}
    assert kill_arena.lost("m", kept, kill_arena.Life([(0, "Begun")])) == []
    assert "was told" in kill_arena.lost("m", kept, kill_arena.Life([(len(kept), "TurnEnded")]))[0]
    turn = of(events, TurnEnded)[0]
    twice = (*events[:-1], replace(turn, seq=events[-1].seq), replace(events[-1], seq=events[-1].seq + 1))
    assert "turns and looks" in kill_arena.broken("m", twice, 1)[0]
    assert "it ended with" in kill_arena.broken("m", events[:-1], 0)[0]
    assert "gaps" in kill_arena.broken("m", events[1:], 0)[0]
    began = next(event for event in events if type(event).__name__ == "TurnBegan")
    again = (*events[:-1], replace(began, seq=events[-1].seq), replace(events[-1], seq=events[-1].seq + 1))
    assert kill_arena.broken("m", again, 1) == []
    assert "was asked 1 times more" in kill_arena.broken("m", again, 0)[0]


# -- cancelled -----------------------------------------------------------------------------------


async def _cancelled(ring: Ring, turns_of_the_loop: int) -> str:
    """A debate whose reader is cancelled so many turns of the loop after it began; the match, where there is one."""
    debate = ring.hub.debate("Tabs or spaces?", ("openai/gpt-4o-mini", "google/gemini-2.5-flash"), **SHORT)

    async def read() -> None:
        async for _ in debate:
            pass

    task = asyncio.create_task(read())
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
        if task.done():
            break
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.done()
    assert debate.is_closed
    assert await anext(debate, None) is None
    return str(debate.id)


def test_cancelled_at_any_moment(aring: Ring) -> None:
    """Whatever it was doing: nothing runs on, no match is held, and it goes on to its end with nothing held twice."""
    matches = aring.hub.house.matches
    for count in (*range(1, 8), *range(8, 400, 19)):
        match = aring.run(_cancelled(aring, count))
        assert not any(one.is_held for one in matches.list(3))
        if match not in {one.match.id for one in matches.list(1)}:
            continue
        if not matches.find(match).end:
            aring.rest(aring.resume(match))
        events = matches.events(match)
        assert isinstance(events[-1], Ended)
        parts = [event.turn.part for event in of(events, TurnEnded)]
        assert sorted(parts) == ["t0.0.0", "t0.0.1", "t0.1.0", "t0.1.1"]
    assert {row.state for row in aring.rows()} <= {"settled", "awaiting"}


def test_a_second_reader_is_refused(aring: Ring) -> None:
    """Two tasks in one debate are an error, and the first one goes on."""

    async def both() -> list[Event]:
        debate = aring.hub.debate("?", ("openai/gpt-4o-mini", "google/gemini-2.5-flash"), **SHORT)
        first = asyncio.create_task(anext(debate))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already being read"):
            await anext(debate)
        return [await first, *[event async for event in debate]]

    assert isinstance(aring.run(both())[-1], Ended)


def test_closed_from_another_task(aring: Ring, sim: Simulator) -> None:
    """Who waits for the next event comes to the end, whatever it was waiting for."""
    sim.fault("stall")

    async def left(after: int) -> list[Event]:
        debate = aring.hub.debate("?", ("openai/gpt-4o-mini", "google/gemini-2.5-flash"), **SHORT)

        async def read() -> list[Event]:
            return [event async for event in debate]

        reader = asyncio.create_task(read())
        for _ in range(after):
            await asyncio.sleep(0)
        await debate.aclose()
        assert debate.is_closed
        return await asyncio.wait_for(reader, 10)

    for after in (0, 1, 3, 10, 30, 100, 300):
        assert not of(aring.run(left(after)), TurnEnded, TurnFailed, Ended)
    assert not any(one.is_held for one in aring.hub.house.matches.list())
    assert {row.outcome for row in aring.rows()} <= {"abandoned"}


def test_closed_from_another_thread(sim: Simulator, tmp_path: Path) -> None:
    """Who waits for the next event comes to the end at once, and what runs is closed and settled; nobody else reads it."""
    sim.fault("stall")
    ring = Ring("sync", sim, tmp_path)
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)
    told: SimpleQueue[str] = SimpleQueue()

    def other() -> None:
        while debate._reader is None:
            pass
        try:
            next(debate)
        except RuntimeError as error:
            told.put(str(error))
        debate.close()

    thread = threading.Thread(target=other)
    thread.start()
    rest = ring.rest(debate)
    thread.join()
    assert not of(rest, TurnEnded, TurnFailed, Ended)
    assert "read by another thread" in told.get(timeout=5)
    assert debate.is_closed
    assert {row.outcome for row in ring.rows()} <= {"abandoned"}
    assert ring.hub.house.matches.find(debate.id).state == "cut off"
    debate.close()
    ring.close()


def test_ctrl_c(sim: Simulator, tmp_path: Path) -> None:
    """Who presses it while the next event is waited for has left, at once, and may go on later."""
    sim.fault("stall")
    ring = Ring("sync", sim, tmp_path)
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        while not debate._listens:
            pass
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        ring.rest(debate)
    thread.join()
    assert {row.outcome for row in ring.rows()} <= {"abandoned"}
    sim.reset()
    assert isinstance(ring.rest(ring.resume(debate.id))[-1], Ended)
    ring.close()


# -- the store -----------------------------------------------------------------------------------


def test_a_match_that_somebody_else_has(ring: Ring) -> None:
    """Who does not hold it any more is told, stops, and keeps nothing of what happens."""
    debate = ring.debate(**(SHORT | {"rounds": 3}))
    while not isinstance(ring.next(debate), RoundEnded):
        pass
    ring.hub.house.matches.release(debate.id)
    kept = ring.hub.house.matches.events(debate.id)
    with pytest.raises(Lost):
        ring.rest(debate)
    assert ring.next(debate) is None
    assert ring.hub.house.matches.events(debate.id) == kept
    assert isinstance(ring.rest(ring.resume(debate.id))[-1], Ended)


def test_a_store_that_fails(ring: Ring, tmp_path: Path) -> None:
    """A LedgerError is raised, what runs is closed and settled, and once it is well again the debate goes on."""
    debate = ring.debate(**(SHORT | {"rounds": 3}))
    while not isinstance(ring.next(debate), RoundEnded):
        pass
    with sqlite3.connect(tmp_path / "ledger.db") as broken:
        broken.execute("alter table arena_event rename to away")
    broken.close()
    with pytest.raises(LedgerError):
        ring.rest(debate)
    with sqlite3.connect(tmp_path / "ledger.db") as mended:
        mended.execute("alter table away rename to arena_event")
    mended.close()
    assert {row.state for row in ring.rows()} == {"settled"}
    assert isinstance(ring.rest(ring.resume(debate.id))[-1], Ended)


# -- writing -------------------------------------------------------------------------------------

MATCH = Match(id="abcdefghij", kind="debate", topic="?", fighters=(Fighter("a/a"), Fighter("b/b")))


class Counted(MemoryMatches):
    """Says how much was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: SimpleQueue[int] = SimpleQueue()

    def append(self, match: str, events: Any) -> None:
        super().append(match, events)
        self.batches.put(len(events))


def _words(seq: int) -> Words:
    return Words(seq=seq, part="t0.0.0", text="x")


def test_words_are_written_together() -> None:
    """A moment after they were put; what is waited for brings along all that was put before."""
    matches = Counted()
    matches.create(MATCH, Begun(match=MATCH))
    scribe, done = Scribe(matches, MATCH.id), SimpleQueue[Any]()
    for seq in range(1, 6):
        scribe.put(_words(seq))
    sizes = [matches.batches.get(timeout=5)]
    while sum(sizes) < 5:
        sizes.append(matches.batches.get(timeout=5))
    assert len(sizes) <= 2
    scribe.put(_words(6))
    scribe.write((_words(7), _words(8)), done.put)
    assert done.get(timeout=5) is None
    assert [event.seq for event in matches.events(MATCH.id)] == list(range(9))
    scribe.put(_words(9))
    scribe.close()
    scribe.close()
    scribe.join(5)
    assert matches.find(MATCH.id).last == 9
    assert not matches.find(MATCH.id).is_held


def test_it_is_let_go_also_where_its_last_words_are_not_kept() -> None:
    """Else this process held it for ever, and could not take it up again."""
    matches = MemoryMatches()
    matches.create(MATCH, Begun(match=MATCH))
    scribe = Scribe(matches, MATCH.id)
    scribe.put(_words(7))
    scribe.close()
    scribe.join(5)
    matches.hold(MATCH.id)


def test_what_words_met_is_told() -> None:
    """That words could not be kept is told with the next that is waited for, and nothing is kept behind the gap."""
    matches = MemoryMatches()
    matches.create(MATCH, Begun(match=MATCH))
    scribe, done = Scribe(matches, MATCH.id), SimpleQueue[Any]()
    scribe.put(_words(7))
    scribe.write((_words(1),), done.put)
    assert isinstance(done.get(timeout=5), LedgerError)
    scribe.write((_words(1),), done.put)
    assert isinstance(done.get(timeout=5), LedgerError)
    scribe.close()
    scribe.join(5)
    assert matches.find(MATCH.id).last == 0
    assert not matches.find(MATCH.id).is_held


def _restart(erase: int) -> Seam:
    return Seam(
        kind="restart", from_model="a", to_model="b", why="truncated", attempt=2, after=erase, erase=erase
    )


@pytest.mark.parametrize(
    ("deltas", "text", "erase"),
    [
        ([Delta(text="a"), Delta(text="b")], "ab", 0),
        ([Delta(text="a"), Delta(text="b", event=_restart(3))], "b", 2),
        ([Delta(text="abc"), Delta(text="d", event=_restart(2))], "ad", 0),
        ([Delta(event=_restart(4))], "", 4),
    ],
)
def test_what_one_read_brought(deltas: list[Delta], text: str, erase: int) -> None:
    """One piece, in which what was taken back of the same read does not stand."""
    found = said(Job(Comment(), Ask(id="0" * 32, messages=())), deltas)
    assert found is not None
    assert (found.text, found.erase) == (text, erase)


def test_no_words() -> None:
    """An event alone is nothing to write down."""
    started = Delta(reasoning="hm", event=Started(model="a", attempt=1))
    assert said(Job(Comment(), Ask(id="0" * 32, messages=())), [started]) is None
