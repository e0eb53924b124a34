"""The catalogue: lenient for each model, exact in money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import msgspec
import pytest

from bytedeck.money import to_units
from bytedeck.route.catalog import Catalog, estimate, parse, price_at, worst_case
from bytedeck.types import Model, Usage


def entry(id_: str, **fields: Any) -> dict[str, Any]:
    """A model as `GET /models` has it (SPEC, schema Model)."""
    return {
        "id": id_,
        "canonical_slug": f"{id_}-20260101",
        "name": f"Maker: {id_}",
        "created": 1692901234,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
        },
        "context_length": 200000,
        "pricing": {"prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0"},
        "top_provider": {"context_length": 200000, "max_completion_tokens": 64000, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["temperature", "max_tokens"],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": "/api/v1/models/x/endpoints"},
        **fields,
    }


def catalog(*entries: Any) -> Catalog:
    return parse(msgspec.json.encode({"data": entries, "total_count": len(entries), "links": {"next": None}}))


def model(**fields: Any) -> Model:
    return catalog(entry("a/b", **fields)).models[0]


def priced(**prices: Any) -> Model:
    return model(pricing={"prompt": "0.000001", "completion": "0.000002", **prices})


def test_an_entry_becomes_a_model() -> None:
    """Every fact that we use is read; prices are the text's own decimals."""
    one = model(expiration_date="2026-12-31", reasoning={"mandatory": True, "supported_efforts": None})
    assert one.id == "a/b"
    assert one.name == "Maker: a/b"
    assert (one.context_length, one.max_completion_tokens) == (200000, 64000)
    assert one.supported_parameters == {"temperature", "max_tokens"}
    assert one.reasoning_mandatory
    assert one.expiration_date == "2026-12-31"
    assert one.price is not None
    assert (str(one.price.prompt), one.price.completion) == ("0.000003", Decimal("0.000015"))
    assert one.price.web_search is None


@pytest.mark.parametrize("broken", [3, None, "x", {}, {"id": 5}, {"name": "no id"}, []])
def test_what_has_no_id_is_skipped_and_counted(broken: Any) -> None:
    """One broken entry never loses the rest."""
    found = catalog(broken, entry("a/b"))
    assert list(found.by_id) == ["a/b"]
    assert found.skipped == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5},
        {"context_length": "many"},
        {"top_provider": []},
        {"supported_parameters": "all"},
        {"reasoning": 1},
        {"expiration_date": 20261231},
        {"canonical_slug": []},
    ],
)
def test_what_has_an_id_is_kept(fields: dict[str, Any]) -> None:
    """Of an entry that is not as it should be, the id is known and nothing else."""
    assert model(**fields) == Model(id="a/b", name="a/b")


