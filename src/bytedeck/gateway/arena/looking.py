"""Matches are listed, shown, watched and voted on, and the board is read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from ...arena.bill import Bill
from ...arena.events import Event, Resumed
from ...arena.match.ballot import LETTERS, TIES
from ...arena.show import card as cards
from ...arena.show import page as pages
from ...arena.show import transcript as transcripts
from ...arena.types import Vote
from ...callers import Caller
from ...debates.billing import bill
from ...guard import access
from ..asgi import Refused
from ..talk import check_open
from ..visit import App
from . import frames, shapes, told, who
from .asked import Asked
from .feed import Sight
from .seen import event_as, match_as
from .watch import Watcher

MOST_VOTES = 10_000
"""On one match."""
_LAST_EVENT = b"last-event-id"
_EVENT = re.compile(shapes.EVENT)


async def listed(asked: Asked) -> None:
    """The newest matches of the key that asks; an admin's key sees all."""
    query: shapes.ListQuery = asked.query
    caller = asked.caller
    owner = None if caller is None or caller.role == "admin" else caller.name
    if query.before:
        await who.view(asked.app, caller, query.before)
    found = await asked.app.hub.arena.matches(query.limit, before=query.before, owner=owner)
    own = [kept for kept in found if owner is None or who.owns(caller, kept.match)]
    views = await who.views(asked.app, caller, own)
    # Those of one who had the name before are older than all others.
    more = own[-1].match.id if len(own) == query.limit else None
    await asked.answer({"data": [told.brief(one, asked.base) for one in views], "before": more})


class _Whole:
    """All of a match, as one who asks sees it."""

    def __init__(
        self, view: who.View, events: tuple[Event, ...], votes: tuple[Vote, ...], charged: Bill | None
    ) -> None:
        self.view, self.events, self.votes, self.bill = view, events, votes, charged


async def _whole(asked: Asked) -> _Whole:
    app = asked.app
    view = await who.view(app, asked.caller, asked.match, asked.query.voter)

    def read() -> _Whole:
        house = app.hub.house
        events = house.matches.events(view.match.id)
        charged = bill(house, events) if view.form == "whole" else None
        return _Whole(view, events, house.matches.votes(view.match.id), charged)

    return await asyncio.to_thread(read)


async def one(asked: Asked) -> None:
    """A match as it stands: texts, judges, votes, costs."""
    found = await _whole(asked)
    # In a thread, as all that is made of thousands of events: others are watched meanwhile.
    whole = await asyncio.to_thread(told.whole, found.view, found.events, found.votes, found.bill, asked.base)
    await asked.answer(whole)


async def _document(asked: Asked, kind: bytes, policy: bytes, make: Callable[..., str], **more: Any) -> None:
    """A document of `arena.show`, made of what this one may see."""
    found = await _whole(asked)
    match, form = found.view.match, found.view.form
    if make is pages.page and found.view.kept.state == "running" and asked.caller is None:
        # A browser sends no key along with what a page asks for.
        last = found.events[-1].seq if found.events else -1
        resumed = tuple(one.seq for one in found.events if isinstance(one, Resumed))
        after = frames.id_of(last, len(resumed)) if found.events else "-1"
        more["live"] = f"{asked.base}/matches/{match.id}/events?names=false&after={after}"

    def made() -> bytes:
        events = tuple(event_as(match, event, form) for event in found.events)
        text = make(
            match_as(match, form), events, bill=found.bill, votes=found.votes, hidden=form == "hidden", **more
        )
        return text.encode("utf-8", "replace")

    body = await asyncio.to_thread(made)
    headers = [
        (b"content-type", kind + b"; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", policy),
    ]
    await asked.visit.send({"type": "http.response.start", "status": 200, "headers": headers})
    await asked.visit.send({"type": "http.response.body", "body": body})


async def page(asked: Asked) -> None:
    """The match as one web page; without keys it is written along while the match goes on."""
    await _document(asked, b"text/html", b"frame-ancestors 'self'", pages.page)


async def card(asked: Asked) -> None:
    """The match as a picture to share, SVG."""
    await _document(
        asked, b"image/svg+xml", b"default-src 'none'; style-src 'unsafe-inline'; img-src data:", cards.card
    )


