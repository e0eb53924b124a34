"""The page's pieces: who fights, what was said, what the judges and the people think, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from ..bill import Bill
from ..ratings.results import Tally, tallies
from ..types import COMMENT, Vote
from . import words
from .colours import PALETTE, colours
from .markup import Markup, el, foreign, together
from .parts import FULL, Bench, Said
from .story import Story
from .text import one_line, plural, when


def bar(share: float, label: str, class_: str = "") -> Markup:
    """A bar filled to `share` of 100."""
    width = f"{share:g}"
    return el(
        "svg",
        el("rect", width=width, height="4"),
        class_=f"bar {class_}".strip(),
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def palette(told: Story) -> tuple[str, ...]:
    """The fighters' colours; hidden ones have none of their own, for it would tell who they are."""
    return PALETTE[: len(told.labels)] if told.hidden else colours(told.match.fighters)


def ring(told: Story) -> Markup:
    """Who fights, with their hit points: it stays in sight."""
    return el("div", *(_fighter(told, place) for place in range(len(told.labels))), class_=_row(told))


def _row(told: Story) -> str:
    return f"row n{len(told.labels)}"


def _fighter(told: Story, place: int) -> Markup:
    fighter, label, points = told.match.fighters[place], told.labels[place], told.health[place]
    model = "" if told.hidden else one_line(fighter.name or fighter.model)
    who = [one for one in (words.stance(told, place), model if model != label else "") if one]
    won = el("span", "Winner", class_="won", data_after="d") if told.winner == place else None
    has_points = bool(told.match.rules.judges)
    return el(
        "div",
        el("div", initial(label), class_="badge", aria_hidden="true"),
        el("div", foreign("bdi", label), won, class_="name"),
        el("span", str(points), class_="points", title=f"Hit points of {FULL}") if has_points else el("span"),
        el("div", foreign("bdi", " · ".join(who)), class_="who", title=" · ".join(who)),
        bar(points, f"Hit points of {label}: {points} of {FULL}") if has_points else None,
        class_=f"fighter f{place}",
        data_points=str(points) if has_points else None,
    )


def initial(label: str) -> str:
    """The sign in a fighter's badge."""
    return next((sign.upper() for sign in label if sign.isalnum()), "?")[:1]


def rounds(told: Story, *, is_live: bool) -> Iterator[Markup]:
    """What was said, side by side. Live, the turns to come are there, too, and not seen yet."""
    for at, turns in groupby(told.said.values(), key=lambda one: (one.turn.leg, one.turn.round)):
        # In a second leg they speak in reversed order; each keeps its column.
        row = sorted(turns, key=lambda one: one.turn.fighter)
        is_held = any(one.state != "waiting" for one in row)
        if is_held or is_live:
            yield el(
                "section",
                el("h2", words.round_name(told, *at)),
                el("div", *(_turn(told, one) for one in row), class_=_row(told)),
                data_round=f"{at[0]}.{at[1]}",
                hidden=not is_held,
            )


def _turn(told: Story, one: Said) -> Markup:
    place, state = one.turn.fighter, one.state
    remark = words.remark(one) if state != "speaking" else ""
    classes = {"speaking": " speaking", "waiting": " waiting"}.get(state, "")
    # How many tokens the same words are would tell one hidden model's tokenizer from another's.
    pace = " · ".join(filter(None, (words.order(told, one), "" if told.hidden else words.pace(one))))
    return el(
        "article",
        el("h3", foreign("bdi", told.labels[place]), el("small", pace, data_after="e") if pace else None),
        foreign("div", one.text, class_="said"),
        el("p", foreign("bdi", remark), class_="remark", data_after="e") if remark else None,
        _foot(told, one),
        class_=f"turn card f{place}{classes}",
        data_part=one.turn.part,
        data_state=state,
    )


def _foot(told: Story, one: Said) -> Markup | None:
    at, place = (one.turn.leg, one.turn.round), one.turn.fighter
    scores = [row[place] for judge in told.judges if (row := told.scores(judge.place).get(at))]
    health = told.health_after(*at)
    found = []
    if scores:
        found.append(el("span", "Judges ", el("b", f"{sum(scores) / len(scores):.1f}"), " of 10"))
    if health:
        found.append(el("span", "Hit points ", el("b", str(health[place]))))
    return el("p", *found, class_="foot", data_after="d") if found else None


