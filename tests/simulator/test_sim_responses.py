"""The form of the Responses API: the official SDKs read it, and the events build the object that is sent last."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from openrouter import components
from pydantic import TypeAdapter

from bytedeck.simulator.shapes import Reasoning, Sent
from bytedeck.simulator.words.skins import responses
from said import CLOCK, GEMINI, PLAIN, REQUESTS, call, payloads, sent

OPENAI: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OPENROUTER: TypeAdapter[Any] = TypeAdapter(components.StreamEvents)


def answered(name: str) -> Sent:
    """One of every kind."""
    request, model = REQUESTS[name]
    tools = [{"type": "function", **tool["function"]} for tool in request.tools]
    return sent(msgspec.structs.replace(request, skin="responses", body={"tools": tools}), model)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_sdks_read_the_body(name: str) -> None:
    """Both strictly, and both find the same text in it."""
    told = answered(name)
    body = Response.model_validate_json(responses.body(told))
    assert body.output_text == told.answer.text
    strict = components.OpenResponsesResult.model_validate_json(responses.body(told))
    assert not any(getattr(item, "is_unknown", False) for item in strict.output)
    assert body.usage is not None
    assert body.usage.output_tokens == told.answer.counts.completion


@pytest.mark.parametrize("name", REQUESTS)
def test_the_sdks_read_every_event(name: str) -> None:
    """As the class that its type says."""
    for event in payloads(list(responses.events(answered(name)))):
        assert OPENAI.validate_python(event).type == event["type"]
        assert not getattr(OPENROUTER.validate_python(event), "is_unknown", False), event


@pytest.mark.parametrize("name", REQUESTS)
def test_the_events_build_the_body(name: str) -> None:
    """Item by item, delta by delta, and the last event carries it whole."""
    told = answered(name)
    events = payloads(list(responses.events(told)))
    body = msgspec.json.decode(responses.body(told))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1] == {
        "type": "response." + body["status"],
        "sequence_number": len(events) - 1,
        "response": body,
    }
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == body[
        "output"
    ]
    for at, item in enumerate(body["output"]):
        own = [event for event in events if event.get("output_index") == at]
        deltas = "".join(event["delta"] for event in own if event["type"].endswith(".delta"))
        assert deltas == words_of(item)
        assert own[0]["item"]["status"] == "in_progress"
        assert {event["item_id"] for event in own[1:-1]} <= {item["id"]}


def words_of(item: dict[str, Any]) -> str:
    """What an item says."""
    if item["type"] == "function_call":
        return str(item["arguments"])
    told = [*item.get("summary", ()), *(item.get("content") or ())]
    return "".join(part.get("text", part.get("refusal", "")) for part in told)


@pytest.mark.parametrize("name", REQUESTS)
def test_events_are_named_and_know_their_tokens(name: str) -> None:
    """The name is the type; tokens and words are the answer's."""
    told = answered(name)
    events = list(responses.events(told))
    assert sum(event.tokens for event in events) == told.answer.counts.completion
    assert "".join(event.text for event in events) == told.answer.text
    for event in events[:-1]:
        head, data = event.data.decode().split("\n")[:2]
        assert head.removeprefix("event: ") == msgspec.json.decode(data.removeprefix("data: "))["type"]
    assert (events[-1].data, events[-1].kind) == (b"data: [DONE]\n\n", "done")


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("text", "completed", None),
        ("cut", "incomplete", "max_output_tokens"),
        ("only thinking", "incomplete", "max_output_tokens"),
        ("filtered", "incomplete", "content_filter"),
        ("broken", "failed", None),
    ],
)
def test_the_status_says_how_it_ended(name: str, status: str, reason: str | None) -> None:
    """With the reason where it is not whole."""
    body = msgspec.json.decode(responses.body(answered(name)))
    assert body["status"] == status
    assert body["incomplete_details"] == ({"reason": reason} if reason else None)
    assert (body["error"] is not None) == (status == "failed")


def test_the_object_repeats_what_was_asked() -> None:
    """And has the usual values for the rest."""
    asked = {
        "instructions": "Be brief",
        "temperature": 0.2,
        "tools": [{"type": "function", **CLOCK["function"]}],
    }
    body = msgspec.json.decode(responses.body(sent(call(skin="responses", body=asked), PLAIN)))
    assert (body["instructions"], body["temperature"], body["top_p"], body["store"]) == (
        "Be brief",
        0.2,
        1,
        False,
    )
    assert body["tools"][0]["name"] == "get_time"
    assert body["usage"]["cost_details"].keys() >= {
        "upstream_inference_input_cost",
        "upstream_inference_output_cost",
    }


def test_tools_of_the_servers_are_repeated_as_they_are() -> None:
    """Only functions get the fields that OpenAI always shows."""
    asked = [{"type": "openrouter:web_search"}, {"type": "function", "name": "f"}]
    body = msgspec.json.decode(responses.body(sent(call(skin="responses", body={"tools": asked}), PLAIN)))
    assert body["tools"][0] == asked[0]
    assert body["tools"][1] == {
        "type": "function",
        "name": "f",
        "description": None,
        "parameters": None,
        "strict": None,
    }


def test_a_proof_without_thoughts_is_an_item_of_its_own() -> None:
    """Hidden reasoning of a model that asks for it back; then the body and the events agree too."""
    told = sent(call(skin="responses", reasoning=Reasoning(exclude=True)), GEMINI)
    body = msgspec.json.decode(responses.body(told))
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert body["output"][0]["encrypted_content"]
    events = payloads(list(responses.events(told)))
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == body[
        "output"
    ]
