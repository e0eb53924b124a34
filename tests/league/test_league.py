"""`hub.arena`: what matches say of the models is kept, rated, voted on, and changes a task's order with a way back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bouts import A, B, bout, fighter
from bytedeck import AsyncHub, Hub
from bytedeck.arena.types import Change, Persona, Rules, Vote
from bytedeck.errors import ConfigError, InvalidRequest, UnknownTask
from bytedeck.league.league import feedback

C = "gamma/three"
TASKS = f"""\
# mine
retries = 1

[tasks.poems]           # a task of my own
models = [
    "{A}",   # the good one
    'bee',   # the cheap one
    "{C}",
]
description = "Writes poems"

[aliases]
bee = "{B}"
"""


def keep(hub: Hub | AsyncHub, *matches: tuple[Any, Any]) -> list[str]:
    """Matches that were held, as they are kept."""
    store = hub.house.matches
    for match, events in matches:
        store.create(match, events[0])
        store.append(match.id, events[1:])
        store.release(match.id)
    return [match.id for match, _ in matches]


def held(hub: Hub, *scores: float, **options: Any) -> list[str]:
    """Matches of B against A in `poems`, one with each of B's scores, recorded."""
    ids = keep(
        hub,
        *(
            bout((B, A), score=score, **{"task": "poems", "at": 1000 + n, **options})
            for n, score in enumerate(scores)
        ),
    )
    for one in ids:
        hub.arena.record(one)
    return ids


