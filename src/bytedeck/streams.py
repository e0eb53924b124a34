"""Answers while they come: one class for each face, never generators, so that leaving is theirs to handle.

(An async generator that holds a timeout across a yield can be cancelled in the wrong place: PEP 789.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .events import Seam
from .io.drive import Drive
from .types import Delta, Reply

if TYPE_CHECKING:
    from .io.adrive import AsyncDrive

OnChunk = Callable[[str, str], object]
"""Called with each piece of text and the whole text so far; may be async on the async face.

Where an answer has to begin anew it is called with "" and the text that is left."""


class _Progress:
    """What both streams know of their answer so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reply: Reply | None = None
        self._is_left = False

    def _hear(self, delta: Delta) -> bool:
        """Keep what a delta brought; whether `on_chunk` has something to be told."""
        erase = delta.event.erase if isinstance(delta.event, Seam) else 0
        if erase:
            self._texts = [self.text[:-erase]]
        if delta.text:
            self._texts.append(delta.text)
        return bool(delta.text or erase)

    @property
    def text(self) -> str:
        """The text so far; a restart takes back what it replaces."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    @property
    def reply(self) -> Reply:
        """The whole Reply, once the answer is whole; `result()` waits for it. Raises RuntimeError before."""
        if self._reply is None and self._is_left:
            raise RuntimeError("the answer was left before its end: `text` holds what had come")
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
                self._is_left = self._drive.left
                if self._reply is None and not self._is_left:
                    self._reply = self._drive.result
                raise StopIteration
            self._ready = deltas[::-1]
        delta = self._ready.pop()
        if self._hear(delta) and self._on_chunk is not None:
            try:
                self._on_chunk(delta.text, self.text)
            except BaseException:  # whoever cannot take the words has left
                self.close()
                raise
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
            self._is_left = self._drive.left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Progress):
    """As `Stream`, with `async for`, `await result()`, `await aclose()`."""

    def __init__(self, drive: Callable[[], Awaitable[AsyncDrive[Reply]]], on_chunk: OnChunk | None) -> None:
        super().__init__()
        self._make = drive
        self._drive: AsyncDrive[Reply] | None = None
        self._on_chunk = on_chunk
        self._ready: list[Delta] = []
        self._is_starting = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if self._drive is None:
            if self._is_starting:
                raise RuntimeError("this answer is already being read by another task")
            self._is_starting = True
            try:
                self._drive = await self._make()
            finally:
                self._is_starting = False
        while not self._ready:
            deltas = await self._drive.advance()
            if deltas is None:
                self._is_left = self._drive.left
                if self._reply is None and not self._is_left:
                    self._reply = self._drive.result
                raise StopAsyncIteration
            self._ready = deltas[::-1]
        delta = self._ready.pop()
        if self._hear(delta) and self._on_chunk is not None:
            try:
                told = self._on_chunk(delta.text, self.text)
                if isinstance(told, Awaitable):
                    await told
            except BaseException:  # whoever cannot take the words has left
                await self.aclose()
                raise
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
            self._is_left = self._drive.left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
