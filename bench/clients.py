"""Who is measured: each client's own way to stream an answer, and to ask for a whole one.

Each is used as its README says, with its own defaults. Nothing of a client is imported before
`open`. `stream` gives every piece of text to the meter; `call` returns the text.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

MODEL = "openai/gpt-4o-mini"
KEY = "sk-or-v1-bench"


class Meter(Protocol):
    def add(self, text: str) -> None: ...


def ledger(folder: str) -> str:
    """A file of its own for each process."""
    return f"sqlite:///{folder}/ledger-{os.getpid()}.sqlite3"


class Bytedeck:
    """The async hub; the ledger is on."""

    def __init__(self, folder: str) -> None:
        self._ledger = ledger(folder)

    async def open(self, url: str) -> None:
        from bytedeck import AsyncHub

        self._hub = AsyncHub(api_key=KEY, base_url=url, database_url=self._ledger)

    async def stream(self, prompt: str, meter: Meter) -> None:
        async with self._hub.stream(prompt, model=MODEL) as stream:
            async for delta in stream:
                meter.add(delta.text)

    async def call(self, prompt: str) -> str:
        return str(await self._hub.chat(prompt, model=MODEL))


LIMITS = """
[limits]
per_model = "60_000_000/minute"
[budget]
daily = "900000"
"""
"""One of each, and neither is ever reached."""


class BytedeckLimited(Bytedeck):
    """The async hub with a rate limit and a hard budget; counts its round trips to the ledger."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        path = os.path.join(folder, f"limits-{os.getpid()}.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(LIMITS)
        os.environ["BYTE_CONFIG"] = path
        self.trips = 0
        """Transactions of the ledger that were committed."""

    async def open(self, url: str) -> None:
        await super().open(url)
        from bytedeck.io.sqlite_file import SqliteFile

        insert_all = SqliteFile._insert_all

        def counted(*args: Any) -> Any:
            self.trips += 1
            return insert_all(*args)

        SqliteFile._insert_all = counted  # type: ignore[method-assign]


class BytedeckSync:
    """The blocking hub; the ledger is on."""

    def __init__(self, folder: str) -> None:
        self._ledger = ledger(folder)

    def open(self, url: str) -> None:
        from bytedeck import Hub

        self._hub = Hub(api_key=KEY, base_url=url, database_url=self._ledger)

    def stream(self, prompt: str, meter: Meter) -> None:
        with self._hub.stream(prompt, model=MODEL) as stream:
            for delta in stream:
                meter.add(delta.text)

    def call(self, prompt: str) -> str:
        return str(self._hub.chat(prompt, model=MODEL))


class OpenAI:
    async def open(self, url: str) -> None:
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(api_key=KEY, base_url=url)

    async def stream(self, prompt: str, meter: Meter) -> None:
        messages: Any = [{"role": "user", "content": prompt}]
        async for chunk in await self._client.chat.completions.create(
            model=MODEL, messages=messages, stream=True
        ):
            if chunk.choices:
                meter.add(chunk.choices[0].delta.content or "")

    async def call(self, prompt: str) -> str:
        messages: Any = [{"role": "user", "content": prompt}]
        reply = await self._client.chat.completions.create(model=MODEL, messages=messages)
        return reply.choices[0].message.content or ""


class OpenAISync:
    def open(self, url: str) -> None:
        from openai import OpenAI

        self._client = OpenAI(api_key=KEY, base_url=url)

    def stream(self, prompt: str, meter: Meter) -> None:
        messages: Any = [{"role": "user", "content": prompt}]
        for chunk in self._client.chat.completions.create(model=MODEL, messages=messages, stream=True):
            if chunk.choices:
                meter.add(chunk.choices[0].delta.content or "")

    def call(self, prompt: str) -> str:
        messages: Any = [{"role": "user", "content": prompt}]
        return (
            self._client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content
            or ""
        )


class OpenRouter:
    """OpenRouter's official SDK."""

    async def open(self, url: str) -> None:
        from openrouter import OpenRouter

        self._client = OpenRouter(api_key=KEY, server_url=url)

    async def stream(self, prompt: str, meter: Meter) -> None:
        messages: Any = [{"role": "user", "content": prompt}]
        async with await self._client.chat.send_async(model=MODEL, messages=messages, stream=True) as stream:
            async for chunk in stream:
                if chunk.choices:
                    meter.add(chunk.choices[0].delta.content or "")

    async def call(self, prompt: str) -> str:
        messages: Any = [{"role": "user", "content": prompt}]
        reply = await self._client.chat.send_async(model=MODEL, messages=messages)
        return str(reply.choices[0].message.content)


class LiteLLM:
    """LiteLLM's SDK; its price list is taken from its own package, not from the network."""

    async def open(self, url: str) -> None:
        import litellm

        self._ask = litellm.acompletion
        self._options: dict[str, Any] = {"model": f"openrouter/{MODEL}", "api_base": url, "api_key": KEY}

    async def stream(self, prompt: str, meter: Meter) -> None:
        messages = [{"role": "user", "content": prompt}]
        async for chunk in await self._ask(messages=messages, stream=True, **self._options):
            meter.add(chunk.choices[0].delta.content or "")

    async def call(self, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        return str((await self._ask(messages=messages, **self._options)).choices[0].message.content)


class Row(NamedTuple):
    """One measured client."""

    label: str
    peer: str
    """Which environment it lives in: "" is ours, any other is installed on demand."""
    statement: str
    """What its user writes first. Not the bare `import`: packages may put their work off to the name."""
    make: Callable[[str], Any]
    """Given the folder for its files."""
    sync: bool = False
    open_streams: int = 500
    """For the memory test; fewer where the client's own default allows no more."""
    counts_trips: bool = False
    """Whether it counts its round trips to the ledger, in `trips`."""


CLIENTS: dict[str, Row] = {
    "bytedeck": Row("bytedeck", "", "from bytedeck import AsyncHub", Bytedeck),
    "bytedeck-limited": Row(
        "bytedeck, limit + budget", "", "from bytedeck import AsyncHub", BytedeckLimited, counts_trips=True
    ),
    "openai": Row("openai-python", "", "from openai import AsyncOpenAI", lambda _: OpenAI()),
    "openrouter": Row(
        "openrouter (official SDK)",
        "openrouter",
        "from openrouter import OpenRouter",
        lambda _: OpenRouter(),
        open_streams=100,
    ),
    "litellm": Row("litellm", "litellm", "import litellm", lambda _: LiteLLM()),
    "bytedeck-sync": Row("bytedeck, sync", "", "from bytedeck import Hub", BytedeckSync, sync=True),
    "openai-sync": Row(
        "openai-python, sync", "", "from openai import OpenAI", lambda _: OpenAISync(), sync=True
    ),
}
