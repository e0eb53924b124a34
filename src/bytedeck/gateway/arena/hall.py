"""The matches that are held in this process, and the feeds of those that are watched here, wherever they are held.

A match needs nobody who watches it. When the gateway ends it is left where it is, to be taken up again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...arena.types import Event, Match, Words
from ...async_client import AsyncHub
from ...callers import Caller
from ...errors import ByteError, InvalidRequest, LedgerError
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
        self._opening: list[str] = []
        """Keys whose matches are just being made."""
        self._is_closed = False

    # -- who fights --------------------------------------------------------------------------------

    async def hold(self, debate: AsyncDebate, caller: Caller | None) -> None:
        """Open it, and hold it in the background. Raises Overloaded, and what `AsyncDebate.open` raises."""
        name = caller.name if caller is not None else ""
        self._check_room(name)
        self._opening.append(name)
        try:
            await debate.open()
        except BaseException:
            await debate.aclose()
            raise
        finally:
            self._opening.remove(name)
        if self._is_closed:  # meanwhile
            await debate.aclose()
            raise Overloaded("The gateway is being shut down.")
        past = debate.past
        feed = self._feeds.get(debate.id) or Feed(debate.match, len(past))
        for event in past[feed.next :]:
            feed.tell(event)
        self._stop_tail(debate.id)
        bout = Bout(debate, feed, caller)
        self._feeds[debate.id], self._bouts[debate.id] = feed, bout
        bout.task = asyncio.create_task(self._hold(bout), name=f"bytedeck-match-{debate.id}")

    def _check_room(self, name: str) -> None:
        """Raises Overloaded."""
        held = [one.caller.name if one.caller is not None else "" for one in self._bouts.values()]
        held += self._opening
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
                if not isinstance(event, Words) and not self.is_known(bout.caller):
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
            await bout.debate.aclose()
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

    def is_known(self, caller: Caller | None) -> bool:
        """Whether a key that had come in would come in now, as far as that is known without a look."""
        ring = self._access.fresh()
        if caller is None or ring is None:
            return True
        found = ring.names.get(caller.name)
        return found is not None and found.created == caller.created and found.state(now()) == "active"

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
            bout.task.cancel()
            await asyncio.wait({bout.task})

    # -- who watches -------------------------------------------------------------------------------

    def join(self, match: Match, last: int) -> Feed:
        """The feed of a match that is not over, whose last event in the store has the number `last`. Whoever joins has
        to `part`."""
        feed = self._feeds.get(match.id)
        if feed is None:
            feed = self._feeds[match.id] = Feed(match, last + 1)
        feed.watchers += 1
        if match.id not in self._bouts and match.id not in self._tails:
            self._follow(match.id, feed)
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
        """What is written of a match that is held elsewhere, soon after."""
        wait = _SOON
        while not feed.is_over:
            try:
                events = await self.page(feed.match.id, feed.next - 1)
            except InvalidRequest:  # it was forgotten
                feed.leave()
                return
            except LedgerError:  # it may be readable again in a moment
                events = ()
            for event in events:
                feed.tell(event)
            wait = _SOON if events else min(wait * _SLOWER, _LATE)
            await asyncio.sleep(wait)

    async def page(self, match: str, after: int) -> tuple[Event, ...]:
        """A page of what is kept. Raises LedgerError, InvalidRequest."""
        return await asyncio.to_thread(self._hub.house.matches.events, match, after, PAGE)

    # -- its end -----------------------------------------------------------------------------------

    def gauges(self) -> tuple[int, int]:
        """(Matches held here, watchers.)"""
        return len(self._bouts), sum(feed.watchers for feed in self._feeds.values())

    async def close(self) -> None:
        """Tell all who watch, and leave every match where it is. Idempotent."""
        self._is_closed = True
        for feed in list(self._feeds.values()):
            feed.leave()
        for match in list(self._tails):
            self._stop_tail(match)
        tasks = {bout.task for bout in self._bouts.values() if bout.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
