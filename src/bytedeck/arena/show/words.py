"""What the views say about a match in sentences, plain text: each view escapes it its own way."""

from __future__ import annotations

from ..bill import Bill
from ..match import schedule
from ..ratings.results import Tally
from ..types import Match
from .parts import Bench, Said, Sum, heading
from .story import Story, flipped
from .text import money, one_line, plural, span, when

_ENDS = {
    "decided": "A tie",
    "unjudged": "Not judged",
    "failed": "Nobody could go on",
    "stopped": "Stopped",
}
_STANCES = ("for it", "against it")


def facts(match: Match) -> list[str]:
    """`3 rounds`, `all speak at once`, …: by which rules it was held, and when."""
    rules = match.rules
    found = []
    if match.kind == "debate":
        found.append(plural(rules.rounds, "round"))
        found.append("in turns, held twice" if rules.turns == "alternating" else "all speak at once")
    found.append(plural(len(rules.judges), "judge") if rules.judges else "no judges")
    if match.task:
        found.append(f"task {one_line(match.task, 40)}")
    if match.is_mirror:
        found.append("a model meets itself: unrated")
    return [*found, *filter(None, [when(match.created)]), match.id]


def outcome(told: Story) -> str:
    """`Optimist wins`, `A tie`, `Still going on`: what it came to, in three words."""
    if told.winner is not None:
        return f"{told.labels[told.winner]} wins"
    if told.decided is not None:
        return "A tie"
    if told.ended is None:
        return "Paused" if told.paused else "Still going on"
    return _ENDS[told.ended.end]


def verdict(told: Story) -> str:
    """What stands behind the outcome: `Judges: Optimist 2, Skeptic 0, 1 tie.` and whether it is rated."""
    found = []
    if told.decided is not None:
        wins, ties = told.tally()
        who = "Judges" if len(wins) == 2 else "Pairs won"
        counts = [f"{label} {count}" for label, count in zip(told.labels, wins, strict=True)]
        found.append(f"{who}: {', '.join([*counts, *([plural(ties, 'tie')] if ties else [])])}.")
    if told.ended is not None and told.ended.end == "decided" and not told.ended.is_rated:
        found.append("Unrated.")
    return " ".join(found)


def stance(told: Story, place: int) -> str:
    """What a fighter stands for; "" where it has a view of its own."""
    given = one_line(told.match.fighters[place].stance, 120)
    if given or told.match.kind == "battle":
        return given
    return _STANCES[place] if place < len(_STANCES) else "a view of its own"


def remark(one: Said) -> str:
    """What is to be said under a turn's text; "" where nothing is."""
    if one.state == "waiting":
        return "Not said."
    if one.state == "speaking":
        return "Still speaking …"
    if one.state == "failed":
        return f"Could not speak: {one.note}"
    found = []
    if one.is_void:
        found.append(f"Rates nobody: {one.note}" if one.note else "Rates nobody.")
    if one.is_cut:
        found.append("Cut by the limit of tokens.")
    if not one.text.strip():
        found.append("It said nothing.")
    return " ".join(found)


def round_name(told: Story, leg: int, number: int) -> str:
    """`Opening`, `Closing, leg 2`."""
    name = heading(number, schedule.phase(told.match, number), told.match.rules.rounds)
    return f"{name}, leg {leg + 1}" if told.match.legs > 1 else name


def rulings(told: Story, judge: Bench) -> list[str]:
    """What a judge says of each pair, in a sentence each."""
    found = []
    for one in told.rulings:
        # One model may sit on the panel only once: `Ruling` names it by its id.
        if one.judge == judge.model:
            pair = (told.labels[one.first], told.labels[one.second])
            choice = f"for {pair[0] if one.score > 0.5 else pair[1]}" if one.score != 0.5 else "a tie"
            why = f": it {flipped(one)}" if one.is_flip else ""
            found.append(f"{pair[0]} – {pair[1]}: {choice}{why}.")
    if judge.is_out:
        found.append(f"Left out: {judge.note}")
    elif not found and not judge.looks:
        found.append("Has not spoken." if told.is_over else "Has not spoken yet.")
    return found


def sides(told: Story) -> str:
    """Judges are shown sides, not names: which is which in their reasons, however they were shown (`judging.read`)."""
    return (
        "Judges know no names: "
        + ", ".join(f"side {n} is {label}" for n, label in enumerate(told.labels, 1))
        + "."
    )


def look(told: Story, leg: int, is_swapped: bool) -> str:
    """The line over a judge's reason: how it was shown the sides."""
    if len(told.labels) > 2:  # each judge begins with another one: see `judging.shown`
        name = "With the sides the other way round" if is_swapped else "With the sides one way round"
    else:
        name = "With the sides swapped" if is_swapped else "With the sides in order"
    return f"{name}, leg {leg + 1}" if told.match.legs > 1 else name


def voters(tally: Tally) -> str:
    """`Owner`, `4 spectators`."""
    return "Owner" if tally.source == "owner" else plural(tally.total, "spectator")


def voted_on(told: Story, number: int | None) -> str:
    """`the whole`, or which round."""
    if number is None:
        return "the whole"
    return f"the {heading(number, schedule.phase(told.match, number), told.match.rules.rounds).lower()}"


def costs(told: Story, bill: Bill | None) -> list[tuple[str, str]]:
    """Who cost what, as (name, `$0.0001`), the total last. A hidden fighter's price would tell its name."""
    found = told.costs(bill)
    rows = (
        []
        if told.hidden
        else [(label, _cost(one)) for label, one in zip(told.labels, found.fighters, strict=True)]
    )
    if told.judges:
        rows.append(("Judges", _cost(found.judges)))
    if told.match.rules.commentator:
        rows.append(("Commentator", _cost(found.comment)))
    return [*rows, ("All together", _cost(found.total))]


def _cost(one: Sum) -> str:
    return money(one.units) if one.is_whole else f"at least {money(one.units)}"


def pace(one: Said) -> str:
    """`212 tokens in 4.1 s`; "" where neither is known."""
    tokens = plural(one.tokens, "token") if one.tokens is not None else ""
    seconds = span(one.seconds) if one.seconds else ""
    return " in ".join(filter(None, (tokens, seconds)))


def order(told: Story, one: Said) -> str:
    """`speaks first`, `speaks second`, where they speak in turns."""
    if told.match.legs == 1:
        return ""
    last = len(told.labels) - 1
    place = last - one.turn.fighter if one.turn.leg % 2 else one.turn.fighter
    return f"speaks {('first', 'second', 'third', 'fourth')[place]}"
