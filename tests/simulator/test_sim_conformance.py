"""The wire reference's cases for a simulator (section 15, role S) and its contract (section 14), asked over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.faults.events import COMMENT
from simclient import HI, MODEL, Came, ask, chat, finishes, streamed

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SONNET, OPUS, GEMINI = (
    "anthropic/claude-sonnet-4.5",
    "anthropic/claude-opus-5",
    "google/gemini-3.1-pro-preview",
)


def test_comments_stand_before_and_between_events(sim: Simulator) -> None:
    """SSE-01: lines of their own, never data, on every stream before its first event, and between events where asked."""
    for fault, least in (("", 1), ("comments;count=2", 20)):
        body = streamed(sim, fault).body
        assert body.startswith(COMMENT)
        assert body.count(COMMENT) >= least
        assert b"data: :" not in body


def test_every_chunk_and_every_body_has_the_superset(openrouter: Simulator) -> None:
    """14, output shape: id, object, created, model, provider, fingerprint, native_finish_reason, logprobs; 4.1 and 5.1."""
    whole, stream = chat(openrouter).json, chat(openrouter, stream=True)
    for told, kind in (
        (whole, "chat.completion"),
        *((e, "chat.completion.chunk") for e in stream.events[:-1]),
    ):
        assert told["id"].startswith("gen-")
        assert (told["object"], told["model"], told["provider"]) == (kind, MODEL, "OpenAI")
        assert told["created"] == 1_787_400_000
        assert told["system_fingerprint"] is None
        for choice in told["choices"]:
            assert {"index", "finish_reason", "native_finish_reason", "logprobs"} <= choice.keys()
            assert choice["logprobs"] is None
    first, last = stream.events[0], stream.events[-2]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (last["choices"], stream.events[-1]) == ([], "[DONE]")
    assert {"prompt_tokens", "completion_tokens", "total_tokens", "cost", "is_byok", "cost_details"} <= last[
        "usage"
    ].keys()
    assert len({event["id"] for event in stream.events[:-1]}) == 1


@pytest.mark.parametrize(
    "path", ["chat/completions", "completions", "responses", "messages", "embeddings", "rerank"]
)
def test_every_inference_names_its_generation_before_the_first_byte(openrouter: Simulator, path: str) -> None:
    """2.3: X-Generation-Id on an answer, a stream and a refusal alike; the body's id is the same; no limits are told (RL-05)."""
    bodies: dict[str, Any] = {
        "completions": {"prompt": "hi"},
        "responses": {"input": "hi"},
        "embeddings": {"model": "openai/text-embedding-3-small", "input": "hi"},
        "rerank": {"model": "cohere/rerank-v3.5", "query": "a", "documents": ["a"]},
    }
    body = {"model": MODEL, "max_tokens": 20} | bodies.get(path, {"messages": HI})
    body |= {"max_output_tokens": 20} if path == "responses" else {}
    came = ask(openrouter, "POST", f"/api/v1/{path}", body)
    assert came.status == 200
    assert came.headers["x-generation-id"] == came.json["id"]
    assert not any(name.startswith("x-ratelimit") for name in came.headers)
    if path not in ("embeddings", "rerank"):
        stream = ask(openrouter, "POST", f"/api/v1/{path}", body | {"stream": True})
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-generation-id"].encode() in stream.body
    no = ask(openrouter, "POST", f"/api/v1/{path}", body | {"model": "no/such"})
    assert (no.status, no.headers["x-generation-id"][:4]) == (400, "gen-")


@pytest.mark.parametrize("value", ["Enabled", "ENABLED", "true", "1", "", "disabled"])
@pytest.mark.parametrize("name", ["X-OpenRouter-Metadata", "X-OpenRouter-Experimental-Metadata"])
def test_metadata_only_for_enabled(openrouter: Simulator, name: str, value: str) -> None:
    """SSE-12: under both names, in any case, on the last chunk before [DONE] alone; any other value is off."""
    came = chat(openrouter, stream=True, headers={name: value})
    held = [event for event in came.events if "openrouter_metadata" in event]
    assert held == ([came.events[-2]] if value.lower() == "enabled" else [])


@pytest.mark.parametrize("tokens", [0, 3])
def test_an_error_after_tokens_is_a_chunk_and_the_end(sim: Simulator, tokens: int) -> None:
    """MID-01: status 200, so many content chunks, then one with error and finish_reason error, and nothing after it."""
    came = streamed(sim, f"error_chunk;tokens={tokens};name=provider_unavailable")
    *before, last = came.events
    assert sum(bool(c["delta"]["content"]) for e in before for c in e["choices"]) == tokens
    assert (last["error"]["code"], last["error"]["metadata"]["error_type"]) == (502, "provider_unavailable")
    assert (finishes(came), came.end) == (["error"], "whole")
    assert not any("usage" in event for event in came.events)


