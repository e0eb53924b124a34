"""The arena against who means it ill: guesses, races, stuffed votes, wrong bytes, and the end at any moment."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from allevents import match as some_match
from bytedeck.arena.events import Begun, Resumed, Words
from bytedeck.callers import Caller
from bytedeck.debates.adebate import AsyncDebate
from bytedeck.gateway.arena import who
from bytedeck.gateway.arena.told import board
from bytedeck.simulator import Simulator
from gateways import Gateway, dial, post, read_until
from ringside import BATTLE, DEBATE, LONG, MINI, Client, counts, until


@pytest.fixture
def local(gateway: Gateway) -> Client:
    """Who is at this machine; there are no keys."""
    return Client(gateway)


@pytest.fixture
def keyed(gateway: Gateway) -> Callable[..., Client]:
    """Makes a key and its client."""

    def made(name: str, **more: Any) -> Client:
        secret = gateway.app.hub.house.keys.create(Caller(name=name, **more))
        gateway.do(gateway.app.access.refresh())
        return Client(gateway, secret)

    return made


@pytest.fixture
def endless(openrouter: Simulator) -> Iterator[Gateway]:
    """A world in which debates take minutes."""
    openrouter.reset(scale=1.0, tps=60)
    with Gateway(heartbeat=0.05) as running:
        yield running


# -- what leaks --------------------------------------------------------------------------------------


def test_the_panel_tells_no_family(local: Client) -> None:
    """Judges are of families that do not fight, so who judges a hidden battle is told when it tells its models."""
    match = local.begin(BATTLE, judges=2, public=True)
    with local.stream(match) as stream:
        told = json.dumps(stream.events())
    judges = local.over(match)["judges"]  # judged: it tells its models now
    assert len(judges) == 2
    for one in judges:
        assert one["model"] not in told
        assert one["model"].partition("/")[0] not in told.lower()
    assert '"judge_ended"' in told


def test_no_id_of_a_foreign_match_is_guessed_at(keyed: Callable[..., Client]) -> None:
    """A list that begins after another key's match is refused as one that never was, and no other one is proposed."""
    ada, bob = keyed("ada"), keyed("bob")
    match = ada.begin()
    ada.over(match)
    near = match[:-1] + ("a" if match[-1] != "a" else "b")
    for before in (match, near):
        told = bob.ask("GET", f"/matches?before={before}")
        assert (told.status, told.json["error"]["type"]) == (404, "unknown_match")
        assert match not in told.body.replace(f"'{before}'", "")
        assert "hint" not in told.json["error"]["metadata"]
    assert ada.ask("GET", f"/matches?before={match}").json["data"] == []


def test_a_list_ends_where_a_name_was_another_keys(gateway: Gateway, keyed: Callable[..., Client]) -> None:
    """Who got a name anew pages through its own matches, and gets no id of the old one's to go on with."""
    keyed("root", role="admin")
    old = keyed("ada")
    first = old.begin()
    old.over(first)
    gateway.app.hub.house.keys.forget("ada")
    new = keyed("ada")
    own = new.begin()
    new.over(own)
    told = new.ask("GET", "/matches?limit=2").json
    assert ([one["id"] for one in told["data"]], told["before"]) == ([own], None)
    told = new.ask("GET", "/matches?limit=1").json
    assert told["before"] == own
    assert new.ask("GET", f"/matches?limit=1&before={own}").json == {"data": [], "before": None}


def test_the_board_names_no_other_models(gateway: Gateway, keyed: Callable[..., Client]) -> None:
    """Who may use some models reads of no other one, in no row and in no sentence beside them."""
    ada, bob = keyed("ada"), keyed("bob", models=(MINI,))
    match = ada.begin(public=True)
    ada.over(match)
    ada.ask("POST", f"/matches/{match}/votes", {"choice": "A"})
    found = gateway.app.hub.arena._league.board(source="owner")
    first, second = found.rows
    rows = (replace(first, is_provisional=False), replace(second, is_provisional=True))
    told = board(replace(found, rows=rows, notes=(f"Few battles: {second.name}.", "Another.")), [first.model])
    assert [one["model"] for one in told["rows"]] == [first.model]
    assert told["notes"] == ["Another."]
    [row] = bob.ask("GET", "/board?source=owner").json["rows"]
    assert row["model"] == MINI
    assert len(ada.ask("GET", "/board?source=owner").json["rows"]) == 2


