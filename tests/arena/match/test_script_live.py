"""What is asked, over the simulator: upstreams take it, and what comes back is a turn or a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from arena_scripts import match
from bytedeck import Hub
from bytedeck.arena.judges import judging
from bytedeck.arena.match import script
from bytedeck.arena.match.referee import Assess, Referee
from bytedeck.arena.types import Look
from bytedeck.config import shipped_arena
from bytedeck.simulator import Simulator
from bytedeck.types import Model

LOOK = Look(0, 0, False)
THINKERS = (
    "anthropic/claude-opus-5",  # thinks unless told not to, and takes no temperature
    "~anthropic/claude-opus-latest",
    "openai/o3",  # always thinks
    "google/gemini-3.1-pro-preview",
    "~google/gemini-pro-latest",  # always, by what it stands for
    "openai/gpt-5.2-chat",
    "deepseek/deepseek-r1",
    "meta-llama/llama-3.3-70b-instruct:free",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    home = tmp_path_factory.mktemp("home")
    with (
        Simulator() as sim,
        Hub(api_key=sim.api_key, base_url=sim.base_url, home=home, database_url="memory:") as found,
    ):
        found.house.models.fetch(found.wire)
        yield found


def infos(hub: Hub, model: str) -> dict[str, Model | None]:
    catalog = hub.house.models.current()
    assert catalog is not None
    found = catalog.find(model)
    target = found.alias_target if found else None
    return {model: found} | ({target: catalog.find(target)} if target else {})


@pytest.mark.parametrize("model", shipped_arena().judges)
def test_each_judge_of_the_pool_gives_a_verdict(hub: Hub, model: str) -> None:
    """Strictly in the form, streamed as well as whole."""
    referee = Referee(match("a/x", "b/y", "c/z", judges=(model,)))
    call = script.call(referee, Assess(LOOK), infos(hub, model))
    assert call.params["response_format"]["type"] == "json_schema"
    whole = hub.chat(list(call.messages), model=model, **call.params).text
    with hub.stream(list(call.messages), model=model, **call.params) as stream:
        streamed = "".join(map(str, stream))
    assert judging.read(whole, referee.match, LOOK) == judging.read(streamed, referee.match, LOOK)


@pytest.mark.parametrize("model", THINKERS)
def test_thinking_eats_no_argument(hub: Hub, model: str) -> None:
    """However a model thinks, a turn of few tokens has words in it."""
    referee = Referee(match(model, "b/y", max_tokens=60))
    call = script.call(referee, referee.due()[0], infos(hub, model))
    reply = hub.chat(list(call.messages), model=model, **call.params)
    assert reply.text
    assert reply.usage is not None
    assert reply.usage.completion_tokens - reply.usage.reasoning_tokens >= 40
