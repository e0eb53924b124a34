"""What active pairing and the test behind a promotion are worth, in simulated leagues: scripts/arena-simulation

    scripts/arena-simulation [--runs N] [--leagues N] [--jobs N] [--only pairing,false,power]

Prints three tables. `pairing`: how often the best of 20 models is found after 400 battles. `false`: how often a league of equal
models promotes one. `power`: how often a challenger that is better is found out. Exits with 1 where a promise is broken. Every
run has a seed of its own, so the same numbers come out each time.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import exp, sqrt
from statistics import NormalDist, fmean
from typing import NamedTuple

from bytedeck.arena.ratings.evidence import ALPHA, findings, looks_until
from bytedeck.arena.ratings.pairing import next_pairs
from bytedeck.arena.ratings.rating import POINTS, fit
from bytedeck.arena.types import Result

MODELS = 20
BATTLES = 400
SPREAD = 0.75
"""Strengths are drawn from N(0, 0.75²) in log-odds, 130 points: with it random pairing finds the best one in 57 % of runs."""
EVEN = 0.3
"""The other world: evenly spaced strengths, 52 points from one to the next."""
AT_ONCE = 2
"""Battles that a tournament holds at once."""
EQUALS = 4
PROMISE = 0.05
"""Of leagues of equals that may promote anybody."""
"""Models of a league of equals; three of them are challengers."""
LEAGUE = 600
"""Battles of such a league."""
STEP = 10
"""So many are chosen at once there, and after them the test is looked at."""
GAPS = (50, 100, 200)
"""In points."""
ROW = 800
"""Battles of a challenger against the incumbent in a row, for the power."""
TIES = (0.0, 0.15)
"""Shares of ties between equals."""
_SURE = 0.95


class World:
    """Models that fight each other, and all that came of it. `ties`: how many battles of equals end in one."""

    def __init__(self, strengths: Sequence[float], ties: float, chance: random.Random) -> None:
        self.strengths = strengths
        self.models = tuple(f"m{at:02}" for at in range(len(strengths)))
        self.places = {model: at for at, model in enumerate(self.models)}
        self.nu = 2 * ties / (1 - ties)  # Davidson's: equals tie with ν / (2 + ν)
        self.chance = chance
        self.results: list[Result] = []

    def battle(self, first: str, second: str) -> None:
        """One battle by Davidson's model."""
        gap = self.strengths[self.places[first]] - self.strengths[self.places[second]]
        won, lost = exp(gap / 2), exp(-gap / 2)
        thrown = self.chance.random() * (won + lost + self.nu)
        score = 1.0 if thrown < won else 0.0 if thrown < won + lost else 0.5
        at = len(self.results)
        self.results.append(
            Result(
                match="",
                task="t",
                kind="battle",
                source="judges",
                first=first,
                second=second,
                score=score,
                at=at,
            )
        )

    def pair(self, how: str, count: int) -> list[tuple[str, str]]:
        """The next battles: `random`, `active`, or `incumbent`: the first model against challengers."""
        if how == "random":
            return [tuple(self.chance.sample(self.models, 2)) for _ in range(count)]
        incumbent = self.models[0] if how == "incumbent" else ""
        chosen = next_pairs(self.results, self.models, count, self.chance.random, incumbent=incumbent)
        return [(each.first, each.second) for each in chosen]

    def hold(self, how: str, count: int) -> None:
        for first, second in self.pair(how, count):
            self.battle(first, second)


class Found(NamedTuple):
    """What a tournament came to."""

    is_best: bool
    in_order: float
    """The share of pairs that the ratings put in the right order."""
    seconds: float
    """Of the processor, for one choice."""


def tournament(asked: tuple[str, str, float, int]) -> Found:
    """Twenty models, four hundred battles."""
    how, spacing, ties, seed = asked
    chance = random.Random(seed)
    strengths = [chance.gauss(0, SPREAD) for _ in range(MODELS)]
    if spacing == "even":
        strengths = chance.sample([EVEN * at for at in range(MODELS)], MODELS)
    world = World(strengths, ties, chance)
    begun = time.process_time()
    while len(world.results) < BATTLES:
        world.hold(how, AT_ONCE)
    seconds = (time.process_time() - begun) / BATTLES
    ratings = fit(world.results)
    rated = [strength.strength if (strength := ratings.find(model)) else -9.0 for model in world.models]
    pairs = [(a, b) for a in range(MODELS) for b in range(a)]
    right = sum((rated[a] - rated[b]) * (world.strengths[a] - world.strengths[b]) > 0 for a, b in pairs)
    best = max(range(MODELS), key=world.strengths.__getitem__)
    return Found(best == max(range(MODELS), key=rated.__getitem__), right / len(pairs), seconds)