EVIDENCE = [1.0] * 45 + [0.0] * 5
"""B is clearly better at the first look."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "settings.toml"
    found.write_text(TASKS)
    return found


@pytest.fixture
def hub(file: Path) -> Iterator[Hub]:
    """In memory, with the task `poems`."""
    with Hub(config=file, database_url="memory:") as made:
        yield made


# What is kept


def test_an_empty_arena_says_so(hub: Hub) -> None:
    """Boards are empty, nothing is proposed, and the order is explained all the same."""
    assert hub.arena.board().rows == hub.arena.board("poems", source="owner").rows == ()
    assert hub.arena.matches() == hub.arena.proposals() == hub.arena.changes() == ()
    order = hub.arena.explain("poems")
    assert (order.whence, order.models, order.change) == ("file", (A, "bee", C), None)
    assert order.why == (
        f"The order is the one in your settings file ({order.where}).",
        f"{B}: It has 0 of the 50 battles against {A} that a first look takes.",
        f"{C}: It has 0 of the 50 battles against {A} that a first look takes.",
    )
    assert order.where.endswith("settings.toml, line 4")
    assert hub.arena.explain("coding").why[0] == "The order is the one that Bytedeck brings along."
    with pytest.raises(InvalidRequest, match="There is nothing to take back in the order of poems"):
        hub.arena.undo("poems")
    with pytest.raises(InvalidRequest, match="There is no change 7"):
        hub.arena.undo("7")
    with pytest.raises(UnknownTask):
        hub.arena.board("peoms")
    with pytest.raises(InvalidRequest) as caught:
        hub.arena.record("zzzzzzzzzz")
    assert caught.value.code == "unknown_match"


def test_a_match_counts_once_it_is_recorded(hub: Hub) -> None:
    """By task and over all; recording again changes nothing; forgetting takes it out again."""
    (one,) = held(hub, 1.0)
    (other,) = keep(hub, bout((A, C), task="coding"))
    assert len(hub.arena.record(other).results) == 1
    hub.arena.record(other)
    assert [(row.model, row.battles) for row in hub.arena.board("poems").rows] == [(B, 1), (A, 1)]
    assert {row.model: row.battles for row in hub.arena.board().rows} == {A: 2, B: 1, C: 1}
    assert [kept.match.id for kept in hub.arena.matches(1)] == [other]
    assert hub.arena.find(one[:9] + one[9]).end == "decided"
    hub.arena.forget(one)
    assert hub.arena.board("poems").rows == ()


@pytest.mark.parametrize("is_file", [False, True])
def test_what_nobody_came_to_record_counts_all_the_same(file: Path, tmp_path: Path, is_file: bool) -> None:
    """Whose process died between its end and its results, or between a vote and what that says, is caught up with by whoever
    reads next; what cannot be read now keeps nobody from the rest."""
    url = f"sqlite:///{tmp_path}/ledger.db" if is_file else "memory:"
    with Hub(config=file, database_url=url) as hub:
        store = hub.house.matches
        one, other = keep(hub, bout((B, A), task="poems"), bout((C, A), task="poems"))
        assert store.due() == (one, other)
        assert hub.arena.board("poems").battles == 2
        assert store.due() == store.opinions("nobody") == ()
        assert [pair.judge for pair in hub.arena.audit("poems").judges]
        store.vote(Vote(match=one, voter="", source="owner", round=None, choice=0))
        assert store.due() == (one,)
        assert hub.arena.board("poems", source="owner").battles == 1
        assert store.due() == ()
        store.vote(Vote(match=one, voter="", source="owner", round=None, choice=1))
        hub.arena.forget(other)
        assert [row.model for row in hub.arena.board("poems", source="owner").rows] == [A, B]


def test_a_board_is_worked_out_once(hub: Hub) -> None:
    """Until there is another result, or other settings."""
    held(hub, 1.0, 0.0)
    board = hub.arena.board("poems")
    assert hub.arena.board("poems") is board
    assert hub.arena.board("poems", style=False) is not board
    assert hub.arena.board("poems") is board
    hub.house.adopt(hub.house.reread())
    assert hub.arena.board("poems") is not board
    held(hub, 1.0)
    assert hub.arena.board("poems").battles == 3


def test_few_battles_are_said_to_be_few(hub: Hub) -> None:
    """A model with fewer than thirty is provisional, and groups that have never met are told."""
    held(hub, *[1.0, 0.0] * 15)
    keep_apart = bout((C, "delta/four"), task="poems")
    hub.arena.record(*keep(hub, keep_apart))
    board = hub.arena.board("poems")
    assert {row.model: row.is_provisional for row in board.rows} == {
        A: False,
        B: False,
        C: True,
        "delta/four": True,
    }
    assert board.groups == 2
    assert any("never met" in note for note in board.notes)
    assert any(note.startswith("Provisional, with fewer than 30 battles: ") for note in board.notes)


def test_the_judges_are_looked_at(hub: Hub) -> None:
    """Each with its record, of a task or of all; people's votes are what they are compared with."""
    ids = held(hub, *[1.0, 0.0] * 4, judges=("x/j", "y/j"))
    for place, one in enumerate(ids):
        hub.arena.vote(one, "AB"[place % 2])
    found = hub.arena.audit("poems")
    assert [(judge.judge, judge.matches, judge.flips.value) for judge in found.judges] == [
        ("x/j", 8, 0.0),
        ("y/j", 8, 0.0),
    ]
    assert found.judges[0].people is not None
    assert (found.judges[0].people.same, found.judges[0].people.count) == (1.0, 8)
    assert hub.arena.audit("coding").judges == ()


def test_aliases_are_the_models_that_they_mean(hub: Hub) -> None:
    """A list's alias, a catalogue's alias and a permanent name are rated as one model, with the price of the catalogue."""
    listed = [
        {"id": B, "name": "Bee", "canonical_slug": "beta/two-2026", "pricing": {"prompt": "0.000001", "completion": "0.000003"}},
        {"id": "~beta/latest", "name": "B latest", "alias_target": "beta/two-2026"},
        {"id": A, "name": "Ay"},
    ]  # fmt: skip
    path = hub.house.models.path
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"data": listed}))
    for model in (B, "beta/two-2026", "~beta/latest"):
        hub.arena.record(*keep(hub, bout((fighter("x/x", rated=model), A), task="poems")))
    board = hub.arena.board("poems")
    (row,) = [row for row in board.rows if row.model == B]
    assert (row.name, row.battles, row.wins) == ("Bee", 3, 3)
    assert (row.cost.prompt, row.cost.completion, row.cost.blended) == (10**12, 3 * 10**12, 15 * 10**11)
    assert [one.cost.blended for one in board.rows if one.model == A] == [None]
    seat = hub.arena.explain("poems").seats[1]
    assert (seat.model, seat.rated, seat.name, seat.row) == ("bee", B, "Bee", row)
    assert seat.outlook is not None
    assert seat.outlook.finding.battles == 3


