"""Spans of time and sizes as a person writes them: `90s`, `10m`, `1.5h`, `7d`; `500 KB`, `256 MB`, `2 GB`."""

from __future__ import annotations

import re

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 365 * 86_400
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(KB|MB|GB)", re.IGNORECASE)
_BYTES = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_LARGEST = 1 << 44

_A_SPAN = 'expected a time such as "90s", "10m", "1h" or "7d", up to a year'
_A_SIZE = 'expected a size such as "256 MB" or "2 GB"'


def seconds(text: str) -> float:
    """`10m` is 600 seconds. Raises ValueError that says what was expected."""
    found = _SPAN.fullmatch(text.strip())
    span = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < span <= _LONGEST:
        raise ValueError(_A_SPAN)
    return span


def span_text(span: int) -> str:
    """600 seconds are `10m`."""
    unit = next(one for one in reversed(_SECONDS) if span % _SECONDS[one] == 0)
    return f"{span // _SECONDS[unit]}{unit}"


def size(text: str) -> int:
    """`256 MB` is 268,435,456 bytes. Raises ValueError that says what was expected."""
    found = _SIZE.fullmatch(text.strip())
    count = int(float(found[1]) * _BYTES[found[2].upper()]) if found else 0
    if not 0 < count <= _LARGEST:
        raise ValueError(_A_SIZE)
    return count
