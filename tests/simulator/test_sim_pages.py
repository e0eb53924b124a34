"""The data endpoints: what they answer is read by the official SDK and by OpenRouter's own specification."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest
import yaml
from openrouter import components, operations

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.models.facts import Rules
from bytedeck.simulator.money import accounts, digits
from bytedeck.simulator.money.bank import Bank
from bytedeck.simulator.money.limits import Limits
from bytedeck.simulator.pages import account, market
from bytedeck.simulator.pages.codes import Codes
from bytedeck.simulator.shapes import Counts, Refusal
from sim_calls import NOON, generation

ALL = catalogue.load()
SPEC = Path(__file__).parents[2] / "vendor" / "openrouter" / "openapi.trim.yaml"


@cache
def specification() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(SPEC.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


@cache
def judge(path: str, method: str = "get") -> jsonschema_rs.Validator:
    """A validator for the 200 of an operation."""
    spec = specification()
    schema = spec["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    text = json.dumps({**schema, "components": {"schemas": spec["components"]["schemas"]}})
    return jsonschema_rs.Draft202012Validator(json.loads(text))


def bank() -> Bank:
    """One with a charge of each kind."""
    made = Bank(ALL)
    for number, token in enumerate((accounts.ORDINARY, accounts.BYOK, accounts.LIMITED)):
        key = made.keys[token]
        model = ALL.find("anthropic/claude-sonnet-5" if number else "openai/gpt-4-turbo")
        counts = Counts(
            prompt=3000, completion=90, reasoning=40, cached=1024, web_searches=number, input_images=number
        )
        bill = made.bill(key, model, counts, NOON, "flex")
        made.charge(
            key, generation(f"gen-{number}", model, bill, counts=counts, referer="https://app.example")
        )
    return made


def key_page(token: str) -> dict[str, Any]:
    mine = bank()
    return account.key(mine, Limits(), mine.keys[token], NOON)


def generation_page(name: str, token: str) -> dict[str, Any]:
    mine = bank()
    return account.generation(mine, mine.keys[token], name, NOON + 10)


def credits_page() -> dict[str, Any]:
    mine = bank()
    return account.credits(mine, mine.keys[accounts.MANAGEMENT])


def exchanged() -> dict[str, Any]:
    codes = Codes(bank(), "seed")
    return codes.exchange({"code": codes.issue(NOON)}, NOON)


Make = Callable[[], dict[str, Any]]
ANSWERS: list[tuple[str, Make, Any, str, str]] = [
    ("models", lambda: ALL.listing({"output_modalities": "all"}, NOON), components.ModelsListResponse, "/models", "get"),
    ("a page", lambda: ALL.listing({"limit": "3"}, NOON), components.ModelsListResponse, "/models", "get"),
    ("models/user", lambda: ALL.user({}, NOON, Rules(region="eu")), components.ModelsListResponse, "/models/user", "get"),
    ("models/count", lambda: ALL.count({}, NOON), components.ModelsCountResponse, "/models/count", "get"),
    ("key", lambda: key_page(accounts.ORDINARY), operations.GetCurrentKeyResponse, "/key", "get"),
    ("key, limited", lambda: key_page(accounts.LIMITED), operations.GetCurrentKeyResponse, "/key", "get"),
    ("key, budget", lambda: key_page(accounts.BUDGET), operations.GetCurrentKeyResponse, "/key", "get"),
    ("key, guardrail", lambda: key_page(accounts.GUARDRAIL), operations.GetCurrentKeyResponse, "/key", "get"),
    ("key, own", lambda: key_page(accounts.BYOK), operations.GetCurrentKeyResponse, "/key", "get"),
    ("key, expiring", lambda: key_page(accounts.EXPIRED), operations.GetCurrentKeyResponse, "/key", "get"),
    ("credits", credits_page, operations.GetCreditsResponse, "/credits", "get"),
    ("generation", lambda: generation_page("gen-0", accounts.ORDINARY), components.GenerationResponse, "/generation", "get"),
    ("generation, own", lambda: generation_page("gen-1", accounts.BYOK), components.GenerationResponse, "/generation", "get"),
    ("providers", lambda: {"data": ALL.providers}, operations.ListProvidersResponse, "/providers", "get"),
    ("auth/keys", exchanged, operations.ExchangeAuthCodeForAPIKeyResponse, "/auth/keys", "post"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "shape", "path", "method"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_an_answer_is_what_the_sdk_and_the_specification_expect(
    make: Make, shape: Any, path: str, method: str
) -> None:
    sent = json.loads(digits.encode(make()))
    judge(path, method).validate(sent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fields that OpenRouter itself calls deprecated
        shape.model_validate(sent)


SERVED = [model.id for model in ALL.models if not model.gone]


@pytest.mark.parametrize("slug", SERVED)
def test_each_model_and_its_endpoints_are_what_the_sdk_and_the_specification_expect(slug: str) -> None:
    one = json.loads(digits.encode(ALL.one(slug, NOON)))
    judge("/model/{author}/{slug}").validate(one)
    components.ModelResponse.model_validate(one)
    for authorised in (True, False):
        found = json.loads(digits.encode(ALL.endpoints(slug, NOON, authorised)))
        judge("/models/{author}/{slug}/endpoints").validate(found)
        components.ListEndpointsResponse.model_validate(found["data"])


@pytest.mark.filterwarnings("ignore:warning. .. DEPRECATED:DeprecationWarning")
def test_the_validators_do_find_a_fault() -> None:
    broken = json.loads(digits.encode(key_page(accounts.ORDINARY)))
    del broken["data"]["usage"]
    assert not judge("/key").is_valid(broken)
    with pytest.raises(ValueError, match="usage"):
        operations.GetCurrentKeyResponse.model_validate(broken)


def test_each_served_models_providers_are_in_the_list_of_providers() -> None:
    names = {provider["name"] for provider in ALL.providers}
    assert {name for model in ALL.models for name in model.providers} <= names
    assert len({provider["slug"] for provider in ALL.providers}) == len(names)


def test_the_key_tells_what_was_spent_in_each_window() -> None:
    mine = bank()
    key = mine.keys[accounts.LIMITED]
    spent = Decimal(mine.ledger()[2]["cost"])
    for days, daily, weekly, monthly in (
        (0, spent, spent, spent),
        (1, 0, spent, spent),
        (5, 0, 0, spent),
        (31, 0, 0, 0),
    ):
        data = account.key(mine, Limits(), key, NOON + days * 86_400)["data"]
        before = Decimal("4.995")
        assert data["usage"] == before + spent
        assert [data[f"usage_{w}"] - before for w in ("daily", "weekly", "monthly")] == [
            daily,
            weekly,
            monthly,
        ]
        assert data["limit_remaining"] == 5 - before - monthly
        assert data["effective_budget"]["scope"] == "key_limit"


def test_the_key_tells_what_kind_it_is() -> None:
    data = {token: key_page(token)["data"] for token in accounts.BUILT_IN}
    assert [token for token, page in data.items() if page["is_management_key"]] == [accounts.MANAGEMENT]
    assert [token for token, page in data.items() if page["is_free_tier"]] == [accounts.FREE_TIER]
    assert data[accounts.EU]["allowed_data_regions"] == ["europe"]
    assert data[accounts.BYOK]["byok_usage"] > 0 == data[accounts.BYOK]["usage"]
    assert data[accounts.BUDGET]["effective_budget"]["remaining_usd"] == 0
    assert data[accounts.ORDINARY]["effective_budget"] is None
    assert data[accounts.FREE_TIER]["free_model_daily_requests"]["limit"] == 50


def test_credits_are_for_management_keys_only() -> None:
    mine = bank()
    page = account.credits(mine, mine.keys[accounts.MANAGEMENT])["data"]
    assert page == {"total_credits": 1000, "total_usage": mine.accounts["sim"].used}
    assert page["total_usage"] > 0
    for token in set(accounts.BUILT_IN) - {accounts.MANAGEMENT}:
        with pytest.raises(Refusal) as caught:
            account.credits(mine, mine.keys[token])
        assert caught.value.status == 403


@pytest.mark.parametrize(("name", "status"), [(None, 400), ("", 400), ("gen-unknown", 404), ("gen-1", 404)])
def test_a_generation_that_is_not_ones_own_is_not_found(name: str | None, status: int) -> None:
    mine = bank()
    with pytest.raises(Refusal) as caught:
        account.generation(mine, mine.keys[accounts.ORDINARY], name, NOON + 10)
    assert caught.value.status == status


def test_the_feed_is_well_formed_and_holds_each_listed_model() -> None:
    for query, start in (
        ({}, "https://openrouter.ai/"),
        ({"use_rss_chat_links": "true"}, "https://openrouter.ai/chat?"),
    ):
        root = ElementTree.fromstring(ALL.feed(query, NOON))
        assert [item.findtext("guid") for item in root.iter("item")] == [
            r["id"] for r in ALL.listing({}, NOON)["data"]
        ]
        assert all(str(item.findtext("link")).startswith(start) for item in root.iter("item"))


# The market pages.


def read(page: dict[str, Any], shape: Any) -> Any:
    return shape.model_validate(json.loads(digits.encode(page)))


def test_classifications_are_shares_that_add_up() -> None:
    data = read(market.classifications(ALL, {}, NOON), components.TaskClassificationResponse).data
    assert (data.as_of, data.window_days) == ("2026-06-30", 7)
    shares = [item.usage_share for item in data.classifications]
    assert shares == sorted(shares, reverse=True)
    for name in ("usage_share", "token_share"):
        assert sum(getattr(item, name) for item in data.classifications) == pytest.approx(1)
        for macro in data.macro_categories:
            mine = [item for item in data.classifications if item.macro_category == macro.key]
            assert sum(getattr(item, name) for item in mine) == pytest.approx(getattr(macro, name))
            assert sum(getattr(item, f"category_{name}") for item in mine) == pytest.approx(1)
    served = {model.canonical for model in ALL.models if not model.gone}
    for item in data.classifications:
        assert item.models
        assert {model.id for model in item.models} <= served
        assert sum(model.tag_usage_share for model in item.models) <= 1


SEARCH = {"search_browsecomp", "search_hle", "search_dsqa", "search_widesearch"}
QUERIES: list[tuple[dict[str, str], Callable[[dict[str, Any]], bool]]] = [
    ({}, lambda item: True),
    ({"source": "artificial-analysis"}, lambda item: item["source"] == "artificial-analysis"),
    ({"source": "design-arena", "category": "uicomponent"}, lambda item: item["category"] == "uicomponent"),
    (
        {"source": "openrouter", "benchmark_type": "gpqa_diamond"},
        lambda item: item["benchmark_type"] == "gpqa_diamond",
    ),
    (
        {"benchmark_type": "gpqa_diamond"},
        lambda item: item.get("benchmark_type", "gpqa_diamond") == "gpqa_diamond",
    ),
    ({"task_type": "search"}, lambda item: item["benchmark_type"] in SEARCH),
    ({"benchmark_type": "search_hle"}, lambda item: item["benchmark_type"] == "search_hle"),
    ({"task_type": "search", "search_surface": "plugin"}, lambda item: item["search_surface"] == "plugin"),
    ({"task_type": "search", "search_engine": "exa"}, lambda item: item["search_engine"] == "exa"),
    ({"task_type": "search", "include_run_config": "true"}, lambda item: "run_config" in item),
    ({"task_type": "search"}, lambda item: "run_config" not in item),
    ({"task_type": "coding"}, lambda item: item.get("category", "codecategories") == "codecategories"),
    ({"task_type": "agentic"}, lambda item: item["source"] != "design-arena"),
]


@pytest.mark.parametrize(("query", "holds"), QUERIES, ids=[str(query) for query, _ in QUERIES])
def test_benchmarks_are_filtered_as_asked(query: dict[str, str], holds: Any) -> None:
    page = market.benchmarks(ALL, query, NOON)
    assert page["data"]
    assert all(holds(item) for item in page["data"])
    parsed = read(page, components.UnifiedBenchmarksResponse)
    assert parsed.meta.model_count == len({item["model_permaslug"] for item in page["data"]})
    assert (parsed.meta.source, parsed.meta.task_type) == (query.get("source"), query.get("task_type"))
    assert bool(parsed.meta.citation) is ("source" in query)
    assert market.benchmarks(ALL, query | {"max_results": "1"}, NOON)["data"] == page["data"][:1]


def test_an_arena_without_entries_is_empty() -> None:
    assert market.benchmarks(ALL, {"source": "design-arena", "arena": "agents"}, NOON)["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"source": "rumour"},
        {"task_type": "cooking"},
        {"benchmark_type": "mmlu"},
        {"search_surface": "telepathy"},
        {"arena": "football"},
        {"include_run_config": "maybe"},
        {"max_results": "0"},
        {"max_results": "many"},
    ],
)
def test_an_unknown_value_is_a_400(query: dict[str, str]) -> None:
    with pytest.raises(Refusal) as caught:
        market.benchmarks(ALL, query, NOON)
    assert (caught.value.status, caught.value.error_type) == (400, "invalid_request")


def test_only_the_documented_window_is_known() -> None:
    with pytest.raises(Refusal):
        market.classifications(ALL, {"window": "30d"}, NOON)
