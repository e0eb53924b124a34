"""Ten thousand requests, each with a random fault or none, all skins: nothing crashes, nothing stays open, the money adds up.

    scripts/soak-simulator [--requests N] [--seed S] [--concurrency N]

Prints figures; exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from bytedeck.simulator import SimulatorProcess

# Faults that never end are left after so long; everything else has ended by then.
PATIENCE = 0.25
SCALE = 0.0005
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5", "google/gemini-2.5-flash", "sim/fine")


def chats(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": 200}


# Path → its models, what its body holds besides model and stream, and how often it comes.
FORMS: dict[str, tuple[tuple[str, ...], Callable[[str], dict[str, Any]], int]] = {
    "/chat/completions": (MODELS, chats, 3),
    "/responses": (MODELS, lambda prompt: {"input": prompt, "max_output_tokens": 200}, 3),
    "/messages": (MODELS, chats, 3),
    "/completions": (MODELS, lambda prompt: {"prompt": prompt, "max_tokens": 200}, 2),
    "/embeddings": (
        ("openai/text-embedding-3-small",),
        lambda prompt: {"input": [prompt, "b"], "dimensions": 64},
        1,
    ),
    "/rerank": (("cohere/rerank-v3.5",), lambda prompt: {"query": prompt, "documents": ["a", "b", "c"]}, 1),
}
WORDLESS = ("/embeddings", "/rerank")


def request(sim: SimulatorProcess, chance: random.Random) -> bytes:
    """One request, whose form follows from chance."""
    path = chance.choices(tuple(FORMS), [weight for _, _, weight in FORMS.values()])[0]
    models, rest, _ = FORMS[path]
    prompt = f"[[sim: tokens={chance.randint(1, 120)}]] {chance.random()}"
    body: dict[str, Any] = {"model": chance.choice(models)} | rest(prompt)
    if path not in WORDLESS:
        body["stream"] = chance.random() < 0.7
    if path == "/chat/completions" and chance.random() < 0.2:
        body["models"] = ["openai/gpt-4o"]
    data = json.dumps(body).encode()
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: {urlsplit(sim.url).netloc}\r\nAuthorization: Bearer {sim.api_key}\r\n"
    return f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data


async def one(sim: SimulatorProcess, sent: bytes, leaves_after: int | None) -> str:
    """How it ended, as the client saw it."""
    place = urlsplit(sim.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    seen = 0
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE * (8 if leaves_after is None else 1)):
            while part := await reader.read(65_536):
                seen += len(part)
                if leaves_after is not None and seen > leaves_after:
                    return "left"
        return "ended" if seen else "nothing"
    except TimeoutError:
        return "given up"
    except ConnectionError:
        return "reset"
    finally:
        writer.close()


async def soak(sim: SimulatorProcess, requests: int, seed: str, concurrency: int) -> collections.Counter[str]:
    chance, ends, at_once = random.Random(seed), collections.Counter[str](), asyncio.Semaphore(concurrency)

    async def run(sent: bytes, leaves_after: int | None) -> None:
        async with at_once:
            ends[await one(sim, sent, leaves_after)] += 1

    jobs = [
        run(request(sim, chance), chance.randint(0, 9000) if chance.random() < 0.2 else None)
        for _ in range(requests)
    ]
    await asyncio.gather(*jobs)
    return ends


def settled(sim: SimulatorProcess) -> dict[str, int]:
    """What is open when all clients have left; the connection that asks is one."""
    for _ in range(200):
        stats: dict[str, int] = sim.get("/sim/stats")
        if stats["tasks"] <= 1 and stats["connections"] <= 1:
            break
        time.sleep(0.02)
    return stats


def judged(sim: SimulatorProcess, requests: int, stats: dict[str, int]) -> list[str]:
    """The promises that were broken."""
    broken = []
    if (stats["tasks"], stats["replies"], stats["connections"]) != (1, 1, 1):
        broken.append(f"left open: {stats}")
    journal = sim.get(f"/sim/journal?path=/api/*&limit={requests * 2}")["data"]
    if len(journal) != requests:
        broken.append(f"the journal has {len(journal)} of {requests} requests")
    ends = collections.Counter(row["end"] for row in journal)
    print("asked:", dict(sorted(collections.Counter(row["skin"] for row in journal).items())))
    print("statuses:", dict(sorted(collections.Counter(str(row["status"]) for row in journal).items())))
    print("ends by the journal:", dict(ends))
    print(
        "faults met:",
        sum(bool(row["faults"]) for row in journal),
        "of",
        len({f for r in journal for f in r["faults"]}),
        "kinds",
    )
    if ends["open"] or ends["crashed"]:
        broken.append(f"crashed or open: {[r for r in journal if r['end'] in ('open', 'crashed')][:3]}")
    ledger = sim.get("/sim/ledger")["data"]
    charged = sum((Decimal(row["cost"]) for row in ledger), Decimal(0))
    used = sum((Decimal(row["used"]) for row in sim.get("/sim/accounts")["data"]), Decimal(0))
    before = sum((Decimal(row["used"]) for row in BEFORE), Decimal(0))
    print(f"ledger: {len(ledger)} rows, {charged} credits")
    if used - before != charged:
        broken.append(f"accounts used {used - before}, the ledger says {charged}")
    return broken


BEFORE: list[dict[str, Any]] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--concurrency", type=int, default=50)
    asked = parser.parse_args()
    with SimulatorProcess(
        seed=asked.seed, faults="random", rate=0.8, scale=SCALE, tps=20_000, journal=asked.requests * 3
    ) as sim:
        BEFORE[:] = sim.get("/sim/accounts")["data"]
        began = time.perf_counter()
        ends = asyncio.run(soak(sim, asked.requests, asked.seed, asked.concurrency))
        seconds = time.perf_counter() - began
        print(f"{asked.requests} requests in {seconds:.1f} s; as the clients saw them:", dict(ends))
        broken = judged(sim, asked.requests, settled(sim))
    for sentence in broken:
        print("BROKEN:", sentence)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
