"""The response cache: what is answered from it, in each protocol, for whom, and how equal requests share one answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from bytedeck.callers import Caller
from bytedeck.simulator import Simulator
from gateways import Gateway, dial, post, read_until

CHAT = "/v1/chat/completions"
WORDS = "Fizz, then Buzz, then both."
PROMPT = f'[[sim: say="{WORDS}"]]'
TALK: Any = [{"role": "user", "content": PROMPT}]
PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "byte/coding", "messages": TALK},
    "/v1/messages": {"model": "byte/coding", "max_tokens": 500, "messages": TALK},
    "/v1/responses": {"model": "byte/coding", "input": PROMPT},
}


@pytest.fixture(autouse=True)
def _configured(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    models = 'models = ["openai/gpt-4o-mini", "openai/gpt-4o"]'
    path.write_text(f'retries = 0\n[tasks.coding]\ncache = "10m"\n{models}\n')
    monkeypatch.setenv("BYTE_CONFIG", str(path))


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


def opened(gateway: Gateway, *headers: str, path: str = CHAT, **more: Any) -> socket.socket:
    return dial(gateway.port, post(path, json.dumps(PATHS[path] | more).encode(), *headers))


def whole(connection: socket.socket) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer, streamed or not."""
    with connection:
        head, _, rest = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {"status": first.split()[1]} | dict(line.lower().split(": ", 1) for line in lines)
        size = int(headers.get("content-length", 1 << 30))
        while len(rest) < size and not rest.endswith(b"\r\n0\r\n\r\n") and (piece := connection.recv(65536)):
            rest += piece
    return headers, rest


def asks(sim: Simulator) -> int:
    return len(sim.journal(path="*/chat/completions"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("first", [False, True], ids=["kept whole", "kept streamed"])
def test_in_each_protocol(gateway: Gateway, sim: Simulator, path: str, first: bool) -> None:
    """Asked once; told again whole and streamed, in the protocol's own grammar, with the same words, its age, no cost,
    and what that has saved."""
    headers, told = whole(opened(gateway, path=path, stream=first))
    assert headers["x-byte-cache"] == "miss"
    [row] = gateway.rows()
    until(lambda: not gateway.app.answers._tasks)
    for streamed in (False, True, False):
        headers, told = whole(opened(gateway, path=path, stream=streamed))
        assert (headers["x-byte-cache"], headers["age"]) == ("hit", "0")
        assert Decimal(headers["x-byte-cache-saved"]) == row.cost
        assert headers["x-byte-model"]
        if not streamed:
            assert WORDS in told.decode()
            assert json.loads(told)["usage"]["cost"] == 0
        else:
            assert b"event-stream" in headers["content-type"].encode()
            assert b'"cost":0' in told
    assert (asks(sim), len(gateway.rows())) == (1, 1)


def test_official_clients(gateway: Gateway, sim: Simulator) -> None:
    """A kept answer reads like any other, also one with a call of a function."""
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]  # fmt: skip
    ask: Any = {"model": "byte/coding", "messages": [{"role": "user", "content": "Weather in Oslo?"}],
                "tools": tools, "tool_choice": "required"}  # fmt: skip
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=10) as gpt:
        first = gpt.chat.completions.create(**ask)
        until(lambda: not gateway.app.answers._tasks)
        again = gpt.chat.completions.create(**ask)
        streamed = list(gpt.chat.completions.create(**ask, stream=True))
    call = first.choices[0].message.tool_calls[0].function
    assert again.choices[0].message.tool_calls[0].function == call
    parts = [part for chunk in streamed for choice in chunk.choices for part in choice.delta.tool_calls or ()]
    assert "".join(part.function.arguments or "" for part in parts) == call.arguments
    assert (again.id, again.choices[0].finish_reason) != (first.id, "stop")
    assert asks(sim) == 1
    with Anthropic(base_url=gateway.url, api_key="none", timeout=10) as claude:
        talk: Any = {"model": "byte/coding", "max_tokens": 300, "messages": TALK}
        said = claude.messages.create(**talk)
        until(lambda: not gateway.app.answers._tasks)
        with claude.messages.stream(**talk) as stream:
            found = stream.get_final_message().content
        assert [block.type for block in found] == [block.type for block in said.content]
        assert found[-1].text == said.content[-1].text == WORDS
    assert asks(sim) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "else"}]},
        {"temperature": 0.5},
        {"model": "byte/general"},
        {"models": ["openai/gpt-4o-mini"]},
        {"max_tokens": 7},
    ],
)
def test_what_is_another_question(gateway: Gateway, sim: Simulator, change: dict[str, Any]) -> None:
    """Other words, parameters, task or models: asked anew."""
    whole(opened(gateway))
    until(lambda: not gateway.app.answers._tasks)
    headers, _ = whole(opened(gateway, **change))
    assert headers.get("x-byte-cache") in (None, "miss")
    assert asks(sim) > 1


