"""The form of requests: what passes, what is refused and in which words, and that no bytes can break it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.simulator.checks import check
from bytedeck.simulator.refusals import named as refusals
from bytedeck.simulator.shapes import Refusal, Skin

USER = [{"role": "user", "content": "Say something."}]
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BASE: dict[Skin, dict[str, Any]] = {
    "chat": {"messages": USER},
    "responses": {"input": "Say something."},
    "messages": {"model": "a/b", "messages": USER},
    "embeddings": {"model": "a/b", "input": "words"},
    "rerank": {"model": "a/b", "query": "q", "documents": ["d"]},
}


def read(skin: Skin, headers: dict[str, str] | None = None, /, **more: Any) -> Any:
    return check.read(skin, json.dumps({**BASE[skin], **more}).encode(), headers or {})


def refused(skin: Skin, headers: dict[str, str] | None = None, /, **more: Any) -> str:
    """The words of the refusal, which has OpenRouter's own 400 shape."""
    with pytest.raises(Refusal) as raised:
        read(skin, headers, **more)
    sent = json.loads(refusals.envelope("chat", raised.value))
    assert sent == {
        "error": {
            "message": raised.value.message,
            "code": 400,
            "metadata": {"error_type": raised.value.error_type},
        }
    }
    assert raised.value.error_type == "invalid_request"
    assert len(raised.value.message) < 500
    return raised.value.message


