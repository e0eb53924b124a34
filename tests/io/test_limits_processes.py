"""Limits and budgets between processes: none lets more through than one would alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import LONGEST, SECOND, Limit
from bytedeck.guard.limits import span

sys.path.append(str(Path(__file__).parents[2] / "bench"))  # last, for it has an `upstream` of its own

import limits
from limits import EACH, SCENES, Books, Grant

TESTS = str(Path(__file__).parents[1])


def test_eight_processes_with_skewed_clocks() -> None:
    """On one file, in any span of time, to the unit; several buckets together or none; a budget to its last attempt."""
    assert limits.limits(0.4, 8, "7", strict=False) == []


FORK = f"""
import os, sys
sys.path.insert(0, {TESTS!r})
from books import Budget, Bucket, USD, account, ask, end, room
from bytedeck.claims import GRANTED, Granted, Later, Limit
from bytedeck.io.sqlite import SqliteStore
from bytedeck.types import Usage
store = SqliteStore(sys.argv[1])
tokens = Bucket("tokens", "all", "", Limit(1000, 86_400))
total = Budget("all", "", "total", USD)
assert ask(store, 1, tokens, total, tokens=600, worst=USD // 2) == GRANTED
said, answer = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    assert isinstance(ask(store, 2, tokens, tokens=500), Later)
    assert ask(store, 3, tokens, total, tokens=400, worst=USD // 2) == GRANTED
    assert isinstance(ask(store, 4, total, worst=1), Later)
    os.write(said[1], b"x")
    os.read(answer[0], 1)
    assert isinstance(ask(store, 4, total, tokens, worst=USD - 5, tokens=1), Later)
    end(store, 3, 0, usage=Usage(total_tokens=100))
    assert isinstance(ask(store, 4, total, tokens, worst=USD - 5, tokens=800), Granted)
    os._exit(0)
os.read(said[0], 1)
assert isinstance(ask(store, 5, tokens, tokens=1), Later)
assert account(store, total) == (0, USD)
end(store, 1, 5, usage=Usage(total_tokens=100))
os.write(answer[1], b"x")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert account(store, total) == (5, USD - 5) and room(store, tokens) == 0
assert store.verify().problems == () and store.lost == []
print("shared")
"""


def test_a_fork(tmp_path: Path) -> None:
    """Parent and child take from the same; what either began, either may end."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path / "ledger.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("shared\n", "")


# -- the judge


@settings(deadline=None)
@given(
    st.builds(Limit, st.integers(1, 9), st.integers(1, 5), st.integers(0, 12)),
    st.lists(
        st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 5), st.booleans()), min_size=1, max_size=12
    ),
)
def test_every_span_is_looked_at(limit: Limit, steps: list[tuple[int, int, bool]]) -> None:
    """In one pass the same as by looking at each span of time for itself that ends with one who was let through."""
    now, grants = 0, []
    for pause, used, is_debt in steps:
        now += pause
        grants.append(Grant(0, now, used, is_debt))
    period = limit.seconds * SECOND
    in_order = sorted(grants, key=lambda one: (one.at, one.is_debt))
    fullest = max(
        (
            (sum(one.used for one in in_order[first : last + 1]) - limit.at_once) * period
            - (in_order[last].at - in_order[first].at) * limit.count
            for first in range(len(grants))
            for last in range(first, len(grants))
            if not in_order[last].is_debt
        ),
        default=-limit.at_once * period,
    )
    assert limits.excess(grants[::-1], limit) == fullest


FIRST = 500 * SECOND
HAMMERED, WAITED = 0, 1
TOKENS = 4
BUDGET = len(SCENES) - 1
LIMIT = Limit(50, 1)


def _grants(scene: int, beyond: int, pause: int) -> list[Grant]:
    """A whole burst of 50, and then one at a time."""
    return [Grant(scene, FIRST, 1)] * 50 + [
        Grant(scene, FIRST + pause * number, 1) for number in range(1, beyond + 1)
    ]


