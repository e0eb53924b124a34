"""Streams in every shape of the wire reference (sections 5 and 15), each with what it says in the end.

Written by hand from the reference, not by `stream.encode`, so that one misreading cannot hide in both.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

DONE = b"data: [DONE]\n\n"
COMMENT = b": OPENROUTER PROCESSING\n\n"
COST = "0.000093"


class Recorded(NamedTuple):
    """`code`: the fault at a clean end; "" for a whole answer or one that reached its token limit."""

    name: str
    data: bytes
    text: str
    code: str = ""
    finish_reason: str = "stop"
    reasoning: str = ""
    tools: tuple[tuple[str, str, str], ...] = ()
    """(id, name, arguments) of each call."""


HEAD = {
    "provider": "Anthropic",
    "object": "chat.completion.chunk",
    "created": 1787000000,
    "system_fingerprint": "fp_1",
    "service_tier": "default",
}
"""What else stands in every real chunk; here only in the first, because every byte is cut once."""


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **top: Any) -> bytes:
    """One event as OpenRouter writes it; without a delta and a finish reason it has no choices."""
    choice: dict[str, Any] = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    if finish:
        choice["native_finish_reason"] = {"stop": "end_turn", "error": "MALFORMED_FUNCTION_CALL"}.get(
            finish, finish
        )
    choices = [] if delta is None and finish is None else [choice]
    return sse({"id": "gen-1", "model": "a/claude", "choices": choices, **top})


def sse(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def usage(cost: str = COST, **more: Any) -> dict[str, Any]:
    found = {
        "prompt_tokens": 12,
        "completion_tokens": 8,
        "total_tokens": 20,
        "cost": float(cost),
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
        "cost_details": {"upstream_inference_cost": float(cost)},
    }
    return {**found, **more}


def words(*pieces: str) -> bytes:
    return b"".join(chunk({"content": piece}) for piece in pieces)


def tail(finish: str = "stop") -> bytes:
    """Finish chunk, bare usage chunk, `[DONE]`: the documented end."""
    return chunk({"content": ""}, finish) + chunk(usage=usage()) + DONE


def tool(index: int, arguments: str | None = None, id_: str | None = None, name: str | None = None) -> bytes:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": index, "id": id_, "type": "function", "function": function}
    return chunk(
        {"content": None, "tool_calls": [{key: value for key, value in call.items() if value is not None}]}
    )


def detail(text: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    return {**found, **({} if text is None else {"text": text}), **more}


SAID = "Provider overloaded"
ERROR = {
    "code": 502,
    "message": SAID,
    "metadata": {"error_type": "provider_unavailable", "provider_name": "Anthropic"},
}

_start = COMMENT + chunk({"role": "assistant", "content": ""}, logprobs=None, **HEAD)

TEXT = Recorded(
    "text", _start + words("Hello", ", ", "world") + COMMENT + words("!") + tail(), "Hello, world!"
)
EMOJI_CRLF = Recorded(
    "emoji with CRLF",
    (_start + words("Grüße 👩‍🚀", "\u2028", "¡olé! 🎉") + tail()).replace(b"\n", b"\r\n"),
    "Grüße 👩‍🚀\u2028¡olé! 🎉",
)
CR = Recorded("line ends are CR", (_start + words("a", "b") + tail()).replace(b"\n", b"\r"), "ab")
BOM = Recorded("byte order mark", b"\xef\xbb\xbf" + words("a", "b") + tail(), "ab")
NO_SPACE = Recorded("data without a space", (words("a", "b") + tail()).replace(b"data: ", b"data:"), "ab")
REASONING = Recorded(
    "reasoning, then text, late signature",
    _start
    + chunk({"content": "", "reasoning": "Let me ", "reasoning_details": [detail("Let me ")]})
    + chunk({"content": "", "reasoning": "see.", "reasoning_details": [detail("see.")]})
    + chunk({"content": "", "reasoning_details": [detail(signature="c2ln")]})
    + words("It is ", "42.")
    + tail(),
    "It is 42.",
    reasoning="Let me see.",
)
TOOL = Recorded(
    "tool call in pieces",
    _start
    + tool(0, "", "call_a", "weather")
    + tool(0, '{"city"')
    + tool(0, ': "Köln"')
    + tool(0, "}")
    + tail("tool_calls"),
    "",
    finish_reason="tool_calls",
    tools=(("call_a", "weather", '{"city": "Köln"}'),),
)
PARALLEL = Recorded(
    "two calls that share index 0",
    words("Looking.")
    + tool(0, '{"city": "Köln"}', "call_a", "weather")
    + tool(0, '{"city"', "call_b", "weather")
    + tool(0, ': "Bonn"}')
    + tail("tool_calls"),
    "Looking.",
    finish_reason="tool_calls",
    tools=(("call_a", "weather", '{"city": "Köln"}'), ("call_b", "weather", '{"city": "Bonn"}')),
)
JSON = Recorded("JSON by schema", _start + words('{"na', 'me": "', 'Ada"}') + tail(), '{"name": "Ada"}')
DOUBLE_FINISH = Recorded(
    "double finish",
    words("Hi ", "there")
    + chunk({"content": ""}, "stop")
    + chunk({"content": ""}, "stop", usage=usage("0.5"))
    + DONE,
    "Hi there",
)
BARE_USAGE = Recorded("bare usage", words("Hi") + chunk({}, "stop") + chunk(usage=usage()) + DONE, "Hi")
ANNOTATIONS = Recorded(
    "annotations, one of them twice",
    words("See ")
    + chunk(
        {
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
            ]
        }
    )
    + chunk(
        {
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
            ]
        }
    )
    + chunk({"annotations": [{"type": "file", "file": {"hash": "ab12", "name": "a.pdf", "content": []}}]})
    + words("there.")
    + tail(),
    "See there.",
)
IMAGES = Recorded(
    "images, one of them twice",
    words("Here:")
    + chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]})
    + chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]})
    + tail(),
    "Here:",
)
LENGTH = Recorded("token limit", words("On and ", "on") + tail("length"), "On and on", finish_reason="length")
NULL_CHOICES = Recorded(
    "choices null, missing, empty with debug",
    sse({"id": "gen-1", "choices": None})
    + sse({"id": "gen-1"})
    + chunk(debug={"echo": {}})
    + words("Hi")
    + tail(),
    "Hi",
)
WHOLE = (
    *(TEXT, EMOJI_CRLF, CR, BOM, NO_SPACE, REASONING, TOOL, PARALLEL, JSON, DOUBLE_FINISH, BARE_USAGE),
    *(ANNOTATIONS, IMAGES, LENGTH, NULL_CHOICES),
)

F1 = Recorded(
    "F1: error and finish error",
    words("One ", "two ") + chunk({"content": ""}, "error", error=ERROR) + DONE,
    "One two ",
    "provider_error",
    "error",
)
F2 = Recorded(
    "F2: only an error",
    words("One ", "two ") + sse({"error": {"code": 429, "message": "Slow down"}, "user_id": "user_1"}),
    "One two ",
    "rate_limited",
    "",
)
F3 = Recorded(
    "F3: error, empty choices", words("One ") + chunk(error=ERROR) + DONE, "One ", "provider_error", ""
)
F4 = Recorded(
    "F4: finish error alone", words("One ") + chunk({}, "error") + DONE, "One ", "provider_error", "error"
)
T1 = Recorded("T1: end without a finish", _start + words("One ", "two"), "One two", "truncated", "")
DONE_ONLY = Recorded("DONE without a finish", words("One ", "two") + DONE, "One two", "truncated", "")
EMPTY = Recorded("nothing at all", COMMENT, "", "truncated", "")
ZERO_TOKENS = Recorded(
    "no word and a blank finish",
    chunk({"content": ""}, "") + chunk(usage={"completion_tokens": 0}) + DONE,
    "",
    "empty_answer",
    "",
)
NO_WORD = Recorded("stop without a word", _start + tail(), "", "empty_answer")
ONLY_REASONING = Recorded(
    "all tokens spent on reasoning",
    chunk({"content": "", "reasoning": "Hm, "})
    + chunk({"content": "", "reasoning": "well"})
    + tail("length"),
    "",
    "reasoning_exhausted",
    "length",
    reasoning="Hm, well",
)
FILTERED = Recorded(
    "content filter",
    words("I would ") + tail("content_filter"),
    "I would ",
    "content_filtered",
    "content_filter",
)
CUT_CALL = Recorded(
    "token limit in a tool call",
    tool(0, '{"city": "K', "call_a", "weather") + tail("length"),
    "",
    "tool_arguments_truncated",
    "length",
    tools=(("call_a", "weather", '{"city": "K'),),
)
BROKEN_JSON = Recorded(
    "broken JSON",
    words("One ") + b'data: {"choices": [{"del\n\n' + words("two") + tail(),
    "One ",
    "malformed",
    "",
)
FAILED = (
    *(
        F1,
        F2,
        F3,
        F4,
        T1,
        DONE_ONLY,
        EMPTY,
        ZERO_TOKENS,
        NO_WORD,
        ONLY_REASONING,
        FILTERED,
        CUT_CALL,
        BROKEN_JSON,
    ),
)

ALL = (*WHOLE, *FAILED)
