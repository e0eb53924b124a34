"""The official clients of OpenAI and OpenRouter on the gateway's Responses API: what they are told, and what they raise."""

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
from pydantic import BaseModel

from bytedeck.simulator import Simulator
from gateways import Gateway

MODEL = "openai/gpt-4o-mini"
CLAUDE, GEMINI, GPT = "anthropic/claude-sonnet-4.5", "google/gemini-3.1-pro-preview", "openai/gpt-5.6-sol"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS: Any = [WEATHER]
OPENAIS = frozenset({"type", "id", "summary", "content", "encrypted_content"})
"""Fields that OpenAI's own reasoning has."""


class Number(BaseModel):
    """What a structured answer holds."""

    n: int


@pytest.fixture
def gpt(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=10) as client:
        yield client


@pytest.fixture
def router(gateway: Gateway) -> Iterator[OpenRouter]:
    quick = RetryConfig("backoff", BackoffStrategy(1, 10, 1.0, 300), retry_connection_errors=False)
    with OpenRouter(
        server_url=f"{gateway.url}/api/v1", api_key="none", retry_config=quick, timeout_ms=10_000
    ) as client:
        yield client


def ask(client: OpenAI, given: Any = "hi", model: str = MODEL, **more: Any) -> Any:
    """One answer, whole."""
    return client.responses.create(model=model, input=given, **more)


def streamed(client: OpenAI, given: Any = "hi", model: str = MODEL, **more: Any) -> list[Any]:
    """The events of one answer."""
    return list(client.responses.create(model=model, input=given, stream=True, **more))


def direct(sim: Simulator, given: Any = "hi", model: str = MODEL, **more: Any) -> Any:
    """What the upstream's own Responses API says."""
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, timeout=10) as client:
        return ask(client, given, model, **more)


@pytest.mark.parametrize("model", [MODEL, CLAUDE, GPT, GEMINI])
@pytest.mark.parametrize("more", [{}, {"tools": TOOLS, "tool_choice": "required"}])
def test_it_says_what_openrouter_says(gpt: OpenAI, sim: Simulator, model: str, more: dict[str, Any]) -> None:
    """The same items with the same words and proofs as the upstream's own Responses API; streamed, too."""
    asked = more | {"reasoning": {"effort": "low"}, "temperature": 0.5, "instructions": "Be brief."}
    theirs, ours = direct(sim, model=model, **asked), ask(gpt, model=model, **asked)
    [*_, last] = streamed(gpt, model=model, **asked)
    assert last.type == "response.completed"
    for found in (ours, last.response):
        assert plain(found.output) == plain(theirs.output)
        assert found.output_text == theirs.output_text
        assert found.usage.output_tokens == theirs.usage.output_tokens
    assert set(theirs.model_dump()) - {"cost_details"} <= set(ours.model_dump())
    for name in (
        "temperature",
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "store",
        "model",
        "reasoning",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name


def plain(items: list[Any]) -> list[Any]:
    """Items without their ids. A secret with an id of its own is an item of ours, so that it keeps it; of theirs a part."""
    found: list[dict[str, Any]] = []
    for item in items:
        told = item.model_dump(exclude={"id", "call_id"}, exclude_none=True)
        if "signature" in told:  # it stands there once more, for clients that know no signature
            told.pop("encrypted_content", None)
        is_secret = told["type"] == "reasoning" and not (told["summary"] or told.get("content"))
        if is_secret and found and found[-1]["type"] == "reasoning":
            found[-1]["encrypted_content"] = told["encrypted_content"]
        else:
            found.append(told)
    return found


def test_the_cost_is_what_was_charged(gpt: OpenAI, sim: Simulator, gateway: Gateway) -> None:
    """To the last digit, in a body and in a stream."""
    [*_, last] = streamed(gpt)
    for usage, charged, row in zip(
        (last.response.usage, ask(gpt).usage), sim.ledger(), reversed(gateway.rows()), strict=True
    ):
        assert Decimal(repr(usage.cost)) == Decimal(charged["cost"]) == row.cost
        assert usage.cost_known == "reported"


def test_openais_own_stream_reader(gpt: OpenAI) -> None:
    """It puts words and arguments together, and finds them where it looks for them."""
    with gpt.responses.stream(model=CLAUDE, input="hi", tools=TOOLS, reasoning={"effort": "low"}) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text
    with gpt.responses.stream(model=MODEL, input="hi", tools=TOOLS, tool_choice="required") as stream:
        told = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        [call, *_] = stream.get_final_response().output
    assert call.type == "function_call"
    assert told
    assert "city" in json.loads(call.arguments)


@pytest.mark.parametrize("model", [MODEL, CLAUDE, GPT, GEMINI])
@pytest.mark.parametrize("stream", [False, True])
def test_a_round_of_tools(gpt: OpenAI, sim: Simulator, model: str, stream: bool) -> None:
    """What was said goes back as it came, with its reasoning: the upstream refuses damaged history."""
    asked: dict[str, Any] = {"tools": TOOLS, "reasoning": {"effort": "low"}, "store": False}
    if stream:
        [*_, last] = streamed(gpt, "hi [[sim: tools=2 reasoning=5]]", model, **asked)
        first = last.response
    else:
        first = ask(gpt, "hi [[sim: tools=2 reasoning=5]]", model, **asked)
    calls = [item for item in first.output if item.type == "function_call"]
    assert len(calls) == 2
    results = [{"type": "function_call_output", "call_id": one.call_id, "output": "sunny"} for one in calls]
    history = [{"role": "user", "content": "hi"}, *first.output, *results]
    last = ask(gpt, history, model, **asked)
    assert last.status == "completed"
    assert last.output_text
    assert [entry.status for entry in sim.journal(path="/api/v1/chat/completions")] == [200, 200]


@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
@pytest.mark.parametrize("stream", [False, True])
def test_a_round_with_openais_fields_only(gpt: OpenAI, sim: Simulator, model: str, stream: bool) -> None:
    """Codex sends back what OpenAI has a place for, and no more: the proof of a thought has to be in there."""
    asked: dict[str, Any] = {"tools": TOOLS, "reasoning": {"effort": "low"}, "model": model}
    given = "hi [[sim: tools=1 reasoning=5]]"
    first = streamed(gpt, given, **asked)[-1].response if stream else ask(gpt, given, **asked)
    kept = [
        {key: value for key, value in item.to_dict().items() if key in OPENAIS or item.type != "reasoning"}
        for item in first.output
    ]
    result = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "sunny"}
    assert ask(gpt, [{"role": "user", "content": "hi"}, *kept, result], **asked).output_text
    asked_for, last = sim.journal(path="/api/v1/chat/completions")
    assert (asked_for.status, last.status) == (200, 200)
    told = json.loads(last.body)["messages"][1]["reasoning_details"][0]
    assert model != CLAUDE or (bool(told["signature"]) and told["format"] == "anthropic-claude-v1")


