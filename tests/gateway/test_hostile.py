"""What somebody may try who wants a free answer, somebody's data, or the gateway on its knees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from asgi_asks import Told, ask, bearer
from bytedeck import AsyncHub
from bytedeck.callers import Caller
from bytedeck.config.names import nearest
from bytedeck.gateway.admin.table import OPERATIONS, Operation
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.spent import Spent
from bytedeck.simulator import Simulator
from gateways import Gateway

CHAT = "/v1/chat/completions"
SAID: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
MINI, OPUS = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    async with made.hub.testing("ok"):
        yield made
        await made.aclose()


async def made(app: App, name: str = "ada", **more: Any) -> dict[str, str]:
    """The headers of a new key, which the application knows of."""
    secret = await asyncio.to_thread(app.hub.house.keys.create, Caller(name=name, **more))
    await app.access.refresh()
    return bearer(secret)


# -- ways round what a key may use ---------------------------------------------------------------

ROUND: dict[str, tuple[str, Any]] = {
    "another model": (CHAT, {"model": OPUS}),
    "a list": (CHAT, {"models": [OPUS]}),
    "a list behind one": (CHAT, {"model": "", "models": [OPUS, "x/y"]}),
    "a variant": (CHAT, {"model": f"{OPUS}:nitro"}),
    "a preset behind a model": (CHAT, {"model": f"{MINI}@preset/x"}),
    "a preset": (CHAT, {"model": MINI, "preset": "x"}),
    "a preset for a model": (CHAT, {"model": "@preset/x"}),
    "a router": (CHAT, {"model": "openrouter/auto"}),
    "a task": (CHAT, {"model": "byte/coding"}),
    "an alias of ours": (CHAT, {"model": "sonnet"}),
    "a plugin": (CHAT, {"model": MINI, "plugins": [{"id": "fusion", "models": [OPUS]}]}),
    "a known plugin with a model": (CHAT, {"model": MINI, "plugins": [{"id": "web", "model": OPUS}]}),
    "a tool that asks": (CHAT, {"model": MINI, "tools": [{"type": "openrouter:advisor"}]}),
    "deep inside": (CHAT, {"model": MINI, "x": [{"y": {"fallback_models": [OPUS]}}]}),
    "a model behind a dash": (CHAT, {"model": MINI, "editor_model": OPUS}),
    "responses": ("/v1/responses", {"model": OPUS, "input": "hi"}),
    "responses and a list": ("/v1/responses", {"models": [OPUS], "input": "hi"}),
    "messages": ("/v1/messages", {"model": OPUS, "max_tokens": 5}),
    "messages and fallbacks": (
        "/v1/messages",
        {"max_tokens": 5, "fallbacks": [{"model": OPUS}]},
    ),
    "embeddings": ("/v1/embeddings", {"model": OPUS, "input": "hi"}),
    "embeddings and a list": ("/v1/embeddings", {"model": MINI, "models": [OPUS], "input": "hi"}),
    "embeddings and a plugin": ("/v1/embeddings", {"model": MINI, "plugins": [{"id": "x"}], "input": "hi"}),
    "rerank": ("/v1/rerank", {"model": OPUS, "query": "hi", "documents": ["hi"]}),
    "rerank and a list": (
        "/v1/rerank",
        {"model": MINI, "models": [OPUS], "query": "hi", "documents": ["hi"]},
    ),
    "a space before": (CHAT, {"model": f" {OPUS} "}),
    "a look-alike": (CHAT, {"model": "openai\u2044gpt-4o-mini"}),
    "a line more": (CHAT, {"model": f"{MINI}\n{OPUS}"}),
    "two ids in one": (CHAT, {"model": f"{MINI},{OPUS}"}),
}


@pytest.mark.parametrize("name", ROUND)
async def test_no_way_round_the_models_of_a_key(app: App, name: str) -> None:
    """A key for one model asks that one, on every protocol and by every name; nothing goes out, and no row is written."""
    shown = await made(app, models=(MINI,))
    path, body = ROUND[name]
    body = body if "input" in body or "query" in body else {"messages": SAID, **body}
    for headers in ({}, {"x-byte-task": "coding"}):
        told = await ask(app, "POST", path, shown | headers, body)
        assert told.status in (400, 403, 404), told
    assert not app.hub.house.store.rows()


async def test_the_one_that_it_may_use(app: App) -> None:
    """The same key is let through with its own: the refusals above are not of everything."""
    shown = await made(app, models=(MINI,))
    for model in (MINI, f"{MINI}:free", f" {MINI}"):
        assert (await ask(app, "POST", CHAT, shown, {"model": model, "messages": SAID})).status == 200


def test_a_model_that_is_named_twice(gateway: Gateway, sim: Simulator) -> None:
    """Of a field that stands there twice the upstream gets what we have looked at, and nothing else."""
    secret = gateway.app.hub.house.keys.create(Caller(name="ada", models=("openai/text-*",)))
    gateway.do(gateway.app.access.refresh())
    small = "openai/text-embedding-3-small"
    raw = f'{{"model": "{OPUS}", "input": "hi", "n": 0.70, "model": "{small}"}}'.encode()
    told = gateway.do(ask(gateway.app, "POST", "/v1/embeddings", bearer(secret), raw))
    assert told.status == 200
    [entry] = sim.journal(path="*/embeddings")
    assert OPUS not in entry.body
    assert "0.70" in entry.body


async def test_what_an_alias_stands_for_counts_in_the_list(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that may use what `~author/x-latest` stands for sees the alias, and the task that has it for its model."""
    from bytedeck.gateway import pages

    class Info:
        alias_target = MINI

    class Catalog:
        def find(self, name: str) -> Info | None:
            return Info() if name.startswith("~") else None

    class Models:
        def current(self) -> Catalog:
            return Catalog()

    class House:
        models = Models()

    caller = Caller(name="ada", models=(MINI,))
    assert pages._may_use(House(), caller, "~openai/gpt-latest")  # type: ignore[arg-type]
    assert not pages._may_use(House(), Caller(name="eve", models=(OPUS,)), "~openai/gpt-latest")  # type: ignore[arg-type]


