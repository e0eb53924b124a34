"""The shapes in which an answer tells its cost, or does not: data, and the table of the docs that is made of it.

tests/test_exactness.py plays each of them against the simulator, whose own books are the judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bytedeck import Timeouts
from bytedeck.simulator.money import accounts

A, B = "openai/gpt-4o-mini", "deepseek/deepseek-chat"
CLAUDE, THINKER, SEARCHER = "anthropic/claude-sonnet-4.5", "openai/o3", "perplexity/sonar"
UNSTOPPABLE, FREE = "mistralai/mistral-large-2512", "meta-llama/llama-3.3-70b-instruct:free"
PROMPT = "[[sim: tokens=60]] Why is the sky blue?"
LONG = PROMPT + " The sky is wide, and so is this prompt." * 200
"""Long enough for the providers' prompt caches."""


class Shape(NamedTuple):
    """One shape, and what the books have to say of it in the end."""

    name: str
    what: str
    """What comes, for a person."""
    spend: str
    """USD of all attempts together, the provider's bill with it where the key is one's own; as a stream."""
    fault: str = ""
    """The simulator's, for the first model."""
    chain: tuple[str, ...] = (A,)
    """Who is asked, in order; none: the task says."""
    prompt: Any = PROMPT
    options: Mapping[str, Any] = {}
    key: str = accounts.ORDINARY
    known: str = "reported"
    """How the costs are known right after the answer, one word for each attempt."""
    attempts: str = "answered"
    """Their outcomes."""
    whole: bool = True
    """Whether there is an answer."""
    before: int = 0
    """How often the same was asked before, which is not looked at."""
    call: str = ""
    """`spend` where not streaming makes other attempts; else it is the same, to the unit."""
    call_attempts: str = ""
    call_known: str = ""


def _marked(ttl: str = "") -> list[dict[str, Any]]:
    mark = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return [{"role": "user", "content": [{"type": "text", "text": LONG, "cache_control": mark}]}]


# Nothing more comes for so long, so the caller's patience ends, and we hang up.
_LEFT: dict[str, Any] = {
    "options": {"policy": "error", "timeout": Timeouts(first_event=0.1, idle=0.1)},
    "known": "unknown",
    "whole": False,
}
_BROKEN = _LEFT | {"call_attempts": "truncated truncated", "call_known": "unknown unknown"}
_HEALED = {"plugins": [{"id": "response-healing"}]}
"""With it no stream can be asked for."""
_WEB = {"plugins": [{"id": "web"}]}

