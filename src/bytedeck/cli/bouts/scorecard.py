"""What is said of a match, in words for a terminal: pieces of text, each with its style. Pure; who prints it is not its matter.

What models, prompts and personas brought along has no control characters here and cannot turn a line around.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ...arena.bill import Bill
from ...arena.ratings.results import Tally
from ...arena.show import words
from ...arena.show.colours import colours
from ...arena.show.parts import Bench, Said, Sum
from ...arena.show.story import Story, flipped
from ...arena.show.text import money, one_line, plural, when
from ...arena.types import Choice, Fighter, Match, Ruling
from .. import tell

Piece: TypeAlias = tuple[str, str]
"""Text, and its style in rich's words: "bold", "#3b82f6", "dim" …; "": as it is."""
Line: TypeAlias = tuple[Piece, ...]

LABELS = "ABCD"
_BAR = 20
# What turns the direction of writing, and line ends and tabs, which would break a column.
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_FOREIGN = dict.fromkeys(_TURNING, "") | {0x2028: "\n", 0x2029: "\n", 0x09: "    "}


def spoken(text: str) -> str:
    """Foreign words as they may stand on a terminal, in several lines."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return tell.cleaned(whole.replace("\r\n", "\n")).translate(_FOREIGN)


def colour(match: Match, place: int) -> str:
    """Of a fighter, `#rrggbb`."""
    return colours(match.fighters)[place]


def name(fighter: Fighter) -> str:
    """Who it is: whom it plays, and the model."""
    model = one_line(fighter.name or fighter.model, 48)
    return f"{one_line(fighter.persona.name, 32)} · {model}" if fighter.persona is not None else model


def title(match: Match, place: int, hidden: bool = False) -> str:
    """`A Claude Sonnet (latest)`; a hidden one is its letter alone."""
    return LABELS[place] if hidden else f"{LABELS[place]} {name(match.fighters[place])}"


def named(match: Match, place: int, hidden: bool = False) -> Piece:
    """The same in its colour."""
    return title(match, place, hidden), f"bold {colour(match, place)}"


def opening(told: Story) -> list[Line]:
    """Who is in it, for what, and how it is held."""
    match = told.match
    stances = [words.stance(told, place) for place in range(len(match.fighters))]
    fighters = [
        (named(match, place, told.hidden), (f"  {what}" if what else "", "dim"))
        for place, what in enumerate(stances)
    ]
    held, which = _rules(match)
    lines: list[Line] = [*fighters, ((held, "dim"),)]
    if match.rules.judges:
        lines.append(((f"judged by {', '.join(one_line(one, 60) for one in match.rules.judges)}", "dim"),))
    return [*lines, ((which, "dim"),)]


def _rules(match: Match) -> tuple[str, str]:
    """How it is held; which match it is."""
    # The last of the facts is the id, and the time stands before it where it is known.
    facts = words.facts(match)
    moment = [when(match.created)] if when(match.created) else []
    held = facts[: len(facts) - 1 - len(moment)]
    if match.rules.budget_units is not None:
        held.append(f"budget {money(match.rules.budget_units)}")
    return " · ".join(held), " · ".join([f"match {match.id}", *moment])


def heading(told: Story, leg: int, number: int) -> str:
    """`Rebuttal · round 2 of 3`."""
    if told.match.kind == "battle":
        return "Answers"
    return f"{words.round_name(told, leg, number)} · round {number + 1} of {told.match.rules.rounds}"


def took(one: Said, hidden: bool = False) -> str:
    """`212 tokens in 4.2 s`. How fast it is would tell who a hidden one is."""
    return "" if hidden else words.pace(one)


def remarks(one: Said) -> str:
    """What is to be known of a turn besides its words."""
    return words.remark(one) if one.state in ("said", "failed") else ""


def verdict(told: Story) -> list[Line]:
    """What the panel says: hit points, each judge with its reason, who won and by how many."""
    lines: list[Line] = []
    if told.decided is not None and told.decided.health:
        lines += [*_health(told), ()]
    for bench in told.judges:
        lines += _judge(told, bench)
    return [*lines, (), won(told)] if told.rulings else lines


def _health(told: Story) -> list[Line]:
    """`A Claude  ██████████████░░░░░░  72   100 → 91 → 72`, a line each."""
    rounds = told.decided.health if told.decided is not None else ()
    names = [title(told.match, place, told.hidden) for place in range(len(told.match.fighters))]
    width = max(map(len, names))
    return [
        (
            (f"{names[place]:<{width}}  ", f"bold {colour(told.match, place)}"),
            *bar(left, colour(told.match, place)),
            (f" {left:>3}", "bold"),
            (f"   {' → '.join(str(row[place]) for row in ((100,) * len(names), *rounds))}", "dim"),
        )
        for place, left in enumerate(told.health)
    ]


def bar(left: int, style: str) -> tuple[Piece, Piece]:
    """Hit points, 0 to 100, as a bar; who has one left is not shown as dead."""
    filled = round(max(0, min(100, left)) * _BAR / 100) or (1 if left > 0 else 0)
    return ("█" * filled, style), ("░" * (_BAR - filled), "dim")


def _judge(told: Story, bench: Bench) -> list[Line]:
    """Whom a judge chose, whether it chose another one with the sides swapped, and its reason."""
    who: Piece = (one_line(bench.model, 60), "bold")
    rulings = [one for one in told.rulings if one.judge == bench.model]
    if not rulings:
        why = f"left out: {bench.note}" if bench.is_out else "no verdict"
        return [(who, (f"  {why}", "yellow"))]
    first: Line = (who, ("  ", ""), *order(told.match, _points(told.match, rulings)))
    if flips := [one for one in rulings if one.is_flip]:
        first = (*first, (f"  it {flipped(flips[0])}: that counts as a tie", "yellow"))
    reason = next(
        (text for look in sorted(bench.looks) if (text := one_line(bench.looks[look].reason, 1200))), ""
    )
    return [first, (("  " + reason, "dim"),)] if reason else [first]


def _points(match: Match, rulings: Iterable[Ruling]) -> list[float]:
    points = [0.0] * len(match.fighters)
    for one in rulings:
        points[one.first] += one.score
        points[one.second] += 1 - one.score
    return points


def order(match: Match, points: Sequence[float]) -> Line:
    """`A > B = C`, the best first, each in its colour."""
    line: list[Piece] = []
    best = sorted(range(len(points)), key=lambda place: (-points[place], place))
    for before, place in zip([None, *best], best, strict=False):
        if before is not None:
            line.append((" = " if points[before] == points[place] else " > ", ""))
        line.append((LABELS[place], f"bold {colour(match, place)}"))
    return tuple(line)


def won(told: Story) -> Line:
    """`Winner: A Claude Sonnet. Judges: Claude Sonnet 2, GPT 0, 1 tie.`"""
    how = f"  {words.verdict(told)}"
    if told.winner is None:
        return (("A tie.", "bold"), (how, "dim"))
    return (("Winner: ", "bold"), named(told.match, told.winner, told.hidden), (how, "dim"))


def ended(told: Story) -> Line:
    """How it is over, where that needs a word; () where it does not."""
    if told.ended is None or (told.ended.end == "decided" and not told.ended.why):
        return ()
    if told.ended.end == "unjudged" and not told.match.rules.judges:
        return ()  # as it was wanted
    why = one_line(told.ended.why, 400)
    word = "" if told.ended.end == "decided" else f"{words.outcome(told)}. "
    return ((f"{word}{why}".strip(), "yellow"),)


def chosen(match: Match, choice: Choice) -> str:
    """A vote as words."""
    return "a tie" if choice is None else title(match, choice)


def costs(told: Story, bill: Bill | None = None) -> str:
    """`A $0.0031 · B $0.0042 · judges $0.01 · in all $0.0173`. What nobody knows yet is said, not left out."""
    found = told.costs(bill)
    parts = (
        [] if told.hidden else [f"{LABELS[place]} {_sum(one)}" for place, one in enumerate(found.fighters)]
    )
    if told.match.rules.judges:
        parts.append(f"judges {_sum(found.judges)}")
    if told.match.rules.commentator:
        parts.append(f"commentator {_sum(found.comment)}")
    return " · ".join([*parts, f"in all {_sum(found.total)}"])


def _sum(one: Sum) -> str:
    return money(one.units) if one.is_whole else f"at least {money(one.units)}"


def plain(line: Line) -> str:
    """The words alone."""
    return "".join(text for text, _ in line)


def revealed(match: Match) -> Line:
    """`A was GPT (latest)  B was Kimi (latest)`."""
    pieces: list[Piece] = []
    for place, fighter in enumerate(match.fighters):
        pieces += [
            ("  " if place else "", ""),
            (f"{LABELS[place]} was ", ""),
            (name(fighter), f"bold {colour(match, place)}"),
        ]
    return tuple(pieces)


def tally(match: Match, votes: Tally) -> str:
    """`Your vote on the whole: A Claude Sonnet`, `Spectators on round 1: A 3, B 1, 1 tie`."""
    what = "the whole" if votes.round is None else f"round {votes.round + 1}"
    if votes.source == "owner":
        return f"Your vote on {what}: {chosen(match, votes.leader)}"
    counts = [f"{LABELS[place]} {count}" for place, count in enumerate(votes.counts) if count]
    ties = [plural(votes.ties, "tie")] if votes.ties else []
    return f"Spectators on {what}: {', '.join([*counts, *ties])}"
