"""Processes whose calendars disagree share the limits and one budget of a ledger; then every grant is held against them.

    scripts/limits [--seconds S] [--processes N] [--seed S]

Prints figures; exits with 1 where a promise is broken: more let through in any span of time than a limit allows, or while
it is owed what others used beyond what they took; buckets that were not taken from together, a saturated bucket more than
2 % below its limit, a budget that is passed or not used up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from bytedeck.claims import SECOND, Bucket, Budget, Claim, Denied, Granted, Later, Limit
from bytedeck.guard.limits import span
from bytedeck.io import clock
from bytedeck.io.sqlite import SqliteStore
from bytedeck.io.store import Verdict
from bytedeck.types import Intent, Settlement, Usage

PROCESSES = 8
SKEW = 3600 * SECOND
"""By so much the first calendar is behind, and the last one ahead; the others lie between."""
SET_BACK = SKEW // 2
"""By so much every second calendar is set back, half-way."""
SLOWEST = 0.98
"""Of its limit, that a saturated bucket lets through."""
START = 2.0
"""Seconds until all processes are there."""
WORST = 100
"""Units that an attempt may cost at most, where a budget is shared."""
EACH = Bucket("requests", "all", "", Limit(1_000_000, 31 * 86_400))
"""Everything takes from it, and in the time of a run nothing comes back: it counts."""


class Scene(NamedTuple):
    """What all processes do for a while."""

    name: str
    of: Bucket | Budget
    waits: bool = True
    """As it is told to; else it asks again at once."""
    is_judged: bool = False
    """By its throughput, too."""
    lasts: float = 0.0
    """Seconds, at most, that one who was let through takes."""


SCENES = (
    Scene("hammered", Bucket("requests", "model", "hammered", Limit(50, 1)), waits=False),
    Scene("waited for", Bucket("requests", "model", "waited for", Limit(50, 1)), is_judged=True),
    Scene("one at once", Bucket("requests", "model", "one at once", Limit(20, 1, 1))),
    Scene("ten a span", Bucket("requests", "model", "ten a span", Limit(10, 3))),
    Scene("tokens", Bucket("tokens", "model", "tokens", Limit(30_000, 1, 6_000)), lasts=0.4),
    Scene("budget", Budget("all", "", "total", 8_000), lasts=0.05),
)


class Grant(NamedTuple):
    """One that was let through."""

    scene: int
    at: int
    """Microseconds by the machine's own clock, as the decision itself read it."""
    used: int
    """Requests, tokens or units."""
    is_debt: bool = False
    """What one that was let through has used beyond what it took: it counts when that is told, and nobody decides on it."""


# -- a process -----------------------------------------------------------------------------------