def test_structured_answers(gpt: OpenAI) -> None:
    """Whole and streamed, parsed by the client's own helper."""
    assert isinstance(gpt.responses.parse(model=MODEL, input="hi", text_format=Number).output_parsed, Number)
    with gpt.responses.stream(model=MODEL, input="hi", text_format=Number) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Number)


def test_an_answer_that_is_cut_is_incomplete(gpt: OpenAI) -> None:
    """Not completed, and it says why."""
    [*_, last] = streamed(gpt, "hi [[sim: words=50 finish=length]]")
    for found in (last.response, ask(gpt, "hi [[sim: words=50 finish=length]]")):
        assert (found.status, found.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert last.type == "response.incomplete"


def test_a_custom_tool(gpt: OpenAI) -> None:
    """A function upstream, a custom call to the client, and its result goes back."""
    tools: Any = [{"type": "custom", "name": "apply_patch"}]
    first = ask(gpt, tools=tools, tool_choice={"type": "custom", "name": "apply_patch"})
    [call] = first.output
    assert (call.type, call.name, bool(call.input)) == ("custom_tool_call", "apply_patch", True)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}
    assert ask(gpt, [{"role": "user", "content": "hi"}, call, result], tools=tools).output_text


@pytest.mark.parametrize("stream", [False, True])
def test_a_namespace(gpt: OpenAI, sim: Simulator, stream: bool) -> None:
    """Its tools' calls name it, and go back as they came."""
    tools: Any = [{"type": "namespace", "name": "sky", "description": "The sky.", "tools": TOOLS}]
    asked: dict[str, Any] = {"tools": tools, "tool_choice": "required"}
    first = streamed(gpt, **asked)[-1].response if stream else ask(gpt, **asked)
    call = first.output[-1]
    assert (call.type, call.namespace, call.name) == ("function_call", "sky", "get_weather")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    assert ask(gpt, [{"role": "user", "content": "hi"}, call, result], tools=tools).output_text
    *_, last = sim.journal(path="/api/v1/chat/completions")
    assert json.loads(last.body)["messages"][1]["tool_calls"][0]["function"]["name"] == "sky__get_weather"


