"""Several workers behind one address: they share the load, one may die, and none outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bytedeck import Hub
from bytedeck.cli.main import cli
from bytedeck.gateway.server import workers
from bytedeck.gateway.settings import Settings
from bytedeck.simulator import Simulator
from gateways import dial, post, read_until

BYTE = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]
CHAT = "/v1/chat/completions"
BUDGET = Decimal("0.004")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")


def asked(model: str = "openai/gpt-4o-mini", **more: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100} | more
    return post(CHAT, json.dumps(body).encode(), "Connection: close")


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not (found := done()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
    return found


def is_there(pid: int) -> bool:
    """Whether a process runs; one that only waits to be asked for its end does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Served:
    """`byte serve --workers 2`."""

    def __init__(self) -> None:
        line = [*BYTE, "serve", "--port", "0", "--workers", "2", "--json", "--log", "off", "--grace", "5"]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["url"].rpartition(":")[2])

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self) -> tuple[int, bytes]:
        """Exit code, and what it said besides."""
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture
def served(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    config = tmp_path / "config.toml"
    config.write_text(f'retries = 0\n[limits]\nwait = 0\n[budget]\ndaily = "{BUDGET}"\n')
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    with Hub() as hub:
        hub.house.models.fetch(hub.wire)  # prices, or a hard budget lets nothing through
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running = Served()
    yield running
    running.process.kill()
    running.process.communicate()


def test_one_dies_under_load(served: Served, sim: Simulator) -> None:
    """The others go on, it comes back, no budget is passed, and the ledger is whole."""
    told: Counter[str] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), dial(served.port, asked()) as connection:
                status = read_until(connection, b"never")[9:12].decode()
                told[status] += 1
                if status in ("402", "429"):  # spent, or held by the attempts that died
                    is_over.set()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: told["200"] > 5)
    first, second = until(lambda: len(served.workers()) == 2 and served.workers())
    os.kill(first, signal.SIGKILL)
    seen = told["200"]
    until(lambda: told["200"] > seen + 5 or is_over.is_set())
    until(lambda: set(served.workers()) > {second})
    until(is_over.is_set)
    for thread in threads:
        thread.join()
    served.process.send_signal(signal.SIGHUP)
    with dial(served.port, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert read_until(connection, b"ready").startswith(b"HTTP/1.1 200")
    served.process.send_signal(signal.SIGTERM)
    assert served.end() == (0, b"")
    assert set(told) <= {"200", "402", "429", ""}
    with Hub() as hub:
        hub.house.store.sweep()
        found = hub.verify()
        assert found.ok
        assert (found.in_flight, found.orphaned) == (0, 0)
        assert 0 < found.cost_units <= BUDGET * 10**12


def test_none_outlives_its_parent(served: Served, sim: Simulator, tmp_path: Path) -> None:
    """The parent is killed: its workers end, in order, the port is free, and nothing of theirs lies about. Answers that run
    come to their end."""
    assert list(tmp_path.glob("bytedeck-*"))
    sim.reset(tps=100, scale=1.0)
    pids = until(lambda: len(served.workers()) == 2 and served.workers())
    with dial(served.port, asked(stream=True)) as connection:
        read_until(connection, b'"content":"')
        served.process.kill()
        assert b"[DONE]" in read_until(connection, b"[DONE]")
    until(lambda: not any(map(is_there, pids)))
    assert not list(tmp_path.glob("bytedeck-*"))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", served.port))
        other.listen()


def test_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence, and nothing was begun."""
    monkeypatch.setattr(workers.sys, "platform", "win32")
    done = CliRunner().invoke(cli, ["serve", "--workers", "2", "--port", "0"])
    assert done.exit_code == 5
    assert "Windows" in done.output


def test_a_worker_that_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not one of them gets ready it is given up, with what the workers said."""
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(workers.WorkersFailed, match="1"):
        workers.supervise(listener, Settings(grace=0.0), 2, lambda: pytest.fail("nobody is ready"))


async def test_one_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no memory for a process just then: it is told, and the place does not stay empty. SIGHUP finds nobody
    there, and is no error."""
    tries: list[str] = []

    async def spawn(*line: str, **more: Any) -> Any:
        tries.append(line[-1])
        supervisor._reload()
        if len(tries) == 3:
            supervisor._end(signal.SIGTERM)
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(workers, "FIRST_REST", 0.001)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = workers.Supervisor(listener, Settings(log="text"), lambda: None)
        supervisor._is_ready = True
        supervisor._welcoming.add(0)  # it said so, and died before that was heard
        with pytest.raises(workers.WorkersFailed, match="71"):
            await supervisor.run(1)
    assert len(tries) == 3
    said = capfd.readouterr().err
    assert said.count("Cannot allocate memory") == 3
    assert "Worker 0 has ended with 71, and is started anew" in said


def test_orders() -> None:
    """What a worker is told comes through its command line as it was."""
    order = workers.Order(
        listener=3, lifeline=4, ready=5, settings=Settings(numbers=Path("a b"), hosts=("x",))
    )
    assert workers.read(workers.written(order)) == order
