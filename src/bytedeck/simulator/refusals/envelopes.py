"""The forms of a refusal: as an HTTP body, and as an event within a stream, in each of the three skins.

Follows the wire reference, 5.4, 6.1 and 6.5. Whatever is a 500 is masked: no words, no codes and no routing of the provider.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import json

from ..shapes import Refusal, Skin

Shape: TypeAlias = Literal["F1", "F2", "F3", "F4"]

PAGE = "text/html; charset=UTF-8"
"""The content type of a refusal that is a web page of the edge."""
_MASKED = "Internal Server Error"

_ANTHROPIC: dict[str, str] = {
    "authentication": "authentication_error",
    "permission_denied": "permission_error",
    "payment_required": "billing_error",
    "not_found": "not_found_error",
    "image_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "provider_overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "provider_unavailable": "api_error",
    "server": "api_error",
    "unmapped": "api_error",
}
"""Anthropic's own types; what is not listed is an invalid_request_error, or an api_error from 500 on."""

_RESPONSES: dict[str, str] = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "content_policy_violation": "image_content_policy_violation",
}
"""The codes of the Responses API; all others are `server_error`."""


def envelope(
    skin: Skin,
    refusal: Refusal,
    *,
    request_id: str | None = None,
    user_id: str | None = None,
    routing: dict[str, Any] | None = None,
) -> bytes:
    """The body of an answer that says no.

    `request_id` is the generation's id, None before routing; `routing` goes to `openrouter_metadata`, where asked for.
    A refusal whose Content-Type is HTML is a page. On the Responses API a refusal whose `code` is a text has the bare
    documented form `{"error":{"code","message"},"metadata":null}`, others the one of the specification.
    """
    if refusal.headers.get("Content-Type") == PAGE:
        return _page(refusal, request_id)
    if skin == "messages":
        body: dict[str, Any] = {"type": "error", "error": _anthropic(refusal), "request_id": request_id}
        if refusal.metadata and refusal.status != 500:
            body["metadata"] = refusal.metadata
    elif skin == "responses" and isinstance(refusal.code, str) and refusal.code:
        body = {"error": {"code": refusal.code, "message": _words(refusal)}, "metadata": None}
    else:
        body = {"error": public_error(refusal)}
        if skin == "responses" and refusal.error_type:
            body["error_type"] = refusal.error_type
    if routing is not None and refusal.status not in {401, 500}:
        body["openrouter_metadata"] = routing
    if user_id is not None and skin != "messages":
        body["user_id"] = user_id
    return json.encode(body)


def public_error(refusal: Refusal) -> dict[str, Any]:
    """The `error` object of the chat skin: also what F5 and F6 carry in a body of status 200.

    With availability it has `error_type` and `http_status` too, and an empty `code` is left out (wire reference, 6.1).
    """
    error: dict[str, Any] = {"message": _words(refusal)}
    if refusal.code != "":
        error["code"] = refusal.status if refusal.code is None else refusal.code
    if refusal.availability is not None:
        error.update(
            error_type=refusal.error_type, http_status=refusal.status, availability=refusal.availability
        )
    if metadata := _metadata(refusal):
        error["metadata"] = metadata
    return error


def event(
    skin: Skin,
    refusal: Refusal,
    *,
    id: str,  # noqa: A002 - the field's name on the wire
    model: str,
    created: int,
    provider: str,
    shape: Shape = "F1",
    sequence: int = 0,
    user_id: str | None = None,
) -> bytes:
    """The event that ends a stream with this refusal, in the shape F1 to F4 of the wire reference, 5.4.

    Responses: F1 `response.failed`, F2 `error`, F3 `response.error`, F4 `response.failed` without an error.
    Messages: `event: error`; F4 a `message_delta` that stops for "error".
    """
    if skin == "responses":
        return _responses_event(refusal, id, model, created, shape, sequence)
    if skin == "messages":
        return _messages_event(refusal, shape)
    kind = "text_completion" if skin == "completions" else "chat.completion.chunk"
    return _data(_chunk(refusal, id, model, created, provider, shape, user_id, kind))


