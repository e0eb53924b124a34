"""Answers in the form of the Responses API: the official SDKs read every event and body, and events build the body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.responses import Response, ResponseStreamEvent
from openrouter import components
from pydantic import TypeAdapter

from bytedeck.errors import ByteError, InvalidRequest, error_from
from bytedeck.events import Started
from bytedeck.types import Attempt, Delta, Fault, Reply, ToolCallPart
from responses_world import (
    ANSWERS,
    ATTEMPT,
    IDENTITY,
    MODEL,
    SIGNED,
    SKIN,
    STARTED,
    USAGE,
    Answer,
    body,
    broken,
    call,
    comments,
    events,
    told,
    whole,
)

OPENAI: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OPENROUTER: TypeAdapter[Any] = TypeAdapter(components.StreamEvents)
# `told` makes ids that count on; nothing else may differ between a body and a stream of one answer.
KINDS = pytest.mark.parametrize("name", ANSWERS)


def strictly(found: dict[str, Any]) -> None:
    """Both SDKs know the event, and every item and part in it."""
    assert OPENAI.validate_python(found).type == found["type"]
    strict = OPENROUTER.validate_python(found)
    assert not getattr(strict, "is_unknown", False), found
    for item in [getattr(strict, "item", None), *getattr(getattr(strict, "response", None), "output", ())]:
        assert not getattr(item, "is_unknown", False), found


@KINDS
def test_the_sdks_read_the_body(name: str) -> None:
    """Both strictly, and both find the same words and tokens in it."""
    answer = ANSWERS[name]
    found = Response.model_validate_json(body(answer))
    strict = components.OpenResponsesResult.model_validate_json(body(answer))
    assert found.output_text == answer.reply.text == strict.output_text
    assert not any(getattr(item, "is_unknown", False) for item in strict.output)
    assert strict.usage is not None
    assert found.usage is not None
    assert (found.usage.output_tokens, strict.usage.cost) == (7, 0.000093)


@KINDS
def test_the_sdks_read_every_event(name: str) -> None:
    """As the class that its type says."""
    for event in events(told(ANSWERS[name])):
        strictly(event)


@KINDS
def test_the_events_build_the_body(name: str) -> None:
    """They are numbered; deltas make the items, items the response, and the body says the same."""
    stream = told(ANSWERS[name])
    found = events(stream)
    last = found[-1]["response"]
    assert stream.endswith(b"data: [DONE]\n\n")
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [event["type"] for event in found[:2]] == ["response.created", "response.in_progress"]
    assert found[-1]["type"] == "response." + last["status"]
    done = {e["output_index"]: e["item"] for e in found if e["type"] == "response.output_item.done"}
    assert [done[at] for at in range(len(done))] == last["output"]
    assert last == json.loads(body(ANSWERS[name]))
    for at, item in enumerate(last["output"]):
        own = [event for event in found if event.get("output_index") == at]
        assert own[0]["type"] == "response.output_item.added"
        assert own[0]["item"]["id"] == item["id"]
        assert {event["item_id"] for event in own[1:-1]} <= {item["id"]}
        assert "".join(event["delta"] for event in own if event["type"].endswith(".delta")) == words_of(item)
        assert_parts(own)


def words_of(item: dict[str, Any]) -> str:
    """What an item says."""
    if "arguments" in item:
        return str(item["arguments"])
    parts = [*item.get("summary", ()), *(item.get("content") or ())]
    return "".join(part.get("text", part.get("refusal", "")) for part in parts)


def assert_parts(own: list[dict[str, Any]]) -> None:
    """Each part that is opened is done, and says what its deltas said."""
    part = [event for event in own if event["type"].endswith("part.added")]
    done = [event for event in own if event["type"].endswith("part.done")]
    assert len(part) == len(done)
    for one in done:
        number = "summary_index" if "summary_index" in one else "content_index"
        deltas = [e["delta"] for e in own if e["type"].endswith(".delta") and e.get(number) == one[number]]
        assert "".join(deltas) == words_of({"content": [one["part"]]})


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("text", "completed", None), ("calls", "completed", None), ("cut", "incomplete", "max_output_tokens"),
     ("only thinking", "incomplete", "max_output_tokens")],
)  # fmt: skip
def test_the_status_says_how_it_ended(name: str, status: str, reason: str | None) -> None:
    """With the reason where it is not whole, and the last item as whole as the answer."""
    found = json.loads(body(ANSWERS[name]))
    assert (found["status"], found["output"][-1]["status"]) == (status, status)
    assert found["incomplete_details"] == ({"reason": reason} if reason else None)
    assert (found["completed_at"] is not None) == (status == "completed")
    assert found["error"] is None


def test_the_object_repeats_what_was_asked() -> None:
    """With the usual values for the rest; of the answer its model, provider, tier, cost and seams."""
    asked = call(
        instructions="Be brief", temperature=0.25, text={"verbosity": "low"}, metadata={"a": "b"}, store=False
    )
    reply = replace(
        ANSWERS["joined"].reply, provider="P", service_tier="flex", openrouter_metadata={"attempt": 2}
    )
    found = json.loads(SKIN.whole(asked, reply, IDENTITY))
    assert (found["id"], found["created_at"], found["completed_at"]) == (
        "resp_" + IDENTITY.request, 1_700_000_000, 1_700_000_002,
    )  # fmt: skip
    assert (found["instructions"], found["temperature"], found["top_p"], found["store"], found["metadata"]) == (
        "Be brief", 0.25, 1, False, {"a": "b"},
    )  # fmt: skip
    assert found["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert found["tools"][0] | {"strict": None, "description": None} == found["tools"][0]
    assert (found["model"], found["provider"], found["service_tier"]) == ("b/c", "P", "flex")
    assert found["openrouter_metadata"] == {"attempt": 2}
    assert found["usage"]["seams"][0]["kind"] == "proven"
    assert found["usage"]["cost_known"] == "reported"


def test_usage_has_the_names_of_this_api() -> None:
    """And none of chat's."""
    used = json.loads(body(whole(usage=replace(USAGE, web_searches=2, is_byok=True, upstream_units=10**12))))[
        "usage"
    ]
    assert used == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 19,
        "is_byok": True,
        "cost": 0.000093,
        "upstream_inference_cost": 1,
        "cost_known": "reported",
        "server_tool_use_details": {"web_search_requests": 2},
    }
    assert b'"cost":0.000093' in body(ANSWERS["text"])
    assert json.loads(body(whole(usage=None)))["usage"] is None


