"""What a match cost, asked of the ledger by the requests that its events name."""

from __future__ import annotations

from collections.abc import Iterable

from ..arena import bill as bills
from ..arena.bill import Bill, Charge
from ..arena.events import Event
from ..house import House
from ..ledger.entry import Row


def bill(house: House, events: Iterable[Event]) -> Bill:
    """The bill of a match so far. Blocks. Raises LedgerError where the ledger cannot be read."""
    events = tuple(events)
    return bills.bill(events, charges(house, events))


def charges(house: House, events: Iterable[Event]) -> tuple[Charge, ...]:
    """Every attempt of every call of a match. Blocks. Raises LedgerError."""
    requests = tuple(bills.requests(events))
    return tuple(map(_charge, house.store.attempts(requests))) if requests else ()


def _charge(row: Row) -> Charge:
    return Charge(request=row.request, units=row.spend_units, worst_units=row.worst_units)
