"""`hub.arena.run` over the simulator: battles by themselves, within a number and a budget, on both faces."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck import Hub
from bytedeck.arena.bill import Bill
from bytedeck.arena.events import Decided, Ended, Event, Paused, TurnEnded, TurnFailed
from bytedeck.arena.ratings.pairing import Pair
from bytedeck.arena.types import Turn
from bytedeck.errors import InvalidRequest, LedgerError, UnknownModel
from bytedeck.league.tournament import Field, Progress, prompts, terms
from bytedeck.league.tournament.reading import parted
from bytedeck.simulator import Simulator
from faces import FACES
from rings import PAIR, Ring

JUDGES = ["google/gemini-2.5-flash", "mistralai/mistral-large", "deepseek/deepseek-chat"]
QUICK: dict[str, Any] = {"models": PAIR, "judges": JUDGES, "max_tokens": 16}
USD = 10**12


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture
def sim(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture(params=FACES)
def ring(request: pytest.FixtureRequest, sim: Simulator, tmp_path: Path) -> Iterator[Ring]:
    made = Ring(request.param, sim, tmp_path)
    yield made
    made.close()


def told(ring: Ring, *args: Any, most: int = 100, **options: Any) -> list[Progress]:
    """A tournament's progress; it is left after so many battles."""
    if ring.loop is None:
        course = ring.hub.arena.run(*args, **QUICK | options)
        found = [one for one, _ in zip(course, range(most), strict=False)]
        course.close()
        return found

    async def run() -> list[Progress]:
        found = []
        course = ring.hub.arena.run(*args, **QUICK | options)
        async for one in course:
            found.append(one)
            if len(found) >= most:
                break
        await course.aclose()
        return found

    return ring.run(run())  # type: ignore[no-any-return]


# Real ones


def test_battles_are_held_and_rated(ring: Ring) -> None:
    """Each tells who met and why, is kept as a match, and stands on the board; prompts are asked in turns."""
    found = told(ring, ["one", "two"], battles=3)
    assert [one.number for one in found] == [1, 2, 3]
    assert all(one.score is not None and one.why and one.of == 3 for one in found)
    kept = ring.run(ring.hub.arena.matches())
    assert {match.match.id for match in kept} == {one.match for one in found}
    assert sorted(match.match.topic for match in kept) == ["one", "one", "two"]
    assert all(match.state == "over" for match in kept)
    board = ring.run(ring.hub.arena.board("general"))
    assert (board.battles, {row.model for row in board.rows}) == (3, set(PAIR))
    assert found[-1].spent_units == ring.spent() == sum(one.cost_units or 0 for one in found)
    assert len(told(ring, ["one", "two"], battles=1)) == 1
    assert ring.run(ring.hub.arena.matches(1))[0].match.topic == "two"  # where the last one had ended


def test_the_budget_holds(ring: Ring) -> None:
    """What all of it costs never passes it; it says why it ends, and what was left can be resumed."""
    one = told(ring, "hi", battles=1)[0]
    assert one.cost_units is not None
    budget = Decimal(one.cost_units * 5) / USD
    found = told(ring, "hi", battles=50, budget=budget)
    assert 1 <= len(found) < 50
    assert found[-1].spent_units <= found[-1].budget_units == one.cost_units * 5
    assert ring.spent() - one.cost_units <= one.cost_units * 5
    assert "budget" in found[-1].note


def test_who_leaves_early_leaves_matches_that_can_go_on(ring: Ring) -> None:
    """What runs is closed and let go; nothing more begins."""
    found = told(ring, "hi", battles=20, at_once=3, most=1)
    assert len(found) == 1
    kept = ring.run(ring.hub.arena.matches())
    assert 1 <= len(kept) <= 4
    assert not any(match.is_held for match in kept)
    for match in kept:
        if match.state != "over":
            assert match.state == "cut off"
            assert isinstance(ring.rest(ring.resume(match.match.id))[-1], Ended)


