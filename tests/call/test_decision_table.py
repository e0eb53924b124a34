"""The wire reference's decision table (section 7), played row by row in virtual time: what follows from each failure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytedeck import pipeline
from bytedeck.errors import TABLE
from bytedeck.events import Seam
from bytedeck.types import Ask, Policy
from continuers import ASKED, delta
from decision_rows import CASES, NEVER, SECTION_15
from decisions import (
    CHAIN,
    DONE,
    HEAD,
    SAID,
    TEXT,
    Case,
    Models,
    Played,
    after,
    before,
    deck,
    finish,
    play,
    refusal,
    want_of,
)
from world import Act


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row(case: Case, streamed: bool) -> None:
    """Who is asked next and for what, how long is waited, what stands of each attempt, and what the caller gets."""
    played = play(case, streamed=streamed)
    _attempts(case, played, is_unseen=bool(case.unseen) and not streamed)
    _caller(case, played, streamed)
    _requests(case, played)


def _attempts(case: Case, played: Played, is_unseen: bool) -> None:
    assert played.goes == (case.unseen if is_unseen else case.goes)
    rows = [row.outcome for row, _ in played.world.settled]
    assert rows == [attempt.outcome for attempt in played.reply.attempts]
    assert played.code == (rows[-1] if rows[-1] != "answered" else "")
    assert is_unseen or played.code == case.error
    waits = case.unseen_waits if is_unseen else case.waits
    assert len(played.world.pauses) == len(waits)
    for pause, (least, most) in zip(played.world.pauses, waits, strict=True):
        assert least <= pause <= most
    assert played.world.now - 1000 - sum(played.world.pauses) == pytest.approx(case.silence)


def _caller(case: Case, played: Played, streamed: bool) -> None:
    """The whole answer, or an error that carries what had come; in the end the same as while it came."""
    reply, found = played.reply, played.error or played.reply
    if streamed or not case.unseen:
        assert {name: getattr(found, name) for name in case.tells} == dict(case.tells)
    if played.error:
        assert (reply.text, reply.whole) == (SAID if case.phase == "after" else "", False)
    elif "text" not in case.tells:
        assert (reply.text, reply.finish_reason) == (TEXT, "stop")
    if streamed:
        assert played.world.text == reply.text
        seams = [one.event for one in played.world.emitted if isinstance(one.event, Seam)]
        assert [seam.kind for seam in seams] == case.seam.split()
        assert reply.seams == tuple(seams)


def _requests(case: Case, played: Played) -> None:
    """The same request to the same model or the next, but for a change that the table names, or the words so far."""
    first, *later = played.bodies
    assert "models" not in first  # D29: our chain is one model an attempt
    again = {first["model"]}
    for sent in later:
        changed = {name for name in first | sent if first.get(name) != sent.get(name)} - {"model"}
        if want_of(sent).way == "echo":
            assert changed == {"messages"}
            assert sent["messages"][: len(ASKED)] == list(ASKED)
        else:
            meant = case.changed if sent["model"] in again else {}
            assert {name: sent.get(name) for name in changed} == dict(meant)
        again.add(sent["model"])


def test_every_place_of_the_table_is_played() -> None:
    """D1 to D32, before and after the first token; where nothing can be played, it says why."""
    rows = [f"D{n}" for n in range(1, 33)] + ["D2b", "D25b"]
    places = {f"{row} {phase}" for row in rows for phase in ("before", "after")}
    played = {f"{case.row} {case.phase}" for case in CASES}
    assert played | set(NEVER) == places
    assert not played & set(NEVER)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("id_", SECTION_15)
def test_the_cases_of_section_15_stand_here(id_: str) -> None:
    """Those that speak of failures and of a client are played by rows of the table."""
    names = [case.name for case in CASES]
    assert SECTION_15[id_]
    assert all(any(name.startswith(begin) for name in names) for begin in SECTION_15[id_])


NOBODYS = {"D2": "total_timeout"}
"""The request's own bound is nobody's fault."""
KEYS = {"D7": "authentication"}
"""A body may hold any status."""


@pytest.mark.parametrize(
    ("blames", "rows"),
    [
        ("model", ["D2", "D2b", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "D22", "D31"]),
        ("key", ["D14", "D16", "D19"]),
        (
            "",
            [
                "D1",
                "D12",
                "D13",
                "D15",
                "D17",
                "D18",
                "D20",
                "D21",
                "D23",
                "D24",
                "D25",
                "D25b",
                "D26",
                "D27",
                "D28",
                "D29",
                "D30",
            ],
        ),
    ],
)
def test_whose_breaker_it_counts_for(blames: str, rows: list[str]) -> None:
    """Of a key-scoped failure the key's, of a model-scoped one the model's, else nobody's: by each case's first outcome."""
    for row in rows:
        outcomes = {case.goes.split()[1].rstrip(",") for case in CASES if case.row == row}
        outcomes -= {"answered", NOBODYS.get(row), KEYS.get(row)}
        assert {TABLE[outcome].blames for outcome in outcomes} == {blames}, row


@pytest.mark.parametrize("act", [after(end="stall"), before(end="stall"), Act(end="silent"), refusal(503)])
def test_whoever_leaves_is_asked_for_no_more(act: Act) -> None:
    """D32: the attempt is settled as abandoned, and neither it nor another model is asked again."""
    turn, abandoned = 0, 0
    while True:
        turn += 1
        world = Models({CHAIN["A"]: (act,)})
        ask = Ask(id="0" * 32, messages=ASKED, models=tuple(CHAIN.values()), streamed=True)
        # The world refuses every command but the settlement once the caller has left.
        reply = world.run(pipeline.answer(ask, deck(), world.now), leave_at=turn)
        if reply is not None:
            break
        last = world.settled[-1][0]
        assert len(world.requests) <= len(world.settled) == len(world.intents)
        abandoned += last.outcome == "abandoned"
    assert reply.text == TEXT
    assert abandoned > 3


CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Kö'},
}
REST = {"index": 0, "function": {"arguments": 'ln"}'}}
CALLED = HEAD + delta({"tool_calls": [CALL]}) + delta({"tool_calls": [REST]})


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
def test_two_finishes_are_one(streamed: bool) -> None:
    """SSE-07: the calls come once, the reason is one, and the later chunk's usage counts."""
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "cost": 0.000093}
    twice = CALLED + delta({}, "tool_calls") + delta({}, "tool_calls", usage=usage) + DONE
    played = Played({"A": (Act((twice,)),)}, {"models": (CHAIN["A"],), "streamed": streamed}, deck())
    reply = played.reply
    assert (played.goes, reply.finish_reason, reply.whole) == ("A answered", "tool_calls", True)
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("call_1", '{"city": "Köln"}')]
    assert reply.usage is not None
    assert (reply.usage.completion_tokens, reply.usage.cost_units) == (9, 93_000_000)
    shown = [part for one in played.world.emitted for part in one.tool_calls if part.name]
    assert len(shown) == streamed


