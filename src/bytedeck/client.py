"""Hub and AsyncHub: the one door. They build a pipeline and drive it.

Both faces have the same methods with the same arguments; the async one is awaited.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from . import pipeline
from .config import Task
from .house import Explanation, House
from .io.drive import Drive
from .io.store import Store
from .ledger.report import By, Report, Verification, parse_since
from .types import Ask, Delta, Message, Reply, Timeouts

if TYPE_CHECKING:
    # Imported where it is used: 50 ms that a blocking program need not pay.
    import asyncio

    from .io.adrive import AsyncDrive
    from .io.testing import AsyncScript, Script
    from .io.wire import AsyncWire, Wire

OnChunk = Callable[[str, str], object]
"""Called with each piece of text and the whole text so far; may be async on the async face."""

# How long closing waits for a catalogue that is on its way, so that the next run has prices.
_CATALOGUE_GRACE = 0.5


class _Face:
    """What both faces answer alike, and without waiting for anyone."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        database_url: str | None = None,
        home: str | Path | None = None,
        config: str | Path | None = None,
    ) -> None:
        """What is not given comes from the environment, then the user's file, then what ships.

        Raises ConfigError where the configuration cannot be read.
        """
        self.house = House(
            api_key=api_key, base_url=base_url, database_url=database_url, home=home, config=config
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.house.config.base_url}>"

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The task registry by canonical name."""
        return self.house.config.tasks

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the configuration, a sentence each; and rows that the ledger lost."""
        lost = self.house.store.lost if "store" in self.house.__dict__ else []
        return (*self.house.config.warnings, *lost)


