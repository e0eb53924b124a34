"""The gateway's bench measures what it says: the real gateway with everything on, before the bench's own upstream."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"

# As `gateway.main` does it, with a little of everything.
MEASURED = """
gateway.REST, gateway.HELD["us"] = 0.05, 100_000
gateway.TESTS["paced"] = gateway.PACED._replace(marker={"n": 5, "per": 1, "us": 2_000}, connections=4, times=1)
with gateway.upstream() as up:
    bench = gateway.Bench(up, pathlib.Path(sys.argv[1]), sys.stdout)
    running = {name: bench.gateway(name) for name in ("direct", "bytedeck")}
    try:
        bench._hold(running["bytedeck"], 50, 0, running["bytedeck"].memory().pss)
        bench.cpu(running["direct"], "first", 0.1, 0)
        for test in gateway.TESTS:
            bench.cpu(running["bytedeck"], test, 0.1, 0)
    finally:
        for one in running.values():
            one.close()
"""
LOSES = """
with gateway.upstream() as up:
    plain = gateway.Gateway("direct", gateway.CASES["direct"], up[0], pathlib.Path(sys.argv[1]))
    order = plain.order({"n": 5}, stream=True, connections=1, times=1)
    print(json.dumps(gateway.load(order)))
    try:
        gateway.load(order | {"words": 6})
    except gateway.Failed as failed:
        print(json.dumps(str(failed)))
"""


def bench(code: str, folder: Path) -> list[Any]:
    """What a script says that has the bench's modules, line by line."""
    code = f"import json, pathlib, sys; sys.path.insert(0, {str(BENCH)!r}); import gateway\n{code}"
    command = [sys.executable, "-I", "-c", code, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if run.returncode:
        raise AssertionError(run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_the_gateway_can_be_measured(tmp_path: Path) -> None:
    """Every kind of load gives its figures; the ledger is a file, and the key, its budget and its limit are in it."""
    told = {(line["case"], line["test"]): line for line in bench(MEASURED, tmp_path)}
    tests = ("one", "sixty_four", "burst", "first", "paced")
    assert "us" not in told["direct", "first"]
    assert all(0 < told["bytedeck", test]["us"] < 1e6 for test in tests)
    assert all(told[name, "first"]["first_ms"] > 0 for name in ("direct", "bytedeck"))
    assert told["bytedeck", "held_50"]["kb"] > 0
    (ledger,) = tmp_path.glob("bytedeck-*/home/*.db")
    with closing(sqlite3.connect(ledger)) as rows:
        assert rows.execute("select distinct key from intent").fetchall() == [("bench",)]
        assert rows.execute("select scope, whose from account").fetchall() == [("key", "bench")]
        assert rows.execute("select count(*) from bucket").fetchone() == (1,)


def test_who_loses_a_word_fails(tmp_path: Path) -> None:
    """Nobody is measured while getting the answer wrong."""
    right, wrong = bench(LOSES, tmp_path)
    assert (right["answers"], right["words"]) == (1, 5)
    assert wrong.startswith("5 words of 6: ")


def test_a_whole_tree_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU and memory of a process are its children's, too."""
    monkeypatch.syspath_prepend(str(BENCH))
    import gateway_tree as tree  # type: ignore[import-not-found]

    burns = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True); input()"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burns!r}])"
    command = [sys.executable, "-c", starts]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert len(tree.family(process.pid)) == 2
        assert tree.cpu(process.pid) > 0.1
        memory = tree.memory(process.pid)
        process.communicate(b"\n")
    assert memory.alone >= memory.pss > 1000


def test_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Medians, ratios round by round, the first byte without what it takes anyway, and the targets that are missed."""
    monkeypatch.syspath_prepend(str(BENCH))
    import gateway_table  # type: ignore[import-not-found]

    figures = {
        "direct": {"first": [("first_ms", [1.0, 5.0, 1.0])]},
        "nginx": {"one": [("us", [20.0, 100.0, 25.0])]},
        "bytedeck": {"one": [("us", [200.0, 1500.0, 400.0])], "first": [("first_ms", [2.0, 5.5, 9.0])]},
    }
    samples = [
        gateway_table.Sample(case, test, number, {field: value})
        for case, tests in figures.items()
        for test, fields in tests.items()
        for field, values in fields
        for number, value in enumerate(values)
    ]
    shown = gateway_table.render(samples, {("portkey", "warm-up"): "500: no"})
    assert "| µs CPU a request, one chunk upstream | – | 25 | 400 |" in shown
    assert "| ms added to the first byte, one at a time | – | – | 1.00 |" in shown
    assert "| µs CPU a request, one chunk upstream | 15.00 |" in shown
    assert "First targets reached: 1 of 2." in shown
    assert "missed: µs CPU a request, one chunk upstream: 400, at most 300" in shown
    assert "Portkey 1.15.2, warm-up: failed. 500: no" in shown
