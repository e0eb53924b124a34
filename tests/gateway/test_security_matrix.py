"""Who may go where: every route × role × form of the credential × Host × whether there are keys, by a rule written once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import pytest

from asgi_asks import Told, ask, bearer
from bytedeck import AsyncHub
from bytedeck.callers import Caller
from bytedeck.gateway import places
from bytedeck.gateway.app import App, Settings
from bytedeck.io.keys import Keys
from gateways import Gateway, dial, read_until

ROUTES = list(places.every())
ROLES = ("none", "user", "admin", "revoked", "expired", "unknown", "rotated")
FORMS = ("Bearer", "bearer", "x-api-key", "api-key", "both", "Basic", "bare", "empty", "query", "cookie")
SHOWN = FORMS[:5]
"""In which a key can be seen at all."""
HOSTS = {"here": "127.0.0.1", "rebound": "evil.example", "port": "localhost:4000", "missing": ""}
ODD = [
    "//v1/models", "/v1//models", "/v1/models/", "/v1/./models", "/v1/../healthz", "/healthz/..", "/healthz;x", "/healthz/",
    "/HEALTHZ", "/healthz/../metrics", "/v1/models/../../healthz", "/v1/models/../key", "/admin", "/admin/", "/admin//v1/keys",
    "/admin/v1/keys/", "/admin/v1/keys/..", "/admin/v2/keys", "/metrics/", "/metrics;x", "/v1/admin/v1/keys", "/", "",
    "/v1/models/%2e%2e", "/v1/chat/completions/", "/api/v1/v1/models", "/v1", "*",
]  # fmt: skip
GOOD_ROLES = ("user", "admin")
AT_ONCE = 400


def make(keys: Keys) -> dict[str, str]:
    """A secret for each role."""
    secrets = {
        "user": keys.create(Caller(name="user")),
        "admin": keys.create(Caller(name="admin", role="admin")),
        "revoked": keys.create(Caller(name="revoked", role="admin")),
        "expired": keys.create(Caller(name="expired", role="admin", expires=time.time_ns() // 1000 + 50_000)),
        "rotated": keys.create(Caller(name="rotated", role="admin")),
        "unknown": "sk-byte-" + "A" * 43,
        "none": "",
    }
    keys.revoke("revoked")
    keys.rotate("rotated")
    time.sleep(0.06)
    return secrets


def credential(form: str, secret: str, other: str) -> tuple[dict[str, str], str]:
    """Headers and query that hold a secret in some form; `both`: another one stands beside it."""
    match form:
        case "Bearer" | "bearer":
            return {"authorization": f"{form} {secret}"}, ""
        case "x-api-key" | "api-key":
            return {form: secret}, ""
        case "both":
            return {"authorization": f"Bearer {secret}", "x-api-key": other}, ""
        case "Basic":
            return {"authorization": f"Basic {secret}"}, ""
        case "bare":
            return {"authorization": secret}, ""
        case "empty":
            return {"authorization": "Bearer "}, ""
        case "query":
            return {}, f"api_key={secret}&key={secret}"
        case _:
            return {"cookie": f"authorization={secret}; api_key={secret}"}, ""


def rule(need: str, role: str, form: str, host: str, has_keys: bool) -> int:
    """401, 403, or 0: let in."""
    if need == "nobody":
        return 0
    if not has_keys:
        return 0 if host in ("here", "port") else 403
    if form == "both" and role == "none":
        role = "user"  # nothing stands in Authorization, so the other one counts
    if form not in SHOWN or role not in GOOD_ROLES:
        return 401
    return 0 if need in ("anyone", role) else 403


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    async with made.hub.testing("ok"):
        yield made
        await made.aclose()


async def every(cases: Iterator[tuple[Any, ...]], app: App) -> list[tuple[tuple[Any, ...], Told]]:
    """All answers, many at once: secrets that are not known share their looks at the store."""
    found = []
    waiting = list(cases)
    while waiting:
        batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        asked = [ask(app, method, path, headers, b"{", query) for method, path, headers, query, *_ in batch]
        found += zip(batch, await asyncio.gather(*asked), strict=True)
    return found


@pytest.mark.parametrize("has_keys", [True, False])
async def test_the_matrix(app: App, has_keys: bool) -> None:
    """No route is open to whom it should not be, none is closed to whom it should be, and no secret is ever told."""
    secrets = await asyncio.to_thread(make, app.hub.house.keys) if has_keys else dict.fromkeys(ROLES, "sk-x")
    roles = ROLES if has_keys else ("none", "unknown")

    def cases() -> Iterator[tuple[Any, ...]]:
        for (method, path, place), role, form, host in product(ROUTES, roles, FORMS, HOSTS):
            headers, query = credential(form, secrets[role], secrets["user"])
            expected = rule(place.need, role, form, host, has_keys)
            yield method, path, headers | {"host": HOSTS[host]}, query, expected, role, form, host

    wrong = []
    for (method, path, _, _, expected, *case), told in await every(cases(), app):
        status = told.status if told.status in (401, 403) else 0
        if status != expected or told.status >= 500:
            wrong.append((method, path, *case, told.status, expected))
        assert not any(secret and secret.encode() in told.body for secret in secrets.values())
        assert (told.status == 401) == ("www-authenticate" in told.headers)
    assert wrong == []


async def test_odd_paths_and_methods(app: App) -> None:
    """Whatever a path or a method looks like: without a key nothing but the health checks is answered."""
    await asyncio.to_thread(make, app.hub.house.keys)
    paths = {path for _, path, _ in ROUTES} | set(ODD)
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X")
    cases = ((method, path, {}, "") for method, path in product(methods, sorted(paths)))
    for (method, path, *_), told in await every(cases, app):
        is_open = path in ("/healthz", "/readyz")
        assert told.status == (401 if not is_open else 200 if method in ("GET", "HEAD") else 405), (
            method,
            path,
        )


async def test_odd_paths_lead_nowhere(app: App) -> None:
    """With a key, too: a path that is not one of ours is not folded into one."""
    secrets = await asyncio.to_thread(make, app.hub.house.keys)
    for role in GOOD_ROLES:
        cases = (("GET", path, bearer(secrets[role]), "") for path in ODD)
        for (_, path, *_), told in await every(cases, app):
            refused = 403 if path.startswith("/admin/") and path != "/admin/" and role == "user" else 404
            assert told.status == refused, (role, path)


def test_every_route_is_in_the_matrix() -> None:
    """The matrix reads the application's own tables: each path, and each operation of the admin API."""
    listed = {path for _, path, _ in ROUTES}
    assert set(places.PLACES) < listed
    assert {
        "/v1/chat/completions",
        "/api/v1/messages",
        "/metrics",
        "/admin/v1/keys",
        "/admin/openapi.json",
    } < listed
    needs = {path: place.need for _, path, place in ROUTES}
    assert [path for path, need in needs.items() if need == "nobody"] == ["/healthz", "/readyz"]
    assert all(
        (need == "admin") == (path.startswith("/admin/") or path == "/metrics")
        for path, need in needs.items()
    )


