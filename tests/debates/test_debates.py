"""Debates over the simulator, on both faces: what happens, what is kept, what it costs, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bytedeck import AsyncDebate, AsyncStream, ByteError, Debate, Fighter, Hub, Persona, UnknownModel
from bytedeck.arena.events import (
    Begun,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
)
from bytedeck.callers import Caller
from bytedeck.debates.making import MOST_BYTES, Asked
from bytedeck.debates.opening import Again
from bytedeck.errors import InvalidRequest, PermissionRefused, UnknownTask
from bytedeck.money import to_units
from bytedeck.simulator import Simulator
from faces import FACES
from rings import PAIR, SHORT, TOPIC, Ring, kinds, of, texts, turns

MINI, SONNET = PAIR


@pytest.fixture
def hub(sim: Simulator, tmp_path: Path) -> Iterator[Hub]:
    ring = Ring("sync", sim, tmp_path)
    yield ring.hub
    ring.close()


# -- from the beginning to the end ---------------------------------------------------------------


def test_a_whole_debate(ring: Ring, sim: Simulator) -> None:
    """Two fighters, three rounds, three judges, a commentator: in order, kept as it was told, and paid to the unit."""
    debate, events = ring.held(max_tokens=40)
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(one.at <= other.at for one, other in pairwise(events))
    assert isinstance(events[0], Begun)
    assert events[0].match == debate.match
    assert len(of(events, TurnBegan)) == len(of(events, TurnEnded)) == 6
    assert [event.phase for event in of(events, TurnBegan)][::2] == ["opening", "rebuttal", "closing"]
    assert len(of(events, RoundEnded)) == 3
    assert len(of(events, JudgeBegan)) == len(of(events, JudgeEnded)) == 6
    assert len(of(events, Decided)) == 1
    assert kinds(events)[-3:] == ["CommentBegan", "CommentEnded", "Ended"]
    assert (events[-1].end, events[-1].is_rated) == ("decided", True)
    said = texts(events)
    assert {part: said[part] for part in turns(events)} == turns(events)
    assert len({event.part for event in of(events, *())} | set(said)) == 7
    assert ring.hub.house.matches.events(debate.id) == tuple(events)
    bill = ring.run(debate.bill())
    assert bill.total_units == ring.spent() == sum(bill.parts.values())
    assert bill.total_units == to_units(sum(Decimal(str(row["cost"])) for row in sim.ledger()))
    assert len(bill.parts) == 6 + 6 + 1
    assert ring.hub.house.matches.find(debate.id).end == "decided"


def _structure(events: list[Event]) -> list[Any]:
    """What was said, by whom, and how it was judged; the order in which calls of one moment end is chance."""
    ended = sorted((event.turn.part, event.text) for event in of(events, TurnEnded))
    judged = sorted((event.look.part, repr(event.verdict)) for event in of(events, JudgeEnded))
    return [sorted(kinds(events)), ended, judged, [repr(event.rulings) for event in of(events, Decided)]]


def test_the_same_seed_is_the_same_debate(sim: Simulator, tmp_path: Path) -> None:
    """Twice with one seed, on either face: the same words, the same verdicts."""
    found = []
    for place, kind in enumerate((*FACES, "sync")):
        random.seed(7)
        ring = Ring(kind, sim, tmp_path / str(place))
        found.append(_structure(ring.held(rounds=2, max_tokens=30)[1]))
        ring.close()
    assert found[0] == found[1] == found[2]


def test_a_seed_of_ones_own_makes_no_match_twice(hub: Hub) -> None:
    """Programs seed their chance so that all is the same the next time; a match's id is another one all the same."""
    ids = []
    for _ in range(2):
        random.seed(42)
        ids.append(hub.debate(TOPIC, PAIR, **SHORT).id)
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"turns": "alternating"}, 8),
        ({"fighters": (*PAIR, "google/gemini-2.5-flash", "deepseek/deepseek-v4-flash")}, 8),
        ({"rounds": 1}, 2),
        ({"fighters": (MINI, MINI)}, 4),
    ],
)
def test_other_rules(ring: Ring, options: dict[str, Any], count: int) -> None:
    """Legs, four fighters, one round, a model against itself: each turn once, and the mirror is marked."""
    debate, events = ring.held(**(SHORT | options))
    assert len(turns(events)) == count
    assert debate.match.is_mirror == ("meets itself" in " ".join(debate.notes))
    if options.get("turns"):
        began = [event for event in events if isinstance(event, TurnBegan | TurnEnded)]
        assert [type(event) for event in began] == [TurnBegan, TurnEnded] * count


