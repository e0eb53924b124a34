"""Debates and battles by HTTP: begun, watched, voted on, paused, stopped and removed, by whoever may."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bytedeck.callers import Caller
from bytedeck.gateway.arena import hall
from bytedeck.simulator import Simulator
from gateways import Gateway
from ringside import BATTLE, DEBATE, LONG, MINI, SONNET, Client, counts, until


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


# -- held and watched --------------------------------------------------------------------------------


def test_a_debate_by_http(local: Client, gateway: Gateway) -> None:
    """It is made with one request, goes on by itself, and all of it can be read: as JSON, a stream and documents."""
    begun = local.ask("POST", "/debates", DEBATE)
    assert begun.status == 201
    match = begun.json["id"]
    assert begun.headers["location"] == f"/v1/arena/matches/{match}" == begun.json["links"]["self"]
    told = local.over(match)
    assert [turn["state"] for turn in told["turns"]] == ["said"] * 4
    assert told["end"] == "unjudged"
    assert [one["model"] for one in told["fighters"]] == [MINI, SONNET]
    rows = gateway.rows()
    total = sum(row.cost_units for row in rows)
    assert round(float(told["costs"]["total"]["usd"]) * 1e12) == total > 0
    events = local.events(match)
    assert [one["id"] for one in events] == list(range(told["last"] + 1))
    assert all(one["event"] == one["data"]["type"] for one in events)
    assert (events[0]["event"], events[-1]["event"]) == ("begun", "ended")
    for name, kind, mark in (
        ("page", "text/html", "<!doctype html>"),
        ("card", "image/svg+xml", "<svg"),
        ("transcript", "text/markdown", "# "),
    ):
        document = local.ask("GET", f"/matches/{match}/{name}")
        assert document.status == 200
        assert document.headers["content-type"].startswith(kind)
        assert mark in document.body
        assert document.headers["x-content-type-options"] == "nosniff"
    [listed] = local.ask("GET", "/matches").json["data"]
    assert listed["id"] == match
    assert local.ask("GET", "/board").json["rows"] == []


@pytest.mark.parametrize("cut", [0, 1, 7, 11])
def test_who_comes_back_misses_nothing(local: Client, cut: int) -> None:
    """Wherever a stream was cut off: with the last id, as a header or in the query, come exactly the events after it."""
    match = local.begin()
    local.over(match)
    whole = local.events(match)
    assert local.events(match, "", f"Last-Event-ID: {cut}") == whole[cut + 1 :]
    assert local.events(match, f"?after={cut}") == whole[cut + 1 :]
    assert local.events(match, "?after=0", f"Last-Event-ID: {cut}") == whole[cut + 1 :]
    last = whole[-1]["id"]
    assert local.ask("GET", f"/matches/{match}/events?after={last}").status == 204


@pytest.fixture
def endless(openrouter: Simulator) -> Iterator[Gateway]:
    """A world in which debates take minutes."""
    openrouter.reset(scale=1.0, tps=60)
    with Gateway(heartbeat=0.05) as running:
        yield running


def test_a_page_is_written_along_where_a_browser_can(endless: Gateway) -> None:
    """Without keys the page of a running match names a stream without names of events, after what stands in it."""
    local = Client(endless)
    match = local.begin(LONG)
    with local.stream(match) as stream:
        stream.until(b'"words"')
    page = local.ask("GET", f"/matches/{match}/page").body
    [live] = re.findall(r'"live":"/v1/arena(/matches/[^"]*)"', page)
    after = int(live.rpartition("=")[2].removesuffix("-0"))
    with local.stream(match, live[live.index("?") :].replace("\\u0026", "&")) as stream:
        stream.until(b'"words"')
        assert local.ask("POST", f"/matches/{match}/stop").status == 200
        events = stream.events()
    assert events[0]["id"] == after + 1
    assert {one["event"] for one in events} == {""}
    assert '"live":""' in local.ask("GET", f"/matches/{match}/page").body
    secret = endless.app.hub.house.keys.create(Caller(name="ada"))
    endless.do(endless.app.access.refresh())
    ada = Client(endless, secret)
    running = ada.begin(LONG)
    assert '"live":""' in ada.ask("GET", f"/matches/{running}/page").body
    ada.ask("POST", f"/matches/{running}/stop")


@pytest.fixture
def slow(openrouter: Simulator) -> Iterator[Gateway]:
    """A world in which models take their time."""
    openrouter.reset(scale=0.2)
    with Gateway(heartbeat=0.05) as running:
        yield running


def test_watchers_of_a_live_debate(slow: Gateway) -> None:
    """Early and late ones, with or without names, hear the same events, each once and in order."""
    local = Client(slow)
    match = local.begin(max_tokens=60)
    early = [local.stream(match) for _ in range(5)]
    early[0].until(b'"words"')
    late, plain = local.stream(match), local.stream(match, "?names=false")
    told = [one.events() for one in (*early, late, plain)]
    for one in (*early, late, plain):
        one.close()
    ids = [one["id"] for one in told[0]]
    assert ids == list(range(len(ids)))
    assert told[0][-1]["event"] == "ended"
    assert all(one == told[0] for one in told[1:6])
    assert [one["data"] for one in told[6]] == [one["data"] for one in told[0]]
    assert {one["event"] for one in told[6]} == {""}
    assert counts(slow) == (0, 0)


def test_who_leaves_is_forgotten(endless: Gateway) -> None:
    """A watcher who hangs up leaves nothing behind, and the debate goes on."""
    local = Client(endless)
    match = local.begin(LONG)
    watching = [local.stream(match) for _ in range(10)]
    for one in watching:
        one.until(b'"turn_began"')
    assert counts(endless) == (1, 10)
    for one in watching:
        one.close()
    until(lambda: counts(endless)[1] == 0)
    assert local.ask("GET", f"/matches/{match}").json["state"] == "running"
    local.ask("POST", f"/matches/{match}/stop")
    assert counts(endless) == (0, 0)


def test_the_end_of_the_gateway_leaves_a_debate_to_be_taken_up(
    openrouter: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watchers are told that it is left; the next process shows the past, and goes on where it was."""
    openrouter.reset(scale=1.0, tps=60)
    with Gateway() as first:
        local = Client(first)
        match = local.begin(max_tokens=400)
        stream = local.stream(match)
        stream.until(b'"words"')
    events = stream.events()
    stream.close()
    seen = [one for one in events if one["event"] != "leaving"]
    assert len(seen) == len(events) - 1
    openrouter.reset(scale=0.001)
    with Gateway() as second:
        local = Client(second)
        assert local.ask("GET", f"/matches/{match}").json["state"] == "cut off"
        stream = local.stream(match, "", f"Last-Event-ID: {seen[-1]['id']}")
        stream.until(b"retry")
        assert local.ask("POST", f"/matches/{match}/resume").status == 200
        told = seen + stream.events()
        stream.close()
        assert [one["id"] for one in told] == list(range(len(told)))
        assert told == local.events(match)
        assert told[-1]["event"] == "ended"


