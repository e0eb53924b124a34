"""One request for inference, once its key and its form are known: what routing, words and the ledger all need."""

from __future__ import annotations

from msgspec import Struct

from .metadata import Attempt
from .money.accounts import Key
from .request import Request
from .shapes import Call
from .world import World


class Turn(Struct, frozen=True, kw_only=True):
    """Who asks what of which world, under which id."""

    world: World
    request: Request
    key: Key
    call: Call
    generation: str
    attempts: list[Attempt]
    """Who was asked so far; routing adds to it."""

    @property
    def now(self) -> float:
        """When it came."""
        return self.request.now
