"""What the simulator's language promises: same seed same words, tokens that join to the text, directives that are safe."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.simulator.words import language as words
from bytedeck.simulator.words.language import Directives


@given(st.text(max_size=300))
def test_joined_tokens_are_the_text(text: str) -> None:
    assert "".join(words.split(text)) == text
    assert words.count(text) == len(words.split(text))


def test_a_token_is_about_four_characters() -> None:
    text = words.prose(words.stream("length"), 5_000)
    assert 3.5 < len(text) / words.count(text) < 4.5


def test_very_long_texts_are_reckoned_in_proportion() -> None:
    short, long = "word and " * 40_000, "word and " * 400_000
    assert words.count(long) == pytest.approx(10 * words.count(short), rel=0.01)


def test_the_same_seed_says_the_same_words() -> None:
    # The words themselves: another machine and another version of Python must say them too.
    assert words.sentence(words.stream("seed", 1)) == words.sentence(words.stream("seed", 1))
    assert words.sentence(words.stream("a")) == SENTENCE
    assert len({words.prose(words.stream("seed", at), 40) for at in range(50)}) == 50


SENTENCE = "If the answer questions the glacier, the twice-mended island has to wait."


def test_the_language_has_words_beyond_ascii() -> None:
    text = "".join(islice(words.sentences(words.stream("ascii")), 300))
    assert any(ord(sign) > 0xFFFF for sign in text)  # four bytes in UTF-8
    assert sum(ord(sign) > 127 for sign in text) > 50


@pytest.mark.parametrize("number", [0, 1, 7, 120])
def test_exactly_so_many_words(number: int) -> None:
    assert len(words.exactly(words.stream("n"), number).split()) == number


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("nothing here", Directives()),
        ("[[sim: words=12]]", Directives(words=12)),
        ("before [[sim:tokens=5 reasoning=9]] after", Directives(tokens=5, reasoning=9)),
        ('[[sim: say="a \\"b\\" ]] c\\n"]]', Directives(say='a "b" ]] c\n')),
        ('[[sim: say=""]]', Directives(say="")),
        ("[[sim: say=bare words=3]]", Directives(say="bare", words=3)),
        ("[[sim: tools=2]]", Directives(tools=2)),
        ("[[sim: tools=a,b,]]", Directives(names=("a", "b"))),
        ("[[sim: finish=length]] [[sim: finish=stop]]", Directives(finish="stop")),
        ("[[sim: finish=tired words=many reasoning=-3 colour=red words]]", Directives()),
        ('[[sim: say="never closed]]', Directives()),
        ("[[sim: words=9", Directives()),
        ("[[sim: words=999999999]]", Directives(words=words.MOST_WORDS)),
        ("[[sim: words=١٢]]", Directives()),
    ],
)
def test_directives_are_read_and_garbage_is_ignored(text: str, asked: Directives) -> None:
    assert words.directives(text) == asked


@given(st.text(alphabet='[]sim: ="\\wordsay1', max_size=80))
def test_no_text_breaks_the_directives(text: str) -> None:
    words.directives("[[sim:" + text)


@pytest.mark.parametrize("part", ["[[sim:", '[[sim: say="', '[[sim: say="\\', "]", '"'])
def test_hostile_directives_are_read_in_linear_time(part: str) -> None:
    words.directives(part * 100_000)  # quadratic, this would take minutes


def test_a_prompt_counts_words_parts_and_tools() -> None:
    plain = [{"role": "user", "content": "one two three"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "one two three"}]}]
    picture = [
        {
            "role": "user",
            "content": [*parts[0]["content"], {"type": "image_url", "image_url": {"url": "data:"}}],
        }
    ]
    asked = [
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    ]
    assert words.prompt_tokens(plain) == words.prompt_tokens(parts) == 10
    assert words.prompt_tokens(picture) == 10 + words.PART_TOKENS["image_url"]
    assert words.prompt_tokens([*plain, *asked]) > words.prompt_tokens(plain) + 4
    assert words.prompt_tokens(plain, [{"type": "function", "function": {"name": "f"}}]) > 10
    assert words.prompt_tokens([]) > 0
