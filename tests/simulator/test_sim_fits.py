"""Whether a model can take a call, and in which words it cannot."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck.simulator.checks import check
from bytedeck.simulator.checks.history import merged
from bytedeck.simulator.checks.signatures import family, is_valid, signature
from bytedeck.simulator.models import catalogue
from bytedeck.simulator.refusals import named as refusals
from bytedeck.simulator.shapes import Call, Model, Price, Refusal, Skin

USER = {"role": "user", "content": "Say something."}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}
PLAIN = Model(
    id="acme/plain",
    shown={"pricing": {"prompt": "0.000003", "completion": "0.000015", "image": "0.002"}},
    canonical="acme/plain-1",
    name="Acme: Plain",
    context_length=32_000,
    max_completion_tokens=4_000,
    providers=("Acme", "Google", "Google AI Studio"),
    parameters=frozenset({"max_tokens", "temperature", "stop"}),
    input_modalities=frozenset({"text"}),
    output_modalities=frozenset({"text"}),
)
RICH = replace(
    PLAIN,
    parameters=PLAIN.parameters
    | {"tools", "tool_choice", "response_format", "structured_outputs", "reasoning"},
    input_modalities=frozenset({"text", "image"}),
    output_modalities=frozenset({"text", "image"}),
    zdr=True,
    distillable=True,
    quantization="fp8",
)
SMALL = replace(PLAIN, context_length=8192, max_completion_tokens=8192)
THINKER = replace(RICH, reasoning={"mandatory": True})
CLAUDE = replace(
    RICH,
    id="anthropic/claude-x",
    signs_reasoning=True,
    accepts_prefill=False,
    reasoning_format="anthropic-claude-v1",
)
GEMINI = replace(
    RICH, id="google/gemini-x", needs_reasoning_details=True, reasoning_format="google-gemini-v1"
)
GPT = replace(RICH, id="openai/gpt-x", reasoning_format="openai-responses-v1")
EMBEDDER = replace(PLAIN, output_modalities=frozenset({"embeddings"}))


def call(skin: Skin = "chat", **more: Any) -> Call:
    base: dict[str, Any] = {"messages": [USER]} if skin == "chat" else {"model": "a/b", "input": "x"}
    return check.read(skin, json.dumps({**base, **more}).encode(), {})


def refused(
    fitting: Model, tokens: int = 10, /, *, asked: str = "", price: Price | None = None, **more: Any
) -> Refusal:
    with pytest.raises(Refusal) as raised:
        check.fits(call(**more), fitting, tokens, asked=asked, price=price)
    for skin in ("chat", "messages", "responses"):
        assert refusals.envelope(skin, raised.value)
    return raised.value


def image() -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]


def turn(*details: dict[str, Any]) -> list[dict[str, Any]]:
    """A running turn whose tool call brings these details back."""
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": [called],
        "reasoning_details": list(details),
    }
    return [USER, assistant, {"role": "tool", "tool_call_id": "c", "content": "7"}]


def thought(model: Model, said: str, **other: Any) -> dict[str, Any]:
    made = {
        "type": "reasoning.text",
        "text": said,
        "signature": signature(model.id, said),
        "format": model.reasoning_format,
    }
    return {**made, **other}


FITTING: list[tuple[Model, int, dict[str, Any]]] = [
    (PLAIN, 28_000, {"max_tokens": 4_000}),
    (PLAIN, 10, {"response_format": {"type": "json_object"}}),
    (PLAIN, 10, {"provider": {"require_parameters": True}, "temperature": 1, "max_completion_tokens": 20}),
    (PLAIN, 10, {"provider": {"only": ["google-vertex/us-east5"], "order": ["openai"]}}),
    (PLAIN, 10, {"provider": {"max_price": {"prompt": 3, "completion": "15.0"}}}),
    (PLAIN, 10, {"messages": [USER, {"role": "assistant", "content": "So"}]}),
    (SMALL, 50_000, {"max_tokens": 100}),
    (SMALL, 50_000, {"plugins": [{"id": "web"}]}),
    (CLAUDE, 10, {"messages": turn({"type": "reasoning.server_tool_call", "tool_name": "t", "arguments": "{}", "result": "r"})}),
    (PLAIN, 50_000, {"plugins": [{"id": "context-compression"}]}),
    (PLAIN, 50_000, {"transforms": ["middle-out"]}),
    (RICH, 10, {"messages": image(), "modalities": ["image", "text"], "tools": [TOOL], "tool_choice": "required", "response_format": SCHEMA}),
    (RICH, 10, {"provider": {"zdr": True, "data_collection": "deny", "enforce_distillable_text": True, "quantizations": ["fp8"]}}),
    (RICH, 10, {"provider": {"require_parameters": True}, "reasoning_effort": "low", "tools": [TOOL], "response_format": SCHEMA}),
    (THINKER, 10, {"reasoning": {"effort": "low"}}),
    (GPT, 10, {"max_tokens": 16}),
    (GEMINI, 10, {"messages": turn({"type": "reasoning.encrypted", "data": "e", "format": "google-gemini-v1"})}),
    (GEMINI, 10, {"messages": [*turn(), {"role": "assistant", "content": "7."}, USER]}),
    (CLAUDE, 10, {"messages": turn(thought(CLAUDE, "Hm."), {"type": "reasoning.encrypted", "data": "e"})}),
    (CLAUDE, 10, {"messages": turn(thought(CLAUDE, "H", signature=None, index=0), thought(CLAUDE, "m.", signature=None, index=0), thought(CLAUDE, "Hm.", text="", index=0))}),
    (PLAIN, 10, {"messages": turn({"type": "reasoning.text", "text": "x", "signature": "whatever"})}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "tokens", "more"), FITTING)
def test_what_the_model_can_do_passes(model: Model, tokens: int, more: dict[str, Any]) -> None:
    """Soft wishes, preferences that leave a provider, whole histories."""
    check.fits(call(**more), model, tokens)


REFUSED: list[tuple[Model, int, dict[str, Any], int, str, str, str]] = [
    (PLAIN, 31_999, {"max_tokens": 2}, 400, "context_length_exceeded", "", "maximum context length is 32000 tokens. However, you requested about 32001 tokens (31999 of text input, 2 in the output)"),
    (SMALL, 8_193, {"plugins": [{"id": "context-compression", "enabled": False}]}, 400, "context_length_exceeded", "", "maximum context length is 8192"),
    (SMALL, 8_193, {"transforms": []}, 400, "context_length_exceeded", "", "maximum context length is 8192"),
    (PLAIN, 10, {"max_tokens": 4_001}, 404, "not_found", "constraint_filtered", "no endpoint can generate 4001 tokens; the most is 4000."),
    (PLAIN, 10, {"tools": [TOOL]}, 404, "not_found", "no_endpoints", "No endpoints found that support tool use."),
    (replace(RICH, parameters=frozenset({"tools"})), 10, {"tools": [TOOL], "tool_choice": "required"}, 404, "not_found", "no_endpoints", "No endpoints found that support the provided 'tool_choice' value."),
    (PLAIN, 10, {"response_format": SCHEMA}, 404, "not_found", "no_endpoints", "No endpoints found that support structured outputs"),
    (PLAIN, 10, {"messages": image()}, 404, "not_found", "no_endpoints", "No endpoints found that support image input."),
    (RICH, 10, {"modalities": ["text", "audio"], "stream": True, "audio": {"voice": "a", "format": "mp3"}}, 404, "not_found", "no_endpoints", "No endpoints found that support the requested output modalities: text, audio"),
    (PLAIN, 10, {"provider": {"require_parameters": True}, "seed": 1, "top_k": 2}, 404, "not_found", "constraint_filtered", "no endpoint supports seed, top_k."),
    (PLAIN, 10, {"provider": {"only": ["openai"]}}, 404, "not_found", "no_endpoints", "No allowed providers are available for the selected model."),
    (PLAIN, 10, {"provider": {"ignore": ["acme", "google-vertex", "google-ai-studio"]}}, 404, "not_found", "no_endpoints", "No allowed providers"),
    (PLAIN, 10, {"provider": {"order": ["openai"], "allow_fallbacks": False}}, 404, "not_found", "no_endpoints", "No allowed providers"),
    (PLAIN, 10, {"provider": {"max_price": {"prompt": 2.99}}}, 404, "not_found", "constraint_filtered", "every endpoint charges more than $2.99 for prompt."),
    (PLAIN, 10, {"provider": {"max_price": {"image": "0.001"}}}, 404, "not_found", "constraint_filtered", "charges more than $0.001 for image."),
    (PLAIN, 10, {"provider": {"zdr": True}}, 404, "not_found", "privacy_restricted", "match your data policy (zero data retention)"),
    (replace(RICH, is_free=True), 10, {"provider": {"data_collection": "deny"}}, 404, "not_found", "privacy_restricted", "no training on prompts"),
    (PLAIN, 10, {"provider": {"quantizations": ["fp16"]}}, 404, "not_found", "constraint_filtered", "no endpoint has one of these quantizations."),
    (PLAIN, 10, {"provider": {"enforce_distillable_text": True}}, 404, "not_found", "constraint_filtered", "no endpoint allows distillation."),
    (RICH, 10, {"models": ["a/b", "c/d"], "tools": [{"type": "openrouter:web_search"}]}, 400, "invalid_request", "", "Server tool request failed"),
    (THINKER, 10, {"reasoning": {"enabled": False}}, 400, "invalid_request", "", "Reasoning is mandatory for this endpoint and cannot be disabled."),
    (THINKER, 10, {"reasoning_effort": "none"}, 400, "invalid_request", "", "Reasoning is mandatory"),
    (CLAUDE, 10, {"reasoning": {"max_tokens": 2_000}, "max_tokens": 2_000}, 400, "invalid_request", "", "max_tokens must be greater than reasoning.max_tokens"),
    (CLAUDE, 10, {"messages": [USER, {"role": "assistant", "content": "So"}]}, 400, "invalid_request", "", "This model does not support assistant message prefill. The conversation must end with a user message."),
    (GPT, 10, {"max_tokens": 15}, 400, "invalid_request", "", "Expected a value >= 16, but got 15 instead."),
    (GEMINI, 10, {"messages": turn()}, 400, "invalid_request", "", "missing a thought_signature"),
    (GEMINI, 10, {"messages": turn(thought(CLAUDE, "Hm."))}, 400, "invalid_request", "", "Reasoning details need to be preserved"),
    (CLAUDE, 10, {"messages": turn(thought(CLAUDE, "Hm.", text="Hm!"))}, 400, "invalid_request", "", "messages.1.content.0: Invalid `signature` in `thinking` block"),
    (CLAUDE, 10, {"messages": turn(thought(CLAUDE, "Hm.", signature=None))}, 400, "invalid_request", "", "Invalid `signature`"),
    (CLAUDE, 10, {"messages": turn(thought(CLAUDE, "a"), thought(GPT, "b", format="unknown"))}, 400, "invalid_request", "", "messages.1.content.1: Invalid `signature`"),
    (CLAUDE, 10, {"messages": turn({"type": "reasoning.encrypted", "data": "e", "format": "openai-responses-v1"})}, 400, "invalid_request", "", "Invalid `signature`"),
    (EMBEDDER, 10, {}, 400, "invalid_request", "wrong_endpoint", "Use /api/v1/embeddings instead."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "tokens", "more", "status", "error_type", "availability", "words"), REFUSED
)
def test_what_it_cannot_is_refused(
    model: Model,
    tokens: int,
    more: dict[str, Any],
    status: int,
    error_type: str,
    availability: str,
    words: str,
) -> None:
    """The status, the type, the availability and OpenRouter's words."""
    refusal = refused(model, tokens, **more)
    assert (refusal.status, refusal.error_type) == (status, error_type)
    assert (refusal.availability or {"code": ""})["code"] == availability
    assert words in refusal.message


