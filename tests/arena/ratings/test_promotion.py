"""When a change of a task's order is proposed: with evidence, where it is worth it, and not again and again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from bytedeck.arena.ratings.promotion import DAY, TERMS, Proposal, front, outlooks, propose
from bytedeck.arena.ratings.rating import fit
from bytedeck.arena.types import Change, Result

LIST = ("~a/latest", "b/one", "c/one")
RATED = {"~a/latest": "a/three"}
NOW = 10 * DAY
CHANGE = Change(
    task="coding", before=("b/one", "~a/latest", "c/one"), after=LIST, why="", number=1, at=NOW - 2 * DAY
)


def rows(
    first: str, second: str, wins: int, losses: int, ties: int = 0, at: int = NOW, **fields: object
) -> list[Result]:
    """Battles as they may have been, wins and losses in turn as long as there are both."""
    scores = [1.0, 0.0] * min(wins, losses) + [1.0] * (wins - losses) + [0.0] * (losses - wins) + [0.5] * ties
    plain = {"match": "", "task": "coding", "kind": "battle", "source": "judges", "at": at} | fields
    return [Result(first=first, second=second, score=score, **plain) for score in scores]  # type: ignore[arg-type]


def proposed(
    results: Sequence[Result], change: Change | None = None, now: int = NOW, **options: object
) -> Proposal | None:
    prices = {"a/three": 2_000_000, "b/one": 500_000, "c/one": None}
    return propose("coding", LIST, results, prices, change, now=now, rated=RATED, **options)  # type: ignore[arg-type]


def why_not(results: Sequence[Result], change: Change | None = None, now: int = NOW) -> str:
    told = outlooks("coding", LIST, results, change, now=now, rated=RATED)
    assert [each.model for each in told] == ["b/one", "c/one"]
    return told[0].hindrance


CLEAR = rows("b/one", "a/three", 70, 25, 5)


def test_a_clear_case() -> None:
    """The challenger comes first, the others stay as they were, and the sentence tells the record, p and the price."""
    told = proposed(CLEAR)
    assert told is not None
    assert (told.before, told.after) == (LIST, ("b/one", "~a/latest", "c/one"))
    assert (told.model, told.finding.challenger, told.finding.incumbent) == ("b/one", "b/one", "a/three")
    assert told.level_gap == pytest.approx(179, abs=5)
    assert told.why == (
        f"b/one is stronger: 100 battles against a/three (70 won, 25 lost, 5 tied), p = {told.finding.p:.2g}, where "
        f"{told.finding.allowed:.2g} or less is needed. A token of it costs 0.2 times as much."
    )


def test_its_evidence_is_kept_with_the_change() -> None:
    """All of it fits into a change, and comes back from JSON as it was."""
    told = proposed(CLEAR)
    assert told is not None
    change = Change(task="coding", before=told.before, after=told.after, why=told.why, evidence=told.evidence)
    back = msgspec.json.decode(msgspec.json.encode(change), type=Change)
    assert back == change
    assert (back.evidence["source"], back.evidence["wins"], back.evidence["challenger"]) == (
        "judges",
        70,
        "b/one",
    )
    assert back.evidence["p"] == told.finding.p


@pytest.mark.parametrize(
    "results",
    [
        rows("b/one", "a/three", 70, 25, 5, task="general"),
        rows("b/one", "a/three", 70, 25, 5, source="owner"),
        rows("d/other", "a/three", 100, 0),  # not of the list
        rows("b/one", "c/one", 100, 0),  # not against the first one
        rows("a/three", "b/one", 70, 25, 5),
        rows("b/one", "a/three", 49, 0),
        rows("b/one", "a/three", 30, 20),
        [],
    ],
    ids=["another task", "another source", "not listed", "others", "worse", "too few", "chance", "none"],
)
def test_no_evidence(results: list[Result]) -> None:
    """What is no evidence for this task, by this source, of a model of the list against its first one proposes nothing."""
    assert proposed(results) is None


def test_another_source_is_asked_for() -> None:
    """People's opinions count where they are asked for, and only theirs."""
    told = proposed(rows("b/one", "a/three", 70, 25, 5, source="owner"), source="owner")
    assert told is not None
    assert told.evidence["source"] == "owner"


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (
            rows("b/one", "a/three", 12, 2),
            "It has 14 of the 50 battles against a/three that a first look takes.",
        ),
        (
            rows("b/one", "a/three", 35, 25),
            "50 battles against a/three (25 won, 25 lost) are no evidence yet (p = 0.56, where 0.0077 or less is "
            "needed): the next look is at 100, and 60 are held.",
        ),
        (CLEAR, ""),
    ],
    ids=["too few", "not yet", "ready"],
)
def test_what_it_waits_for(results: list[Result], said: str) -> None:
    """A sentence tells the first thing that is missing; none is left where it may be promoted."""
    assert why_not(results) == said


