"""`[arena]`: what ships, what a file of one's own changes, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytedeck.arena.types import Persona
from bytedeck.call.family import family
from bytedeck.config import Config, load, shown
from bytedeck.errors import ConfigError


def loaded(home: Path, text: str = "") -> Config:
    (home / "config.toml").write_text(text, "utf-8")
    return load({"BYTE_HOME": str(home)})


def test_what_ships(tmp_path: Path) -> None:
    """Judges of eight families, so that four fighters of any families leave a panel; personas that can be played."""
    found = loaded(tmp_path).arena
    assert len({family(one) for one in found.judges}) == len(found.judges) == 8
    assert found.commentator
    for fields in found.personas.values():
        persona = Persona(**fields)
        assert persona.name
        assert persona.style.endswith(".")
        assert len(persona.colour) == 7


def test_a_file_goes_on_top(tmp_path: Path) -> None:
    """Judges as a whole, personas field by field; `byte config` tells where they are from."""
    config = loaded(
        tmp_path,
        '[arena]\njudges = ["gpt", "a/b"]\ncommentator = ""\n'
        '[arena.personas.ada]\nstyle = "You sing."\n[arena.personas."Zoë"]\ncolour = "#ABCDEF"\n',
    )
    assert config.arena.judges == ("gpt", "a/b")
    assert config.arena.commentator == ""
    assert config.arena.personas["ada"] == {"name": "Ada", "style": "You sing.", "colour": "#2b6cb0"}
    assert config.arena.personas["Zoë"] == {"name": "Zoë", "style": "", "colour": "#ABCDEF"}
    assert "socrates" in config.arena.personas
    rows = {name: (value, where) for name, value, where in shown(config)}
    assert rows["arena.judges"] == ("gpt, a/b", f"{config.file}, line 2")
    assert rows["arena.commentator"] == ("none", f"{config.file}, line 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arena = 1", "`arena`: expected a table"),
        ("[arena]\njudges = []", "line 2: `arena.judges`"),
        ('[arena]\njudges = ["gtp"]', "line 2: `arena.judges`: 'gtp' is neither a model id nor an alias"),
        ('[arena]\ncommentator = "gtp"', "line 2: `arena.commentator`: 'gtp' is neither"),
        ('[arena]\njugdes = ["gpt"]', "did you mean `arena.judges`?"),
        ('[arena.personas.x]\ncolour = "red"', "`arena.personas.x.colour`: expected a colour such as"),
        ('[arena.personas]\n"" = {}', "expected a name that is not empty"),
        ("[arena.personas]\nx = 1", "`arena.personas.x`: expected a table"),
        ('[arena.personas.x]\nname = ""', "`arena.personas.x.name`"),
        ('[arena.personas.x]\nvoice = "deep"', "unknown setting `arena.personas.x.voice`"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, said: str) -> None:
    """With line and path, and what was expected."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)
