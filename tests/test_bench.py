"""The bench measures what it says: real clients against its upstream, and ratios round by round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def port() -> Iterator[int]:
    """The bench's own upstream, in a process of its own as always."""
    command = [sys.executable, "-I", str(BENCH / "upstream.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.communicate()


def worker(
    client: str, port: int, folder: Path, what: str, told: str = "", spoil: str = "pass"
) -> list[dict[str, float]]:
    """Run a worker as `run.py` does; `spoil` is code that goes before."""
    code = (
        f"import sys; sys.path.insert(0, {str(BENCH)!r}); import worker; {spoil}; worker.main(*sys.argv[1:])"
    )
    command = [sys.executable, "-I", "-c", code, client, f"http://127.0.0.1:{port}/api/v1", str(folder), what]
    run = subprocess.run(
        command, input=told, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if run.returncode:
        raise AssertionError(run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize(
    ("client", "tests"),
    [
        ("bytedeck-sync", ["burst", "paced", "call"]),
        ("bytedeck", ["burst", "many", "calls"]),
        ("bytedeck-limited", ["call"]),
    ],
)
def test_our_clients_can_be_measured(client: str, tests: list[str], port: int, tmp_path: Path) -> None:
    """Every CPU test runs with our own hubs and gives a figure, with the ledger in a file."""
    told = worker(client, port, tmp_path, "cpu", "".join(f"{test} 0.05\n" for test in tests))
    assert len(told) == len(tests)
    assert all(0 < figures["value"] < 1e6 for figures in told)
    assert list(tmp_path.glob("ledger-*.sqlite3"))


def test_a_call_is_two_round_trips(port: int, tmp_path: Path) -> None:
    """With a limit and a budget, too: one transaction before it goes out, one behind its answer."""
    (told,) = worker("bytedeck-limited", port, tmp_path, "cpu", "trips 0\n")
    assert told["value"] == 2


def test_a_client_that_loses_text_fails(port: int, tmp_path: Path) -> None:
    """Nobody is measured while getting the answer wrong."""
    spoil = "add = worker.Meter.add; worker.Meter.add = lambda self, text: add(self, text[1:])"
    with pytest.raises(AssertionError, match="chunks of 1000"):
        worker("bytedeck-sync", port, tmp_path, "cpu", "burst 0.05\n", spoil)


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ratios are the median of the rounds' ratios, and a missed target is told with its figure."""
    monkeypatch.syspath_prepend(str(BENCH))
    import table  # type: ignore[import-not-found]

    samples = {
        "openai": {"burst": [100.0, 1000.0, 200.0], "call": [1000.0]},
        "bytedeck": {
            "burst": [5.0, 60.0, 8.0],
            "call": [250.0],
            "import": [0.1],
            "yardstick": [0.02],
        },
    }
    shown = table.render(samples, {"litellm": "burst: no memory"})
    assert "8.0 (0.050)" in shown
    assert "250 (0.250)" in shown
    assert "First targets reached: 2 of 3." in shown
    assert "missed: bytedeck, call: 0.250, at most 0.2 of openai-python" in shown
    assert "litellm could not be measured. burst: no memory" in shown
