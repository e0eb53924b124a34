"""`POST /completions`, the old form: a prompt goes in, choices[].text comes out; money, limits and failures as everywhere."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import OpenAI

from bytedeck.simulator import Simulator
from bytedeck.simulator.money import accounts
from simclient import MODEL, Came, ask, chat


def complete(sim: Simulator, fault: str = "", key: str = "", **more: Any) -> Came:
    headers = {"X-Sim-Fault": fault} if fault else {}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    return ask(sim, "POST", "/api/v1/completions", {"model": MODEL, "prompt": "hi"} | more, headers)


def text(came: Came) -> str:
    return "".join(c["text"] for e in came.events if isinstance(e, dict) for c in e.get("choices") or ())


def test_it_says_what_chat_says(openrouter: Simulator) -> None:
    """The same words, tokens and cost for the same question, streamed or not, and every key of the superset."""
    told, spoken, stream = complete(openrouter).json, chat(openrouter).json, complete(openrouter, stream=True)
    [choice] = told["choices"]
    assert choice["text"] == spoken["choices"][0]["message"]["content"] == text(stream)
    assert told["usage"] == spoken["usage"] == stream.events[-2]["usage"]
    assert told["object"] == stream.events[0]["object"] == "text_completion"
    assert (choice["finish_reason"], choice["logprobs"]) == ("stop", None)
    assert {"id", "created", "provider", "system_fingerprint", "model"} <= told.keys()
    assert stream.events[-1] == "[DONE]"
    assert len({row["cost"] for row in openrouter.ledger()}) == 1


def test_openais_client_completes(sim: Simulator) -> None:
    """Whole, streamed, stopped and refused."""
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, timeout=5, max_retries=0) as client:
        told = client.completions.create(model=MODEL, prompt="hi", max_tokens=9)
        assert (told.choices[0].finish_reason, told.usage and told.usage.completion_tokens) == ("length", 9)
        chunks = list(client.completions.create(model=MODEL, prompt="hi", max_tokens=9, stream=True))
        assert "".join(c.text for chunk in chunks for c in chunk.choices) == told.choices[0].text
        stopped = client.completions.create(model=MODEL, prompt='[[sim: say="one two three"]]', stop=["two"])
        assert stopped.choices[0].text == "one "
        with pytest.raises(openai.APIError, match="invalid response"):
            list(client.completions.create(model="sim/error_chunk", prompt="hi", stream=True))
        with pytest.raises(openai.InternalServerError):
            client.completions.create(model="sim/overloaded", prompt="hi")


def test_reasoning_stands_beside_the_text(openrouter: Simulator) -> None:
    """And is counted."""
    told = complete(openrouter, model="deepseek/deepseek-r1").json
    assert told["choices"][0]["reasoning"]
    assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    stream = complete(openrouter, model="deepseek/deepseek-r1", stream=True)
    assert text(stream) == told["choices"][0]["text"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"temperature": 5}, "temperature"),
        ({"models": ["a/b"] * 4}, "3 items"),
        ({"provider": {"x": 1}}, "unrecognized key"),
        ({"stop": list("abcde")}, "stop"),
    ],
)
def test_what_is_forbidden_is_a_400(openrouter: Simulator, more: dict[str, Any], words: str) -> None:
    came = complete(openrouter, **more)
    assert (came.status, words in came.json["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("key", "status"), [(accounts.POOR, 402), (accounts.DISABLED, 401), (accounts.MANAGEMENT, 403)]
)
def test_money_and_keys_count_here_too(openrouter: Simulator, key: str, status: int) -> None:
    assert complete(openrouter, key=key, model="openai/gpt-4o").status == status


@pytest.mark.parametrize(
    ("fault", "has_id", "choices"), [("F1", True, 1), ("F2", False, None), ("F3", True, 0), ("F4", True, 1)]
)
def test_failures_within_a_stream(sim: Simulator, fault: str, has_id: bool, choices: int | None) -> None:
    """F1 to F4 as chunks of this form."""
    events = [event for event in complete(sim, fault, stream=True).events if event != "[DONE]"]
    last = events[-1]
    assert sum(bool(c["text"]) for event in events[:-1] for c in event["choices"]) == 3
    assert ("id" in last, "error" in last) == (has_id, fault != "F4")
    assert (len(last["choices"]) if "choices" in last else None) == choices
    if choices:
        assert (last["choices"][0]["finish_reason"], last["object"]) == ("error", "text_completion")


def test_failures_of_a_whole_body(sim: Simulator) -> None:
    """F5 has no choices, F6 a part of the text and the error; both are free."""
    f5, f6 = complete(sim, "F5").json, complete(sim, "F6").json
    assert (f5["error"]["code"], "choices" in f5) == (429, False)
    [choice] = f6["choices"]
    assert (choice["finish_reason"], choice["error"]["code"], bool(choice["text"])) == ("error", 502, True)
    assert [row["cost"] for row in sim.ledger()] == ["0", "0"]


def test_usage_has_both_forms(sim: Simulator) -> None:
    """SSE-07 and SSE-08."""
    double, bare = (complete(sim, fault, stream=True).events[-2] for fault in ("double_finish", "bare_usage"))
    assert (double["choices"][0]["finish_reason"], bare["choices"]) == ("stop", [])
