"""Who comes in with which key, what is said to whom who does not, and how soon a change of the keys holds."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from asgi_asks import ask, bearer
from bytedeck import AsyncHub
from bytedeck.callers import Caller, Ring
from bytedeck.claims import Budget
from bytedeck.errors import LedgerError
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.door import access as accesses
from bytedeck.gateway.door.access import Access
from bytedeck.guard.access import digest
from bytedeck.io.keys import Keys
from gateways import Gateway, dial, post, read_until
from openapi_spec import description

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ASKED = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    async with made.hub.testing("ok"):
        yield made
        await made.aclose()


async def made(app: App, name: str = "ada", **more: Any) -> str:
    """The secret of a new key, which the application knows of."""
    secret = await asyncio.to_thread(app.hub.house.keys.create, Caller(name=name, **more))
    await app.access.refresh()
    return secret


NOT_LET_IN = {
    "nothing": ({}, "wants a key"),
    "another scheme": ({"authorization": "Basic YTpi"}, "wants a key"),
    "nothing behind the scheme": ({"authorization": "Bearer"}, "wants a key"),
    "another form": ({"authorization": "Bearer sk-or-v1-0123456789"}, "begin with sk-byte-"),
    "a long one": ({"x-api-key": "sk-byte-" + "A" * 60_000}, "begin with sk-byte-"),
    "no ASCII": ({"x-api-key": "sk-byte-é"}, "not known here"),
    "an unknown one": ({"x-api-key": "sk-byte-" + "A" * 43}, "not known here"),
}


@pytest.mark.parametrize("name", NOT_LET_IN)
async def test_no_key(app: App, name: str) -> None:
    """Each with 401, a sentence of its own, and not a sign of what was shown."""
    await made(app)
    headers, words = NOT_LET_IN[name]
    told = await ask(app, "POST", CHAT, headers, ASKED)
    error = told.json["error"]
    assert (told.status, told.headers["www-authenticate"], error["type"]) == (401, "Bearer", "authentication")
    assert words in error["message"]
    assert not any(value.encode()[-10:] in told.body for value in headers.values() if len(value) > 10)


SHAPES = {
    CHAT: lambda told: told["error"]["code"] == 401,
    MESSAGES: lambda told: told["type"] == "error" and told["error"]["type"] == "authentication_error",
    RESPONSES: lambda told: told["error"]["type"] == "authentication",
    "/admin/v1/keys": lambda told: set(told["error"]) == {"code", "type", "message"},
}


@pytest.mark.parametrize("path", SHAPES)
async def test_in_the_protocols_own_shape(app: App, path: str) -> None:
    """A client's own class of error is raised for it."""
    await made(app)
    assert SHAPES[path]((await ask(app, "POST", path, {}, ASKED)).json)