class League(NamedTuple):
    """What a league of equals came to."""

    promoted: bool
    """By the test, at any time."""
    watched: bool
    """By P(better) ≥ 0.95 of any challenger, looked at after every battle from its fifth on."""
    by_fit: bool
    """By the gap of a fit to all battles, at looks at their number, with the same error to spend."""
    gap: float
    """How much stronger the best of the challengers seems than the incumbent at the end, by that fit, in points."""


def league(asked: tuple[str, float, int]) -> League:
    """Models that are all equal; the first one is the incumbent."""
    how, ties, seed = asked
    world = World([0.0] * EQUALS, ties, random.Random(seed))
    incumbent, *challengers = world.models
    promoted = by_fit = False
    looked = 0
    while len(world.results) < LEAGUE:
        world.hold(how, STEP)
        promoted = promoted or any(each.holds for each in findings(world.results, incumbent, challengers))
        looks = looks_until(len(world.results))
        if len(looks) > looked:
            looked = len(looks)
            by_fit = by_fit or fitted(world, incumbent, challengers, ALPHA / len(challengers) / 2**looked)
    ratings = fit(world.results)
    gap = max(POINTS * ratings.gap(each, incumbent)[0] for each in challengers)
    return League(promoted, watched(world.results, incumbent, challengers), by_fit, gap)


def fitted(world: World, incumbent: str, challengers: Iterable[str], allowed: float) -> bool:
    """Whether a fit to all battles has a challenger ahead by so little a chance."""
    ratings = fit(world.results)
    for each in challengers:
        if ratings.find(each) and ratings.find(incumbent):
            gap, error = ratings.gap(each, incumbent)
            if gap > 0 and NormalDist().cdf(-gap / error) <= allowed:
                return True
    return False


def watched(results: Iterable[Result], incumbent: str, challengers: Iterable[str], least: int = 5) -> bool:
    """Whether P(better) was ever 0.95 for one of them, by their battles against each other and a normal approximation."""
    sure = NormalDist().inv_cdf(_SURE)
    scores = {each: [0, 0] for each in challengers}
    for result in results:
        if incumbent not in (result.first, result.second) or result.score == 0.5:
            continue
        is_first = result.first == incumbent
        row = scores[result.second if is_first else result.first]
        row[0] += (result.score < 0.5) == is_first
        row[1] += 1
        wins, battles = row
        if battles >= least and 2 * wins - battles >= sure * sqrt(battles):
            return True
    return False


def power(asked: tuple[int, int, float, int]) -> int:
    """At which look a challenger that is better by so many points is found out; 0: at none. The others are never tried."""
    points, challengers, ties, seed = asked
    world = World([0.0, points / POINTS, *([0.0] * (challengers - 1))], ties, random.Random(seed))
    for look in looks_until(ROW):
        while len(world.results) < look:
            world.battle(*world.models[:2])
        if findings(world.results, world.models[0], world.models[1:])[0].holds:
            return look
    return 0


def league_power(asked: tuple[int, str, int]) -> tuple[int, bool]:
    """After how many battles of a whole league something is promoted, and whether it is the best; 0: not at all."""
    points, how, seed = asked
    world = World([0.0, points / POINTS, *([0.0] * (EQUALS - 2))], TIES[1], random.Random(seed))
    while len(world.results) < LEAGUE:
        world.hold(how, STEP)
        for each in findings(world.results, world.models[0], world.models[1:]):
            if each.holds:
                return len(world.results), each.challenger == world.models[1]
    return 0, False


def interval(rows: Sequence[bool]) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    n, p, z = len(rows), fmean(rows), 1.96
    middle, reach = p + z * z / 2 / n, z * sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return (middle - reach) / (1 + z * z / n), (middle + reach) / (1 + z * z / n)


def share(values: Iterable[bool]) -> str:
    """A share with its interval."""
    rows = list(values)
    low, high = interval(rows)
    return f"{fmean(rows):6.1%}  ({low:.1%} to {high:.1%})"


