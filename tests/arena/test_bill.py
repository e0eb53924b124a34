"""A match's bill: what its calls cost by what was asked, with what is not known said."""

from __future__ import annotations

import pytest

from bytedeck.arena.bill import Bill, Charge, bill, requests
from bytedeck.arena.events import CommentBegan, Event, JudgeBegan, TurnBegan, Words
from bytedeck.arena.types import COMMENT, Look, Turn

TURN, LOOK = Turn(0, 1, 0), Look(2, 0, True)
EVENTS: tuple[Event, ...] = (
    TurnBegan(turn=TURN, phase="rebuttal", request="a"),
    Words(part=TURN.part, text="hi"),
    TurnBegan(turn=TURN, phase="rebuttal", request="b"),
    JudgeBegan(look=LOOK, judge="m/judge", request="c"),
    CommentBegan(model="m/voice", request="d"),
)


def charge(request: str, units: int | None, worst: int | None = 100) -> Charge:
    return Charge(request=request, units=units, worst_units=worst)


def test_every_call_has_its_part() -> None:
    """Also one that was lost and asked for once more."""
    assert requests(EVENTS) == {"a": "t0.1.0", "b": "t0.1.0", "c": "j2.0.s", "d": COMMENT}


@pytest.mark.parametrize(
    ("charges", "parts", "total", "known", "most"),
    [
        ((), (0, 0, 0), 0, (0, 0, 0), 0),
        ((charge("a", 3), charge("b", 5), charge("c", 7), charge("d", 0)), (8, 7, 0), 15, (8, 7, 0), 15),
        ((charge("a", 3), charge("a", 4), charge("c", 7)), (7, 7, 0), 14, (7, 7, 0), 14),
        ((charge("a", None), charge("b", 5)), (None, 0, 0), None, (5, 0, 0), 105),
        ((charge("b", 5), charge("b", None, None)), (None, 0, 0), None, (5, 0, 0), None),
    ],
)
def test_bills(
    charges: tuple[Charge, ...],
    parts: tuple[int | None, ...],
    total: int | None,
    known: tuple[int, ...],
    most: int | None,
) -> None:
    """Sums by part; an unknown cost makes its part and the total unknown, and is bounded by its worst case."""
    assert bill(EVENTS, charges) == Bill(
        parts=dict(zip(("t0.1.0", "j2.0.s", COMMENT), parts, strict=True)),
        total_units=total,
        known=dict(zip(("t0.1.0", "j2.0.s", COMMENT), known, strict=True)),
        known_units=sum(known),
        at_most_units=most,
    )
