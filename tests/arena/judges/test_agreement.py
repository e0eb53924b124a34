"""The audit of the judges: whoever leans is told, whoever does not is not."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from bytedeck.arena.judges.agreement import Audit, Judge, audit
from bytedeck.arena.judges.kappa import Judged, kappa, share
from bytedeck.arena.types import Opinion, Result
from leagues import outcome, row


def opinion(
    match: str,
    judge: str,
    plain: float,
    swapped: float,
    first: str = "a",
    second: str = "b",
    lead: float = 0.0,
) -> Opinion:
    return Opinion(
        match=match,
        task="t",
        judge=judge,
        first=first,
        second=second,
        plain=plain,
        swapped=swapped,
        first_style=(lead, 0.0, 0.0, 0.0) if lead else (),
    )


def pairs(counts: dict[Judged, int]) -> dict[str, list[Judged]]:
    """A match of its own for each pair."""
    flat = [at for at, count in counts.items() for _ in range(count)]
    return {str(number): [at] for number, at in enumerate(flat)}


TABLES = [
    # Cohen's (1960) kappa, which two grades alone come to: (20 + 15 of 50: 0.7 found, 0.5 by chance).
    ({(1.0, 1.0): 20, (1.0, 0.0): 5, (0.0, 1.0): 10, (0.0, 0.0): 15}, 0.4),
    # Linear weights: found are 5·1 + 10·½ of 60, 1/6; chance gives 4/9 with margins of a third each, nearly as here.
    ({(1.0, 1.0): 15, (0.5, 0.5): 15, (0.0, 0.0): 15, (1.0, 0.5): 5, (0.5, 0.0): 5, (0.0, 1.0): 5}, 0.625),
    ({(1.0, 1.0): 10, (0.0, 0.0): 10}, 1.0),
    ({(1.0, 0.0): 10, (0.0, 1.0): 10}, -1.0),
    ({(1.0, 1.0): 9, (1.0, 0.0): 3, (0.0, 1.0): 3, (0.0, 0.0): 1}, 0.0),
]


@pytest.mark.parametrize(("counts", "expected"), TABLES)
def test_kappa(counts: dict[Judged, int], expected: float) -> None:
    """The agreement beyond chance, a tie being halfway, with an interval around it that has a width."""
    found = kappa(pairs(counts))
    assert found is not None
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high
    assert found.high - found.low > 0.05
    assert -1 <= found.low < found.high <= 1
    assert found.count == sum(counts.values())
    assert found.same == pytest.approx(sum(n for (a, b), n in counts.items() if a == b) / found.count)


def test_no_kappa_where_nothing_is_to_agree_on() -> None:
    """Nothing judged by both, or one answer to everything, is no agreement that could be told from chance."""
    assert kappa({}) is None
    assert kappa(pairs({(1.0, 1.0): 7})) is None


def test_the_interval_of_kappa_holds() -> None:
    """The interval holds the kappa of endlessly many matches about as often as it says, from fifty matches on."""
    cells: list[Judged] = [(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)]
    chances = [0.3, 0.05, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.3]
    truth = kappa(pairs({at: round(1000 * chance) for at, chance in zip(cells, chances, strict=True)}))
    assert truth is not None
    rng = random.Random(1)
    held = 0
    for _ in range(300):
        found = kappa({str(at): [each] for at, each in enumerate(rng.choices(cells, chances, k=50))})
        held += found is not None and found.low <= truth.value <= found.high
    assert 0.92 <= held / 300 <= 0.98


def test_what_hangs_together_is_no_evidence() -> None:
    """Ten equal pairs in each match say no more than one: the interval goes by matches."""
    rng = random.Random(2)
    single = {str(at): [(rng.choice([0.0, 1.0]), rng.choice([0.0, 1.0]))] for at in range(40)}
    one, ten = kappa(single), kappa({match: found * 10 for match, found in single.items()})
    assert one is not None
    assert ten is not None
    assert ten.value == pytest.approx(one.value)
    assert (ten.low, ten.high) == (pytest.approx(one.low), pytest.approx(one.high))


@pytest.mark.parametrize(("value", "count"), [(0.0, 1), (1.0, 20), (0.5, 200), (0.0, 500)])
def test_a_share_of_like_ones_has_a_width(value: float, count: int) -> None:
    """Where all are alike the interval is still no point, and it shrinks with the count."""
    found = share({str(at): [value] for at in range(count)})
    assert found.value == value
    assert found.low <= value <= found.high
    assert 0 < found.high - found.low < 4 / count**0.5 + 0.01


Leaning = Callable[[float, float, random.Random], tuple[float, float]]
"""From the gap and the first one's lead in length: what a judge says in the plain look and in the swapped one."""


def honest(gap: float, lead: float, rng: random.Random) -> tuple[float, float]:
    score = outcome(2 * gap, 0.4, rng.random())
    return (score, score) if rng.random() > 0.05 else (score, 1 - score)


