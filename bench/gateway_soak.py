"""Half an hour of mixed load with faults against `byte serve`: flat memory, no descriptor, thread or request left over.

    scripts/soak-gateway [--minutes 30] [--clients 24] [--seed S]

All three protocols, streamed and not, with tools, keys good and bad, bodies that are none, readers that stop and clients that
leave, while settings change, keys come and go, and the upstream has bad weather. Prints figures; exits with 1 where a promise is
broken: memory or descriptors that grow, an answer of 500, a stream that ends without its end, books that do not agree, a secret
in a log or a file.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import weather
from truth import when

from bytedeck.simulator import SimulatorProcess

SHARE = 0.25
"""Of the upstream's answers that fail in some way."""
EVERY = 10.0
"""Seconds between two looks at the process."""
FLAT, AIR = 1.10, 8.0
"""How much more memory the last quarter may take than the second one: so many times as much, or so many MB."""
SETTINGS = """\
[openrouter]
base_url = "{url}"

[timeouts]
headers = 3
first_event = 3
idle = 3
total = 30

[limits]
requests = "{rpm}/minute"
"""
BROKEN = "[openrouter\n"
MODELS = ("openai/gpt-4o-mini", "google/gemini-2.5-flash", "byte/general", "byte/coding", "byte/auto")
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ENDS = {
    "/v1/chat/completions": (b"[DONE]", b'"error"'),
    "/v1/messages": (b"message_stop", b"event: error"),
    "/v1/responses": (b"response.completed", b"response.incomplete", b"response.failed", b"event: error"),
}
"""Path → what a stream's end has to hold one of."""


class Asked(NamedTuple):
    """One request as it goes out, and how the client behaves."""

    path: str
    sent: bytes
    streamed: bool
    leaves: int | None
    """Bytes after which the client leaves."""
    slow: bool
    """Whether it reads a little at a time, with pauses."""
    is_bad: bool
    """Whether it has to be refused with a 4xx."""


# -- the load ------------------------------------------------------------------------------------


def asked(chance: random.Random, keys: list[str]) -> Asked:
    """A request that follows from chance."""
    path = chance.choice(list(ENDS))
    streamed = chance.random() < 0.6
    prompt = f"[[sim: tokens={chance.randint(1, 400)}]] {chance.random()}"
    body: dict[str, Any] = {"model": chance.choice(MODELS), "stream": streamed}
    if path == "/v1/responses":
        body |= {"input": prompt, "max_output_tokens": 400}
    else:
        body |= {"messages": [{"role": "user", "content": prompt}], "max_tokens": 400}
    if chance.random() < 0.2:
        body["tools"] = [_tool(path)]
    data, key, is_bad = json.dumps(body).encode(), chance.choice(keys), chance.random() < 0.05
    if is_bad:
        data, key = chance.choice(
            (
                (data[:-7], key),
                (b"[]", key),
                (b"\xff\xfe", key),
                (b'{"model": 5}', key),
                (data, "sk-byte-nobody"),
                (data, ""),
            )
        )
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        f"Authorization: Bearer {key}",
        "Connection: close",
    ]
    return Asked(
        path=path,
        sent="\r\n".join([*lines, "", ""]).encode() + data,
        streamed=streamed,
        leaves=chance.randint(0, 20_000) if chance.random() < 0.1 else None,
        slow=chance.random() < 0.05,
        is_bad=is_bad,
    )


