"""Writes what happens in a match, in its order and in a thread of its own, so that nobody who reads along waits for a disk.

Words are written together, a moment after they were put; what is waited for is written at once, with all words before it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from msgspec import Struct

from ..arena.events import Event
from ..io.matches import Matches

DELAY = 0.05
"""Seconds that words may wait to be written."""

Done = Callable[[BaseException | None], None]


class _Note(Struct, frozen=True):
    events: tuple[Event, ...] = ()
    done: Done | None = None
    """None: nobody waits."""
    is_last: bool = False


class Scribe:
    """One match's, which this process holds. From `close` on it is held no more."""

    def __init__(self, matches: Matches, match: str) -> None:
        self._notes: SimpleQueue[_Note] = SimpleQueue()
        # It holds no more than it needs: who drops a debate drops it with all else.
        self._thread = threading.Thread(
            target=_write, args=(matches, match, self._notes), name="bytedeck-scribe", daemon=True
        )
        self._thread.start()

    def put(self, event: Event) -> None:
        """To be written soon. What becomes of it the next `write` tells."""
        self._notes.put(_Note((event,)))

    def write(self, events: Sequence[Event], done: Done) -> None:
        """To be written now. `done` is called from another thread, with what kept it, or anything before it, from being kept."""
        self._notes.put(_Note(tuple(events), done))

    def close(self) -> None:
        """Write what there is, and let the match go. Does not wait; idempotent."""
        self._notes.put(_Note(is_last=True))

    def join(self, timeout: float) -> None:
        """Wait until it has been let go."""
        self._thread.join(timeout)


def _write(matches: Matches, match: str, notes: SimpleQueue[_Note]) -> None:
    failure: BaseException | None = None
    while True:
        batch = _batch(notes)
        events = [event for note in batch for event in note.events]
        if events and failure is None:
            failure = _failure(matches.append, match, events)
        if batch[-1].is_last:  # let go also where its last words were not kept: to be taken up again
            kept = _failure(matches.release, match)
            failure = failure or kept
        for note in batch:
            if note.done is not None:
                note.done(failure)
        if batch[-1].is_last:
            return


def _failure(change: Callable[..., None], *told: Any) -> BaseException | None:
    """What kept it from being done."""
    try:
        change(*told)
    except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for; the thread only ends with its match
        return exc
    return None


def _batch(notes: SimpleQueue[_Note]) -> list[_Note]:
    """What is to be written together: up to the first that is waited for, or for as long as words may wait."""
    batch = [notes.get()]
    until = time.monotonic() + DELAY
    while batch[-1].done is None and not batch[-1].is_last:
        try:
            batch.append(notes.get(timeout=max(0.0, until - time.monotonic())))
        except Empty:
            break
    return batch