def test_what_is_the_same_question(gateway: Gateway, sim: Simulator) -> None:
    """The order of fields, how it is told, and OpenRouter's own cache headers make no difference."""
    whole(opened(gateway, temperature=0.5, top_p=1))
    until(lambda: not gateway.app.answers._tasks)
    body = {
        "top_p": 1,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "stream": True,
        **PATHS[CHAT],
    }
    with dial(gateway.port, post(CHAT, json.dumps(body).encode(), "X-OpenRouter-Cache: true")) as connection:
        assert b"x-byte-cache: hit" in read_until(connection, b"[DONE]")
    assert asks(sim) == 1


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("sim/truncated:tokens=2", {}),
        (None, {"max_tokens": 3}),
        (None, {"messages": [{"role": "user", "content": "[[sim: finish=content_filter]]"}]}),
        ("sim/payment_required", {}),
    ],
)
def test_what_is_not_kept(gateway: Gateway, sim: Simulator, fault: str | None, more: dict[str, Any]) -> None:
    """An error, a cut, a filtered answer, and one that had to be joined."""
    if fault:
        sim.fault(fault.removeprefix("sim/"), skin="chat", times=1)
    for _ in range(2):
        headers, _ = whole(opened(gateway, "X-Byte-Failover: continue", stream=True, **more))
        until(lambda: not gateway.app.answers._tasks)
        assert headers["x-byte-cache"] == "miss"


def test_a_request_may_go_without(gateway: Gateway, sim: Simulator) -> None:
    """`off` neither reads nor keeps; `refresh` asks anew and keeps that; nobody can switch it on, or say anything else."""
    headers, _ = whole(opened(gateway, "X-Byte-Cache: off"))
    assert "x-byte-cache" not in headers
    for wish, expected in (("", "miss"), ("off", None), ("refresh", "miss"), ("", "hit")):
        headers, _ = whole(opened(gateway, *([f"X-Byte-Cache: {wish}"] if wish else [])))
        until(lambda: not gateway.app.answers._tasks)
        assert headers.get("x-byte-cache") == expected
    assert asks(sim) == 4
    headers, body = whole(opened(gateway, "X-Byte-Cache: on"))
    assert headers["status"] == "400"
    assert b"off or refresh" in body
    for _ in range(2):
        headers, _ = whole(opened(gateway, "X-Byte-Cache: refresh", model="byte/general"))
        assert "x-byte-cache" not in headers


def test_tenants_are_apart(sim: Simulator) -> None:
    """Each key has answers of its own, and for as long as it says; a key without it has the task's."""
    with Gateway() as gateway:
        keys = gateway.app.hub.house.keys
        ada, bob, eve = (keys.create(Caller(name=name, cache=seconds)) for name, seconds in
                         (("ada", 60), ("bob", 60), ("eve", 0)))  # fmt: skip
        gateway.do(gateway.app.access.refresh())
        found = []
        for secret in (ada, bob, ada, bob, eve, eve):
            headers, _ = whole(opened(gateway, f"Authorization: Bearer {secret}", model="openai/gpt-4o-mini"))
            until(lambda: not gateway.app.answers._tasks)
            found.append(headers.get("x-byte-cache"))
        assert found == ["miss", "miss", "hit", "hit", None, None]
        headers, _ = whole(opened(gateway, f"Authorization: Bearer {eve}"))
        assert headers["x-byte-cache"] == "miss"


