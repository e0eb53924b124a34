"""Processes under load are killed with kill -9, one after the other; then the books are held against the simulator's.

    scripts/kill [--kills N] [--seed S]

Prints figures; exits with 1 where a promise is broken: a hit without its one attempt, a row whose generation was named and
that does not cost what was charged, an unknown row too many, an attempt that was taken from a process that lives.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace
from truth import MODEL

from bytedeck import AsyncHub, Hub
from bytedeck.simulator import SimulatorProcess
from bytedeck.streams import AsyncStream, Stream
from bytedeck.types import Ask

WORKERS = 4
AT_ONCE = 4
"""Requests of each worker that are under way."""
MOST_TOKENS = 60
SPREAD = 0.15
"""Seconds after its first answer within which a worker is killed."""
SETTINGS = {"tps": 500.0, "ttft": 0.01, "jitter": 0.5, "generation_delay": 0.3}
_REQUEST = re.compile(r"request ([0-9a-f]{32})")


# -- a worker ------------------------------------------------------------------------------------


def _ask(hub: Hub | AsyncHub, chance: random.Random) -> Ask:
    """A question that names its request, so that a hit can be told from another."""
    ask = hub.house.ask(
        "?", task="", model=MODEL, system="", timeout=None, max_cost=None, headers=None, params={}, streamed=True
    )  # fmt: skip
    prompt = f"[[sim: tokens={chance.randint(1, MOST_TOKENS)}]] request {ask.id}"
    return replace(ask, messages=({"role": "user", "content": prompt},))


def _work(hub: Hub, chance: random.Random, answered: Callable[[], None]) -> None:
    while True:
        ask = _ask(hub, chance)
        with Stream(lambda ask=ask: hub._drive(ask), None) as stream:  # type: ignore[misc]
            for _ in stream:
                pass
        answered()


async def _awork(hub: AsyncHub, chance: random.Random, answered: Callable[[], None]) -> None:
    while True:
        ask = _ask(hub, chance)
        async with AsyncStream(lambda ask=ask: hub._drive(ask), None) as stream:  # type: ignore[misc]
            async for _ in stream:
                pass
        answered()


async def _all(hub: AsyncHub, chance: random.Random, answered: Callable[[], None]) -> None:
    await asyncio.gather(*(_awork(hub, chance, answered) for _ in range(AT_ONCE)))


def work(face: str, seed: str, options: Mapping[str, str], answered: Callable[[], None]) -> None:
    """Ask until somebody ends it."""
    chance = random.Random(seed)
    if face == "async":
        asyncio.run(_all(AsyncHub(**options), chance, answered))
        return
    hub = Hub(**options)
    threads = [threading.Thread(target=_work, args=(hub, chance, answered)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- the nursery ---------------------------------------------------------------------------------


def nursery(options: Mapping[str, str]) -> None:
    """Forks workers and kills them, as its standard input says; each says when it has had an answer.

    They are its own children, so that no number of a process means another one by the time it is killed.
    """
    children: set[int] = set()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "start":
            pid = os.fork()
            if pid == 0:
                _live(rest, options)
            children.add(pid)
        else:
            children.remove(int(rest))
            _end(int(rest))
            _say(f"dead {rest}")
    for pid in children:
        _end(pid)


def _live(rest: str, options: Mapping[str, str]) -> None:
    """What a worker does all its life."""
    face, _, seed = rest.partition(" ")
    unsaid = [f"ready {os.getpid()}"]

    def answered() -> None:
        with contextlib.suppress(IndexError):  # it was said before
            _say(unsaid.pop())

    try:
        work(face, seed, options, answered)
    except BaseException:
        traceback.print_exc()
    _say("failed")
    os._exit(1)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def storm(kills: int, seed: str, options: Mapping[str, str]) -> list[int]:
    """So many kills, each of a worker that has had an answer; the ids of the killed."""
    chance, numbers, killed = random.Random(seed), itertools.count(), []
    command = [sys.executable, __file__, "--nursery", json.dumps(options)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def tell(line: str) -> None:
            print(line, file=child.stdin, flush=True)

        def start() -> None:
            number = next(numbers)
            tell(f"start {('async', 'blocking')[number % 2]} {seed} {number}")

        for _ in range(min(WORKERS, kills)):
            start()
        while len(killed) < kills:
            word, _, pid = child.stdout.readline().strip().partition(" ")
            if word == "ready":
                time.sleep(chance.uniform(0, SPREAD))
                tell(f"kill {pid}")
            elif word == "dead":
                killed.append(int(pid))
                if kills - len(killed) >= WORKERS:
                    start()
            else:
                raise RuntimeError("a worker has failed")
        child.stdin.close()
    return killed


# -- judging -------------------------------------------------------------------------------------


class Books(NamedTuple):
    """What both sides have written."""

    rows: list[Any]
    """Ours."""
    hits: list[tuple[str, str]]
    """The simulator's: request and generation of each request for an answer that came."""
    charges: dict[str, Decimal]
    """What it charged for each generation."""