def test_a_break_is_gone_on_with(gpt: OpenAI) -> None:
    """One answer, each word once; the usage tells the seam and the bill of both."""
    found = streamed(gpt, model="sim/cut:tokens=20", extra_body={"models": ["openai/gpt-4o"]})
    expected = ask(gpt, model="openai/gpt-4o").output_text
    assert "".join(event.delta for event in found if event.type == "response.output_text.delta") == expected
    assert found[-1].response.output_text == expected
    [seam] = found[-1].response.usage.seams
    assert (seam["kind"], seam["to_model"], found[-1].response.model) == (
        "proven",
        "openai/gpt-4o",
        "openai/gpt-4o",
    )
    assert [event.sequence_number for event in found] == list(range(len(found)))


def test_a_break_without_a_way_out_raises(gpt: OpenAI, router: OpenRouter, sim: Simulator) -> None:
    """OpenAI's client gets `response.failed` and raises; OpenRouter's reads both events."""
    sim.fault("cut;tokens=5")
    found: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        found.extend(gpt.responses.create(model=MODEL, input="hi", stream=True))
    assert not isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code == "server_error"
    assert (found[-1].type, found[-1].response.status) == ("response.failed", "failed")
    assert found[-1].response.output_text == "".join(
        e.delta for e in found if e.type == "response.output_text.delta"
    )
    with router.responses.send(model=MODEL, input="hi", stream=True) as stream:
        assert [event.type for event in stream][-2:] == ["response.failed", "error"]


@pytest.mark.parametrize(
    ("fault", "error", "strict"),
    [
        ("invalid_request", openai.BadRequestError, errors.BadRequestResponseError),
        ("authentication", openai.AuthenticationError, errors.UnauthorizedResponseError),
        ("moderation", openai.PermissionDeniedError, errors.ForbiddenResponseError),
        ("no_endpoints", openai.NotFoundError, errors.NotFoundResponseError),
        ("rate_limit;retry_after=0", openai.RateLimitError, errors.TooManyRequestsResponseError),
        ("provider_overloaded", openai.InternalServerError, errors.ServiceUnavailableResponseError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_raise(
    gpt: OpenAI,
    router: OpenRouter,
    sim: Simulator,
    fault: str,
    error: type[Exception],
    strict: type[Exception],
    stream: bool,
) -> None:
    """Each in its class, with the upstream's words, before anything was told."""
    sim.fault(fault)
    with pytest.raises(error) as caught:
        gpt.responses.create(model=MODEL, input="hi", stream=stream)
    assert caught.value.body["metadata"]["error_type"]  # type: ignore[attr-defined]
    with pytest.raises(strict):
        router.responses.send(model=MODEL, input="hi", stream=stream)


@pytest.mark.parametrize(
    "more",
    [{"previous_response_id": "resp_1"}, {"store": True}, {"background": True}, {"conversation": "conv_1"}],
)
def test_what_would_have_to_be_stored_is_refused(gpt: OpenAI, sim: Simulator, more: dict[str, Any]) -> None:
    """As OpenRouter refuses it; nothing is sent upstream."""
    with pytest.raises(openai.BadRequestError, match="nothing is stored here"):
        ask(gpt, **more)
    assert not sim.journal(path="/api/v1/chat/completions")


@pytest.mark.parametrize("model", [MODEL, CLAUDE, GPT, GEMINI])
def test_openrouters_client_reads_it(router: OpenRouter, model: str) -> None:
    """Every event to the last, and the body, by classes that check each field."""
    asked: Any = {"model": model, "input": "hi [[sim: tools=1 reasoning=4]]", "tools": TOOLS}
    whole = router.responses.send(**asked)
    with router.responses.send(**asked, stream=True) as stream:
        events = list(stream)
    assert not any(getattr(item, "is_unknown", False) for item in [*events, *whole.output])
    assert events[-1].type == "response.completed"
    assert [item.type for item in events[-1].response.output] == [item.type for item in whole.output]
    assert whole.usage.cost == events[-1].response.usage.cost > 0
