"""Coding agents before `byte serve` and the simulator: each does one turn with a call of a tool, or an edit, for real.

    scripts/clients [--only NAMES]

Prints what each said, what came to the gateway, and whether the file is there that it was to write. The simulator
orders what is written, so that nothing hangs on a model's mood. Exits with 1 where a file is missing or wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bytedeck.simulator import Simulator

ROOT = Path(__file__).parents[1]
PATIENCE = 180.0
"""Seconds that an agent has for its turn."""
WRITTEN = "print(1 + 1)\n"
"""What is to stand in the file."""
FILE = "sum.py"
BYTE = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]


class Place(NamedTuple):
    """Where an agent works."""

    url: str
    """The gateway's."""
    folder: Path
    home: Path


class Agent(NamedTuple):
    """One of them: `command` and `environment` of a place, and the prompt that orders the turn."""

    name: str
    program: str
    """Below the folder that scripts/setup-clients makes; a pattern, for some are another one on each platform."""
    arguments: tuple[str, ...]
    environment: Callable[[Place], dict[str, str]]
    prompt: Callable[[Place], str]
    prepare: Callable[[Place], object] = lambda _: None


def ordered(tool: str, arguments: dict[str, str]) -> str:
    """A prompt for which the simulator calls a tool with exactly these arguments, once."""
    return f"[[sim: tools={tool} arguments={json.dumps(json.dumps(arguments))}]] Write {FILE}."


def _codex_config(place: Place) -> None:
    (place.home / "config.toml").write_text(
        'model = "byte/coding"\nmodel_provider = "bytedeck"\n\n[model_providers.bytedeck]\nname = "Bytedeck"\n'
        f'base_url = "{place.url}/v1"\nenv_key = "BYTE_KEY"\nwire_api = "responses"\n',
        "utf-8",
    )


_EDIT = f"{FILE}\n```\n{WRITTEN}```\n"
"""A whole file, as aider reads it; it calls no tools."""
_CLAUDE = ("-p", "--model", "byte/coding", "--permission-mode", "acceptEdits")
_CODEX = ("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access")
_AIDER = ("--model", "openai/byte/coding", "--edit-format", "whole", "--no-git", "--yes-always", "--no-check-update",
          "--analytics-disable", "--no-show-model-warnings", "--no-pretty", "--map-tokens", "0", FILE, "--message")  # fmt: skip

AGENTS = {
    agent.name: agent
    for agent in (
        Agent(
            "codex",
            "node_modules/.bin/codex",
            _CODEX,
            lambda place: {"CODEX_HOME": str(place.home), "BYTE_KEY": "none"},
            lambda place: ordered("exec_command", {"cmd": f"printf 'print(1 + 1)\\n' > {FILE}"}),
            _codex_config,
        ),
        Agent(
            "claude",
            "node_modules/@anthropic-ai/claude-code-*/claude",
            _CLAUDE,
            lambda place: {
                "ANTHROPIC_BASE_URL": place.url,
                "ANTHROPIC_AUTH_TOKEN": "none",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
            },
            lambda place: ordered("Write", {"file_path": str(place.folder / FILE), "content": WRITTEN}),
        ),
        Agent(
            "aider",
            "venv/bin/aider",
            _AIDER,
            lambda place: {"OPENAI_API_BASE": f"{place.url}/v1", "OPENAI_API_KEY": "none"},
            lambda place: f"[[sim: say={json.dumps(_EDIT)}]] Write {FILE}.",
        ),
    )
}


@contextlib.contextmanager
def serving(sim: Simulator, home: Path) -> Iterator[str]:
    """`byte serve` before the simulator; its address."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "BYTE_HOME": str(home),
        "OPENROUTER_BASE_URL": sim.base_url,
        "OPENROUTER_API_KEY": sim.api_key,
    }
    line = [*BYTE, "serve", "--port", "0", "--json"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def turn(agent: Agent, installed: Path, url: str, sim: Simulator) -> bool:
    """One turn of an agent in a folder of its own: whether the file is as ordered. Prints what came of it."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as home:
        place = Place(url, Path(folder), Path(home))
        agent.prepare(place)
        before, began = len(sim.journal()), time.monotonic()
        done = subprocess.run(
            [str(next(installed.glob(agent.program))), *agent.arguments, agent.prompt(place)],
            cwd=folder, env={"PATH": os.environ["PATH"], "HOME": home} | agent.environment(place),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        written = place.folder / FILE
        is_well = done.returncode == 0 and written.exists() and written.read_text("utf-8") == WRITTEN
        asked = [entry for entry in sim.journal()[before:] if entry.path.endswith("/chat/completions")]
        print(f"## {agent.name}: {'well' if is_well else 'NOT WELL'}, exit code {done.returncode}, "
              f"{time.monotonic() - began:.1f} s, upstream asked {len(asked)} times")  # fmt: skip
        for entry in asked:
            roles = [message["role"] for message in json.loads(entry.body)["messages"]]
            print(f"   {entry.status} {entry.model}: {len(roles)} messages, the last of {roles[-1]}")
        for line in (done.stdout + done.stderr).strip().splitlines()[-12:]:
            print(f"   | {line[:160]}")
        return is_well


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/clients", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(AGENTS), help="names with commas between")
    names = parser.parse_args().only.split(",")
    if unknown := set(names) - set(AGENTS):
        parser.error(f"no such agent: {', '.join(sorted(unknown))}")
    setup = subprocess.run(
        [str(ROOT / "scripts/setup-clients"), "agents"], stdout=subprocess.PIPE, text=True, check=True
    )
    installed = Path(setup.stdout.strip())
    with Simulator(scale=0.01) as sim, tempfile.TemporaryDirectory() as home, serving(sim, Path(home)) as url:
        well = [turn(AGENTS[name], installed, url, sim) for name in names]
    print(f"\n{sum(well)} of {len(well)} did their turn.")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
