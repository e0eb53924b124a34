"""Hostile bodies at every POST route of the gateway: scripts/fuzz-gateway [--bodies N] [--seed S] [--only PATH]

Bodies are drawn from OpenRouter's description (every kind of message, item, block and tool) and from those that real
clients sent, and then damaged. No network: the application is called as a server does it, and a script answers
instead of a model. Prints what was answered, and each body that brought a 500, a broken answer or a bug in a stream to light; then it exits
with 1. The same seed makes the same bodies.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct

from bytedeck import AsyncHub
from bytedeck.callers import Caller, Role
from bytedeck.gateway.app import App
from bytedeck.gateway.places import every
from bytedeck.types import Reply, ToolCall
from openapi_spec import description

RECORDED = Path(__file__).parent / "gateway" / "bodies.json"
"""Path → bodies that the clients of test_clients.py sent."""
SCHEMAS = {
    "/chat/completions": "ChatRequest",
    "/messages": "MessagesRequest",
    "/messages/count_tokens": "MessagesRequest",
    "/responses": "ResponsesRequest",
    "/embeddings": "/embeddings",
    "/rerank": "/rerank",
}
"""Path → its body's schema: a component, or what a path of the description has."""
PATIENCE = 20.0
"""Seconds after which an answer counts as none."""
BATCH = 250
"""Bodies that are answered by the same script."""
SCRIPTS: tuple[tuple[Any, ...], ...] = (
    ("Hello there.",),
    (Reply(text="", tool_calls=(ToolCall(0, "call_1", "get_weather", '{"city":'),), finish_reason="tool_calls"),),
    (("truncated", "Half of"), "the rest"),
    (Reply(text="{}", reasoning="hm", reasoning_details=({"type": "reasoning.text", "text": "hm"},)),),
    ("rate_limited",),
    (b'{"object":"list","model":"m","data":[{"object":"embedding","embedding":[0.5],"index":0}],"results":[],"usage":{}}',),
)  # fmt: skip

HUGE, NOT_A_NUMBER = "\x01huge\x01", "\x01nan\x01"
DEEP = "\x01deep{}\x01"
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**63, 10**30, "", " ", "text", "\ud800", "\x00", "a\udfff", "🎉" * 9,
    [], {}, [None], [[]], {"type": []}, {"type": "text"}, {"": ""}, [{}] * 200, "byte/", "byte/coding", "~a/b", "/",
    HUGE, NOT_A_NUMBER, "data:image/png;base64,!", {"role": "tool"}, {"type": "function"}, {"type": "function_call"},
    {"type": "reasoning", "encrypted_content": "byte1.e30="}, {"type": "thinking", "signature": "byte1.W10="},
]  # fmt: skip
_STORED = frozenset({"previous_response_id", "prompt", "conversation", "background", "store"})
_KEY = {
    "owner": "me",
    "tags": ["a"],
    "models": ["openai/*"],
    "requests": "60/minute",
    "budgets": ["5/day"],
    "expires": "30d",
}
_WORDS = (
    "model",
    "models",
    "messages",
    "input",
    "type",
    "role",
    "content",
    "name",
    "tools",
    "stream",
    "id",
    "text",
)


# -- bodies --------------------------------------------------------------------------------------


@cache
def _schema(name: str) -> Any:
    document = description()
    if not name.startswith("/"):
        return document["components"]["schemas"][name]
    return document["paths"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]


def drawn(schema: Any, dice: random.Random, depth: int = 0) -> Any:
    """A value that a schema may mean: one of its choices, most of its fields, its examples where there are any."""
    if not isinstance(schema, dict):
        return "x"
    if "$ref" in schema:
        return drawn(_schema(schema["$ref"].rpartition("/")[2]), dice, depth + 1)
    for choice in ("oneOf", "anyOf"):
        if choice in schema and (depth or "properties" not in schema):
            return drawn(dice.choice(schema[choice]), dice, depth + 1)
    if "allOf" in schema:
        return drawn(schema["allOf"][0], dice, depth + 1)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if "enum" in schema:
        return dice.choice(schema["enum"])
    if "example" in schema and (depth > 8 or ("properties" not in schema and "items" not in schema)):
        return schema["example"]
    return _of_type(schema, dice, depth)


