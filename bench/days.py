"""The sixteen bad days: what goes wrong, and how it has to end. Data, and the table of the docs that is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
KEPT = HERE / "scenarios.json"
"""What the other clients' callers got, when they were last asked."""

SCALE = 0.02
"""A minute is 1.2 s here."""
BOUNDS = {
    "connect": 2.0,
    "headers": 60 * SCALE,
    "first_event": 60 * SCALE,
    "idle": 30 * SCALE,
    "total": 600 * SCALE,
}
"""The defaults, scaled; connecting is left some air."""
PROMPT = "[[sim: tokens=60]] Why is the sky blue?"
A, B = "openai/gpt-4o-mini", "google/gemini-2.5-flash"
UNFILLED = "anthropic/claude-fable-5"
"""It refuses a prefill, and nobody told our registry."""
C = "deepseek/deepseek-chat"
SILENT = ("headers_timeout", "first_event_timeout", "idle_timeout")


class Row(NamedTuple):
    """One bad day, and how it has to end."""

    name: str
    day: str
    """What goes wrong, for a person."""
    script: list[dict[str, Any]]
    """The simulator's."""
    attempts: str
    """Who is asked, in order, and what comes of it; models by their place in the chain. "": see `most`."""
    seconds: float
    """At most, before the caller has the whole answer."""
    most: int = 0
    """Attempts at most, where they are not counted out."""
    seams: str = ""
    """In a stream; who does not stream sees none."""
    chain: tuple[str, ...] = (A, B)
    error: str = ""
    """The error's code; "": the whole answer comes."""
    requests: int = 1
    unseen: str = ""
    """The attempts where nothing is shown before all is there, if they are others: then who broke off is asked again."""
    prompt: str = PROMPT


def _fault(fault: str, model: str = A, **when_: Any) -> dict[str, Any]:
    return {"fault": fault, "model": model, **when_}


ROWS = {
    row.name: row
    for row in (
        Row("retry_after", "429 with Retry-After", [_fault("rate_limit;retry_after=1", times=1)],
            "A rate_limited, A answered", 2.5),
        Row("limited", "429 for ever, without Retry-After", [_fault("provider_rate_limit")],
            "A rate_limited, A rate_limited, B answered", 2),
        Row("hiccup", "500 once", [_fault("server", times=1)],
            "A server_error, A answered", 2),
        Row("down", "503 for ever", [_fault("temporarily_unavailable")],
            "A unavailable, A unavailable, A unavailable, B answered", 3),
        Row("reset", "the connection is reset before the headers", [_fault("reset")],
            "A connection_lost, A connection_lost, B answered", 2),
        Row("silent", "no response at all", [_fault("hang")],
            "A headers_timeout, B answered", 2.5),
        Row("slow", "20 s to the first token", [_fault("slow_first_token;seconds=20")],
            "A answered", 2),
        Row("cut", "cut after 40 of 60 tokens", [_fault("cut;tokens=40")],
            "A truncated, B answered", 2, seams="proven",
            unseen="A truncated, A truncated, B answered"),
        Row("stalled", "silence after 20 tokens", [_fault("stall;tokens=20")],
            "A idle_timeout, B answered", 2, seams="proven"),
        Row("garbage", "an event that is no JSON, after 30 tokens", [_fault("malformed;tokens=30")],
            "A malformed, B answered", 2, seams="proven",
            unseen="A malformed, A malformed, B answered"),
        Row("no_done", "all the words, but no `[DONE]`", [_fault("no_done")],
            "A answered", 1),
        Row("too_long", "the prompt is too long for the model", [_fault("context_length_exceeded")],
            "A context_too_long, B answered", 1),
        Row("filtered", "the provider's content filter refuses", [_fault("content_policy_violation")],
            "A content_filtered", 1, error="content_filtered"),
        Row("no_prefill", "cut, and the next model refuses a prefill", [_fault("cut;tokens=40")],
            "A truncated, B answered", 2, seams="proven", chain=(A, UNFILLED),
            unseen="A truncated, A truncated, B answered"),
        Row("flapping", "down for 10 s, then well; 20 requests, one a second",
            [_fault("flapping;down=10;up=100000")],
            "", 10, most=30, requests=20),
        Row("accounts", "500 for ever, then a cut, then well: what is billed",
            [_fault("server"), _fault("cut;tokens=40", B)],
            "A server_error, A server_error, B truncated, C answered", 3, seams="proven", chain=(A, B, C),
            unseen="A server_error, A server_error, B truncated, B truncated, C answered"),
    )
}  # fmt: skip


def kept() -> dict[str, Any]:
    """Versions of the other clients, and what their callers got, when they were last asked."""
    return json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {"versions": {}, "got": {}}


def table() -> str:
    """The table of the docs: what the rows promise, and what the others' callers got when last asked."""
    others = kept()
    heads = [
        "the day",
        "you get",
        "attempts",
        "seams",
        *(" ".join(one) for one in others["versions"].items()),
    ]
    lines = [heads, ["---"] * len(heads)]
    for row in ROWS.values():
        got = f"`{row.error}`, with the provider's reason" if row.error else "the whole answer"
        got += "" if row.requests == 1 else f", {row.requests} times"
        attempts = row.attempts or f"{row.most} at most"
        told = [others["got"][name].get(row.name, "") for name in others["versions"]]
        lines.append([row.day, got, attempts, row.seams, *told])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
