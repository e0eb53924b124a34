"""An answer's pieces in blocks, as the responses and messages skins send them: one thought, one text, one call each.

Both the whole body and the stream are made from these, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from ...shapes import Answer, Piece
from . import parts

Kind: TypeAlias = Literal["thought", "text", "call", "image"]

_KINDS: Mapping[str, Kind] = {
    "reasoning": "thought",
    "details": "thought",
    "content": "text",
    "refusal": "text",
    "annotation": "text",
    "tool": "call",
    "image": "image",
}


class Block(Struct):
    """Neighbouring pieces that belong together; those that cannot be seen are told as tokens before the others."""

    kind: Kind
    pieces: list[Piece] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """What the reasoning_details of a thought say besides its words."""
    secret: dict[str, Any] = field(default_factory=dict)
    """A thought's encrypted item."""

    @property
    def text(self) -> str:
        """The words of the block: of a call, its arguments."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def is_refusal(self) -> bool:
        """Whether a text says no."""
        return any(piece.kind == "refusal" for piece in self.pieces)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The citations of a text."""
        return [
            piece.data["url_citation"]
            for piece in self.pieces
            if piece.kind == "annotation" and piece.data and "url_citation" in piece.data
        ]

    @property
    def opening(self) -> dict[str, Any]:
        """A call's `id` and `name`, a picture's `image_url`."""
        return (self.pieces[0].data or {}) if self.pieces else {}


def blocks(answer: Answer) -> tuple[list[Block], int]:
    """The blocks of an answer, in order, and the tokens of pieces that nobody sees and no other follows."""
    told: list[Block] = []
    waiting = 0
    for piece in answer.pieces:
        if piece.kind == "details":
            _keep(told, piece.data or {})
        elif not parts.is_shown(piece):
            waiting += piece.tokens
        else:
            block = _place(told, piece)
            late = Piece(piece.kind, piece.text, piece.tokens + waiting, piece.data) if waiting else piece
            block.pieces.append(late)
            waiting = 0
    return told, waiting


def _keep(told: list[Block], item: dict[str, Any]) -> None:
    """A signature or an encrypted item belongs to the last thought, however late it comes."""
    block = next((block for block in reversed(told) if block.kind == "thought"), None)
    if block is None:
        told.append(block := Block("thought"))
    if item.get("type") == "reasoning.encrypted":
        block.secret = item
    else:
        block.details = block.details | item


def _place(told: list[Block], piece: Piece) -> Block:
    kind = _KINDS[piece.kind]
    starts = piece.kind == "image" or (
        piece.kind == "tool" and bool({"id", "name"} & (piece.data or {}).keys())
    )
    if not told or told[-1].kind != kind or starts:
        told.append(Block(kind))
        if piece.kind == "reasoning":
            told[-1].details = dict(piece.data or {})
    return told[-1]