def test_a_cache_that_is_broken(gateway: Gateway, sim: Simulator) -> None:
    """Full of rubbish, or where no file can be: every request is answered all the same."""
    path = Path(gateway.app.hub.house.cache.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rubbish" * 1000)
    for expected in ("miss", "hit"):
        headers, _ = whole(opened(gateway))
        until(lambda: not gateway.app.answers._tasks)
        assert (headers["status"], headers["x-byte-cache"]) == ("200", expected)
    gateway.app.hub.house.cache.close()
    path.unlink()
    path.mkdir()
    for _ in range(2):
        headers, _ = whole(opened(gateway))
        until(lambda: not gateway.app.answers._tasks)
        assert (headers["status"], headers["x-byte-cache"]) == ("200", "miss")


# -- equal requests at the same time


def _several(gateway: Gateway, sim: Simulator, count: int, *headers: str, **more: Any) -> list[socket.socket]:
    """The first one, and others once the upstream is being asked."""
    first = opened(gateway, *headers, **more)
    until(lambda: asks(sim))
    others = [opened(gateway, *headers, **more) for _ in range(count - 1)]
    until(lambda: len(gateway.app.running) == count)
    until(lambda: _listening(gateway) == count)
    return [first, *others]


def _listening(gateway: Gateway) -> int:
    return sum(len(one.listeners) for one in gateway.app.answers._shared.values())


@pytest.mark.parametrize("stream", [False, True])
def test_equal_requests_ask_once(gateway: Gateway, sim: Simulator, stream: bool) -> None:
    """The others hear the answer of the first while it comes; one row, one cost, told to the first alone."""
    sim.reset(tps=200, scale=1.0)
    connections = _several(gateway, sim, 4, stream=stream)
    told = [whole(one) for one in connections]
    assert [headers["x-byte-cache"] for headers, _ in told] == ["miss", *["coalesced"] * 3]
    free = [b'"cost":0,' in body for _, body in told]
    assert free == [False, True, True, True]
    if stream:
        said = {_said(body) for _, body in told}
        assert said == {WORDS}
    else:
        assert all(WORDS in json.loads(body)["choices"][0]["message"]["content"] for _, body in told)
    assert (asks(sim), len(gateway.rows())) == (1, 1)


def _said(body: bytes) -> str:
    events = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    chunks = [json.loads(event) for event in events]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_who_asked_first_may_leave(gateway: Gateway, sim: Simulator) -> None:
    """The others hear it to its end; when the last one leaves, the upstream ends, and the row is settled."""
    sim.reset(tps=100, scale=1.0)
    first, second = _several(gateway, sim, 2, stream=True)
    read_until(first, b'"content":"')
    first.close()
    _, body = whole(second)
    assert _said(body) == WORDS
    assert [row.outcome for row in gateway.rows()] == ["answered"]
    stalled = {"messages": [{"role": "user", "content": "stall"}], "stream": True}
    sim.fault("stall;tokens=2", skin="chat")
    connections = [opened(gateway, **stalled) for _ in range(3)]
    until(lambda: _listening(gateway) == 3)
    for one in connections:
        one.close()
    until(lambda: not gateway.app.answers._tasks)
    assert gateway.rows()[0].outcome == "abandoned"
    assert not gateway.app.gate.inside


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_goes_to_all(gateway: Gateway, sim: Simulator, stream: bool) -> None:
    """Each in its own form: with its status, or in the stream that it was shown."""
    sim.reset(tps=40, scale=1.0)
    sim.fault("truncated;tokens=12", skin="chat")
    needle = b'"truncated"' if stream else b"HTTP/1.1 502"
    more = {"messages": [{"role": "user", "content": "[[sim: words=40]]"}]}
    for one in _several(gateway, sim, 3, "X-Byte-Failover: error", stream=stream, **more):
        with one:
            assert needle in read_until(one, needle)
    until(lambda: not gateway.app.answers._tasks)


def test_who_reads_slowly_holds_nobody_up(gateway: Gateway, sim: Simulator) -> None:
    """One reads nothing at all of megabytes: the other has it whole."""
    sim.fault("big_event;megabytes=8", skin="chat")
    first = opened(gateway, stream=True)
    until(lambda: gateway.app.answers._shared)
    with first, opened(gateway, stream=True) as second:
        assert b"[DONE]" in read_until(second, b"[DONE]")


def test_a_follower_of_another_kind(gateway: Gateway, sim: Simulator) -> None:
    """Who wants it whole may wait for one that is streamed; who wants to see it come asks, where the first does not."""
    sim.reset(tps=200, scale=1.0)
    first = opened(gateway, stream=True)
    until(lambda: asks(sim))
    headers, body = whole(opened(gateway))
    assert headers["x-byte-cache"] == "coalesced"
    assert WORDS in body.decode()
    whole(first)
    until(lambda: not gateway.app.answers._tasks)
    one = opened(gateway, seed=1)
    until(lambda: asks(sim) == 2)
    headers, body = whole(opened(gateway, seed=1, stream=True))
    assert headers["x-byte-cache"] == "miss"
    assert whole(one)[0]["x-byte-cache"] == "miss"
    assert asks(sim) == 3


def test_the_cache_is_counted(gateway: Gateway, sim: Simulator) -> None:
    """For the metrics."""
    for _ in range(2):
        whole(opened(gateway))
        until(lambda: not gateway.app.answers._tasks)
    counted = gateway.app.metrics._counts["byte_cache_total"]
    assert counted == {("miss",): 1, ("hit",): 1}


@pytest.mark.parametrize("stream", [False, True])
def test_openrouters_own_cache(gateway: Gateway, sim: Simulator, stream: bool) -> None:
    """What a client wishes of it goes up, what it answers comes back; ours is out of the way."""
    wish = ("X-OpenRouter-Cache: true", "X-OpenRouter-Cache-TTL: 86400", "X-Byte-Cache: off")
    found = [whole(opened(gateway, *wish, model="openai/gpt-4o-mini", stream=stream))[0] for _ in range(2)]
    assert [headers["x-openrouter-cache-status"].lower() for headers in found] == ["miss", "hit"]
    assert found[1]["x-openrouter-cache-ttl"]
    assert asks(sim) == 2
