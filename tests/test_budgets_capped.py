"""A budget that is nearly spent shortens an answer rather than refuse it, where the length is ours to set."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from bytedeck import BudgetExceeded
from faces import FACES
from limited import Deck, accounts, outcomes
from upstream import MODEL, Upstream

DEAR = "anthropic/claude-sonnet-4.5"


@pytest.fixture(params=FACES)
def deck(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deck]:
    made = Deck(request.param, upstream, tmp_path / "home", monkeypatch)
    yield made
    made.close()


def worst(face: Any, **options: Any) -> int:
    """The worst case of `face.chat`'s own prompt, units."""
    found = face.hub.explain("hi", **{"model": MODEL, **options})
    return int((found if face.loop is None else face.run(found)).worst_units)


def with_total(deck: Deck, units: int) -> Any:
    return deck(f'[limits]\nwait = 0\n[budget]\ntotal = "{Decimal(units).scaleb(-12):f}"\n')


@pytest.mark.parametrize("options", [{}, {"task": "coding"}])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_answer_is_shortened_to_what_is_left(deck: Deck, streamed: bool, options: dict[str, Any]) -> None:
    """A model that may write for more than the budget has gets the longest cap it pays for, and that is told."""
    face = deck('[budget]\ntotal = "1000"\n')
    budget = worst(face, **options, max_tokens=600)
    face = with_total(deck, budget)
    asked = {"model": MODEL, **options}
    reply = face.stream(**asked)[1] if streamed else face.chat(**asked)
    (sent,) = [one.json for one in deck.upstream.chats]
    cap = sent["max_tokens"]
    assert 590 <= cap <= 600  # the number itself takes some bytes of the prompt
    assert reply.notes == (f"max_tokens is {cap}: what a budget has left pays for no more.",)
    (row,) = face.rows()
    assert row.worst_units <= budget
    assert accounts(face) == ((row.spend_units, 0),)


def test_the_callers_own_length_is_his(deck: Deck) -> None:
    """Who sets max_tokens gets so many or an error."""
    face = deck('[budget]\ntotal = "1000"\n')
    face = with_total(deck, worst(face, max_tokens=600))
    with pytest.raises(BudgetExceeded, match="At worst this costs"):
        face.chat(model=MODEL, max_tokens=700)
    with pytest.raises(BudgetExceeded):
        face.chat(model=MODEL, max_completion_tokens=700)
    assert deck.upstream.chats == []


def test_a_cheaper_model_goes_before_a_shorter_answer(deck: Deck) -> None:
    """The next of the chain answers in full; only the last one is shortened."""
    face = deck('[budget]\ntotal = "1000"\n')
    face = with_total(deck, worst(face) + 10**9)
    reply = face.chat(model=[DEAR, MODEL])
    assert outcomes(reply) == [(MODEL, "answered")]
    assert reply.notes[0].startswith("Claude Sonnet 4.5 was not asked: at worst this costs $")
    assert not any("max_tokens" in note for note in reply.notes)


def test_too_little_is_no_answer(deck: Deck) -> None:
    """Where less than a paragraph is left it is refused, as before."""
    face = deck('[budget]\ntotal = "1000"\n')
    face = with_total(deck, worst(face, max_tokens=200))
    with pytest.raises(BudgetExceeded):
        face.chat(model=MODEL)
    assert deck.upstream.chats == []
    assert accounts(face) == ((0, 0),)


def test_all_reasons_are_told(deck: Deck) -> None:
    """Where nobody was asked, what kept the others back is told with the first one's reason."""
    face = with_total(deck, 1)
    with pytest.raises(BudgetExceeded) as caught:
        face.chat(model=[DEAR, MODEL])
    assert "At worst this costs" in caught.value.message
    assert caught.value.hint[-1].startswith("GPT-4o mini was not asked, either: at worst this costs $")
