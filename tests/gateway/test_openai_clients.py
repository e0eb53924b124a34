"""The official clients of OpenAI and OpenRouter against the gateway: what they are told, and what they raise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai import OpenAI
from openrouter import OpenRouter, errors
from openrouter.utils import BackoffStrategy, RetryConfig

from bytedeck.simulator import Simulator
from gateways import Gateway

MODEL = "openai/gpt-4o-mini"
HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "n",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def gpt(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=10) as client:
        yield client


@pytest.fixture
def router(gateway: Gateway) -> Iterator[OpenRouter]:
    quick = RetryConfig("backoff", BackoffStrategy(1, 10, 1.0, 300), retry_connection_errors=False)
    with OpenRouter(
        server_url=f"{gateway.url}/api/v1", api_key="none", retry_config=quick, timeout_ms=10_000
    ) as client:
        yield client


def text_of(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def finishes(chunks: list[Any]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


def streamed(gpt: OpenAI, model: str = MODEL, **more: Any) -> list[Any]:
    return list(gpt.chat.completions.create(model=model, messages=HI, stream=True, **more))


def direct(sim: Simulator, **more: Any) -> Any:
    """What the upstream itself would say."""
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, timeout=10) as client:
        return client.chat.completions.create(model=MODEL, messages=HI, **more)


def test_openai_chats_and_streams(gpt: OpenAI, sim: Simulator, gateway: Gateway) -> None:
    """Body and stream say what the upstream says; the usage's cost is what was charged, to the last digit."""
    whole, chunks = gpt.chat.completions.create(model=MODEL, messages=HI), streamed(gpt)
    assert whole.choices[0].message.content == text_of(chunks) == direct(sim).choices[0].message.content
    assert finishes(chunks) == [whole.choices[0].finish_reason] == ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    for usage, charged, row in zip(
        (whole.usage, chunks[-1].usage), sim.ledger(), reversed(gateway.rows()), strict=False
    ):
        assert Decimal(repr(usage.cost)) == Decimal(charged["cost"]) == row.cost
        assert usage.cost_known == "reported"


def test_openai_calls_tools_and_gets_json(gpt: OpenAI) -> None:
    """Arguments by the tool's schema, whole or in a stream; JSON by the response format's; a round of tools goes on."""
    called = gpt.chat.completions.create(model=MODEL, messages=HI, tools=TOOLS, tool_choice="required")
    assert called.choices[0].finish_reason == "tool_calls"
    [call, *_] = called.choices[0].message.tool_calls or []
    chunks = streamed(gpt, tools=TOOLS, tool_choice="required")
    parts = [p for c in chunks for choice in c.choices for p in choice.delta.tool_calls or () if p.index == 0]
    assert "".join(p.function.arguments or "" for p in parts) == call.function.arguments  # type: ignore[union-attr]
    assert [p.id for p in parts if p.id] == [parts[0].id]
    history = [
        *HI,
        called.choices[0].message.model_dump(exclude_none=True),
        *(
            {"role": "tool", "tool_call_id": one.id, "content": "sunny"}
            for one in called.choices[0].message.tool_calls or ()
        ),
    ]
    assert gpt.chat.completions.create(model=MODEL, messages=history, tools=TOOLS).choices[0].message.content
    told = gpt.chat.completions.create(model=MODEL, messages=HI, response_format=SCHEMA)
    assert isinstance(json.loads(told.choices[0].message.content or "")["n"], int)


def test_openai_accumulates_and_parses(gpt: OpenAI) -> None:
    """Its own helpers for streams and for structured output take what we send."""
    with gpt.chat.completions.stream(model=MODEL, messages=HI, tools=TOOLS) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason in ("stop", "tool_calls")
    assert final.usage is not None


def test_openai_lists_models(gpt: OpenAI, sim: Simulator) -> None:
    """Tasks and the upstream's own items, each whole; one by its name, slashes and all."""
    listed = {model.id: model for model in gpt.models.list()}
    assert {"byte/coding", "byte/auto", MODEL} <= listed.keys()
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key) as upstream:
        theirs = {model.id: model for model in upstream.models.list()}
    assert {name: listed[name].model_dump() for name in theirs} == {
        name: model.model_dump() for name, model in theirs.items()
    }
    assert gpt.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("nobody/nothing")


