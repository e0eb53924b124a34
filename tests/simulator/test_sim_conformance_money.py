"""The wire reference's cases for a simulator that are about money, limits and pages (sections 8, 9, 14, 15), over the wire."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bytedeck.simulator import Simulator
from bytedeck.simulator.money import accounts
from simclient import MODEL, Came, ask, chat

FREE = "meta-llama/llama-3.3-70b-instruct:free"


def usage(came: Came) -> dict[str, Any]:
    """A body's usage, its amounts exact."""
    told: dict[str, Any] = json.loads(came.body, parse_float=Decimal)["usage"]
    return told


def keyed(sim: Simulator, key: str, model: str = MODEL, **body: Any) -> Came:
    return chat(sim, model, headers={"Authorization": f"Bearer {key}"}, **body)


@pytest.mark.parametrize("stream", [False, True])
def test_without_max_tokens_the_whole_output_is_priced(openrouter: Simulator, stream: bool) -> None:
    """ERR-09: 402 on a low balance where nothing limits the answer; a small cap passes."""
    no = keyed(openrouter, accounts.POOR, "openai/gpt-4o", stream=stream)
    assert (no.status, "can only afford" in no.json["error"]["message"]) == (402, True)
    assert keyed(openrouter, accounts.POOR, "openai/gpt-4o", stream=stream, max_tokens=20).status == 200


@pytest.mark.parametrize(("account", "daily"), [(accounts.ORDINARY, 1000), (accounts.FREE_TIER, 50)])
def test_the_days_free_requests(openrouter: Simulator, account: str, daily: int) -> None:
    """RL-03, RL-04: 50 or 1000 a UTC day by what was ever bought, for all :free models and keys together."""
    for number in range(daily):
        if number % 20 == 0:
            openrouter.advance(61)
        openrouter.do(
            lambda world: world.limits.admit(
                world.bank.account(world.bank.keys[account]), world.catalogue.find(FREE), world.clock.now()
            )
        )
    openrouter.advance(61)
    no = keyed(openrouter, account, "openai/gpt-oss-120b:free")
    assert no.status == 429
    headers = no.json["error"]["metadata"]["headers"]
    assert headers == {
        "X-RateLimit-Limit": str(daily),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1787443200000",
    }
    assert {name: no.headers[name.lower()] for name in headers} == headers


def test_cost_is_told_once(openrouter: Simulator) -> None:
    """USE-01: without own keys cost and upstream cost are equal, and the account pays one of them."""
    told = usage(chat(openrouter))
    assert (told["is_byok"], told["cost"]) == (False, told["cost_details"]["upstream_inference_cost"])
    assert Decimal(openrouter.ledger()[0]["cost"]) == told["cost"] > 0


def test_own_keys_are_paid_elsewhere(openrouter: Simulator) -> None:
    """USE-02: is_byok, no credits within the allowance, the provider's price beside it; the record has both."""
    came = keyed(openrouter, accounts.BYOK)
    told = usage(came)
    assert (told["is_byok"], told["cost"]) == (True, 0)
    assert told["cost_details"]["upstream_inference_cost"] > 0
    openrouter.advance(2)
    record = ask(
        openrouter,
        "GET",
        f"/api/v1/generation?id={came.json['id']}",
        headers={"Authorization": f"Bearer {accounts.BYOK}"},
    )
    told_later = json.loads(record.body, parse_float=Decimal)["data"]
    assert told_later["upstream_inference_cost"] == told["cost_details"]["upstream_inference_cost"]


@pytest.mark.parametrize(
    "more", [{"usage": {"include": False}}, {"stream_options": {"include_usage": False}}]
)
def test_usage_is_always_told(openrouter: Simulator, more: dict[str, Any]) -> None:
    """USE-05: whatever is asked; exactly once in a stream."""
    assert usage(chat(openrouter, **more))["cost"] > 0
    came = chat(openrouter, stream=True, **more)
    assert sum("usage" in event for event in came.events[:-1]) == 1


