"""Between the writer and the file: the rows to write, and the protocol of what writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from ..claims import Claim
from ..errors import LedgerError
from ..ledger.entry import Mark
from .store import Verdict


class Job(Struct, gc=False):
    """A row to write. Without one, `done` is called when all that came before is written or lost."""

    row: Mark | None
    at: int
    """When it was handed over, in microseconds since 1970."""
    done: Callable[[Verdict], None] | None = None
    claim: Claim | None = None
    """Of an intent: it is written only where this is granted."""


Verdicts: TypeAlias = dict[int, Verdict]
"""By a job's identity; what is not in it is written."""


class Sink(Protocol):
    """What the thread writes to, made at the first row. One caller at a time."""

    def write(self, jobs: list[Job]) -> Verdicts:
        """Make the rows durable, all or none but those whose claim is not granted. May wait, may raise anything."""

    def write_at_once(self, jobs: list[Job]) -> Verdicts | None:
        """As `write`, but where that would have to wait or goes wrong, None, and nothing is written."""

    def tidy(self) -> None:
        """What has to be done now and then, and takes its time. Raises nothing."""

    def close(self) -> None:
        """Let go of the file; the next `write` opens it again."""

    def leave(self, clean: bool) -> None:
        """In the child of a fork: forget what belongs to the parent. `clean`: nothing was going on."""

    def explain(self, error: Exception) -> LedgerError:
        """The error as a person should read it."""

    def hopeless(self, error: Exception) -> bool:
        """Whether every other row would fail as this one did, perhaps after a long wait."""

    def may_pass(self, error: Exception) -> bool:
        """Whether the same row may be written later."""

    def awaits(self, row: Mark) -> bool:
        """Whether it would do something, if it were written: its attempt was begun, and has not ended."""