EXCLUDED: list[tuple[dict[str, Any], list[str], str]] = [
    ({"only": ["openai"]}, ["allowed_providers"], ""),
    ({"max_price": {"completion": 1}}, ["max_price"], "max_price"),
    ({"zdr": True}, ["data_policy:zdr"], ""),
    ({"quantizations": ["int4"]}, ["quantization"], "provider.quantizations"),
    ({"require_parameters": True}, ["require_parameters"], "provider.require_parameters"),
]


@pytest.mark.parametrize(("provider", "excluded_by", "field"), EXCLUDED)
def test_the_filter_that_left_nothing_is_named(
    provider: dict[str, Any], excluded_by: list[str], field: str
) -> None:
    """`excluded_by` and `constraint.field` name what the caller may relax."""
    found = refused(PLAIN, provider=provider, seed=1).availability
    assert found is not None
    assert found["excluded_by"] == excluded_by
    assert found.get("constraint", {"field": ""})["field"] == field
    assert found["retryable"] is False


def test_latest_aliases_lift_mandatory_reasoning() -> None:
    """`~…-latest` softens what the concrete model refuses."""
    wish = call(reasoning={"enabled": False})
    check.fits(wish, THINKER, 10, asked="~acme/plain-latest")
    assert refused(THINKER, asked="acme/plain:nitro", reasoning={"enabled": False}).status == 400


