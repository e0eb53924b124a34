"""Rows that could not be written for a reason that may pass: kept in their order, so many, and tried again.

Of two rows of one kind and attempt the first one counts, as it would in the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice

from ..errors import LedgerError
from ..ledger.entry import LOST, Mark, Opened, Reconciliation, Swept
from ..money import to_text
from ..types import Intent, Settlement
from .sink import Job

MOST = 10_000
"""Rows that are kept: some megabytes. What comes then is lost, and told."""
# Seconds between two tries: the first pause is doubled up to the last one.
_FIRST, _LAST = 0.1, 10.0

_KINDS: dict[type[Mark], str] = {
    Intent: "intent",
    Opened: "generation id",
    Settlement: "settlement",
    Reconciliation: "reconciled cost",
}


class Backlog:
    """One writer's. Changed by whoever writes, one at a time; its length may be asked from any thread."""

    def __init__(self) -> None:
        self.why: LedgerError | None = None
        """What was last in the way."""
        self._pause = _FIRST
        self._due = 0.0
        self._rows: dict[tuple[type[Mark], str], Job] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def wait(self) -> float:
        """Seconds until the next try."""
        return max(0.0, self._due - time.monotonic())

    def takes(self, job: Job) -> bool:
        """Whether a row belongs here, and there is room for it; then it is kept, unless there is one like it."""
        if job.done is not None or job.row is None or comes_again(job.row):
            return False
        if len(self._rows) >= MOST:
            return False
        self._rows.setdefault(_name(job.row), job)
        return True

    def first(self, most: int) -> list[Job]:
        """The oldest rows."""
        return list(islice(self._rows.values(), most))

    def drop(self, jobs: Iterable[Job]) -> None:
        """These are written, or lost."""
        for job in jobs:
            if job.row is not None:
                self._rows.pop(_name(job.row), None)

    def put_off(self, why: LedgerError) -> None:
        """A try has failed: the next one comes later."""
        self.why = why
        self._due = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LAST)

    def hurry(self) -> None:
        """A try went well: the next failure begins with a short pause."""
        self._pause, self._due = _FIRST, 0.0

    def give_up(self) -> list[Job]:
        """All that is left, which is not kept any more; but for names of generations that a settlement tells, too."""
        rows, self._rows = self._rows, {}
        told = {
            key[1] for key, job in rows.items() if isinstance(job.row, Settlement) and job.row.generation_id
        }
        return [job for (kind, attempt), job in rows.items() if kind is not Opened or attempt not in told]


def comes_again(row: Mark) -> bool:
    """Whether the next sweep writes it anyway, so that nothing is lost with it."""
    return isinstance(row, Swept) or (isinstance(row, Settlement) and row.outcome == LOST)


def sentence(row: Mark, why: LedgerError) -> str:
    """That a row is missing for good, what was in it, and why."""
    assert not isinstance(row, Swept)  # noqa: S101 - the next sweep begins a little earlier, that is all
    cost = row.cost_units if isinstance(row, Settlement | Reconciliation) else None
    of = row.attempt if not cost else f"{row.attempt} (${to_text(cost)})"
    return f"The {_KINDS[type(row)]} of attempt {of} was not recorded. {why}"


def _name(row: Mark) -> tuple[type[Mark], str]:
    assert not isinstance(row, Intent | Swept)  # noqa: S101 - who begins waits; a sweep comes again
    return type(row), row.attempt
