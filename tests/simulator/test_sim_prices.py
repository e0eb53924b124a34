"""Price lists: exact decimals, and overrides by prompt size, UTC window and weekday."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.models.prices import applies, base_price
from sim_calls import NOON

ALL = catalogue.load()
NIGHT: dict[str, Any] = {"utc_start": 1630, "utc_end": 30}
DAYTIME: dict[str, Any] = {"utc_start": 900, "utc_end": 1700}


def at(clock: str, day: str = "2026-07-01") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "tokens", "moment", "holds"),
    [
        (NIGHT, 1, at("16:29:59"), False),
        (NIGHT, 1, at("16:30:00"), True),
        (NIGHT, 1, at("23:59:59"), True),
        (NIGHT, 1, at("00:00:00"), True),
        (NIGHT, 1, at("00:29:59"), True),
        (NIGHT, 1, at("00:30:00"), False),
        (DAYTIME, 1, at("08:59:59"), False),
        (DAYTIME, 1, at("09:00:00"), True),
        (DAYTIME, 1, at("17:00:00"), False),
        ({"min_prompt_tokens": 1000}, 1000, at("12:00"), False),
        ({"min_prompt_tokens": 1000}, 1001, at("12:00"), True),
        ({"min_prompt_tokens": 1000, **DAYTIME}, 1001, at("18:00"), False),
        ({"utc_days": ["wednesday"]}, 1, at("12:00"), True),
        ({"utc_days": ["saturday", "sunday"]}, 1, at("12:00"), False),
        ({}, 1, at("12:00"), True),
    ],
)
def test_an_override_applies_when_all_its_conditions_hold(
    entry: dict[str, Any], tokens: int, moment: datetime, holds: bool
) -> None:
    assert applies(entry, tokens, moment) is holds


def test_among_overrides_the_later_one_wins_per_key_and_the_rest_is_inherited() -> None:
    model = ALL.find("deepseek/deepseek-v4-pro")
    night, day = at("18:00").timestamp(), at("12:00").timestamp()
    assert ALL.price(model, 10, day).completion == Decimal("0.00000168")
    cheap = ALL.price(model, 10, night)
    assert (cheap.prompt, cheap.completion) == (Decimal("0.00000028"), Decimal("0.00000084"))
    long = ALL.price(model, 256_001, night)
    assert (long.prompt, long.completion) == (Decimal("0.00000028"), Decimal("0.00000336"))
    assert long.input_cache_read == Decimal("0.000000056")


def test_a_price_of_minus_one_is_dynamic_and_never_an_amount() -> None:
    price = ALL.price(ALL.find("openrouter/auto"), 10, NOON)
    assert price.dynamic
    assert price.prompt == price.completion == 0


@pytest.mark.parametrize(
    "model", [m for m in ALL.models if m.shown["pricing"]["prompt"] != "-1"], ids=lambda m: m.id
)
def test_every_price_of_the_file_is_read_to_its_last_digit(model: Any) -> None:
    pricing, price = model.shown["pricing"], base_price(model.shown["pricing"])
    for name, text in pricing.items():
        if name not in ("overrides", "audio", "discount"):
            assert format(getattr(price, name), "f") == text
