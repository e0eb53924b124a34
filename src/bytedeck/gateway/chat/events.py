"""An answer as chunks of a chat completion while it comes (wire reference 5). Pure.

A chunk of plain words is their JSON text between two byte strings that are made once: on a stream's path nothing
is built that does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...codec.encode import DONE
from ...errors import ByteError
from ...events import Event, Seam, Started
from ...types import Delta, Reply, ToolCallPart
from ..call import Call, Identity
from ..parts import about, encode, error_of, id_of, usage

_OPENING = b'"role":"assistant","content":""'
_AFTER = b'},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n'


class Chunks:
    """`Teller` of one streamed chat completion."""

    def __init__(self, call: Call, identity: Identity) -> None:
        self._id, self._created = id_of(identity), identity.created
        self._is_open = False
        self._began = self._before = self._words = b""
        self._model: str | None = None
        self._name(call.models[0] if call.models else "")

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """What came. The first words open the stream with the assistant's role."""
        if len(deltas) == 1:
            return self._told(deltas[0])
        return b"".join([self._told(delta) for delta in deltas])

    def end(self, reply: Reply) -> bytes:
        """The finish reason, the usage in a chunk without choices, `[DONE]`."""
        self._name(reply.model)
        opening = b"" if self._is_open else self._open()
        finish = _finish(reply.finish_reason, reply.native_finish_reason)
        fields = about(reply)
        if reply.system_fingerprint:
            fields["system_fingerprint"] = reply.system_fingerprint
        last = b""
        if fields:
            last = self._began + b'"choices":[],' + encode(fields)[1:] + b"\n\n"
        used = fields.get("usage") or usage(reply)
        cost = _comment("cost", {"cost": used.get("cost"), "cost_known": used["cost_known"]})
        return b"".join((opening, self._began, finish, b"}\n\n", cost, last, DONE))

    def broke(self, error: ByteError) -> bytes:
        """A chunk with `error` beside a choice that ended with "error" (shape F1). No `[DONE]`: it is not done."""
        fields: dict[str, Any] = {"error": error_of(error)}
        if error.reply is not None and error.reply.usage is not None:
            fields["usage"] = usage(error.reply)
        return self._began + _finish("error", "error") + b"," + encode(fields)[1:] + b"\n\n"

    # -- one delta -------------------------------------------------------------------------------

    def _told(self, delta: Delta) -> bytes:
        text, event = delta.text, delta.event
        if event is None and self._is_open:
            if delta == Delta(text=text):
                return self._words + encode(text) + _AFTER
            return self._rich(delta)
        comment = b"" if event is None else self._happened(event)
        if delta == Delta(event=event):
            return comment
        opening = b"" if self._is_open else self._open()
        return comment + opening + self._rich(delta)

    def _happened(self, event: Event) -> bytes:
        """An event: who answers from now on, and but for the beginning a comment that clients pass over."""
        if isinstance(event, Started):
            self._name(event.model)
            return b""
        if isinstance(event, Seam):
            self._name(event.to_model)
        told = msgspec.to_builtins(event)
        return _comment(told.pop("type"), told)

    def _rich(self, delta: Delta) -> bytes:
        fields = _fields(delta)
        logprobs = delta.logprobs
        if not logprobs:
            return self._before + encode(fields)[1:-1] + _AFTER
        choice = {
            "index": 0,
            "delta": fields,
            "finish_reason": None,
            "native_finish_reason": None,
            "logprobs": {"content": logprobs, "refusal": None},
        }
        return self._began + b'"choices":[' + encode(choice) + b"]}\n\n"

    # -- the parts that do not change ------------------------------------------------------------

    def _open(self) -> bytes:
        self._is_open = True
        return self._before + _OPENING + _AFTER

    def _name(self, model: str) -> None:
        """Make the prebuilt parts for a model."""
        if model == self._model:
            return
        self._model = model
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": model}
        self._began = b"data: " + encode(head)[:-1] + b","
        self._before = self._began + b'"choices":[{"index":0,"delta":{'
        self._words = self._before + b'"content":'


def _fields(delta: Delta) -> dict[str, Any]:
    """A delta's fields in the order in which models give them; words are always there, as OpenRouter has it."""
    fields: dict[str, Any] = {"content": delta.text}
    if delta.reasoning:
        fields["reasoning"] = delta.reasoning
    if delta.reasoning_details:
        fields["reasoning_details"] = delta.reasoning_details
    if delta.refusal:
        fields["refusal"] = delta.refusal
    if delta.tool_calls:
        fields["tool_calls"] = [_part(part) for part in delta.tool_calls]
    if delta.annotations:
        fields["annotations"] = delta.annotations
    if delta.images:
        fields["images"] = delta.images
    for piece in delta.audio:
        fields["audio"] = {**fields.get("audio", {}), **_joined(fields.get("audio", {}), piece)}
    return fields


def _joined(before: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """Sound that came in several pieces at once: data and transcript go on, the rest is said once."""
    return {
        name: before.get(name, "") + value
        if name in ("data", "transcript") and isinstance(value, str)
        else value
        for name, value in piece.items()
    }


def _part(part: ToolCallPart) -> dict[str, Any]:
    """A piece of a tool call: its id, kind and name once, its arguments as they come."""
    function: dict[str, Any] = {"name": part.name} if part.name else {}
    function["arguments"] = part.arguments
    told: dict[str, Any] = {"index": part.index}
    if part.id:
        told |= {"id": part.id, "type": part.type}
    return told | {"function": function}


def _finish(reason: str, native: str) -> bytes:
    """The last choice; the chunk's closing bracket, or more fields, is to follow."""
    choice = {
        "index": 0,
        "delta": {"content": ""},
        "finish_reason": reason,
        "native_finish_reason": native or reason,
        "logprobs": None,
    }
    return b'"choices":[' + encode(choice) + b"]"


def _comment(name: str, fields: dict[str, Any]) -> bytes:
    """A line that every reader of event streams passes over."""
    return b": byte " + name.encode() + b" " + encode(fields) + b"\n\n"
