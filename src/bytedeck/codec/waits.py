"""How long an upstream asks us to wait: header, metadata or availability → seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

# Free requests come back within a day, so a hint of more than a week is a broken clock.
_MOST = 7 * 86400.0

# A reset is told in epoch milliseconds, elsewhere in epoch seconds or in seconds from now.
_MILLISECONDS, _SECONDS = 1e11, 1e9


def wait_of(
    headers: Mapping[str, str],
    metadata: Mapping[str, Any],
    availability: Mapping[str, Any],
    now_epoch: float | None,
) -> float | None:
    """The smallest believable hint in seconds, or None. `headers` has lower-case names."""
    inner = metadata.get("headers")
    told = {str(name).lower(): value for name, value in inner.items()} if isinstance(inner, dict) else {}
    hints = [_number(availability.get("retry_after")), _number(metadata.get("retry_after"))]
    for source in (headers, told):
        hints += _hints(source, now_epoch)
    return min((hint for hint in hints if hint is not None and 0 <= hint <= _MOST), default=None)


def _hints(headers: Mapping[str, Any], now_epoch: float | None) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1000
    after = headers.get("retry-after")
    seconds = _number(after)
    yield seconds if seconds is not None else _from_date(after, now_epoch)
    yield _from_reset(_number(headers.get("x-ratelimit-reset")), now_epoch)


def _from_reset(reset: float | None, now_epoch: float | None) -> float | None:
    if reset is None or reset < _SECONDS:
        return reset
    if now_epoch is None:
        return None
    moment = reset / 1000 if reset >= _MILLISECONDS else reset
    return max(0.0, moment - now_epoch)


def _from_date(text: object, now_epoch: float | None) -> float | None:
    """An HTTP date (RFC 9110, 5.6.7)."""
    if now_epoch is None or not isinstance(text, str):
        return None
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - now_epoch)


def _number(value: object) -> float | None:
    """A finite number, also from its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
