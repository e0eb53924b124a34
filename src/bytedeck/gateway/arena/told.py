"""A match as JSON for who asks how it stands. Amounts are decimal text in USD; times are microseconds since 1970. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from ...arena.bill import Bill
from ...arena.events import Event
from ...arena.ratings.results import tallies
from ...arena.ratings.standings import Board
from ...arena.show.parts import Bench, Said, Sum
from ...arena.show.record import plain
from ...arena.show.story import Story, story
from ...arena.types import Match, Vote
from ...money import to_text
from .seen import Form, event_as, match_as
from .who import View


def links(base: str, match: str) -> dict[str, str]:
    """Where all of a match is. `base`: `/v1/arena`."""
    at = f"{base}/matches/{match}"
    return {
        "self": at,
        **{name: f"{at}/{name}" for name in ("events", "votes", "page", "card", "transcript")},
    }


def brief(view: View, base: str) -> dict[str, Any]:
    """A match in a list."""
    kept, told = view.kept, match_as(view.match, view.form)
    standing = kept.standing
    cost = standing.cost_units if view.form == "whole" else None
    return {
        "id": told.id,
        "kind": told.kind,
        "topic": told.topic,
        "task": told.task,
        "fighters": [one.rated or one.model for one in told.fighters],
        "state": kept.state,
        "end": kept.end or None,
        "winner": standing.winner,
        "is_rated": standing.is_rated,
        "is_public": told.is_public,
        "is_hidden": view.form == "hidden",
        "is_mine": view.is_owner,
        "created": told.created,
        "last": kept.last,
        "cost_usd": None if cost is None else to_text(cost),
        "links": links(base, told.id),
    }


def heard(match: Match, events: Iterable[Event], form: Form) -> Story:
    """The story as it is told in this form."""
    told = (event_as(match, event, form) for event in events)
    return story(match_as(match, form), told, hidden=form == "hidden")


def whole(
    view: View, events: Iterable[Event], votes: Iterable[Vote], bill: Bill | None, base: str
) -> dict[str, Any]:
    """All of a match as it stands. `bill`: told in the whole form alone."""
    found = heard(view.match, events, view.form)
    decided = found.decided
    return brief(view, base) | {
        "last": found.last.seq if found.last is not None else -1,
        "rules": plain(found.match.rules),
        "fighters": [
            {"label": label} | plain(one)
            for label, one in zip(found.labels, found.match.fighters, strict=True)
        ],
        "turns": [_turn(one) for one in found.said.values()],
        "judges": [_judge(found, one) for one in found.judges],
        "decision": None if decided is None else _decision(found),
        "health": list(found.health),
        "comment": plain(found.comment),
        "paused": None if found.paused is None else plain(found.paused),
        "why": found.ended.why if found.ended is not None else "",
        "log": [plain(one) for one in found.log],
        "votes": counted(view.match, votes),
        "costs": _costs(found, bill) if view.form == "whole" else None,
    }


def _turn(one: Said) -> dict[str, Any]:
    told = plain(one)
    told.pop("request")
    return {"part": one.turn.part, **told.pop("turn"), **told}


def _judge(found: Story, one: Bench) -> dict[str, Any]:
    return {
        "model": one.model,
        "is_out": one.is_out,
        "note": one.note,
        "running": one.running,
        "looks": [
            {"leg": leg, "is_swapped": is_swapped, "verdict": plain(verdict)}
            for (leg, is_swapped), verdict in sorted(one.looks.items())
        ],
    }


def _decision(found: Story) -> dict[str, Any]:
    rulings = [plain(one) | {"is_flip": one.is_flip} for one in found.rulings]
    score = [list(one) for one in found.decided.score] if found.decided is not None else []
    return {"winner": found.winner, "score": score, "rulings": rulings}


def _costs(found: Story, bill: Bill | None) -> dict[str, Any]:
    sums = found.costs(bill)
    told = {name: _sum(getattr(sums, name)) for name in ("judges", "comment", "total")}
    return {"fighters": [_sum(one) for one in sums.fighters], **told}


def _sum(one: Sum) -> dict[str, Any]:
    """`is_whole`: false where a part of it is not known."""
    return {"usd": to_text(one.units), "is_whole": one.is_whole}


def counted(match: Match, votes: Iterable[Vote]) -> list[dict[str, Any]]:
    """The votes, counted by source and round."""
    return [plain(one) for one in tallies(match, votes)]


def board(found: Board, names: Iterable[str]) -> dict[str, Any]:
    """The ratings. `names`: the models that may be told, by their ids; a note that names another one is left out."""
    told: dict[str, Any] = plain(found)
    known = frozenset(names)
    hidden = [row.name for row in found.rows if row.model not in known]
    told["rows"] = [plain(row) for row in found.rows if row.model in known]
    told["notes"] = [note for note in found.notes if not any(name in note for name in hidden)]
    return told


def vote(cast: Vote, view: View) -> dict[str, Any]:
    """What was taken down, and who they are: who has voted is told."""
    told = structs.asdict(cast)
    names = [one.rated or one.model for one in view.match.fighters]
    return {
        "vote": told,
        "fighters": names if view.form != "hidden" else None,
        "is_hidden": view.form == "hidden",
    }
