"""What a model answers: within its limits, the same for the same seed, and provable at every seam."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.simulator.checks import signatures
from bytedeck.simulator.shapes import Answer, Call, Model, Piece, Reasoning
from bytedeck.simulator.words import answer, thought
from bytedeck.simulator.words import language as words
from said import CLAUDE, CLOCK, GEMINI, GPT, MODELS, PLAIN, REQUESTS, WEATHER, call, quiet, user

SEED = "seed"


def said(request: Call, model: Model = PLAIN, seed: str = SEED) -> Answer:
    """The answer."""
    return answer.compose(request, model, seed)


def of(told: Answer, kind: str) -> list[Piece]:
    """The pieces of a kind."""
    return [piece for piece in told.pieces if piece.kind == kind]


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_seed_gives_the_same_answer(name: str) -> None:
    """To the last byte, and its counts are the sums of its pieces."""
    request, model = REQUESTS[name]
    told = said(request, model)
    assert told == said(request, model)
    assert told.counts.completion == sum(piece.tokens for piece in told.pieces)
    assert told.counts.reasoning == sum(piece.tokens for piece in of(told, "reasoning"))
    assert told.counts.prompt == words.prompt_tokens(request.messages, request.tools)
    assert request.max_tokens is None or told.counts.completion <= request.max_tokens


def test_another_seed_or_question_gives_another_text() -> None:
    """The seed is the simulator's and the request's."""
    texts = {said(call("Hello"), seed=str(at)).text for at in range(30)}
    texts |= {said(call("Hello", seed=at)).text for at in range(30)}
    texts |= {said(call(f"Hello {at}")).text for at in range(30)}
    assert len(texts) == 90


def test_every_model_says_the_same_text() -> None:
    """So that a chain's parts can be compared; what it thinks is its own."""
    told = [said(call("Hello"), model) for model in MODELS.values()]
    assert {each.text for each in told} == {answer.full_text(call("Hello"), PLAIN, SEED)}
    thoughts = ["".join(piece.text for piece in of(each, "reasoning")) for each in told]
    assert len(set(thoughts)) == 4


def test_a_text_has_a_natural_length() -> None:
    """40 to 200 tokens or a little more, and a normal end in the maker's word."""
    for seed in range(60):
        told = said(call("Hello"), CLAUDE, str(seed))
        assert 40 <= len(of(told, "content")) <= 210
        assert (told.finish_reason, told.native_finish_reason) == ("stop", "end_turn")


@pytest.mark.parametrize(
    ("model", "native"),
    [(PLAIN, "length"), (CLAUDE, "max_tokens"), (GEMINI, "MAX_TOKENS"), (GPT, "max_output_tokens")],
)
@pytest.mark.parametrize("limit", [1, 16, 50])
def test_max_tokens_cuts(model: Model, native: str, limit: int) -> None:
    """Whatever is said by then; the finish reason says so, natively too."""
    told = said(call("[[sim: words=400]]", max_tokens=limit), model)
    assert (told.finish_reason, told.native_finish_reason) == ("length", native)
    assert told.counts.completion == limit


def test_the_models_own_limits_cut_too() -> None:
    """Its longest answer, and what the prompt leaves of its context."""
    short = msgspec.structs.replace(PLAIN, max_completion_tokens=20)
    small = msgspec.structs.replace(PLAIN, context_length=40)
    request = call("[[sim: words=100]]")
    assert said(request, short).counts.completion == 20
    told = said(request, small)
    assert told.counts.prompt + told.counts.completion == 40
    assert told.finish_reason == "length"


@pytest.mark.parametrize(
    ("stop", "text"),
    [(("three",), "one two "), (("x", "two", "three"), "one "), (("one",), ""), (("four",), "one two three")],
)
def test_a_stop_string_ends_the_text_before_it(stop: tuple[str, ...], text: str) -> None:
    """The first that occurs, and it is not said itself."""
    told = said(quiet('[[sim: say="one two three"]]', stop=stop), CLAUDE)
    met = text != "one two three"
    assert told.text == text
    assert told.native_finish_reason == ("stop_sequence" if met else "end_turn")
    assert bool(told.stop_sequence) == met


