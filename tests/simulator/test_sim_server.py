"""Serving: how it starts and ends, what it refuses, how the connection is got at, and what a leaving client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bytedeck.simulator import Settings, Simulator, SimulatorError
from bytedeck.simulator.wire import Connection, Protocol
from simclient import HI, MODEL, ask, chat, connected, request_bytes


def _wait(sim: Simulator, done: Any) -> None:
    """Let the server take its turns until it is so."""
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline, sim.stats()
        time.sleep(0.002)


def test_uvicorns_protocol_is_as_we_know_it() -> None:
    """What `Protocol` overrides and reads is there; should uvicorn change, this says so first."""
    for name in ("connection_made", "connection_lost", "on_message_begin"):
        assert inspect.isfunction(getattr(HttpToolsProtocol, name)), name
        assert name in vars(Protocol)
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == [
        "self",
        "config",
        "server_state",
        "app_state",
        "_loop",
    ]
    source = inspect.getsource(HttpToolsProtocol.on_message_begin)
    assert "self.scope = {" in source
    assert "self.access_log" in inspect.getsource(HttpToolsProtocol)


def test_a_connection_sleeps_no_longer_than_its_client_stays() -> None:
    """Losing it wakes whoever waits, and nobody waits on a lost one."""

    async def run() -> None:
        connection = Connection(None)  # type: ignore[arg-type]
        waiting = asyncio.create_task(connection.sleep(None))
        await asyncio.sleep(0)
        connection.lose()
        await asyncio.wait_for(waiting, 1)
        await asyncio.wait_for(connection.sleep(1000), 1)

    asyncio.run(run())


def test_it_starts_answers_and_ends() -> None:
    """A thread of its own, a port of its own, and nothing left listening."""
    sim = Simulator()
    with sim:
        assert chat(sim).status == 200
        with pytest.raises(SimulatorError, match="runs already"):
            sim.start()
        place = urlsplit(sim.url)
        streams = connected(sim, 5)
        streams.sendall(
            request_bytes(
                sim,
                "POST",
                "/api/v1/chat/completions",
                {"model": "sim/stall", "stream": True, "messages": HI},
            )
        )
        assert streams.recv(100)
    with streams, contextlib.suppress(ConnectionResetError):
        while streams.recv(65_536):
            pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((place.hostname, place.port), 1)
    sim.stop()  # twice is once


def test_async_with_and_a_second_start() -> None:
    """The form for who has a loop; the same object can start again."""

    async def run(sim: Simulator) -> int:
        async with sim:
            return (await asyncio.to_thread(chat, sim)).status

    sim = Simulator(seed="x")
    assert asyncio.run(run(sim)) == asyncio.run(run(sim)) == 200


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"tps": -1.0}, "tps is -1.0"),
        ({"ttft": float("nan")}, "ttft is nan"),
        ({"jitter": 1.5}, "jitter is 1.5"),
        ({"rate": 2.0}, "rate is 2.0"),
        ({"port": 70_000}, "The port is 70000"),
        ({"usage": "triple"}, "usage is 'triple'"),
        ({"journal": 0}, "at least one"),
        ({"words_from": "ftp://x"}, "is no base URL"),
        ({"script": "no-such-file.toml"}, "^no-such-file.toml: There is no such script"),
        ({"faults": "overloded"}, "Did you mean overloaded.*: byte simulate --list-faults$"),
        ({"script": "/"}, "^/: This is a directory"),
        ({"colour": "red"}, "no setting of the simulator"),
    ],
)
def test_bad_options_are_one_sentence(fields: dict[str, Any], told: str) -> None:
    """Before anything is served."""
    with pytest.raises(SimulatorError, match=told) as caught:
        Simulator(**fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "told"), [("256.1.1.1", "no address"), ("203.0.113.7", "no address of this machine")]
)
def test_addresses_that_are_none(host: str, told: str) -> None:
    """One sentence for each reason."""
    with pytest.raises(SimulatorError, match=told):
        Simulator(host=host).start()


def test_an_occupied_port_is_one_sentence(openrouter: Simulator) -> None:
    """It names the port and the way out."""
    port = urlsplit(openrouter.url).port or 0
    with pytest.raises(SimulatorError, match=f"Port {port} on 127.0.0.1 is in use"):
        Simulator(Settings(port=port)).start()


def test_a_client_that_leaves_pays_for_what_was_said(openrouter: Simulator) -> None:
    """5.3: at a provider that can be stopped the tokens so far, at another all of them; the record says cancelled."""
    openrouter.reset(tps=2000)
    for model in ("openai/gpt-4o-mini", "google/gemini-2.5-flash"):
        messages = [{"role": "user", "content": "[[sim: tokens=2000]]"}]
        body = {"model": model, "stream": True, "messages": messages}
        with connected(openrouter, 5) as line:
            line.sendall(request_bytes(openrouter, "POST", "/api/v1/chat/completions", body))
            seen = b""
            while seen.count(b"data: {") < 20:
                seen += line.recv(4096)
    _wait(openrouter, lambda: len(openrouter.ledger()) == 2)
    stopped, not_stopped = openrouter.ledger()
    assert 15 < stopped["completion_tokens"] < 1000
    assert not_stopped["completion_tokens"] == 2000
    assert [row["cancelled"] for row in (stopped, not_stopped)] == [True, True]
    assert all(float(row["cost"]) > 0 for row in (stopped, not_stopped))
    assert [entry.end for entry in openrouter.journal()] == ["client left", "client left"]
    openrouter.advance(5)
    record = ask(openrouter, "GET", f"/api/v1/generation?id={stopped['id']}").json["data"]
    assert (record["cancelled"], record["streamed"], record["finish_reason"]) == (True, True, None)


def test_a_client_that_leaves_without_a_stream_pays_for_all(openrouter: Simulator) -> None:
    """No answer was stopped that nobody could see."""
    openrouter.reset(ttft=30)
    with connected(openrouter, 5) as line:
        line.sendall(
            request_bytes(openrouter, "POST", "/api/v1/chat/completions", {"model": MODEL, "messages": HI})
        )
        _wait(openrouter, lambda: openrouter.stats()["replies"] == 1)
    _wait(openrouter, lambda: openrouter.ledger() != [])
    [row] = openrouter.ledger()
    assert (row["cancelled"], row["outcome"]) == (True, "cancelled")
    assert row["completion_tokens"] > 20


def test_a_client_that_does_not_read_holds_up_nobody(openrouter: Simulator) -> None:
    """Back-pressure: its stream waits, others come; what is buffered stays small."""
    with connected(openrouter, 5) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        messages = [{"role": "user", "content": "[[sim: tokens=60000]]"}]
        body = {"model": MODEL, "stream": True, "messages": messages}
        line.sendall(request_bytes(openrouter, "POST", "/api/v1/chat/completions", body))
        _wait(openrouter, lambda: openrouter.stats()["replies"] == 1)
        assert chat(openrouter).status == 200
        assert openrouter.stats()["replies"] == 1
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _wait(openrouter, lambda: openrouter.stats()["connections"] == 0)


def test_connections_are_kept_and_may_be_pipelined(openrouter: Simulator) -> None:
    """Two requests in one packet get two answers in their order."""
    keep = {"Connection": "keep-alive"}
    first = request_bytes(openrouter, "GET", "/api/v1/models/count", headers=keep)
    last = request_bytes(openrouter, "GET", "/api/v1/credits")
    with connected(openrouter, 5) as line:
        line.sendall(first + last)
        came = b""
        while part := line.recv(65_536):
            came += part
    assert came.count(b"HTTP/1.1 ") == 2
    assert came.index(b"200 OK") < came.index(b"403 Forbidden")


def test_requests_that_are_too_large_or_no_http(openrouter: Simulator) -> None:
    """413 in OpenRouter's shape, after all of it was read; 400 for what is no HTTP."""
    came = ask(openrouter, "POST", "/api/v1/chat/completions", b" " * (33 * 1024 * 1024), timeout=30)
    assert (came.status, came.json["error"]["metadata"]["error_type"]) == (413, "payload_too_large")
    with connected(openrouter, 5) as line:
        line.sendall(b"hello there\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")
    assert chat(openrouter).status == 200


