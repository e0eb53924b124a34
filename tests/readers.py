"""Official clients that read one answer of the gateway, on each protocol, and check every field of it by official types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import anthropic
import openai
from anthropic import Anthropic
from anthropic.types import Message, RawMessageStreamEvent
from msgspec import Struct
from openai import OpenAI
from openrouter.components import ChatResult, ChatStreamChunk, OpenResponsesResult, StreamEvents
from pydantic import TypeAdapter


class Read(Struct):
    """What a client had in hand at the end."""

    text: str = ""
    model: str = ""
    finish: str = ""
    seams: tuple[str, ...] = ()
    cost: Decimal = Decimal(0)
    error: str = ""
    """The class that was raised."""
    code: str = ""
    """Our own code of it."""
    reason: str = ""
    """The provider's words."""


Reader = Callable[[str, str, tuple[str, ...], bool], Read]
"""The gateway's address, a prompt, a chain of models and whether to stream → what was read."""

_CHUNK, _BODY = TypeAdapter(ChatStreamChunk), TypeAdapter(ChatResult)
_EVENT, _OBJECT = TypeAdapter(StreamEvents), TypeAdapter(OpenResponsesResult)
_TOLD, _MESSAGE = TypeAdapter(RawMessageStreamEvent), TypeAdapter(Message)


def chat(url: str, prompt: str, chain: tuple[str, ...], stream: bool) -> Read:
    """Chat completions: OpenAI's client, and the types of OpenRouter's."""
    messages: Any = [{"role": "user", "content": prompt}]
    more: Any = {"models": list(chain[1:])}
    with OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
        return _guarded(
            lambda read: _chat(
                client.chat.completions.create(
                    model=chain[0], messages=messages, stream=stream, extra_body=more
                ),
                read,
            )
        )


def _chat(found: Any, read: Read) -> None:
    for chunk in found if isinstance(found, openai.Stream) else [found]:
        strict = _CHUNK if isinstance(found, openai.Stream) else _BODY
        strict.validate_python(chunk.to_dict())
        for choice in chunk.choices:
            said = getattr(choice, "delta", None) or choice.message
            read.text += said.content or ""
            read.finish = choice.finish_reason or read.finish
        read.model = chunk.model
        if chunk.usage is not None:
            _bill(read, chunk.usage)


def responses(url: str, prompt: str, chain: tuple[str, ...], stream: bool) -> Read:
    """Responses: OpenAI's client, and the types of OpenRouter's."""
    more: Any = {"models": list(chain[1:])}
    with OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
        return _guarded(
            lambda read: _responses(
                client.responses.create(model=chain[0], input=prompt, stream=stream, extra_body=more), read
            )
        )


def _responses(found: Any, read: Read) -> None:
    if isinstance(found, openai.Stream):
        found = _response(found, read)
    else:
        read.text = found.output_text
        _OBJECT.validate_python(found.to_dict())
    assert read.text == found.output_text
    read.finish, read.model = found.status, found.model
    _bill(read, found.usage)


def _response(stream: Any, read: Read) -> Any:
    """The whole at the end of a stream whose events are numbered."""
    for number, event in enumerate(stream):
        known = _EVENT.validate_python(event.to_dict())
        assert not getattr(known, "is_unknown", False), event
        assert event.sequence_number == number
        if event.type == "response.output_text.delta":
            read.text += event.delta
    return event.response


def messages(url: str, prompt: str, chain: tuple[str, ...], stream: bool) -> Read:
    """Messages: Anthropic's client and its types."""
    said: Any = [{"role": "user", "content": prompt}]
    more: Any = {"fallbacks": [{"model": model} for model in chain[1:]]} if chain[1:] else {}
    with Anthropic(base_url=url, api_key="none", timeout=60, max_retries=0) as client:
        return _guarded(
            lambda read: _messages(
                client.messages.create(
                    model=chain[0], max_tokens=500, messages=said, stream=stream, extra_body=more
                ),
                read,
            )
        )


def _messages(found: Any, read: Read) -> None:
    if not isinstance(found, anthropic.Stream):
        _MESSAGE.validate_python(found.to_dict())
        read.text = "".join(getattr(block, "text", "") for block in found.content)
        read.finish, read.model = found.stop_reason or "", found.model
        _bill(read, found.usage)
        return
    for event in found:
        _TOLD.validate_python(event.to_dict())
        if event.type == "content_block_delta":
            read.text += getattr(event.delta, "text", "")  # a thought is none
        elif event.type == "message_start":
            read.model = event.message.model
        elif event.type == "message_delta":
            read.finish = event.delta.stop_reason
            _bill(read, event.usage)
    assert event.type == "message_stop"


def _bill(read: Read, usage: Any) -> None:
    read.seams = tuple(seam["kind"] for seam in getattr(usage, "seams", None) or ())
    read.cost = Decimal(repr(getattr(usage, "cost", None) or 0))


def _guarded(reading: Callable[[Read], object]) -> Read:
    """What was read, and what was raised in the end."""
    read = Read()
    try:
        reading(read)
    except (openai.APIError, anthropic.APIError) as error:
        read.error = type(error).__name__
        told = _error(error.body)
        read.code = str(told.get("own") or "")
        read.reason = str(told.get("raw") or "")
    return read


def _error(body: Any) -> Mapping[str, Any]:
    """Our code and the provider's words, where each protocol has its place for them."""
    found = body.get("error", body)
    metadata = found.get("metadata") or body.get("metadata") or {}
    return {
        "own": found.get("code") if "request_id" in body else found.get("type"),
        "raw": metadata.get("raw"),
    }


READERS: dict[str, Reader] = {"chat": chat, "responses": responses, "messages": messages}
