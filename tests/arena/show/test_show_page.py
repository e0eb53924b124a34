"""The page: one file that needs nothing, in which nobody's words are anything but words."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import shows
from bytedeck.arena.events import Event
from bytedeck.arena.show.card import card_page
from bytedeck.arena.show.page import page
from bytedeck.arena.types import Match


class Elements(HTMLParser):
    """The elements of a page in their order, and what stands in them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.inside: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element ends where it should"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.inside[f"{self.open[-1]}{self.tags.count('script')}"] = data
        else:
            self.text.append(data)


def rows(html: str) -> list[Any]:
    """What the page's replay plays."""
    found: list[Any] = json.loads(Elements(html).inside["script1"])["rows"]
    return found


@pytest.mark.parametrize("text", shows.HOSTILE)
def test_foreign_text_makes_no_element(text: str) -> None:
    """Whatever models, judges and people call themselves and say: the page has the elements that it has for plain words."""
    html = page(*shows.haunted(text), votes=shows.votes())
    plain = page(*shows.haunted("plain"), votes=shows.votes())
    found, expected = Elements(html), Elements(plain)
    assert found.tags == expected.tags
    assert [key for key, _ in found.attributes] == [key for key, _ in expected.attributes]
    assert not found.open
    assert html.encode()


@pytest.mark.parametrize("text", [*shows.HOSTILE, ""])
def test_foreign_topics_make_no_element(text: str) -> None:
    """Neither does a topic; one that is long or of many lines stands below the title in full."""
    found = Elements(page(*shows.haunted("plain", topic=text)))
    is_long = "details" in found.tags
    expected = Elements(page(*shows.haunted("plain", topic="two\nlines" if is_long else "one")))
    assert found.tags == expected.tags
    assert is_long or len(text) <= 280


@pytest.mark.parametrize("held", [shows.whole(), shows.eventful()], ids=["whole", "eventful"])
@pytest.mark.parametrize("live", ["", "/arena/abc/events?after=3"])
def test_nothing_comes_from_elsewhere(held: tuple[Match, tuple[Event, ...]], live: str) -> None:
    """No address but an empty icon, no handler, no style in an attribute, and a policy that allows only its own text."""
    found = Elements(page(*held, live=live))
    keys = {key for key, _ in found.attributes}
    assert not {key for key in keys if key.startswith("on") or key in ("style", "src", "srcset", "action")}
    assert [value for key, value in found.attributes if key == "href"] == ["data:,"]
    policy = next(
        value for key, value in found.attributes if key == "content" and "default-src" in (value or "")
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert ("connect-src 'self'" in policy) == bool(live)
    for kind, text in (("style", found.inside["style0"]), ("script", found.inside["script2"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_whole_text_is_there_without_scripts() -> None:
    """Arguments, reasons, commentary, remarks, votes and costs stand in the page as it is."""
    text = " ".join(Elements(page(*shows.eventful(), votes=shows.votes())).text)
    for told in (
        "Said anew.",
        "Cut by the limit of tokens.",
        "Rates nobody: East spoke.",
        "Could not speak: Lumen 4 is busy.",
        "Another reason.",
        "chose another side when they were swapped",
        "4 spectators, on the whole",
        "2 spectators, on the opening",
        "at least $0.000091",
        "Optimist wins",
    ):
        assert told in text
    assert "NEVER AN ARGUMENT" not in text


def played(given: list[Any]) -> dict[str, str]:
    """What the script writes, as it writes it: text after all rows, by part."""
    said: dict[str, str] = {}
    for _, kind, *rest in given:
        if kind == "w":
            part, piece, erase = rest
            said[part] = said.get(part, "")[: -erase or None] + piece
        elif kind in "bx":
            said.pop(rest[0], None)
    return said


@pytest.mark.parametrize("text", ["One. \U0001f600 Two. \ud800</script>\u2028&", "", shows.ARGUMENT])
def test_the_replay_says_the_same_words(text: str) -> None:
    """The rows that the script plays give every turn's words back byte for byte, lone surrogates, too."""
    match, events = shows.whole(say=lambda turn: text)
    said = played(rows(page(match, events)))
    assert said.pop("comment").startswith("Both")
    assert set(said.values()) <= {text}
    assert len(said) == (6 if text else 0)


def test_the_replay_keeps_the_time_and_shortens_what_stood_still() -> None:
    """Waits are those of the events; two hours between two processes are two seconds; what was lost is taken back."""
    match, events = shows.eventful()
    found = rows(page(match, events))
    assert ["x", "t0.0.0"] in [row[1:] for row in found]
    before = found[: found.index(next(row for row in found if row[1] == "x")) + 1]
    assert played(before) == {}
    assert {part: text for part, text in played(found).items() if part != "t0.1.0"} == {
        "t0.0.0": "Said anew.",
        "t0.0.1": "Half a word.",
        "t0.1.1": "The last word.",
    }
    total = sum(row[0] for row in found)
    held = (events[-1].at - events[0].at) / 1000
    assert abs(held - total - (7200 - 2 + 30 - 2) * 1000) <= 1


def test_a_running_match_has_places_for_what_is_to_come() -> None:
    """Live, every turn to come has its element, hidden; otherwise only what was said is there."""
    match, events = shows.whole()
    begun = events[:40]
    live, still = page(match, begun, live="/events"), page(match, begun)
    assert len(re.findall(r'data-part="t', live)) == 6
    assert len(re.findall(r'data-part="t', still)) == 2
    assert "Still going on" in live
    assert rows(live) == []


def test_a_page_of_nothing() -> None:
    """A match of which nothing is told yet has a page, and one without judges has no hit points."""
    match = shows.match_of(shows.two(), judges=(), commentator="")
    found = Elements(page(match, ()))
    assert "svg" not in found.tags
    assert "Still going on" in " ".join(found.text)


def test_hidden_models_are_not_in_the_page() -> None:
    """Before the vote neither page nor card tells who fights: no name, no price, no colour of a persona's."""
    match, events = shows.eventful()
    for html in (page(match, events, hidden=True), card_page(match, events, hidden=True)):
        assert not [one for one in ("Lumen", "asalt", "Optimist", "Skeptic", "2f6fed", "East") if one in html]
    text = " ".join(Elements(page(match, events, hidden=True)).text)
    assert "0.000091" not in text
    assert "tokens in" in " ".join(Elements(page(match, events)).text)
    assert "tokens in" not in text, "a tokenizer"


def test_no_secrets_in_the_page() -> None:
    """The owner's name, the requests' ids and the seed stay at home."""
    match, events = shows.eventful()
    html = page(match, events)
    assert not [one for one in ("secret-owner", "req-", str(match.seed)) if one in html]


def test_the_page_is_small() -> None:
    """Without what was said, a debate's page is below 60 kB."""
    match, _ = shows.whole()
    four = shows.whole(
        shows.match_of((*shows.two(), *shows.two("C", "D"))), say=lambda turn: "x", comment="x"
    )
    assert len(page(match, ()).encode()) < 25_000
    assert len(page(*four).encode()) < 60_000
