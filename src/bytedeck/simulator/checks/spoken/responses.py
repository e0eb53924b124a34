"""Bodies of the Responses API, as the fields of a `Call`: input items become chat messages.

Items of one turn of the model (reasoning, message, function calls) become one assistant message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...shapes import Reasoning
from .plain import common, whole

Item = dict[str, Any]


def fields(body: dict[str, Any]) -> dict[str, Any]:
    """`instructions` come first; stop strings are unknown to this API."""
    first = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    return {
        **common(body),
        "messages": (*first, *_messages(body.get("input") or "")),
        "max_tokens": whole(body.get("max_output_tokens")),
        "tools": tuple(_tool(tool) for tool in body.get("tools") or ()),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "response_format": _response_format((body.get("text") or {}).get("format")),
        "reasoning": _reasoning(body.get("reasoning") or {}),
        "seed": whole(body.get("seed")),
        "modalities": tuple(body.get("modalities") or ("text",)),
    }


def _messages(given: str | list[Item]) -> list[Item]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    turns: list[Item] = []
    open_turn: Item | None = None  # the assistant's turn that further items may join
    for item in given:
        add = _JOINS.get(item.get("type", "message"))
        if add is None and item.get("role") == "assistant":
            add = _say
        if add is not None:
            if open_turn is None or (add is _say and open_turn["content"] is not None):
                open_turn = {"role": "assistant", "content": None}
                turns.append(open_turn)
            add(open_turn, item)
        elif (message := _other(item)) is not None:
            turns.append(message)
            open_turn = None
    return turns


def _say(turn: Item, item: Item) -> None:
    turn["content"] = _content(item.get("content")) or ""


def _call(turn: Item, item: Item) -> None:
    function = {"name": item["name"], "arguments": item["arguments"]}
    turn.setdefault("tool_calls", []).append(
        {"id": item["call_id"], "type": "function", "function": function}
    )


def _think(turn: Item, item: Item) -> None:
    """One item may hold a summary, the words with their signature, and an encrypted form: one detail each."""
    about = {key: item[key] for key in ("id", "format") if item.get(key)}
    found: list[Item] = [
        {"type": "reasoning.summary", "summary": part["text"]} for part in item.get("summary") or ()
    ]
    words = "".join(part["text"] for part in item.get("content") or ())
    if words or item.get("signature"):
        signed = {"signature": item["signature"]} if item.get("signature") else {}
        found.append({"type": "reasoning.text", "text": words, **signed})
    if item.get("encrypted_content"):
        found.append({"type": "reasoning.encrypted", "data": item["encrypted_content"]})
    details = turn.setdefault("reasoning_details", [])
    details += [each | about | {"index": len(details) + at} for at, each in enumerate(found)]


_JOINS: dict[str, Callable[[Item, Item], None]] = {"function_call": _call, "reasoning": _think}


def _other(item: Item) -> Item | None:
    """Messages of people, and results of tools; what servers left behind says nothing to a model of ours."""
    if item.get("type") == "function_call_output":
        return {"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])}
    if item.get("role"):
        return {"role": item["role"], "content": _content(item.get("content"))}
    return None


def _content(content: str | list[Item] | None) -> str | list[Item]:
    """Parts; where they are words only, the words."""
    if not isinstance(content, list):
        return content or ""
    parts = [_PARTS[part["type"]](part) for part in content if part.get("type") in _PARTS]
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _words(part: Item) -> Item:
    return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}


def _image(part: Item) -> Item:
    return {"type": "image_url", "image_url": {"url": part.get("image_url") or "", "detail": part["detail"]}}


def _file(part: Item) -> Item:
    data = part.get("file_data") or part.get("file_url") or ""
    return {"type": "file", "file": {"filename": part.get("filename") or "file", "file_data": data}}


def _audio(part: Item) -> Item:
    return {"type": "input_audio", "input_audio": part["input_audio"]}


def _video(part: Item) -> Item:
    return {"type": "video_url", "video_url": {"url": part["video_url"]}}


_PARTS: dict[str, Callable[[Item], Item]] = {
    "input_text": _words,
    "output_text": _words,
    "refusal": _words,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "input_video": _video,
}


def _tool(tool: Item) -> Item:
    if tool["type"] != "function":
        return tool
    function = {
        key: tool[key] for key in ("name", "description", "parameters", "strict") if tool.get(key) is not None
    }
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def _response_format(wanted: Item | None) -> Item | None:
    if wanted is None or wanted["type"] != "json_schema":
        return wanted
    return {
        "type": "json_schema",
        "json_schema": {key: value for key, value in wanted.items() if key != "type"},
    }


def _reasoning(wanted: Item) -> Reasoning:
    return Reasoning(
        enabled=wanted.get("enabled"),
        effort=wanted.get("effort"),
        max_tokens=whole(wanted.get("max_tokens")),
        exclude=wanted.get("exclude") is True,
    )
