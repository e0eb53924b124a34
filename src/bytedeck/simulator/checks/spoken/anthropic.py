"""Bodies of the Messages API, as the fields of a `Call`: Anthropic's blocks become chat messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import json

from ...shapes import Reasoning
from .plain import common, whole

Block = dict[str, Any]
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_FORMAT = "anthropic-claude-v1"


def fields(body: dict[str, Any]) -> dict[str, Any]:
    """`system` comes first; a tool result becomes a message of its own, before the words of its turn."""
    messages = [{"role": "system", "content": _flat(body["system"])}] if body.get("system") else []
    for message in body["messages"]:
        messages += _message(message)
    return {
        **common(body, [each["model"] for each in body.get("fallbacks") or ()]),
        "messages": tuple(messages),
        "max_tokens": whole(body.get("max_tokens")),
        "tools": tuple(_tool(tool) for tool in body.get("tools") or ()),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "response_format": _response_format(body.get("output_config") or {}),
        "reasoning": _reasoning(body),
        "stop": tuple(body.get("stop_sequences") or ()),
    }


def _message(message: Block) -> list[Block]:
    role, content = message["role"], message["content"]
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if role == "assistant":
        return [_assistant(content)]
    results = [_tool_result(block) for block in content if block["type"] == "tool_result"]
    parts = _parts(content)
    return [*results, {"role": role, "content": parts}] if parts or not results else results


def _assistant(blocks: list[Block]) -> Block:
    """Words are joined; thinking becomes reasoning_details, tool_use becomes tool_calls."""
    message: Block = {
        "role": "assistant",
        "content": "".join(block["text"] for block in blocks if block["type"] == "text") or None,
    }
    thoughts = [block for block in blocks if block["type"] in _DETAILS]
    if thoughts:
        message["reasoning_details"] = [
            _DETAILS[block["type"]](block) | {"index": at} for at, block in enumerate(thoughts)
        ]
    calls = [_tool_call(block) for block in blocks if block["type"] == "tool_use"]
    if calls:
        message["tool_calls"] = calls
    return message


def _thinking(block: Block) -> Block:
    return {
        "type": "reasoning.text",
        "text": block["thinking"],
        "signature": block["signature"],
        "format": _FORMAT,
    }


def _redacted(block: Block) -> Block:
    return {"type": "reasoning.encrypted", "data": block["data"], "format": _FORMAT}


_DETAILS: dict[str, Callable[[Block], Block]] = {"thinking": _thinking, "redacted_thinking": _redacted}


def _tool_call(block: Block) -> Block:
    arguments = json.encode(block.get("input") or {}).decode()
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }


def _tool_result(block: Block) -> Block:
    return {
        "role": "tool",
        "tool_call_id": block["tool_use_id"],
        "content": _flat(block.get("content") or ""),
    }


def _flat(content: str | list[Block]) -> str | list[Block]:
    return content if isinstance(content, str) else _parts(content)


def _parts(blocks: list[Block]) -> list[Block]:
    """The blocks that have a chat part for their like; others are for servers only."""
    return [_PARTS[block["type"]](block) for block in blocks if block["type"] in _PARTS]


def _text(block: Block) -> Block:
    return {"type": "text", "text": block["text"]}


def _image(block: Block) -> Block:
    return {"type": "image_url", "image_url": {"url": _url(block["source"])}}


def _document(block: Block) -> Block:
    source = block["source"]
    if source["type"] == "text":
        return {"type": "text", "text": source["data"]}
    if source["type"] == "content":
        inner = source["content"]
        return {
            "type": "text",
            "text": inner if isinstance(inner, str) else "".join(part.get("text", "") for part in inner),
        }
    return {"type": "file", "file": {"filename": block.get("title") or "document", "file_data": _url(source)}}


def _found(block: Block) -> Block:
    return {"type": "text", "text": "\n".join([block["title"], *(part["text"] for part in block["content"])])}


def _url(source: Block) -> str:
    """A URL, or the data URL of what was sent along."""
    if source["type"] == "base64":
        return f"data:{source['media_type']};base64,{source['data']}"
    return str(source.get("url", ""))


_PARTS: dict[str, Callable[[Block], Block]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _found,
}


def _tool(tool: Block) -> Block:
    """A tool with a schema is the client's own function; others are run by a server, and only their type counts."""
    if "input_schema" not in tool:
        return tool
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    function |= {key: tool[key] for key in ("description", "strict") if key in tool}
    return {"type": "function", "function": function}


def _tool_choice(choice: Block | None) -> Any:
    if choice is None:
        return None
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": choice["name"]}}
    return _CHOICES[choice["type"]]


def _response_format(config: Block) -> Block | None:
    wanted = config.get("format")
    if not wanted:
        return None
    return {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": wanted["schema"], "strict": True},
    }


def _reasoning(body: Block) -> Reasoning:
    """Without `thinking` Claude does not think; "adaptive" leaves the amount to the model."""
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    effort = (body.get("output_config") or {}).get("effort")
    return Reasoning(
        enabled=None if kind is None else kind != "disabled",
        effort=effort if kind == "adaptive" else None,
        max_tokens=whole(thinking.get("budget_tokens")),
        exclude=thinking.get("display") == "omitted",
    )
