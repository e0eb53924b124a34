"""Refusals at every leg: whatever a limit or a budget says, when it says it and who leaves, no row and no leg is left."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bytedeck import pipeline
from bytedeck.config import load
from bytedeck.errors import ByteError, LedgerError
from bytedeck.types import Ask, Policy
from continuers import ASKED, stream
from decisions import CHAIN, CONFIG, TEXT, WORDS, Models, after, deck, failed, refusal
from world import REFUSALS, Act, World

A, B, C = CHAIN.values()
CODES = ("", *REFUSALS)
LEGS = 4
"""So many Begins are refused in every way, one after the other; the rest may go."""
ID = "0123456789abcdef" * 2
SILENT = Act((), "stall", opens=11.0)
ACTS: dict[str, dict[str, tuple[Act, ...]]] = {
    "well": {},
    "fails": {A: (refusal(503), refusal(503), refusal(503)), B: (refusal(500),)},
    "breaks": {A: (after(),), B: (after(failed(502)), refusal(503))},
    "late": {A: (SILENT,), B: (refusal(503),)},
}
"""What the models do; C is always well."""


def schedules() -> Iterator[dict[int, str]]:
    for codes in itertools.product(CODES, repeat=LEGS):
        yield {place: code for place, code in enumerate(codes, start=1) if code}


def ask(*, streamed: bool, hedge: bool, models: tuple[str, ...] = (A, B, C)) -> Ask:
    return Ask(id=ID, messages=ASKED, models=models, streamed=streamed, policy=Policy(hedge=hedge))


def play(world: World, asked: Ask, **how: Any) -> Any:
    """The reply, or the error's; None where the caller left."""
    try:
        return world.run(pipeline.answer(asked, deck(), world.now), **how), None
    except ByteError as error:
        return error.reply, error


def granted(world: World) -> list[str]:
    """The attempts that may have gone out."""
    left, names = list(world.refused), []
    for intent in world.intents:
        if intent.attempt in left:
            left.remove(intent.attempt)
        else:
            names.append(intent.attempt)
    return names


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("what", ACTS)
def test_refused_at_every_leg(what: str, streamed: bool, hedge: bool) -> None:
    """A whole answer or a typed error; only who was granted is sent, has a number, a row, and is told."""
    wholes = 0
    for refuse in schedules():
        world = Models(ACTS[what], refuse)
        reply, error = play(world, ask(streamed=streamed, hedge=hedge))
        names = granted(world)
        # The number of one that was refused is the next one's, unless that runs beside it already.
        assert hedge or names == [f"{ID}-{number}" for number in range(1, len(names) + 1)], refuse
        assert len(set(names)) == len(names), refuse
        assert len(world.requests) == len(world.settled) == len(names), refuse
        assert sorted(one.outcome for one in reply.attempts) == sorted(
            row.outcome for row, _ in world.settled
        ), refuse
        assert sum(world.pauses) <= 60 + 10, refuse
        if error is None:
            wholes += 1
            assert (reply.text, world.text if streamed else TEXT) == (TEXT, TEXT), refuse
        elif not names:
            assert error.code in refuse.values(), refuse
            assert not reply.attempts
        else:  # what had failed is told, not who was kept back
            assert error.code not in REFUSALS, refuse
            assert error.code in {row.outcome for row, _ in world.settled}, refuse
            assert reply.text == (world.text if streamed else reply.text), refuse
    assert wholes > 300


@pytest.mark.parametrize("how", ["leave", "close"])
def test_left_among_refusals(how: str) -> None:
    """Whoever leaves while it waits for a limit, or between two of them, leaves nothing behind."""
    codes = ("over_limit", "budget_held", "over_limit", "over_budget")
    for what, turn in itertools.product(ACTS, range(1, 40)):
        world = Models(ACTS[what], dict(enumerate(codes, start=1)))
        play(world, ask(streamed=True, hedge=False), leave_at=turn, how=how)
        if how == "leave":
            assert len(world.settled) == len(granted(world)) >= len(world.requests)


