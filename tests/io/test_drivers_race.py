"""Races on real sockets, in both faces: the first to speak wins, the loser's upstream is let go at once,
nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from answers import Answer, Hang, Pause, Reset, error, words
from bytedeck.call.race import Finish, Runner, race
from bytedeck.call.steps import Flow
from bytedeck.errors import NoWayToAnswer
from bytedeck.io.adrive import AsyncDrive
from bytedeck.io.aio import AsyncHttpWire
from bytedeck.io.drive import Drive
from bytedeck.io.http import HttpWire
from bytedeck.io.memory import MemoryStore
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Store
from bytedeck.io.testing import AsyncScript, Script
from bytedeck.io.wire import Endpoint
from bytedeck.types import Route
from racers import Racer, Told, judge, runner
from upstream import Seen, Upstream, blackhole

KINDS = ("blocking", "async")
LONG = "one two three four five six seven eight nine ten, and so on to the end."


class Track:
    """Where races are run: `urls` says where a route's requests go, `OURS` raises an error of ours."""

    def __init__(self, kind: str, store: Store, urls: dict[Route, str]) -> None:
        self.kind = kind
        self.store = store
        self.urls = urls
        self.loop = asyncio.new_event_loop() if kind == "async" else None
        self.wire: Any = HttpWire(self.endpoint)
        if self.loop is not None:
            self.wire = self.loop.run_until_complete(self._wire())
        self.seen: list[str] = []

    async def _wire(self) -> AsyncHttpWire:
        return AsyncHttpWire(self.endpoint)

    def endpoint(self, route: Route) -> Endpoint:
        if self.urls[route] == OURS:
            raise NoWayToAnswer("The local model does not start.")
        return Endpoint(self.urls[route], ())

    def run(self, *runners: Runner[Told], leave_after: float | None = None) -> tuple[Finish[Told], ...]:
        """The race's finishes; with `leave_after` it is left from outside after so many seconds."""
        finishes: tuple[Finish[Told], ...] = self.drive(lambda at: race(runners, at, judge), leave_after)
        return finishes

    def drive(self, flow: Callable[[float], Flow[Any]], leave_after: float | None = None) -> Any:
        """What a request returns that is begun now."""
        if self.loop is not None:
            return self.loop.run_until_complete(self._adrive(flow, leave_after))
        if leave_after is not None:
            threading.Timer(leave_after, os.kill, (os.getpid(), signal.SIGINT)).start()
        drive = Drive(flow(time.monotonic()), self.store, self.wire)
        while (deltas := drive.advance()) is not None:
            self.seen += [delta.text for delta in deltas]
        return drive.result

    async def _adrive(self, flow: Callable[[float], Flow[Any]], leave_after: float | None) -> Any:
        loop = asyncio.get_running_loop()
        drive = AsyncDrive(flow(loop.time()), self.store, self.wire)
        if leave_after is not None:
            task = asyncio.current_task()
            assert task is not None
            loop.call_later(leave_after, task.cancel)
        while (deltas := await drive.advance()) is not None:
            self.seen += [delta.text for delta in deltas]
        return drive.result

    @property
    def text(self) -> str:
        return "".join(self.seen)

    def outcomes(self) -> list[str]:
        """What the rows say, oldest first."""
        self.store.flush()
        return [row.outcome for row in self.store.rows()][::-1]

    def assert_clean(self) -> None:
        """Nothing waits any more: no helper's thread, no task."""
        if self.loop is not None:
            self.loop.run_until_complete(asyncio.sleep(0.01))
            assert not asyncio.all_tasks(self.loop)
        until = time.monotonic() + 2.0
        while _helpers() and time.monotonic() < until:
            time.sleep(0.01)
        assert not _helpers()

    def close(self) -> None:
        self.assert_clean()
        if self.loop is None:
            self.wire.close()
        else:
            self.loop.run_until_complete(self.wire.aclose())
            self.loop.close()
        self.store.close()


OURS = "ours"


def _helpers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "bytedeck-leg"]