def test_a_battle(ring: Ring) -> None:
    """One prompt, an answer of each, judged where judges are wanted."""
    debate = ring.made(lambda: ring.hub.battle("What is a monad?", PAIR, judges=1, max_tokens=40))
    events = ring.rest(debate)
    assert debate.match.kind == "battle"
    assert len(turns(events)) == 2
    assert len(of(events, JudgeEnded)) == 2
    assert any("3 judges or more" in note for note in debate.notes)


def test_names_are_resolved(ring: Ring) -> None:
    """What a fighter is rated under is the concrete model that an alias stands for."""
    fighter = Fighter("~anthropic/claude-sonnet-latest", persona=Persona(name="Ada"))
    debate = ring.debate(fighters=(fighter, "openai/gpt-4o-mini:floor"), **SHORT)
    ring.next(debate)
    first, second = debate.match.fighters
    assert first.sent == "~anthropic/claude-sonnet-latest"
    assert first.rated.startswith("anthropic/claude-sonnet-")
    assert "latest" not in first.rated
    assert "Claude" in first.name
    assert second.rated.startswith(MINI)
    ring.leave(debate)


# -- what is refused -----------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], type[ByteError], str]] = [
    ({"topic": " \n"}, InvalidRequest, "topic is empty"),
    ({"topic": "x" * (MOST_BYTES + 1)}, InvalidRequest, "100,001 bytes"),
    ({"topic": "half \ud800"}, InvalidRequest, "half a character"),
    ({"topic": 7}, InvalidRequest, "has to be a text"),
    ({"fighters": [MINI]}, InvalidRequest, "here are 1"),
    ({"fighters": MINI}, InvalidRequest, "here are 1"),
    ({"fighters": [MINI] * 5}, InvalidRequest, "here are 5"),
    ({"fighters": [MINI, 3]}, InvalidRequest, "Fighter 2"),
    ({"fighters": [MINI, Fighter(" ")]}, InvalidRequest, "has no model"),
    ({"fighters": [MINI, Fighter(MINI, stance=3)]}, InvalidRequest, "Fighter 2 cannot be read"),  # type: ignore[arg-type]
    ({"fighters": None}, InvalidRequest, "in a list"),
    ({"fighters": [MINI, "openai/gpt-4o-minnie"]}, UnknownModel, "gpt-4o-minnie"),
    ({"fighters": [MINI, Fighter(SONNET, fallbacks=("nobody/knows",))]}, UnknownModel, "nobody/knows"),
    ({"rounds": 0}, InvalidRequest, "rounds is 0"),
    ({"rounds": 10}, InvalidRequest, "rounds is 10"),
    ({"rounds": True}, InvalidRequest, "rounds is True"),
    ({"turns": "alternate"}, InvalidRequest, "turns is 'alternate'"),
    ({"max_tokens": -1}, InvalidRequest, "max_tokens is -1"),
    ({"temperature": 3}, InvalidRequest, "temperature is 3"),
    ({"temperature": float("nan")}, InvalidRequest, "temperature is nan"),
    ({"judges": 10}, InvalidRequest, "judges is 10"),
    ({"judges": -1}, InvalidRequest, "judges is -1"),
    ({"judges": [MINI, MINI]}, InvalidRequest, "named twice"),
    ({"judges": ["nobody/knows"]}, UnknownModel, "nobody/knows"),
    ({"judges": 1.5}, InvalidRequest, "judges is 1.5"),
    ({"commentator": "nobody/knows"}, UnknownModel, "nobody/knows"),
    ({"budget": 0.5}, InvalidRequest, "budget is money"),
    ({"budget": "-1"}, InvalidRequest, "budget is '-1'"),
    ({"budget": "lots"}, InvalidRequest, "budget is 'lots'"),
    ({"budget": "1", "fighters": [MINI, "openrouter/auto"]}, InvalidRequest, "price of openrouter/auto"),
    ({"task": "codin"}, UnknownTask, "codin"),
    ({"fallback": "nothing"}, InvalidRequest, "fallback is"),
    ({"vote_seconds": -1}, InvalidRequest, "vote_seconds is -1"),
    ({"vote_seconds": float("inf")}, InvalidRequest, "vote_seconds is inf"),
    ({"public": 1}, InvalidRequest, "public is 1"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "says"), REFUSED)