def test_what_happens_besides_words_is_a_comment() -> None:
    """Waits, fall-backs and seams are seen by who reads comments, and open nothing."""
    stream = told(ANSWERS["joined"])
    assert [line.split()[2] for line in comments(stream)] == ["waiting", "fell_back", "seam", "cost"]
    teller = SKIN.teller(call(), IDENTITY)
    assert events(teller.deltas([ANSWERS["joined"].deltas[1], Delta()])) == []
    opened = events(teller.deltas([Delta(event=Started(model="b/c", attempt=1))]))
    assert [event["type"] for event in opened] == ["response.created", "response.in_progress"]
    assert {event["response"]["model"] for event in opened} == {"b/c"}


def test_a_heartbeat_means_nothing() -> None:
    """It is a comment of its own."""
    assert comments(SKIN.heartbeat)
    assert events(SKIN.heartbeat) == []


# -- reasoning, calls ------------------------------------------------------------------------------


def output(*deltas: Delta, **fields: Any) -> list[dict[str, Any]]:
    """The items of a streamed answer."""
    found: list[dict[str, Any]] = events(told(whole(*deltas, **fields)))[-1]["response"]["output"]
    return found


def test_reasoning_keeps_its_proof() -> None:
    """Words with their signature and format, summaries with their secret, by the upstream's own id."""
    [thought, _] = json.loads(body(ANSWERS["thought"]))["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
    assert (thought["signature"], thought["format"]) == ("c2ln", "anthropic-claude-v1")
    [summed, _] = json.loads(body(ANSWERS["summary"]))["output"]
    assert [part["text"] for part in summed["summary"]] == ["**A** plan", "**B** plan"]
    assert (summed["id"], summed["encrypted_content"]) == ("rs_1", "c2VjcmV0")


def test_a_proof_that_comes_late_is_an_item_of_its_own() -> None:
    """What was done stays as it was told; sent back, both are one detail again."""
    late = {"type": "reasoning.text", "signature": "c2ln", "index": 0}
    items = output(
        Delta(reasoning_details=(SIGNED | {"signature": None},)),
        Delta(text="Yes"),
        Delta(reasoning_details=(late,)),
    )
    assert [item["type"] for item in items] == ["reasoning", "message", "reasoning"]
    assert items[2]["signature"] == "c2ln"
    [turn] = call(input=items).messages
    assert turn["reasoning_details"] == [SIGNED]


def test_a_secret_alone_is_an_item() -> None:
    """Hidden reasoning has no words; an id that was used up is not told twice."""
    secret = {"type": "reasoning.encrypted", "data": "x", "id": "a"}
    items = output(Delta(reasoning_details=(secret, secret)), Delta(text="Yes"))
    assert [item.get("encrypted_content") for item in items] == ["x", "x", None]
    assert len({item["id"] for item in items}) == 3


def test_words_are_told_once() -> None:
    """Where reasoning comes as text and as details, and where one of them says more."""
    plain = {"type": "reasoning.text", "text": "b", "index": 0}
    both = output(Delta(reasoning="b", reasoning_details=(plain,)), Delta(text="x"))
    more = output(Delta(reasoning="ab", reasoning_details=(plain,)), Delta(text="x"))
    odd = output(
        Delta(reasoning="c", reasoning_details=(plain, {"type": ["?"]}, {"type": "new"})), Delta(text="x")
    )
    assert [words_of(items[0]) for items in (both, more, odd)] == ["b", "ab", "b"]


def test_another_models_reasoning_is_its_own() -> None:
    """After a break a thought is not gone on with."""
    _, _, fell_back, *_ = ANSWERS["joined"].deltas[1:]
    items = output(Delta(reasoning="a"), fell_back, Delta(reasoning="b"), Delta(text="x"))
    assert [words_of(item) for item in items] == ["a", "b", "x"]


def test_calls_may_come_in_any_order() -> None:
    """Pieces of two calls in turn, a name that comes late, none at all."""
    items = output(
        Delta(tool_calls=(ToolCallPart(0, "a", "f", '{"x"'), ToolCallPart(1, "b", "", "{"))),
        Delta(tool_calls=(ToolCallPart(1, name="g", arguments="}"), ToolCallPart(0, arguments=":1}"))),
        Delta(tool_calls=(ToolCallPart(2, "c"),)),
    )
    assert [(i["call_id"], i["name"], i["arguments"]) for i in items] == [
        ("a", "f", '{"x":1}'), ("b", "g", "{}"), ("c", "", "{}"),
    ]  # fmt: skip


def test_custom_tools_are_called_with_free_text() -> None:
    """Their function's one text, and what a model wrote instead of it as it is."""
    asked = call(tools=[{"type": "custom", "name": "patch"}])
    for written, expected in (
        ('{"input":"a\\nb"}', "a\nb"),
        ("oops", "oops"),
        ('{"other":1}', '{"other":1}'),
        ("[" * 9000, "[" * 9000),
    ):
        parts = (ToolCallPart(0, "c", "patch", written[:3]), ToolCallPart(0, arguments=written[3:]))
        found = events(told(whole(Delta(tool_calls=parts)), asked))
        [item] = found[-1]["response"]["output"]
        assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", expected, "c")
        for event in found:
            strictly(event)


def test_sources_without_a_place_are_told_too() -> None:
    """Every field that the strict client wants is there; other kinds have no form here."""
    odd = (
        {"type": "file", "file": {}},
        {"type": "url_citation"},
        {"type": "url_citation", "url_citation": {"url": "u"}},
    )
    [item] = output(Delta(annotations=odd))
    assert item["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "u", "title": "u", "start_index": 0, "end_index": 0}
    ]


@settings(deadline=None)
@given(st.sampled_from(sorted(ANSWERS)), st.data())
def test_slicing_changes_nothing(name: str, data: st.DataObject) -> None:
    """However the words are cut and the deltas are handed over, the last event is the same."""
    answer = ANSWERS[name]
    pieces = [piece for delta in answer.deltas for piece in cut(delta, data)]
    teller = SKIN.teller(call(), IDENTITY)
    stream = b""
    while pieces:
        many = data.draw(st.integers(1, len(pieces)))
        stream += teller.deltas(pieces[:many])
        del pieces[:many]
    found = events(stream + teller.end(answer.reply))
    assert found[-1]["response"] == events(told(answer))[-1]["response"]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))


