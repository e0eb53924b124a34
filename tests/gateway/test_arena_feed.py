"""What watchers of one match are told: bytes made once, the past and the rest, whoever is slow; what is hidden; the docs."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from allevents import ALL, match, told
from bytedeck.arena.events import Begun, Ended, Event, JudgeFailed, Resumed, TurnEnded, TurnFailed, Words
from bytedeck.arena.types import Fighter, Match, Vote
from bytedeck.gateway import places
from bytedeck.gateway.arena import feed as feeds
from bytedeck.gateway.arena import frames, watch
from bytedeck.gateway.arena.feed import Feed, Sight
from bytedeck.gateway.arena.seen import Form, event_as, is_hidden, match_as
from bytedeck.gateway.arena.table import OPERATIONS, handler
from bytedeck.gateway.asgi import LEFT
from bytedeck.gateway.visit import Visit

PAGE = (Path(__file__).parents[2] / "docs" / "arena-gateway.md").read_text("utf-8")
MATCH = match()
WHOLE = Sight()


def words(count: int, size: int = 4) -> list[Event]:
    """The beginning, so many words, and the end."""
    said = [Words(seq=1 + at, part="t0.0.0", text="x" * size) for at in range(count)]
    return [Begun(seq=0, match=MATCH), *said, Ended(seq=count + 1, end="unjudged", is_rated=False)]


class Socket:
    """A client's connection: it takes what is poured while it is `open`, and blocks who sends while it is not."""

    def __init__(self, is_open: bool = True) -> None:
        self.body = b""
        self.poured = 0
        self.open = asyncio.Event()
        if is_open:
            self.open.set()

    def tell(self, watcher: Any) -> None:
        self.watcher = watcher

    def forget(self) -> None:
        self.watcher = None

    def pour(self, framed: bytes) -> bool:
        if not self.open.is_set():
            return False
        size, _, rest = framed.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self.body += rest[:-2]
        self.poured += 1
        return True

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.body += message["body"]
            await self.open.wait()

    @property
    def ids(self) -> list[int]:
        return [int(found) for found in re.findall(rb"^id: (\d+)-0$", self.body, re.MULTILINE)]


def watching(
    feed: Feed | None, socket: Socket, at: int = 0, kept: tuple[Event, ...] = (), **more: Any
) -> asyncio.Task[None]:
    """A watcher's task. `kept`: what the store has, three a page."""

    async def read(after: int) -> tuple[Event, ...]:
        return kept[after + 1 : after + 4]

    async def receive() -> Any:
        raise AssertionError("our own server tells who leaves")

    visit = Visit(
        scope={"extensions": {LEFT: socket}}, headers={}, receive=receive, send=socket.send, began=0.0
    )  # fmt: skip
    watcher = watch.Watcher(visit, MATCH, more.get("sight", WHOLE), at, read, feed)
    stay = more.get("stay", lambda: True)
    return asyncio.ensure_future(watcher.run(more.get("heartbeat", 60.0), stay))


async def settle() -> None:
    """All that can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


# -- without gap or repeat ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_without_gap_or_repeat(seed: int) -> None:
    """Watchers come and stall whenever they like, events come one by one or in heaps: each hears each of them once, in order."""
    chance = random.Random(seed)
    events = words(60)
    feed, kept = Feed(MATCH, chance.choice([0, 7])), tuple(events)
    sockets, tasks = [], []
    for event in events[feed.first :]:
        if chance.random() < 0.3:
            socket = Socket(is_open=chance.random() < 0.7)
            at = chance.randint(0, feed.next)
            sockets.append((socket, at))
            tasks.append(watching(feed, socket, at, kept))
        feed.tell(event)
        if chance.random() < 0.5:
            await settle()
        for socket, _ in sockets:
            if chance.random() < 0.2:
                (socket.open.clear if socket.open.is_set() else socket.open.set)()
    for socket, _ in sockets:
        socket.open.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    for socket, at in sockets:
        assert socket.ids == list(range(at, len(events)))


async def test_the_same_bytes_go_to_all() -> None:
    """An event is encoded once for each form, however many watch; who keeps up is written to without being woken."""
    feed, sockets = Feed(MATCH, 0), [Socket() for _ in range(50)]
    tasks = [watching(feed, one) for one in sockets]
    await settle()
    for event in words(10):
        feed.tell(event)
        await settle()
    await asyncio.gather(*tasks)
    assert len({one.body for one in sockets}) == 1
    assert all(one.poured == 11 for one in sockets)  # all but the end, which everybody tells by himself
    assert all(len(row.frames) == 1 for row in feed._rows)
    assert feed._waiting == {}


async def test_who_does_not_read_holds_up_nobody() -> None:
    """It is the only one that falls behind, and when it reads again it gets all that it has missed."""
    feed, good, bad = Feed(MATCH, 0), Socket(), Socket(is_open=False)
    tasks = [watching(feed, good), watching(feed, bad)]
    events = words(30)
    for event in events[:-1]:
        feed.tell(event)
        await settle()
    assert good.ids == list(range(31))
    assert bad.ids == []
    feed.tell(events[-1])
    await asyncio.wait_for(tasks[0], 5)
    bad.open.set()
    await asyncio.wait_for(tasks[1], 5)
    assert bad.ids == good.ids == list(range(len(events)))


async def test_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is behind for longer than it may is sent away with a comment, and what it has read has no gap."""
    monkeypatch.setattr(watch, "PATIENCE", -1.0)
    events = tuple(words(30))
    feed, slow = Feed(MATCH, len(events) - 1), Socket()
    await watching(feed, slow, 0, events)
    assert slow.ids == [0, 1, 2]
    assert slow.body.endswith(frames.TOO_SLOW)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long told is forgotten here; who comes late reads it from the store, and then goes on."""
    monkeypatch.setattr(feeds, "MEMORY", 20_000)
    events = tuple(words(200, 50))
    feed = Feed(MATCH, 0)
    for event in events[:-1]:
        feed.tell(event)
    assert feed.first > 100
    assert feed._size <= 20_000
    late = Socket()
    task = watching(feed, late, 0, events)
    await settle()
    feed.tell(events[-1])
    await asyncio.wait_for(task, 5)
    assert late.ids == list(range(len(events)))


async def test_who_comes_late_gets_the_past_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the past is, one piece of it is made at a time: a thousand who come and read nothing keep no more waiting."""
    monkeypatch.setattr(feeds, "PIECE", 1000)
    feed, socket = Feed(MATCH, 0), Socket()
    events = words(200, 50)
    for event in events[:-1]:
        feed.tell(event)
    task = watching(feed, socket)
    at = count = 0
    while at < feed.next:
        data, at = feed.since(at, WHOLE)
        assert len(data) < 1300
        count += 1
    assert count > 10
    await settle()
    feed.tell(events[-1])
    await asyncio.wait_for(task, 5)
    assert socket.ids == list(range(len(events)))


