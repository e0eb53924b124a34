"""What a fault means to each skin: it happens there, or it is a clear 400; limits, usage, ids and ends in each skin's own way."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from openrouter import OpenRouter

from bytedeck.simulator import Simulator
from bytedeck.simulator.faults import table as faults
from bytedeck.simulator.faults.fault import ALL, SPOKEN, WITH_TOOLS
from bytedeck.simulator.money import accounts
from bytedeck.simulator.refusals import named as refusals
from simclient import HI, MODEL, Came, ask, settled

PATHS = {
    "chat": "chat/completions",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
    "embeddings": "embeddings",
    "rerank": "rerank",
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BODIES: dict[str, dict[str, Any]] = {
    "chat": {
        "messages": HI,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": PARAMETERS}}],
    },
    "completions": {"prompt": "hi"},
    "responses": {"input": "hi", "tools": [{"type": "function", "name": "look", "parameters": PARAMETERS}]},
    "messages": {"messages": HI, "max_tokens": 4000, "tools": [{"name": "look", "input_schema": PARAMETERS}]},
    "embeddings": {"model": "openai/text-embedding-3-small", "input": "hi"},
    "rerank": {"model": "cohere/rerank-v3.5", "query": "a", "documents": ["a", "b"]},
}
ENDLESS = ("hang", "silence", "stall")


def said(sim: Simulator, skin: str, fault: str = "", *, timeout: float = 5.0, **more: Any) -> Came:
    """One request in this skin."""
    body = {"model": MODEL} | BODIES[skin] | more
    headers = {"X-Sim-Fault": fault} if fault else {}
    return ask(sim, "POST", f"/api/v1/{PATHS[skin]}", body, headers, timeout)


@pytest.mark.parametrize("skin", ALL)
@pytest.mark.parametrize("name", [name for name in faults.table() if name not in refusals.NAMES])
def test_every_fault_happens_or_says_that_it_does_not_fit(sim: Simulator, name: str, skin: str) -> None:
    """Streamed or not, by header: no crash, nothing left open; a fault of another skin is a 400 that names those it fits."""
    fits = skin in faults.table()[name].skins
    for stream in (False, True) if skin in SPOKEN else (False,):
        more = {"stream": True} if stream else {}
        came = said(sim, skin, name, timeout=0.1 if name in ENDLESS else 5.0, **more)
        if not fits:
            assert (came.status, f"The fault {name} fits" in came.body.decode()) == (400, True)
    settled(sim)
    assert not {entry.end for entry in sim.journal()} & {"crashed", "open"}


def test_a_script_passes_over_what_does_not_fit(sim: Simulator) -> None:
    """The weather is no mistake of the request's."""
    sim.fault("same_index")
    assert said(sim, "messages").status == 200
    assert sim.journal()[0].faults == ()
    assert said(sim, "chat").status == 200
    assert sim.journal()[1].faults == ("same_index",)


LENGTHS = ("context_length_exceeded", "max_tokens_exceeded", "token_limit_exceeded", "string_too_long")


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_limit_is_no_error_of_the_responses_api(sim: Simulator, name: str, stream: bool) -> None:
    """6.5: a success that is incomplete for its length: instead of a refusal empty and free, after tokens with them."""
    before = said(sim, "responses", name, stream=stream)
    after = said(sim, "responses", f"error_chunk;tokens=4;name={name}", stream=stream)
    for came, spent in ((before, 0), (after, 4)):
        told = came.events[-2]["response"] if stream else came.json
        assert (came.status, told["status"], told["error"]) == (200, "incomplete", None)
        assert told["incomplete_details"] == {"reason": "max_output_tokens"}
        assert told["usage"]["output_tokens"] == spent
        if stream:
            assert came.events[-2]["type"] == "response.incomplete"
    assert [row["outcome"] for row in sim.ledger()] == ["whole", "whole"]
    assert sim.ledger()[0]["cost"] == "0" != sim.ledger()[1]["cost"]
    assert said(sim, "chat", name).status == said(sim, "messages", name).status == 400


def test_a_prompt_that_is_too_long_is_incomplete_on_responses(sim: Simulator) -> None:
    """The real limit, not only the fault."""
    words = "word " * 140_000
    no = said(sim, "chat", messages=[{"role": "user", "content": words}])
    assert no.json["error"]["metadata"]["error_type"] == "context_length_exceeded"
    assert said(sim, "responses", input=words).json["status"] == "incomplete"


