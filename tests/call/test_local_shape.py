"""What changes on the way to the local model's server and back, and what must not."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.call.local_shape import Unshaped, is_shaped, shape, unshape
from bytedeck.errors import InvalidRequest
from bytedeck.types import ToolCall

_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_WEATHER = {"type": "function", "function": {"name": "weather", "description": "Sky.", "parameters": _CITY}}
_CLOCK = {"type": "function", "function": {"name": "clock"}}
_SEARCH = {"type": "openrouter:web_search"}
_USER = {"role": "user", "content": "Hi"}


def _body(**fields: Any) -> dict[str, Any]:
    return {"model": "local/smollm2-135m", "messages": [_USER], **fields}


def _branches(shaped: dict[str, Any]) -> list[str]:
    """The functions that may be called, "" for plain words."""
    branches = shaped["response_format"]["json_schema"]["schema"]["anyOf"]
    return [branch["properties"].get("name", {"const": ""})["const"] for branch in branches]


def test_what_needs_no_change_is_not_changed() -> None:
    """Known and unknown fields go through, in the caller's order."""
    body = _body(temperature=0.1, response_format={"type": "json_object"}, unheard={"of": [1]}, stop=["x"])
    assert list(shape(body).items()) == list(body.items())
    assert not is_shaped(shape(body))


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False, "other": 1}])
def test_a_stream_tells_its_usage(options: dict[str, Any] | None) -> None:
    """A stream asks for usage, whatever it said before; what else it said stays."""
    shaped = shape(_body(stream=True, stream_options=options))
    assert shaped["stream_options"] == {**(options or {}), "include_usage": True}
    assert "stream_options" not in shape(_body(stream=False))


@pytest.mark.parametrize(
    ("choice", "branches"),
    [
        ({}, ["weather", "clock", ""]),
        ({"tool_choice": "auto"}, ["weather", "clock", ""]),
        ({"tool_choice": "required"}, ["weather", "clock"]),
        ({"tool_choice": {"type": "function", "function": {"name": "clock"}}}, ["clock"]),
    ],
)
def test_tool_choice_is_honoured(choice: dict[str, Any], branches: list[str]) -> None:
    """Each function is one branch; words are one more where nothing has to be called."""
    shaped = shape(_body(tools=[_WEATHER, _SEARCH, _CLOCK], parallel_tool_calls=True, **choice))
    assert is_shaped(shaped)
    assert _branches(shaped) == branches
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & shaped.keys()


def test_the_arguments_keep_their_schema() -> None:
    """The caller's schema binds the arguments; a function without one takes any object."""
    weather, clock = shape(_body(tools=[_WEATHER, _CLOCK], tool_choice="required"))["response_format"][
        "json_schema"
    ]["schema"]["anyOf"]
    assert weather["properties"]["arguments"] == _CITY
    assert clock["properties"]["arguments"] == {"type": "object"}
    assert weather["required"] == ["name", "arguments"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [_WEATHER], "tool_choice": "none"},
        {"tools": [_SEARCH]},
        {"tools": []},
        {"tools": None},
        {"tools": [_WEATHER], "messages": [_USER, {"role": "tool", "tool_call_id": "1", "content": "21"}]},
    ],
    ids=["none", "server tools only", "empty", "null", "after a result"],
)
def test_words_only(fields: dict[str, Any]) -> None:
    """Nothing to call, or a result that is to be said: a plain answer."""
    shaped = shape(_body(**fields))
    assert not is_shaped(shaped)
    assert "tools" not in shaped
    assert shaped["messages"] == (fields.get("messages") or [_USER])


@pytest.mark.parametrize("role", ["tool", "user"])
def test_a_required_call_is_required_after_a_result_too(role: str) -> None:
    """Only `auto` leaves the choice to us."""
    messages = [_USER, {"role": role, "content": "21"}]
    assert is_shaped(shape(_body(messages=messages, tools=[_WEATHER], tool_choice="required")))


def test_an_unknown_function_is_refused() -> None:
    """`tool_choice` may only name what is offered."""
    with pytest.raises(InvalidRequest, match="'moon'"):
        shape(_body(tools=[_WEATHER], tool_choice={"type": "function", "function": {"name": "moon"}}))


def test_the_callers_system_message_stays_first() -> None:
    """The tools are told behind it."""
    system = {"role": "system", "content": "Be brief."}
    first, told, last = shape(_body(messages=[system, _USER], tools=[_WEATHER]))["messages"]
    assert (first, last) == (system, _USER)
    assert told["role"] == "system"
    assert "weather: Sky." in told["content"]
    assert '"city"' in told["content"]


def test_earlier_calls_are_told_as_text() -> None:
    """The model's template drops them, so they become the text in which the model makes calls."""
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    spoken = {"role": "assistant", "content": "Let me see.", "tool_calls": [call, call]}
    silent = {"role": "assistant", "content": None, "tool_calls": [call]}
    text = '{"name": "weather", "arguments": {"city": "Rome"}}'
    shaped = shape(_body(messages=[_USER, spoken, silent]))["messages"]
    assert shaped[1] == {"role": "assistant", "content": f"Let me see.\n{text}\n{text}"}
    assert shaped[2] == {"role": "assistant", "content": text}
    assert unshape(text, "x") == Unshaped(tool_calls=(ToolCall(0, "x", "weather", '{"city": "Rome"}'),))


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        (None, {"type": "string"}),
        ({"type": "text"}, {"type": "string"}),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": {"name": "c", "schema": _CITY}}, _CITY),
    ],
)
def test_words_keep_the_callers_format(wanted: dict[str, Any] | None, schema: dict[str, Any]) -> None:
    """Where the answer may also be words, they look as `response_format` asks."""
    shaped = shape(_body(tools=[_WEATHER], response_format=wanted))
    assert shaped["response_format"]["json_schema"]["schema"]["anyOf"][-1]["properties"] == {"text": schema}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "f", "arguments": {"n": 1.10, "big": 123456789012345678901}}',
         Unshaped(tool_calls=(ToolCall(0, "c", "f", '{"n": 1.10, "big": 123456789012345678901}'),))),
        ('\n {"name":"f","arguments":{}}\n', Unshaped(tool_calls=(ToolCall(0, "c", "f", "{}"),))),
        ('{"name": "f"}', Unshaped(tool_calls=(ToolCall(0, "c", "f", "{}"),))),
        ('{"text": "Gr\\u00fc\\u00dfe\\n"}', Unshaped(text="Grüße\n")),
        ('{"text": ""}', Unshaped(text="")),
        ('{"text": {"city": "Rome"}}', Unshaped(text='{"city": "Rome"}')),
        ('{"name": "f", "arguments": {"city": "Ro', None),
        ('{"text": "Gr', None),
        ("", None),
        ("{}", None),
        ("[1]", None),
        ("plain words", None),
        ("\ud800", None),
    ],
)  # fmt: skip
def test_reading_it_back(text: str, said: Unshaped | None) -> None:
    """A whole answer is words or a call in the model's own spelling; a cut one is None, never half a call."""
    assert unshape(text, "c") == said


def test_every_cut_is_noticed() -> None:
    """No part of a shaped answer is taken for the whole."""
    for whole in ('{"name": "f", "arguments": {"a": [1, "x"]}}', '{"text": "words"}'):
        assert unshape(whole, "c") is not None
        assert all(unshape(whole[:cut], "c") is None for cut in range(len(whole)))