ROWS = {
    row.name: row
    for row in (
        Shape("own chunk", "usage in a chunk of its own, without choices", "0.000039"),
        Shape("second finish", "usage in a second finish chunk, with choices", "0.000039", "double_finish"),
        Shape("bare", "usage alone, without details", "0.000039", "bare_usage;bare=1"),
        Shape("first chunk", "usage in the first chunk", "0.000039", "usage_at;at=first"),
        Shape("middle chunk", "usage in the middle", "0.000039", "usage_at;at=middle"),
        Shape("last chunk", "usage in the finish chunk", "0.000039", "usage_at;at=finish"),
        Shape("each chunk", "usage in each chunk, its cost in the last", "0.000039", "usage_at;at=each"),
        Shape("one piece", "a body in one piece instead of a stream", "0.000039", options=_HEALED),
        Shape("reasoning", "reasoning before the answer", "0.000856", chain=(THINKER,),
            prompt="[[sim: reasoning=40]] " + PROMPT),
        Shape("cached", "a prompt that the provider has cached by itself", "0.0002058", prompt=LONG, before=1),
        Shape("cache write", "a prompt that is written to the cache", "0.009192", chain=(CLAUDE,), prompt=_marked()),
        Shape("cache write, 1 h", "the same, to be kept for an hour", "0.014088", chain=(CLAUDE,), prompt=_marked("1h")),
        Shape("cache read", "the same, read from there", "0.0016848", chain=(CLAUDE,), prompt=_marked(), before=1),
        Shape("web search", "a search of the web", "0.007039", options=_WEB),
        Shape("fee", "a search, and a fee for each request", "0.01008", chain=(SEARCHER,), options=_WEB),
        Shape("flex", "another service tier", "0.000864", chain=(THINKER,), options={"service_tier": "flex"}),
        Shape("own key", "a provider's key of your own (BYOK): the provider's bill", "0.000039", key=accounts.BYOK),
        Shape("own key, fee", "the same above the allowance: that bill and OpenRouter's fee", "0.00004095",
            key=accounts.BYOK_OVER),
        Shape("free", "a free model", "0", chain=(FREE,)),
        Shape("cache hit", "an answer from OpenRouter's own cache", "0", before=1,
            options={"headers": {"X-OpenRouter-Cache": "true"}}),
        Shape("exponent", "a cost written as `9.3e-05`", "0.000093", "odd_cost;cost=9.3e-05"),
        Shape("tiny", "a cost written as `1E-7`", "0.0000001", "odd_cost;cost=1E-7"),
        Shape("many decimals", "a cost of `0.00009312345650000001`", "0.000093123457",
            "odd_cost;cost=0.00009312345650000001"),
        Shape("half a unit", "a cost of `0.0000931234565`, half-way: to the even one", "0.000093123456",
            "odd_cost;cost=0.0000931234565"),
        Shape("insured", "two ends without a word, free of charge, then the next model", "0.0000598", "zero_completion",
            chain=(A, B), attempts="empty_answer empty_answer answered", known="reported reported reported"),
        Shape("thought away", "all tokens went into reasoning, billed; once more with room for more", "0.007038",
            "reasoning_only;times=1", chain=(), options={"task": "general"},
            attempts="reasoning_exhausted answered", known="reported reported"),
        Shape("no cost", "tokens without a cost: reckoned at the catalogue's prices", "0.000039", "no_cost", known="estimated"),
        Shape("own key, no cost", "the same, with a key of your own", "0.00004095", "no_cost", key=accounts.BYOK_OVER, known="unknown"),
        Shape("no usage", "no usage at all", "0.000039", "no_usage", known="unknown"),
        Shape("cached, no usage", "the same, of a cached prompt and with reasoning", "0.001992", "no_usage", chain=(THINKER,),
            prompt="[[sim: reasoning=40]] " + LONG, before=1, known="unknown"),
        Shape("own key, no usage", "the same, with a key of your own", "0.00004095", "no_usage", key=accounts.BYOK_OVER,
            known="unknown"),
        Shape("own key, bare", "a key of your own, and the provider's bill is not told", "0.00004095", "bare_usage;bare=1",
            key=accounts.BYOK_OVER, known="unknown"),
        Shape("hung up", "you leave in the middle", "0.000015", "pause;tokens=20;seconds=60",
            attempts="idle_timeout", **_LEFT),
        Shape("hung up in vain", "the same, at a provider that cannot be stopped", "0.0001", "pause;tokens=20;seconds=60",
            chain=(UNSTOPPABLE,), attempts="idle_timeout", **_LEFT),
        Shape("cut off", "the stream ends in the middle", "0.000015", "truncated;tokens=20", attempts="truncated",
            call="0.00003", **_BROKEN),
        Shape("counted and cut off", "the same, and tokens without a cost had been told", "0.000015",
            "usage_at;at=each,truncated;tokens=20", attempts="truncated", call="0.00003", **_BROKEN),
        Shape("failed", "an error in the middle, free of charge", "0", "error_chunk;tokens=20", attempts="provider_error",
            call_attempts="provider_error provider_error", call_known="unknown unknown", **_LEFT),
        Shape("failed in one piece", "the same in a body, with tokens that are not billed", "0", "error_message;tokens=20",
            attempts="unavailable", call_attempts="unavailable unavailable unavailable",
            call_known="unknown unknown unknown", **(_LEFT | {"options": {"policy": "error", **_HEALED}})),
        Shape("fail-over", "a first model that breaks off and is billed, then the next", "0.00008638", "cut;tokens=20",
            chain=(A, B), attempts="truncated answered", known="unknown reported", call="0.0000898",
            call_attempts="truncated truncated answered", call_known="unknown unknown reported"),
    )
}  # fmt: skip


def table() -> str:
    """The table of the docs: what comes, what it costs by all three books, and how that is known."""
    heads = ["what comes", "cost, USD", "known at once", "in the end"]
    lines = [heads, ["---"] * len(heads)]
    for row in ROWS.values():
        cost = f"{row.spend}; not streamed {row.call}" if row.call else row.spend
        at_once = ", ".join(row.known.split())
        in_the_end = ", ".join(word.replace("unknown", "reconciled") for word in row.known.split())
        lines.append([row.what, cost, at_once, "" if in_the_end == at_once else in_the_end])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
