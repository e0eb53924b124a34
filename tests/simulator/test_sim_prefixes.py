"""The providers' prompt cache: a repeated beginning is read, a marked one is written."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.money.prefixes import PromptCache
from bytedeck.simulator.shapes import Call, Counts
from sim_calls import NOON, call

ALL = catalogue.load()
GPT = ALL.find("openai/gpt-4o")
WRITTEN = ALL.find("openai/gpt-5.6-sol")
CLAUDE = ALL.find("anthropic/claude-sonnet-5")
PLAIN = ALL.find("mistralai/mistral-large")
LONG = "word " * 2000


def turn(role: str, text: str, mark: dict[str, str] | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "text", "text": text}
    return {"role": role, "content": [part | ({"cache_control": mark} if mark else {})]}


def talk(*turns: dict[str, Any], **fields: Any) -> Call:
    return call(messages=turns, **fields)


def ask(
    cache: PromptCache, asked: Call, model: Any = GPT, now: float = NOON, prompt: int = 2600
) -> tuple[int, int]:
    counts = cache.counted(Counts(prompt=prompt), "a", model, asked, now)
    assert counts.cached + counts.cache_write <= counts.prompt
    return counts.cached, counts.cache_write


FIRST = talk(turn("system", LONG), turn("user", "One"))
SECOND = talk(turn("system", LONG), turn("user", "One"), turn("assistant", "1"), turn("user", "Two"))


def test_a_repeated_beginning_is_read_in_blocks_of_128() -> None:
    cache = PromptCache()
    assert ask(cache, FIRST) == (0, 0)
    cached, written = ask(cache, SECOND)
    assert (cached % 128, written) == (0, 0)
    assert 2300 < cached < 2600
    assert ask(cache, FIRST)[0] == 2600 // 128 * 128


@pytest.mark.parametrize(("later", "found"), [(600.0, True), (600.1, False)])
def test_a_beginning_is_forgotten_after_ten_minutes(later: float, found: bool) -> None:
    cache = PromptCache()
    ask(cache, FIRST)
    assert bool(ask(cache, SECOND, now=NOON + later)[0]) is found


def test_each_use_keeps_a_beginning_for_ten_more_minutes() -> None:
    cache = PromptCache()
    for minutes in (0, 9, 18, 27):
        cached = ask(cache, FIRST, now=NOON + minutes * 60)[0]
    assert cached > 0


def test_a_change_in_the_beginning_is_another_beginning() -> None:
    cache = PromptCache()
    ask(cache, FIRST)
    assert ask(cache, talk(turn("system", "x" + LONG), turn("user", "One")))[0] == 0
    with_tools = talk(turn("system", LONG), turn("user", "One"), tools=({"type": "function"},))
    assert ask(cache, with_tools)[0] == 0


def test_accounts_and_models_do_not_share() -> None:
    cache = PromptCache()
    ask(cache, FIRST)
    assert cache.counted(Counts(prompt=2600), "b", GPT, FIRST, NOON).cached == 0
    assert ask(cache, FIRST, WRITTEN)[0] == 0
    assert ask(cache, FIRST, PLAIN) == ask(cache, FIRST, PLAIN) == (0, 0), "no price for reading, no cache"


def test_short_prompts_are_not_cached() -> None:
    cache = PromptCache()
    assert ask(cache, FIRST, prompt=1023) == ask(cache, FIRST, prompt=1023) == (0, 0)
    assert ask(cache, FIRST, prompt=1024) == (0, 0)
    assert ask(cache, FIRST, prompt=1024) == (1024, 0)


def test_claude_caches_up_to_the_mark_and_not_without_one() -> None:
    cache = PromptCache()
    assert ask(cache, FIRST, CLAUDE) == ask(cache, FIRST, CLAUDE) == (0, 0)
    mark = {"type": "ephemeral"}
    marked = talk(turn("system", LONG, mark), turn("user", "One"))
    cached, written = ask(cache, marked, CLAUDE)
    assert cached == 0
    assert 2300 < written < 2600
    assert ask(cache, marked, CLAUDE) == (written, 0)
    further = talk(
        turn("system", LONG), turn("user", "One"), turn("assistant", LONG, mark), turn("user", "Two")
    )
    assert ask(cache, further, CLAUDE, prompt=5200) == (written, ask_written(further, 5200) - written)


def ask_written(asked: Call, prompt: int) -> int:
    """What a cold cache writes."""
    return ask(PromptCache(), asked, CLAUDE, prompt=prompt)[1]


def test_an_hours_writes_are_told_apart() -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    counts = PromptCache().counted(
        Counts(prompt=2600), "a", CLAUDE, talk(turn("system", LONG, hour), turn("user", "One")), NOON
    )
    assert counts.cache_write == counts.cache_write_1h > 0
    whole = call(messages=FIRST.messages, body={"cache_control": hour})
    counts = PromptCache().counted(Counts(prompt=2600), "a", CLAUDE, whole, NOON)
    assert counts.cache_write == counts.cache_write_1h == 2560


def test_a_model_with_a_price_on_writing_writes_by_itself() -> None:
    cache = PromptCache()
    assert ask(cache, FIRST, WRITTEN) == (0, 2560)
    assert ask(cache, FIRST, WRITTEN) == (2560, 0)


def test_the_oldest_beginnings_go_first() -> None:
    cache = PromptCache(most=2)
    ask(cache, FIRST)
    ask(cache, talk(turn("system", "other " + LONG), turn("user", "One")))
    assert ask(cache, FIRST)[0] == 0