@pytest.mark.parametrize(
    ("fields", "attribute"),
    [
        ({"context_length": None}, "context_length"),
        ({"top_provider": None}, "max_completion_tokens"),
        ({"supported_parameters": None}, "supported_parameters"),
        ({"expiration_date": "soon"}, "expiration_date"),
        ({"expiration_date": None}, "expiration_date"),
        ({"alias_target": {"name": "x"}}, "alias_target"),
        ({"alias_target": 3}, "alias_target"),
        ({"pricing": None}, "price"),
        ({"pricing": {}}, "price"),
        ({"pricing": {"prompt": "1"}}, "price"),
        ({"pricing": {"prompt": "-1", "completion": "-1"}}, "price"),
        ({"pricing": {"prompt": "0", "completion": "0", "request": "-1"}}, "price"),
        ({"pricing": {"prompt": "NaN", "completion": "0"}}, "price"),
        ({"pricing": {"prompt": "1e9999", "completion": "0"}}, "price"),
        ({"pricing": {"prompt": "free", "completion": "0"}}, "price"),
        ({"pricing": {"prompt": "0", "completion": "0", "overrides": [{"prompt": "x"}]}}, "price"),
        ({"pricing": {"prompt": "0", "completion": "0", "overrides": [{"prompt": "-1"}]}}, "price"),
        ({"pricing": {"prompt": "0", "completion": "0", "overrides": [{"prompt": "1", "utc_start": 1275}]}}, "price"),
        ({"pricing": {"prompt": "0", "completion": "0", "overrides": [{"prompt": "1", "utc_end": 2600}]}}, "price"),
    ],
)  # fmt: skip
def test_what_is_not_told_is_not_known(fields: dict[str, Any], attribute: str) -> None:
    """A missing or dynamic fact is None and never a zero; the other facts stay."""
    one = model(**fields)
    assert getattr(one, attribute) is None
    assert one.price_rules == ()
    assert one.name == "Maker: a/b"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"data":{}}', b"<html>", b'{"data":[', b"\xff"])
def test_what_is_no_list_of_models_is_refused(data: bytes) -> None:
    """A page of an error is not an empty catalogue."""
    with pytest.raises(ValueError, match="not a list of models"):
        parse(data)


FAMILY = catalog(
    entry("anthropic/claude-sonnet-5:thinking", canonical_slug="anthropic/claude-5-sonnet-20260601"),
    entry("anthropic/claude-sonnet-5", canonical_slug="anthropic/claude-5-sonnet-20260601"),
    entry("meta-llama/llama-3.3-70b-instruct", context_length=131072),
    entry("meta-llama/llama-3.3-70b-instruct:free", pricing={"prompt": "0", "completion": "0"}),
    entry(
        "~anthropic/claude-sonnet-latest",
        pricing={"prompt": "-1", "completion": "-1"},
        context_length=None,
        alias_target={"slug": "anthropic/claude-sonnet-5", "name": "Claude Sonnet 5"},
    ),
    entry("~lost/latest", pricing={"prompt": "-1", "completion": "-1"}, alias_target="lost/gone"),
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("anthropic/claude-sonnet-5", "anthropic/claude-sonnet-5"),
        ("anthropic/claude-sonnet-5:nitro", "anthropic/claude-sonnet-5"),
        ("anthropic/claude-sonnet-5:thinking:online", "anthropic/claude-sonnet-5:thinking"),
        ("meta-llama/llama-3.3-70b-instruct:free:online", "meta-llama/llama-3.3-70b-instruct:free"),
        ("anthropic/claude-sonnet-5@preset/mine", "anthropic/claude-sonnet-5"),
        ("anthropic/claude-5-sonnet-20260601", "anthropic/claude-sonnet-5"),
        ("anthropic/claude-5-sonnet-20260601:floor", "anthropic/claude-sonnet-5"),
        ("~anthropic/claude-sonnet-latest", "~anthropic/claude-sonnet-latest"),
        ("@preset/mine", None),
        ("openai/gpt-4o", None),
        (":free", None),
        ("", None),
    ],
)
def test_find(asked: str, found: str | None) -> None:
    """Ids, permanent names, variants and presets lead to their entry."""
    one = FAMILY.find(asked)
    assert (one.id if one else None) == found


def test_an_alias_costs_what_its_target_does() -> None:
    """A `~latest` entry without a price takes over the target's facts; without a target it stays unknown."""
    alias, target = FAMILY.find("~anthropic/claude-sonnet-latest"), FAMILY.find("anthropic/claude-sonnet-5")
    assert alias is not None
    assert target is not None
    assert (alias.price, alias.context_length) == (target.price, 200000)
    assert alias in FAMILY.models
    lost = FAMILY.find("~lost/latest")
    assert lost is not None
    assert lost.price is None


def test_nearest() -> None:
    """A slip of the finger finds its model."""
    assert FAMILY.nearest("antropic/claude-sonet-5")[0] == "anthropic/claude-sonnet-5"
    assert FAMILY.nearest("zzzzzzzzz") == ()


def test_expiring() -> None:
    """What is due within the days given, and what is overdue, soonest first."""
    found = catalog(
        entry("a/later", expiration_date="2027-01-01"),
        entry("a/soon", expiration_date="2026-12-01"),
        entry("a/gone", expiration_date="2026-11-01"),
        entry("a/never"),
    )
    assert [one.id for one in found.expiring(date(2026, 11, 22))] == ["a/gone", "a/soon"]
    assert [one.id for one in found.expiring(date(2026, 11, 22), days=8)] == ["a/gone"]


def test_fitting() -> None:
    """Those that hold it, cheapest first, those of unknown price last."""
    found = catalog(
        entry("a/small", context_length=1000),
        entry("a/unknown", context_length=9000, pricing={}),
        entry("a/none", context_length=None),
        entry("a/dear", context_length=9000),
        entry("a/cheap", context_length=5000, pricing={"prompt": "0", "completion": "0"}),
    )
    assert [one.id for one in found.fitting(5000)] == ["a/cheap", "a/dear", "a/unknown"]


# prices

LONG = {"min_prompt_tokens": 200000, "prompt": "0.000006"}
NIGHT = {"utc_start": 2330, "utc_end": 400, "prompt": "0.0000005", "completion": "0.000001"}
NOON = {"utc_start": 1000, "utc_end": 1230, "completion": "0.000009"}


@pytest.mark.parametrize(
    ("overrides", "tokens", "minute", "prompt", "completion"),
    [
        ([LONG], 200000, 0, "0.000001", "0.000002"),
        ([LONG], 200001, None, "0.000006", "0.000002"),
        ([NIGHT], 1, 23 * 60 + 29, "0.000001", "0.000002"),
        ([NIGHT], 1, 23 * 60 + 30, "0.0000005", "0.000001"),
        ([NIGHT], 1, 0, "0.0000005", "0.000001"),
        ([NIGHT], 1, 239, "0.0000005", "0.000001"),
        ([NIGHT], 1, 240, "0.000001", "0.000002"),
        ([NIGHT], 1, None, "0.000001", "0.000002"),
        ([NOON], 1, 600, "0.000001", "0.000009"),
        ([NOON], 1, 599, "0.000001", "0.000002"),
        ([NOON], 1, 750, "0.000001", "0.000002"),
        ([NIGHT, LONG], 300000, 0, "0.000006", "0.000001"),
        ([LONG, NIGHT], 300000, 0, "0.0000005", "0.000001"),
        ([{**LONG, **NOON}], 300000, 600, "0.000006", "0.000009"),
        ([{**LONG, **NOON}], 100, 600, "0.000001", "0.000002"),
        ([{"utc_start": 1200, "prompt": "0.1"}], 1, 1439, "0.1", "0.000002"),
        ([{"utc_end": 1200, "prompt": "0.1"}], 1, 0, "0.1", "0.000002"),
        ([{"utc_start": 600, "utc_end": 600, "prompt": "0.1"}], 1, 360, "0.000001", "0.000002"),
    ],
)  # fmt: skip
def test_price_at(
    overrides: list[Any], tokens: int, minute: int | None, prompt: str, completion: str
) -> None:
    """All conditions of a rule have to hold, later rules win key by key, windows are half-open and may wrap."""
    price = price_at(priced(overrides=overrides), tokens, minute)
    assert price is not None
    assert (price.prompt, price.completion) == (Decimal(prompt), Decimal(completion))


@pytest.mark.parametrize(
    ("prices", "usage", "usd"),
    [
        ({}, Usage(prompt_tokens=1000, completion_tokens=100), "0.0012"),
        ({}, Usage(), "0"),
        ({"request": "0.01"}, Usage(), "0.01"),
        ({"web_search": "0.004"}, Usage(web_searches=3), "0.012"),
        ({}, Usage(prompt_tokens=1000, cached_tokens=600), "0.001"),
        ({"input_cache_read": "0.0000001"}, Usage(prompt_tokens=1000, cached_tokens=600), "0.00046"),
        ({"input_cache_write": "0.00000125"}, Usage(prompt_tokens=1000, cache_write_tokens=400), "0.0011"),
        ({}, Usage(completion_tokens=100, reasoning_tokens=60), "0.0002"),
        ({"internal_reasoning": "0"}, Usage(completion_tokens=100, reasoning_tokens=60), "0.0002"),
        ({"internal_reasoning": "0.00001"}, Usage(completion_tokens=100, reasoning_tokens=60), "0.00068"),
        ({}, Usage(prompt_tokens=5, cached_tokens=9, completion_tokens=1, reasoning_tokens=2), "0.000013"),
        ({"overrides": [LONG]}, Usage(prompt_tokens=300000), "1.8"),
    ],
)
def test_estimate(prices: dict[str, Any], usage: Usage, usd: str) -> None:
    """Exact, at the price that holds for the prompt's length; the parts that have no price cost as a token."""
    assert estimate(priced(**prices), usage) == to_units(usd)


def test_money_is_exact_in_any_context() -> None:
    """The caller's own decimal context rounds nothing here."""
    one = priced(prompt="0.000000123456")
    with localcontext() as context:
        context.prec = 3
        assert estimate(one, Usage(prompt_tokens=1_000_001)) == 123456 * 1_000_001


@pytest.mark.parametrize("one", [model(pricing={}), Model(id="a/b", name="x")])
def test_without_a_price_there_is_no_figure(one: Model) -> None:
    """Unknown is None, never zero."""
    assert price_at(one, 1) is None
    assert estimate(one, Usage(prompt_tokens=1)) is None
    assert worst_case(one, 10, 10) is None


PREAMBLE = 512


@pytest.mark.parametrize(
    ("prices", "body", "max_tokens", "at", "usd"),
    [
        ({}, 1000, 100, None, (1000 + PREAMBLE) * 1e-6 + 100 * 2e-6),
        ({"request": "0.5"}, 0, 1, None, PREAMBLE * 1e-6 + 2e-6 + 0.5),
        ({"web_search": "0.5"}, 0, 1, None, PREAMBLE * 1e-6 + 2e-6),
        ({"input_cache_write": "0.000002", "input_cache_read": "0"}, 488, 1, None, 1000 * 2e-6 + 2e-6),
        ({"input_cache_write_1h": "0.000003"}, 488, 1, None, 1000 * 3e-6 + 2e-6),
        ({"internal_reasoning": "0.00001"}, 0, 10, None, PREAMBLE * 1e-6 + 10 * 1e-5),
        ({}, 0, None, None, PREAMBLE * 1e-6 + 64000 * 2e-6),
        ({"overrides": [LONG]}, 300000, 1, None, (300000 + PREAMBLE) * 6e-6 + 2e-6),
        # A discount for long prompts: the dearest is the longest one without it.
        ({"overrides": [{**LONG, "prompt": "0"}]}, 300000, 1, None, 200000 * 1e-6 + 2e-6),
        ({"overrides": [NIGHT]}, 0, 1, 0, PREAMBLE * 5e-7 + 1e-6),
        ({"overrides": [NIGHT]}, 0, 1, None, PREAMBLE * 1e-6 + 2e-6),
        ({"overrides": [NIGHT]}, 0, 1, 239, PREAMBLE * 1e-6 + 2e-6),  # it ends in a minute
        ({"overrides": [NOON]}, 0, 1, 590, PREAMBLE * 1e-6 + 9e-6),  # it begins in ten minutes
        ({"overrides": [NOON]}, 0, 1, 580, PREAMBLE * 1e-6 + 2e-6),
        ({"overrides": [NOON]}, 0, 1, 751, PREAMBLE * 1e-6 + 9e-6),  # another clock may be behind
    ],
)  # fmt: skip
def test_worst_case(
    prices: dict[str, Any], body: int, max_tokens: int | None, at: int | None, usd: float
) -> None:
    """A token is at least a byte, at the dearest price that may apply, plus fees."""
    assert worst_case(priced(**prices), body, max_tokens, at) == to_units(f"{usd:.12f}")


def test_worst_case_counts_searches_and_the_models_own_limit() -> None:
    """Searches that may be billed are added; without any limit there is no bound."""
    one = priced(web_search="0.5")
    with_two, without = worst_case(one, 0, 1, searches=2), worst_case(one, 0, 1)
    assert with_two is not None
    assert without is not None
    assert with_two - without == to_units("1")
    unlimited = msgspec.structs.replace(one, max_completion_tokens=None)
    assert worst_case(unlimited, 0, None) == to_units(f"{PREAMBLE * 1e-6 + 200000 * 2e-6:.12f}")
    assert worst_case(msgspec.structs.replace(unlimited, context_length=None), 0, None) is None


def test_worst_case_is_never_below_what_it_cost() -> None:
    """Over prompts of many lengths and all hours, no usage within the bounds costs more than was reserved."""
    one = priced(overrides=[LONG, NIGHT, NOON], input_cache_write="0.00000125", internal_reasoning="0.000003")
    for body in (10, 199_000, 200_100, 400_000):
        for at in range(0, 1440, 7):
            worst = worst_case(one, body, 500, at)
            assert worst is not None
            for prompt in {1, body, min(body, 200_000), min(body, 200_001)}:
                for minute in (at - 2, at, at + 15):
                    usage = Usage(
                        prompt_tokens=prompt,
                        completion_tokens=500,
                        reasoning_tokens=400,
                        cache_write_tokens=prompt,
                    )
                    cost = estimate(one, usage, minute % 1440)
                    assert cost is not None
                    assert cost <= worst, (body, at, prompt, minute)


def test_the_types_know_no_half_price() -> None:
    """A Model made by hand with half a price is treated as one without."""
    half = msgspec.structs.replace(priced(), price=msgspec.structs.replace(priced().price, completion=None))
    assert estimate(half, Usage(prompt_tokens=1)) is None
    assert worst_case(half, 1, 1) is None
