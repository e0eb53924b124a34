"""When a model is asked again, and how long that waits."""

from __future__ import annotations

import pytest

from bytedeck.call.retry import MAX_BACKOFF, NEXT, STOP, Verdict, backoff, chance, decide
from bytedeck.errors import TABLE
from bytedeck.types import Fault


def judge(
    code: str,
    *,
    tries: int = 1,
    last: bool = False,
    retry_after: float | None = None,
    remaining: float = 600.0,
    chance: float = 0.5,
    may_repeat: bool = True,
) -> Verdict:
    fault = Fault(code=code, retry_after=retry_after)
    return decide(
        fault, tries=tries, most=2, last=last, remaining=remaining, chance=chance, may_repeat=may_repeat
    )


@pytest.mark.parametrize(
    ("code", "again", "then"),
    [
        ("connect_failed", 2, NEXT),
        ("connection_lost", 1, NEXT),
        ("headers_timeout", 0, NEXT),
        ("first_event_timeout", 0, NEXT),
        ("truncated", 1, NEXT),
        ("server_error", 1, NEXT),
        ("unavailable", 2, NEXT),
        ("rate_limited", 1, NEXT),
        ("authentication", 0, STOP),
        ("insufficient_credits", 0, STOP),
        ("model_not_found", 0, NEXT),
        ("invalid_request", 0, STOP),
        ("image_unreachable", 1, STOP),
        ("moderated", 0, NEXT),
        ("guardrail", 0, STOP),
        ("empty_answer", 1, NEXT),
    ],
)
def test_section_seven(code: str, again: int, then: Verdict) -> None:
    """Each failure is asked again as often as wire.md section 7 allows, then next or stop."""
    for tries in range(1, again + 1):
        assert judge(code, tries=tries).move == "again"
    assert judge(code, tries=again + 1) == then


@pytest.mark.parametrize("code", TABLE)
def test_the_last_model_has_no_next(code: str) -> None:
    """At the end of the chain nothing says next."""
    assert judge(code, tries=9, last=True) == STOP


@pytest.mark.parametrize(
    ("retry_after", "last", "remaining", "move"),
    [
        (3.0, False, 600.0, "again"),
        (40.0, False, 600.0, "next"),  # another model can answer meanwhile
        (40.0, True, 600.0, "again"),  # nobody else is left: worth the wait
        (40.0, True, 30.0, "stop"),  # but not past the deadline
        (3600.0, True, 86400.0, "stop"),
    ],
)
def test_retry_after(retry_after: float, last: bool, remaining: float, move: str) -> None:
    """A hint is followed where it is short or nobody else is left, never blindly."""
    verdict = judge("rate_limited", last=last, retry_after=retry_after, remaining=remaining)
    assert verdict.move == move
    assert verdict.move != "again" or verdict.wait >= retry_after


@pytest.mark.parametrize(("retry_after", "last"), [(10.0, False), (60.0, True)])
def test_chance_does_not_decide(retry_after: float, last: bool) -> None:
    """Up to its bound a hint is followed, whatever the jitter, which never shortens it; past it never."""
    for luck in (0.0, 0.5, 0.999999):
        verdict = judge("rate_limited", last=last, retry_after=retry_after, chance=luck)
        assert verdict.move == "again"
        assert retry_after <= verdict.wait <= retry_after * 1.1
        assert judge("rate_limited", last=last, retry_after=retry_after + 0.01, chance=luck).move != "again"


def test_a_herd_does_not_come_back_together() -> None:
    """A hint is stretched by up to a tenth of it, and by up to half a second where it is short."""
    assert judge("rate_limited", retry_after=0.0, chance=0.5).wait == 0.25
    assert judge("rate_limited", retry_after=40.0, last=True, chance=0.5).wait == 42.0


@pytest.mark.parametrize("code", TABLE)
def test_a_model_that_fails_often_is_not_asked_again(code: str) -> None:
    """Without a budget for repeats the next model is asked; unless there is none, or it is not the model's fault."""
    row = TABLE[code]
    spent = {"may_repeat": False}
    assert judge(code, last=True, **spent) == judge(code, last=True)
    if row.blames == "model" and row.then == "next":
        assert judge(code, **spent) == NEXT
    else:
        assert judge(code, **spent) == judge(code)


SILENT = ("headers_timeout", "first_event_timeout", "idle_timeout", "total_timeout")


@pytest.mark.parametrize("code", SILENT)
@pytest.mark.parametrize("last", [True, False])
def test_a_silent_route_is_never_asked_again(code: str, last: bool) -> None:
    """It may still be working, and billing (D2, D3)."""
    for retry_after in (None, 0.0):
        assert judge(code, last=last, retry_after=retry_after).move != "again"


def test_backoff_is_capped_at_any_number_of_tries() -> None:
    """No overflow at attempt 2,000, and never more than the cap."""
    assert [backoff(n, 1.0) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert backoff(2000, 1.0) == MAX_BACKOFF
    assert backoff(3, 0.0) == 0.0


def test_chance_is_spread_and_repeatable() -> None:
    """The jitter comes from the attempt's name: the same again, another for another."""
    seen = [chance(f"{n:032x}-1") for n in range(500)]
    assert seen == [chance(f"{n:032x}-1") for n in range(500)]
    assert min(seen) >= 0.0
    assert max(seen) < 1.0
    assert 0.4 < sum(seen) / len(seen) < 0.6


@pytest.mark.parametrize(
    ("code", "tries", "repeats", "move"),
    [
        ("truncated", 1, 0, "again"),
        ("truncated", 1, 1, "again"),  # the first time, after a connection that was lost
        ("truncated", 2, 1, "stop"),
        ("truncated", 1, 2, "stop"),  # two repeats are the most, whatever they were for
        ("unavailable", 2, 1, "again"),
        ("unavailable", 2, 2, "stop"),
    ],
)
def test_each_kind_of_failure_has_its_own_count(code: str, tries: int, repeats: int, move: str) -> None:
    """What was lost with an old connection is not held against a stream that breaks; together they have a most."""
    fault = Fault(code=code)
    verdict = decide(fault, tries=tries, repeats=repeats, most=2, last=True, remaining=60, chance=1.0)
    assert verdict.move == move
    assert verdict.wait in (0.0, backoff(repeats + 1, 1.0))


def test_fewer_retries_by_configuration() -> None:
    """The configured most bounds the table's."""
    fault = Fault(code="unavailable")
    assert decide(fault, tries=1, most=0, last=True, remaining=60, chance=0.1) == STOP