def say(*columns: object) -> None:
    print("  ".join(f"{column!s:<26}" for column in columns).rstrip(), flush=True)


def tell_pairing(each: Callable, runs: int) -> bool:
    """Prints the table; whether the promise is kept."""
    kept = True
    print(f"\nThe best of {MODELS} models at {BATTLES} battles, {AT_ONCE} at once; {runs} runs and more")
    say("strengths", "pairing", "ties", "best found", "pairs in order", "ms a choice")
    spacings = {"normal": f"N(0, {SPREAD}²)", "even": f"{EVEN} apart"}
    for spacing, ties, part in (("normal", 0.0, 1.0), ("normal", 0.15, 0.5), ("even", 0.0, 0.25)):
        for how, many in (("random", 10), ("active", 1)):
            count = int(runs * part) * many
            found = list(each(tournament, [(how, spacing, ties, seed) for seed in range(count)]))
            best, order = share(one.is_best for one in found), fmean(one.in_order for one in found)
            ms = 1000 * fmean(one.seconds for one in found)
            say(spacings[spacing], how, f"{ties:.0%}", best, f"{order:.1%}", f"{ms:.2f}")
            if how == "active" and not ties:
                kept = kept and fmean(one.is_best for one in found) >= 0.8
    return kept


def tell_false(each: Callable, leagues: int) -> bool:
    kept = True
    print(
        f"\nLeagues of {EQUALS} equal models, {LEAGUE} battles: a challenger is promoted at some time; {leagues} leagues"
    )
    say(
        "pairing",
        "ties",
        "the test",
        "P(better) ≥ 0.95 watched",
        "the fit's gap at looks",
        "best challenger's gap",
    )
    for how in ("random", "active", "incumbent"):
        for ties in TIES:
            found = list(each(league, [(how, ties, seed) for seed in range(leagues)]))
            columns = [
                share(getattr(one, name) for one in found) for name in ("promoted", "watched", "by_fit")
            ]
            say(how, f"{ties:.0%}", *columns, f"{fmean(one.gap for one in found):+.0f} points")
            kept = kept and fmean(one.promoted for one in found) <= PROMISE
    return kept


def tell_power(each: Callable, leagues: int) -> bool:
    print(
        f"\nA better challenger is found out by so many battles against the incumbent; {TIES[1]:.0%} ties; {leagues} rows"
    )
    say("points", "challengers", *(f"by {look}" for look in looks_until(ROW)))
    for points in GAPS:
        for challengers in (1, 2, 4):
            found = list(each(power, [(points, challengers, TIES[1], seed) for seed in range(leagues)]))
            say(
                points,
                challengers,
                *(f"{fmean(0 < one <= look for one in found):.1%}" for look in looks_until(ROW)),
            )
    print(
        f"\nThe same in a whole league of {EQUALS}, one of which is better, within {LEAGUE} battles; {leagues // 4} leagues"
    )
    say("points", "pairing", "promoted", "of these the best", "battles until then")
    for points in GAPS:
        for how in ("random", "active", "incumbent"):
            made = list(each(league_power, [(points, how, seed) for seed in range(leagues // 4)]))
            done = [one for one in made if one[0]]
            right = f"{fmean(one[1] for one in done):.1%}" if done else "-"
            until = f"{fmean(one[0] for one in done):.0f}" if done else "-"
            say(points, how, share(bool(one[0]) for one in made), right, until)
    return True


TELL = {"pairing": tell_pairing, "false": tell_false, "power": tell_power}


def main() -> int:
    """The status with which to exit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="Tournaments of each kind.")
    parser.add_argument("--leagues", type=int, default=1000, help="Leagues of each kind.")
    parser.add_argument("--jobs", type=int, default=1, help="Processes.")
    parser.add_argument("--only", default=",".join(TELL), help="Which tables.")
    told = parser.parse_args()
    kept = True
    with ProcessPoolExecutor(told.jobs) as pool:

        def each(call: Callable, asked: Sequence) -> Iterable:
            return pool.map(call, asked, chunksize=max(1, len(asked) // (8 * told.jobs)))

        for name in told.only.split(","):
            kept = TELL[name](each, told.runs if name == "pairing" else told.leagues) and kept
    print(f"\n{'Every promise is kept.' if kept else 'A promise is broken.'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
