"""Bodies of the Responses API in chat's terms: what is translated, what passes, and what is refused with a sentence."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.errors import InvalidRequest
from bytedeck.gateway.call import Call
from bytedeck.gateway.responses.names import joined, names
from bytedeck.simulator.checks.spoken import responses as judge
from bytedeck.types import Reply
from responses_world import IDENTITY, SKIN

FUNCTION = {
    "type": "function",
    "name": "f",
    "description": "d",
    "parameters": {"type": "object"},
    "strict": True,
}
CHAT_FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
OTHER = {"type": "function", "name": "g"}


def read(**fields: Any) -> Call:
    """A call with these fields."""
    return SKIN.read(json.dumps({"model": "a/b", "input": "hi"} | fields).encode())


def user(*parts: Any) -> list[dict[str, Any]]:
    """One message of the user's."""
    return [{"role": "user", "content": list(parts)}]


def call_of(id_: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    """A call of a tool, in chat's terms."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


PARTS = [
    ({"type": "input_text", "text": "x", "cache_control": {"type": "ephemeral"}},
     {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
    ({"type": "input_image", "image_url": "u", "detail": "low"}, {"type": "image_url", "image_url": {"url": "u", "detail": "low"}}),
    ({"type": "input_image", "image_url": "u", "file_id": None}, {"type": "image_url", "image_url": {"url": "u"}}),
    ({"type": "input_file", "filename": "a.pdf", "file_data": "data:…"}, {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:…"}}),
    ({"type": "input_file", "file_url": "https://a"}, {"type": "file", "file": {"file_data": "https://a"}}),
    ({"type": "input_audio", "input_audio": {"data": "QQ", "format": "wav"}}, {"type": "input_audio", "input_audio": {"data": "QQ", "format": "wav"}}),
    ({"type": "input_video", "video_url": "u"}, {"type": "video_url", "video_url": {"url": "u"}}),
    ({"type": "image_url", "image_url": {"url": "u"}}, {"type": "image_url", "image_url": {"url": "u"}}),
    ({"type": "brand_new", "x": 1}, {"type": "brand_new", "x": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each in chat's form, with what stood beside; chat's own and newer ones untouched."""
    assert read(input=user(part)).messages == ({"role": "user", "content": [expected]},)


THOUGHT = {
    "type": "reasoning", "id": "rs_9", "format": "openai-responses-v1", "status": "completed",
    "summary": [{"type": "summary_text", "text": "s"}], "content": [{"type": "reasoning_text", "text": "t"}],
    "signature": "c2ln", "encrypted_content": "e",
}  # fmt: skip
ABOUT = {"id": "rs_9", "format": "openai-responses-v1"}
MESSAGES: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "a text": ("hi", [{"role": "user", "content": "hi"}]),
    "a plain part is a text": (user({"type": "input_text", "text": "hi"}), [{"role": "user", "content": "hi"}]),
    "several stay parts": (
        user({"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}),
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    ),
    "roles": (
        [{"type": "message", "role": "developer", "content": "d"}, {"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        [{"role": "developer", "content": "d"}, {"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
    ),
    "what was said": (
        [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}, {"type": "refusal", "refusal": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": None},
        ],
        [{"role": "assistant", "content": "ab"}, {"role": "assistant", "content": "c"}, {"role": "assistant", "content": ""}],
    ),
    "a turn with calls": (
        [
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_image", "image_url": "u"}]},
        ],
        [
            {"role": "assistant", "content": "I look.", "tool_calls": [call_of("c1"), call_of("c2")]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "image_url", "image_url": {"url": "u"}}]},
        ],
    ),
    "calls alone have null beside them": (
        [{"role": "assistant", "content": ""}, {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
         {"role": "assistant", "content": ""}],
        [{"role": "assistant", "content": None, "tool_calls": [call_of("c1")]}],
    ),
    "custom tools": (
        [{"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": 'a"b'}, {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}],
        [{"role": "assistant", "content": None, "tool_calls": [call_of("c1", arguments='{"input":"a\\"b"}')]},
         {"role": "tool", "tool_call_id": "c1", "content": "ok"}],
    ),
    "reasoning": (
        [THOUGHT, {"role": "assistant", "content": "x"}],
        [{"role": "assistant", "content": "x", "reasoning_details": [
            {"type": "reasoning.summary", "summary": "s", **ABOUT, "index": 0},
            {"type": "reasoning.text", "text": "t", "signature": "c2ln", **ABOUT, "index": 1},
            {"type": "reasoning.encrypted", "data": "e", **ABOUT, "index": 2},
        ]}],
    ),
    "our own ids mean nothing upstream": (
        [{"type": "reasoning", "id": f"rs_{IDENTITY.request}_0", "summary": [], "content": None, "encrypted_content": "e"}, {"role": "user", "content": "u"}],
        [{"role": "assistant", "content": None, "reasoning_details": [{"type": "reasoning.encrypted", "data": "e", "index": 0}]},
         {"role": "user", "content": "u"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_input(name: str) -> None:
    """Items of one turn of the model are one message; results of tools stand behind their calls."""
    given, expected = MESSAGES[name]
    assert list(read(input=given).messages) == expected


@pytest.mark.parametrize("name", ["a text", "roles", "a turn with calls", "reasoning"])
def test_the_simulator_reads_it_so(name: str) -> None:
    """Where OpenRouter's own translation is known, ours is the same."""
    body = {"model": "a/b", "instructions": "Be brief", "input": MESSAGES[name][0]}
    if name == "a turn with calls":
        body["input"] = body["input"][:-1]
    theirs = judge.fields(body)["messages"]
    assert list(read(**body).messages) == list(theirs)


def test_instructions_come_first() -> None:
    """As a system message; empty ones are none."""
    assert read(instructions="Be brief").messages[0] == {"role": "system", "content": "Be brief"}
    assert len(read(instructions="").messages) == 1


FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_output_tokens": ({"max_output_tokens": 9}, {"max_tokens": 9}),
    "plain text": ({"text": {"format": {"type": "text"}}}, {}),
    "json": ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    "a schema": (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": None}, "verbosity": "low"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}, "verbosity": "low"},
    ),
    "what is new in text": ({"text": {"format": None, "tone": "warm"}}, {"text": {"tone": "warm"}}),
    "reasoning": ({"reasoning": {"effort": "low", "summary": None, "generate_summary": "auto"}}, {"reasoning": {"effort": "low", "summary": "auto"}}),
    "no reasoning": ({"reasoning": {"effort": None}}, {}),
    "logprobs": ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    "logprobs by include": ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, {"logprobs": True}),
    "no logprobs": ({"top_logprobs": 0, "include": []}, {}),
    "functions": ({"tools": [FUNCTION | {"cache_control": {}}]}, {"tools": [CHAT_FUNCTION | {"cache_control": {}}]}),
    "a bare function": ({"tools": [{**OTHER, "parameters": None}]}, {"tools": [{"type": "function", "function": {"name": "g"}}]}),
    "tools of the servers": ({"tools": [{"type": "openrouter:web_fetch", "parameters": {}}, {"type": "web_search"}]}, {"tools": [{"type": "openrouter:web_fetch", "parameters": {}}, {"type": "web_search"}]}),
    "no tools": ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    "a choice without tools": ({"tool_choice": "required"}, {"tool_choice": "required"}),
    "parallel": ({"parallel_tool_calls": False, "tools": [OTHER]}, {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "g"}}]}),
    "a named choice": ({"tool_choice": {"type": "function", "name": "f"}}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    "a search": ({"tool_choice": {"type": "web_search_preview"}}, {"tool_choice": {"type": "openrouter:web_search"}}),
    "allowed tools": (
        {"tools": [FUNCTION, OTHER, {"type": "web_search"}], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}},
        {"tools": [CHAT_FUNCTION, {"type": "web_search"}], "tool_choice": "required"},
    ),
    "nothing stored": ({"store": False, "background": False, "previous_response_id": None, "conversation": None, "prompt": None, "truncation": "auto", "stream_options": {"include_obfuscation": False}}, {}),
    "nulls": (dict.fromkeys(("temperature", "tools", "text", "reasoning", "user", "max_output_tokens", "include", "metadata")), {}),
    "as they are, in order": (
        {"zeta": 1, "user": "u", "temperature": 0.25, "provider": {"order": ["x"]}, "metadata": {"a": "b"}, "new": None, "plugins": [{"id": "web"}], "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k", "max_tool_calls": 3},
        {"zeta": 1, "user": "u", "temperature": 0.25, "provider": {"order": ["x"]}, "metadata": {"a": "b"}, "new": None, "plugins": [{"id": "web"}], "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k", "max_tool_calls": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    """In chat's terms and the client's order; what is not known is untouched."""
    given, expected = FIELDS[name]
    params = json.loads(json.dumps(dict(read(**given).params), default=float))
    assert params == expected
    assert list(params) == list(expected)


def test_what_is_translated_goes_before_what_is_not() -> None:
    """A client that gives both names gets what it asked of this API, wherever they stand."""
    for fields in ({"max_tokens": 1, "max_output_tokens": 9}, {"max_output_tokens": 9, "max_tokens": 1}):
        assert read(**fields).params == {"max_tokens": 9}


def test_numbers_keep_their_digits() -> None:
    """As they were written, for who makes a cache's key of the bytes."""
    assert SKIN.read(b'{"input":"x","temperature":0.70}').params == {"temperature": Decimal("0.70")}


def test_custom_tools_are_functions_of_one_text() -> None:
    """Their grammar is told in words; the answer knows which they were."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
    call = read(
        tools=[
            {"type": "custom", "name": "p", "description": "d", "format": grammar},
            {"type": "custom", "name": "q"},
        ]
    )
    first, second = (tool["function"] for tool in call.params["tools"])
    assert first["description"] == "d\n\nThe input follows this lark grammar:\nstart: X"
    assert second["parameters"]["required"] == ["input"]
    assert "description" not in second
    assert {name for name, told in names(call.echo).items() if told.is_custom} == {"p", "q"}


CRM = {
    "type": "namespace",
    "name": "crm",
    "description": "Our customers.",
    "tools": [
        {"type": "function", "name": "find", "description": "Finds one.", "parameters": {"type": "object"}},
        {"type": "custom", "name": "note"},
    ],
}


def test_a_namespaces_tools_are_functions_of_both_names() -> None:
    """In the tools, the choice and what was called before; the answer knows whose each was."""
    before = {"type": "function_call", "call_id": "c", "name": "find", "namespace": "crm", "arguments": "{}"}
    call = read(
        input=[before],
        tools=[CRM, {"type": "function", "name": "find"}],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [before | {"type": "function"}]},
    )
    [find] = [tool["function"] for tool in call.params["tools"]]
    assert (find["name"], find["description"]) == ("crm__find", "Our customers.\n\nFinds one.")
    assert call.messages[0]["tool_calls"][0]["function"]["name"] == "crm__find"
    assert names(call.echo) == {
        "crm__find": ("find", "crm", False),
        "crm__note": ("note", "crm", True),
    }
    assert len({joined("n" * 60, "a" * 9), joined("n" * 60, "a" * 8 + "b"), joined("n" * 60, "c")}) == 3
    assert len(joined("n" * 60, "a" * 9)) == 64


@pytest.mark.parametrize(
    "wrong",
    [{"name": 5}, {"tools": None}, {"tools": [{"type": "web_search"}]}, {"tools": [5]}, {"description": 5}],
)
def test_a_namespace_that_is_none(wrong: dict[str, Any]) -> None:
    """Refused, with the field that is wrong."""
    with pytest.raises(InvalidRequest, match=r"tools\[0\]\."):
        read(tools=[CRM | wrong])


def test_models_and_stream() -> None:
    """`model` and then `models`, each once."""
    assert read(models=["c/d", "a/b"]).models == ("a/b", "c/d")
    assert read(model=None, models=["c/d"]).models == ("c/d",)
    assert read(model="").models == ()
    assert (read(stream=True).streamed, read(stream=None).streamed) == (True, False)
    assert read(truncation="auto").echo["truncation"] == "auto"


ITEM = "input[0]"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input is missing"),
    ({"input": ""}, 'input is "", and has to be a text, or a list'),
    ({"input": []}, "input is []"),
    ({"input": ["x"]}, f'{ITEM} is "x", and has to be an object'),
    ({"input": [{}]}, f"{ITEM} has neither a type nor a role"),
    ({"input": [{"type": 5}]}, f"{ITEM} is of the type 5"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "refers to an item, and nothing is stored here"),
    ({"input": [{"type": "computer_call"}]}, f'{ITEM} is of the type "computer_call"'),
    ({"input": [{"role": "tool", "content": "x"}]}, f'{ITEM}.role is "tool"'),
    ({"input": [{"role": "user"}]}, f"{ITEM}.content is missing"),
    ({"input": user(5)}, f"{ITEM}.content[0] is 5"),
    ({"input": user({"text": "x"})}, f"{ITEM}.content[0].type is missing"),
    ({"input": user({"type": "input_text"})}, f"{ITEM}.content[0].text is missing"),
    ({"input": user({"type": "input_image", "file_id": "file_1"})}, "file_id names a stored file"),
    ({"input": user({"type": "input_file", "file_id": "file_1"})}, "file_id names a stored file"),
    ({"input": user({"type": "input_image", "image_url": {"url": "x"}})}, f"{ITEM}.content[0].image_url is"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, f"{ITEM}.arguments is missing"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, f"{ITEM}.call_id is missing"),
    ({"input": [{"type": "reasoning", "summary": "x"}]}, f'{ITEM}.summary is "x"'),
    ({"input": [{"type": "reasoning", "summary": [{"text": 5}]}]}, f"{ITEM}.summary[0].text is 5"),
    ({"instructions": ["x"]}, 'instructions is ["x"], and has to be a text'),
    ({"model": 5}, "model is 5"),
    ({"models": "a"}, 'models is "a"'),
    ({"stream": "yes"}, 'stream is "yes", and has to be true or false'),
    ({"store": True}, "store is true, and nothing is stored here"),
    ({"background": True}, "background is true"),
    ({"store": "no"}, 'store is "no"'),
    ({"previous_response_id": "resp_1"}, "send the whole conversation as input"),
    ({"conversation": "conv_1"}, "conversation names something stored"),
    ({"prompt": {"id": "p"}}, "prompt names something stored"),
    ({"max_output_tokens": 0}, "max_output_tokens is 0"),
    ({"max_output_tokens": True}, "max_output_tokens is true"),
    ({"text": "json"}, 'text is "json"'),
    ({"text": {"format": {}}}, "text.format.type is missing"),
    ({"reasoning": "high"}, 'reasoning is "high"'),
    ({"include": "x"}, 'include is "x"'),
    ({"tools": {}}, "tools is {}"),
    ({"tools": [{"type": "function"}]}, "tools[0].name is missing"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0] is of the type 'code_interpreter', which cannot be served"),
    ({"tools": [{"type": "openrouter:shell"}]}, "which cannot be served"),
    ({"tool_choice": {"type": "mcp"}}, "tool_choice is of the type 'mcp'"),
    ({"tool_choice": 5}, "tool_choice is 5"),
    ({"tools": [OTHER], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools is []"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "sentence"), REFUSED)
def test_what_is_no_call_is_refused(fields: dict[str, Any], sentence: str) -> None:
    """With a sentence that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert sentence in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b'{"input":"\xff"}', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """Not JSON, no object, not text, too deep."""
    with pytest.raises(InvalidRequest):
        SKIN.read(body)


# -- hostile bodies --------------------------------------------------------------------------------

SEEDS: list[dict[str, Any]] = [
    *({"model": "a/b", "input": given} for given, _ in MESSAGES.values()),
    *({"model": "a/b", "input": user(part)} for part, _ in PARTS),
    *({"model": "a/b", "input": "hi"} | given for given, _ in FIELDS.values()),
    *(fields for fields, _ in REFUSED),
]
REPLY = Reply(text="x", model="a/b", finish_reason="stop")
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "function",
    "message",
    [],
    {},
    [[]],
    [{}],
    {"type": []},
    {"type": "function"},
]


def mutated(found: Any, chance: random.Random) -> Any:
    """The same with something odd in one of its places."""
    if isinstance(found, dict) and found and chance.random() < 0.85:
        key = chance.choice(list(found))
        if chance.random() < 0.1:
            return {name: value for name, value in found.items() if name != key}
        return found | {key: mutated(found[key], chance)}
    if isinstance(found, list) and found and chance.random() < 0.85:
        at = chance.randrange(len(found))
        return [
            *found[:at],
            mutated(found[at], chance),
            *found[at + 1 :],
            *chance.sample(found, chance.randint(0, 1)),
        ]
    return chance.choice(ODD)


def only_a_call_or_a_sentence(body: bytes) -> bool:
    """Whether it was a call; then its answer can be written."""
    try:
        call = SKIN.read(body)
    except InvalidRequest:
        return False
    teller = SKIN.teller(call, IDENTITY)
    teller.end(REPLY)
    return True


def test_hostile_bodies() -> None:
    """Twenty thousand bodies with odd things in odd places, and bytes changed: a call or a sentence, nothing else."""
    chance = random.Random(6)
    calls = 0
    for _ in range(20_000):
        found = {**chance.choice(SEEDS), **chance.choice(SEEDS)}
        for _ in range(chance.randint(0, 4)):
            found = mutated(found, chance)
        body = bytearray(json.dumps(found).encode())
        if chance.random() < 0.2 and body:
            body[chance.randrange(len(body))] = chance.randrange(256)
        calls += only_a_call_or_a_sentence(bytes(body))
    assert 1_000 < calls < 19_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted({name for seed in SEEDS for name in seed}))


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON))
def test_any_json(found: dict[str, Any]) -> None:
    """Under the names that are read."""
    only_a_call_or_a_sentence(json.dumps(found).encode())


@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}] * n},
        lambda n: {
            "input": [
                {"type": "reasoning", "content": [{"text": "x"}]},
                {"type": "reasoning", "signature": "s"},
            ]
            * n
        },
        lambda n: {"input": user(*[{"type": "input_text", "text": "x"}] * n)},
        lambda n: {"tools": [OTHER] * n},
    ],
)
def test_long_bodies_cost_no_more_a_piece(make: Callable[[int], dict[str, Any]]) -> None:
    """Ten times as much is ten times the calls of functions, not a hundred times."""
    few, many = (calls_of(make(number)) for number in (200, 2_000))
    assert 200 < few < many < 11 * few


def calls_of(fields: dict[str, Any]) -> int:
    """How many functions are called to read a body, C's included."""
    body = json.dumps({"model": "a/b", "input": "hi"} | fields).encode()
    found = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        SKIN.read(body)
    finally:
        sys.setprofile(before)
    return found
