"""What the skins have in common: numbers without rounding, and events as bytes.

Money is decimal text from the bill to the wire: OpenRouter sends `0.000093`, never `9.3e-05`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ...money.digits import plain
from ...shapes import Answer, Bill, Piece, Sent


def number(value: Decimal) -> msgspec.Raw:
    """A decimal as JSON: every digit that counts, no exponent."""
    return msgspec.Raw(plain(value).encode())


_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """JSON; money in it has gone through `number`."""
    return _encoder.encode(value)


def event(value: Any, name: str = "") -> bytes:
    """One server-sent event, named where the skin names its events."""
    head = f"event: {name}\ndata: ".encode() if name else b"data: "
    return head + _encoder.encode(value) + b"\n\n"


def joined(answer: Answer, kind: str) -> str:
    """The words of all pieces of a kind."""
    return "".join(piece.text for piece in answer.pieces if piece.kind == kind)


def calls(answer: Answer) -> list[dict[str, str]]:
    """The tool calls of an answer, put together: `id`, `name`, `arguments`, in their order."""
    told: list[dict[str, str]] = []
    parts: list[list[str]] = []
    for piece in answer.pieces:
        if piece.kind != "tool":
            continue
        data = piece.data or {}
        if "id" in data or "name" in data:  # a damaged answer may lack one of them
            told.append({key: data[key] for key in ("id", "name") if key in data})
            parts.append([])
        if parts:
            parts[-1].append(piece.text)
    return [call | {"arguments": "".join(texts)} for call, texts in zip(told, parts, strict=True)]


def data_of(answer: Answer, kind: str) -> list[dict[str, Any]]:
    """What all pieces of a kind carry besides words."""
    return [piece.data for piece in answer.pieces if piece.kind == kind and piece.data]


def is_shown(piece: Piece) -> bool:
    """Whether a piece can be seen; reasoning that is excluded, and an empty end, only take time."""
    return bool(piece.text or piece.data)


def searches(sent: Sent) -> dict[str, int]:
    """How often server tools were used."""
    asked = sent.answer.counts.web_searches
    return {"tool_calls_requested": asked, "tool_calls_executed": asked, "web_search_requests": asked}


def cost_details(bill: Bill, prompt: str, completion: str) -> Mapping[str, Any]:
    """What the provider takes; the two parts are named differently from skin to skin."""
    return {
        "upstream_inference_cost": number(bill.upstream),
        prompt: number(bill.upstream_prompt),
        completion: number(bill.upstream_completion),
    }
