"""Pieces of tool calls, reasoning details, citations → whole ones (wire reference 5.2, TOOL-01, TOOL-03)."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.codec.gather import Audio, Once, ToolCalls, merge_details, reasoning_of
from bytedeck.types import ToolCallPart


def piece(
    index: object = 0, id_: object = None, name: object = None, arguments: object = None
) -> dict[str, Any]:
    found = {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in found.items() if value is not None}


CALLS = [
    (
        "in pieces",
        [piece(0, "a", "f", ""), piece(0, None, None, '{"x"'), piece(0, None, None, ":1}")],
        [("a", "f", '{"x":1}')],
    ),
    (
        "two indexes, interleaved",
        [
            piece(0, "a", "f", "1"),
            piece(1, "b", "g", "2"),
            piece(0, None, None, "3"),
            piece(1, None, None, "4"),
        ],
        [("a", "f", "13"), ("b", "g", "24")],
    ),
    (
        "one index, two ids",
        [piece(0, "a", "f", "1"), piece(0, "b", "f", "2"), piece(0, None, None, "3")],
        [("a", "f", "1"), ("b", "f", "23")],
    ),
    ("the id again with each piece", [piece(0, "a", "f", "1"), piece(0, "a", "f", "2")], [("a", "f", "12")]),
    ("no id", [piece(0, None, "f", "1"), piece(0, None, None, "2")], [("call_0", "f", "12")]),
    ("empty id in later pieces", [piece(0, "a", "f", "1"), piece(0, "", "", "2")], [("a", "f", "12")]),
    ("an id that comes late", [piece(0, None, "f", "1"), piece(0, "a", None, "2")], [("call_0", "f", "12")]),
    (
        "a new call after one without id",
        [piece(0, None, "f", "1"), piece(0, "b", "g", "2")],
        [("call_0", "f", "1"), ("b", "g", "2")],
    ),
    (
        "no index",
        [piece(None, "a", "f", "1"), piece(None, None, None, "2"), piece(None, "b", "g", "3")],
        [("a", "f", "12"), ("b", "g", "3")],
    ),
    ("no index, no id", [piece(None, None, "f", "1"), piece(None, None, None, "2")], [("call_0", "f", "12")]),
    ("no arguments", [piece(0, "a", "f")], [("a", "f", "{}")]),
    ("arguments as an object", [piece(0, "a", "f", {"x": "ü"})], [("a", "f", '{"x":"ü"}')]),
    (
        "white space in arguments stays",
        [piece(0, "a", "f", ' {"x":1} '), piece(0, None, None, "\n")],
        [("a", "f", ' {"x":1} \n')],
    ),
    (
        "indexes with gaps",
        [piece(7, "a", "f", "1"), piece(3, "b", "g", "2"), piece(7, None, None, "3")],
        [("a", "f", "13"), ("b", "g", "2")],
    ),
    ("odd types", [piece(0, 5, 6, None), 7, None, {"function": "x", "index": 0}], [("call_0", "", "{}")]),
]


@pytest.mark.parametrize(("pieces", "whole"), [case[1:] for case in CALLS], ids=[case[0] for case in CALLS])
def test_tool_calls(pieces: list[Any], whole: list[tuple[str, str, str]]) -> None:
    """One by one or all in one delta; calls are numbered in the order in which they open."""
    for groups in ([[item] for item in pieces], [pieces]):
        calls = ToolCalls()
        for group in groups:
            calls.add(group)
        assert [(call.id, call.name, call.arguments) for call in calls.whole()] == whole
        assert [call.index for call in calls.whole()] == list(range(len(whole)))
        assert bool(calls)


def test_pieces_tell_id_and_name_once() -> None:
    """As OpenAI's clients expect it; calls that shared an index get their own."""
    calls = ToolCalls()
    assert calls.add([piece(0, "a", "f", ""), piece(0, "a", "f", "1"), piece(0, "b", "g", "2")]) == [
        ToolCallPart(index=0, id="a", name="f"),
        ToolCallPart(index=0, arguments="1"),
        ToolCallPart(index=1, id="b", name="g", arguments="2"),
    ]
    assert calls.add([{"index": 2, "type": "custom", "function": {"name": "h"}}]) == [
        ToolCallPart(index=2, id="call_2", name="h", type="custom")
    ]
    assert not ToolCalls()


@pytest.mark.parametrize(("arguments", "are_cut"), [("{}", False), ('{"a', True), ("", True), ("[1]", False)])
def test_cut_arguments(arguments: str, are_cut: bool) -> None:
    """TOOL-06: also those of an earlier call."""
    calls = ToolCalls()
    calls.add([piece(0, "a", "f", arguments), piece(1, "b", "g", "{}")])
    assert calls.are_cut() is are_cut


