"""Under a bound on cost what is reserved is the most that may be charged: the price and the length that go along."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bytedeck import pipeline
from bytedeck.call.steps import Began, Refused, Wait
from bytedeck.config import load
from bytedeck.money import to_units
from bytedeck.pipeline import Deck
from bytedeck.route.catalog import parse, worst_case
from bytedeck.simulator import Settings
from bytedeck.simulator.world import World
from bytedeck.types import Ask, Model

CONFIG = load(
    {"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent", "BYTE_DAILY_BUDGET": "9999"}
)
CATALOGUE = World(Settings()).catalogue
CATALOG = parse(json.dumps(CATALOGUE.listing({}, 0.0), default=str).encode())
PRICED = [one for one in CATALOG.models if one.price is not None and one.price.prompt is not None]
DISCOUNT = "deepseek/deepseek-v4-pro"
"""Has a price for the night, 16:30 to 0:30, and another one for long prompts."""
MILLION = 1_000_000


def sent(model: str, size: int, minutes: int, **params: Any) -> tuple[int, dict[str, Any], int]:
    """The worst case of a prompt of so many bytes, units; the request's body, and its size."""
    deck = Deck(
        config=CONFIG, catalog=CATALOG, has_key=True, has_local=False, local_reason="", clean=str, utc_minutes=minutes
    )  # fmt: skip
    asked = Ask(
        id="0" * 32, messages=({"role": "user", "content": "a" * size},), models=(model,), params=params
    )
    flow = pipeline.answer(asked, deck, 1000.0)
    worst = flow.send(None).intent.worst_units
    flow.send(1000.0)
    body = flow.send(Began(1, 1000.0)).request.body
    flow.close()
    return worst, json.loads(body, parse_float=Decimal), len(body)


@pytest.mark.parametrize("model", [one.id for one in PRICED])
@pytest.mark.parametrize("size", [10, 300_000])
def test_the_ceiling_is_what_was_reckoned_with(model: str, size: int) -> None:
    """At any hour and length: a token a byte at the dearest price allowed, and the longest answer allowed."""
    for minutes in (0, 29, 30, 600, 985, 990, 1200, 1439):
        worst, body, length = sent(model, size, minutes)
        ceiling, most = body["provider"]["max_price"], body.get("max_tokens", 0)
        tokens = (length * ceiling["prompt"] + most * ceiling["completion"]) / MILLION
        assert worst >= to_units(tokens + ceiling["request"]), minutes
        now = CATALOGUE.price(CATALOGUE.find(model), size, minutes * 60.0)
        assert now.prompt * MILLION <= ceiling["prompt"], "it would be refused for its own price"
        assert now.completion * MILLION <= ceiling["completion"]
        assert (now.request or 0) <= ceiling["request"]


@pytest.mark.parametrize(
    ("size", "minutes", "prompt", "completion"),
    [
        (10, 600, "0.56", "1.68"),
        (10, 1200, "0.28", "0.84"),
        (10, 989, "0.56", "1.68"),
        (10, 29, "0.56", "1.68"),
        (300_000, 600, "0.56", "3.36"),
        (300_000, 1200, "0.28", "3.36"),
    ],
)
def test_a_price_that_changes(size: int, minutes: int, prompt: str, completion: str) -> None:
    """The dearest that may hold while the answer is asked for, and no dearer one."""
    _, body, _ = sent(DISCOUNT, size, minutes)
    told = {name: Decimal(usd) for name, usd in body["provider"]["max_price"].items()}
    assert told == {"prompt": Decimal(prompt), "completion": Decimal(completion), "request": 0}


def test_prompt_and_answer_fit_together() -> None:
    """The cap that goes along leaves room for the prompt; the caller's own cap, and that of a model without one, stay."""
    model = next(one for one in PRICED if _is_roomy(one))
    room = model.context_length or 0
    _, body, _ = sent(model.id, 2 * (room - 1_000), 0)  # of two bytes a token at least
    assert 900 < body["max_tokens"] < 1_000
    assert sent(model.id, 10, 0)[1]["max_tokens"] == model.max_completion_tokens
    assert sent(model.id, 10, 0, max_tokens=7)[1]["max_tokens"] == 7
    assert "max_tokens" not in sent(model.id, 10, 0, max_completion_tokens=7)[1]


def _is_roomy(one: Model) -> bool:
    takes = one.supported_parameters or frozenset()
    return bool(one.context_length and one.max_completion_tokens and "max_tokens" in takes)


def _fee(usd: object) -> int | None:
    """The worst case of a model without a price, whose request may have this fee, units."""
    ceiling = {"prompt": 0, "completion": 0, "request": usd}
    return sent("openrouter/auto", 10, 0, provider={"max_price": ceiling}, max_tokens=1)[0]


@pytest.mark.parametrize("usd", [952_381, 10**30, "1e300"])
def test_an_absurd_price_is_nobodys(usd: object) -> None:
    """Above a million dollars a request no sum would hold it: it counts as unbounded."""
    assert _fee(952_380) == 952_380 * 105 * 10**10
    assert _fee(usd) is None


def test_an_absurd_length_is_nobodys() -> None:
    """Of a dear token or of a cheap one, whose price is finer than a unit."""
    for usd in ("1", "0.0000001"):
        ceiling = {"prompt": usd, "completion": usd}
        for length, is_known in ((10**6, True), (10**30, False)):
            worst, _, _ = sent("openrouter/auto", 10, 0, provider={"max_price": ceiling}, max_tokens=length)
            assert (worst is not None) == is_known


@pytest.mark.parametrize("cap", [0, -1, -(10**30)])
def test_a_length_below_nothing_bounds_nothing(cap: int) -> None:
    """Whoever let it pass: the model's own longest answer is reckoned with, so no worst case is below nothing."""
    for model in PRICED[:20]:
        assert worst_case(model, 10, cap) == worst_case(model, 10, None)


def test_a_task_that_caps_by_its_other_name(tmp_path: Path) -> None:
    """What `max_completion_tokens` allows is what is reserved; where less is left a shorter one stands in its place."""
    (tmp_path / "config.toml").write_text(
        '[tasks.plain]\nsystem = "Be plain."\nmodels = ["openai/o3"]\nparams.max_completion_tokens = 9000\n'
    )
    config = load(
        {"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": str(tmp_path), "BYTE_DAILY_BUDGET": "9"}
    )
    deck = Deck(
        config=config, catalog=CATALOG, has_key=True, has_local=False, local_reason="", clean=str, utc_minutes=0
    )  # fmt: skip
    asked = Ask(id="0" * 32, messages=({"role": "user", "content": "hi"},), task="plain")
    flow = pipeline.answer(asked, deck, 1000.0)
    first = flow.send(None)
    each = to_units(next(one.price.completion for one in PRICED if one.id == "openai/o3"))
    assert first.intent.worst_units == first.claim.units >= 9000 * each
    assert isinstance(flow.send(1000.0), Wait)
    room = first.intent.worst_units - 8000 * each * 21 // 20  # with what a key of one's own may add
    capped = flow.send(Refused(1, 1000.0, "over_budget", "It is.", room=room))
    assert capped.intent.worst_units <= room
    flow.send(1000.0)
    sent_at_last = json.loads(flow.send(Began(capped.leg, 1000.0)).request.body)
    flow.close()
    caps = {name: sent_at_last[name] for name in sent_at_last if name.startswith("max_")}
    assert caps.keys() == {"max_tokens"}
    assert 900 < caps["max_tokens"] <= 1000
