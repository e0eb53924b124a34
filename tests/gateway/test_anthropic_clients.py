"""The official client of Anthropic against the gateway before the simulator: what it is told, and what it raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from bytedeck.simulator import Simulator
from gateways import Gateway

MODEL = "anthropic/claude-sonnet-4.5"
HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "name": "get_weather",
        "description": "The weather of a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]
SCHEMA: Any = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key="none", timeout=10, max_retries=0) as client:
        yield client


def asked(claude: Anthropic, *, stream: bool = False, **more: Any) -> Any:
    """The whole message, whichever way it comes."""
    wanted: dict[str, Any] = {"model": MODEL, "max_tokens": 300, "messages": HI, **more}
    if not stream:
        return claude.messages.create(**wanted)
    with claude.messages.stream(**wanted) as told:
        return told.get_final_message()


def said(message: Any) -> list[dict[str, Any]]:
    return [block.to_dict() for block in message.content]


BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@BOTH
def test_it_talks(claude: Anthropic, gateway: Gateway, sim: Simulator, stream: bool) -> None:
    """Words, why it stopped, the usage; what it cost is in the gateway's ledger, to the last digit."""
    message = asked(claude, stream=stream, stop_sequences=["§"], metadata={"user_id": "u"})
    assert message.content[0].text
    assert (message.stop_reason, message.role) == ("end_turn", "assistant")
    assert message.usage.input_tokens > 0 < message.usage.output_tokens
    [row] = gateway.rows()
    assert row.cost_units == int(Decimal(sim.ledger()[0]["cost"]) * 10**12)


@BOTH
def test_it_calls_tools_and_goes_on(claude: Anthropic, stream: bool) -> None:
    """The input fits the schema; with the result in the next request the loop ends."""
    message = asked(claude, stream=stream, tools=TOOLS, tool_choice={"type": "any"})
    assert message.stop_reason == "tool_use"
    uses = [block for block in message.content if block.type == "tool_use"]
    assert [set(use.input) for use in uses] == [{"city"}] * len(uses)
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"} for use in uses]
    turns = [*HI, {"role": "assistant", "content": said(message)}, {"role": "user", "content": results}]
    after = asked(claude, stream=stream, messages=turns, tools=TOOLS, tool_choice={"type": "none"})
    assert after.stop_reason == "end_turn"


@BOTH
@pytest.mark.parametrize(
    "model", [MODEL, "google/gemini-3.1-pro-preview", "openai/gpt-5.6-sol", "deepseek/deepseek-r1"]
)
def test_thoughts_go_round(claude: Anthropic, model: str, stream: bool) -> None:
    """Every family signs its thoughts in its own way; what comes back with a tool's result is accepted."""
    wanted: dict[str, Any] = {"model": model, "stream": stream, "tools": TOOLS, "max_tokens": 4000}
    wanted["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    message = asked(claude, tool_choice={"type": "any"}, **wanted)
    assert message.content[0].type in ("thinking", "redacted_thinking")
    uses = [block for block in message.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"} for use in uses]
    turns = [*HI, {"role": "assistant", "content": said(message)}, {"role": "user", "content": results}]
    after = asked(claude, messages=turns, tool_choice={"type": "none"}, **wanted)
    assert after.stop_reason == "end_turn"


@BOTH
def test_it_gets_json(claude: Anthropic, stream: bool) -> None:
    """By the schema of the output's format."""
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    message = asked(claude, stream=stream, output_config=form)
    assert isinstance(json.loads(message.content[-1].text)["n"], int)


@BOTH
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("invalid_request", anthropic.BadRequestError),
        ("authentication", anthropic.AuthenticationError),
        ("guardrail", anthropic.PermissionDeniedError),
        ("not_found", anthropic.NotFoundError),
        ("rate_limit;retry_after=0", anthropic.RateLimitError),
        ("overloaded;retry_after=0", anthropic.ServiceUnavailableError),
    ],
)
def test_it_raises(
    claude: Anthropic, sim: Simulator, fault: str, error: type[Exception], stream: bool
) -> None:
    """Its own classes, with Anthropic's type and a sentence."""
    sim.fault(fault, times=9)
    with pytest.raises(error) as caught:
        asked(claude, stream=stream)
    body: Any = caught.value.body  # type: ignore[attr-defined]
    assert body["type"] == "error"
    assert body["error"]["type"].endswith("_error")


@BOTH
def test_a_body_that_is_no_call(claude: Anthropic, stream: bool) -> None:
    """Refused with the name of the field; nothing is asked."""
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        asked(claude, stream=stream, max_tokens=0)


def test_a_broken_stream_is_gone_on_with(claude: Anthropic, sim: Simulator) -> None:
    """The next model says the rest: one message, the sum of what it cost."""
    whole = asked(claude, stream=True)
    sim.fault("cut;tokens=4", times=1)
    message = asked(claude, stream=True, extra_body={"fallbacks": [{"model": "openai/gpt-4o-mini"}]})
    assert message.stop_reason == "end_turn"
    assert message.content[0].text[:8] == whole.content[0].text[:8]
    assert len(sim.journal(path="*/chat/completions")) == 3


def test_a_break_with_no_way_out_is_raised(claude: Anthropic, sim: Simulator) -> None:
    """Within the stream, after the words that came."""
    sim.fault("error_chunk", times=9)
    with pytest.raises(anthropic.APIStatusError) as caught:
        asked(claude, stream=True, extra_headers={"X-Byte-Failover": "error"})
    body: Any = caught.value.body
    assert body["type"] == "error"


def test_it_counts(claude: Anthropic) -> None:
    """An estimate of the prompt, of the right size."""
    words = [{"role": "user", "content": "What is the weather like in Paris today? " * 50}]
    exact = asked(claude, messages=words).usage.input_tokens
    counted = claude.messages.count_tokens(model=MODEL, messages=words).input_tokens
    assert exact / 2 < counted < exact * 2