JUDGES: dict[str, tuple[Leaning, str]] = {
    "honest": (honest, ""),
    "first": (lambda gap, lead, rng: (1.0, 0.0), "shown first"),
    "last": (lambda gap, lead, rng: (0.0, 1.0), "shown last"),
    "long": (lambda gap, lead, rng: (float(lead > 0),) * 2, "longer text"),
    "dice": (lambda gap, lead, rng: (float(rng.random() < 0.5),) * 2, "hardly agrees with the other judges"),
    "flipper": (lambda gap, lead, rng: (s := float(rng.random() < 0.5), 1 - s), "changes its mind"),
}


def panel(faulty: str, matches: int = 150, seed: int = 1) -> tuple[Judge, Audit]:
    """Two honest judges and one, on the same matches; people see what is there with some noise."""
    rng = random.Random(seed)
    told: list[Opinion] = []
    people: list[Result] = []
    for at in range(matches):
        gap, lead = rng.gauss(0, 1.5), rng.choice([-0.3, -0.1, 0.1, 0.3])
        for judge, leaning in (("x", honest), ("y", honest), ("z " + faulty, JUDGES[faulty][0])):
            plain, swapped = leaning(gap, lead, rng)
            told.append(opinion(str(at), judge, plain, swapped, lead=lead))
        people.append(row("b", "a", 1 - outcome(2 * gap, 0.2, rng.random()), str(at), source="spectators"))
    found = audit(told, people)
    return found.judges[-1], found


@pytest.mark.parametrize("faulty", JUDGES)
def test_a_leaning_is_told(faulty: str) -> None:
    """Each fault is told of the judge that has it, in a sentence, and of the honest ones none."""
    judge, found = panel(faulty)
    note = JUDGES[faulty][1]
    assert judge.judge == "z " + faulty
    assert any(note in said for said in judge.notes) if note else not judge.notes
    assert not found.judges[0].notes
    assert not found.judges[1].notes


def test_honest_judges_are_not_accused() -> None:
    """Of many panels of honest judges few are said to lean: an interval of 95 % errs one time in twenty on each."""
    accused = sum(len(panel("honest", 60, seed)[0].notes) for seed in range(40))
    assert accused <= 6


def test_the_figures_of_a_judge() -> None:
    """Counts by hand: a flip, a tie, a clear one, the sides in either order of names."""
    found = audit(
        [
            opinion("1", "j", 1, 0, lead=0.2),  # a flip towards the first side
            opinion("2", "j", 0.5, 0.5, lead=0.2),  # a tie
            opinion("3", "j", 1, 1, "b", "a", lead=-0.2),  # b wins, and is the shorter one
            opinion("4", "j", 0, 0, lead=0.0),  # b wins; none is longer
            opinion("1", "k", 1, 1, lead=0.2),
            opinion("2", "k", 1, 1, lead=0.2),
            opinion("3", "k", 0, 0, lead=0.2),
            opinion("3", "k", 0.75, 0.75, "c", "a"),
            opinion("4", "k", 1, 1, "a", "a"),  # a model against itself says nothing
        ],
        [
            row("b", "a", 1, "3", source="owner"),
            row("a", "b", 1, "3", source="spectators"),
            row("a", "b", 0, "4"),
        ],
    )
    j, k = found.judges
    assert (j.matches, j.pairs, k.matches, k.pairs) == (4, 4, 3, 4)
    assert j.flips.value == 0.25
    assert j.ties.value == 0.25
    assert j.first_side.value == pytest.approx((1 + 0.5 + 0.5 + 0.5) / 4)
    assert j.longer is not None
    assert j.longer.value == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert j.longer_of_others == pytest.approx((1 + 1 + 0) / 3)
    assert j.others is not None
    assert j.others.count == 3
    assert [(two.judge, two.other, two.kappa.count) for two in found.between] == [("j", "k", 3)]
    assert found.panel is not None
    assert found.panel.count == 3
    assert j.people is not None
    assert (j.people.count, j.people.value) == (1, 0)  # people tie there, and rows of judges are no people
    assert found.matches == 4


def test_agreement_does_not_hang_on_who_stands_first() -> None:
    """The same opinions with first and second exchanged give the same audit."""
    rng = random.Random(3)
    told = []
    for at in range(60):
        for judge in "jkl":
            told.append(
                opinion(
                    str(at), judge, rng.choice([0, 0.5, 1]), rng.choice([0, 0.5, 1]), lead=rng.uniform(-1, 1)
                )
            )
    # The plain look of the one is the swapped look of the other: its first side is the other's second one.
    turned = [
        opinion(o.match, o.judge, 1 - o.swapped, 1 - o.plain, o.second, o.first, -o.first_style[0])
        for o in told
    ]
    assert audit(turned) == audit(told)


def test_an_empty_audit() -> None:
    """No opinions, or a judge alone, is an audit with what is known, and it can be written as JSON."""
    assert audit([]) == Audit()
    alone = audit([opinion("1", "j", 1, 1)])
    assert (alone.judges[0].others, alone.panel, alone.people) == (None, None, None)
    assert msgspec.json.decode(msgspec.json.encode(alone), type=Audit) == alone
