"""Finding a task by name."""

from __future__ import annotations

import pytest

from bytedeck import config
from bytedeck.errors import UnknownTask
from bytedeck.route.tasks import find

TASKS = config.load().tasks


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("coding", "coding"),
        ("Coding", "coding"),
        ("multi_agent", "multi_agent"),
        ("multiAgent", "multi_agent"),
        ("MULTI-AGENT", "multi_agent"),
        ("web scraping", "web_scraping"),
        ("webScraping", "web_scraping"),
    ],
)
def test_a_name_in_any_spelling(name: str, found: str) -> None:
    """Case, hyphens, underscores and aliases do not matter."""
    assert find(TASKS, name).name == found


def test_an_alias_of_ones_own() -> None:
    """An alias need not look like the name."""
    task = config.Task(name="poems", label="", description="", models=("a/b",), aliases=("Verse",))
    assert find({"poems": task}, "verse") is task


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("codign", "Did you mean: coding?"),
        ("architect", "Did you mean: architecture?"),
        ("multiagents", "Did you mean: multi_agent?"),
        (
            "zzzz",
            "The tasks are: orchestration, architecture, coding, multi_agent, web_scraping, general, and auto.",
        ),
        (
            "",
            "The tasks are: orchestration, architecture, coding, multi_agent, web_scraping, general, and auto.",
        ),
    ],
)
def test_an_unknown_one_tells_the_nearest(name: str, hint: str) -> None:
    """The hint begins with what was probably meant, and lists them all."""
    with pytest.raises(UnknownTask, match=repr(name)) as caught:
        find(TASKS, name)
    assert caught.value.hint[0] == hint
    assert caught.value.exit_code == 6
