"""Reasoning that comes back: whether a model can accept what earlier turns claim that it thought.

Gemini-like models want the details of every tool call of the running turn; Claude-like ones want only what they signed.
Source: the wire reference, 3.3, 7 (D25) and 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from ..shapes import Model
from .signatures import is_valid

Message = dict[str, Any]
Item = dict[str, Any]
_WORDLESS = frozenset({"reasoning.server_tool_call"})
_UNNAMED = frozenset({None, "", "unknown"})


class Damage(Struct, frozen=True):
    """The refusal's name, and its values."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


def replays(messages: Sequence[Message], model: Model) -> Damage | None:
    """What is wrong with the reasoning in this history, or None."""
    if model.needs_reasoning_details and (damage := _missing(messages, model)) is not None:
        return damage
    return _foreign(messages, model) if model.signs_reasoning else None


def _missing(messages: Sequence[Message], model: Model) -> Damage | None:
    """The running turn begins at the last words of the user; what lies before it is not looked at any more."""
    begin = max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    for at, message in enumerate(messages):
        if at <= begin or message.get("role") != "assistant" or not message.get("tool_calls"):
            continue
        details = message.get("reasoning_details") or []
        if not any(item.get("format") in {model.reasoning_format, *_UNNAMED} for item in details):
            return Damage("reasoning_details_missing", {"index": at})
    return None


def _foreign(messages: Sequence[Message], model: Model) -> Damage | None:
    for at, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        for number, item in enumerate(merged(message.get("reasoning_details") or [])):
            if not _is_own(item, model):
                return Damage("signature_invalid", {"index": at, "item": number})
    return None


def _is_own(item: Item, model: Model) -> bool:
    """Words need their signature; other items only have to be of the model's own format."""
    if item["type"] in _WORDLESS:
        return True
    if item.get("format") not in {model.reasoning_format, *_UNNAMED}:
        return False
    if item["type"] != "reasoning.text":
        return True
    return is_valid(model.id, item.get("text") or "", item.get("signature") or "")


def merged(details: Sequence[Item]) -> list[Item]:
    """Neighbours of the same type and index are pieces of one item: the words in a row, the signature when it comes."""
    whole: list[Item] = []
    for item in details:
        last = whole[-1] if whole else None
        if last is not None and _belongs(last, item):
            last["text"] = (last.get("text") or "") + (item.get("text") or "")
            last["signature"] = item.get("signature") or last.get("signature")
        else:
            whole.append(dict(item))
    return whole


def _belongs(last: Item, item: Item) -> bool:
    if last["type"] != "reasoning.text" or item["type"] != "reasoning.text" or last.get("signature"):
        return False
    return item.get("index") is not None and item.get("index") == last.get("index")
