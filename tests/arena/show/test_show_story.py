"""A match's story: what it has come to after any number of its events."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

import shows
from bytedeck.arena.bill import Bill
from bytedeck.arena.events import CommentBegan, Decided, Ended, Event, Paused, Resumed, TurnBegan, Words
from bytedeck.arena.ratings.results import tallies
from bytedeck.arena.show import words
from bytedeck.arena.show.colours import PALETTE, colours
from bytedeck.arena.show.page import page
from bytedeck.arena.show.parts import Sum
from bytedeck.arena.show.story import Story, flipped, story
from bytedeck.arena.show.text import about, cleaned, one_line, span, when
from bytedeck.arena.show.transcript import markdown
from bytedeck.arena.types import End, Fighter, Match, Persona, Ruling, Turn, Vote


def test_the_eventful_match_has_every_kind_of_event() -> None:
    """What these tests tell of all kinds of events is told of all."""
    _, events = shows.eventful()
    assert {type(event) for event in events} == set(get_args(Event))


def test_a_story_can_be_heard_piece_by_piece() -> None:
    """Heard one by one, a turn grows by its words, and ends as what was said."""
    match, events = shows.whole()
    told, sizes = Story(match), []
    for event in events:
        told.hear(event)
        sizes.append(len(told.said["t0.0.0"].text))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 50
    assert [one.text for one in told.said.values()] == [shows.ARGUMENT] * 6
    assert told.comment.text.startswith("Both fought well.")
    assert told.is_over
    assert told.winner == 0


def test_lost_failed_and_erased_words_are_no_argument() -> None:
    """What a lost call, a broken answer and a failed turn had said is shown to nobody as an argument."""
    told = story(*shows.eventful())
    assert [(one.state, one.text) for one in told.said.values()] == [
        ("said", "Said anew."),
        ("said", "Half a word."),
        ("failed", ""),
        ("said", "The last word."),
    ]
    first, second, failed, _ = told.said.values()
    assert first.is_cut
    assert (second.is_void, second.note) == (True, "East spoke.")
    assert failed.note == "Lumen 4 is busy."


def test_erased_words_are_counted_in_characters() -> None:
    """Before the turn has ended, its text is what the watchers see."""
    match, events = shows.eventful()
    told = Story(match)
    seen = []
    for event in events:
        told.hear(event)
        seen.append(told.said["t0.0.1"].text)
    assert "Half a wrod" in seen
    assert seen.count("Half a word.") > 1  # by the words alone already, and by the end of the turn


def test_resumed_takes_back_what_was_lost() -> None:
    """A lost call's part waits again, with nothing said."""
    match, events = shows.eventful()
    told = story(match, events[:3])
    assert told.said["t0.0.0"].text == "This was lo"
    told.hear(events[3])
    assert (told.said["t0.0.0"].state, told.said["t0.0.0"].text) == ("waiting", "")


def test_everything_odd_is_in_the_log() -> None:
    """Flips, void and failed turns, judges left out, pauses and what became of the commentary are said in sentences."""
    log = [note.text for note in story(*shows.eventful()).log]
    assert log == [
        "It went on after 2 h; 1 call had been cut off and was made again.",
        "Skeptic: the opening rates nobody: East spoke.",
        "Paused: $0.001 of $0.01 spent, and what is next may cost up to $0.02.",
        "It went on after 30 s; it may cost $0.05 in all.",
        "Optimist: the closing could not be held: Lumen 4 is busy.",
        "Judge kepler/critic-2 gave no verdict and is asked once more: No verdict in it.",
        "Judge kepler/critic-2 is left out: No verdict in it.",
        "Judge juno/judge-large chose another side when they were swapped (Optimist or Skeptic): it counts as a tie.",
        "The commentator could not sum up: Nobody answered.",
        "A turn was void.",
    ]


def test_scores_health_and_tally() -> None:
    """Scores are means over both looks; hit points are told by round; a flip is no vote."""
    told = story(*shows.whole())
    assert told.scores(0)[0, 0] == (7.75, 6.5)
    assert told.scores(2)[0, 0] == (7.125, 7.125)
    assert told.health == (85, 43)
    assert [told.health_after(0, number) for number in range(4)] == [(95, 81), (90, 62), (85, 43), ()]
    assert told.tally() == ((2, 0), 1)
    assert [one.judge for one in told.flips] == ["lyra/arbiter"]
    assert words.verdict(told) == "Judges: Optimist 2, Skeptic 0, 1 tie."


