"""What a model thinks before it speaks: whether, how long, and in which form its reasoning is told.

Reasoning spends `max_tokens`. Where the request says an effort or a budget, that is kept; where nobody said anything,
a model thinks as long as it likes, and may leave no token for the answer (conformance case REQ-12).
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from ..checks.signatures import signature
from ..shapes import Call, Model, Piece
from . import language as words

SHARES = {"max": 0.95, "xhigh": 0.95, "high": 0.8, "medium": 0.5, "low": 0.2, "minimal": 0.1}
"""An effort's share of `max_tokens` (wire reference, 3.3)."""
_LENGTHS = {
    "minimal": (8, 24),
    "low": (20, 60),
    "medium": (60, 160),
    "high": (150, 320),
    "xhigh": (300, 640),
    "max": (600, 1_200),
}
_ORDER = tuple(_LENGTHS)
_SUMMARISED = ("openai", "azure", "xai", "bedrock", "meta")
"""Formats that tell a summary and keep the thoughts themselves encrypted."""


def effort(call: Call, model: Model) -> str | None:
    """How hard the model thinks about this request; None: not at all."""
    facts = model.reasoning
    if facts is None:
        return None
    asked = call.reasoning
    is_mandatory = bool(facts.get("mandatory"))
    if asked.enabled is False or asked.effort == "none":
        return _nearest("minimal", facts) if is_mandatory else None
    if asked.effort:
        return _nearest(asked.effort, facts)
    said = asked.enabled or asked.max_tokens is not None
    if said or is_mandatory or facts.get("default_enabled"):
        default = facts.get("default_effort")
        return _nearest(default if default not in (None, "none") else "medium", facts)
    return None


def _nearest(wanted: str, facts: dict[str, Any]) -> str:
    offered = [each for each in facts.get("supported_efforts") or _ORDER if each in _ORDER] or list(_ORDER)
    place = _ORDER.index(wanted) if wanted in _ORDER else _ORDER.index("medium")
    return min(offered, key=lambda each: abs(_ORDER.index(each) - place))


def pieces(
    call: Call, model: Model, asked: words.Directives, limit: int, seed: str, tool_id: str = ""
) -> list[Piece]:
    """The reasoning, token by token, and what proves it; at most `limit` tokens in all."""
    level = effort(call, model)
    if asked.reasoning == 0 or (level is None and (asked.reasoning is None or model.reasoning is None)):
        return []
    chance = words.stream("thought", seed, model.id)
    wanted = asked.reasoning or _length(
        call, model, level or "medium", limit, chance.randint(*_LENGTHS[level or "medium"])
    )
    told = words.split(words.prose(chance, wanted))[:wanted][:limit]
    proof = [] if len(told) < wanted else _proof(model, "".join(told), tool_id)
    if call.reasoning.exclude:
        kept = proof if model.needs_reasoning_details else []
        return [Piece("reasoning", "", len(told)), *kept]
    form = _form(model)
    return [*(Piece("reasoning", each, 1, form) for each in told), *proof]


def _length(call: Call, model: Model, level: str, limit: int, natural: int) -> int:
    asked = call.reasoning
    if asked.max_tokens is not None and (model.reasoning or {}).get("supports_max_tokens", True):
        return max(1, min(natural, asked.max_tokens))
    if asked.effort and call.max_tokens is not None:
        return max(1, min(natural, int(limit * SHARES[level])))
    return natural


def _form(model: Model) -> dict[str, Any]:
    """What all parts of a model's visible reasoning have in common as reasoning_details."""
    kind = "reasoning.summary" if model.reasoning_format.startswith(_SUMMARISED) else "reasoning.text"
    return {"type": kind, "format": model.reasoning_format, "index": 0}


def _proof(model: Model, text: str, tool_id: str) -> list[Piece]:
    """What comes late and alone: a signature, or the thoughts encrypted."""
    told = model.reasoning_format
    if model.signs_reasoning:
        item = {"type": "reasoning.text", "signature": signature(model.id, text), "format": told, "index": 0}
        return [Piece("details", data=item)]
    if told.startswith(_SUMMARISED) or told == "google-gemini-v1":
        digest = sha256(text.encode()).digest()
        mark = tool_id or "rs_" + digest.hex()[:24]
        data = b64encode(b"sim-enc:" + digest * 2).decode()
        return [
            Piece(
                "details",
                data={"type": "reasoning.encrypted", "data": data, "id": mark, "format": told, "index": 1},
            )
        ]
    return []


def details(answer_pieces: tuple[Piece, ...]) -> list[dict[str, Any]]:
    """All reasoning_details of an answer, put together: neighbours of one type and index are one item."""
    items: list[dict[str, Any]] = []
    texts: list[list[str]] = []
    for piece in answer_pieces:
        if piece.kind not in ("reasoning", "details") or not piece.data:
            continue
        data = piece.data
        if not items or (items[-1]["type"], items[-1].get("index")) != (data["type"], data.get("index")):
            items.append({"type": data["type"]})
            texts.append([])
        texts[-1].append(piece.text or data.get("text") or "")
        items[-1].update({key: value for key, value in data.items() if key != "text"})
    for item, parts in zip(items, texts, strict=True):
        key = {"reasoning.text": "text", "reasoning.summary": "summary"}.get(item["type"])
        if key:
            item[key] = "".join(parts)
    return items
