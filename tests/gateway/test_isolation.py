"""What one key does, no other key ever learns: generated over all protocols, all pages and all ways to be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bytedeck.callers import Caller
from bytedeck.claims import Budget, Limit, Rates
from bytedeck.config.callers import told
from bytedeck.gateway import places
from bytedeck.simulator import Simulator
from gateways import Gateway

PEOPLE = ("ada", "bob", "eve")
MODELS = {"ada": "openai/gpt-4o-mini", "bob": "anthropic/claude-sonnet-4.5", "eve": "openai/gpt-4o"}
TENTH = 10**11
"""Of a USD, in the ledger's units."""


class Told(NamedTuple):
    status: int
    headers: str
    body: str

    @property
    def all(self) -> str:
        return f"{self.headers}\n{self.body}"


class Client:
    """Who holds a key, and remembers all that it was ever told."""

    def __init__(self, gateway: Gateway, name: str, **more: Any) -> None:
        self.gateway, self.name = gateway, name
        self.mark = f"{name}-canary-9f3a"
        self.caller = Caller(name=self.mark, owner=f"owner-{self.mark}", tags=(f"tag-{self.mark}",), **more)
        self.secret = gateway.app.hub.house.keys.create(self.caller)
        gateway.do(gateway.app.access.refresh())
        self.heard: list[str] = []

    @property
    def private(self) -> tuple[str, ...]:
        """What nobody else is to read. The mark is in its name, owner, tags and prompts."""
        return self.mark, self.secret

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Told:
        connection = HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        sent = {"Authorization": f"Bearer {self.secret}", **headers}
        raw = None if body is None else json.dumps(body)
        connection.request(
            method, path, raw, sent | ({} if raw is None else {"Content-Type": "application/json"})
        )
        answer = connection.getresponse()
        found = Told(answer.status, str(answer.headers), answer.read().decode())
        connection.close()
        self.heard.append(found.all)
        return found


