"""The output items of the Responses API: reasoning, message, function_call, image_generation_call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Block


def item(block: Block, mark: str, status: str) -> dict[str, Any]:
    """A block as an item; one that is "in_progress" has no content yet."""
    return _MAKERS[block.kind](block, mark, status)


def _thought(block: Block, mark: str, status: str) -> dict[str, Any]:
    details = block.secret or block.details
    told: dict[str, Any] = {"id": mark, "type": "reasoning", "status": status, "summary": []}
    told["format"] = details.get("format", "unknown")
    if status == "in_progress":
        return told
    if block.details.get("type") == "reasoning.summary":
        told["summary"] = [{"type": "summary_text", "text": block.text}]
    elif block.pieces:
        told["content"] = [{"type": "reasoning_text", "text": block.text}]
    if signature := block.details.get("signature"):
        told["signature"] = signature
    if secret := block.secret.get("data"):
        told["encrypted_content"] = secret
    return told


def _text(block: Block, mark: str, status: str) -> dict[str, Any]:
    content = [] if status == "in_progress" else [part(block)]
    return {"id": mark, "type": "message", "role": "assistant", "status": status, "content": content}


def part(block: Block, *, begun: bool = False) -> dict[str, Any]:
    """The one content part of a message."""
    text = "" if begun else block.text
    if block.is_refusal:
        return {"type": "refusal", "refusal": text}
    notes = [] if begun else [annotation(note) for note in block.notes]
    return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}


def annotation(note: Mapping[str, Any]) -> dict[str, Any]:
    """A citation, flat as this API has it."""
    keys = ("url", "title", "start_index", "end_index")
    return {"type": "url_citation", **{key: note[key] for key in keys if key in note}}


def _call(block: Block, mark: str, status: str) -> dict[str, Any]:
    told = block.opening
    named = {name: told[key] for key, name in (("id", "call_id"), ("name", "name")) if key in told}
    return {
        "id": mark,
        "type": "function_call",
        **named,  # a damaged answer may lack one of them
        "arguments": "" if status == "in_progress" else block.text,
        "status": status,
    }


def _image(block: Block, mark: str, status: str) -> dict[str, Any]:
    url = block.opening.get("image_url", {}).get("url", "")
    return {
        "id": mark,
        "type": "image_generation_call",
        "status": status,
        "result": None if status == "in_progress" else url,
    }


_MAKERS = {"thought": _thought, "text": _text, "call": _call, "image": _image}
