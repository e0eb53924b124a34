"""One attempt's answer: bytes in, deltas out, and in the end a reply and a verdict.

Nothing that a server sends raises here: what cannot be read becomes a `fault`. An answer is
whole only where a known finish reason says so; `[DONE]` or an end alone never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..types import Delta, Fault, Reply, Usage
from .faults import from_error, redact
from .gather import Audio, Once, ToolCalls, merge_details, reasoning_of
from .runs import STRINGS, Runs, add, fold
from .shapes import (
    UNREADABLE,
    WORDS_ONLY,
    Choice,
    Chunk,
    Piece,
    drawn,
    lenient_chunk,
    objects,
    read_bill,
    read_chunk,
    read_object,
    text_of,
)
from .sse import Decoder, EventTooLarge
from .usage import read_usage

_FOR_A_PERSON = frozenset(("reasoning", "text", "refusal", "audio", "images", "tool_calls"))

# Every reason that says how an answer ended → ours. One that is not here proves nothing.
REASONS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "completed": "stop",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "error": "error",
}
_WHOLE = ("stop", "tool_calls")

# In mid-answer these errors mean that the answer reached a limit (wire reference, D24 and 6.3).
_LENGTH_ERRORS = ("max_tokens_exceeded", "context_length_exceeded")

_KNOWN = frozenset(
    (
        *("id", "object", "created", "model", "provider", "choices", "usage", "error", "user_id"),
        *("system_fingerprint", "service_tier", "openrouter_metadata"),
    )
)


class Reader:
    """The answer of one upstream attempt, as it comes.

    Of several choices (`n` > 1) only the one with index 0 is read: a Reply is one answer, and no
    other model could go on with two at once.
    """

    def __init__(self) -> None:
        self.events = 0
        """Data events so far; comments are none."""
        self.tokens = False
        """Whether anything for a person has come: words, reasoning, a refusal, a call, a picture, sound."""
        self.done = False
        """`[DONE]` has come."""
        self.fault: Fault | None = None
        """What went wrong inside the answer; once set it stays, and no more deltas come."""
        self.generation_id = ""
        self.now_epoch: float | None = None
        """When the answer began, seconds since 1970, for hints that name a moment; None: they are left out."""
        self.usage: Usage | None = None
        self.leftover: list[Delta] = []
        """What `end()` found in a last event without its blank line: still to be handed over."""
        self._decoder = Decoder()
        self._is_deaf = False  # the decoder has given up
        self._has_head = False  # ids and names have been read
        self._reason = ""
        self._native_reason = ""
        self._native_seen = ""
        self._had_blank_reason = False
        self._head: dict[str, Any] = {}
        """What was said beside the words, each member as it was said last."""
        self._parts: dict[str, list[Any]] = {name: [] for name in (*STRINGS, "reasoning_details", "logprobs")}
        self._tool_calls = ToolCalls()
        self._annotations = Once()
        self._images = Once()
        self._audio = Audio()

    @property
    def finished(self) -> bool:
        """A finish reason has come."""
        return bool(self._reason)

    def _is_over(self) -> bool:
        return self.done or self.fault is not None

    def feed(self, data: bytes) -> list[Delta]:
        """One network read of a stream → what it brought for the caller, in as few Deltas as keep the order."""
        if self._is_deaf:
            return []
        try:
            return self._read(self._decoder.feed(data))
        except EventTooLarge as error:
            self._is_deaf = True
            deltas = self._read(error.events)
            self._break(str(error))
            return deltas

    def end(self) -> Fault | None:
        """The body ended cleanly: the verdict, with what stood in a last event that lacked its blank line."""
        if not self._is_deaf:
            self._is_deaf = True
            last = [event for event in self._decoder.finish() if _is_readable(event)]
            self.leftover = self._read(last)
        return self.verdict()

    def body(self, data: bytes) -> list[Delta]:
        """A body that is no stream (status 200) → the same reader. Ask `verdict()` afterwards."""
        self.events += 1
        found = read_object(data)
        if found is None:
            self._break("the answer is not JSON")
            return []
        chunk = lenient_chunk(found, "message")
        if not chunk.choices and not chunk.error:
            self._break("the answer holds neither choices nor an error")
            return []
        runs: Runs = []
        self._note(found, data)
        self._take(chunk, runs, is_stream=False)
        return self._deltas(runs)

    def verdict(self) -> Fault | None:
        """Whether what came is an answer: None if it is whole or reached its token limit (`length`)."""
        if self.fault is not None:
            return self.fault
        if self._reason == "content_filter":
            refusal = redact("".join(self._parts["refusal"]))
            return self._fault("content_filtered", refusal or self._unknown_reason())
        if not self._has_content():
            return self._empty_fault()
        if not self._reason:
            return self._fault("truncated", self._unknown_reason())
        if self._reason == "length" and self._tool_calls.are_cut():
            return self._fault("tool_arguments_truncated")
        return None

    def reply(self) -> Reply:
        """All that came so far, with every field that the wire can fill."""
        details = merge_details(self._parts["reasoning_details"])
        return Reply(
            text="".join(self._parts["text"]),
            model=text_of(self._head.get("model")),
            reasoning="".join(self._parts["reasoning"]) or reasoning_of(details),
            refusal="".join(self._parts["refusal"]),
            reasoning_details=details,
            tool_calls=self._tool_calls.whole(),
            annotations=tuple(self._annotations.items),
            images=tuple(self._images.items),
            audio=self._audio.whole(),
            logprobs=tuple(self._parts["logprobs"]),
            finish_reason=self._reason,
            native_finish_reason=self._native_reason,
            usage=self.usage,
            provider=text_of(self._head.get("provider")),
            generation_id=self.generation_id,
            system_fingerprint=text_of(self._head.get("system_fingerprint")),
            service_tier=text_of(self._head.get("service_tier")),
            openrouter_metadata=drawn(self._head, "openrouter_metadata") or None,
            extra={key: value for key, value in self._head.items() if key not in _KNOWN},
        )

    # -- events ----------------------------------------------------------------------------------

    def _read(self, payloads: list[bytes]) -> list[Delta]:
        """The hot loop: an event with nothing but words costs one decode, one comparison, one append."""
        self.events += len(payloads)
        rest = iter(payloads)
        if self._is_over():
            return self._read_late(rest)
        runs: Runs = []
        texts: list[str] | None = None  # where words go on; None: something else came since
        for payload in rest:
            if payload == b"[DONE]":  # as good as always in these bytes; `_second_look` knows the odd ones
                self.done = True
                break
            try:
                chunk = read_chunk(payload)
            except UNREADABLE:
                chunk = self._second_look(payload)
            piece = chunk.choices[0].delta if chunk.choices else None
            if piece is not None and self._has_head:
                text, piece.content = piece.content, None
                if chunk == WORDS_ONLY:
                    if text:
                        if texts is None:
                            texts = []
                            runs.append(("text", texts))
                        texts.append(text)
                    continue
                piece.content = text
            texts = None
            self._read_whole(chunk, payload, runs)
            if self._is_over():
                self._read_late(rest)
        return self._deltas(runs)

    def _read_whole(self, chunk: Chunk, payload: bytes, runs: Runs) -> None:
        """An event that brings more than words, or something else."""
        if not (self._has_head and _is_middle(chunk)):
            self._note(read_object(payload), payload)
        self._take(chunk, runs)

    def _read_late(self, payloads: Iterator[bytes]) -> list[Delta]:
        """After a fault an answer has no more words, but it may still tell what it cost."""
        for payload in payloads:
            if payload.strip() == b"[DONE]":
                self.done = True
            elif not self.done:
                self._note(read_object(payload), payload)
        return []

    def _second_look(self, payload: bytes) -> Chunk:
        """An event that the typed decoder refuses: `[DONE]`, odd types, or no JSON object."""
        found = read_object(payload)
        if found is not None:
            return lenient_chunk(found)
        word = payload.strip()
        if word == b"[DONE]":
            self.done = True
        elif word:
            self._break("an event of the stream is no JSON object")
        return Chunk()

    def _note(self, found: dict[str, Any] | None, payload: bytes) -> None:
        """Ids, names, usage and what we do not know, of a whole event or body."""
        if found is None:
            return
        self._has_head = True
        self.generation_id = self.generation_id or text_of(found.get("id"))
        self._head.update({key: value for key, value in found.items() if value is not None})
        if found.get("usage"):
            self.usage = read_usage(read_bill(payload), self.usage)

    def _take(self, chunk: Chunk, runs: Runs, is_stream: bool = True) -> None:
        error = chunk.error
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._take_choice(choice, runs)
                error = error or choice.error
        if error:
            has_tokens = self.tokens or not _FOR_A_PERSON.isdisjoint(name for name, _ in runs)
            self._fail(error, is_stream, has_tokens)
        elif self._reason == "error":
            reason = self._native_reason
            self.fault = self._fault("provider_error", f"the provider ended with {reason}")

    def _take_choice(self, choice: Choice, runs: Runs) -> None:
        if choice.delta is not None:
            self._take_piece(choice.delta, runs)
        if isinstance(choice.logprobs, dict):
            found = [*objects(choice.logprobs.get("content")), *objects(choice.logprobs.get("refusal"))]
            add(runs, "logprobs", found)
        if choice.native_finish_reason:
            self._native_seen = choice.native_finish_reason
        if choice.finish_reason is not None:
            self._finish(choice.finish_reason)

    def _take_piece(self, piece: Piece, runs: Runs) -> None:
        if thoughts := piece.reasoning or piece.reasoning_content:
            add(runs, "reasoning", thoughts)
        if piece.reasoning_details is not None:
            add(runs, "reasoning_details", objects(piece.reasoning_details))
        if piece.content:
            add(runs, "text", piece.content)
        if piece.refusal:
            add(runs, "refusal", piece.refusal)
        if piece.annotations is not None:
            add(runs, "annotations", self._annotations.add(piece.annotations))
        if piece.audio is not None:
            add(runs, "audio", objects(piece.audio))
        if piece.images is not None:
            add(runs, "images", self._images.add(piece.images))
        if piece.tool_calls is not None:
            add(runs, "tool_calls", self._tool_calls.add(piece.tool_calls))
        if piece.function_call is not None:  # the form before `tool_calls`; one call at most
            add(runs, "tool_calls", self._tool_calls.add({"index": 0, "function": piece.function_call}))

    def _finish(self, raw: str) -> None:
        """One reason counts: the first, unless a later one tells that the answer was not whole after all."""
        reason = REASONS.get(raw.lower(), "")
        if not reason:
            self._had_blank_reason = self._had_blank_reason or not raw
            self._native_reason = self._native_reason or raw
        elif not self._reason or (self._reason in _WHOLE and reason not in _WHOLE):
            self._reason = reason
            self._native_reason = self._native_seen or raw

    def _fail(self, error: object, is_stream: bool, has_tokens: bool) -> None:
        """`has_tokens`: in this read or before it, so that slicing changes nothing."""
        fault = from_error(
            error,
            is_stream=is_stream,
            provider=text_of(self._head.get("provider")),
            now_epoch=self.now_epoch,
        )
        if has_tokens and fault.error_type in _LENGTH_ERRORS:
            self._reason, self._native_reason = "length", fault.error_type
        else:
            self.fault = fault

    def _break(self, message: str) -> None:
        """What came cannot be read. After the finish reason that costs the answer nothing."""
        if not self._reason and self.fault is None:
            self.fault = self._fault("malformed", message)

    # -- deltas and verdict ----------------------------------------------------------------------

    def _deltas(self, runs: Runs) -> list[Delta]:
        """What one read brought, as Deltas; it is remembered for the reply."""
        if not runs:
            return []
        if len(runs) == 1 and runs[0][0] == "text":
            text = "".join(runs[0][1])
            self._parts["text"].append(text)
            self.tokens = True
            return [Delta(text=text)]
        return [self._delta(fields) for fields in fold(runs)]

    def _delta(self, fields: dict[str, Any]) -> Delta:
        for name, value in fields.items():
            if name in STRINGS:
                self._parts[name].append(value)
            elif name in self._parts:
                self._parts[name] += value
        for item in fields.get("audio", ()):
            self._audio.add(item)
        self.tokens = self.tokens or not _FOR_A_PERSON.isdisjoint(fields)
        return Delta(**fields)

    def _has_content(self) -> bool:
        """Whether there is an answer: reasoning and citations alone are none."""
        return bool(
            self._parts["text"]
            or self._parts["refusal"]
            or self._tool_calls
            or self._images.items
            or self._audio.whole()
        )

    def _empty_fault(self) -> Fault:
        has_reasoned = bool(self._parts["reasoning"] or (self.usage and self.usage.reasoning_tokens))
        if self._reason == "length" and has_reasoned:
            return self._fault("reasoning_exhausted")
        is_blank = self._had_blank_reason or (self.usage is not None and not self.usage.completion_tokens)
        if self._reason or (is_blank and not self.tokens):
            return self._fault("empty_answer")
        return self._fault("truncated", self._unknown_reason())

    def _unknown_reason(self) -> str:
        return redact(f"the provider ended with {self._native_reason}") if self._native_reason else ""

    def _fault(self, code: str, message: str = "") -> Fault:
        return Fault(code=code, message=message, provider=text_of(self._head.get("provider")))


def _is_middle(chunk: Chunk) -> bool:
    """Whether an event brings nothing that only a stream's first and last ones do."""
    choices = chunk.choices
    if not choices or chunk.usage is not None or chunk.error is not None:
        return False
    return all(choice.finish_reason is None for choice in choices)


def _is_readable(event: bytes) -> bool:
    return event.strip() == b"[DONE]" or read_object(event) is not None