def test_a_match_held_elsewhere_is_watched_all_the_same(gateway: Gateway, tmp_path: Path) -> None:
    """What another holds is read from the store as it is written, for all who watch it here by one look."""
    local = Client(gateway)
    house = gateway.app.hub.house
    match = local.begin()
    local.over(match)
    events = house.matches.events(match)
    from msgspec.structs import replace

    other = replace(events[0].match, id="a" * 10)
    begun = replace(events[0], match=other)
    house.matches.create(other, begun)
    streams = [local.stream(other.id) for _ in range(3)]
    for one in streams:
        one.until(b'"begun"')
    assert len(gateway.app.hall._tails) == 1
    for at in range(1, len(events), 5):
        house.matches.append(other.id, events[at : at + 5])
    told = [one.events() for one in streams]
    for one in streams:
        one.close()
    assert [one["id"] for one in told[0]] == list(range(len(events)))
    assert told[1] == told[2] == told[0]
    until(lambda: not gateway.app.hall._tails and not gateway.app.hall._feeds)


# -- money, stopping, removing -----------------------------------------------------------------------


def test_a_budget_pauses_and_goes_on(slow: Gateway) -> None:
    """It waits where the budget has no room, its watchers stay and get signs of life, and a larger one lets it go on."""
    local = Client(slow)
    match = local.begin(budget="0.0001", max_tokens=200)
    paused = until(lambda: (one := local.ask("GET", f"/matches/{match}").json)["state"] == "paused" and one)
    assert paused["paused"]["budget_usd"] == "0.0001"
    stream = local.stream(match)
    assert b'"paused"' in stream.until(b"\n:\n\n")
    until(lambda: counts(slow) == (0, 1))
    assert local.ask("POST", f"/matches/{match}/resume", {"budget": "0.5"}).status == 200
    kinds = [one["event"] for one in stream.events()]
    stream.close()
    assert kinds[kinds.index("paused") + 1] == "resumed"
    assert kinds[-1] == "ended"
    assert local.ask("POST", f"/matches/{match}/resume", {"budget": "1"}).status == 409


