"""Rows of the decision table from end to end: the simulator fails, both faces do what the wire reference says (section 7).

`tests/call/test_decision_table.py` plays all of them in virtual time; these are here to show that the wire is read so, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from bytedeck import ByteError, Reply, Timeouts
from bytedeck.simulator import Settings, Simulator
from faces import FACES, Face

A, B, C = "openai/gpt-4o-mini", "google/gemini-2.5-flash", "deepseek/deepseek-chat"
BOUNDS = Timeouts(connect=2.0, headers=0.2, first_event=0.2, idle=0.2, total=10.0)
PROMPT = "[[sim: tokens=40]] Why is the sky blue?"
TALK = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": "The sky"}]


class Day(NamedTuple):
    """A fault of the simulator's, and what follows."""

    row: str
    fault: str
    goes: str
    """Who is asked, and with which outcome; models by their place in the chain."""
    error: str = ""
    seam: str = ""
    chat: str = ""
    """`goes` without streaming, where nothing was shown and it is another."""
    prompt: Any = PROMPT
    chain: tuple[str, ...] = (A, B, C)
    on: str = A
    """Whom it happens to."""
    options: Mapping[str, Any] = {}
    sent: Mapping[str, Any] = {}
    """What the second request has otherwise; None: no more."""


DAYS = (
    Day("D2", "hang", "A headers_timeout, B answered"),
    Day("D2b", "reset;times=1", "A connection_lost, A answered"),
    Day("D3", "silence", "A first_event_timeout, B answered"),
    Day("D4", "stall;tokens=20", "A idle_timeout, B answered", seam="proven"),
    Day("D5", "truncated;tokens=20", "A truncated, B answered", seam="proven", chat="A truncated, A truncated, B answered"),
    Day("D6", "error_no_choices;tokens=20", "A provider_error, B answered", seam="proven",
        chat="A provider_error, A provider_error, B answered"),
    Day("D6", "error_finish;tokens=20", "A provider_error, B answered", seam="proven",
        chat="A provider_error, A provider_error, B answered"),
    Day("D10", "page_502", "A unavailable, A unavailable, A unavailable, B answered"),
    Day("D11", "capacity_exhausted;retry_after=30", "A rate_limited, B answered"),
    Day("D13", "free_per_day", "A free_limit", "free_limit"),
    Day("D14", "authentication", "A authentication", "authentication"),
    Day("D15", "fewer_max_tokens;times=1", "A max_tokens_unaffordable, A answered", options={"task": "general"}, chain=(), on="*anthropic/*",
        sent={"max_tokens": 1110}),
    Day("D17", "moderation", "A moderated, B answered"),
    Day("D19", "workspace_budget", "A upstream_budget", "upstream_budget"),
    Day("D22", "no_endpoints", "A model_not_found, B answered"),
    Day("D25b", "prefill_refused;times=1", "A prefill_refused, A answered", prompt=TALK,
        sent={"messages": [*TALK, {"role": "user", "content": "…"}]}),
    Day("D26", "mandatory_reasoning;times=1", "A reasoning_mandatory, A answered", options={"reasoning": {"enabled": False}},
        sent={"reasoning": None}),
    Day("D27", "content_filter;tokens=10", "A content_filtered", "content_filtered"),
    Day("D31", "zero_completion", "A empty_answer, A empty_answer, B answered"),
)  # fmt: skip


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(Settings(tps=5000)) as running:
        yield running


@pytest.fixture(params=FACES)
def face(
    request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Face]:
    """A hub of its own, so that no breaker of another test is open; its pauses are short."""
    simulator.reset()
    monkeypatch.setattr("bytedeck.call.retry.FIRST_BACKOFF", 0.01)
    found = Face(request.param, simulator.base_url, api_key=simulator.api_key, database_url="memory:")
    yield found
    found.close()


@pytest.mark.parametrize(
    ("day", "streamed"),
    [(day, True) for day in DAYS] + [(day, False) for day in DAYS if day.chat],
    ids=lambda one: f"{one.row} {one.fault}" if isinstance(one, Day) else "stream" if one else "chat",
)
def test_a_row(day: Day, streamed: bool, face: Face, simulator: Simulator) -> None:
    """The attempts, the seam, the answer or the error, and what was sent."""
    options: dict[str, Any] = {"timeout": BOUNDS, **day.options}
    if day.chain:
        options["model"] = list(day.chain)
    simulator.fault(day.fault, model=day.on)
    error = ""
    try:
        text, reply = (
            face.stream(day.prompt, **options) if streamed else ("", face.chat(day.prompt, **options))
        )
    except ByteError as caught:
        assert caught.reply is not None
        text, reply, error = caught.partial_text, caught.reply, caught.code
    assert error == day.error
    assert attempts(reply) == (day.goes if streamed else day.chat or day.goes)
    assert [seam.kind for seam in reply.seams] == (day.seam.split() if streamed else [])
    assert text in (reply.text, "")
    assert reply.whole == (not error)
    _sent(day, simulator)
    if not error and day.prompt == PROMPT and day.chain:
        simulator.no_faults()
        assert reply.text == face.chat(PROMPT, model=C).text
    assert face.verify().in_flight == 0


def attempts(reply: Reply) -> str:
    """Models by the order in which they came."""
    letters: dict[str, str] = {}
    for one in reply.attempts:
        letters.setdefault(one.model, "ABC"[len(letters)])
    return ", ".join(f"{letters[one.model]} {one.outcome}" for one in reply.attempts)


def _sent(day: Day, simulator: Simulator) -> None:
    """A repeat or the next model gets the same request, but for what the table changes or the words so far."""
    bodies = [json.loads(entry.body) for entry in simulator.journal() if entry.method == "POST"]
    assert len(bodies) == len(day.goes.split(", ")) or day.chat
    first, *later = bodies
    for body in later:
        changed = {name: body.get(name) for name in first | body if first.get(name) != body.get(name)}
        changed.pop("model", None)
        if day.seam:
            changed.pop("messages", None)
        assert changed == day.sent
