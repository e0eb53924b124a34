"""What happens to an answer besides its words: it starts, it waits, it falls back, it is gone on with.

They come on a `Delta`, in the order in which they happened. One `Started` comes with the first words, and never a
second one; before it and after it there may be waits and fall-backs, after it seams, too.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Started(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="started"):
    """The answer has begun. Comes once, with the first that is shown."""

    model: str
    """The model that was asked, by its id."""
    attempt: int
    """Its place among the request's attempts, from 1."""
    headers: tuple[tuple[str, str], ...] = ()
    """As in `Reply`."""


class Waiting(Struct, frozen=True, kw_only=True, tag="waiting"):
    """Nothing comes for a while: a model said to come back later."""

    model: str
    why: str
    """The fault's code, a row of the table in `errors`."""
    seconds: float


class FellBack(Struct, frozen=True, kw_only=True, tag="fell_back"):
    """A model failed, and the next one is asked."""

    from_model: str
    to_model: str
    why: str
    """The fault's code."""


class Seam(Struct, frozen=True, kw_only=True, tag="seam"):
    """Where another attempt went on after an answer had broken off.

    `proven`: it repeated the last words, exactly they were dropped, and a blank or the end followed, so
    that no character is lost or said twice. `unproven`: it went on, and whether every character fits
    cannot be shown. `restart`: it began anew; whatever had been shown (text, reasoning, all else) is void.
    """

    kind: Literal["proven", "unproven", "restart"]
    from_model: str
    to_model: str
    why: str
    """The fault's code."""
    attempt: int
    """The attempt that goes on, from 1."""
    after: int
    """How many characters of text had been shown."""
    erase: int = 0
    """How many of them are to be taken back: all at a restart, else none."""


Event = Started | Waiting | FellBack | Seam
"""What happens to an answer besides its words."""