# -- work that costs nothing to ask for ----------------------------------------------------------

LONG: dict[str, Any] = {
    "a long name": {"model": "ab-c" * 500_000},
    "a long id": {"model": "x/" + "ab-c" * 500_000},
    "many names": {"models": [f"x{number}" for number in range(200_000)]},
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
async def test_names_that_take_long_to_look_up(app: App, path: str, name: str) -> None:
    """Refused by their size, and not told back: to look for what they may mean would hold up everybody for seconds."""
    body = {"messages": SAID, "max_tokens": 5} if path != "/v1/responses" else {"input": "hi"}
    told = await ask(app, "POST", path, None, body | LONG[name])
    assert told.status == 400
    assert len(told.body) < 500


def test_what_is_too_long_looks_like_nothing() -> None:
    """No name is compared that is longer than any name."""
    assert nearest("coding" * 100, ["coding" * 100]) == ()
    assert nearest("codign", ["coding"]) == ("coding",)


async def test_the_page_of_a_key_adds_up_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once, the ledger is added up by one of them, and the others hear the same."""
    shown = await made(app)
    looks: list[str] = []
    usage = app.hub.usage

    async def counted(by: Any, since: Any) -> Any:
        looks.append(by)
        await asyncio.sleep(0.005)
        return await usage(by, since)

    monkeypatch.setattr(app.hub, "usage", counted)
    app.spent = Spent()
    pages: list[Told] = await asyncio.gather(*(ask(app, "GET", "/v1/key", shown) for _ in range(50)))
    assert {page.status for page in pages} == {200}
    assert len(looks) == 4


# -- the admin API -------------------------------------------------------------------------------


async def test_an_admin_does_not_lock_itself_out(app: App) -> None:
    """Its own key it can neither remove nor revoke nor demote, and so never the last one; another's it can."""
    boss, other = await made(app, "boss", role="admin"), await made(app, "other", role="admin")
    for method, path, body in (
        ("DELETE", "/boss", b""),
        ("POST", "/boss/revoke", b""),
        ("PATCH", "/boss", {"role": "user"}),
    ):
        told = await ask(app, method, f"/admin/v1/keys{path}", boss, body)
        assert told.status == 409
        assert "boss" in told.json["error"]["message"]
    assert (await ask(app, "PATCH", "/admin/v1/keys/boss", boss, {"owner": "x"})).status == 200
    assert (await ask(app, "DELETE", "/admin/v1/keys/other", boss)).status == 204
    assert (await ask(app, "GET", "/admin/v1/keys", other)).status == 401
    assert (await ask(app, "GET", "/admin/v1/keys", boss)).status == 200


async def test_changes_at_once_are_all_kept(app: App) -> None:
    """Two who change different things of one key at the same moment do not undo each other."""
    root = await made(app, "root", role="admin")
    await made(app, "ada")
    changes = [
        {"owner": "Ada"},
        {"tags": ["x"]},
        {"requests": "5/minute"},
        {"tasks": ["coding"]},
        {"cache": 60},
    ]
    told = await asyncio.gather(*(ask(app, "PATCH", "/admin/v1/keys/ada", root, one) for one in changes * 4))
    assert {one.status for one in told} == {200}
    found = (await ask(app, "GET", "/admin/v1/keys/ada", root)).json
    assert {name: found[name] for one in changes for name in one} == {
        name: value for one in changes for name, value in one.items()
    }


async def test_a_name_is_given_once(app: App) -> None:
    """Of many who make a key of one name at once, one has it, and the others are told that it is taken."""
    root = await made(app, "root", role="admin")
    told = await asyncio.gather(
        *(ask(app, "POST", "/admin/v1/keys", root, {"name": "ada"}) for _ in range(12))
    )
    assert sorted(one.status for one in told) == [201] + [409] * 11


async def test_page_by_page(app: App) -> None:
    """All keys come, each once, however small the pages."""
    root = await made(app, "root", role="admin")
    for number in range(5):
        await made(app, f"key{number}")
    seen, query = [], "limit=2"
    while True:
        page = (await ask(app, "GET", "/admin/v1/keys", root, b"", query)).json
        seen += [one["name"] for one in page["data"]]
        if page["next"] is None:
            break
        query = f"limit=2&after={page['next']}"
    assert seen == ["key0", "key1", "key2", "key3", "key4", "root"]


# -- without keys, and with a busy machine ---------------------------------------------------------

ELSEWHERE = ({"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}, {"host": ""})


@pytest.mark.parametrize(
    "one", [one for one in OPERATIONS if one.method != "GET"], ids=lambda one: f"{one.method} {one.path}"
)
async def test_no_page_of_the_web_administers(app: App, one: Operation) -> None:
    """Without keys as with them: what changes something answers to no page from elsewhere, whatever it sends."""
    path = "/admin/" + one.path.replace("{name}", "ada")
    for headers in ELSEWHERE:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            told = await ask(app, one.method, path, headers | {"content-type": kind}, b'{"name": "ada"}')
            assert told.status == 403
            assert not [name for name in told.headers if name.startswith("access-control")]
    assert await asyncio.to_thread(app.hub.house.keys.list) == ()


async def test_a_busy_ledger_holds_up_no_revocation(app: App) -> None:
    """Threads that are all taken by questions to the ledger do not let in who was revoked."""
    shown = await made(app)
    free, loop = threading.Event(), asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, free.wait, 20) for _ in range(64)]
    app.hub.house.keys.revoke("ada")
    await app.access.refresh()
    assert (await ask(app, "GET", "/healthz")).status == 200
    refused = await ask(app, "POST", CHAT, shown, {"messages": SAID})
    free.set()
    await asyncio.gather(*busy)
    assert refused.status == 401


async def test_a_list_is_made_once_for_a_key(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key may see is worked out again where the key or the list has changed, and only then."""
    from bytedeck.gateway import pages

    shown, looks = await made(app, models=("local/*",)), [0]
    may_see = pages._may_see

    def counted(*given: Any) -> bool:
        looks[0] += 1
        return may_see(*given)

    monkeypatch.setattr(pages, "_may_see", counted)
    first = (await ask(app, "GET", "/v1/models", shown)).json
    once = looks[0]
    assert (await ask(app, "GET", "/v1/models", shown)).json == first
    assert looks[0] == once > 0
    await asyncio.to_thread(app.hub.house.keys.update, "ada", lambda one: replace(one, models=("x/*",)))
    await app.access.refresh()
    assert (await ask(app, "GET", "/v1/models", shown)).json["data"] == []
    assert looks[0] == 2 * once
