"""Every cut: known answers, broken at each byte in each way, and gone on with in each manner, in virtual time.

Each byte comes at least once. BYTE_EVERY_CUT=5 plays five times as many; from 47 on each byte comes with each
fault, each manner, and with and without a prefill.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import cycle, islice, product

import pytest

from bytedeck.types import Policy
from continuers import HARD, MANNERS, ONLY_TEXT, RECORDED, Known, stream
from cuts import play
from cutworld import FAULTS, SLICES, Cut, Schedule

DENSITY = int(os.environ.get("BYTE_EVERY_CUT") or 1)
MAIN = ("echo", "no_echo", "drop_space", "greet", "repeat")
PLAYED: Counter[str] = Counter()
"""How many schedules ended how."""

by_name = pytest.mark.parametrize("known", RECORDED, ids=lambda known: known.name)
text_by_name = pytest.mark.parametrize("known", ONLY_TEXT, ids=lambda known: known.name)


def sweep(schedules: Iterable[Schedule]) -> Counter[str]:
    """Play them all; what went wrong is told of the shortest ones, so that each can be played alone."""
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    for plan in schedules:
        try:
            ends[play(plan).label] += 1
        except AssertionError as error:
            wrong.append(f"{plan}\n    {str(error).splitlines()[:1]}")
    PLAYED.update(ends)
    told = "\n".join(sorted(wrong, key=len)[:5])
    assert not wrong, f"{len(wrong)} of {sum(ends.values()) + len(wrong)} schedules went wrong:\n{told}"
    return ends


def some(schedules: Iterable[Schedule], every: int) -> Iterator[Schedule]:
    """One of so many: a number that shares no factor with an axis, so that each axis still comes whole."""
    return islice(schedules, 0, None, -(-every // DENSITY))


def cuts(known: Known) -> Iterator[Cut]:
    """Each byte × each fault, in slices that change from byte to byte."""
    whole = stream(known.text, known.reasoning, known.calls)
    for at, fault in product(range(len(whole) + 1), FAULTS):
        yield Cut(at, fault, SLICES[at % len(SLICES)])


def breaks(known: Known) -> Iterator[Cut]:
    """A break after each event, in each way by turns."""
    data = stream(known.text, known.reasoning, known.calls)
    at = 0
    for fault in cycle(("reset", "end", "error", "garbage")):
        if (at := data.find(b"\n\n", at) + 2) == 1:
            return
        yield Cut(at, fault)


def assert_answered(ends: Counter[str], *but: str) -> None:
    """Where nothing else stands in the way, there is an answer in the end."""
    assert not [end for end in ends if end.startswith("error") and end not in but], ends


@by_name
def test_every_byte(known: Known) -> None:
    """The known text, or a seam that is told: for each byte, each fault, each manner of going on."""
    plans = (
        Schedule(known, (cut,), (manner,), 2, prefill)
        for cut in cuts(known)
        for manner, prefill in product(MAIN, (None, True))
    )
    assert_answered(sweep(some(plans, 47)))


@by_name
def test_every_byte_of_the_only_model(known: Known) -> None:
    """It goes on itself; only where its route fell silent it is not asked again, and the error says so."""
    plans = (
        Schedule(known, (cut,), (manner,), 1, prefill)
        for cut in cuts(known)
        for manner, prefill in product(MAIN, (None, True))
    )
    assert_answered(sweep(some(plans, 233)), "error:first_event_timeout", "error:idle_timeout")


@pytest.mark.parametrize("prefill", [None, True])
@text_by_name
def test_every_place_of_a_text(known: Known, prefill: bool | None) -> None:
    """The same for texts that tempt a joiner, after each of their pieces, with every manner."""
    plans = (
        Schedule(known, (cut,), (manner,), 2, prefill) for cut, manner in product(breaks(known), MANNERS)
    )
    assert_answered(sweep(some(plans, 7)))


@pytest.mark.parametrize("known", [*RECORDED, *HARD], ids=lambda known: known.name)
def test_a_second_cut(known: Known) -> None:
    """Who goes on may break off as well, anywhere: the next one goes on with both parts."""
    size = len(stream(known.text, known.reasoning, known.calls))
    plans = (
        Schedule(known, (first, Cut(second, fault, SLICES[second % 3])), (manner,), chain, prefill)
        for first in breaks(known)
        for second, fault in product(range(0, size, 29), FAULTS)
        for manner, chain, prefill in product(MAIN, (2, 3), (None, True))
    )
    sweep(some(plans, 997))


@pytest.mark.parametrize("known", [*RECORDED, *HARD], ids=lambda known: known.name)
def test_a_second_cut_with_somebody_left(known: Known) -> None:
    """Of three models two may break off, in any way: the third one brings it home."""
    size = len(stream(known.text, known.reasoning, known.calls))
    plans = (
        Schedule(known, (first, Cut(second, fault)), (manner,), 3)
        for first in breaks(known)
        for second, fault in product(range(0, size, 29), FAULTS)
        for manner in ("echo", "no_echo", "greet_bare")
    )
    assert_answered(sweep(some(plans, 331)))


MIXED = (
    ("no_echo", "echo"),
    ("greet_bare", "paraphrase", "echo"),
    ("silent", "drop_space"),
    ("repeat", "greet"),
)


@pytest.mark.parametrize("known", [*RECORDED, *HARD], ids=lambda known: known.name)
def test_models_of_different_manners(known: Known) -> None:
    """One does not take the words up, the next one may."""
    plans = (
        Schedule(known, (cut,), (MIXED[0][0], *manners), 3, prefill)
        for cut, manners, prefill in product(breaks(known), MIXED, (None, False))
    )
    assert_answered(sweep(some(plans, 3)))


POLICIES = {
    "error": {"policy": Policy(failover="error")},
    "restart": {"policy": Policy(failover="restart")},
    "restart, cannot erase": {"policy": Policy(failover="restart"), "can_erase": False},
    "cannot erase": {"can_erase": False},
    "tools are shown": {"policy": Policy(stream_tools=True)},
    "tools are shown, cannot erase": {"policy": Policy(stream_tools=True), "can_erase": False},
    "nobody looks": {"streamed": False},
    "tools are not called again": {"calls_again": False},
    "tools are not called again, cannot erase": {"calls_again": False, "can_erase": False},
    "thinks again": {"thinks": True},
    "thinks again, prefill": {"thinks": True, "prefill": True},
    "prefill is refused": {"prefill": True, "refuses_prefill": True},
}
MAY_FAIL = (
    "error",
    "restart, cannot erase",
    "cannot erase",
    "tools are shown, cannot erase",
    "tools are not called again, cannot erase",
)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("known", [*RECORDED, *HARD[:3]], ids=lambda known: known.name)
def test_what_a_caller_allows(known: Known, name: str) -> None:
    """Who cannot take back is never told to, who wants an error gets one with the words so far, and so on."""
    plans = (
        Schedule(known, (cut,), (manner,), 2, **POLICIES[name])  # type: ignore[arg-type]
        for cut, manner in product(breaks(known), ("echo", "no_echo", "greet", "greet_bare", "silent"))
    )
    ends = sweep(some(plans, 7))
    if name not in MAY_FAIL:
        assert_answered(ends)


def test_there_were_enough() -> None:
    """Ten thousand schedules at least, and of each kind."""
    if len(PLAYED) < 2:
        pytest.skip("only with the rest of this file")
    assert sum(PLAYED.values()) >= 10_000, PLAYED
    assert min(PLAYED[kind] for kind in ("whole", "proven", "unproven", "restart")) >= 100, PLAYED
    print(f"{sum(PLAYED.values()):,} schedules: {dict(PLAYED)}")