class Worker:
    """One process' life."""

    def __init__(self, path: str, number: int, processes: int, start: int, spell: int, seed: str) -> None:
        """`start`: when the first scene begins, by the machine's own clock; `spell`: how long each one is."""
        self._skew = SKEW * (2 * number - processes + 1) // max(processes - 1, 1)
        self._set_back_at = start + spell * len(SCENES) // 2 if number % 2 else None
        self._start, self._spell = start, spell
        self._looked = 0
        self._chance = random.Random(f"{seed} {number}")
        self._numbers = itertools.count(1)
        self._request = f"{number:032x}"
        self._running: list[tuple[int, str, Grant, int]] = []
        self._store = SqliteStore(path, self._wall, steady=self._steady)
        self.asked = [0] * len(SCENES)
        self.grants: list[Grant] = []
        self.debts: list[Grant] = []

    def _wall(self) -> int:
        is_set_back = self._set_back_at is not None and clock.steady() >= self._set_back_at
        return clock.wall() + self._skew - (SET_BACK if is_set_back else 0)

    def _steady(self) -> int:
        """The last look before a verdict is the one that it was decided by."""
        self._looked = clock.steady()
        return self._looked

    def live(self) -> list[str]:
        """All scenes, one after the other; what could not be written."""
        for place, scene in enumerate(SCENES):
            begin = self._start + place * self._spell
            _sleep_until(begin)
            while clock.steady() < begin + self._spell:
                self._try(place, scene, begin + self._spell)
            self._settle(None)
        self._store.close()
        return self._store.lost

    def _try(self, place: int, scene: Scene, until: int) -> None:
        """One attempt, until it is let through or the scene is over."""
        most = {"requests": 1, "tokens": 2000}.get(getattr(scene.of, "measure", ""), WORST)
        amount = self._chance.randint(min(most, 10), most)
        more = 3 * amount if _measures_tokens(scene) else amount
        used = self._chance.choice((amount, amount, amount, self._chance.randint(1, amount), more))
        name = f"{self._request}-{next(self._numbers)}"
        while clock.steady() < until:
            self._settle(clock.steady())
            verdict, at = self._ask(name, scene, amount)
            self.asked[place] += 1
            if isinstance(verdict, Granted):
                self.grants.append(Grant(place, at, min(used, amount)))
                # Most use all that they took; who gives something back, or has used more, tells it late.
                lasts = 0 if used == amount else self._chance.randint(0, round(scene.lasts * SECOND))
                self._running.append((at + lasts, name, self.grants[-1], max(0, used - amount)))
                return
            if isinstance(verdict, Denied):
                time.sleep(0.001)
                return
            if not isinstance(verdict, Later):
                raise verdict
            if scene.waits:
                _sleep_until(min(clock.steady() + (verdict.wait or SECOND // 1000), until))

    def _ask(self, name: str, scene: Scene, amount: int) -> tuple[Verdict, int]:
        worst = amount if isinstance(scene.of, Budget) else 0
        row = Intent(
            attempt=name, request=self._request, number=1, task="", model=scene.name, key="", streamed=True,
            worst_units=worst,
        )  # fmt: skip
        claim = Claim(buckets=(EACH, scene.of), tokens=amount) if isinstance(scene.of, Bucket) else Claim(
            buckets=(EACH,), budgets=(scene.of,), units=worst
        )  # fmt: skip
        told: SimpleQueue[tuple[Verdict, int]] = SimpleQueue()
        self._store.begin(row, lambda verdict: told.put((verdict, self._looked)), claim)
        return told.get(timeout=60)

    def _settle(self, now: int | None) -> None:
        """Those that have ended by now; None: all."""
        for one in [one for one in self._running if now is None or one[0] <= now]:
            self._running.remove(one)
            _, name, grant, debt = one
            cost = grant.used if isinstance(SCENES[grant.scene].of, Budget) else 0
            usage = Usage(total_tokens=grant.used + debt)
            self._store.settle(
                Settlement(attempt=name, outcome="answered", quality="reported", cost_units=cost, usage=usage)
            )
            if debt:
                self._store.flush()  # then the last look was the one at which it was counted
                self.debts.append(Grant(grant.scene, self._looked, debt, is_debt=True))


def _measures_tokens(scene: Scene) -> bool:
    return isinstance(scene.of, Bucket) and scene.of.measure == "tokens"


def _sleep_until(moment: int) -> None:
    time.sleep(max(0, moment - clock.steady()) / SECOND)


# -- judging -------------------------------------------------------------------------------------


def excess(grants: Iterable[Grant], limit: Limit) -> int:
    """By how much the fullest of all spans of time that end with one who was let through is over `burst + time * rate`; not
    over 0 where the limit held. Debts within it count.

    In units times the limit's span in microseconds, exact. With S the sum up to a grant and t its moment, a span from
    grant i to grant j holds the limit where (S_j * span - t_j * count) - (S_i-1 * span - t_i * count) is at most burst * span.
    """
    period, total = limit.seconds * SECOND, 0
    least: int | None = None
    found = -limit.at_once * period
    for grant in sorted(grants, key=lambda one: (one.at, one.is_debt)):
        begin = total * period - grant.at * limit.count
        least = begin if least is None else min(least, begin)
        total += grant.used
        if not grant.is_debt:
            found = max(found, total * period - grant.at * limit.count - least - limit.at_once * period)
    return found


def throughput(grants: Sequence[Grant], limit: Limit) -> float:
    """What came through beyond the burst, as a share of the limit."""
    moments = [one.at for one in grants]
    passed = max(moments, default=0) - min(moments, default=0)
    beyond = sum(one.used for one in grants) - limit.at_once
    return beyond * limit.seconds * SECOND / (passed * limit.count) if passed else 0.0


class Books(NamedTuple):
    """What is found when all have ended."""

    grants: list[Grant]
    debts: list[Grant]
    problems: list[str]
    """Of the ledger, and of those who wrote to it."""
    attempts: int
    """Rows in the ledger."""
    counted: tuple[int, int]
    """The state of `EACH`."""
    ahead: int
    """By how much the buckets' clock is ahead of the machine's own."""
    spent: dict[str, tuple[int, int]]
    """How the budgets' accounts stand, by the scene."""


def read(path: str, lives: Sequence[dict[str, Any]]) -> Books:
    """The books of all."""
    store = SqliteStore(path, steady=lambda: 0)
    check = store.verify()
    budgets = [(scene.name, scene.of) for scene in SCENES if isinstance(scene.of, Budget)]
    found = store.standing((EACH,), [budget for _, budget in budgets])
    store.close()
    problems = [*check.problems, *(sentence for one in lives for sentence in one["lost"])]
    if check.settled != check.attempts:
        problems.append(f"{check.attempts - check.settled} attempts are not settled.")
    return Books(
        [Grant(*one) for life in lives for one in life["grants"]],
        [Grant(*one) for life in lives for one in life["debts"]],
        problems,
        check.attempts,
        found.levels[0],
        found.steady,
        {name: state for (name, _), state in zip(budgets, found.accounts, strict=True)},
    )


def broken(books: Books, strict: bool = True) -> list[str]:
    """The promises that were broken; [] for none. `strict`: what a short run on a busy machine may miss counts, too."""
    told = list(books.problems)
    if books.attempts != len(books.grants):
        told.append(f"{len(books.grants)} were let through, {books.attempts} are in the ledger")
    first = min((one.at for one in books.grants), default=0)
    taken = (books.counted[0] - books.ahead - first) / span(EACH.limit, 1)
    if taken != len(books.grants):
        told.append(f"{len(books.grants)} were let through, {taken} were taken from the bucket beside")
    for scene in SCENES:
        grants = _of(books.grants, scene)
        told += [f"{scene.name}: {sentence}" for sentence in _wrong(scene, grants, books, strict)]
    return told


def _of(charges: Iterable[Grant], scene: Scene) -> list[Grant]:
    return [one for one in charges if SCENES[one.scene] is scene]


def _wrong(scene: Scene, grants: list[Grant], books: Books, strict: bool) -> Iterator[str]:
    if isinstance(scene.of, Budget):
        spent, held = books.spent[scene.name]
        if spent > scene.of.units or held or spent != sum(one.used for one in grants):
            yield f"{spent} units spent and {held} held of {scene.of.units}, {sum(one.used for one in grants)} were told"
        if strict and spent <= scene.of.units - WORST:
            yield f"only {spent} units of {scene.of.units} were spent"
        return
    over = excess([*grants, *_of(books.debts, scene)], scene.of.limit)
    if over > 0:
        yield f"{over / (scene.of.limit.seconds * SECOND):.6f} more than the limit allows"
    if strict and scene.is_judged and throughput(grants, scene.of.limit) < SLOWEST:
        yield f"only {throughput(grants, scene.of.limit):.2%} of the limit came through"


def limits(seconds: float, processes: int, seed: str, strict: bool = True) -> list[str]:
    """The whole; returns the promises that were broken."""
    with tempfile.TemporaryDirectory() as home:
        path = f"{home}/ledger.db"
        start = clock.steady() + round(START * SECOND)
        options = [
            (path, number, processes, start, round(seconds * SECOND), seed) for number in range(processes)
        ]
        command = [sys.executable, __file__, "--worker"]
        children = [
            subprocess.Popen([*command, json.dumps(one)], stdout=subprocess.PIPE, text=True)
            for one in options
        ]
        said = [child.communicate()[0] for child in children]
        if any(child.returncode for child in children):
            return ["a process has failed"]
        lives = [json.loads(one) for one in said]
        books = read(path, lives)
    _print(books, lives, seconds)
    return broken(books, strict)


def _print(books: Books, lives: Sequence[dict[str, Any]], seconds: float) -> None:
    cpu = sum(one["cpu"] for one in lives)
    asked = [sum(one["asked"][place] for one in lives) for place in range(len(SCENES))]
    print(
        f"{len(lives)} processes, {seconds:g} s a scene; {cpu / max(sum(asked), 1) * 1e6:.0f} µs CPU a claim"
    )
    for place, scene in enumerate(SCENES):
        grants, debts = _of(books.grants, scene), _of(books.debts, scene)
        line = f"{scene.name:>12}: {asked[place]:6} asked, {len(grants):5} let through"
        if isinstance(scene.of, Budget):
            print(f"{line}; {books.spent[scene.name][0]} of {scene.of.units} units spent")
            continue
        period = scene.of.limit.seconds * SECOND
        room = -excess([*grants, *debts], scene.of.limit) / period
        owed = f", {len(debts)} of them used more" if debts else ""
        print(
            f"{line}{owed}; the fullest span is {room:.4f} below the bound; throughput"
            f" {throughput([*grants, *debts], scene.of.limit):.2%} of the limit"
        )


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        worker = Worker(*json.loads(sys.argv[2]))
        lost = worker.live()
        told = {
            "grants": worker.grants,
            "debts": worker.debts,
            "asked": worker.asked,
            "lost": lost,
            "cpu": time.process_time(),
        }
        print(json.dumps(told))
        return 0
    parser = argparse.ArgumentParser(prog="scripts/limits", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of the six scenes")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    told = limits(chosen.seconds, chosen.processes, chosen.seed)
    for sentence in told[:40]:
        print("BROKEN:", sentence[:600])
    print(f"{len(told) or 'No'} promises broken.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
