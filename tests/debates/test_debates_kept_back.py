"""Debates that something keeps back which is no fighter's fault: they wait, nobody is failed by it, and they go on later."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bytedeck.arena.events import Ended, Paused, Resumed, TurnBegan, TurnEnded, TurnFailed
from bytedeck.arena.show.story import story
from bytedeck.errors import HINDRANCES, TABLE
from bytedeck.simulator import Simulator
from rings import PAIR, SHORT, Ring, kinds, of

MINI, SONNET = PAIR


def test_which_errors_keep_back() -> None:
    """Rows of the table, and none of them is counted against a model."""
    assert set(TABLE) >= HINDRANCES
    assert not [code for code in HINDRANCES if TABLE[code].blames == "model"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("payment_required", "insufficient_credits"),
        ("authentication", "authentication"),
        ("free_per_day", "free_limit"),
        ("permission_denied", "permission_denied"),
    ],
)
def test_it_waits_and_goes_on(ring: Ring, sim: Simulator, fault: str, code: str) -> None:
    """What runs comes to its end; then it says what keeps it back, and once that is over the call is made again."""
    sim.fault(fault, model=SONNET)
    events = ring.rest(debate := ring.debate(**SHORT))
    paused = events[-1]
    assert isinstance(paused, Paused)
    assert (paused.code, paused.budget_units) == (code, None)
    assert paused.why.startswith(TABLE[code].sentence[:20])
    assert [event.turn.fighter for event in of(events, TurnEnded)] == [0]
    assert not of(events, TurnFailed)
    assert story(debate.match, events).log[-1].text.startswith(f"Paused: {paused.why[:20]}")
    assert ring.hub.house.matches.find(debate.id).state == "paused"
    again = ring.rest(ring.resume(debate.id))
    assert kinds(again) == ["Resumed", "TurnBegan", "Paused"]
    assert again[-1].code == code
    sim.no_faults()
    rest = ring.rest(ring.resume(debate.id))
    asked = of(again, TurnBegan)[0]
    assert isinstance(rest[0], Resumed)
    assert rest[0].lost == (asked.request,)
    assert of(rest, TurnBegan)[0].turn == asked.turn
    assert kinds(rest)[-1] == "Ended"
    assert rest[-1].end == "unjudged"
    assert ring.run(debate.bill()).total_units == ring.spent()


def test_a_judge_is_not_left_out_for_it(ring: Ring, sim: Simulator) -> None:
    """No panel shrinks because there is no money left to ask it."""
    sim.fault("payment_required", model="google/gemini-2.5-flash")
    judges = ["google/gemini-2.5-flash", "deepseek/deepseek-v4-flash"]
    events = ring.rest(debate := ring.debate(**(SHORT | {"judges": judges})))
    assert kinds(events)[-1] == "Paused"
    assert not [one for one in kinds(events) if one == "JudgeFailed"]
    sim.no_faults()
    ended = ring.rest(ring.resume(debate.id))[-1]
    assert isinstance(ended, Ended)
    assert ended.end == "decided"


def test_a_summary_is_not_waited_for(ring: Ring, sim: Simulator) -> None:
    """The result stands without it."""
    sim.fault("payment_required", model="google/gemini-2.5-flash")
    events = ring.rest(ring.debate(**(SHORT | {"commentator": "google/gemini-2.5-flash"})))
    assert kinds(events)[-2:] == ["CommentEnded", "Ended"]


def test_nothing_can_be_reached(ring: Ring, sim: Simulator, tmp_path: Path) -> None:
    """Without a network a debate is not lost: it waits."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}/api/v1"
        off = Ring("sync" if ring.loop is None else "async", sim, tmp_path, base_url=nowhere)
        events = off.rest(debate := off.debate(**SHORT))
        off.close()
    assert kinds(events) == ["Begun", "TurnBegan", "TurnBegan", "Paused"]
    assert events[-1].code == "connect_failed"
    assert kinds(ring.rest(ring.resume(debate.id)))[-1] == "Ended"


def test_with_a_budget_it_is_not_asked_for_more(ring: Ring, sim: Simulator) -> None:
    """Why it waits is said, and no amount is needed; what was allowed meanwhile holds."""
    for model in PAIR:
        sim.fault("payment_required", model=model)
    debate = ring.debate(budget="1", **SHORT)
    events = ring.rest(debate, 4)
    assert kinds(events)[-1] == "Paused"
    assert (events[-1].needed_units, events[-1].spent_units) == (None, 0)
    sim.no_faults()
    debate.allow("1")
    rest = ring.rest(debate)
    assert rest[0].budget_units == 2 * 10**12
    assert kinds(rest)[-1] == "Ended"
