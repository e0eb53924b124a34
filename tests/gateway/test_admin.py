"""The admin API: what it does, what it says is what it does, and how it says no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from asgi_asks import Told, ask, bearer
from bytedeck import AsyncHub
from bytedeck.gateway.admin import table
from bytedeck.gateway.admin.openapi import description
from bytedeck.gateway.app import App, Settings
from bytedeck.ledger.export import COLUMNS

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "a canary in a coal mine"}], "max_tokens": 5}
NEW = {"name": "ada", "owner": "Ada", "tags": ["lab"], "requests": "60/minute", "budgets": ["5/day", "50/month soft"],
       "models": ["openai/*"], "tasks": ["coding"], "expires": "30d", "cache": "10m"}  # fmt: skip


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    async with made.hub.testing("ok"):
        yield made
        await made.aclose()


async def asked(app: App, method: str, path: str, body: Any = b"", query: str = "", status: int = 200) -> Any:
    """The JSON of an answer that has the status that was expected."""
    told = await ask(app, method, f"/admin/v1/{path}", None, body, query)
    assert told.status == status, told
    return told.json if told.body else None


async def test_the_life_of_a_key(app: App) -> None:
    """Made, shown, changed, given another secret, revoked, forgotten; from the first answer on it holds for requests."""
    made = await asked(app, "POST", "keys", NEW, status=201)
    key, admin = made["key"], bearer((await asked_root(app))["secret"])
    assert (key["state"], key["requests"], key["budgets"]) == (
        "active",
        "60/minute",
        ["5/day", "50/month soft"],
    )
    assert (key["cache"], key["models"], key["tasks"]) == (600, ["openai/*"], ["coding"])
    assert (await ask(app, "GET", "/v1/key", bearer(made["secret"]))).status == 200

    async def do(method: str, path: str, body: Any = b"", status: int = 200) -> Any:
        told = await ask(app, method, f"/admin/v1/keys{path}", admin, body)
        assert told.status == status, told
        assert made["secret"].encode() not in told.body
        return told.json if told.body else None

    assert {one["name"] for one in (await do("GET", ""))["data"]} == {"ada", "root"}
    changed = await do("PATCH", "/ada", {"tokens": "1000/hour", "requests": None, "expires": "never"})
    assert (changed["tokens"], changed["requests"], changed["expires"], changed["owner"]) == (
        "1000/hour",
        None,
        None,
        "Ada",
    )
    turned = await do("POST", "/ada/rotate")
    assert (await ask(app, "GET", "/v1/key", bearer(made["secret"]))).status == 401
    assert (await ask(app, "GET", "/v1/key", bearer(turned["secret"]))).status == 200
    late = await do("POST", "/ada/rotate", {"grace": "1h"})
    for secret in (turned["secret"], late["secret"]):
        assert (await ask(app, "GET", "/v1/key", bearer(secret))).status == 200
    assert (await do("POST", "/ada/revoke"))["state"] == "revoked"
    assert (await ask(app, "GET", "/v1/key", bearer(late["secret"]))).status == 401
    assert (await do("GET", "/ada"))["revoked"].endswith("Z")
    await do("DELETE", "/ada", status=204)
    await do("GET", "/ada", status=404)


async def asked_root(app: App) -> Any:
    """An admin's key, made straight in the store."""
    from bytedeck.callers import Caller

    secret = await asyncio.to_thread(app.hub.house.keys.create, Caller(name="root", role="admin"))
    return {"secret": secret}


async def test_a_key_without_rights_makes_none(app: App) -> None:
    """A user's key cannot make itself an admin's."""
    user = (await asked(app, "POST", "keys", {"name": "ada"}, status=201))["secret"]
    for method, path, body in (("POST", "keys", {"name": "b"}), ("PATCH", "keys/ada", {"role": "admin"})):
        assert (await ask(app, method, f"/admin/v1/{path}", bearer(user), body)).status == 403
    assert [one.role for one in app.hub.house.keys.list()] == ["user"]


