"""The head of an event: read in one go or member by member, it is the same (usage in exact units included)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.codec.head import FullHead, Head, full_head, read_head
from bytedeck.codec.shapes import read_exact, read_object
from bytedeck.codec.usage import read_usage, usage_of
from bytedeck.types import Usage

NAMES = ("id", "model", "provider", "system_fingerprint", "service_tier")
PLAIN = {
    "id": "gen-1",
    "object": "chat.completion.chunk",
    "created": 1790000000,
    "model": "a/claude",
    "provider": "Anthropic",
    "system_fingerprint": None,
    "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}],
    "error": None,
    "openrouter_metadata": None,
}


def told(head: Head | None, before: Usage | None = None) -> tuple[object, ...] | None:
    if head is None:
        return None
    usage = None if head.usage is None else usage_of(head.usage, before)
    rest = head.rest if isinstance(head, FullHead) else {}
    return (*(getattr(head, name) for name in NAMES), usage, rest)


def both_ways(data: bytes) -> tuple[object, ...] | None:
    """What is told of it; the same in one go and member by member."""
    found = told(read_head(data))
    assert found == told(full_head(read_object(data), data))
    if found is not None:
        assert found[len(NAMES)] == read_usage(read_exact(data).get("usage"))
    return found


@pytest.mark.parametrize(
    "usage",
    [
        "null",
        "{}",
        '{"odd": 1.5}',
        '{"prompt_tokens": 0}',
        '{"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 0, "cost": 0.000378}',
        '{"prompt_tokens": 7, "cost": 9.3e-05, "is_byok": true, "cost_details": {"upstream_inference_cost": 1e-3}}',
        '{"cost": 3, "is_byok": true, "cost_details": {"upstream_inference_cost": null}}',
        '{"cost": "0.25", "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": null}}',
        '{"completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 1.5}, "prompt_tokens_details": null}',
        '{"server_tool_use": {"web_search_requests": 2}, "server_tool_use_details": {"web_search_requests": 3}}',
    ],
)
def test_the_usual_event_is_read_in_one_go(usage: str) -> None:
    """And says what a reading member by member would; an empty usage is none."""
    data = json.dumps(PLAIN).encode()[:-1] + b', "usage": ' + usage.encode() + b"}"
    found = both_ways(data)
    assert found is not None
    assert (found[:4], found[-1]) == (("gen-1", "a/claude", "Anthropic", None), {})
    assert isinstance(read_head(data), FullHead) is (usage in ("{}", '{"odd": 1.5}'))


@pytest.mark.parametrize(
    ("member", "rest"),
    [
        ('"timings": {"a": 1.5}', {"timings": {"a": 1.5}}),
        ('"openrouter_metadata": {"latency": 0.25}', {"openrouter_metadata": {"latency": 0.25}}),
        ('"rest": 1', {"rest": 1}),
        ('"x": null', {}),
        ('"id": 5', {}),
        ('"model": []', {}),
        ('"usage": "none"', {}),
        ('"usage": {"prompt_tokens": 3.0, "cost": true}', {}),
        ('"usage": {"prompt_tokens": "4", "is_byok": 1, "cost": 0.5}', {}),
        ('"usage": {"prompt_tokens": -1, "completion_tokens": 1e15, "cost_details": []}', {}),
        ('"usage": {"cost": NaN, "prompt_tokens": 2}', {}),
        ('"usage": {"cost": 1e999}', {}),
        ('"provider": "\\ud83d"', {}),
        ('"created": ' + "9" * 400, {}),
    ],
)
def test_what_is_not_usual_is_read_all_the_same(member: str, rest: dict[str, Any]) -> None:
    """Members that we do not know, odd types, and JSON that has to be mended; a float stays one in what is passed on."""
    found = both_ways(json.dumps(PLAIN).encode()[:-1] + b", " + member.encode() + b"}")
    assert found is not None
    assert found[-1] == rest


@pytest.mark.parametrize(
    "data", [b"", b"[DONE]", b"[]", b"5", b"{", b'{"id": "\xff"}', b'{"x":' + b"[" * 10**5]
)
def test_what_is_no_object_has_no_head(data: bytes) -> None:
    """And raises nothing."""
    assert both_ways(data) is None


_leaf = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "7", "0.5", "1e-3"])
)
_counts = st.dictionaries(
    st.sampled_from(
        [
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "web_search_requests",
            "upstream_inference_cost",
        ]
    ),
    _leaf,
    max_size=3,
)
_usage = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": _leaf,
        "completion_tokens": _leaf,
        "total_tokens": _leaf,
        "cost": _leaf,
        "is_byok": _leaf,
        "prompt_tokens_details": _counts | _leaf,
        "completion_tokens_details": _counts | _leaf,
        "cost_details": _counts | _leaf,
        "server_tool_use": _counts | _leaf,
        "server_tool_use_details": _counts | _leaf,
        "odd": _leaf,
    },
)
_event = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys((*NAMES, "created", "error", "openrouter_metadata", "x"), _leaf)
    | {"usage": _usage | _leaf},
)


@given(_event)
def test_both_ways_tell_the_same(event: dict[str, Any]) -> None:
    """Of any event, whatever stands in it."""
    both_ways(json.dumps(event).encode())


def test_what_was_said_last_counts_and_the_first_id() -> None:
    """A member that is left out, or null, takes nothing back."""
    head = Head(model="a", provider="P")
    head.add(Head(id="gen-1", model="b", system_fingerprint="fp"))
    head.add(Head(id="gen-2", service_tier="flex", provider=""))
    assert head == Head(id="gen-1", model="b", provider="", system_fingerprint="fp", service_tier="flex")
