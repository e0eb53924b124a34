"""`byte tasks explain`: why a task's models stand in their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bouts import bout
from bytedeck import Hub

Byte = Callable[..., Any]
SETTINGS = '[tasks.poems]\nmodels = ["a/one", "b/two"]\ndescription = "Writes poems"\n'


def held(hub: Hub, count: int) -> None:
    """So many battles that the second model wins."""
    store = hub.house.matches
    for place in range(count):
        match, events = bout(("b/two", "a/one"), task="poems", at=place + 1)
        store.create(match, events[0])
        store.append(match.id, events[1:])
        store.release(match.id)
        hub.arena.record(match.id)


def test_without_battles_it_says_what_it_waits_for(byte: Byte, home: Path) -> None:
    """The shipped order with its models, and how to begin; no ledger is made for saying so."""
    found = byte("tasks", "explain", "Coding")
    assert found.exit_code == 0
    assert found.stdout.startswith("Coding (coding)\n")
    assert "  1.  Claude Sonnet (latest)  ~anthropic/claude-sonnet-latest" in found.stdout
    assert "The order is the one that Bytedeck brings along.\n" in found.stdout
    assert (
        "GPT (latest): It has 0 of the 50 battles against Claude Sonnet (latest) that a first look takes."
        in found.stdout
    )
    assert "Let them fight: byte arena run -t coding --budget 1 --prompts FILE" in found.stderr
    assert not (home / "ledger.db").exists()
    assert "There is no task 'codng'" in byte("tasks", "explain", "codng").stderr


def test_with_battles_it_shows_the_ratings(byte: Byte, home: Path) -> None:
    """Points with their interval, marked where there are few; a change that is due, and one that was made."""
    home.mkdir()
    (home / "config.toml").write_text(SETTINGS)
    with Hub() as hub:
        held(hub, 10)
        few = byte("tasks", "explain", "poems")
        assert few.stdout.count("~1") == 1
        assert few.stdout.count("~") == 2
        assert "few battles yet" in few.stderr
        held(hub, 40)
        assert "A change is due: " in byte("tasks", "explain", "poems").stdout
        hub.arena.promote("poems")
    told = byte("tasks", "explain", "poems").stdout
    assert "1.  b/two" in told
    assert "The order is change 1 of " in told
    assert "~" not in told
    order = json.loads(byte("tasks", "explain", "poems", "--json").stdout)
    assert (order["task"], order["whence"], order["change"]["number"]) == ("poems", "promoted", 1)
    first, second = order["seats"]
    assert (first["model"], first["row"]["battles"], first["prompt_per_million"]) == ("b/two", 50, None)
    assert (first["outlook"], second["outlook"]["finding"]["battles"]) == (None, 0)
