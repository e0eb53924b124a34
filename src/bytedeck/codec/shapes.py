"""What an event looks like on the wire, and how it is read: strictly first, leniently where that fails.

The typed decoder names only what a text chunk needs at once; everything else of an event
(ids, usage, unknown fields) is read a second time and only where an event can bring it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

# Invalid UTF-8 comes as UnicodeDecodeError, absurd nesting as RecursionError.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Piece(Struct, gc=False):
    """`choices[0].delta` of a stream, or `choices[0].message` of a body: the same fields."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None


class Choice(Struct, gc=False):
    delta: Piece | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None
    index: int = 0


class Chunk(Struct, gc=False):
    choices: tuple[Choice, ...] | None = None
    usage: Any = None
    error: Any = None


NO_PIECE = Piece()
WORDS_ONLY = Chunk(choices=(Choice(delta=Piece()),))
"""What a chunk is equal to that brings words and nothing else, once its words are taken out.
One comparison in C, and no field can be forgotten in it."""

read_chunk = msgspec.json.Decoder(Chunk).decode
"""One event's data → Chunk. Raises one of UNREADABLE, ValidationError where only a type is odd."""

_read_any = msgspec.json.Decoder().decode


class _Billed(Struct, gc=False):
    """The one member of an event or a body of which every digit counts."""

    usage: Any = None


_read_billed = msgspec.json.Decoder(_Billed, float_hook=str).decode
_read_exact = msgspec.json.Decoder(float_hook=str).decode


def read_json(data: bytes) -> Any:
    """JSON → what it holds; None where it is none. What few servers do wrong is mended."""
    return _read(_read_any, data)


def read_object(data: bytes) -> dict[str, Any] | None:
    """JSON → its object; None where it is no JSON or no object."""
    found = _read(_read_any, data)
    return found if isinstance(found, dict) else None


def read_exact(data: bytes) -> dict[str, Any]:
    """Like `read_object`, but a number with a point or an exponent stays the text that it was."""
    found = _read(_read_exact, data)
    return found if isinstance(found, dict) else {}


def read_bill(data: bytes) -> Any:
    """The `usage` of an event or a body, exact as in `read_exact`."""
    found = _read(_read_billed, data)
    return None if found is None else found.usage


def _read(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except UNREADABLE:
        try:
            return read(mend(data))
        except UNREADABLE:
            return None


def lenient_chunk(found: dict[str, Any], part: str = "delta") -> Chunk:
    """A Chunk from an object whose types are not what they should be. Nothing that fits is lost."""
    choices = found.get("choices")
    kept = (
        [_choice(item, part) for item in choices if isinstance(item, dict)]
        if isinstance(choices, list)
        else []
    )
    return Chunk(choices=tuple(kept), usage=found.get("usage"), error=found.get("error"))


def _choice(found: dict[str, Any], part: str) -> Choice:
    piece = found.get(part)
    return Choice(
        delta=_piece(piece) if isinstance(piece, dict) else None,
        finish_reason=text_of(found.get("finish_reason")),
        native_finish_reason=text_of(found.get("native_finish_reason")),
        logprobs=found.get("logprobs"),
        error=found.get("error"),
        index=found["index"] if isinstance(found.get("index"), int) else 0,
    )


def _piece(found: dict[str, Any]) -> Piece:
    content, reasoning, images = content_of(found.get("content"))
    return Piece(
        content=content,
        reasoning=text_of(found.get("reasoning")) or reasoning,
        reasoning_content=text_of(found.get("reasoning_content")),
        refusal=text_of(found.get("refusal")),
        reasoning_details=found.get("reasoning_details"),
        tool_calls=found.get("tool_calls"),
        function_call=found.get("function_call"),
        annotations=found.get("annotations"),
        images=[*objects(found.get("images")), *images],
        audio=found.get("audio"),
    )


def content_of(content: object) -> tuple[str, str, list[dict[str, Any]]]:
    """Content as a string or a list of parts → text, reasoning, images."""
    if isinstance(content, str):
        return content, "", []
    parts = objects(content)
    texts = [text_of(part.get("text")) for part in parts if part.get("type") in (None, "text", "output_text")]
    thoughts = [content_of(part.get("thinking"))[0] for part in parts if part.get("type") == "thinking"]
    return "".join(texts), "".join(thoughts), [part for part in parts if part.get("type") == "image_url"]


def objects(found: object) -> list[dict[str, Any]]:
    """The objects of a list; a lone object counts as a list of one."""
    if isinstance(found, dict):
        return [found]
    return [item for item in found if isinstance(item, dict)] if isinstance(found, (list, tuple)) else []


def text_of(found: object) -> str:
    return found if isinstance(found, str) else ""


def drawn(found: dict[str, Any], key: str) -> dict[str, Any]:
    """A member that should be an object, or an empty one."""
    inner = found.get(key)
    return inner if isinstance(inner, dict) else {}


_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|NaN|-?Infinity|-?\d{300,}(?:\.\d*)?(?:[eE][+-]?\d+)?|-?\d+(?:\.\d+)?[eE]\+?\d{3,}',
    re.DOTALL,
)
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def mend(data: bytes) -> bytes:
    """JSON without what some servers write and no strict reader takes: NaN, absurd numbers, half surrogate pairs.

    Numbers become null, a lone surrogate the replacement character; all else stays as it is.
    """
    return _TOKEN.sub(lambda found: _mended(found[0]), data)


def _mended(token: bytes) -> bytes:
    if not token.startswith(b'"'):
        return b"null"
    return (
        _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], token) if b"\\u" in token else token
    )