def test_what_breaks_in_a_battle_is_raised(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are let go, and nothing goes on in silence."""

    def broken(*_: object) -> None:
        raise LedgerError("The disk is gone.")

    monkeypatch.setattr(ring.hub.house.matches, "append", broken)
    with pytest.raises(LedgerError, match="The disk is gone"):
        told(ring, "hi", battles=2)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_nothing_comes(ring: Ring, sim: Simulator) -> None:
    """Calls that hang are let go at once; every match can go on later."""
    sim.fault("stall")
    course = ring.made(lambda: ring.hub.arena.run("hi", **QUICK))
    if ring.loop is None:
        before = signal.signal(signal.SIGALRM, _interrupted)
        signal.setitimer(signal.ITIMER_REAL, 0.4)
        try:
            with pytest.raises(KeyboardInterrupt):
                next(course)
        finally:
            signal.signal(signal.SIGALRM, before)
    else:
        with pytest.raises(TimeoutError):
            ring.run(asyncio.wait_for(anext(course), 0.4))
    kept = ring.run(ring.hub.arena.matches())
    assert [(match.state, match.is_held) for match in kept] == [("cut off", False)] * 2


def test_a_tasks_own_models_fight(ring: Ring) -> None:
    """Who names none gets the task's, as they stand in the list; what is wrong is told before anything is sent."""
    (one,) = told(ring, "hi", models=(), task="coding", battles=1, judges=0)
    match = ring.run(ring.hub.arena.find(one.match)).match
    assert match.task == "coding"
    assert {fighter.model for fighter in match.fighters} <= set(ring.hub.tasks["coding"].models)
    assert one.score is None
    with pytest.raises(UnknownModel):
        told(ring, "hi", models=("openai/gpt-4o-mini", "openai/gpt-9-nano"), battles=1)


# What is asked for


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompts": []}, "needs prompts"),
        ({"prompts": ["a", " "]}, "none of them may be empty"),
        ({"battles": 0}, "battles is 0, and has to be a whole number from 1 to 100,000"),
        ({"at_once": 17}, "at_once is 17"),
        ({"budget": 0.5}, "budget"),
        ({"budget": "-1"}, "budget"),
        ({"aim": "fun"}, "aim is 'fun'"),
        ({"models": ["openai/gpt-4o-mini"]}, "two models at least"),
        ({"models": ["gpt", "~openai/gpt-latest"]}, "two models at least"),
    ],
    ids=str,
)
def test_what_cannot_be_meant(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    """Told with a sentence, before anything is begun."""
    with Hub(home=tmp_path, database_url="memory:") as hub, pytest.raises(InvalidRequest, match=says):
        hub.arena.run(**{"prompts": "hi"} | options)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.txt", "one\n  \ntwo\n", ("one", "two")),
        ("a.txt", "one\ntwo\n", ("one", "two")),
        ("a.txt", "\ufeffone\r\nmore\r\n\r\n\r\ntwo", ("one\nmore", "two")),
        (
            "a.jsonl",
            '{"prompt": "one\\ntwo", "id": 1}\n\n{"prompt": " "}\n{"prompt": "x"}',
            ("one\ntwo", "x"),
        ),
    ],
)
def test_a_file_of_prompts(tmp_path: Path, name: str, text: str, found: Sequence[str]) -> None:
    """Lines; blocks where blank lines stand between them; JSON lines."""
    (tmp_path / name).write_bytes(text.encode())
    assert prompts(tmp_path / name) == found


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("no.txt", None, "cannot be read: No such file"),
        ("a.txt", b"\xff", "it is not UTF-8"),
        ("a.txt", b" \n\n", "holds no prompt"),
        ("a.jsonl", b'{"prompt": "a"}\n{"text": "b"}', r'a\.jsonl, line 2: expected an object with "prompt"'),
        ("a.jsonl", b"[", "line 1: expected an object"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, name: str, raw: bytes | None, says: str) -> None:
    """Told with its place."""
    if raw is not None:
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(InvalidRequest, match=says):
        prompts(tmp_path / name)
    assert parted("") == ()


# Which battle is next, and with how much money


def field(budget: int | None = None, battles: int = 10, at_once: int = 2, models: str = "abc") -> Field:
    """Models a, b, c; the first two of those that are left meet."""
    asked = terms("hi", "general", (), battles, None, 0, 16, at_once, "best")

    def pairs(ids: Sequence[str], count: int, aim: str, under_way: Any) -> list[Pair]:
        return [Pair(first=ids[0], second=ids[1], why="So.", information=1.0)]

    names = {one: one.upper() for one in models}
    return Field(replace(asked, budget_units=budget), "general", names, names, 0, pairs)


def bill(units: int | None, worst: int | None = None) -> Bill:
    return Bill(
        parts={}, total_units=units, known_units=units or 0, at_most_units=worst if units is None else units
    )


