"""What a protocol has no place for, in a field of it that clients keep and send back unread; marked as ours. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

_MARK = "byte1."


def pack(fields: Mapping[str, Any]) -> str:
    """As a text that says nothing to others."""
    return _MARK + urlsafe_b64encode(msgspec.json.encode(fields)).decode()


def unpack(text: object) -> dict[str, Any] | None:
    """What was packed; None where it is not of our making, or empty."""
    if not isinstance(text, str) or not text.startswith(_MARK):
        return None
    try:
        found = msgspec.json.decode(urlsafe_b64decode(text.removeprefix(_MARK)))
    except (ValueError, msgspec.DecodeError, RecursionError):  # binascii.Error is a ValueError
        return None
    return found if isinstance(found, dict) and found else None
