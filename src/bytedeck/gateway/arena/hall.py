"""The matches that are held in this process, and the feeds of those that are watched here, wherever they are held.

A match needs nobody who watches it. When the gateway ends it is left where it is, to be taken up again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...arena.events import Event, Resumed, Words
from ...async_client import AsyncHub
from ...callers import Caller
from ...errors import ByteError, InvalidRequest, LedgerError
from ...io.matches import Kept, Standing
from ..door.access import Access, now
from ..exchange import bug
from ..load import Overloaded
from ..reload import Tell
from .feed import Feed

if TYPE_CHECKING:
    from ...debates.adebate import AsyncDebate

MOST = 64
"""Matches that are held at once."""
MOST_OF_ONE = 16
"""Of one key."""
PAGE = 500
"""Events that are read from the store at a time."""
_LAST_WORDS = 5.0
"""Seconds that the end waits for matches that are just being made."""
_SOON, _LATE, _SLOWER = 0.1, 1.0, 1.5
"""Seconds between two looks at a match that is held elsewhere: at first, at most, and how they grow in between."""


class Bout:
    """A match that is held here."""

    def __init__(self, debate: AsyncDebate, feed: Feed, caller: Caller | None) -> None:
        self.debate, self.feed, self.caller = debate, feed, caller
        self.task: asyncio.Task[None] | None = None


class Hall:
    """Belongs to one event loop."""

    def __init__(self, hub: AsyncHub, access: Access, tell: Tell) -> None:
        """`tell`: writes a sentence into the log, by its level."""
        self._hub, self._access, self._say = hub, access, tell
        self._bouts: dict[str, Bout] = {}
        self._feeds: dict[str, Feed] = {}
        self._tails: dict[str, asyncio.Task[None]] = {}
        """Of feeds whose match is held elsewhere, or by nobody."""
        self._opening: dict[asyncio.Future[None], str] = {}
        """Matches that are just being made, done once they are or cannot be; and their keys."""
        self._is_closed = False

    # -- who fights --------------------------------------------------------------------------------

    async def hold(self, debate: AsyncDebate, caller: Caller | None) -> None:
        """Open it, and hold it in the background. Raises Overloaded, and what `AsyncDebate.open` raises."""
        name = caller.name if caller is not None else ""
        self._check_room(name)
        opening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening[opening] = name
        try:
            await debate.open()
            self._check_open()
        except BaseException:
            await debate.aclose()
            raise
        finally:
            del self._opening[opening]
            opening.set_result(None)
        past = debate.past
        feed = self._feeds.get(debate.id)
        if feed is None:
            resumed = tuple(event.seq for event in past if isinstance(event, Resumed))
            feed = Feed(debate.match, len(past), Standing(resumed=resumed))
        for event in past[feed.next :]:
            feed.tell(event)
        self._stop_tail(debate.id)
        bout = Bout(debate, feed, caller)
        self._feeds[debate.id], self._bouts[debate.id] = feed, bout
        bout.task = asyncio.create_task(self._hold(bout), name=f"bytedeck-match-{debate.id}")

    def _check_open(self) -> None:
        """Raises Overloaded."""
        if self._is_closed:
            raise Overloaded("The gateway is being shut down.")

    def _check_room(self, name: str) -> None:
        """Raises Overloaded."""
        self._check_open()
        held = [one.caller.name if one.caller is not None else "" for one in self._bouts.values()]
        held += self._opening.values()
        if len(held) >= MOST:
            raise Overloaded(f"{len(held)} matches are held here just now, which is all that it takes.")
        if name and held.count(name) >= MOST_OF_ONE:
            raise Overloaded(
                f"{MOST_OF_ONE} matches of yours are held just now, which is all that one key may."
            )

    async def _hold(self, bout: Bout) -> None:
        is_well = False
        try:
            async for event in bout.debate:
                bout.feed.tell(event)
                if not isinstance(event, Words) and not self._may_go_on(bout):
                    break  # its key was withdrawn: whoever gets another one may take it up again
            is_well = True
        except asyncio.CancelledError:
            is_well = True  # it was left in order: what was told is written
            raise
        except ByteError as error:
            self._say("error", f"The match {bout.debate.id} was left: {error.message}")
        except Exception as exc:  # noqa: BLE001 (nobody else would hear of it)
            bug(exc, bout.debate.id)
        finally:
            try:
                await bout.debate.aclose()
            finally:  # also where who leaves is hurried
                self._ended(bout, is_well)

    def _ended(self, bout: Bout, is_well: bool) -> None:
        """It is held here no more. Who watches one that waits stays, to see it go on."""
        match, feed = bout.debate.id, bout.feed
        del self._bouts[match]
        if not is_well:
            # What was told last may never have been written: who comes back hears what holds.
            feed.leave()
        if feed.is_over or feed.is_left or not feed.watchers:
            self._feeds.pop(match, None)
        else:
            self._follow(match, feed)

    def _may_go_on(self, bout: Bout) -> bool:
        """Whether its key may still fight; the bounds that it has by now are what its next calls are held to.

        What was begun when there were no keys goes on.
        """
        if bout.caller is None:
            return True
        found = self._known(bout.caller)
        if found is not None and found != bout.caller:
            bout.caller = found
            bout.debate.charge(found)
        return found is not None

    def may_watch(self, caller: Caller | None) -> bool:
        """Whether who had come in would come in now, as far as that is known without a look. None: who showed no key."""
        if caller is not None:
            return self._known(caller) is not None
        ring = self._access.fresh()
        return ring is None or not ring.callers

    def _known(self, caller: Caller) -> Caller | None:
        """The key as it is by now; None where it is accepted no more."""
        ring = self._access.fresh()
        if ring is None:
            return caller
        found = ring.names.get(caller.name)
        if found is None or found.created != caller.created or found.state(now()) != "active":
            return None
        return found

    def running(self, match: str) -> bool:
        """Whether it is held here."""
        return match in self._bouts

    def bouts(self) -> Iterable[Bout]:
        """All that are held here."""
        return tuple(self._bouts.values())

    async def leave(self, match: str) -> None:
        """Hold it no more; it may be taken up again."""
        bout = self._bouts.get(match)
        if bout is not None and bout.task is not None:
            await _cancelled({bout.task})

    # -- who watches -------------------------------------------------------------------------------

    def join(self, kept: Kept) -> Feed:
        """The feed of a match that is not over. Whoever joins has to `part`."""
        match = kept.match.id
        feed = self._feeds.get(match)
        if feed is None:
            feed = self._feeds[match] = Feed(kept.match, kept.last + 1, kept.standing)
        feed.watchers += 1
        if self._is_closed:  # since it was let in
            feed.leave()
        elif match not in self._bouts and match not in self._tails:
            self._follow(match, feed)
        return feed

    def part(self, feed: Feed) -> None:
        """One watches no more."""
        feed.watchers -= 1
        match = feed.match.id
        if not feed.watchers and match not in self._bouts and self._feeds.get(match) is feed:
            del self._feeds[match]
            self._stop_tail(match)

    def _follow(self, match: str, feed: Feed) -> None:
        self._tails[match] = asyncio.create_task(self._tail(feed), name=f"bytedeck-tail-{match}")

    def _stop_tail(self, match: str) -> None:
        tail = self._tails.pop(match, None)
        if tail is not None:
            tail.cancel()

    async def _tail(self, feed: Feed) -> None:
        """What is written of a match that is held elsewhere, soon after.

        What was told last is read once more. Where that is not what is kept, it was told here and never written: whoever
        watches comes back, and hears what holds.
        """
        wait = _SOON
        while not feed.is_over:
            last = feed.last
            events: tuple[Event, ...] = ()
            try:
                events = await self.page(feed.match.id, feed.next - (1 if last is None else 2))
            except InvalidRequest:  # it was forgotten
                feed.leave()
                return
            except LedgerError:  # it may be readable again in a moment
                last = None
            if last is not None and events[:1] != (last,):
                feed.leave()
                return
            at = feed.next
            for event in events:
                feed.tell(event)
            wait = _SOON if feed.next > at else min(wait * _SLOWER, _LATE)
            await asyncio.sleep(wait)

    async def page(self, match: str, after: int) -> tuple[Event, ...]:
        """A page of what is kept. Raises LedgerError, InvalidRequest."""
        return await asyncio.to_thread(self._hub.house.matches.events, match, after, PAGE)

    # -- its end -----------------------------------------------------------------------------------

    def gauges(self) -> dict[str, Callable[[], float]]:
        """For the metrics."""
        return {
            "byte_matches_held": lambda: len(self._bouts),
            "byte_match_watchers": lambda: sum(feed.watchers for feed in tuple(self._feeds.values())),
        }

    async def close(self) -> None:
        """Tell all who watch, and leave every match where it is. Idempotent."""
        self._is_closed = True
        if self._opening:
            await asyncio.wait(set(self._opening), timeout=_LAST_WORDS)
        for feed in list(self._feeds.values()):
            feed.leave()
        for match in list(self._tails):
            self._stop_tail(match)
        await _cancelled({bout.task for bout in self._bouts.values() if bout.task is not None})


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel them, and wait. Once each: a second cancel would cut short how the first one is answered."""
    for task in tasks:
        if not task.cancelling():
            task.cancel()
    if tasks:
        await asyncio.wait(tasks)