# -- votes -------------------------------------------------------------------------------------------


def test_one_key_has_one_vote(keyed: Callable[..., Client]) -> None:
    """Who did not make a match names no voters: one key would be a thousand. Whose site it is does."""
    ada, bob, root = keyed("ada"), keyed("bob"), keyed("root", role="admin")
    match = ada.begin(public=True)
    ada.over(match)
    for one in (bob, root):
        told = one.ask("POST", f"/matches/{match}/votes", {"choice": "A", "voter": "x"})
        assert (told.status, told.json["error"]["type"]) == (403, "permission_denied")
        assert one.ask("GET", f"/matches/{match}?voter=x").status == 403
    for choice in ("A", "B"):
        assert bob.ask("POST", f"/matches/{match}/votes", {"choice": choice}).status == 200
    for voter in ("x", "y"):
        assert ada.ask("POST", f"/matches/{match}/votes", {"choice": "A", "voter": voter}).status == 200
    [tally] = ada.ask("GET", f"/matches/{match}/votes").json["data"]
    assert (tally["source"], tally["counts"]) == ("spectators", [2, 1])


def test_votes_at_the_same_time(local: Client) -> None:
    """Many who vote again and again at once: each has one vote."""
    match = local.begin()
    local.over(match)
    voters = [f"v{number % 4}" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        told = list(
            threads.map(
                lambda one: local.ask("POST", f"/matches/{match}/votes", {"choice": "A", "voter": one}),
                voters,
            )
        )
    assert {one.status for one in told} == {200}
    [tally] = local.ask("GET", f"/matches/{match}/votes").json["data"]
    assert tally["counts"] == [4, 0]


@pytest.mark.parametrize(
    "body",
    [{"round": 2}, {"round": 0, "choice": "C"}, {"choice": "2.0"}, {"voter": "x\n"}, {"voter": "a/b"}, {"voter": "\ud800"},
     {"round": "0"}, {"round": 0.5}, {"choice": None}, {"round": True}],
)  # fmt: skip
def test_votes_that_mean_nothing(gateway: Gateway, local: Client, body: dict[str, Any]) -> None:
    """A round that does not exist, a name that none has: refused, and nothing is counted."""
    match = local.begin()
    local.over(match)
    told = local.ask("POST", f"/matches/{match}/votes", {"choice": "A"} | body)
    assert told.status in (400, 422), told
    assert gateway.app.hub.house.matches.votes(match) == ()


# -- bodies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\ud800": 1}',
        json.dumps(DEBATE | {"fighters": [MINI, "\ud800"]}).encode(),
        json.dumps(DEBATE | {"fighters": [MINI, {"model": MINI, "persona": "\ud800"}]}).encode(),
        json.dumps(DEBATE | {"fighters": [MINI, {"model": MINI, "stance": "\ud800"}]}).encode(),
        json.dumps(DEBATE | {"task": "\ud800"}).encode(),
        json.dumps(DEBATE | {"judges": ["\ud800"]}).encode(),
        json.dumps(DEBATE | {"topic": "\ud800"}).encode(),
        json.dumps(DEBATE | {"budget": "1e999999999"}).encode(),
        json.dumps(DEBATE | {"budget": "NaN"}).encode(),
        json.dumps(DEBATE | {"budget": "-Infinity"}).encode(),
        json.dumps(DEBATE | {"budget": "1e-999999999"}).encode(),
        json.dumps(DEBATE)[:-1].encode() + b', "temperature": 1e400}',
        json.dumps(DEBATE)[:-1].encode() + b', "temperature": NaN}',
        b"[" * 100_000,
        b'{"fighters":' * 50_000,
        b"\xff\xfe{}",
        b"{}" + b" " * 10,
        b"null",
    ],
    ids=range(18),
)  # fmt: skip
def test_bodies_that_mean_nothing(gateway: Gateway, local: Client, body: bytes) -> None:
    """Half characters, numbers without end, depths: a sentence of the caller's fault, and nothing is kept."""
    with dial(gateway.port, post("/v1/arena/debates", body, "Connection: close")) as connection:
        head, _, told = read_until(connection, b"never").partition(b"\r\n\r\n")
    assert head[9:12] in (b"400", b"404", b"422"), head
    assert json.loads(told)["error"]["message"]
    assert local.ask("GET", "/matches").json["data"] == []


