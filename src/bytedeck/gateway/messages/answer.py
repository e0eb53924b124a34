"""What a body and a stream of Anthropic's protocol tell alike: blocks, why it stopped, usage and costs, errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...errors import ByteError
from ...types import Reply, ToolCall, Usage
from ..call import Call, Identity
from ..parts import encode, error_of
from ..parts import usage as chat_usage
from . import thoughts
from .checks import Block

# HTTP status → Anthropic's type; others are an invalid request, or from 500 on the API's fault.
_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {"length": "max_tokens", "content_filter": "refusal"}
# What only Claude itself says of its end; OpenRouter passes its word on.
_NATIVE_STOPS = frozenset({"stop_sequence", "model_context_window_exceeded", "pause_turn"})
_TOLD_OF_COST = ("cost", "cost_known", "is_byok", "seams")


def id_of(identity: Identity) -> str:
    """What a message is called."""
    return "msg_" + identity.request


def head(model: str, identity: Identity) -> Block:
    """How a message begins, in a body and in message_start."""
    return {
        "id": id_of(identity),
        "type": "message",
        "role": "assistant",
        "model": model,
        "container": None,
    }


def body(call: Call, reply: Reply, identity: Identity) -> bytes:
    """The whole message."""
    told = head(reply.model, identity)
    told["content"] = list(_blocks(reply))
    told |= ending(call, reply)
    told["usage"] = usage(reply)
    return encode(told | about(reply))


def _blocks(reply: Reply) -> Iterator[Block]:
    """Thoughts, words, calls. Pictures and sounds have no block in this protocol."""
    yield from _thoughts(reply)
    if text := reply.text + reply.refusal:
        citations = [told for note in reply.annotations if (told := citation(note)) is not None]
        yield {"type": "text", "text": text, "citations": citations or None}
    for call in reply.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}


def _thoughts(reply: Reply) -> Iterator[Block]:
    if reply.reasoning and not any(map(thoughts.words_of, reply.reasoning_details)):
        yield thinking(reply.reasoning, "")
    for detail in reply.reasoning_details:
        if thoughts.is_secret(detail):
            yield redacted(detail)
            continue
        words, signature = thoughts.words_of(detail), thoughts.signature_of(detail)
        if words or detail.get("signature"):
            yield thinking(words, signature)


def thinking(words: str, signature: str) -> Block:
    """A thinking block."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted(detail: Mapping[str, Any]) -> Block:
    """A detail that nobody can read."""
    return {"type": "redacted_thinking", "data": thoughts.data_of(detail)}


def _input(call: ToolCall) -> object:
    """The arguments as the model wrote them. What is no JSON is wrapped as Anthropic's documentation advises."""
    try:
        msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return {"INVALID_JSON": call.arguments}
    return msgspec.Raw(call.arguments.encode())


def citation(note: Mapping[str, Any]) -> Block | None:
    """A source of the web, as Anthropic tells it; None for other notes. The place in the text stands for the index."""
    source = note.get("url_citation")
    if not isinstance(source, dict):
        return None
    content, title = source.get("content"), source.get("title")
    return {
        "type": "web_search_result_location",
        "cited_text": content if isinstance(content, str) else "",
        "encrypted_index": f"{source.get('start_index', '')}-{source.get('end_index', '')}",
        "title": title if isinstance(title, str) else None,
        "url": str(source.get("url", "")),
    }


def ending(call: Call, reply: Reply) -> Block:
    """Why the message stopped. Which sequence stopped it is known where only one was asked for."""
    reason = _stop_reason(reply)
    asked = dict.fromkeys(call.echo.get("stop_sequences", ()))
    return {
        "stop_reason": reason,
        "stop_sequence": next(iter(asked)) if reason == "stop_sequence" and len(asked) == 1 else None,
        "stop_details": _refused(reply.refusal) if reason == "refusal" else None,
    }


def _stop_reason(reply: Reply) -> str:
    if reply.refusal:
        return "refusal"
    if reply.finish_reason in _STOPS and reply.native_finish_reason not in _NATIVE_STOPS:
        return _STOPS[reply.finish_reason]
    if reply.tool_calls:
        return "tool_use"
    return reply.native_finish_reason if reply.native_finish_reason in _NATIVE_STOPS else "end_turn"


def _refused(words: str) -> Block:
    return {"type": "refusal", "category": None, "explanation": words or None}


def usage(reply: Reply) -> Block:
    """Anthropic's counters, of all attempts together: `input_tokens` is what no cache had. What they cost, how that is
    known and where the answer was joined stand beside them."""
    found = reply.usage or Usage()
    cached, written = found.cached_tokens, found.cache_write_tokens
    searches = {"web_search_requests": found.web_searches, "web_fetch_requests": 0}
    told = chat_usage(reply)
    return {
        "input_tokens": max(0, found.prompt_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": None,
        "output_tokens": found.completion_tokens,
        "output_tokens_details": {"thinking_tokens": found.reasoning_tokens},
        "server_tool_use": searches if found.web_searches else None,
        "inference_geo": None,
        "service_tier": "priority" if reply.service_tier == "priority" else "standard",
        **{key: told[key] for key in _TOLD_OF_COST if key in told},
    }


def about(reply: Reply) -> Block:
    """What OpenRouter tells besides."""
    told: Block = {}
    if reply.provider:
        told["provider"] = reply.provider
    if reply.openrouter_metadata is not None:
        told["openrouter_metadata"] = reply.openrouter_metadata
    return told


def error(found: ByteError, identity: Identity) -> Block:
    """An error, as a body and as an event of a stream."""
    status, told = found.http_status, error_of(found)
    kind = _ERRORS.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    metadata = told["metadata"]
    return {
        "type": "error",
        "error": {
            "type": kind,
            "message": told["message"],
            "error_type": metadata["error_type"],
            "code": found.code,
        },
        "request_id": "req_" + identity.request,
        "metadata": metadata,
    }
