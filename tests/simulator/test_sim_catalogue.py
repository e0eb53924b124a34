"""The catalogue: who answers for a slug, and how the dead are refused."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.models.facts import Facts, Rules, model_of
from bytedeck.simulator.shapes import Refusal
from sim_calls import NOON, told

ALL = catalogue.load()
LISTED = {model.id: model for model in ALL.models}


@pytest.mark.parametrize(
    ("slug", "answers"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("~anthropic/claude-opus-latest", "anthropic/claude-opus-5"),
        ("~moonshotai/kimi-latest", "moonshotai/kimi-k2.6"),
        ("anthropic/claude-4.6-opus", "anthropic/claude-opus-4.6"),
        ("anthropic/claude-4.6-sonnet-20260217", "anthropic/claude-sonnet-4.6"),
        ("openai/gpt-4o:nitro", "openai/gpt-4o"),
        ("openai/gpt-4o:floor", "openai/gpt-4o"),
        ("openai/gpt-4o:exacto", "openai/gpt-4o"),
        ("openai/gpt-4o:online", "openai/gpt-4o"),
        ("meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("meta-llama/llama-3.3-70b-instruct:free:online", "meta-llama/llama-3.3-70b-instruct:free"),
        ("meta-llama/llama-3.3-70b-instruct:online:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("gryphe/mythomax-l2-13b:extended", "gryphe/mythomax-l2-13b:extended"),
        ("qwen/qwen-plus-2025-07-28:thinking", "qwen/qwen-plus-2025-07-28:thinking"),
        ("deepseek/deepseek-v3.2:thinking", "deepseek/deepseek-v3.2"),
        ("openai/gpt-4o@preset/mine", "openai/gpt-4o"),
        ("openai/gpt-4o:nitro@preset/mine", "openai/gpt-4o"),
        ("@preset/mine", "openrouter/auto"),
        ("openrouter/auto", "openrouter/auto"),
    ],
)
def test_a_slug_leads_to_the_model_that_answers(slug: str, answers: str) -> None:
    assert ALL.find(slug, NOON).id == answers


@pytest.mark.parametrize(
    ("slug", "refused", "words", "instead"),
    [
        ("nobody/nothing", (400, "invalid_request", "model_not_found"), "nobody/nothing is not a valid model ID", []),
        ("", (400, "invalid_request", "model_not_found"), " is not a valid model ID", []),
        ("google/gemini-pro", (400, "invalid_request", "model_not_found"), "not a valid", ["~google/gemini-pro-latest"]),
        ("google/gemini-3-pro-preview", (404, "not_found", "no_endpoints"), "No endpoints found for google/gemini-3-pro-preview.", ["~google/gemini-pro-latest"]),
        ("google/gemini-3-pro-preview:online", (404, "not_found", "no_endpoints"), "No endpoints found", ["~google/gemini-pro-latest"]),
        ("anthropic/claude-3.7-sonnet", (404, "not_found", "model_deprecated"), "deprecated", ["~anthropic/claude-sonnet-latest"]),
        ("google/gemini-2.0-flash-exp:free", (404, "not_found", "free_variant_ended"), "paid slug: google/gemini-2.5-flash", ["google/gemini-2.5-flash"]),
        ("openai/gpt-4o:free", (404, "not_found", "no_endpoints"), "No endpoints found for openai/gpt-4o:free.", ["openai/gpt-4o"]),
        ("openai/gpt-4o:extended", (404, "not_found", "no_endpoints"), "No endpoints found", ["openai/gpt-4o"]),
        ("openai/gpt-4o:thinking", (404, "not_found", "no_endpoints"), "No endpoints found", ["openai/gpt-4o"]),
        ("anthropic/claude-opus-4.5:thinking", (404, "not_found", "no_endpoints"), "No endpoints found", ["anthropic/claude-opus-4.5"]),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused_in_openrouters_words(
    slug: str, refused: tuple[int, str, str], words: str, instead: list[str]
) -> None:
    with pytest.raises(Refusal) as caught:
        ALL.find(slug, NOON)
    assert told(caught.value) == refused
    assert words in caught.value.message
    said = caught.value.availability or {}
    assert (said["retryable"], said["requested_models"]) == (False, [slug])
    assert said["docs_url"].startswith("https://openrouter.ai/docs/")
    assert said.get("fallback_models", []) == instead


def test_a_model_is_served_until_its_expiration_date_and_never_after() -> None:
    model = LISTED["openai/gpt-4-turbo"]
    assert model.shown["expiration_date"] == "2027-06-30"
    last = 1_814_313_599.0  # 2027-06-29 23:59:59 UTC
    assert ALL.find(model.id, last).id == model.id
    assert model.id in {row["id"] for row in ALL.listing({}, last)["data"]}
    with pytest.raises(Refusal) as caught:
        ALL.find(model.id, last + 1)
    assert told(caught.value) == (404, "not_found", "model_deprecated")
    assert model.id not in {row["id"] for row in ALL.listing({}, last + 1)["data"]}


def test_every_successor_and_every_alias_is_alive() -> None:
    for model in ALL.models:
        if model.gone:
            assert ALL.find(model.successor, NOON).gone == ""
        if model.alias_target:
            assert ALL.find(model.id, NOON).id == model.alias_target


def test_an_alias_is_shown_with_its_targets_prices_and_name() -> None:
    row = LISTED["~openai/gpt-latest"].shown
    target = LISTED["openai/gpt-5.6-sol"].shown
    assert row["alias_target"] == {"slug": "openai/gpt-5.6-sol", "name": target["name"]}
    assert row["pricing"] == target["pricing"]
    assert (row["id"], row["name"]) == ("~openai/gpt-latest", "OpenAI: GPT Latest")


def ids_of_the_package() -> set[str]:
    """All model ids that Bytedeck's own tables name, but for the model on this machine."""
    data = files("bytedeck") / "data"
    tables = [tomllib.loads((data / name).read_text()) for name in ("models.toml", "tasks.toml")]
    models, tasks = tables
    found = {*models["constants"].values(), *models["aliases"].values(), *models["names"], *models["prefill"]}
    found |= {*models["successors"], *(row["id"] for row in models["successors"].values())}
    for task in tasks["tasks"].values():
        found |= {*task["models"], task["light"]}
    return {name for name in found if not name.startswith("local/")}


