"""The configuration while the gateway runs: what changed holds soon, what is broken never does, and who runs keeps his."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from asgi_asks import ask
from bytedeck import AsyncHub
from bytedeck.config import save_key
from bytedeck.gateway import keeper
from bytedeck.gateway.app import App, Settings
from bytedeck.simulator import Simulator
from canary import CANARY
from gateways import Gateway, dial, post, read_until
from upstream import Upstream

TASK = '[tasks.{name}]\nmodels = ["openai/gpt-4o-mini"]\ndescription = "new"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text("retries = 1\n")
    monkeypatch.setenv("BYTE_CONFIG", str(config))
    return config


@pytest.fixture
async def app(file: Path) -> AsyncIterator[App]:
    made = App(AsyncHub(), Settings(grace=0.0))
    yield made
    await made.aclose()


def write(file: Path, text: str) -> None:
    """As an editor does it."""
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


async def told(app: App) -> Any:
    return (await ask(app, "GET", "/admin/v1/config")).json


async def test_what_changed_holds(app: App, file: Path) -> None:
    """Tasks, limits, policies, whatever the file says; told with its version."""
    write(file, TASK.format(name="fresh"))
    await app.reloader.look()
    assert "fresh" in app.hub.tasks
    listed = (await ask(app, "GET", "/v1/models")).json["data"]
    assert "byte/fresh" in {item["id"] for item in listed}
    assert ((await told(app))["version"], (await told(app))["problem"]) == (2, None)
    await app.reloader.look()
    assert (await told(app))["version"] == 2


async def test_a_broken_file_changes_nothing(app: App, file: Path) -> None:
    """Told once, with its place, and only when it stays so; the next good one is taken."""
    said: list[tuple[str, str]] = []
    app.reloader._tell = lambda level, sentence: said.append((level, sentence))
    before = app.hub.house.config
    write(file, "retries = 1\nretries_x = 2\n")
    await app.reloader.look()
    assert said == []  # it may be half written yet
    for _ in range(3):
        await app.reloader.look()
    assert app.hub.house.config is before
    [(level, sentence)] = said
    assert level == "error"
    assert f"{file}, line 2: unknown setting `retries_x`" in sentence
    assert "retries_x" in (await told(app))["problem"]
    assert b"byte_config_broken 1" in (await ask(app, "GET", "/metrics")).body
    remove(file)
    for _ in range(2):
        await app.reloader.look()
    assert "There is no file" in (await told(app))["problem"]
    write(file, "retries = 3\n")
    await app.reloader.look()
    assert app.hub.house.config.retries == 3
    assert (await told(app))["problem"] is None
    assert b"byte_config_broken 0" in (await ask(app, "GET", "/metrics")).body


async def test_who_asks_is_told_at_once(app: App, file: Path) -> None:
    """The answer to `config/reload` says why it was refused."""
    write(file, "retries = 99\n")
    answer = (await ask(app, "POST", "/admin/v1/config/reload")).json
    assert "retries" in answer["problem"]
    assert answer["version"] == 1


async def test_the_same_again_is_told_as_fine(app: App, file: Path) -> None:
    """A broken file that is set right again: the trouble is over, also where nothing else has changed."""
    good = "retries = 1\n"
    write(file, "x")
    for _ in range(2):
        await app.reloader.look()
    assert (await told(app))["problem"]
    write(file, good)
    await app.reloader.look()
    assert (await told(app))["problem"] is None


async def test_the_ledger_stays_where_it_is(app: App, file: Path, tmp_path: Path) -> None:
    """Its address does not change while the process lives: that is told."""
    before = app.hub.house.config.database_url
    write(file, f'[ledger]\nurl = "sqlite://{tmp_path}/other.db"\n')
    await app.reloader.look()
    assert app.hub.house.config.database_url == before
    assert any("started anew" in one for one in (await told(app))["warnings"])


async def test_another_upstream(app: App, file: Path) -> None:
    """Requests that begin now go there, with a catalogue of its own; its connections of before are let go of."""
    with Upstream() as one, Upstream() as other:
        write(file, f'[openrouter]\nbase_url = "{one.url}"\n')
        await app.reloader.look()
        first, catalogue = app.hub.wire, app.hub.house.models
        write(file, f'[openrouter]\nbase_url = "{other.url}"\n')
        await app.reloader.look()
        assert app.hub.wire is not first
        assert app.hub.house.models is not catalogue
        assert (await asyncio.to_thread(app.hub.wire.endpoints, "openrouter")).base_url == other.url
        assert (await asyncio.to_thread(first.endpoints, "openrouter")).base_url == one.url


async def test_a_key_that_is_saved_while_it_runs(app: App, file: Path) -> None:
    """`byte keys set` is enough; what an upstream repeats of the old one is cleaned all the same."""
    home = app.hub.house.config.home
    await asyncio.to_thread(save_key, home, CANARY)
    await app.reloader.look()
    assert app.hub.house.key_label == f"…{CANARY[-4:]}"
    await asyncio.to_thread(save_key, home, "sk-or-v1-another-one-of-these")
    await app.reloader.look()
    assert app.hub.house.key_label == "…hese"
    assert CANARY not in app.hub.house.clean(f"your key {CANARY} is bad")


def until(what: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


def test_by_itself_and_while_requests_run(
    file: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to say anything; a stream that runs ends on its own connection, and that one is closed behind it."""
    monkeypatch.setattr(keeper, "EVERY", 0.01)
    sim.reset(tps=200, scale=1.0)
    body = b'{"model": "openai/gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
    with Gateway() as gateway, dial(gateway.port, post("/v1/chat/completions", body)) as connection:
        read_until(connection, b'"content":"')
        wire = gateway.app.hub._wire
        write(file, '[openrouter]\napp_title = "Another"\n')
        until(lambda: gateway.app.reloader.version == 2)
        assert gateway.app.hub._wire is not wire
        assert gateway.app.reloader._retired
        assert b"[DONE]" in read_until(connection, b"[DONE]")
        until(lambda: not gateway.app.reloader._retired)
        assert [row.outcome for row in gateway.rows()] == ["answered"]


async def test_a_signal(app: App, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP asks for it at once, also where the file looks the same."""
    monkeypatch.setattr(keeper, "EVERY", 60.0)
    await app.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload)
    looked = asyncio.Event()
    monkeypatch.setattr(app.hub.house, "reread", lambda: (looked.set(), app.hub.house.config)[1])
    stamp = os.stat(file)
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(looked.wait(), 10)
    assert os.stat(file) == stamp
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


async def test_a_bug_in_a_round_ends_no_others(
    app: App, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """It stands in the log, and the next round comes."""
    monkeypatch.setattr(keeper, "EVERY", 0.001)
    rounds, third = [0, 0, 0], asyncio.Event()

    async def broken(*_: Any) -> None:
        if rounds:
            rounds.pop()
        else:
            third.set()
        raise KeyError("secret words")

    monkeypatch.setattr(app.reloader, "look", broken)
    await app.start()
    await asyncio.wait_for(third.wait(), 10)
    assert any("KeyError in test_reload.py" in line for line in logged)
    assert not any("secret words" in line for line in logged)


async def test_asked_again_while_it_ends(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGHUP that comes together with the end does not keep the gateway alive."""
    monkeypatch.setattr(keeper, "EVERY", 60.0)
    await app.start()
    await asyncio.sleep(0)  # it waits now
    app.reload()
    async with asyncio.timeout(10):
        await app.aclose()
