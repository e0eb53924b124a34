"""What a judge's answer means, what the panel makes of it, and what it takes from whom."""

from __future__ import annotations

import contextlib
import itertools
from random import Random
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from msgspec.structs import replace

from arena_scripts import events, favouring, match, verdict_text
from bytedeck.arena.events import Decided
from bytedeck.arena.judges import damage, judging, panel, ruling
from bytedeck.arena.types import Fighter, Look, Ruling, Scores, Verdict

TWO = match()
PLAIN, SWAPPED = Look(0, 0, False), Look(0, 0, True)
GOOD = verdict_text(TWO, {1: 1, 2: 2}, {1: 9, 2: 4})


def changed(*path: str, to: Any) -> str:
    """`GOOD` with one value changed; `to=...` takes it away."""
    told = msgspec.json.decode(GOOD)
    inner = told
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    if to is ...:
        del inner[path[-1]]
    return msgspec.json.encode(told).decode()


def test_a_verdict_is_on_fighters_whatever_was_shown() -> None:
    """Swapped: Side 1 is the last fighter, and the reason's sides are numbered as the fighters are."""
    plain, swapped = judging.read(GOOD, TWO, PLAIN), judging.read(GOOD, TWO, SWAPPED)
    high, low = Scores(9, 9, 9, 9), Scores(4, 4, 4, 4)
    assert plain == Verdict(places=(1, 2), scores=((high, low),) * 2, reason="Side 1 was heard first.")
    assert swapped == Verdict(places=(2, 1), scores=((low, high),) * 2, reason="Side 2 was heard first.")


@pytest.mark.parametrize(
    "text",
    [
        f"\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here is my verdict:\n\n```\n{GOOD}\n```\nBoth were good.",
        f"My verdict: {GOOD} - and that is that.",
        f"```json\n{GOOD}\n```\nonce more:\n```json\n{GOOD}\n```",
        changed("reason", to=...).replace("{", '{"further": [1], "reason": "Side 1 was heard first.", ', 1),
    ],
)
def test_what_is_read(text: str) -> None:
    """JSON alone, fenced, or among words."""
    assert judging.read(text, TWO, PLAIN) == judging.read(GOOD, TWO, PLAIN)


NONSENSE = [
    "",
    "I liked both.",
    "{}",
    "[]",
    "null",
    '"side_1"',
    "{" * 50_000,
    "```\n" + "\n" * 100_000,
    "```json" + " " * 100_000,
    GOOD[:-1],
    GOOD.replace("}", ""),
    changed("places", to=...),
    changed("places", "side_2", to=...),
    changed("places", "side_1", to=0),
    changed("places", "side_1", to=3),
    changed("places", "side_1", to="1"),
    changed("places", "side_1", to=True),
    changed("places", "side_1", to=1.0),
    changed("places", "side_1", to=1.5),
    changed("places", to=[1, 2]),
    changed("rounds", to=[]),
    changed("rounds", "round_2", to=...),
    changed("rounds", "round_1", "side_1", to=...),
    changed("rounds", "round_1", "side_1", "clarity", to=...),
    changed("rounds", "round_1", "side_1", "clarity", to=0),
    changed("rounds", "round_1", "side_1", "clarity", to=11),
    changed("rounds", "round_1", "side_1", "clarity", to=None),
    changed("rounds", "round_1", "side_1", "clarity", to=False),
    changed("rounds", "round_1", "side_1", "clarity", to="9"),
    GOOD.replace(":9", ":1e999", 1),
    GOOD.replace(":9", ":NaN", 1),
    f"```json\n{GOOD}\n```\nor rather\n```json\n{changed('places', 'side_1', to=2)}\n```",
    f"{GOOD}\n{changed('places', 'side_1', to=2)}",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense(text: str) -> None:
    """A value that is missing, of another kind or out of range, or two verdicts that differ: a sentence."""
    with pytest.raises(ValueError, match=r"^The answer holds .*\.$"):
        judging.read(text, TWO, PLAIN)


def test_equal_places_are_a_tie_whatever_their_number() -> None:
    """2 and 2 is 1 and 1."""
    assert judging.read(changed("places", "side_1", to=2), TWO, PLAIN).places == (1, 1)
    four = replace(match("a/x", "b/y", "c/z", "d/w"), seed=0)
    text = verdict_text(four, {1: 4, 2: 2, 3: 2, 4: 4}, dict.fromkeys((1, 2, 3, 4), 5))
    assert judging.read(text, four, PLAIN).places == (3, 1, 1, 3)
    assert judging.read(text, four, SWAPPED).places == (3, 1, 1, 3)


def test_reading_never_crashes() -> None:
    """Cut and changed at random, it is a verdict or a ValueError."""
    chance = Random(1)
    for _ in range(3_000):
        signs = list(GOOD)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(signs))
            signs[place : place + chance.randint(0, 3)] = chance.choice(
                ["", "{", "}", '"', "9", "-", "\ud800", "e9"]
            )
        with contextlib.suppress(ValueError):
            judging.read("".join(signs), TWO, PLAIN)


