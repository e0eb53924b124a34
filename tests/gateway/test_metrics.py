"""The numbers: what is counted, how Prometheus's own reader reads it, and what bounds it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from asgi_asks import ask
from bytedeck import AsyncHub
from bytedeck.gateway.app import App, Settings
from bytedeck.gateway.watch import metrics, numbers
from bytedeck.gateway.watch.record import Record
from bytedeck.simulator import Simulator
from bytedeck.types import Attempt
from gateways import Gateway, dial, post, read_until

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    yield made
    await made.aclose()


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and labels, as Prometheus's own reader reads them."""
    families = list(text_string_to_metric_families(text))
    assert len({one.name for one in families}) == len(families)
    return {(s.name, frozenset(s.labels.items())): s.value for one in families for s in one.samples}


def of(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def scraped(app: App) -> dict[Any, float]:
    told = await ask(app, "GET", "/metrics")
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(told.body.decode())


def a_record(**more: Any) -> Record:
    told: dict[str, Any] = {
        "id": "r", "protocol": "chat", "method": "POST", "path": CHAT, "status": 200, "outcome": "answered", "seconds": 1.0,
    }  # fmt: skip
    return Record(**(told | more))


def test_before_the_simulator(gateway: Gateway, sim: Simulator) -> None:
    """Answers, tokens, money, fail-overs, seams and times of real requests, as many as there were."""
    bodies = [
        ASKED | {"model": "openai/gpt-4o-mini"},
        ASKED | {"model": "openai/gpt-4o-mini", "stream": True},
        ASKED | {"model": "sim/server", "models": ["openai/gpt-4o-mini"]},
        ASKED | {"model": "sim/payment_required"},
        ASKED | {"model": "sim/truncated:tokens=5", "models": ["openai/gpt-4o-mini"], "stream": True},
    ]
    import json

    for body in bodies:
        with dial(gateway.port, post(CHAT, json.dumps(body).encode(), "Connection: close")) as connection:
            read_until(connection, b"never")
    with dial(gateway.port, post(CHAT, b"{", "Connection: close")) as connection:
        read_until(connection, b"never")
    found = read(gateway.app.metrics.text(gateway.app).decode())
    requests = {labels: value for (name, labels), value in found.items() if name == "byte_requests_total"}
    by_status: dict[str, float] = {}
    for labels, value in requests.items():
        by_status[dict(labels)["status"]] = by_status.get(dict(labels)["status"], 0) + value
    assert by_status == {"200": 4, "402": 1, "400": 1}
    rows = [row for row in gateway.rows() if row.spend_units]
    spent = sum(value for (name, _), value in found.items() if name == "byte_cost_usd_total")
    assert spent == pytest.approx(sum(row.spend_units or 0 for row in rows) / 1e12)
    assert of(found, "byte_fallbacks_total") >= 2
    assert of(found, "byte_time_to_first_token_seconds_count") == 4
    assert of(found, "byte_time_to_first_token_seconds_bucket", le="+Inf") == 4
    assert of(found, "byte_requests_in_flight") == 0
    assert of(found, "byte_ledger_lost_rows") == 0
    assert any(name == "byte_breaker_state" for name, _ in found)
    tokens = sum(v for (name, labels), v in found.items() if name == "byte_tokens_total")
    assert tokens > 0


async def test_what_was_never_known_is_other(app: App) -> None:
    """Models that a client invents make no series of their own; a model that has answered has one."""
    house = app.hub.house
    for number in range(100):
        bad = Attempt(model=f"evil/{number}", outcome="model_not_found")
        app.metrics.count(
            a_record(model=bad.model, attempts=(bad,), outcome="model_not_found", status=404), house
        )
    good = Attempt(model="good/one", outcome="answered", cost_units=10**9)
    app.metrics.count(a_record(model="good/one", attempts=(good,), key="ada"), house)
    found = await scraped(app)
    models = {dict(labels)["model"] for name, labels in found if name == "byte_requests_total"}
    assert models == {"other", "good/one"}
    assert of(found, "byte_cost_usd_total", model="good/one", key="ada") == 0.001


async def test_bounds(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many models, or series of one family, all is `other`; nothing is lost of the sum."""
    monkeypatch.setattr(metrics, "MOST_MODELS", 4)
    monkeypatch.setattr(metrics, "MOST_SERIES", 5)
    for number in range(50):
        answered = Attempt(model=f"m/{number}", outcome="answered")
        app.metrics.count(
            a_record(model=answered.model, attempts=(answered,), task=str(number)), app.hub.house
        )
    found = await scraped(app)
    values = [value for (name, _), value in found.items() if name == "byte_requests_total"]
    assert len(values) <= 6
    assert sum(values) == 50


async def test_odd_labels_are_escaped(app: App) -> None:
    """A label may hold anything."""
    for odd in ('a"b', "a\\b", "a\nb", "é{}=,"):
        app.metrics.count(a_record(task=odd), app.hub.house)
    tasks = {dict(labels)["task"] for name, labels in await scraped(app) if name == "byte_requests_total"}
    assert {'a"b', "a\\b", "a\nb", "é{}=,"} <= tasks


def test_buckets() -> None:
    """A value on a bound is in its bucket, as Prometheus has it."""
    counted = metrics.Metrics()
    for value in (0.05, 0.0500001, 60.0, 61.0):
        counted._observe("byte_time_to_first_token_seconds", metrics._FIRST, value)
    own = numbers.Numbers(
        counts={name: list(one.items()) for name, one in counted._counts.items()}, gauges={}
    )
    found = read("\n".join(metrics._counters(own)) + "\n")
    assert of(found, "byte_time_to_first_token_seconds_bucket", le="0.05") == 1
    assert of(found, "byte_time_to_first_token_seconds_bucket", le="0.1") == 2
    assert of(found, "byte_time_to_first_token_seconds_bucket", le="60") == 3
    assert of(found, "byte_time_to_first_token_seconds_count") == 4
    assert of(found, "byte_time_to_first_token_seconds_sum") == pytest.approx(121.1000001)


async def test_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape of one tells what all have counted; of one that has died the counts stay, and its gauges do not."""
    apps = [App(AsyncHub(), Settings(grace=0.0, numbers=tmp_path, worker=number)) for number in range(3)]
    for number, one in enumerate(apps):
        one.metrics.count(a_record(seams=number + 1), one.hub.house)
        one.gauges = {"byte_requests_waiting": lambda number=number: number + 1.0}
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda number=number: 100 + number)
            await asyncio.to_thread(one.metrics.share, one)
    monkeypatch.setattr(os, "getpid", lambda: 102)
    found = read(apps[2].metrics.text(apps[2]).decode())
    assert of(found, "byte_seams_total") == 6
    assert of(found, "byte_requests_waiting") == 6
    os.utime(tmp_path / "100.numbers", (0, 0))
    (tmp_path / "7.numbers").write_bytes(b"half a fi")
    found = read(apps[2].metrics.text(apps[2]).decode())
    assert of(found, "byte_seams_total") == 6
    assert of(found, "byte_requests_waiting") == 5
    for one in apps:
        await one.aclose()


async def test_what_nobody_asked_a_model_for(app: App) -> None:
    """Pages, refusals and the admin API are counted apart, and cost nothing."""
    await ask(app, "GET", "/healthz")
    await ask(app, "GET", "/nothing")
    await ask(app, "GET", "/admin/v1/tasks")
    await ask(app, "POST", CHAT, None, b"{")
    found = await scraped(app)
    told = {
        (dict(labels)["protocol"], dict(labels)["status"], dict(labels)["outcome"]): value
        for (name, labels), value in found.items()
        if name == "byte_requests_total"
    }
    assert told == {
        ("health", "200", "answered"): 1,
        ("pages", "404", "invalid_request"): 1,
        ("admin", "200", "answered"): 1,
        ("chat", "400", "invalid_request"): 1,
    }
