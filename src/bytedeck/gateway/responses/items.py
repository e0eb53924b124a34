"""One item of an answer each: how it is told when it opens, while it grows, and when it is done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..packed import pack
from . import names, tools

Found = dict[str, Any]
Step = tuple[str, Found]
"""An event's name without `response.`, and its fields."""


class Item:
    """What all items have."""

    def __init__(self) -> None:
        self.index = 0
        self.id = ""
        self.status = "completed"
        self.is_done = False
        self.place: Found = {}
        """What its events name it by."""

    def begin(self, index: int, id_: str) -> None:
        """Its place in the output, and what it is called."""
        self.index, self.id = index, id_
        self.place = {"output_index": index, "item_id": id_}

    def opening(self) -> Found:
        """Before anything of it came."""
        raise NotImplementedError

    def told(self) -> Found:
        """With all that came."""
        raise NotImplementedError

    def farewell(self) -> Iterator[Step]:
        """What is told before it is done."""
        yield from ()


class Words:
    """Neighbouring words of a thought: one part of its summary, or its content."""

    def __init__(self, kind: str, place: Found) -> None:
        self.kind, self.place = kind, place
        words, self._part, _ = _THOUGHTS[kind]
        self._words = words
        self.delta_name = f"{words}.delta"
        self.pieces: list[str] = []

    def told(self, *, begun: bool = False) -> Found:
        shape = "summary_text" if self.kind == "summary" else "reasoning_text"
        return {"type": shape, "text": "" if begun else "".join(self.pieces)}

    def added(self) -> Step:
        return f"{self._part}.added", self.place | {"part": self.told(begun=True)}

    def farewell(self) -> Iterator[Step]:
        part = self.told()
        yield f"{self._words}.done", self.place | {"text": part["text"]}
        yield f"{self._part}.done", self.place | {"part": part}


_THOUGHTS: Mapping[str, tuple[str, str, str]] = {
    "text": ("reasoning_text", "content_part", "content_index"),
    "summary": ("reasoning_summary_text", "reasoning_summary_part", "summary_index"),
}
"""A kind of reasoning → how its words, its parts and their numbers are called."""


class Thought(Item):
    """Reasoning: words with a signature, a summary, or what only the model can read."""

    def __init__(self, kind: str, detail: Found) -> None:
        super().__init__()
        self.kind = kind
        self.own_id = _text(detail.get("id"))
        self.parts: list[Words] = []
        self._format = _text(detail.get("format"))
        self._number = detail.get("index")
        self._signature = ""
        self._secret = ""

    def takes(self, kind: str, detail: Found) -> bool:
        """Whether a detail goes on with it: neighbours of one type and index are one (wire reference 3.3), parts of a
        summary are one by their id, and the encrypted form belongs to the summary of its id."""
        id_, number = _text(detail.get("id")), detail.get("index")
        if id_ and self.own_id and id_ != self.own_id:
            return False
        is_named = bool(id_ and self.own_id)
        if kind == "data":
            return self.kind == "summary" and not self._secret and (is_named or not (id_ or self.own_id))
        if kind != self.kind or self._secret:
            return False
        if number is None or self._number is None:
            return not self._signature  # without an index only the signature tells that an item has ended
        return bool(number == self._number) or (kind == "summary" and is_named)

    def take(self, kind: str, detail: Found) -> Iterator[Step]:
        """What a detail brings, and what of it is to be told before its words. A signature may come alone."""
        self._format = _text(detail.get("format")) or self._format
        self._signature = _text(detail.get("signature")) or self._signature
        number, before = detail.get("index"), self._number
        self._number = before if number is None else number
        words = _text(detail.get(kind))
        if kind == "data":
            self._secret = words
        elif words:
            if self.parts and before is not None and number not in (None, before):
                yield from self.parts[-1].farewell()
            if not self.parts or (before is not None and number not in (None, before)):
                self.parts.append(Words(kind, self.place | {_THOUGHTS[kind][2]: len(self.parts)}))
                yield self.parts[-1].added()
            self.parts[-1].pieces.append(words)

    def farewell(self) -> Iterator[Step]:
        if self.parts:
            yield from self.parts[-1].farewell()

    def opening(self) -> Found:
        return self._head("in_progress")

    def told(self) -> Found:
        told = self._head(self.status)
        if self.parts:
            told["summary" if self.kind == "summary" else "content"] = [part.told() for part in self.parts]
        if self._signature:
            told["signature"] = self._signature
            # Some clients (Codex) send back only the fields that OpenAI has.
            proof = {"signature": self._signature}
            told["encrypted_content"] = pack(proof | ({"format": self._format} if self._format else {}))
        if self._secret:
            told["encrypted_content"] = self._secret
        return told

    def _head(self, status: str) -> Found:
        head: Found = {"id": self.id, "type": "reasoning", "status": status, "summary": []}
        return head | ({"format": self._format} if self._format else {})


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