def bodies(words: str, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A good request and a bad one for each path that a model answers."""
    said: list[dict[str, Any]] = [{"role": "user", "content": words}]
    good: dict[str, dict[str, Any]] = {
        "/chat/completions": {"messages": said},
        "/messages": {"messages": said, "max_tokens": 50},
        "/messages/count_tokens": {"messages": said},
        "/responses": {"input": words, "previous_response_id": None},
        "/embeddings": {"input": words, "model": "openai/text-embedding-3-small"},
        "/rerank": {"query": words, "documents": [words], "model": "cohere/rerank-v3.5"},
    }
    assert set(good) == set(places.TALKS)
    for path, body in good.items():
        yield path, {"model": model, **body}
        yield path, {"model": model, **body, "stream": True}
        yield path, {"model": f"nobody/{words}", **body}
        yield path, {"model": model, **body, "messages": 7, "input": 7, "query": 7, words: words}


def readable() -> Iterator[str]:
    """Every page that is no operator's, and where somebody would look for what others have asked."""
    for method, path, place in places.every():
        if method == "GET" and place.need != "admin":
            yield path
    yield from ("/v1/generation?id=1", "/v1/activity", "/v1/credits", "/v1/keys", "/v1/responses")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("[limits]\nwait = 0\n", "utf-8")
    monkeypatch.setenv("BYTE_CONFIG", str(path))
    return path


def test_nobody_hears_of_anybody_else(config: Path, sim: Simulator) -> None:
    """Three keys ask in turn, well and badly, and read whatever can be read: of each other they find nothing."""
    with Gateway() as gateway:
        clients = [
            Client(gateway, name, models=(MODELS[name], "openai/text-*", "cohere/*")) for name in PEOPLE
        ]
        ids: dict[str, list[str]] = {one.mark: [] for one in clients}
        for one in clients:
            for path, body in bodies(f"my secret is {one.mark}", MODELS[one.name]):
                one.ask("POST", "/v1" + path, body)
        for one in clients:
            ids[one.mark] = [row.request for row in gateway.rows() if row.key == one.mark]
            assert ids[one.mark]
        for one in clients:
            for path in readable():
                one.ask("GET", path)
            for method, path, place in places.every():
                if place.need == "admin":
                    assert one.ask(method, path).status == 403
        for one in clients:
            heard = "\n".join(one.heard)
            for other in set(clients) - {one}:
                assert not [mark for mark in (*other.private, *ids[other.mark]) if mark in heard]
            for other in set(clients) - {one}:
                for request in ids[other.mark]:
                    assert one.ask("GET", f"/v1/responses/{request}").status == 404
                    assert one.ask("GET", f"/v1/models/{request}").status == 404
                assert one.ask("GET", f"/v1/models/{MODELS[other.name]}").status == 404
                body = {"model": MODELS[other.name], "messages": [{"role": "user", "content": "hi"}]}
                assert one.ask("POST", "/v1/chat/completions", body).status == 403


def test_what_one_spends_moves_nobody_elses_page(config: Path, gateway: Gateway) -> None:
    """The page of a key is to the byte the same after another one has spent, and its own sum is the ledger's."""
    ada, bob = (Client(gateway, name) for name in PEOPLE[:2])
    assert ada.ask("GET", "/v1/key").status == 200
    body = {"model": MODELS["ada"], "messages": [{"role": "user", "content": "hi"}]}
    ada.ask("POST", "/v1/chat/completions", body)
    gateway.rows()
    gateway.app.spent._until = 0.0
    before = ada.ask("GET", "/v1/key").body
    for _ in range(3):
        assert bob.ask("POST", "/v1/chat/completions", body).status == 200
    own = sum(row.cost_units or 0 for row in gateway.rows() if row.key == ada.mark)
    gateway.app.spent._until = 0.0
    assert ada.ask("GET", "/v1/key").body == before
    assert own
    assert round(json.loads(before)["data"]["usage"] * 10**12) == own


def test_limits_and_budgets_of_one_hold_up_no_other(config: Path, gateway: Gateway) -> None:
    """Ada has reached her limit, Bob his budget: each is told so, and Eve waits for neither."""
    ada = Client(gateway, "ada", rates=Rates(requests=Limit(1, 3600)))
    bob = Client(gateway, "bob", budgets=(Budget("key", "bob-canary-9f3a", "day", 1),))
    eve = Client(gateway, "eve")
    body = {"model": MODELS["ada"], "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    assert ada.ask("POST", "/v1/chat/completions", body).status == 200
    late = ada.ask("POST", "/v1/chat/completions", body)
    assert late.status == 429
    assert "retry-after" in late.headers.lower()
    assert bob.ask("POST", "/v1/chat/completions", body).status == 402
    for _ in range(3):
        free = eve.ask("POST", "/v1/chat/completions", body)
        assert free.status == 200
        assert "retry-after" not in free.headers.lower()
    assert not [mark for mark in (ada.mark, bob.mark) if mark in "".join(eve.heard)]


def test_a_budget_of_all_tells_nobody_what_the_others_have_spent(config: Path, sim: Simulator) -> None:
    """Who has a virtual key is told that too little is left, and not how much; its own budget it is told exactly."""
    config.write_text('[limits]\nwait = 0\n[budget]\ntotal = "0.001"\n', "utf-8")
    body = {"model": MODELS["ada"], "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    with Gateway() as gateway:
        ada, bob = (Client(gateway, name) for name in PEOPLE[:2])
        assert ada.ask("POST", "/v1/chat/completions", body).status == 200
        [row] = gateway.rows()
        assert row.cost_units
        told = bob.ask("POST", "/v1/chat/completions", body | {"max_tokens": 10_000_000})
        assert told.status in (200, 402)
        dear = bob.ask("POST", "/v1/chat/completions", body | {"model": "openai/gpt-4o", "messages": [
            {"role": "user", "content": "word " * 20_000}]})  # fmt: skip
        assert dear.status == 402
        assert "less is left of the hard budget of $0.001 in all" in dear.body


def test_equal_questions_of_two_keys_are_two(config: Path, gateway: Gateway, sim: Simulator) -> None:
    """What is kept for one key answers no other; nor who is given its name later."""
    ada, bob = (Client(gateway, name, cache=600) for name in PEOPLE[:2])
    body = {"model": MODELS["ada"], "messages": [{"role": "user", "content": "hi"}]}

    def cached(one: Client) -> str:
        answer = one.ask("POST", "/v1/chat/completions", body)
        gateway.do(gateway.app.access.refresh())
        told = next(line for line in answer.headers.lower().splitlines() if line.startswith("x-byte-cache:"))
        # Who asks again in the moment in which the first answer goes out is given that one.
        return told[14:].replace("coalesced", "hit")

    assert [cached(one) for one in (ada, ada, bob, bob)] == ["miss", "hit", "miss", "hit"]
    keys = gateway.app.hub.house.keys
    keys.forget(ada.mark)
    ada.secret = keys.create(Caller(name=ada.mark, cache=600))
    assert cached(ada) == "miss"


def test_a_key_is_told_in_full_to_admins_only(gateway: Gateway) -> None:
    """The same canaries are all there for an admin: the test would see them."""
    ada, root = Client(gateway, "ada"), Client(gateway, "root", role="admin")
    page = root.ask("GET", "/admin/v1/keys").body
    assert all(mark in page for mark in (ada.caller.owner, *ada.caller.tags, ada.mark))
    assert ada.secret not in page
    assert told(ada.caller, 0)["name"] == ada.mark
