"""A match behind `byte serve --workers 2`: held by one process, watched by way of all, and taken up when that one is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bytedeck import Hub
from bytedeck.simulator import Simulator
from ringside import LONG, Client, Stream, until

BYTE = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]

ESTABLISHED = "01"
"""In /proc/net/tcp."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")


@pytest.fixture
def served(
    openrouter: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Client]]:
    """The parent, and a client."""
    openrouter.reset(scale=1.0, tps=60)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    line = [*BYTE, "serve", "--port", "0", "--workers", "2", "--json", "--log", "off", "--grace", "0"]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert parent.stdout is not None
    port = int(json.loads(parent.stdout.readline())["url"].rpartition(":")[2])
    yield parent, Client(SimpleNamespace(port=port))  # type: ignore[arg-type]
    parent.kill()
    parent.communicate()


@pytest.fixture
def leaving() -> Iterator[contextlib.ExitStack]:
    """What closes the streams, however the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


def children(parent: Any) -> list[int]:
    pid = parent.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def connected(pid: int, port: int) -> int:
    """How many clients of the port a process has."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    clients = {f"socket:[{row[9]}]" for row in rows if (int(row[1][-4:], 16), row[3]) == (port, ESTABLISHED)}
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(link) in clients
    return found


def holder(pids: list[int], file: Path) -> int:
    """Who of them holds the only match."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        [(owner,)] = connection.execute("SELECT holder FROM arena_match").fetchall()
    [found] = [pid for pid in pids if str(pid) in owner.split("-")]
    return found


def ids(data: bytes) -> list[str]:
    return [line[4:].decode() for line in data.splitlines() if line.startswith(b"id: ")]


def test_one_holds_all_watch_and_another_goes_on(
    served: tuple[Any, Client], leaving: contextlib.ExitStack
) -> None:
    """Streams by way of both workers tell the same events under the same ids. The one that holds it is killed: those of the
    other stay and hear the rest, those that were cut come back with their last id; nobody has a gap, or an event twice."""
    parent, client = served
    pids = until(lambda: len(children(parent)) == 2 and children(parent))
    match = client.begin(LONG)
    with Hub() as hub:
        file = Path(hub.house.store.location)
    streams: list[Stream] = []

    def is_shared() -> bool:
        streams.append(leaving.enter_context(client.stream(match)))
        return all(connected(pid, client.port) for pid in pids)

    until(is_shared)
    for one in streams:
        one.until(b'"words"')
    held = holder(pids, file)
    os.kill(held, signal.SIGKILL)
    told = until(lambda: client.ask("POST", f"/matches/{match}/resume").status)
    while told != 200:  # the parent's next worker may not be there yet
        told = until(lambda: client.ask("POST", f"/matches/{match}/resume").status)
    heard = []
    for one in streams:
        seen = one.until(b'"resumed"')  # or its end
        if b'"resumed"' not in seen:
            last = ids(seen)[-1]
            with client.stream(match, "", f"Last-Event-ID: {last}") as again:
                seen += b"CUT" + again.until(b'"resumed"')
        heard.append(seen)
    assert {b"CUT" in one for one in heard} == {True, False}
    with Hub() as hub:
        events = hub.arena.events(match)
    [resumed] = [event.seq for event in events if type(event).__name__ == "Resumed"]
    for one in heard:
        before_, _, after = one.partition(b"CUT")
        # Words of before the end that were never written may have had the numbers of what came after it.
        lived = [found for found in ids(before_) if not found.endswith("-0") or int(found[:-2]) < resumed]
        got = lived + ids(after)
        assert got[: resumed + 1] == [f"{seq}-{int(seq >= resumed)}" for seq in range(resumed + 1)]