def _of_type(schema: dict[str, Any], dice: random.Random, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) and dice.random() < 0.9 else kind
    kind = dice.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        needed, share = schema.get("required", ()), 0.5 if depth < 6 else 0.1
        return {
            name: drawn(one, dice, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in needed or dice.random() < share
        }
    if kind == "array":
        count = dice.choice((0, 1, 1, 2, 3)) if depth < 9 else 0
        return [drawn(schema.get("items", {}), dice, depth + 1) for _ in range(count)]
    return {"integer": 7, "number": 0.5, "boolean": True, "null": None}.get(kind, "text")


def _mutated(found: Any, dice: random.Random, share: float) -> Any:
    """The same with about this share of its values replaced, dropped, doubled, renamed or buried."""
    luck = dice.random()
    if luck < share:
        return dice.choice(ODD)
    if luck < share * 1.1:
        return DEEP.format(dice.choice((1, 9, 99, 999, 9_999)) * dice.choice((-1, 1)))
    if isinstance(found, dict):
        kept = {key: _mutated(one, dice, share) for key, one in found.items() if dice.random() > share / 2}
        if dice.random() < share:
            kept[dice.choice(_WORDS)] = dice.choice(ODD)
        return kept
    if isinstance(found, list):
        return [_mutated(one, dice, share) for one in found for _ in range(dice.choice((1, 1, 1, 1, 2)))]
    return found


def _written(found: Any, dice: random.Random) -> bytes:
    """As JSON, with what no tree holds put in: numbers that are none, thousands of brackets, fields that come twice."""
    text = json.dumps(found, ensure_ascii=dice.random() < 0.5)
    escaped = {name: json.dumps(name) for name in (HUGE, NOT_A_NUMBER)}
    text = text.replace(
        escaped[HUGE], dice.choice(("1" * 5000, "1e999", "-1e-999", "1" * 309, "0." + "3" * 999))
    )
    text = text.replace(
        escaped[NOT_A_NUMBER], dice.choice(("NaN", "-Infinity", "Infinity", "01", "+1", ".5"))
    )
    head, *rest = text.split('"\\u0001deep')
    for piece in rest:
        count, _, after = piece.partition('\\u0001"')
        head += _buried(int(count)) + after
    if dice.random() < 0.05 and head.startswith("{") and len(head) > 2:
        head = "{" + head[1:-1].strip() + "," + head[1:]
    return head.encode("utf-8", "surrogatepass")


def _buried(depth: int) -> str:
    """So many lists within each other; of objects where it is negative."""
    return "[" * depth + "]" * depth if depth > 0 else '{"a":' * -depth + "1" + "}" * -depth


def _damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes cut off, changed, doubled, or nothing at all."""
    match dice.randrange(8):
        case 0:
            return b""
        case 1:
            return data[: dice.randrange(len(data) + 1)]
        case 2:
            return data + dice.choice((b"\x00", b"{}", b"]", data))
        case 3:
            return dice.choice((b"\xef\xbb\xbf", b"\xff\xfe", b" " * 999)) + data
        case _:
            hurt = bytearray(data or b" ")
            for _ in range(dice.randint(1, 6)):
                hurt[dice.randrange(len(hurt))] = dice.randrange(256)
            return bytes(hurt)


@cache
def _recorded() -> dict[str, list[Any]]:
    return json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}


def _likely(found: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """A body that is not refused at once: it names a model, has words, and wants nothing that would have been stored."""
    kept = {name: one for name, one in found.items() if name not in _STORED}
    kept |= {"model": "openai/gpt-4o-mini", "stream": dice.random() < 0.5}
    kept |= {name: ["openai/gpt-4o"] for name in ("models",) if name in kept}
    kept |= {name: [{"model": "openai/gpt-4o"}] for name in ("fallbacks",) if name in kept}
    return kept | {name: "hi" for name in ("input",) if not kept.get(name, name)}


def body(path: str, dice: random.Random) -> bytes:
    """One body for a path, without its prefix; three of four are damaged."""
    seen = _recorded().get(path, [])
    if seen and dice.random() < 0.3:
        found = dice.choice(seen)
    elif path in SCHEMAS:
        found = drawn(_schema(SCHEMAS[path]), dice)
    else:
        found = _KEY | {"name": f"k{dice.randrange(999)}"} if path.endswith("keys") else {"grace": "1h"}
    found = _likely(found, dice) if path in SCHEMAS and dice.random() < 0.9 else found
    luck = dice.random()
    if luck < 0.55:
        found = _mutated(found, dice, dice.choice((0.01, 0.05, 0.2)))
    data = _written(found, dice)
    return _damaged(data, dice) if luck > 0.85 else data


# -- asking --------------------------------------------------------------------------------------


class Answer(Struct):
    """What came back."""

    status: int = 0
    body: bytes = b""
    kind: bytes = b""
    is_whole: bool = False


async def ask(app: App, path: str, data: bytes, secret: str) -> Answer:
    """One request, as a server on this machine hands it over."""
    answer, came = Answer(), asyncio.Event()
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"x-api-key", secret.encode()),
    ]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    scope |= {"client": ("127.0.0.1", 1), "extensions": {}, "asgi": {"version": "3.0"}}

    async def receive() -> dict[str, Any]:
        if came.is_set():
            await asyncio.Event().wait()  # the client stays
        came.set()
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert not answer.status
            answer.status = message["status"]
            answer.kind = dict(message["headers"]).get(b"content-type", b"")
        else:
            assert answer.status
            assert not answer.is_whole
            answer.body += message.get("body", b"")
            answer.is_whole = not message.get("more_body", False)

    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
    return answer


def judged(answer: Answer) -> str:
    """What is wrong with an answer; "": nothing."""
    if answer.status == 500 or not answer.is_whole:
        return f"status {answer.status}, whole: {answer.is_whole}"
    if b'"internal"' in answer.body:
        return "a bug of ours in a stream"
    if answer.kind.startswith(b"application/json"):
        try:
            told = json.loads(answer.body)
        except ValueError:
            return "the answer is no JSON"
        if answer.status >= 400 and not told.get("error", told).get("message"):
            return "an error without a sentence"
    return ""


def routes() -> dict[str, Role]:
    """Every path that takes a POST, and whose key opens it."""
    return {
        path: "admin" if place.need == "admin" else "user"
        for method, path, place in every()
        if method == "POST"
    }


class Found(Struct):
    """What a run came to."""

    statuses: collections.Counter[tuple[str, int]]
    troubles: list[tuple[str, bytes, str]]
    """Path, body and what was wrong."""


async def run(
    bodies: int, seed: str, paths: Mapping[str, Role], tell: Callable[[str], object] = lambda _: None
) -> Found:
    """So many bodies, spread over the paths."""
    found, dice = Found(collections.Counter(), []), random.Random(seed)
    app, began, done = App(AsyncHub()), time.monotonic(), 0
    keys, names = app.hub.house.keys, list(paths)
    secrets = {role: keys.create(Caller(name=role, role=role)) for role in get_args(Role)}
    await app.start()
    for script in _scripts(bodies):
        async with app.hub.testing(*script):
            for _ in range(min(BATCH, bodies - done)):
                path = dice.choice(names)
                data = body(path.removeprefix("/api").removeprefix("/v1"), dice)
                await _one(app, path, data, secrets[paths[path]], found)
                done += 1
        if done % 10_000 < BATCH:
            tell(
                f"{done:,} bodies, {len(found.troubles)} troubles, {done / (time.monotonic() - began):,.0f} a second"
            )
    await app.aclose()
    return found


def _scripts(bodies: int) -> Iterator[tuple[Any, ...]]:
    for number in range(-(-bodies // BATCH)):
        yield SCRIPTS[number % len(SCRIPTS)]


async def _one(app: App, path: str, data: bytes, secret: str, found: Found) -> None:
    try:
        answer = await ask(app, path, data, secret)
        trouble = judged(answer)
        found.statuses[path, answer.status] += 1
    except Exception as exc:
        trouble = f"{type(exc).__name__}: {exc}"
    if trouble:
        found.troubles.append((path, data, trouble))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz-gateway", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", default="6")
    parser.add_argument("--only", help="one path")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"BYTE_HOME": home, "OPENROUTER_API_KEY": "none"}
        paths = {path: role for path, role in routes().items() if chosen.only in (None, path)}
        print(f"seed {chosen.seed}: {chosen.bodies:,} bodies at {len(paths)} routes", flush=True)
        found = asyncio.run(run(chosen.bodies, chosen.seed, paths, lambda line: print(line, flush=True)))
    for path in paths:
        told = {status: count for (one, status), count in sorted(found.statuses.items()) if one == path}
        print(f"{path}: {told}")
    for path, data, trouble in found.troubles[:20]:
        print(f"TROUBLE at {path}: {trouble}\n  {data[:600]!r}")
    print(f"{chosen.bodies:,} bodies: {len(found.troubles)} brought trouble.")
    return 1 if found.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