async def test_revoked_and_expired(app: App) -> None:
    """Told to who holds the secret, by the key's name."""
    gone = await made(app, "gone")
    await asyncio.to_thread(app.hub.house.keys.revoke, "gone")
    late = await made(app, "late", expires=time.time_ns() // 1000 + 30_000)
    await asyncio.sleep(0.04)
    for secret, words in ((gone, "gone was revoked"), (late, "late has expired")):
        told = await ask(app, "GET", "/v1/models", bearer(secret))
        assert told.status == 401
        assert words in told.json["error"]["message"]


async def test_what_a_key_asks_stands_under_its_name(app: App) -> None:
    """The row's label is the key's name, on each protocol."""
    secret = await made(app)
    for path, body in ((CHAT, ASKED), (MESSAGES, ASKED), (RESPONSES, {"input": "hi"})):
        told = await ask(app, "POST", path, {"x-api-key": secret}, body)
        assert told.status == 200, told
    rows = app.hub.house.store.rows()
    assert [row.key for row in rows] == ["ada"] * 3


async def test_an_admins_key_asks_no_model(app: App) -> None:
    """403 that says which kind of key to use; and the other way round."""
    admin, user = await made(app, "root", role="admin"), await made(app)
    told = await ask(app, "POST", CHAT, bearer(admin), ASKED)
    assert (told.status, told.json["error"]["metadata"]["error_type"]) == (403, "permission_denied")
    assert "root is an admin's" in told.json["error"]["message"]
    for path in ("/metrics", "/admin/v1/keys"):
        assert (await ask(app, "GET", path, bearer(user))).status == 403
        assert (await ask(app, "GET", path, bearer(admin))).status == 200
    assert not app.hub.house.store.rows()


async def test_models_that_a_key_may_use(app: App) -> None:
    """The list, its count and its items know only those; a task is there with one of its models."""
    free = await made(app, "free")
    few = await made(app, "few", models=("openai/gpt-oss-20b",))
    bound = await made(app, "bound", tasks=("coding",))

    async def listed(secret: str) -> set[str]:
        told = (await ask(app, "GET", "/v1/models", bearer(secret))).json
        assert told["total_count"] == len(told["data"])
        return {item["id"] for item in told["data"]}

    everything = await listed(free)
    assert {"byte/auto", "byte/coding", "byte/general"} < everything
    assert await listed(bound) == {"byte/auto", "byte/coding"}
    assert not any(id_.startswith("local/") for id_ in await listed(few))
    assert (await ask(app, "GET", "/v1/models/byte/general", bearer(bound))).status == 404
    assert (await ask(app, "GET", "/v1/models/byte/coding", bearer(bound))).status == 200


async def test_the_keys_own_page(app: App) -> None:
    """In OpenRouter's shape, with all of its required fields: label, budget, what is left of it, when it ends."""
    expires = (time.time_ns() // 1000) + 10**12
    secret = await made(
        app,
        budgets=(Budget("key", "ada", "month", 5 * 10**12), Budget("key", "ada", "day", 10**12)),
        expires=expires,
    )
    await ask(app, "POST", CHAT, bearer(secret), ASKED)
    schema = description()["paths"]["/key"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    for path in ("/v1/key", "/api/v1/auth/key"):
        data = (await ask(app, "GET", path, bearer(secret))).json["data"]
        assert set(schema["properties"]["data"]["required"]) <= data.keys()
        assert (data["label"], data["limit"], data["limit_reset"]) == ("ada", 1, "daily")
        assert 0 <= data["limit_remaining"] <= 1
        assert data["expires_at"].endswith("Z")
        assert data["is_management_key"] is False


def test_a_key_sees_its_own_alone(gateway: Gateway) -> None:
    """What each has spent is exactly its own rows, and the other's name is nowhere in its page."""
    body = json.dumps({"model": "openai/gpt-4o-mini", **ASKED}).encode()
    secrets = {name: gateway.app.hub.house.keys.create(Caller(name=name)) for name in ("alpha", "omega")}
    gateway.do(gateway.app.access.refresh())
    for name, times in (("alpha", 2), ("omega", 1)):
        for _ in range(times):
            sent = post(CHAT, body, f"x-api-key: {secrets[name]}", "Connection: close")
            with dial(gateway.port, sent) as connection:
                assert read_until(connection, b"never").startswith(b"HTTP/1.1 200")
    rows = gateway.rows()
    for name, other in (("alpha", "omega"), ("omega", "alpha")):
        told = gateway.do(ask(gateway.app, "GET", "/v1/key", bearer(secrets[name])))
        spent = sum(row.spend_units or 0 for row in rows if row.key == name)
        assert spent > 0
        assert json.loads(told.body, parse_float=Decimal)["data"]["usage"] == Decimal(spent) / 10**12
        assert other.encode() not in told.body


class Shelf:
    """Keys that can be counted and broken."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.looks = 0
        self.error: Exception | None = None

    def version(self) -> int:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.ring.version

    def load(self) -> Ring:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.ring

    def put(self, *names: str) -> None:
        """Keys whose secrets are made of their names."""
        self.ring = Ring(
            self.ring.version + 1,
            tuple(Caller(name=name) for name in names),
            {digest(secret_of(name)): name for name in names},
        )


def secret_of(name: str) -> str:
    return "sk-byte-" + name.ljust(43, "x")


def as_keys(shelf: Any) -> Keys:
    found: Keys = shelf
    return found


async def test_a_new_key_is_known_at_once() -> None:
    """Whoever made one need not wait; those who guess cause ten looks a second at most, whatever their number."""
    shelf = Shelf()
    access = Access(as_keys(shelf))
    shelf.put("ada")
    assert (await accesses.caller_of(access, {b"x-api-key": secret_of("ada").encode()})).name == "ada"
    shelf.put("ada", "bob")
    assert (await accesses.caller_of(access, {b"x-api-key": secret_of("bob").encode()})).name == "bob"
    began, before = time.monotonic(), shelf.looks

    async def guess(number: int) -> None:
        with pytest.raises(accesses.AuthenticationFailed):
            await accesses.caller_of(access, {b"x-api-key": secret_of(f"guess{number}").encode()})

    await asyncio.gather(*(guess(number) for number in range(500)))
    await asyncio.gather(*(guess(number) for number in range(500)))
    assert shelf.looks - before <= (time.monotonic() - began) / accesses.APART + 2


async def test_a_revoked_key_is_refused_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that is too old is looked at before anybody comes in by it; a newer one is not."""
    shelf = Shelf()
    access = Access(as_keys(shelf))
    shelf.put("ada")
    await access.current()
    shelf.put()
    assert (await access.current()).callers
    monkeypatch.setattr(accesses, "FRESH", 0.0)
    assert not (await access.current()).callers


async def test_keys_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last snapshot holds; where there never was one, nobody comes in."""
    shelf = Shelf()
    shelf.error = LedgerError("The disk is gone.")
    access = Access(as_keys(shelf))
    with pytest.raises(LedgerError, match="cannot be read"):
        await access.current()
    shelf.error = None
    shelf.put("ada")
    assert (await access.current()).callers
    monkeypatch.setattr(accesses, "FRESH", 0.0)
    shelf.error = LedgerError("The disk is gone.")
    assert (await access.current()).callers
    assert access.trouble is shelf.error
    assert (await access.again()).callers


async def test_looks_that_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a look finds that began earlier never takes the place of what a later one has found."""
    shelf, slow, begun = Shelf(), threading.Event(), threading.Event()
    shelf.put("ada")
    old = shelf.ring

    def load() -> Ring:
        begun.set()
        assert slow.wait(10)
        return old

    access = Access(as_keys(shelf))
    monkeypatch.setattr(shelf, "load", load)
    early = access._look()
    assert await asyncio.to_thread(begun.wait, 10)
    monkeypatch.undo()
    shelf.put()
    await access.refresh()
    slow.set()
    await early
    assert not (await access.current()).callers


async def test_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a snapshot waits a moment for a new one, once for all, and goes on with what there is."""
    monkeypatch.setattr(accesses, "FRESH", 0.0)
    monkeypatch.setattr(accesses, "_PATIENCE", 0.01)
    shelf, slow = Shelf(), threading.Event()
    access = Access(as_keys(shelf))
    shelf.put("ada")
    await access.current()
    monkeypatch.setattr(shelf, "version", lambda: slow.wait(10) and 0)
    asked = [await access.current() for _ in range(50)]
    assert all(one.callers for one in asked)
    slow.set()
    if access._looking is not None:
        await access._looking


async def test_a_store_that_is_no_store(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that cannot be read answers 503 to everybody, and not "come in"."""
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database at all, whoever looks at it" * 100)
    monkeypatch.setenv("BYTE_DATABASE_URL", f"sqlite://{broken}")
    other = App(AsyncHub(), Settings(grace=0.0))
    for path in ("/v1/models", "/admin/v1/keys", "/metrics"):
        assert (await ask(other, "GET", path)).status == 503
    assert (await ask(other, "GET", "/healthz")).status == 200
    await other.aclose()


async def test_a_running_request_keeps_its_rights(app: App) -> None:
    """A key that is revoked while its request waits has its answer."""
    secret = await made(app)
    body, ready = asyncio.Event(), asyncio.Event()
    sent: list[Any] = []

    async def receive() -> Any:
        if body.is_set():
            await asyncio.Event().wait()
        ready.set()
        await body.wait()
        return {"type": "http.request", "body": b'{"messages": [{"role": "user", "content": "hi"}]}'}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"x-api-key", secret.encode())]
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers}
    asked = asyncio.create_task(app(scope, receive, send))
    await ready.wait()
    await asyncio.to_thread(app.hub.house.keys.revoke, "ada")
    await app.access.refresh()
    body.set()
    await asyncio.wait_for(asked, 10)
    assert sent[0]["status"] == 200
    assert (await ask(app, "GET", "/v1/models", bearer(secret))).status == 401


