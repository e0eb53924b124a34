"""The form of chat completions: what the official SDKs read from it is what was said, streamed or not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openrouter import components
from openrouter.utils.eventstreaming import EventStream

from bytedeck.simulator.shapes import Bill, Sent
from bytedeck.simulator.words.skins import chat
from said import REQUESTS, call, payloads, sent


def answered(name: str) -> Sent:
    """One of every kind."""
    return sent(*REQUESTS[name])


def merged(chunks: list[Any]) -> dict[str, Any]:
    """The message that a stream's deltas make, by the rules of the wire reference, 5.2."""
    told: dict[str, Any] = {"content": "", "reasoning": "", "refusal": ""}
    lists: dict[str, list[Any]] = {"tool_calls": [], "annotations": [], "images": [], "reasoning_details": []}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for key in told:
                told[key] += delta.get(key) or ""
            lists["annotations"] += delta.get("annotations", [])
            lists["images"] += delta.get("images", [])
            for call_part in delta.get("tool_calls", []):
                add_call(lists["tool_calls"], call_part)
            for item in delta.get("reasoning_details", []):
                add_item(lists["reasoning_details"], item)
    return {key: value for key, value in (told | lists).items() if value}


def add_call(calls: list[Any], part: dict[str, Any]) -> None:
    """A part of a call, to the call of its index."""
    if part["index"] == len(calls):
        calls.append({**part, "function": dict(part["function"])})
    else:
        calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]


def add_item(items: list[Any], item: dict[str, Any]) -> None:
    """A part of reasoning_details: neighbours of one type and index are one."""
    if items and (items[-1]["type"], items[-1]["index"]) == (item["type"], item["index"]):
        for key in ("text", "summary"):
            if key in item:
                items[-1][key] = items[-1].get(key, "") + item[key]
        items[-1] |= {key: value for key, value in item.items() if key not in ("text", "summary")}
    else:
        items.append(dict(item))


@pytest.mark.parametrize("name", REQUESTS)
def test_body_and_stream_say_the_same(name: str) -> None:
    """Message, finish reason, usage, and who said it."""
    told = answered(name)
    body = msgspec.json.decode(chat.body(told))
    chunks = payloads(list(chat.events(told)))
    (choice,) = body["choices"]
    assert merged(chunks) == {
        key: value for key, value in choice["message"].items() if value and key != "role"
    }
    (finish,) = [
        each["choices"][0] for each in chunks if each["choices"] and each["choices"][0]["finish_reason"]
    ]
    for key in ("finish_reason", "native_finish_reason"):
        assert finish[key] == choice[key]
    assert chunks[-1]["usage"] == body["usage"]
    for key in ("id", "created", "model", "provider", "system_fingerprint"):
        assert {chunk[key] for chunk in chunks} == {body[key]}


@pytest.mark.parametrize(
    "name", sorted(REQUESTS.keys() - {"broken"})
)  # "error" is no finish reason of OpenAI's
def test_openai_reads_both(name: str) -> None:
    """The body, every chunk, and the message that its own accumulator makes of them."""
    told = answered(name)
    body = ChatCompletion.model_validate_json(chat.body(told))
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in payloads(list(chat.events(told))):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    whole = state.current_completion_snapshot
    assert (whole.choices[0].message.content or "") == (body.choices[0].message.content or "")
    assert whole.choices[0].message.role == "assistant"
    assert whole.usage == body.usage
    calls, streamed = body.choices[0].message.tool_calls or [], whole.choices[0].message.tool_calls or []
    assert [each.to_dict()["function"] for each in calls] == [
        {key: value for key, value in each.to_dict()["function"].items() if key != "parsed_arguments"}  # type: ignore[attr-defined]
        for each in streamed
    ]


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("form", ["bare", "double"])
def test_openrouter_reads_both(name: str, form: chat.Usage) -> None:
    """The strict official SDK: its classes, its own reader of events, and usage at the very end."""
    told = answered(name)
    components.ChatResult.model_validate_json(chat.body(told))
    data = b"".join(event.data for event in chat.events(told, form))
    read = components.ChatStreamingResponse.model_validate_json
    chunks = [each.data for each in EventStream(httpx.Response(200, content=data), read, sentinel="[DONE]")]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.cost_details is not None
    assert chunks[-1].usage.completion_tokens == told.answer.counts.completion
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == told.answer.text


