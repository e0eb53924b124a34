"""Who leaves takes the upstream along, within a second and in every phase: cancelled, closed, dropped, timed out, Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from answers import Answer, End, Hang, error, words
from bytedeck import AsyncHub, Hub
from canary import CANARY
from upstream import Seen, Upstream, blackhole

sys.path.append(str(Path(__file__).parents[1] / "bench"))  # last, for it has an `upstream` of its own

from chaos import sockets

CHAIN = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"]
SAID = "The quick brown fox jumps over the lazy dog and then it"
WITHIN = 1.0
"""Seconds in which the upstream has to see it."""
BLOCKED, SPOKE, SEAM, WAITS = "request", "words", "Seam", "Waiting"
"""What has to have happened before the caller leaves: a request came in, words, or an event of this name."""


def _going_on(seen: Seen) -> Answer:
    """Repeats the last words of the broken answer, as it is asked to, goes on, and hangs."""
    (said,) = (one["content"] for one in seen.json["messages"] if one["role"] == "assistant")
    again = words(said[-60:].strip() + " runs home. And there it sleeps until the morning, ", finish=None)
    return Answer(headers=again.headers, steps=(*again.steps[:-2], Hang()))


class Phase(NamedTuple):
    """Where the caller leaves."""

    script: tuple[Any, ...]
    after: str
    requests: int = 1
    rows: tuple[str, ...] = ("abandoned",)
    """Outcomes, the oldest first."""


BROKEN = words(SAID, finish=None, usage=None, done=False).then(End())
SPEAKING = words("one two three four", finish=None, usage=None, done=False).then(Hang())
PHASES = {
    "headers": Phase((words().first(Hang()),), BLOCKED),
    "first event": Phase((words().cut(0, b": OPENROUTER PROCESSING\n\n", Hang()),), BLOCKED),
    "words": Phase((SPEAKING,), SPOKE),
    "pause": Phase((error(503, headers=[("Retry-After", "5")]),), WAITS, rows=("unavailable",)),
    "going on, headers": Phase((BROKEN, words().first(Hang())), BLOCKED, 2, ("truncated", "abandoned")),
    "going on, words": Phase((BROKEN, _going_on), SEAM, 2, ("truncated", "abandoned")),
}
SPOKEN = ("words", "pause", "going on, words")
"""The phases in which the caller has just been given something, and has the turn."""


class Watched:
    """What the caller has been given so far; `ready` once it is time to leave."""

    def __init__(self, upstream: Upstream, phase: Phase) -> None:
        self._upstream, self._phase = upstream, phase
        self.heard: set[str] = set()

    def hear(self, delta: Any) -> None:
        self.heard.add(type(delta.event).__name__)
        if delta.text:
            self.heard.add(SPOKE)

    @property
    def ready(self) -> bool:
        came = len(self._upstream.chats) >= self._phase.requests
        return came and self._phase.after in {BLOCKED, *self.heard}


@pytest.fixture(params=PHASES)
def phase(request: pytest.FixtureRequest, upstream: Upstream) -> Phase:
    found = PHASES[request.param]
    upstream.script(*found.script)
    return found


@pytest.fixture
def hub(upstream: Upstream) -> Iterator[Hub]:
    with Hub(api_key=CANARY, base_url=upstream.url) as made:
        yield made


def _options(upstream: Upstream) -> dict[str, Any]:
    return {"api_key": CANARY, "base_url": upstream.url}


def until(true: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Wait for it; AssertionError where it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def seen_to_close(upstream: Upstream, phase: Phase) -> None:
    """The last request's connection has been closed by the client; in a pause there is none to close."""
    last = upstream.chats[-1].connection
    if phase.after != WAITS:
        until(
            lambda: last in {one.connection for one in upstream.closed}, "the upstream is still there", WITHIN
        )
        (closed,) = (one for one in upstream.closed if one.connection == last)
        assert closed.by == "client"
    assert len(upstream.chats) == phase.requests


def settled(hub: Any, phase: Phase) -> None:
    """Every attempt has one settlement, and says why it ended."""
    hub.house.store.flush()
    rows = hub.house.store.rows()[::-1]
    assert tuple(row.outcome for row in rows) == phase.rows
    assert hub.house.store.verify().ok


# -- blocking ------------------------------------------------------------------------------------


def _interrupt(when: Callable[[], object]) -> threading.Thread:
    """A thread that presses Ctrl-C once it is time."""
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        until(when, "the phase was never reached")
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def _read(hub: Hub, watched: Watched) -> None:
    with hub.stream("hi", model=CHAIN) as stream:
        for delta in stream:
            watched.hear(delta)


