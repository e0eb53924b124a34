"""Running `byte`: within this process where that is enough, as a real one where pipes and signals matter."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bytedeck.cli.main import cli
from canary import CANARY, assert_no_canary
from upstream import Upstream

COMMAND = [sys.executable, "-c", "from bytedeck.cli.main import main; main()"]

Byte = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def byte() -> Iterator[Byte]:
    """`byte("-t", "coding", "hello", input=b"…")` → what came of it. The key is in none of it."""
    runner = CliRunner()

    def run(*args: str, **more: Any) -> Result:
        result = runner.invoke(cli, list(args), prog_name="byte", **more)
        assert_no_canary(result.stdout, result.stderr)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert "Traceback" not in result.stderr
        return result

    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """BYTE_HOME."""
    return tmp_path / "home"


@pytest.fixture
def keyed(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """The upstream, with the settings that lead there and a key."""
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", upstream.url)
    return upstream


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start `byte` as a process of its own; what still runs at the end is killed."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, **more: Any) -> subprocess.Popen[bytes]:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            env = {**os.environ, **more.pop("env", {})}
            process = stack.enter_context(subprocess.Popen([*COMMAND, *args], **(pipes | more), env=env))
            stack.callback(process.kill)
            return process

        yield start
