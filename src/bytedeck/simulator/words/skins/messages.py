"""The form of Anthropic's messages API: one body, or named events from message_start to message_stop.

The answer's kinds become blocks: thinking, text, tool_use; reasoning that is kept secret is redacted_thinking. Pictures
have no block in this API and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...shapes import Event, Piece, Sent
from . import parts
from .blocks import Block, blocks

_STOP: Mapping[str, str | None] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "error": None,
}


def body(sent: Sent) -> bytes:
    """The body of an answer that is not streamed."""
    told = _message(sent) | {"content": [_whole(part) for part in _parts(sent)[0]]}
    return parts.encode(told | _ending(sent) | {"usage": usage(sent)} | _metadata(sent))


def usage(sent: Sent) -> dict[str, Any]:
    """Anthropic's counters: `input_tokens` is what no cache had; OpenRouter adds the cost."""
    counts, bill = sent.answer.counts, sent.bill
    told = _counters(sent) | {
        "output_tokens": counts.completion,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "inference_geo": None,
        "service_tier": "standard",
        "cost": parts.number(bill.cost),
        "is_byok": bill.is_byok,
        "cost_details": parts.cost_details(
            bill, "upstream_inference_prompt_cost", "upstream_inference_completions_cost"
        ),
    }
    if counts.web_searches:
        told["server_tool_use"] = {"web_search_requests": counts.web_searches, "web_fetch_requests": 0}
    return told


def events(sent: Sent) -> Iterator[Event]:
    """The stream: message_start, ping, blocks, message_delta with the usage, message_stop."""
    told, waiting = _parts(sent)
    start = _message(sent) | {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    opening = usage(sent) | {"output_tokens": 0, "output_tokens_details": None}
    for key in ("cost", "cost_details", "is_byok"):
        del opening[key]
    yield _event("message_start", {"message": start | {"usage": opening}}, kind="open")
    yield _event("ping", {}, kind="open")
    for index, block in enumerate(told):
        yield from _block(block, index)
    ending = {"delta": {"container": None} | _ending(sent), "usage": usage(sent)} | _metadata(sent)
    yield _event("message_delta", ending, waiting, "finish")
    yield _event("message_stop", {}, kind="done")


def _event(name: str, told: Mapping[str, Any], tokens: int = 0, kind: Any = "delta", text: str = "") -> Event:
    return Event(parts.event({"type": name, **told}, name), tokens, kind, text)


def _parts(sent: Sent) -> tuple[list[Block], int]:
    told, waiting = blocks(sent.answer)
    shown: list[Block] = []
    for block in told:
        if block.kind == "image":
            waiting += sum(piece.tokens for piece in block.pieces)
            continue
        if block.kind != "thought" or block.pieces or block.details.get("signature"):
            shown.append(block)
        if block.secret:
            shown.append(Block("thought", secret=block.secret))
            block.secret = {}
    return shown, waiting


def _block(block: Block, index: int) -> Iterator[Event]:
    start = {"index": index, "content_block": _empty(block)}
    yield _event("content_block_start", start, 0 if block.kind != "call" else block.pieces[0].tokens)
    before = (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},"delta":'.encode()
    )
    plain = before + b'{"type":"text_delta","text":'
    for piece in block.pieces[1:] if block.kind == "call" and not block.pieces[0].text else block.pieces:
        if piece.kind in ("content", "refusal"):
            data = plain + parts.encode(piece.text) + b"}}\n\n"
            yield Event(data, piece.tokens, "delta", piece.text)
        else:
            yield Event(before + parts.encode(_delta(piece)) + b"}\n\n", piece.tokens)
    if block.kind == "thought" and (signature := block.details.get("signature")):
        told = {"index": index, "delta": {"type": "signature_delta", "signature": signature}}
        yield _event("content_block_delta", told)
    yield _event("content_block_stop", {"index": index})


def _delta(piece: Piece) -> dict[str, Any]:
    if piece.kind == "reasoning":
        return {"type": "thinking_delta", "thinking": piece.text}
    if piece.kind == "annotation":
        return {"type": "citations_delta", "citation": _citation((piece.data or {}).get("url_citation", {}))}
    return {"type": "input_json_delta", "partial_json": piece.text}


def _empty(block: Block) -> dict[str, Any]:
    if block.secret:
        return {"type": "redacted_thinking", "data": block.secret["data"]}
    if block.kind == "thought":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if block.kind == "call":
        told = block.opening
        named: dict[str, Any] = {
            key: told[key] for key in ("id", "name") if key in told
        }  # one may be damaged
        return {"type": "tool_use", **named, "input": {}}
    return {"type": "text", "text": "", "citations": None}


def _whole(block: Block) -> dict[str, Any]:
    told = _empty(block)
    if told["type"] == "thinking":
        return told | {"thinking": block.text, "signature": block.details.get("signature", "")}
    if told["type"] == "tool_use":
        return told | {"input": _object(block.text)}
    if told["type"] == "text":
        return told | {"text": block.text, "citations": [_citation(note) for note in block.notes] or None}
    return told


def _object(arguments: str) -> msgspec.Raw | dict[str, Any]:
    """Arguments as an object; what was cut by max_tokens is none, and Anthropic then sends an empty one."""
    try:
        msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}
    return msgspec.Raw(arguments.encode())


def _citation(note: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "cited_text": note.get("content", ""),
        "encrypted_index": f"sim-{note.get('start_index', 0)}-{note.get('end_index', 0)}",
        "title": note.get("title"),
        "url": note.get("url", ""),
    }


def _message(sent: Sent) -> dict[str, Any]:
    return {
        "id": sent.id,
        "type": "message",
        "role": "assistant",
        "container": None,
        "model": sent.model.id,
        "provider": sent.provider,
    }


def _ending(sent: Sent) -> dict[str, Any]:
    answer = sent.answer
    finish = answer.finish_reason
    reason = "stop_sequence" if answer.stop_sequence else _STOP.get(finish, finish) or None
    refused = any(piece.kind == "refusal" for piece in answer.pieces)
    return {
        "stop_reason": "refusal" if refused else reason,
        "stop_sequence": answer.stop_sequence or None,
        "stop_details": None,
    }


def _counters(sent: Sent) -> dict[str, Any]:
    counts = sent.answer.counts
    return {
        "input_tokens": counts.prompt - counts.cached - counts.cache_write,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "server_tool_use": None,
    }


def _metadata(sent: Sent) -> dict[str, Any]:
    return {"openrouter_metadata": sent.metadata} if sent.metadata is not None else {}