def test_reasoning_by_default_may_leave_nothing_for_the_answer() -> None:
    """REQ-12: an empty text, `length`, and reasoning tokens that are billed."""
    told = said(call("Hello", max_tokens=30), CLAUDE)
    assert told.text == ""
    assert told.finish_reason == "length"
    assert told.counts.reasoning == told.counts.completion == 30


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        (Reasoning(), True),
        (Reasoning(enabled=False), False),
        (Reasoning(effort="none"), False),
        (Reasoning(effort="low"), True),
        (Reasoning(max_tokens=1_024), True),
    ],
)
def test_reasoning_follows_the_request_and_the_models_defaults(asked: Reasoning, reasons: bool) -> None:
    """A model that cannot reason never does, one that must always does."""
    assert bool(said(call("Hello", reasoning=asked), CLAUDE).counts.reasoning) == reasons
    assert said(call("Hello", reasoning=asked), PLAIN).counts.reasoning == 0
    assert said(call("Hello", reasoning=asked), GEMINI).counts.reasoning > 0
    shy = msgspec.structs.replace(CLAUDE, reasoning={"default_enabled": False})
    assert bool(said(call("Hello", reasoning=asked), shy).counts.reasoning) == (
        reasons and asked != Reasoning()
    )


@pytest.mark.parametrize(("effort", "share"), thought.SHARES.items())
def test_an_effort_that_was_asked_for_keeps_its_share(effort: str, share: float) -> None:
    """Of max_tokens, so that something is left for the answer."""
    for seed in range(10):
        told = said(call("Hello", max_tokens=100, reasoning=Reasoning(effort=effort)), CLAUDE, str(seed))
        assert 0 < told.counts.reasoning <= 100 * share
        assert told.text


def test_a_budget_is_kept() -> None:
    """And an effort that the model does not know goes to the nearest."""
    assert said(call("Hello", reasoning=Reasoning(max_tokens=5)), CLAUDE).counts.reasoning == 5
    limited = msgspec.structs.replace(GPT, reasoning={"supported_efforts": ["high", "low"]})
    assert thought.effort(call("Hello", reasoning=Reasoning(effort="minimal")), limited) == "low"
    assert thought.effort(call("Hello", reasoning=Reasoning(effort="max")), limited) == "high"


def test_a_signature_comes_late_and_alone_and_fits_the_words() -> None:
    """Claude-like models sign what they thought; half a thought has no signature."""
    told = said(call("Hello"), CLAUDE)
    text = "".join(piece.text for piece in of(told, "reasoning"))
    (proof,) = of(told, "details")
    assert proof.data is not None
    assert "text" not in proof.data
    assert signatures.is_valid(CLAUDE.id, text, proof.data["signature"])
    assert thought.details(told.pieces) == [
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": text} | proof.data
    ]
    assert not of(said(call("Hello", max_tokens=5), CLAUDE), "details")


@pytest.mark.parametrize(
    ("model", "types"),
    [
        (GPT, ["reasoning.summary", "reasoning.encrypted"]),
        (GEMINI, ["reasoning.text", "reasoning.encrypted"]),
    ],
)
def test_others_keep_their_thoughts_encrypted(model: Model, types: list[str]) -> None:
    """A summary or the text, then the encrypted item."""
    assert [item["type"] for item in thought.details(said(call("Hello"), model).pieces)] == types


def test_reasoning_of_an_unknown_format_proves_nothing() -> None:
    """Its text is all there is; and hidden reasoning still proves itself to a model that asks for it back."""
    open_model = msgspec.structs.replace(PLAIN, reasoning={"default_enabled": True})
    assert [item["type"] for item in thought.details(said(call(), open_model).pieces)] == ["reasoning.text"]
    hidden = said(call(reasoning=Reasoning(exclude=True)), GEMINI)
    assert [item["type"] for item in thought.details(hidden.pieces)] == ["reasoning.encrypted"]


def test_hidden_reasoning_is_counted_and_not_told() -> None:
    """`exclude` hides, it does not save."""
    hidden = said(call("Hello", reasoning=Reasoning(exclude=True)), CLAUDE)
    shown = said(call("Hello"), CLAUDE)
    assert hidden.counts == shown.counts
    assert not any(piece.text for piece in of(hidden, "reasoning"))
    assert not thought.details(hidden.pieces)


