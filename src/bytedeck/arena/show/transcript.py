"""A match as Markdown. What models and people wrote stands in block quotes that it cannot leave.

Every line of it begins with `>`, and the two signs that begin raw HTML, links, pictures and footnotes are escaped
(CommonMark 0.31 §2.4, §4.6, §4.7, §6.3); a heading or a fence that it opens ends with the quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..bill import Bill
from ..events import Event
from ..ratings.results import tallies
from ..types import Match, Vote
from . import words
from .parts import Bench, Said, heading
from .story import Story, story
from .text import cleaned, one_line, when

_INLINE = re.compile(r"([\\`*_\[\]<|~&])")
# What would begin a heading, a quote or a list at the start of a line, as an item of a list is one.
_FIRST = re.compile(r"^(\d*)([#>+=.)-])")


def markdown(
    match: Match,
    events: Iterable[Event],
    *,
    bill: Bill | None = None,
    votes: Iterable[Vote] = (),
    hidden: bool = False,
) -> str:
    """The whole match to be read: arguments, scores with their reasons, votes, costs. `hidden`: see `Story`."""
    told = story(match, events, hidden=hidden)
    parts = (
        _head(told),
        _fighters(told),
        _arguments(told),
        _judges(told),
        _comment(told),
        _votes(told, votes),
        _costs(told, bill),
        _log(told),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def quoted(text: str) -> str:
    """Foreign text as a block quote."""
    safe = cleaned(text).replace("<", "\\<").replace("[", "\\[")
    return "\n".join(f"> {line}".rstrip(" ") for line in safe.split("\n"))


def inline(text: str, most: int = 200) -> str:
    """Foreign text within a line of ours: nothing in it is Markdown."""
    return _FIRST.sub(r"\1\\\2", _INLINE.sub(r"\\\1", one_line(text, most)))


def _head(told: Story) -> Iterator[str]:
    match = told.match
    yield from (f"# {match.kind.capitalize()}", "", quoted(match.topic), "")
    yield from (f"**{inline(words.outcome(told))}** {inline(words.verdict(told), 400)}".rstrip(), "")
    yield from (inline(" · ".join(words.facts(match)), 400), "")


def _fighters(told: Story) -> Iterator[str]:
    rows = [
        (
            inline(label),
            "hidden" if told.hidden else inline(fighter.model, 80),
            inline(words.stance(told, place)),
            str(told.health[place]) if told.match.rules.judges else "–",
        )
        for place, (label, fighter) in enumerate(zip(told.labels, told.match.fighters, strict=True))
    ]
    yield from _table(("Fighter", "Model", "Stance", "Hit points"), rows)


def _arguments(told: Story) -> Iterator[str]:
    begun = {(one.turn.leg, one.turn.round) for one in told.said.values() if one.state != "waiting"}
    before: tuple[int, int] | None = None
    for one in told.said.values():
        at = (one.turn.leg, one.turn.round)
        if at not in begun:
            continue
        if at != before:
            leg = f" (leg {one.turn.leg + 1})" if told.match.legs > 1 else ""
            yield from (f"## {heading(one.turn.round, one.phase, told.match.rules.rounds)}{leg}", "")
            before = at
        yield from _turn(told, one)


def _turn(told: Story, one: Said) -> Iterator[str]:
    yield from (f"### {inline(told.labels[one.turn.fighter])}", "")
    if one.text:
        yield from (quoted(one.text), "")
    if remark := words.remark(one):
        yield from (f"*{inline(remark, 400)}*", "")


def _judges(told: Story) -> Iterator[str]:
    if told.judges:
        yield from ("## Judges", "", inline(words.sides(told), 400), "")
    for judge in told.judges:
        yield from (f"### {inline(judge.model)}", "")
        for line in words.rulings(told, judge):
            yield f"- {inline(line, 300)}"
        yield ""
        scores = told.scores(judge.place)
        rows = [(words.round_name(told, *key), *(f"{one:.1f}" for one in row)) for key, row in scores.items()]
        if rows:
            yield from _table(("Round", *map(inline, told.labels)), rows)
        yield from _reasons(told, judge)


def _reasons(told: Story, judge: Bench) -> Iterator[str]:
    for (leg, is_swapped), verdict in sorted(judge.looks.items()):
        if verdict.reason:
            yield from (f"{words.look(told, leg, is_swapped)}:", "", quoted(verdict.reason), "")


def _comment(told: Story) -> Iterator[str]:
    if told.comment.text:
        by = f" by {inline(told.comment.model)}" if told.comment.model else ""
        yield from (f"## Commentary{by}", "", quoted(told.comment.text), "")


def _votes(told: Story, votes: Iterable[Vote]) -> Iterator[str]:
    rows = [
        (words.voters(one), words.voted_on(told, one.round), *map(str, one.counts), str(one.ties))
        for one in tallies(told.match, votes)
    ]
    if rows:
        yield from ("## Votes", "")
        yield from _table(("By", "On", *map(inline, told.labels), "Tie"), rows)


def _costs(told: Story, bill: Bill | None) -> Iterator[str]:
    yield from ("## Cost", "")
    yield from _table(("For", "USD"), [(inline(name), cost) for name, cost in words.costs(told, bill)])


def _log(told: Story) -> Iterator[str]:
    if told.log:
        yield from ("## What else happened", "")
        yield from (f"- {inline(f'{when(note.at)}: {note.text}', 500)}" for note in told.log)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