def test_a_task_as_a_model(gpt: OpenAI, sim: Simulator) -> None:
    """`byte/<task>`, `byte/auto` and X-Byte-Task bring the task's model, prompt and parameters; a plain id none of ours."""
    gpt.chat.completions.create(model="byte/coding", messages=HI)
    gpt.chat.completions.create(model=MODEL, messages=HI, extra_headers={"X-Byte-Task": "coding"})
    gpt.chat.completions.create(model="byte/auto", messages=HI)
    gpt.chat.completions.create(model=MODEL, messages=HI)
    gpt.chat.completions.create(model="", messages=HI)
    task, named, auto, plain, unnamed = [
        json.loads(entry.body) for entry in sim.journal(path="/api/v1/chat/completions")
    ]
    assert (
        task["messages"][0]["role"] == named["messages"][0]["role"] == auto["messages"][0]["role"] == "system"
    )
    assert task["messages"][0] == named["messages"][0]
    assert (task["model"], named["model"]) == ("~anthropic/claude-sonnet-latest", MODEL)
    assert plain == {"model": MODEL, "messages": HI, "stream": True}
    assert (unnamed["model"], unnamed["messages"][0]["role"]) == ("~anthropic/claude-sonnet-latest", "system")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("invalid_request", openai.BadRequestError),
        ("authentication", openai.AuthenticationError),
        ("payment_required", openai.APIStatusError),
        ("moderation", openai.PermissionDeniedError),
        ("no_endpoints", openai.NotFoundError),
        ("rate_limit;retry_after=0", openai.RateLimitError),
        ("server", openai.InternalServerError),
        ("overloaded", openai.InternalServerError),
        ("page_522", openai.InternalServerError),
        ("reset", openai.InternalServerError),
    ],
)
def test_openai_raises(gpt: OpenAI, sim: Simulator, gateway: Gateway, fault: str, error: type[Any]) -> None:
    """Each failure in its class, streamed or not, with the upstream's words, once: the tries are ours and are spent."""
    sim.fault(fault)
    with pytest.raises(error) as caught:
        gpt.chat.completions.create(model=MODEL, messages=HI)
    tries = len(sim.journal(path="/api/v1/chat/completions"))
    assert tries == len(gateway.rows()) == len(caught.value.body["metadata"]["attempts"])
    assert caught.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(error):
        streamed(gpt)
    assert len({row.request for row in gateway.rows()}) == 2


def test_upstream_words_are_kept(gpt: OpenAI, sim: Simulator) -> None:
    """What the provider said stands in the message and, by itself, in `metadata.raw`."""
    sim.fault("context_length_exceeded")
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(model=MODEL, messages=HI)
    body: Any = caught.value.body
    assert "maximum context length is 8192 tokens" in body["message"]
    assert body["metadata"]["raw"] in body["message"]
    assert (body["code"], body["metadata"]["error_type"]) == (400, "context_length_exceeded")


def test_failing_over_in_mid_stream(gpt: OpenAI, sim: Simulator, gateway: Gateway) -> None:
    """A model that breaks off and one that goes on are one answer; its usage is the sum of both bills."""
    chunks = streamed(gpt, "sim/cut:tokens=20", extra_body={"models": ["openai/gpt-4o"]})
    assert text_of(chunks) == text_of(streamed(gpt))
    assert finishes(chunks) == ["stop"]
    [seam] = chunks[-1].usage.seams
    assert (seam["kind"], seam["from_model"], seam["to_model"]) == (
        "proven",
        "sim/cut:tokens=20",
        "openai/gpt-4o",
    )
    assert chunks[-1].usage.cost_known == "partial"
    assert {chunk.model for chunk in chunks} == {"sim/cut:tokens=20", "openai/gpt-4o"}


@pytest.mark.parametrize(
    "fault", ["error_chunk", "error_bare", "truncated", "cut", "malformed", "error_finish"]
)
def test_no_way_out_in_mid_stream(gpt: OpenAI, sim: Simulator, gateway: Gateway, fault: str) -> None:
    """An answer that breaks off for good raises, whatever the upstream's way to break, and is never taken for a whole one."""
    sim.fault(fault)
    chunks: list[Any] = []
    stream = gpt.chat.completions.create(
        model=MODEL, messages=HI, stream=True, extra_headers={"X-Byte-Failover": "error"}
    )
    with pytest.raises(openai.APIError) as caught:
        chunks.extend(stream)
    assert text_of(chunks)
    assert "stop" not in finishes(chunks)
    error: Any = caught.value.body
    assert error["code"] in (502, 503, 504)
    assert error["metadata"]["attempts"][0]["outcome"] == gateway.rows()[0].outcome


