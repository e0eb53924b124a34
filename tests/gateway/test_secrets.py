"""No secret stands anywhere afterwards, wherever a client or an operator has put it by mistake."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bytedeck.callers import Caller
from bytedeck.config import save_key
from bytedeck.gateway import places
from bytedeck.gateway.watch.logs import Log
from bytedeck.simulator import Simulator
from gateways import Gateway, dial, post, read_until

OPENROUTER = Simulator.api_key
UNKNOWN = "sk-byte-" + "Q7" * 21 + "Z"
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]


def places_of(secret: str) -> list[tuple[str, str, dict[str, str], Any]]:
    """Requests with a secret where none belongs: method, path, headers, body."""
    chat, at = "/v1/chat/completions", quote(secret, safe="")
    good: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": HI, "max_tokens": 5}
    found: list[tuple[str, str, dict[str, str], Any]] = [
        ("POST", chat, {"X-Byte-Task": secret}, good),
        ("POST", chat, {"X-Byte-Failover": secret}, good),
        ("POST", chat, {"X-Byte-Cache": secret}, good),
        (
            "POST",
            chat,
            {"X-Request-Id": secret, "Cookie": secret, "User-Agent": secret, "Referer": secret},
            good,
        ),
        ("POST", chat, {"X-Session-Id": secret}, good),
        ("POST", f"{chat}?api_key={at}", {}, good),
        ("POST", chat, {"Content-Type": secret}, good),
        ("POST", f"{chat}/{at}", {}, good),
        ("POST", f"/v1/x{at}", {}, good),
        ("POST", chat, {}, good | {"user": secret, "api_key": secret, "metadata": {"key": secret}}),
        ("POST", chat, {}, good | {"temperature": secret}),
        ("POST", chat, {}, good | {secret: 1, "stream": secret}),
        ("POST", chat, {}, secret),
        ("GET", f"/v1/models/{at}", {}, None),
        ("GET", f"/v1/model/x/{at}", {}, None),
        (at, "/v1/models", {}, None),
    ]
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/rerank"):
        body = good | {"input": "hi", "query": "hi", "documents": ["hi"]}
        if path != "/v1/responses":
            body.pop("input") if "embed" not in path else body.pop("messages")
        for model in (secret, f"openai/{secret}", f"byte/{secret}", f"{secret}/x"):
            found.append(("POST", path, {}, body | {"model": model}))
            found.append(("POST", path, {}, body | {"model": model, "stream": True}))
    for method, path, place in places.every():
        if place.protocol == "admin":
            where = path.replace("/x", f"/{at}")
            found += [
                (method, where, {}, None),
                (method, f"{where}?{at}={at}&limit={at}&since={at}", {}, None),
            ]
            for body in ({"name": secret}, {"name": "zoe", "owner": secret}, {"name": "zoe", "tags": [secret]},
                         {"name": "zoe", "models": [f"x/{secret}"]}, {"name": "zoe", "tasks": [secret]}, {secret: 1},
                         {"name": "zoe", "role": secret}, {"name": "zoe", "budgets": [secret]}, {"name": "zoe", "expires": secret},
                         {"name": "zoe", "requests": secret}, {"grace": secret}, {"name": "zoe", "cache": secret}):  # fmt: skip
                found.append((method, where, {}, body))
    return found


def send(gateway: Gateway, shown: str, one: tuple[str, str, dict[str, str], Any]) -> bytes:
    method, path, headers, body = one
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    sent = {"Authorization": f"Bearer {shown}", "Content-Type": "application/json"} | headers
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    told = str(answer.headers).encode() + answer.read()
    connection.close()
    return told


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_left_anywhere(
    form: Any, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """Not in an answer, a line of any log, a page of an operator, a metric, the ledger or its log on disk."""
    home = Path(os.environ["BYTE_HOME"])
    monkeypatch.delenv("OPENROUTER_API_KEY")
    save_key(home, OPENROUTER)
    settings = home / "config.toml"
    written = bytearray()
    with Gateway() as gateway:
        gateway.app.log.close()
        gateway.app.log = Log(form, written.extend)
        gateway.app.reloader._tell = gateway.app.log.say
        keys = gateway.app.hub.house.keys
        user, admin, old = (
            keys.create(Caller(name="user")),
            keys.create(Caller(name="admin", role="admin")),
            keys.create(Caller(name="old")),
        )
        new = keys.rotate("old")
        gateway.do(gateway.app.access.refresh())
        secrets = (user, admin, old, new, UNKNOWN, OPENROUTER)
        told = b""
        for number, secret in enumerate(secrets):
            asked = places_of(secret)
            # All forms with one of them, a few with the others: what holds for one holds for all that look alike.
            for one in asked if number in (0, 5) else asked[::9]:
                told += send(gateway, admin if "/admin" in one[1] else user, one)
            for header in ("Authorization: Basic {}", "Authorization: {}", "Authorization: Bearer  {} x", "x-api-key: {}x",
                           "{}: x", "Cookie: key={}", "Authorization Bearer {}", "Host: {}"):  # fmt: skip
                with dial(
                    gateway.port, post("/v1/models", b"", header.format(secret), "Connection: close")
                ) as raw:
                    told += read_until(raw, b"never")
            for text in (f'key = "{secret}"', f'[openrouter]\nbase_url = "{secret}"', f"[keys.{secret}]\nx = 1", secret,
                         f'[gateway]\norigins = ["{secret}"]', f'[aliases]\nx = "{secret}"', f'[tasks."{secret}"]\nmodels = 1'):  # fmt: skip
                settings.write_text(text, "utf-8")
                told += send(gateway, admin, ("POST", "/admin/v1/config/reload", {}, None))
                told += send(gateway, admin, ("GET", "/admin/v1/config", {}, None))
            settings.write_text("", "utf-8")
            send(gateway, admin, ("POST", "/admin/v1/config/reload", {}, None))
        for method, path, place in places.every():
            if method == "GET":
                told += send(gateway, user if place.need != "admin" else admin, ("GET", path, {}, None))
        rows = repr(gateway.rows())
        on_disk = b"".join(
            path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".toml"
        )
    assert b"byte_requests_total" in told
    assert written
    left = {
        "an answer": told,
        "the log": bytes(written),
        "what the library logs": "\n".join(logged).encode(),
        "the rows": rows.encode(),
        "the files": on_disk,
    }
    found = [(where, secret) for where, data in left.items() for secret in secrets if secret.encode() in data]
    assert found == []