def test_a_body_that_is_too_large(gateway: Gateway) -> None:
    """It is refused by what it says of itself, before it has come."""
    head = b"POST /v1/arena/debates HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
    with dial(gateway.port, head) as connection:
        assert read_until(connection, b"\r\n").startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "Origin: null", "Host: evil.example"])
@pytest.mark.parametrize("path", ["/stop", "/votes", "/resume", ""])
def test_no_page_rules_a_match(gateway: Gateway, local: Client, header: str, path: str) -> None:
    """Where there are no keys, what a page from elsewhere sends is refused, also what needs no JSON."""
    match = local.begin()
    local.over(match)
    method, name = ("POST" if path else "DELETE"), header.partition(":")[0]
    lines = [
        f"{method} /v1/arena/matches/{match}{path} HTTP/1.1",
        header,
        "Content-Length: 0",
        "Connection: close",
    ]
    if name != "Host":
        lines.append("Host: 127.0.0.1")
    with dial(gateway.port, "\r\n".join([*lines, "", ""]).encode()) as connection:
        assert read_until(connection, b"never").startswith(b"HTTP/1.1 403")
    assert local.ask("GET", f"/matches/{match}").status == 200


# -- the stream --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["-1", "5-", "5-0-1", "-", "5 0", "9" * 13, "1e3", "0x1", "5-9999999", "a-b", "５"]
)
def test_ids_of_events_that_are_none(local: Client, said: str) -> None:
    """Each is refused with its sentence; nothing is told from a wrong place."""
    match = local.begin()
    local.over(match)
    with local.stream(match, "", f"Last-Event-ID: {said}", "Connection: close") as stream:
        assert stream.until(b"never").startswith(b"HTTP/1.1 400")


def test_what_was_heard_and_never_written_is_told_anew(gateway: Gateway, local: Client) -> None:
    """Words are handed out before they are written. Who heard some that a crash took away, and comes back once the match
    has gone on with other events of their numbers, misses none of those: the id tells in which life he heard them."""
    store = gateway.app.hub.house.matches
    held = replace(some_match(), id="a" * 10)
    store.create(held, Begun(match=held))
    store.append(held.id, [Words(seq=1, part="t0.0.0", text="kept")])
    store.append(
        held.id, [Resumed(seq=2), *(Words(seq=seq, part="t0.0.0", text="new") for seq in range(3, 9))]
    )
    for said, first in (("6-0", 2), ("1-0", 2), ("0-0", 1), ("6-1", 7), ("6", 7), ("6-3", 7)):
        with local.stream(held.id, "", f"Last-Event-ID: {said}") as stream:
            data = stream.until(b"id: 8-1")
        ids = [line.removeprefix(b"id: ") for line in data.splitlines() if line.startswith(b"id: ")]
        assert ids == [b"%d-%d" % (seq, seq >= 2) for seq in range(first, 9)], said
    with local.stream(held.id, "?after=6-0") as stream:
        assert b"id: 2-1" in stream.until(b"id: 8-1")


