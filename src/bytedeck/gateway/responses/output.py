"""The items of an answer as they grow: reasoning, one message, calls of tools, pictures. Pure.

Chat has one text and its calls side by side, and sources may come last: so the message and the calls stay open until
the end. A thought ends where something else begins; a proof that comes later is an item of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ...types import Delta, ToolCallPart
from . import names
from .items import Called, Item, Part, Picture, Said, Thought, annotation, logprob

Found = dict[str, Any]

_STATUSES = {"length": "incomplete", "content_filter": "incomplete"}
_THOUGHTS = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
"""A detail's type → where its words or its data stand."""


class Listener(Protocol):
    """Who is told each step."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None: ...

    def delta(self, name: str, place: Mapping[str, Any], text: str) -> None:
        """Words; the same `place` object comes again and again."""


class Nobody:
    """Where only the end counts."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None: ...

    def delta(self, name: str, place: Mapping[str, Any], text: str) -> None: ...


def status_of(finish_reason: str) -> str:
    """A response's status by the finish reason of chat."""
    return _STATUSES.get(finish_reason, "completed")


class Output:
    """What an answer consists of so far."""

    def __init__(self, mark: str, known: names.Names, listener: Listener | None = None) -> None:
        """`mark`: of which the items' ids are made. `known`: tools whose calls are told by another name or kind."""
        self.items: list[Item] = []
        self._mark, self._known = mark, known
        self._tell = listener or Nobody()
        self._thought: Thought | None = None
        self._message: Said | None = None
        self._calls: dict[int, Called] = {}
        self._ids: set[str] = set()

    @property
    def text(self) -> str:
        """The words of the answer."""
        return self._message.text if self._message is not None else ""

    def add(self, delta: Delta) -> None:
        """What came."""
        if delta.reasoning or delta.reasoning_details:
            self._think(delta.reasoning, delta.reasoning_details)
        if delta.text or delta.logprobs:
            self._say("output_text", delta.text, delta.logprobs)
        if delta.refusal:
            self._say("refusal", delta.refusal)
        for note in delta.annotations:
            self._annotate(note)
        for image in delta.images:
            self._show(image)
        for part in delta.tool_calls:
            self._call(part)

    def pause(self) -> None:
        """Another model goes on: its reasoning is its own."""
        self._end_of_thought()

    def close(self, status: str) -> None:
        """The answer is over: every item is done, the last one as whole as the answer is."""
        for call in self._calls.values():
            if not call.is_open:  # it never got a name
                self._open_call(call)
        for item in self.items:
            if item is self.items[-1]:
                item.status = status
            if not item.is_done:
                self._finish(item)

    def cut(self) -> None:
        """The answer broke: what was not done stays as it is."""
        for item in self.items:
            item.status = "completed" if item.is_done else "incomplete"

    def told(self) -> list[Found]:
        """The items, whole."""
        return [item.told() for item in self.items]

    # -- items -----------------------------------------------------------------------------------

    def _open(self, item: Item, prefix: str, id_: str = "") -> None:
        self._end_of_thought()
        number = len(self.items)
        is_free = id_ and id_ not in self._ids
        item.begin(number, id_ if is_free else f"{prefix}_{self._mark}_{number}")
        self._ids.add(item.id)
        self.items.append(item)
        self._tell.event("output_item.added", {"output_index": item.index, "item": item.opening()})

    def _end_of_thought(self) -> None:
        thought, self._thought = self._thought, None
        if thought is not None:
            self._finish(thought)

    def _finish(self, item: Item) -> None:
        for name, fields in item.farewell():
            self._tell.event(name, fields)
        item.is_done = True
        self._tell.event("output_item.done", {"output_index": item.index, "item": item.told()})

    # -- reasoning -------------------------------------------------------------------------------

    def _think(self, words: str, details: Sequence[Found]) -> None:
        """Details say what `words` say once more; only what they lack is taken from there."""
        spoken = "".join([_words(detail) for detail in details])
        if words and not spoken:
            details = (*details, {"type": "reasoning.text", "text": words})
        elif len(words) > len(spoken) and words.endswith(spoken):
            details = ({"type": "reasoning.text", "text": words[: -len(spoken)]}, *details)
        for detail in details:
            if kind := _kind(detail):
                self._detail(kind, detail)

    def _detail(self, kind: str, detail: Found) -> None:
        thought = self._thought
        if thought is None or not thought.takes(kind, detail):
            thought = Thought(kind, detail)
            self._open(thought, "rs", thought.own_id)
            self._thought = thought
        for name, fields in thought.take(kind, detail):
            self._tell.event(name, fields)
        if text := _words(detail):
            part = thought.parts[-1]
            self._tell.delta(part.delta_name, part.place, text)

    # -- the message -----------------------------------------------------------------------------

    def _say(self, kind: str, text: str, logprobs: Sequence[Found] = ()) -> Part:
        message = self._message
        if message is None:
            message = self._message = Said()
            self._open(message, "msg")
        self._end_of_thought()
        part = message.parts.get(kind)
        if part is None:
            part = message.add_part(kind)
            self._tell.event("content_part.added", {**part.place, "part": part.opening()})
        part.pieces.append(text)
        if not logprobs:
            if text:
                self._tell.delta(part.delta_name, part.place, text)
            return part
        told = [logprob(one) for one in logprobs]
        part.logprobs += told
        self._tell.event(part.delta_name, {**part.place, "delta": text, "logprobs": told})
        return part

    def _annotate(self, note: Found) -> None:
        """A source stands at a place in the text, and may come after it."""
        told = annotation(note)
        if told is None:
            return
        part = self._say("output_text", "")
        about = {**part.place, "annotation_index": len(part.annotations), "annotation": told}
        part.annotations.append(told)
        self._tell.event("output_text.annotation.added", about)

    # -- pictures and calls ----------------------------------------------------------------------

    def _show(self, image: Found) -> None:
        picture = Picture(image)
        self._open(picture, "ig")
        self._finish(picture)

    def _call(self, part: ToolCallPart) -> None:
        call = self._calls.get(part.index)
        if call is None:
            call = self._calls[part.index] = Called(part.id)
        call.name = call.name or part.name
        if part.arguments:
            call.pieces.append(part.arguments)
        if not call.is_open:
            if call.name:
                self._open_call(call)
        elif part.arguments and not call.is_custom:
            self._tell.delta("function_call_arguments.delta", call.place, part.arguments)

    def _open_call(self, call: Called) -> None:
        call.is_open, call.known = True, self._known.get(call.name, names.Called(call.name))
        self._open(call, "ctc" if call.is_custom else "fc")
        if call.pieces and not call.is_custom:  # free text can be read once its JSON is whole
            self._tell.delta("function_call_arguments.delta", call.place, call.arguments)


def _kind(detail: Found) -> str:
    """Where a detail's words or data stand; "" for what this API has no form for."""
    found = detail.get("type")
    return _THOUGHTS.get(found, "") if isinstance(found, str) else ""


def _words(detail: Found) -> str:
    """The readable words of a detail."""
    kind = _kind(detail)
    found = detail.get(kind) if kind and kind != "data" else None
    return found if isinstance(found, str) else ""
