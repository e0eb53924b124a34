"""The card: a picture to share, in which long and foreign text stays text and stays in its place."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import product

import pytest

import shows
from bytedeck.arena.show.card import EDGE, WIDTH, card, card_page
from bytedeck.arena.show.measure import balanced, cut, is_leftward, width, wrap
from bytedeck.arena.show.page import page
from bytedeck.arena.show.transcript import markdown
from bytedeck.arena.types import Fighter, Persona

SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str) -> list[ET.Element]:
    """A card's elements; it is well-formed XML."""
    return list(ET.fromstring(svg.encode()).iter())


@pytest.mark.parametrize(("text", "theme"), list(product(shows.HOSTILE, ("dark", "light"))))
def test_foreign_text_makes_no_element(text: str, theme: str) -> None:
    """Whatever is said and whoever is called what: it is a picture of the same few elements, and can be written."""
    found = elements(card(*shows.haunted(text, topic=text), theme=theme))  # type: ignore[arg-type]
    assert {one.tag for one in found} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "circle", "text", "stop", "radialGradient")
    }
    assert not {
        key for one in found for key in one.attrib if key.startswith("on") or "href" in key or key == "style"
    }
    assert card_page(*shows.haunted(text, topic=text)).count("<svg ") == 1


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("name", ["W" * 200, "\u6f22" * 90, "Al", ""])
def test_text_stays_in_its_place(count: int, name: str) -> None:
    """By the widths of a wide font no line leaves the card, however long the names."""
    fighters = [
        Fighter(f"a/{n}{name}", stance=name, persona=Persona(name=f"{n}{name}")) for n in range(count)
    ]
    svg = card(*shows.whole(shows.match_of(fighters, topic=f"{name} " * 9)), votes=shows.votes())
    for one in elements(svg):
        if one.tag == f"{SVG}text" and one.get("text-anchor") != "middle":
            size = float(one.get("font-size", "0")) * (0.9 if one.get("font-weight") is None else 1)
            wide, x = width(one.text or "", size), float(one.get("x", "0"))
            assert (x - wide if one.get("text-anchor") == "end" else x) >= EDGE - 1
            assert (x if one.get("text-anchor") == "end" else x + wide) <= WIDTH - EDGE + 1


def test_what_the_card_says() -> None:
    """Topic, names, hit points, winner, judges, spectators and cost."""
    texts = " ".join(one.text or "" for one in elements(card(*shows.whole(), votes=shows.votes())))
    for told in ("Optimist", "North: Lumen 4", "85", "43", "WINNER", "Optimist wins", "judges 2 : 0, 1 tie"):
        assert told in texts
    assert "spectators 2 : 1" in texts
    assert "$0.0065" in texts
    assert "Cities should be closed to cars." in texts


def test_right_to_left_keeps_its_place() -> None:
    """A line that reads from the right gets its direction and begins at the same edge."""
    match = shows.match_of(shows.two(), topic="\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd")
    line = next(
        one for one in elements(card(match, ())) if (one.text or "").startswith("\u05e9") and one.get("x")
    )
    assert (line.get("direction"), line.get("text-anchor"), line.get("x")) == ("rtl", "end", str(EDGE))
    assert is_leftward("12 \u05e9 a")
    assert not is_leftward("12 a \u05e9")


@pytest.mark.parametrize(
    "text", ["", "a", "one two three four five", "x" * 100, "\u6f22\u5b57" * 30, " \u00a0 "]
)
@pytest.mark.parametrize("wrapped", [wrap, balanced])
def test_wrapping(text: str, wrapped: object) -> None:
    """Lines fit, nothing is lost but space, and what has no room ends in an ellipsis."""
    lines = wrapped(text, 10, 120, 50)  # type: ignore[operator]
    assert all(width(line, 10) <= 120 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    few = wrap(text, 10, 120, 2)
    assert len(few) <= 2
    assert cut("abcdef", 10, 30) == "abc…"[: len(cut("abcdef", 10, 30)) - 1] + "…"


def test_without_judges_there_are_no_points() -> None:
    """Where nobody judges there are no hit points and no winner, and reasons that were not given have no place."""
    match = shows.match_of(shows.two(), judges=())
    texts = [one.text for one in elements(card(match, ()))]
    assert "100" not in texts
    assert "WINNER" not in texts
    held = shows.whole(reason="", comment="")
    assert not [html for html in (page(*held), markdown(*held)) if "With the sides" in html]


@pytest.mark.parametrize(
    ("wider", "narrower"), [("\u6f22", "W"), ("W", "a"), ("a", "i"), ("A", "a"), ("e", "\u0301")]
)
def test_widths(wider: str, narrower: str) -> None:
    """Wide signs count for more than narrow ones, and marks on a letter for nothing."""
    assert width(wider, 10) > width(narrower, 10) >= 0
    assert width("e\u0301", 10) == width("e", 10)


@pytest.mark.parametrize(("count", "said"), [(2, "Claude Sonnet (latest)"), (4, "Claude Sonnet")])
def test_a_usual_name_stands_whole(count: int, said: str) -> None:
    """Where it has no room it is smaller, or without `(latest)`; it is cut only where neither helps."""
    fighters = tuple(
        Fighter(f"maker{n}/m", name="Claude Sonnet (latest)" if n == 1 else f"GPT {n}") for n in range(count)
    )
    match, events = shows.whole(shows.match_of(fighters))
    assert f">{said}</text>" in card(match, events)
    longer = tuple(
        Fighter(f"maker{n}/m", name="Some model of an endless name (latest)") for n in range(count)
    )
    assert "…</text>" in card(*shows.whole(shows.match_of(longer)))
