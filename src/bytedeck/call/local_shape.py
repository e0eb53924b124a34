"""Requests and answers of the local model's server, where they differ from OpenRouter's.

llama.cpp drops `tools` without a word when the model's own chat template knows none
(ggml-org/llama.cpp#27129), and SmolLM2's does not. So the tools become a system message and a
JSON schema: one `anyOf` branch per tool, one more for plain text. `unshape` reads the answer back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..errors import InvalidRequest
from ..types import Message, ToolCall

_ANSWER_NAME = "bytedeck_answer"
_TOOL_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})


class Unshaped(Struct, frozen=True):
    """What a shaped answer said: words, or calls, never both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class _Answer(Struct):
    name: str = ""
    arguments: Raw = Raw()
    text: Raw = Raw()


def shape(body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat request in OpenRouter's shape → the same in the local server's.

    Fields that need no change keep their place and value. Raises InvalidRequest where
    `tool_choice` names a function that is not among the tools.
    """
    shaped = {name: value for name, value in body.items() if name not in _TOOL_FIELDS}
    messages: Sequence[Message] = body.get("messages") or ()
    shaped["messages"] = [_as_text(message) for message in messages]
    if body.get("stream"):
        # Without it the server streams no usage at all.
        shaped["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    tools = _offered(body, messages)
    if tools:
        must = body.get("tool_choice", "auto") != "auto"
        shaped["messages"] = _with_tools(shaped["messages"], tools, must)
        shaped["response_format"] = _format(tools, None if must else _text_schema(body))
    return shaped


def is_shaped(shaped: Mapping[str, Any]) -> bool:
    """Whether the answer to this request is JSON for `unshape`: nothing of it may be shown before its end."""
    wanted = shaped.get("response_format")
    return isinstance(wanted, Mapping) and (wanted.get("json_schema") or {}).get("name") == _ANSWER_NAME


def unshape(text: str, call_id: str) -> Unshaped | None:
    """The whole text of a shaped answer → words or a tool call with this id.

    None: it is not one, because `max_tokens` cut it. Arguments stay in the model's own spelling.
    """
    try:
        answer = msgspec.json.decode(text, type=_Answer)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    if answer.name:
        arguments = bytes(answer.arguments).decode() or "{}"
        return Unshaped(tool_calls=(ToolCall(0, call_id, answer.name, arguments),))
    words = bytes(answer.text)
    if not words:
        return None
    return Unshaped(text=msgspec.json.decode(words, type=str) if words[:1] == b'"' else words.decode())


def _offered(body: Mapping[str, Any], messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    """The functions among which this turn may choose; empty where it has to be words."""
    tools = [tool["function"] for tool in body.get("tools") or () if _is_function(tool)]
    choice = body.get("tool_choice", "auto")
    if choice == "none":
        return []
    # So small a model never stops calling by itself: once it has a result, it says it.
    if choice == "auto" and messages and messages[-1].get("role") == "tool":
        return []
    if not isinstance(choice, Mapping):
        return tools
    name = (choice.get("function") or {}).get("name")
    named = [tool for tool in tools if tool["name"] == name]
    if not named:
        raise InvalidRequest(f"tool_choice names {name!r}, which is not among the tools.")
    return named


def _is_function(tool: Any) -> bool:
    """Whether it can be called at all: OpenRouter's server tools cannot be served here."""
    return isinstance(tool, Mapping) and bool((tool.get("function") or {}).get("name"))


def _text_schema(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What words may look like: any, or what the caller's own `response_format` asks for."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    schema: Mapping[str, Any] | None = (wanted.get("json_schema") or {}).get("schema")
    return schema or {"type": "string"}


def _format(tools: Sequence[Mapping[str, Any]], text: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `response_format` that lets only whole calls through, and text where it is allowed."""
    branches = [_object(name={"const": tool["name"]}, arguments=_parameters(tool)) for tool in tools]
    if text is not None:
        branches.append(_object(text=text))
    return {"type": "json_schema", "json_schema": {"name": _ANSWER_NAME, "schema": {"anyOf": branches}}}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _parameters(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] | None = tool.get("parameters")
    return parameters or {"type": "object"}


def _with_tools(messages: list[Message], tools: Sequence[Mapping[str, Any]], must: bool) -> list[Message]:
    """The conversation with the tools told behind the caller's own system messages."""
    head = next((at for at, message in enumerate(messages) if message.get("role") != "system"), len(messages))
    told: Message = {"role": "system", "content": "\n".join(_told(tools, must))}
    return [*messages[:head], told, *messages[head:]]


def _told(tools: Sequence[Mapping[str, Any]], must: bool) -> Iterator[str]:
    yield "You can call these functions:"
    for tool in tools:
        schema = msgspec.json.encode(_parameters(tool)).decode()
        yield f"- {tool['name']}: {tool.get('description') or ''} Arguments: {schema}"
    yield 'To call one, answer {"name": "<function>", "arguments": {...}}.'
    if not must:
        yield 'If none of them is needed, answer {"text": "<your answer>"}.'


def _as_text(message: Message) -> Message:
    """An earlier turn's tool calls as the text in which the model makes them; its template drops them."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    content = message.get("content")
    lines = [content] if isinstance(content, str) and content else []
    lines += [_call_text(call.get("function") or {}) for call in calls]
    kept = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**kept, "content": "\n".join(lines)}


def _call_text(function: Mapping[str, Any]) -> str:
    name = msgspec.json.encode(function.get("name", "")).decode()
    return f'{{"name": {name}, "arguments": {function.get("arguments") or "{}"}}}'