def test_sources_are_never_mixed(hub: Hub) -> None:
    """What the judges, the owner and the spectators say stands on boards of their own."""
    (one,) = held(hub, 1.0)
    hub.arena.vote(one, "B", source="owner")
    hub.arena.vote(one, "tie", voter="ada")
    found = {
        source: hub.arena.board("poems", source=source).rows[0]
        for source in ("judges", "owner", "spectators")
    }
    assert (found["judges"].model, found["owner"].model, found["spectators"].ties) == (B, A, 1)
    with pytest.raises(
        InvalidRequest, match="source is 'people', and has to be judges or owner or spectators"
    ):
        hub.arena.board(source="people")


# Votes

SCEPTIC = fighter(A, persona=Persona(name="The Sceptic"))


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("A", 0),
        ("b", 1),
        ("1", 0),
        (" 2 ", 1),
        (A, 0),
        (B.title(), 1),
        ("the sceptic", 0),
        ("tie", None),
        ("Draw", None),
        ("bee", None),
    ],
)
def test_a_fighter_is_voted_for_by_any_of_its_names(hub: Hub, said: str, choice: int | None) -> None:
    """Its letter, number, model or name; or a tie. What names nobody is told with what there is."""
    (one,) = keep(hub, bout((SCEPTIC, B), task="poems"))
    if said == "bee":
        with pytest.raises(InvalidRequest, match="'bee' is none of the fighters") as caught:
            hub.arena.vote(one, said)
        assert caught.value.hint == ("Vote for A (The Sceptic), B, or tie.",)
        return
    assert hub.arena.vote(one, said).choice == choice


def test_a_name_that_two_have_is_nobodys(hub: Hub) -> None:
    """In a mirror the model's name does not say who; the letter does."""
    (one,) = keep(hub, bout((A, A)))
    with pytest.raises(InvalidRequest, match="could be several"):
        hub.arena.vote(one, A)
    assert hub.arena.vote(one, "B").choice == 1