def test_costs_come_from_the_bill_where_there_is_one() -> None:
    """Else from the events, where an unknown part makes a sum a lower bound."""
    told = story(*shows.eventful())
    assert told.costs().fighters == (Sum(91_000_007, True), Sum(91_000_000, False))
    assert told.costs().comment == Sum(0, False)
    bill = Bill(parts={"t0.0.0": 5, "t0.1.1": 7, "j0.0.p": 11, "j1.0.s.2": 13, "comment": 17}, total_units=53)
    found = told.costs(bill)
    assert [one.units for one in (*found.fighters, found.judges, found.comment, found.total)] == [
        5,
        7,
        24,
        17,
        53,
    ]
    assert words.costs(told, bill)[-1] == ("All together", "$0.000000000053")
    parts: dict[str, int | None] = {"t0.0.0": None, "t0.1.0": 7}
    lost = told.costs(Bill(parts=parts, known={"t0.0.0": 5, "t0.1.0": 7}, total_units=None))
    assert (lost.fighters[0], lost.total) == (Sum(12, False), Sum(12, False))


def test_outcomes_are_said() -> None:
    """At every moment of a match there is a word for how it stands."""
    match, events = shows.eventful()
    told, said = Story(match), []
    for event in events:
        told.hear(event)
        if (outcome := words.outcome(told)) not in said:
            said.append(outcome)
    assert said == ["Still going on", "Paused", "Optimist wins"]


@pytest.mark.parametrize(
    ("fighters", "labels"),
    [
        (shows.two(), ("Optimist", "Skeptic")),
        (shows.two("Same", "Same"), ("Same (A)", "Same (B)")),
        ((Fighter("a/b-1"), Fighter("c/d", name="Cee: Dee 4")), ("b-1", "Dee 4")),
        ((Fighter(""), Fighter("\u202e")), (" (A)", " (B)")),
    ],
)
def test_labels_differ(fighters: tuple[Fighter, ...], labels: tuple[str, ...]) -> None:
    """Whoever fights has a name that no other one has."""
    assert Story(shows.match_of(fighters)).labels == labels


def test_hidden_fighters_are_nowhere_named() -> None:
    """Before the vote no sentence of the story tells a model, not even one about its failure."""
    match, events = shows.eventful()
    why = msgspec.structs.replace(events[-1], why="north/lumen-4 (North: Lumen 4) was void beside Skeptic")
    told = story(match, (*events[:-1], why), hidden=True)
    text = " ".join(
        [*told.labels, words.outcome(told), words.verdict(told), *(note.text for note in told.log)]
    )
    text += " ".join(words.remark(one) for one in told.said.values())
    assert told.labels == ("A", "B")
    assert not [name for name in ("umen", "asalt", "Optimist", "Skeptic", "East") if name in text]


def test_votes_are_counted_apart() -> None:
    """The owner's and the spectators' are never mixed; whoever votes for nobody is not counted."""
    nobody = Vote(match="m", voter="x", source="owner", round=1, choice=7)
    found = tallies(shows.match_of(shows.two()), (*shows.votes(), nobody))
    assert [(one.source, one.round, one.counts, one.ties) for one in found] == [
        ("owner", None, (1, 0), 0),
        ("spectators", 0, (0, 2), 0),
        ("spectators", None, (2, 1), 1),
    ]


def test_colours_are_colours_and_differ() -> None:
    """What is no colour never reaches a style; nobody shares one."""
    wanted = ("red;}*{display:none}", PALETTE[0].upper(), PALETTE[0], "#abcdef")
    fighters = [Fighter("a/b", persona=Persona(name="x", colour=one)) for one in wanted]
    found = colours(fighters)
    assert len(set(found)) == 4
    assert all(len(one) == 7 and one.startswith("#") for one in found)
    assert found[1] == PALETTE[0]
    assert found[3] == "#abcdef"


@pytest.mark.parametrize("text", shows.HOSTILE)
def test_names_are_one_short_line(text: str) -> None:
    """Whatever is given as a name is a line that can be written and that turns no text around it."""
    line = one_line(text, 40)
    assert len(line) <= 40
    assert line.replace("\u200d", "").isprintable()
    assert line.encode()
    assert cleaned(text).encode()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (span(4.21), "4.2 s"),
        (span(185), "3 min 5 s"),
        (span(7800), "2 h 10 min"),
        (span(3 * 86400), "3 days"),
        (when(0), ""),
        (when(10**30), ""),
        (when(shows.START), "21 September 2026, 14:13 UTC"),
        (about(0), "$0"),
        (about(6_546_000_011), "$0.0065"),
        (about(10**6), "under $0.0001"),
        (about(123_400_000_000), "$0.1234"),
        (about(1_999 * 10**9), "$2.00"),
    ],
)
def test_numbers_for_people(told: str, expected: str) -> None:
    """Times and amounts are said as people say them."""
    assert told == expected