@pytest.mark.parametrize("name", REQUESTS)
def test_events_know_their_tokens_and_words(name: str) -> None:
    """All of the answer's, each once; what nobody sees is waited for."""
    told = answered(name)
    events = list(chat.events(told))
    assert sum(event.tokens for event in events) == told.answer.counts.completion
    assert "".join(event.text for event in events) == told.answer.text
    assert [event.kind for event in events if event.kind != "delta"] == ["open", "finish", "usage", "done"]


def test_usage_comes_bare_or_with_a_second_finish() -> None:
    """SSE-07 and SSE-08."""
    told = answered("text")
    bare = payloads(list(chat.events(told)))
    double = payloads(list(chat.events(told, "double")))
    assert bare[-1]["choices"] == []
    assert double[-1]["choices"] == double[-2]["choices"]
    assert double[-1]["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in double[-2]


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ("0", "0"),
        ("9.3E-5", "0.000093"),
        ("0.10", "0.1"),
        ("12E2", "1200"),
        ("0.0000000000000000000000000012345", None),
        ("100", "100"),
    ],
)
def test_costs_are_plain_decimals(cost: str, text: str | None) -> None:
    """No exponent, no digit lost, no zero at the end."""
    told = sent(call(), bill=Bill(cost=Decimal(cost), upstream=Decimal(cost)))
    assert b'"cost":%s,' % (text or cost).encode() in chat.body(told)


def test_searches_and_tier_and_metadata_are_told_where_they_are() -> None:
    """And are absent where not; metadata is on the last chunk before [DONE] only."""
    plain = msgspec.json.decode(chat.body(answered("text")))
    assert not {"service_tier", "openrouter_metadata"} & plain.keys()
    assert not {"server_tool_use", "server_tool_use_details"} & plain["usage"].keys()
    told = sent(*REQUESTS["citations"], service_tier="flex", metadata={"attempt": 1})
    body = msgspec.json.decode(chat.body(told))
    assert body["service_tier"] == "flex"
    assert body["openrouter_metadata"] == {"attempt": 1}
    assert body["usage"]["server_tool_use"] == {"web_search_requests": 1}
    chunks = payloads(list(chat.events(told)))
    assert ["openrouter_metadata" in chunk for chunk in chunks].index(True) == len(chunks) - 1


def test_a_call_without_words_has_null_content() -> None:
    """Not an empty text."""
    body = msgspec.json.decode(chat.body(answered("one tool")))
    assert body["choices"][0]["message"]["content"] is None


def damaged(name: str, change: Any) -> Sent:
    """An answer whose pieces went through something bad."""
    told = answered(name)
    return msgspec.structs.replace(
        told, answer=msgspec.structs.replace(told.answer, pieces=tuple(change(told.answer.pieces)))
    )


def test_damaged_answers_keep_their_damage() -> None:
    """Faults change pieces; body and stream still say the same."""
    nameless = damaged("one tool", lambda pieces: [without(piece, "id") for piece in pieces])
    (call_made,) = msgspec.json.decode(chat.body(nameless))["choices"][0]["message"]["tool_calls"]
    assert "id" not in call_made
    assert call_made["function"]["arguments"]
    late = damaged(
        "thinking, signed", lambda pieces: sorted(pieces, key=lambda piece: piece.kind == "details")
    )
    message = msgspec.json.decode(chat.body(late))["choices"][0]["message"]
    whole = msgspec.json.decode(chat.body(answered("thinking, signed")))["choices"][0]["message"]
    assert message["reasoning_details"] == whole["reasoning_details"]
    bare = damaged(
        "thinking, signed", lambda pieces: [msgspec.structs.replace(piece, data=None) for piece in pieces]
    )
    assert "reasoning_details" not in msgspec.json.decode(chat.body(bare))["choices"][0]["message"]
    deltas = [chunk["choices"][0]["delta"] for chunk in payloads(list(chat.events(bare)))[:-1]]
    assert any(delta.get("reasoning") for delta in deltas)
    assert not any("reasoning_details" in delta for delta in deltas)


def without(piece: Any, key: str) -> Any:
    """The piece with something missing in its data."""
    return msgspec.structs.replace(
        piece, data={name: value for name, value in (piece.data or {}).items() if name != key}
    )