def ended(is_rated: bool = True, why: str = "") -> Ended:
    return Ended(end="decided", is_rated=is_rated, why=why)


def test_each_battle_gets_its_share() -> None:
    """So that one that needs more finds some left; what was not used is free again, and what is not known counts at its worst."""
    found = field(budget=900)
    one, other = found.begin(), found.begin()
    assert one is not None
    assert other is not None
    assert found.begin() is None  # two at once
    assert (one.allowed_units, other.allowed_units) == (300, 300)
    assert found.hear(one, Paused(spent_units=250, needed_units=100, budget_units=300)) == Decimal(50) / USD
    assert found.hear(other, Paused(spent_units=0, needed_units=551, budget_units=300)) is None
    assert other.is_short
    assert found.end(one, "m", bill(340)).spent_units == 340
    progress = found.end(other, "m", bill(None, worst=70))
    assert (progress.cost_units, progress.spent_units) == (None, 410)
    assert "It was left, and can be resumed." in progress.note
    assert "What is left of the budget does not pay for another battle." in progress.note
    assert found.begin() is None


def test_what_is_less_than_a_share_begins_nothing() -> None:
    """Not even the first one, where the budget is next to nothing."""
    assert field(budget=2).begin() is None


@pytest.mark.parametrize("needed", [None, 1000])
def test_a_battle_that_nothing_bounds_is_left(needed: int | None) -> None:
    """No money is promised for a price that nobody knows, nor more than there is. Without any bill it counts all that it was allowed."""
    found = field(budget=900, at_once=1)
    one = found.begin()
    assert one is not None
    assert found.hear(one, Paused(spent_units=0, needed_units=needed, budget_units=450)) is None
    assert found.end(one, "m", bill(None)).spent_units == 450


def test_what_keeps_one_back_would_keep_back_all() -> None:
    """A key that is refused, credits that are used up: the battle waits, no other one begins, and it is said why."""
    found = field(budget=900, at_once=1)
    one = found.begin()
    assert one is not None
    waits = Paused(
        spent_units=0, needed_units=None, budget_units=450, code="key_limit", why="Its limit is used up."
    )
    assert found.hear(one, waits) is None
    note = found.end(one, "m", bill(0)).note
    assert note == "It was left, and can be resumed. No other battle begins: Its limit is used up."
    assert found.begin() is None


def test_without_a_budget_nothing_is_counted_out() -> None:
    """As many battles as were asked for, and no more."""
    found = field(battles=2)
    battles = [found.begin() for _ in range(2)]
    assert all(one is not None and one.allowed_units is None for one in battles)
    for one in battles:
        assert one is not None
        assert found.end(one, "m", bill(5)).note == "It was left, and can be resumed."
    assert found.begin() is None
    assert found.spent_units == 10


def _failed(place: int) -> Event:
    return TurnFailed(turn=Turn(0, 0, place), request="r", code="unavailable", message="Down.")


def _void(place: int) -> Event:
    return TurnEnded(turn=Turn(0, 0, place), request="r", text="x", model="y", is_void=True)


@pytest.mark.parametrize("fails", [_failed, _void])
def test_a_model_that_keeps_failing_is_left_out(fails: Callable[[int], Event]) -> None:
    """After three battles running; one that works in between begins the count anew. Where no two are left it ends."""
    found = field(battles=20, at_once=1)
    notes = []
    for is_failed in (True, True, False, True, True, True, True, True, True):
        one = found.begin()
        assert one is not None
        if is_failed:
            found.hear(one, fails(0))
        found.hear(one, ended(is_rated=not is_failed))
        notes.append(found.end(one, "m", bill(0)).note)
    assert notes == ["", "", "", "", "", "A has failed 3 times running, and is left out.", "", "",
                     "B has failed 3 times running, and is left out. No two models are left."]  # fmt: skip
    assert found.begin() is None


def test_what_does_not_count_has_no_score() -> None:
    """A verdict is told only where it is rated; else why it is not."""
    for is_rated, score in ((True, 0.5), (False, None)):
        found = field()
        one = found.begin()
        assert one is not None
        found.hear(one, Decided(rulings=(), score=((0, 1, 0.5),), winner=None))
        found.hear(one, ended(is_rated, "" if is_rated else "A turn is void."))
        progress = found.end(one, "m", bill(1))
        assert (progress.score, progress.note) == (score, "" if is_rated else "A turn is void.")
        assert (progress.first, progress.second) == ("A", "B")