def test_ctrl_c(phase: Phase, upstream: Upstream, hub: Hub) -> None:
    """Ctrl-C comes out as itself, wherever the caller waits."""
    watched = Watched(upstream, phase)
    presses = _interrupt(lambda: watched.ready)
    with pytest.raises(KeyboardInterrupt):
        _read(hub, watched)
    presses.join()
    seen_to_close(upstream, phase)
    settled(hub, phase)


def test_ctrl_c_in_a_chat(upstream: Upstream, hub: Hub) -> None:
    """The same where nothing is streamed."""
    phase = PHASES["headers"]
    upstream.script(*phase.script)
    presses = _interrupt(lambda: upstream.chats)
    with pytest.raises(KeyboardInterrupt):
        hub.chat("hi", model=CHAIN)
    presses.join()
    seen_to_close(upstream, phase)
    settled(hub, phase)


@pytest.mark.parametrize("name", SPOKEN)
@pytest.mark.parametrize("way", ["close", "with", "drop"])
def test_left(way: str, name: str, upstream: Upstream, hub: Hub) -> None:
    """A stream that is closed, left by its block, or forgotten."""
    phase = PHASES[name]
    upstream.script(*phase.script)
    watched = Watched(upstream, phase)
    stream: Any = hub.stream("hi", model=CHAIN)
    for delta in stream:
        watched.hear(delta)
        if watched.ready:
            break
    if way == "drop":
        with pytest.warns(ResourceWarning, match="unclosed answer"):
            del stream
    elif way == "close":
        stream.close()
        stream.close()
    else:
        with stream:
            pass
    seen_to_close(upstream, phase)
    settled(hub, phase)


def test_ctrl_c_while_connecting() -> None:
    """To a port that neither accepts nor refuses: the socket is gone at once."""
    with blackhole() as url, Hub(api_key=CANARY, base_url=url, database_url="memory:") as hub:
        before = sockets()
        presses = _interrupt(lambda: sockets() == before + 2)  # the catalogue is asked for, too
        with pytest.raises(KeyboardInterrupt):
            hub.chat("hi", model=CHAIN, timeout=30)
        presses.join()
        until(
            lambda: [row.outcome for row in hub.house.store.rows()] == ["abandoned"], "no settlement", WITHIN
        )


# -- async ---------------------------------------------------------------------------------------


async def _aread(hub: AsyncHub, watched: Watched, bound: asyncio.Timeout) -> None:
    async with bound, hub.stream("hi", model=CHAIN) as stream:
        async for delta in stream:
            watched.hear(delta)


@pytest.mark.parametrize("way", ["cancel", "timeout"])
def test_left_by_a_task(way: str, phase: Phase, upstream: Upstream) -> None:
    """A task that is cancelled, or whose own time is over: it comes out as what it is."""

    async def main() -> None:
        async with AsyncHub(**_options(upstream)) as hub:
            watched, bound = Watched(upstream, phase), asyncio.timeout(None)
            task = asyncio.create_task(_aread(hub, watched, bound))
            await asyncio.to_thread(until, lambda: watched.ready, "the phase was never reached")
            if way == "cancel":
                task.cancel()
            else:
                bound.reschedule(asyncio.get_running_loop().time())
            with pytest.raises(asyncio.CancelledError if way == "cancel" else TimeoutError):
                await task
            await asyncio.to_thread(seen_to_close, upstream, phase)
            await asyncio.to_thread(settled, hub, phase)

    asyncio.run(main())


@pytest.mark.parametrize("name", SPOKEN)
def test_left_by_aclose(name: str, upstream: Upstream) -> None:
    """A stream that is closed where it has just given something."""
    phase = PHASES[name]
    upstream.script(*phase.script)

    async def main() -> None:
        async with AsyncHub(**_options(upstream)) as hub:
            watched = Watched(upstream, phase)
            stream = hub.stream("hi", model=CHAIN)
            async for delta in stream:
                watched.hear(delta)
                if watched.ready:
                    break
            await stream.aclose()
            await stream.aclose()
            await asyncio.to_thread(seen_to_close, upstream, phase)
            await asyncio.to_thread(settled, hub, phase)

    asyncio.run(main())


def test_cancelled_while_connecting() -> None:
    """To a port that neither accepts nor refuses: the socket is gone at once."""

    async def main(url: str) -> None:
        async with AsyncHub(api_key=CANARY, base_url=url, database_url="memory:") as hub:
            before = sockets()
            task = asyncio.create_task(hub.chat("hi", model=CHAIN, timeout=30))
            await asyncio.to_thread(until, lambda: sockets() == before + 2, "nothing was connected")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [row.outcome for row in hub.house.store.rows()] == ["abandoned"]

    with blackhole() as url:
        asyncio.run(main(url))