ACCEPTED: list[tuple[Skin, dict[str, Any]]] = [
    ("chat", {"unknown_key": {"of": "any kind"}}),
    ("chat", {"temperature": 0, "top_p": 1, "top_k": 0, "min_p": 0, "top_a": 1, "seed": -5, "repetition_penalty": 2}),
    ("chat", {"temperature": 2, "frequency_penalty": -2, "presence_penalty": 2, "max_tokens": 1, "max_completion_tokens": 1}),
    ("chat", {"temperature": None, "seed": None, "stop": None, "provider": None, "reasoning_effort": None}),
    ("chat", {"stop": "a"}),
    ("chat", {"stop": ["a", "b", "c", "d"]}),
    ("chat", {"models": ["a/b", "c/d", "e/f"], "model": "g/h"}),
    ("chat", {"provider": {"max_price": {"prompt": 1, "completion": "2.5", "image": 0.001}}}),
    ("chat", {"provider": {"order": ["openai"], "sort": {"by": "price", "partition": "none"}, "preferred_max_latency": 2}}),
    ("chat", {"usage": {"include": True}, "stream_options": {"include_usage": True}, "route": "fallback", "transforms": ["middle-out"]}),
    ("chat", {"verbosity": "max", "include_reasoning": True, "web_search_options": {"search_context_size": "low"}}),
    ("chat", {"max_tool_calls": 30, "preset": "mine", "structured_outputs": True, "x_search_filter": {}}),
    ("chat", {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}, "stream": True}),
    ("chat", {"logprobs": True, "top_logprobs": 20, "logit_bias": {"50256": -100}}),
    ("chat", {"session_id": "s" * 256, "user": "u" * 300, "metadata": {"k" * 64: "v" * 512}}),
    ("chat", {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ("chat", {"tools": [{"type": "openrouter:web_search"}, {"type": "web_search_preview"}], "tool_choice": "auto"}),
    ("chat", {"messages": [*USER, CALLED, {"role": "tool", "tool_call_id": "c", "content": "7"}]}),
    ("chat", {"messages": [*USER, {"role": "assistant", "content": "So", "reasoning_details": [], "reasoning": None}]}),
    ("chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "a-b_9", "schema": {}, "strict": None}}}),
    ("chat", {"response_format": {"type": "grammar", "grammar": "root ::= 'a'"}, "prediction": {"type": "content", "content": "x"}}),
    ("chat", {"reasoning": {"max_tokens": 2000, "exclude": True, "enabled": True, "context": "auto", "mode": "pro"}}),
    ("chat", {"reasoning": {"effort": "high"}, "reasoning_effort": "high", "service_tier": "fast", "debug": {"echo_upstream_body": True}}),
    ("chat", {"plugins": [{"id": "web", "max_results": 3}, {"id": "response-healing", "enabled": False}]}),
    ("chat", {"stop_server_tools_when": [{"type": "max_cost", "max_cost_in_dollars": 0.5}], "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
    ("responses", {"store": False, "previous_response_id": None, "max_output_tokens": 16, "top_logprobs": 3}),
    ("responses", {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "max"}, "max_tool_calls": 1}),
    ("messages", {"max_tokens": 5, "fallbacks": [{"model": "c/d"}] * 3, "thinking": {"type": "adaptive"}}),
    ("messages", {"system": [{"type": "text", "text": "Be kind."}], "stop_sequences": ["x"] * 6, "metadata": {"user_id": "u"}}),
    ("embeddings", {"input": [[1, 2], [3]], "encoding_format": "base64", "dimensions": 8}),
    ("embeddings", {"input": [{"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}], "input_type": "query"}),
    ("rerank", {"documents": [{"text": "t"}, "s", {"image": "data:,"}], "top_n": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("skin", "more"), ACCEPTED)
def test_what_the_documentation_allows_passes(skin: Skin, more: dict[str, Any]) -> None:
    """The description's fields, the documentation's beyond them, and unknown keys are accepted."""
    call = read(skin, **more)
    assert call.body == {**BASE[skin], **more}
    assert msgspec.json.decode(call.raw) == call.body


REFUSED: list[tuple[Skin, dict[str, Any], str]] = [
    ("chat", {"messages": []}, "messages: must have at least 1 item(s)"),
    ("chat", {"messages": "hi"}, "messages: expected array"),
    ("chat", {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role: expected one of system, user, developer, assistant, tool"),
    ("chat", {"messages": [{"content": "x"}]}, "messages[0]: 'role' is required"),
    ("chat", {"messages": [*USER, {"role": "user", "content": 5}]}, "messages[1].content: expected string or array"),
    ("chat", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0]: 'tool_call_id' is required"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0]: 'text' is required"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type: expected one of text, image_url, input_audio, input_video, video_url, file"),
    ("chat", {"model": 5}, "model: expected string"),
    ("chat", {"model": ""}, "No models provided"),
    ("chat", {"models": ["a/b"] * 4}, "'models' array must have 3 items or fewer."),
    ("chat", {"models": ["a/b", ""]}, "No models provided"),
    ("chat", {"max_tool_calls": 1.5}, "max_tool_calls: expected an integer from 1 to 30"),
    ("chat", {"max_tool_calls": "x"}, "max_tool_calls: expected an integer from 1 to 30"),
    ("chat", {"metadata": {"k" * 3000 + "a": 5, "k" * 3000 + "b": "v"}}, f"metadata.{'k' * 151}…: expected string"),
    ("chat", {"plugins": [{"id": "auto-router", "allowed_models": ["a/b"] * 1025}]}, "plugins[0].allowed_models: must have at most 1024 items"),
    ("responses", {"input": [{"role": "robot", "content": "x"}]}, "input[0].role: expected one of user, system, assistant, developer, unknown, critic, discriminator, tool"),
    ("responses", {"store": 0}, "store: expected boolean"),
    ("chat", {"provider": {"prefer": "x"}}, "provider: unrecognized key 'prefer'"),
    ("chat", {"provider": {"sort": "cheap"}}, "provider.sort: expected one of price, throughput, latency, exacto"),
    ("chat", {"provider": {"max_price": {"prompt": "cheap"}}}, "provider.max_price.prompt: expected a price in USD, as a number or a decimal string"),
    ("chat", {"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt: expected a price in USD, as a number or a decimal string"),
    ("chat", {"stop": ["a"] * 5}, "stop: must have at most 4 items"),
    ("chat", {"stream": "yes"}, "stream: expected boolean"),
    ("chat", {"temperature": 5}, "temperature: expected a number from 0 to 2"),
    ("chat", {"temperature": "1"}, "temperature: expected number or null"),
    ("chat", {"top_p": 0}, "top_p: expected a number above 0, up to 1"),
    ("chat", {"top_p": 2}, "top_p: expected a number above 0, up to 1"),
    ("chat", {"min_p": 1.1}, "min_p: expected a number from 0 to 1"),
    ("chat", {"top_k": -1}, "top_k: expected an integer from 0 to 2147483647"),
    ("chat", {"frequency_penalty": -2.1}, "frequency_penalty: expected a number from -2 to 2"),
    ("chat", {"repetition_penalty": 0}, "repetition_penalty: expected a number above 0, up to 2"),
    ("chat", {"seed": 1.5}, "seed: expected integer or null"),
    ("chat", {"max_tokens": 0}, "max_tokens: expected an integer from 1 to 2147483647"),
    ("chat", {"max_completion_tokens": 10**400}, "max_completion_tokens: expected an integer from 1 to 2147483647"),
    ("chat", {"top_logprobs": 2}, "top_logprobs: needs logprobs to be true"),
    ("chat", {"logprobs": True, "top_logprobs": 21}, "top_logprobs: expected an integer from 0 to 20"),
    ("chat", {"logit_bias": {"1": 101}}, "logit_bias.1: expected a number from -100 to 100"),
    ("chat", {"max_tool_calls": 31}, "max_tool_calls: expected an integer from 1 to 30"),
    ("chat", {"verbosity": "loud"}, "verbosity: expected one of low, medium, high, xhigh, max"),
    ("chat", {"include_reasoning": "no"}, "include_reasoning: expected a boolean"),
    ("chat", {"modalities": ["audio"], "audio": {"voice": "a", "format": "mp3"}}, "Audio output requires stream: true"),
    ("chat", {"modalities": ["audio"], "stream": True}, "audio: expected an object with voice and format"),
    ("chat", {"session_id": "s" * 257}, "session_id: must have at most 256 characters"),
    ("chat", {"metadata": {str(number): "v" for number in range(17)}}, "metadata: must have at most 16 pairs"),
    ("chat", {"metadata": {"k": "v" * 513}}, "metadata.k: must have at most 512 characters"),
    ("chat", {"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 64}…: a key must have at most 64 characters"),
    ("chat", {"tools": [{"type": "function", "function": {"name": "n" * 65}}]}, "tools[0].function.name: must have at most 64 characters"),
    ("chat", {"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0]: a tool's name must have 1 to 64 characters"),
    ("chat", {"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice: expected one of none, auto, required"),
    ("chat", {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice: there is no tool named 'g'"),
    ("chat", {"tool_choice": "required"}, "tool_choice: needs tools"),
    ("chat", {"response_format": {"type": "json_schema"}}, "response_format: 'json_schema' is required"),
    ("chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "n" * 65}}}, "response_format.json_schema.name: must have at most 64 characters"),
    ("chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "my schema"}}}, "response_format.json_schema.name: must have 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"),
    ("chat", {"reasoning": {"effort": "huge"}}, "reasoning.effort: expected one of max, xhigh, high, medium, low, minimal, none, null"),
    ("chat", {"reasoning": {"max_tokens": "many"}}, "reasoning.max_tokens: expected an integer from 0 to 2147483647"),
    ("chat", {"reasoning": {"enabled": 1}}, "reasoning.enabled: expected a boolean"),
    ("chat", {"reasoning": {"effort": "low", "max_tokens": 5}}, 'Only one of "reasoning.effort" and "reasoning.max_tokens" can be specified'),
    ("chat", {"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, '"reasoning_effort" and "reasoning.effort" must not contradict each other'),
    ("responses", {"input": 5}, "input: expected string or array"),
    ("responses", {"input": []}, "input: expected a string or an array with at least 1 item"),
    ("responses", {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type: expected one of input_text, input_image, input_file, input_audio, input_video"),
    ("responses", {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0]: 'arguments' is required"),
    ("responses", {"store": True}, "store: the Responses API is stateless; store: true is not supported"),
    ("responses", {"previous_response_id": "resp_1"}, "previous_response_id: the Responses API is stateless; send the whole conversation as input"),
    ("responses", {"text": {"format": {"type": "json_schema", "name": "a b", "schema": {}}}}, "text.format.name: must have 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"),
    ("responses", {"user": "u" * 257}, "user: must have at most 256 characters"),
    ("messages", {"messages": None}, "messages: must have at least 1 item(s)"),
    ("messages", {"model": None}, "model: expected string"),
    ("messages", {"fallbacks": [{"model": "c/d"}] * 4}, "'fallbacks' array must have 3 items or fewer."),
    ("messages", {"fallbacks": [{"model": "c/d"}], "models": ["e/f"]}, "'fallbacks' cannot be used together with 'models'."),
    ("messages", {"max_tokens": 0}, "max_tokens: expected an integer from 1 to 2147483647"),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": 100}}, "thinking.budget_tokens: must be at least 1024"),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000}, "max_tokens: must be greater than thinking.budget_tokens"),
    ("messages", {"tools": [{"name": "n" * 65, "input_schema": {"type": "object"}}]}, "tools[0]: a tool's name must have 1 to 64 characters"),
    ("embeddings", {"input": []}, "input: must have at least 1 item(s)"),
    ("embeddings", {"dimensions": 0}, "dimensions: must be at least 1"),
    ("rerank", {"documents": []}, "documents: must have at least 1 item(s)"),
    ("rerank", {"query": None}, "query: expected string"),
]  # fmt: skip


@pytest.mark.parametrize(("skin", "more", "words"), REFUSED)
def test_what_is_forbidden_is_told_by_its_path(skin: Skin, more: dict[str, Any], words: str) -> None:
    """400 invalid_request, the place and what was expected there, and nothing of what was sent."""
    assert refused(skin, **more) == words


@pytest.mark.parametrize(
    ("skin", "key"),
    [("chat", "messages"), ("messages", "model"), ("embeddings", "input"), ("rerank", "documents")],
)
def test_required_fields_are_required(skin: Skin, key: str) -> None:
    """Each skin names the field that is missing."""
    body = {name: value for name, value in BASE[skin].items() if name != key}
    with pytest.raises(Refusal, match=f"'{key}' is required"):
        check.read(skin, json.dumps(body).encode(), {})


def test_a_session_id_in_the_header_is_measured_too() -> None:
    """Above 256 characters it is refused, unless the body's own wins."""
    long = {"x-session-id": "s" * 257}
    assert refused("chat", long) == "x-session-id: must have at most 256 characters"
    assert read("chat", long, session_id="mine").body["session_id"] == "mine"


NO_JSON = [
    b"", b" ", b"{", b"[]", b"null", b'"x"', b"1", b"{} {}", b"\xef\xbb\xbf{}", b'{"messages":NaN}', b'{"temperature":1e400}',
    b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"\\udc00":1}', b'{"a":' + b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000, b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}", b'{"x":' + b'{"a":' * 900 + b"1" + b"}" * 901,
    b"\x00", b'{"a":\x00}', b"{'a':1}", b'{"a":1,}',
]  # fmt: skip


@pytest.mark.parametrize("skin", list(BASE))
@pytest.mark.parametrize("raw", NO_JSON)
def test_bytes_that_are_no_request_are_refused(skin: Skin, raw: bytes) -> None:
    """Not JSON, not an object, not UTF-8, halves of surrogates, NaN, bottomless nesting: a clean 400."""
    with pytest.raises(Refusal) as raised:
        check.read(skin, raw, {})
    assert (raised.value.status, raised.value.error_type) == (400, "invalid_request")
    assert refusals.envelope(skin, raised.value)


def test_duplicate_keys_are_harmless() -> None:
    """The last one counts, as in most parsers."""
    call = check.read("chat", b'{"messages":5,"messages":[{"role":"user","content":"x"}]}', {})
    assert call.messages == ({"role": "user", "content": "x"},)


HUGE: list[tuple[Skin, dict[str, Any], str]] = [
    ("chat", {"messages": [{"role": "user", "content": ["x" * 8_000_000]}]}, "messages[0].content[0]: expected object"),
    ("chat", {"messages": USER * 60_000 + [{"role": "x", "content": ""}]}, "messages[60000].role: expected one of"),
    ("chat", {"messages": [*USER * 9, {"role": "x", "content": ""}, *USER * 60_000]}, "messages[9].role: expected one of"),
    ("chat", {"messages": [{"role": "x", "content": ""}] * 60_000}, "messages[0].role: expected one of"),
    ("chat", {"messages": [*USER, {"role": "user", "content": [{"type": "text", "text": "x"}] * 60_000 + [5]}]}, "messages[1].content[60000]: expected object"),
    ("chat", {"messages": USER * 60_000, "stream": 1}, "stream: expected boolean"),
    ("responses", {"input": [{"type": "x", "a": ["b"] * 9}] * 30_000}, "input[0].type: expected one of"),
    ("chat", {"provider": {"order": ["a"] * 9_000 + [5]}}, "provider.order[9000]: expected string"),
]  # fmt: skip


@pytest.mark.parametrize(("skin", "more", "words"), HUGE)
def test_the_fault_in_a_huge_body_is_found(skin: Skin, more: dict[str, Any], words: str) -> None:
    """The place is told as it was sent; and in moments: it took minutes when every branch of every item was explained."""
    assert refused(skin, **more).startswith(words)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from([
    "messages", "input", "model", "models", "fallbacks", "stop", "stop_sequences", "tools", "tool_choice", "reasoning", "thinking",
    "provider", "plugins", "response_format", "text", "output_config", "metadata", "logit_bias", "seed", "max_tokens", "system",
    "instructions", "modalities", "audio", "store", "documents", "dimensions", "temperature", "stream", "reasoning_effort",
])  # fmt: skip
INSIDE = st.sampled_from(["role", "type", "content", "text", "name", "function", "parameters", "max_price", "effort", "enabled", "id", "format", "json_schema", "tool_calls", "reasoning_details", "call_id", "output"])  # fmt: skip
VALUES = (
    JSON
    | st.dictionaries(INSIDE, JSON, max_size=4)
    | st.lists(st.dictionaries(INSIDE, JSON, max_size=4), max_size=3)
)


@settings(max_examples=400, deadline=None)
@given(skin=st.sampled_from(list(BASE)), more=st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_json_is_read_or_refused(skin: Skin, more: dict[str, Any]) -> None:
    """Whatever the types: a call or a 400, never another error."""
    try:
        call = check.read(skin, json.dumps({**BASE[skin], **more}).encode(), {})
    except Refusal as refusal:
        assert refusal.status == 400
        assert refusals.envelope(skin, refusal)
    else:
        assert call.skin == skin


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever the bytes: a call or a 400."""
    with pytest.raises(Refusal):
        check.read("chat", raw, {})


def test_the_code_exchange_is_checked_by_the_description() -> None:
    """`POST /auth/keys` needs a code, and knows two methods."""
    assert check.body("auth/keys", b'{"code":"c","code_challenge_method":"S256"}')["code"] == "c"
    for raw, words in [
        (b"{}", "'code' is required"),
        (
            b'{"code":"c","code_challenge_method":"MD5"}',
            "code_challenge_method: expected one of S256, plain, null",
        ),
    ]:
        with pytest.raises(Refusal) as raised:
            check.body("auth/keys", raw)
        assert raised.value.message == words


def test_tokens_are_counted_for_a_messages_body() -> None:
    """`/messages/count_tokens` takes the same body; nothing of it is streamed."""
    call = check.count_tokens(json.dumps({**BASE["messages"], "stream": True}).encode(), {})
    assert (call.skin, call.stream, call.models) == ("messages", False, ("a/b",))
