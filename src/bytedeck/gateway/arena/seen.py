"""Who sees what of a match: all of it, or no money and no ids of the ledger, or not even who fights. Pure.

Whoever is shown less is shown events and a match of which the rest was taken away, so nothing made of them can tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from ...arena.events import (
    Begun,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    Paused,
    Resumed,
    TurnEnded,
    TurnFailed,
)
from ...arena.match.ballot import LETTERS
from ...arena.types import Fighter, Match, Vote
from ...errors import TABLE

Form: TypeAlias = Literal["whole", "guest", "hidden"]
"""`whole`: for whose match it is, and who runs the gateway. `guest`: for others, without costs, requests, owner and the
words of errors. `hidden`: for everybody while a battle's models are not told; as `guest`, the fighters are A and B, and
the judges numbers: they are of families that do not fight, so who judges tells who does not."""

_ANOTHER = "Another model had to speak."
_NO_SENTENCE = "It could not answer."
_NO_COMMENT = "The commentator could not sum up."
_KEPT_BACK = "Something keeps it back for now."


def is_hidden(match: Match, end: str, votes: Iterable[Vote], viewer: tuple[str, str]) -> bool:
    """Whether a battle's models are not told yet. `end`: "" while it goes on; `viewer`: its source and name as a voter.

    Who has voted knows them. Others do at the end: where nobody judges it that is the owner's vote.
    """
    if match.kind != "battle":
        return False
    voted = {(one.source, one.voter) for one in votes}
    if viewer in voted:
        return False
    if not end or match.rules.judges:
        return not end
    return end in ("decided", "unjudged") and not any(source == "owner" for source, _ in voted)


def match_as(match: Match, form: Form) -> Match:
    """What is told of what is held."""
    if form == "whole":
        return match
    fighters = match.fighters
    if form == "hidden":
        fighters = tuple(Fighter(letter) for letter, _ in zip(LETTERS, fighters, strict=False))
    rules, unrated = replace(match.rules, budget_units=None), match.unrated
    if form == "hidden":
        rules, unrated = replace(rules, judges=tuple(_judges(match).values())), _without_names(match, unrated)
    return replace(match, fighters=fighters, rules=rules, owner="", seed=0, unrated=unrated)


def _judges(match: Match) -> dict[str, str]:
    """What each judge is called while who fights is hidden."""
    return {name: f"Judge {place + 1}" for place, name in enumerate(match.rules.judges)}


def event_as(match: Match, event: Event, form: Form) -> Event:
    """What is told of what happened. `match`: as it is, with all names."""
    if form == "whole":
        return event
    changes: dict[str, Any] = {}
    if "request" in event.__struct_fields__:
        changes["request"] = _opaque(event.request)  # type: ignore[union-attr]
    if "cost_units" in event.__struct_fields__:
        changes["cost_units"] = None
    change = _CHANGES.get(type(event))
    if change is not None:
        changes |= change(match, event, form)
    return replace(event, **changes) if changes else event


def _opaque(request: str) -> str:
    """Tells requests apart, and finds no row of the ledger."""
    return blake2b(request.encode(), digest_size=8).hexdigest()


def _begun(match: Match, event: Begun, form: Form) -> dict[str, Any]:
    return {"match": match_as(event.match, form)}


def _turn_ended(match: Match, event: TurnEnded, form: Form) -> dict[str, Any]:
    if form != "hidden":
        return {}
    # How many tokens the same words are tells one tokenizer from another.
    return {"model": "", "completion_tokens": None, "why_void": _ANOTHER if event.why_void else ""}


def _failed(match: Match, event: TurnFailed | JudgeFailed, form: Form) -> dict[str, Any]:
    row = TABLE.get(event.code)
    return {"message": row.sentence if row is not None else _NO_SENTENCE}


def _judge(match: Match, event: JudgeBegan | JudgeEnded | JudgeFailed, form: Form) -> dict[str, Any]:
    changes = _failed(match, event, form) if isinstance(event, JudgeFailed) else {}
    if form == "hidden":
        changes["judge"] = _judges(match).get(event.judge, "")
        if isinstance(event, JudgeEnded):
            changes["model"] = ""
    return changes


def _decided(match: Match, event: Decided, form: Form) -> dict[str, Any]:
    if form != "hidden":
        return {}
    names = _judges(match)
    return {"rulings": tuple(replace(one, judge=names.get(one.judge, "")) for one in event.rulings)}


def _comment_ended(match: Match, event: CommentEnded, form: Form) -> dict[str, Any]:
    return {"message": _NO_COMMENT if event.message else ""}


def _paused(match: Match, event: Paused, form: Form) -> dict[str, Any]:
    return {
        "spent_units": 0,
        "needed_units": None,
        "budget_units": 0,
        "code": "",
        "why": _KEPT_BACK if event.why else "",
    }


def _resumed(match: Match, event: Resumed, form: Form) -> dict[str, Any]:
    return {"budget_units": None, "lost": tuple(map(_opaque, event.lost))}


def _ended(match: Match, event: Ended, form: Form) -> dict[str, Any]:
    return {"why": _without_names(match, event.why)} if form == "hidden" else {}


def _without_names(match: Match, why: str) -> str:
    """A sentence in which nobody is told by a name."""
    names = _judges(match)
    for letter, one in zip(LETTERS, match.fighters, strict=False):
        persona = one.persona.name if one.persona else ""
        names |= dict.fromkeys((one.model, one.sent, one.rated, one.name, persona, *one.fallbacks), letter)
    for name in sorted(filter(None, names), key=len, reverse=True):
        why = why.replace(name, names[name])
    return why


_CHANGES: Mapping[type, Callable[[Match, Any, Form], dict[str, Any]]] = {
    Begun: _begun,
    TurnEnded: _turn_ended,
    TurnFailed: _failed,
    JudgeBegan: _judge,
    JudgeEnded: _judge,
    JudgeFailed: _judge,
    Decided: _decided,
    CommentEnded: _comment_ended,
    Paused: _paused,
    Resumed: _resumed,
    Ended: _ended,
}
