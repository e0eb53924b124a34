"""GET /models: each documented filter, order and page."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.shapes import Refusal
from sim_calls import NOON

ALL = catalogue.load()
KNOWN = {model.id: model for model in ALL.models}


def ids(**query: str) -> list[str]:
    return [row["id"] for row in ALL.listing(query, NOON)["data"]]


def prompt(row: Any) -> Decimal:
    return Decimal(row["pricing"]["prompt"]) * 1_000_000


def index(row: Any, name: str) -> float:
    found = row.get("benchmarks", {}).get("artificial_analysis", {}).get(name)
    return -1.0 if found is None else found


Holds = Callable[[Any], bool]
CASES: list[tuple[dict[str, str], Holds]] = [
    ({"output_modalities": "image"}, lambda r: "image" in r["architecture"]["output_modalities"]),
    ({"output_modalities": "embeddings,rerank"}, lambda r: bool({"embeddings", "rerank"} & set(r["architecture"]["output_modalities"]))),
    ({"input_modalities": "text,audio"}, lambda r: {"text", "audio"} <= set(r["architecture"]["input_modalities"])),
    ({"supported_parameters": "tools,seed"}, lambda r: {"tools", "seed"} <= set(r["supported_parameters"])),
    ({"category": "marketing/seo"}, lambda r: "marketing/seo" in facts(r).categories),
    ({"category": "marketing"}, lambda r: bool({"marketing", "marketing/seo"} & set(facts(r).categories))),
    ({"q": "Claude OPUS"}, lambda r: "claude" in r["id"] and "opus" in r["id"]),
    ({"context": "1000000"}, lambda r: r["context_length"] >= 1_000_000),
    ({"min_price": "0.5", "max_price": "2"}, lambda r: Decimal("0.5") <= prompt(r) <= 2),
    ({"max_price": "0"}, lambda r: prompt(r) == 0),
    ({"min_output_price": "20"}, lambda r: Decimal(r["pricing"]["completion"]) >= Decimal("0.00002")),
    ({"max_output_price": "1"}, lambda r: 0 <= Decimal(r["pricing"]["completion"]) <= Decimal("0.000001")),
    ({"arch": "Claude"}, lambda r: r["architecture"]["tokenizer"] == "Claude"),
    ({"model_authors": "openai,x-ai"}, lambda r: r["id"].lstrip("~").split("/")[0] in ("openai", "x-ai")),
    ({"providers": "groq"}, lambda r: "Groq" in KNOWN[r["id"]].providers),
    ({"distillable": "true"}, lambda r: facts(r).distillable),
    ({"distillable": "false"}, lambda r: not facts(r).distillable),
    ({"zdr": "true"}, lambda r: facts(r).zdr),
    ({"region": "eu"}, lambda r: "eu" in facts(r).regions),
    ({"min_age_days": "365"}, lambda r: NOON - r["created"] >= 365 * 86400),
    ({"max_age_days": "90"}, lambda r: NOON - r["created"] < 91 * 86400),
    ({"min_intelligence_index": "50"}, lambda r: index(r, "intelligence_index") >= 50),
    ({"max_coding_index": "30"}, lambda r: 0 <= index(r, "coding_index") <= 30),
    ({"min_agentic_index": "40", "max_agentic_index": "60"}, lambda r: 40 <= index(r, "agentic_index") <= 60),
    ({"min_tool_success_rate": "0.9"}, lambda r: (facts(r).tool_success_rate or 0) >= 0.9),
    ({"max_tool_success_rate": "0.85"}, lambda r: 0 < (facts(r).tool_success_rate or 0) <= 0.85),
    ({"region": "us", "zdr": "true", "q": "gpt"}, lambda r: "gpt" in r["id"] and facts(r).zdr),
]  # fmt: skip


def facts(row: Any) -> Any:
    return ALL.facts(KNOWN[row["id"]])


@pytest.mark.parametrize(("query", "holds"), CASES, ids=[str(query) for query, _ in CASES])
def test_a_filter_keeps_exactly_what_fits(query: dict[str, str], holds: Holds) -> None:
    everything = ALL.listing({"output_modalities": "all"}, NOON)["data"]
    if "output_modalities" not in query:
        everything = [row for row in everything if "text" in row["architecture"]["output_modalities"]]
    kept = ids(**query)
    assert kept == [row["id"] for row in everything if holds(row)]
    assert 0 < len(kept) < len(everything) or "max_age_days" in query


def test_without_a_query_there_are_all_models_that_write_and_no_page() -> None:
    answer = ALL.listing({}, NOON)
    assert answer["total_count"] == len(answer["data"]) > 40
    assert answer["links"] == {"next": None}
    assert all("text" in row["architecture"]["output_modalities"] for row in answer["data"])
    assert not {row["id"] for row in answer["data"]} & {model.id for model in ALL.models if model.gone}
    assert ALL.listing({"output_modalities": "all"}, NOON)["total_count"] > answer["total_count"]
    assert ALL.count({}, NOON) == {"data": {"count": answer["total_count"]}}


MEASURES: list[tuple[str, Callable[[Any], Any], bool]] = [
    ("newest", lambda r: r["created"], True),
    ("context-high-to-low", lambda r: r["context_length"], True),
    ("most-popular", lambda r: facts(r).weekly_tokens, True),
    ("top-weekly", lambda r: facts(r).weekly_tokens, True),
    ("throughput-high-to-low", lambda r: facts(r).throughput, True),
    ("latency-low-to-high", lambda r: facts(r).latency, False),
    ("intelligence-high-to-low", lambda r: index(r, "intelligence_index"), True),
    ("coding-high-to-low", lambda r: index(r, "coding_index"), True),
    ("agentic-high-to-low", lambda r: index(r, "agentic_index"), True),
]


@pytest.mark.parametrize(("order", "measure", "downwards"), MEASURES, ids=[row[0] for row in MEASURES])
def test_an_order_sorts_and_puts_who_has_no_figure_last(order: str, measure: Any, downwards: bool) -> None:
    rows = ALL.listing({"sort": order}, NOON)["data"]
    figures = [measure(row) for row in rows]
    assert figures == sorted(figures, reverse=downwards)
    assert {row["id"] for row in rows} == set(ids())


@pytest.mark.parametrize("order", ["pricing-low-to-high", "pricing-high-to-low"])
def test_dynamic_prices_come_last_in_either_direction(order: str) -> None:
    prices = [row["pricing"] for row in ALL.listing({"sort": order}, NOON)["data"]]
    dynamic = [pricing["prompt"] == "-1" for pricing in prices]
    assert dynamic == sorted(dynamic)
    assert any(dynamic)
    means = [Decimal(p["prompt"]) + Decimal(p["completion"]) for p in prices if p["prompt"] != "-1"]
    assert means == sorted(means, reverse=order == "pricing-high-to-low")


def test_the_arena_order_takes_the_best_of_each_model() -> None:
    first = ALL.listing({"sort": "design-arena-elo-high-to-low", "limit": "1"}, NOON)["data"][0]
    assert first["id"] == "anthropic/claude-fable-5"


def test_pages_join_to_the_whole_and_name_their_follower() -> None:
    query, joined, pages = {"limit": "7", "sort": "newest"}, [], 0
    while True:
        answer = ALL.listing(query, NOON)
        joined += [row["id"] for row in answer["data"]]
        pages += 1
        following = answer["links"]["next"]
        if following is None:
            break
        path, _, text = following.partition("?")
        assert path == "/api/v1/models"
        query = dict(parse_qsl(text))
    assert joined == ids(sort="newest")
    assert pages == -(-len(joined) // 7)
    assert ALL.listing({"offset": "1000"}, NOON)["data"] == []
    assert ids(offset="3") == ids()[3:]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("category", "cooking"),
        ("sort", "alphabetical"),
        ("output_modalities", "smell"),
        ("input_modalities", "text,smell"),
        ("distillable", "yes"),
        ("zdr", "false"),
        ("region", "asia"),
        ("context", "0"),
        ("context", "1.5"),
        ("context", "many"),
        ("min_price", "-1"),
        ("max_price", "NaN"),
        ("max_price", "Infinity"),
        ("min_age_days", "1.5"),
        ("min_tool_success_rate", "1.1"),
        ("limit", "0"),
        ("limit", "1001"),
        ("offset", "-1"),
    ],
)
def test_a_value_that_is_not_known_is_a_400_that_names_the_parameter(name: str, value: str) -> None:
    for ask in (ALL.listing, ALL.count) if name not in ("limit", "offset") else (ALL.listing,):
        with pytest.raises(Refusal) as caught:
            ask({name: value}, NOON)
        assert (caught.value.status, caught.value.error_type) == (400, "invalid_request")
        assert f"'{name}'" in caught.value.message


@pytest.mark.parametrize(
    "query", [{"providers": "Nobody"}, {"arch": "Babel"}, {"model_authors": "me"}, {"q": "zzz"}]
)
def test_free_values_that_nothing_has_leave_nothing(query: dict[str, str]) -> None:
    assert ids(**query) == []


def test_empty_and_unknown_parameters_change_nothing() -> None:
    assert ids(category="", limit="", max_price="", unheard_of="1") == ids()
