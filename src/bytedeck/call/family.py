"""Whose reasoning details a conversation holds: they are signed, and another maker's model refuses them.

A caller who names one model gets them passed on as they are; only where the model may change are foreign
ones left out (wire reference 3.2 and REQ-06).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..types import Candidate, Message, Plan

# How the format of a detail begins → the author in a model's id. A cloud in front of it makes no difference.
_FORMATS = {
    "anthropic-": "anthropic",
    "google-": "google",
    "openai-": "openai",
    "xai-": "x-ai",
    "meta-": "meta-llama",
}
_CLOUDS = ("azure-", "bedrock-", "vertex-")


def family(model: str) -> str:
    """The author in a model's id: `~anthropic/claude-opus-latest` → `anthropic`."""
    return model.removeprefix("~").partition("/")[0]


def own_details(messages: Sequence[Message], candidate: Candidate, plan: Plan) -> list[Message]:
    """The messages without the reasoning details that another family's model wrote."""
    if len(plan.candidates) < 2 or not any("reasoning_details" in message for message in messages):
        return list(messages)
    own = family(candidate.model)
    is_first = family(plan.candidates[0].model) == own
    return [_own(message, own, is_first) for message in messages]


def _own(message: Message, own: str, is_first: bool) -> Message:
    details = message.get("reasoning_details")
    if not details or not isinstance(details, Sequence):
        return message
    kept = [one for one in details if _is_own(one, own, is_first)]
    if len(kept) == len(details):
        return message
    if kept:
        return {**message, "reasoning_details": kept}
    return {name: value for name, value in message.items() if name != "reasoning_details"}


def _is_own(detail: Any, own: str, is_first: bool) -> bool:
    """Whether a detail is of this family; one that does not say is taken to be of the first model's."""
    said = detail.get("format") if isinstance(detail, Mapping) else None
    if isinstance(said, str):
        for cloud in _CLOUDS:
            said = said.removeprefix(cloud)
        for begin, author in _FORMATS.items():
            if said.startswith(begin):
                return author == own
    return is_first
