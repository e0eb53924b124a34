"""What the settings say of kept answers: for how long, and how much room they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytedeck import config
from bytedeck.config import Config
from bytedeck.config.measures import seconds, size
from bytedeck.errors import ConfigError


def load(tmp_path: Path, text: str) -> Config:
    (tmp_path / "config.toml").write_text(text)
    return config.load({"BYTE_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 7 d ", 604_800), ("0.5s", 0.5)]
)
def test_spans(text: str, expected: float) -> None:
    """A number and its unit."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "0s", "1e3s", "10 minutes", "400d", "1h30m", "१m"])
def test_what_is_no_span(text: str) -> None:
    """It says what was expected."""
    with pytest.raises(ValueError, match="such as"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1 KB", 1024), ("256MB", 256 << 20), ("1.5 gb", 3 << 29), ("0.5 KB", 512)]
)
def test_sizes(text: str, expected: int) -> None:
    """Powers of 1,024."""
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "256", "0 MB", "-1 MB", "1 TB", "99999999 GB", "a lot"])
def test_what_is_no_size(text: str) -> None:
    """It says what was expected."""
    with pytest.raises(ValueError, match="such as"):
        size(text)


def test_in_the_settings(tmp_path: Path) -> None:
    """None is kept unless a task says so; a table that says nothing of it leaves it as it is; `off` takes it back."""
    plain = load(tmp_path, "")
    assert {task.cache for task in plain.tasks.values()} == {0.0}
    assert (plain.cache_size, plain.where["cache_size"]) == ("256 MB", "default")
    found = load(
        tmp_path,
        'cache_size = "1 GB"\n[tasks.coding]\ncache = "10m"\n[tasks.general]\ncache = "off"\n',
    )
    assert (found.tasks["coding"].cache, found.tasks["general"].cache) == (600.0, 0.0)
    assert found.cache_size == "1 GB"
    assert found.where["cache_size"].endswith("line 1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[tasks.coding]\ncache = "soon"',
            r"line 2: `tasks.coding.cache`: expected a time such as .* or off",
        ),
        ("[tasks.coding]\ncache = 600", "line 2: `tasks.coding.cache`"),
        ('cache_size = "much"', "line 1: `cache_size`: expected a size"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, told: str) -> None:
    """With file, line and what was expected."""
    with pytest.raises(ConfigError, match=told):
        load(tmp_path, text)
