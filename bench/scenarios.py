"""Sixteen bad days, and what the caller gets on each: ours by both faces, streamed or not, and other clients beside.

    scripts/scenarios [--only NAMES] [--with openai] [--with litellm] [--docs]

What has to come out stands in `days.ROWS`. Prints a Markdown table; exits with 1 where a promise is broken. `--docs`
keeps what the other clients' callers got, and writes docs/resilience.md anew. Waits are shortened by `SCALE`, ours and
the simulator's alike.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from callers import PATIENCE, PEERS, READY, Asked, Caller, Got, Ours, OursBlocking, timed
from days import BOUNDS, HERE, KEPT, ROWS, SCALE, SILENT, A, Row, kept
from truth import canonical, unbalanced, when

from bytedeck import AsyncHub, Hub
from bytedeck.io.watch import Watch
from bytedeck.simulator import Simulator
from bytedeck.simulator.journal import shown

WAYS = ("async stream", "async chat", "sync stream", "sync chat")


@dataclasses.dataclass
class Played:
    """How a row went with one caller."""

    row: Row
    way: str
    gots: list[Got]
    attempts: int
    broken: list[str]
    states: list[str] = dataclasses.field(default_factory=list)
    """Of the first model's breaker, before each request and at the end."""

    @property
    def verdict(self) -> str:
        """What the caller got, in a few words."""
        truth = canonical(self.row.prompt, "0")
        words = [_verdict(got, truth) for got in self.gots]
        kinds = {word: words.count(word) for word in dict.fromkeys(words)}
        if len(words) == 1:
            return words[0]
        return ", ".join(f"{count} × {word}" for word, count in kinds.items())


def _verdict(got: Got, truth: str) -> str:
    if got.error == "nothing":
        return "nothing within the time limit"
    if got.error:
        kept = "; the words so far stand" if got.text else ""
        return f"error: {got.error}{kept}"
    if got.text == truth:
        return "the whole answer"
    if got.finish in ("length", "content_filter"):
        return f"part of it, and says so: {got.finish}"
    return "**broken text as a success**" if got.text else "**an empty text as a success**"


# -- playing -------------------------------------------------------------------------------------


async def play(sim: Simulator, row: Row, way: str, home: str) -> Played:
    """One row with one of our faces, held against the simulator's books."""
    options = {"base_url": sim.base_url, "api_key": sim.api_key, "database_url": "memory:", "home": home}
    is_async, streamed = way.startswith("async"), way.endswith("stream")
    hub: Any = AsyncHub(**options) if is_async else Hub(**options)
    # The breakers go by the simulator's clock, so that half a minute need not be waited for.
    hub.house.watch = Watch(hub.house.store, lambda: int(sim.now() * 1e6))
    caller: Caller = (Ours if is_async else OursBlocking)(hub, streamed=streamed)
    try:
        played = await _asked(sim, row, way, caller, lambda: hub.house.watch.health().model(A).state)
        await asyncio.to_thread(when, lambda: sim.stats()["tasks"] == 0)
        rows = hub.house.store.rows(limit=1000)
        played.broken += unbalanced(rows, [shown(entry) for entry in chats(sim)], sim.ledger())
        for got in played.gots:
            played.broken += judged(row, way, got)
        told, known = (
            sum(map(Decimal, costs)) for costs in ([g.cost for g in played.gots], [r.cost or 0 for r in rows])
        )
        played.broken += [] if told == known else [f"the answers say {told} USD, the rows {known}"]
        played.broken += _within(row, played) + (_recovers(played) if row.requests > 1 else [])
        return played
    finally:
        await caller.close()


async def _asked(
    sim: Simulator, row: Row, way: str, caller: Caller, state: Callable[[], str] = lambda: ""
) -> Played:
    """Ask as often as the row says, a second apart by the simulator's clock."""
    sim.reset(frozen=True, scale=SCALE)
    sim.script(row.script)
    await caller.open(sim.base_url, sim.api_key)
    gots, states = [], []
    for _ in range(row.requests):
        states.append(state())
        asked = Asked(row.prompt, list(row.chain), BOUNDS)
        gots.append(await timed(caller.ask(asked), PATIENCE + 5))
        sim.advance(1)
    return Played(row, way, gots, len(chats(sim)), [], [*states, state()])


def chats(sim: Simulator) -> list[Any]:
    return sim.journal(path="*/chat/completions")


def judged(row: Row, way: str, got: Got) -> list[str]:
    """The promises that one answer of ours breaks."""
    broken = []
    truth, named = canonical(row.prompt, "0"), _named(row, got)
    streamed = way.endswith("stream")
    expected = row.attempts if streamed else row.unseen or row.attempts
    if row.error and (got.code != row.error or not got.reason):
        broken.append(f"{got.code or 'an answer'} ({got.reason!r}) instead of {row.error} with its reason")
    if not row.error and got.error:
        broken.append(f"{got.error} {got.code}: {got.reason}")
    if not row.error and (got.text != truth or got.reply != truth):
        broken.append(f"not the whole text: {got.text[-80:]!r}, {got.reply[-80:]!r}")
    if expected and named != expected:
        broken.append(f"attempts: {named}")
    if ", ".join(got.seams) != (row.seams if streamed else ""):
        broken.append(f"seams: {got.seams}")
    for one, other in zip(got.attempts, got.attempts[1:], strict=False):
        if one.endswith(SILENT) and one.split()[0] == other.split()[0]:
            broken.append(f"a silent route was asked again: {named}")
    if not got.error and got.attempts[-1] != f"{got.model} answered":
        broken.append(f"{got.model} is named, {got.attempts[-1]}")
    return broken


