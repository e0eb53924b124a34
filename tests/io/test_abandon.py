"""An answer that one thread reads is ended from another, in every phase: at once, and with its one settlement."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from answers import End, Hang, error, words
from bytedeck import Hub, Policy
from bytedeck.types import Ask
from canary import CANARY
from upstream import Upstream

SPEAKING = words("one two three four", finish=None, usage=None, done=False)
PHASES = {
    "headers": ((words().first(Hang()),), ("abandoned",)),
    "words": ((SPEAKING.then(Hang()),), ("abandoned",)),
    "pause": ((error(503, headers=[("Retry-After", "30")]),), ("unavailable",)),
    "going on": ((SPEAKING.then(End()), words().first(Hang())), ("truncated", "abandoned")),
}


@pytest.fixture
def hub(upstream: Upstream) -> Iterator[Hub]:
    with Hub(api_key=CANARY, base_url=upstream.url) as made:
        yield made


def _ask(hub: Hub, **options: Any) -> Ask:
    given: dict[str, Any] = {
        "task": "", "model": "openai/gpt-4o-mini", "system": "", "timeout": None, "max_cost": None,
        "headers": None, "params": {}, "streamed": True, "policy": Policy(),
    }  # fmt: skip
    return hub.house.ask("hi", **(given | options))


@pytest.mark.parametrize("phase", PHASES)
def test_abandoned_while_it_is_read(hub: Hub, upstream: Upstream, phase: str) -> None:
    """Who reads comes back with nothing, the upstream is closed, and what was begun is settled."""
    script, outcomes = PHASES[phase]
    upstream.script(*script)
    drive = hub.answer(_ask(hub))

    def read() -> None:
        while drive.advance() is not None:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 10
    while len(upstream.chats) < len(script) or (phase == "pause" and not hub.house.store.rows()[0].outcome):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    drive.abandon()
    drive.abandon()
    reader.join(2)
    assert not reader.is_alive()
    assert drive.left
    hub.house.store.flush()
    assert tuple(row.outcome for row in hub.house.store.rows()[::-1]) == outcomes
    assert hub.house.store.verify().ok


def test_abandoned_before_it_is_read(hub: Hub, upstream: Upstream) -> None:
    """Nothing is sent, and nothing written."""
    drive = hub.answer(_ask(hub))
    drive.abandon()
    assert drive.advance() is None
    assert drive.left
    assert not upstream.chats
    assert not hub.house.store.rows()


def test_abandoned_after_its_end(hub: Hub, upstream: Upstream) -> None:
    """Nothing happens to an answer that is whole."""
    upstream.script(words("whole"))
    drive = hub.answer(_ask(hub))
    while drive.advance() is not None:
        pass
    drive.abandon()
    assert drive.advance() is None
    assert not drive.left
    assert drive.result.text == "whole"