def calls_of(told: Answer) -> list[tuple[str, Any]]:
    """Names and arguments of the calls, put together by index."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for piece in of(told, "tool"):
        assert piece.data is not None
        at = piece.data["index"]
        names.setdefault(at, piece.data.get("name", ""))
        arguments[at] = arguments.get(at, "") + piece.text
    return [(names[at], json.loads(arguments[at])) for at in sorted(names)]


@pytest.mark.parametrize(
    ("text", "choice", "names"),
    [
        ("Hi [[sim: tools=0]]", "auto", []),
        ("Hi", "none", []),
        ("Hi", {"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        ("Please call get_time", "auto", ["get_time"]),
        ("Use get_weather and get_time", None, ["get_weather", "get_time"]),
        ("Which forecast is it?", "auto", ["get_weather"]),
        ("[[sim: tools=3]]", "auto", ["get_weather", "get_time", "get_weather"]),
        ("[[sim: tools=get_time,get_time,nothing]]", "auto", ["get_time", "get_time"]),
    ],
)
def test_tools_are_called_by_choice_name_or_directive(text: str, choice: Any, names: list[str]) -> None:
    """And their arguments fit their schema, in several pieces."""
    told = said(call(text, tools=(WEATHER, CLOCK), tool_choice=choice))
    assert [name for name, _ in calls_of(told)] == names
    assert told.finish_reason == ("tool_calls" if names else "stop")
    accepts = jsonschema_rs.validator_for(WEATHER["function"]["parameters"])
    assert all(accepts.is_valid(value) for name, value in calls_of(told) if name == "get_weather")
    assert all(isinstance(value, dict) for _, value in calls_of(told))
    openings = [piece.data for piece in of(told, "tool") if piece.data and "id" in piece.data]
    assert len({opening["id"] for opening in openings}) == len(names)
    assert len(of(told, "tool")) >= 2 * len(names)


def test_arguments_are_an_object_whatever_the_schema_says() -> None:
    """A root of another type is a mistake that a model does not make."""
    odd = {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}
    assert calls_of(said(call(tools=(odd,), tool_choice="required"))) == [("f", {})]


def test_required_always_calls_and_auto_half_the_time() -> None:
    """Where nothing in the words speaks for one."""
    required = [said(call("Hi", tools=(WEATHER,), tool_choice="required"), seed=str(at)) for at in range(60)]
    free = [said(call("Hi", tools=(WEATHER,)), seed=str(at)) for at in range(60)]
    wished = [said(call("Hi [[sim: finish=tool_calls]]", tools=(WEATHER,)), seed=str(at)) for at in range(60)]
    assert all(calls_of(told) for told in required + wished)
    assert 15 < sum(bool(calls_of(told)) for told in free) < 45


def test_after_a_tools_result_the_model_speaks() -> None:
    """Unless a call is required."""
    asked = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    history = (
        user("Which forecast? [[sim: tools=1]]"),
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "1", "content": "Rain"},
    )
    assert said(call(*history, tools=(WEATHER,))).text
    assert calls_of(said(call(*history, tools=(WEATHER,), tool_choice="required")))


def test_one_call_where_parallel_ones_are_off_and_none_on_a_model_without_tools() -> None:
    """OpenRouter drops tools that no endpoint knows."""
    request = call("[[sim: tools=2]]", tools=(WEATHER, CLOCK), body={"parallel_tool_calls": False})
    assert len(calls_of(said(request))) == 1
    assert not calls_of(said(request, msgspec.structs.replace(PLAIN, parameters=frozenset())))


@pytest.mark.parametrize(
    ("model", "start"), [(PLAIN, "call_"), (CLAUDE, "toolu_01"), (GEMINI, "tool_0_get_weather_")]
)
def test_ids_of_calls_look_like_their_makers(model: Model, start: str) -> None:
    """And belong to the call."""
    told = said(call("[[sim: tools=1]]", tools=(WEATHER,)), model)
    opening = of(told, "tool")[0].data
    assert opening is not None
    assert opening["id"].startswith(start)


SHAPE = {
    "type": "object",
    "properties": {"town": {"type": "string"}},
    "required": ["town"],
    "additionalProperties": False,
}


def test_json_is_json() -> None:
    """An object, or what the schema says; a model that knows no response_format ignores it."""
    wanted = {"type": "json_schema", "json_schema": {"name": "town", "strict": True, "schema": SHAPE}}
    assert jsonschema_rs.validator_for(SHAPE).is_valid(
        json.loads(said(call("Hi", response_format=wanted)).text)
    )
    assert isinstance(json.loads(said(call("Hi", response_format={"type": "json_object"})).text), dict)
    simple = msgspec.structs.replace(PLAIN, parameters=frozenset())
    assert said(call("Hi", response_format=wanted), simple).text == said(call("Hi")).text


def test_citations_point_into_the_text() -> None:
    """Each is a sentence of it, by the indexes of characters."""
    told = said(call("Hello", plugins=("web",)))
    notes = [piece.data["url_citation"] for piece in of(told, "annotation") if piece.data]
    assert told.counts.web_searches == 1
    assert notes
    assert all(told.text[note["start_index"] : note["end_index"]] == note["content"] for note in notes)


def test_a_picture_is_a_png() -> None:
    """With its tokens; none where the model makes no pictures, or no tokens are left for it."""
    request = call("Draw", modalities=("text", "image"))
    told = said(request, GEMINI)
    (shown,) = of(told, "image")
    assert shown.data is not None
    raw = base64.b64decode(shown.data["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(zlib.decompress(raw[raw.index(b"IDAT") + 4 :])) == 16 * (1 + 16 * 3)
    assert told.counts.images == shown.tokens
    assert not of(said(request, PLAIN), "image")
    assert not of(said(call("Draw", modalities=("image",), max_tokens=1_000), GEMINI), "image")


@pytest.mark.parametrize(
    ("finish", "native"), [("length", "max_tokens"), ("content_filter", "refusal"), ("error", "error")]
)
def test_a_finish_reason_can_be_asked_for(finish: str, native: str) -> None:
    """Then only half is said, unless the text was given."""
    told = said(quiet(f"Hello [[sim: finish={finish}]]"), CLAUDE)
    assert (told.finish_reason, told.native_finish_reason) == (finish, native)
    exact = said(quiet(f'[[sim: say="a b c" finish={finish}]]'), CLAUDE)
    assert (exact.text, exact.finish_reason) == ("a b c", finish)


def test_so_many_tokens_can_be_asked_for() -> None:
    """Or so many words; a request to say more than the model can is cut."""
    assert said(call("[[sim: tokens=77]]")).counts.completion == 77
    assert len(said(call("[[sim: words=33]]")).text.split()) == 33
    assert said(call("[[sim: words=999999]]")).finish_reason == "length"


def test_a_refusal_is_no_content() -> None:
    """It has its own field."""
    told = said(call('[[sim: refusal="No."]]'))
    assert told.text == ""
    assert "".join(piece.text for piece in of(told, "refusal")) == "No."


def test_an_empty_text_costs_a_token() -> None:
    """The one that ends it: nothing at all would be a failure that is not billed."""
    assert said(call('[[sim: say=""]]')).counts.completion == 1


@pytest.mark.parametrize("name", REQUESTS)
def test_every_limit_holds_for_every_kind(name: str) -> None:
    """Whatever is cut: never more tokens than asked for, and `length` says that something was cut."""
    request, model = REQUESTS[name]
    whole = said(msgspec.structs.replace(request, max_tokens=None), model)
    for limit in range(1, 80):
        told = said(msgspec.structs.replace(request, max_tokens=limit), model)
        assert told.counts.completion <= limit
        missing = told.counts.completion < whole.counts.completion
        if "finish=" not in str(request.messages) and "image" not in request.modalities:
            assert (told.finish_reason == "length") == missing


PARTS = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.sampled_from(["continue", "[[sim: words=3]]", "repeat the last words and go on"]),
    st.lists(
        st.sampled_from(
            [
                {"type": "text", "text": "go on"},
                {"type": "text", "text": None},
                {"type": "text"},
                {"type": "image_url", "image_url": {"url": "data:"}},
                {},
                "text",
            ]
        ),
        max_size=3,
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer"]), "content": PARTS},
        optional={
            "tool_calls": st.sampled_from(
                [[], None, [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]]
            )
        },
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.sampled_from(sorted(MODELS)), st.sampled_from(answer.MANNERS))
def test_no_conversation_breaks_it(messages: list[Any], model: str, manner: answer.Manner) -> None:
    """Every order of roles, every content, every manner: an answer with a finish reason."""
    request = call(*messages, tools=(WEATHER,))
    told = answer.continuation(request, MODELS[model], SEED, manner)
    assert told.finish_reason in {"stop", "length", "tool_calls"}
    assert told == answer.continuation(request, MODELS[model], SEED, manner)