def test_what_cannot_be_meant(
    hub: Hub, sim: Simulator, options: dict[str, Any], error: type[ByteError], says: str
) -> None:
    """It is said in a sentence, before anything is kept or sent to a model."""
    given = {"topic": TOPIC, "fighters": PAIR} | SHORT | options
    with pytest.raises(error, match=says) as caught:
        hub.debate(**given)
    assert len(str(caught.value)) < 300
    assert hub.house.matches.list() == ()
    assert not sim.journal(path="*/chat/completions")


def test_the_async_face_refuses_alike(sim: Simulator, tmp_path: Path) -> None:
    """What needs no look at the models at once, an unknown model by its first step, with what was meant."""
    ring = Ring("async", sim, tmp_path)
    with pytest.raises(InvalidRequest, match="rounds is 0"):
        ring.debate(rounds=0)
    debate = ring.debate(fighters=(MINI, "openai/gpt-4o-minnie"), **SHORT)
    with pytest.raises(UnknownModel) as caught:
        ring.next(debate)
    assert MINI in " ".join(caught.value.hint)
    assert ring.next(debate) is None
    assert ring.hub.house.matches.list() == ()
    ring.close()


def test_judges_of_the_family_are_told_of(hub: Hub) -> None:
    """Who names a fighter's kin as a judge gets it, and is told; the pool has none of it."""
    named = hub.debate(
        TOPIC, PAIR, judges=["openai/gpt-5.6-luna", "google/gemini-2.5-flash"], **_less("judges")
    )
    assert "of a fighter's family" in " ".join(named.notes)
    pooled = hub.debate(TOPIC, PAIR, judges=9, **_less("judges"))
    families = [one.strip("~").partition("/")[0] for one in pooled.match.rules.judges]
    assert not {"openai", "anthropic"} & set(families)
    assert len(set(families)) == len(families) >= 3
    assert "where 9 were asked for" in " ".join(pooled.notes)


def _less(*names: str) -> dict[str, Any]:
    return {name: value for name, value in SHORT.items() if name not in names}


# -- bad days ------------------------------------------------------------------------------------


def test_all_fighters_are_down(ring: Ring, sim: Simulator) -> None:
    """It ends, unrated, and what was paid is told."""
    sim.fault("region_restricted")
    debate, events = ring.held(rounds=3, judges=3, max_tokens=20)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert (ended.end, ended.is_rated) == ("failed", False)
    assert "could speak" in ended.why
    assert of(events, TurnFailed)
    assert not of(events, JudgeBegan)
    assert ring.run(debate.bill()).total_units == 0


def test_a_fallback_speaks_and_rates_nobody(ring: Ring, sim: Simulator) -> None:
    """Where the next model of its chain had to speak, the turn is void and the debate is not rated."""
    sim.fault("region_restricted", model=MINI)
    fighter = Fighter(MINI, fallbacks=("google/gemini-2.5-flash",))
    _, events = ring.held(fighters=(fighter, SONNET), **(SHORT | {"judges": 3}))
    own = [event for event in of(events, TurnEnded) if event.turn.fighter == 0]
    assert own
    assert all(event.is_void and event.model == "google/gemini-2.5-flash" for event in own)
    assert not events[-1].is_rated


