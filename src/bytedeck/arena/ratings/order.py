"""Why a task's models stand in the order in which they do, and what the next change of it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from ..types import Change
from .promotion import Outlook, Proposal
from .standings import Board, Cost, Row

Whence = Literal["shipped", "file", "promoted", "undone"]
"""Who has made the order: the package, the settings file by a person's hand, the arena, or who took a change back."""

_BY = {"person": "by a person", "automatic": "by itself", "undo": "by a person"}


class Seat(Struct, frozen=True, kw_only=True):
    """One of a task's models, in its place."""

    model: str
    """As it is written in the list."""
    rated: str
    """The id that it means now: what it is rated under."""
    name: str
    row: Row | None = None
    """Its place on the task's board of judges; None: no battles yet."""
    cost: Cost = Cost()
    outlook: Outlook | None = None
    """What speaks for it against the model that is asked first, and what it waits for; None for that one itself."""


class Order(Struct, frozen=True, kw_only=True):
    """A task's order, explained."""

    task: str
    seats: tuple[Seat, ...]
    """In the order in which they are asked."""
    whence: Whence
    where: str
    """File and line, where the settings file has a table for the task; else ""."""
    change: Change | None = None
    """The arena's change that made the order what it is, with its evidence."""
    promote: Literal["ask", "auto"] = "ask"
    proposal: Proposal | None = None
    """The change that the evidence speaks for now."""
    why: tuple[str, ...] = ()
    """All that in sentences for people."""

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(seat.model for seat in self.seats)


def seats(
    models: Sequence[str],
    rated: Mapping[str, str],
    names: Mapping[str, str],
    costs: Mapping[str, Cost],
    board: Board,
    outlooks: Sequence[Outlook],
) -> tuple[Seat, ...]:
    """The models in their places. `rated` by what is written, all else by the ids that are rated."""
    found = {one.model: one for one in outlooks}
    return tuple(
        Seat(
            model=model,
            rated=rated[model],
            name=names.get(rated[model], rated[model]),
            row=board.find(rated[model]),
            cost=costs.get(rated[model], Cost()),
            outlook=found.get(model),
        )
        for model in models
    )


def sentences(order: Order) -> tuple[str, ...]:
    """Where the order comes from, and what the next change of it waits for."""
    return (_origin(order), *_waits(order))


def _origin(order: Order) -> str:
    change = order.change
    if order.whence == "shipped":
        return "The order is the one that Bytedeck brings along."
    if change is None or order.whence == "file":
        return f"The order is the one in your settings file ({order.where})."
    day = datetime.fromtimestamp(change.at / 1_000_000, UTC).date().isoformat()
    if order.whence == "undone":
        return f"The order is the one from before change {change.undoes}, which was taken back on {day}."
    return f"The order is change {change.number} of {day}, made {_BY[change.by]}: {change.why}"


def _waits(order: Order) -> list[str]:
    if order.proposal is not None:
        way = (
            "It will be made by itself"
            if order.promote == "auto"
            else f"Make it: byte arena promote {order.task}"
        )
        return [f"A change is due: {order.proposal.why} {way}."]
    first = order.seats[0]
    return [
        f"{seat.name}: {seat.outlook.hindrance.replace(first.rated, first.name)}"
        for seat in order.seats
        if seat.outlook is not None
    ]
