"""What a text looks like: the features that are held equal."""

from __future__ import annotations

import pytest

from bytedeck.arena.ratings.style import FEATURES, difference, measured

DRESSED = """# A claim

Some **bold** and __bold__ words, 2 ** 3 ** 4 and a __init__.

- one
* two
  1. three
2) four

```python
# no heading
- no item
x = "**no bold**"
```
## Another #
"""

CASES = [
    ("", (0, 0, 0, 0)),
    ("   \n\n ", (0, 0, 0, 0)),
    ("Three plain words.", (3, 0, 0, 0)),
    ("#hashtag and - a dash, 3.5 and **", (8, 0, 0, 0)),
    ("# One\n###### Six\n####### Seven", (6, 2, 0, 0)),
    ("* item with *emphasis*\n*no item*", (6, 0, 1, 0)),
    ("**a** **b c**", (3, 0, 0, 2)),
    ("~~~\n# never closed\n- x", (6, 0, 0, 0)),
    ("    # code by its indent", (5, 0, 0, 0)),
    ("十个字的句子在这里了", (10, 0, 0, 0)),
    ("漢字 and words", (4, 0, 0, 0)),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_measured(text: str, expected: tuple[float, ...]) -> None:
    """Words, headings, items and bold runs are counted as Markdown has them."""
    assert measured(text) == expected


def test_fenced_code_has_no_marks() -> None:
    """Within a fence a comment is no heading; its words count for the length like all others."""
    words, headings, items, bold = measured(DRESSED)
    assert (headings, items, bold) == (2, 4, 3)
    assert words == len(DRESSED.split())


def test_a_long_hostile_text_is_measured_at_once() -> None:
    """Marks that never end are no trap: the count is linear in the text."""
    for text in (
        "**" * 100_000,
        "`" * 200_000,
        "```\n" * 50_001,
        "# " * 100_000,
        "1" * 200_000,
        " " * 200_000 + "-",
        "**a " * 50_000,
    ):
        assert len(measured(text)) == len(FEATURES)


def test_difference() -> None:
    """Each feature from −1 to 1: nought where neither text has it, and the sign turns with the sides."""
    one, other = (300.0, 0.0, 4.0, 0.0), (100.0, 0.0, 0.0, 0.0)
    assert difference(one, other) == (0.5, 0.0, 1.0, 0.0)
    assert difference(other, one) == (-0.5, 0.0, -1.0, 0.0)
    assert difference(one, one) == (0.0,) * len(FEATURES)
