"""Signatures of reasoning: made for what Claude-like models say, checked when it comes back.

A signature binds the words to the family that said them: `sim-sig:<author>:<16 hex of sha256(text)>`.
"""

from __future__ import annotations

from hashlib import sha256

_MARK = "sim-sig"


def family(model_id: str) -> str:
    """The author of a model: `~anthropic/claude-opus-latest` is of the family `anthropic`."""
    return model_id.lstrip("~").partition("/")[0]


def signature(model_id: str, text: str) -> str:
    """What a model of this family signs its reasoning with."""
    return f"{_MARK}:{family(model_id)}:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def is_valid(model_id: str, text: str, signed: str) -> bool:
    """Whether a model of this family said exactly these words."""
    return signed == signature(model_id, text)