def test_stop_and_remove(endless: Gateway) -> None:
    """A stopped match is over at once and for good; what is removed is not there any more."""
    local = Client(endless)
    match = local.begin(LONG)
    stream = local.stream(match)
    stream.until(b'"words"')
    assert local.ask("DELETE", f"/matches/{match}").status == 409
    stopped = local.ask("POST", f"/matches/{match}/stop")
    assert (stopped.status, stopped.json["end"]) == (200, "stopped")
    assert stream.events()[-1]["data"]["end"] == "stopped"
    stream.close()
    assert local.ask("POST", f"/matches/{match}/stop").status == 409
    assert local.ask("POST", f"/matches/{match}/resume").status == 409
    assert local.ask("DELETE", f"/matches/{match}").status == 204
    for path in ("", "/events", "/votes", "/page", "/card", "/transcript"):
        assert local.ask("GET", f"/matches/{match}{path}").status == 404


def test_no_more_than_it_takes(endless: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """One match too many is refused with 503 and Retry-After, and nothing of it is kept."""
    monkeypatch.setattr(hall, "MOST", 1)
    local = Client(endless)
    match = local.begin(LONG)
    refused = local.ask("POST", "/debates", DEBATE)
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    assert len(local.ask("GET", "/matches").json["data"]) == 1
    local.ask("POST", f"/matches/{match}/stop")


# -- battles -----------------------------------------------------------------------------------------


def test_a_battle_hides_its_models_until_the_vote(gateway: Gateway, local: Client) -> None:
    """Nothing that can be read names them, their requests or their costs, and no guess finds them out; a vote tells."""
    match = local.begin(BATTLE)
    requests = {row.request for row in gateway.rows()}
    assert local.over(match)["fighters"] == [{"label": "A", "model": "A"}, {"label": "B", "model": "B"}]
    requests |= {row.request for row in gateway.rows()}
    for path in ("", "/page", "/card", "/transcript", "/votes"):
        local.ask("GET", f"/matches/{match}{path}")
    local.ask("GET", "/matches")
    local.heard += json.dumps(local.events(match))
    guess = local.ask("POST", f"/matches/{match}/votes", {"choice": MINI})
    assert (guess.status, guess.json["error"]["param"]) == (422, "choice")
    heard = local.heard
    for secret in (SONNET, MINI, "GPT-4o", "Claude", *requests):
        assert secret not in heard, secret
    assert '"cost_usd": "' not in heard
    voted = local.ask("POST", f"/matches/{match}/votes", {"choice": "A"})
    assert voted.json["fighters"] == [MINI, SONNET]
    assert voted.json["vote"]["source"] == "owner"
    told = local.ask("GET", f"/matches/{match}").json
    assert [one["model"] for one in told["fighters"]] == [MINI, SONNET]
    assert told["votes"][0]["counts"] == [1, 0]
    assert {one["data"].get("model") for one in local.events(match)} >= {MINI, SONNET}


def test_who_has_voted_knows_and_others_do_not(keyed: Callable[..., Client]) -> None:
    """In a public battle each spectator is told by its own vote, all by the owner's; their votes are kept apart."""
    ada, bob, cid = keyed("ada"), keyed("bob"), keyed("cid")
    match = ada.begin(BATTLE, public=True)
    ada.over(match)
    assert bob.ask("GET", f"/matches/{match}").json["is_hidden"]
    assert ada.ask("POST", f"/matches/{match}/votes", {"choice": "b", "voter": "x"}).json["fighters"]
    assert not ada.ask("GET", f"/matches/{match}?voter=x").json["is_hidden"]
    assert ada.ask("GET", f"/matches/{match}?voter=y").json["is_hidden"]
    assert ada.ask("GET", f"/matches/{match}").json["is_hidden"]
    assert cid.ask("POST", f"/matches/{match}/votes", {"choice": "tie"}).json["fighters"]
    assert not cid.ask("GET", f"/matches/{match}").json["is_hidden"]
    assert bob.ask("GET", f"/matches/{match}").json["is_hidden"]
    assert ada.ask("POST", f"/matches/{match}/votes", {"choice": "A"}).json["vote"]["source"] == "owner"
    assert not bob.ask("GET", f"/matches/{match}").json["is_hidden"]
    tallies = ada.ask("GET", f"/matches/{match}/votes").json["data"]
    assert [(one["source"], one["counts"], one["ties"]) for one in tallies] == [
        ("owner", [1, 0], 0),
        ("spectators", [0, 1], 1),
    ]


# -- who may -----------------------------------------------------------------------------------------


def test_a_foreign_match_is_not_there(gateway: Gateway, keyed: Callable[..., Client]) -> None:
    """Of a private match another key finds nothing, in the same words as of one that never was; an admin sees it."""
    ada, bob, root = keyed("ada-canary"), keyed("bob"), keyed("root", role="admin")
    match = ada.begin(topic="ada-canary's topic")
    ada.over(match)
    asks = [("GET", ""), ("GET", "/events"), ("GET", "/votes"), ("GET", "/page"), ("GET", "/card"), ("GET", "/transcript"),
            ("POST", "/votes"), ("POST", "/resume"), ("POST", "/stop"), ("DELETE", "")]  # fmt: skip
    for method, path in asks:
        body = {"choice": "A"} if path == "/votes" and method == "POST" else None
        foreign = bob.ask(method, f"/matches/{match}{path}", body)
        absent = bob.ask(method, f"/matches/{'q' * 10}{path}", body)
        assert foreign.status == absent.status == 404, (method, path)
        assert foreign.body.replace(match, "q" * 10) == absent.body
        assert foreign.json["error"]["type"] == "unknown_match"
    assert bob.ask("GET", "/matches").json["data"] == []
    assert match not in bob.heard.replace(f"'{match}'", "")
    assert "ada-canary" not in bob.heard
    assert root.ask("GET", f"/matches/{match}").json["end"] == "unjudged"
    assert [one["id"] for one in root.ask("GET", "/matches").json["data"]] == [match]
    assert root.ask("POST", "/debates", DEBATE).status == 403
    for one in (ada, bob, root):
        assert not [other for other in (ada, bob, root) if other.secret in one.heard]


def test_a_public_match_tells_no_money_and_no_names_of_keys(
    gateway: Gateway, keyed: Callable[..., Client]
) -> None:
    """Others may watch and vote; what it costs, its requests and whose it is they do not hear; they cannot rule it."""
    ada, bob = keyed("ada-canary", owner="owner-canary"), keyed("bob")
    match = ada.begin(public=True, budget="0.5")
    ada.over(match)
    bob.ask("GET", f"/matches/{match}")
    bob.heard += json.dumps(bob.events(match))
    for path in ("page", "card", "transcript"):
        bob.ask("GET", f"/matches/{match}/{path}")
    for secret in ("canary", "0.5", *(row.request for row in gateway.rows())):
        assert secret not in bob.heard, secret
    assert MINI in bob.heard
    vote = bob.ask("POST", f"/matches/{match}/votes", {"choice": "A", "round": 0})
    assert vote.json["vote"] | {"at": 0} == {
        "match": match, "voter": "bob", "source": "spectators", "round": 0, "choice": 0, "at": 0
    }  # fmt: skip
    assert bob.ask("POST", f"/matches/{match}/stop").status == 403
    assert bob.ask("DELETE", f"/matches/{match}").status == 403
    assert bob.ask("POST", f"/matches/{match}/resume").status == 403


def test_a_keys_bounds_hold_before_anything_begins(gateway: Gateway, keyed: Callable[..., Client]) -> None:
    """Models and tasks that a key may not use are refused at once: no match, no row; and its own pay is its own."""
    ada = keyed("ada", models=(MINI, SONNET), tasks=("general",))
    assert ada.ask("POST", "/debates", DEBATE | {"fighters": [MINI, "openai/gpt-4o"]}).status == 403
    assert ada.ask("POST", "/debates", DEBATE | {"judges": ["openai/gpt-4o"]}).status == 403
    assert ada.ask("POST", "/debates", DEBATE | {"task": "coding"}).status == 403
    assert ada.ask("GET", "/matches").json["data"] == []
    assert gateway.rows() == []
    match = ada.begin()
    ada.over(match)
    assert {row.key for row in gateway.rows()} == {"ada"}


def test_a_new_holder_of_a_name_gets_nothing_of_the_old_one(
    gateway: Gateway, keyed: Callable[..., Client]
) -> None:
    """A key that was forgotten and made anew is another one."""
    keyed("root", role="admin")
    old = keyed("ada")
    match = old.begin()
    old.over(match)
    gateway.app.hub.house.keys.forget("ada")
    new = keyed("ada")
    assert new.ask("GET", f"/matches/{match}").status == 404
    assert new.ask("GET", "/matches").json["data"] == []


def test_a_revoked_key_watches_and_fights_no_more(endless: Gateway) -> None:
    """What runs of a key that is withdrawn is left, and its streams end."""
    secret = endless.app.hub.house.keys.create(Caller(name="ada"))
    endless.do(endless.app.access.refresh())
    ada = Client(endless, secret)
    match = ada.begin(LONG)
    stream = ada.stream(match)
    stream.until(b'"words"')
    endless.app.hub.house.keys.revoke("ada")
    endless.do(endless.app.access.refresh())
    stream.events()
    stream.close()
    until(lambda: counts(endless) == (0, 0))
    assert endless.app.hub.house.matches.find(match).state == "cut off"


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/debates", DEBATE | {"rounds": 10}, 422, "rounds"),
        ("/debates", DEBATE | {"fighters": [MINI]}, 422, "fighters"),
        ("/debates", DEBATE | {"fighters": [MINI, {"model": MINI, "sent": "x"}]}, 422, "fighters[1].sent"),
        ("/debates", DEBATE | {"topic": ""}, 422, "topic"),
        ("/debates", DEBATE | {"topic": "  "}, 400, None),
        ("/debates", DEBATE | {"nonsense": 1}, 422, "nonsense"),
        ("/debates", {"fighters": [MINI, MINI]}, 422, "topic"),
        ("/debates", DEBATE | {"judges": True}, 422, "judges"),
        ("/debates", DEBATE | {"budget": "-1"}, 400, None),
        ("/debates", DEBATE | {"fighters": [MINI, "nobody/nothing"]}, 404, None),
        ("/debates", DEBATE | {"fighters": [MINI, {"model": MINI, "persona": "nobody"}]}, 400, None),
        ("/debates", DEBATE | {"task": "nothing"}, 404, None),
        ("/battles", BATTLE | {"models": [MINI, MINI, MINI]}, 422, "models"),
        ("/matches/aaaaaaaaaa/votes", {"choice": ""}, 422, "choice"),
        ("/debates", [], 422, None),
    ],
)  # fmt: skip
def test_bad_requests(local: Client, path: str, body: Any, status: int, param: str | None) -> None:
    """Each gets its status, a sentence and the field, and nothing is kept."""
    told = local.ask("POST", path, body)
    assert (told.status, told.json["error"]["param"]) == (status, param), told.body
    assert told.json["error"]["message"]
    assert local.ask("GET", "/matches").json["data"] == []


def test_bad_queries_and_types(local: Client) -> None:
    """A form of the web sends no JSON, and what cannot be meant in a query or a header is told."""
    match = local.begin()
    local.over(match)
    assert local.ask("POST", "/debates", DEBATE, Content_Type="text/plain").status == 415
    assert local.ask("GET", "/matches?limit=0").json["error"]["param"] == "limit"
    assert local.ask("GET", f"/matches/{match}/events?after=x").json["error"]["param"] == "after"
    assert local.ask("GET", f"/matches/{match}/events", Last_Event_ID="x").status == 400
    assert local.ask("GET", "/board?source=nobody").json["error"]["param"] == "source"
    assert local.ask("POST", f"/matches/{match}").json["error"]["message"].endswith("GET and DELETE do.")
    assert local.ask("GET", f"/matches/{match}/nothing").status == 404
    assert local.ask("GET", f"/matches/{match[:5]}").status == 404