def cut(delta: Delta, data: st.DataObject) -> list[Delta]:
    """A delta as two, where it is words or arguments alone."""
    if delta.text and delta == Delta(text=delta.text):
        at = data.draw(st.integers(0, len(delta.text)))
        return [Delta(text=delta.text[:at]), Delta(text=delta.text[at:])]
    if delta.tool_calls and delta == Delta(tool_calls=delta.tool_calls):
        at = data.draw(st.integers(0, len(delta.tool_calls)))
        return [Delta(tool_calls=delta.tool_calls[:at]), Delta(tool_calls=delta.tool_calls[at:])]
    return [delta]


def test_long_answers_cost_no_more_a_word() -> None:
    """Ten times the words are about ten times the bytes: nothing is told again with each."""
    sizes = []
    for words in (1_000, 10_000):
        teller = SKIN.teller(call(), IDENTITY)
        sizes.append(len(teller.deltas([STARTED, *[Delta(text="word ")] * words])))
    assert sizes[1] < 10.5 * sizes[0]


# -- errors ----------------------------------------------------------------------------------------

PARTIAL = Reply(
    text="Hel", model=MODEL, usage=USAGE, attempts=(ATTEMPT, Attempt(model="b/c", outcome="truncated"))
)
FAULTS = [
    ("truncated", "server_error", "provider_unavailable"),
    ("rate_limited", "rate_limit_exceeded", "rate_limit_exceeded"),
    ("invalid_request", "invalid_prompt", "invalid_request"),
    ("context_too_long", "invalid_prompt", "context_length_exceeded"),
    ("idle_timeout", "server_error", "timeout"),
    ("internal", "server_error", "server"),
]


