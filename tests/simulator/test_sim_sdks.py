"""The official clients against the simulator: what they return, and what each fault makes of them (wire reference, 13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI
from openrouter import OpenRouter, errors
from openrouter.utils import BackoffStrategy, RetryConfig

from bytedeck.simulator import Simulator

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


@pytest.fixture
def gpt(sim: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, timeout=5) as client:
        yield client


@pytest.fixture
def router(sim: Simulator) -> Iterator[OpenRouter]:
    quick = RetryConfig("backoff", BackoffStrategy(1, 10, 1.0, 300), retry_connection_errors=False)
    with OpenRouter(
        server_url=sim.base_url, api_key=sim.api_key, retry_config=quick, timeout_ms=5000
    ) as client:
        yield client


@pytest.fixture
def claude(sim: Simulator) -> Iterator[Anthropic]:
    with Anthropic(base_url=sim.anthropic_url, api_key=sim.api_key, timeout=5, max_retries=0) as client:
        yield client


def streamed(gpt: OpenAI, model: str = MODEL, **more: Any) -> list[Any]:
    return list(gpt.chat.completions.create(model=model, messages=HI, stream=True, **more))


def text_of(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def finishes(chunks: list[Any]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


def test_openai_chats_streams_and_lists(gpt: OpenAI, sim: Simulator) -> None:
    """The body and the stream say the same, with usage whose cost is the ledger's."""
    whole = gpt.chat.completions.create(model=MODEL, messages=HI)
    chunks = streamed(gpt)
    assert whole.choices[0].message.content == text_of(chunks)
    assert finishes(chunks) == ["stop"]
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens  # type: ignore[union-attr]
    assert Decimal(repr(whole.usage.cost)) == Decimal(sim.ledger()[0]["cost"])  # type: ignore[union-attr]
    assert MODEL in {model.id for model in gpt.models.list()}


def test_openai_calls_tools_and_gets_json(gpt: OpenAI) -> None:
    """Arguments by the tool's schema, streamed in pieces; JSON by the response format's."""
    called = gpt.chat.completions.create(model=MODEL, messages=HI, tools=TOOLS, tool_choice="required")
    assert called.choices[0].finish_reason == "tool_calls"
    [call, *_] = called.choices[0].message.tool_calls or []
    assert set(json.loads(call.function.arguments)) == {"city"}  # type: ignore[union-attr]
    parts = [
        part
        for chunk in streamed(gpt, tools=TOOLS, tool_choice="required")
        for choice in chunk.choices
        for part in choice.delta.tool_calls or ()
        if part.index == 0
    ]
    assert "".join(part.function.arguments or "" for part in parts) == call.function.arguments  # type: ignore[union-attr]
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    told = gpt.chat.completions.create(
        model=MODEL,
        messages=HI,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        },
    )
    assert isinstance(json.loads(told.choices[0].message.content or "")["n"], int)


def test_openai_responses_and_embeddings(gpt: OpenAI) -> None:
    """The other forms that this client speaks."""
    told = gpt.responses.create(model=MODEL, input="hi")
    events = list(gpt.responses.create(model=MODEL, input="hi", stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == told.output_text != ""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    vectors = gpt.embeddings.create(model="openai/text-embedding-3-small", input=["a", "b"])
    assert len(vectors.data) == 2
    assert vectors.usage.cost > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "error", "tries"),
    [
        ("invalid_request", openai.BadRequestError, 1),
        ("authentication", openai.AuthenticationError, 1),
        ("fewer_max_tokens", openai.APIStatusError, 1),
        ("moderation", openai.PermissionDeniedError, 1),
        ("no_endpoints", openai.NotFoundError, 1),
        ("conflict", openai.ConflictError, 3),
        ("unprocessable", openai.UnprocessableEntityError, 1),
        ("rate_limit;retry_after=0", openai.RateLimitError, 3),
        ("rate_limit;retry_after=absurd", openai.RateLimitError, 1),
        ("server;retry_after=0", openai.InternalServerError, 3),
        ("overloaded;retry_after=0", openai.InternalServerError, 3),
        ("page_522;retry_after=0", openai.InternalServerError, 3),
        ("reset", openai.APIConnectionError, 3),
    ],
)
def test_openai_raises_and_retries(
    gpt: OpenAI,
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    error: type[Exception],
    tries: int,
) -> None:
    """Each refusal in its class, as often as the client tries; 529 and 429 three times."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    with pytest.raises(error):
        gpt.chat.completions.create(model=MODEL, messages=HI, extra_headers={"X-Sim-Fault": fault})
    assert len(sim.journal()) == tries


def test_openai_gets_through_with_its_retries(gpt: OpenAI, sim: Simulator) -> None:
    """Two refusals, then an answer: what a script's `times` is for."""
    sim.fault("overloaded;retry_after=0", times=2)
    assert gpt.chat.completions.create(model=MODEL, messages=HI).choices[0].finish_reason == "stop"
    assert [entry.status for entry in sim.journal()] == [529, 529, 200]