def test_one_vote_for_each_voter_and_round(hub: Hub) -> None:
    """The next one replaces it; rounds and the whole are apart, and so are owners and spectators."""
    (one,) = keep(hub, bout((A, B), kind="debate", task="poems", rules=Rules(rounds=1)))
    for choice in ("A", "B", "B"):
        hub.arena.vote(one, choice, voter="ada")
    hub.arena.vote(one, "A", voter="ada", round=0)
    hub.arena.vote(one, "A", voter="bob")
    hub.arena.vote(one, "A", source="owner")
    assert [(t.source, t.round, t.counts) for t in hub.arena.tally(one)] == [
        ("owner", None, (1, 0)), ("spectators", 0, (1, 0)), ("spectators", None, (1, 1)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("match", "options", "says"),
    [
        ({"owner": "ada"}, {"source": "owner"}, "Only who made a match votes as its owner"),
        ({"owner": "ada"}, {"source": "owner", "voter": "bob"}, "Only who made a match"),
        ({}, {"source": "judges"}, "has to be owner or spectators"),
        ({}, {"round": 0}, "A battle has no rounds"),
        ({}, {"voter": "x" * 201}, "200 signs at most"),
        ({"kind": "debate", "rules": Rules(rounds=2)}, {"round": 2}, "the rounds 1 to 2, and no round 3"),
        (
            {"kind": "debate", "rules": Rules(rounds=2), "is_over": False},
            {"round": 1},
            "Round 2 is still going on",
        ),
        ({"kind": "debate", "rules": Rules(rounds=2), "is_over": False}, {}, "It is still going on"),
        ({"end": "failed"}, {}, "there is nothing to vote about"),
    ],
    ids=str,
)
def test_what_cannot_be_voted_about(
    hub: Hub, match: dict[str, Any], options: dict[str, Any], says: str
) -> None:
    """By whom it may not, before all have spoken, or where nobody could: refused with a sentence, and nothing is kept."""
    (one,) = keep(hub, bout(**match))
    with pytest.raises(InvalidRequest, match=says):
        hub.arena.vote(one, "A", **options)
    assert hub.arena.tally(one) == ()


def test_a_round_is_voted_on_while_the_match_goes_on(hub: Hub) -> None:
    """As soon as all have spoken in it; what counts in the ratings waits for the end."""
    (one,) = keep(hub, bout((A, B), kind="debate", task="poems", rules=Rules(rounds=2), is_over=False))
    hub.arena.vote(one, "A", round=0)
    assert [(tally.round, tally.leader) for tally in hub.arena.tally(one)] == [(0, 0)]
    assert hub.house.matches.results() == ()


def test_many_vote_at_once(file: Path) -> None:
    """Every vote is kept, and the result is that of all of them."""
    with Hub(config=file) as hub:
        (one,) = held(hub, 1.0)
        voters = [
            Thread(target=hub.arena.vote, args=(one, "A" if n % 3 else "B"), kwargs={"voter": f"v{n}"})
            for n in range(12)
        ]
        for voter in voters:
            voter.start()
        for voter in voters:
            voter.join()
        assert [tally.counts for tally in hub.arena.tally(one)] == [(8, 4)]
        (row,) = hub.house.matches.results("poems", "spectators")
        assert (row.first, row.score) == (B, 1.0)


def test_a_vote_in_between_is_not_lost(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the votes, and writes their result after another has done so with more of them, looks again."""
    (one,) = held(hub, 1.0)
    store = hub.house.matches
    inner, others = store.record, ["ada", "bob"]

    def late(*args: Any) -> None:
        if others:
            hub.arena.vote(one, "B", voter=others.pop())
        inner(*args)

    monkeypatch.setattr(store, "record", late)
    hub.arena.vote(one, "A", voter="eve")
    (row,) = store.results("poems", "spectators")
    assert row.score == 0.0


# Feedback


def test_a_promotion_changes_the_file_and_leaves_a_trail(hub: Hub, file: Path) -> None:
    """The order alone, comments going along with their models; kept with its evidence; this hub goes by it at once."""
    held(hub, *EVIDENCE)
    (proposal,) = hub.arena.proposals()
    assert (proposal.task, proposal.before, proposal.after) == ("poems", (A, "bee", C), ("bee", A, C))
    due = hub.arena.explain("poems")
    assert due.proposal is not None
    assert due.why[1].startswith("A change is due: bee ")
    assert due.why[1].endswith("Make it: byte arena promote poems.")
    change = hub.arena.promote("poems")
    a_line, b_line = f'    "{A}",   # the good one\n', "    'bee',   # the cheap one\n"
    assert file.read_text() == TASKS.replace(a_line + b_line, b_line + a_line)
    assert hub.tasks["poems"].models == ("bee", A, C)
    assert hub.arena.changes("poems") == (change,)
    assert (change.number, change.by, change.evidence["wins"], change.evidence["battles"]) == (
        1,
        "person",
        45,
        50,
    )
    order = hub.arena.explain("poems")
    assert (order.whence, order.change, order.proposal) == ("promoted", change, None)
    assert order.why[0].startswith("The order is change 1 of ")
    assert order.why[0].endswith(f"made by a person: {change.why}")
    assert [seat.outlook.finding.battles for seat in order.seats if seat.outlook] == [
        0,
        0,
    ]  # since the change
    with pytest.raises(InvalidRequest, match="Nothing speaks for another order of poems yet"):
        hub.arena.promote("poems")


def test_undo_and_undo_again(hub: Hub, file: Path) -> None:
    """It takes back the last change that holds, byte for byte, and is one itself; nothing is taken back twice."""
    held(hub, *EVIDENCE)
    first = hub.arena.promote("poems")
    back = hub.arena.undo("poems")
    assert file.read_text() == TASKS
    assert (back.by, back.undoes, back.before, back.after) == ("undo", 1, first.after, first.before)
    order = hub.arena.explain("poems")
    assert (order.whence, order.proposal) == ("undone", None)
    assert order.why[0].startswith("The order is the one from before change 1, which was taken back on ")
    with pytest.raises(InvalidRequest, match="nothing to take back in the order of poems"):
        hub.arena.undo("poems")
    with pytest.raises(InvalidRequest, match="Change 1 was taken back already, by change 2"):
        hub.arena.undo(1)
    again = hub.arena.undo("2")
    assert (again.undoes, again.after) == (2, first.after)
    assert hub.arena.explain("poems").whence == "promoted"
    assert hub.arena.undo("poems").undoes == 3
    assert file.read_text() == TASKS
    assert [one.number for one in hub.arena.changes()] == [1, 2, 3, 4]


def test_changes_are_taken_back_one_by_one(hub: Hub) -> None:
    """The last one first."""
    store, orders = hub.house.matches, [(A, "bee", C), ("bee", A, C), (C, "bee", A)]
    for before, after in pairwise(orders):
        feedback.apply(hub.house, Change(task="poems", before=before, after=after, why="So."))
    assert [hub.arena.undo("poems").after for _ in range(2)] == [orders[1], orders[0]]
    assert len(store.changes("poems")) == 4


def test_what_was_changed_by_hand_is_not_taken_back(hub: Hub, file: Path) -> None:
    """Both orders are told; `force` restores the one from before all the same, and that is kept, too."""
    held(hub, *EVIDENCE)
    hub.arena.promote("poems")
    file.write_text(file.read_text().replace(f'    "{C}",\n', ""))
    with pytest.raises(InvalidRequest, match=f"change 1 made it bee, {A}, {C}, and now it is bee, {A}\\."):
        hub.arena.undo("poems")
    assert hub.arena.explain("poems").whence == "file"
    back = hub.arena.undo("poems", force=True)
    assert (back.before, back.after) == (("bee", A), (A, "bee", C))
    assert hub.arena.explain("poems").models == (A, "bee", C)


def test_what_was_taken_back_by_hand_needs_no_undo(hub: Hub, file: Path) -> None:
    """Said, and nothing is written: neither with `force`, nor where it is asked for without a number."""
    held(hub, *EVIDENCE)
    hub.arena.promote("poems")
    file.write_text(TASKS)
    with pytest.raises(InvalidRequest, match="is the one from before change 1 already"):
        hub.arena.undo(1, force=True)
    with pytest.raises(InvalidRequest, match="nothing to take back"):
        hub.arena.undo("poems")
    assert (file.read_text(), len(hub.arena.changes())) == (TASKS, 1)


def test_a_shipped_order_is_restored_by_taking_ours_out(tmp_path: Path) -> None:
    """So that a newer Bytedeck's own order holds again; what else stands in the file stays."""
    file = tmp_path / "own.toml"
    file.write_text("retries = 1\n")
    with Hub(config=file, database_url="memory:") as hub:
        first, second, _ = hub.tasks["coding"].models
        matches = (bout((second, first), score=score, at=n + 1) for n, score in enumerate(EVIDENCE))
        for one in keep(hub, *matches):
            hub.arena.record(one)
        hub.arena.promote("coding")
        assert hub.tasks["coding"].models[:2] == (second, first)
        hub.arena.undo("coding")
        assert file.read_text() == "retries = 1\n\n"
        assert hub.tasks["coding"].models[:2] == (first, second)


def test_a_file_that_cannot_be_written_changes_nothing(
    hub: Hub, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the file, and not in the trail. Nor does a trail that cannot be written change the file."""
    held(hub, *EVIDENCE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"settings\.toml cannot be written: No space left on device"):
            hub.arena.promote("poems")
    with monkeypatch.context() as patch:
        patch.setattr(hub.house.matches, "change", full)
        with pytest.raises(Exception, match="No space left"):
            hub.arena.promote("poems")
    assert (hub.arena.changes(), file.read_text()) == ((), TASKS)
    assert hub.arena.promote("poems").number == 1


_DIES = """
import os, sys
from pathlib import Path
from bytedeck import Hub
with Hub(config=sys.argv[1]) as hub:
    Path.replace = lambda *_: os._exit(9)
    hub.arena.promote("poems")
"""


def test_a_crash_in_between_tells_no_lie(file: Path) -> None:
    """The trail was written, the file not yet: the order is what the file says, the evidence counts on, and no undo goes astray."""
    with Hub(config=file) as hub:
        held(hub, *EVIDENCE)
        done = subprocess.run([sys.executable, "-c", _DIES, str(file)], check=False)
        assert done.returncode == 9
        assert file.read_text() == TASKS
        assert [one.number for one in hub.arena.changes()] == [1]
        order = hub.arena.explain("poems")
        assert (order.whence, order.change) == ("file", None)
        assert order.proposal is not None
        with pytest.raises(InvalidRequest, match="nothing to take back"):
            hub.arena.undo("poems")
        assert hub.arena.promote("poems").number == 2
        assert hub.arena.undo("poems").undoes == 2
        with pytest.raises(InvalidRequest, match="nothing to take back"):
            hub.arena.undo("poems")


@pytest.mark.parametrize("what", ["poems", "1", "2"])
def test_an_undo_that_was_cut_off_is_brought_to_its_end(file: Path, what: str) -> None:
    """It was kept and the file was not written: asked for again, whichever way, it comes to hold, and is no second change."""
    with Hub(config=file) as hub:
        held(hub, *EVIDENCE)
        hub.arena.promote("poems")
        dies = _DIES.replace("promote", "undo")
        assert subprocess.run([sys.executable, "-c", dies, str(file)], check=False).returncode == 9
        assert len(hub.arena.changes()) == 2
        assert hub.arena.explain("poems").whence == "promoted"
        assert hub.arena.undo(what).number == 2
        assert file.read_text() == TASKS
        assert hub.arena.explain("poems").whence == "undone"
        assert len(hub.arena.changes()) == 2


def test_two_who_promote_at_once(hub: Hub, file: Path) -> None:
    """One does; the other is told that the order has changed meanwhile, and nothing more is kept."""
    held(hub, *EVIDENCE)
    (found,) = hub.arena.proposals()
    league = hub.arena
    league._scores.promote(found, "person")
    with pytest.raises(InvalidRequest, match="The order of poems has changed meanwhile"):
        league._scores.promote(found, "person")
    assert len(hub.arena.changes()) == 1


def test_a_task_may_allow_it_by_itself(hub: Hub, file: Path) -> None:
    """Once the evidence holds, the match that brought it changes the order; the next ones do not change it back at once."""
    file.write_text(TASKS.replace("# a task of my own", '# a task of my own\npromote = "auto"'))
    hub.house.adopt(hub.house.reread())
    recorded = []
    for n, score in enumerate(EVIDENCE):
        (last,) = keep(hub, bout((B, A), score=score, task="poems", at=n + 1))
        recorded.append(hub.arena.record(last))
    assert [one.change is not None for one in recorded] == [False] * 49 + [True]
    change = recorded[-1].change
    assert change is not None
    assert (change.by, change.after) == ("automatic", ("bee", A, C))
    assert recorded[-1].notes[0].startswith("The order of poems is bee, alpha/one, gamma/three from now on: ")
    assert hub.arena.record(last).change is None
    assert "made by itself" in hub.arena.explain("poems").why[0]


def test_it_is_allowed_by_the_file_as_it_is_now(hub: Hub, file: Path) -> None:
    """Who takes it back does not have to start every process anew, nor who allows it; a file that cannot be read changes nothing."""
    held(hub, *EVIDENCE[:-1])
    auto = TASKS.replace("# a task of my own", '# a task of my own\npromote = "auto"')
    file.write_text(auto)
    hub.house.adopt(hub.house.reread())
    for text in (TASKS, "["):
        file.write_text(text)
        (one,) = keep(hub, bout((B, A), score=0.0, task="poems", at=2000))
        assert hub.arena.record(one).change is None
        hub.arena.forget(one)
    file.write_text(TASKS)
    hub.house.adopt(hub.house.reread())
    file.write_text(auto)
    assert hub.arena.record(*keep(hub, bout((B, A), score=0.0, task="poems", at=2000))).change is not None


@pytest.mark.parametrize("said", ['"yes"', "true", "[]"])
def test_a_task_allows_it_by_the_right_word(file: Path, said: str) -> None:
    """Else the error tells both."""
    file.write_text(TASKS.replace("# a task of my own", f"# a task of my own\npromote = {said}"))
    with pytest.raises(ConfigError, match=r'`tasks\.poems\.promote`: expected "ask" or "auto"'):
        Hub(config=file)


def test_where_it_cannot_be_done_by_itself_the_match_counts_all_the_same(
    hub: Hub, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the way is a warning."""
    file.write_text(TASKS.replace("# a task of my own", '# a task of my own\npromote = "auto"'))
    hub.house.adopt(hub.house.reread())
    *bouts, last = (bout((B, A), score=s, task="poems", at=n + 1) for n, s in enumerate(EVIDENCE))
    for one in bouts:
        hub.arena.record(*keep(hub, one))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    recorded = hub.arena.record(*keep(hub, last))
    assert len(recorded.results) == 1
    (warning,) = recorded.notes
    assert warning.startswith("The order of poems could not be changed. ")
    assert "cannot be written" in warning


def test_a_list_that_names_a_model_twice(hub: Hub, file: Path) -> None:
    """By its id and by an alias: it is no challenger of itself, and both of its places are kept."""
    file.write_text(TASKS.replace(f'"{C}"', f'"{B}"'))
    held(hub, *EVIDENCE)
    (proposal,) = hub.arena.proposals("poems")
    assert proposal.after == ("bee", A, B)
    hub.arena.promote("poems")
    assert hub.arena.undo("poems").after == (A, "bee", B)


def test_the_next_pairs(hub: Hub) -> None:
    """Among the task's models by default, each by the id that it is rated under; "order" is all about the first."""
    pairs = hub.arena.next("poems", 2)
    assert len({frozenset((pair.first, pair.second)) for pair in pairs}) == 2
    assert {pair.first for pair in pairs} | {pair.second for pair in pairs} <= {A, B, C}
    assert all(A in (pair.first, pair.second) for pair in hub.arena.next("poems", 2, aim="order"))
    assert {
        hub.arena.next(models=["bee", "x/y"])[0].first,
        hub.arena.next(models=["bee", "x/y"])[0].second,
    } == {B, "x/y"}
    with pytest.raises(InvalidRequest, match='aim is \'worst\', and has to be "best" or "order"'):
        hub.arena.next(aim="worst")


def test_a_task_that_is_gone_keeps_its_board(hub: Hub, file: Path) -> None:
    """Its matches were held; its order cannot be asked for any more."""
    held(hub, 1.0)
    file.write_text("")
    hub.house.adopt(hub.house.reread())
    assert len(hub.arena.board("poems").rows) == 2
    with pytest.raises(UnknownTask):
        hub.arena.explain("poems")


def test_the_async_face_does_the_same(file: Path) -> None:
    """From a vote to an undo."""

    async def course() -> None:
        async with AsyncHub(config=file, database_url="memory:") as hub:
            arena = hub.arena
            ids = keep(hub, *(bout((B, A), score=s, task="poems", at=n + 1) for n, s in enumerate(EVIDENCE)))
            for one in ids:
                await arena.record(one)
            assert (await arena.vote(ids[0][:10], "A", source="owner")).choice == 0
            assert (await arena.tally(ids[0]))[0].counts == (1, 0)
            assert (await arena.board("poems")).battles == 50
            assert len(await arena.next("poems")) == 1
            assert len(await arena.events(ids[0])) == len(await arena.events(ids[0], 0)) + 1
            assert (await arena.find(ids[0])).state == "over"
            assert len(await arena.matches(7)) == 7
            assert len(await arena.proposals()) == 1
            await arena.promote("poems")
            assert (await arena.explain("poems")).whence == "promoted"
            await arena.undo("poems")
            assert len(await arena.changes("poems")) == 2
            await arena.forget(ids[0])
            assert len(await arena.matches(100)) == 49

    asyncio.run(course())
    assert file.read_text() == TASKS