def test_a_failure_is_no_argument(ring: Ring, sim: Simulator) -> None:
    """A turn that breaks off and that nobody can go on with is failed; nothing of it reaches the other."""
    sim.fault("error_chunk", model=MINI)
    _, events = ring.held(**SHORT)
    failed = of(events, TurnFailed)
    assert failed
    assert all(event.turn.fighter == 0 for event in failed)
    said = texts(events).get("t0.0.0", "")
    bodies = [entry.body for entry in sim.journal(path="*/chat/completions")]
    if said.strip():
        assert not any(said.strip() in str(body) for body in bodies if SONNET in str(body))


def test_results_that_cannot_be_recorded(ring: Ring) -> None:
    """It is said, and nothing is lost."""
    debate = ring.debate(**SHORT)

    def broken(match: str) -> Any:
        raise InvalidRequest("No.")

    async def abroken(match: str) -> Any:
        raise InvalidRequest("No.")

    debate._record = broken if ring.loop is None else abroken
    events = ring.rest(debate)
    assert isinstance(events[-1], Ended)
    assert "not in the ratings yet: No." in " ".join(debate.notes)


# -- money ---------------------------------------------------------------------------------------


def test_a_budget_pauses_and_asks(ring: Ring) -> None:
    """Where there is no room for what is next it pauses, goes on with what is allowed, and never costs more."""
    debate = ring.debate(budget="0.002", **(SHORT | {"rounds": 3}))
    budget, seen = to_units("0.002"), 0
    events: list[Event] = []
    while (event := ring.next(debate)) is not None:
        events.append(event)
        assert ring.spent() <= budget
        if isinstance(event, Paused):
            assert event.budget_units == budget
            assert event.needed_units is not None
            assert event.spent_units + event.needed_units > budget
            assert event.spent_units == ring.spent()
            seen += 1
            debate.allow(Decimal("0.004"))
            budget += to_units("0.004")
    assert seen >= 1
    assert isinstance(events[-1], Ended)
    assert [one.budget_units for one in of(events, Resumed)] == [
        to_units("0.002") + count * to_units("0.004") for count in range(1, seen + 1)
    ]
    assert len(turns(events)) == 6


def test_who_is_paused_may_leave(ring: Ring) -> None:
    """Who allows nothing has left: it is taken up again with a larger budget, in whole or not at all."""
    debate = ring.debate(budget="0.0000001", **SHORT)
    events = ring.rest(debate)
    assert kinds(events) == ["Begun", "Paused"]
    assert ring.hub.house.matches.find(debate.id).state == "paused"
    assert not ring.rows()
    again = ring.rest(ring.resume(debate.id[:6]))
    assert kinds(again) == ["Resumed", "Paused"]
    last = ring.rest(ring.resume(debate.id, budget="1"))
    assert kinds(last)[0] == "Resumed"
    assert isinstance(last[-1], Ended)
    assert ring.run(debate.bill()).total_units == ring.spent()


def test_what_was_spent_before_counts(ring: Ring) -> None:
    """Taken up again, it knows from the ledger what it has cost so far, and pauses at the same place."""
    debate = ring.debate(budget="0.005", **(SHORT | {"rounds": 9}))
    paused = ring.rest(debate)[-1]
    again = ring.rest(ring.resume(debate.id))
    assert isinstance(paused, Paused)
    assert kinds(again) == ["Resumed", "Paused"]
    assert again[-1].spent_units == paused.spent_units == ring.spent() > 0


@pytest.mark.parametrize("budget", ["0.0005", "0.001", "0.003", "0.01"])
def test_no_budget_is_passed(sim: Simulator, tmp_path: Path, budget: str) -> None:
    """With faults on the way, too, all that the ledger says it can have cost stays within it."""
    sim.fault("error_chunk", rate=0.3)
    sim.fault("region_restricted", rate=0.2)
    ring = Ring("async", sim, tmp_path)
    ring.rest(ring.debate(budget=budget, fighters=(Fighter(MINI, fallbacks=("google/gemini-2.5-flash",)), SONNET), max_tokens=40))  # fmt: skip
    assert ring.spent() <= to_units(budget)
    ring.close()


# -- leaving and coming back ---------------------------------------------------------------------