@pytest.mark.parametrize("fault", ["error_chunk", "error_bare", "error_no_choices"])
def test_openai_raises_in_mid_stream(gpt: OpenAI, sim: Simulator, fault: str) -> None:
    """F1 to F3 are an APIError without status, never retried."""
    with pytest.raises(openai.APIError) as caught:
        streamed(gpt, f"sim/{fault}")
    assert not isinstance(caught.value, openai.APIStatusError)
    assert len(sim.journal()) == 1


def test_openai_takes_what_is_no_success(gpt: OpenAI) -> None:
    """F4 and T1 end normally, F5 is a completion without choices, F6 one that ended with "error"."""
    assert finishes(streamed(gpt, "sim/f4")) == ["error"]
    assert finishes(streamed(gpt, "sim/t1")) == []
    f5: Any = gpt.chat.completions.create(model="sim/f5", messages=HI)
    assert (f5.choices, f5.error["code"]) == (None, 429)
    f6 = gpt.chat.completions.create(model="sim/f6", messages=HI)
    assert f6.choices[0].finish_reason == "error"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("fault", "found"),
    [("double_finish", ["stop", "stop"]), ("comments", ["stop"]), ("split_utf8", ["stop"]),
     ("line_ends", ["stop"]), ("gzip", ["stop"]), ("debug", ["stop"]), ("drip;bytes=50;seconds=0", ["stop"])],
)  # fmt: skip
def test_openai_reads_through_the_odd(gpt: OpenAI, fault: str, found: list[str]) -> None:
    """The whole text, whatever the form."""
    chunks = streamed(gpt, extra_headers={"X-Sim-Fault": fault})
    assert text_of(chunks) == text_of(streamed(gpt))
    assert finishes(chunks) == found


@pytest.mark.parametrize(
    ("fault", "error"), [("cut;tokens=3", openai.APIConnectionError), ("malformed", json.JSONDecodeError)]
)
def test_openai_fails_on_broken_streams(gpt: OpenAI, fault: str, error: type[Exception]) -> None:
    """A body that is cut, and an event that is no JSON."""
    httpx_error: Any = __import__("httpx").RemoteProtocolError
    with pytest.raises((error, httpx_error)):
        streamed(gpt, extra_headers={"X-Sim-Fault": fault})


def sent(router: OpenRouter, model: str = MODEL, stream: bool = False, fault: str = "") -> Any:
    headers = {"X-Sim-Fault": fault} if fault else None
    return router.chat.send(model=model, messages=HI, stream=stream, http_headers=headers)


def test_openrouter_chats_streams_and_lists(router: OpenRouter) -> None:
    """The strict client parses every body, and every chunk to the last."""
    whole = sent(router)
    with sent(router, stream=True) as stream:
        chunks = list(stream)
    assert (
        "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        == whole.choices[0].message.content
    )
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    listed = router.models.list()
    rows = getattr(listed, "result", listed).data
    assert MODEL in {row.id for row in rows}