@pytest.mark.parametrize("slug", sorted(ids_of_the_package()))
def test_every_id_that_the_package_names_is_served_or_dead_with_a_successor(slug: str) -> None:
    try:
        assert ALL.find(slug, NOON).id in LISTED
    except Refusal as refusal:
        assert (refusal.availability or {}).get("fallback_models")


def test_the_package_and_the_simulator_agree_on_who_takes_a_prefill() -> None:
    table = tomllib.loads((files("bytedeck") / "data" / "models.toml").read_text())["prefill"]
    served = {slug: takes for slug, takes in table.items() if not slug.startswith("local/")}
    assert {slug: ALL.find(slug, NOON).accepts_prefill for slug in served} == served


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("a window of 4,096", lambda m: m.context_length == 4096 and "text" in m.output_modalities),
        ("a window of 8,192", lambda m: m.context_length == 8192 and "text" in m.output_modalities),
        ("reasoning that is mandatory", lambda m: bool(m.reasoning and m.reasoning["mandatory"])),
        ("no prefill", lambda m: not m.accepts_prefill),
        ("reasoning_details wanted back", lambda m: m.needs_reasoning_details),
        ("signed reasoning", lambda m: m.signs_reasoning),
        ("pictures", lambda m: "image" in m.output_modalities),
        ("embeddings", lambda m: "embeddings" in m.output_modalities),
        ("reranking", lambda m: "rerank" in m.output_modalities),
        ("a dynamic price", lambda m: m.shown["pricing"]["prompt"] == "-1"),
        ("a price by prompt size", lambda m: any("min_prompt_tokens" in o for o in m.shown["pricing"].get("overrides", []))),
        ("a window over midnight", lambda m: any(o.get("utc_start", 0) > o.get("utc_end", 0) for o in m.shown["pricing"].get("overrides", []))),
        ("nothing to pay", lambda m: m.is_free),
        ("an alias", lambda m: m.alias_target != ""),
        ("an expiration date ahead", lambda m: bool(m.shown["expiration_date"]) and not m.gone),
        ("moderation", lambda m: m.is_moderated),
    ],
)  # fmt: skip
def test_there_is_a_model_with(what: str, holds: Any) -> None:
    assert any(holds(model) for model in ALL.models if not model.gone), what


def test_nothing_of_the_simulators_own_knowledge_is_shown() -> None:
    assert not [model.id for model in ALL.models if "sim" in model.shown]


def test_a_router_picks_by_seed_one_that_can_do_what_is_needed() -> None:
    auto = ALL.find("openrouter/auto")
    picked = {ALL.routed(auto, str(seed)).id for seed in range(50)}
    assert len(picked) > 1
    assert all(not LISTED[name].shown["pricing"]["prompt"].startswith("-") for name in picked)
    assert ALL.routed(auto, "seed") is ALL.routed(auto, "seed")
    free = ALL.find("openrouter/free")
    assert {ALL.routed(free, str(seed)).is_free for seed in range(20)} == {True}
    assert {ALL.routed(auto, str(n), frozenset({"audio"})).id for n in range(20)} == {
        "google/gemini-3-flash-preview"
    }
    with pytest.raises(Refusal) as caught:
        ALL.routed(free, "seed", frozenset({"video"}))
    assert told(caught.value)[2] == "no_endpoints"
    plain = ALL.find("openai/gpt-4o")
    assert ALL.routed(plain, "seed") is plain