async def transcript(asked: Asked) -> None:
    """The match as Markdown."""
    await _document(asked, b"text/markdown", b"default-src 'none'", transcripts.markdown)


# -- watching --------------------------------------------------------------------------------------


async def events(asked: Asked) -> None:
    """What happens, as a stream (SSE): from the first event on, or after the one that Last-Event-ID or `after` names.

    Of what somebody has heard only that counts which holds: words of a process that died may never have been written.
    """
    query: shapes.EventsQuery = asked.query
    app, visit = asked.app, asked.visit
    check_open(app)
    view = await who.view(app, asked.caller, asked.match, query.voter)
    (seq, life), kept = _after(asked), view.kept
    if kept.end and kept.standing.holds(seq, life) >= kept.last:
        await asked.answer(None, 204)  # a browser asks no more then
        return
    feed = None if kept.end else app.hall.join(kept)
    standing, last = (kept.standing, kept.last) if feed is None else (feed.standing, feed.next - 1)
    at = min(standing.holds(seq, life), last) + 1
    sight = Sight(view.form, query.names)
    watcher = Watcher(
        visit, view.match, sight, at, lambda after: app.hall.page(view.match.id, after), feed, kept.standing
    )
    try:
        await watcher.run(app.settings.heartbeat, lambda: app.hall.may_watch(asked.caller))
    finally:
        if feed is not None:
            app.hall.part(feed)


def _after(asked: Asked) -> tuple[int, int]:
    """The number and the life of the last event that is known: the header tells of a stream that broke off. A life of -1:
    it is not told, and the number holds."""
    header = asked.visit.headers.get(_LAST_EVENT, b"").decode("latin-1")
    said = _EVENT.fullmatch(header or asked.query.after)
    if said is None:
        if header:
            raise Refused(400, "Last-Event-ID is no id of an event.", field="Last-Event-ID")
        return -1, -1
    return int(said[1]), -1 if said[2] is None else int(said[2])


# -- votes and the board ---------------------------------------------------------------------------


async def votes(asked: Asked) -> None:
    """The votes, counted: the owner's and the spectators' apart."""
    view = await who.view(asked.app, asked.caller, asked.match)
    found = await asyncio.to_thread(asked.app.hub.house.matches.votes, view.match.id)
    await asked.answer({"data": told.counted(view.match, found)})


async def vote(asked: Asked) -> None:
    """Vote; a voter's next vote on the same round replaces the one before."""
    body: shapes.NewVote = asked.body
    app = asked.app
    view = await who.view(app, asked.caller, asked.match, body.voter)
    source, voter = view.viewer
    if view.form == "hidden" and not _is_blind(body.choice):
        raise Refused(422, "choice: Vote for A, B or tie: nobody is told yet who they are.", field="choice")
    cast = await asyncio.to_thread(app.hub.house.matches.votes, view.match.id)
    known = {(one.source, one.voter, one.round) for one in cast}
    if len(known) >= MOST_VOTES and (source, voter, body.round) not in known:
        raise Refused(429, f"This match has its {MOST_VOTES:,} votes.")
    taken = await app.hub.arena.vote(view.match.id, body.choice, round=body.round, voter=voter, source=source)
    after = await who.view(app, asked.caller, asked.match, body.voter)
    await asked.answer(told.vote(taken, after))


def _is_blind(choice: str) -> bool:
    """Whether it names a side: to try a model's name would tell who fights."""
    said = choice.strip().lower()
    return said in TIES or said in ("1", "2", *LETTERS[:2].lower())


async def board(asked: Asked) -> None:
    """The ratings of the models that the key may use."""
    query: shapes.BoardQuery = asked.query
    found = await asked.app.hub.arena.board(query.task, source=query.source, style=query.style)
    names = [row.model for row in found.rows if _may_see(asked.app, asked.caller, row.model)]
    await asked.answer(told.board(found, names))


def _may_see(app: App, caller: Caller | None, model: str) -> bool:
    return caller is None or caller.role == "admin" or access.may_use(caller, model)