def _within(row: Row, played: Played) -> list[str]:
    """The bounds on attempts and time."""
    seconds = sum(got.seconds for got in played.gots)
    broken = [f"{seconds:.1f} s, and {row.seconds} were allowed"] if seconds > row.seconds else []
    if row.most and played.attempts > row.most:
        broken.append(f"{played.attempts} attempts, and {row.most} were allowed")
    return broken


def _recovers(played: Played) -> list[str]:
    """The breaker opens while the model is down, lets one try, and is closed again within 30 s of its recovery."""
    story = " ".join(word for word, _ in itertools.groupby(played.states))
    broken = []
    if not re.fullmatch(r"closed( open half_open)+ closed", story):
        broken.append(f"the breaker: {story}")
    if played.gots[-1].model != A:
        broken.append(f"{played.gots[-1].model} still answers, long after the first model is well again")
    return broken


def _named(row: Row, got: Got) -> str:
    """The attempts as a row writes them."""
    letters = dict(zip(row.chain, "ABC", strict=False))
    return ", ".join(f"{letters[model]} {outcome}" for model, outcome in map(str.split, got.attempts))


# -- the others ----------------------------------------------------------------------------------


class Peer:
    """Another client in a process and an environment of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        folder = "" if name == "openai" else f"-{name}"
        self._python = HERE.parent / f".venv-bench{folder}" / "bin" / "python"

    async def open(self, url: str, key: str) -> None:
        self._start(url, key)

    def _start(self, url: str, key: str) -> None:
        command = [str(self._python), "-P", str(HERE / "callers.py"), self._name, url, key]
        environment = {
            "PATH": os.environ["PATH"],
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
        }
        environment["PYTHONPATH"] = str(HERE)
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._hear(READY)

    async def ask(self, asked: Asked) -> Got:
        return await asyncio.to_thread(self._ask, json.dumps(dataclasses.asdict(asked)))

    def _ask(self, line: str) -> Got:
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)
        return Got(**json.loads(self._hear('{"text"')))

    def _hear(self, begins: str) -> str:
        """The next line that begins so: a client may print things of its own."""
        assert self._process.stdout
        for told in self._process.stdout:
            if told.startswith(begins):
                return told
        raise SystemExit(f"{self._name} cannot be asked: does {self._python} work?")

    async def close(self) -> None:
        self._process.communicate(timeout=20)


def version(name: str) -> str:
    """As its environment pins it."""
    pins = "requirements" if name == "openai" else name
    return (HERE / f"{pins}.txt").read_text().strip().split("==")[-1]


async def beside(sim: Simulator, row: Row, name: str) -> str:
    """What another client's caller gets on the same day."""
    peer = Peer(name)
    try:
        return (await _asked(sim, row, name, peer)).verdict
    finally:
        await peer.close()


# -- telling -------------------------------------------------------------------------------------


def _shown(played: Played) -> str:
    got = played.gots[-1]
    seconds = sum(one.seconds for one in played.gots)
    attempts = _named(played.row, got) if played.row.requests == 1 else str(played.attempts)
    cells = (played.row.day, played.way, played.verdict, attempts, f"{seconds:.2f}", ", ".join(got.seams))
    return f"| {' | '.join(cells)} |"


async def run(
    names: Sequence[str], ways: Sequence[str], peers: Sequence[str]
) -> tuple[int, dict[str, dict[str, str]]]:
    """Everything that was asked for: how many promises were broken, and what each peer's caller got."""
    broken = 0
    verdicts: dict[str, dict[str, str]] = {name: {} for name in peers}
    print(
        "| the day | how it is asked | the caller gets | attempts | seconds | seams |\n|---|---|---|---|---|---|"
    )
    with Simulator() as sim, tempfile.TemporaryDirectory() as home:
        for row in (ROWS[name] for name in names):
            for way in ways:
                played = await play(sim, row, way, home)
                print(_shown(played), flush=True)
                broken += len(played.broken)
                for sentence in played.broken:
                    print(f"BROKEN: {row.name}, {way}: {sentence}", flush=True)
            for name in peers:
                verdicts[name][row.name] = await beside(sim, row, name)
                print(
                    f"| {row.day} | {name} {version(name)} | {verdicts[name][row.name]} | | | |", flush=True
                )
    return broken, verdicts


def keep(verdicts: dict[str, dict[str, str]]) -> None:
    """Note what the others got, beside what was noted before."""
    notes = kept()
    for name, got in verdicts.items():
        notes["versions"][name] = version(name)
        notes["got"][name] = notes["got"].get(name, {}) | got
    KEPT.write_text(json.dumps(notes, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/scenarios", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", help="rows, with commas between: " + ", ".join(ROWS))
    parser.add_argument("--with", dest="peers", action="append", default=[], choices=list(PEERS))
    parser.add_argument(
        "--docs", action="store_true", help="keep what the others got, and write the docs anew"
    )
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(ROWS)
    if unknown := set(names) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    broken, verdicts = asyncio.run(run(names, WAYS, chosen.peers))
    if chosen.docs:
        keep(verdicts)
        subprocess.run([sys.executable, str(HERE.parent / "docs" / "make.py")], check=True)
    print(f"\n{len(names)} scenarios, each asked in {len(WAYS)} ways: {broken or 'no'} promises broken.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