async def test_what_is_read_tells_its_life() -> None:
    """Also where the match was resumed after it was looked up: what is read may be newer than what was known of it."""
    said = [
        Begun(seq=0, match=MATCH),
        Words(seq=1, part="t0.0.0"),
        Resumed(seq=2),
        Words(seq=3, part="t0.0.0"),
    ]
    socket = Socket()
    await watching(None, socket, 0, tuple(said))
    assert re.findall(rb"^id: (.*)$", socket.body, re.MULTILINE) == [b"0-0", b"1-0", b"2-1", b"3-1"]


async def test_signs_of_life_and_farewell() -> None:
    """In silence there is one now and then; when nothing more comes from here, that is said."""
    feed, socket = Feed(MATCH, 0), Socket()
    task = watching(feed, socket, heartbeat=0.005)
    while socket.body.count(frames.BEAT) < 3:  # noqa: ASYNC110 (a real clock beats)
        await asyncio.sleep(0.005)
    feed.tell(words(1)[0])
    await settle()
    feed.leave()
    await asyncio.wait_for(task, 5)
    assert socket.body.endswith(frames.LEAVING)
    assert socket.ids == [0]


async def test_who_leaves_and_who_may_not_stay() -> None:
    """A client that hangs up ends its watcher at once, whatever that waits for; so does a key that is withdrawn."""
    feed = Feed(MATCH, 0)
    for is_open in (True, False):
        socket = Socket(is_open)
        task = watching(feed, socket)
        await settle()
        socket.watcher.interrupt("left")
        await asyncio.wait_for(task, 5)
    allowed = True
    socket = Socket()
    task = watching(feed, socket, stay=lambda: allowed)
    await settle()
    allowed = False
    feed.tell(words(1)[0])
    await asyncio.wait_for(task, 5)
    assert socket.ids == []
    assert feed._waiting == {}
    assert feed._beat is None


# -- what is told ------------------------------------------------------------------------------------


def test_every_event_as_a_frame() -> None:
    """Three lines and a blank one, with or without the name, whatever is in the texts; amounts are text in USD."""
    for event in told(*ALL):
        tag = event.__struct_config__.tag
        lines = frames.frame(event, 7, True).decode().split("\n")
        assert lines[0:2] == [f"id: {event.seq}-7", f"event: {tag}"]
        assert lines[3:] == ["", ""]
        found = json.loads(lines[2].removeprefix("data: "))
        assert found["type"] == tag
        assert "_units" not in lines[2]
        assert frames.frame(event, 7, False).decode().split("\n")[1] == lines[2]
    [lost] = [frames.frame(Words(seq=3, part="t0.0.0", text="\ud800"), 0, True)]
    assert json.loads(lost.split(b"data: ")[1])["text"] == "\ud800"


