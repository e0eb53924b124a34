"""Processes spend one hard budget: fail-overs, hedges, hang-ups and kill -9; the simulator's ledger says what they paid.

    scripts/budget [--processes N] [--tasks N] [--kills N] [--usd AMOUNT] [--seed S]

Prints figures; exits with 1 where a promise is broken: the budget was passed, at whatever moment; an attempt cost more than
its worst case; at the end something is held, or more than one worst case is left; the books do not agree.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from kill import Books, read
from msgspec.structs import replace
from truth import UNHEARD, when

from bytedeck import AsyncHub, ByteError, Hub, Policy, run
from bytedeck.ledger.entry import LOST
from bytedeck.money import to_units, to_usd
from bytedeck.simulator import SimulatorProcess
from bytedeck.streams import AsyncStream, Stream
from bytedeck.types import Ask

AT_ONCE = 4
"""Requests of each process that are under way."""
CHAIN = (
    "anthropic/claude-sonnet-4.5",
    "openai/gpt-4o",
    "google/gemini-2.5-flash",
    "openai/gpt-4o-mini",
)
"""The dearest first; between it and the last one lies a factor of twenty."""
LATE = 0.15
"""Seconds without a word after which a hedge begins, before a model's own usual time is known."""
SETTINGS = {"tps": 500.0, "ttft": 0.02, "jitter": 0.5, "generation_delay": 0.3}
WEATHER = [
    {"fault": "overloaded", "rate": 0.08},
    {"fault": "truncated;tokens=20", "rate": 0.12},
    {"fault": "error_chunk", "rate": 0.06},
    {"fault": "slow_first_token;seconds=1", "rate": 0.1},
    {"fault": "reset", "rate": 0.04},
]
CONFIG = """
[budget]
total = "{usd}"
[limits]
requests = "1200/minute, burst 20"
tokens = "150000/minute"
wait = 5
"""
"""The limits are there to be in the way now and then, and to be taken together with the budget."""
SPREAD = 0.1
"""Seconds after one of its answers within which a process is killed."""
LOOK = 0.02
"""Seconds between two looks at what is spent and held, while they spend."""
RECONCILE = 0.5
"""Seconds between two look-ups of what hung-up and lost attempts have cost."""


class Task(NamedTuple):
    """One request."""

    chain: list[str]
    tokens: int
    """Of its answer."""
    most: int
    """The max_tokens that are sent."""
    hedge: bool
    leaves_after: int | None
    """Deltas after which the caller hangs up."""


def task(number: int, seed: str) -> Task:
    """The same each time, by the seed."""
    chance = random.Random(f"{seed} {number}")
    return Task(
        chain=chance.sample(CHAIN, chance.randint(2, 4)),
        tokens=chance.randint(1, 150),
        most=chance.randint(20, 200),
        hedge=chance.random() < 0.5,
        leaves_after=chance.randint(1, 12) if chance.random() < 0.2 else None,
    )


# -- a worker ------------------------------------------------------------------------------------


def _ask(hub: Hub | AsyncHub, one: Task) -> Ask:
    """The request as it is asked; it names itself, so that a hit can be told from another."""
    ask = hub.house.ask(
        "?", task="", model=one.chain, system="", timeout=30, max_cost=None, headers=None,
        params={"max_tokens": one.most}, policy=Policy(hedge=one.hedge), streamed=True,
    )  # fmt: skip
    return replace(ask, messages=({"role": "user", "content": _prompt(one, ask.id)},))


def _prompt(one: Task, request: str) -> str:
    return f"[[sim: tokens={one.tokens}]] request {request}"


def _read(hub: Hub, one: Task) -> str:
    """How it ended: `answered`, `left`, or the code of its error."""
    ask = _ask(hub, one)
    try:
        with Stream(lambda: hub._drive(ask), None) as stream:
            for count, _ in enumerate(stream, start=1):
                if count == one.leaves_after:
                    return "left"
    except ByteError as error:
        return error.code
    return "answered"


async def _aread(hub: AsyncHub, one: Task) -> str:
    ask, count = _ask(hub, one), 0
    try:
        async with AsyncStream(lambda: hub._drive(ask), None) as stream:
            async for _ in stream:
                count += 1
                if count == one.leaves_after:
                    return "left"
    except ByteError as error:
        return error.code
    return "answered"


def _tell(number: int, how: str) -> None:
    os.write(1, f"{number} {how}\n".encode())