def test_same_seed_same_bytes() -> None:
    """With a stopped clock two simulators answer alike to the last byte; another seed answers otherwise."""

    def run(seed: str) -> list[bytes]:
        with Simulator(seed=seed, frozen=True) as sim:
            models = (
                "openai/gpt-4o-mini",
                "anthropic/claude-sonnet-4.5",
                "sim/error_chunk",
                "sim/overloaded",
            )
            return [chat(sim, model, stream=stream).raw for model in models for stream in (True, False)]

    once = run("1")
    assert once == run("1")
    assert all(a != b for a, b in zip(once[:6], run("2")[:6], strict=True))


def test_asyncios_own_loop_does_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no uvloop: answers, resets, cuts and endless waits, and a clean end."""
    monkeypatch.setattr("bytedeck.simulator.thread.new_loop", asyncio.new_event_loop)
    with Simulator(scale=0.001) as sim:
        assert chat(sim, stream=True).end == "whole"
        assert chat(sim, fault="reset").end == "reset"
        assert chat(sim, fault="cut;bytes=500", stream=True).end == "eof"
        assert chat(sim, fault="silence", stream=True, timeout=0.1).end == "timeout"
        _wait(sim, lambda: sim.stats()["tasks"] == 0)
        assert [entry.end for entry in sim.journal()] == ["whole", "reset", "cut", "client left"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that replies mean to wait, each as it is asked for; nobody waits for them."""
    planned: list[float] = []

    async def pause(connection: Connection, seconds: float, due: float) -> float:
        planned.append(seconds)
        await asyncio.sleep(0)
        return due

    monkeypatch.setattr("bytedeck.simulator.wire._pause", pause)
    return planned


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.1 * (1 + 39 / 100)),
        ({"X-Sim-TPS": "50"}, 0.1 * (1 + 39 / 50)),
        ({"X-Sim-TTFT": "7.5"}, 0.1 * (7.5 + 39 / 100)),
        ({"X-Sim-TPS": "0"}, 0.1),
        ({"X-Sim-TPS": "0", "X-Sim-TTFT": "0", "X-Sim-Jitter": "0.5"}, 0.0),
    ],
)
def test_pace_follows_settings_and_headers(
    openrouter: Simulator, pauses: list[float], headers: dict[str, str], seconds: float, stream: bool
) -> None:
    """Time to the first token, then each further one at its rate, all of it scaled; without a stream the same at once."""
    openrouter.reset(tps=100, ttft=1, scale=0.1)
    messages = [{"role": "user", "content": "[[sim: tokens=40]]"}]
    chat(openrouter, stream=stream, messages=messages, headers=headers)
    told = float(headers.get("X-Sim-TPS", 100))
    if not stream and told:
        seconds += 0.1 / told  # the first token's time is its own
    assert sum(pauses) == pytest.approx(seconds)


def test_jitter_varies_pauses_within_its_share_and_the_same_each_time(
    openrouter: Simulator, pauses: list[float]
) -> None:
    """By the seed."""
    seen = []
    for _ in range(2):
        openrouter.reset(tps=100, jitter=0.5)
        chat(openrouter, stream=True)
        seen.append(list(pauses))
        pauses.clear()
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 20
    assert all(0.005 <= seconds <= 0.015 for seconds in seen[0] if seconds)


@pytest.mark.parametrize("name", ["X-Sim-TPS", "X-Sim-TTFT", "X-Sim-Jitter"])
@pytest.mark.parametrize("value", ["fast", "-1", "nan", "inf", ""])
def test_a_pace_that_is_no_number_is_a_400(openrouter: Simulator, name: str, value: str) -> None:
    """It names the header."""
    bad = chat(openrouter, headers={name: value})
    assert (bad.status, name.lower() in bad.json["error"]["message"]) == (400, True)
