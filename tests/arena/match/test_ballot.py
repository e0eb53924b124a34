"""What a person's vote means, and when there is something to vote about."""

from __future__ import annotations

import pytest

from bytedeck.arena.events import Event, RoundEnded
from bytedeck.arena.match.ballot import check, meant
from bytedeck.arena.types import Choice, Fighter, Match, Persona, Rules, Vote
from bytedeck.errors import InvalidRequest

FIGHTERS = (
    Fighter("a/x", rated="a/x-2", name="Acme: Ex", persona=Persona(name="The Sceptic")),
    Fighter("b/y", persona=Persona(name="-")),
    Fighter("c/z"),
)


def match(kind: str = "debate", turns: str = "simultaneous", owner: str = "") -> Match:
    rules = Rules(rounds=2, turns=turns)  # type: ignore[arg-type]
    return Match(id="abcdefgh23", kind=kind, topic="?", fighters=FIGHTERS, rules=rules, owner=owner)  # type: ignore[arg-type]


MEANT: list[tuple[str, Choice]] = [
    ("A", 0), (" b\n", 1), ("3", 2), ("the sceptic", 0), ("a/x", 0), ("a/x-2", 0), ("acme: ex", 0),
    ("TIE", None), ("draw", None), ("=", None),
]  # fmt: skip


@pytest.mark.parametrize(("said", "choice"), MEANT)
def test_who_is_meant(said: str, choice: Choice) -> None:
    """A letter, a number, a name of any kind, or a tie."""
    assert meant(match(), said) == choice


@pytest.mark.parametrize("said", ["", " ", "-", "_", "D", "4", "0", "-1", "nobody"])
def test_nobody_is_meant(said: str) -> None:
    """Nothing is none of them, also where a persona's name is nothing but a dash; the models are not told."""
    with pytest.raises(InvalidRequest, match="is none of the fighters") as caught:
        meant(match(), said)
    assert caught.value.hint == ("Vote for A (The Sceptic), B (-), C, or tie.",)


def test_several_are_meant() -> None:
    """A persona that is called as another one's letter."""
    of = Match(
        id="abcdefgh23", kind="debate", topic="?",
        fighters=(Fighter("a/x", persona=Persona(name="B")), Fighter("b/y")),
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match="could be several"):
        meant(of, "b")


def vote(round_: int | None = None, voter: str = "v", source: str = "spectators") -> Vote:
    return Vote(match="abcdefgh23", voter=voter, source=source, round=round_, choice=0)  # type: ignore[arg-type]


def ended(*rounds: tuple[int, int]) -> list[Event]:
    return [RoundEnded(leg=leg, round=number) for leg, number in rounds]


OPEN = [
    (match(), ended((0, 0)), vote(0)),
    (match(), ended((0, 0), (0, 1)), vote()),
    (match(turns="alternating"), ended((0, 0)), vote(0)),
    (match(turns="alternating"), ended((0, 0), (0, 1), (1, 0), (1, 1)), vote()),
    (match("battle"), ended((0, 0)), vote()),
    (match(owner="ann"), ended((0, 0), (0, 1)), vote(voter="ann", source="owner")),
]


@pytest.mark.parametrize(("of", "events", "cast"), OPEN, ids=range(len(OPEN)))
def test_what_all_have_spoken_in_may_be_voted_about(of: Match, events: list[Event], cast: Vote) -> None:
    """A round of the first leg, or the whole after the last one; and not before."""
    check(of, "", events, cast)
    check(of, "decided", (), cast)
    with pytest.raises(InvalidRequest, match="still going on"):
        check(of, "", events[:-1], cast)


CLOSED = [
    (match("battle"), "decided", vote(0), "no rounds"),
    (match(), "decided", vote(2), "no round 3"),
    (match(), "decided", vote(-1), "no round 0"),
    (match(), "failed", vote(), "could not be held"),
    (match(), "stopped", vote(), "could not be held"),
    (match(owner="ann"), "decided", vote(voter="bob", source="owner"), "Only who made a match"),
    (match(), "decided", vote(voter="x" * 201), "200 signs at most"),
]


@pytest.mark.parametrize(("of", "end", "cast", "why"), CLOSED, ids=[case[-1] for case in CLOSED])
def test_what_is_not_taken(of: Match, end: str, cast: Vote, why: str) -> None:
    """Votes on what there is not, by whom it is not, and of whom no name can be kept."""
    with pytest.raises(InvalidRequest, match=why):
        check(of, end, (), cast)  # type: ignore[arg-type]
