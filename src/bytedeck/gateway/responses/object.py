"""The response object: what an answer is as a whole, at its beginning and at its end. Pure."""

from __future__ import annotations

from typing import Any

from ...errors import ByteError
from ...types import Reply, Usage
from ..call import Call, Identity
from ..parts import error_of, usage
from .output import Output

Found = dict[str, Any]

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CODES = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "invalid_prompt": "invalid_prompt",
    "context_length_exceeded": "invalid_prompt",
    "content_policy_violation": "image_content_policy_violation",
}
"""OpenRouter's error types → the few codes of this API (wire reference 6.5); all others are `server_error`."""

_CHAT_ONLY = frozenset(
    (
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "server_tool_use",
    )
)
"""Counts that have other names here."""


def begun(call: Call, identity: Identity, model: str) -> Found:
    """The object that opens a stream."""
    return _object(call, identity, model, "in_progress")


def finished(call: Call, reply: Reply, identity: Identity, status: str, output: Output) -> Found:
    """The object of an answer that came to its end: whole, or cut by a limit or a filter."""
    reason = _REASONS.get(reply.finish_reason, "content_filter")
    told = _object(call, identity, reply.model, status)
    if status == "completed":
        told["completed_at"] = identity.created + round(reply.seconds)
    else:
        told["incomplete_details"] = {"reason": reason}
    told |= {"output": output.told(), "output_text": output.text}
    return told | about(reply)


def failed(call: Call, identity: Identity, model: str, error: ByteError, output: Output) -> Found:
    """The object of an answer that broke, with what there was of it."""
    said = error_of(error)
    told = _object(call, identity, model, "failed")
    told["error"] = {"code": code_of(said), "message": said["message"]}
    told |= {"output": output.told(), "output_text": output.text}
    if error.reply is not None:
        told |= about(error.reply)
    return told | {"error_type": said["metadata"]["error_type"]}


def code_of(said: Found) -> str:
    """The code of this API for an error as `error_of` tells it."""
    return _CODES.get(said["metadata"]["error_type"], "server_error")


def about(reply: Reply) -> Found:
    """What an answer tells besides its items. What is not known is left out."""
    told: Found = {}
    if reply.provider:
        told["provider"] = reply.provider
    if reply.service_tier:
        told["service_tier"] = reply.service_tier
    if reply.openrouter_metadata is not None:
        told["openrouter_metadata"] = reply.openrouter_metadata
    if reply.usage is not None:
        told["usage"] = _usage(reply.usage, usage(reply))
    return told


def _object(call: Call, identity: Identity, model: str, status: str) -> Found:
    return {
        "id": f"resp_{identity.request}",
        "object": "response",
        "created_at": identity.created,
        "completed_at": None,
        "model": model,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        **call.echo,
    }


def _usage(used: Usage, told: Found) -> Found:
    """The usage of chat by the names of this API."""
    kept = {name: value for name, value in told.items() if name not in _CHAT_ONLY}
    if used.web_searches:
        kept["server_tool_use_details"] = {"web_search_requests": used.web_searches}
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": used.cached_tokens,
            "cache_write_tokens": used.cache_write_tokens,
        },
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        **kept,
    }
