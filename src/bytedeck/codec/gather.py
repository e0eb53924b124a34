"""Putting pieces together: tool calls, reasoning details, citations and pictures (wire reference 5.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from ..types import ToolCall, ToolCallPart
from .shapes import drawn, objects, text_of


class ToolCalls:
    """Tool calls as their pieces come. Calls are numbered by us, in the order in which they open.

    Servers let parallel calls share an index, so a new id at a used index opens a new call.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}  # by the server's own index

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, found: object) -> list[ToolCallPart]:
        """The `tool_calls` of a delta or a message → the pieces as a caller sees them."""
        return [self._add(item, drawn(item, "function")) for item in objects(found)]

    def _add(self, item: dict[str, Any], function: dict[str, Any]) -> ToolCallPart:
        id_, name, arguments = (
            text_of(item.get("id")),
            text_of(function.get("name")),
            function.get("arguments"),
        )
        call = self._call(item.get("index"), id_, name)
        is_first = call is None
        if call is None:
            call = self._begin(item, id_)
        added = arguments if isinstance(arguments, str) else _json(arguments)
        call.arguments.append(added)
        is_named = bool(name) and not call.name
        if is_named:
            call.name = name
        return ToolCallPart(
            index=call.index,
            id=call.id if is_first else "",
            name=name if is_named else "",
            arguments=added,
            type=call.type,
        )

    def _call(self, index: object, id_: str, name: str) -> _Call | None:
        """The open call that a piece belongs to; None where it opens a new one."""
        # Without an index it can only go on with the last call.
        call = self._open.get(index) if isinstance(index, int) else self._last()
        if call is None or not id_ or id_ == call.id:
            return call
        # An id that comes late, after we had to make one up, names no new call.
        return call if call.is_made_up and not name else None

    def _last(self) -> _Call | None:
        return self._calls[-1] if self._calls else None

    def _begin(self, item: dict[str, Any], id_: str) -> _Call:
        number = len(self._calls)
        call = _Call(number, id_ or f"call_{number}", text_of(item.get("type")) or "function", not id_)
        self._calls.append(call)
        index = item.get("index")
        self._open[index if isinstance(index, int) else number] = call
        return call

    def whole(self) -> tuple[ToolCall, ...]:
        """Every call; missing arguments count as `{}`."""
        return tuple(
            ToolCall(
                index=call.index, id=call.id, name=call.name, arguments=call.text() or "{}", type=call.type
            )
            for call in self._calls
        )

    def are_cut(self) -> bool:
        """Whether the arguments of a call are not JSON: what a token limit in mid call leaves behind."""
        return any(not _is_json(call.text()) for call in self._calls)


class _Call:
    def __init__(self, index: int, id_: str, type_: str, is_made_up: bool) -> None:
        self.index = index
        self.id = id_
        self.type = type_
        self.is_made_up = is_made_up
        self.name = ""
        self.arguments: list[str] = []

    def text(self) -> str:
        return "".join(self.arguments)


def _json(found: object) -> str:
    """Arguments that came as an object instead of its text."""
    return "" if found is None else msgspec.json.encode(found).decode()


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


_WORDS = {"reasoning.text": "text", "reasoning.summary": "summary"}


def merge_details(found: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Pieces of reasoning details → whole items, in order.

    Neighbours of one type and index are one item: its words are joined, and what comes late and
    alone (a signature) is taken in. Encrypted items come whole and stay apart. Nothing else is
    touched, because the items go back to the model as they came.
    """
    merged: list[dict[str, Any]] = []
    for item in found:
        words = _WORDS.get(text_of(item.get("type")), "")
        if not merged or not words or not _belong_together(merged[-1], item):
            merged.append(dict(item))
            continue
        last = merged[-1]
        joined = text_of(last.get(words)) + text_of(item.get(words))
        last.update({key: value for key, value in item.items() if value is not None})
        last[words] = joined
    return tuple(merged)


def _belong_together(last: dict[str, Any], item: dict[str, Any]) -> bool:
    if any(last.get(key) != item.get(key) for key in ("type", "index")):
        return False
    if item.get("index") is None and last.get("signature"):
        return False  # without an index only the signature tells that an item has ended
    return None in (last.get("id"), item.get("id")) or last["id"] == item["id"]


def reasoning_of(details: tuple[dict[str, Any], ...]) -> str:
    """The readable words of reasoning details."""
    return "".join(text_of(item.get("text")) or text_of(item.get("summary")) for item in details)


class Once:
    """Citations or pictures without those that came before: by their place, or by all that they hold."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._seen: set[object] = set()

    def add(self, found: object) -> list[dict[str, Any]]:
        """The new ones."""
        new = []
        for item in objects(found):
            mark = _mark(item)
            if mark not in self._seen:
                self._seen.add(mark)
                new.append(item)
        self.items += new
        return new


def _mark(item: dict[str, Any]) -> object:
    """What makes an item itself: url and the words that it stands for, or a file's hash."""
    inner = drawn(item, text_of(item.get("type"))) or drawn(item, "image_url") or item
    place = text_of(inner.get("url")) or text_of(inner.get("hash"))
    if not place:
        return msgspec.json.encode(item)
    return place, str(inner.get("start_index")), str(inner.get("end_index"))


class Audio:
    """One recording: data and transcript in pieces, id and expiry once."""

    def __init__(self) -> None:
        self._data: dict[str, list[str]] = {}
        self._rest: dict[str, Any] = {}

    def add(self, found: dict[str, Any]) -> None:
        for key, value in found.items():
            if key in ("data", "transcript") and isinstance(value, str):
                self._data.setdefault(key, []).append(value)
            elif value is not None:
                self._rest[key] = value

    def whole(self) -> dict[str, Any] | None:
        joined = {key: "".join(pieces) for key, pieces in self._data.items()}
        return {**self._rest, **joined} or None


class Others:
    """All that an answer brings besides its words. Most answers bring nothing of it, and have none of these."""

    def __init__(self) -> None:
        self.tool_calls = ToolCalls()
        self.annotations = Once()
        self.images = Once()
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._audio = Audio()

    def keep(self, fields: dict[str, Any]) -> None:
        """What a Delta brought, by the Delta's fields; calls, pictures and citations were kept as they were read."""
        if words := fields.get("reasoning"):
            self.reasoning.append(words)
        if words := fields.get("refusal"):
            self.refusal.append(words)
        self._details += fields.get("reasoning_details", ())
        self._logprobs += fields.get("logprobs", ())
        for item in fields.get("audio", ()):
            self._audio.add(item)

    def are_content(self) -> bool:
        """Whether they are an answer without a word: reasoning and citations alone are none."""
        return bool(self.refusal or self.tool_calls or self.images.items or self._audio.whole())

    def fields(self) -> dict[str, Any]:
        """The Reply's fields."""
        details = merge_details(self._details)
        return {
            "reasoning": "".join(self.reasoning) or reasoning_of(details),
            "refusal": "".join(self.refusal),
            "reasoning_details": details,
            "tool_calls": self.tool_calls.whole(),
            "annotations": tuple(self.annotations.items),
            "images": tuple(self.images.items),
            "audio": self._audio.whole(),
            "logprobs": tuple(self._logprobs),
        }