def test_a_500_after_tokens_is_masked(sim: Simulator) -> None:
    """MID-08: a generic message, no provider_code, error_type server, no routing, though it was asked for."""
    last = streamed(sim, "error_chunk;name=server", headers={"X-OpenRouter-Metadata": "enabled"}).events[-1]
    assert last["error"] == {
        "message": "Internal Server Error",
        "code": 500,
        "metadata": {"error_type": "server"},
    }
    assert "openrouter_metadata" not in last


def test_a_200_may_be_an_error(sim: Simulator) -> None:
    """ERR-01: code 429 in the body, a user_id, no choices; and it costs nothing."""
    told = chat(sim, fault="error_body").json
    assert (told["error"]["code"], told["user_id"][:5], "choices" in told) == (429, "user_", False)
    assert [row["cost"] for row in sim.ledger()] == ["0"]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("timeout", 504, "timeout"),
        ("edge_timeout", 524, "timeout"),
        ("overloaded", 529, "provider_overloaded"),
    ],
)
def test_timeouts_and_overload_have_their_statuses(
    sim: Simulator, fault: str, status: int, kind: str
) -> None:
    """ERR-15."""
    came = chat(sim, fault=fault)
    assert (came.status, came.json["error"]["metadata"]["error_type"]) == (status, kind)


def test_a_429_says_how_long(sim: Simulator) -> None:
    """RL-01: Retry-After, mirrored in the availability, on a model with fall-backs only if none of them can."""
    came = chat(sim, "sim/capacity_exhausted:retry_after=40")
    assert (came.status, came.headers["retry-after"]) == (429, "40")
    assert (
        came.json["error"]["availability"]["retry_after"],
        came.json["error"]["availability"]["retryable"],
    ) == (40, True)
    assert chat(sim, "sim/capacity_exhausted", models=[MODEL]).json["model"] == MODEL


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"models": ["a/b", "c/d", "e/f", "g/h"]}, "'models' array must have 3 items or fewer"),  # REQ-02
        ({"provider": {"ordre": ["openai"]}}, "ordre"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"session_id": "x" * 257}, "session_id"),
        ({"temperature": 5}, "temperature"),  # REQ-09
        ({"top_p": 2}, "top_p"),
        ({"top_p": 0}, "top_p"),
        ({"seed": 1.5}, "seed"),
        ({"messages": []}, "messages"),
        ({"max_tool_calls": 31}, "max_tool_calls"),
        ({"top_logprobs": 5}, "logprobs"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x" * 65, "schema": {}}}},
            "name",
        ),
    ],
)
def test_documented_limits_are_kept(openrouter: Simulator, more: dict[str, Any], words: str) -> None:
    """14, strictness: 400 invalid_request that names the field; nothing is charged."""
    came = chat(openrouter, **more)
    assert (came.status, words in came.json["error"]["message"]) == (400, True)
    assert came.json["error"]["metadata"]["error_type"] == "invalid_request"
    assert openrouter.ledger() == []


def test_three_models_and_unknown_keys_pass(openrouter: Simulator) -> None:
    """REQ-01, REQ-02: three are allowed; the body is open."""
    assert chat(openrouter, models=[MODEL, "openai/gpt-4o", SONNET], unheard_of={"a": 1}).status == 200


CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "seen"}
FORGED = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "forged",
    "format": "anthropic-claude-v1",
    "index": 0,
}


@pytest.mark.parametrize(
    ("model", "history", "words"),
    [
        (GEMINI, [CALLED, RESULT], "Reasoning details need to be preserved"),
        (
            SONNET,
            [CALLED | {"reasoning_details": [FORGED]}, RESULT],
            "Invalid `signature` in `thinking` block",
        ),
        (OPUS, [{"role": "assistant", "content": "Once upon"}], "does not support assistant message prefill"),
    ],
)
def test_histories_that_were_damaged(
    openrouter: Simulator, model: str, history: list[Any], words: str
) -> None:
    """14, D25, D25b: 400 with the provider's own meaning, from the provider."""
    no = chat(openrouter, model, messages=[*HI, *history], tools=[TOOL])
    assert (no.status, words in no.json["error"]["message"]) == (400, True)
    assert no.json["error"]["metadata"]["provider_name"]


