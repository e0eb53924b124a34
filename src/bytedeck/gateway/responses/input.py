"""Input items of the Responses API → chat messages. Pure.

Items of one turn of the model (reasoning, a message, calls of tools) become one assistant message, as OpenRouter
reads them: chat wants the results of tools right behind the message that called them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidRequest
from ...types import Message
from ..body import brief
from ..packed import unpack
from . import tools
from .names import joined
from .said import a_list, a_text, an_object, refuse

Found = dict[str, Any]

_ROLES = ("user", "system", "developer")

OWN_ID = re.compile(r"rs_[0-9a-f]{32}_\d+")
"""Ids that we made up for reasoning that had none: the upstream never knew them."""

_PACKED = ("signature", "format")


def messages(instructions: object, given: object) -> tuple[Message, ...]:
    """The whole conversation, instructions first. Raises InvalidRequest."""
    first: tuple[Message, ...] = ()
    if instructions is not None and a_text("instructions", instructions):
        first = ({"role": "system", "content": instructions},)
    if isinstance(given, str) and given:
        return (*first, {"role": "user", "content": given})
    if not isinstance(given, list) or not given:
        raise refuse("input", given, "a text, or a list with at least one item")
    turns = _Turns()
    for place, found in enumerate(given):
        item = an_object(f"input[{place}]", found)
        kind = item.get("type") or ("message" if "role" in item else None)
        read = _ITEMS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise _unreadable(f"input[{place}]", kind)
        read(turns, f"input[{place}]", item)
    return (*first, *turns.messages)


def _unreadable(name: str, kind: object) -> InvalidRequest:
    if kind == "item_reference":
        return InvalidRequest(f"{name} refers to an item, and nothing is stored here: send the item itself.")
    if kind is None:
        return InvalidRequest(f"{name} has neither a type nor a role, and has to have one.")
    known = ", ".join(sorted(_ITEMS))
    return InvalidRequest(
        f"{name} is of the type {brief(kind)}, which no model of chat can be told; known are {known}."
    )


class _Turns:
    """The messages so far."""

    def __init__(self) -> None:
        self.messages: list[Found] = []
        self._open: Found | None = None

    def add(self, message: Found) -> None:
        """Somebody else's turn."""
        self.messages.append(message)
        self._open = None

    def turn(self) -> Found:
        """The model's turn that further items may join."""
        if self._open is None:
            self._open = {"role": "assistant", "content": None}
            self.messages.append(self._open)
        return self._open

    def say(self, content: str | list[Found]) -> None:
        """Words of the model's: a second message is a turn of its own. Beside calls no words are null, not ""."""
        if self._open is not None and self._open["content"] is not None:
            self._open = None
        turn = self.turn()
        turn["content"] = content if content or "tool_calls" not in turn else None

    def call(self, call: Found) -> None:
        """A call of the model's."""
        turn = self.turn()
        turn["content"] = turn["content"] or None
        turn.setdefault("tool_calls", []).append(call)


def _message(turns: _Turns, name: str, item: Found) -> None:
    role, content = item.get("role"), item.get("content")
    if role == "assistant":
        turns.say("" if content is None else _said(_parts(f"{name}.content", content)))
    elif role in _ROLES:
        turns.add({"role": role, "content": _parts(f"{name}.content", content)})
    else:
        raise refuse(f"{name}.role", role, "user, system, developer or assistant")


def _said(content: str | list[Found]) -> str | list[Found]:
    """The parts of a model's message are one text, unless there is more to them."""
    if isinstance(content, list) and all(part.keys() == {"type", "text"} for part in content):
        return "".join(part["text"] for part in content)
    return content


def _call(turns: _Turns, name: str, item: Found) -> None:
    _called(turns, name, item, a_text(f"{name}.arguments", item.get("arguments")))


def _custom_call(turns: _Turns, name: str, item: Found) -> None:
    _called(turns, name, item, tools.arguments(a_text(f"{name}.input", item.get("input"))))


def _called(turns: _Turns, name: str, item: Found, arguments: str) -> None:
    called = joined(item.get("namespace"), a_text(f"{name}.name", item.get("name")))
    call = {
        "id": a_text(f"{name}.call_id", item.get("call_id")),
        "type": "function",
        "function": {"name": called, "arguments": arguments},
    }
    turns.call(call)


def _result(turns: _Turns, name: str, item: Found) -> None:
    call = a_text(f"{name}.call_id", item.get("call_id"))
    turns.add({"role": "tool", "tool_call_id": call, "content": _parts(f"{name}.output", item.get("output"))})


