"""The bank: keys, the look into the purse, charges, records and the ledger."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.simulator.models import catalogue
from bytedeck.simulator.models.facts import Rules
from bytedeck.simulator.money import accounts, bills
from bytedeck.simulator.money.accounts import Account, Budget, Key
from bytedeck.simulator.money.bank import Bank, new_token
from bytedeck.simulator.money.spending import Spending, next_reset
from bytedeck.simulator.shapes import Bill, Counts, Model, Refusal
from sim_calls import NOON, call, generation, told

ALL = catalogue.load()
D = Decimal
DAY = 86_400.0
GPT = ALL.find("openai/gpt-4o")
FREE = ALL.find("meta-llama/llama-3.3-70b-instruct:free")


@pytest.fixture
def bank() -> Bank:
    return Bank(ALL)


def key_of(bank: Bank, token: str) -> Key:
    return bank.key(f"Bearer {token}", NOON)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "No auth credentials found"),
        ("", "No auth credentials found"),
        ("Bearer", "No auth credentials found"),
        ("Bearer ", "No auth credentials found"),
        ("Bearer sk-or-v1-unknown", "User not found."),
        ("Basic " + accounts.ORDINARY, "User not found."),
        (f"Bearer {accounts.EXPIRED}", "This API key has expired."),
        (f"Bearer {accounts.DISABLED}", "This API key has been disabled."),
    ],
)
def test_who_has_no_good_key_is_refused_with_401(bank: Bank, header: str | None, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        bank.key(header, NOON)
    assert told(caught.value)[:2] == (401, "authentication")
    assert caught.value.message == words


@pytest.mark.parametrize("header", ["Bearer {}", "bearer  {} ", "{}"])
def test_a_key_is_known_in_each_form_that_clients_send(bank: Bank, header: str) -> None:
    assert bank.key(header.format(accounts.ORDINARY), NOON).name == "ordinary"


def test_built_in_tokens_are_distinct_shown_only_in_part_and_all_described(bank: Bank) -> None:
    assert set(accounts.BUILT_IN) == set(bank.keys)
    assert {len(token) for token in bank.keys} == {73}
    for key in bank.keys.values():
        assert key.token not in key.label
        assert len(key.label) < 20


# The look into the purse. A cent buys 1,000 tokens of GPT-4o's answer at 0.00001 each.
AFFORD = "This request requires more credits, or fewer max_tokens. You requested up to {} tokens, but can only afford {}. To increase, visit "
CREDITS = "https://openrouter.ai/settings/credits and add more credits"
KEYS = "https://openrouter.ai/settings/keys and create a key with a higher monthly limit"
REFUSED = [
    (accounts.POOR, 0, 1001, (402, "payment_required"), AFFORD.format(1001, 1000) + CREDITS),
    (accounts.POOR, 400, 1000, (402, "payment_required"), AFFORD.format(1000, 900) + CREDITS),
    (accounts.POOR, 0, None, (402, "payment_required"), AFFORD.format(16384, 1000) + CREDITS),
    (accounts.POOR, 4001, 1, (402, "payment_required"), "Prompt tokens limit exceeded: 4001 > 4000. To increase, visit " + CREDITS),
    (accounts.LIMITED, 0, 600, (402, "payment_required"), AFFORD.format(600, 500) + KEYS),
    (accounts.SPENT, 0, 1, (402, "payment_required"), "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys"),
    (accounts.DEBT, 0, 1, (402, "payment_required"), "Insufficient credits. Add more using https://openrouter.ai/settings/credits"),
    (accounts.FREE_TIER, 0, 1, (402, "payment_required"), "Insufficient credits. This account never purchased credits."),
    (accounts.BUDGET, 0, 1, (403, "permission_denied"), "Workspace monthly budget of $500.00 exceeded. Contact your org admin."),
    (accounts.GUARDRAIL, 0, 1, (403, "permission_denied"), "Guardrail daily budget of $5.00 exceeded."),
    (accounts.MANAGEMENT, 0, 1, (403, "permission_denied"), "Management keys cannot be used for inference."),
]  # fmt: skip


@pytest.mark.parametrize(("token", "prompt", "asked", "refused", "words"), REFUSED)
def test_what_cannot_be_paid_is_refused_before_it_begins(
    bank: Bank, token: str, prompt: int, asked: int | None, refused: tuple[int, str], words: str
) -> None:
    with pytest.raises(Refusal) as caught:
        bank.precheck(key_of(bank, token), call(max_tokens=asked), GPT, prompt, NOON)
    assert told(caught.value)[:2] == refused
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("token", "prompt", "asked"),
    [
        (accounts.ORDINARY, 100_000, None),
        (accounts.POOR, 0, 1000),
        (accounts.POOR, 400, 900),
        (accounts.POOR, 3996, 1),
        (accounts.LIMITED, 0, 500),
        (accounts.BYOK, 100_000, None),
        (accounts.BYOK_OVER, 100_000, None),
    ],
)
def test_what_can_be_paid_to_the_last_token_passes(
    bank: Bank, token: str, prompt: int, asked: int | None
) -> None:
    bank.precheck(key_of(bank, token), call(max_tokens=asked), GPT, prompt, NOON)


@pytest.mark.parametrize(
    ("token", "passes"),
    [(accounts.FREE_TIER, True), (accounts.POOR, True), (accounts.SPENT, True), (accounts.DEBT, False)],
)
def test_free_models_want_no_credits_but_also_no_debt(bank: Bank, token: str, passes: bool) -> None:
    key = key_of(bank, token)
    if passes:
        bank.precheck(key, call(), FREE, 1000, NOON)
        return
    with pytest.raises(Refusal) as caught:
        bank.precheck(key, call(), FREE, 1000, NOON)
    assert caught.value.status == 402


def test_an_embedding_is_priced_by_its_prompt_alone(bank: Bank) -> None:
    model = ALL.find("openai/text-embedding-3-small")
    bank.precheck(key_of(bank, accounts.POOR), call(skin="embeddings"), model, 500_000, NOON)
    with pytest.raises(Refusal) as caught:
        bank.precheck(key_of(bank, accounts.POOR), call(skin="embeddings"), model, 500_001, NOON)
    assert "500001 > 500000" in caught.value.message


def test_a_402_names_no_provider_so_that_nobody_takes_it_for_the_providers(bank: Bank) -> None:
    with pytest.raises(Refusal) as caught:
        bank.precheck(key_of(bank, accounts.POOR), call(), GPT, 0, NOON)
    assert caught.value.metadata == {"provider_name": None}


def test_a_budgets_403_says_whose_it_is_and_when_it_ends(bank: Bank) -> None:
    with pytest.raises(Refusal) as caught:
        bank.precheck(key_of(bank, accounts.BUDGET), call(), GPT, 0, NOON)
    assert caught.value.metadata == {
        "limit_source": "openrouter_workspace_budget",
        "scope": "workspace",
        "limit_usd": "500",
        "spend_usd": "500",
        "resets_at": "2026-08-01T00:00:00Z",
    }


def test_a_charge_moves_account_key_and_ledger_alike(bank: Bank) -> None:
    key = key_of(bank, accounts.LIMITED)
    bill = bank.bill(key, GPT, Counts(prompt=100, completion=20), NOON)
    assert bill.cost == D("0.00045")
    assert bank.account(key).used == 0, "a bill is no charge"
    bank.charge(key, generation("gen-1", GPT, bill))
    assert bank.account(key).balance == D("999.99955")
    assert bank.remaining(key, NOON) == D("0.00455")
    (line,) = bank.ledger()
    assert (line["id"], line["key"], line["model"], line["cost"], line["upstream"]) == (
        "gen-1",
        "limited",
        "openai/gpt-4o",
        "0.00045",
        "0.00045",
    )
    assert (line["prompt_tokens"], line["completion_tokens"], line["outcome"]) == (100, 20, "whole")


def test_a_generation_is_charged_once(bank: Bank) -> None:
    key = key_of(bank, accounts.ORDINARY)
    bank.charge(key, generation("gen-1", GPT, bills.NOTHING))
    with pytest.raises(ValueError, match="charged before"):
        bank.charge(key, generation("gen-1", GPT, bills.NOTHING))


def test_the_ledger_adds_up_to_what_the_accounts_paid(bank: Bank) -> None:
    before = sum(account.used for account in bank.accounts.values())
    for number, token in enumerate([accounts.ORDINARY, accounts.POOR, accounts.BYOK_OVER, accounts.EU] * 25):
        key = key_of(bank, token)
        bill = bank.bill(key, GPT, Counts(prompt=7 * number, completion=3), NOON)
        bank.charge(key, generation(f"gen-{number}", GPT, bill))
    paid = sum(account.used for account in bank.accounts.values()) - before
    assert paid == sum(D(line["cost"]) for line in bank.ledger()) > 0


def test_ones_own_keys_spend_the_allowance_and_then_the_fee(bank: Bank) -> None:
    bank.accounts["sim_byok"].byok_allowance = D("0.0005")
    key, counts = key_of(bank, accounts.BYOK), Counts(prompt=100, completion=20)
    first = bank.bill(key, GPT, counts, NOON)
    assert (first.cost, first.upstream, first.is_byok) == (0, D("0.00045"), True)
    bank.charge(key, generation("gen-1", GPT, first))
    second = bank.bill(key, GPT, counts, NOON)
    assert second.cost == D("0.0004") * bills.BYOK_FEE
    bank.charge(key, generation("gen-2", GPT, second))
    assert bank.bill(key, GPT, counts, NOON + 31 * DAY).cost == 0, "a new month, a new allowance"
    assert bank.account(key).used == second.cost


def test_own_keys_are_used_only_for_the_providers_that_they_are_of(bank: Bank) -> None:
    bank.accounts["sim_byok"].byok_providers = ("Azure",)
    key = key_of(bank, accounts.BYOK)
    assert not bank.bill(key, GPT, Counts(prompt=1), NOON).is_byok
    assert bank.bill(key, GPT, Counts(prompt=1), NOON, provider="Azure").is_byok


def test_a_keys_limit_may_count_what_own_keys_spend(bank: Bank) -> None:
    key = bank.add_key(
        Key(token="sk-own", name="own", account="sim_byok", limit=D("0.001"), include_byok_in_limit=True)
    )
    bank.precheck(key, call(max_tokens=100), GPT, 0, NOON)
    bank.charge(key, generation("gen-1", GPT, bank.bill(key, GPT, Counts(prompt=360, completion=10), NOON)))
    assert bank.remaining(key, NOON) == 0
    with pytest.raises(Refusal) as caught:
        bank.precheck(key, call(max_tokens=1), GPT, 0, NOON)
    assert "Key limit exceeded (total limit)" in caught.value.message
    unlimited = bank.change_key("sk-own", limit=None)
    bank.precheck(unlimited, call(), GPT, 0, NOON)


@pytest.mark.parametrize(
    ("reset", "days", "left"),
    [("daily", 1, "1"), ("weekly", 4, "0.9"), ("weekly", 5, "1"), ("monthly", 30, "0.9"), ("monthly", 31, "1"), (None, 400, "0.9")],
)  # fmt: skip
def test_a_limit_is_full_again_when_its_utc_window_rolls_over(
    bank: Bank, reset: accounts.Window | None, days: int, left: str
) -> None:
    key = bank.add_key(Key(token="sk-w", name="w", account="sim", limit=D(1), limit_reset=reset))
    bank.charge(key, generation("gen-1", GPT, Bill(cost=D("0.1"), upstream=D("0.1"))))
    assert bank.remaining(key, NOON) == D("0.9")
    assert bank.remaining(key, NOON + days * DAY) == D(left)  # NOON is a Wednesday, the first of its month


@pytest.mark.parametrize(
    ("window", "when"),
    [("daily", "2026-07-02"), ("weekly", "2026-07-06"), ("monthly", "2026-08-01")],
)
def test_windows_roll_over_at_midnight_utc(window: accounts.Window, when: str) -> None:
    assert next_reset(window, NOON).isoformat() == f"{when}T00:00:00+00:00"


def test_spending_of_no_day_is_nothing() -> None:
    assert Spending().within("daily", NOON) == 0


def test_a_workspaces_budget_counts_all_keys_in_it_and_a_guardrails_only_its_own(bank: Bank) -> None:
    shared = Budget(scope="workspace", limit=D(1), reset="monthly", id="b")
    own = Budget(scope="api_key", limit=D(1), reset="monthly", id="g")
    one = bank.add_key(Key(token="sk-1", name="1", account="sim", budgets=(shared, own)))
    two = bank.add_key(Key(token="sk-2", name="2", account="sim", budgets=(shared, own)))
    bank.charge(one, generation("gen-1", GPT, Bill(cost=D(1), upstream=D(1))))
    assert (bank.spend(two, shared, NOON), bank.spend(two, own, NOON)) == (1, 0)
    with pytest.raises(Refusal) as caught:
        bank.precheck(two, call(max_tokens=1), GPT, 0, NOON)
    assert caught.value.status == 403


def test_a_record_appears_after_the_delay_and_only_for_its_account(bank: Bank) -> None:
    mine, other = key_of(bank, accounts.ORDINARY), key_of(bank, accounts.POOR)
    bank.charge(mine, generation("gen-1", GPT, bills.NOTHING))
    ended = NOON + 2
    for key, moment in ((mine, ended), (mine, ended + 0.99), (other, ended + 5)):
        with pytest.raises(Refusal) as caught:
            bank.generation(key, "gen-1", moment)
        assert (caught.value.status, caught.value.message) == (404, "Generation gen-1 not found")
    assert bank.generation(mine, "gen-1", ended + 1)["data"]["id"] == "gen-1"
    assert bank.generation(key_of(bank, accounts.MANAGEMENT), "gen-1", ended + 1)["data"]["id"] == "gen-1"


def test_a_record_tells_times_tokens_and_money(bank: Bank) -> None:
    key = key_of(bank, accounts.ORDINARY)
    model = ALL.find("anthropic/claude-sonnet-5")
    counts = Counts(prompt=3000, completion=40, reasoning=25, cached=2048)
    bill = bank.bill(key, model, counts, NOON)
    item = generation("gen-1", model, bill, counts=counts, streamed=True, cancelled=True, finish_reason=None)
    bank.charge(key, item)
    data = bank.generation(key, "gen-1", NOON + 10)["data"]
    told_by = ("latency", "generation_time", "streamed", "cancelled", "finish_reason", "provider_name")
    assert [data[name] for name in told_by] == [500.0, 1500.0, True, True, None, "Anthropic"]
    assert (data["native_tokens_reasoning"], data["native_tokens_cached"]) == (25, 2048)
    assert data["total_cost"] == data["usage"] == bill.cost
    assert data["cache_discount"] == 2048 * D("0.0000027")
    assert data["upstream_inference_cost"] is None, "told only with one's own key"
    assert data["created_at"] == "2026-07-01T12:00:00.000Z"


def test_a_cache_hit_is_charged_with_nothing_and_names_its_source(bank: Bank) -> None:
    key = key_of(bank, accounts.ORDINARY)
    hit = generation("gen-2", GPT, bills.NOTHING, counts=Counts(), source_id="gen-1", outcome="hit")
    bank.charge(key, hit)
    data = bank.generation(key, "gen-2", NOON + 10)["data"]
    assert (data["total_cost"], data["response_cache_source_id"], data["provider_responses"]) == (
        0,
        "gen-1",
        [],
    )
    assert bank.account(key).used == 0


def test_accounts_and_keys_can_be_added_topped_up_and_changed(bank: Bank) -> None:
    bank.add_account(Account(id="mine"))
    key = bank.add_key(Key(token=new_token("a"), name="mine", account="mine"))
    with pytest.raises(Refusal):
        bank.precheck(key, call(max_tokens=1), GPT, 0, NOON)
    bank.top_up("mine", D(5))
    bank.precheck(key, call(max_tokens=1), GPT, 0, NOON)
    bank.change_key(key.token, disabled=True)
    with pytest.raises(Refusal):
        bank.key(key.token, NOON)
    with pytest.raises(ValueError, match="already"):
        bank.add_account(Account(id="mine"))
    with pytest.raises(ValueError, match="already"):
        bank.add_key(key)
    with pytest.raises(ValueError, match="no account"):
        bank.add_key(Key(token="sk-x", name="x", account="nobody"))
    with pytest.raises(ValueError, match="keeps its token"):
        bank.change_key(key.token, token="sk-y")


def test_a_guardrail_narrows_what_the_account_leaves(bank: Bank) -> None:
    bank.accounts["sim"].rules = Rules(zdr=True, ignored_providers=frozenset({"Azure"}))
    assert bank.rules(key_of(bank, accounts.ORDINARY)).zdr
    narrowed = bank.rules(key_of(bank, accounts.ALLOWLIST))
    assert narrowed.models == ("anthropic/*", "~anthropic/*")
    assert (narrowed.zdr, narrowed.ignored_providers) == (True, {"Azure"})


def test_two_banks_share_nothing() -> None:
    first, second = Bank(ALL), Bank(ALL)
    first.top_up("sim", D(1))
    assert second.accounts["sim"].bought == 1000


def test_a_budget_that_is_not_used_up_lets_pass(bank: Bank) -> None:
    whole = Budget(scope="workspace", limit=D(1), spent=D("0.99"), id="b")
    key = bank.add_key(Key(token="sk-b", name="b", account="sim", budgets=(whole,)))
    bank.precheck(key, call(max_tokens=1), GPT, 0, NOON)
    bank.charge(key, generation("gen-1", GPT, Bill(cost=D("0.01"), upstream=D("0.01"))))
    with pytest.raises(Refusal) as caught:
        bank.precheck(key, call(max_tokens=1), GPT, 0, NOON)
    assert caught.value.message.startswith("Workspace lifetime budget of $1.00 exceeded.")
    assert caught.value.metadata["resets_at"] is None


def test_a_search_that_is_charged_as_one_request_wants_its_price(bank: Bank) -> None:
    reranker = ALL.find("cohere/rerank-v3.5")
    key = bank.add_key(Key(token="sk-r", name="r", account="sim", limit=D("0.001")))
    bank.precheck(key, call(skin="rerank"), reranker, 50, NOON)
    poorer = bank.change_key("sk-r", limit=D("0.0009"))
    with pytest.raises(Refusal) as caught:
        bank.precheck(poorer, call(skin="rerank"), reranker, 50, NOON)
    assert (caught.value.status, caught.value.message[:20]) == (402, "Insufficient credits")


def test_an_account_of_the_free_plan_is_told_to_become_a_paid_one(bank: Bank) -> None:
    bank.add_account(Account(id="gift", used=D("-0.01")))
    key = bank.add_key(Key(token="sk-g", name="g", account="gift"))
    with pytest.raises(Refusal) as caught:
        bank.precheck(key, call(max_tokens=2000), GPT, 0, NOON)
    assert caught.value.message.endswith("can only afford 1000. To increase, visit "
                                         "https://openrouter.ai/settings/credits and upgrade to a paid account")  # fmt: skip


@given(
    model=st.sampled_from([m for m in ALL.models if not m.gone and m.shown["pricing"]["prompt"] != "-1"]),
    bought=st.decimals(0, 3, places=9),
    prompt=st.integers(0, 300_000),
    asked=st.integers(1, 200_000),
)
def test_what_passes_can_be_paid_and_the_number_that_is_told_is_the_largest_that_passes(
    model: Model, bought: Decimal, prompt: int, asked: int
) -> None:
    bank = Bank(ALL, accounts=[Account(id="a", bought=bought + 1, used=D(1))], keys=[])
    key = bank.add_key(Key(token="sk", name="k", account="a"))

    def passes(tokens: int) -> str:
        try:
            bank.precheck(key, call(max_tokens=tokens), model, prompt, NOON)
        except Refusal as refusal:
            return refusal.message
        counts = Counts(prompt=prompt, completion=tokens if "text" in model.output_modalities else 0)
        assert bank.bill(key, model, counts, NOON).cost <= bought
        return ""

    said = passes(asked)
    if told_number := re.search(r"can only afford (\d+)", said):
        most = int(told_number[1])
        assert most < asked
        assert most == 0 or passes(most) == ""
        assert "can only afford" in passes(most + 1)