def _books(
    grants: list[Grant],
    taken: int = 0,
    spent: tuple[int, int] = (0, 0),
    attempts: int | None = None,
    problems: tuple[str, ...] = (),
    debts: tuple[Grant, ...] = (),
) -> Books:
    """`taken`: more from the bucket beside than were let through."""
    ahead = 7
    tat = FIRST + ahead + (len(grants) + taken) * span(EACH.limit, 1)
    rows = len(grants) if attempts is None else attempts
    return Books(grants, list(debts), list(problems), rows, (tat, 0), ahead, {"budget": spent})


def _owing(back: int) -> Books:
    """A whole burst of 6,000 tokens, a second later 30,000 more that one of them has used, and one `back` later."""
    told = FIRST + SECOND
    asked = [Grant(TOKENS, FIRST, 6_000), Grant(TOKENS, told + back, 300)]
    return _books([*GOOD, *asked], spent=SPENT, debts=(Grant(TOKENS, told, 30_000, is_debt=True),))


GOOD = _grants(HAMMERED, 100, 20_000) + _grants(WAITED, 100, 20_000) + [Grant(BUDGET, FIRST, 7_950)]
SPENT = (7_950, 0)


@pytest.mark.parametrize(
    ("books", "says"),
    [
        (_books(GOOD, spent=SPENT), ""),
        (_books([*GOOD, Grant(HAMMERED, FIRST, 1)], spent=SPENT), "hammered: 1.000000 more than the limit"),
        (_books(_grants(HAMMERED, 100, 19_999) + GOOD[150:], spent=SPENT), "more than the limit allows"),
        (
            _books(GOOD[:150] + _grants(WAITED, 100, 20_420) + GOOD[300:], spent=SPENT),
            "only 97.94% of the limit",
        ),
        (_owing(SECOND * 243 // 300), ""),
        (_owing(SECOND * 243 // 300 - 34), "tokens: 1.020000 more than the limit allows"),
        (_books(GOOD, taken=1, spent=SPENT), "302.0 were taken from the bucket beside"),
        (_books(GOOD, taken=-1, spent=SPENT), "300.0 were taken from the bucket beside"),
        (_books(GOOD, spent=SPENT, attempts=302), "301 were let through, 302 are in the ledger"),
        (_books(GOOD, spent=SPENT, problems=("it is damaged",)), "it is damaged"),
        (_books(GOOD, spent=(7_950, 1)), "7950 units spent and 1 held of 8000"),
        (_books(GOOD, spent=(7_951, 0)), "7951 units spent and 0 held of 8000, 7950 were told"),
        (_books([*GOOD, Grant(BUDGET, FIRST, 51)], spent=(8_001, 0)), "8001 units spent"),
        (_books([*GOOD[:-1], Grant(BUDGET, FIRST, 7_900)], spent=(7_900, 0)), "only 7900 units of 8000"),
    ],
)
def test_the_judge_finds_what_is_wrong(books: Books, says: str) -> None:
    """One too many, a microsecond too early, a bucket taken from alone, a unit too much, too slow: nothing passes."""
    told = limits.broken(books)
    assert len(told) == bool(says), told
    assert says in " ".join(told)


def test_a_short_run_is_not_judged_by_its_speed() -> None:
    """A busy machine is no broken promise; too many are, also there."""
    slow = _books([Grant(WAITED, FIRST, 1), Grant(WAITED, FIRST + SECOND, 1)])
    assert limits.broken(slow, strict=False) == []
    assert limits.broken(_books([Grant(WAITED, FIRST, 51)]), strict=False)


def test_nothing_that_is_counted_comes_back_meanwhile() -> None:
    """Else the bucket beside would tell less than was taken."""
    assert span(EACH.limit, 1) > 2 * SECOND
    assert EACH.limit.seconds == LONGEST
