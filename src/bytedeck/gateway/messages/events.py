"""An answer as Anthropic's named events while it comes, from message_start to message_stop. Pure.

One block is open at a time, as clients expect. An event of plain words is their JSON text between two byte strings
that are made once a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import ByteError, StreamBroken
from ...events import Event, Seam, Started
from ...types import Delta, Reply, ToolCallPart
from ..call import Call, Identity
from ..parts import encode
from . import answer, thoughts
from .checks import Block
from .waiting import Waiting

_TEXT: Block = {"type": "text", "text": "", "citations": None}
_THINKING: Block = {"type": "thinking", "thinking": "", "signature": ""}
_AFTER = b"}}\n\n"
_STOPPED = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

# Nothing is known at the start; message_delta brings the sums, which clients put in its place.
_NOTHING_YET = msgspec.Raw(encode({**answer.usage(Reply()), "output_tokens_details": None}))


class Events:
    """`Teller` of one streamed message."""

    def __init__(self, call: Call, identity: Identity) -> None:
        self._call, self._identity = call, identity
        self._model = call.models[0] if call.models else ""
        self._out: list[bytes] = []
        self._is_open = False
        self._kind = ""
        """Of the block that is open; "" where none is."""
        self._index = -1
        self._before = b""
        """What stands before the words of the open block."""
        self._thought: thoughts.Detail | None = None
        """The reasoning detail whose words come, or may come; {} for words that came without details."""
        self._calls = Waiting()

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """What came. The first words open the stream with message_start."""
        for delta in deltas:
            if delta.event is not None:
                self._happened(delta.event)
            if delta.reasoning or delta.reasoning_details:
                self._think(delta)
            if delta.text:
                self._say(delta.text)
            if delta.refusal:
                self._say(delta.refusal)
            if delta.annotations:
                self._cite(delta.annotations)
            if delta.tool_calls:
                self._call_tools(delta.tool_calls)
        return self._told()

    def end(self, reply: Reply) -> bytes:
        """Why it stopped and the usage of all attempts in message_delta, then message_stop."""
        self._tell_waiting()
        if self._calls.is_hurt:
            return self.broke(StreamBroken("The model's tool calls came in an order that cannot be told."))
        self._finish(reply)
        return self._told()

    def broke(self, error: ByteError) -> bytes:
        """An error event; what was refused for its content ends as Anthropic's own refusals do."""
        if error.code == "content_filtered" and self._is_open:
            told = error.reply or Reply()
            words = told.refusal or error.detail
            self._finish(msgspec.structs.replace(told, finish_reason="content_filter"), words)
        else:
            self._out.append(_event("error", answer.error(error, self._identity)))
        return self._told()

    def _told(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def _happened(self, event: Event) -> None:
        """An event: who answers, and but for the beginning a comment that clients pass over."""
        if isinstance(event, Started):
            self._model = event.model
            return
        if isinstance(event, Seam):  # another model's thoughts are another block
            if self._kind == "thinking":
                self._stop()
            self._thought = None
        told = msgspec.to_builtins(event)
        self._out.append(b": byte " + told.pop("type").encode() + b" " + encode(told) + b"\n\n")

    # -- words -----------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if self._kind != "text":
            self._begin("text", _TEXT, b'{"type":"text_delta","text":')
        self._out.append(self._before + encode(text) + _AFTER)

    def _cite(self, notes: Sequence[Block]) -> None:
        for note in notes:
            told = answer.citation(note)
            if told is not None:
                if self._kind != "text":
                    self._begin("text", _TEXT, b'{"type":"text_delta","text":')
                self._delta({"type": "citations_delta", "citation": told})

    # -- thoughts --------------------------------------------------------------------------------

    def _think(self, delta: Delta) -> None:
        """Words come twice, as `reasoning` and in the details. Where both say the same, the details know more."""
        details = delta.reasoning_details
        words = "".join(map(thoughts.words_of, details))
        is_said = words != delta.reasoning and delta.reasoning != ""
        if is_said:
            self._reason(delta.reasoning)
        for detail in details:
            self._detail(detail, "" if is_said else thoughts.words_of(detail))

    def _detail(self, detail: Block, words: str) -> None:
        if thoughts.is_secret(detail):
            self._begin("secret", answer.redacted(detail))
            self._stop()
            return
        if self._thought is None or not thoughts.belong_together(self._thought, detail):
            if self._kind == "thinking":
                self._stop()
            self._thought = {}
        thoughts.take(self._thought, detail)
        if words or detail.get("signature"):
            self._reason(words)

    def _reason(self, words: str) -> None:
        if self._kind != "thinking":
            self._begin("thinking", _THINKING, b'{"type":"thinking_delta","thinking":')
            self._thought = self._thought or {}
        if words:
            self._out.append(self._before + encode(words) + _AFTER)

    # -- tools -----------------------------------------------------------------------------------

    def _call_tools(self, parts: Sequence[ToolCallPart]) -> None:
        for part in parts:
            told = self._calls.take(part)
            if told is None:
                continue
            if told.name:
                self._open_call(told)
            elif told.arguments:
                self._out.append(self._before + encode(told.arguments) + _AFTER)

    def _open_call(self, part: ToolCallPart) -> None:
        """A call opens with its name; what it has of its arguments follows at once."""
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
        self._begin("tool", block, b'{"type":"input_json_delta","partial_json":')
        self._calls.open(part.index)
        if part.arguments:
            self._out.append(self._before + encode(part.arguments) + _AFTER)

    def _tell_waiting(self) -> None:
        """Calls that had to wait for others, each whole now."""
        for part in self._calls.rest():
            self._open_call(part)

    # -- events ----------------------------------------------------------------------------------

    def _begin(self, kind: str, block: Block, before: bytes = b"") -> None:
        if not self._is_open:
            self._open()
        self._stop()
        self._kind = kind
        self._index += 1
        self._before = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
            % self._index
        ) + before
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        self._out.append(_event("content_block_start", start))

    def _stop(self) -> None:
        """End the open block; a thought is signed at its end."""
        if self._kind == "thinking":
            signature = thoughts.signature_of(self._thought or {})
            self._thought = None
            if signature:
                self._delta({"type": "signature_delta", "signature": signature})
        elif self._kind == "tool":
            self._calls.close()
        if self._kind:
            told = {"type": "content_block_stop", "index": self._index}
            self._out.append(_event("content_block_stop", told))
        self._kind = ""

    def _delta(self, delta: Block) -> None:
        told = {"type": "content_block_delta", "index": self._index, "delta": delta}
        self._out.append(_event("content_block_delta", told))

    def _open(self) -> None:
        self._is_open = True
        message = answer.head(self._model, self._identity) | {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": _NOTHING_YET,
        }
        self._out.append(_event("message_start", {"type": "message_start", "message": message}))

    def _finish(self, reply: Reply, refusal: str = "") -> None:
        if not self._is_open:
            self._model = reply.model or self._model
            self._open()
        self._stop()
        if refusal:
            reply = msgspec.structs.replace(reply, refusal=refusal)
        delta = {"container": None, **answer.ending(self._call, reply)}
        told: dict[str, Any] = {"type": "message_delta", "delta": delta, "usage": answer.usage(reply)}
        cost = encode({"cost": reply.cost, "cost_known": reply.cost_known})
        self._out += (
            _event("message_delta", told | answer.about(reply)),
            b": byte cost " + cost + b"\n\n",
            _STOPPED,
        )


def _event(name: str, told: Block) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encode(told) + b"\n\n"
