"""The form of the Responses API: one object, or numbered events that build it up item by item.

The last event carries the whole object, made from the same blocks as the body of an answer that is not streamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...shapes import Event, Piece, Sent
from . import parts
from .blocks import Block, blocks
from .items import annotation, item, part

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED: Mapping[str, Any] = {
    "background": False,
    "frequency_penalty": 0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "temperature": 1,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1,
    "truncation": "disabled",
    "user": None,
}
"""What the object repeats of the request, and what stands there when the request says nothing."""


def body(sent: Sent) -> bytes:
    """The body of an answer that is not streamed."""
    return parts.encode(_object(sent, blocks(sent.answer)[0]))


def usage(sent: Sent) -> dict[str, Any]:
    """The `usage` object; its costs are named by input and output here."""
    counts, bill = sent.answer.counts, sent.bill
    told: dict[str, Any] = {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.cache_write},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
        "cost": parts.number(bill.cost),
        "is_byok": bill.is_byok,
        "cost_details": parts.cost_details(
            bill, "upstream_inference_input_cost", "upstream_inference_output_cost"
        ),
    }
    if counts.web_searches:
        told["server_tool_use_details"] = parts.searches(sent)
    return told


def events(sent: Sent) -> Iterator[Event]:
    """The stream, from response.created to response.completed (or incomplete, or failed) and `[DONE]`."""
    return _Stream(sent).events()


class _Stream:
    """Numbers the events as they are made."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.number = -1

    def event(self, name: str, told: Mapping[str, Any], tokens: int = 0, kind: Any = "delta") -> Event:
        self.number += 1
        value = {"type": f"response.{name}", "sequence_number": self.number, **told}
        return Event(parts.event(value, value["type"]), tokens, kind)

    def events(self) -> Iterator[Event]:
        told, waiting = blocks(self.sent.answer)
        opening = _object(self.sent, [], begun=True)
        yield self.event("created", {"response": opening}, kind="open")
        yield self.event("in_progress", {"response": opening}, kind="open")
        for index, block in enumerate(told):
            yield from self.block(block, index, _status(self.sent, index == len(told) - 1))
        whole = _object(self.sent, told)
        yield self.event(whole["status"], {"response": whole}, waiting, "finish")
        yield Event(b"data: [DONE]\n\n", kind="done")

    def block(self, block: Block, index: int, status: str) -> Iterator[Event]:
        mark = _mark(self.sent, block, index)
        place = {"output_index": index, "item_id": mark}
        whole = item(block, mark, status)
        cost = sum(piece.tokens for piece in block.pieces) if block.kind == "image" else 0
        yield self.event(
            "output_item.added", {"output_index": index, "item": item(block, mark, "in_progress")}, cost
        )
        if block.kind == "thought" and block.pieces:
            yield from self.thought(block, place)
        elif block.kind == "text":
            yield from self.text(block, place)
        elif block.kind == "call":
            yield from self.deltas("function_call_arguments.delta", block.pieces, place)
            done = {"arguments": block.text, "name": block.opening.get("name", "")}
            yield self.event("function_call_arguments.done", place | done)
        yield self.event("output_item.done", {"output_index": index, "item": whole})

    def thought(self, block: Block, place: Mapping[str, Any]) -> Iterator[Event]:
        summed = block.details.get("type") == "reasoning.summary"
        at = {**place, "summary_index": 0} if summed else {**place, "content_index": 0}
        names = (
            ("reasoning_summary_part", "reasoning_summary_text")
            if summed
            else ("content_part", "reasoning_text")
        )
        shape = {"type": "summary_text" if summed else "reasoning_text", "text": ""}
        yield self.event(f"{names[0]}.added", at | {"part": shape})
        yield from self.deltas(f"{names[1]}.delta", block.pieces, at)
        yield self.event(f"{names[1]}.done", at | {"text": block.text})
        yield self.event(f"{names[0]}.done", at | {"part": shape | {"text": block.text}})

    def text(self, block: Block, place: Mapping[str, Any]) -> Iterator[Event]:
        at = {**place, "content_index": 0}
        kind = "refusal" if block.is_refusal else "output_text"
        more: dict[str, Any] = {} if block.is_refusal else {"logprobs": []}
        notes = [piece for piece in block.pieces if piece.kind == "annotation"]
        yield self.event("content_part.added", at | {"part": part(block, begun=True)})
        yield from self.deltas(f"{kind}.delta", [piece for piece in block.pieces if piece.text], at | more)
        for number, piece in enumerate(notes):
            told = {
                "annotation_index": number,
                "annotation": annotation((piece.data or {}).get("url_citation", {})),
            }
            yield self.event("output_text.annotation.added", at | told, piece.tokens)
        told = {"refusal": block.text} if block.is_refusal else {"text": block.text}
        yield self.event(f"{kind}.done", at | told | more)
        yield self.event("content_part.done", at | {"part": part(block)})

    def deltas(self, name: str, pieces: list[Piece], place: Mapping[str, Any]) -> Iterator[Event]:
        """The words between byte strings made once."""
        encode = parts.encode
        before = parts.event({"type": f"response.{name}", **place}, f"response.{name}")[:-3] + b',"delta":'
        is_text = name == "output_text.delta"
        waiting = 0
        for piece in pieces:
            if not piece.text:
                waiting += piece.tokens
                continue
            self.number += 1
            data = before + encode(piece.text) + b',"sequence_number":%d}\n\n' % self.number
            yield Event(data, piece.tokens + waiting, "delta", piece.text if is_text else "")
            waiting = 0


def _mark(sent: Sent, block: Block, index: int) -> str:
    names = {"thought": "rs", "text": "msg", "call": "fc", "image": "ig"}
    return f"{names[block.kind]}_{sent.id.removeprefix('gen-')}_{index}"


def _status(sent: Sent, is_last: bool) -> str:
    return "incomplete" if is_last and sent.answer.finish_reason in _REASONS else "completed"


def _object(sent: Sent, told_blocks: list[Block], *, begun: bool = False) -> dict[str, Any]:
    finish = sent.answer.finish_reason
    reason = None if begun else _REASONS.get(finish)
    failed = finish == "error" and not begun
    status = "in_progress" if begun else "failed" if failed else "incomplete" if reason else "completed"
    output = [
        item(block, _mark(sent, block, at), _status(sent, at == len(told_blocks) - 1))
        for at, block in enumerate(told_blocks)
    ]
    told = {
        "id": sent.id,
        "object": "response",
        "created_at": sent.created,
        "completed_at": sent.created if status == "completed" else None,
        "model": sent.model.id,
        "provider": sent.provider,
        "status": status,
        "error": {"code": "server_error", "message": "Provider returned error"} if failed else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": None if begun else usage(sent),
        "service_tier": sent.service_tier or "default",
    }
    if not begun:
        texts = (block.text for block in told_blocks if block.kind == "text" and not block.is_refusal)
        told["output_text"] = "".join(texts)
    metadata = {"openrouter_metadata": sent.metadata} if sent.metadata is not None and not begun else {}
    return told | _echo(sent.call.body) | metadata


def _echo(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the object repeats of the request."""
    return {
        "store": False,
        "previous_response_id": None,
        "text": {"format": {"type": "text"}} | (asked.get("text") or {}),
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
        **{key: usual if asked.get(key) is None else asked[key] for key, usual in _ECHOED.items()},
    }


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    return {"description": None, "parameters": None, "strict": None, **tool}