def test_a_sure_but_tiny_gap_is_not_worth_a_change() -> None:
    """Twelve points are certain after so many battles, and still nobody would notice."""
    many = rows("b/one", "a/three", 27_000, 24_200)
    told = outlooks("coding", LIST, many, now=NOW, rated=RATED)[0]
    assert told.finding.holds
    assert "not worth a change" in told.hindrance
    assert proposed(many) is None
    assert proposed(many, terms=msgspec.structs.replace(TERMS, least_gap=5.0)) is not None


def test_longer_texts_are_no_merit() -> None:
    """Who wins only where its text is the longer one, and loses where not, is ahead by nothing at equal style."""
    longer = rows("b/one", "a/three", 65, 15, style=(0.5, 0.0, 0.0, 0.0))
    shorter = rows("b/one", "a/three", 4, 16, style=(-0.5, 0.0, 0.0, 0.0))
    results = shorter + longer
    assert outlooks("coding", LIST, results, now=NOW, rated=RATED)[0].finding.holds
    assert proposed(results) is None
    assert "at equal length and layout" in why_not(results)


def test_what_was_before_the_last_change_is_no_evidence() -> None:
    """A promotion is not taken back by the battles that led to it, nor an undone one done again by them."""
    old = rows("b/one", "a/three", 70, 25, 5, at=CHANGE.at)
    assert proposed(old, CHANGE) is None
    assert why_not(old + rows("b/one", "a/three", 3, 2), CHANGE).startswith("It has 5 of the 50")
    assert proposed(old + CLEAR, CHANGE) is not None


def test_there_is_a_pause_between_changes() -> None:
    """Evidence that is there sooner waits, and says so."""
    fresh = rows("b/one", "a/three", 70, 25, 5, at=CHANGE.at + 1)
    assert proposed(fresh, CHANGE, now=CHANGE.at + TERMS.pause - 1) is None
    assert (
        why_not(fresh, CHANGE, now=CHANGE.at + TERMS.pause - 1) == "The last change was too short a time ago."
    )
    assert proposed(fresh, CHANGE, now=CHANGE.at + TERMS.pause) is not None


def test_the_strongest_of_several_is_proposed() -> None:
    """Where two are better, the one with the larger gap comes first."""
    told = proposed(CLEAR + rows("c/one", "a/three", 85, 15))
    assert told is not None
    assert told.after == ("c/one", "~a/latest", "b/one")
    assert "costs" not in told.why


def test_two_entries_of_one_model_are_one() -> None:
    """An alias and its target do not challenge each other, and the first entry stands for both."""
    entries = ("~a/latest", "a/three", "~b/latest", "b/one")
    told = outlooks("coding", entries, CLEAR, now=NOW, rated=RATED | {"~b/latest": "b/one"})
    assert [each.model for each in told] == ["~b/latest"]
    assert outlooks("coding", (), CLEAR, now=NOW) == ()
    assert propose("coding", ("b/one",), CLEAR, {}, now=NOW) is None


def test_the_front_of_cost_and_strength() -> None:
    """On it is whom nobody beats in both; without a price nobody knows."""
    results = (
        rows("a", "b", 60, 40) + rows("b", "c", 60, 40) + rows("c", "d", 60, 40) + rows("d", "e", 60, 40)
    )
    prices = {"a": 900, "b": 300, "c": 400, "d": 100, "e": None}
    told = front(("e", "d", "c", "b", "a", "f"), {}, fit(results), prices)
    assert [(each.model, each.is_on_front) for each in told] == [
        ("a", True),
        ("b", True),
        ("c", False),
        ("d", True),
        ("e", False),
    ]
    assert all(each.low < each.points < each.high for each in told)
    alike = front(("a", "b"), {}, fit(results), {"a": 300, "b": 300})
    assert [each.is_on_front for each in alike] == [True, False]
    told_by_alias = proposed(CLEAR)
    assert told_by_alias is not None
    assert [(each.model, each.price_units, each.is_on_front) for each in told_by_alias.front] == [
        ("b/one", 500_000, True),
        ("~a/latest", 2_000_000, False),
    ]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (2_000_000, "costs as much"),
        (3_000_000, "1.5 times as much"),
        (100_000, "0.05 times as much"),
        (None, ""),
    ],
)
def test_the_price_beside_it(own: int | None, said: str) -> None:
    """How many times as much a token costs stands in the sentence, where both prices are known."""
    told = propose("coding", LIST, CLEAR, {"a/three": 2_000_000, "b/one": own}, now=NOW, rated=RATED)
    assert told is not None
    assert said in told.why
    assert ("costs" in told.why) is bool(said)