@pytest.mark.parametrize("code", ["over_limit", "budget_held"])
def test_a_fall_back_is_told_once(code: str) -> None:
    """However often the next model is kept back before it may go."""
    world = Models(ACTS["fails"], {4: code, 5: code, 6: code})  # A fails three times
    _, error = play(world, ask(streamed=True, hedge=False, models=(A, C)))
    told = [type(delta.event).__name__ for delta in world.emitted if delta.event is not None]
    assert error is None
    assert len(world.refused) == 3
    assert (told.count("FellBack"), told.count("Started")) == (1, 1)
    assert told.count("Waiting") == (3 if code == "over_limit" else 0)


@pytest.mark.parametrize("code", REFUSALS)
def test_refused_for_ever(code: str) -> None:
    """It ends, within the time that a request may wait, and says which model was not asked."""
    world = World(Act(begin=code))
    reply, error = play(world, ask(streamed=True, hedge=False))
    assert error is not None
    assert (error.code, reply.attempts, world.settled) == (code, (), [])
    assert world.now <= 1000 + 60
    assert world.refused == [f"{ID}-1"] * len(world.intents)
    assert (len(world.intents) > 3) == (code in ("over_limit", "budget_held"))


def test_looking_again_for_a_day() -> None:
    """Who may wait for very long looks once a second, however often that is."""
    patient = msgspec.structs.replace(CONFIG, limit_wait=86_400.0)
    world = World(Act(begin="budget_held"))
    asked = Ask(id=ID, messages=ASKED, models=(A,), timeouts=None, total_timeout=5_000.0)
    with pytest.raises(ByteError) as caught:
        world.run(pipeline.answer(asked, deck(patient), world.now))
    assert caught.value.code == "budget_held"
    assert 4_900 < len(world.pauses) < 5_100
    assert max(world.pauses) == pytest.approx(1.0)


LIMITED = """[limits]
per_model = "10/minute"
"""
PAID = """[budget]
daily = "5"
"""


@pytest.mark.parametrize("begin", ["broken", "slow"])
@pytest.mark.parametrize(("settings", "is_sent"), [(LIMITED, True), (PAID, False), ("", True)])
def test_a_store_that_fails(begin: str, settings: str, is_sent: bool, tmp_path: Path) -> None:
    """A hard budget fails closed, nothing is sent; a limit fails open, with a note. Each has its settlement."""
    (tmp_path / "config.toml").write_text(settings, "utf-8")
    config = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": str(tmp_path)})
    world = World(Act((stream(TEXT),)), begin=begin)
    flow = pipeline.answer(ask(streamed=True, hedge=False), deck(config), world.now)
    if is_sent:
        assert "This answer's cost is not recorded." in world.run(flow).notes[0]
    else:
        with pytest.raises(LedgerError) as caught:
            world.run(flow)
        assert "hard budget" in caught.value.hint[0]
    assert len(world.requests) == is_sent
    assert len(world.settled) == 1


def test_what_runs_here_costs_nothing() -> None:
    """A model of this machine is asked where no budget pays for anything; its claim names no budget."""
    settings = {
        "OPENROUTER_API_KEY": "sk-or-v1-test",
        "BYTE_HOME": "/nonexistent",
        "BYTE_DAILY_BUDGET": "0.01",
    }
    known = msgspec.structs.replace(deck(load(settings)), has_local=True)
    world = World(Act((b"",), "end"))
    claims = []
    flow = pipeline.answer(Ask(id=ID, messages=ASKED, models=("local/smollm2-135m",)), known, world.now)
    begin = flow.send(None)
    claims.append(begin.claim)
    assert begin.intent.worst_units == 0
    assert claims == [None]
    flow.close()


@pytest.mark.parametrize(("wait", "goes"), [(23.9, "A"), (24.1, "AA"), (30.0, "AA")])
def test_what_an_answer_took_was_not_waited_for(wait: float, goes: str) -> None:
    """Twice it is kept back for 12 seconds, and between them it is answered for half a minute: only what was really waited
    for is taken from what it may wait."""
    config = msgspec.structs.replace(CONFIG, limit_wait=wait)
    slow = Act(tuple(WORDS.splitlines(keepends=True)), every=1.0)
    world = Models({A: (slow,)}, dict.fromkeys((1, 3), "over_limit"))
    asked = ask(streamed=True, hedge=False, models=(A,))
    with pytest.raises(ByteError) as caught:
        world.run(pipeline.answer(asked, deck(config), world.now))
    assert caught.value.code == "truncated"
    assert "".join("A" for one in world.settled) == goes
