"""A task that is woken goes on at once: order, cancels, contexts, other tasks, other loops, and how it ends."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from bytedeck.io.wake import Wake

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="nobody")


async def _turn() -> None:
    """All that is ready has run."""
    for _ in range(3):
        await asyncio.sleep(0)


def _from_the_loop(step: Callable[[], object]) -> asyncio.Future[None]:
    """As a transport's callback: the loop is in no task."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        step()
        done.set_result(None)

    loop.call_soon(run)
    return done


def _python_tasks(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any) -> Any:
    return asyncio.tasks._PyTask(coro, loop=loop, **more)  # type: ignore[attr-defined]


@pytest.mark.parametrize("factory", [None, _python_tasks])
def test_it_goes_on_within_the_call(factory: Any) -> None:
    """Again and again, with tasks written in C and in Python."""

    async def main() -> list[str]:
        asyncio.get_running_loop().set_task_factory(factory)
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            for number in range(3):
                await wake
                told.append(f"woken {number}")

        async def ring() -> None:
            for _ in range(3):
                await _from_the_loop(lambda: (told.append("before"), wake.now(), told.append("after")))

        task = asyncio.get_running_loop().create_task(wait())
        await _turn()
        await ring()
        await task
        return told

    told = asyncio.run(main())
    assert told == [word for n in range(3) for word in ("before", f"woken {n}", "after")]


def test_in_another_task_it_goes_on_a_turn_later() -> None:
    """A task cannot run within another one."""

    async def main() -> None:
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            await wake
            told.append("woken")

        task = asyncio.create_task(wait())
        await _turn()
        wake.now()
        assert told == []
        await task
        assert told == ["woken"]

    asyncio.run(main())


def test_another_loop_wakes_in_its_next_turn() -> None:
    """It might take what the task raises for an error of the connection."""

    async def main() -> None:
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            await wake
            told.append("woken")

        task = asyncio.create_task(wait())
        await _turn()
        await _from_the_loop(lambda: (wake.now(), told.append("after")))
        await task
        assert told == ["after", "woken"]

    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())


def test_who_does_not_wait_is_not_woken() -> None:
    """Nor does a call before the wait count: who waits looks first."""

    async def main() -> None:
        wake = Wake(asyncio.get_running_loop())
        wake.now()
        wake.soon()
        assert not wake.cancel()

        async def wait() -> None:
            await wake

        task = asyncio.create_task(wait())
        await _turn()
        assert not task.done()
        await _from_the_loop(wake.now)
        assert task.done()

    asyncio.run(main())


@pytest.mark.parametrize("late", [False, True])
def test_a_cancel(late: bool) -> None:
    """Who was cancelled is told so, also where it is woken before it hears of it; and may wait again."""

    async def main() -> None:
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            try:
                await wake
            except asyncio.CancelledError:
                told.append("cancelled")
            await wake
            told.append("woken")

        task = asyncio.create_task(wait())
        await _turn()
        task.cancel()
        if late:
            wake.now()
        await _turn()
        assert told == ["cancelled"]
        await _from_the_loop(wake.now)
        assert told == ["cancelled", "woken"]
        await task

    asyncio.run(main())


def test_a_timeout_is_one() -> None:
    """`asyncio.timeout` and `wait_for` end the wait as any other."""

    async def main() -> None:
        wake = Wake(asyncio.get_running_loop())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await wake

        async def wait() -> None:
            await wake

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), 0.001)

    asyncio.run(main())


def test_it_goes_on_in_its_own_context() -> None:
    """Not in that of the callback."""

    async def main() -> str:
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            NAME.set("the task")
            await wake
            told.append(NAME.get())

        task = asyncio.create_task(wait())
        await _turn()
        NAME.set("main")
        await _from_the_loop(wake.now)
        await task
        return told[0]

    assert asyncio.run(main()) == "the task"


def test_an_error_of_the_task_is_the_tasks() -> None:
    """Who wakes does not hear of it; but the end of the program ends the program."""

    async def main(error: BaseException) -> str:
        wake, told = Wake(asyncio.get_running_loop()), []

        async def wait() -> None:
            await wake
            raise error

        task = asyncio.create_task(wait())
        await _turn()
        await _from_the_loop(lambda: (wake.now(), told.append("went on")))
        with pytest.raises(ValueError, match="of the task"):
            await task
        return told[0]

    assert asyncio.run(main(ValueError("of the task"))) == "went on"
    with pytest.raises(SystemExit):
        asyncio.run(main(SystemExit(3)))
