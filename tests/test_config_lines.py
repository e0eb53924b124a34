"""Finding the line of a key in a TOML text."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bytedeck.config import lines
from bytedeck.config.document import Document
from bytedeck.config.limits import whence
from bytedeck.config.lines import Lines

TEXT = '''# a comment with [brackets] and "quotes
title = "one # two [three]"
"quoted key" = 'it = [is]'
'literal "key"' = 1
dotted . "in parts".here = true
long = """
[not.a.table]
key = "neither"
\\""" still inside
"""
literal = \'\'\'
[nor.this]
\'\'\'
list = [
  "a]", # with a comment ]
  'b', { inside = 1 },
]
inline = { a = 1, b = { c = 2 } } # done
empty = ""
"esc\\u0061ped" = 1
[table] # the table
key = 1979-05-27T07:32:00Z

  [ table . "sub.table" ]
  key = -1.5e3
[[many]]
key = 1
[[many]]
key = 2
[deep.er.than.that]
end = 1'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("title", 2),
        ("quoted key", 3),
        ('literal "key"', 4),
        ("dotted|in parts|here", 5),
        ("long", 6),
        ("literal", 11),
        ("list", 14),
        ("list|[0]", 14),
        ("inline", 18),
        ("inline|b|c", 18),
        ("empty", 19),
        ("escaped", 20),
        ("table", 21),
        ("table|key", 22),
        ("table|nothing", 21),
        ("table|sub.table", 24),
        ("table|sub.table|key", 25),
        ("many|key", 27),
        ("deep", 30),
        ("deep|er|than|that|end", 31),
        ("not", None),
        ("nor|this", None),
        ("key", None),
        ("", None),
    ],
)
def test_the_line_of_a_key(path: str, line: int | None) -> None:
    """Dotted and quoted keys, strings of four kinds, lists, inline tables; nothing inside a string is a key."""
    assert Lines(TEXT).of(tuple(path.split("|"))) == line


def test_every_key_of_the_text_is_found() -> None:
    """What tomllib reads from the text has a line that holds its last name."""
    known = Lines(TEXT)

    def walk(value: Any, path: tuple[str, ...]) -> None:
        for key, inner in value.items():
            line = known.of((*path, key))
            assert line is not None, (path, key)
            if path[:1] != ("inline",):
                assert key in TEXT.splitlines()[line - 1] or key == "escaped"
            if isinstance(inner, dict):
                walk(inner, (*path, key))

    walk(tomllib.loads(TEXT), ())


def test_a_document_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many places of it are told: a settings file of three hundred tables takes no seconds."""
    walks = []
    inner = lines.places
    monkeypatch.setattr(lines, "places", lambda text: walks.append(text) or inner(text))
    text = "".join(f'[limits.models."a{number}/*"]\nrequests = "1/day"\n' for number in range(20))
    document = Document(Path("config.toml"), text)
    found = whence(document, ())
    assert found['limits.models."a19/*".requests'] == "config.toml, line 40"
    assert len(walks) == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only this", "a = 1 # no end of line", "a = [1, # open\n 2]"])
def test_small_texts_end(text: str) -> None:
    """It comes to an end on any text that tomllib takes."""
    tomllib.loads(text)
    assert Lines(text).of(("a",)) == (1 if text.startswith("a") else None)
