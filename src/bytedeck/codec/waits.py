"""How long an upstream asks us to wait: header, metadata or availability → seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

# Free requests come back within a day, so a hint of more than a week is a broken clock.
_MOST = 7 * 86400.0

# A reset is told in epoch milliseconds, elsewhere in epoch seconds or in seconds from now. A span of
# thirty years is none, so the same number tells which it is.
_MILLISECONDS, _SECONDS = 1e11, 1e9


def wait_of(
    headers: Mapping[str, str],
    metadata: Mapping[str, Any],
    availability: Mapping[str, Any],
    now_epoch: float | None,
) -> float | None:
    """The smallest believable hint in seconds, or None. `headers` has lower-case names.

    `now_epoch` is our own clock, for hints that name a moment; the server's, in its header `Date`, comes first.
    """
    inner = metadata.get("headers")
    told = {str(name).lower(): value for name, value in inner.items()} if isinstance(inner, dict) else {}
    clock = _Clock(headers.get("date"), now_epoch)
    hints = [_span(availability.get("retry_after"), clock), _span(metadata.get("retry_after"), clock)]
    hints += [*_hints(headers, clock), *_hints(told, clock)]
    return min((hint for hint in hints if hint is not None and 0 <= hint <= _MOST), default=None)


class _Clock(NamedTuple):
    """Tells how far away a moment of the epoch is. Who names one means it by his own clock, and ours may be wrong."""

    date: str | None
    now_epoch: float | None

    def until(self, moment: float | None) -> float | None:
        server = None if moment is None else _moment(self.date)
        now = self.now_epoch if server is None else server
        return None if moment is None or now is None else max(0.0, moment - now)


def _hints(headers: Mapping[str, Any], clock: _Clock) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1000
    after = headers.get("retry-after")
    yield _span(after, clock) if _number(after) is not None else clock.until(_moment(after))
    yield _span(headers.get("x-ratelimit-reset"), clock)


def _span(value: object, clock: _Clock) -> float | None:
    """A number of seconds from now, or of the epoch, or of its milliseconds → seconds from now."""
    number = _number(value)
    if number is None or number < _SECONDS:
        return number
    return clock.until(number / 1000 if number >= _MILLISECONDS else number)


def _moment(text: object) -> float | None:
    """An HTTP date (RFC 9110, 5.6.7) → seconds of the epoch."""
    if not isinstance(text, str):
        return None
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        moment = parsedate_to_datetime(text)
        # Some of its forms tell no zone: it is always GMT, wherever we are.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    """A finite number, also from its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