@pytest.mark.parametrize(
    "of", [TWO, match("a/x", "b/y", "c/z", "d/w", rounds=9), match(kind="battle"), match(turns="alternating")]
)
def test_the_schema_and_the_words_ask_for_the_same(of: Any) -> None:
    """What fits the schema is read, and what is said in words has its fields."""
    sides = range(1, len(of.fighters) + 1)
    text = verdict_text(of, dict.fromkeys(sides, 1), dict.fromkeys(sides, 7))
    schema = judging.schema(of)
    jsonschema_rs.validator_for(schema).validate(msgspec.json.decode(text))
    judging.read(text, of, PLAIN)
    form = msgspec.json.decode(judging.form(of).replace(": n", ": 7"))
    form["places"] = dict.fromkeys(form["places"], 1)
    jsonschema_rs.validator_for(schema).validate(form)
    assert not {"minimum", "maximum", "minItems"} & set(msgspec.json.encode(schema).decode().split('"'))


# the panel's decision


def verdict(*places: int) -> Verdict:
    return Verdict(places=places)


RULINGS = [
    ((1, 2), (1, 2), 1.0, 1.0, 1.0),
    ((2, 1), (2, 1), 0.0, 0.0, 0.0),
    ((1, 1), (1, 1), 0.5, 0.5, 0.5),
    ((1, 2), (2, 1), 1.0, 0.0, 0.5),  # the first side, wherever it stands
    ((1, 2), (1, 1), 1.0, 0.5, 0.5),
    ((1, 1), (2, 1), 0.5, 0.0, 0.5),
]


@pytest.mark.parametrize(("first", "second", "plain", "swapped", "score"), RULINGS)
def test_a_flip_is_a_tie(
    first: tuple[int, int], second: tuple[int, int], plain: float, swapped: float, score: float
) -> None:
    """What counts is what holds with the sides swapped, and the flip can be seen."""
    of = match(judges=("j/j",))
    (found,) = ruling.rulings(of, {PLAIN: verdict(*first), SWAPPED: verdict(*second)})
    assert (found.plain, found.swapped, found.score) == (plain, swapped, score)
    assert found.is_flip == (plain != swapped)


def test_who_prefers_the_last_speaker_is_a_tie() -> None:
    """Legs mirror the order: over both of them, nobody is preferred."""
    of = match(turns="alternating", judges=("j/j",))
    looks = {look: verdict(2, 1) if look.leg == 0 else verdict(1, 2) for look in ruling.looks(of)}
    (found,) = ruling.rulings(of, looks)
    assert (found.plain, found.swapped, found.score, found.is_flip) == (0.5, 0.5, 0.5, False)


def test_over_two_legs_a_winner_is_who_wins_both_ways() -> None:
    """One look of four that finds them equal makes neither a flip nor less of a win."""
    of = match(turns="alternating", judges=("j/j",))
    looks = {look: verdict(1, 2) for look in ruling.looks(of)} | {Look(0, 1, True): verdict(1, 1)}
    (found,) = ruling.rulings(of, looks)
    assert (found.plain, found.swapped, found.score, found.is_flip) == (1.0, 0.75, 1.0, False)
    (found,) = ruling.rulings(of, looks | {Look(0, 0, True): verdict(2, 1)})
    assert (found.plain, found.swapped, found.score, found.is_flip) == (1.0, 0.25, 0.5, True)


