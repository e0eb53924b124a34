"""How a broken answer is gone on with: every cut of the text, whoever goes on, gives the whole text again."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.simulator.shapes import Answer, Call, Model
from bytedeck.simulator.words import answer
from said import CLAUDE, GPT, PLAIN, assistant, call, quiet, user

SEED = "seed"


def said(request: Call, model: Model = PLAIN) -> Answer:
    """The answer."""
    return answer.compose(request, model, SEED)


ASK = user("Tell me of the harbour")
ECHO = user("You were cut off. Begin by repeating the last 4 words verbatim, then go on.")
WHOLE = answer.full_text(call(ASK), PLAIN, SEED)


@pytest.mark.parametrize("cut", range(1, len(WHOLE) - 1, 7))
def test_a_prefill_is_gone_on_with_at_every_cut(cut: int) -> None:
    """The parts joined are the text, with no character between them."""
    assert WHOLE[:cut] + said(call(ASK, assistant(WHOLE[:cut])), CLAUDE).text == WHOLE


@pytest.mark.parametrize("cut", range(30, len(WHOLE) - 1, 7))
def test_an_echo_is_said_first_at_every_cut(cut: int) -> None:
    """The last words as asked, and then the rest."""
    partial = WHOLE[:cut]
    told = said(call(ASK, assistant(partial), ECHO), GPT).text
    overlap = next(n for n in range(len(partial), 0, -1) if told.startswith(partial[-n:]))
    assert len(partial[-overlap:].split()) == 4
    assert partial + told[overlap:] == WHOLE


def manner(name: str, *messages: dict[str, Any]) -> str:
    """The text of a continuation in this manner."""
    return answer.continuation(quiet(*messages), PLAIN, SEED, name).text  # type: ignore[arg-type]


CUT = WHOLE.index(" ", 60)
PARTIAL, REST = WHOLE[:CUT], WHOLE[CUT:]
TAIL4 = " ".join(PARTIAL.split()[-4:])
BY_TURN = (ASK, assistant(PARTIAL), ECHO)
BY_PREFILL = (ASK, assistant(PARTIAL))


def test_manners_of_going_on() -> None:
    """Each breaks the seam in its own way, and only in that."""
    assert manner("echo", *BY_TURN) == TAIL4 + REST
    assert manner("echo", *BY_PREFILL) == REST
    assert manner("plain", *BY_TURN) == REST
    assert manner("greet", *BY_TURN) == "Sure! Here is the rest: " + TAIL4 + REST
    assert manner("drop_space", *BY_TURN) == TAIL4 + REST[1:]
    assert manner("drop_space", *BY_PREFILL) == REST[1:]
    repeated = manner("repeat", *BY_PREFILL)
    assert repeated.endswith(REST)
    assert PARTIAL.endswith(repeated.removesuffix(REST))
    assert repeated != REST


def test_a_paraphrase_repeats_nothing_verbatim() -> None:
    """But it goes on with the same rest."""
    told = manner("paraphrase", *BY_TURN)
    assert told.endswith(REST)
    assert not PARTIAL.endswith(told.removesuffix(REST))


@pytest.mark.parametrize("name", answer.MANNERS)
def test_a_manner_changes_nothing_where_there_is_no_seam(name: str) -> None:
    """A fresh answer is the whole text."""
    assert manner(name, ASK) == WHOLE


def test_a_space_before_the_seam_is_lost_after_it_or_in_the_echo() -> None:
    """Wherever the seam has one."""
    partial = WHOLE[: CUT + 1]
    assert manner("drop_space", ASK, assistant(partial), ECHO) == TAIL4 + REST[1:]


def test_another_models_words_are_gone_on_with_somehow() -> None:
    """Deterministic, with a space between, and the echo first where it was asked for."""
    foreign = (ASK, assistant("These are not the words of the simulator"))
    told = said(call(*foreign)).text
    assert told == said(call(*foreign)).text
    assert told.startswith(" ")
    assert said(call(*foreign, ECHO)).text.startswith("words of the simulator ")


def test_go_on_after_a_whole_answer_is_a_new_question() -> None:
    """There is no rest of it to tell."""
    told = said(call(ASK, assistant(WHOLE), user("Please continue"))).text
    assert told
    assert told not in WHOLE


def test_nothing_is_left_to_say_after_a_whole_prefill() -> None:
    """An empty answer, and a normal end."""
    told = said(call(ASK, assistant(WHOLE)), CLAUDE)
    assert (told.text, told.finish_reason, told.counts.completion) == ("", "stop", 1)