@pytest.mark.parametrize(
    ("rules", "slug", "refused"),
    [
        (Rules(), "openai/gpt-4o", None),
        (Rules(models=("anthropic/*",)), "anthropic/claude-opus-5", None),
        (Rules(models=("anthropic/*",)), "openai/gpt-4o", (404, "not_found", "constraint_filtered")),
        (Rules(zdr=True), "openai/gpt-4o", None),
        (Rules(zdr=True), "deepseek/deepseek-chat", (404, "not_found", "privacy_restricted")),
        (Rules(region="eu"), "mistralai/mistral-large", None),
        (Rules(region="eu"), "x-ai/grok-4", (403, "permission_denied", "region_restricted")),
        (Rules(ignored_providers=frozenset({"OpenAI"})), "openai/gpt-4o", None),
        (Rules(ignored_providers=frozenset({"OpenAI", "Azure"})), "openai/gpt-4o", (404, "not_found", "constraint_filtered")),
    ],
)  # fmt: skip
def test_an_accounts_rules_decide_what_is_left(
    rules: Rules, slug: str, refused: tuple[int, str, str] | None
) -> None:
    model = ALL.find(slug)
    left = {row["id"] for row in ALL.user({}, NOON, rules)["data"]}
    if refused is None:
        ALL.permit(model, rules)
        assert model.id in left
        return
    with pytest.raises(Refusal) as caught:
        ALL.permit(model, rules)
    assert told(caught.value) == refused
    assert (caught.value.availability or {})["excluded_by"]
    assert model.id not in left


@pytest.mark.parametrize(
    ("slug", "asked", "served", "factor"),
    [
        ("openai/gpt-5.6-sol", None, None, "1"),
        ("openai/gpt-5.6-sol", "auto", None, "1"),
        ("openai/gpt-5.6-sol", "flex", "flex", "0.5"),
        ("openai/gpt-5.6-sol", "fast", "priority", "2"),
        ("openai/gpt-5.6-sol", "default", "default", "1"),
        ("openai/gpt-4o", "flex", "default", "1"),
    ],
)
def test_the_tier_that_is_served_may_be_another_than_was_asked(
    slug: str, asked: str | None, served: str | None, factor: str
) -> None:
    tier, times = ALL.tier(ALL.find(slug), asked)
    assert (tier, str(times)) == (served, factor)


def test_a_single_model_is_shown_by_any_of_its_names_and_404_otherwise() -> None:
    for name in (
        "openai/gpt-5.6-sol",
        "~openai/gpt-latest",
        "openai/gpt-5.6-sol:nitro",
        "openai/gpt-5.6-sol-20260711",
    ):
        assert ALL.one(name, NOON)["data"]["id"] == "openai/gpt-5.6-sol"
    for name in ("nobody/nothing", "google/gemini-pro", "anthropic/claude-3.5-sonnet"):
        for ask in (lambda n: ALL.one(n, NOON), lambda n: ALL.endpoints(n, NOON, True)):
            with pytest.raises(Refusal) as caught:
                ask(name)
            assert caught.value.status == 404


def test_statistics_of_endpoints_are_for_who_shows_a_key() -> None:
    shown = ("uptime_last_5m", "uptime_last_30m", "uptime_last_1d", "latency_last_30m", "throughput_last_30m")
    for authorised in (True, False):
        found = ALL.endpoints("openai/gpt-5.6-sol", NOON, authorised)["data"]["endpoints"]
        assert [endpoint["tag"] for endpoint in found] == [
            "openai",
            "openai/flex",
            "openai/priority",
            "azure",
        ]
        assert {endpoint[name] is not None for endpoint in found for name in shown} == {authorised}
    prices = {endpoint["tag"]: endpoint["pricing"]["completion"] for endpoint in found}
    assert prices["openai/flex"] == "0.000015"
    assert prices["openai/priority"] == "0.00006"


def test_a_model_of_ones_own_is_listed_found_and_priced() -> None:
    shown = {
        **LISTED["openai/gpt-4o"].shown,
        "id": "sim/slow",
        "canonical_slug": "sim/slow",
        "name": "Sim: slow",
    }
    mine = model_of(shown, Facts())
    more = catalogue.load(extra=[mine])
    assert more.find("sim/slow", NOON) is mine
    assert more.listing({"q": "sim/slow"}, NOON)["total_count"] == 1
    assert more.price(mine, 1, NOON).prompt == ALL.price(LISTED["openai/gpt-4o"], 1, NOON).prompt
    assert [e["provider_name"] for e in more.endpoints("sim/slow", NOON, False)["data"]["endpoints"]] == [
        "FakeProvider"
    ]
    with pytest.raises(Refusal):
        catalogue.load(extra=[replace(mine, gone="no_endpoints")]).find("sim/slow")