@pytest.mark.parametrize("models", [("a/x", "b/y", "c/z"), ("a/x", "b/y", "c/z", "d/w")], ids=len)
@pytest.mark.parametrize("prefers", [(1,), (2,), (3,), (1, 2), (2, 3)], ids=str)
def test_no_seat_among_many_is_preferred(models: tuple[str, ...], prefers: tuple[int, ...]) -> None:
    """Judges that like one number, or one number best and another next: over all seeds every fighter wins as often."""
    points = [0.0] * len(models)
    for seed in range(len(models)):
        of = replace(match(*models, judges=("j/one", "j/two", "j/three")), seed=seed)
        looks = {}
        for look in ruling.looks(of):
            order = judging.shown(of, look)
            rank = {order[side - 1]: place for place, side in enumerate(prefers, 1)}
            looks[look] = verdict(*(rank.get(place, 9) for place in range(len(models))))
        for first, second, score in ruling.decision(len(models), ruling.rulings(of, looks))[0]:
            points[first] += score
            points[second] += 1 - score
    assert len(set(points)) == 1


def test_plain_is_where_the_first_one_stands_first() -> None:
    """Also where a judge begins elsewhere: the audit tells by it who prefers what comes first."""
    of = replace(match("a/x", "b/y", "c/z", judges=("j/j",)), seed=1)
    looks = {}
    for look in ruling.looks(of):
        order = judging.shown(of, look)
        looks[look] = verdict(*(order.index(place) + 1 for place in range(3)))
    assert all((one.plain, one.swapped, one.is_flip) == (1.0, 0.0, True) for one in ruling.rulings(of, looks))


def test_a_judge_with_a_look_missing_says_nothing() -> None:
    assert ruling.rulings(match(judges=("j/j",)), {PLAIN: verdict(1, 2)}) == ()


def ruled(*scores: float, first: int = 0, second: int = 1) -> list[Ruling]:
    return [
        Ruling(judge=f"{n}/j", first=first, second=second, plain=score, swapped=score, score=score)
        for n, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("scores", "pair", "winner"),
    [
        ((1, 1, 0), 1.0, 0),
        ((0, 0, 1), 0.0, 1),
        ((1, 0.5, 0.5), 1.0, 0),
        ((1, 0, 0.5), 0.5, None),
        ((0.5, 0.5, 0.5), 0.5, None),
        ((0,), 0.0, 1),
    ],
)
def test_the_majority_decides(scores: tuple[float, ...], pair: float, winner: int | None) -> None:
    """More for than against; a tie counts for neither."""
    assert ruling.decision(2, ruled(*scores)) == (((0, 1, pair),), winner)


def test_a_circle_of_three_has_no_winner() -> None:
    """Each beats one; and one that beats both wins, also where the others tie."""
    circle = [*ruled(1), *ruled(1, first=1, second=2), *ruled(0, first=0, second=2)]
    assert ruling.decision(3, circle)[1] is None
    clear = [*ruled(0), *ruled(1, first=1, second=2), *ruled(0.5, first=0, second=2)]
    assert ruling.decision(3, clear)[1] == 1
    assert ruling.decision(2, []) == ((), None)


@pytest.mark.parametrize("prefers", [1, 2])
def test_a_judge_that_prefers_a_side_moves_nothing(prefers: int) -> None:
    """In a whole debate its rulings are flips, and the winner is the others'."""
    honest = favouring(1)

    def play(referee: Any, step: Any, call: Any) -> Any:
        if step.part.startswith("j0"):
            return verdict_text(referee.match, {prefers: 1, 3 - prefers: 2}, {prefers: 10, 3 - prefers: 1})
        return honest(referee, step, call)

    (decided,) = (one for one in events(match(), play) if isinstance(one, Decided))
    assert decided.winner == 1
    assert [one.is_flip for one in decided.rulings] == [True, False, False]