def test_left_after_every_event(ring: Ring, sim: Simulator) -> None:
    """Left after any event and taken up again: no finished turn is lost, no fighter is asked more than once more, and
    every call stands in the ledger."""
    rules = SHORT | {"judges": ["google/gemini-2.5-flash"], "max_tokens": 12}
    whole = len(ring.held(**rules)[1])
    for count in range(1, whole):
        debate = ring.debate(**rules)
        before = ring.rest(debate, count)
        ring.leave(debate)
        assert ring.next(debate) is None
        kept = ring.hub.house.matches.events(debate.id)
        assert kept[: len(before)] == tuple(before)
        if not isinstance(kept[-1], Ended):
            assert isinstance(ring.rest(ring.resume(debate.id))[0], Resumed)
        check_once(ring, debate.id)


def test_what_had_ended_is_kept(ring: Ring) -> None:
    """A call that had ended when its debate was left is not asked again, although nobody had been told."""
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)
    if ring.loop is None:
        for call in debate._calls.values():
            call.join(10)
    else:
        ring.run(asyncio.wait(debate._calls.values(), timeout=10))
    ring.leave(debate)
    assert len(turns(ring.hub.house.matches.events(debate.id))) == 2
    after = ring.rest(ring.resume(debate.id))
    assert len(of(after, TurnBegan)) == 2
    assert len(turns(after)) == 2


def check_once(ring: Ring, match: str) -> None:
    """A match that was interrupted once came to its end, with nothing lost and no more than that asked again."""
    events = ring.hub.house.matches.events(match)
    assert isinstance(events[-1], Ended)
    assert [event.seq for event in events] == list(range(len(events)))
    ended = [event.turn.part for event in of(events, TurnEnded)]
    assert sorted(ended) == sorted(set(ended))
    assert len(ended) == 4
    began = [event.turn for event in of(events, TurnBegan)]
    for fighter in range(2):
        own = [turn for turn in began if turn.fighter == fighter]
        assert len(own) - len(set(own)) <= 1
    requests = {event.request for event in of(events, TurnBegan, JudgeBegan)}
    ring.hub.house.store.flush()
    rows = ring.hub.house.store.attempts(tuple(requests))
    assert {row.state for row in rows} <= {"settled", "awaiting"}
    assert {event.request for event in of(events, TurnEnded, JudgeEnded)} <= {row.request for row in rows}


def test_a_dropped_debate_can_be_taken_up(ring: Ring, sim: Simulator) -> None:
    """Who drops it without closing it is told, and the match is free again."""
    sim.reset(tps=200.0)
    debate = ring.debate(**(SHORT | {"max_tokens": 400}))
    ring.rest(debate, 6)
    match = debate.id
    held = [debate]
    del debate
    with pytest.warns(ResourceWarning, match="unclosed debate"):
        _forget(held)
    if ring.loop is not None:
        ring.run(asyncio.sleep(0.05))
    sim.reset()
    for thread in _threads("bytedeck-scribe"):
        thread.join(5)
    assert isinstance(ring.rest(ring.resume(match))[-1], Ended)


def _forget(held: list[Any]) -> None:
    held.clear()
    gc.collect()


def _threads(name: str) -> list[Any]:
    return [one for one in threading.enumerate() if one.name == name]


def test_leaving_is_prompt(ring: Ring, sim: Simulator) -> None:
    """Calls that hang are closed, and settled as left, at once."""
    sim.fault("stall")
    debate = ring.debate(**SHORT)
    ring.rest(debate, 3)
    ring.leave(debate)
    assert {row.outcome for row in ring.rows()} <= {"abandoned"}
    assert len(ring.rows()) <= 2
    assert ring.hub.house.matches.find(debate.id).state == "cut off"
    assert not _threads("bytedeck-call")


def test_only_one_may_hold_it(ring: Ring) -> None:
    """A match that goes on cannot be taken up, nor one that is over; both say so."""
    debate = ring.debate(**SHORT)
    ring.next(debate)
    with pytest.raises(InvalidRequest, match="is going on"):
        ring.rest(ring.resume(debate.id))
    ring.rest(debate)
    with pytest.raises(InvalidRequest, match="is over"):
        ring.rest(ring.resume(debate.id))
    with pytest.raises(InvalidRequest, match="no match"):
        ring.rest(ring.resume("nosuchmatc"))