def _tool(path: str) -> dict[str, Any]:
    match path:
        case "/v1/messages":
            return {"name": "get_weather", "input_schema": TOOL}
        case "/v1/responses":
            return {"type": "function", "name": "get_weather", "parameters": TOOL}
    return {"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}


class Load:
    """The clients, and what they saw."""

    def __init__(self, port: int, keys: list[str], seed: str, until: float) -> None:
        self._port, self._keys, self._until = port, keys, until
        self._chance = random.Random(seed)
        self.statuses: collections.Counter[str] = collections.Counter()
        self.broken: list[str] = []

    async def client(self) -> None:
        while time.monotonic() < self._until:
            await self._one(asked(self._chance, self._keys))
            await asyncio.sleep(self._chance.random() * 0.3)

    async def _one(self, one: Asked) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(one.sent)
            async with asyncio.timeout(90):
                data, left = await _read(reader, one)
        except TimeoutError:
            self.broken.append(f"{one.path}: no end after 90 s")
            return
        except ConnectionError:
            data, left = b"", True
        finally:
            writer.close()
        self._judge(one, data, left)

    def _judge(self, one: Asked, data: bytes, left: bool) -> None:
        status = data[9:12].decode("latin-1") if data.startswith(b"HTTP/1.1 ") else "none"
        self.statuses["left" if left else status] += 1
        if left:
            return
        if status in ("500", "none") or (one.is_bad and not status.startswith("4")):
            self.broken.append(f"{one.path}: {data[:300]!r} for {one.sent[-200:]!r}")
        if status == "200" and one.streamed and not any(mark in data for mark in ENDS[one.path]):
            self.broken.append(f"{one.path}: a stream without its end: {data[-300:]!r}")


async def _read(reader: asyncio.StreamReader, one: Asked) -> tuple[bytes, bool]:
    """What came, and whether the client left before the end."""
    data = bytearray()
    while part := await reader.read(1024 if one.slow else 65_536):
        data += part
        if one.leaves is not None and len(data) > one.leaves:
            return bytes(data), True
        if one.slow:
            await asyncio.sleep(0.05)
    return bytes(data), False


# -- the gateway ---------------------------------------------------------------------------------


def byte(home: Path, *words: str) -> str:
    """What a command of ours prints."""
    command = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()", *words]
    done = subprocess.run(command, env=_env(home), capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit(f"byte {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def _env(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "BYTE_HOME": str(home), "OPENROUTER_API_KEY": SECRET} | {
        name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "LANG")
    }


SECRET = "sk-or-v1-simulator"
"""Set anew to the simulator's key before anything starts."""


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`byte serve` on any free port; its log goes to a file beside the ledger."""
    command = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]
    command += ["serve", "--port", "0", "--json", "--grace", "5"]
    with (home / "log").open("wb") as log:
        child = subprocess.Popen(command, env=_env(home), stdout=subprocess.PIPE, stderr=log)
        assert child.stdout is not None
        try:
            told = json.loads(child.stdout.readline())
            yield child, int(told["url"].rpartition(":")[2])
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()


class Sample(NamedTuple):
    """One look at the process."""

    mb: float
    descriptors: int
    threads: int


def look(pid: int) -> Sample:
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Sample(
        mb=int(told["VmRSS"].split()[0]) / 1024,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(told["Threads"]),
    )


async def meddle(home: Path, url: str, until: float, chance: random.Random) -> None:
    """Settings that change, break and are mended; keys that come, are rotated and revoked."""
    for number in itertools.count():
        if chance.random() < 0.3:
            _write(home, BROKEN)
            await asyncio.sleep(3)
        _write(home, SETTINGS.format(url=url, rpm=chance.randint(4000, 6000)))
        name = f"passing-{number}"
        await asyncio.to_thread(byte, home, "keys", "create", name, "--rpm", "60")
        await asyncio.to_thread(byte, home, "keys", "revoke", name)
        if time.monotonic() > until - 15:
            return
        await asyncio.sleep(7)


def _write(home: Path, text: str) -> None:
    fresh = home / "config.new"
    fresh.write_text(text)
    fresh.replace(home / "config.toml")


async def watch(pid: int, until: float, samples: list[Sample], minutes: float) -> None:
    began = time.monotonic()
    while time.monotonic() < until:
        samples.append(look(pid))
        if len(samples) % max(1, int(minutes * 60 / EVERY / 15)) == 1:
            print(f"{(time.monotonic() - began) / 60:5.1f} min  {samples[-1]}", flush=True)
        await asyncio.sleep(min(EVERY, max(0.1, minutes * 60 / 40)))


# -- judging -------------------------------------------------------------------------------------


def grown(samples: list[Sample], last: Sample) -> list[str]:
    """What is not flat: the last quarter against the second, and descriptors and threads once all is quiet."""
    quarter = len(samples) // 4
    early = statistics.median(one.mb for one in samples[quarter : 2 * quarter])
    late = statistics.median(one.mb for one in samples[3 * quarter :])
    print(
        f"memory: {early:.1f} MB in the second quarter, {late:.1f} MB in the last, {last.mb:.1f} MB at rest"
    )
    first = samples[0]
    print(f"descriptors: {first.descriptors} at first, {last.descriptors} at rest; threads: {last.threads}")
    broken = []
    if late > max(early * FLAT, early + AIR):
        broken.append(f"memory grew from {early:.1f} to {late:.1f} MB")
    if (
        last.descriptors > first.descriptors + 32
    ):  # connections to the upstream that are kept, and the ledger's
        broken.append(f"{last.descriptors - first.descriptors} descriptors more than at first")
    return broken


def told_secrets(home: Path, secrets: list[str]) -> list[str]:
    """Files in which a secret stands."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return [
        f"a secret stands in {path.name}"
        for path in files
        if any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


async def soak(
    sim: SimulatorProcess, home: Path, minutes: float, clients: int, seed: str
) -> tuple[list[str], list[str]]:
    """The whole; returns the promises that were broken, and all secrets there were."""
    _write(home, SETTINGS.format(url=sim.base_url, rpm=6000))
    keys = [byte(home, "keys", "create", name, "--budget", "500/day") for name in ("ada", "grace", "alan")]
    with serving(home) as (child, port):
        until = time.monotonic() + minutes * 60
        load, samples = Load(port, keys, seed, until), list[Sample]()
        await asyncio.gather(
            *(load.client() for _ in range(clients)),
            meddle(home, sim.base_url, until, random.Random(seed)),
            watch(child.pid, until, samples, minutes),
        )
        await asyncio.sleep(12)  # kept connections end, threads go home
        last, broken = look(child.pid), load.broken[:20]
        if len(load.broken) > len(broken):
            broken.append(f"and {len(load.broken) - len(broken)} more")
        if not when(lambda: sim.get("/sim/stats")["tasks"] <= 1, 5.0):
            broken.append(f"upstream still runs for nobody: {sim.get('/sim/stats')}")
        child.send_signal(signal.SIGTERM)
        if (code := await asyncio.to_thread(child.wait, 30)) != 0:
            broken.append(f"it ended with {code}")
    print(f"{sum(load.statuses.values())} requests:", dict(load.statuses.most_common()))
    print(byte(home, "ledger", "verify"))
    return broken + grown(samples, last), keys


def main() -> int:
    global SECRET
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seed", default="1")
    told = parser.parse_args()
    settings = {"seed": told.seed, "scale": 0.01, "tps": 2000.0, "journal": 10_000}
    with SimulatorProcess(**settings) as sim, tempfile.TemporaryDirectory() as folder:
        sim.post("/sim/script", weather.script(SHARE))
        SECRET, home = sim.api_key, Path(folder)
        broken, keys = asyncio.run(soak(sim, home, told.minutes, told.clients, told.seed))
        # The upstream's own address is no secret, its key is; and so is each of ours.
        broken += told_secrets(home, [SECRET, *keys])
    for sentence in broken:
        print("BROKEN:", sentence)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