# the panel


POOL = ("~g/flash", "o/mini", "a/haiku", "o/other", "d/seek", "m/large")


@pytest.mark.parametrize(
    ("fighters", "count", "wanted"),
    [
        (("x/x", "y/y"), 3, ("~g/flash", "o/mini", "a/haiku")),
        (("~a/opus-latest", "o/big"), 3, ("~g/flash", "d/seek", "m/large")),
        (("g/pro", "~o/gpt"), 9, ("a/haiku", "d/seek", "m/large")),
        (("x/x", "y/y"), 0, ()),
    ],
)
def test_a_panel_is_of_other_families(fighters: tuple[str, ...], count: int, wanted: tuple[str, ...]) -> None:
    """One of each, in the pool's order; where there are fewer, that is said."""
    found = panel.panel(fighters, POOL, count)
    assert found == wanted
    assert bool(panel.shortage(found, count)) == (len(found) < count)


def test_kin_is_found() -> None:
    assert panel.kin(("a/x", "~b/y"), ("c/j", "b/j", "~a/j")) == ("b/j", "~a/j")
    assert panel.shortage((), 3).startswith("The pool has no judge of another family")
    assert panel.shortage((), 3, pool=("a/one",)) == panel.shortage((), 3)
    assert panel.shortage((), 3, pool=()).startswith("None of arena.judges can be asked here")
    assert panel.shortage((), 0, pool=()) == ""


# hit points


def scored(*rows: tuple[int, ...]) -> Verdict:
    return Verdict(
        places=(1,) * len(rows[0]), scores=tuple(tuple(Scores(n, n, n, n) for n in row) for row in rows)
    )


def test_hit_points() -> None:
    """A quarter of what a round can take for each point behind."""
    found = damage.health(TWO, [(PLAIN, scored((7, 6), (5, 9)))], [(0, 1, 0.0)])
    assert found == ((100, 88), (50, 88))
    assert damage.health(TWO, [(PLAIN, verdict(1, 2))]) == ()
    assert damage.health(TWO, []) == ()


def test_both_looks_and_all_judges_count_alike() -> None:
    """A judge that prefers a place takes nothing from anybody."""
    looks = [(PLAIN, scored((9, 1), (9, 1))), (SWAPPED, scored((1, 9), (1, 9)))]
    assert damage.health(TWO, looks) == ((100, 100), (100, 100))


def test_only_the_clearly_beaten_goes_down() -> None:
    """Four points behind in each round; and whoever lost to nobody keeps one."""
    of = match(rounds=3)
    clear = [(PLAIN, scored((9, 5), (9, 5), (9, 5)))]
    near = [(PLAIN, scored((9, 5), (9, 5), (9, 6)))]
    assert damage.health(of, clear, [(0, 1, 1.0)])[-1] == (100, 0)
    assert damage.health(of, clear, [(0, 1, 0.5)])[-1] == (100, 1)
    assert damage.health(of, near, [(0, 1, 1.0)])[-1] == (100, 9)


def test_damage_is_monotone() -> None:
    """Who is scored higher never has fewer hit points for it, and rounds only take."""
    for first, second in itertools.product(range(1, 10), range(1, 11)):
        lower = damage.health(TWO, [(PLAIN, scored((first, second), (5, 5)))])
        higher = damage.health(TWO, [(PLAIN, scored((first + 1, second), (5, 5)))])
        assert higher[-1][0] >= lower[-1][0]
        assert higher[-1][1] <= lower[-1][1]
        assert all(after <= before for before, after in zip(*lower, strict=True))


def test_legs_follow_each_other() -> None:
    of = replace(match(turns="alternating", rounds=1), fighters=(Fighter("a/x"), Fighter("b/y")))
    looks = [(Look(0, 0, False), scored((5, 7))), (Look(0, 1, False), scored((8, 5)))]
    assert damage.health(of, looks) == ((75, 100), (75, 63))
