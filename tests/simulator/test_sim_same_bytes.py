"""Same seed, same stopped clock, same requests in the same order: the same bytes, in another process with other hashes too."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from bytedeck.simulator import Simulator
from bytedeck.simulator.faults import table as faults
from bytedeck.simulator.faults.fault import ALL, SPOKEN
from simclient import HI, ask

RUN = "import test_sim_same_bytes as here; here.told()"
PATHS = {"chat": "chat/completions"}
LEFT = ("hang", "stall", "silence;every=9999")
"""Faults that never end by themselves: what came until the client left is compared."""
MODELS = (
    "openai/gpt-4o-mini",
    "anthropic/claude-sonnet-4.5",
    "google/gemini-2.5-flash",
    "deepseek/deepseek-r1",
    "openrouter/auto",
)
TOOL = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": [1, 2, 3]}}}


def requests() -> list[tuple[str, dict[str, object], str]]:
    """Some two hundred: path, body, fault; each skin, each fault."""
    found: list[tuple[str, dict[str, object], str]] = []
    names = ["", "", *faults.table()]
    for number, name in enumerate(names * 2):
        skins = faults.table()[name].skins if name else ALL
        skin = skins[number % len(skins)]
        model = MODELS[number % len(MODELS)]
        body: dict[str, object] = {
            "chat": {"messages": HI, "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}]},
            "completions": {"prompt": f"hello {number}"},
            "responses": {"input": f"hello {number}", "text": {"format": {"type": "json_schema", "name": "n", "schema": TOOL}}},
            "messages": {"messages": HI, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
            "embeddings": {"input": ["a", f"b {number}"], "dimensions": 32},
            "rerank": {"query": "a b", "documents": ["a", "b", "c d"]},
        }[skin]  # fmt: skip
        body["model"] = {"embeddings": "openai/text-embedding-3-small", "rerank": "cohere/rerank-v3.5"}.get(
            skin, model
        )
        if skin in SPOKEN and number % 3:
            body["stream"] = True
        found.append((f"/api/v1/{PATHS.get(skin, skin)}", body, _written(name)))
    return found


def _written(name: str) -> str:
    return next((text for text in LEFT if text.partition(";")[0] == name), name)


def told() -> None:
    """One line a request: its digest. Then those of the pages, the ledger and the journal."""
    with Simulator(seed="s", frozen=True, scale=0.0001, generation_delay=0) as sim:
        for path, body, fault in requests():
            headers = {"Host": "localhost", "X-Sim-Fault": fault, "X-OpenRouter-Metadata": "enabled"}
            came = ask(sim, "POST", path, body, headers, timeout=0.1 if fault in LEFT else 20)
            if came.end in ("eof", "reset"):  # the kernel decides how much arrives before its end
                came.raw = b""
            print(hashlib.sha256(came.raw).hexdigest()[:16], came.end, path, fault, body.get("stream"))
        ids = [row["id"] for row in sim.ledger()]
        pages = (
            "/models",
            "/models?sort=newest",
            "/key",
            "/providers",
            "/benchmarks",
            "/classifications/task",
        )
        pages += ("/models/openai/gpt-4o/endpoints", *(f"/generation?id={name}" for name in ids[:20]))
        for page in pages:
            print(
                hashlib.sha256(
                    ask(sim, "GET", f"/api/v1{page}", headers={"Host": "localhost"}).raw
                ).hexdigest()[:16],
                page,
            )
        print(
            hashlib.sha256(ask(sim, "GET", "/sim/ledger", headers={"Host": "localhost"}).raw).hexdigest()[
                :16
            ],
            "ledger",
        )


def _lines(hashes: str) -> list[str]:
    here = Path(__file__)
    paths = (str(here.parent), str(here.parents[1]), os.environ.get("PYTHONPATH", ""))
    env = os.environ | {"PYTHONHASHSEED": hashes, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, timeout=120, env=env, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_two_processes_say_the_same() -> None:
    """All skins and all faults."""
    assert len(requests()) > 200
    one, other = _lines("1"), _lines("2")
    assert one == other
    assert len({line.split()[0] for line in one}) > 150
