"""What attempts say of models and keys: the figures, whom an outcome blames, bounds, and any order of telling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bytedeck.call import health
from bytedeck.call.breaker import SECOND
from bytedeck.call.health import Book
from bytedeck.errors import TABLE
from bytedeck.health import UNKNOWN, Learnt, Seen, Standing

T0 = 1_700_000_000 * SECOND


class Told:
    """A book, and a clock that the test moves."""

    def __init__(self) -> None:
        self.book = Book()
        self.now = T0
        self._count = 0

    def pass_(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def begin(self, model: str = "m", request: str = "", key: str = "k") -> Seen:
        self._count += 1
        seen = Seen(attempt=f"{request or self._count}-1", model=model, key=key, begun=self.now)
        self.book.begun(seen)
        return seen

    def end(self, seen: Seen, outcome: str, **more: Any) -> None:
        self.now += 1  # no two attempts end at the same moment
        fields = {name: getattr(seen, name) for name in ("attempt", "model", "key", "begun")}
        self.book.ended(Seen(**fields, ended=self.now, outcome=outcome, **more))

    def tell(self, *outcomes: str, model: str = "m", key: str = "k", **more: Any) -> None:
        for outcome in outcomes:
            self.end(self.begin(model, key=key), outcome, **more)

    def model(self, name: str = "m") -> Standing:
        return self.book.snapshot(self.now).model(name)

    def key(self) -> Standing:
        return self.book.snapshot(self.now).key("k")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize("outcome", [*TABLE, "answered", "abandoned", "lost_race", "of a later version"])
def test_whom_an_outcome_blames(told: Told, outcome: str) -> None:
    """The table of errors says it, and nothing else: three of them open the model's breaker, the key's, or none."""
    told.tell("answered")
    told.tell(*[outcome] * 3)
    blames = TABLE[outcome].blames if outcome in TABLE else ""
    assert told.model().state == ("open" if blames == "model" else "closed")
    assert told.key().state == ("open" if blames == "key" else "closed")
    assert told.model().last_failure == (outcome if blames == "model" else "")


def test_the_model_on_this_machine_says_nothing_of_the_key(told: Told) -> None:
    """It answers without one."""
    told.tell(*["authentication"] * 3)
    told.pass_(30)
    told.tell("answered", model="local/small")
    assert told.key().state == "half_open"
    told.tell("answered")
    assert told.key().state == "closed"


def test_the_figures(told: Told) -> None:
    """Counts, the error rate, nearest-rank percentiles, tokens over seconds of generation."""
    for n in range(1, 101):
        told.tell("answered", first_token=n / 100, seconds=n / 100 + 2, tokens=100)
    told.tell("unavailable")
    told.tell("abandoned", first_token=0.5, seconds=0.6, tokens=0)
    told.tell("abandoned")
    one = told.model()
    assert (one.attempts, one.measured, one.last_failure, one.failed_ago) == (101, 101, "unavailable", 2e-6)
    assert (one.error_rate, one.failures, one.state) == (1 / 101, 1, "closed")
    assert (one.first_token_p50, one.first_token_p95) == (0.5, 0.95)
    assert one.tokens_per_second == pytest.approx(50)
    key = told.key()
    assert (key.attempts, key.measured, key.first_token_p95, key.tokens_per_second) == (100, 0, None, None)


def test_a_lost_race_was_not_quick(told: Told) -> None:
    """Who was called off before a word came would have taken longer than it had."""
    told.tell("lost_race", seconds=7.0)
    assert (told.model().first_token_p95, told.model().attempts) == (7.0, 0)


def test_figures_are_of_the_last_five_minutes(told: Told) -> None:
    """Time alone takes attempts out of them; and in the end nothing is told any more."""
    told.tell("answered", first_token=1.0, seconds=2.0, tokens=10)
    told.pass_(200)
    told.tell("unavailable")
    assert (told.model().attempts, told.model().error_rate) == (2, 0.5)
    told.pass_(101)
    one = told.model()
    assert (one.attempts, one.error_rate, one.first_token_p50, one.tokens_per_second) == (1, 1.0, None, None)
    assert one.failed_ago == pytest.approx(101.0)
    told.pass_(600)
    assert told.model() == UNKNOWN
    assert told.book.snapshot(told.now).models == {}


def test_half_of_the_last_minute_opens(told: Told) -> None:
    """Of at least ten attempts; failures of the minute before do not count."""
    told.tell("unavailable", "answered", "unavailable", "answered", "unavailable", "answered", "unavailable")
    told.tell("answered", "answered")
    assert told.model().state == "closed"
    assert told.model().may_repeat
    told.tell("unavailable")
    assert told.model().state == "open"
    assert not told.model().may_repeat


def test_old_failures_do_not_open(told: Told) -> None:
    """The same, spread over more than a minute."""
    for _ in range(20):
        told.tell("unavailable", "answered")
        told.pass_(14)
    assert told.model().state == "closed"


def test_a_closed_breaker_begins_to_count_anew(told: Told) -> None:
    """After a recovery the failures before it neither open it again nor forbid to repeat."""
    told.tell(*["unavailable"] * 20)
    told.pass_(6)
    told.tell("answered", "unavailable")
    assert (told.model().state, told.model().may_repeat) == ("closed", True)


def test_retries_are_rationed(told: Told) -> None:
    """Where at least half of ten attempts of the last minute failed, no request is to repeat; later it may again."""
    told.tell(*["unavailable", "answered"] * 5)
    assert (told.model().state, told.model().may_repeat, told.model().is_avoided) == ("closed", False, True)
    told.pass_(61)
    assert told.model().may_repeat


def test_open_then_one_probe_then_closed(told: Told) -> None:
    """Half open, one request may try; the others see that it does; its success closes."""
    told.tell(*["unavailable"] * 3)
    one = told.model()
    assert (one.state, one.is_avoided, one.probing) == ("open", True, False)
    assert one.again_in is not None
    assert 4 <= one.again_in <= 5
    told.pass_(one.again_in + 0.001)
    assert (told.model().state, told.model().is_avoided) == ("half_open", False)
    assert told.book.snapshot(told.now).due
    assert told.book.claim_model("m", "first", told.now)
    assert not told.book.claim_model("m", "second", told.now)
    assert (told.model().probing, told.model().is_avoided) == (True, True)
    assert not told.book.snapshot(told.now).due
    probe = told.begin(request="first")
    told.pass_(30)
    assert told.model().probing
    told.end(probe, "answered")
    assert (told.model().state, told.model().failures) == ("closed", 0)


def test_a_claim_that_is_not_used_lapses(told: Told) -> None:
    """And so does a probe that says nothing, or does not end."""
    told.tell(*["unavailable"] * 3)
    told.pass_(6)
    assert told.book.claim_model("m", "first", told.now)
    told.pass_(5)
    assert told.book.claim_model("m", "second", told.now)
    left = told.begin(request="second")
    assert not told.book.claim_model("m", "third", told.now)
    told.end(left, "abandoned")
    assert told.book.claim_model("m", "third", told.now)
    told.begin(request="third")
    told.pass_(59)
    assert not told.book.claim_model("m", "fourth", told.now)
    told.pass_(1)
    assert told.book.claim_model("m", "fourth", told.now)


def test_a_probe_that_fails_opens_for_longer(told: Told) -> None:
    """Until it opens, closed and unknown models need no claim."""
    assert told.book.claim_model("m", "any", told.now)
    told.tell(*["unavailable"] * 3)
    told.pass_(6)
    told.tell("unavailable")
    one = told.model()
    assert (one.state, one.failures) == ("open", 4)
    assert one.again_in is not None
    assert 8 <= one.again_in <= 10


@settings(max_examples=60, deadline=None)
@given(outage=st.integers(1, 400), pace=st.sampled_from([0.1, 0.5, 1.0]), name=st.text(max_size=5))
def test_with_traffic_it_closes_within_thirty_seconds_of_recovery(
    outage: int, pace: float, name: str
) -> None:
    """However long the outage; and meanwhile few requests meet the sick model."""
    told = Told()
    met, until = 0, T0 + outage * SECOND
    while told.now < until + 30 * SECOND:
        one = told.model(name)
        if not one.is_avoided:
            met += 1
            told.tell("unavailable" if told.now < until else "answered", model=name)
        told.pass_(pace)
    assert told.model(name).state == "closed"
    assert told.now - until <= 31 * SECOND
    asked_well = 30 / pace
    assert met <= 3 + outage / 4 + asked_well


def test_flapping(told: Told) -> None:
    """Ten seconds well, ten seconds ill, for half an hour: most requests are spared, and it is tried again and again."""
    met = failed = 0
    for tick in range(3600):
        if not told.model().is_avoided:
            is_ill = (tick // 20) % 2 == 1
            met, failed = met + 1, failed + is_ill
            told.tell("unavailable" if is_ill else "answered")
        told.pass_(0.5)
    assert failed < 300 < met
    told.pass_(30)
    told.tell("answered")
    assert told.model().state == "closed"


def test_a_clock_that_goes_back(told: Told) -> None:
    """By a little: nothing happens. Set back: what was seen before is forgotten, nothing stays open for hours."""
    told.tell(*["unavailable"] * 3)
    told.pass_(-2)
    told.tell("answered")
    assert told.model().attempts == 4
    told.pass_(-3600)
    assert told.model() == UNKNOWN
    told.tell(*["unavailable"] * 3)
    assert told.model().state == "open"


ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, 90),
        st.integers(0, 40),
        st.sampled_from(["answered", "unavailable", "model_not_found", "abandoned"]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(attempts=ATTEMPTS, data=st.data())
def test_the_order_of_telling_does_not_matter(
    attempts: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    """Two processes that hear of the same attempts, each in its own order, come to the same standing."""
    seen = [
        Seen(
            attempt=f"{n}-1",
            model="m",
            key="k",
            begun=T0 + at * SECOND,
            ended=T0 + (at + long) * SECOND,
            outcome=how,
        )
        for n, (at, long, how) in enumerate(attempts)
    ]
    standings = []
    for order in (seen, data.draw(st.permutations(seen))):
        book = Book()
        for one in order:
            book.ended(one)
        standings.append(book.snapshot(T0 + 131 * SECOND))
    assert standings[0] == standings[1]


@settings(max_examples=60, deadline=None)
@given(runs=st.lists(st.tuples(st.integers(1, 250), st.integers(0, 4)), max_size=6), late=st.integers(0, 600))
def test_looking_changes_nothing(runs: list[tuple[int, int]], late: int) -> None:
    """Successes are read at the next look: who looks after each attempt, and who looks once, see the same."""
    told, unseen = Told(), Told()
    for well, ill in runs:
        for outcome in ["answered"] * well + ["unavailable"] * ill:
            for one in (told, unseen):
                one.tell(outcome, first_token=well / 100, seconds=ill + 1.0, tokens=5)
            told.model()
    for one in (told, unseen):
        ended = one.now - late
        one.book.ended(
            Seen(attempt="late-1", model="m", key="k", begun=ended - 1, ended=ended, outcome="unavailable")
        )
    told.pass_(1)
    unseen.pass_(1)
    assert told.book.snapshot(told.now) == unseen.book.snapshot(unseen.now)


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(["answered", "unavailable", "abandoned"]), min_size=8, max_size=40),
    late=st.sets(st.integers(0, 40)),
)
def test_what_is_forgotten_has_counted(outcomes: list[str], late: set[int]) -> None:
    """A book that keeps few attempts comes to the same breaker as one that keeps all, also where some are told so late
    that all they followed are forgotten."""
    most, apart = 7, 61 * SECOND  # so that the last minute holds none of the forgotten
    order = sorted(range(len(outcomes)), key=lambda place: place + (most + 0.5) * (place in late))
    breakers = []
    for kept in (most, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(health, "MOST_ATTEMPTS", kept)
            book, found = Book(), []
            for n in order:
                at = T0 + n * apart
                seen = Seen(attempt=f"{n}-1", model="m", key="k", begun=at, ended=at, outcome=outcomes[n])
                book.ended(replace(seen, first_token=0.5))  # measured, so that each is kept
                found.append(book._models["m"].breaker if "m" in book._models else None)
            breakers.append(found)
    assert breakers[0] == breakers[1]


def test_memory_is_bounded(told: Told) -> None:
    """Of 20,000 models with three attempts each the latest 500 are kept, of one model the latest 200 attempts."""
    for n in range(20_000):
        told.tell("unavailable", "unavailable", "unavailable", model=f"m/{n}", key=f"k{n}")
    found = told.book.snapshot(told.now)
    assert (len(found.models), len(found.keys)) == (500, 0)
    assert found.model("m/19999").state == "open"
    for _ in range(1000):
        told.tell("answered", model="m/1", first_token=1.0, seconds=2.0, tokens=1)
    told.pass_(1)
    assert told.model("m/1").measured == 200
    for n in range(12_000):
        told.begin(model=f"m/{n}")
        told.book.learn(Learnt(f"m/{n}", "prefill_refused", told.now))
    assert len(told.book._running) == 10_000
    assert len(told.book.snapshot(told.now).learnt) == 500


def test_attempts_that_never_end_are_forgotten(told: Told) -> None:
    """A process that died has left them; and what was begun twice is one attempt."""
    seen = told.begin()
    told.book.begun(seen)
    assert told.book._running == {seen.attempt: seen}
    told.pass_(660)
    told.book.snapshot(told.now)
    assert told.book._running == {}


def test_what_models_teach(told: Told) -> None:
    """By refusing; known at once, for thirty days from the last time."""
    told.tell("prefill_refused", "answered", "reasoning_mandatory")
    told.book.learn(Learnt("m", "prefill_refused", told.now - 20 * 86_400 * SECOND))
    told.book.learn(Learnt("old", "prefill_refused", told.now - 31 * 86_400 * SECOND))
    told.book.learn(Learnt("m", "teaches_nothing", told.now))
    assert told.book.snapshot(told.now).learnt == {"m": {"no_prefill", "reasoning_mandatory"}}
    told.pass_(30 * 86_400)
    assert told.book.snapshot(told.now).learnt == {}
    assert set(health.LESSONS) <= set(TABLE)


@pytest.mark.parametrize("outcome", ["unavailable", "authentication"])
def test_calm(told: Told, outcome: str) -> None:
    """While nobody has failed, or is being tried: a failure ends it at once, a success that clears it brings it back."""
    assert told.book.snapshot(told.now).calm
    told.tell("answered", "abandoned")
    assert told.book.snapshot(told.now).calm
    told.tell(outcome)
    assert not told.book.snapshot(told.now).calm
    told.tell("answered")
    assert told.book.snapshot(told.now).calm
    told.tell(*[outcome] * 3)
    told.pass_(6)
    probe, other = told.begin(), told.begin()
    told.end(probe, "answered")
    assert (told.model().state, told.key().state) == ("closed", "closed")
    assert not told.book.snapshot(told.now).calm  # the other one began to try it, too
    told.end(other, "abandoned")
    assert told.book.snapshot(told.now).calm


def test_where_retries_are_rationed_it_is_not_calm(told: Told) -> None:
    """Though its last attempt went well."""
    told.tell(*["unavailable", "answered"] * 5)
    assert not told.book.snapshot(told.now).calm


def test_a_snapshot_is_made_anew_only_where_something_changed(told: Told) -> None:
    """What goes well waits for the next second; a failure, a probe and the moment of half open do not."""
    told.tell("answered")
    first = told.book.snapshot(told.now)
    told.tell("answered", "answered")
    assert told.book.snapshot(told.now) is first
    told.pass_(1)
    assert told.book.snapshot(told.now).model("m").attempts == 3
    told.tell("unavailable")
    assert told.book.snapshot(told.now).model("m").failures == 1
