"""Clients in processes of their own, asked line by line: `gateway/node/*.mjs` and `gateway/python/of_*.py`.

scripts/setup-clients sets up what they import.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "gateway"
SCRIPTS = HERE.parents[1] / "scripts"
PATIENCE = 15.0
"""Seconds in which a client has to answer."""
NODE = 20
"""The oldest one that the clients of Node are tried with."""


def node() -> str:
    """Where Node is. Skips the test where there is none that is new enough."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("there is no Node with npm here: its clients are left out")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", told)[0]) < NODE:
        pytest.skip(f"Node {told.strip()} is older than {NODE}: its clients are left out")
    return found


class Programs:
    """Starts each client when it is first asked; `close` ends them all."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="byte-clients-")
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._homes: dict[str, Path] = {}
        self._environment = {"PATH": os.environ["PATH"], "HOME": self._folder.name}

    def ask(self, program: str, do: str, **asked: Any) -> dict[str, Any]:
        """What the client told of an operation: `text`, `finish`, `cost`, `calls`, `data`, `models`, or `error`."""
        running = self._running.get(program) or self._start(program)
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        running.stdin.flush()
        ready, _, _ = select.select([running.stdout], [], [], PATIENCE)
        line = running.stdout.readline() if ready else ""
        assert line, f"{program} said nothing: {self._said(program)}"
        told: dict[str, Any] = json.loads(line)
        return told

    def warm(self, programs: Iterable[str]) -> None:
        """Start them all at once: what they import takes its time."""
        for program in programs:
            with contextlib.suppress(pytest.skip.Exception):
                self._start(program)

    def home(self, kind: str) -> Path:
        """Where scripts/setup-clients put the clients of this kind; where Node looks for packages, ours lie, too."""
        if kind not in self._homes:
            line = [str(SCRIPTS / "setup-clients"), kind]
            done = subprocess.run(line, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{' '.join(line)}: {done.stderr}"
            self._homes[kind] = Path(done.stdout.strip())
            if kind == "node":
                shutil.copytree(HERE / "node", self._folder.name, dirs_exist_ok=True)
                Path(self._folder.name, "node_modules").symlink_to(self._homes[kind] / "node_modules")
        return self._homes[kind]

    def command(self, program: str) -> list[str]:
        """How a program of Node or Python is run with its clients."""
        if program.endswith(".mjs"):
            found = node()
            self.home("node")
            return [found, str(Path(self._folder.name, program))]
        return [str(self.home("python") / "venv/bin/python"), str(HERE / "python" / program)]

    def keep(self, program: str, text: str) -> str:
        """Put a program beside the clients; its path."""
        path = Path(self._folder.name, program)
        path.write_text(text, "utf-8")
        return str(path)

    def run(self, program: str, text: str, **environment: str) -> str:
        """What another program prints that lies beside the clients."""
        command = [*self.command(program)[:-1], self.keep(program, text)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=self._environment | environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self, program: str) -> subprocess.Popen[str]:
        with Path(self._folder.name, f"{program}.said").open("w") as said:
            started = subprocess.Popen(
                self.command(program),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=self._environment,
                text=True,
            )
        self._running[program] = started
        return started

    def _said(self, program: str) -> str:
        return Path(self._folder.name, f"{program}.said").read_text("utf-8")[-2000:]

    def close(self) -> None:
        """End them, whatever timers of theirs still run."""
        for running in self._running.values():
            running.kill()
            running.communicate()
        self._folder.cleanup()
