"""The log: one line a request, in either form, of what may be told; and a stderr that nobody reads stops nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_asks import ask, bearer
from bytedeck import AsyncHub
from bytedeck.callers import Caller
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.watch import logs
from bytedeck.gateway.watch.logs import Log
from bytedeck.gateway.watch.record import Record
from bytedeck.simulator import Simulator
from gateways import dial, post, read_until

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "a canary in a coal mine"}], "max_tokens": 5}


class Paper:
    """What is written."""

    def __init__(self) -> None:
        self.data = b""

    def __call__(self, data: bytes) -> None:
        self.data += data

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


@pytest.fixture
def paper() -> Paper:
    return Paper()


async def logged_app(form: Any, paper: Paper) -> App:
    app = App(AsyncHub(), Settings(grace=0.0))
    app.log.close()
    app.log = Log(form, paper)
    return app


async def test_a_line_for_each_request(paper: Paper) -> None:
    """Who, what, how it ended, what it cost; no prompt, no secret, no header, no query."""
    app = await logged_app("json", paper)
    secret = await asyncio.to_thread(app.hub.house.keys.create, Caller(name="ada"))
    async with app.hub.testing("ok"):
        await ask(app, "POST", CHAT, bearer(secret) | {"x-odd": "canary"}, ASKED, f"api_key={secret}")
        await ask(app, "POST", CHAT, {}, ASKED)
        await ask(app, "GET", f"/v1/models/{secret}", bearer(secret))
        await ask(app, "GET", "/healthz")
        await app.aclose()
    good, refused, missing = paper.lines
    assert (good["level"], good["status"], good["key"], good["outcome"]) == ("info", 200, "ada", "answered")
    assert {
        "ts",
        "request",
        "protocol",
        "path",
        "task",
        "model",
        "ttft_ms",
        "duration_ms",
        "client",
    } < good.keys()
    assert (refused["level"], refused["status"], refused["outcome"]) == ("warning", 401, "authentication")
    assert "key" not in refused
    assert missing["status"] == 404
    assert secret.encode() not in paper.data
    assert b"canary" not in paper.data


async def test_for_a_person(paper: Paper) -> None:
    """One line each, whatever stands in a path."""
    app = await logged_app("text", paper)
    await ask(app, "GET", "/v1/models/\n2026 info forged\x1b[31m")
    app.log.say("warning", "A sentence.")
    await app.aclose()
    assert sorted(line.split()[1] for line in paper.data.decode().splitlines()) == ["warning", "warning"]
    assert b"\x1b" not in paper.data


async def test_warnings_of_the_library(paper: Paper) -> None:
    """They stand in the same log, without a key that may be in them; after the end in none."""
    log = Log("json", paper)
    logging.getLogger("bytedeck.gateway").error("the key sk-or-v1-0123456789abcdef is odd")
    logging.getLogger("asyncio").warning("slow")
    log.close()
    logging.getLogger("bytedeck.gateway").error("too late")
    assert [(one["level"], one["logger"]) for one in paper.lines] == [
        ("error", "bytedeck.gateway"),
        ("warning", "asyncio"),
    ]
    assert b"0123456789" not in paper.data


async def test_a_bug_stands_in_it(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its place and the request, and without its words."""
    app = await logged_app("json", paper)

    async def broken(_: Any) -> Any:
        raise KeyError("secret words")

    monkeypatch.setattr(app.hub, "answer", broken)
    assert (await ask(app, "POST", CHAT, None, ASKED)).status == 500
    await app.aclose()
    bug, request = sorted(paper.lines, key=lambda one: "duration_ms" in one)
    assert "KeyError in test_logs.py" in bug["message"]
    assert (request["level"], request["outcome"]) == ("error", "internal")
    assert b"secret words" not in paper.data


def test_as_a_process(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`byte serve` tells all in JSON where there is no terminal: where it listens, requests, a broken configuration, its end."""
    config = tmp_path / "config.toml"
    config.write_text("retries = 1\n")
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    line = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()", "serve", "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            port = int(json.loads(process.stderr.readline())["url"].rpartition(":")[2])
            body = json.dumps({"model": "openai/gpt-4o-mini", **ASKED}).encode()
            with dial(port, post(CHAT, body, "Connection: close")) as connection:
                read_until(connection, b"never")
            told = json.loads(process.stderr.readline())
            config.write_text("retries = 99\n")
            process.send_signal(signal.SIGHUP)
            refused = json.loads(process.stderr.readline())
        finally:
            process.terminate()
        (last,) = process.stderr.read().splitlines()
    assert json.loads(last)["message"] == "Shutting down."
    assert (told["status"], told["model"], told["path"]) == (200, "openai/gpt-4o-mini", CHAT)
    assert told["cost_usd"] > 0
    assert refused["level"] == "error"
    assert f"{config}, line 1: `retries`" in refused["message"]


def a_record() -> Record:
    return Record(
        id="r", protocol="chat", method="POST", path=CHAT, status=200, outcome="answered", seconds=0.1,
    )  # fmt: skip


def until_empty(log: Log) -> None:
    while log._queue.qsize():
        time.sleep(0.001)


async def test_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go on; what there is no room for is lost, and told as such once somebody reads again."""
    monkeypatch.setattr(logs, "_MOST_WAITING", 180)
    free, stuck, paper = threading.Event(), threading.Event(), Paper()

    def write(data: bytes) -> None:
        stuck.set()
        assert free.wait(10)
        paper(data)

    log = Log("json", write)
    for number in range(50):
        log.say("info", str(number))
        if number == 0:
            assert await asyncio.to_thread(stuck.wait, 10)
    free.set()
    await asyncio.to_thread(until_empty, log)
    log.say("info", "again")
    log.close()
    told = [one["message"] for one in paper.lines]
    assert told[:4] == ["0", "1", "2", "3"]
    assert told[-2:] == ["46 lines of this log are lost: nobody took them.", "again"]


async def test_a_closed_stderr() -> None:
    """It is given up, quietly."""

    def write(data: bytes) -> None:
        raise BrokenPipeError

    log = Log("json", write)
    for _ in range(3):
        log.request(a_record())
        log.say("info", "x")
    log.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """One that does not block who writes."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    yield readable, writable
    os.close(readable)
    os.close(writable)


def test_a_stderr_that_takes_a_part(pipe: tuple[int, int]) -> None:
    """All of it goes out as somebody reads."""
    readable, writable = pipe
    data = b"".join(b"%d %s\n" % (number, b"x" * 100) for number in range(2000))
    found: list[bytes] = []

    def read() -> None:
        while sum(map(len, found)) < len(data):
            found.append(os.read(readable, 65536))

    reader = threading.Thread(target=read)
    reader.start()
    logs.write_lines(writable, data)
    reader.join(10)
    assert b"".join(found).splitlines() == data.splitlines()


@pytest.mark.parametrize(
    ("status", "outcome", "level"),
    [
        (200, "answered", "info"),
        (200, "abandoned", "info"),
        (0, "abandoned", "info"),
        (200, "truncated", "warning"),
        (404, "invalid_request", "warning"),
        (502, "answered", "error"),
    ],
)
async def test_how_bad_it_is(paper: Paper, status: int, outcome: str, level: str) -> None:
    """A stream that broke off has a status of 200, and is a warning all the same."""
    app = await logged_app("json", paper)
    told = Record(id="", protocol="chat", method="POST", path="/", status=status, outcome=outcome, seconds=0)
    app.log.request(told)
    await app.aclose()
    assert [line["level"] for line in paper.lines] == [level]
