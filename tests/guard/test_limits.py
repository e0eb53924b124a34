"""GCRA with cost: never over its bound, no slower than it says, and no clock locks anybody out."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.claims import LONGEST, NEW, SECOND, Hold, Limit, State
from bytedeck.guard.limits import fits, left, settle, span, take, take_all

START = 1_760_000_000 * SECOND
HOUR = 3600 * SECOND


@st.composite
def _limits(draw: st.DrawFn, fastest: int = 1) -> Limit:
    """Any limit up to one unit per `fastest` microseconds, with any burst that it may have."""
    seconds = draw(st.sampled_from([1, 7, 60, 3600, 86_400]))
    count = draw(st.integers(1, min(10**7, seconds * SECOND // fastest)))
    burst = draw(st.integers(0, min(3 * count, LONGEST * count // seconds)))
    return Limit(count, seconds, burst)


def _hold(limit: Limit, reserved: int, state: State) -> Hold:
    return Hold(name="", amount=reserved, span=span(limit, reserved), end=sum(state))


def _assert_bound(limit: Limit, admitted: list[tuple[int, int]]) -> None:
    """In every window of t microseconds (its end is not in it) no more than burst + t * rate."""
    period = limit.seconds * SECOND
    for first, (begin, _) in enumerate(admitted):
        for (end, _), used in zip(
            admitted[first:], accumulate(cost for _, cost in admitted[first:]), strict=True
        ):
            assert (used - limit.at_once) * period <= (end + 1 - begin) * limit.count


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
    state, now, admitted = NEW, START, []
    for _ in range(data.draw(st.integers(1, 25))):
        cost = data.draw(st.integers(1, limit.at_once))
        state, wait = take(limit, state, now, cost)
        if wait and data.draw(st.booleans()):
            now += wait
            state, wait = take(limit, state, now, cost)
        if not wait:
            admitted.append((now, cost))
        now += data.draw(st.integers(0, 2 * span(limit, limit.at_once)))
    _assert_bound(limit, admitted)


@settings(deadline=None)
@given(_limits(), st.data())
def test_never_over_the_bound_by_what_is_really_used(limit: Limit, data: st.DataObject) -> None:
    """Reserved by estimate, settled later in any order: what was used keeps to the bound, counted when it was taken."""
    state, now, running = NEW, START, []
    admitted: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 30))):
        if running and data.draw(st.booleans()):
            place, hold = running.pop(data.draw(st.integers(0, len(running) - 1)))
            used = data.draw(st.integers(0, hold.amount))
            state = settle(state, hold, used, now)
            admitted[place] = (admitted[place][0], used)
        else:
            cost = data.draw(st.integers(1, limit.at_once))
            state, wait = take(limit, state, now, cost)
            if not wait:
                running.append((len(admitted), _hold(limit, cost, state)))
                admitted.append((now, cost))
        now += data.draw(st.sampled_from([0, 1, span(limit, 1), span(limit, limit.at_once) // 3]))
        assert 0 <= left(limit, state, now) <= limit.at_once
        _assert_bound(limit, admitted)


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


@pytest.mark.parametrize("limit", [Limit(10, 60), Limit(100_000, 60), Limit(1, 3600)])
def test_a_clock_that_is_set_back_locks_nobody_out(limit: Limit) -> None:
    """An hour back, or a year: no more is missing than an empty bucket lacks, and asking does not prolong it."""
    state, _ = take(limit, NEW, START, limit.at_once)
    for back in (HOUR, 365 * 24 * HOUR):
        now, asked = START - back, 0
        while asked < 5:
            state, wait = take(limit, state, now, 1)
            assert wait <= span(limit, 1)
            if not wait:
                break
            now, asked = now + -(-span(limit, 1) // 3), asked + 1
        assert asked == 3


def test_a_clock_that_is_set_forward_fills_a_bucket_and_no_more() -> None:
    """After a jump a whole burst gets through, once."""
    limit = Limit(10, 60)
    state, _ = take(limit, NEW, START, 10)
    assert left(limit, state, START + 1000 * HOUR) == 10


def test_a_limit_that_was_changed_holds_at_once() -> None:
    """What a bucket lacks under an old limit is no more than an empty one lacks under the new one."""
    state, _ = take(Limit(1, 86_400), NEW, START, 1)
    assert take(Limit(10, 60), state, START, 1)[1] == 6 * SECOND


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
    """An estimate that was too low is made up for, and locks nobody out for longer than a burst."""
    limit = Limit(600, 60)
    state, _ = take(limit, NEW, START, 100)
    hold = _hold(limit, 100, state)
    assert left(limit, settle(state, hold, 150, START), START) == 450
    far = settle(state, hold, 10**9, START)
    assert take(limit, far, START, 1)[1] == span(limit, 1)


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


def test_a_clock_that_is_set_back_gives_nothing_back_twice() -> None:
    """By the new clock, too, what has passed is not given back."""
    limit = Limit(60, 60)
    state, _ = take(limit, NEW, START, 60)
    hold, now = _hold(limit, 60, state), START - HOUR
    state, _ = take(limit, state, now, 1)
    state, wait = take(limit, state, now + 60 * SECOND, 60)
    assert wait == 0
    assert left(limit, settle(state, hold, 0, now + 60 * SECOND), now + 60 * SECOND) == 0