@pytest.mark.parametrize("has_keys", [True, False])
async def test_odd_headers(app: App, has_keys: bool) -> None:
    """Whatever bytes stand in the headers that are read at the door: nobody comes in by them, and nothing breaks."""
    if has_keys:
        await made(app)
    chance = random.Random(7)
    asked = []
    for _ in range(400):
        odd = bytes(chance.choices((*range(256), *b"sk-byte- Bearer:@[]/"), k=chance.randint(1, 60))).decode(
            "latin-1"
        )
        name = chance.choice(("authorization", "x-api-key", "host", "origin"))
        shown = chance.choice(("", "Bearer ", "sk-byte-", "Bearer sk-byte-")) + odd
        asked.append(ask(app, "GET", "/v1/models/count", {name: shown}))
    found = {told.status for told in await asyncio.gather(*asked)}
    assert found == ({401} if has_keys else {200, 403})  # without keys nobody looks at one


ORIGIN = "https://app.example.com"


@pytest.fixture
async def crossed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """With keys, and a page that may use it."""
    config = tmp_path / "c.toml"
    config.write_text(f'[gateway]\norigins = ["{ORIGIN}"]\n')
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    made = App(AsyncHub(), Settings(grace=0.0))
    await asyncio.to_thread(made.hub.house.keys.create, Caller(name="ada"))
    yield made
    await made.aclose()