def judges(told: Story) -> Markup | None:
    """What each judge says, with its scores and its reasons."""
    if not told.judges:
        return None
    cards = el("div", *(_judge(told, judge) for judge in told.judges), class_="grid")
    legend = el("p", foreign("bdi", words.sides(told)), class_="soft legend")
    return el("section", el("h2", "Judges"), cards, legend, data_after="d")


def _judge(told: Story, judge: Bench) -> Markup:
    is_flip = any(one.judge == judge.model for one in told.flips)
    lines = (el("li", foreign("bdi", line)) for line in words.rulings(told, judge))
    return el(
        "div",
        el("h3", foreign("bdi", one_line(judge.model))),
        el("ul", *lines, class_="flip" if is_flip else None),
        _scores(told, judge),
        *_reasons(told, judge),
        class_="card judge",
    )


def _scores(told: Story, judge: Bench) -> Markup | None:
    rows = told.scores(judge.place)
    if not rows:
        return None
    names = (el("th", foreign("bdi", label), scope="col") for label in told.labels)
    head = el("thead", el("tr", el("th", "Scores", scope="col"), *names))
    body = (
        el(
            "tr",
            el("th", words.round_name(told, *at), scope="row"),
            *(el("td", f"{one:.1f}", class_="best" if one == max(row) > min(row) else None) for one in row),
        )
        for at, row in rows.items()
    )
    return el("div", el("table", head, el("tbody", *body)), class_="scroll")


def _reasons(told: Story, judge: Bench) -> Iterator[Markup]:
    for (leg, is_swapped), verdict in sorted(judge.looks.items()):
        if verdict.reason:
            caption = el("figcaption", foreign("bdi", words.look(told, leg, is_swapped)))
            yield el("figure", caption, foreign("blockquote", verdict.reason, class_="own"))


def comment(told: Story, *, is_live: bool) -> Markup | None:
    """The commentator's summary."""
    one = told.comment
    if not one.text and not (is_live and told.match.rules.commentator):
        return None
    by = one_line(one.model or told.match.rules.commentator)
    said = el(
        "article",
        foreign("div", one.text, class_="said"),
        el("p", "by ", foreign("bdi", by), class_="soft by"),
        class_="card",
        data_part=COMMENT,
        data_state=one.state,
    )
    return el("section", el("h2", "Commentary"), said, data_round=COMMENT, hidden=not one.text)


def votes(told: Story, given: Iterable[Vote]) -> Markup | None:
    """What people voted: the owner and the spectators apart."""
    found = tallies(told.match, given)
    if not found:
        return None
    cards = el("div", *(_tally(told, one) for one in found), class_="grid")
    return el("section", el("h2", "Votes"), cards, data_after="z")


def _tally(told: Story, tally: Tally) -> Markup:
    rows = [
        (label, count, f"f{place}")
        for place, (label, count) in enumerate(zip(told.labels, tally.counts, strict=True))
    ]
    if tally.ties:
        rows.append(("Tie", tally.ties, "tie"))
    cells = (
        together(
            el("dt", foreign("bdi", label)),
            el("dd", bar(100 * count / tally.total, f"{count} of {plural(tally.total, 'vote')}", class_)),
            el("dd", str(count)),
        )
        for label, count, class_ in rows
    )
    title = f"{words.voters(tally)}, on {words.voted_on(told, tally.round)}"
    return el("div", el("h3", title), el("dl", *cells, class_="votes"), class_="card")


def costs(told: Story, bill: Bill | None) -> Markup:
    """What it cost, and whom."""
    rows = (
        el("tr", el("th", foreign("bdi", name), scope="row"), el("td", cost))
        for name, cost in words.costs(told, bill)
    )
    table = el("table", el("tbody", *rows))
    return el("section", el("h2", "Cost"), el("div", table, class_="card costs"), data_after="z")


def _moment(told: Story, at: int) -> str:
    """When, without the day where it is that of the match."""
    day, _, time = when(at).partition(", ")
    return time if when(told.match.created).startswith(f"{day}, ") else when(at)


def log(told: Story) -> Markup | None:
    """Failures, flips, pauses: what else happened."""
    if not told.log:
        return None
    lines = (
        el(
            "li",
            foreign("bdi", note.text),
            el("span", f" {_moment(told, note.at)}", class_="soft"),
        )
        for note in told.log
    )
    return el("section", el("h2", "What else happened"), el("ul", *lines, class_="log"), data_after="z")
