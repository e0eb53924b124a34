"""The sixteen bad days of docs/resilience.md through the gateway, on each protocol: the same ends, told in its own way."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from bytedeck.io.watch import Watch
from bytedeck.simulator import Simulator
from bytedeck.simulator.journal import shown
from gateways import Gateway
from readers import READERS, Read

BENCH = Path(__file__).parents[2] / "bench"
if str(BENCH) not in sys.path:
    sys.path.append(str(BENCH))  # last, for it has an `upstream` of its own

import days  # noqa: E402
import scenarios  # noqa: E402
import truth  # noqa: E402
from callers import Got  # noqa: E402

BLOCKING = ("cut", "no_prefill", "accounts")
"""These are asked without streaming, too."""
ENDS = {"chat": ("stop",), "responses": ("completed",), "messages": ("end_turn",)}


@pytest.fixture(scope="module")
def sims() -> Iterator[dict[str, Simulator]]:
    """A world for each protocol: a day is played on all of them at once."""
    with ExitStack() as stack:
        yield {protocol: stack.enter_context(Simulator()) for protocol in READERS}


@pytest.fixture
def gateways(
    sims: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Gateway]]:
    """Each with deadlines as short as the simulator's waits, and breakers that go by its clock."""
    bounds = "\n".join(f"{name} = {seconds}" for name, seconds in days.BOUNDS.items())
    (tmp_path / "config.toml").write_text(f"[timeouts]\n{bounds}\n", "utf-8")
    monkeypatch.setenv("BYTE_CONFIG", str(tmp_path / "config.toml"))
    with ExitStack() as stack:
        made = {}
        for protocol, sim in sims.items():
            monkeypatch.setenv("BYTE_HOME", str(tmp_path / protocol))
            monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
            monkeypatch.setenv("OPENROUTER_API_KEY", sim.api_key)
            gateway = made[protocol] = stack.enter_context(Gateway())
            house = gateway.app.hub.house
            house.watch = Watch(house.store, partial(_now, sim))
        yield made


def _now(sim: Simulator) -> int:
    return int(sim.now() * 1e6)


def played(
    row: days.Row, gateways: dict[str, Gateway], sims: dict[str, Simulator], *, stream: bool
) -> dict[str, list[str]]:
    """The promises that were broken on each protocol."""
    with ThreadPoolExecutor() as pool:
        playing = {
            protocol: pool.submit(play, gateway, sims[protocol], row, protocol, stream)
            for protocol, gateway in gateways.items()
        }
        return {protocol: one.result() for protocol, one in playing.items()}


def play(gateway: Gateway, sim: Simulator, row: days.Row, protocol: str, stream: bool) -> list[str]:
    """Ask as often as the row says, a second apart by the simulator's clock. The promises that were broken."""
    sim.reset(frozen=True, scale=days.SCALE)
    sim.script(row.script)
    states, broken = [], []
    for _ in range(row.requests):
        states.append(_state(gateway))
        read = READERS[protocol](gateway.url, row.prompt, row.chain, stream)
        broken += _judged(row, protocol, read, gateway, stream)
        sim.advance(1)
    truth.when(lambda: sim.stats()["tasks"] == 0)
    rows = gateway.rows()
    asked = [shown(entry) for entry in sim.journal(path="*/chat/completions")]
    if row.requests > 1:
        broken += _recovers([*states, _state(gateway)], read)
        broken += [f"{len(asked)} attempts"] if len(asked) > row.most else []
    elif read.cost != sum(one.cost or 0 for one in rows):
        broken.append(f"the usage says {read.cost} USD, the rows {[one.cost for one in rows]}")
    return broken + truth.unbalanced(rows, asked, sim.ledger())


def _state(gateway: Gateway) -> str:
    state: str = gateway.app.hub.house.watch.health().model(days.A).state
    return state


def _judged(row: days.Row, protocol: str, read: Read, gateway: Gateway, stream: bool) -> list[str]:
    """As the scenarios of the library are judged; and the protocol's own word for a good end."""
    rows = gateway.rows()
    mine = [one for one in reversed(rows) if one.request == rows[0].request]
    got = Got(
        text=read.text,
        reply=read.text,
        error=read.error,
        code=read.code,
        reason=read.reason,
        model=mine[-1].model,
        attempts=[f"{one.model} {one.outcome}" for one in mine],
        seams=list(read.seams),
    )
    broken = scenarios.judged(row, "async stream" if stream else "async chat", got)
    if not read.error and read.finish not in ENDS[protocol]:
        broken.append(f"it ended with {read.finish}")
    return broken


def _recovers(states: list[str], last: Read) -> list[str]:
    """The breaker opens, lets one try, and is closed again; the first model answers in the end."""
    story = " ".join(word for word, _ in itertools.groupby(states))
    broken = [] if re.fullmatch(r"closed( open half_open)+ closed", story) else [f"the breaker: {story}"]
    return broken if last.model == days.A else [*broken, f"{last.model} still answers"]


WELL: dict[str, list[str]] = {protocol: [] for protocol in READERS}


@pytest.mark.parametrize("name", days.ROWS)
def test_a_bad_day(name: str, sims: dict[str, Simulator], gateways: dict[str, Gateway]) -> None:
    """In a stream that official types accept: the whole answer or the reason, by the attempts and seams of the table."""
    assert played(days.ROWS[name], gateways, sims, stream=True) == WELL


@pytest.mark.parametrize("name", BLOCKING)
def test_a_bad_day_for_who_waits(name: str, sims: dict[str, Simulator], gateways: dict[str, Gateway]) -> None:
    """The same without a stream."""
    assert played(days.ROWS[name], gateways, sims, stream=False) == WELL
