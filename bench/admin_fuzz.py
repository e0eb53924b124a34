"""schemathesis at the admin API of a real `byte serve` before the simulator: scripts/fuzz-admin [--minutes M] [--seed S]

Prints its summary, and then whether the gateway has lived through it: it still answers, its ledger verifies, and its
log tells of no bug. Exits with 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bytedeck.simulator import Simulator

HERE = Path(__file__).parent
BYTE = (str(Path(sys.executable).with_name("byte")),)
ASKED = b'{"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}'
ROWS = 20
"""Requests that are made first, so that there is something to tell."""


def main() -> int:
    """The status with which to exit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemathesis", required=True, type=Path, help="The program.")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rest", nargs="*", help="More options of schemathesis, behind --.")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Simulator(frozen=True, scale=0.001) as sim:
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("BYTE_", "OPENROUTER_"))
        }
        env |= {"BYTE_HOME": folder, "OPENROUTER_BASE_URL": sim.base_url, "OPENROUTER_API_KEY": sim.api_key}
        return _run(told, env, Path(folder) / "log")


def _run(told: argparse.Namespace, env: Mapping[str, str], log: Path) -> int:
    name = f"fuzz-{secrets.token_hex(4)}"
    key, user = _made(env, name, "--admin"), _made(env, "ada", "--budget", "5/day", "--rpm", "600")
    with log.open("wb") as stderr:
        gateway = subprocess.Popen(
            [*BYTE, "serve", "--port", "0", "--json", "--log", "json"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert gateway.stdout is not None
        url = json.loads(gateway.stdout.readline())["url"]
        for _ in range(ROWS):
            assert _status(url, "POST", "/v1/chat/completions", user, ASKED) == 200
        began = time.monotonic()
        code = _schemathesis(told, {**env, "FUZZ_ADMIN_NAME": name}, url, key)
        print(f"{time.monotonic() - began:.0f} s of fuzzing; schemathesis ended with {code}.")
        lives = _status(url, "GET", "/admin/v1/config", key) == 200 and gateway.poll() is None
    finally:
        gateway.send_signal(signal.SIGTERM)
        ended = gateway.wait(60)
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    bugs = [one for one in lines if one["level"] == "error" and one.get("status") != 503]
    verified = subprocess.run([*BYTE, "ledger", "verify"], env=env, check=False).returncode
    print(
        f"{len(lines)} lines in the log, {len(bugs)} of them bugs; it answers afterwards: {lives}; it ended with {ended}."
    )
    for one in bugs[:10]:
        print(one)
    return int(bool(code or bugs or not lives or ended or verified))


def _made(env: Mapping[str, str], *given: str) -> str:
    """The secret of a new key."""
    return subprocess.run(
        [*BYTE, "keys", "create", *given], env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def _status(url: str, method: str, path: str, key: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(
        method, path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def _schemathesis(told: argparse.Namespace, env: Mapping[str, str], url: str, key: str) -> int:
    """What it exits with; it prints for itself."""
    command = [
        str(told.schemathesis), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/admin/openapi.json", "-H", f"Authorization: Bearer {key}",
        "--max-time", str(round(told.minutes * 60)), "--seed", str(told.seed), "--checks", "all", *told.rest,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # it leaves examples where it stands
        hooks = {"SCHEMATHESIS_HOOKS": "admin_fuzz_hooks", "PYTHONPATH": str(HERE)}
        return subprocess.run(command, env={**env, **hooks}, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
