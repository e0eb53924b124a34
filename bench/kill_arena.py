"""Debates whose processes are killed with kill -9 at any moment, and taken up again; then everything is held against the rest.

    scripts/kill-arena [--kills N] [--seed S]

Prints figures; exits with 1 where a promise is broken: a turn that was told and is not kept, a turn held twice, a fighter
that was asked again more than once a kill, a hit without its row, a cost that is not what was charged, a bill that is not
the ledger's sum.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from bytedeck import AsyncHub, Hub
from bytedeck.arena.events import Ended, Event, JudgeBegan, JudgeEnded, TurnBegan, TurnEnded, Words
from bytedeck.money import to_units
from bytedeck.simulator import SimulatorProcess

FIGHTERS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5")
RULES: dict[str, Any] = {
    "rounds": 2,
    "judges": ["google/gemini-2.5-flash"],
    "commentator": "",
    "max_tokens": 60,
}
MOST_KILLS = 2
"""Of one match."""
SPREAD = 0.35
"""Seconds within which a process is killed after its first event: about as long as a debate takes."""
SETTINGS = {"tps": 600.0, "ttft": 0.01, "jitter": 0.5, "generation_delay": 0.0}


# -- a process that holds a debate ---------------------------------------------------------------


def _told(event: Event) -> None:
    """What has been handed out, said before the next event is taken."""
    if not isinstance(event, Words):
        _say(f"event {os.getpid()} {event.seq} {type(event).__name__}")


def _hold(options: Mapping[str, str], match: str) -> None:
    hub = Hub(**options)  # type: ignore[arg-type]
    for event in hub.resume(match) if match else hub.debate("Tabs or spaces?", FIGHTERS, **RULES):
        _told(event)


async def _ahold(options: Mapping[str, str], match: str) -> None:
    hub = AsyncHub(**options)  # type: ignore[arg-type]
    async for event in hub.resume(match) if match else hub.debate("Tabs or spaces?", FIGHTERS, **RULES):
        _told(event)


def _live(face: str, options: Mapping[str, str], match: str) -> None:
    """All of a process's life."""
    try:
        if face == "async":
            asyncio.run(_ahold(options, match))
        else:
            _hold(options, match)
        _say(f"over {os.getpid()}")
        signal.pause()
    except BaseException:
        traceback.print_exc()
    _say(f"failed {os.getpid()}")
    os._exit(1)


