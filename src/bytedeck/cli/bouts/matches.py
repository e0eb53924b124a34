"""Matches that are kept, as a person sees them: a row of the list, the whole, a replay, a document."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...arena.show import card, page, record, transcript
from ...arena.show import replay as replays
from ...arena.show.story import Story
from ...arena.show.text import about, one_line, span
from ...arena.types import Match
from ...debates.billing import bill
from ...money import to_text
from .. import tell
from . import scorecard, views

if TYPE_CHECKING:
    from ...client import Hub
    from ...io.matches import Kept

HEADS = ("ID", "WHEN (UTC)", "KIND", "STATE", "COST", "ABOUT", "WHO")
# How often a match that another process holds is looked at.
_LOOK = 0.1


def row(hub: Hub, kept: Kept) -> tuple[str, ...]:
    """A line of the list."""
    match, hidden = kept.match, is_hidden(hub, kept)
    labels = Story(match, hidden=hidden).labels
    who = labels if hidden else map(" ".join, zip(scorecard.LABELS, _plain(labels), strict=False))
    units = kept.standing.cost_units
    return (
        match.id,
        time.strftime("%Y-%m-%d %H:%M", time.gmtime(match.created / 1e6)),
        match.kind,
        _state(kept),
        "" if units is None else about(units),
        one_line(match.topic, 40),
        " – ".join(who),
    )


def drawn(rows: Sequence[tuple[str, ...]]) -> str:
    """The list. On a narrow terminal a line ends where the terminal does."""
    width = shutil.get_terminal_size().columns if tell.is_terminal(sys.stdout) else 0
    lines = tell.table([HEADS, *rows]).split("\n")
    return "\n".join(line if not width or len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def _plain(labels: Sequence[str]) -> list[str]:
    """The labels without the letters that tell fighters of one name apart: all of them have one here."""
    return [
        label.removesuffix(f" ({letter})") for label, letter in zip(labels, scorecard.LABELS, strict=False)
    ]


def _state(kept: Kept) -> str:
    if kept.state != "over" or kept.end != "decided":
        return kept.end or kept.state
    winner = kept.standing.winner
    return "a tie" if winner is None else f"{scorecard.LABELS[winner]} won"


def as_json(kept: Kept) -> dict[str, Any]:
    """The same for programs. Amounts are decimal text in USD, or null where not known."""
    match, standing = kept.match, kept.standing
    return {
        "id": match.id,
        "kind": match.kind,
        "topic": match.topic,
        "task": match.task,
        "fighters": [one.rated or one.model for one in match.fighters],
        "state": kept.state,
        "end": kept.end or None,
        "winner": standing.winner,
        "is_rated": standing.is_rated,
        "created": match.created / 1e6,
        "cost": None if standing.cost_units is None else to_text(standing.cost_units),
    }


def is_hidden(hub: Hub, kept: Kept) -> bool:
    """Whether the models stay hidden: in a battle that waits for its owner's vote, and that no judge decides."""
    if kept.match.kind != "battle" or kept.match.rules.judges or kept.end == "failed":
        return False
    return not any(one.source == "owner" for one in hub.house.matches.votes(kept.match.id))


def show(hub: Hub, kept: Kept, reveal: bool) -> None:
    """All of it; what another process goes on with is followed to its end."""
    match, hidden = kept.match, is_hidden(hub, kept) and not reveal
    view, told = views.view(match, hidden=hidden), Story(match)
    try:
        last = _catch_up(hub, kept, view, told, past=True)
        while not told.is_over and (now := hub.arena.find(match.id)).is_held:
            last = _catch_up(hub, now, view, told, last)
            time.sleep(_LOOK)
        _catch_up(hub, kept, view, told, last)
    finally:
        view.leave()
    for tally in hub.arena.tally(match.id):
        tell.out(scorecard.tally(match, tally))
    tell.say(
        f"Cost: {scorecard.costs(Story(match) if hidden else told, bill(hub.house, hub.arena.events(match.id)))}",
        dim=True,
    )
    _tell_next(told, match, hidden)


def _catch_up(
    hub: Hub, kept: Kept, view: views.View, told: Story, last: int = -1, *, past: bool = False
) -> int:
    """Show what has happened since; the number of the last event."""
    for event in hub.house.matches.events(kept.match.id, last):
        told.hear(event)
        view.hear(event, past=past)
        last = event.seq
    return last


def _tell_next(told: Story, match: Match, hidden: bool) -> None:
    if not told.is_over:
        tell.say(f"It is not over. Go on with: byte arena resume {match.id}", dim=True)
    elif hidden:
        tell.say(f"Who was who comes with your vote: byte arena vote {match.id} A", dim=True)


def replay(hub: Hub, kept: Kept, speed: float, json_: bool) -> None:
    """Once more, in the time that it took. A battle is shown with its models where its owner has voted."""
    events = hub.arena.events(kept.match.id)
    left_out = replays.left_out(events)
    view = views.view(kept.match, hidden=is_hidden(hub, kept), json_=json_)
    try:
        for wait, event in replays.replay(events, speed):
            time.sleep(wait)
            view.hear(event)
    finally:
        view.leave()
    if left_out and not json_:
        tell.say(f"Left out: {span(sum(left_out.values()))} in which nothing happened.", dim=True)


def exported(hub: Hub, kept: Kept, form: str, reveal: bool) -> str:
    """A document of it: `md`, `json`, `html`, `svg` or `card`."""
    match = kept.match
    events = hub.arena.events(match.id)
    more: dict[str, Any] = {"votes": hub.house.matches.votes(match.id), "bill": bill(hub.house, events)}
    if form == "json":
        return record.as_json(match, events, **more).decode()
    hidden = is_hidden(hub, kept) and not reveal
    return _FORMS[form](match, events, **more, hidden=hidden)


_FORMS: dict[str, Callable[..., str]] = {
    "md": transcript.markdown,
    "html": page.page,
    "svg": card.card,
    "card": card.card_page,
}