@pytest.fixture(params=KINDS)
def track(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[Track]:
    made = Track(request.param, MemoryStore(), {"openrouter": upstream.url, "local": upstream.url})
    yield made
    made.close()
    gc.collect()


def racer(leg: int, **options: Any) -> Racer:
    """One whose model is called by its number."""
    return Racer(leg, body=json.dumps({"model": str(leg)}).encode(), **options)


def by_model(**answers: Answer) -> Callable[[Seen], Answer]:
    """Answers by the model that is asked: `m1=…`, `m2=…`."""
    return lambda seen: answers[f"m{seen.json['model']}"]


# Where the loser stands when it loses; each is noticed by the upstream as a close by the client.
SLOW = {
    "headers": words(LONG).first(Hang()),
    "first event": words(LONG).cut(0, Hang()),
    "comments": Answer(headers=words().headers, steps=(b": OPENROUTER PROCESSING\n\n", Pause(0.02)) * 500),
}


@pytest.mark.parametrize("phase", SLOW)
def test_a_slow_first_and_a_fast_second(track: Track, upstream: Upstream, phase: str) -> None:
    """The second speaks first: its words alone are told, the first is closed within a second, both have rows."""
    upstream.script(by_model(m1=SLOW[phase], m2=words(LONG).sliced(50).paced(0.001)))
    lost, won = track.run(runner(racer(1), 0.1), runner(racer(2), 9.0))
    assert (lost.place, won.place) == (0, 1)
    assert won.result is not None
    assert track.text == won.result.text == LONG
    closed = upstream.wait_closed(1, timeout=1.0)[0]
    assert (closed.by, closed.connection) == ("client", upstream.chats[0].connection)
    assert track.outcomes() == ["lost_race", "answered"]


@pytest.mark.parametrize("phase", SLOW)
def test_the_first_comes_after_all(track: Track, upstream: Upstream, phase: str) -> None:
    """The first was only late: it wins, no byte of it is lost, and the second is let go where it stands."""
    late = words(LONG).sliced(31).paced(0.001).first(Pause(0.3))
    upstream.script(by_model(m1=late, m2=SLOW[phase]))
    lost, won = track.run(runner(racer(1), 0.1), runner(racer(2), 9.0))
    assert (lost.place, won.place) == (1, 0)
    assert track.text == LONG
    assert upstream.wait_closed(1, timeout=1.0)[0].by == "client"
    assert track.outcomes() == ["answered", "lost_race"]


def test_a_loser_that_connects(track: Track) -> None:
    """Who loses while it still connects ends at once, and sends nothing later."""
    with blackhole() as nowhere, Upstream() as upstream:
        track.urls |= {"openrouter": nowhere, "local": upstream.url}
        upstream.script(words(LONG))
        began = time.monotonic()
        finishes = track.run(runner(racer(1), 0.1), runner(racer(2, route="local"), 9.0))
        assert finishes[-1].place == 1
        track.assert_clean()
        assert time.monotonic() - began < 1.5  # the connect timeout is ten seconds
    assert track.outcomes() == ["lost_race", "answered"]


def test_in_time_nobody_races(track: Track, upstream: Upstream) -> None:
    """Who speaks within its patience is alone."""
    upstream.script(words(LONG).sliced(50))
    (only,) = track.run(runner(racer(1), 5.0), runner(racer(2), 5.0))
    assert only.place == 0
    assert track.text == LONG
    assert len(upstream.chats) == 1
    assert not upstream.closed  # and its connection is kept for the next request


@pytest.mark.parametrize(
    "second", [error(503), words(LONG).first(Reset()), words().cut(300, Pause(0.1), Reset())]
)
def test_both_fail(track: Track, upstream: Upstream, second: Answer) -> None:
    """All that failed are told, in the order of their ends."""
    upstream.script(by_model(m1=words(LONG).first(Pause(0.3), Reset()), m2=second))
    first, last = track.run(runner(racer(1), 0.05), runner(racer(2), 9.0))
    assert (first.result is not None, last.result is not None) == (True, True)
    assert track.text == ""
    assert len(track.outcomes()) == 2
    assert "lost_race" not in track.outcomes()


def test_the_one_that_is_left_loses_no_byte(track: Track, upstream: Upstream) -> None:
    """One fails while a helper reads for the other: that one goes on without, at the same byte."""
    slow = words(LONG).sliced(97).paced(0.002)
    upstream.script(by_model(m1=words(LONG).first(Pause(0.2), Reset()), m2=slow.first(Pause(0.5))))
    failed, won = track.run(runner(racer(1), 0.05), runner(racer(2), 9.0))
    assert (failed.place, won.place) == (0, 1)
    assert track.text == LONG


def test_a_race_behind_an_attempt(track: Track, upstream: Upstream) -> None:
    """The deadline of an earlier attempt, which had ended in time, is nothing to a race."""
    slow = words(LONG).first(Pause(0.5))
    upstream.script(by_model(m1=error(503), m2=slow, m3=slow))

    def flow(at: float) -> Flow[tuple[Finish[Told], ...]]:
        failed = yield from racer(1, idle=0.2).run(at)
        return (yield from race([runner(racer(leg), 0.4) for leg in (2, 3)], failed.at, judge))

    finishes = track.drive(flow)
    assert finishes[-1].place == 0
    assert track.text == LONG
    assert track.outcomes() == ["status 503", "answered", "lost_race"]


def test_each_deadline_is_its_own(track: Track, upstream: Upstream) -> None:
    """One that is silent for too long leaves the race; the other goes on."""
    upstream.script(by_model(m1=words(LONG).first(Hang()), m2=words(LONG).first(Pause(0.6))))
    failed, won = track.run(runner(racer(1, idle=0.3), 0.05), runner(racer(2), 9.0))
    assert failed.result is not None
    assert failed.result.fault == "Tick"
    assert won.result is not None
    assert track.text == LONG
    assert upstream.wait_closed(1, timeout=1.0)[0].by == "client"


def test_the_last_ones_deadline(track: Track, upstream: Upstream) -> None:
    """Who is left alone still has its deadline, although a helper waits for it without one."""
    upstream.script(by_model(m1=words(LONG).first(Pause(0.2), Reset()), m2=words(LONG).first(Hang())))
    _, last = track.run(runner(racer(1), 0.05), runner(racer(2, idle=0.5), 9.0))
    assert last.result is not None
    assert last.result.fault == "Tick"
    assert upstream.wait_closed(2, timeout=1.0)[-1].by == "client"


@pytest.mark.parametrize("place", [1, 2])
def test_an_error_of_ours_is_one_leg_s(track: Track, upstream: Upstream, place: int) -> None:
    """A local model that does not start leaves the race; the other one answers."""
    track.urls["local"] = OURS
    upstream.script(words(LONG).first(Pause(0.3)))
    routes: dict[int, Route] = {leg: "local" if leg == place else "openrouter" for leg in (1, 2)}
    failed, won = track.run(*(runner(racer(leg, route=routes[leg]), 0.05) for leg in (1, 2)))
    assert isinstance(failed.error, NoWayToAnswer)
    assert failed.settlement is not None
    assert won.result is not None
    assert track.text == LONG


def test_the_last_one_s_error_of_ours(track: Track, upstream: Upstream) -> None:
    """So it is of the one that is left alone: told among the finishes, behind the failure before it."""
    track.urls["local"] = OURS
    upstream.script(error(503))
    _, last = track.run(runner(racer(1), 5.0), runner(racer(2, route="local"), 5.0))
    assert isinstance(last.error, NoWayToAnswer)


@pytest.mark.parametrize("phase", SLOW)
def test_left_in_the_middle_of_a_race(track: Track, upstream: Upstream, phase: str) -> None:
    """Ctrl-C, or a cancelled task: both upstreams are closed within a second, both attempts settled."""
    upstream.script(SLOW[phase])
    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        track.run(runner(racer(1), 0.05), runner(racer(2), 9.0), leave_after=0.4)
    assert [closed.by for closed in upstream.wait_closed(2, timeout=1.0)] == ["client"] * 2
    assert track.outcomes() == ["abandoned", "abandoned"]


def test_a_store_that_is_slow(upstream: Upstream, tmp_path: Any) -> None:
    """The verdicts of a real store, given from its own thread, are waited for beside everything else."""
    upstream.script(by_model(m1=SLOW["headers"], m2=words(LONG)))
    for kind in KINDS:
        urls: dict[Route, str] = {"openrouter": upstream.url}
        track = Track(kind, SqliteStore(str(tmp_path / f"{kind}.db")), urls)
        for n in range(5):
            track.seen.clear()
            one, two = (racer(leg, request=f"{n:032x}") for leg in (1, 2))
            finishes = track.run(runner(one, 0.02), runner(two, 9.0))
            assert finishes[-1].place == 1
            assert track.text == LONG
        assert sorted(track.outcomes()) == ["answered"] * 5 + ["lost_race"] * 5
        track.close()


class _Silent(MemoryStore):
    """Never says anything to a Begin."""

    def begin(self, intent: Any, done: Any, claim: Any = None) -> None:
        super().begin(intent, lambda verdict: None, claim)


def test_a_store_that_says_nothing(upstream: Upstream) -> None:
    """Legs that wait for the store have their deadlines, too, and leave no thread behind."""
    for kind in KINDS:
        track = Track(kind, _Silent(), {"openrouter": upstream.url})
        finishes = track.run(runner(racer(1, idle=0.2), 0.05), runner(racer(2, idle=0.2), 9.0))
        assert [finish.result.fault for finish in finishes if finish.result] == ["Tick", "Tick"]
        track.close()


def test_cancelled_at_any_turn_of_the_loop(upstream: Upstream) -> None:
    """Wherever a cancellation lands in a race, it comes out, every row is there, no task is left."""
    upstream.script(by_model(m1=words(LONG).first(Pause(0.003)), m2=words(LONG).sliced(60)))

    async def main() -> None:
        wire = AsyncHttpWire(lambda route: Endpoint(upstream.url, ()))
        for turns in range(60):
            store = MemoryStore()
            flow = race([runner(racer(leg), 0.0) for leg in (1, 2)], 0.0, judge)
            drive = AsyncDrive(flow, store, wire)

            async def read(drive: AsyncDrive[Any] = drive) -> None:
                while await drive.advance() is not None:
                    pass

            task = asyncio.create_task(read())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() or turns
            await asyncio.sleep(0.002)
            assert len(asyncio.all_tasks()) == 1
            assert store.verify().in_flight == 0
        await wire.aclose()

    asyncio.run(main())


def test_the_callers_own_timeout_is_never_swallowed(upstream: Upstream) -> None:
    """A caller's `asyncio.timeout` about the moment at which the next one starts comes out as its TimeoutError."""
    upstream.script(words().first(Hang()))

    async def main() -> None:
        wire = AsyncHttpWire(lambda route: Endpoint(upstream.url, ()))
        loop = asyncio.get_running_loop()
        for n in range(20):
            now = loop.time()
            flow = race([runner(racer(leg), 0.03) for leg in (1, 2)], now, judge)
            drive = AsyncDrive(flow, MemoryStore(), wire)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout_at(now + 0.03 + (n - 10) * 0.0002):
                    await drive.advance()
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
        await wire.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("item", "first"),
    [("headers_timeout", ""), ("first_event_timeout", ""), ("unavailable", "status 503")],
)
def test_scripts_race_without_waiting(kind: str, item: str, first: str) -> None:
    """A scripted model that is silent loses at once against one that speaks, however long the patience is."""
    track = Track(kind, MemoryStore(), {})
    track.wire = (Script if kind == "blocking" else AsyncScript)(item, "Hello!")
    began = time.monotonic()
    lost, won = track.run(*(runner(racer(leg), 50.0) for leg in (1, 2)))
    assert (lost.result.fault if lost.result is not None else "") == first
    assert (won.place, track.text) == (1, "Hello!")
    assert track.outcomes() == [first or "lost_race", "answered"]
    assert time.monotonic() - began < 20.0
    track.close()


def test_many_races_leave_nothing(track: Track, upstream: Upstream) -> None:
    """Many races: no thread, no task and no open file more than before."""
    upstream.script(by_model(m1=words(LONG).first(Hang()), m2=words("Hello.")))

    def ours() -> int:
        """Open sockets of this process to the upstream; the upstream's own ends have its port on this side."""
        gc.collect()
        return sum(
            1 for item in gc.get_objects() if isinstance(item, socket.socket) and _is_to(item, upstream.port)
        )

    for n in range(50):
        one, two = (racer(leg, request=f"{n:032x}") for leg in (1, 2))
        track.run(runner(one, 0.0), runner(two, 9.0))
    assert sorted(track.outcomes()) == ["answered"] * 50 + ["lost_race"] * 50
    track.assert_clean()
    upstream.wait_closed(len([seen for seen in upstream.chats if seen.json["model"] == "1"]), timeout=2.0)
    assert ours() <= 2  # kept for the next request


def _is_to(sock: socket.socket, port: int) -> bool:
    try:
        return bool(sock.getpeername()[1] == port)
    except (OSError, IndexError):
        return False