@pytest.mark.parametrize(("code", "theirs", "kind"), FAULTS)
def test_a_broken_stream_fails_and_raises(code: str, theirs: str, kind: str) -> None:
    """`response.failed` with what there was, then the `error` at which OpenAI's clients raise; no `[DONE]`."""
    error = error_from(Fault(code=code, message="the provider's own words"), PARTIAL)
    stream = broken(error, STARTED, Delta(text="Hel"), Delta(tool_calls=(ToolCallPart(0, "a", "f", "{"),)))
    *_, failed, last = events(stream)
    assert (failed["type"], failed["response"]["status"], failed["response"]["error"]["code"]) == (
        "response.failed", "failed", theirs,
    )  # fmt: skip
    assert failed["response"]["error_type"] == kind == last["error_type"]
    assert [item["status"] for item in failed["response"]["output"]] == ["incomplete", "incomplete"]
    assert failed["response"]["output_text"] == "Hel"
    assert failed["response"]["usage"]["cost_known"] == "partial"
    assert (last["type"], last["code"], last["param"], last["error"]["code"]) == (
        "error",
        theirs,
        None,
        theirs,
    )
    assert "the provider's own words" in last["message"]
    assert b"[DONE]" not in stream
    for event in (failed, last):
        strictly(event)


def test_a_stream_that_breaks_before_a_word_opens_first() -> None:
    """Whoever waits for the first event gets it."""
    found = events(broken(error_from(Fault(code="unavailable"))))
    assert [event["type"] for event in found] == [
        "response.created", "response.in_progress", "response.failed", "error",
    ]  # fmt: skip
    assert found[2]["response"]["usage"] is None


def test_what_a_filter_ended_is_incomplete() -> None:
    """It is this API's own way to say so; a refusal in the stream that has words is a failure."""
    filtered = events(
        broken(error_from(Fault(code="content_filtered"), PARTIAL), STARTED, Delta(text="Hel"))
    )[-1]
    assert filtered["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert filtered["response"]["output"][0]["status"] == "incomplete"
    refused = error_from(Fault(code="content_filtered", message="no", status=400), PARTIAL)
    assert events(broken(refused, STARTED, Delta(text="Hel")))[-2]["response"]["error"] == {
        "code": "image_content_policy_violation",
        "message": "The provider refused this for its content. (no)",
    }


def test_a_refusal_is_openais_and_openrouters() -> None:
    """Message, type, param and code; metadata with the upstream's words."""
    error: ByteError = error_from(
        Fault(code="rate_limited", message="slow down", provider="P", retry_after=3.0)
    )
    found = json.loads(SKIN.refusal(error, IDENTITY))["error"]
    assert found["code"] == error.http_status == 429
    assert found["param"] is None
    assert (found["type"], "slow down" in found["message"]) == ("rate_limited", True)
    assert found["metadata"]["error_type"] == "rate_limit_exceeded"
    assert (found["metadata"]["provider_name"], found["metadata"]["raw"]) == ("P", "slow down")
    components.BadRequestResponseErrorData.model_validate(found)
    assert json.loads(SKIN.refusal(InvalidRequest("input is missing."), IDENTITY))["error"]["code"] == 400


@KINDS
def test_what_was_said_can_be_sent_back(name: str) -> None:
    """The output as the next input: the same words, reasoning and calls in chat's terms."""
    answer: Answer = ANSWERS[name]
    items = [item for item in json.loads(body(answer))["output"] if item["type"] != "image_generation_call"]
    [turn] = call(input=items).messages
    assert (turn["content"] or "") == (answer.reply.text or answer.reply.refusal)
    details = list(answer.reply.reasoning_details)
    if details or not answer.reply.reasoning:
        assert turn.get("reasoning_details", []) == details
    said = [
        (one["id"], one["function"]["name"], one["function"]["arguments"])
        for one in turn.get("tool_calls", ())
    ]
    assert said == [(one.id, one.name, one.arguments) for one in answer.reply.tool_calls]