T, S, E = "reasoning.text", "reasoning.summary", "reasoning.encrypted"

DETAILS = [
    ("nothing", [], []),
    (
        "text",
        [{"type": T, "index": 0, "text": "a"}, {"type": T, "index": 0, "text": "b"}],
        [{"type": T, "index": 0, "text": "ab"}],
    ),
    (
        "late signature",
        [
            {"type": T, "index": 0, "text": "a", "signature": None, "id": None},
            {"type": T, "index": 0, "signature": "s", "id": "i", "text": None},
        ],
        [{"type": T, "index": 0, "text": "a", "signature": "s", "id": "i"}],
    ),
    (
        "signature first",
        [{"type": T, "index": 0, "signature": "s"}, {"type": T, "index": 0, "text": "a"}],
        [{"type": T, "index": 0, "signature": "s", "text": "a"}],
    ),
    (
        "summary",
        [{"type": S, "index": 0, "summary": "a"}, {"type": S, "index": 0, "summary": "b"}],
        [{"type": S, "index": 0, "summary": "ab"}],
    ),
    ("another index", [{"type": T, "index": 0, "text": "a"}, {"type": T, "index": 1, "text": "b"}], None),
    ("another type", [{"type": T, "index": 0, "text": "a"}, {"type": S, "index": 0, "summary": "b"}], None),
    (
        "another id",
        [{"type": T, "index": 0, "id": "x", "text": "a"}, {"type": T, "index": 0, "id": "y", "text": "b"}],
        None,
    ),
    (
        "no neighbours",
        [
            {"type": T, "index": 0, "text": "a"},
            {"type": E, "data": "x"},
            {"type": T, "index": 0, "text": "b"},
        ],
        None,
    ),
    (
        "encrypted stays apart",
        [{"type": E, "index": 0, "data": "a"}, {"type": E, "index": 0, "data": "b"}],
        None,
    ),
    ("no index", [{"type": T, "text": "a"}, {"type": T, "text": "b"}], [{"type": T, "text": "ab"}]),
    ("no index, signed", [{"type": T, "text": "a", "signature": "s"}, {"type": T, "text": "b"}], None),
    ("unknown type", [{"type": "new", "index": 0, "x": 1}, {"type": "new", "index": 0, "x": 2}], None),
    ("no type", [{"index": 0, "text": "a"}, {"index": 0, "text": "b"}], None),
]


@pytest.mark.parametrize(
    ("found", "whole"), [case[1:] for case in DETAILS], ids=[case[0] for case in DETAILS]
)
def test_reasoning_details(found: list[dict[str, Any]], whole: list[dict[str, Any]] | None) -> None:
    """Neighbours of one type and index become one; all else goes back as it came. The input is not changed."""
    before = [dict(item) for item in found]
    assert list(merge_details(found)) == (found if whole is None else whole)
    assert found == before


def test_readable_reasoning() -> None:
    """Texts and summaries, not what is encrypted."""
    assert reasoning_of(({"text": "a"}, {"summary": "b"}, {"data": "c"}, {"text": 5})) == "ab"


def test_the_same_thing_comes_once() -> None:
    """By url and place, by hash, or by all that it holds; the same page cited for other words is another citation."""
    once = Once()
    cited = {"type": "url_citation", "url_citation": {"url": "u", "start_index": 1, "end_index": 2}}
    other = {"type": "url_citation", "url_citation": {"url": "u", "start_index": 5, "end_index": 9}}
    again = {
        "type": "url_citation",
        "url_citation": {"url": "u", "start_index": 1, "end_index": 2, "title": "T"},
    }
    file = {"type": "file", "file": {"hash": "h", "name": "a"}}
    picture = {"image_url": {"url": "data:x"}}
    flat = {"type": "url_citation", "url": "v"}
    odd = {"type": "odd", "x": [1]}
    assert once.add(
        [cited, other, again, file, dict(file), picture, dict(picture), flat, dict(flat), odd, dict(odd), 5]
    ) == [
        cited,
        other,
        file,
        picture,
        flat,
        odd,
    ]
    assert once.add(again) == []
    assert once.add(None) == []
    assert len(once.items) == 6


def test_no_sound_is_none() -> None:
    """And odd pieces do no harm."""
    audio = Audio()
    assert audio.whole() is None
    audio.add({"data": 5, "id": None})
    assert audio.whole() == {"data": 5}
