"""The weather of chaos: which faults come, and how often. Each is a fault as the simulator writes it, with its weight."""

from __future__ import annotations

import math
from typing import Any

BEFORE = (
    ("rate_limit;retry_after=1", 1.0),
    ("provider_rate_limit", 1.0),
    ("capacity_exhausted;retry_after=absurd", 1.0),
    ("server", 2.0),
    ("provider_unavailable", 2.0),
    ("temporarily_unavailable;retry_after=garbage", 1.0),
    ("prefill_refused", 1.0),
    ("overloaded", 1.0),
    ("timeout", 1.0),
    ("edge_timeout", 1.0),
    ("page_502", 1.0),
    ("page_520", 1.0),
    ("html;status=200", 1.0),
    ("region_restricted", 1.0),
    ("moderation", 0.5),
    ("content_policy_violation", 0.2),
    ("context_length_exceeded", 1.0),
    ("reset", 2.0),
    ("close", 2.0),
    ("hang", 1.0),
    ("late_headers", 1.0),
    ("empty", 1.0),
    ("zero_completion", 1.0),
    ("error_body", 1.0),
)
"""Before the first token."""

WITHIN = (
    *((f"cut;tokens={count}", 2.0) for count in (0, 1, 2, 7, 20, 60)),
    *((f"cut;tokens={count};reset=1", 1.0) for count in (1, 5, 30)),
    *((f"cut;bytes={count}", 1.0) for count in (300, 777, 1500, 4001)),
    *((f"truncated;tokens={count}", 1.5) for count in (0, 4, 25)),
    *((f"malformed;tokens={count}", 1.0) for count in (0, 3, 40)),
    *((f"stall;tokens={count}", 0.5) for count in (0, 2, 15)),
    ("silence;tokens=6", 0.5),
    ("silence;tokens=0", 0.5),
    *((f"error_chunk;tokens={count}", 1.0) for count in (0, 9)),
    ("error_chunk;tokens=12;name=provider_overloaded;done=1", 1.0),
    ("error_bare;tokens=5", 1.0),
    ("error_no_choices;tokens=17", 1.0),
    ("error_finish;tokens=11", 1.0),
    ("error_message;tokens=8", 1.0),
    ("odd_finish;reason=", 1.0),
    ("length;tokens=10", 0.5),
    ("content_filter;tokens=10", 0.5),
    ("reasoning_only", 0.5),
)
"""After it."""

HARMLESS = (
    "comments",
    "debug",
    "drip",
    "split_utf8",
    "line_ends",
    "line_ends;kind=cr",
    "no_space",
    "many_lines",
    "bom",
    "gzip",
    "no_done",
    "no_usage",
    "double_finish",
    "odd_finish;reason=end_turn",
    "wrong_type",
    "pause;tokens=4",
    "slow_first_token",
    "failover",
)
"""An answer in a form that is no failure."""

MANNERS = (
    "continue_plain",
    "continue_greet",
    "continue_drop_space",
    "continue_paraphrase",
    "continue_repeat",
)
"""How a model takes up another's words, if it does not do as it is asked."""
ODD_MANNER = 0.08
"""How often it goes on in each of them. An answer that nobody goes on with is as it was."""
HARMLESS_SHARE = 0.1


def script(share: float) -> list[dict[str, Any]]:
    """The simulator's script with which this share of the requests fails in some way."""
    faults = (*BEFORE, *WITHIN)
    # Each entry is its own throw of the dice: so that `share` of the requests meet at least one.
    total, scale = sum(weight for _, weight in faults), -math.log1p(-share)
    failing = [_entry(fault, scale * weight / total) for fault, weight in faults]
    if not share:
        return []
    harmless = [_entry(fault, HARMLESS_SHARE / len(HARMLESS)) for fault in HARMLESS]
    # The manners first: they make an answer of their own, which the faults then damage.
    return [_entry(manner, ODD_MANNER) for manner in MANNERS] + harmless + failing


def _entry(fault: str, rate: float) -> dict[str, Any]:
    return {"fault": fault, "rate": rate, "skin": "chat"}