def _threads(work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def work(told: Mapping[str, Any]) -> None:
    """A process's life: its tasks, so many at once; each is told when it is over."""
    run.UNMEASURED = LATE
    todo, seed = list(told["tasks"]), told["seed"]

    def blocking(hub: Hub) -> None:
        with contextlib.suppress(IndexError):
            while True:
                number = todo.pop()
                _tell(number, _read(hub, task(number, seed)))

    async def in_turn(hub: AsyncHub) -> None:
        while todo:
            number = todo.pop()
            _tell(number, await _aread(hub, task(number, seed)))

    async def all_of_them() -> None:
        async with AsyncHub(**told["options"]) as hub:
            await asyncio.gather(*(in_turn(hub) for _ in range(AT_ONCE)))

    if told["face"] == "async":
        asyncio.run(all_of_them())
        return
    with Hub(**told["options"]) as hub:
        _threads(lambda: blocking(hub))


# -- the storm -----------------------------------------------------------------------------------


class Storm:
    """The processes, and what becomes of their tasks."""

    def __init__(self, options: Mapping[str, str], seed: str) -> None:
        self._options, self._seed = options, seed
        self.ends: Counter[str] = Counter()
        self.killed: list[int] = []

    async def spend(self, place: int, numbers: Iterable[int], kills: int) -> None:
        """One process's tasks; it is killed so often, and another one does what is left."""
        left, chance = set(numbers), random.Random(f"{self._seed} process {place}")
        while left:
            child = await self._start(place, sorted(left))
            last = chance.randint(1, max(1, len(left) // (kills + 1))) if kills else len(left) + 1
            is_killed = await self._follow(child, left, last, chance.uniform(0, SPREAD))
            kills -= is_killed
            if not is_killed and (await child.wait() or left):
                raise RuntimeError(f"a process has failed; {len(left)} of its tasks are left")

    async def _start(self, place: int, left: list[int]) -> asyncio.subprocess.Process:
        face = ("async", "blocking")[place % 2]
        told = {"tasks": left, "seed": self._seed, "face": face, "options": self._options}
        return await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--worker", json.dumps(told), stdout=asyncio.subprocess.PIPE
        )

    async def _follow(
        self, child: asyncio.subprocess.Process, left: set[int], last: int, after: float
    ) -> bool:
        """Hear what it has done. Whether it was killed: so many seconds after the task that comes as the `last`."""
        assert child.stdout is not None
        killing: asyncio.Task[None] | None = None
        async for line in child.stdout:
            number, _, how = line.decode().strip().partition(" ")
            left.discard(int(number))
            self.ends[how] += 1
            last -= 1
            if last == 0:
                killing = asyncio.create_task(self._kill(child, after))
        if killing is not None:
            await killing
        return child.pid in self.killed

    async def _kill(self, child: asyncio.subprocess.Process, after: float) -> None:
        await asyncio.sleep(after)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            if await child.wait() < 0:
                self.killed.append(child.pid)


class Watched:
    """What is spent and held, looked at again and again."""

    def __init__(self, hub: Hub) -> None:
        self._hub, (self.budget,) = hub, hub.house.config.rules.budgets
        self.looks = self.most = 0
        """The most that was spent and held at once, units."""

    def look(self) -> tuple[int, int]:
        """Spent and held, units."""
        ((spent, held),) = self._hub.house.store.standing((), (self.budget,)).accounts
        self.looks += 1
        self.most = max(self.most, spent + held)
        return spent, held

    async def during(self, work: Awaitable[object]) -> None:
        """Look until it is over; what costs are not known yet is looked up meanwhile, as a service would."""
        working = asyncio.ensure_future(work)
        looking_up = asyncio.create_task(self._look_up())
        while not working.done():
            self.look()
            await asyncio.wait({working}, timeout=LOOK)
        looking_up.cancel()
        await working

    async def _look_up(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE)
            await asyncio.to_thread(self._hub.reconcile, 0.0)


async def storm(them: Storm, processes: int, tasks: int, kills: int) -> None:
    """All of it at once."""
    shares = [kills // processes + (place < kills % processes) for place in range(processes)]
    await asyncio.gather(
        *(
            them.spend(place, range(place * tasks, (place + 1) * tasks), share)
            for place, share in enumerate(shares)
        )
    )


def drain(hub: Hub) -> tuple[int, int]:
    """Ask until nobody can be asked any more: how often that was, and the worst case that was refused last, units."""
    asked, worst = 0, 0
    for model in CHAIN:
        one = Task([model], tokens=20, most=20, hedge=False, leaves_after=None)
        prompt = _prompt(one, f"{0:032x}")
        worst = hub.explain(prompt, model=model, max_tokens=one.most).worst_units or 0
        while (how := _read(hub, one)) == "answered":
            asked += 1
        if how != "over_budget":
            raise RuntimeError(f"nobody else asks, and it ends in {how}")
    return asked, worst


# -- judging -------------------------------------------------------------------------------------


def broken(books: Books, limit: int, killed: Iterable[int]) -> list[str]:
    """The promises that the books break; [] for none. `limit`: the budget, units."""
    rows, told = books.rows, []
    charged = to_units(sum(books.charges.values(), Decimal(0)))
    if charged > limit:
        told.append(f"{to_usd(charged)} was charged, of {to_usd(limit)}")
    attempts, hits = Counter(row.request for row in rows), Counter(request for request, _ in books.hits)
    told += [f"request {name} has {count} hits, {attempts[name]} attempts" for name, count in hits.items()
             if count > attempts[name]]  # fmt: skip
    told += [f"{row.attempt} is {row.state}" for row in rows if row.state != "settled"]
    dead = {str(pid) for pid in killed}
    for row in rows:
        cost = books.charges.get(row.generation_id) if row.generation_id else None
        if cost is not None and (row.worst_units is None or to_units(cost) > row.worst_units):
            told.append(f"{row.attempt} cost {cost}, and at worst {row.worst_units} units")
        if row.generation_id and (row.cost or 0) != (cost or 0):
            told.append(f"{row.attempt} says {row.cost}, charged were {cost}")
        if row.cost is None and row.outcome not in (LOST, *UNHEARD):
            told.append(f"{row.attempt} is {row.outcome}, and its cost unknown")
        if row.outcome == LOST and row.owner.partition("-")[0] not in dead:
            told.append(f"{row.attempt} is lost, and its process was not killed")
    return told


def unsettled(spent: int, held: int, most: int, limit: int, worst: int) -> list[str]:
    """What is wrong with the budget's account at the end; `most`: ever, `worst`: of who is refused. All in units."""
    told = []
    if most > limit:
        told.append(f"{to_usd(most)} was spent and held at once, of {to_usd(limit)}")
    if held:
        told.append(f"{to_usd(held)} is held, and nobody asks")
    if worst <= 0 or limit - spent >= worst:
        told.append(f"{to_usd(limit - spent)} is left, and {to_usd(worst)} was refused")
    return told


def budget(processes: int, tasks: int, kills: int, usd: str, seed: str) -> list[str]:
    """The whole; returns the promises that were broken."""
    with (
        SimulatorProcess(**SETTINGS, seed=seed, journal=1_000_000) as sim,
        tempfile.TemporaryDirectory() as home,
    ):
        Path(home, "config.toml").write_text(CONFIG.format(usd=usd), "utf-8")
        url = f"sqlite:///{home}/ledger.db"
        options = {"base_url": sim.base_url, "api_key": sim.api_key, "database_url": url, "home": home}
        with Hub(**options) as hub:  # type: ignore[arg-type]
            _read(hub, Task([CHAIN[-1]], 20, 20, hedge=False, leaves_after=None))  # the prices, and the file
            sim.post("/sim/script", WEATHER)
            them, watched, began = Storm(options, seed), Watched(hub), time.monotonic()
            asyncio.run(watched.during(storm(them, processes, tasks, kills)))
            seconds = time.monotonic() - began
            return _judge(hub, sim, them, watched, seconds)


def _tokens_held(hub: Hub) -> list[str]:
    """Attempts that still hold tokens of a limit, by the file itself."""
    with contextlib.closing(sqlite3.connect(hub.house.store.location)) as connection:
        (count,) = connection.execute("select count(*) from held").fetchone()
    return [f"{count} attempts hold tokens, and nobody asks"] if count else []


def _judge(hub: Hub, sim: SimulatorProcess, them: Storm, watched: Watched, seconds: float) -> list[str]:
    """Sweep, look up, spend the rest, and hold the books against the simulator's."""
    limit = watched.budget.units
    sim._ask("DELETE", "/sim/script", None)
    when(lambda: sim.get("/sim/stats")["replies"] <= 1)
    swept, after_storm = hub.house.store.sweep(), watched.look()
    found = hub.reconcile(wait=30.0)
    between = watched.look()
    asked, worst = drain(hub)
    again = hub.reconcile(wait=30.0)
    spent, held = watched.look()
    books, check = read(hub, sim), hub.verify()
    told = broken(books, limit, them.killed) + unsettled(spent, held, watched.most, limit, worst)
    told += [f"verify: {problem}" for problem in check.problems] + _tokens_held(hub)
    told += [f"the look-up ended early: {one.stopped}" for one in (found, again) if one.stopped is not None]
    rows, charged = books.rows, sum(books.charges.values(), Decimal(0))
    print(f"{sum(them.ends.values())} tasks in {seconds:.1f} s, {len(them.killed)} kills; {dict(them.ends)}")
    print(f"{len(rows)} attempts, {len(books.hits)} hits: {dict(Counter(row.outcome for row in rows))}")
    print(
        f"looks while they spent: {watched.looks}; at most {to_usd(watched.most)} USD spent and held at once"
    )
    print(
        f"after the storm {to_usd(after_storm[0])} spent, {to_usd(after_storm[1])} held; {swept} swept, "
        f"{found.found} looked up: {to_usd(between[0])} spent; then {asked} more were asked"
    )
    guessed = [row for row in rows if row.cost is None]
    print(
        f"of {to_usd(limit)} USD the simulator charged {charged}; our account says {to_usd(spent)}, of it "
        f"{to_usd(sum(row.worst_units or 0 for row in guessed))} for the worst cases of {len(guessed)} unknown"
    )
    print(f"left: {to_usd(limit - spent)}; the worst case that was refused: {to_usd(worst)}")
    return told


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        work(json.loads(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(prog="scripts/budget", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=50, help="of each process")
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--usd", default="0.05")
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    told = budget(chosen.processes, chosen.tasks, chosen.kills, chosen.usd, chosen.seed)
    for sentence in told[:40]:
        print("BROKEN:", sentence[:600])
    print(f"{len(told) or 'No'} promises broken.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
