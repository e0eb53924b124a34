"""A match as a card to share: a picture of 1200 × 630 that needs no font and nothing else, and a page that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from ..bill import Bill
from ..events import Event
from ..ratings.results import tallies
from ..types import Match, Vote
from . import words
from .colours import ink
from .markup import Markup, el, source, text
from .measure import REGULAR, balanced, cut, is_leftward, width, wrap
from .sections import initial, palette
from .story import Story, story
from .text import about, one_line, plural, when

WIDTH, HEIGHT, EDGE = 1200, 630, 64
ROOM = WIDTH - 2 * EDGE
Theme = Literal["dark", "light"]


class _Paint(Struct, frozen=True):
    back: str
    raised: str
    ink: str
    soft: str
    line: str


_PAINTS: dict[Theme, _Paint] = {
    "dark": _Paint("#0f1115", "#181b21", "#f1f2f4", "#9aa0ab", "#2d323b"),
    "light": _Paint("#f6f5f1", "#ffffff", "#1b1d22", "#646873", "#dddbd3"),
}
_SANS = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_SERIF = "Charter, Georgia, 'Noto Serif', 'DejaVu Serif', serif"
_SIZES = ((60, 2), (50, 3), (41, 4))
"""Sizes of the topic with how many lines of it there is room for."""


def card(
    match: Match,
    events: Iterable[Event],
    *,
    bill: Bill | None = None,
    votes: Iterable[Vote] = (),
    hidden: bool = False,
    theme: Theme = "dark",
) -> str:
    """The card, SVG. `hidden`: see `Story`."""
    return _svg(story(match, events, hidden=hidden), bill, tuple(votes), _PAINTS[theme]) + "\n"


def card_page(
    match: Match,
    events: Iterable[Event],
    *,
    bill: Bill | None = None,
    votes: Iterable[Vote] = (),
    hidden: bool = False,
    theme: Theme = "dark",
) -> str:
    """The card on a page of its own, HTML, with nothing from elsewhere and no script."""
    told, paint = story(match, events, hidden=hidden), _PAINTS[theme]
    style = (
        f"html{{color-scheme:{theme};background:{paint.back}}}"
        "body{margin:0;min-height:100vh;display:grid;place-items:center}svg{width:min(100vw,190vh);height:auto}"
    )
    policy = (
        f"default-src 'none'; style-src {source(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", property="og:title", content=one_line(match.topic, 120)),
        el("meta", property="og:description", content=words.outcome(told)),
        el("link", rel="icon", href="data:,"),
        el("title", f"{one_line(match.topic, 120)} – Bytedeck"),
        el("style", Markup(style)),
    )
    return (
        f"<!doctype html>\n{el('html', head, el('body', _svg(told, bill, tuple(votes), paint)), lang='en')}\n"
    )


def _svg(told: Story, bill: Bill | None, votes: tuple[Vote, ...], paint: _Paint) -> Markup:
    topic = one_line(told.match.topic, 600) or "(no topic)"
    return el(
        "svg",
        el("title", f"{one_line(topic, 160)} – {words.outcome(told)}"),
        *_ground(told, paint),
        *_head(told, paint),
        *_topic(topic, paint),
        *(part for place in range(len(told.labels)) for part in _fighter(told, place, paint)),
        *_foot(told, bill, votes, paint),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        font_family=_SANS,
    )


def _ground(told: Story, paint: _Paint) -> Iterator[Markup]:
    """The ground, with a glow of the first colour from the left and of the last from the right."""
    sides = ((palette(told)[0], "0"), (palette(told)[-1], "1"))
    yield el("rect", width=WIDTH, height=HEIGHT, fill=paint.back)
    for name, (colour, at) in zip(("l", "r"), sides, strict=True):
        stops = (
            el("stop", offset=offset, stop_color=colour, stop_opacity=o)
            for offset, o in (("0", ".3"), ("1", "0"))
        )
        yield el("radialGradient", *stops, id=name, cx=at, cy="1", r=".75")
        yield el("rect", width=WIDTH, height=HEIGHT, fill=f"url(#{name})")


def _head(told: Story, paint: _Paint) -> Iterator[Markup]:
    yield _line("BYTEDECK ARENA", EDGE, 78, 20, paint.ink, weight="700", letter_spacing="2.4")
    date = when(told.match.created).partition(",")[0]
    what = " · ".join(filter(None, (told.match.kind.capitalize(), date)))
    yield _line(what, WIDTH - EDGE, 78, 20, paint.soft, anchor="end")


def _topic(topic: str, paint: _Paint) -> Iterator[Markup]:
    size, most = next(
        (one for one in _SIZES if not wrap(topic, one[0], ROOM, one[1])[-1].endswith("…")), _SIZES[-1]
    )
    lines = balanced(topic, size, ROOM, most)
    step = size * 1.2
    top = 228 - (len(lines) - 1) * step / 2 + size * 0.35
    for place, line in enumerate(lines):
        yield _line(line, EDGE, top + place * step, size, paint.ink, weight="600", font_family=_SERIF)


class _Block(Struct, frozen=True):
    """Where things stand in a fighter's block, from its left and its top."""

    inset: int
    radius: int
    name: tuple[int, int, int]
    """From the left, the base line, the size; so of the next ones."""
    who: tuple[int, int]
    points: tuple[int, int]
    """The base line and the size; they stand at the right edge."""
    bar: int
    """Its top."""
    beside_name: int
    """Room that the points take from the name."""
    beside_bar: int
    """And from the bar."""


# Two have room for a line each; of more of them the blocks are narrow.
_ROOMY = _Block(22, 26, (90, 50, 30), (90, 78), (50, 24), 108, beside_name=66, beside_bar=0)
_NARROW = _Block(18, 19, (68, 60, 21), (18, 96), (126, 20), 113, beside_name=0, beside_bar=50)
_TOP, _HIGH, _GAP = 362, 148, 28


