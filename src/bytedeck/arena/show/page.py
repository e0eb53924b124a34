"""A match as one web page that needs nothing else: both sides beside each other, the verdict, a replay in its own time.

Nothing in it comes from elsewhere and nothing that anybody said becomes markup or script: its policy allows only the one
style sheet and the one script that it holds, by their digests. Without scripts all the text is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ..bill import Bill
from ..events import Event
from ..types import Match, Vote
from . import sections, words
from .colours import ink
from .markup import Markup, el, foreign, source, together
from .player import SCRIPT, timeline
from .sheet import SHEET
from .story import Story, story
from .text import cleaned, one_line

SPEEDS = (1, 2, 4, 8, 16)
_TITLE = 280
"""Signs of a topic that stand in the title; what is longer follows below it."""
_SAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def page(
    match: Match,
    events: Iterable[Event],
    *,
    bill: Bill | None = None,
    votes: Iterable[Vote] = (),
    hidden: bool = False,
    live: str = "",
) -> str:
    """The page, HTML. `hidden`: see `Story`.

    `live`: the address, on the page's own host, of an event stream (SSE) that gives the events after the last one here,
    each as JSON in a message of its own. The page writes along, and loads itself anew when the match has ended.
    """
    heard = tuple(events)
    told = story(match, heard, hidden=hidden)
    style = SHEET + _colours(told)
    data = embedded({"live": live, "rows": [] if live else timeline(heard)})
    head = _head(told, style, "connect-src 'self'" if live else "connect-src 'none'")
    body = el(
        "body",
        _header(told),
        el("div", el("div", sections.ring(told), class_="wide"), class_="ring", id="top"),
        el("main", *_main(told, bill, votes, is_live=bool(live)), class_="wide"),
        _player(),
        el("p", id="status", class_="status", role="status"),
        el("script", Markup(data), id="data", type="application/json"),
        el("script", Markup(SCRIPT)),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def embedded(value: object) -> str:
    """JSON that may stand in a `<script>`: nothing in it can end the element or a line of script."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).translate(_SAFE)


def _colours(told: Story) -> str:
    found = enumerate(sections.palette(told))
    return "".join(f".f{place}{{--c:{colour};--on:{ink(colour)}}}\n" for place, colour in found)


def _head(told: Story, style: str, connect: str) -> Markup:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {source(style)}",
            f"script-src {source(SCRIPT)}",
            "img-src data:",
            connect,
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    topic = one_line(told.match.topic, 120)
    about = f"{words.outcome(told)}. {' against '.join(told.labels)}, by Bytedeck's arena."
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="description", content=about),
        el("meta", property="og:title", content=topic),
        el("meta", property="og:description", content=about),
        el("link", rel="icon", href="data:,"),
        el("title", f"{topic} – Bytedeck"),
        el("style", Markup(style)),
    )


def _header(told: Story) -> Markup:
    topic = cleaned(told.match.topic)
    is_long = len(topic) > _TITLE or "\n" in topic.strip()
    whole = el(
        "details",
        el(
            "summary", "The whole prompt" if told.match.kind == "battle" else "The whole topic", class_="soft"
        ),
        foreign("div", topic, class_="own card"),
    )
    outcome = el(
        "div",
        el("strong", foreign("bdi", words.outcome(told)), id="outcome"),
        foreign("span", words.verdict(told), class_="soft"),
        class_="outcome",
        data_after="d",
    )
    facts = el("ul", *(el("li", foreign("bdi", fact)) for fact in words.facts(told.match)), class_="facts")
    brand = el("p", el("b", "Bytedeck"), f" arena · {told.match.kind}", class_="brand")
    title = foreign("h1", one_line(topic, _TITLE) or "(no topic)")
    return el("header", brand, title, whole if is_long else None, facts, outcome, class_="wide")


def _main(told: Story, bill: Bill | None, votes: Iterable[Vote], *, is_live: bool) -> Sequence[Markup | None]:
    return (
        *sections.rounds(told, is_live=is_live),
        sections.judges(told),
        sections.comment(told, is_live=is_live),
        sections.votes(told, votes),
        sections.costs(told, bill),
        sections.log(told),
        el("footer", "Held, judged and kept by Bytedeck."),
    )


def _player() -> Markup:
    speeds = together(*(el("option", f"{speed}×", value=speed) for speed in SPEEDS))
    controls = el(
        "div",
        el("button", "Replay", id="play", type="button", class_="main", title="Space"),
        el("select", speeds, id="speed", aria_label="Speed"),
        el(
            "input",
            id="seek",
            type="range",
            min="0",
            value="0",
            aria_label="Where the replay is",
            autocomplete="off",
        ),
        el("output", id="time"),
        el("button", "To the end", id="end", type="button", title="End"),
        class_="wide",
    )
    return el("div", controls, class_="player", id="player", hidden=True, role="group", aria_label="Replay")
