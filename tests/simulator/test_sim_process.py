"""The simulator as a process of its own, as pytest's fixture, and as the command `byte simulate`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bytedeck.cli import simulate
from bytedeck.cli.main import cli
from bytedeck.simulator import Simulator, SimulatorError, SimulatorProcess
from bytedeck.simulator.faults import table as faults

pytest_plugins = ["pytester"]
COMMAND = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()", "simulate"]


def test_a_process_of_its_own() -> None:
    """Ready when it is entered, gone when it is left; asked over HTTP."""
    with SimulatorProcess(frozen=True, seed="p") as sim:
        pid = sim.pid
        body = {"model": "sim/overloaded", "messages": [{"role": "user", "content": "hi"}]}
        with pytest.raises(SimulatorError, match="529"):
            sim.post("/api/v1/chat/completions", body)
        told = sim.post("/api/v1/chat/completions", body | {"model": "sim/fine"})
        assert told["usage"]["cost"] == sum(
            map(type(told["usage"]["cost"]), [sim.get("/sim/ledger")["data"][0]["cost"]])
        )
        assert len(sim.get("/sim/journal")["data"]) == 2
    assert sim.pid == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_process_cannot_do_is_one_sentence() -> None:
    """Bad settings at once, an occupied port when it is started."""
    with pytest.raises(SimulatorError, match="tps is -1"):
        SimulatorProcess(tps=-1.0)
    with pytest.raises(SimulatorError, match="no setting"):
        SimulatorProcess(colour="red")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SimulatorError, match="is in use"):
            SimulatorProcess(port=taken.getsockname()[1]).start()


def test_it_ends_with_whoever_started_it() -> None:
    """Killed without a chance to clean up, the parent takes its simulator with it."""
    code = (
        "import os, signal; from bytedeck.simulator import SimulatorProcess; sim = SimulatorProcess().start();"
        "print(sim.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=30, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while (
        Path(f"/proc/{pid}").exists()
        and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_fixture_as_users_have_it(pytester: pytest.Pytester) -> None:
    """A fresh world a test, the environment set, a stopped clock."""
    pytester.makeconftest('pytest_plugins = ["bytedeck.simulator.fixtures"]')
    pytester.makepyfile(
        """
        import os, urllib.request

        def ask(openrouter):
            assert os.environ["OPENROUTER_BASE_URL"] == openrouter.base_url
            assert os.environ["OPENROUTER_API_KEY"] == openrouter.api_key
            with urllib.request.urlopen(openrouter.base_url + "/models/count") as answer:
                assert answer.status == 200
            return openrouter.journal()

        def test_one(openrouter):
            openrouter.advance(50)
            assert len(ask(openrouter)) == 1

        def test_two(openrouter):
            assert openrouter.now() == 1787400000
            assert len(ask(openrouter)) == 1
        """
    )
    done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=2)


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, ["simulate", *args], prog_name="byte")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_the_command_lists_the_faults() -> None:
    """As a table and as JSON."""
    shown, told = run("--list-faults"), run("--list-faults", "--json")
    assert all(name in shown.stdout for name in faults.table())
    assert {row["name"] for row in json.loads(told.stdout)} == set(faults.table())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--tps", "-1"), "tps is -1.0"),
        (("--faults", "overloded"), "Did you mean overloaded"),
        (("--script", "none.toml"), "none.toml: There is no such script"),
        (("--at", "tomorrow"), "'tomorrow' is no moment"),
        (("--faults", "nope"), "All of them: byte simulate --list-faults"),
        (("--port", "99999"), "'99999' is no port"),
        (("--port", "x"), "'x' is no port: that is a whole number from 0"),
        (("--rate", "0.5"), "give both"),
        (("--faults", "cut", "--rate", "3"), "'3' is no share: that is a number from 0"),
        (("--faults", "cut", "--rate", "half"), "'half' is no share"),
        (("--faults", "cut", "--rate", "nan"), "'nan' is no share"),
        (("--local", "--words-from", "http://x"), "choose one"),
        (("--host", "203.0.113.7"), "no address of this machine"),
        (("--words-from", "x"), "is no base URL"),
    ],
)
def test_the_command_says_what_it_cannot_do(args: tuple[str, ...], told: str) -> None:
    """One sentence on stderr, exit code 2, no traceback."""
    result = run(*args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_warns_of_a_dead_server_of_words() -> None:
    """At the start, and it goes on: what ends it here is an address that is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    said = run("--words-from", dead, "--host", "203.0.113.7").stderr
    assert f"No words from {dead}: Connection refused" in said
    assert "no address of this machine" in said


def test_an_occupied_port_and_a_malformed_script(openrouter: Simulator, tmp_path: Path) -> None:
    """They are told like bad options."""
    port = openrouter.url.rpartition(":")[2]
    assert f"Port {port} on 127.0.0.1 is in use" in run("--port", port).stderr
    script = tmp_path / "bad.toml"
    script.write_text("[[fault]]\nfault = 3")
    assert (
        "bad.toml: Entry 1 of the script: fault is 3, a number, and has to be text."
        in run("--script", str(script)).stderr
    )


def test_without_the_extra_it_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a ModuleNotFoundError."""
    monkeypatch.setattr(simulate, "find_spec", lambda name: None if name == "uvicorn" else object())
    result = run()
    assert (result.exit_code, "Install the extra: bytedeck[server]" in result.stderr) == (2, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_serves_until_it_is_told_to_stop(number: int, code: int) -> None:
    """It tells where it listens, answers, and ends quietly, with an open stream too."""
    child = subprocess.Popen(
        [*COMMAND, "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        told: dict[str, Any] = json.loads(child.stdout.readline())
        request = urllib.request.Request(
            told["base_url"] + "/chat/completions",
            json.dumps(
                {"model": "sim/stall", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            ).encode(),
            {"authorization": f"Bearer {told['api_key']}"},
        )
        with urllib.request.urlopen(request, timeout=5) as stream:
            assert stream.readline().startswith(b": OPENROUTER")
            child.send_signal(number)
            _, said = child.communicate(timeout=10)
        assert (child.returncode, said) == (code, b"")
    finally:
        child.kill()
        child.wait()


def test_a_short_soak() -> None:
    """Some hundred random faults: nothing crashes, nothing stays open, the money adds up. scripts/soak-simulator does ten thousand."""
    script = Path(__file__).parents[2] / "bench" / "soak.py"
    command = [sys.executable, str(script), "--requests", "300", "--seed", "soak"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, "BROKEN" in done.stdout, done.stderr) == (0, False, ""), done.stdout