def test_lives_are_counted_across_the_seam(gateway: Gateway, local: Client) -> None:
    """A match is resumed while it is watched: past, rest and who comes late name the events alike."""
    store = gateway.app.hub.house.matches
    held = replace(some_match(), id="b" * 10)
    store.create(held, Begun(match=held))
    store.append(held.id, [Resumed(seq=1), Words(seq=2, part="t0.0.0", text="x")])
    with local.stream(held.id) as early:
        early.until(b"id: 2-1")
        store.append(held.id, [Resumed(seq=3), Words(seq=4, part="t0.0.0", text="y")])
        seen = early.until(b"id: 4-2")
        with local.stream(held.id) as late:
            again = late.until(b"id: 4-2")
    for data in (seen, again):
        assert [line for line in data.splitlines() if line.startswith(b"id")] == [
            b"id: 0-0", b"id: 1-1", b"id: 2-1", b"id: 3-2", b"id: 4-2"
        ]  # fmt: skip


def test_what_was_told_here_and_never_written_is_not_gone_on_with(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A match is left, and its last words could not be kept: who watches is sent away, to hear what holds."""
    house, local = gateway.app.hub.house, Client(gateway)
    held = replace(some_match(), id="c" * 10)
    house.matches.create(held, Begun(match=held))
    with local.stream(held.id) as stream:
        stream.until(b"id: 0-0")
        house.matches.append(held.id, [Words(seq=1, part="t0.0.0", text="x")])
        stream.until(b"id: 1-0")
        feed = gateway.app.hall._feeds[held.id]
        gateway._loop.call_soon_threadsafe(feed.tell, Words(seq=2, part="t0.0.0", text="lost"))
        assert b"event: leaving" in stream.until(b"\r\n0\r\n\r\n")


def test_no_watcher_joins_at_the_end(endless: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked just before the gateway was told to stop is told so, and holds up no shutdown."""
    local = Client(endless)
    match = local.begin(LONG)
    real, came, go = who.view, threading.Event(), threading.Event()

    async def held_up(*args: Any) -> Any:
        found = await real(*args)
        came.set()
        await asyncio.to_thread(go.wait, 10)
        return found

    monkeypatch.setattr(who, "view", held_up)
    with local.stream(match) as stream:
        assert came.wait(10)
        endless.do(endless.app.hall.close())
        go.set()
        assert b"event: leaving" in stream.until(b"\r\n0\r\n\r\n")
    assert counts(endless) == (0, 0)


def test_strangers_watch_no_more_once_there_are_keys(endless: Gateway) -> None:
    """With the first key the streams of who showed none end."""
    local = Client(endless)
    match = local.begin(LONG)
    with local.stream(match) as stream:
        stream.until(b'"words"')
        endless.app.hub.house.keys.create(Caller(name="ada"))
        endless.do(endless.app.access.refresh())
        assert stream.events()[-1]["event"] == "words"
    until(lambda: counts(endless)[1] == 0)
    assert counts(endless)[0] == 1


# -- a key's bounds -----------------------------------------------------------------------------------


def test_a_key_that_is_changed_binds_what_goes_on(endless: Gateway) -> None:
    """What an admin takes from a key holds for the next call of a debate of its: that is kept back, and the debate waits."""
    keys = endless.app.hub.house.keys
    secret = keys.create(Caller(name="ada"))
    endless.do(endless.app.access.refresh())
    ada = Client(endless, secret)
    match = ada.begin(max_tokens=60, rounds=9)
    with ada.stream(match) as stream:
        stream.until(b'"words"')
        keys.update("ada", lambda one: replace(one, models=("nobody/nothing",)))
        endless.do(endless.app.access.refresh())
        stream.until(b'"paused"')
    told = ada.ask("GET", f"/matches/{match}").json
    assert (told["state"], told["paused"]["code"]) == ("paused", "permission_denied")
    assert {turn["round"] for turn in told["turns"] if turn["state"] == "said"} < {0, 1}
    keys.update("ada", lambda one: replace(one, models=()))
    endless.do(endless.app.access.refresh())
    assert ada.ask("POST", f"/matches/{match}/resume").status == 200
    assert ada.ask("POST", f"/matches/{match}/stop").status == 200


# -- races -------------------------------------------------------------------------------------------


def test_two_who_stop_at_once(endless: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stops it, the others are told that it is over or going on; nothing of it is left here, however long its end takes
    and whoever is in a hurry."""
    real = AsyncDebate.aclose

    async def slow(self: AsyncDebate) -> None:
        await real(self)
        await asyncio.sleep(0.1)

    monkeypatch.setattr(AsyncDebate, "aclose", slow)
    local = Client(endless)
    match = local.begin(LONG)
    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(lambda at: local.ask("POST", at).status, [f"/matches/{match}/stop"] * 4))
    assert sorted(told) == [200, 409, 409, 409]
    assert counts(endless)[0] == 0
    match = local.begin(LONG)
    task = endless.app.hall._bouts[match].task
    for _ in range(4):
        endless._loop.call_soon_threadsafe(task.cancel)
        time.sleep(0.05)
    until(lambda: counts(endless)[0] == 0)


def test_two_who_resume_at_once(openrouter: Simulator) -> None:
    """One goes on, all others hear 409."""
    openrouter.reset(scale=1.0, tps=60)
    with Gateway() as first:
        match = Client(first).begin(LONG)
    with Gateway() as second:
        local = Client(second)
        with ThreadPoolExecutor(4) as threads:
            told = list(threads.map(lambda _: local.ask("POST", f"/matches/{match}/resume").status, range(4)))
        assert sorted(told) == [200, 409, 409, 409]
        assert counts(second)[0] == 1
        second.do(second.app.hall.leave(match))
        assert local.ask("POST", f"/matches/{match}/resume").status == 200
        with local.stream(match) as stream:  # whose past is read, and then what happens
            data = stream.until(b"-2\nevent: words")
        lives = [line.rpartition(b"-")[2] for line in data.splitlines() if line.startswith(b"id: ")]
        assert lives == sorted(lives)
        assert set(lives) == {b"0", b"1", b"2"}
        assert local.ask("POST", f"/matches/{match}/stop").status == 200


def test_the_end_waits_for_a_match_that_begins(endless: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being made when the gateway ends is let go, so that nothing is held once the hall is closed."""
    local, hall_ = Client(endless), endless.app.hall
    go, came = threading.Event(), threading.Event()
    matches = endless.app.hub.house.matches
    create = type(matches).create

    def slow(self: Any, *args: Any) -> None:
        came.set()
        go.wait(10)
        create(self, *args)

    monkeypatch.setattr(type(matches), "create", slow)
    with ThreadPoolExecutor(1) as threads:
        begun = threads.submit(local.ask, "POST", "/debates", LONG)
        assert came.wait(10)
        closing = asyncio.run_coroutine_threadsafe(hall_.close(), endless._loop)
        go.set()
        closing.result(10)
        [kept] = matches.list()
        assert not kept.is_held
        assert begun.result(10).status == 503


# -- many, and metrics -------------------------------------------------------------------------------


def test_what_is_held_and_watched_is_counted(endless: Gateway) -> None:
    """The metrics tell how many matches are held here, and how many watch."""
    local = Client(endless)
    match = local.begin(LONG)
    with local.stream(match) as stream:
        stream.until(b'"words"')
        text = endless.app.metrics.text(endless.app).decode()
        assert "\nbyte_matches_held 1\n" in text
        assert "\nbyte_match_watchers 1\n" in text
    local.ask("POST", f"/matches/{match}/stop")
    until(lambda: "\nbyte_match_watchers 0\n" in endless.app.metrics.text(endless.app).decode())
    assert "\nbyte_matches_held 0\n" in endless.app.metrics.text(endless.app).decode()
