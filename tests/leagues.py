"""Simulated leagues: models of known strength, battles by Davidson's model, judges with and without a fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import combinations
from math import exp

from bytedeck.arena.judges import judging, ruling
from bytedeck.arena.match import schedule
from bytedeck.arena.ratings.rating import Fit
from bytedeck.arena.types import Fighter, Look, Match, Result, Rules, Source, Verdict

TIES = {0.0: 0.0, 0.1: 0.23, 0.2: 0.53}
"""By how many battles end in a tie: Davidson's ν, for strengths from N(0, 0.6²)."""
WORDS = 300
"""A text of usual length."""


def row(
    first: str,
    second: str,
    score: float,
    match: str = "",
    style: Sequence[float] = (),
    source: Source = "judges",
) -> Result:
    """A result; with match "" a match of its own."""
    return Result(
        match=match,
        task="t",
        kind="battle",
        source=source,
        first=first,
        second=second,
        score=score,
        style=tuple(style),
    )


def name(at: int) -> str:
    return f"m{at:02}"


def outcome(gap: float, tie: float, draw: float) -> float:
    """A battle's score, by Davidson's model: `draw` is even from 0 to 1."""
    up, down = exp(gap / 2), exp(-gap / 2)
    at = draw * (up + down + tie)
    return 1.0 if at < up else 0.0 if at < up + down else 0.5


def strengths(rng: random.Random, models: int, spread: float = 0.6) -> list[float]:
    """Log-odds with the mean 0."""
    drawn = [rng.gauss(0, spread) for _ in range(models)]
    return [each - sum(drawn) / models for each in drawn]


def league(
    rng: random.Random, truth: Sequence[float], battles: int, tie: float = 0.0, fighters: int = 2
) -> list[Result]:
    """Battles of models drawn evenly; matches of three fighters or more give every pair of them."""
    made: list[Result] = []
    for match in range(battles // (fighters * (fighters - 1) // 2)):
        for one, other in combinations(rng.sample(range(len(truth)), fighters), 2):
            score = outcome(truth[one] - truth[other], tie, rng.random())
            made.append(row(name(one), name(other), score, match=str(match)))
    return made


Leaning = Callable[[float, float, float], float]
"""A judge with a fault: the gap, the first text's lead in length (−1 to 1) and a draw to the score."""

LEANINGS: dict[str, Leaning] = {
    "the longer text, always": lambda _, x, __: 0.5 if x == 0 else float(x > 0),
    "the longer text, from 10 % on": lambda _, x, __: 0.5 if abs(x) < 0.05 else float(x > 0),
    "the more, the longer it is": lambda gap, x, draw: outcome(gap + 4 * x, 0.3, draw),
}


def panel(
    rng: random.Random, truth: Sequence[float], verbosity: Sequence[float], battles: int, leaning: Leaning
) -> tuple[list[Result], list[Result]]:
    """The same battles twice, by the majority of three: of fair judges, and with the first one replaced by one with a fault.

    `verbosity`: ln of how much longer a model's texts are than usual; each text is longer or shorter by itself besides.
    """
    fair, leaned = [], []
    for _ in range(battles):
        one, other = rng.sample(range(len(truth)), 2)
        gap = truth[one] - truth[other]
        first, second = (round(WORDS * exp(verbosity[at] + rng.gauss(0, 0.4))) for at in (one, other))
        lead = (first - second) / (first + second)
        draws = [rng.random() for _ in range(3)]
        scores = [outcome(gap, 0.3, draw) for draw in draws]
        for made, opinions in ((fair, scores), (leaned, [leaning(gap, lead, draws[0]), *scores[1:]])):
            mean = sum(opinions) / 3
            score = 0.5 if mean == 0.5 else float(mean > 0.5)
            made.append(row(name(one), name(other), score, style=(lead,)))
    return fair, leaned


SEATED = ("the first side", "the last speaker")
"""What a judge may prefer that has nothing to do with the arguments."""


def seated(
    rng: random.Random, truth: Sequence[float], battles: int, prefers: str, *, leaning: int = 1
) -> tuple[list[Result], list[Result], list[Result]]:
    """Debates before three judges, of whom so many prefer a seat: (judged by fair ones, by these, and by these asked once, in one leg).

    The first model always sits before the others, the second before all but the first, and so on: nothing evens it out.
    """
    fair, leaned, once = [], [], []
    for _ in range(battles):
        first, second = sorted(rng.sample(range(len(truth)), 2))
        match = Match(
            id="abcdefghij",
            kind="debate",
            topic="t",
            fighters=(Fighter(name(first)), Fighter(name(second))),
            rules=Rules(
                rounds=1,
                turns="alternating" if prefers == "the last speaker" else "simultaneous",
                judges=("j/0", "j/1", "j/2"),
            ),
        )
        opinions = [outcome(truth[first] - truth[second], 0.3, rng.random()) for _ in match.rules.judges]
        said = {
            look: opinions[look.judge] if look.judge >= leaning else _by_seat(match, look, prefers)
            for look in ruling.looks(match)
        }
        asked_once = {look: said[Look(look.judge, 0, False)] for look in said}
        opined = {look: opinions[look.judge] for look in said}
        for rows, scores in ((fair, opined), (leaned, said), (once, asked_once)):
            verdicts = {look: Verdict(places=PLACES[score]) for look, score in scores.items()}
            ((_, _, score),), _ = ruling.decision(2, ruling.rulings(match, verdicts))
            rows.append(row(name(first), name(second), score))
    return fair, leaned, once


PLACES = {1.0: (1, 2), 0.0: (2, 1), 0.5: (1, 1)}
"""A score for the first fighter → the places."""


def _by_seat(match: Match, look: Look, prefers: str) -> float:
    if prefers == "the last speaker":
        return float(schedule.rounds(match)[look.leg].turns[-1].fighter == 0)
    return float(judging.shown(match, look)[0] == 0)


def slope(before: Fit, after: Fit, models: int) -> float:
    """By how many log-odds the ratings have changed for each seat further in front."""
    seats = [(models - 1) / 2 - at for at in range(models)]
    change = [
        after.strengths[after.places[name(at)]].strength - before.strengths[before.places[name(at)]].strength
        for at in range(models)
    ]
    return sum(seat * each for seat, each in zip(seats, change, strict=True)) / sum(each**2 for each in seats)
