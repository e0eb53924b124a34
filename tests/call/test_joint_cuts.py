"""The seam alone: every place of hard texts × every manner of going on, and any slicing of any words."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytedeck.call.joint import Joint, echo_of
from continuers import HONEST, MANNERS, ONLY_TEXT, Known, Wanted, reads_as_echo


def joined(said: str, echo: str, *pieces: str) -> tuple[str, str]:
    """The verdict, and the text that a caller has in the end."""
    joint = Joint(said, echo)
    text = said + "".join(joint.feed(piece) for piece in pieces)
    text += joint.end()
    assert joint.verdict != "open"
    return joint.verdict, text


def ways(said: str) -> list[Wanted]:
    """How a model may be asked to go on with these words."""
    bare = said.rstrip()
    return [Wanted("prefill", bare), Wanted("echo", bare, echo_of(said))] if bare else []


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("known", ONLY_TEXT, ids=lambda known: known.name)
def test_every_place_of_a_text(known: Known, manner: str) -> None:
    """What is proven is the known text; what an honest model says is taken whole, or not at all."""
    for place in range(1, len(known.text) + 1):
        said = known.text[:place]
        for want in ways(said):
            told = MANNERS[manner](known.text, want)
            verdict, text = joined(said, want.quote, told)
            where = (want.way, verdict, said, told, text)
            assert text.startswith(said), where
            if verdict == "refused":
                assert text == said, where
            elif verdict == "proven":
                assert text == known.text or (manner != "echo" and reads_as_echo(want.quote, told)), where
            elif manner in HONEST and not seems_to_repeat(manner, want, told):
                assert text == known.text, where


def seems_to_repeat(manner: str, want: Wanted, told: str) -> bool:
    """Whether a text goes on with the very words that it was asked to repeat, so that nobody can tell."""
    return manner != "echo" and want.way == "echo" and told.lstrip().startswith(want.quote)


def test_an_honest_echo_is_mostly_proven() -> None:
    """An exact echo is enough wherever a blank follows it and the words stand nowhere else."""
    found: Counter[str] = Counter()
    for known in ONLY_TEXT:
        for place in range(1, len(known.text) + 1):
            for want in ways(known.text[:place])[1:]:
                found[joined(known.text[:place], want.quote, MANNERS["echo"](known.text, want))[0]] += 1
    assert not found["refused"], found
    assert found["proven"] >= 100, found


def sliced(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_slicing_of_a_continuation_gives_the_same(data: st.DataObject) -> None:
    """However the network slices a model's words, the seam is the same."""
    known = data.draw(st.sampled_from(ONLY_TEXT))
    said = known.text[: data.draw(st.integers(1, len(known.text)))]
    want = data.draw(st.sampled_from(ways(said) or [Wanted("echo", said, echo_of(said))]))
    told = MANNERS[data.draw(st.sampled_from(sorted(MANNERS)))](known.text, want)
    assert joined(said, want.quote, *sliced(told, data.draw(SIZES))) == joined(said, want.quote, told)


LETTERS = st.text(alphabet="ab \n.", max_size=60)
WORDS = st.lists(st.sampled_from(["ha ", "ho ", "to be ", "\n", ". "]), max_size=60).map("".join)


@settings(max_examples=600, deadline=None)
@given(
    said=st.one_of(LETTERS, WORDS).filter(str.strip),
    told=st.one_of(LETTERS, WORDS),
    extra=LETTERS,
    sizes=SIZES,
    mode=st.sampled_from(("free", "echo", "again", "prefill", "greet")),
)
def test_any_slicing_of_any_words_gives_the_same(
    said: str, told: str, extra: str, sizes: list[int], mode: str
) -> None:
    """The same for words that repeat themselves without end, and for echoes before, after and amid of them."""
    echo = "" if mode == "prefill" else echo_of(said)
    words = {"echo": echo + told, "again": said[-len(told) :] + extra, "greet": extra + echo + told}.get(
        mode, told
    )
    assert joined(said, echo, *sliced(words, sizes)) == joined(said, echo, words)
