"""Transcripts: Markdown that nobody's words can break out of, and JSON from which the match can be read back whole."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import shows
from bytedeck.arena.bill import Bill
from bytedeck.arena.events import TurnBegan
from bytedeck.arena.show.record import FORMAT, Record, as_json, read
from bytedeck.arena.show.transcript import inline, markdown, quoted
from bytedeck.errors import InvalidRequest

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
BILL = Bill(
    parts={"t0.0.0": 93, "j0.0.p": None, "comment": 0}, total_units=None, known_units=93, at_most_units=10**12
)


def outside(text: str) -> list[Token]:
    """The blocks of a Markdown document that stand in no block quote."""
    depth, found = 0, []
    for token in READER.parse(text):
        depth += token.nesting if token.type.startswith("blockquote") else 0
        if not depth:
            found.append(token)
    return found


def kinds(tokens: list[Token]) -> list[tuple[str, str]]:
    return [(one.type, one.tag) for one in tokens]


@pytest.mark.parametrize("text", shows.HOSTILE)
def test_foreign_text_stays_in_its_quote(text: str) -> None:
    """By CommonMark, outside of quotes the document has the same blocks whatever was said; nowhere is raw HTML, a link
    or a picture made from it."""
    found = markdown(*shows.haunted(text, topic=text), votes=shows.votes())
    plain = markdown(*shows.haunted("plain"), votes=shows.votes())
    assert kinds(outside(found)) == kinds(outside(plain))
    every = [one for token in READER.parse(found) for one in (token, *(token.children or []))]
    assert not {one.type for one in every} & {"html_block", "html_inline", "link_open", "image"}
    assert found.encode()


@pytest.mark.parametrize("text", shows.HOSTILE)
def test_a_line_is_a_line(text: str) -> None:
    """Within a line of ours foreign text is plain text, also at its beginning."""
    tokens = READER.parse(f"- {inline(text)}\n\n| a |\n| --- |\n| {inline(text)} |\n")
    types = [one.type for one in tokens if one.nesting == 1]
    assert types == ["bullet_list_open", "list_item_open", "paragraph_open", *["table_open", "thead_open", "tr_open"],
                     *["th_open", "tbody_open", "tr_open", "td_open"]]  # fmt: skip
    assert {child.type for one in tokens for child in one.children or []} <= {"text", "text_special"}


def test_quotes_hold_every_line() -> None:
    """Every line of a quote begins with its mark, whichever way its lines end."""
    text = quoted("a\rb\r\nc\n\n# d\n```\ne")
    assert text == "> a\n> b\n> c\n>\n> # d\n> ```\n> e"


def test_what_the_transcript_says() -> None:
    """Arguments, verdicts with their scores and reasons, votes, costs, and what went wrong."""
    text = markdown(*shows.eventful(), votes=shows.votes(), bill=BILL)
    for told in (
        "**Optimist wins** Judges: Optimist 1, Skeptic 0, 1 tie. Unrated.",
        "| Optimist | north/lumen-4 | for it | 95 |",
        "### Skeptic\n\n> Half a word.\n\n*Rates nobody: East spoke.*",
        "*Could not speak: Lumen 4 is busy.*",
        "- Left out: No verdict in it.",
        "| Opening | 7.8 | 6.5 |",
        "With the sides swapped:\n\n> Another reason.",
        "| 4 spectators | the whole | 2 | 1 | 1 |",
        "| All together | at least $0.000000000093 |",
        "it may cost $0.05 in all.",
    ):
        assert told in text
    assert "NEVER AN ARGUMENT" not in text


def test_rounds_to_come_are_not_there_yet() -> None:
    """In a round that has begun, who has not spoken is."""
    match, events = shows.whole()
    began = next(place for place, one in enumerate(events) if isinstance(one, TurnBegan))
    told = markdown(match, events[: began + 1])
    assert told.count("\n## Opening") == told.count("*Still speaking …*") == told.count("*Not said.*") == 1
    assert "## Rebuttal" not in told
    assert "## Closing" not in told


def test_hidden_models_are_not_in_the_transcript() -> None:
    """Before the vote nothing of it tells who fights."""
    text = markdown(*shows.eventful(), hidden=True)
    assert not [one for one in ("umen", "asalt", "Optimist", "Skeptic", "East", "0.000091") if one in text]


@pytest.mark.parametrize("held", [shows.whole(), shows.eventful(), shows.haunted("\ud800 \udfff\u2028")])
@pytest.mark.parametrize("bill", [None, BILL])
def test_json_is_read_back_whole(held: Any, bill: Bill | None) -> None:
    """Every event, vote and amount comes back as it was."""
    match, events = held
    document = as_json(match, events, votes=shows.votes(), bill=bill)
    found = read(document)
    assert found == Record(match=match, events=events, votes=shows.votes(), bill=bill)
    assert read(document.decode()) == found


def test_json_is_as_documented() -> None:
    """It says its format; money is decimal text in USD under names that say so, never a float and never a unit."""
    match, events = shows.eventful()
    document = as_json(match, events, votes=shows.votes(), bill=BILL)
    found = json.loads(document)
    assert list(found) == ["format", "match", "events", "votes", "bill"]
    assert found["format"] == FORMAT
    assert found["match"]["rules"]["budget_usd"] == "0.01"
    assert found["bill"]["parts"] == {"t0.0.0": "0.000000000093", "j0.0.p": None, "comment": "0"}
    ended = [one for one in found["events"] if one["type"] == "turn_ended"]
    assert Decimal(ended[0]["cost_usd"]) == Decimal("0.000091")
    assert b"_units" not in document
    assert [one["seq"] for one in found["events"][1:]] == list(range(1, len(events)))


@pytest.mark.parametrize(
    "document",
    ["", "{}", "[]", "\ud800", '{"format": "bytedeck.match/2"}', '{"format": "bytedeck.match/1"}', "[" * 10**5,
     '{"format": "bytedeck.match/1", "bill": {"parts": {"a": "x"}}}', '{"format": "bytedeck.match/1", "bill": {}}',
     '{"format": "bytedeck.match/1", "bill": {"parts": []}}'],
)  # fmt: skip
def test_what_is_no_match_is_said_so(document: str) -> None:
    """A file that is none of ours is the caller's mistake, in a sentence."""
    with pytest.raises(InvalidRequest, match="This is no match that Bytedeck has written"):
        read(document)


def test_a_newer_event_is_not_misread() -> None:
    """An event of a kind that is not known here is refused, not dropped."""
    match, events = shows.whole()
    found = json.loads(as_json(match, events[:2]))
    found["events"].append({"type": "encore", "seq": 2})
    with pytest.raises(InvalidRequest, match="encore"):
        read(msgspec.json.encode(found))
