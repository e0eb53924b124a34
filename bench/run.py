"""What we cost, beside the peers, in one run: starts the upstream and a process for each client, has
them do the same tests in turn, and prints medians and ratios to openai-python.

Called by scripts/bench, which makes the environments.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import table
from clients import CLIENTS

HERE = Path(__file__).parent
RESULTS = HERE / "results"


class Plan(NamedTuple):
    """How much is measured."""

    cpu_rounds: int
    seconds: float
    """For each of the CPU tests."""
    memory_rounds: int
    fresh_rounds: int
    """For import and start."""


FULL = Plan(cpu_rounds=5, seconds=0.5, memory_rounds=2, fresh_rounds=4)
QUICK = Plan(cpu_rounds=2, seconds=0.3, memory_rounds=1, fresh_rounds=1)


class Failed(Exception):
    """A client could not be measured; the argument is its last word."""


class Worker:
    """A process with one client in it."""

    def __init__(self, bench: Bench, name: str, what: str) -> None:
        url = f"http://127.0.0.1:{bench.port}/api/v1"
        # -I keeps the caller's settings out, and with them the script's own folder.
        code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import worker; worker.main(*sys.argv[1:])"
        command = [*bench.interpreter(name), "-c", code, name, url, str(bench.folder), what]
        self._log = bench.folder / f"{name}-{what}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                env=bench.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, line: str = "") -> dict[str, float]:
        """What it says, to `line` if there is one. Raises Failed with its last word if it says nothing."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()
        for told in self._process.stdout:
            # A client may print things of its own.
            if told.startswith("{"):
                figures: dict[str, float] = json.loads(told)
                return figures
        raise Failed((self._log.read_text().strip().splitlines() or ["it ended"])[-1])

    def close(self) -> None:
        """Let it end, or end it."""
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Bench:
    """The upstream's address, a folder for ledgers, and what was measured so far."""

    def __init__(self, port: int, folder: Path, python: dict[str, Path]) -> None:
        self.port = port
        self.folder = folder
        self.samples: table.Samples = defaultdict(lambda: defaultdict(list))
        self.failures: dict[str, str] = {}
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BYTE_HOME": str(folder / "home"),
            # Else LiteLLM asks the network for its price list first, and waits for it.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        self._python = python
        self._workers: dict[tuple[str, str], Worker] = {}

    def interpreter(self, name: str) -> list[str]:
        return [str(self._python[CLIENTS[name].peer]), "-I"]

    def cpu(self, name: str, test: str, seconds: float) -> None:
        """One test in a long-lived process of the client.

        Tests with many connections have their own: the idle ones that they leave behind in a pool
        would make the next single call dearer, in httpcore by a system call each.
        """
        key = name, test if test in table.MANY_CONNECTIONS else ""
        if key not in self._workers:
            self._workers[key] = Worker(self, name, "cpu")
        told = self._workers[key].ask(f"{test} {seconds}\n")
        self._note(name, {test: told["value"], "yardstick": told["yardstick"]})

    def memory(self, name: str) -> None:
        worker = Worker(self, name, "memory")
        try:
            self._note(name, worker.ask())
        finally:
            worker.close()

    def fresh(self, name: str) -> None:
        """A fresh process: how long the import takes it, and how long it is until its first request."""
        statement = CLIENTS[name].statement
        code = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
        command = [*self.interpreter(name), "-c", code]
        took = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        ).stdout
        if not took:
            raise Failed(f"this fails: {statement}")
        began = time.monotonic()
        worker = Worker(self, name, "start")
        try:
            pid = worker.ask()["pid"]
        finally:
            worker.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/arrival?{pid}", timeout=5) as response:
            arrival = json.load(response)
        self._note(name, {"import": float(took), "start_cpu": arrival["cpu"], "start": arrival["at"] - began})

    def forget(self) -> None:
        """What was measured so far was only to warm files up."""
        self.samples.clear()

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()

    def _note(self, name: str, figures: dict[str, float]) -> None:
        for figure, value in figures.items():
            self.samples[name][figure].append(value)


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """The fake upstream's port, as long as the block lasts."""
    command = [sys.executable, "-I", str(HERE / "upstream.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate()


def environments() -> dict[str, Path]:
    """The interpreters at hand, by peer; "" is ours."""
    found = {"": Path(sys.executable)}
    for peer in {row.peer for row in CLIENTS.values()} - {""}:
        python = HERE.parent / f".venv-bench-{peer}" / "bin" / "python"
        if python.exists():
            found[peer] = python
    return found


def measure(bench: Bench, names: list[str], plan: Plan) -> None:
    """Each test with all clients, one right after another."""
    waiting = [name for name in names if not CLIENTS[name].sync]
    in_turn(bench, "to warm up", names, 0, bench.fresh)
    bench.forget()
    for number in range(plan.fresh_rounds):
        in_turn(bench, f"import and start {number + 1}/{plan.fresh_rounds}", names, number, bench.fresh)
    for number in range(plan.memory_rounds):
        in_turn(bench, f"memory {number + 1}/{plan.memory_rounds}", waiting, number, bench.memory)
    for number in range(plan.cpu_rounds):
        for test in table.CPU_TESTS:
            able = names if test in table.ALSO_SYNC else waiting

            def job(name: str, test: str = test) -> None:
                bench.cpu(name, test, plan.seconds)

            in_turn(bench, f"{test} {number + 1}/{plan.cpu_rounds}", able, number, job)
    counting = [name for name in names if CLIENTS[name].counts_trips]
    in_turn(bench, "round trips", counting, 0, lambda name: bench.cpu(name, "trips", 0.0))


def in_turn(bench: Bench, what: str, names: list[str], number: int, job: Callable[[str], None]) -> None:
    """The job for each client, beginning with another one each round. One that failed is not asked again."""
    turn = number % len(names) if names else 0
    for name in names[turn:] + names[:turn]:
        if name in bench.failures:
            continue
        progress(f"{what}: {name}")
        try:
            job(name)
        except Failed as failed:
            bench.failures[name] = f"{what}: {failed}"


def progress(text: str) -> None:
    """On a terminal, what is being measured just now."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="What we cost, beside the peers.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a first look")
    parser.add_argument("--rounds", type=int, help="rounds of the CPU tests")
    parser.add_argument("--only", help="clients, with commas between: " + ", ".join(CLIENTS))
    parser.add_argument(
        "--with", action="append", metavar="PEER", help="install a peer first: openrouter, litellm"
    )
    chosen = parser.parse_args()
    if unknown := set((chosen.only or "").split(",")) - {"", *CLIENTS}:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    return chosen


def main() -> None:
    chosen = options()
    plan = QUICK if chosen.quick else FULL
    plan = plan._replace(cpu_rounds=chosen.rounds or plan.cpu_rounds)
    python = environments()
    asked = chosen.only.split(",") if chosen.only else list(CLIENTS)
    names = [name for name, row in CLIENTS.items() if row.peer in python and name in asked]
    RESULTS.mkdir(exist_ok=True)
    began = time.monotonic()
    # Beside the results and not in a temporary folder, which may be memory: the ledger is a real file.
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="run-") as folder, upstream() as port:
        bench = Bench(port, Path(folder), python)
        try:
            measure(bench, names, plan)
        finally:
            bench.close()
            progress("")
    print(table.render(bench.samples, bench.failures))
    seconds = round(time.monotonic() - began)
    print(
        f"\n{seconds} s, {plan.cpu_rounds} rounds; all samples in bench/results/{save(bench, plan, seconds)}"
    )
    if bench.failures:
        sys.exit(1)


def save(bench: Bench, plan: Plan, seconds: int) -> str:
    """Everything that was measured, as JSON; its file's name."""
    now = datetime.datetime.now(datetime.UTC)
    record = {
        "at": now.isoformat(timespec="seconds"),
        "seconds": seconds,
        "plan": plan._asdict(),
        "machine": table.machine(),
        "samples": bench.samples,
        "failures": bench.failures,
    }
    path = RESULTS / f"{now:%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path.name


if __name__ == "__main__":
    main()
