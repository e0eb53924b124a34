"""LangChain by langchain-openrouter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openrouter import ChatOpenRouter
from lines import Number, Told, answer, prompt
from openrouter.utils import BackoffStrategy, RetryConfig

Asked = Mapping[str, Any]


def hub(asked: Asked) -> ChatOpenRouter:
    made = ChatOpenRouter(
        model=asked["model"],
        base_url=f"{asked['url']}/api/v1",
        api_key=asked["key"],
        max_retries=0,
        timeout=10_000,
    )
    # No tries at all are, to the client below, tries for up to an hour.
    made.client.sdk_configuration.retry_config = RetryConfig("none", BackoffStrategy(1, 1, 1.0, 1), False)
    return made


async def chat(asked: Asked, told: Told) -> Told:
    said = await hub(asked).ainvoke(prompt(asked))
    about = said.response_metadata
    return {"text": said.content, "finish": about["finish_reason"], "cost": about["cost"]}


async def _streamed(model: Any, given: Any, told: Told | None = None) -> Any:
    """The whole message of a stream."""
    whole: Any = None
    async for chunk in model.astream(given):
        if told is not None:
            told["text"] += chunk.content
        whole = chunk if whole is None else whole + chunk
    return whole


async def stream(asked: Asked, told: Told) -> Told:
    whole = await _streamed(hub(asked), prompt(asked), told)
    return {"finish": whole.response_metadata["finish_reason"], "cost": whole.response_metadata["cost"]}


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return "sunny"


async def tools(asked: Asked, told: Told) -> Told:
    bound = hub(asked).bind_tools([get_weather])
    messages: list[Any] = [HumanMessage(prompt(asked))]
    said = await _streamed(bound, messages) if asked.get("stream") else await bound.ainvoke(messages)
    messages.append(said)
    messages += [ToolMessage("sunny", tool_call_id=call["id"]) for call in said.tool_calls]
    calls = [[call["name"], call["args"]] for call in said.tool_calls]
    last = await _streamed(bound, messages) if asked.get("stream") else await bound.ainvoke(messages)
    return {"calls": calls, "text": last.content}


async def json(asked: Asked, told: Told) -> Told:
    found = await hub(asked).with_structured_output(Number, method="json_schema").ainvoke(prompt(asked))
    return {"data": found.model_dump()}


answer({"chat": chat, "stream": stream, "tools": tools, "json": json})
