"""Messages of Anthropic's protocol → messages of a chat. Nothing that a chat has a place for is lost on the way.

A tool result becomes a message of its own, thinking becomes reasoning details, a tool use a tool call. A block that
nobody knows is passed on as it is: the chat has parts that Anthropic's protocol has not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ...errors import InvalidRequest
from ...types import Message
from . import thoughts
from .checks import Block, flag, items, kind, refuse, text, thing, things

_ROLES = ("user", "assistant", "system")
# A record of what Anthropic's own servers did. A chat has no form for it; the words that were said of it stay.
_SERVERS = frozenset({"server_tool_use", "mcp_tool_use"})
_SERVERS_RESULT = "_tool_result"


def chat_messages(system: object, messages: object) -> tuple[Message, ...]:
    """`system` and `messages` of a body. Raises InvalidRequest that names the place."""
    found: list[Message] = []
    if system is not None and (content := _content(system, "system")):
        found.append({"role": "system", "content": content})
    turns = things(messages, "messages")
    if not turns:
        raise refuse("messages", "there has to be at least one")
    for at, message in enumerate(turns):
        found += _message(message, f"messages[{at}]")
    return tuple(found)


def _message(message: Block, where: str) -> list[Message]:
    role = message.get("role")
    if role not in _ROLES:
        raise refuse(f"{where}.role", f"has to be one of {', '.join(_ROLES)}")
    content = message.get("content")
    if isinstance(content, str):
        return [message]
    blocks = things(content, f"{where}.content")
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    if role == "assistant":
        return [{"role": role, **_assistant(blocks, f"{where}.content"), **rest}]
    return _user(str(role), blocks, f"{where}.content", rest)


def _user(role: str, blocks: Sequence[Block], where: str, rest: Block) -> list[Message]:
    """Tool results first: in a chat they follow the turn that called."""
    results: list[Message] = []
    parts: list[Block] = []
    for at, block in enumerate(blocks):
        place = f"{where}[{at}]"
        if kind(block, place) == "tool_result":
            results.append(_tool_result(block, place))
        else:
            parts += _part(block, place)
    if parts or not results:
        results.append({"role": role, "content": _plain(parts), **rest})
    return results


def _assistant(blocks: Sequence[Block], where: str) -> Block:
    parts: list[Block] = []
    details: list[thoughts.Detail] = []
    unsigned: list[str] = []
    calls: list[Block] = []
    for at, block in enumerate(blocks):
        place = f"{where}[{at}]"
        what = kind(block, place)
        if what == "thinking":
            _think(block, place, details, unsigned)
        elif what == "redacted_thinking":
            details.append(thoughts.detail_of_data(text(block.get("data"), f"{place}.data"), len(details)))
        elif what == "tool_use":
            calls.append(_tool_call(block, place))
        elif what not in _SERVERS and not what.endswith(_SERVERS_RESULT):
            # A text without words is what remains of sources whose words stand elsewhere; models refuse it.
            parts += [part for part in _part(block, place) if part.get("text") != ""]
    turn: Block = {"content": _plain(parts) if parts else (None if calls else "")}
    if unsigned:
        turn["reasoning"] = "".join(unsigned)
    if details:
        turn["reasoning_details"] = thoughts.joined(details)
    if calls:
        turn["tool_calls"] = calls
    return turn


def _think(block: Block, where: str, details: list[thoughts.Detail], unsigned: list[str]) -> None:
    """What nobody signed is no detail: Claude and Gemini refuse it, and others want the words alone."""
    words = text(block.get("thinking"), f"{where}.thinking")
    signature = text(block.get("signature", ""), f"{where}.signature")
    if signature:
        details.append(thoughts.detail_of_thinking(words, signature, len(details)))
    elif words:
        unsigned.append(words)


def _tool_call(block: Block, where: str) -> Block:
    name, id_ = text(block.get("name"), f"{where}.name"), text(block.get("id"), f"{where}.id")
    try:
        arguments = msgspec.json.encode(block.get("input") or {}).decode()
    except RecursionError as exc:
        raise refuse(f"{where}.input", "is nested too deeply") from exc
    call = {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
    return _marked(call, block)


def _tool_result(block: Block, where: str) -> Message:
    """That it is an error has no place in a chat: it is told beside the content, for whoever reads it."""
    id_ = text(block.get("tool_use_id"), f"{where}.tool_use_id")
    parts = _parts(block.get("content") or [], f"{where}.content")
    is_error = flag(block.get("is_error") or False, f"{where}.is_error")
    if is_error and not parts:
        parts = [{"type": "text", "text": "Error"}]
    if block.get("cache_control"):
        parts = parts or [{"type": "text", "text": ""}]
        parts[-1] = _marked(parts[-1], block)
    result: Block = {"role": "tool", "tool_call_id": id_, "content": _plain(parts)}
    return {**result, "is_error": True} if is_error else result


def _content(found: object, where: str) -> str | list[Block]:
    return found if isinstance(found, str) else _plain(_parts(found, where))


def _plain(parts: list[Block]) -> str | list[Block]:
    """One text and nothing else is a string, which every server reads."""
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and only.keys() == {"type", "text"} and isinstance(only["text"], str):
        return only["text"]
    return parts


def _parts(found: object, where: str) -> list[Block]:
    if isinstance(found, str):
        return [{"type": "text", "text": found}]
    return [part for at, block in enumerate(things(found, where)) for part in _part(block, f"{where}[{at}]")]


def _part(block: Block, where: str) -> list[Block]:
    """One block as the parts of a chat's message; its mark for the cache stands on the last of them."""
    told = _PARTS.get(kind(block, where))
    if told is None:
        return [block]
    parts = told(block, where)
    return [*parts[:-1], _marked(parts[-1], block)] if parts else []