SECRETS = {
    "guest": ("request-canary", "owner-canary", "message-canary", "0.000777", "424242"),
    "hidden": ("request-canary", "owner-canary", "message-canary", "0.000777", "424242", "535353", "a/one", "c/three", "b/two", "One", "Ö"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["guest", "hidden"])
def test_what_is_taken_away(form: Form) -> None:
    """Of every kind of event: no costs, requests, owner and words of errors; and hidden, nothing that names a fighter."""
    secret = 777 * 10**6
    whole = match(owner="owner-canary", seed=424242)
    events = []
    for event in (Begun(match=whole), *ALL, TurnEnded(turn=ALL[0].turn, request="r", text="t", model="a/one", completion_tokens=535353, why_void="b/two spoke for a/one.")):  # fmt: skip # type: ignore[union-attr]
        changes: dict[str, Any] = {}
        for field in event.__struct_fields__:
            if field == "request":
                changes[field] = "request-canary"
            elif field.endswith("_units"):
                changes[field] = secret
            elif field == "message":
                changes[field] = "message-canary"
            elif field == "lost":
                changes[field] = ("request-canary",)
            elif field == "why":
                changes[field] = "One could not speak, nor c/three."
        events.append(msgspec.structs.replace(event, **changes))
    heard = b"".join(frames.frame(event_as(whole, one, form), 0, True) for one in events).decode()
    heard += msgspec.json.encode(match_as(whole, form)).decode()
    for canary in SECRETS[form]:
        assert canary not in heard, canary
    everything = b"".join(frames.frame(event_as(whole, one, "whole"), 0, True) for one in events).decode()
    assert all(canary in everything for canary in (*SECRETS[form],))
    assert ("A could not speak, nor B." in heard) == (form == "hidden")


def test_requests_can_be_told_apart_where_they_are_hidden() -> None:
    """What was lost names the call that had begun, also for those who are not told its id."""
    began, resumed = ALL[0], ALL[-2]
    assert hasattr(began, "request")
    lost = msgspec.structs.replace(resumed, lost=(began.request,))
    told_began, told_lost = (event_as(MATCH, one, "guest") for one in (began, lost))
    assert told_lost.lost == (told_began.request,)  # type: ignore[union-attr]
    assert began.request not in (told_began.request,)  # type: ignore[union-attr]


OWNER, SPECTATOR = ("owner", "ada"), ("spectators", "bob")


@pytest.mark.parametrize(
    ("kind", "judges", "end", "voters", "viewer", "hidden"),
    [
        ("debate", (), "", (), SPECTATOR, False),
        ("battle", (), "", (), OWNER, True),
        ("battle", (), "unjudged", (), OWNER, True),
        ("battle", (), "unjudged", (), SPECTATOR, True),
        ("battle", (), "unjudged", (SPECTATOR,), OWNER, True),
        ("battle", (), "unjudged", (SPECTATOR,), SPECTATOR, False),
        ("battle", (), "unjudged", (OWNER,), SPECTATOR, False),
        ("battle", (), "", (OWNER,), SPECTATOR, True),
        ("battle", (), "", (SPECTATOR,), SPECTATOR, False),
        ("battle", ("j",), "", (OWNER,), SPECTATOR, True),
        ("battle", ("j",), "decided", (), SPECTATOR, False),
        ("battle", (), "failed", (), SPECTATOR, False),
        ("battle", (), "stopped", (), SPECTATOR, False),
    ],
)
def test_when_a_battle_tells(
    kind: Any, judges: tuple[str, ...], end: str, voters: Any, viewer: tuple[str, str], hidden: bool
) -> None:
    """To who has voted at once; to others at the end, which is the owner's vote where nobody judges."""
    held: Match = msgspec.structs.replace(
        MATCH, kind=kind, rules=msgspec.structs.replace(MATCH.rules, judges=judges), fighters=(Fighter("a"), Fighter("b"))
    )  # fmt: skip
    votes = [Vote(match=MATCH.id, source=source, voter=name, round=None, choice=0) for source, name in voters]
    assert is_hidden(held, end, votes, viewer) == hidden


def test_sentences_of_errors_are_the_tables_own() -> None:
    """Whoever is not the owner hears what went wrong in our own words."""
    for event in ALL:
        if isinstance(event, TurnFailed | JudgeFailed):
            shown = event_as(MATCH, event, "guest")
            assert shown.message not in ("", event.message) or event.message == "The answer broke off."  # type: ignore[union-attr]


# -- the docs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_route_stands_in_the_docs_and_in_the_matrix(one: Any) -> None:
    """With its method, its query's fields and its body's; and it is one of the gateway's places."""
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| `{one.method} {one.path}` |")]
    rest = PAGE.replace(line, "")
    for shape in (one.query, one.body):
        for field in shape.__struct_fields__ if shape is not None else ():
            assert f"`{field}`" in line or f"?{field}=" in rest or f"`{field}`" in rest, field
    path = one.path.replace("{id}", "x")
    listed = {(method, path): place for method, path, place in places.every()}
    for prefix in places.PREFIXES:
        place = listed[one.method, f"{prefix}/arena{path}"]
        assert place.need == one.need
        assert places.find(f"{prefix}/arena{path}")[0] is place
    assert handler(one).__doc__


def test_the_docs_name_no_other_route() -> None:
    """What stands there is there."""
    told_routes = set(re.findall(r"^\| `(\w+ /[^`]*)` \|", PAGE, re.MULTILINE))
    assert told_routes == {f"{one.method} {one.path}" for one in OPERATIONS}