RAW = [
    b"GET //v1/models HTTP/1.1", b"GET /v1/models/ HTTP/1.1", b"GET /%76%31/models HTTP/1.1", b"GET /healthz/%2e%2e/v1/models HTTP/1.1",
    b"GET /healthz%2f..%2fmetrics HTTP/1.1", b"GET /metrics%00 HTTP/1.1", b"GET /metrics?x=/healthz HTTP/1.1",
    b"GET http://localhost/metrics HTTP/1.1", b"GET /healthz#/../metrics HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /metrics HTTP/1.0",
    b"GET /admin/v1/keys HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /healthz",
    b"GET /admin/v1/keys HTTP/1.1\r\nAuthorization : Bearer x",
]  # fmt: skip


@pytest.mark.parametrize("line", RAW)
def test_on_the_wire(gateway: Gateway, line: bytes) -> None:
    """As bytes on a connection: nothing that is ours is told without a key."""
    gateway.app.hub.house.keys.create(Caller(name="zelda"))
    gateway.do(gateway.app.access.refresh())
    with dial(gateway.port, line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") as connection:
        told = read_until(connection, b"never")
    assert told.split(b" ", 2)[1] in (b"400", b"401") or b'"status":"ok"' in told
    assert b"byte_" not in told
    assert b"zelda" not in told


async def test_an_exposed_gateway_without_keys() -> None:
    """Where others can reach it, nobody comes in once the last key is gone, whatever he calls himself."""
    app = App(AsyncHub(), Settings(grace=0.0, is_exposed=True))
    keys = app.hub.house.keys
    secret = await asyncio.to_thread(keys.create, Caller(name="zelda"))
    assert (await ask(app, "GET", "/v1/models", bearer(secret))).status == 200
    await asyncio.to_thread(keys.forget, "zelda")
    await app.access.refresh()
    for headers in ({}, bearer(secret), {"host": "localhost"}):
        told = await ask(app, "GET", "/v1/models", headers)
        assert told.status == 401
        assert "byte keys create" in told.json["error"]["message"]
    assert (await ask(app, "GET", "/healthz")).status == 200
    await app.aclose()