async def test_a_page_that_may(crossed: App) -> None:
    """A preflight is answered without a key, for its origin alone; errors can be read, too; cookies and * are never told."""
    wanted = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    told = await ask(crossed, "OPTIONS", CHAT, wanted)
    assert (told.status, told.body) == (204, b"")
    assert told.headers["access-control-allow-origin"] == ORIGIN
    assert told.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    refused = await ask(crossed, "POST", CHAT, {"origin": ORIGIN}, ASKED)
    assert (refused.status, refused.headers["access-control-allow-origin"], refused.headers["vary"]) == (
        401,
        ORIGIN,
        "Origin",
    )
    assert "x-request-id" in refused.headers["access-control-expose-headers"]
    assert not any(
        "credentials" in name or value == "*" for name, value in (told.headers | refused.headers).items()
    )


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        ORIGIN + ".evil.example",
        ORIGIN + ":444",
        "http://app.example.com",
        ORIGIN.upper(),
        "null",
        "*",
    ],
)
async def test_a_page_from_elsewhere(crossed: App, origin: str) -> None:
    """No header that would let its browser show it anything, and no answer to its preflight."""
    told = await ask(crossed, "OPTIONS", CHAT, {"origin": origin, "access-control-request-method": "POST"})
    assert told.status == 401
    assert not any(name.startswith("access-control") for name in told.headers)
    told = await ask(crossed, "GET", "/healthz", {"origin": origin})
    assert told.headers.get("vary") == "Origin"
    assert not any(name.startswith("access-control") for name in told.headers)


async def test_without_configuration_no_page(app: App) -> None:
    """With keys any Host may be named, and still no page reads an answer."""
    secret = await made(app)
    told = await ask(
        app, "GET", "/v1/models", bearer(secret) | {"host": "gate.example.com", "origin": ORIGIN}
    )
    assert told.status == 200
    assert not any(name.startswith("access-control") for name in told.headers)
    assert (
        await ask(app, "POST", CHAT, bearer(secret) | {"content-type": "text/plain"}, ASKED)
    ).status == 415


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example/", "app.example.com", "https://*.example.com", "HTTPS://a.b", "null"]
)
def test_origins_that_are_none(origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with file and line, before anything is served."""
    config = tmp_path / "c.toml"
    config.write_text(f'retries = 1\n[gateway]\norigins = ["{origin}"]\n')
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    with pytest.raises(Exception, match=r"line 3: `gateway.origins`: expected origins"):
        AsyncHub()
