"""`byte serve` as a process: how it starts, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bytedeck import AsyncHub, Hub
from bytedeck.callers import Caller
from bytedeck.cli import serve as cli_serve
from bytedeck.cli.main import cli
from bytedeck.gateway.server.serve import CannotListen, bind, check_host, new_loop, url_of
from bytedeck.simulator import Simulator
from gateways import dial, post, read_until

BYTE = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]
CHAT = "/v1/chat/completions"


def asked(model: str) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    return post(CHAT, json.dumps({"model": model, "messages": messages, "stream": True}).encode())


def closed(port: int) -> None:
    """Wait until nobody listens there any more."""
    with contextlib.suppress(ConnectionError):
        while True:
            socket.create_connection(("127.0.0.1", port), 10).close()


class Served:
    """`byte serve` with these arguments."""

    def __init__(self, *arguments: str) -> None:
        line = [*BYTE, "serve", "--port", "0", "--log", "off", *arguments]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    @property
    def port(self) -> int:
        return int(json.loads(self.first)["url"].rpartition(":")[2])

    def end(self) -> tuple[int, bytes]:
        """Exit code, and what it said besides."""
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def serving(sim: Simulator) -> Iterator[Any]:
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        started.append(Served("--json", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def settled(outcome: str) -> bool:
    """Whether the ledger holds one attempt, ended like this, and is in order."""
    with Hub() as hub:
        rows, verified = hub.house.store.rows(), hub.verify()
    return (
        [row.outcome for row in rows] == [outcome]
        and verified.ok
        and not (verified.in_flight or verified.orphaned)
    )


def test_it_answers_and_ends_well(serving: Any) -> None:
    """Started with nothing but the environment; SIGTERM with nobody there ends it at once, with 0 and no complaint."""
    served = serving()
    with dial(served.port, asked("openai/gpt-4o-mini")) as connection:
        assert b"[DONE]" in read_until(connection, b"[DONE]")
    served.process.send_signal(signal.SIGTERM)
    assert served.end() == (0, b"")
    assert settled("answered")


def test_running_answers_may_end(serving: Any, sim: Simulator) -> None:
    """Within the time of grace: no new connections, but the answer comes to its own end, and the exit code is 0."""
    sim.reset(tps=200, scale=1.0)
    served = serving("--grace", "30")
    with dial(served.port, asked("openai/gpt-4o-mini")) as connection:
        read_until(connection, b'"content":"')
        served.process.send_signal(signal.SIGTERM)
        told = read_until(connection, b"[DONE]\n\n")
        assert b"[DONE]" in told
        assert b'"error"' not in told
    assert served.end() == (0, b"")
    assert settled("answered")


@pytest.mark.parametrize(
    ("grace", "signals"),
    [("0.1", [signal.SIGTERM]), ("60", [signal.SIGINT, signal.SIGINT])],
    ids=["the time is over", "asked twice"],
)
def test_who_is_not_done_is_told(serving: Any, grace: str, signals: list[signal.Signals]) -> None:
    """A stream that cannot end is told the error, its upstream closed and settled, and the process ends with 0."""
    served = serving("--grace", grace)
    with dial(served.port, asked("sim/stall:tokens=3")) as connection:
        read_until(connection, b'"content":"')
        for one in signals:
            served.process.send_signal(one)
            closed(served.port)  # two signals at once might come as one
        told = read_until(connection, b"being shut down")
        assert b'"finish_reason":"error"' in told
    assert served.end() == (0, b"")
    assert settled("abandoned")


def test_it_starts_without_a_key(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration at all: it starts, and says of a request that there is neither key nor local model."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    with dial(serving().port, asked("byte/general")) as connection:
        told = read_until(connection, b"}}")
    assert told.startswith(b"HTTP/1.1 503")
    assert b"no_way_to_answer" in told
    assert b"x-should-retry: false" in told  # who asks again is told the same


def test_it_says_how_to_point_a_client_at_it(sim: Simulator) -> None:
    """For a person: the address and lines to copy."""
    served = subprocess.Popen(
        [*BYTE, "serve", "--port", "0", "--log", "text"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert served.stderr is not None
    said = [served.stderr.readline() for _ in range(5)]
    served.send_signal(signal.SIGINT)
    served.communicate(timeout=20)
    assert served.returncode == 0
    assert "listens at http://127.0.0.1:" in said[0]
    assert any("OPENAI_BASE_URL=http://127.0.0.1:" in line for line in said)
    assert any("ANTHROPIC_BASE_URL=http://127.0.0.1:" in line for line in said)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_listens_here_alone(host: str) -> None:
    """Without keys nobody else may reach it."""
    with pytest.raises(CannotListen, match="this machine alone") as caught:
        check_host(host, AsyncHub().house.keys)
    assert "byte keys create" in caught.value.hint[0]
    done = CliRunner().invoke(cli, ["serve", "--host", host, "--port", "0"])
    assert done.exit_code == 5


def test_with_a_key_it_listens_anywhere() -> None:
    """A key tells who calls; that it was revoked is still no reason to let anybody in."""
    keys = AsyncHub().house.keys
    assert not check_host("127.0.0.1", keys)
    keys.create(Caller(name="ada"))
    assert check_host("0.0.0.0", keys)
    assert check_host("127.0.0.1", keys)  # also where the ledger is lost later
    keys.revoke("ada")
    assert check_host("0.0.0.0", keys)


def test_a_port_in_use() -> None:
    """Told with what to do, in words of its own."""
    with bind("127.0.0.1", 0) as taken, pytest.raises(CannotListen, match="--port"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(CannotListen, match="no address"):
        bind("no such host", 0)
    with pytest.raises(CannotListen, match="no address of this machine"):
        bind("192.0.2.1", 0)


def test_ipv6() -> None:
    """A URL that can be used."""
    try:
        listener = bind("::1", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told how to install it."""
    monkeypatch.setattr(cli_serve, "find_spec", lambda name: None if name == "httptools" else object())
    done = CliRunner().invoke(cli, ["serve"])
    assert done.exit_code == 1
    assert "scripts/setup server" in done.output


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own loop serves as well."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_loop()
    loop.close()
    assert type(loop).__module__.startswith("asyncio")


def test_nothing_heavy_before_it_is_needed(tmp_path: Path) -> None:
    """`byte --help` and `import bytedeck` know nothing of the server."""
    code = (
        "import sys, bytedeck, bytedeck.cli.main, bytedeck.cli.serve;"
        "print(sorted({'uvicorn', 'uvloop', 'httptools', 'asyncio', 'bytedeck.gateway.app'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