def _fighter(told: Story, place: int, paint: _Paint) -> Iterator[Markup]:
    """One fighter's block: badge, name, what it stands for, hit points."""
    count = len(told.labels)
    at = _ROOMY if count == 2 else _NARROW
    wide = (ROOM - _GAP * (count - 1)) / count
    left = EDGE + place * (wide + _GAP)
    right = left + wide - at.inset
    colour, label = palette(told)[place], told.labels[place]
    yield from _panel(left, wide, colour if told.winner == place else "", paint)
    yield from _badge(left + at.inset + at.radius, at.radius, initial(label), colour)
    x, y, size = left + at.name[0], _TOP + at.name[1], at.name[2]
    name, fitted = _name(label, size, right - at.beside_name - x)
    yield _line(name, x, y, fitted, paint.ink, weight="650")
    x, y = left + at.who[0], _TOP + at.who[1]
    yield _line(cut(_who(told, place, is_short=count > 2), 18 * REGULAR, right - x), x, y, 18, paint.soft)
    if told.match.rules.judges:
        points, (y, size) = told.health[place], at.points
        yield _line(str(points), right, _TOP + y, size, paint.ink, weight="650", anchor="end")
        x = left + at.inset
        yield from _bar(x, _TOP + at.bar, right - at.beside_bar - x, points, colour, paint)


def _name(label: str, size: float, room: float) -> tuple[str, float]:
    """The name, and how large: first a bit smaller, then without `(latest)`, and cut only where neither helps."""
    tries = [
        (one, size * scale) for one in (label, label.removesuffix(" (latest)")) for scale in (1, 0.9, 0.8)
    ]
    fitting = next(((one, scaled) for one, scaled in tries if width(one, scaled) <= room), None)
    return fitting or (cut(tries[-1][0], size, room), size)


def _panel(left: float, wide: float, won: str, paint: _Paint) -> Iterator[Markup]:
    """The block's ground; `won`: the winner's colour."""
    yield el(
        "rect",
        x=f"{left:g}",
        y=_TOP,
        width=f"{wide:g}",
        height=_HIGH,
        rx=18,
        fill=paint.raised,
        stroke=won or paint.line,
        stroke_width=3 if won else 1.5,
    )
    if won:
        middle = left + wide / 2
        yield el("rect", x=f"{middle - 58:g}", y=_TOP - 16, width=116, height=32, rx=16, fill=won)
        yield _line(
            "WINNER", middle, _TOP + 6, 17, ink(won), weight="700", anchor="middle", letter_spacing="1.6"
        )


def _badge(middle: float, radius: int, sign: str, colour: str) -> Iterator[Markup]:
    yield el("circle", cx=f"{middle:g}", cy=_TOP + 52, r=radius, fill=colour)
    yield _line(sign, middle, _TOP + 52 + radius * 0.36, radius, ink(colour), weight="700", anchor="middle")


def _who(told: Story, place: int, *, is_short: bool) -> str:
    fighter, label = told.match.fighters[place], told.labels[place]
    model = "" if told.hidden else one_line(fighter.name or fighter.model)
    found = [one for one in (words.stance(told, place), model) if one and one != label]
    return found[-1] if found and is_short else " · ".join(found)


def _bar(x: float, y: float, wide: float, points: int, colour: str, paint: _Paint) -> Iterator[Markup]:
    yield el("rect", x=f"{x:g}", y=y, width=f"{wide:g}", height=12, rx=6, fill=paint.line)
    if points:
        # A bar narrower than it is high would have no ends.
        yield el(
            "rect",
            x=x,
            y=y,
            width=f"{max(12.0, wide * min(points, 100) / 100):g}",
            height=12,
            rx=6,
            fill=colour,
        )


def _foot(told: Story, bill: Bill | None, votes: tuple[Vote, ...], paint: _Paint) -> Iterator[Markup]:
    outcome = cut(words.outcome(told), 28, ROOM * 0.5)
    yield _line(outcome, EDGE, 574, 28, paint.ink, weight="650")
    rest = " · ".join(_facts(told, bill, votes))
    room = ROOM - width(outcome, 28) - 40
    yield _line(cut(rest, 20 * REGULAR, room), WIDTH - EDGE, 573, 20, paint.soft, anchor="end")


def _facts(told: Story, bill: Bill | None, votes: tuple[Vote, ...]) -> Iterator[str]:
    if told.decided:
        wins, ties = told.tally()
        also = f", {plural(ties, 'tie')}" if ties else ""
        yield f"{'judges' if len(wins) == 2 else 'pairs'} {' : '.join(map(str, wins))}{also}"
    for one in tallies(told.match, votes):
        if one.source == "spectators" and one.round is None:
            yield f"spectators {' : '.join(map(str, one.counts))}"
    total = told.costs(bill).total
    if total.is_whole and total.units:
        yield about(total.units)


def _line(
    told: str,
    x: float,
    y: float,
    size: float,
    fill: str,
    *,
    weight: str | None = None,
    anchor: str = "start",
    **more: str,
) -> Markup:
    """A line of text. What reads from right to left keeps its place and gets its direction."""
    is_left = is_leftward(told)
    if is_left:
        anchor = {"start": "end", "end": "start"}.get(anchor, anchor)
    return el(
        "text",
        text(told),
        x=f"{x:g}",
        y=f"{y:g}",
        font_size=f"{size:g}",
        font_weight=weight,
        fill=fill,
        text_anchor=None if anchor == "start" else anchor,
        direction="rtl" if is_left else None,
        **more,
    )
