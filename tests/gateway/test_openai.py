"""Chat completions as bytes: what is read of a request, what a body and a stream tell, by our own decoder."""

from __future__ import annotations

import itertools
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.codec.chunks import Reader
from bytedeck.codec.encode import DONE
from bytedeck.errors import TABLE, InvalidRequest, error_from
from bytedeck.events import FellBack, Seam, Started, Waiting
from bytedeck.gateway.call import Call, Identity
from bytedeck.gateway.chat import ChatCompletions
from bytedeck.types import Attempt, Delta, Fault, Reply, ToolCall, ToolCallPart, Usage
from openapi_spec import component

SKIN = ChatCompletions()
WHO = Identity(request="0123456789abcdef0123456789abcdef", created=1_700_000_000)
CALL = Call(messages=({"role": "user", "content": "hi"},), models=("a/b",), streamed=True)
STARTED = Started(model="a/b", attempt=1)
SEAM = Seam(kind="proven", from_model="a/b", to_model="c/d", why="truncated", attempt=2, after=3)
USAGE = Usage(
    prompt_tokens=3, completion_tokens=4, total_tokens=7, cost_units=1_500_000, cost_text="0.0000015"
)
ATTEMPTS = (
    Attempt(model="a/b", outcome="truncated", cost_units=500_000, quality="estimated"),
    Attempt(model="c/d", outcome="answered", cost_units=1_500_000, quality="reported"),
)
FULL = Reply(
    text="Hello",
    model="c/d",
    reasoning="hm",
    reasoning_details=({"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},),
    tool_calls=(ToolCall(0, "call_1", "look", '{"a":1}'), ToolCall(1, "call_2", "see", "{}")),
    annotations=({"type": "url_citation", "url_citation": {"url": "https://example.com"}},),
    images=({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},),
    audio={"id": "audio_1", "data": "QUJD", "transcript": "abc", "expires_at": 5},
    logprobs=({"token": "Hello", "logprob": -0.5, "bytes": None, "top_logprobs": []},),
    finish_reason="tool_calls",
    native_finish_reason="tool_use",
    usage=USAGE,
    provider="Somebody",
    service_tier="flex",
    system_fingerprint="fp",
    openrouter_metadata={"strategy": "direct"},
    seams=(SEAM,),
    attempts=ATTEMPTS,
    extra={"x_new": [1]},
)


def read(**fields: Any) -> Call:
    return SKIN.read(json.dumps({"messages": [{"role": "user", "content": "hi"}], **fields}).encode())


def events(data: bytes) -> list[Any]:
    """The JSON of a stream's events; comments are passed over, `[DONE]` is itself."""
    lines = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def fed(data: bytes) -> tuple[Reader, str]:
    reader = Reader()
    text = "".join(delta.text for delta in reader.feed(data))
    return reader, text


@pytest.mark.parametrize(
    ("fields", "models"),
    [
        ({}, ()),
        ({"model": "a"}, ("a",)),
        ({"model": None, "models": ["b", "c"]}, ("b", "c")),
        ({"model": "a", "models": ["b", "a", "c", "b"]}, ("a", "b", "c")),
        ({"model": "", "models": None}, ()),
        ({"models": []}, ()),
        ({"models": [f"m{n}" for n in range(9)]}, tuple(f"m{n}" for n in range(9))),
    ],
)
def test_the_chain(fields: Any, models: tuple[str, ...]) -> None:
    """`model` first, then `models`, each once, however many."""
    assert read(**fields).models == models


def test_what_is_not_ours_is_untouched() -> None:
    """All fields but four are parameters, in their order, with the digits that they had."""
    body = b'{"z":1,"model":"a","stream":true,"temperature":0.70,"messages":[{"role":"user"}],"b":{"y":1e5,"x":null}}'
    call = SKIN.read(body)
    assert list(call.params) == ["z", "temperature", "b"]
    assert str(call.params["temperature"]) == "0.70"
    assert call.streamed
    assert not read(stream=None).streamed


BODIES = [b"", b"{", b"5", b"null", b'"x"', b"[]", b"{}", b'{"messages":{}}', b'{"messages":[]}', b"\xff", b"[" * 5000,
          b'{"messages":[{"role":"user"}],"stream":1}', b'{"messages":[{"role":"user"}],"models":[""]}',
          b'{"messages":[{"role":"user"}],"models":[1]}', b'{"messages":[{"role":"user"}],"model":{}}']  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_call(body: bytes) -> None:
    """An InvalidRequest with a sentence."""
    with pytest.raises(InvalidRequest) as caught:
        SKIN.read(body)
    assert str(caught.value).endswith(".")


def test_mangled_bodies() -> None:
    """Whatever bytes come: a call or an InvalidRequest, nothing else."""
    chance = random.Random(7)
    good = json.dumps(
        {"model": "a/b", "messages": [{"role": "user", "content": ["x", {"type": "text"}]}], "stream": True,
         "models": ["c"], "n": 1.5, "tools": [{"é": "\U0001f600"}]}
    ).encode()  # fmt: skip
    for _ in range(5000):
        body = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(body))
            body[at : at + chance.randint(0, 4)] = chance.choice(
                (b"", b"\x00", b'"', b"{", b"]", b"1e999", b"\\ud800", b",")
            )
        try:
            SKIN.read(bytes(body))
        except InvalidRequest:
            continue


def test_a_whole_body() -> None:
    """Every field is told, valid by OpenRouter's own description, and our decoder reads the same reply from it."""
    body = SKIN.whole(CALL, FULL, WHO)
    told = json.loads(body)
    assert component("ChatResult").is_valid({k: v for k, v in told.items() if k != "openrouter_metadata"})
    reader = Reader()
    reader.body(body)
    back = reader.reply()
    for field in ("text", "reasoning", "reasoning_details", "tool_calls", "annotations", "images", "audio", "logprobs",
                  "finish_reason", "native_finish_reason", "provider", "service_tier", "model", "extra"):  # fmt: skip
        assert getattr(back, field) == getattr(FULL, field), field
    assert told["id"] == "chatcmpl-" + WHO.request
    assert told["usage"]["cost_known"] == "estimated"
    assert json.loads(body, parse_float=Decimal)["usage"]["cost"] == Decimal("0.000002")
    assert told["usage"]["seams"][0]["kind"] == "proven"


def test_a_body_of_calls_alone_has_no_content() -> None:
    """null, as OpenAI has it; an answer of nothing has an empty text."""
    calls = SKIN.whole(CALL, Reply(tool_calls=FULL.tool_calls, finish_reason="tool_calls"), WHO)
    assert json.loads(calls)["choices"][0]["message"]["content"] is None
    words = SKIN.whole(CALL, Reply(finish_reason="length"), WHO)
    assert json.loads(words)["choices"][0]["message"]["content"] == ""
    assert "usage" not in json.loads(words)


def test_own_keys_have_two_bills() -> None:
    """With a provider's key of one's own its bill is told beside the cost; else nothing is told twice."""
    mine = Usage(cost_units=10**6, upstream_units=10**7, is_byok=True)
    paid = Attempt(model="a", outcome="answered", cost_units=10**6, quality="reported")
    told = json.loads(SKIN.whole(CALL, Reply(usage=mine, attempts=(paid,)), WHO))["usage"]
    assert (told["cost"], told["upstream_inference_cost"]) == (0.000001, 0.00001)
    theirs = Usage(cost_units=10**6, upstream_units=10**6)
    told = json.loads(SKIN.whole(CALL, Reply(usage=theirs, attempts=(paid,)), WHO))["usage"]
    assert "upstream_inference_cost" not in told
    assert "cost_details" not in told


PARTS = (
    Delta(reasoning="hm", reasoning_details=FULL.reasoning_details),
    Delta(text="Hel"),
    Delta(text="lo", logprobs=FULL.logprobs),
    Delta(annotations=FULL.annotations, images=FULL.images),
    Delta(audio=({"id": "audio_1", "data": "QU"}, {"data": "JD", "transcript": "ab"})),
    Delta(audio=({"transcript": "c", "expires_at": 5},)),
    Delta(tool_calls=(ToolCallPart(0, "call_1", "look", '{"a"'), ToolCallPart(1, "call_2", "see", "{}"))),
    Delta(tool_calls=(ToolCallPart(0, "", "", ":1}"),)),
    Delta(refusal="no"),
)


def test_a_whole_stream() -> None:
    """Every kind of delta comes back as it went in; each chunk is valid by OpenRouter's own description."""
    teller = SKIN.teller(CALL, WHO)
    first, *rest = PARTS
    data = teller.deltas(
        [Delta(event=STARTED, reasoning=first.reasoning, reasoning_details=first.reasoning_details)]
    )
    data += teller.deltas(rest)
    data += teller.end(FULL)
    *chunks, done = events(data)
    assert done == "[DONE]"
    validator = component("ChatStreamChunk")
    for chunk in chunks:
        known = {key: value for key, value in chunk.items() if key != "openrouter_metadata"}
        assert validator.is_valid(known), [error.message for error in validator.iter_errors(known)]
    reader, _ = fed(data)
    assert reader.verdict() is None
    back = reader.reply()
    for field in ("text", "reasoning", "reasoning_details", "tool_calls", "annotations", "images", "audio", "logprobs",
                  "finish_reason", "native_finish_reason", "provider", "service_tier", "model", "extra",
                  "system_fingerprint", "openrouter_metadata"):  # fmt: skip
        assert getattr(back, field) == getattr(FULL, field), field
    assert back.refusal == "no"


def test_what_happens_is_told_in_comments() -> None:
    """A fall-back, a wait and a seam are comments where they happened; the chunks after a seam name the next model."""
    teller = SKIN.teller(CALL, WHO)
    before = teller.deltas([Delta(event=Waiting(model="a/b", why="rate_limited", seconds=2.0))])
    assert before.startswith(b": byte waiting {")
    assert not events(before)
    teller.deltas([Delta(event=STARTED, text="Hel")])
    after = teller.deltas(
        [
            Delta(event=FellBack(from_model="a/b", to_model="c/d", why="truncated")),
            Delta(event=SEAM, text="lo"),
        ]
    )
    assert after.startswith(b': byte fell_back {"from_model":"a/b"')
    assert b'\n\n: byte seam {"kind":"proven"' in after
    assert [chunk["model"] for chunk in events(after)] == ["c/d"]


def test_the_end_tells_the_cost_once() -> None:
    """In the chunk without choices, and in a comment; then `[DONE]`."""
    teller = SKIN.teller(CALL, WHO)
    teller.deltas([Delta(event=STARTED, text="Hello")])
    data = teller.end(FULL)
    finish, usage, _ = events(data)
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["choices"] == []
    assert usage["usage"]["cost"] == 0.000002
    assert b': byte cost {"cost":0.000002,"cost_known":"estimated"}\n\n' in data
    assert data.endswith(DONE)


def test_an_end_without_a_word_opens_the_stream() -> None:
    """A role comes first, whatever follows."""
    data = SKIN.teller(CALL, WHO).end(Reply(finish_reason="stop", model="a/b"))
    assert events(data)[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_breaks(begun: bool) -> None:
    """The error stands beside a choice that ended with "error"; our decoder takes it for no answer; no `[DONE]`."""
    teller = SKIN.teller(CALL, WHO)
    data = teller.deltas([Delta(event=STARTED, text="Hel")]) if begun else b""
    data += teller.broke(
        error_from(Fault(code="truncated", message="cut"), Reply(usage=USAGE, attempts=ATTEMPTS))
    )
    last = events(data)[-1]
    assert component("ChatStreamChunk").is_valid(last)
    assert (last["error"]["code"], last["error"]["metadata"]["error_type"]) == (502, "provider_unavailable")
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["usage"]["cost"] == 0.000002
    reader, text = fed(data)
    assert reader.fault is not None
    assert text == ("Hel" if begun else "")
    assert b"[DONE]" not in data


@pytest.mark.parametrize("code", TABLE)
def test_every_refusal_is_whole(code: str) -> None:
    """Each code of the table: a sentence, the status as `code`, one of OpenRouter's own types, valid by its description."""
    error = error_from(Fault(code=code, message="their words", retry_after=3.0, provider="P"))
    told = json.loads(SKIN.refusal(error, WHO))["error"]
    assert told["code"] == error.http_status
    assert told["message"].startswith(error.message)
    assert component("ApiErrorType").is_valid(told["metadata"]["error_type"])
    assert told["type"] == code


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.lists(st.integers(0, 300), max_size=12), st.data())
def test_any_slicing_is_one_text(text: str, cuts: list[int], data: st.DataObject) -> None:
    """Whatever pieces come together, and whatever signs: the words come back, through our decoder in any slicing."""
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(at)]
    teller = SKIN.teller(CALL, WHO)
    wire = teller.deltas([Delta(event=STARTED)])
    left = [Delta(text=piece) for piece in pieces]
    while left:
        size = data.draw(st.integers(1, len(left)))
        wire += teller.deltas(left[:size])
        left = left[size:]
    wire += teller.end(Reply(text=text, finish_reason="stop", model="a/b"))
    reader, step = Reader(), data.draw(st.integers(1, 500))
    found = "".join(
        d.text for start in range(0, len(wire), step) for d in reader.feed(wire[start : start + step])
    )
    assert found == reader.reply().text == text
    assert reader.done