class Hub(_Face):
    """The blocking face. Threads may share one; close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        database_url: str | None = None,
        home: str | Path | None = None,
        config: str | Path | None = None,
    ) -> None:
        super().__init__(
            api_key=api_key, base_url=base_url, database_url=database_url, home=home, config=config
        )
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._sleep: Callable[[float], None] = time.sleep
        self._fetching: threading.Thread | None = None

    def chat(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Reply:
        """Ask, and return the whole answer.

        `prompt`: a text, or messages as the wire has them. `task`: a task's name ("coding") or "auto".
        `model`: an id, an alias, or several: a chain. Neither: the task `general`. `system`: put before
        the messages. `timeout`: seconds for the whole request, or `Timeouts`. `max_cost`: USD that all
        attempts together may cost ("0.05"); what could cost more is not sent. `headers`: sent along.
        `params`: any other field of the request (temperature, tools, reasoning, …), passed on untouched.

        Raises a ByteError with the partial text, the attempts and the upstream's own words.
        An answer that `max_tokens` cut is returned, with `finish_reason` "length".
        """
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=False,
        )  # fmt: skip
        drive = self._drive(ask)
        while drive.advance() is not None:
            pass
        return drive.result

    def stream(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        on_chunk: OnChunk | None = None,
        **params: Any,
    ) -> Stream:
        """Ask, and iterate over the answer while it comes. Arguments and errors as for `chat`.

        `on_chunk(content, full)` is called with each piece of text and the whole text so far.
        Nothing is sent before the first iteration.
        """
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=True,
        )  # fmt: skip
        return Stream(lambda: self._drive(ask), on_chunk)

    def explain(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Explanation:
        """Which models would be asked, why, and what the first could cost at worst. Nothing is sent to a model."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=False,
        )  # fmt: skip
        if self._may_fetch():
            self.house.models.fetch(self.wire)
        return self.house.explain(ask)

    def usage(self, by: By = "task", since: datetime | str | None = None) -> Report:
        """What was spent, by task, model, key or day, since a moment ("7d", "24h", "2026-11-01", "today")."""
        return self._settled().usage(by, _moment(since))

    def verify(self) -> Verification:
        """Look through the whole ledger."""
        return self._settled().verify()

    @contextmanager
    def testing(self, *script: Any) -> Iterator[Script]:
        """Within the block a script answers instead of a model, without network, key or waiting.

        Each item answers one attempt: a text, a `Reply`, a ByteError class or code ("rate_limited", or
        with the words that came before: `("truncated", "Hel")`), or raw bytes of a stream. The last one repeats.
        The rows go to a ledger in memory.
        """
        from .io.memory import MemoryStore
        from .io.testing import Script

        scripted = Script(*script)
        wire, sleep, store = self._wire, self._sleep, self.house.__dict__.get("store")
        self._wire, self._sleep = scripted, scripted.sleep
        self.house.scripted, self.house.__dict__["store"] = True, MemoryStore()
        try:
            yield scripted
        finally:
            self._wire, self._sleep, self.house.scripted = wire, sleep, False
            del self.house.__dict__["store"]
            if store is not None:
                self.house.__dict__["store"] = store

    @property
    def wire(self) -> Wire:
        """The network, made at first use."""
        with self._lock:
            if self._wire is None:
                from .io.http import HttpWire

                self._wire = HttpWire(self.house.endpoint)
            return self._wire

    def _drive(self, ask: Ask) -> Drive[Reply]:
        if self._may_fetch():
            self._fetching = threading.Thread(
                target=self.house.models.fetch, args=(self.wire,), name="bytedeck-catalogue", daemon=True
            )
            self._fetching.start()
        flow = pipeline.answer(ask, self.house.deck(ask), time.monotonic())
        return Drive(flow, self.house.store, self.wire, sleep=self._sleep)

    def _may_fetch(self) -> bool:
        return self.house.config.api_key is not None and not self.house.scripted and self.house.models.due()

    def _settled(self) -> Store:
        self.house.store.flush()
        return self.house.store

    def close(self) -> None:
        """Write what is still to be written, let go of connections, end the local model. Idempotent."""
        if self._fetching is not None:
            self._fetching.join(_CATALOGUE_GRACE)
        self.house.close()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncHub(_Face):
    """The async face, on asyncio. Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        database_url: str | None = None,
        home: str | Path | None = None,
        config: str | Path | None = None,
        wire: Literal["auto", "aiohttp", "httpcore2"] = "auto",
    ) -> None:
        """`wire`: which HTTP library carries the requests; "auto" takes aiohttp where it is installed."""
        super().__init__(
            api_key=api_key, base_url=base_url, database_url=database_url, home=home, config=config
        )
        self._kind = wire
        self._wire: AsyncWire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fetching: asyncio.Task[object] | None = None

    async def chat(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109 (the engine's deadlines, not a cancel scope)
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Reply:
        """As `Hub.chat`. Cancelling it closes the upstream and settles the attempt."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=False,
        )  # fmt: skip
        drive = self._drive(ask)
        while await drive.advance() is not None:
            pass
        return drive.result

    def stream(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        on_chunk: OnChunk | None = None,
        **params: Any,
    ) -> AsyncStream:
        """As `Hub.stream`; iterate with `async for`. `on_chunk` may be async."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=True,
        )  # fmt: skip
        return AsyncStream(lambda: self._drive(ask), on_chunk)

    async def explain(
        self,
        prompt: str | Iterable[Message],
        *,
        task: str = "",
        model: str | Iterable[str] = "",
        system: str = "",
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109
        max_cost: Decimal | str | None = None,
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Explanation:
        """As `Hub.explain`."""
        ask = self.house.ask(
            prompt, task=task, model=model, system=system, timeout=timeout,
            max_cost=max_cost, headers=headers, params=params, streamed=False,
        )  # fmt: skip
        if self._may_fetch():
            await self.house.models.afetch(self.wire)
        return self.house.explain(ask)

    async def usage(self, by: By = "task", since: datetime | str | None = None) -> Report:
        """As `Hub.usage`."""
        import asyncio

        return await asyncio.to_thread(lambda: self._settled().usage(by, _moment(since)))

    async def verify(self) -> Verification:
        """As `Hub.verify`."""
        import asyncio

        return await asyncio.to_thread(lambda: self._settled().verify())

    @asynccontextmanager
    async def testing(self, *script: Any) -> AsyncIterator[AsyncScript]:
        """As `Hub.testing`."""
        import asyncio

        from .io.memory import MemoryStore
        from .io.testing import AsyncScript

        scripted = AsyncScript(*script)
        wire, loop, store = self._wire, self._loop, self.house.__dict__.get("store")
        self._wire, self._loop = scripted, asyncio.get_running_loop()
        self.house.scripted, self.house.__dict__["store"] = True, MemoryStore()
        try:
            yield scripted
        finally:
            self._wire, self._loop, self.house.scripted = wire, loop, False
            del self.house.__dict__["store"]
            if store is not None:
                self.house.__dict__["store"] = store

    @property
    def wire(self) -> AsyncWire:
        """The network, made at first use in a loop: connections belong to their loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            self._wire, self._loop = self._make_wire(), loop
        return self._wire

    def _make_wire(self) -> AsyncWire:
        kind = self._kind
        if kind == "auto":
            kind = "aiohttp" if find_spec("aiohttp") else "httpcore2"
        if kind == "aiohttp":
            from .io.aio import AiohttpWire

            return AiohttpWire(self.house.endpoint)
        from .io.http import AsyncHttpWire

        return AsyncHttpWire(self.house.endpoint)

    def _drive(self, ask: Ask) -> AsyncDrive[Reply]:
        import asyncio

        from .io.adrive import AsyncDrive

        if self._may_fetch():
            self._fetching = asyncio.get_running_loop().create_task(self.house.models.afetch(self.wire))
        flow = pipeline.answer(ask, self.house.deck(ask), asyncio.get_running_loop().time())
        return AsyncDrive(flow, self.house.store, self.wire)

    def _may_fetch(self) -> bool:
        return self.house.config.api_key is not None and not self.house.scripted and self.house.models.due()

    def _settled(self) -> Store:
        self.house.store.flush()
        return self.house.store

    async def aclose(self) -> None:
        """As `Hub.close`."""
        import asyncio

        fetching, self._fetching = self._fetching, None
        if fetching is not None and fetching.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({fetching}, timeout=_CATALOGUE_GRACE)
            fetching.cancel()
            await asyncio.wait({fetching})
        wire, self._wire = self._wire, None
        if wire is not None and self._loop is asyncio.get_running_loop():
            await wire.aclose()
        await asyncio.to_thread(self.house.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Progress:
    """What both streams know of their answer so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reply: Reply | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    @property
    def reply(self) -> Reply:
        """The whole Reply, once the answer is whole; `result()` waits for it. Raises RuntimeError before."""
        if self._reply is None:
            raise RuntimeError("the answer is not whole yet: iterate to its end, or call result()")
        return self._reply


class Stream(_Progress):
    """An answer while it comes: iterate over its `Delta`s. Closes itself at its end; else close it."""

    def __init__(self, drive: Callable[[], Drive[Reply]], on_chunk: OnChunk | None) -> None:
        super().__init__()
        self._make = drive
        self._drive: Drive[Reply] | None = None
        self._on_chunk = on_chunk
        self._ready: list[Delta] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        if self._drive is None:
            self._drive = self._make()
        while not self._ready:
            deltas = self._drive.advance()
            if deltas is None:
                if self._reply is None and not self._drive.left:
                    self._reply = self._drive.result
                raise StopIteration
            self._ready = deltas[::-1]
        delta = self._ready.pop()
        if delta.text:
            self._texts.append(delta.text)
            if self._on_chunk is not None:
                self._on_chunk(delta.text, self.text)
        return delta

    def result(self) -> Reply:
        """Read on to the end and return the whole Reply."""
        for _ in self:
            pass
        return self.reply

    def close(self) -> None:
        """Leave: the upstream is closed and the attempt settled. Idempotent."""
        if self._drive is not None:
            self._drive.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Progress):
    """As `Stream`, with `async for`, `await result()`, `await aclose()`."""

    def __init__(self, drive: Callable[[], AsyncDrive[Reply]], on_chunk: OnChunk | None) -> None:
        super().__init__()
        self._make = drive
        self._drive: AsyncDrive[Reply] | None = None
        self._on_chunk = on_chunk
        self._ready: list[Delta] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if self._drive is None:
            self._drive = self._make()
        while not self._ready:
            deltas = await self._drive.advance()
            if deltas is None:
                if self._reply is None and not self._drive.left:
                    self._reply = self._drive.result
                raise StopAsyncIteration
            self._ready = deltas[::-1]
        delta = self._ready.pop()
        if delta.text:
            self._texts.append(delta.text)
            if self._on_chunk is not None:
                told = self._on_chunk(delta.text, self.text)
                if isinstance(told, Awaitable):
                    await told
        return delta

    async def result(self) -> Reply:
        """Read on to the end and return the whole Reply."""
        async for _ in self:
            pass
        return self.reply

    async def aclose(self) -> None:
        """Leave: the upstream is closed and the attempt settled. Idempotent."""
        if self._drive is not None:
            self._drive.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


_default: Hub | None = None
_default_lock = threading.Lock()


def default_hub() -> Hub:
    """The hub that `bytedeck.chat` and `bytedeck.stream` share, made from the environment at first use."""
    global _default
    with _default_lock:
        if _default is None:
            import atexit

            _default = Hub()
            atexit.register(_default.close)
        return _default


def chat(prompt: str | Iterable[Message], **options: Any) -> Reply:
    """`Hub.chat` on the shared hub."""
    return default_hub().chat(prompt, **options)


def stream(prompt: str | Iterable[Message], **options: Any) -> Stream:
    """`Hub.stream` on the shared hub."""
    return default_hub().stream(prompt, **options)


def _moment(since: datetime | str | None) -> datetime | None:
    return parse_since(since, datetime.now(UTC)) if isinstance(since, str) else since
