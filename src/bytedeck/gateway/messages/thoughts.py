"""Anthropic's thinking blocks and a chat's reasoning details are one thing in two forms; here is the way between them.

Details have to come back as they were said (wire reference 3.3). What Claude says fits Anthropic's own blocks; of other
models' details a block's `signature` or `data` carries all that has no place of its own, marked as ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..packed import pack, unpack

Detail = dict[str, Any]

FORMAT = "anthropic-claude-v1"
# Types of details that a person can read, and where their words stand.
_WORDS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_HIDDEN = "reasoning.encrypted"
_OF_THINKING = frozenset({"type", "text", "signature", "format", "index", "id"})
_OF_HIDDEN = frozenset({"type", "data", "format", "index", "id"})


def words_of(detail: Mapping[str, Any]) -> str:
    """What a person can read of a detail; "" where there is nothing."""
    place = _place(detail)
    found = detail.get(place) if place else None
    return found if isinstance(found, str) else ""


def is_secret(detail: Mapping[str, Any]) -> bool:
    """Whether a detail has no words by its type, so that it becomes a redacted_thinking block."""
    return not _place(detail)


def belong_together(last: Detail, piece: Mapping[str, Any]) -> bool:
    """Whether a piece goes on with a detail: neighbours of one type and index do, until the signature has come."""
    if not last:
        return True  # words that came without details: this is the detail that they are of
    if any(last.get(key) != piece.get(key) for key in ("type", "index")):
        return False
    if last.get("signature") and (piece.get("index") is None or words_of(piece)):
        return False
    return None in (last.get("id"), piece.get("id")) or last["id"] == piece["id"]


def take(detail: Detail, piece: Mapping[str, Any]) -> None:
    """A piece's fields into the detail that it goes on with; its words only leave their place there."""
    place = _place(piece)
    detail.update({key: "" if key == place else value for key, value in piece.items() if value is not None})


def signature_of(detail: Mapping[str, Any]) -> str:
    """What signs the thinking block of a detail: Claude's own signature, or all but the words of another's."""
    if not detail:
        return ""
    if _is_own(detail, "reasoning.text", _OF_THINKING):
        signed = detail.get("signature")
        return signed if isinstance(signed, str) else ""
    place = _place(detail)
    return pack({key: "" if key == place else value for key, value in detail.items()})


def data_of(detail: Mapping[str, Any]) -> str:
    """What a redacted_thinking block carries of a detail."""
    if _is_own(detail, _HIDDEN, _OF_HIDDEN) and isinstance(data := detail.get("data"), str):
        return data
    return pack(detail)


def detail_of_thinking(words: str, signature: str, index: int) -> Detail:
    """The detail that a signed thinking block was, at this place among its message's details."""
    packed = unpack(signature)
    if packed is not None and (place := _place(packed)):
        return {**packed, place: words}
    return {
        "type": "reasoning.text",
        "text": words,
        "signature": signature,
        "format": FORMAT,
        "index": index,
    }


def detail_of_data(data: str, index: int) -> Detail:
    """The detail that a redacted_thinking block was."""
    packed = unpack(data)
    return packed or {"type": _HIDDEN, "data": data, "format": FORMAT, "index": index}


def joined(details: Iterable[Detail]) -> list[Detail]:
    """Details with what came late and alone (a signature) in its place."""
    whole: list[Detail] = []
    for detail in details:
        last = whole[-1] if whole else None
        if last and not words_of(detail) and not is_secret(detail) and belong_together(last, detail):
            last.update({key: value for key, value in detail.items() if value})
        else:
            whole.append(detail)
    return whole


def _place(detail: Mapping[str, Any]) -> str:
    """Where the words of a detail stand; "" where it has none by its type."""
    kind = detail.get("type")
    return _WORDS.get(kind, "") if isinstance(kind, str) else ""


def _is_own(detail: Mapping[str, Any], kind: str, fields: frozenset[str]) -> bool:
    """Whether Anthropic's block has a place for all that a detail says."""
    if detail.get("type") != kind or detail.get("format") != FORMAT:
        return False
    return detail.keys() <= fields and detail.get("id") is None
