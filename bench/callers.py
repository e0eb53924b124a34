"""Who asks in the scenarios: our two faces, and the clients that we are compared with, each as its README says.

A peer lives in an environment of its own: `python callers.py NAME URL KEY` reads an `Asked` as a line of JSON and
answers each with a `Got`. So nothing is imported here that all of them do not have.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol


@dataclasses.dataclass
class Asked:
    """A prompt for a chain of models. `bounds` are seconds: connect, headers, first_event, idle, total."""

    prompt: str
    chain: list[str]
    bounds: dict[str, float]


@dataclasses.dataclass
class Got:
    """What the caller had in hand at the end."""

    text: str = ""
    """The words that came, put together as a caller does."""
    reply: str = ""
    """The text of the whole answer, where the client tells that apart; and of a failed one what there was."""
    error: str = ""
    """The class of the exception; "": the answer ended as a success."""
    code: str = ""
    """Our own code of it."""
    reason: str = ""
    """The provider's words."""
    finish: str = ""
    model: str = ""
    """Who answered, by the answer."""
    attempts: list[str] = dataclasses.field(default_factory=list)
    """Each try's model and outcome."""
    seams: list[str] = dataclasses.field(default_factory=list)
    cost: str = "0"
    """USD, as far as it is known."""
    seconds: float = 0.0


class Caller(Protocol):
    async def open(self, url: str, key: str) -> None: ...
    async def ask(self, asked: Asked) -> Got: ...
    async def close(self) -> None: ...


# -- ours ----------------------------------------------------------------------------------------


def taken_back(text: str, delta: Any) -> str:
    """The words shown so far, after one more delta."""
    erase = getattr(delta.event, "erase", 0)
    return (text[: len(text) - erase] if erase else text) + delta.text


def _fill(got: Got, reply: Any) -> None:
    got.reply, got.finish, got.model = reply.text, reply.finish_reason, reply.requested_model
    got.attempts = [f"{attempt.model} {attempt.outcome}" for attempt in reply.attempts]
    got.seams = [seam.kind for seam in reply.seams]
    got.cost = str(reply.cost or 0)


def _failed(got: Got, error: Any) -> None:
    got.error, got.code, got.reason = type(error).__name__, error.code, error.detail
    if error.reply is not None:
        _fill(got, error.reply)


class Ours:
    """AsyncHub. `hub` is made by who asks, who may look at its ledger afterwards."""

    def __init__(self, hub: Any, *, streamed: bool) -> None:
        self._hub, self._streamed = hub, streamed

    async def open(self, url: str, key: str) -> None:
        """The hub is open."""

    async def ask(self, asked: Asked) -> Got:
        from bytedeck import ByteError, Timeouts

        got, options = Got(), {"model": asked.chain, "timeout": Timeouts(**asked.bounds)}
        try:
            if self._streamed:
                async with self._hub.stream(asked.prompt, **options) as stream:
                    async for delta in stream:
                        got.text = taken_back(got.text, delta)
                    _fill(got, stream.reply)
            else:
                _fill(got, await self._hub.chat(asked.prompt, **options))
                got.text = got.reply
        except ByteError as error:
            _failed(got, error)
        return got

    async def close(self) -> None:
        await self._hub.aclose()


class OursBlocking:
    """Hub, in this thread: nothing else is to run meanwhile."""

    def __init__(self, hub: Any, *, streamed: bool) -> None:
        self._hub, self._streamed = hub, streamed

    async def open(self, url: str, key: str) -> None:
        """The hub is open."""

    async def ask(self, asked: Asked) -> Got:
        from bytedeck import ByteError, Timeouts

        got, options = Got(), {"model": asked.chain, "timeout": Timeouts(**asked.bounds)}
        try:
            if self._streamed:
                with self._hub.stream(asked.prompt, **options) as stream:
                    for delta in stream:
                        got.text = taken_back(got.text, delta)
                    _fill(got, stream.reply)
            else:
                _fill(got, self._hub.chat(asked.prompt, **options))
                got.text = got.reply
        except ByteError as error:
            _failed(got, error)
        return got

    async def close(self) -> None:
        self._hub.close()


# -- the others ----------------------------------------------------------------------------------


async def _read(got: Got, chunks: Any) -> None:
    async for chunk in chunks:
        got.model = chunk.model or got.model
        for choice in chunk.choices:
            got.text += choice.delta.content or ""
            got.finish = choice.finish_reason or got.finish


class OpenAI:
    """openai-python with its own retries. It has no fall-back: the first model of the chain is asked."""

    async def open(self, url: str, key: str) -> None:
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(api_key=key, base_url=url)

    async def ask(self, asked: Asked) -> Got:
        got, messages = Got(), [{"role": "user", "content": asked.prompt}]
        try:
            # Its timeout is one for each read, and comments count: the longest silence that is allowed.
            client = self._client.with_options(timeout=asked.bounds["headers"])
            chunks = await client.chat.completions.create(
                model=asked.chain[0], messages=messages, stream=True
            )
            await _read(got, chunks)
        except Exception as error:
            got.error, got.reason = type(error).__name__, str(error)
        return got

    async def close(self) -> None:
        await self._client.close()


class LiteLLM:
    """LiteLLM's Router with `fallbacks` from each model of the chain to the next: it can go on in mid-stream."""

    async def open(self, url: str, key: str) -> None:
        from litellm import Router

        self._router: Any = Router
        self._url, self._key = url, key

    async def ask(self, asked: Asked) -> Got:
        models = [
            {"model_name": name, "litellm_params": {"model": f"openrouter/{name}"} | self._params(asked)}
            for name in asked.chain
        ]
        follow = [{one: [other]} for one, other in zip(asked.chain, asked.chain[1:], strict=False)]
        router = self._router(model_list=models, fallbacks=follow)
        got, messages = Got(), [{"role": "user", "content": asked.prompt}]
        try:
            await _read(got, await router.acompletion(model=asked.chain[0], messages=messages, stream=True))
        except Exception as error:
            got.error, got.reason = type(error).__name__, str(error)
        return got

    def _params(self, asked: Asked) -> dict[str, Any]:
        return {"api_base": self._url, "api_key": self._key, "timeout": asked.bounds["headers"]}

    async def close(self) -> None:
        """It has nothing that is to be closed."""


READY = "ready"
"""What a peer's process says once everything is imported."""
PATIENCE = 60.0
"""Seconds that a peer's caller waits: its own pauses between tries are not shortened."""
PEERS: Mapping[str, Callable[[], Caller]] = {"openai": OpenAI, "litellm": LiteLLM}


async def timed(asking: Awaitable[Got], patience: float) -> Got:
    """What was got, and in how many seconds; after `patience` the caller has had enough."""
    began = time.monotonic()
    try:
        got = await asyncio.wait_for(asking, patience)
    except TimeoutError:
        got = Got(error="nothing")
    got.seconds = time.monotonic() - began
    return got


async def _serve(name: str, url: str, key: str) -> None:
    caller = PEERS[name]()
    await caller.open(url, key)
    print(READY, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = Asked(**json.loads(line))
        got = await timed(caller.ask(asked), PATIENCE)
        print(json.dumps(dataclasses.asdict(got)), flush=True)
    await caller.close()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
