"""An answer as events of the Responses API while it comes. Pure.

Words go between two byte strings that are made once: on a stream's path nothing is built that does not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...codec.encode import DONE
from ...errors import ByteError
from ...events import Event, Seam, Started
from ...types import Delta, Reply
from ..call import Call, Identity
from ..parts import encode, error_of
from . import object as objects
from .names import names
from .output import Output, status_of

_NOTHING = Delta()


class Events:
    """`Teller` of one streamed response."""

    def __init__(self, call: Call, identity: Identity) -> None:
        self._call, self._identity = call, identity
        self._model = call.models[0] if call.models else ""
        self._writer = _Writer()
        self._output = Output(identity.request, names(call.echo), self._writer)
        self._is_open = False

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """What came. What happens besides words is told in comments, and opens nothing."""
        for delta in deltas:
            if delta.event is not None:
                self._happened(delta.event)
                if delta == Delta(event=delta.event) and not isinstance(delta.event, Started):
                    continue
            elif not self._is_open and delta == _NOTHING:
                continue
            self._open()
            self._output.add(delta)
        return self._writer.take()

    def end(self, reply: Reply) -> bytes:
        """Every item is done, and the last event has the whole response; then `[DONE]`."""
        self._finish(reply, status_of(reply.finish_reason))
        return self._writer.take()

    def broke(self, error: ByteError) -> bytes:
        """`response.failed`, and behind it the `error` at which OpenAI's clients raise. No `[DONE]`: it is not done.

        An answer that a filter ended is no failure in this API: it is incomplete, and says why.
        """
        if error.code == "content_filtered" and error.status is None and error.reply is not None:
            self._finish(error.reply, "incomplete")
            return self._writer.take()
        self._open()
        self._output.cut()
        failed = objects.failed(self._call, self._identity, self._model, error, self._output)
        self._writer.event("failed", {"response": failed})
        self._writer.error(error_of(error))
        return self._writer.take()

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            begun = objects.begun(self._call, self._identity, self._model)
            self._writer.event("created", {"response": begun})
            self._writer.event("in_progress", {"response": begun})

    def _finish(self, reply: Reply, status: str) -> None:
        self._open()
        self._output.close(status)
        whole = objects.finished(self._call, reply, self._identity, status, self._output)
        self._writer.comment("cost", {"cost": reply.cost, "cost_known": reply.cost_known})
        self._writer.event(status, {"response": whole})
        self._writer.write(DONE)

    def _happened(self, event: Event) -> None:
        """Who answers from now on; and but for the beginning a comment that clients pass over."""
        if isinstance(event, Started | Seam):
            self._model = event.model if isinstance(event, Started) else event.to_model
        if not isinstance(event, Started):
            self._output.pause()
            told = msgspec.to_builtins(event)
            self._writer.comment(told.pop("type"), told)


class _Writer:
    """Events as bytes, numbered."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._number = 0
        self._place: Mapping[str, Any] | None = None
        self._before = self._after = b""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._written)
        self._written.clear()
        return taken

    def write(self, data: bytes) -> None:
        self._written.append(data)

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        self._event(f"response.{name}", fields)

    def error(self, said: Mapping[str, Any]) -> None:
        """The fields of OpenAI's specification, and `error`, at which its clients look."""
        code = objects.code_of(dict(said))
        fields = {"code": code, "message": said["message"], "param": None, "error": {**said, "code": code}}
        self._event("error", {**fields, "error_type": said["metadata"]["error_type"]})

    def delta(self, name: str, place: Mapping[str, Any], text: str) -> None:
        if place is not self._place:
            self._place = place
            head = {"type": f"response.{name}", **place}
            self._before = b"event: response.%b\ndata: %b" % (name.encode(), encode(head)[:-1] + b',"delta":')
            logprobs = b',"logprobs":[]' if name == "output_text.delta" else b""
            self._after = logprobs + b',"sequence_number":'
        self._written.append(b"%b%b%b%d}\n\n" % (self._before, encode(text), self._after, self._number))
        self._number += 1

    def comment(self, name: str, fields: Mapping[str, Any]) -> None:
        """A line that every reader of event streams passes over."""
        self._written.append(b": byte " + name.encode() + b" " + encode(fields) + b"\n\n")

    def _event(self, kind: str, fields: Mapping[str, Any]) -> None:
        value = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        self._written.append(b"event: " + kind.encode() + b"\ndata: " + encode(value) + b"\n\n")
