"""How long an attempt may be silent, by who is asked and for what (wire reference, D2 to D4). Pure.

The configured bounds are meant for a stream from a model that speaks at once. What is known to be
silent for longer gets more of them; nothing here shortens a bound, and `total` is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..types import Candidate, Route, Timeouts

# A model that thinks first may hold its first word back three times as long: 180 s for 60 s (D3).
THINKING = 3.0

_THINKS = frozenset({"reasoning", "include_reasoning", "reasoning_effort"})
_OFF = "none"


def patience(timeouts: Timeouts, candidate: Candidate, params: Mapping[str, Any]) -> Timeouts:
    """The bounds for one attempt, seconds. `params`: the request's fields, the task's among them."""
    if candidate.route == "local":
        # A model on this machine reads a long prompt at a hundred tokens a second: silent, but not stalled.
        return replace(timeouts, first_event=timeouts.total)
    if "plugins" in params and not may_stream(params, candidate.route):
        # Its headers come with the whole answer (D2).
        return replace(timeouts, headers=timeouts.total)
    if thinks(candidate, params):
        return replace(timeouts, first_event=timeouts.first_event * THINKING)
    return timeouts


def may_stream(params: Mapping[str, Any], route: Route) -> bool:
    """Streams can be cancelled, so we always read one, but for the plugin that works without only.

    On this machine there are no plugins, and llama.cpp repeats an answer's given beginning where it does not stream.
    """
    plugins = params.get("plugins")
    if route == "local" or not isinstance(plugins, list):
        return True
    return not any(
        isinstance(p, dict) and p.get("id") == "response-healing" and p.get("enabled", True) for p in plugins
    )


def thinks(candidate: Candidate, params: Mapping[str, Any]) -> bool:
    """Whether the model may reason before its first word: it always does, it was told to, or it can and was not told not to."""
    info = candidate.info
    if info is not None and info.reasoning_mandatory:
        return True
    if params and (told := _told(params)) is not None:
        return told
    # Current flagships reason unasked (wire reference 1.9).
    takes = info.supported_parameters if info is not None else None
    return takes is not None and not takes.isdisjoint(_THINKS)


def _told(params: Mapping[str, Any]) -> bool | None:
    """What the request says of reasoning; None: nothing. Hiding it (`exclude`) does not shorten it."""
    effort = params.get("reasoning_effort")
    wish = params.get("reasoning")
    if isinstance(wish, Mapping):
        effort = wish.get("effort", effort)
        if wish.get("enabled") is False or wish.get("max_tokens") == 0:
            return False
        if wish.get("enabled") or wish.get("max_tokens"):
            return True
    return None if effort is None else effort != _OFF