def test_the_slug_as_asked_is_told() -> None:
    """Messages and requested_models name what was sent, not what it resolved to."""
    refusal = refused(PLAIN, asked="acme/alias", model="acme/alias", provider={"zdr": True})
    assert refusal.message.startswith("No endpoints for acme/alias")
    assert refusal.availability is not None
    assert refusal.availability["requested_models"] == ["acme/alias"]


def test_the_price_that_holds_now_is_compared() -> None:
    """An override by the hour counts; what is dynamic has no price, and no ceiling hides it."""
    limit = {"max_price": {"prompt": 5}}
    dear = Price(prompt=Decimal("0.000006"), completion=Decimal(0))
    assert "charges more than $5" in refused(PLAIN, price=dear, provider=limit).message
    check.fits(
        call(provider=limit), PLAIN, 10, price=Price(prompt=Decimal(-1), completion=Decimal(-1), dynamic=True)
    )
    check.fits(call(provider=limit), replace(PLAIN, shown={"pricing": {"prompt": "-1"}}), 10)


ORDERS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ("Acme", "Google", "Google AI Studio")),
    ({"order": ["google-ai-studio"]}, ("Google AI Studio", "Acme", "Google")),
    ({"order": ["google-vertex/eu", "acme"], "allow_fallbacks": False}, ("Google", "Acme")),
    ({"only": ["google-vertex", "Acme"]}, ("Acme", "Google")),
    ({"ignore": ["acme"], "order": ["acme"]}, ("Google", "Google AI Studio")),
    ({"order": ["openai"], "allow_fallbacks": False}, ()),
]


