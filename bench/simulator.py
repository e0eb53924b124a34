"""How much the simulator can send: `.venv/bin/python bench/simulator.py [--json]`.

The simulator runs in a process of its own, and its CPU time is read from the kernel (Linux), so that chunks a CPU second say
what one core could do whatever else this machine is busy with. The client reads raw bytes and counts events, no more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bytedeck.simulator import SimulatorProcess
from bytedeck.simulator.server import new_loop

MODEL = "openai/gpt-4o-mini"
TOKENS = 2000
PACED_STREAMS = 2000
PACED_TPS = 5
PACED_SECONDS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


def request(sim: SimulatorProcess, tokens: int, headers: str = "") -> bytes:
    """A streamed request for so many tokens."""
    prompt = f"[[sim: tokens={tokens}]]"
    body = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": prompt}]})
    head = (
        f"POST /api/v1/chat/completions HTTP/1.1\r\nHost: {urlsplit(sim.url).netloc}\r\nAuthorization: Bearer {sim.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body.encode()


class _Counter(asyncio.Protocol):
    """Counts the events of `times` streams, one after another, on one connection."""

    def __init__(self, sent: bytes, times: int) -> None:
        self._sent, self._left, self._tail = sent, times, b""
        self.events = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"data: {")
        self._tail = (self._tail + data)[-7:]
        if not self._tail.endswith(b"\r\n0\r\n\r\n"):
            return
        self._tail, self._left = b"", self._left - 1
        if self._left:
            self._transport.write(self._sent)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or self._left:
            self.done.set_exception(SystemExit("the simulator ended a connection"))
        else:
            self.done.set_result(None)


async def stream(sim: SimulatorProcess, sent: bytes, times: int = 1) -> int:
    """Ask `times` on one connection; returns the events that came."""
    place = urlsplit(sim.url)
    loop = asyncio.get_running_loop()
    _, counter = await loop.create_connection(lambda: _Counter(sent, times), place.hostname, place.port)
    await counter.done
    return counter.events


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def unpaced(sim: SimulatorProcess, pid: int, streams: int, times: int) -> dict[str, Any]:
    """Streams as fast as they go."""
    sent = request(sim, TOKENS)
    await stream(sim, sent)  # warm
    began, used = time.perf_counter(), cpu(pid)
    events = sum(await asyncio.gather(*(stream(sim, sent, times) for _ in range(streams))))
    seconds, used = time.perf_counter() - began, cpu(pid) - used
    return {
        "streams": streams,
        "events": events,
        "events_per_second": round(events / seconds),
        "events_per_cpu_second": round(events / used),
    }


async def paced(sim: SimulatorProcess, pid: int) -> dict[str, Any]:
    """Many slow streams at once: whether they keep their pace."""
    sent = request(sim, PACED_TPS * PACED_SECONDS, f"X-Sim-TPS: {PACED_TPS}\r\n")
    began, used = time.perf_counter(), cpu(pid)

    async def one(number: int) -> int:
        await asyncio.sleep(number / PACED_STREAMS)  # out of step, within the first second
        return await stream(sim, sent)

    events = sum(await asyncio.gather(*(one(number) for number in range(PACED_STREAMS))))
    seconds, used = time.perf_counter() - began, cpu(pid) - used
    # The simulator's own clock, so that a slow client is not counted against it.
    rows = sim.get(f"/sim/journal?limit={PACED_STREAMS}")["data"]
    ends = sorted(float(row["ended"] - row["arrived"]) for row in rows)
    return {
        "streams": PACED_STREAMS,
        "tokens_per_second_each": PACED_TPS,
        "events": events,
        "expected_seconds": round(PACED_SECONDS - 1 / PACED_TPS, 2),
        "median_seconds": round(ends[len(ends) // 2], 2),
        "slowest_seconds": round(ends[-1], 2),
        "cpu_share": round(used / seconds, 2),
    }


async def calls(sim: SimulatorProcess, pid: int, number: int = 3000) -> dict[str, Any]:
    """Short answers, one after another on 8 connections."""
    sent = request(sim, 5)
    began, used = time.perf_counter(), cpu(pid)
    await asyncio.gather(*(stream(sim, sent, number // 8) for _ in range(8)))
    seconds, used = time.perf_counter() - began, cpu(pid) - used
    return {"calls_per_second": round(number / seconds), "cpu_us_per_call": round(used / number * 1e6)}


async def measure() -> dict[str, Any]:
    with SimulatorProcess(journal=PACED_STREAMS) as sim:
        pid = sim.pid
        found = {
            "one_stream": await unpaced(sim, pid, 1, 20),
            "twenty_streams": await unpaced(sim, pid, 20, 2),
            "paced": await paced(sim, pid),
            "calls": await calls(sim, pid),
        }
        found["left_open"] = sim.get("/sim/stats")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        found = runner.run(measure())
    if parser.parse_args().json:
        print(json.dumps(found))
        return
    for name, figures in found.items():
        print(f"{name:16s}", ", ".join(f"{key} {value:,}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
