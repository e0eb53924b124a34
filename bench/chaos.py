"""Ten thousand requests, two hundred at once, a third of them in bad weather, and every answer held against the truth.

    scripts/chaos [--requests N] [--at-once N] [--faults SHARE] [--seed S] [--blocking]

Prints figures; exits with 1 where a promise is broken: an answer that is called whole and is not, a character lost or said
twice without a word, a task, thread or socket left over, memory that grows, books that do not agree.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import gc
import math
import os
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import weather
from callers import taken_back
from truth import canonical, unbalanced, when

from bytedeck import AsyncHub, ByteError, Hub, Reply, Timeouts
from bytedeck.simulator import SimulatorProcess

CHAIN = (
    "openai/gpt-4o-mini",
    "google/gemini-2.5-flash",
    "anthropic/claude-sonnet-5",
    "deepseek/deepseek-chat",
)
"""The third refuses a prefill."""
PATIENCE = 8.0
"""Seconds of silence that are borne; two hundred at once on a small machine are slow without any fault."""
SCALE = 0.005
CLOSES = 1.0
"""Seconds within which the upstream sees that nobody waits any more."""
LEAVE = 0.02
"""The share of the callers who leave in the middle."""
FLAT = 1.10
"""How much more memory there may be at the end than after a quarter."""
AIR = 8 << 20
"""Bytes that it may have more in any case."""
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
JSON = {"type": "json_object"}


class Job(NamedTuple):
    """One request: what is asked, and what of it can be checked."""

    prompt: str
    options: dict[str, Any]
    truth: str | None
    """The whole text; None: it answers with a tool call."""
    streamed: bool
    leaves_after: int | None
    """Deltas after which the caller has gone."""


def jobs(count: int, seed: str, patience: float) -> Iterator[Job]:
    """What is asked, the same each time by the seed."""
    chance = random.Random(seed)
    bounds = Timeouts(connect=10, headers=patience, first_event=patience, idle=patience / 2, total=120)
    for number in range(count):
        kind = chance.choices(("text", "thought", "tools", "json"), (80, 8, 6, 6))[0]
        job = _job(kind, number, chance, seed)
        job.options["timeout"] = bounds
        yield job


def _job(kind: str, number: int, chance: random.Random, seed: str) -> Job:
    streamed = chance.random() < 0.8
    leaves = chance.randint(1, 20) if streamed and chance.random() < LEAVE else None
    options: dict[str, Any] = {"model": list(chance.sample(CHAIN, 3))}
    prompt = f"[[sim: tokens={chance.randint(3, 150)}]] Number {number}?"
    if kind == "thought":
        prompt = f"[[sim: tokens={chance.randint(3, 90)} reasoning={chance.randint(1, 40)}]] Number {number}?"
    elif kind == "tools":
        return Job(f"[[sim: tools=get_weather]] {number}", options | {"tools": TOOLS}, None, streamed, leaves)
    elif kind == "json":
        prompt = f"Number {number}, as JSON?"
        options["response_format"] = JSON
    told = {"response_format": JSON} if kind == "json" else {}
    return Job(prompt, options, canonical(prompt, seed, **told), streamed, leaves)


class Tally:
    """What came of all requests so far. Any thread may add to it."""

    def __init__(self, count: int) -> None:
        self.ends: collections.Counter[str] = collections.Counter()
        self.seams: collections.Counter[str] = collections.Counter()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.unproven: collections.Counter[bool] = collections.Counter()
        """Answers with an unproven seam, by whether they are as they should be all the same."""
        self.attempts = self.left = self.done = 0
        self.broken: list[str] = []
        self._count = count
        self._lock = threading.Lock()
        self.early = 0
        """Bytes in memory after a quarter."""

    def add(self, job: Job, shown: str, end: Reply | BaseException | None) -> None:
        """One request is over: with an answer, an error, or None where the caller has left."""
        with self._lock:
            self.done += 1
            if self.done == self._count // 4:
                gc.collect()
                self.early = memory()
            self.broken += [f"{sentence} [{job.prompt}]" for sentence in self._judged(job, shown, end)]

    def _judged(self, job: Job, shown: str, end: Reply | BaseException | None) -> list[str]:
        if end is None:
            self.left += 1
            self.ends["left"] += 1
            return []
        if isinstance(end, ByteError):
            self.ends[f"error {end.code}"] += 1
            self._note(end.reply)
            if job.streamed and shown != end.partial_text:
                return [f"shown {shown[-60:]!r}, the error has {end.partial_text[-60:]!r}"]
            return []
        if isinstance(end, BaseException):
            return [f"{type(end).__name__}: {end}"]
        self._note(end)
        self.ends["answered" if end.whole else end.finish_reason] += 1
        if end.whole and job.truth and any(seam.kind == "unproven" for seam in end.seams):
            self.unproven[end.text == job.truth] += 1
        return answered(job, shown, end)

    def _note(self, reply: Reply | None) -> None:
        if reply is None:
            return
        self.attempts += len(reply.attempts)
        self.outcomes.update(attempt.outcome for attempt in reply.attempts)
        self.seams.update(seam.kind for seam in reply.seams)


def answered(job: Job, shown: str, reply: Reply) -> list[str]:
    """The promises that a successful answer breaks."""
    broken = []
    if job.streamed and shown != reply.text:
        broken.append(f"shown {shown[-60:]!r}, the reply has {reply.text[-60:]!r}")
    if not reply.finish_reason:
        broken.append("an answer without an end")
    is_told = not reply.whole or any(seam.kind == "unproven" for seam in reply.seams)
    if job.truth is None:
        if reply.whole and not all(_is_whole(call.arguments) for call in reply.tool_calls):
            broken.append(f"a damaged tool call: {reply.tool_calls}")
    elif not is_told and reply.text != job.truth:
        kinds = [(seam.kind, seam.why, seam.after) for seam in reply.seams]
        broken.append(f"{reply.text!r} is not {job.truth!r}; {reply.finish_reason}, {kinds}")
    return broken


def _is_whole(arguments: str) -> bool:
    import json

    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sockets() -> int:
    """Open sockets of this process."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:  # it was the listing's own
            continue
    return found


