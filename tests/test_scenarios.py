"""The sixteen bad days of docs/resilience.md end as its table says."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytedeck.simulator import Simulator

BENCH = Path(__file__).parents[1] / "bench"
sys.path.append(str(BENCH))  # last, for it has an `upstream` of its own

import days  # noqa: E402
import scenarios  # noqa: E402
from callers import Got  # noqa: E402

BLOCKING = ("retry_after", "cut", "stalled", "no_prefill", "flapping", "accounts")
"""These are played with the other face, too, and without streaming; scripts/scenarios plays all in all ways."""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.mark.parametrize("name", days.ROWS)
def test_a_bad_day(name: str, sim: Simulator, tmp_path: Path) -> None:
    """The whole answer, or the provider's reason; by the models, attempts, seams and costs that the table tells."""
    played = asyncio.run(scenarios.play(sim, days.ROWS[name], "async stream", str(tmp_path)))
    assert not played.broken


@pytest.mark.parametrize("way", ["sync stream", "sync chat", "async chat"])
@pytest.mark.parametrize("name", BLOCKING)
def test_a_bad_day_otherwise(name: str, way: str, sim: Simulator, tmp_path: Path) -> None:
    """The same by the other face, and for who waits for the whole."""
    played = asyncio.run(scenarios.play(sim, days.ROWS[name], way, str(tmp_path)))
    assert not played.broken


def test_there_are_sixteen() -> None:
    """None is left out, neither of ours nor of what the others got."""
    assert len(days.ROWS) == 16
    kept = json.loads(days.KEPT.read_text("utf-8"))
    assert all(set(got) == set(days.ROWS) for got in kept["got"].values())
    assert all(scenarios.version(name) == version for name, version in kept["versions"].items())


WELL = Got(text="x", reply="x", model=days.A, attempts=[f"{days.A} answered"])


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("slow", {"text": "not it"}, "not the whole text"),
        ("slow", {"reply": "not it"}, "not the whole text"),
        ("slow", {"error": "StreamBroken"}, "StreamBroken"),
        ("slow", {"model": days.B}, "is named"),
        ("slow", {"seams": ["proven"]}, "seams"),
        ("slow", {"attempts": [f"{days.A} server_error", f"{days.A} answered"]}, "attempts"),
        ("slow", {"attempts": [f"{days.A} idle_timeout", f"{days.A} answered"]}, "asked again"),
        ("filtered", {}, "instead of content_filtered"),
        ("filtered", {"error": "ContentFiltered", "code": "content_filtered"}, "with its reason"),
    ],
)
def test_a_broken_promise_is_found(name: str, changed: dict[str, object], says: str) -> None:
    """The judge lets nothing pass."""
    truth = scenarios.canonical(days.PROMPT, "0")
    got = Got(**{**vars(WELL), "text": truth, "reply": truth, **changed})
    assert says in " ".join(scenarios.judged(days.ROWS[name], "async stream", got))