def test_what_says_nothing_costs_nothing_but_its_search(openrouter: Simulator) -> None:
    """USE-09: zero tokens and a blank finish, or finish error: the tokens are free, the search is not."""
    chat(openrouter, fault="zero_completion")
    chat(openrouter, fault="error_finish")
    chat(openrouter, "openai/gpt-4o:online", fault="zero_completion")
    costs = [Decimal(row["cost"]) for row in openrouter.ledger()]
    assert (costs[:2], costs[2] > 0) == ([0, 0], True)


def test_the_tier_that_served_is_billed(openrouter: Simulator) -> None:
    """USE-12: flex where there is a flex endpoint at its price; elsewhere default, and the record says so."""
    full, flex = (
        chat(openrouter, "openai/gpt-5.6-sol", service_tier=tier, max_tokens=50)
        for tier in ("default", "flex")
    )
    assert (full.json["service_tier"], flex.json["service_tier"]) == ("default", "flex")
    assert usage(flex)["cost"] < usage(full)["cost"]
    other = chat(openrouter, "meta-llama/llama-3.3-70b-instruct", service_tier="flex")
    assert other.json["service_tier"] == "default"
    openrouter.advance(2)
    record = ask(openrouter, "GET", f"/api/v1/generation?id={flex.json['id']}").json["data"]
    assert record["service_tier"] == "flex"


def test_an_alias_is_answered_by_its_model(openrouter: Simulator) -> None:
    """RTE-01: `/models` tells alias_target; the answer and the record name the concrete slug, the ledger both."""
    rows = {row["id"]: row for row in ask(openrouter, "GET", "/api/v1/models").json["data"]}
    target = rows["~anthropic/claude-opus-latest"]["alias_target"]["slug"]
    assert chat(openrouter, "~anthropic/claude-opus-latest", max_tokens=30).json["model"] == target
    [row] = openrouter.ledger()
    assert (row["model"], row["asked"]) == (target, "~anthropic/claude-opus-latest")


@pytest.mark.parametrize(
    ("body", "header", "told"), [("mine", "other", "mine"), (None, "other", "other"), ("mine", None, "mine")]
)
def test_the_bodys_session_wins(
    openrouter: Simulator, body: str | None, header: str | None, told: str
) -> None:
    """RTE-04: as the generation's record says."""
    headers = {"x-session-id": header} if header else {}
    came = chat(openrouter, headers=headers, **({"session_id": body} if body else {}))
    openrouter.advance(2)
    record = ask(openrouter, "GET", f"/api/v1/generation?id={came.json['id']}").json["data"]
    assert record["session_id"] == told
    assert chat(openrouter, headers={"x-session-id": "x" * 257}).status == 400


def test_the_list_of_models(openrouter: Simulator) -> None:
    """RTE-06, 9: text models only, all of them at once; pages by request, at most 1000; prices are strings, dynamic ones -1."""
    came = ask(openrouter, "GET", "/api/v1/models", headers={"Authorization": None})  # type: ignore[dict-item]
    told = came.json
    assert (told["links"]["next"], told["total_count"]) == (None, len(told["data"]))
    assert all("text" in row["architecture"]["output_modalities"] for row in told["data"])
    prices = [row["pricing"] for row in told["data"]]
    assert all(isinstance(price["prompt"], str) for price in prices)
    assert any(price["prompt"] == "-1" for price in prices)
    page = ask(openrouter, "GET", "/api/v1/models?limit=5").json
    assert (len(page["data"]), page["links"]["next"] is not None) == (5, True)
    assert ask(openrouter, "GET", "/api/v1/models?limit=1001").status == 400
    needed = {
        "id",
        "canonical_slug",
        "name",
        "created",
        "context_length",
        "architecture",
        "pricing",
        "top_provider",
    }
    needed |= {"per_request_limits", "supported_parameters", "default_parameters", "links"}
    assert all(needed <= row.keys() for row in told["data"])


