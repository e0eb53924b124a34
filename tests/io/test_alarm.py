"""The one timer of a loop: everybody is woken in time, nobody is held, and who is answered in time costs none."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from answers import Hang, words
from bytedeck import AsyncHub, Timeouts, UpstreamTimeout
from bytedeck.claims import GRANTED
from bytedeck.io.adrive import _Inbox
from bytedeck.io.alarm import NEVER, Alarm
from canary import CANARY
from upstream import Upstream

MODEL = "openai/gpt-4o-mini"


class Sleeper:
    """Waits until a moment, and notes when it was woken."""

    def __init__(self, alarm: Alarm, until: float) -> None:
        self.until = until
        self.woken: list[float] = []
        alarm.join(self)
        if until < alarm.at:
            alarm.set(until)

    def ring(self, now: float) -> float:
        if now >= self.until:
            self.woken.append(now)
            self.until = NEVER
        return self.until


def counted(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments for which the loop's timers are set from now on."""
    moments: list[float] = []
    call_at: Callable[..., Any] = loop.call_at

    def noting(when: float, *arguments: Any, **options: Any) -> Any:
        moments.append(when)
        return call_at(when, *arguments, **options)

    monkeypatch.setattr(loop, "call_at", noting)
    return moments


def test_each_is_woken_once_and_in_time() -> None:
    """Whatever their order: the alarm is set for an earlier one, and again for those that still wait."""

    async def main() -> None:
        alarm = Alarm(asyncio.get_running_loop())
        now = alarm.time()
        sleepers = [Sleeper(alarm, now + seconds) for seconds in (0.06, 0.02, 0.09, 0.04, NEVER)]
        await asyncio.sleep(0.15)
        for sleeper, seconds in zip(sleepers, (0.06, 0.02, 0.09, 0.04), strict=False):
            (woken,) = sleeper.woken
            assert 0.0 <= woken - now - seconds < 0.05
        assert sleepers[-1].woken == []
        assert alarm.at == NEVER

    asyncio.run(main())


def test_who_waits_no_longer_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It rings for one that has ended, wakes nobody, and is silent until somebody else comes."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        alarm, moments = Alarm(loop), counted(loop, monkeypatch)
        sleeper = Sleeper(alarm, alarm.time() + 0.01)
        sleeper.until = NEVER
        await asyncio.sleep(0.03)
        assert (sleeper.woken, alarm.at) == ([], NEVER)
        assert len(moments) == 2  # with the sleep's own
        later = Sleeper(alarm, alarm.time() + 0.01)
        await asyncio.sleep(0.03)
        assert len(later.woken) == 1

    asyncio.run(main())


def test_it_holds_nobody() -> None:
    """Who is dropped, on this thread or another one, is forgotten at once."""

    async def main() -> None:
        alarm = Alarm(asyncio.get_running_loop())
        held = [Sleeper(alarm, alarm.time() + 0.01) for _ in range(10)]
        del held[:5]
        assert len(alarm._sleepers) == 5
        dropping = threading.Thread(target=held.clear)
        dropping.start()
        dropping.join()
        gc.collect()
        assert len(alarm._sleepers) == 0
        await asyncio.sleep(0.03)
        assert alarm.at == NEVER

    asyncio.run(main())


def test_who_is_dropped_while_it_rings() -> None:
    """One that is woken may take others with it."""

    async def main() -> None:
        alarm = Alarm(asyncio.get_running_loop())
        others: list[Sleeper] = []

        class Last(Sleeper):
            def ring(self, now: float) -> float:
                others.clear()
                return super().ring(now)

        now = alarm.time()
        last = Last(alarm, now + 0.01)
        others.extend(Sleeper(alarm, now + 0.01) for _ in range(50))
        await asyncio.sleep(0.03)
        assert len(last.woken) == 1
        assert len(alarm._sleepers) == 1

    asyncio.run(main())


class Slow(asyncio.SelectorEventLoop):
    """Whose clock is not the system's."""

    def time(self) -> float:
        return super().time() / 2 + 1000.0


def test_a_loop_with_its_own_clock() -> None:
    """Moments are the loop's."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        alarm = Alarm(loop)
        assert abs(alarm.time() - loop.time()) < 1.0
        until = loop.time() + 0.02
        sleeper = Sleeper(alarm, until)
        began = time.monotonic()
        await asyncio.sleep(0.03)
        assert time.monotonic() - began >= 0.06
        (woken,) = sleeper.woken
        assert 0.0 <= woken - until < 0.05

    loop = Slow()
    loop.run_until_complete(main())
    loop.close()


def test_requests_that_are_answered_in_time_share_one_timer(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, one after the other or at once."""
    upstream.script(words("one two three").sliced(50))

    async def main() -> None:
        async with AsyncHub(api_key=CANARY, base_url=upstream.url, database_url="memory:") as hub:
            loop = asyncio.get_running_loop()
            await hub.chat("hi", model=MODEL, timeout=Timeouts(headers=50.0))
            moments = counted(loop, monkeypatch)
            began = loop.time()
            for _ in range(5):
                await hub.chat("hi", model=MODEL, timeout=Timeouts(headers=60.0))
            await asyncio.gather(
                *(hub.stream("hi", model=MODEL, timeout=Timeouts(headers=60.0)).result() for _ in range(20))
            )
            # Only for the first that waits for less: between its words, and not for a head.
            assert len([moment for moment in moments if moment > began + 20.0]) <= 1
            monkeypatch.undo()

    asyncio.run(main())


def test_each_request_keeps_its_own_deadline(upstream: Upstream) -> None:
    """Among others that wait longer, or shorter."""
    upstream.script(words().first(Hang()))

    async def main() -> None:
        async with AsyncHub(api_key=CANARY, base_url=upstream.url, database_url="memory:") as hub:

            async def late(seconds: float) -> float:
                began = time.monotonic()
                with pytest.raises(UpstreamTimeout) as caught:
                    await hub.chat("hi", model=MODEL, timeout=Timeouts(headers=seconds), policy="error")
                assert caught.value.code == "headers_timeout"
                return time.monotonic() - began

            bounds = [0.6, 0.2, 1.0, 0.4, 0.2]
            took = await asyncio.gather(*(late(seconds) for seconds in bounds))
            for seconds, actual in zip(bounds, took, strict=True):
                assert seconds <= actual < seconds + 0.35

    asyncio.run(main())


@pytest.mark.parametrize("when", ["before", "while", "from another thread"])
def test_a_verdict_arrives(when: str) -> None:
    """Before anybody waits for it, while somebody does, and from the store's own thread."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        inbox = _Inbox(loop)
        if when == "before":
            inbox.put(GRANTED)
        elif when == "while":
            loop.call_soon(inbox.put, GRANTED)
        else:
            threading.Timer(0.02, inbox.put, (GRANTED,)).start()
        assert await asyncio.wait_for(inbox.get(), 2.0) is GRANTED
        assert await inbox.get() is GRANTED  # and is there for whoever asks again

    asyncio.run(main())


def test_a_verdict_comes_when_nobody_waits_any_more() -> None:
    """To one that was cancelled, or whose loop is closed: it hurts nobody."""
    inboxes: list[_Inbox] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            inboxes.append(inbox := _Inbox(loop))
            asking = asyncio.create_task(inbox.get())
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.sleep(0)
        inboxes[0].put(GRANTED)

    asyncio.run(main())
    inboxes[1].put(GRANTED)
    assert inboxes[1].verdict is GRANTED
