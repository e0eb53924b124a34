"""One client in a process of its own: measures what it is told to and prints a line of JSON each time.

    main(client, url, folder, "cpu")       a line "burst 0.5" on stdin asks for that test, so many seconds
    main(client, url, folder, "memory")
    main(client, url, folder, "start")

CPU is that of the whole process, all its threads and the kernel's work for them. Every text is
compared with what the upstream said, so that nobody is measured while getting it wrong. Nothing is
imported here that the client does not need: `start` measures the bare client.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from clients import CLIENTS

WORDS = (" lorem", " ipsum", " dolor", " magna")
"""The upstream says these in turn, a chunk each; all have the same length."""

BURST = {"n": 1000, "per": 100, "us": 4000}
PACED = {"per": 1, "us": 2000}
MANY = {"per": 1, "us": 20000}
STREAMS = 50
CALL = {"n": 1}
CALLS = {"n": 20}
AT_ONCE = 32


def prompt(**marker: int) -> str:
    told = " ".join(f"{name}={value}" for name, value in marker.items())
    return f"Explain in three sentences why the sky is blue. [[{told}]]"


class Meter:
    """Counts what a client's user gets; `on_first` is called at each stream's first text."""

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        self.length = 0
        self.on_first = on_first

    def add(self, text: str) -> None:
        if not self.length:
            self.on_first()
        self.length += len(text)

    @property
    def chunks(self) -> float:
        return self.length / len(WORDS[0])

    def check(self, n: int) -> None:
        if self.length != n * len(WORDS[0]):
            raise AssertionError(f"{self.chunks} chunks of {n}")


def check(text: str, n: int) -> None:
    if text != "".join(WORDS[i % len(WORDS)] for i in range(n)):
        raise AssertionError(f"{len(text)} characters instead of {n * len(WORDS[0])}")


def micros(cpu: float, count: float) -> float:
    return round(cpu / count * 1e6, 2)


def yardstick() -> float:
    """CPU seconds of a fixed piece of work: how fast the machine is just now."""
    began = time.process_time()
    table: dict[int, int] = {}
    for number in range(200_000):
        table[number % 1000] = table.get(number % 1000, 0) + number
    return time.process_time() - began


# ── async ────────────────────────────────────────────────────────────────────────────────────────


async def for_a_while(seconds: float, once: Callable[[], Awaitable[float]], at_once: int = 1) -> float:
    """µs of CPU for each thing that `once` says it did, over `seconds`, after one that is not counted.

    A short rest is counted too: work put off until later (a ledger's writer) is work.
    """
    import asyncio

    await once()
    done = 0.0
    until = time.monotonic() + seconds

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < until:
            # Not `done += await …`: that would lose what the others did meanwhile.
            did = await once()
            done += did

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    await asyncio.sleep(0.05)
    return micros(time.process_time() - began, done)


async def steady(client: Any, streams: int, seconds: float, marker: dict[str, int]) -> float:
    """µs of CPU a chunk while `streams` paced streams are open: neither their opening nor their end."""
    import asyncio

    n = int((seconds + 0.8) * 1e6 / marker["us"])
    all_open = asyncio.Event()
    waiting = streams

    def opened() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            all_open.set()

    meters = [Meter(opened) for _ in range(streams)]
    tasks = []
    for meter in meters:
        tasks.append(asyncio.ensure_future(client.stream(prompt(n=n, **marker), meter)))
        # Spread over the tick, or all would wake the client at one moment.
        await asyncio.sleep(marker["us"] / 1e6 / streams if streams > 1 else 0)
    await all_open.wait()
    began, before = time.process_time(), sum(meter.length for meter in meters)
    await asyncio.sleep(seconds)
    cpu, after = time.process_time() - began, sum(meter.length for meter in meters)
    await asyncio.gather(*tasks)
    for meter in meters:
        meter.check(n)
    return micros(cpu, (after - before) / len(WORDS[0]))


async def test(client: Any, name: str, seconds: float) -> float:
    """One of the CPU tests, by its name."""

    async def burst() -> float:
        meter = Meter()
        await client.stream(prompt(**BURST), meter)
        meter.check(BURST["n"])
        return BURST["n"]

    async def call(marker: dict[str, int] = CALL) -> float:
        check(await client.call(prompt(**marker)), marker["n"])
        return 1

    match name:
        case "burst":
            return await for_a_while(seconds, burst)
        case "paced":
            return await steady(client, 1, seconds, PACED)
        case "many":
            return await steady(client, STREAMS, seconds, MANY)
        case "call":
            return await for_a_while(seconds, call)
        case "calls":
            return await for_a_while(seconds, lambda: call(CALLS), AT_ONCE)
        case "trips":
            return await trips(client, call)
    raise ValueError(name)


async def trips(client: Any, call: Callable[[], Awaitable[float]]) -> float:
    """Round trips to the ledger for each of some calls, one at a time."""
    import asyncio

    await call()
    await asyncio.sleep(0.05)  # what is written behind an answer is written
    before, calls = client.trips, 20
    for _ in range(calls):
        await call()
        await asyncio.sleep(0.05)
    return float(client.trips - before) / calls


async def memory(client: Any, streams: int) -> dict[str, float]:
    """KB that each open stream adds, from the process' PSS before and with all of them open."""
    import asyncio
    import gc

    await client.stream(prompt(n=3), Meter())
    gc.collect()
    before = pss()
    left = streams
    all_open = asyncio.Event()

    def opened() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_open.set()

    tasks = [
        asyncio.ensure_future(client.stream(prompt(n=60, per=1, us=1_000_000), Meter(opened)))
        for _ in range(streams)
    ]
    await asyncio.wait_for(all_open.wait(), 60)
    await asyncio.sleep(1.2)
    gc.collect()
    alive = sum(not task.done() for task in tasks)
    return {
        "stream_kb": round((pss() - before) / alive, 1),
        "base_mb": round(before / 1024, 1),
        "open": alive,
    }


def pss() -> int:
    """KB: what is the process' own, and its share of what it has in common with others."""
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# ── blocking ─────────────────────────────────────────────────────────────────────────────────────


def sync_for_a_while(seconds: float, once: Callable[[], float]) -> float:
    once()
    done = 0.0
    until = time.monotonic() + seconds
    began = time.process_time()
    while time.monotonic() < until:
        done += once()
    time.sleep(0.05)
    return micros(time.process_time() - began, done)


def sync_paced(client: Any, seconds: float) -> float:
    """As `steady` for one stream, but with the stream's end, since nobody else could stop the clock."""
    n = int(seconds * 1e6 / PACED["us"])
    began = 0.0

    def opened() -> None:
        nonlocal began
        began = time.process_time()

    meter = Meter(opened)
    client.stream(prompt(n=n, **PACED), meter)
    used = time.process_time() - began
    meter.check(n)
    return micros(used, n - 1)


def sync_test(client: Any, name: str, seconds: float) -> float:
    def burst() -> float:
        meter = Meter()
        client.stream(prompt(**BURST), meter)
        meter.check(BURST["n"])
        return BURST["n"]

    def call() -> float:
        check(client.call(prompt(**CALL)), CALL["n"])
        return 1

    match name:
        case "burst":
            return sync_for_a_while(seconds, burst)
        case "paced":
            return sync_paced(client, seconds)
        case "call":
            return sync_for_a_while(seconds, call)
    raise ValueError(name)


# ── the process ──────────────────────────────────────────────────────────────────────────────────


async def run_async(name: str, url: str, folder: str, what: str) -> None:
    import asyncio

    client = CLIENTS[name].make(folder)
    await client.open(url)
    if what == "start":
        await client.stream(prompt(n=1, pid=os.getpid()), Meter())
        say(pid=os.getpid())
    elif what == "memory":
        say(**await memory(client, CLIENTS[name].open_streams))
    else:
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked, seconds = line.split()
            speed = yardstick()
            say(value=await asyncio.wait_for(test(client, asked, float(seconds)), 120), yardstick=speed)


def run_sync(name: str, url: str, folder: str, what: str) -> None:
    client = CLIENTS[name].make(folder)
    client.open(url)
    if what == "start":
        client.stream(prompt(n=1, pid=os.getpid()), Meter())
        say(pid=os.getpid())
        return
    for line in sys.stdin:
        asked, seconds = line.split()
        speed = yardstick()
        say(value=sync_test(client, asked, float(seconds)), yardstick=speed)


def say(**figures: float) -> None:
    import json

    print(json.dumps(figures), flush=True)


async def run_async_and_leave(name: str, url: str, folder: str, what: str) -> None:
    await run_async(name, url, folder, what)
    leave()


def leave() -> None:
    """Hundreds of open streams need no farewell, and a library's own threads must not hold us."""
    os._exit(0)


def main(name: str, url: str, folder: str, what: str) -> None:
    if CLIENTS[name].sync:
        run_sync(name, url, folder, what)
        leave()
    import asyncio

    asyncio.run(run_async_and_leave(name, url, folder, what))
