"""Whose word counts on how hard an answer is fought for: the request's, the key's, the task's, the general one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytedeck.config import Config, load
from bytedeck.errors import ConfigError
from bytedeck.route.choose import choose
from bytedeck.types import Ask, Policy

FILE = """
[policy]
failover = "restart"
hedge = true

[tasks.coding.policy]
failover = "error"
compact = true

[keys."…abcd".policy]
failover = "continue"
"""
USER = ({"role": "user", "content": "hi"},)


def config(home: Path, text: str) -> Config:
    file = home / "config.toml"
    file.write_text(text, "utf-8")
    return load({"BYTE_HOME": str(home), "BYTE_CONFIG": str(file), "OPENROUTER_API_KEY": "sk-or-v1-test"})


@pytest.mark.parametrize(
    ("task", "key", "said", "failover"),
    [
        ("general", "", None, "restart"),
        ("coding", "", None, "error"),
        ("coding", "…abcd", None, "continue"),
        ("general", "…abcd", None, "continue"),
        ("coding", "…abcd", "restart", "restart"),
        ("coding", "…else", None, "error"),
    ],
)
def test_whose_word_counts(tmp_path: Path, task: str, key: str, said: str | None, failover: str) -> None:
    """The narrowest that says something; what it leaves open is said below it."""
    ask = Ask(id="0" * 32, messages=USER, task=task, key=key, policy=Policy(failover=said))  # type: ignore[arg-type]
    plan = choose(ask, config(tmp_path, FILE), None, has_key=True, has_local=False)
    assert plan.policy == Policy(
        failover=failover,  # type: ignore[arg-type]
        hedge=True,
        compact=task == "coding",
        stream_tools=False,
    )


def test_without_a_word_an_answer_is_gone_on_with(tmp_path: Path) -> None:
    """Nothing else is on by default."""
    found = config(tmp_path, "").policy
    assert found == Policy(failover="continue", hedge=False, compact=False, stream_tools=False)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[policy]\nfailover = "hope"', "policy.failover"),
        ('[policy]\nhedge = "yes"', "policy.hedge"),
        ("[policy]\nretry = 3", "policy"),
        ('[tasks.coding.policy]\nfailover = "never"', "tasks.coding.policy.failover"),
        ("[keys.x.policy]\ncompact = 1", "keys.x.policy.compact"),
        ("[keys.x]\nbudget = 1", "keys.x"),
        ("[keys]\nx = 1", "keys.x"),
    ],
)
def test_a_policy_that_is_none_is_refused(tmp_path: Path, text: str, path: str) -> None:
    """With the file, the line and the path of what is wrong; nothing is half-loaded."""
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text)
    assert "config.toml" in str(caught.value)
    assert path in str(caught.value)