def _marked(part: Block, block: Block) -> Block:
    """A part with its block's mark for the prompt cache."""
    return {**part, "cache_control": block["cache_control"]} if block.get("cache_control") else part


def _text(block: Block, where: str) -> list[Block]:
    text(block.get("text"), f"{where}.text")
    return [{key: value for key, value in block.items() if key not in ("citations", "cache_control")}]


def _image(block: Block, where: str) -> list[Block]:
    source = thing(block.get("source"), f"{where}.source")
    return [{"type": "image_url", "image_url": {"url": _url(source, f"{where}.source")}}]


def _document(block: Block, where: str) -> list[Block]:
    source = thing(block.get("source"), f"{where}.source")
    place = f"{where}.source"
    what = kind(source, place)
    if what in ("text", "content"):
        key = "data" if what == "text" else "content"
        heads = [{"type": "text", "text": head} for head in _heads(block, where)]
        return [*heads, *_parts(source.get(key), f"{place}.{key}")]
    if what == "file":
        return [{"type": "file", "file": {"file_id": text(source.get("file_id"), f"{place}.file_id")}}]
    name = text(block.get("title") or "document.pdf", f"{where}.title")
    return [{"type": "file", "file": {"filename": name, "file_data": _url(source, place)}}]


def _heads(block: Block, where: str) -> list[str]:
    """A document's title and what it is about, as far as they are told."""
    found = [text(block.get(key) or "", f"{where}.{key}") for key in ("title", "context")]
    return [head for head in found if head]


def _search_result(block: Block, where: str) -> list[Block]:
    lines = [text(block.get(key), f"{where}.{key}") for key in ("title", "source")]
    lines += [
        text(thing(part, where).get("text"), f"{where}.content[{at}].text")
        for at, part in enumerate(items(block.get("content"), f"{where}.content"))
    ]
    return [{"type": "text", "text": "\n".join(lines)}]


def _compaction(block: Block, where: str) -> list[Block]:
    """The summary of an earlier conversation."""
    summary = text(block.get("content") or "", f"{where}.content")
    return [{"type": "text", "text": summary}] if summary else []


def _tool_reference(block: Block, where: str) -> list[Block]:
    return [{"type": "text", "text": text(block.get("tool_name"), f"{where}.tool_name")}]


def _url(source: Block, where: str) -> str:
    """A URL, or the data URL of what was sent along."""
    what = kind(source, where)
    if what == "url":
        return text(source.get("url"), f"{where}.url")
    if what == "base64":
        media, data = (text(source.get(key), f"{where}.{key}") for key in ("media_type", "data"))
        return f"data:{media};base64,{data}"
    raise InvalidRequest(
        f"{where}.type: {what!r} is not offered here; send the content as base64, or its url."
    )


_PARTS: dict[str, Callable[[Block, str], list[Block]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "compaction": _compaction,
    "tool_reference": _tool_reference,
}
"""Blocks that have another form in a chat."""