# -- asking --------------------------------------------------------------------------------------


async def _ask(hub: AsyncHub, job: Job, tally: Tally) -> None:
    shown, end = "", None
    try:
        if not job.streamed:
            end = await hub.chat(job.prompt, **job.options)
        else:
            async with hub.stream(job.prompt, **job.options) as stream:
                seen = 0
                async for delta in stream:
                    shown, seen = taken_back(shown, delta), seen + 1
                    if seen == job.leaves_after:
                        break
                else:
                    end = stream.reply
    except Exception as error:
        end = error  # type: ignore[assignment]
    tally.add(job, shown, end)


def _ask_blocking(hub: Hub, job: Job, tally: Tally) -> None:
    shown, end = "", None
    try:
        if not job.streamed:
            end = hub.chat(job.prompt, **job.options)
        else:
            with hub.stream(job.prompt, **job.options) as stream:
                for seen, delta in enumerate(stream, start=1):
                    shown = taken_back(shown, delta)
                    if seen == job.leaves_after:
                        break
                else:
                    end = stream.reply
    except Exception as error:
        end = error  # type: ignore[assignment]
    tally.add(job, shown, end)


def in_flight(sim: SimulatorProcess) -> list[str]:
    """What still runs upstream although nobody waits for it any more. The request that asks is one."""
    if when(lambda: sim.get("/sim/stats")["tasks"] <= 1, CLOSES):
        return []
    return [f"upstream still runs for nobody: {sim.get('/sim/stats')}"]


async def storm(
    hub: AsyncHub, todo: Iterator[Job], at_once: int, tally: Tally, sim: SimulatorProcess
) -> None:
    """All jobs, so many at once; then the hub is closed."""

    async def worker() -> None:
        for job in todo:
            await _ask(hub, job, tally)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    tally.broken += await asyncio.to_thread(in_flight, sim)
    await hub.aclose()
    await asyncio.sleep(0)
    tally.broken += [f"a task is left: {task}" for task in asyncio.all_tasks() - {asyncio.current_task()}]


