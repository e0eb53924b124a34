"""An estimate of a prompt's tokens, for POST /messages/count_tokens: only the model's own tokenizer knows them exactly.

Words count by their bytes, pictures and files by their size. It is meant for deciding whether a prompt fits, not for
reckoning what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ...errors import InvalidRequest
from .request import read_call

_BYTES, _TOKENS = 7, 2
"""So many bytes of text are so many tokens."""
_A_MESSAGE = 4
_THE_TOOLS = 340
"""What Claude is told of how tools are used."""
_A_PICTURE = 1600
"""What the largest one costs; larger ones are made smaller."""
_A_FILE = 3000
"""One that nobody here has seen."""
_FIELDS = ("tools", "response_format")


def count(body: bytes) -> dict[str, int]:
    """The body of a count → `{"input_tokens": n}`, an estimate. Raises InvalidRequest for what is no call."""
    call = read_call(body)
    tokens = sum(_A_MESSAGE + _of_message(message) for message in call.messages)
    tokens += sum(_of_json(call.params[name]) for name in _FIELDS if name in call.params)
    if "tools" in call.params:
        tokens += _THE_TOOLS
    return {"input_tokens": max(1, tokens)}


def _of_message(message: Mapping[str, Any]) -> int:
    """Thoughts of earlier turns do not count, as with Anthropic."""
    tokens = _of_content(message.get("content"))
    return tokens + (_of_json(message["tool_calls"]) if "tool_calls" in message else 0)


def _of_content(content: object) -> int:
    if isinstance(content, str):
        return _of_bytes(len(content.encode()))
    if isinstance(content, Iterable):
        return sum(_of_part(part) for part in content if isinstance(part, dict))
    return 0


def _of_part(part: Mapping[str, Any]) -> int:
    kind = part.get("type")
    if kind == "text":
        return _of_content(part.get("text"))
    if kind == "image_url":
        url = str(part["image_url"].get("url")) if isinstance(part.get("image_url"), dict) else ""
        return min(_A_PICTURE, 50 + len(url) // 150) if url.startswith("data:") else _A_PICTURE
    if kind == "file":
        data = str(part["file"].get("file_data", "")) if isinstance(part.get("file"), dict) else ""
        return len(data) // 40 if data.startswith("data:") else _A_FILE
    return _of_json(part)


def _of_json(found: object) -> int:
    try:
        return _of_bytes(len(msgspec.json.encode(found)))
    except RecursionError as exc:
        raise InvalidRequest("the body: is nested too deeply.") from exc


def _of_bytes(size: int) -> int:
    return -(-size * _TOKENS // _BYTES)
