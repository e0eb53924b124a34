"""One face over the wires, so that a test can hold them all to the same promise."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable
from typing import Any

from bytedeck.io.wire import Endpoint, Late
from bytedeck.types import Request

WIRES = ("blocking", "async", *(["uvloop"] if importlib.util.find_spec("uvloop") else []))
POST = Request(route="openrouter", path="/chat/completions", body=b'{"model":"a/b"}', connect_timeout=2.0)


class Blocking:
    """The blocking wire, as it is."""

    def __init__(self, url: str) -> None:
        from bytedeck.io.http import HttpWire

        self.wire = HttpWire(lambda route: Endpoint(url, (("authorization", "Bearer sk-or-v1-wire"),)))

    def ask(
        self,
        request: Request = POST,
        within: float = 3.0,
        whole: bool = True,
        enough: int = 1 << 60,
        each: Callable[[bytes], object] = len,
    ) -> tuple[int, dict[str, str], bytes]:
        """`enough`: how many bytes to read before the line is closed; `each` gets what is read as it comes."""
        line = self.wire.line(request)
        done = False
        until = time.monotonic() + within
        try:
            status, headers = line.open(until)
            body = b""
            while len(body) < enough and (data := line.read(until)):
                each(data)
                body += data
            done = whole
            return status, headers, body
        finally:
            line.close(done)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def close(self) -> None:
        self.wire.close()


class Async:
    """The async wire behind the same face; the deadline is the driver's, here `asyncio.timeout_at`."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.new_event_loop()
        endpoint = Endpoint(url, (("authorization", "Bearer sk-or-v1-wire"),))
        self.wire: Any = self.loop.run_until_complete(self._make(endpoint))

    async def _make(self, endpoint: Endpoint) -> Any:
        from bytedeck.io.aio import AsyncHttpWire

        return AsyncHttpWire(lambda route: endpoint)

    def ask(self, request: Request = POST, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """As `Blocking.ask`."""
        return self.loop.run_until_complete(self._ask(request, **options))

    async def _ask(
        self,
        request: Request,
        within: float = 3.0,
        whole: bool = True,
        enough: int = 1 << 60,
        each: Callable[[bytes], object] = len,
    ) -> tuple[int, dict[str, str], bytes]:
        line = self.wire.line(request)
        done = False
        try:
            async with asyncio.timeout(within):
                status, headers = await line.open()
                body = b""
                while len(body) < enough and (data := await line.read()):
                    each(data)
                    body += data
            done = whole
            return status, headers, body
        except TimeoutError:
            raise Late from None
        finally:
            line.close(done)
            await asyncio.sleep(0.02)

    def rest(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def close(self) -> None:
        self.loop.run_until_complete(self.wire.aclose())
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()


def wire_of(kind: str, url: str) -> Blocking | Async:
    """`kind` is one of WIRES."""
    if kind == "blocking":
        return Blocking(url)
    if kind == "async":
        return Async(url)
    import uvloop

    return Async(url, uvloop.new_event_loop())
