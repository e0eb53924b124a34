"""Each phase of an attempt is bounded by itself, wherever the bound was set: on data, not on comments (P8).

Where a bound did not hold, the answer would come whole a while later: no test here looks at a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from answers import MODEL, Answer, End, Pause, Step, words
from bytedeck import ByteError, Timeouts
from faces import FACES, Face
from upstream import Upstream, blackhole

BOUND = 0.15
COMMENT = b": OPENROUTER PROCESSING\n\n"


def comments(seconds: float) -> Iterator[Step]:
    """Comments all the time, each long before any bound."""
    for _ in range(int(seconds / 0.05)):
        yield COMMENT
        yield Pause(0.05)


def slow(after: int) -> Answer:
    """A good answer that only sends comments for some seconds after so many of its events."""
    good = words("one two three")
    return Answer(headers=good.headers, steps=(*good.steps[:after], *comments(3.0), *good.steps[after:]))


ANSWERS = {
    "headers": words().first(Pause(3.0)),
    "first_event": slow(1),
    "idle": slow(4),
    "total": words(" ".join("word" for _ in range(60))).paced(0.05),
}
CODES = {
    "connect": "connect_failed",
    "headers": "headers_timeout",
    "first_event": "first_event_timeout",
    "idle": "idle_timeout",
    "total": "total_timeout",
}
SET_BY = {
    "general": "retries = 0\n[timeouts]\n{bound}\n",
    "task": 'retries = 0\n[tasks.general]\nmodels = ["{model}"]\n[tasks.general.timeouts]\n{bound}\n',
    "request": "retries = 0\n",
}


@contextmanager
def place(phase: str, upstream: Upstream) -> Iterator[str]:
    """An upstream that is slow in this phase only."""
    if phase == "connect":
        with blackhole() as url:
            yield url
        return
    upstream.script(ANSWERS[phase])
    yield upstream.url


@pytest.mark.parametrize(
    ("set_by", "how"), [("general", "chat"), ("task", "stream"), ("request", "chat"), ("request", "stream")]
)
@pytest.mark.parametrize("phase", CODES)
@pytest.mark.parametrize("kind", FACES)
def test_each_phase_has_its_bound(
    kind: str, phase: str, set_by: str, how: str, upstream: Upstream, tmp_path: Path
) -> None:
    """Configured for all, for a task, or with the request, asked in either way: the attempt ends there, and says why."""
    bounds = {"total": 20.0, phase: BOUND}
    file = tmp_path / "config.toml"
    bound = "\n".join(f"{name} = {seconds}" for name, seconds in bounds.items())
    file.write_text(SET_BY[set_by].format(bound=bound, model=MODEL))
    asked: dict[str, Any] = {"task": "general"} if set_by == "task" else {"model": MODEL}
    if set_by == "request":
        asked["timeout"] = Timeouts(**bounds)
    with place(phase, upstream) as url:
        face = Face(kind, url, config=file)
        try:
            with pytest.raises(ByteError) as caught:
                getattr(face, how)(**asked)
            assert caught.value.attempts[0].outcome == CODES[phase]
            assert face.rows()[-1].outcome == CODES[phase]
        finally:
            face.close()
    if phase != "connect":
        assert upstream.wait_closed(1)[0].by == "client"


@pytest.mark.parametrize("code", ["headers", "first_event"])
def test_a_silent_route_is_asked_once(face: Face, upstream: Upstream, code: str) -> None:
    """It may be working still, and billing: the next model is asked, and where there is none nobody (D2, D3)."""
    upstream.script(ANSWERS[code], words("from the next"))
    timeout = Timeouts(**{code: BOUND})
    reply = face.chat(model=[MODEL, "anthropic/claude-sonnet-4.5"], timeout=timeout)
    assert [one.outcome for one in reply.attempts] == [CODES[code], "answered"]
    assert [seen.json["model"] for seen in upstream.chats] == [MODEL, "anthropic/claude-sonnet-4.5"]
    upstream.script(ANSWERS[code])
    with pytest.raises(ByteError) as caught:
        face.chat(model=MODEL, timeout=timeout)
    assert [one.outcome for one in caught.value.attempts] == [CODES[code]]
    assert len(upstream.chats) == 3


@pytest.mark.parametrize("kept", [True, False])
def test_a_request_that_was_read_is_not_sent_again_unseen(
    face: Face, upstream: Upstream, kept: bool, tmp_path: Path
) -> None:
    """A server that reads the request and hangs up may have begun: no wire sends it again by itself, not even
    where the connection was an old one. Asking again is the engine's, once, with an attempt of its own (D2b)."""
    hangs_up = words().first(End())
    if kept:
        upstream.script(words("first"))
        face.chat(model=MODEL)
    upstream.script(hangs_up, words("second"))
    reply = face.chat(model=MODEL)
    asked = upstream.chats[1:] if kept else upstream.chats
    assert len(asked) == len(reply.attempts) == 2
    assert [one.outcome for one in reply.attempts] == ["connection_lost", "answered"]
    if kept:
        assert upstream.chats[0].connection == upstream.chats[1].connection, (
            "the connection was not used again"
        )
    assert asked[0].connection != asked[1].connection


def test_one_request_a_row_when_the_server_always_hangs_up(face: Face, upstream: Upstream) -> None:
    """As many requests came in as there are attempts, each on a fresh connection."""
    upstream.script(words("first"), *itertools.repeat(words().first(End()), 6))
    face.chat(model=MODEL)
    with pytest.raises(ByteError) as caught:
        face.chat(model=MODEL)
    assert len(upstream.chats) - 1 == len(caught.value.attempts) == 2
    assert len(face.rows()) == 3