def test_openrouter_chats_streams_and_lists(router: OpenRouter, sim: Simulator) -> None:
    """The strict client takes body, stream, tools, models and key: it checks every field."""
    whole = router.chat.send(model=MODEL, messages=HI)
    chunks = list(router.chat.send(model=MODEL, messages=HI, stream=True))
    assert whole.choices[0].message.content == text_of(chunks) == direct(sim).choices[0].message.content
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens  # type: ignore[union-attr]
    called = list(
        router.chat.send(model=MODEL, messages=HI, stream=True, tools=TOOLS, tool_choice="required")
    )
    assert finishes(called) == ["tool_calls"]
    told = router.chat.send(model=MODEL, messages=HI, response_format=SCHEMA)
    assert "n" in json.loads(str(told.choices[0].message.content))
    assert {"byte/coding", MODEL} <= {model.id for model in router.models.list().result.data}
    assert router.models.get(author="openai", slug="gpt-4o-mini").data.id == MODEL


@pytest.mark.filterwarnings(
    "ignore:.*DEPRECATED:DeprecationWarning"
)  # fields of its own reply that it warns of
def test_openrouter_asks_for_the_key(router: OpenRouter, sim: Simulator) -> None:
    """What the ledger knows of the key, in OpenRouter's shape."""
    router.chat.send(model=MODEL, messages=HI)
    told = router.api_keys.get_current_key_metadata().data
    assert Decimal(repr(told.usage)) == Decimal(repr(told.usage_daily)) == Decimal(sim.ledger()[0]["cost"])


def test_openrouter_takes_reasoning_and_seams(router: OpenRouter, sim: Simulator) -> None:
    """Reasoning with its details, own keys' bills, log probabilities, and an answer of two models."""
    claude = "anthropic/claude-sonnet-4.5"
    thought = list(router.chat.send(model=claude, messages=HI, stream=True, reasoning={"effort": "high"}))
    whole = router.chat.send(model=claude, messages=HI, reasoning={"effort": "high"})
    said = "".join(choice.delta.reasoning or "" for chunk in thought for choice in chunk.choices)
    assert said == whole.choices[0].message.reasoning != ""
    assert whole.choices[0].message.reasoning_details
    joined = list(
        router.chat.send(model="sim/cut:tokens=20", models=["openai/gpt-4o"], messages=HI, stream=True)
    )
    assert text_of(joined) == direct(sim).choices[0].message.content


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("invalid_request", errors.BadRequestResponseError),
        ("authentication", errors.UnauthorizedResponseError),
        ("payment_required", errors.PaymentRequiredResponseError),
        ("no_endpoints", errors.NotFoundResponseError),
        ("rate_limit;retry_after=0", errors.TooManyRequestsResponseError),
        ("server", errors.BadGatewayResponseError),
        ("provider_overloaded", errors.ServiceUnavailableResponseError),
    ],
)
def test_openrouter_raises(router: OpenRouter, sim: Simulator, fault: str, error: type[Any]) -> None:
    """Each failure in its class, read whole."""
    sim.fault(fault)
    with pytest.raises(error) as caught:
        router.chat.send(model=MODEL, messages=HI)
    assert caught.value.data.error.code == caught.value.status_code


def test_openrouter_sees_an_error_in_mid_stream(router: OpenRouter, sim: Simulator) -> None:
    """It raises nothing for an error in a chunk; the chunk that we send passes its checks and carries the error."""
    sim.fault("truncated")
    chunks = list(
        router.chat.send(model=MODEL, messages=HI, stream=True, http_headers={"X-Byte-Failover": "error"})
    )
    assert chunks[-1].error is not None
    assert finishes(chunks) == ["error"]


def test_words_are_never_taken_back(gpt: OpenAI, sim: Simulator, gateway: Gateway) -> None:
    """JSON that was shown cannot be gone on with, and no client here could be told that it begins anew: an error."""
    with pytest.raises(openai.APIError):
        streamed(gpt, "sim/cut:tokens=4", extra_body={"models": ["openai/gpt-4o"]}, response_format=SCHEMA)
    assert [row.outcome for row in gateway.rows()] == ["truncated"]
