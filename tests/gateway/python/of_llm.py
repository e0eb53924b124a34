"""llm, with the models that its `extra-openai-models.yaml` names."""

from __future__ import annotations

import json as json_
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Before it is imported: this is where it looks for its settings.
_HOME = tempfile.TemporaryDirectory()
os.environ["LLM_USER_PATH"] = _HOME.name

import llm  # noqa: E402
from lines import Number, Told, answer, prompt  # noqa: E402

Asked = Mapping[str, Any]


def hub(asked: Asked) -> Any:
    row = {
        "model_id": "mine",
        "model_name": asked["model"],
        "api_base": f"{asked['url']}/v1",
        "api_key_name": "mine",
        "supports_schema": True,
        "supports_tools": True,
    }
    # JSON is YAML, too.
    Path(_HOME.name, "extra-openai-models.yaml").write_text(json_.dumps([row]), "utf-8")
    Path(_HOME.name, "keys.json").write_text(json_.dumps({"mine": asked["key"]}), "utf-8")
    return llm.get_model("mine")


async def chat(asked: Asked, told: Told) -> Told:
    said = hub(asked).prompt(prompt(asked), stream=False)
    text = said.text()
    return {"text": text, "finish": said.response_json["choices"][0]["finish_reason"]}


async def stream(asked: Asked, told: Told) -> Told:
    said = hub(asked).prompt(prompt(asked), stream=True)
    for words in said:
        told["text"] += words
    return {"finish": said.response_json["finish_reason"]}


async def tools(asked: Asked, told: Told) -> Told:
    calls: list[Any] = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        calls.append(["get_weather", {"city": city}])
        return "sunny"

    model, streamed = hub(asked), bool(asked.get("stream"))
    return {"text": model.chain(prompt(asked), tools=[get_weather], stream=streamed).text(), "calls": calls}


async def json(asked: Asked, told: Told) -> Told:
    return {"data": json_.loads(hub(asked).prompt(prompt(asked), schema=Number, stream=False).text())}


answer({"chat": chat, "stream": stream, "tools": tools, "json": json})
