"""What an attempt is sent that takes up a broken answer, and what stands of several attempts together."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from bytedeck.call.joint import ECHO_LIMIT, Joint, echo_of
from bytedeck.call.request import Amends, compose
from bytedeck.call.resume import total
from bytedeck.call.voice import Uptake, Voice, placed
from bytedeck.types import Ask, Candidate, Delta, Plan, ToolCallPart, Usage

SAID = "The harbour is quiet tonight, and the boats lie side by side in the "
ECHO = echo_of(SAID)


def sent(uptake: Uptake, **params: Any) -> dict[str, Any]:
    """The body of a request that takes this up."""
    ask = Ask(id="0" * 32, messages=({"role": "user", "content": "hi"},), params=params)
    who = Candidate(model="a/b", name="B", route="openrouter", why="")
    found: dict[str, Any] = json.decode(
        compose(ask, Plan(candidates=(who,), task=""), who, Amends(), uptake).request.body
    )
    return found


def test_a_prefill_ends_with_the_words() -> None:
    """As the assistant's own turn, without the blanks at its end, which some refuse."""
    assert sent(Uptake(way="prefill", said=SAID))["messages"][1:] == [
        {"role": "assistant", "content": SAID.rstrip()}
    ]


def test_an_echo_is_asked_for_word_by_word() -> None:
    """The words as the assistant's turn, and a turn that ends with the last ones of them."""
    _, partial, asked = sent(Uptake(way="echo", said=SAID, echo=ECHO))["messages"]
    assert partial == {"role": "assistant", "content": SAID.rstrip()}
    assert asked["role"] == "user"
    assert asked["content"].endswith(f"\n\n{ECHO}")
    assert SAID.rstrip().endswith(ECHO)


@pytest.mark.parametrize("way", ["fresh", "calls", "restart"])
def test_who_begins_anew_is_sent_the_question_alone(way: Any) -> None:
    """Nothing of the broken answer goes along."""
    assert sent(Uptake(way=way, said=SAID)) == sent(Uptake())


@pytest.mark.parametrize(
    ("params", "spent", "left"),
    [
        ({"max_tokens": 1000}, 300, 700),
        ({"max_completion_tokens": 1000}, 300, 700),
        ({"max_tokens": 1000}, 5000, 64),
        ({"max_tokens": 20}, 5000, 20),
        ({}, 300, None),
    ],
)
def test_what_is_left_of_the_cap(params: dict[str, int], spent: int, left: int | None) -> None:
    """The cap less what is written, never more than it was, and enough to end a sentence."""
    body = sent(Uptake(way="prefill", said="x", spent=spent), **params)
    assert next((body[name] for name in params), None) == left


def test_the_echo_comes_on_top_of_the_cap() -> None:
    """Who has to repeat words first is given room for them."""
    with_echo = sent(Uptake(way="echo", said=SAID, echo=ECHO, spent=300), max_tokens=1000)["max_tokens"]
    assert 700 < with_echo <= 700 + len(ECHO)


@pytest.mark.parametrize(
    ("said", "echo"),
    [
        ("one two three", "one two three"),
        ("  padded  ", "padded"),
        ("", ""),
        ("   ", ""),
        ("a b c d e f g h i j k l m n o p q r s t u v w x y z", "n o p q r s t u v w x y z"),
    ],
)
def test_the_last_words(said: str, echo: str) -> None:
    """At least eight words and twenty-four characters, where there are so many; blanks at the end left out."""
    assert echo_of(said) == echo


def test_an_echo_is_never_long() -> None:
    """A text without blanks is cut by characters, one that repeats itself at the bound."""
    assert echo_of("港" * 5000) == "港" * ECHO_LIMIT
    assert len(echo_of("ha " * 5000)) <= ECHO_LIMIT


def test_a_long_text_that_repeats_itself_is_joined_in_time() -> None:
    """A hundred thousand characters of the same words cost no square of them."""
    said = "ha " * 33_000
    joint = Joint(said, echo_of(said))
    for _ in range(200):
        joint.feed("ha ")
    assert joint.verdict == "unproven"


def test_sources_are_told_by_their_place_in_the_whole_answer() -> None:
    """Their indices count from the answer's first character, not from the attempt's."""
    voice = Voice(Uptake(way="echo", said=SAID, echo=ECHO), "a/b", 2, first=False, stream_tools=False)
    note = {
        "type": "url_citation",
        "url_citation": {"url": "u", "start_index": len(ECHO) + 1, "end_index": 50},
    }
    out = voice.say([Delta(text=f"{ECHO} dark water."), Delta(annotations=(note,))])
    (moved,) = (delta.annotations[0] for delta in out if delta.annotations)
    assert moved["url_citation"]["start_index"] == len(SAID)
    assert "".join(delta.text for delta in out) == "dark water."
    assert placed([{"start_index": "odd"}], 5) == ({"start_index": "odd"},)


def test_calls_come_whole_at_the_end() -> None:
    """Their pieces are held back; who wants to see them written gets them at once."""
    part = Delta(text="hm", tool_calls=(ToolCallPart(0, "c", "f", "{"),))
    for streams, shown in ((False, ()), (True, part.tool_calls)):
        voice = Voice(Uptake(), "a/b", 1, first=True, stream_tools=streams)
        (delta,) = voice.say([part])
        assert (delta.text, delta.tool_calls) == ("hm", shown)
        assert [d.tool_calls for d in voice.end()] == ([] if streams else [part.tool_calls])


def test_usage_of_all_attempts_together() -> None:
    """Tokens and known costs add up; a bill of one's own key counts where there was one; the text of one cost only."""
    one = Usage(prompt_tokens=5, completion_tokens=7, total_tokens=12, cost_units=3, cost_text="3E-12")
    byok = Usage(prompt_tokens=1, total_tokens=1, cost_units=1, upstream_units=9, is_byok=True)
    unknown = Usage(prompt_tokens=2, total_tokens=2, upstream_units=4)
    assert total([]) is None
    assert total([one]) is one
    both = total([one, byok, unknown])
    assert both is not None
    assert (both.prompt_tokens, both.completion_tokens, both.total_tokens) == (8, 7, 15)
    assert (both.cost_units, both.upstream_units, both.spend_units, both.cost_text) == (4, 9, 13, "")
