"""What is told of a request once it has ended: the metrics count it, the log writes it. No word of it, and no secret."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from ...types import Attempt

ANSWERED = "answered"
LEFT = "abandoned"
"""The outcome of a request whose client hung up, as the ledger's rows call it."""


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """One request."""

    id: str
    """As in X-Request-Id."""
    protocol: str
    """`chat`, `messages`, `responses`, …; `pages`, `admin` and `health` for what asks no model."""
    method: str
    path: str
    status: int
    """The HTTP status; 0: the client left before there was one."""
    outcome: str
    """`answered`, or the code of the error, or `abandoned`."""
    seconds: float
    """From the request's head to the end of its answer."""
    caller: str = ""
    """Name of the key that was shown."""
    client: str = ""
    """Address from which it came."""
    key: str = ""
    """Label of its rows in the ledger."""
    task: str = ""
    model: str = ""
    """The id that answered, or was asked last; "" where nobody was asked."""
    streamed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_units: int | None = None
    """What all attempts together cost, in units of 10⁻¹² USD, as far as it is known."""
    first: float | None = None
    """Seconds from the request's head to the first words."""
    tokens_per_second: float | None = None
    seams: int = 0
    attempts: tuple[Attempt, ...] = ()

    @property
    def fallbacks(self) -> int:
        """How often another model was asked than the one before."""
        asked = [one.model for one in self.attempts]
        return sum(one != other for one, other in pairwise(asked))
