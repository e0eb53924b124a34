"""The commands that a request may give, and what may come back.

A request is a generator: it yields commands and is sent their outcomes. Only `Wait`
waits; every other command completes at once. `Emit` is answered by the time at which the
caller came back, the rest by the time now. Time is monotonic seconds, always given as data: no engine
ever calls a clock. Because nothing but `Wait` waits, a cancellation can only land in a
`Wait`, and what was begun counts as begun, what was started as started.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, TypeAlias, TypeVar

from msgspec import Struct

from ..claims import Claim
from ..errors import ByteError
from ..types import Delta, Intent, Request, Settlement

Phase = Literal["begin", "connect", "headers", "body"]


class Begin(Struct, frozen=True, gc=False):
    """Limits, reservation and intent, handed to the store at once. The verdict comes through
    `Wait` as `Began` or `Refused`; a store that fails comes as `Broken("begin", …)`."""

    leg: int
    intent: Intent
    claim: Claim | None = None
    """What it takes from limits and budgets; None: nothing limits it."""


class Start(Struct, frozen=True, gc=False):
    """The leg's connection exists from now on. No I/O happens before the next `Wait`."""

    leg: int
    request: Request


class Mark(Struct, frozen=True, gc=False):
    """The ledger's `opened` row: the upstream gave the generation a name."""

    leg: int
    attempt: str
    generation_id: str


class Wait(Struct, frozen=True, gc=False):
    """Wait for one of the legs until a moment. With no leg it is a pause.

    The driver may end a leg that is still silent at `until`: after a `Tick` only `Settle` is left for it.
    With `keep` it may not: what is pending outlives `until`, and is waited for again. Only `race` keeps.
    """

    legs: tuple[int, ...]
    until: float
    keep: bool = False


class Speak(Struct, frozen=True):
    """The leg has brought its first token: in a race it wins. To a driver it is nothing to do, and to who gives
    it there is nothing to be answered."""

    leg: int


class Emit(Struct, frozen=True, gc=False):
    """Hand over to the caller, once per network read."""

    deltas: list[Delta]


class Settle(Struct, frozen=True, gc=False):
    """Ends the leg: its row, and its connection, which may be used again if the answer was whole."""

    leg: int
    settlement: Settlement
    whole: bool


Command: TypeAlias = Begin | Start | Mark | Wait | Speak | Emit | Settle


class Began(Struct, frozen=True, gc=False):
    leg: int
    at: float
    warnings: tuple[str, ...] = ()
    """Of budgets that are nearly spent."""


class Refused(Struct, frozen=True):
    """A limit or a budget said no. Nothing was taken or written, so there is nothing to settle."""

    leg: int
    at: float
    code: Literal["over_limit", "over_burst", "over_budget", "budget_held"]
    why: str
    again: float | None = None
    """Seconds after which it may go; None: nobody knows, or it may not."""
    hint: tuple[str, ...] = ()
    room: int | None = None
    """The units that a budget could reserve now, where it is in the way."""


class Opened(Struct, frozen=True, gc=False):
    """The response's status line and headers are here. `headers` has lower-case names."""

    leg: int
    at: float
    wall: float
    """Seconds since the epoch: some hints tell a moment, not a span."""
    status: int
    headers: dict[str, str]


class Data(Struct, frozen=True, gc=False):
    leg: int
    at: float
    data: bytes


class Ended(Struct, frozen=True, gc=False):
    """The body ended cleanly."""

    leg: int
    at: float


class Broken(Struct, frozen=True):
    """The leg failed on the way; `why` is for the detail of an error and holds no key."""

    leg: int
    at: float
    phase: Phase
    why: str


class Tick(Struct, frozen=True, gc=False):
    """`until` has passed; `at` is never before it."""

    at: float


class Raised(Struct, frozen=True):
    """An error of ours in the leg's wait: a local model that does not start, say. Comes only where `keep` was
    asked for, to say whose it is; else it is thrown."""

    leg: int
    at: float
    error: ByteError


Outcome: TypeAlias = Began | Refused | Opened | Data | Ended | Broken | Raised | Tick

_T = TypeVar("_T")

Flow: TypeAlias = Generator[Command, "Outcome | float", _T]
"""A part of a request: it yields commands, is sent outcomes (or the time), and returns a T."""


class Abandoned(BaseException):
    """Thrown into a request whose caller has left. It may still give commands that do not wait."""

    outcome = "abandoned"
    """What the row of an attempt says that this ended."""


class Lost(Abandoned):
    """Thrown into an attempt when another one has spoken first."""

    outcome = "lost_race"


def start(leg: int, request: Request) -> Flow[float]:
    return moment((yield Start(leg, request)))


def mark(leg: int, attempt: str, generation_id: str) -> Flow[float]:
    return moment((yield Mark(leg, attempt, generation_id)))


def speak(leg: int) -> Flow[None]:
    yield Speak(leg)  # no answer is looked at, so that a race can let the winner go here, as it is


def emit(deltas: list[Delta]) -> Flow[float]:
    return moment((yield Emit(deltas)))


def wait(leg: int, until: float) -> Flow[Outcome]:
    return came((yield Wait((leg,), until)))


def pause(until: float) -> Flow[float]:
    outcome = yield Wait((), until)
    if not isinstance(outcome, Tick):
        raise TypeError("a driver answered a pause with something other than Tick")
    return outcome.at


def moment(answer: Outcome | float) -> float:
    """The answer to a command that does not wait."""
    if not isinstance(answer, float):
        raise TypeError("a driver answered a command that does not wait with an outcome")
    return answer


def came(answer: Outcome | float) -> Outcome:
    """The answer to a Wait."""
    if isinstance(answer, float):
        raise TypeError("a driver answered Wait with a bare time")
    return answer
