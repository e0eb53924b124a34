"""One attempt's answer: bytes in, deltas out, and in the end a reply and a verdict.

Nothing that a server sends raises here: what cannot be read becomes a `fault`. An answer is
whole only where a known finish reason says so; `[DONE]` or an end alone never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from ..types import Delta, Fault, Reply, Usage
from .faults import from_error, redact
from .gather import Others
from .head import FullHead, Head, full_head, read_head
from .runs import Runs, add, fold
from .shapes import (
    NO_PIECE,
    UNREADABLE,
    WORDS_ONLY,
    Choice,
    Chunk,
    Piece,
    drawn,
    lenient_chunk,
    objects,
    read_chunk,
    read_object,
)
from .sse import Decoder, EventTooLarge
from .usage import usage_of

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


class Reader:
    """The answer of one upstream attempt, as it comes.

    Of several choices (`n` > 1) only the one with index 0 is read: a Reply is one answer, and no
    other model could go on with two at once.
    """

    events = 0
    """Data events so far; comments are none."""
    tokens = False
    """Whether anything for a person has come: words, reasoning, a refusal, a call, a picture, sound."""
    done = False
    """`[DONE]` has come."""
    fault: Fault | None = None
    """What went wrong inside the answer; once set it stays, and no more deltas come."""
    now_epoch: float | None = None
    """When the answer began, seconds since 1970, for hints that name a moment; None: they are left out."""
    usage: Usage | None = None
    _is_deaf = False  # the decoder has given up
    _reason = _native_reason = _native_seen = ""
    _had_blank_reason = False
    _head: Head | None = None
    _others: Others | None = None

    def __init__(self) -> None:
        self.leftover: list[Delta] = []
        """What `end()` found in a last event without its blank line: still to be handed over."""
        self._decoder = Decoder()
        self._rest: dict[str, Any] = {}
        """What was said beside the words and the names, each member as it was said last."""
        self._texts: list[str] = []

    @property
    def generation_id(self) -> str:
        return (self._head.id or "") if self._head else ""

    @property
    def finished(self) -> bool:
        """A finish reason has come."""
        return bool(self._reason)

    @property
    def has_spoken(self) -> bool:
        """Words or calls have come, not reasoning alone."""
        return bool(self._texts or (self._others and self._others.tool_calls))

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
            for last in self._decoder.finish():
                if last.strip() == b"[DONE]" or read_object(last) is not None:
                    self.leftover = self._read([last])
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
        self._note(full_head(found, data))
        self._take(chunk, runs, is_stream=False)
        return self._deltas(runs)

    def verdict(self) -> Fault | None:
        """Whether what came is an answer: None if it is whole or reached its token limit (`length`)."""
        if self.fault is not None:
            return self.fault
        others = self._others
        if self._reason == "content_filter":
            refusal = redact("".join(others.refusal)) if others else ""
            return self._fault("content_filtered", refusal or self._unknown_reason())
        if not (self._texts or (others and others.are_content())):
            return self._empty_fault()
        if not self._reason:
            return self._fault("truncated", self._unknown_reason())
        if self._reason == "length" and others and others.tool_calls.are_cut():
            return self._fault("tool_arguments_truncated")
        return None

    def reply(self) -> Reply:
        """All that came so far, with every field that the wire can fill."""
        head = self._head or _NO_HEAD
        reply = Reply(
            text="".join(self._texts),
            model=head.model or "",
            finish_reason=self._reason,
            native_finish_reason=self._native_reason,
            usage=self.usage,
            provider=head.provider or "",
            generation_id=head.id or "",
            system_fingerprint=head.system_fingerprint or "",
            service_tier=head.service_tier or "",
        )
        if self._others is not None:
            reply = replace(reply, **self._others.fields())
        if self._rest:
            metadata = drawn(self._rest, "openrouter_metadata") or None
            extra = {name: said for name, said in self._rest.items() if name != "openrouter_metadata"}
            reply = replace(reply, openrouter_metadata=metadata, extra=extra)
        return reply

    # -- events ----------------------------------------------------------------------------------

    def _read(self, payloads: list[bytes]) -> list[Delta]:
        """The hot loop: an event with nothing but words costs one decode, one comparison, one append."""
        self.events += len(payloads)
        rest = iter(payloads)
        if self.done or self.fault is not None:
            return self._read_late(rest)
        runs: Runs = []
        texts: list[str] | None = None  # where words go on; None: something else came since
        for payload in rest:
            if payload == b"[DONE]":  # as good as always in these bytes; `_read_odd` knows the others
                self.done = True
                break
            try:
                chunk = read_chunk(payload)
            except UNREADABLE:
                self._read_odd(payload, runs)
            else:
                if self._head is None:
                    self._note(read_head(payload))
                piece = chunk.choices[0].delta if chunk.choices else None
                if piece is not None:
                    text, piece.content = piece.content, None
                    if chunk == WORDS_ONLY:
                        if text:
                            if texts is None:
                                texts = []
                                runs.append(("text", texts))
                            texts.append(text)
                        continue
                    piece.content = text or None
                if not _is_middle(chunk):
                    self._note(read_head(payload))
                self._take(chunk, runs)
            texts = None
            if self.done or self.fault is not None:
                self._read_late(rest)  # type: ignore[unreachable]  # by what was just taken
        return self._deltas(runs)

    def _read_late(self, payloads: Iterator[bytes]) -> list[Delta]:
        """After a fault an answer has no more words, but it may still tell what it cost."""
        for payload in payloads:
            if payload.strip() == b"[DONE]":
                self.done = True
            elif not self.done:
                self._note(full_head(read_object(payload), payload))
        return []

    def _read_odd(self, payload: bytes, runs: Runs) -> None:
        """An event that the typed decoder refuses: `[DONE]`, odd types, or no JSON object."""
        found = read_object(payload)
        if found is not None:
            self._note(full_head(found, payload))
            self._take(lenient_chunk(found), runs)
        elif (word := payload.strip()) == b"[DONE]":
            self.done = True
        elif word:
            self._break("an event of the stream is no JSON object")

    def _note(self, head: Head | None) -> None:
        """What an event or a body said beside its words."""
        if head is None:
            return
        if self._head is None:
            self._head = head
        else:
            self._head.add(head)
        if head.usage is not None:
            self.usage = usage_of(head.usage, self.usage)
        if type(head) is FullHead:
            self._rest |= head.rest

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
        if choice.delta is not None and choice.delta != NO_PIECE:
            self._take_piece(choice.delta, runs)
        if isinstance(choice.logprobs, dict):
            found = [*objects(choice.logprobs.get("content")), *objects(choice.logprobs.get("refusal"))]
            add(runs, "logprobs", found)
        if choice.native_finish_reason:
            self._native_seen = choice.native_finish_reason
        if choice.finish_reason is not None:
            self._finish(choice.finish_reason)

    def _take_piece(self, piece: Piece, runs: Runs) -> None:
        others = self._others = self._others or Others()
        if thoughts := piece.reasoning or piece.reasoning_content:
            add(runs, "reasoning", thoughts)
        if piece.reasoning_details is not None:
            add(runs, "reasoning_details", objects(piece.reasoning_details))
        if piece.content:
            add(runs, "text", piece.content)
        if piece.refusal:
            add(runs, "refusal", piece.refusal)
        if piece.annotations is not None:
            add(runs, "annotations", others.annotations.add(piece.annotations))
        if piece.audio is not None:
            add(runs, "audio", objects(piece.audio))
        if piece.images is not None:
            add(runs, "images", others.images.add(piece.images))
        if piece.tool_calls is not None:
            add(runs, "tool_calls", others.tool_calls.add(piece.tool_calls))
        if piece.function_call is not None:  # the form before `tool_calls`; one call at most
            add(runs, "tool_calls", others.tool_calls.add({"index": 0, "function": piece.function_call}))

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
            provider=self._provider(),
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
            self._texts.append(text)
            self.tokens = True
            return [Delta(text=text)]
        return [self._delta(fields) for fields in fold(runs)]

    def _delta(self, fields: dict[str, Any]) -> Delta:
        others = self._others = self._others or Others()
        others.keep(fields)
        if text := fields.get("text"):
            self._texts.append(text)
        self.tokens = self.tokens or not _FOR_A_PERSON.isdisjoint(fields)
        return Delta(**fields)

    def _empty_fault(self) -> Fault:
        thoughts = self._others.reasoning if self._others else None
        has_reasoned = bool(thoughts or (self.usage and self.usage.reasoning_tokens))
        if self._reason == "length" and has_reasoned:
            return self._fault("reasoning_exhausted")
        is_blank = self._had_blank_reason or (self.usage is not None and not self.usage.completion_tokens)
        if self._reason or (is_blank and not self.tokens):
            return self._fault("empty_answer")
        return self._fault("truncated", self._unknown_reason())

    def _unknown_reason(self) -> str:
        return redact(f"the provider ended with {self._native_reason}") if self._native_reason else ""

    def _fault(self, code: str, message: str = "") -> Fault:
        return Fault(code=code, message=message, provider=self._provider())

    def _provider(self) -> str:
        return (self._head.provider or "") if self._head else ""


_NO_HEAD = Head()


def _is_middle(chunk: Chunk) -> bool:
    """Whether an event brings nothing that only a stream's first and last ones do."""
    choices = chunk.choices
    if not choices or chunk.usage is not None or chunk.error is not None:
        return False
    for choice in choices:  # noqa: SIM110 - a generator a chunk is what it would cost
        if choice.finish_reason is not None:
            return False
    return True
