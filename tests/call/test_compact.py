"""Leaving out the oldest turns of a conversation that is too long."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.call.compact import (
    BYTES_PER_TOKEN,
    FRAME,
    HALF,
    MARGIN,
    PART,
    Compacted,
    after,
    before,
    compact,
    note,
    weight,
    without,
)

SYSTEM = {"role": "system", "content": "s" * 84}
BRIEF = {"role": "developer", "content": "d" * 84}


def said(role: str, size: int = 84, **more: Any) -> dict[str, Any]:
    """A message that weighs 100 bytes."""
    return {"role": role, "content": "x" * size, **more}


def call(*ids: str) -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "found"}


U, A = said("user"), said("assistant")
LONG = [SYSTEM, BRIEF, U, A, U, A, U, A, U]


@pytest.mark.parametrize(
    ("most", "left_out"),
    [(900, 2), (700, 2), (699, 4), (500, 4), (499, 6), (300, 6), (299, 6), (0, 6), (-5, 6)],
)
def test_no_more_than_needed_is_left_out(most: int, left_out: int) -> None:
    """Whole turns, the oldest first; the beginning and the last turn stay, be they too long themselves."""
    found = compact(LONG, most)
    assert found == Compacted((SYSTEM, BRIEF, *LONG[2 + left_out :]), left_out)
    assert without(LONG, left_out) == found.messages


TOOLS = [call("a", "b"), result("a"), result("b"), A]


@pytest.mark.parametrize(
    ("messages", "left_out"),
    [
        ([U], 0),
        ([], 0),
        ([SYSTEM], 0),
        ([SYSTEM, U], 0),
        ([SYSTEM, U, *TOOLS], 0),  # one long turn of an agent
        ([U, A, U], 2),
        ([A, U], 1),  # a greeting
        ([SYSTEM, A, A, U], 2),
        ([U, A, U, A], 2),  # a given beginning of the answer
        ([U, A, U, U], 2),  # said in two pieces
        ([U, U, A, U], 3),
        ([U, A, SYSTEM, U], 3),  # only the first instructions stay for ever
        ([U, *TOOLS, U], 5),
        ([U, A, U, *TOOLS], 2),
        ([U, call("a"), U, result("a"), A], 0),  # asked for, and answered only in the next turn
        ([U, A, U, call("a"), U, result("a"), A], 2),
        ([U, call("a"), U, A, U, result("a")], 0),
        ([U, call("a"), U], 2),  # never answered
        ([U, A, U, result("of nothing")], 0),
        ([U, {"role": "assistant", "function_call": {"name": "f"}}, {"role": "function", "name": "f"}, U], 3),
    ],
)
def test_what_belongs_together_stays_together(messages: list[dict[str, Any]], left_out: int) -> None:
    """Even where nothing would fit."""
    found = compact(messages, 0)
    assert (found.left_out if found else 0) == left_out
    assert (found is None) == (left_out == 0)


def _roles() -> st.SearchStrategy[list[dict[str, Any]]]:
    ids = st.sampled_from("abc")
    message = st.one_of(
        st.builds(said, st.sampled_from(["user", "assistant", "system", "developer"]), st.integers(0, 200)),
        st.builds(call, ids),
        st.builds(call, ids, ids),
        st.builds(result, ids),
    )
    return st.lists(message, max_size=14)


@given(_roles(), st.integers(0, 2500))
def test_any_conversation(messages: list[dict[str, Any]], most: int) -> None:
    """The rest is the same messages, begins with a user's turn, holds the last one, and parts no result from its call."""
    found = compact(messages, most)
    if found is None:
        return
    head = next(at for at, one in enumerate(messages) if one["role"] not in ("system", "developer"))
    assert found.left_out > 0
    assert list(found.messages) == messages[:head] + messages[head + found.left_out :]
    rest = found.messages[head:]
    assert rest[0]["role"] == "user"
    assert max(at for at, one in enumerate(messages) if one["role"] == "user") >= head + found.left_out
    called: set[str] = set()
    for one in rest:
        called |= {each["id"] for each in one.get("tool_calls", ())}
        assert one["role"] != "tool" or one["tool_call_id"] in called
    shorter = compact(found.messages, most)
    assert weight(found.messages) <= most or shorter is None, "more could have been left out"


def test_what_weighs() -> None:
    """Texts by their bytes, calls by names and arguments, pictures at a flat rate; nothing odd breaks it."""
    picture = {"type": "image_url", "image_url": {"url": "data:," + "a" * 9_000_000}}
    text = {"type": "text", "text": "日本"}
    assert weight([{"role": "user", "content": [picture, text]}]) == FRAME + PART + 6
    assert weight([call("a")]) == FRAME + len("look") + len("{}")
    assert weight([{"role": "user"}, {"role": "user", "content": "\ud800"}]) == FRAME + FRAME + 3
    assert weight([{"role": "user", "content": 5, "tool_calls": "odd"}]) == FRAME + PART


def test_parts_are_not_touched() -> None:
    """A message stays the very object that it was."""
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
    }
    found = compact([U, A, parts], 0)
    assert found is not None
    assert found.messages[0] is parts


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ("This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (8000 of text input,"
         " 1000 in the output). Please reduce the length of either one.", MARGIN * 7192 / 8000),
        ("This endpoint's maximum context length is 131,072 tokens. However, you requested about 262,144 tokens"
         " (262,144 of text input).", MARGIN / 2),
        ("This endpoint's maximum context length is 10000 tokens. However, you requested about 24000 tokens (20000 of text"
         " input, 2000 of tool input, 2000 in the output).", MARGIN * 8000 / 20000),
        ("This model's maximum context length is 4097 tokens. However, your messages resulted in 8194 tokens.", MARGIN / 2),
        ("This model's maximum context length is 8192 tokens, however you requested 16384 tokens (12288 in your prompt; 4096"
         " for the completion).", MARGIN / 2),
        ("Anthropic: prompt is too long: 400000 tokens > 200000 maximum", MARGIN / 2),
        ("input length and `max_tokens` exceed context limit: 199000 + 10000 > 200000, decrease", MARGIN * 190 / 199),
        ("The input token count (2097152) exceeds the maximum number of tokens allowed (1048576).", MARGIN / 2),
        ("request (16384 tokens) exceeds the available context size (8192 tokens), try increasing it", MARGIN / 2),
        ("The prompt is too long.", HALF),
        ("", HALF),
        ("maximum context length is 9000 tokens. However, you requested about 8000 tokens", HALF),
        ("maximum context length is 0 tokens. However, you requested about 8000 tokens", HALF),
        ("maximum context length is 1000 tokens. However, you requested about 3000 tokens (500 of text input, 2500 in the"
         " output)", HALF),
    ],
)  # fmt: skip
def test_the_share_that_fits(words: str, share: float) -> None:
    """By the upstream's own count where it tells one that makes sense, else half."""
    assert after(words, LONG) == int(weight(LONG) * share)


def test_before_sending() -> None:
    """Three bytes to a token, the answer's room left free, but never more than half for it."""
    assert before(8000, None) == 8000 * BYTES_PER_TOKEN
    assert before(8000, 1000) == 7000 * BYTES_PER_TOKEN
    assert before(8000, 50_000) == 4000 * BYTES_PER_TOKEN


def test_the_note() -> None:
    """A sentence for a person."""
    assert note(12) == "12 of the oldest messages were left out, so that the prompt fits."
    assert re.match("The oldest message was left out", note(1))