@pytest.mark.parametrize("stream_tools", [False, True])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "chat"])
def test_a_call_that_was_cut_is_not_run(streamed: bool, stream_tools: bool) -> None:
    """TOOL-06: an error, not a call; nobody else is asked, since the same limit would cut it again."""
    cut = HEAD + delta({"tool_calls": [CALL]}) + finish("length", 9)
    ask = {"models": tuple(CHAIN.values()), "streamed": streamed, "policy": Policy(stream_tools=stream_tools)}
    played = Played({"A": (Act((cut,)),)}, ask, deck())
    assert (played.goes, played.code) == ("A tool_arguments_truncated", "tool_arguments_truncated")
    shown = [one for one in played.world.emitted if one.tool_calls]
    assert bool(shown) == (streamed and stream_tools)


@pytest.mark.parametrize("cost", ["0", "0.005"])
def test_what_nothing_costs(cost: str) -> None:
    """USE-09: an answer without a token costs no tokens; fees for a search may remain, and count."""
    usage = {"prompt_tokens": 7, "completion_tokens": 0, "cost": float(cost)}
    act = before(delta({}, "", usage=usage) + DONE)
    reply = Played({"A": (act,)}, {"models": tuple(CHAIN.values())}, deck()).reply
    assert [one.outcome for one in reply.attempts] == ["empty_answer", "empty_answer", "answered"]
    assert [(str(one.cost), one.quality) for one in reply.attempts[:2]] == [(cost, "reported")] * 2
    assert reply.cost == 2 * Decimal(cost) + Decimal("0.000093")
