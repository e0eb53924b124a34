"""What the ratings are worth, in simulated leagues.

    python bench/ratings.py [--leagues N] [--only speed,coverage,style,seats]

Prints four tables. `speed`: how long a fit with intervals takes. `coverage`: how often the 95 % intervals hold the truth.
`style`: what a judge that prefers the longer text moves, and what is left of it at equal style. `seats`: what judges that prefer
a seat move. Exits with 1 where a promise is broken. Every league has a seed of its own, so that the same numbers come out
each time, but for the times.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bytedeck.arena.ratings.rating import BASE, POINTS, Z95, fit
from leagues import LEANINGS, SEATED, TIES, league, name, panel, seated, slope, strengths

MOST_MS = 150.0
"""For 50 models and 20,000 battles, with intervals."""
COVERED = (0.92, 0.97)
FROM = 200
"""Battles from which on that holds."""
MOST_LEFT = 0.1
SIZES = ((2, 50), (10, 50), (2, 200), (6, 200), (10, 200), (20, 200), (10, 400), (20, 1_000), (50, 2_000))
"""Models and battles."""
ROUNDS = 7


def speed() -> Iterator[bool]:
    """The best and the median of some fits, CPU and wall time alike where nothing else runs."""
    print("models  battles  ties  style   best ms  median ms")
    for models, battles, share, style in (
        (20, 400, 0.1, False),
        (50, 20_000, 0.0, False),
        (50, 20_000, 0.2, False),
        (50, 100_000, 0.2, False),
        (50, 20_000, 0.2, True),
    ):
        rng = random.Random(1)
        truth = strengths(rng, models)
        if style:
            rows, _ = panel(rng, truth, [0.0] * models, battles, LEANINGS["the more, the longer it is"])
        else:
            rows = league(rng, truth, battles, TIES[share])
        took = []
        for _ in range(ROUNDS):
            begun = time.process_time()
            fit(rows, style=style)
            took.append(1000 * (time.process_time() - begun))
        took.sort()
        print(
            f"{models:6}  {battles:7}  {share:4.0%}  {'yes' if style else 'no':5}  {took[0]:8.1f}  {took[ROUNDS // 2]:9.1f}"
        )
        yield style or battles > 20_000 or took[ROUNDS // 2] <= MOST_MS


def coverage(leagues: int) -> Iterator[bool]:
    """How often the intervals of the points and those of the gaps hold the truth."""
    print("models  battles  fighters  ties   points    gaps   ± (standard error)")
    plain = [(*size, 2) for size in SIZES]
    for models, battles, fighters in (*plain, (10, 210, 3), (20, 600, 4)):
        for wanted, tie in TIES.items():
            rng = random.Random(f"{models} {battles} {fighters} {wanted}")
            points, gaps = [], []
            for _ in range(max(20, leagues * 10 // max(models, 10)) if models > 2 else 4 * leagues):
                truth = strengths(rng, models)
                one, two = _held(truth, battles, tie, fighters, rng)
                points.append(one)
                gaps.append(two)
            shares = sum(points) / len(points), sum(gaps) / len(gaps)
            error = sqrt(sum((each - shares[1]) ** 2 for each in gaps)) / len(gaps)
            print(
                f"{models:6}  {battles:7}  {fighters:8}  {wanted:4.0%}  {shares[0]:7.1%}  {shares[1]:6.1%}   {error:.1%}",
                flush=True,
            )
            yield battles < FROM or all(
                COVERED[0] - 2 * error <= each <= COVERED[1] + 2 * error for each in shares
            )


def _held(
    truth: list[float], battles: int, tie: float, fighters: int, rng: random.Random
) -> tuple[float, float]:
    """The share of models whose points, and of pairs whose gap is within its interval; of those that have fought."""
    found = fit(league(rng, truth, battles, tie, fighters))
    known = {one.model: one for one in found.strengths}
    there = [at for at in range(len(truth)) if name(at) in known]
    middle = sum(truth[at] for at in there) / len(there)
    points = [
        known[name(at)].low <= BASE + POINTS * (truth[at] - middle) <= known[name(at)].high for at in there
    ]
    gaps = []
    for one in there:
        for other in there[: there.index(one)]:
            gap, error = found.gap(name(one), name(other))
            gaps.append(abs(gap - (truth[one] - truth[other])) <= Z95 * error)
    return sum(points) / len(points), sum(gaps) / len(gaps)


def style(leagues: int) -> Iterator[bool]:
    """A panel of three of which one leans: the slope of the ratings' change on the models' verbosity, plain and at equal
    style, and their ratio, with the jackknife's standard error over leagues."""
    print(f"{'one judge of three prefers':30}  raw, points  at equal style   left  ± (standard error)")
    for wanted, leaning in LEANINGS.items():
        moves = []
        for seed in range(leagues):
            rng = random.Random(seed)
            verbosity = strengths(rng, 8, 0.3)
            fair, leaned = panel(rng, strengths(rng, 8), verbosity, 2_000, leaning)
            before, after, level = (
                {one.model: one.strength for one in each.strengths}
                for each in (fit(fair), fit(leaned), fit(leaned, style=True))
            )
            square = sum(each * each for each in verbosity)
            raw, left = (
                sum(each * (to[name(at)] - before[name(at)]) for at, each in enumerate(verbosity)) / square
                for to in (after, level)
            )
            moves.append((raw, left))
        raw, left = (sum(each) / len(moves) for each in zip(*moves, strict=True))
        error = sqrt(sum((b - a * left / raw) ** 2 for a, b in moves)) / len(moves) / raw
        # What a model whose texts are a third longer than usual gains.
        print(
            f"{wanted:30}  {0.3 * POINTS * raw:11.1f}  {0.3 * POINTS * left:14.1f}  {left / raw:5.1%}  {error:.1%}",
            flush=True,
        )
        yield abs(left / raw) <= MOST_LEFT


def seats(leagues: int) -> Iterator[bool]:
    """Judges that prefer a seat, where the same models always have it: by how much the ratings change for each seat further in
    front, in points with the standard error over leagues; and the same where they were asked once, in one leg."""
    print(f"{'judges prefer':20} of three  shift, points      asked once")
    for prefers in SEATED:
        for leaning in (1, 2):
            found = []
            for seed in range(leagues):
                rng = random.Random(seed)
                fair, leaned, once = seated(rng, strengths(rng, 6), 400, prefers, leaning=leaning)
                before = fit(fair)
                found.append([POINTS * slope(before, fit(rows), 6) for rows in (leaned, once)])
            both, single = zip(*found, strict=True)
            error = stdev(both) / sqrt(leagues)
            print(
                f"{prefers:20} {leaning:8}  {fmean(both):+6.2f} ± {error:4.2f}  {fmean(single):+14.1f}",
                flush=True,
            )
            yield abs(fmean(both)) <= Z95 * error


def main() -> int:
    parser = argparse.ArgumentParser(description="What the ratings are worth, in simulated leagues.")
    parser.add_argument("--leagues", type=int, default=100, help="of each kind (100)")
    parser.add_argument("--only", default="speed,coverage,style,seats", help="which tables")
    asked = parser.parse_args()
    tables = {
        "speed": speed,
        "coverage": lambda: coverage(asked.leagues),
        "style": lambda: style(asked.leagues),
        "seats": lambda: seats(asked.leagues),
    }
    kept = []
    for each in asked.only.split(","):
        print(f"\n{each}")
        kept.extend(tables[each]())
    print("\nevery promise is kept" if all(kept) else "\na promise is broken")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