def failed_response(
    refusal: Refusal | None,
    id: str,  # noqa: A002
    model: str,
    created: int,
) -> dict[str, Any]:
    """A Responses object that failed: the body of a non-stream answer, and what `response.failed` brings."""
    error = None
    if refusal is not None:
        error = {"code": _RESPONSES.get(refusal.error_type, "server_error"), "message": _words(refusal)}
    failed: dict[str, Any] = {
        "id": id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "failed",
        "error": error,
        "incomplete_details": None,
        "instructions": None,
        "metadata": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "top_p": None,
        "presence_penalty": None,
        "frequency_penalty": None,
        "tool_choice": "auto",
        "tools": [],
    }
    if refusal is not None and refusal.error_type:
        failed["error_type"] = refusal.error_type
    return failed


def _chunk(
    refusal: Refusal,
    generation: str,
    model: str,
    created: int,
    provider: str,
    shape: Shape,
    user_id: str | None,
    kind: str,
) -> dict[str, Any]:
    error = public_error(refusal)
    if shape == "F2":
        return {"error": error, "user_id": user_id}
    said = {"text": ""} if kind == "text_completion" else {"delta": {"role": "assistant", "content": ""}}
    choice = {
        "index": 0,
        **said,
        "finish_reason": "error",
        "native_finish_reason": "MALFORMED_FUNCTION_CALL" if shape == "F4" else "error",
        "logprobs": None,
    }
    chunk: dict[str, Any] = {
        "id": generation,
        "object": kind,
        "created": created,
        "model": model,
        "provider": provider,
        "choices": [] if shape == "F3" else [choice],
    }
    if shape != "F4":
        chunk["error"] = error
    return chunk


def _responses_event(
    refusal: Refusal, generation: str, model: str, created: int, shape: Shape, sequence: int
) -> bytes:
    code = _RESPONSES.get(refusal.error_type, "server_error")
    error: dict[str, Any] = {"code": code, "message": _words(refusal)}
    body: dict[str, Any]
    if shape == "F2":  # the documented `error` object and the specification's fields, which lie beside it
        body = {"type": "error", "error": error, **error, "param": None}
    elif shape == "F3":
        body = {"type": "response.error", "error": error}
    else:
        told = None if shape == "F4" else refusal
        body = {"type": "response.failed", "response": failed_response(told, generation, model, created)}
    if refusal.error_type and shape in {"F2", "F3"}:
        body["error_type"] = refusal.error_type
    if refusal.availability is not None and shape != "F4":
        holder = body["response"] if shape == "F1" else body
        holder["error"]["availability"] = refusal.availability
    body["sequence_number"] = sequence
    kind: str = body["type"]
    return b"event: " + kind.encode() + b"\n" + _data(body)


def _messages_event(refusal: Refusal, shape: Shape) -> bytes:
    if shape == "F4":
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": "error", "stop_sequence": None},
            "usage": {"output_tokens": 0},
        }
        return (
            b"event: message_delta\n"
            + _data(delta)
            + b"event: message_stop\n"
            + _data({"type": "message_stop"})
        )
    return b"event: error\n" + _data({"type": "error", "error": _anthropic(refusal)})


def _anthropic(refusal: Refusal) -> dict[str, Any]:
    kind = _ANTHROPIC.get(refusal.error_type)
    if kind is None:
        kind = "api_error" if refusal.status >= 500 else "invalid_request_error"
    error: dict[str, Any] = {"type": kind, "message": _words(refusal)}
    if refusal.error_type:
        error["error_type"] = refusal.error_type
    if refusal.availability is not None:
        error["availability"] = refusal.availability
    return error


def _words(refusal: Refusal) -> str:
    return _MASKED if refusal.status == 500 else refusal.message


def _metadata(refusal: Refusal) -> dict[str, Any]:
    kind = {"error_type": refusal.error_type} if refusal.error_type else {}
    return kind if refusal.status == 500 else {**kind, **refusal.metadata}


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.encode(body) + b"\n\n"


def _page(refusal: Refusal, request_id: str | None) -> bytes:
    """What the edge sends when nothing behind it answers."""
    title = f"openrouter.ai | {refusal.status}: {refusal.message}"
    return (
        f'<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<title>{title}</title>\n<meta charset="UTF-8" />\n</head>\n<body>\n'
        f"<h1>{refusal.message} <span>Error code {refusal.status}</span></h1>\n<p>Visit cloudflare.com for more information.</p>\n"
        f"<p>Ray ID: <strong>{request_id or 'none'}</strong></p>\n</body>\n</html>\n"
    ).encode()