WRONG = {
    "no JSON": ("POST", "keys", b"{", "", 400, ""),
    "nested": ("POST", "keys", b'{"name":' + b"[" * 5000, "", 422, "name"),
    "no name": ("POST", "keys", {}, "", 422, "name"),
    "an odd name": ("POST", "keys", {"name": "Ada!"}, "", 422, "name"),
    "a secret as a name": ("POST", "keys", {"name": "sk-or-v1-012345"}, "", 422, "name"),
    "an unknown field": ("POST", "keys", {"name": "a", "budgt": "5"}, "", 422, "budgt"),
    "a wrong type": ("POST", "keys", {"name": "a", "tags": "x"}, "", 422, "tags"),
    "a wrong item": ("POST", "keys", {"name": "a", "tags": ["x", 1]}, "", 422, "tags[1]"),
    "no budget": ("POST", "keys", {"name": "a", "budgets": ["-5/day"]}, "", 422, "budgets"),
    "no limit": ("POST", "keys", {"name": "a", "requests": "many"}, "", 422, "requests"),
    "no task": ("POST", "keys", {"name": "a", "tasks": ["codign"]}, "", 422, ""),
    "an empty model": ("POST", "keys", {"name": "a", "models": [""]}, "", 422, "models"),
    "an empty task": ("POST", "keys", {"name": "a", "tasks": ["coding", " "]}, "", 422, "tasks"),
    "an empty budget": ("POST", "keys", {"name": "a", "budgets": [""]}, "", 422, "budgets"),
    "an empty limit": ("POST", "keys", {"name": "a", "requests": ""}, "", 422, "requests"),
    "an empty end": ("POST", "keys", {"name": "a", "expires": ""}, "", 422, "expires"),
    "a past end": ("POST", "keys", {"name": "a", "expires": "2001-01-01"}, "", 422, "expires"),
    "no role": ("POST", "keys", {"name": "a", "role": "king"}, "", 422, "role"),
    "a list": ("POST", "keys", b"[]", "", 422, ""),
    "no grace": ("POST", "keys/x/rotate", {"grace": "long"}, "", 422, "grace"),
    "too large": ("POST", "keys", b" " * 70_000, "", 413, ""),
    "no such key": ("GET", "keys/nobody", b"", "", 404, ""),
    "none to revoke": ("POST", "keys/nobody/revoke", b"", "", 404, ""),
    "none to forget": ("DELETE", "keys/nobody", b"", "", 404, ""),
    "no such task": ("GET", "tasks/codign", b"", "", 404, ""),
    "an odd grouping": ("GET", "usage", b"", "by=colour", 422, "by"),
    "an odd moment": ("GET", "usage", b"", "since=soon", 422, "since"),
    "an unknown query": ("GET", "usage", b"", "sicne=7d", 422, "sicne"),
    "twice": ("GET", "usage", b"", "by=task&by=key", 422, ""),
    "too many": ("GET", "requests", b"", "limit=100000", 422, "limit"),
    "no number": ("GET", "requests", b"", "limit=x", 422, "limit"),
    "nothing there": ("GET", "nothing", b"", "", 404, ""),
    "no UTF-8": ("GET", "requests", b"", "key=%ff", 400, ""),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong(app: App, name: str) -> None:
    """In one shape, with a sentence and the field; nothing has changed by it."""
    method, path, body, query, status, field = WRONG[name]
    error = (await asked(app, method, path, body, query, status))["error"]
    assert (error["code"], error.get("param", "")) == (status, field)
    assert error["message"].endswith((".", "?")), error
    assert not app.hub.house.keys.list()


async def test_nothing_empty_opens_a_key(app: App) -> None:
    """A text that says nothing changes nothing; a list that holds nothing, and `*`, say everything."""
    before = (await asked(app, "POST", "keys", NEW, status=201))["key"]
    admin = bearer((await asked_root(app))["secret"])

    async def change(**fields: Any) -> Told:
        return await ask(app, "PATCH", "/admin/v1/keys/ada", admin, fields)

    for field in ("models", "tasks", "budgets"):
        told = await change(**{field: [""]})
        assert (told.status, told.json["error"]["param"]) == (422, field)
        assert "one of them is empty; " in told.json["error"]["message"]
    assert (await ask(app, "GET", "/admin/v1/keys/ada", admin)).json == before
    opened = (await change(models=[], tasks=["*"], budgets=["off"], expires="never")).json
    assert [opened[field] for field in ("models", "tasks", "budgets", "expires")] == [[], [], [], None]


async def test_a_name_that_is_taken(app: App) -> None:
    """409, and the key that is there stays as it is."""
    await asked(app, "POST", "keys", {"name": "ada", "owner": "one"}, status=201)
    app.hub.house.keys.forget("ada")
    await app.access.refresh()
    app.hub.house.keys.create(app_caller("ada"))
    admin = bearer((await asked_root(app))["secret"])
    await app.access.refresh()
    told = await ask(app, "POST", "/admin/v1/keys", admin, {"name": "ada", "owner": "two"})
    assert (told.status, told.json["error"]["param"]) == (409, "name")
    assert app.hub.house.keys.find("ada").owner == ""


def app_caller(name: str) -> Any:
    from bytedeck.callers import Caller

    return Caller(name=name)


async def test_other_methods(app: App) -> None:
    """405 with what there is; HEAD is as GET; a form is 415."""
    told = await ask(app, "DELETE", "/admin/v1/keys")
    assert (told.status, told.headers["allow"]) == (405, "GET, POST, HEAD")
    assert (await ask(app, "HEAD", "/admin/v1/keys")).status == 200
    assert (await ask(app, "POST", "/admin/openapi.json")).status == 405
    for path in ("keys", "keys/x/rotate"):
        assert (
            await ask(app, "POST", f"/admin/v1/{path}", {"content-type": "text/plain"}, b"{}")
        ).status == 415
    assert (await ask(app, "POST", "/admin/v1/keys/x/rotate", {"content-type": ""}, b"{}")).status == 415


async def test_usage_and_requests(app: App) -> None:
    """Money as decimal text, newest first, page by page, by key, model, task and outcome; never a word of a prompt."""
    for task in ("coding", "general", "coding"):
        told = await ask(app, "POST", CHAT, {"x-byte-task": task}, ASKED)
        assert told.status == 200
    usage = await asked(app, "GET", "usage", query="by=task&since=7d")
    assert {line["label"]: line["requests"] for line in usage["lines"]} == {"coding": 2, "general": 1}
    assert Decimal(usage["total"]["cost"]) >= 0
    assert isinstance(usage["total"]["cost"], str)
    first = await asked(app, "GET", "requests", query="limit=2")
    second = await asked(app, "GET", "requests", query=f"limit=2&before={first['next']}")
    assert [row["task"] for row in first["data"] + second["data"]] == ["coding", "general", "coding"]
    assert second["next"] is None
    assert len((await asked(app, "GET", "requests", query="task=coding&outcome=answered"))["data"]) == 2
    model = first["data"][0]["model"]
    assert (await asked(app, "GET", "requests", query=f"model={model}"))["data"]
    for query in ("key=nobody", "outcome=lost", "before=nothing"):
        assert (await asked(app, "GET", "requests", query=query))["data"] == []
    assert "canary" not in json.dumps([usage, first, second])


async def test_health_limits_tasks_config(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds, and how it goes."""
    tasks = (await asked(app, "GET", "tasks"))["data"]
    assert {"coding", "general"} < {one["name"] for one in tasks}
    assert (await asked(app, "GET", "tasks/multi-Agent"))["name"] == "multi_agent"
    health = await asked(app, "GET", "health")
    assert (health["running"], health["is_closing"]) == (0, False)
    config = await asked(app, "POST", "config/reload")
    assert (config["version"], config["problem"]) == (1, None)
    assert {"openrouter.base_url", "gateway.origins"} < {one["name"] for one in config["settings"]}
    assert await asked(app, "GET", "config") == config


async def test_limits_and_budgets(app: App) -> None:
    """Those of the keys among them: what is left, what is spent."""
    await asyncio.to_thread(app.hub.house.keys.create, app_caller("zed"))
    app.hub.house.scripted = False  # a script has neither
    admin = bearer((await asked_root(app))["secret"])
    new = {"name": "ada", "budgets": ["5/day"], "requests": "60/minute"}
    assert (await ask(app, "POST", "/admin/v1/keys", admin, new)).status == 201
    told = (await ask(app, "GET", "/admin/v1/limits", admin)).json
    app.hub.house.scripted = True
    [limit], [budget] = told["limits"], told["budgets"]
    assert (limit["scope"], limit["of"], limit["limit"], limit["left"]) == ("key", "ada", "60/minute", 60)
    assert (budget["of"], budget["budget"], budget["left"], budget["is_hard"]) == ("ada", "5", "5", True)


# -- the description -------------------------------------------------------------------------------


def described(operation: table.Operation) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(description())["paths"][f"/admin/{operation.path}"][
        operation.method.lower()
    ]
    return told


def check(operation: table.Operation, told: Told) -> None:
    """An answer is one of those that the description has."""
    document = json.loads(description())
    response = described(operation)["responses"][str(told.status)]
    content = response.get("content")
    assert bool(told.body) == bool(content)
    if content:
        schema = content["application/json"]["schema"] | {"components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema, offline=True).validate(told.json)


@pytest.mark.parametrize("operation", table.OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
async def test_the_description_is_true(app: App, operation: table.Operation) -> None:
    """Each operation's answers, good and bad, have the status and the shape that it says."""
    await ask(app, "POST", CHAT, None, ASKED)
    admin = bearer((await asked_root(app))["secret"])
    await asyncio.to_thread(app.hub.house.keys.create, app_caller("x"))
    path = "/admin/" + operation.path.replace("{name}", "coding" if "tasks" in operation.path else "x")
    body = {"name": "ada", "budgets": ["5/day"]} if operation.path == "v1/keys" else {}
    if operation.method in ("GET", "DELETE") or operation.body is None:
        body = b""
    good = await ask(app, operation.method, path, admin, body)
    assert good.status == operation.status
    check(operation, good)
    check(operation, await ask(app, operation.method, path, {}, body))
    check(operation, await ask(app, operation.method, path, admin, b"{" * 70_000))
    check(operation, await ask(app, operation.method, path, admin, body, "odd=1"))
    check(operation, await ask(app, operation.method, path, admin, body, "odd=%ff"))
    if "{name}" in operation.path:
        check(
            operation,
            await ask(app, operation.method, "/admin/" + operation.path.replace("{name}", "no"), admin, body),
        )
    if operation.body is not None:
        check(operation, await ask(app, operation.method, path, admin, b"[]"))
        check(
            operation, await ask(app, operation.method, path, admin | {"content-type": "text/plain"}, b"{}")
        )


async def test_the_description(app: App) -> None:
    """OpenAPI 3.1, told by the gateway itself; rows in the columns of the export."""
    told = await ask(app, "GET", "/admin/openapi.json")
    document = told.json
    assert document["openapi"] == "3.1.0"
    rows = document["components"]["schemas"]["Requests"]["properties"]["data"]["items"]
    assert rows["required"] == list(COLUMNS)
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(table.OPERATIONS)
    assert all(one["summary"].endswith(".") for path in document["paths"].values() for one in path.values())
