"""The simulator within this process: a thread and a loop of its own. What is asked of it is done in that loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from msgspec.structs import replace

from . import journal
from .app import App
from .errors import SimulatorError
from .server import Serving, bind, new_loop, url_of
from .settings import Settings
from .world import DEFAULT_KEY, World

_T = TypeVar("_T")


class Simulator:
    """`with Simulator() as sim:` a local OpenRouter at `sim.base_url`, whose key is `sim.api_key`.

    Takes `Settings`, or their fields by name. Any thread may use it; `async with` does the same for who has a
    loop of his own. Raises SimulatorError for what cannot be meant.
    """

    api_key = DEFAULT_KEY

    def __init__(self, settings: Settings | None = None, **fields: Any) -> None:
        try:
            self.settings = settings or Settings(**fields)
        except TypeError as exc:
            raise SimulatorError(f"That is no setting of the simulator: {exc}.") from exc
        self._app = App(self.settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        self.url = ""
        """`http://127.0.0.1:port`, once it runs."""

    @property
    def base_url(self) -> str:
        """What OPENROUTER_BASE_URL has to be."""
        return f"{self.url}/api/v1"

    @property
    def anthropic_url(self) -> str:
        """The base URL of Anthropic's SDK, which appends `/v1/messages`."""
        return f"{self.url}/api"

    def start(self) -> Simulator:
        """Bind and serve; returns once it can be reached."""
        if self._thread is not None:
            raise SimulatorError("This simulator runs already.")
        listener = bind(self.settings)
        self.url = url_of(listener)
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run, args=(listener, ready), name="simulator", daemon=True
        )
        self._thread.start()
        ready.result()
        return self

    def stop(self) -> None:
        """End every connection and the thread."""
        if self._thread is None or self._loop is None or self._ended is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._thread = self._loop = self._ended = None

    def _run(self, listener: Any, ready: concurrent.futures.Future[None]) -> None:
        with listener, asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve(listener, ready))

    async def _serve(self, listener: Any, ready: concurrent.futures.Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        serving = Serving(self._app, listener)
        try:
            await self._app.start(serving)
            await serving.start()
        except BaseException as exc:
            ready.set_exception(exc)
            raise
        ready.set_result(None)
        await self._ended.wait()
        await serving.stop()
        await self._app.stop()

    def do(self, job: Callable[[World], _T]) -> _T:
        """Do something with the simulator's world where it lives: between two requests' steps, never within one."""
        if self._loop is None:
            return job(self._app.world)
        done: concurrent.futures.Future[_T] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(job(self._app.world))
            except BaseException as exc:  # noqa: BLE001 - it belongs to who asked
                done.set_exception(exc)

        self._loop.call_soon_threadsafe(run)
        return done.result()

    def fault(self, fault: str, **when: Any) -> None:
        """From now on requests meet this fault; `when` as in a script: model, key, skin, times, rate, after, for_, every."""
        entry = {name.rstrip("_"): value for name, value in when.items()} | {"fault": fault}
        self.do(lambda world: world.add_faults([entry]))

    def script(self, entries: list[dict[str, Any]]) -> None:
        """Put this script in the place of whatever faults there were."""
        self.do(lambda world: world.set_faults(entries))

    def no_faults(self) -> None:
        """Good weather from now on."""
        self.script([])

    def journal(self, **where: Any) -> list[journal.Entry]:
        """The requests so far, oldest first: `since`, `model`, `path`, `limit` as in `Journal.find`."""
        return self.do(lambda world: world.journal.find(**where))

    def ledger(self) -> list[dict[str, Any]]:
        """What was charged, one row a generation, amounts as decimal text."""
        return self.do(lambda world: world.bank.ledger())

    def now(self) -> float:
        """The moment that its clock shows."""
        return self.do(lambda world: world.clock.now())

    def advance(self, seconds: float) -> float:
        """Move its clock."""
        return self.do(lambda world: world.clock.advance(seconds))

    def set_clock(self, moment: float) -> float:
        """Move its clock to a moment in seconds since 1970."""
        return self.do(lambda world: world.clock.set(moment))

    def reset(self, **fields: Any) -> None:
        """A world as new: money, limits, journal, faults, clock; with these settings instead of its own, until the next."""
        try:
            settings = replace(self.settings, **fields)
        except TypeError as exc:
            raise SimulatorError(f"That is no setting of the simulator: {exc}.") from exc
        self.do(lambda _: self._app.reset(settings))

    def stats(self) -> dict[str, int]:
        """Open connections, running requests, streams."""
        return self.do(lambda _: self._app.stats())

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Simulator:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)
