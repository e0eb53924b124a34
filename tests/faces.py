"""One face over Hub and AsyncHub, so that a test can hold both to the same promise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bytedeck import AsyncHub, Hub
from bytedeck.types import Delta, Reply
from canary import CANARY

FACES = ("sync", "async")


class Face:
    """`kind` is one of FACES. Everything blocks."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self.kind = kind
        options = {"api_key": CANARY, "base_url": url} | options
        self.loop: asyncio.AbstractEventLoop | None = None
        self.hub: Any
        if kind == "sync":
            self.hub = Hub(**options)
        else:
            self.loop = asyncio.new_event_loop()
            self.hub = AsyncHub(**options)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        assert self.loop is not None
        return self.loop.run_until_complete(work)

    def chat(self, prompt: Any = "hi", **options: Any) -> Reply:
        answer = self.hub.chat(prompt, **options)
        return answer if self.loop is None else self.run(answer)

    def stream(
        self, prompt: Any = "hi", *, each: Callable[[Delta], object] = lambda delta: None, **options: Any
    ) -> tuple[str, Reply]:
        """The text put together from the deltas, and the reply."""
        if self.loop is not None:
            return self.run(self._astream(prompt, each, options))
        text = ""
        with self.hub.stream(prompt, **options) as stream:
            for delta in stream:
                text += delta.text
                each(delta)
            return text, stream.reply

    async def _astream(self, prompt: Any, each: Callable[[Delta], object], options: Any) -> tuple[str, Reply]:
        text = ""
        async with self.hub.stream(prompt, **options) as stream:
            async for delta in stream:
                text += delta.text
                each(delta)
            return text, stream.reply

    def leave_after(self, deltas: int, prompt: Any = "hi", **options: Any) -> None:
        """Read some deltas, then close the stream."""
        if self.loop is not None:
            self.run(self._aleave(deltas, prompt, options))
            return
        with self.hub.stream(prompt, **options) as stream:
            for _, _ in zip(range(deltas), stream, strict=False):
                pass

    async def _aleave(self, deltas: int, prompt: Any, options: Any) -> None:
        async with self.hub.stream(prompt, **options) as stream:
            for _ in range(deltas):
                await anext(stream)
        await asyncio.sleep(0.01)

    def rows(self) -> list[Any]:
        """The ledger's rows, newest first."""
        store = self.hub.house.store
        store.flush()
        return store.rows()

    def verify(self) -> Any:
        found = self.hub.verify()
        return found if self.loop is None else self.run(found)

    def close(self) -> None:
        if self.loop is None:
            self.hub.close()
            return
        self.run(self.hub.aclose())
        self.run(asyncio.sleep(0.01))
        self.loop.close()