@pytest.mark.parametrize(("provider", "left"), ORDERS)
def test_providers_are_left_in_their_order(provider: dict[str, Any], left: tuple[str, ...]) -> None:
    """order, only, ignore and allow_fallbacks, by base slug or name."""
    assert check.eligible(call(provider=provider), PLAIN) == left


def test_embedding_models_have_their_endpoint() -> None:
    """Each kind of model answers at its own path only."""
    check.fits(call("embeddings"), EMBEDDER, 10)
    with pytest.raises(Refusal, match="Use /api/v1/chat/completions instead"):
        check.fits(call("embeddings"), PLAIN, 10)


def test_every_served_model_takes_a_plain_question() -> None:
    """No rule stands between an ordinary request and a model of the catalogue at its own endpoint."""
    skins: dict[str, Skin] = {"embeddings": "embeddings", "rerank": "rerank"}
    for model in catalogue.load().models:
        if model.gone or model.alias_target:
            continue
        skin = next((skins[kind] for kind in skins if kind in model.output_modalities), "chat")
        asked = (
            call(skin)
            if skin != "rerank"
            else check.read(skin, b'{"model":"m","query":"q","documents":["d"]}', {})
        )
        check.fits(asked, model, 10)


def test_signatures_bind_the_words_to_the_family() -> None:
    """The same words, another family or other words: only the first is valid."""
    signed = signature("~anthropic/claude-opus-latest", "Hm.")
    assert signed.startswith("sim-sig:anthropic:")
    assert len(signed.rpartition(":")[2]) == 16
    assert is_valid("anthropic/claude-x", "Hm.", signed)
    assert not is_valid("openai/gpt-x", "Hm.", signed)
    assert not is_valid("anthropic/claude-x", "Hm", signed)
    assert family("~openai/gpt-latest") == "openai"
    assert signature("a/b", "\ud800")


def test_pieces_of_one_thought_are_put_together() -> None:
    """Neighbours of one index are one item; a signature closes it, and pieces without an index stay alone."""
    text = {"type": "reasoning.text", "index": 0}
    pieces = [{**text, "text": "a"}, {**text, "text": "b"}, {**text, "signature": "s"}, {**text, "text": "c"}]
    assert merged(pieces) == [{**text, "text": "ab", "signature": "s"}, {**text, "text": "c"}]
    assert len(merged([{"type": "reasoning.text", "text": "a"}] * 2)) == 2
    assert pieces[0] == {**text, "text": "a"}
