"""Which limits and budgets an attempt comes under."""

from __future__ import annotations

import pytest

from bytedeck.claims import Budget, Limit, Rates, Rules
from bytedeck.guard.rules import buckets, claim
from bytedeck.types import Intent

TEN, SIXTY, MANY, FEW = Limit(10, 60), Limit(60, 60), Limit(100_000, 60), Limit(5, 60)
USD = 10**12

RULES = Rules(
    everything=Rates(requests=Limit(100, 60)),
    models=(
        ("*", Rates(requests=TEN)),
        ("openai/*", Rates(requests=SIXTY, tokens=MANY)),
        ("*:free", Rates(requests=FEW)),
        ("openai/gpt-4o", Rates(tokens=FEW)),
        ("openai/gpt-4o*", Rates(tokens=MANY)),
        ("a.b/c*", Rates(requests=FEW)),
    ),
    keys=(("…abcd", Rates(requests=FEW)),),
    tasks=(("coding", Rates(tokens=MANY)),),
    budgets=(
        Budget("all", "", "day", USD),
        Budget("key", "…abcd", "month", USD),
        Budget("key", "", "month", USD),
        Budget("task", "coding", "week", USD),
    ),
)


def _intent(model: str = "x/y", key: str = "…zzzz", task: str = "", worst_units: int | None = 7) -> Intent:
    return Intent(
        attempt="a-1",
        request="a",
        number=1,
        task=task,
        model=model,
        key=key,
        streamed=True,
        worst_units=worst_units,
    )


@pytest.mark.parametrize(
    ("model", "requests", "tokens"),
    [
        ("x/y", TEN, None),
        ("openai/gpt-4o-mini", SIXTY, MANY),
        ("openai/gpt-4o", SIXTY, FEW),
        ("openai/x:free", SIXTY, MANY),
        ("z:free", FEW, None),
        ("a.b/cde", FEW, None),
        ("axb/cde", TEN, None),
        ("xopenai/y", TEN, None),
    ],
)
def test_a_model_comes_under_the_closest_row(model: str, requests: Limit, tokens: Limit | None) -> None:
    """The id itself before the longest pattern, requests and tokens each by themselves; the bucket is the model's own."""
    found = [one for one in buckets(RULES, model, "", "") if one.scope == "model"]
    assert {one.measure: one.limit for one in found} == {"requests": requests} | (
        {"tokens": tokens} if tokens else {}
    )
    assert {one.of for one in found} == {model}


def test_key_task_and_everything_have_buckets_besides() -> None:
    """Whoever has limits of their own has them on top of the others."""
    names = [one.name for one in buckets(RULES, "x/y", "…abcd", "coding")]
    assert names == [
        "requests/all//100-60-100",
        "requests/model/x/y/10-60-10",
        "requests/key/…abcd/5-60-5",
        "tokens/task/coding/100000-60-100000",
    ]
    assert buckets(Rules(), "x/y", "…abcd", "coding") == ()


def test_each_limit_has_a_bucket_of_its_own() -> None:
    """Its count, its span and its burst are in the name, and one that is said in another way is the same."""

    def name(limit: Limit) -> str:
        (found,) = buckets(Rules(everything=Rates(requests=limit)), "x/y", "", "")
        return found.name

    others = [TEN, Limit(11, 60), Limit(10, 61), Limit(10, 60, 9), Limit(1, 60, 10), Limit(106, 10)]
    assert len({name(one) for one in others}) == len(others)
    assert name(TEN) == name(Limit(10, 60, 10))


@pytest.mark.parametrize(
    ("key", "task", "budgets"),
    [
        ("…zzzz", "", [0]),
        ("…abcd", "", [0, 1]),
        ("", "", [0, 2]),
        ("…abcd", "coding", [0, 1, 3]),
        ("coding", "…abcd", [0]),
    ],
)
def test_a_claim_names_its_own_budgets(key: str, task: str, budgets: list[int]) -> None:
    """All in one, and those of its key and its task; a request without a key comes under no other key's."""
    found = claim(RULES, _intent(key=key, task=task), 500)
    assert found is not None
    assert found.budgets == tuple(RULES.budgets[one] for one in budgets)
    assert (found.tokens, found.units) == (500, 7)


def test_what_runs_on_this_machine_has_no_budget() -> None:
    """It costs nothing, so nothing of it is counted; its limits stay."""
    found = claim(RULES, _intent("local/x"), 5, is_local=True)
    assert found is not None
    assert found.budgets == ()
    assert len(found.buckets) == 2


@pytest.mark.parametrize(
    ("rules", "is_local"),
    [
        (Rules(), False),
        (Rules(models=(("openai/*", Rates(requests=TEN)),)), False),
        (Rules(keys=(("…abcd", Rates(requests=TEN)),), budgets=(Budget("key", "…abcd", "day", USD),)), False),
        (Rules(budgets=(Budget("all", "", "day", USD),)), True),
    ],
)
def test_who_comes_under_nothing_claims_nothing(rules: Rules, is_local: bool) -> None:
    """So that the store has nothing to look up for them."""
    assert claim(rules, _intent("local/x"), 5, is_local=is_local) is None


def test_an_unknown_worst_case_is_claimed_as_unknown() -> None:
    """Never as nothing."""
    found = claim(RULES, _intent(worst_units=None), 5)
    assert found is not None
    assert (found.units, found.is_strict) == (None, True)
