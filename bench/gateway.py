"""What the gateway costs, beside the peers, in one run: the same upstream and the same load for each, in turn.

Called by scripts/bench gateway, which makes the environments. Only the gateway's own processes are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import gateway_table as table
import gateway_tree as tree
from gateway_cases import CASES, installed
from gateway_processes import ENDED, Failed, Gateway, load, loading, upstream
from worker import yardstick

HERE = Path(__file__).parent
RESULTS = HERE / "results"
REST = 0.3
"""Seconds after a test that are counted with it: work that was put off is work."""
DESCRIPTORS = 500
"""Open files that a gateway has besides two for each stream."""


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    """Of the CPU tests."""
    seconds: float
    """For each of them."""
    starts: int
    holds: int
    """Rounds of the held streams; at most as many as `starts`."""
    held: tuple[int, ...]


FULL = Plan(rounds=3, seconds=3.0, starts=3, holds=2, held=(1000, 5000))
QUICK = Plan(rounds=1, seconds=1.0, starts=1, holds=1, held=(1000,))


class Test(NamedTuple):
    """One kind of load."""

    marker: dict[str, int]
    """What the upstream is told: see upstream.py."""
    connections: int
    stream: bool = True
    times: int = 0
    """Requests of each connection; 0: as many as the time allows."""
    spread: float = 0.0


PACED = Test({"n": 100, "per": 1, "us": 20_000}, connections=100, times=2, spread=0.02)
HELD = {"n": 100, "per": 1, "us": 3_000_000}
TESTS = {
    "one": Test({"n": 1}, connections=32, stream=False),
    "sixty_four": Test({"n": 64}, connections=32, stream=False),
    "burst": Test({"n": 100}, connections=16),
    "first": Test({"n": 100}, connections=1),
    "paced": PACED,
}
_SLOW = PACED._replace(connections=20)


class Bench:
    """The upstream, a folder for what gateways write, and what was measured so far: each sample a line of a file, too."""

    def __init__(self, up: tuple[int, int], folder: Path, out: IO[str]) -> None:
        self._port, self._upstream = up
        self._folder = folder
        self._out = out
        self._made = 0
        self.samples: list[table.Sample] = []
        self.failures: dict[tuple[str, str], str] = {}

    def gateway(self, name: str) -> Gateway:
        """One that has never run before."""
        self._made += 1
        return Gateway(name, CASES[name], self._port, self._folder / f"{name}-{self._made}")

    def warm(self, gateway: Gateway, seconds: float) -> None:
        for stream in (False, True):
            load(gateway.order({"n": 20}, stream, connections=16, seconds=seconds / 2))

    def cpu(self, gateway: Gateway, test: str, seconds: float, number: int) -> None:
        """One of the CPU tests."""
        how = _SLOW if test == "paced" and CASES[gateway.name].slow else TESTS[test]
        order = gateway.order(how.marker, how.stream, connections=how.connections, spread=how.spread)
        order |= {"times": how.times} if how.times else {"seconds": seconds}
        speed, spent, theirs = yardstick(), gateway.cpu, tree.cpu(self._upstream)
        told = load(order)
        time.sleep(REST)
        spent, theirs = gateway.cpu - spent, tree.cpu(self._upstream) - theirs
        figures = {"per_second": told["per_second"], "busy": spent / told["seconds"]}
        figures |= {
            "load_busy": told["cpu"] / told["seconds"],
            "upstream_busy": theirs / told["seconds"],
            "yardstick": (speed + yardstick()) / 2,
        }
        if gateway.pid:
            figures |= {"us": spent / told["answers"] * 1e6, "us_chunk": spent / told["words"] * 1e6}
        if how.stream:
            figures |= {"first_ms": told["first"] * 1e3, "first_p99_ms": told["first_p99"] * 1e3}
        self.note(gateway.name, test, number, figures)

    def fresh(self, name: str, number: int, held: tuple[int, ...]) -> None:
        """A gateway that has just been started: how long that took, how large it is, and how large with streams open."""
        gateway = self.gateway(name)
        try:
            cpu = gateway.cpu
            time.sleep(1.0)
            idle = gateway.memory()
            figures = {"seconds": gateway.start, "cpu": cpu, "idle_mb": idle.alone / 1024}
            self.note(name, "start", number, figures | {"idle_pss_mb": idle.pss / 1024})
            if held:
                self.warm(gateway, 1.0)
                before = gateway.memory().pss
            for streams in held:
                if streams == min(held) or not CASES[name].slow:
                    job = functools.partial(self._hold, gateway, streams, number, before)
                    self.attempt(name, f"held_{streams}", number, job)
        finally:
            gateway.close()

    def _hold(self, gateway: Gateway, streams: int, number: int, before: float) -> None:
        """`before`: the KB that it had before its first held stream."""
        order = gateway.order(HELD, stream=True, connections=streams, hold=True)
        process = loading(order)
        try:
            opened = json.loads(process.line() or ENDED)
            time.sleep(0.0 if "error" in opened else HELD["us"] / 1e6)
            during = gateway.memory().pss
        finally:
            rest = process.end()
        told = opened | json.loads(rest or "{}")
        if "error" in told:
            raise Failed(told["error"])
        time.sleep(1.0)
        figures = {"kb": (during - before) / streams, "mb": during / 1024, "opened": told["opened"]}
        after = gateway.memory().pss / 1024
        self.note(gateway.name, f"held_{streams}", number, figures | {"after_mb": after})

    def attempt(self, name: str, what: str, number: int, job: Callable[[], None]) -> None:
        """The job, if it has not failed before: nobody is asked again for what does not work."""
        if (name, what) in self.failures:
            return
        progress(f"{what} {number + 1}: {name}")
        try:
            job()
        except Failed as failed:
            self.failures[name, what] = str(failed)
            self.write({"case": name, "test": what, "round": number, "failed": str(failed)})

    def note(self, name: str, test: str, number: int, figures: dict[str, float]) -> None:
        sample = table.Sample(name, test, number, figures)
        self.samples.append(sample)
        self.write({"case": name, "test": test, "round": number, **figures})

    def write(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def measure(bench: Bench, names: list[str], plan: Plan) -> None:
    """Starts and memory with one gateway at a time; then each CPU test with all of them, one right after another."""
    started = [name for name in names if CASES[name].command]
    for number in range(plan.starts):
        held = plan.held if number < plan.holds else ()
        in_turn(bench, "start", started, number, functools.partial(bench.fresh, number=number, held=held))
    running: dict[str, Gateway] = {}
    with contextlib.ExitStack() as stack:

        def begin(name: str) -> None:
            running[name] = bench.gateway(name)
            stack.callback(running[name].close)
            bench.warm(running[name], CASES[name].warm)

        in_turn(bench, "warm-up", names, 0, begin)
        for number in range(plan.rounds):
            for test in TESTS:

                def job(name: str, test: str = test, number: int = number) -> None:
                    bench.cpu(running[name], test, plan.seconds, number)

                in_turn(bench, test, [name for name in names if name in running], number, job)


def in_turn(bench: Bench, what: str, names: list[str], number: int, job: Callable[[str], None]) -> None:
    """The job for each gateway, beginning with another one each round."""
    turn = number % len(names) if names else 0
    for name in names[turn:] + names[:turn]:
        bench.attempt(name, what, number, functools.partial(job, name))


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def allowed(plan: Plan) -> Plan:
    """With as many held streams as this machine's limit of open files allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # what is started here inherits it
    fit = tuple(streams for streams in plan.held if 2 * streams + DESCRIPTORS <= most)
    if fit != plan.held:
        print(
            f"Open files are limited to {most}: ulimit -Hn. So no more streams are held than that.",
            file=sys.stderr,
        )
    return plan._replace(held=fit)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench gateway", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a first look")
    parser.add_argument("--rounds", type=int, help="rounds of the CPU tests")
    parser.add_argument("--only", help="with commas between: " + ", ".join(CASES))
    parser.add_argument(
        "--with", action="append", metavar="PEER", help="install a peer first: portkey, litellm"
    )
    chosen = parser.parse_args()
    if unknown := set((chosen.only or "").split(",")) - {"", *CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return chosen


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    chosen = options()
    plan = allowed(QUICK if chosen.quick else FULL)
    plan = plan._replace(rounds=chosen.rounds or plan.rounds)
    asked = chosen.only.split(",") if chosen.only else list(CASES)
    names = [name for name, case in CASES.items() if name in asked and installed(case)]
    if missing := set(asked) - set(names):
        print(f"Not installed, so left out: {', '.join(sorted(missing))}", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    began = time.monotonic()
    now = datetime.datetime.now(datetime.UTC)
    path = RESULTS / f"gateway-{now:%Y-%m-%dT%H%M%S}.jsonl"
    # Beside the results and not in a temporary folder, which may be memory: the ledger is a real file.
    folder = Path(tempfile.mkdtemp(dir=RESULTS, prefix="run-"))
    try:
        with path.open("w") as out, upstream() as up:
            bench = Bench(up, folder, out)
            bench.write(
                {"at": now.isoformat(timespec="seconds"), "plan": plan._asdict(), "machine": table.machine()}
            )
            measure(bench, names, plan)
    finally:
        progress("")
        shutil.rmtree(folder, ignore_errors=True)
    print(table.render(bench.samples, bench.failures))
    print(f"\n{time.monotonic() - began:.0f} s; every sample in bench/results/{path.name}")
    if bench.failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