def read(hub: Hub, sim: SimulatorProcess) -> Books:
    """Both sides' books. ValueError for a hit that says not whose it is."""
    journal = sim.get("/sim/journal?path=*/chat/completions&limit=10000000")["data"]
    hits = []
    for entry in journal:
        found = _REQUEST.search(json.dumps(entry["body"]))
        if found is None:
            raise ValueError(f"a hit without a request: {entry}")
        hits.append((found[1], str(entry["generation"])))
    charges = {str(one["id"]): Decimal(str(one["cost"])) for one in sim.get("/sim/ledger")["data"]}
    return Books(list(hub.house.store.export()), hits, charges)


def broken(books: Books, killed: Iterable[int], in_flight: int) -> list[str]:
    """The promises that the books break; [] for none."""
    rows, told = books.rows, []
    attempts, hits = Counter(row.request for row in rows), Counter(request for request, _ in books.hits)
    told += [
        f"request {name}: {count} hits, {attempts[name]} attempts"
        for name, count in hits.items()
        if attempts[name] != count
    ]
    told += [f"{row.attempt} is {row.state}" for row in rows if row.state != "settled"]
    named = [row for row in rows if row.generation_id]
    for row in named:
        if row.cost != books.charges.get(row.generation_id):
            told.append(f"{row.attempt} says {row.cost}, charged were {books.charges.get(row.generation_id)}")
    ours = sum((row.cost or 0 for row in named), Decimal(0))
    theirs = sum((books.charges.get(row.generation_id, 0) for row in named), Decimal(0))
    if ours != theirs:
        told.append(f"the named ones cost {ours} in our books, {theirs} in theirs")
    unknown = [row for row in rows if row.cost is None]
    if len(unknown) > in_flight:
        told.append(f"{len(unknown)} attempts of unknown cost, {in_flight} were in flight")
    told += [
        f"{row.attempt} is {row.outcome}, and its cost unknown" for row in unknown if row.outcome != "lost"
    ]
    dead = {str(pid) for pid in killed}
    told += [
        f"{row.attempt} is lost, and its process was not killed"
        for row in rows
        if row.outcome == "lost" and row.owner.partition("-")[0] not in dead
    ]
    return told


def kill(kills: int, seed: str) -> list[str]:
    """The whole; returns the promises that were broken."""
    with (
        SimulatorProcess(**SETTINGS, seed=seed, journal=1_000_000) as sim,
        tempfile.TemporaryDirectory() as home,
    ):
        url = f"sqlite:///{home}/ledger.db"
        options = {"base_url": sim.base_url, "api_key": sim.api_key, "database_url": url, "home": home}
        began = time.monotonic()
        killed = storm(kills, seed, options)
        storming = time.monotonic() - began
        with Hub(**options) as hub:  # type: ignore[arg-type]
            swept = hub.house.store.sweep()
            awaiting = hub.verify().awaiting
            began = time.monotonic()
            found = hub.reconcile(wait=30.0)
            looking = time.monotonic() - began
            books, check = read(hub, sim), hub.verify()
    told = broken(books, killed, kills * AT_ONCE)
    told += [f"verify: {problem}" for problem in check.problems]
    if found.stopped is not None:
        told.append(f"the look-up ended early: {found.stopped}")
    _print(kills, storming, books)
    print(f"swept at the end: {swept}; looked up: {found.found} of {awaiting} in {looking:.1f} s")
    return told


def _print(kills: int, seconds: float, books: Books) -> None:
    rows = books.rows
    named = [row for row in rows if row.generation_id]
    lost = [row for row in rows if row.outcome == "lost"]
    unknown = [row for row in rows if row.cost is None]
    strangers = sum(books.charges.values()) - sum(row.cost or 0 for row in named)
    print(
        f"{kills} kills in {seconds:.1f} s; {len(books.hits)} hits, {len(rows)} attempts, {len(lost)} of them lost"
    )
    print(f"named: {len(named)}, {sum(row.cost or 0 for row in named)} USD, as charged, to the unit")
    print(f"qualities: {dict(Counter(row.quality for row in rows))}")
    bound = sum(row.worst_units or 0 for row in unknown)
    print(
        f"unknown: {len(unknown)} of at most {kills * AT_ONCE} in flight, {strangers} USD were charged for them; "
        f"their worst cases: {Decimal(bound).scaleb(-12)} USD"
    )


def main() -> int:
    if sys.argv[1:2] == ["--nursery"]:
        nursery(json.loads(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(prog="scripts/kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    told = kill(chosen.kills, chosen.seed)
    for sentence in told[:40]:
        print("BROKEN:", sentence[:600])
    print(f"{len(told) or 'No'} promises broken.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