@pytest.mark.parametrize(
    ("fault", "error", "retried"),
    [
        ("rate_limit;retry_after=1", errors.TooManyRequestsResponseError, False),
        ("fewer_max_tokens", errors.PaymentRequiredResponseError, False),
        ("authentication", errors.UnauthorizedResponseError, False),
        ("overloaded", errors.ProviderOverloadedResponseError, True),
        ("edge_timeout", errors.EdgeNetworkTimeoutResponseError, True),
        ("provider_unavailable", errors.BadGatewayResponseError, True),
    ],
)
def test_openrouter_raises(
    router: OpenRouter, sim: Simulator, fault: str, error: type[Exception], retried: bool
) -> None:
    """Its own classes; 5xx are tried again until its time is over, 429 never."""
    with pytest.raises(error):
        sent(router, fault=fault)
    assert (len(sim.journal()) > 1) is retried


def test_openrouter_in_mid_stream(router: OpenRouter) -> None:
    """F1 is a chunk with an error; F2 breaks its validation; F4, T1 and F6 end normally; F5 does not validate."""
    with sent(router, "sim/f1", stream=True) as stream:
        assert [chunk for chunk in stream if chunk.error]
    for fault in ("sim/f4", "sim/t1"):
        with sent(router, fault, stream=True) as stream:
            assert list(stream)
    assert sent(router, "sim/f6").choices[0].finish_reason == "error"
    with pytest.raises(errors.ResponseValidationError):
        sent(router, "sim/f5")
    with pytest.raises(errors.ResponseValidationError), sent(router, "sim/f2", stream=True) as stream:
        list(stream)


def test_a_bare_usage_chunk(gpt: OpenAI, router: OpenRouter) -> None:
    """A last chunk of choices [] and usage alone: openai takes it, openrouter fails on it once all was said."""
    fault = "bare_usage;bare=1"
    told = streamed(gpt, extra_headers={"X-Sim-Fault": fault})
    plain = streamed(gpt)
    assert (text_of(told), finishes(told)) == (text_of(plain), ["stop"])
    last, usual = told[-1], plain[-1]
    assert last.model_fields_set == {"choices", "usage"}
    assert (last.choices, last.usage.total_tokens) == ([], usual.usage.total_tokens)
    assert (hasattr(usual.usage, "cost_details"), hasattr(last.usage, "cost_details")) == (True, False)
    seen: list[Any] = []
    with sent(router, stream=True, fault=fault) as stream, pytest.raises(errors.ResponseValidationError):
        list(map(seen.append, stream))
    assert (text_of(seen), finishes(seen)) == (text_of(plain), ["stop"])
    with sent(router, stream=True, fault="bare_usage") as stream:
        assert [chunk.usage is not None for chunk in stream][-2:] == [False, True]


def test_anthropic_talks_and_streams(claude: Anthropic, sim: Simulator) -> None:
    """At the base URL without /v1; the journal shows no more of its key than the last four signs."""
    model = "anthropic/claude-sonnet-4.5"
    whole = claude.messages.create(model=model, max_tokens=200, messages=HI)
    with claude.messages.stream(model=model, max_tokens=200, messages=HI) as stream:
        assert stream.get_final_text() == whole.content[0].text  # type: ignore[union-attr]
        assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens
    assert claude.messages.count_tokens(model=model, messages=HI).input_tokens == whole.usage.input_tokens
    assert sim.api_key not in repr(sim.journal())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("authentication", anthropic.AuthenticationError),
        ("rate_limit", anthropic.RateLimitError),
        ("not_found", anthropic.NotFoundError),
        ("guardrail", anthropic.PermissionDeniedError),
        ("payload_too_large", anthropic.RequestTooLargeError),
        ("overloaded", anthropic.OverloadedError),
        ("server", anthropic.InternalServerError),
        ("hang", anthropic.APITimeoutError),
    ],
)
def test_anthropic_raises(claude: Anthropic, fault: str, error: type[Exception]) -> None:
    """Its own classes, from its own envelope."""
    limit = 0.1 if fault == "hang" else 5
    with pytest.raises(error):
        claude.with_options(timeout=limit).messages.create(
            model="sim/fine", max_tokens=20, messages=HI, extra_headers={"X-Sim-Fault": fault}
        )


def test_anthropic_raises_in_mid_stream(claude: Anthropic) -> None:
    """`event: error` becomes an APIStatusError."""
    with (
        pytest.raises(anthropic.APIStatusError),
        claude.messages.stream(model="sim/f1", max_tokens=50, messages=HI) as stream,
    ):
        stream.get_final_text()
