"""pydantic-ai by its OpenRouter provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lines import Number, Told, answer, prompt
from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.openrouter import OpenRouterProvider

Asked = Mapping[str, Any]


def agent(asked: Asked, **more: Any) -> Agent[None, Any]:
    client = AsyncOpenAI(base_url=f"{asked['url']}/api/v1", api_key=asked["key"], timeout=10)
    return Agent(OpenRouterModel(asked["model"], provider=OpenRouterProvider(openai_client=client)), **more)


def about(response: Any) -> Told:
    return {"finish": response.finish_reason, "cost": response.provider_details["cost"]}


async def chat(asked: Asked, told: Told) -> Told:
    found = await agent(asked).run(prompt(asked))
    return {"text": found.output, **about(found.all_messages()[-1])}


async def stream(asked: Asked, told: Told) -> Told:
    async with agent(asked).run_stream(prompt(asked)) as found:
        async for words in found.stream_text(delta=True, debounce_by=None):
            told["text"] += words
    return about(found.all_messages()[-1])


async def tools(asked: Asked, told: Told) -> Told:
    calls: list[Any] = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        calls.append(["get_weather", {"city": city}])
        return "sunny"

    weather = agent(asked, tools=[get_weather])
    if not asked.get("stream"):
        return {"text": (await weather.run(prompt(asked))).output, "calls": calls}
    async with weather.run_stream(prompt(asked)) as found:
        return {"text": await found.get_output(), "calls": calls}


async def json(asked: Asked, told: Told) -> Told:
    return {
        "data": (await agent(asked, output_type=NativeOutput(Number)).run(prompt(asked))).output.model_dump()
    }


answer({"chat": chat, "stream": stream, "tools": tools, "json": json})
