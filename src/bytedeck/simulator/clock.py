"""The simulator's time: what limits, windows, TTLs and moments are counted by. Tests stop it and move it.

Pauses on the wire are real time, since clients wait with real clocks; `scale` makes twenty seconds of them 0.02.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from .errors import SimulatorError

EPOCH = 1_787_400_000.0
"""Where a frozen clock stands unless told otherwise: 2026-08-22 12:00 UTC, the day of the documentation that we follow."""


_YEAR_3000 = 32_503_680_000


class Clock:
    """Real time with an offset, or frozen at a moment."""

    def __init__(self, *, frozen: bool = False, at: float | None = None) -> None:
        self._offset = 0.0
        self._stands: float | None = None
        if frozen:
            self._stands = EPOCH if at is None else _moment(at)
        elif at is not None:
            self.set(at)

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._offset if self._stands is None else self._stands

    @property
    def frozen(self) -> bool:
        """Whether it only moves when it is moved."""
        return self._stands is not None

    def advance(self, seconds: float) -> float:
        """Move it, forwards or back; returns the moment it shows then."""
        return self.set(self.now() + seconds)

    def set(self, moment: float) -> float:
        """Move it to a moment in seconds since 1970; returns that."""
        moment = _moment(moment)
        if self._stands is None:
            self._offset = moment - time.time()
        else:
            self._stands = moment
        return moment

    def freeze(self, moment: float | None = None) -> float:
        """Stop it, here or at a moment."""
        self._stands = self.now() if moment is None else _moment(moment)
        return self._stands

    def thaw(self) -> None:
        """Let it run on from where it stands."""
        if self._stands is not None:
            self._offset = self._stands - time.time()
            self._stands = None


def moment(text: str | float) -> float:
    """Seconds since 1970 from a number, or from a date as ISO 8601 writes it (UTC where no zone is told).

    Raises SimulatorError.
    """
    try:
        return _moment(float(text))
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(str(text))
    except ValueError:
        raise SimulatorError(
            f"{text!r} is no moment: give seconds since 1970, or a date as in 2026-08-22T12:00:00."
        ) from None
    return _moment((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp())


def _moment(value: float) -> float:
    """The same, if it lies where calendars have days before and after it."""
    if not math.isfinite(value) or not 0 <= value < _YEAR_3000:
        raise SimulatorError(f"{value!r} is no moment: it has to lie between the years 1970 and 3000.")
    return float(value)