@pytest.mark.parametrize("skin", ALL)
def test_a_body_without_usage(sim: Simulator, skin: str) -> None:
    """It is missing (null on responses), and all else is as it was, to the last digit."""
    bare, full = said(sim, skin, "no_usage").json, said(sim, skin).json
    assert bare.get("usage") is None
    assert ("usage" in bare) is (skin == "responses")
    assert {key for key in full if key not in bare} <= {"usage"}


@pytest.mark.parametrize("skin", SPOKEN)
def test_a_stream_without_usage(sim: Simulator, skin: str) -> None:
    """No event tells what was generated or what it cost; the stream is whole otherwise."""
    bare, full = said(sim, skin, "no_usage", stream=True), said(sim, skin, stream=True)
    assert (bare.end, b'"cost"' in bare.body, b'"cost"' in full.body) == ("whole", False, True)
    missing = int(skin in ("chat", "completions"))
    assert len(full.events) - len(bare.events) == missing
    assert bare.events[-1] == full.events[-1]
    assert Decimal(sim.ledger()[0]["cost"]) > 0


@pytest.mark.parametrize(
    ("skin", "last"),
    [
        ("chat", "[DONE]"),
        ("completions", "[DONE]"),
        ("responses", "[DONE]"),
        ("messages", {"type": "message_stop"}),
    ],
)
def test_a_stream_without_its_end_mark(sim: Simulator, skin: str, last: Any) -> None:
    """no_done: the last event is missing, whatever the skin calls it."""
    full, bare = said(sim, skin, stream=True), said(sim, skin, "no_done", stream=True)
    assert full.events[-1] == last
    assert len(full.events) - len(bare.events) == 1
    assert last not in bare.events


def calls(came: Came, skin: str, stream: bool) -> list[dict[str, Any]]:
    """What opens a tool call, in each skin's form."""
    if skin == "chat":
        if not stream:
            return list(came.json["choices"][0]["message"]["tool_calls"])
        deltas = [c["delta"] for e in came.events[:-1] for c in e["choices"]]
        return [
            call for delta in deltas for call in delta.get("tool_calls") or () if "name" in call["function"]
        ]
    if skin == "responses":
        items = (
            [e["item"] for e in came.events[:-1] if e["type"].startswith("response.output_item")]
            if stream
            else came.json["output"]
        )
        return [item for item in items if item["type"] == "function_call"]
    blocks = [e.get("content_block") or {} for e in came.events] if stream else came.json["content"]
    return [block for block in blocks if block.get("type") == "tool_use"]


@pytest.mark.parametrize("skin", WITH_TOOLS)
@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_without_ids(sim: Simulator, skin: str, stream: bool) -> None:
    """5.2: the call is there with its name and arguments, and has no id, also where nothing is streamed."""
    key = "call_id" if skin == "responses" else "id"
    whole, bare = (
        calls(said(sim, skin, fault, stream=stream), skin, stream)
        for fault in ("unknown_tool", "missing_tool_id")
    )
    assert whole
    assert all(call[key] for call in whole)
    assert len(bare) == len(whole)
    assert not any(key in call for call in bare)
    assert all("look" in json.dumps(call) for call in bare)


@pytest.mark.parametrize("reason", ["end_turn", "function_call", ""])
def test_odd_finish_reasons_in_each_skin(sim: Simulator, reason: str) -> None:
    """4.1: as they are written; an empty one is null to messages."""
    fault = f"odd_finish;reason={reason}"
    assert said(sim, "chat", fault).json["choices"][0]["finish_reason"] == reason
    assert said(sim, "completions", fault).json["choices"][0]["finish_reason"] == reason
    assert said(sim, "messages", fault).json["stop_reason"] == (reason or None)


def test_the_official_client_reads_embeddings_costs(sim: Simulator) -> None:
    """cost_details has the parts that its class wants; they are the ledger's."""
    with OpenRouter(server_url=sim.base_url, api_key=sim.api_key) as client:
        told = client.embeddings.generate(model="openai/text-embedding-3-small", input="hello there")
    usage: Any = told.usage  # type: ignore[union-attr]
    assert (
        usage.cost
        == usage.cost_details.upstream_inference_cost
        == usage.cost_details.upstream_inference_prompt_cost
    )
    assert Decimal(repr(usage.cost)) == Decimal(sim.ledger()[0]["cost"])


def test_own_providers_pay_for_embeddings_too(sim: Simulator) -> None:
    """USE-02 for who does not chat."""
    headers = {"Authorization": f"Bearer {accounts.BYOK}"}
    body = {"model": MODEL} | BODIES["embeddings"]
    usage = ask(sim, "POST", "/api/v1/embeddings", body, headers).json["usage"]
    assert (usage["is_byok"], usage["cost"], usage["cost_details"]["upstream_inference_cost"] > 0) == (
        True,
        0,
        True,
    )
