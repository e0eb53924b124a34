"""Where the ledger's rows go: the protocol. `stores.py` opens one."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from .. import claims
from ..claims import Bucket, Budget, Claim, State
from ..health import Learnt, Seen
from ..types import Intent, Settlement

if TYPE_CHECKING:
    from datetime import datetime

    from ..ledger.entry import Awaiting, Reconciliation, Row, Wanted
    from ..ledger.report import By, Report, Verification

Verdict: TypeAlias = claims.Verdict | Exception
"""What a Begin comes to. An exception: the row could not be written, and nothing was taken."""


class Standing(Struct, frozen=True):
    """How buckets and budgets' accounts stand, in the order in which they were asked for."""

    levels: tuple[State, ...]
    accounts: tuple[State, ...]
    steady: int
    """By the clock of the buckets, in microseconds."""
    wall: int
    """Microseconds since 1970."""


class Owed(Struct, frozen=True):
    """Rows that could not be written yet, and are tried again."""

    rows: int
    why: str
    """What was last in the way, for a person."""

    def __str__(self) -> str:
        what = "1 row waits" if self.rows == 1 else f"{self.rows:,} rows wait"
        return f"{what} to be written. {self.why}"


NOTHING_OWED = Owed(0, "")


class Cursor(Struct, frozen=True):
    """How far `recent` has read; what the numbers mean only the store knows."""

    last: int = 0
    open: tuple[int, ...] = ()


class Recent(Struct, frozen=True):
    """What `recent` found."""

    seen: tuple[Seen, ...] = ()
    learnt: tuple[Learnt, ...] = ()
    """Of all times."""
    next: Cursor = Cursor()
    own: tuple[str, ...] = ()
    """Those of the caller's own that were begun since: nothing else is told of them."""


MOST_RECENT = 1000
"""Attempts that `recent` looks back at most; of older ones it tells nothing any more."""


class Beginning(Struct, frozen=True):
    """An intent to be written, with what `Store.begin` takes beside it."""

    intent: Intent
    done: Callable[[Verdict], None]
    claim: Claim | None = None


class Receiver(Protocol):
    """What a driver writes an attempt's marks to: a store, or what stands before one."""

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        """See `Store`."""

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        """See `Store`."""

    def mark(self, attempt: str, generation_id: str) -> None:
        """See `Store`."""

    def settle(self, settlement: Settlement) -> None:
        """See `Store`."""


class Store(Receiver, Protocol):
    """Rows go in through one FIFO, so that a settlement never overtakes its intent.

    Every method but `flush`, `close`, `sweep` and the reading ones returns at once. A failure to write a mark,
    a settlement or a reconciliation is told, never raised: the answer is worth more than its receipt. Where the
    reason may pass (a full disk, a lock), the row is `owed`, and tried again until it is written or the store is
    closed; else it is `lost`. After `close` a store may be used again; it then opens its file anew.
    """

    location: str
    """Where the rows are, for a person."""

    lost: list[str]
    """One sentence for each row that is missing for good (the first thousand)."""

    @property
    def owed(self) -> Owed:
        """What could not be written yet."""

    def begin(self, intent: Intent, done: Callable[[Verdict], None], claim: Claim | None = None) -> None:
        """Take what is claimed and write the intent, both or neither; call `done` with the verdict.

        Granted means durable; with a verdict of Later or Denied nothing was taken or written. `claim`: None where
        nothing limits the attempt. `done` is called from any thread, perhaps before `begin` returns; it may neither
        wait nor raise.
        """

    def begin_all(self, beginnings: Sequence[Beginning]) -> None:
        """Several at once, each with its own verdict: they share what it costs to make them durable."""

    def mark(self, attempt: str, generation_id: str) -> None:
        """Write the `opened` row. The first one of an attempt wins; one without intent does nothing."""

    def settle(self, settlement: Settlement) -> None:
        """Write the settlement, and give back what the attempt holds and did not use.

        The first one of an attempt wins; one without intent does nothing.
        """

    def flush(self, timeout: float = 5.0) -> None:
        """Return when all that was handed over is written, owed after another try, or lost; or after `timeout` seconds."""

    def close(self) -> None:
        """Flush and let go of the file; what is owed is tried for a second, and then lost. Idempotent."""

    def standing(self, buckets: Sequence[Bucket], budgets: Sequence[Budget]) -> Standing:
        """How these stand now. Takes and writes nothing. Raises LedgerError if they cannot be read."""

    def usage(self, by: By = "task", since: datetime | None = None) -> Report:
        """What was spent since a moment (with a time zone). Raises LedgerError if it cannot be read."""

    def rows(
        self, limit: int = 100, since: datetime | None = None, wanted: Wanted | None = None
    ) -> list[Row]:
        """The latest attempts, or those that are wanted, newest first. Raises LedgerError if they cannot be read."""

    def attempts(self, requests: Sequence[str]) -> list[Row]:
        """All attempts of these requests, oldest first. Raises LedgerError if they cannot be read."""

    def export(self, since: datetime | None = None) -> Iterator[Row]:
        """All attempts up to now, oldest first, in bounded memory. Raises LedgerError if they cannot be read."""

    def verify(self) -> Verification:
        """Look through everything. Raises LedgerError if the ledger cannot be read at all."""

    def sweep(self) -> int:
        """Settle what processes that have died left open (`ledger.entry.lost`); how many attempts that were.

        A process that lives, however long it is paused, keeps its attempts; one that cannot be looked at keeps
        them as long as it gives signs of life (`owner.is_gone`). Raises LedgerError if the ledger cannot be read.
        """

    def awaiting(self, limit: int = 1000, after: int = 0) -> list[Awaiting]:
        """Attempts whose cost can still be asked for, in the store's order, from the one behind the place `after`.

        Raises LedgerError if they cannot be read.
        """

    def reconcile(self, found: Reconciliation) -> None:
        """Write what the upstream said of an attempt's cost. The first one wins; one without settlement does nothing."""

    def is_shared(self) -> bool:
        """Whether there is anything that other processes may have written. Does not open it."""

    def recent(self, since: int, after: Cursor, own: Container[str] = ()) -> Recent:
        """The attempts begun since a moment (microseconds since 1970), and those that have ended since `after`; of the
        caller's `own` only their names.

        Each is told when it is begun and when it has ended, at most `MOST_RECENT` at once; what was handed over
        and is not written yet comes the next time. Raises LedgerError if they cannot be read.
        """