@pytest.mark.parametrize(("key", "status"), [(accounts.ORDINARY, 403), (accounts.MANAGEMENT, 200)])
def test_credits_are_for_management_keys(openrouter: Simulator, key: str, status: int) -> None:
    """KEY-01."""
    came = ask(openrouter, "GET", "/api/v1/credits", headers={"Authorization": f"Bearer {key}"})
    assert came.status == status
    if status == 200:
        assert came.json["data"].keys() >= {"total_credits", "total_usage"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models/user"), ("GET", "/key"), ("GET", "/auth/key"), ("GET", "/credits"), ("GET", "/generation?id=x"),
        ("GET", "/classifications/task"), ("GET", "/benchmarks"), ("POST", "/chat/completions"), ("POST", "/completions"),
        ("POST", "/responses"), ("POST", "/messages"), ("POST", "/messages/count_tokens"), ("POST", "/embeddings"), ("POST", "/rerank"),
    ],
)  # fmt: skip
def test_pages_that_need_a_key(openrouter: Simulator, method: str, path: str) -> None:
    """9: 401 without one; models, providers and the code's exchange need none."""
    none: Any = {"Authorization": None}
    came = ask(openrouter, method, f"/api/v1{path}", {} if method == "POST" else None, none)
    assert came.status == 401
    for open_to_all in (
        "/models",
        "/models/count",
        "/model/openai/gpt-4o",
        "/models/openai/gpt-4o/endpoints",
        "/providers",
    ):
        assert ask(openrouter, "GET", f"/api/v1{open_to_all}", headers=none).status == 200


@pytest.mark.parametrize("page", ["/classifications/task", "/benchmarks"])
def test_the_data_sets_have_limits_of_their_own(openrouter: Simulator, page: str) -> None:
    """8: thirty a minute for a key; then a 429 that tells when, until the clock has moved."""
    seen = [ask(openrouter, "GET", f"/api/v1{page}").status for _ in range(31)]
    assert seen == [200] * 30 + [429]
    no = ask(openrouter, "GET", f"/api/v1{page}")
    assert no.headers["x-ratelimit-limit"] == "30"
    openrouter.advance(61)
    assert ask(openrouter, "GET", f"/api/v1{page}").status == 200


def test_a_code_becomes_a_key_that_works(openrouter: Simulator) -> None:
    """9, PKCE: consent, exchange, use; once only, and 403 for a stranger."""
    came = ask(
        openrouter,
        "GET",
        "/auth?code_challenge=abc&code_challenge_method=plain&callback_url=http://localhost:3000/x",
    )
    assert came.status == 302
    code = came.headers["location"].partition("code=")[2]
    told = ask(
        openrouter,
        "POST",
        "/api/v1/auth/keys",
        {"code": code, "code_verifier": "abc", "code_challenge_method": "plain"},
    )
    assert told.json.keys() >= {"key", "user_id"}
    assert keyed(openrouter, told.json["key"]).status == 200
    assert ask(openrouter, "POST", "/api/v1/auth/keys", {"code": code, "code_verifier": "abc"}).status == 403
    assert ask(openrouter, "GET", "/api/v1/auth/keys").status == 405


def test_a_record_comes_late(openrouter: Simulator) -> None:
    """14, USE-07: 404 until its settable delay is over on the clock, and for ever to another account."""
    openrouter.reset(generation_delay=30)
    path = f"/api/v1/generation?id={chat(openrouter).json['id']}"
    seen = []
    for _ in range(3):
        seen.append(ask(openrouter, "GET", path).status)
        openrouter.advance(15)
    assert seen == [404, 404, 200]
    assert ask(openrouter, "GET", path, headers={"Authorization": f"Bearer {accounts.POOR}"}).status == 404