@pytest.mark.parametrize("model", [GEMINI, SONNET, "openai/gpt-5.6-sol"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_with_its_reasoning_passes(openrouter: Simulator, model: str, stream: bool) -> None:
    """REQ-05: what was sent, sent back unmodified, is taken; also when it was put together from deltas."""
    asked: dict[str, Any] = {
        "tools": [TOOL],
        "tool_choice": "required",
        "reasoning": {"effort": "high"},
        "max_tokens": 4000,
    }
    came = chat(openrouter, model, stream=stream, **asked)
    message = _joined(came) if stream else came.json["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "seen"} for call in message["tool_calls"]
    ]
    assert message["reasoning_details"]
    again = chat(openrouter, model, messages=[*HI, message, *results], tools=[TOOL])
    assert again.status == 200, again.body


def _joined(came: Came) -> dict[str, Any]:
    """A stream's message, by the rules of 5.2."""
    details: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for event in came.events[:-1]:
        for choice in event["choices"]:
            for item in choice["delta"].get("reasoning_details") or ():
                same = details and (details[-1]["type"], details[-1].get("index")) == (
                    item["type"],
                    item.get("index"),
                )
                if not same:
                    details.append(dict(item))
                    continue
                for key in ("text", "summary", "data"):
                    if key in item:
                        details[-1][key] = details[-1].get(key, "") + item[key]
                details[-1] |= {key: item[key] for key in ("signature",) if item.get(key)}
            for call in choice["delta"].get("tool_calls") or ():
                if call.get("id"):
                    calls.append({"id": call["id"], "type": "function", "function": dict(call["function"])})
                else:
                    calls[-1]["function"]["arguments"] += call["function"]["arguments"]
    return {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": calls}


@pytest.mark.parametrize("stream", [False, True])
def test_server_tools_search_and_tell(openrouter: Simulator, stream: bool) -> None:
    """TOOL-07: text and url_citations, no tool_calls; both forms of the count; the search is billed."""
    came = chat(openrouter, tools=[{"type": "openrouter:web_search"}], stream=stream)
    told = came.events[-2]["usage"] if stream else came.json["usage"]
    assert told["server_tool_use"]["web_search_requests"] == 1
    assert told["server_tool_use_details"]["web_search_requests"] == 1
    deltas = (
        [c["delta"] for e in came.events[:-1] for c in e["choices"]]
        if stream
        else [came.json["choices"][0]["message"]]
    )
    notes = [note for delta in deltas for note in delta.get("annotations") or ()]
    assert {note["type"] for note in notes} == {"url_citation"}
    assert not any(delta.get("tool_calls") for delta in deltas)
    assert told["cost"] > 0.005


def test_statuses_of_dead_slugs(openrouter: Simulator) -> None:
    """14, D22, 10.4: 400 for what never was, 404 for what is served no more, each with availability and a successor where there is one."""
    for slug, status, code in (
        ("no/such-model", 400, "model_not_found"),
        ("google/gemini-3-pro-preview", 404, None),
        ("anthropic/claude-3.5-sonnet", 404, None),
        ("deepseek/deepseek-reasoner", 400, "model_not_found"),
    ):
        came = chat(openrouter, slug)
        told = came.json["error"]["availability"]
        assert came.status == status, slug
        assert code in (None, told["code"])
        assert told["retryable"] is False
        assert told["requested_models"] == [slug]


def test_a_provider_is_never_swapped_within_a_stream(sim: Simulator) -> None:
    """14: after a fail-over before the first token, every chunk names the provider that answered, up to the error too."""
    for fault in ("failover", "failover,error_chunk"):
        came = chat(sim, "sim/fine", fault=fault, stream=True)
        assert {event["provider"] for event in came.events if isinstance(event, dict)} == {"Simulated Two"}


def test_availability_stands_in_streams_of_all_skins(sim: Simulator) -> None:
    """6.4: on the error that ends a stream, wherever the skin has its error."""
    fault = {"X-Sim-Fault": "error_chunk;name=temporarily_unavailable"}
    bodies: dict[str, dict[str, Any]] = {
        "chat/completions": {"messages": HI},
        "completions": {"prompt": "hi"},
        "responses": {"input": "hi"},
        "messages": {"messages": HI, "max_tokens": 50},
    }
    for path, body in bodies.items():
        came = ask(sim, "POST", f"/api/v1/{path}", {"model": MODEL, "stream": True} | body, fault)
        last = came.events[-1]
        error = last.get("response", last)["error"]
        assert error["availability"]["code"] == "temporarily_unavailable", path
        assert error["availability"]["retryable"] is True


@pytest.mark.parametrize("reasoning", [{"enabled": False}, {"effort": "none"}])
def test_mandatory_reasoning(openrouter: Simulator, reasoning: dict[str, Any]) -> None:
    """ERR-14, D26: what `/models` calls mandatory cannot be switched off; the alias softens it instead."""
    rows = {row["id"]: row for row in ask(openrouter, "GET", "/api/v1/models").json["data"]}
    mandatory = [name for name, row in rows.items() if (row.get("reasoning") or {}).get("mandatory")]
    plain = next(name for name in mandatory if not name.startswith("~"))
    no = chat(openrouter, plain, reasoning=reasoning)
    assert (no.status, "Reasoning is mandatory" in no.json["error"]["message"]) == (400, True)
    soft = next(name for name in mandatory if name.startswith("~"))
    assert chat(openrouter, soft, reasoning=reasoning, max_tokens=500).status == 200


def test_debug_bodies_one_for_each_attempt(openrouter: Simulator) -> None:
    """SSE-11: after one fall-back two of them, with choices [], before any content; without a stream none."""
    came = chat(openrouter, "sim/failover", stream=True, debug={"echo_upstream_body": True})
    debug = [place for place, event in enumerate(came.events[:-1]) if "debug" in event]
    assert debug == [0, 1]
    assert all(came.events[place]["choices"] == [] for place in debug)
    assert [came.events[place]["provider"] for place in debug] == ["Simulated", "Simulated Two"]
    assert "debug" not in chat(openrouter, debug={"echo_upstream_body": True}).json