def test_in_turns_each_leg_has_its_order() -> None:
    """Held twice, the second leg's turns come in reversed order; whoever looks is told who speaks first."""
    match = shows.match_of(shows.two(), turns="alternating", rounds=4, judges=())
    told = Story(match)
    assert [one.turn.fighter for one in told.said.values()] == [0, 1] * 4 + [1, 0] * 4
    assert [words.order(told, one) for one in told.said.values()] == ["speaks first", "speaks second"] * 8
    assert words.round_name(told, 1, 2) == "Rebuttal 2, leg 2"
    assert "in turns, held twice" in words.facts(match)
    writer = shows.Writer(match)
    writer.turn(Turn(1, 0, 1), "opening", "Second leg.", is_void=True)
    assert "## Opening (leg 2)\n\n### Skeptic\n\n> Second leg." in markdown(match, writer.events)
    html = page(match, writer.events)
    assert "speaks first" in html
    assert html.index("speaks second") < html.index("speaks first")  # each keeps its column
    assert (
        story(match, writer.events).log[-1].text == "Skeptic: the opening of leg 2 rates nobody: it is void."
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("unjudged", "Not judged"),
        ("failed", "Nobody could go on"),
        ("stopped", "Stopped"),
        ("decided", "A tie"),
    ],
)
def test_ends_are_said(end: End, said: str) -> None:
    """However a match ends, there are words for it, on the page and in the transcript."""
    match = shows.match_of(shows.two(), rounds=1)
    writer = shows.Writer(match)
    if end == "decided":
        writer.write(Decided(rulings=(), score=((0, 1, 0.5),), winner=None))
    writer.write(Ended(end=end, is_rated=False, why="Why?"))
    told = story(match, writer.events)
    assert words.outcome(told) == said
    assert told.log[-1].text == "Why?"
    assert said in page(match, writer.events)
    assert f"**{said}**" in markdown(match, writer.events)


def test_a_battle_is_of_one_round() -> None:
    """It has one answer of each, no stances and no more rounds than it has."""
    fields = msgspec.structs.asdict(shows.match_of((Fighter("a/b"), Fighter("a/b")), rounds=3))
    match = Match(**{**fields, "kind": "battle", "task": ""})
    told = story(match)
    assert list(told.said) == ["t0.0.0", "t0.0.1"]
    assert [words.stance(told, place) for place in (0, 1)] == ["", ""]
    assert words.round_name(told, 0, 0) == "Answer"
    assert "a model meets itself: unrated" in words.facts(match)
    told.hear(Decided(rulings=(), score=(), winner=None, health=((90, 80),)))
    assert [told.health_after(0, number) for number in (0, 1)] == [(90, 80), ()]


def test_whoever_is_cut_off_begins_anew() -> None:
    """A commentator that was lost has said nothing, and a pause that no price bounds is said so."""
    match = shows.match_of(shows.two())
    told = story(match, [CommentBegan(model="m", request="c"), Words(part="comment", text="Half")])
    told.hear(Paused(spent_units=1, needed_units=None, budget_units=2))
    told.hear(TurnBegan(turn=Turn(0, 0, 0), phase="opening", request="r"))
    assert words.remark(told.said["t0.0.0"]) == "Still speaking …"
    assert "*Still speaking …*" in markdown(
        match, [TurnBegan(turn=Turn(0, 0, 0), phase="opening", request="r")]
    )
    told.hear(Words(part="nobody's", text="dropped"))
    told.hear(Resumed(lost=("c", "r", "unknown")))
    assert (told.comment.state, told.comment.text) == ("waiting", "")
    assert [note.text for note in told.log] == [
        "Paused: $0.000000000001 of $0.000000000002 spent, and no known price bounds what is next.",
        "It went on; 3 calls had been cut off and were made again.",
    ]


def test_a_doubt_is_no_flip_of_sides() -> None:
    """A judge that wavers without naming another winner is said to differ, not to have changed sides."""
    ruling = Ruling(judge="j", first=0, second=1, plain=1.0, swapped=0.5, score=0.5)
    assert flipped(ruling) == "did not say the same when the sides were swapped"


def test_more_than_two_are_told_by_pairs() -> None:
    """Of three, the verdict says how many pairs each has won."""
    fighters = (*shows.two(), Fighter("east/opal"))
    told = story(*shows.whole(shows.match_of(fighters)))
    assert words.verdict(told) == "Pairs won: Optimist 2, Skeptic 1, opal 0."
    assert [words.stance(told, place) for place in range(3)] == ["for it", "against it", "a view of its own"]