def nursery(options: Mapping[str, str]) -> None:
    """Forks processes and kills them, as its standard input says: they are its own children, so that no number of a
    process means another one by the time it is killed."""
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "start":
            face, _, match = rest.partition(" ")
            if os.fork() == 0:
                _live(face, options, match)
        else:
            os.kill(int(rest), signal.SIGKILL)
            os.waitpid(int(rest), 0)
            _say(f"dead {rest}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class Life(NamedTuple):
    """What a process had told before it was killed."""

    events: list[tuple[int, str]]
    """Number and kind of each event that was handed out."""


class Nursery:
    """The process that kills, from outside."""

    def __init__(self, options: Mapping[str, str]) -> None:
        command = [sys.executable, __file__, "--nursery", json.dumps(options)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout

    def kill(self, face: str, match: str, after: float) -> Life:
        """A process that holds a debate, killed so many seconds after its first event."""
        print(f"start {face} {match}", file=self._in, flush=True)
        life = Life([])
        pid = self._read(life)[0]
        time.sleep(after)
        print(f"kill {pid}", file=self._in, flush=True)
        while self._read(life)[1] != "dead":
            pass
        return life

    def _read(self, life: Life) -> tuple[str, str]:
        word, pid, *rest = self._out.readline().split()
        if word == "failed":
            raise RuntimeError("a process has failed")
        if word == "event":
            life.events.append((int(rest[0]), rest[1]))
        return pid, word

    def close(self) -> None:
        self._in.close()
        self._child.wait()
        self._out.close()


# -- judging -------------------------------------------------------------------------------------


def lost(match: str, kept: Mapping[int, str], life: Life) -> list[str]:
    """What was handed out and is not kept."""
    return [
        f"{match}: {kind} {seq} was told, kept is {kept.get(seq)}"
        for seq, kind in life.events
        if kept.get(seq) != kind
    ]


def broken(match: str, events: tuple[Event, ...], kills: int) -> list[str]:
    """The promises that a match breaks by its events."""
    told = []
    if not isinstance(events[-1], Ended) or events[-1].end != "decided":
        told.append(f"{match}: it ended with {events[-1]}")
    if [event.seq for event in events] != list(range(len(events))):
        told.append(f"{match}: its numbers have gaps")
    ended = Counter(
        event.turn.part if isinstance(event, TurnEnded) else event.look.part
        for event in events
        if isinstance(event, TurnEnded | JudgeEnded)
    )
    if set(ended.values()) != {1} or len(ended) != 6:
        told.append(f"{match}: turns and looks that ended: {dict(ended)}")
    began = Counter(
        event.turn.part if isinstance(event, TurnBegan) else event.look.part
        for event in events
        if isinstance(event, TurnBegan | JudgeBegan)
    )
    for who in ("t0.0.0 t0.1.0", "t0.0.1 t0.1.1", "j0.0.p", "j0.0.s"):
        again = sum(began[part] - 1 for part in who.split())
        if again > kills:
            told.append(f"{match}: {who} was asked {again} times more, and killed {kills} times")
    return told


def books(hub: Hub, sim: SimulatorProcess, matches: list[str]) -> list[str]:
    """What the ledger says against what was charged, and the bills against the ledger."""
    rows = list(hub.house.store.export())
    told = [f"{row.attempt} is {row.state}" for row in rows if row.state == "open"]
    charges = {str(one["id"]): Decimal(str(one["cost"])) for one in sim.get("/sim/ledger")["data"]}
    hits = sim.get("/sim/journal?path=*/chat/completions&limit=10000000")["data"]
    if len(hits) > len(rows):
        told.append(f"{len(hits)} hits, {len(rows)} rows")
    for row in rows:
        if row.generation_id and row.cost != charges.get(row.generation_id):
            told.append(f"{row.attempt} says {row.cost}, charged were {charges.get(row.generation_id)}")
    bills = [hub.resume(match).bill() for match in matches]
    known = sum(row.spend_units or 0 for row in rows)
    if sum(bill.known_units for bill in bills) != known:
        told.append(f"the bills say {sum(bill.known_units for bill in bills)} units, the ledger {known}")
    lost_rows = [row for row in rows if row.outcome == "lost"]
    unknown = [row for row in rows if row.spend_units is None]
    print(
        f"{len(rows)} attempts, {len(hits)} hits, {len(lost_rows)} lost with their process, {len(unknown)} of them of unknown cost"
    )
    print(f"bills: {known} units known, of {to_units(sum(charges.values(), Decimal(0)))} charged")
    return told


def kill(kills: int, seed: str) -> list[str]:
    """The whole; returns the promises that were broken."""
    chance, told, matches, done = random.Random(seed), [], [], 0
    with (
        SimulatorProcess(**SETTINGS, seed=seed, journal=1_000_000) as sim,
        tempfile.TemporaryDirectory() as home,
    ):
        options = {
            "base_url": sim.base_url,
            "api_key": sim.api_key,
            "database_url": f"sqlite:///{home}/ledger.db",
            "home": home,
        }
        nest, began = Nursery(options), time.monotonic()
        with Hub(**options) as hub:  # type: ignore[arg-type]
            while done < kills:
                mine = min(chance.randint(1, MOST_KILLS), kills - done)
                match, lives = "", []
                for _ in range(mine):
                    face = chance.choice(("async", "blocking"))
                    lives.append(nest.kill(face, match, chance.uniform(0, SPREAD)))
                    match = match or hub.house.matches.list(1)[0].match.id
                    kept = {event.seq: type(event).__name__ for event in hub.house.matches.events(match)}
                    told += lost(match, kept, lives[-1])
                    if kept[max(kept)] == "Ended":
                        break
                done += len(lives)
                matches.append(match)
                if not hub.house.matches.find(match).end:
                    for _ in hub.resume(match):
                        pass
                told += broken(match, hub.house.matches.events(match), len(lives))
            nest.close()
            print(f"{done} kills of {len(matches)} debates in {time.monotonic() - began:.1f} s")
            hub.house.store.sweep()
            hub.reconcile(wait=10.0)
            told += books(hub, sim, matches)
    return told


def main() -> int:
    if sys.argv[1:2] == ["--nursery"]:
        nursery(json.loads(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(prog="scripts/kill-arena", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    told = kill(chosen.kills, chosen.seed)
    for sentence in told[:40]:
        print("BROKEN:", sentence[:600])
    print(f"{len(told) or 'No'} promises broken.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
