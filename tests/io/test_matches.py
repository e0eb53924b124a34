"""Matches of the arena where they are kept: one contract for memory and SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from allevents import ALL, FIRST, NOW, SECOND, THIRD, begin, match, opinion, result, told
from bytedeck.arena.events import Begun, Ended, Event, Paused, Resumed, Words
from bytedeck.arena.types import Change, Match, Opinion, Result, Rules, Vote
from bytedeck.errors import ConfigError, InvalidRequest, LedgerError
from bytedeck.io.matches import Lost, Matches, Standing
from bytedeck.io.memory_matches import MemoryMatches
from bytedeck.io.sqlite_matches import SqliteMatches
from bytedeck.io.stores import open_matches


@pytest.fixture(params=["memory", "sqlite"])
def matches(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Matches]:
    clock = lambda: NOW  # noqa: E731 - it stands still
    path = str(tmp_path / "home" / "ledger.db")
    made: Matches = MemoryMatches(clock) if request.param == "memory" else SqliteMatches(path, clock)
    yield made
    made.close()


def test_a_match_is_kept_as_it_was(matches: Matches) -> None:
    """Every field of it, and of every kind of event."""
    rules = Rules(rounds=9, judges=("j/one",), budget_units=10**18, temperature=None, vote_seconds=1.5)
    made = begin(
        matches, rules=rules, task="coding", owner="alice", is_public=True, seed=2**63 - 1, topic="Ö?\x00"
    )
    events = told(*ALL)
    assert {type(one) for one in (Begun(match=made), *events)} == set(
        Event.__args__
    )  # none is forgotten here
    matches.append(FIRST, events[:4])
    matches.append(FIRST, events[4:])
    assert matches.events(FIRST) == (Begun(match=made, at=NOW), *events)
    found = matches.find(FIRST)
    assert (found.match, found.last, found.at) == (made, len(ALL), NOW + len(ALL))
    assert (found.state, found.end, found.standing.is_rated) == ("over", "decided", True)
    assert (found.standing.winner, found.standing.cost_units) == (1, 10**16)


@pytest.mark.parametrize(
    ("after", "limit", "seqs"),
    [
        (-1, None, [0, 1, 2, 3]),
        (-9, None, [0, 1, 2, 3]),
        (1, None, [2, 3]),
        (1, 1, [2]),
        (3, None, []),
        (10**30, None, []),
        (-1, 0, []),
        (-1, -1, []),
        (0, 10**30, [1, 2, 3]),
    ],
)
def test_the_rest_of_a_match(matches: Matches, after: int, limit: int | None, seqs: list[int]) -> None:
    """From any event on, also one that a watcher has made up."""
    begin(matches)
    matches.append(FIRST, told(*ALL[:3]))
    assert [one.seq for one in matches.events(FIRST, after, limit)] == seqs


def test_no_gap_and_no_repeat(matches: Matches) -> None:
    """An event that is not the next one is refused with all that came along; nothing at all is fine."""
    begin(matches)
    matches.append(FIRST, told(ALL[0]))
    one, two, three = told(*ALL[1:4], after=1)
    for wrong in ((two,), (one, three), (one, one), told(ALL[0])):
        with pytest.raises(LedgerError, match="the next one is"):
            matches.append(FIRST, wrong)
    assert matches.find(FIRST).last == 1
    matches.append(FIRST, ())
    matches.append(FIRST, (one, two, three))
    assert matches.find(FIRST).last == 4


@pytest.mark.parametrize(
    ("made", "begun"),
    [
        (match("short"), Begun(match=match("short"))),
        (match("../../etc/"), Begun(match=match("../../etc/"))),
        (match("ABCDEFGH23"), Begun(match=match("ABCDEFGH23"))),
        (match("abcdefgh2\n"), Begun(match=match("abcdefgh2\n"))),
        (match(), Begun(match=match(SECOND))),
        (match(), Begun(match=match(), seq=1)),
        (match(topic="half a \ud83e"), Begun(match=match(topic="half a \ud83e"))),
        (match(owner="\ud800"), Begun(match=match(owner="\ud800"))),
    ],
    ids=range(8),
)
def test_what_is_no_match_is_not_kept(matches: Matches, made: Match, begun: Begun) -> None:
    """An id is ten signs that no path and no shell minds; the first event tells the match itself."""
    with pytest.raises(InvalidRequest):
        matches.create(made, begun)
    assert matches.list() == ()


def test_an_id_is_taken_once(matches: Matches) -> None:
    """The first match stays as it was."""
    begin(matches)
    with pytest.raises(InvalidRequest, match="There is a match abcdefgh23 already"):
        begin(matches, topic="Another?")
    assert matches.find(FIRST).match.topic == "Is it?"


STEPS: tuple[tuple[Event | str, str], ...] = (
    (ALL[0], "running"),
    ("release", "cut off"),
    ("hold", "running"),
    (Paused(spent_units=1, needed_units=2, budget_units=2), "paused"),
    ("release", "paused"),
    ("hold", "paused"),
    (Resumed(), "running"),
    (Paused(spent_units=1, needed_units=2, budget_units=2), "paused"),
    (Ended(end="stopped", is_rated=False), "over"),
    ("release", "over"),
)


def test_how_a_match_stands(matches: Matches) -> None:
    """Running, paused, cut off, over: by its events and by who holds it."""
    begin(matches)
    assert matches.find(FIRST).state == "running"
    for step, state in STEPS:
        if isinstance(step, str):
            getattr(matches, step)(FIRST)
        else:
            matches.append(FIRST, told(step, after=matches.find(FIRST).last))
        assert (matches.find(FIRST).state, matches.list()[0].state) == (state, state), step
        assert matches.find(FIRST).standing.is_paused == (state == "paused")
    with pytest.raises(InvalidRequest, match="is over"):
        matches.hold(FIRST)


def test_who_does_not_hold_it_writes_nothing(matches: Matches) -> None:
    """Released, it takes no event; held, it is not held twice, nor forgotten; over, it takes none either."""
    begin(matches)
    for change in (matches.hold, matches.forget):
        with pytest.raises(InvalidRequest, match="is going on in this process"):
            change(FIRST)
    matches.release(FIRST)
    matches.release(FIRST)
    with pytest.raises(Lost, match="held by another process now"):
        matches.append(FIRST, told(ALL[0]))
    matches.hold(FIRST)
    matches.append(FIRST, told(Ended(end="failed", is_rated=False)))
    with pytest.raises(InvalidRequest, match="is over"):
        matches.append(FIRST, told(ALL[0], after=1))
    assert matches.find(FIRST).last == 1


USES: dict[str, Callable[[Matches, str], Any]] = {
    "find": lambda matches, name: matches.find(name),
    "append": lambda matches, name: matches.append(name, told(ALL[0])),
    "hold": lambda matches, name: matches.hold(name),
    "release": lambda matches, name: matches.release(name),
    "list": lambda matches, name: matches.list(before=name),
    "events": lambda matches, name: matches.events(name),
    "vote": lambda matches, name: matches.vote(
        Vote(match=name, voter="v", source="owner", round=None, choice=0)
    ),
    "votes": lambda matches, name: matches.votes(name),
    "record": lambda matches, name: matches.record(name, "judges", ()),
    "forget": lambda matches, name: matches.forget(name),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    "name", ["abcdefgh24", "%", "' or 1=1 --", "\0", "ab*", "é", "\ud800", "a" * 5000], ids=ascii
)
def test_an_id_that_no_match_has(matches: Matches, use: Callable[[Matches, str], Any], name: str) -> None:
    """It is told what might be meant, whatever signs it has, and changes nothing."""
    with pytest.raises(InvalidRequest, match="There is no match"):
        use(matches, name)
    begin(matches)
    with pytest.raises(InvalidRequest, match="There is no match") as caught:
        use(matches, name)
    assert (caught.value.code, caught.value.http_status, caught.value.exit_code) == ("unknown_match", 404, 6)
    assert (caught.value.hint == ("Did you mean: abcdefgh23?",)) == (name == "abcdefgh24")
    assert (matches.find(FIRST).last, matches.votes(FIRST)) == (0, ())


def test_the_beginning_of_an_id_will_do(matches: Matches) -> None:
    """Where only one match begins so; else some are named, the newest first."""
    for name in (FIRST, SECOND, THIRD):
        begin(matches, name)
    assert [matches.find(said).match.id for said in ("z", "ABCD", " abcx\n", THIRD)] == [
        THIRD,
        FIRST,
        SECOND,
        THIRD,
    ]
    with pytest.raises(InvalidRequest, match="Several matches begin with 'abc'") as caught:
        matches.find("abc")
    assert caught.value.hint == (f"Say more of its id: {SECOND}, {FIRST}",)
    with pytest.raises(InvalidRequest, match="There is no match"):
        matches.find("")


def test_a_list_by_pages_and_owners(matches: Matches) -> None:
    """Newest first; each page ends where the next one begins."""
    names = [f"aaaaaaaa{a}{b}" for a in "bcd" for b in "2345"]
    for place, name in enumerate(names):
        begin(matches, name, owner=("", "alice")[place % 2])
    assert matches.list(-1) == matches.list(0) == ()
    assert [one.match.id for one in matches.list()] == names[::-1]
    seen: list[str] = []
    while page := matches.list(5, seen[-1] if seen else ""):
        seen += [one.match.id for one in page]
    assert seen == names[::-1]
    assert [one.match.id for one in matches.list(2, names[6], owner="alice")] == [names[5], names[3]]
    assert [one.match.owner for one in matches.list(owner="")] == [""] * 6
    assert matches.list(owner="bob") == ()


def test_one_vote_of_each_voter_and_round(matches: Matches) -> None:
    """Who votes again has changed their mind; the whole match is a round of its own; sources are kept apart."""
    begin(matches)
    begin(matches, SECOND)
    vote = Vote(match=FIRST, voter="ann", source="spectators", round=0, choice=0, at=1)
    others = (
        replace(vote, round=None, choice=None),
        replace(vote, voter="bob"),
        replace(vote, source="owner"),
        replace(vote, round=1, choice=3),
    )
    for one in (vote, *others, replace(vote, match=SECOND), replace(others[0], choice=1)):
        matches.vote(one)
    matches.vote(replace(vote, choice=1, at=2))
    assert matches.votes(FIRST) == (
        replace(vote, choice=1, at=2),
        replace(others[0], choice=1),
        *others[1:],
    )
    assert matches.votes(SECOND) == (replace(vote, match=SECOND),)


def test_what_a_match_says_is_replaced_by_source(matches: Matches) -> None:
    """Recording again leaves no trace of what was said before, and other sources and matches as they were."""
    begin(matches)
    begin(matches, SECOND)
    people = result(source="spectators", score=1.0)
    other = result(SECOND, task="writing", at=NOW - 1, score=0.0)
    matches.record(FIRST, "judges", (result(), result(second="d/four")), (opinion(), opinion(judge="j/two")))
    matches.record(FIRST, "spectators", (people,))
    matches.record(SECOND, "judges", (other,), (opinion(SECOND, task="writing", at=NOW - 1),))
    matches.record(FIRST, "judges", (result(score=1.0),), (opinion(plain=0.0),))
    assert set(matches.results()) == {other, people, result(score=1.0)}
    assert matches.results()[0] == other  # the oldest
    assert matches.results("coding", "judges") == (result(score=1.0),)
    assert matches.results(source="spectators") == (people,)
    assert matches.results(since=NOW) == matches.results("coding")
    assert matches.results(since=NOW + 1) == matches.results("none") == matches.results(since=10**30) == ()
    assert matches.opinions() == (opinion(SECOND, task="writing", at=NOW - 1), opinion(plain=0.0))
    assert matches.opinions("coding") == (opinion(plain=0.0),)
    matches.record(FIRST, "judges", ())
    assert (matches.results("coding"), matches.opinions("coding")) == ((people,), ())


def test_what_is_due(matches: Matches) -> None:
    """A match that has ended is due, and is again with each vote after it, until somebody says that he has seen all of it."""
    begin(matches)
    vote = Vote(match=FIRST, voter="v", source="spectators", round=0, choice=0)
    matches.vote(vote)
    matches.append(FIRST, told(*ALL[:-1]))
    assert (matches.due(), matches.find(FIRST).due) == ((), 0)
    matches.append(FIRST, told(*ALL)[-1:])
    due = matches.find(FIRST).due
    assert (matches.due(), due > 0) == ((FIRST,), True)
    matches.record(FIRST, "judges", (result(),))
    assert matches.due() == (FIRST,)
    matches.vote(vote)
    assert not matches.recorded(FIRST, due)
    assert matches.list()[0].due == matches.find(FIRST).due > due
    assert matches.recorded(FIRST, matches.find(FIRST).due)
    assert (matches.due(), matches.find(FIRST).due) == ((), 0)
    assert matches.recorded(FIRST, 0)
    with pytest.raises(InvalidRequest, match="There is no match"):
        matches.recorded(THIRD, 0)


def _heard(standing: Standing, true: list[Event], seq: int, life: int) -> list[Event]:
    """What a watcher is told who comes back with this id."""
    return [event for event in true if event.seq > min(standing.holds(seq, life), true[-1].seq)]


def test_a_watcher_comes_back_to_what_holds(matches: Matches) -> None:
    """With the number and the life of the last event that it heard it gets all that holds and was not told, also where it had
    been told words that were never written: no gap, and no repeat."""
    begin(matches)
    true, lives = [*matches.events(FIRST)], []
    for phantoms in (0, 3, 1, 9, 0, 2):
        kept = told(*[Words(part="t0.0.0", text=f"{phantoms}")] * 3, after=len(true) - 1)
        matches.append(FIRST, kept)
        true += kept
        never = told(*[Words(part="t0.0.0", text="lost")] * phantoms, after=len(true) - 1)
        life = matches.find(FIRST).standing.life(true[-1].seq)
        lives += [(life, [*true, *never][:count], len(true)) for count in range(1, len(true) + phantoms + 1)]
        (resumed,) = told(Resumed(), after=len(true) - 1)
        matches.append(FIRST, (resumed,))
        true.append(resumed)
    standing = matches.find(FIRST).standing
    assert standing.resumed == tuple(one.seq for one in true if isinstance(one, Resumed))
    for life, heard, written in lives:
        seq = heard[-1].seq
        if seq < written:  # it holds: it has the life that the match tells
            life = standing.life(seq)
        holds = [one for one in heard if one.seq < written]
        assert holds + _heard(standing, true, seq, life) == true
    assert standing.holds(5, 99) == standing.holds(5, -1) == 5


@pytest.mark.parametrize("stranger", [result(SECOND), result(source="owner"), opinion(SECOND)], ids=range(3))
def test_a_match_speaks_for_itself_alone(matches: Matches, stranger: Result | Opinion) -> None:
    """What is another match's, or another source's, is refused with all the rest."""
    begin(matches)
    begin(matches, SECOND)
    rows = ((result(),), (stranger,)) if isinstance(stranger, Opinion) else ((result(), stranger), ())
    with pytest.raises(InvalidRequest, match="is none of the match"):
        matches.record(FIRST, "judges", *rows)
    assert matches.results() == matches.opinions() == ()


def test_changes_are_numbered(matches: Matches) -> None:
    """Oldest first, as they were said; one is taken back at most once."""
    change = Change(
        task="coding", before=("a", "b"), after=("b", "a"), why="So.", evidence={"p": 0.01, "n": 50}
    )
    undo = replace(change, before=change.after, after=change.before, by="undo", undoes=1, at=5)
    assert [matches.change(one) for one in (change, replace(change, task="writing"), undo)] == [1, 2, 3]
    assert matches.changes("coding") == (replace(change, number=1, at=NOW), replace(undo, number=3))
    assert [one.number for one in matches.changes()] == [1, 2, 3]
    for wrong, why in ((undo, "was taken back already"), (replace(undo, undoes=9), "There is no change 9")):
        with pytest.raises(InvalidRequest, match=why):
            matches.change(wrong)
    assert matches.changes("none") == ()
    assert matches.change(replace(undo, undoes=3)) == 4


def test_the_version_moves_with_results_and_changes(matches: Matches) -> None:
    """And with nothing else: who has fitted the ratings looks at it alone."""
    assert matches.version() == 0
    begin(matches)
    matches.append(FIRST, told(ALL[0]))
    seen = [matches.version()]
    change = Change(task="coding", before=(), after=("a",), why="")
    for step in (
        lambda: matches.record(FIRST, "judges", (result(),)),
        lambda: matches.record(FIRST, "judges", (result(score=0.0),)),
        lambda: matches.record(FIRST, "judges", ()),
        lambda: matches.change(change),
        lambda: matches.record(FIRST, "owner", (result(source="owner"),)),
        lambda: (matches.release(FIRST), matches.forget(FIRST)),
    ):
        step()
        seen.append(matches.version())
    assert len(set(seen)) == len(seen)
    begin(matches)
    matches.release(FIRST)
    assert matches.version() == seen[-1]


def test_forget_leaves_nothing_of_a_match(matches: Matches) -> None:
    """Nor anything less of another; its id is free, and the changes that it led to stay."""
    for name in (FIRST, SECOND):
        begin(matches, name)
        matches.append(name, told(ALL[0]))
        matches.vote(Vote(match=name, voter="v", source="owner", round=None, choice=0))
        matches.record(name, "judges", (result(name),), (opinion(name),))
    matches.change(Change(task="coding", before=(), after=("a",), why=""))
    matches.release(SECOND)
    matches.forget(SECOND)
    assert [one.match.id for one in matches.list()] == [FIRST]
    assert (matches.results(), matches.opinions()) == ((result(FIRST),), (opinion(FIRST),))
    assert (len(matches.events(FIRST)), len(matches.votes(FIRST)), len(matches.changes())) == (2, 1, 1)
    begin(matches, SECOND)  # its row has the number of the old one again
    assert (len(matches.events(SECOND)), matches.votes(SECOND)) == (1, ())


@pytest.mark.parametrize("size", [2, 8])
def test_many_threads_take_it_at_once(matches: Matches, size: int) -> None:
    """One holds it, and the others are told."""
    begin(matches)
    matches.release(FIRST)
    said: list[str] = []
    ready = threading.Barrier(size)

    def take() -> None:
        ready.wait(20)
        try:
            matches.hold(FIRST)
            said.append("")
        except InvalidRequest as error:
            said.append(error.message)

    threads = [threading.Thread(target=take) for _ in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(said) == ["", *["The match abcdefgh23 is going on in this process."] * (size - 1)]


def test_closing_lets_go(matches: Matches) -> None:
    """What it held can be taken at once, through itself, too."""
    begin(matches)
    matches.close()
    assert matches.find(FIRST).state == "cut off"
    matches.hold(FIRST)
    matches.append(FIRST, told(ALL[0]))


@pytest.mark.parametrize("url", ["postgres://x", "sqlite://relative"])
def test_where_matches_cannot_be_kept(url: str) -> None:
    """As the ledger itself."""
    with pytest.raises(ConfigError):
        open_matches(url)