# -- whose it is ---------------------------------------------------------------------------------


def test_a_virtual_key_pays(ring: Ring) -> None:
    """Who asks with a key owns the match, its calls are the key's, and so are those of its resumption."""
    caller = Caller(name="ada")
    asked = Asked(kind="debate", topic=TOPIC, fighters=PAIR, caller=caller, **SHORT)
    maker: Any = Debate if ring.loop is None else AsyncDebate
    debate = ring.made(lambda: maker(ring.hub, asked))
    ring.rest(debate, 5)
    ring.leave(debate)
    ring.rest(ring.made(lambda: maker(ring.hub, Again(match=debate.id, caller=caller))))
    assert {row.key for row in ring.rows()} == {"ada"}
    assert ring.hub.house.matches.find(debate.id).match.owner == "ada"


def test_a_key_that_may_not(ring: Ring) -> None:
    """What a key may not use it cannot let argue, nor judge; the pool's that it may not use are left out."""
    maker: Any = Debate if ring.loop is None else AsyncDebate

    def held(*models: str, **options: Any) -> Any:
        asked = Asked(
            kind="debate",
            topic=TOPIC,
            fighters=PAIR,
            caller=Caller(name="ada", models=models),
            **(SHORT | options),
        )
        debate = ring.made(lambda: maker(ring.hub, asked))
        ring.next(debate)
        ring.leave(debate)
        return debate

    with pytest.raises(PermissionRefused):
        held(MINI)
    with pytest.raises(PermissionRefused):
        held(*PAIR, judges=["google/gemini-2.5-flash"])
    assert held(*PAIR, "deepseek/*", judges=3).match.rules.judges == ("deepseek/deepseek-v4-flash",)


def test_a_script_holds_it(ring: Ring) -> None:
    """Within a testing block nothing is asked, waited for or kept: the match is in memory."""
    if ring.loop is None:
        with ring.hub.testing("So it is."):
            events = list(ring.hub.debate(TOPIC, PAIR, vote_seconds=60, **SHORT))
    else:
        events = ring.run(_scripted(ring.hub))
    assert set(turns(events).values()) == {"So it is."}
    assert ring.hub.house.matches.list() == ()
    assert not ring.rows()


async def _scripted(hub: Any) -> list[Event]:
    async with hub.testing("So it is."):
        return [event async for event in hub.debate(TOPIC, PAIR, vote_seconds=60, **SHORT)]


# -- one who argues alone ------------------------------------------------------------------------


def test_arguing(ring: Ring, sim: Simulator) -> None:
    """One argument, streamed; what it is to answer is quoted, and nobody's instruction."""
    fighter = Fighter(MINI, stance="Spaces.", persona=Persona(name="Ada", style="Dry."))
    stream = ring.made(lambda: fighter.argue(TOPIC, hub=ring.hub, against="Tabs are a menu of their own."))
    assert isinstance(stream, AsyncStream) == (ring.loop is not None)
    reply = ring.run(stream.result())
    assert reply.text
    (asked,) = sim.journal(path="*/chat/completions")
    told = json.loads(asked.body)["messages"]
    assert [one["role"] for one in told] == ["system", "user"]
    assert "Ada" in told[0]["content"]
    assert "Tabs are a menu" in told[1]["content"]
    with pytest.raises(InvalidRequest, match="topic is empty"):
        fighter.argue("", hub=ring.hub)


def test_arguing_by_the_shared_hub(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hub it is the shared one's."""
    from bytedeck import shared

    monkeypatch.setenv("OPENROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
    monkeypatch.setattr(shared, "_default", None)
    assert Fighter(MINI).argue(TOPIC, max_tokens=9).result().text
    assert shared._default is not None
    shared._default.close()


def test_votes_have_their_time(ring: Ring) -> None:
    """After a round nobody speaks before people have had their time; after the last one nobody waits."""
    _, events = ring.held(vote_seconds=0.3, **SHORT)
    first, last = of(events, RoundEnded)
    next_turn = next(event for event in of(events, TurnBegan) if event.seq > first.seq)
    assert next_turn.at - first.at >= 290_000
    assert events[-1].at - last.at < 290_000
