"""Markdown cut into blocks while it comes."""

from __future__ import annotations

import pytest

from bytedeck.cli.blocks import Blocks, first_code

TEXTS = [
    ("one\n\ntwo", ["one"], "two"),
    ("one\ntwo\n", [], "one\ntwo\n"),
    ("one\n\n\n\ntwo\n\nthree", ["one", "two"], "three"),
    ("# Title\ntext\n\nx", ["# Title", "text"], "x"),
    ("```py\na\n\nb\n```\nafter", ["```py\na\n\nb\n```"], "after"),
    ("text\n```\na\n```\n\nx", ["text\n```\na\n```"], "\nx"),
    ("````\n```\n\nx\n````\n", ["````\n```\n\nx\n````"], ""),
    ("~~~\n```\n~~~\n", ["~~~\n```\n~~~"], ""),
    ("- a\n\n- b\n\nend of the list", ["- a\n\n- b"], "end of the list"),
    ("1. a\n\n   more\n\n2. b\n\nend of it", ["1. a\n\n   more\n\n2. b"], "end of it"),
    ("1. a\n   ```\n   x\n   ```\n2. b\n\nend of it", ["1. a\n   ```\n   x\n   ```\n2. b"], "end of it"),
    ("| a |\n|---|\n| 1 |\n\nx", ["| a |\n|---|\n| 1 |"], "x"),
    ("`code` and ```more``` here\n\nx", ["`code` and ```more``` here"], "x"),
]


@pytest.mark.parametrize(("text", "whole", "rest"), TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_blocks_do_not_depend_on_the_pieces(text: str, whole: list[str], rest: str, size: int) -> None:
    """However the text comes, the same blocks are whole in the end, and nothing of it is lost."""
    blocks = Blocks()
    found = [one for at in range(0, len(text), size) for one in blocks.feed(text[at : at + size])]
    assert [one for one in found if one] == whole
    assert blocks.rest.strip("\n") == rest.strip("\n")


def test_a_code_block_is_whole_at_its_fence() -> None:
    """Nobody has to wait for the next paragraph to see code rendered."""
    blocks = Blocks()
    assert blocks.feed("```\na\n``") == []
    assert blocks.feed("`\n") == ["```\na\n```"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", None),
        ("```\n```", ""),
        ("a\n```py\nx = 1\n\ny = 2\n```\n```\nz\n```", "x = 1\n\ny = 2"),
        ("1. so:\n   ```sh\n   ls\n     -l\n   ```", "ls\n  -l"),
        ("````md\n```\nx\n```\n````", "```\nx\n```"),
        ("~~~\nx\n~~~", "x"),
        ("```\nnever closed", "never closed"),
        ("with `inline` code", None),
    ],
)
def test_the_first_code_block(text: str, code: str | None) -> None:
    """The first fenced block without its fence and its indentation."""
    assert first_code(text) == code
