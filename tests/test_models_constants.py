"""`bytedeck.models`: the named constants."""

from __future__ import annotations

import pytest

from bytedeck import models
from bytedeck.config import shipped_models

TWELVE = [
    "CLAUDE_3_5_SONNET", "CLAUDE_3_7_SONNET", "CLAUDE_3_HAIKU", "DEEPSEEK_CHAT", "DEEPSEEK_REASONER",
    "GEMINI_2_0_FLASH_EXP", "GEMINI_PRO", "GPT_4O", "GPT_4O_MINI", "LLAMA_3_3_70B", "LLAMA_3_70B", "MISTRAL_LARGE",
]  # fmt: skip


def test_the_twelve_names() -> None:
    """All are there, as the shipped data says, and `dir` lists them."""
    assert dir(models) == TWELVE
    assert {name: getattr(models, name) for name in TWELVE} == shipped_models().constants
    assert models.GPT_4O == "openai/gpt-4o"


@pytest.mark.parametrize("name", ["GPT_9", "gpt_4o", "__path__"])
def test_any_other_name_is_an_attribute_error(name: str) -> None:
    """As with every module."""
    with pytest.raises(AttributeError, match=name):
        getattr(models, name)
