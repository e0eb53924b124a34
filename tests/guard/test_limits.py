"""GCRA with cost: never over its bound, no slower than it says, and what was used beyond a reservation is owed."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import LONGEST, NEW, SECOND, Hold, Limit, State
from bytedeck.guard.limits import fits, left, settle, span, take, take_all

START = 1_760_000_000 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@st.composite
def _limits(draw: st.DrawFn, fastest: int = 1) -> Limit:
    """Any limit up to one unit per `fastest` microseconds, with any burst that it may have."""
    seconds = draw(st.sampled_from([1, 7, 60, 3600, 86_400]))
    count = draw(st.integers(1, min(10**7, seconds * SECOND // fastest)))
    burst = draw(st.integers(0, min(3 * count, LONGEST * count // seconds)))
    return Limit(count, seconds, burst)


def _hold(limit: Limit, reserved: int, state: State) -> Hold:
    return Hold(name="", amount=reserved, span=span(limit, reserved), end=sum(state))


class _Charge(NamedTuple):
    """So many, counted at this moment: when they were taken, or where they came on top, when that was told."""

    at: int
    used: int
    is_debt: bool = False


def _assert_bound(limit: Limit, charges: list[_Charge]) -> None:
    """In every window of t microseconds (its end is not in it) no more than burst + t * rate, and what came on top since
    the last take in it."""
    period = limit.seconds * SECOND
    for first, begin in enumerate(charges):
        used = accumulate(one.used for one in charges[first:])
        for end, total in zip(charges[first:], used, strict=True):
            if not end.is_debt:  # to let somebody in is a decision, to be told of a debt is none
                assert (total - limit.at_once) * period <= (end.at + 1 - begin.at) * limit.count


def test_ten_a_minute() -> None:
    """After a pause ten at once, then one each six seconds; who comes too early is told how long to wait."""
    limit, state, waits = Limit(10, 60), NEW, []
    for _ in range(12):
        state, wait = take(limit, state, START, 1)
        waits.append(wait)
    assert waits == [0] * 10 + [6 * SECOND] * 2
    state, wait = take(limit, state, START + 6 * SECOND - 1, 1)
    assert wait == 1
    state, wait = take(limit, state, START + 6 * SECOND, 1)
    assert wait == 0
    assert left(limit, state, START + 6 * SECOND) == 0
    assert left(limit, state, START + 66 * SECOND) == 10


@pytest.mark.parametrize("count", [1, 3, 7, 11, 59, 60_000])
def test_a_burst_is_whole_to_the_last_one(count: int) -> None:
    """As many as the limit names get through at once, also where a minute does not divide by it."""
    limit, state = Limit(count, 60), NEW
    for _ in range(count):
        state, wait = take(limit, state, START, 1)
        assert wait == 0
    assert take(limit, state, START, 1)[1] > 0


@pytest.mark.parametrize(
    ("limit", "at_once"), [(Limit(10, 60), 10), (Limit(10, 60, 1), 1), (Limit(1, 60, 5), 5)]
)
def test_a_burst_of_its_own(limit: Limit, at_once: int) -> None:
    """A limit may let fewer through at once than it names, or more, and its rate stays."""
    assert (limit.at_once, left(limit, NEW, START)) == (at_once, at_once)
    state, _ = take(limit, NEW, START, at_once)
    assert take(limit, state, START, 1)[1] == span(limit, 1) == 60 * SECOND // limit.count


def test_what_never_fits_is_an_error() -> None:
    """More than a burst is no matter of waiting, and less than nothing none of taking."""
    limit = Limit(10, 60)
    assert fits(limit, 10)
    assert not fits(limit, 11)
    with pytest.raises(ValueError, match="never get through at once where 10 may"):
        take(limit, NEW, START, 11)
    with pytest.raises(ValueError, match="not negative"):
        take(limit, NEW, START, -1)


@pytest.mark.parametrize(
    "wrong",
    [
        (0, 60),
        (-1, 60),
        (10**30, 60),
        (10, 0),
        (10, 10**30),
        (10, 60, -1),
        (1, 86_400, 32),
        (10.0, 60),
        (float("nan"), 60),
        (True, 60),
        ("10", 60),
    ],
)
def test_what_is_no_limit(wrong: tuple[int, ...]) -> None:
    """Nothing, less than nothing, absurdly much, and anything that is no whole number make no limit."""
    with pytest.raises(ValueError, match=r"has to be a whole number|takes longer than 31 days"):
        Limit(*wrong)


@settings(deadline=None)
@given(_limits(), st.data())
def test_the_wait_is_exact(limit: Limit, data: st.DataObject) -> None:
    """Who waits as long as was said gets through, and a microsecond earlier nobody does."""
    costs = st.integers(0, limit.at_once)
    state, cost, now = NEW, 0, START
    for cost in data.draw(st.lists(costs, max_size=5)):
        state, wait = take(limit, state, now, cost)
        now += data.draw(st.integers(0, span(limit, 2)))
    cost = data.draw(costs)
    state, wait = take(limit, state, now, cost)
    if wait:
        assert take(limit, state, now + wait - 1, cost) == (state, 1)
        assert take(limit, state, now + wait, cost)[1] == 0
    elif cost and left(limit, state, now) < limit.at_once:
        assert take(limit, state, now, left(limit, state, now))[1] == 0
        assert take(limit, state, now, left(limit, state, now) + 1)[1] > 0


@settings(deadline=None)
@given(_limits(), st.data())
def test_never_over_the_bound(limit: Limit, data: st.DataObject) -> None:
    """Whatever is taken whenever: every window of t keeps to burst + t * rate, to the unit."""
    state, now = NEW, START
    admitted: list[_Charge] = []
    for _ in range(data.draw(st.integers(1, 25))):
        cost = data.draw(st.integers(1, limit.at_once))
        state, wait = take(limit, state, now, cost)
        if wait and data.draw(st.booleans()):
            now += wait
            state, wait = take(limit, state, now, cost)
        if not wait:
            admitted.append(_Charge(now, cost))
        now += data.draw(st.integers(0, 2 * span(limit, limit.at_once)))
    _assert_bound(limit, admitted)


@settings(deadline=None)
@given(_limits(), st.data())
def test_never_over_the_bound_by_what_is_really_used(limit: Limit, data: st.DataObject) -> None:
    """Reserved by estimate, settled later in any order, for less or for more: what was used keeps to the bound. What was
    reserved counts when it was taken, what came on top when it was told: then nobody gets in until it has come back."""
    state, now, running = NEW, START, []
    charges: list[_Charge] = []
    for _ in range(data.draw(st.integers(1, 30))):
        if running and data.draw(st.booleans()):
            place, hold = running.pop(data.draw(st.integers(0, len(running) - 1)))
            used = data.draw(st.integers(0, hold.amount) | st.integers(0, 4 * hold.amount))
            used = min(used, hold.amount + DAY // 2 // span(limit, 1))  # beyond a day a debt is forgotten
            state = settle(state, hold, used, now)
            charges[place] = charges[place]._replace(used=min(used, hold.amount))
            if used > hold.amount:
                charges.append(_Charge(now, used - hold.amount, is_debt=True))
        else:
            cost = data.draw(st.integers(1, limit.at_once))
            state, wait = take(limit, state, now, cost)
            if wait and data.draw(st.booleans()):
                now += wait
                state, wait = take(limit, state, now, cost)
            if not wait:
                running.append((len(charges), _hold(limit, cost, state)))
                charges.append(_Charge(now, cost))
        now += data.draw(st.sampled_from([0, 1, span(limit, 1), span(limit, limit.at_once) // 3]))
        assert 0 <= left(limit, state, now) <= limit.at_once
        _assert_bound(limit, charges)


@settings(deadline=None)
@given(_limits(fastest=50), st.integers(1, 3))
def test_throughput(limit: Limit, cost: int) -> None:
    """Who always takes as soon as may be gets 98 % of the limit and more, without the burst."""
    cost = min(cost, limit.at_once)
    state, _ = take(limit, NEW, START, limit.at_once)
    now, taken = START, 0
    for _ in range(200):
        state, wait = take(limit, state, now, cost)
        if wait:
            now += wait
        else:
            taken += cost
    assert taken * limit.seconds * SECOND * 100 >= (now - START) * limit.count * 98


@pytest.mark.parametrize("count", [7_000_000, 8_000_000, 999_999_999])
def test_many_small_units_are_not_slower(count: int) -> None:
    """Where one unit takes microseconds, a take is rounded and not each unit of it."""
    exact = Fraction(1000 * 60 * SECOND, count)
    assert exact <= span(Limit(count, 60), 1000) < exact + 1


def test_a_clock_that_is_set_forward_fills_a_bucket_and_no_more() -> None:
    """After a jump a whole burst gets through, once."""
    limit = Limit(10, 60)
    state, _ = take(limit, NEW, START, 10)
    assert left(limit, state, START + 1000 * HOUR) == 10


def test_several_buckets_all_or_nothing() -> None:
    """The longest wait is told, and the one that had room has lost nothing."""
    wide, narrow = Limit(10, 60), Limit(1, 60)
    states, wait = take_all(((wide, NEW, 1), (narrow, NEW, 1)), START)
    assert wait == 0
    again, wait = take_all(((wide, states[0], 1), (narrow, states[1], 1)), START)
    assert (again, wait) == (states, 60 * SECOND)
    assert left(wide, again[0], START) == 9
    assert take_all((), START) == ([], 0)


def test_what_was_not_used_comes_back() -> None:
    """At once it comes back whole; a bucket is never fuller than full, whenever it is settled."""
    limit = Limit(600, 60)  # one each 0.1 s
    state, _ = take(limit, NEW, START, 500)
    hold = _hold(limit, 500, state)
    assert left(limit, settle(state, hold, 120, START), START) == 480
    assert left(limit, settle(state, hold, 500, START), START) == 100
    assert left(limit, settle(state, hold, 0, START + 20 * SECOND), START + 20 * SECOND) == 600
    late = START + 70 * SECOND
    assert settle(state, hold, 0, late) == state


def test_more_than_was_reserved_is_taken_too() -> None:
    """An estimate that was too low is made up for, to the unit, also beyond a burst."""
    limit = Limit(600, 60)
    state, _ = take(limit, NEW, START, 100)
    hold = _hold(limit, 100, state)
    assert left(limit, settle(state, hold, 150, START), START) == 450
    owing = settle(state, hold, 6000, START)  # ten minutes' worth, of which one minute's may be had at once
    assert left(limit, owing, START) == 0
    assert take(limit, owing, START, 1) == (owing, 540 * SECOND + span(limit, 1))
    assert take(limit, owing, START, 600)[1] == 600 * SECOND


def test_debts_add_up() -> None:
    """Of several, told while one stands, each is owed; who waits is told of all, and asking prolongs nothing."""
    limit = Limit(600, 60)
    holds, state = [], NEW
    for _ in range(3):
        state, _ = take(limit, state, START, 200)
        holds.append(_hold(limit, 200, state))
    for number, hold in enumerate(holds, start=1):
        state = settle(state, hold, 800, START)
        told = [take(limit, state, START + number, 1) for _ in range(3)]
        assert told == [(state, number * 60 * SECOND + span(limit, 1) - number)] * 3


@pytest.mark.parametrize("used", [10**9, 2**63 - 1])
def test_a_debt_of_more_than_a_day_is_forgotten(used: int) -> None:
    """An upstream whose counter is broken locks everybody out for a day, and no longer."""
    limit = Limit(600, 60)
    state, _ = take(limit, NEW, START, 600)
    far = settle(state, _hold(limit, 600, state), used, START)
    assert take(limit, far, START, 1)[1] == DAY + span(limit, 1)
    assert left(limit, far, START + DAY) == 0
    assert left(limit, far, START + DAY + 60 * SECOND) == 600


def test_what_others_give_back_pays_a_debt() -> None:
    """It is not lost, and nobody gets more than it was."""
    limit = Limit(600, 60)
    state, _ = take(limit, NEW, START, 300)
    one = _hold(limit, 300, state)
    state, _ = take(limit, state, START, 300)
    two = _hold(limit, 300, state)
    state = settle(settle(state, one, 500, START), two, 50, START)
    assert left(limit, state, START) == 600 - 500 - 50


def test_what_came_on_top_is_taken_from_now_on() -> None:
    """Also where the bucket has filled long since."""
    limit = Limit(600, 60)
    state, _ = take(limit, NEW, START, 100)
    late = START + HOUR
    assert left(limit, settle(state, _hold(limit, 100, state), 150, late), late) == 550


@settings(deadline=None)
@given(_limits(), st.data())
def test_to_give_back_is_never_better_than_not_to_have_taken(limit: Limit, data: st.DataObject) -> None:
    """What was used takes at least its own time, however small a part it was."""
    reserved = data.draw(st.integers(1, limit.at_once))
    used = data.draw(st.integers(0, reserved))
    state, _ = take(limit, NEW, START, reserved)
    tat, _ = settle(state, _hold(limit, reserved, state), used, START)
    assert Fraction(used * limit.seconds * SECOND, limit.count) <= tat - START <= span(limit, used) + 1


def test_time_that_has_passed_is_not_given_back() -> None:
    """A bucket that has filled since, and was emptied by others, gets nothing from an old reservation."""
    limit = Limit(60, 60)
    first, _ = take(limit, NEW, START, 60)
    hold = _hold(limit, 60, first)
    later = START + 60 * SECOND
    state, wait = take(limit, first, later, 60)
    assert wait == 0
    assert left(limit, settle(state, hold, 0, later), later) == 0


def test_what_others_were_given_back_is_not_given_twice() -> None:
    """Two reservations, the second settled late: what the first one's rest let in already is not let in again."""
    limit = Limit(20, 20)
    state, _ = take(limit, NEW, START, 10)
    one = _hold(limit, 10, state)
    state, _ = take(limit, state, START, 10)
    two = _hold(limit, 10, state)
    state = settle(state, one, 0, START + SECOND)
    now = START + 11 * SECOND
    state, _ = take(limit, state, now, 10)
    assert left(limit, settle(state, two, 0, now), now) == 10
