"""Matches as they may have gone, for tests: `bout("debate", score=1.0)` is a match and its events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace

from bytedeck.arena.events import Begun, Decided, Ended, Event, RoundEnded, TurnEnded, TurnFailed
from bytedeck.arena.types import End, Fighter, Kind, Match, Rules, Ruling, Turn

A, B = "alpha/one", "beta/two"
_SIGNS = "abcdefghijklmnopqrstuvwxyz234567"
_number = count()


def new_id() -> str:
    """Another one each time."""
    value, found = next(_number), ""
    for _ in range(10):
        value, rest = divmod(value, 32)
        found = _SIGNS[rest] + found
    return found


def fighter(model: str, **more: object) -> Fighter:
    return Fighter(model, **{"rated": model, "sent": model, "name": model.title(), **more})  # type: ignore[arg-type]


def bout(
    models: Sequence[str | Fighter] = (A, B),
    *,
    kind: Kind = "battle",
    score: float | None = 1.0,
    end: End = "decided",
    is_rated: bool = True,
    texts: Sequence[str] = (),
    spoken: Sequence[str] = (),
    void: Sequence[int] = (),
    failed: Sequence[int] = (),
    judges: Sequence[str] = ("gamma/judge",),
    task: str = "coding",
    owner: str = "",
    at: int = 1_000_000,
    rules: Rules | None = None,
    is_over: bool = True,
    scores: Sequence[tuple[int, int, float]] = (),
) -> tuple[Match, tuple[Event, ...]]:
    """A match of one round. `score`: the first one's by the panel; None: nobody judged."""
    fighters = tuple(one if isinstance(one, Fighter) else fighter(one) for one in models)
    rules = rules or Rules(rounds=1, judges=tuple(judges))
    match = Match(
        id=new_id(),
        kind=kind,
        topic="Cats?",
        fighters=fighters,
        rules=rules,
        task=task,
        owner=owner,
        created=at,
    )
    events: list[Event] = [Begun(match=match)]
    for place, one in enumerate(fighters):
        turn, text = Turn(0, 0, place), texts[place] if texts else f"words of {place}"
        if place in failed:
            events.append(
                TurnFailed(turn=turn, request=f"r{place}", code="unavailable", message="It is down.")
            )
        else:
            events.append(
                TurnEnded(
                    turn=turn,
                    request=f"r{place}",
                    text=text,
                    model=spoken[place] if spoken else one.sent,
                    is_void=place in void,
                )
            )
    events.append(RoundEnded(leg=0, round=0))
    pairs = tuple(scores) or (() if score is None else ((0, 1, score),))
    if pairs and is_over:
        rulings = tuple(
            Ruling(judge=judge, first=i, second=j, plain=s, swapped=s, score=s)
            for judge in judges
            for i, j, s in pairs
        )
        events.append(Decided(rulings=rulings, score=pairs, winner=None))
    if is_over:
        events.append(Ended(end=end, is_rated=is_rated))
    return match, tuple(replace(event, seq=seq, at=at + seq) for seq, event in enumerate(events))