class Part:
    """One content part of the message."""

    def __init__(self, kind: str, place: Found) -> None:
        self.kind, self.place = kind, place
        self.delta_name = f"{kind}.delta"
        self.pieces: list[str] = []
        self.annotations: list[Found] = []
        self.logprobs: list[Found] = []

    def opening(self) -> Found:
        return self._told("", [], [])

    def told(self) -> Found:
        return self._told("".join(self.pieces), self.annotations, self.logprobs)

    def _told(self, text: str, notes: list[Found], logprobs: list[Found]) -> Found:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": notes, "logprobs": logprobs}

    def farewell(self) -> Iterator[Step]:
        told = self.told()
        words = {key: told[key] for key in ("text", "refusal", "logprobs") if key in told}
        yield f"{self.kind}.done", self.place | words
        yield "content_part.done", self.place | {"part": told}


class Said(Item):
    """The message: a text, a refusal, or both."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, Part] = {}

    def add_part(self, kind: str) -> Part:
        part = self.parts[kind] = Part(kind, self.place | {"content_index": len(self.parts)})
        return part

    @property
    def text(self) -> str:
        """Its words, without a refusal."""
        part = self.parts.get("output_text")
        return "".join(part.pieces) if part is not None else ""

    def farewell(self) -> Iterator[Step]:
        for part in self.parts.values():
            yield from part.farewell()

    def opening(self) -> Found:
        return self._told("in_progress", [])

    def told(self) -> Found:
        return self._told(self.status, [part.told() for part in self.parts.values()])

    def _told(self, status: str, content: list[Found]) -> Found:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }


class Called(Item):
    """A call of a tool."""

    def __init__(self, call_id: str) -> None:
        super().__init__()
        self.call_id = call_id
        self.name = ""
        self.known = names.Called("")
        """How it is told; once it is open."""
        self.pieces: list[str] = []
        self.is_open = False

    @property
    def is_custom(self) -> bool:
        """Whether its input is free text."""
        return self.known.is_custom

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def farewell(self) -> Iterator[Step]:
        if not self.is_custom:
            done = {"arguments": self.arguments or "{}", "name": self.known.name}
            yield "function_call_arguments.done", self.place | done
            return
        words = tools.said(self.arguments)
        if words:
            yield "custom_tool_call_input.delta", self.place | {"delta": words}
        yield "custom_tool_call_input.done", self.place | {"input": words}

    def opening(self) -> Found:
        return self._told("in_progress", "")

    def told(self) -> Found:
        return self._told(
            self.status, tools.said(self.arguments) if self.is_custom else self.arguments or "{}"
        )

    def _told(self, status: str, words: str) -> Found:
        kind, field = ("custom_tool_call", "input") if self.is_custom else ("function_call", "arguments")
        named = {"call_id": self.call_id, "name": self.known.name, field: words}
        if self.known.namespace:
            named["namespace"] = self.known.namespace
        return {"id": self.id, "type": kind, **named, "status": status}


class Picture(Item):
    """A picture that the model made; its address, as OpenRouter has it there."""

    def __init__(self, image: Found) -> None:
        super().__init__()
        inner = image.get("image_url")
        url = inner.get("url") if isinstance(inner, dict) else inner
        self._url = url if isinstance(url, str) else None

    def farewell(self) -> Iterator[Step]:
        yield "image_generation_call.completed", self.place

    def opening(self) -> Found:
        return {"id": self.id, "type": "image_generation_call", "status": "in_progress", "result": None}

    def told(self) -> Found:
        # A picture is there or not: this item has no status for half of one.
        return self.opening() | {"status": "completed", "result": self._url}


def annotation(note: Found) -> Found | None:
    """A source, flat as this API has it, with all that it needs; None for what this API has no form for."""
    found = note.get("url_citation")
    if note.get("type") != "url_citation" or not isinstance(found, dict):
        return None
    told: Found = {"type": "url_citation"}
    for key in ("url", "title", "content"):
        if isinstance(found.get(key), str):
            told[key] = found[key]
    for key in ("start_index", "end_index"):
        told[key] = found[key] if isinstance(found.get(key), int) else 0
    return {"url": "", "title": told.get("url", ""), **told}


def logprob(found: Found) -> Found:
    """One token's, with all fields that the strict client wants."""
    told = _logprob(found)
    top = found.get("top_logprobs")
    others = top if isinstance(top, list) else []
    return told | {"top_logprobs": [_logprob(one) for one in others if isinstance(one, dict)]}


def _logprob(found: Found) -> Found:
    token = found.get("token")
    text = token if isinstance(token, str) else ""
    told = found.get("bytes")
    return {
        "token": text,
        "bytes": told if isinstance(told, list) else list(text.encode()),
        "logprob": found.get("logprob", 0),
    }