def _reasoning(turns: _Turns, name: str, item: Found) -> None:
    """A summary, words with their signature, and an encrypted form: one detail each (wire reference 3.3)."""
    item = _unpacked(item)
    about = {key: item[key] for key in ("id", "format") if item.get(key) is not None}
    if OWN_ID.fullmatch(str(about.get("id", ""))):
        del about["id"]
    found: list[Found] = [
        {"type": "reasoning.summary", "summary": text} for text in _texts(f"{name}.summary", item)
    ]
    words, signature = "".join(_texts(f"{name}.content", item)), item.get("signature")
    if words or signature:
        proof = {"signature": signature} if signature else {}
        found.append({"type": "reasoning.text", "text": words, **proof})
    if item.get("encrypted_content"):
        found.append({"type": "reasoning.encrypted", "data": item["encrypted_content"]})
    details: list[Found] = turns.turn().setdefault("reasoning_details", [])
    for detail in found:
        if not _proves(details, detail):
            details.append({**detail, **about, "index": len(details)})


def _unpacked(item: Found) -> Found:
    """A proof that stands where OpenAI has its encrypted form, in its own place again."""
    ours = unpack(item.get("encrypted_content"))
    if ours is None:
        return item
    return {**{key: ours[key] for key in _PACKED if key in ours}, **item, "encrypted_content": None}


def _proves(details: list[Found], detail: Found) -> bool:
    """A signature that came late is an item without words: it belongs to the words before it."""
    if detail.get("text") != "" or not details:
        return False
    last = details[-1]
    if last["type"] != "reasoning.text" or "signature" in last:
        return False
    last["signature"] = detail["signature"]
    return True


def _texts(name: str, item: Found) -> list[str]:
    """The words of an item's summary or content."""
    found = item.get(name.rpartition(".")[2])
    parts = a_list(name, found) if found is not None else []
    return [
        a_text(f"{name}[{place}].text", an_object(f"{name}[{place}]", part).get("text"))
        for place, part in enumerate(parts)
    ]


_ITEMS: Mapping[str, Callable[[_Turns, str, Found], None]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoning,
}


# -- parts ---------------------------------------------------------------------------------------


def _parts(name: str, found: object) -> str | list[Found]:
    """Content; where it is one plain text, that text."""
    if isinstance(found, str):
        return found
    if not isinstance(found, list):
        raise refuse(name, found, "a text or a list of parts")
    parts = [_part(f"{name}[{place}]", one) for place, one in enumerate(found)]
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _part(name: str, found: object) -> Found:
    part = an_object(name, found)
    kind = a_text(f"{name}.type", part.get("type"))
    make, own = _PARTS.get(kind, (None, ()))
    if make is None:  # chat's own parts, and what is newer than we are
        return part
    beside = {key: value for key, value in part.items() if key not in own and key != "type"}
    return {**make(name, part), **beside}


def _words(name: str, part: Found) -> Found:
    return {"type": "text", "text": a_text(f"{name}.text", part.get("text"))}


def _refused(name: str, part: Found) -> Found:
    """What a model would not do is what it said: many take no other form of it."""
    return {"type": "text", "text": a_text(f"{name}.refusal", part.get("refusal"))}


def _image(name: str, part: Found) -> Found:
    if part.get("file_id") is not None:
        raise InvalidRequest(
            f"{name}.file_id names a stored file, and nothing is stored here: give image_url."
        )
    detail = {"detail": part["detail"]} if part.get("detail") is not None else {}
    url = a_text(f"{name}.image_url", part.get("image_url"))
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _file(name: str, part: Found) -> Found:
    """OpenRouter takes an address where the data would stand."""
    if part.get("file_id") is not None:
        raise InvalidRequest(
            f"{name}.file_id names a stored file, and nothing is stored here: give file_data or file_url."
        )
    data = part.get("file_data") if part.get("file_data") is not None else part.get("file_url")
    called = {"filename": part["filename"]} if part.get("filename") is not None else {}
    return {"type": "file", "file": {**called, "file_data": a_text(f"{name}.file_data", data)}}


def _audio(name: str, part: Found) -> Found:
    return {"type": "input_audio", "input_audio": an_object(f"{name}.input_audio", part.get("input_audio"))}


def _video(name: str, part: Found) -> Found:
    return {"type": "video_url", "video_url": {"url": a_text(f"{name}.video_url", part.get("video_url"))}}


_PARTS: Mapping[str, tuple[Callable[[str, Found], Found], tuple[str, ...]]] = {
    "input_text": (_words, ("text",)),
    "text": (_words, ("text",)),
    "output_text": (_words, ("text", "annotations", "logprobs")),
    "refusal": (_refused, ("refusal",)),
    "input_image": (_image, ("image_url", "detail", "file_id")),
    "input_file": (_file, ("file_data", "file_url", "file_id", "filename")),
    "input_audio": (_audio, ("input_audio",)),
    "input_video": (_video, ("video_url",)),
}
"""A part's type → how it is made, and which of its fields that takes; others stay beside what is made."""
