"""Reasoning details belong to a family of models; who falls back to another one leaves them out."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.call.family import family, own_details
from bytedeck.types import Candidate, Plan

CLAUDE = {"type": "reasoning.text", "text": "…", "signature": "s", "format": "anthropic-claude-v1"}
GPT = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}
AZURE = {**GPT, "format": "azure-openai-responses-v1"}
GEMINI = {"type": "reasoning.encrypted", "data": "y", "format": "google-gemini-v1"}
UNSAID = {"type": "reasoning.text", "text": "…"}


def candidate(model: str) -> Candidate:
    return Candidate(model=model, name=model, route="openrouter", why="")


def left(details: list[Any], to: str, *chain: str) -> Any:
    """What goes along of these details to one model of a chain; "" where the field itself is gone."""
    plan = Plan(candidates=tuple(candidate(model) for model in chain), task="")
    message = {"role": "assistant", "content": "hm", "reasoning_details": details}
    (sent,) = own_details([message], candidate(to), plan)
    assert (sent["role"], sent["content"]) == ("assistant", "hm")
    return sent.get("reasoning_details", "")


C, G, A = "anthropic/claude-opus-4.5", "openai/gpt-5.2", "~anthropic/claude-sonnet-latest"


@pytest.mark.parametrize(
    ("details", "to", "chain", "kept"),
    [
        ([CLAUDE], C, (C, G), [CLAUDE]),
        ([CLAUDE], A, (C, A), [CLAUDE]),
        ([CLAUDE], G, (C, G), ""),
        ([GPT, AZURE], G, (C, G), [GPT, AZURE]),
        ([CLAUDE, GPT, GEMINI], G, (C, G), [GPT]),
        ([UNSAID], C, (C, G), [UNSAID]),
        ([UNSAID], G, (C, G), ""),
        ([], G, (C, G), []),
        ([GPT], C, (C,), [GPT]),
        (["odd"], G, (C, G), ""),
    ],
)
def test_what_goes_along(details: list[Any], to: str, chain: tuple[str, ...], kept: Any) -> None:
    """Its own by their format, those that say nothing to the first model's family; one named model gets all."""
    assert left(details, to, *chain) == kept


def test_nothing_is_touched_without_need() -> None:
    """Messages without foreign details are the very same objects, in the caller's order."""
    plan = Plan(candidates=(candidate(C), candidate(G)), task="")
    messages = [{"role": "user", "content": "hi"}, {"reasoning_details": [CLAUDE], "role": "assistant"}]
    sent = own_details(messages, candidate(C), plan)
    assert [id(one) for one in sent] == [id(one) for one in messages]


def test_the_family_of_a_model() -> None:
    """The author in its id, also behind an alias."""
    assert [family(model) for model in (C, A, G, "local/x")] == ["anthropic", "anthropic", "openai", "local"]
