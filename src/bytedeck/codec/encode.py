"""A Reply → the wire format of OpenRouter's chat streams: the inverse of `chunks`.

Amounts of money are written as exact decimal numbers, in the provider's own text where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..money import to_text
from ..types import Fault, Reply, ToolCall, Usage

DONE = b"data: [DONE]\n\n"

# decimal_format: a Decimal that a caller put into a field stays a number.
_encoder = msgspec.json.Encoder(decimal_format="number")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STATUS_OF_A_FAILURE = 502


def chat_stream(
    reply: Reply, pieces: Sequence[str] | None = None, *, created: int = 0, fault: Fault | None = None
) -> list[bytes]:
    """The events of a stream that tells `reply`, one `bytes` each, blank line included.

    `pieces`: how the text is cut (default: one piece); joined they should be `reply.text`.
    `created`: seconds since the epoch. A reply without a finish reason becomes a stream that
    breaks off; with `fault` the stream ends with that error in it.
    """
    chunk = _head(reply, created)
    events = [{**chunk, "choices": [_choice(delta)]} for delta in _deltas(reply, pieces)]
    if reply.logprobs:
        events.append({**chunk, "choices": [_choice({}, logprobs={"content": reply.logprobs})]})
    if fault is not None:
        events.append({**chunk, "error": error_of(fault), "choices": [_choice({"content": ""}, "error")]})
        return [event(found) for found in events]
    if not reply.finish_reason:
        return [event(found) for found in events]
    native = reply.native_finish_reason or reply.finish_reason
    events.append({**chunk, "choices": [_choice({}, reply.finish_reason, native)]})
    last = {**chunk, **reply.extra, "choices": []}
    if reply.openrouter_metadata is not None:
        last["openrouter_metadata"] = reply.openrouter_metadata
    if reply.usage is not None:
        last["usage"] = usage_of(reply.usage)
    if len(last) > len(chunk) + 1:
        events.append(last)
    return [*(event(found) for found in events), DONE]


def event(found: object) -> bytes:
    """One object → one event."""
    return b"data: " + _encoder.encode(found) + b"\n\n"


def usage_of(usage: Usage) -> dict[str, Any]:
    """Usage → the wire's object (wire reference 4.2). What is not known is left out."""
    found: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "is_byok": usage.is_byok,
    }
    if usage.cost_units is not None:
        is_number = _NUMBER.fullmatch(usage.cost_text)
        found["cost"] = msgspec.Raw((usage.cost_text if is_number else to_text(usage.cost_units)).encode())
    if usage.upstream_units is not None:
        found["cost_details"] = {
            "upstream_inference_cost": msgspec.Raw(to_text(usage.upstream_units).encode())
        }
    if usage.web_searches:
        found["server_tool_use"] = {"web_search_requests": usage.web_searches}
    return found


def error_of(fault: Fault) -> dict[str, Any]:
    """Fault → the wire's `error` object (wire reference 6.1)."""
    metadata: dict[str, Any] = {}
    if fault.error_type:
        metadata["error_type"] = fault.error_type
    if fault.provider:
        metadata["provider_name"] = fault.provider
    if fault.retry_after is not None:
        metadata["retry_after"] = fault.retry_after
    return {"code": fault.status or _STATUS_OF_A_FAILURE, "message": fault.message, "metadata": metadata}


def _head(reply: Reply, created: int) -> dict[str, Any]:
    """What every chunk of the stream holds."""
    head: dict[str, Any] = {
        "id": reply.generation_id or reply.id or "gen-0",
        "object": "chat.completion.chunk",
        "created": created,
        "model": reply.model,
        "system_fingerprint": reply.system_fingerprint or None,
    }
    if reply.provider:
        head["provider"] = reply.provider
    if reply.service_tier:
        head["service_tier"] = reply.service_tier
    return head


def _choice(
    delta: dict[str, Any], finish: str | None = None, native: str | None = None, logprobs: Any = None
) -> dict[str, Any]:
    return {
        "index": 0,
        "delta": delta,
        "finish_reason": finish,
        "native_finish_reason": native,
        "logprobs": logprobs,
    }


def _deltas(reply: Reply, pieces: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """The deltas in the order in which models give them: role, reasoning, words, the rest, calls."""
    yield {"role": "assistant", "content": ""}
    if reply.reasoning or reply.reasoning_details:
        yield _without_none(
            reasoning=reply.reasoning or None, reasoning_details=reply.reasoning_details or None
        )
    for piece in pieces if pieces is not None else (reply.text,):
        if piece:
            yield {"content": piece}
    rest = {
        "refusal": reply.refusal,
        "annotations": reply.annotations,
        "images": reply.images,
        "audio": reply.audio,
    }
    for name, value in rest.items():
        if value:
            yield {name: value}
    for call in reply.tool_calls:
        yield from _call_deltas(call)


def _call_deltas(call: ToolCall) -> Iterator[dict[str, Any]]:
    """A call opens with its id and name; its arguments follow by themselves, as servers send them."""
    function = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [{"index": call.index, "id": call.id, "type": call.type, "function": function}]}
    yield {"tool_calls": [{"index": call.index, "function": {"arguments": call.arguments}}]}


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