def storm_of_threads(
    hub: Hub, todo: Iterator[Job], at_once: int, tally: Tally, sim: SimulatorProcess
) -> None:
    """The same with a thread for each that is under way."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in todo:
        waiting.put(job)

    def worker() -> None:
        while True:
            try:
                _ask_blocking(hub, waiting.get_nowait(), tally)
            except queue.Empty:
                return

    threads = [threading.Thread(target=worker) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.broken += in_flight(sim)
    hub.close()


# -- judging -------------------------------------------------------------------------------------


class Before(NamedTuple):
    """What this process had before the first hub."""

    sockets: int
    threads: frozenset[str]


def leaks(before: Before, patience: float = 3.0) -> list[str]:
    """What is left when all is closed; a thread that is about to end is given its moment."""

    def extra() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name not in before.threads]

    when(lambda: not extra() and sockets() <= before.sockets, patience)
    told = [f"threads are left: {extra()}"] if extra() else []
    if sockets() > before.sockets:
        told.append(f"{sockets() - before.sockets} sockets are left")
    return told


def books(sim: SimulatorProcess, url: str, tally: Tally) -> list[str]:
    """What does not agree between the ledger, the answers and the simulator."""
    when(lambda: sim.get("/sim/stats")["tasks"] <= 1)
    stats = sim.get("/sim/stats")
    broken = [f"left open upstream: {stats}"] if (stats["tasks"], stats["connections"]) != (1, 1) else []
    journal = sim.get("/sim/journal?path=*/chat/completions&limit=10000000")["data"]
    with Hub(api_key="none", database_url=url) as hub:
        rows = hub.house.store.rows(limit=10_000_000)
        found = hub.verify()
    if not found.ok:
        broken.append(f"the ledger's own look: {found}")
    broken += unbalanced(rows, journal, sim.get("/sim/ledger")["data"])
    told = len(rows) - tally.attempts
    # Those who left heard of none of theirs: at least one each, and never many.
    if not tally.left <= told <= 8 * tally.left:
        broken.append(f"{len(rows)} rows, {tally.attempts} attempts were told of, {tally.left} callers left")
    faulty = sum(bool(entry["faults"]) for entry in journal)
    print(f"attempts: {len(rows)}; {faulty} of {len(journal)} met a fault, of {_kinds(journal)} kinds")
    return broken


def _kinds(journal: list[dict[str, Any]]) -> int:
    return len({fault.partition(";")[0] for entry in journal for fault in entry["faults"]})


def chaos(
    requests: int,
    at_once: int,
    share: float,
    seed: str,
    *,
    patience: float = PATIENCE,
    blocking: bool = False,
) -> list[str]:
    """The whole; returns the promises that were broken."""
    before = Before(sockets(), frozenset(thread.name for thread in threading.enumerate()))
    tally = Tally(requests)
    settings = {"seed": seed, "scale": SCALE, "journal": requests * 8}
    with SimulatorProcess(**settings) as sim, tempfile.TemporaryDirectory() as home:
        sim.post("/sim/script", weather.script(share))
        url = f"sqlite:///{home}/ledger.sqlite3"
        options = {"base_url": sim.base_url, "api_key": sim.api_key, "database_url": url, "home": home}
        began, used = time.perf_counter(), time.process_time()
        if blocking:
            storm_of_threads(Hub(**options), jobs(requests, seed, patience), at_once, tally, sim)
        else:
            asyncio.run(storm(AsyncHub(**options), jobs(requests, seed, patience), at_once, tally, sim))
        seconds, used = time.perf_counter() - began, time.process_time() - used
        gc.collect()
        late = memory()
        print(
            f"{requests} requests, {at_once} at once: {seconds:.1f} s, {used / requests * 1e6:.0f} µs CPU each"
        )
        print("ends:", dict(tally.ends.most_common()))
        print("outcomes of attempts:", dict(tally.outcomes.most_common()))
        print("seams:", dict(tally.seams.most_common()))
        right, wrong = tally.unproven[True], tally.unproven[False]
        print(f"answers with an unproven seam: {right} are right all the same, {wrong} are not, and say so")
        print(f"memory: {tally.early >> 20} MB after a quarter, {late >> 20} MB at the end")
        if late > max(tally.early * FLAT, tally.early + AIR):
            tally.broken.append(f"memory grew from {tally.early >> 20} to {late >> 20} MB")
        tally.broken += books(sim, url, tally)
    tally.broken += leaks(before)
    return tally.broken


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=0, help="200, or 32 threads")
    parser.add_argument(
        "--faults", type=float, default=0.3, help="the share of upstream requests that meet a fault"
    )
    parser.add_argument("--seed", default="1")
    parser.add_argument("--blocking", action="store_true")
    chosen = parser.parse_args()
    at_once = chosen.at_once or (32 if chosen.blocking else 200)
    if not 0 <= chosen.faults < 1 or math.isnan(chosen.faults):
        parser.error("--faults is a share, from 0 to below 1")
    broken = chaos(chosen.requests, at_once, chosen.faults, chosen.seed, blocking=chosen.blocking)
    for sentence in broken[:40]:
        print("BROKEN:", sentence[:1200])
    print(f"{len(broken) or 'No'} promises broken.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
