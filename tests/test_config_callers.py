"""A virtual key as a person says it: what is understood, what is not, and that it can be said again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytedeck.callers import Caller
from bytedeck.claims import MOST_UNITS, Budget, Limit, Rates
from bytedeck.config.callers import Said, apply, budget, budget_text, expiry, seconds, told
from bytedeck.errors import InvalidRequest, UnknownTask

USD = 10**12
DAY = 86_400 * 1_000_000
NOW = 1_795_305_600 * 1_000_000
"""2026-11-22, 00:00 UTC."""
ALICE = Caller(
    name="alice", owner="A", models=("a/b",), rates=Rates(tokens=Limit(9, 60)), cache=5, expires=NOW + 1
)
TASKS = {"coding": "coding", "code": "coding", "general": "general"}


def task(name: str) -> str:
    if name not in TASKS:
        raise UnknownTask(f"There is no task {name!r}.")
    return TASKS[name]


def model(name: str) -> str:
    return {"mini": "openai/gpt-4o-mini", "latest": "~openai/gpt-latest", "code": "byte/coding"}.get(
        name, name
    )


def said(caller: Caller = ALICE, **fields: Any) -> Caller:
    return apply(caller, msgspec.convert(fields, Said), task=task, model=model, now=NOW)


def test_what_is_not_said_stays() -> None:
    """Nothing said changes nothing; one thing said changes that one."""
    assert said() == ALICE
    assert said(owner="B").models == ("a/b",)
    assert said(requests="60/minute").rates == Rates(Limit(60, 60), Limit(9, 60))


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        (
            {"models": ["mini", "openai/*", "mini", " x/y "]},
            "models",
            ("openai/gpt-4o-mini", "openai/*", "x/y"),
        ),
        ({"models": ["latest"]}, "models", ("~openai/gpt-latest",)),
        ({"models": ["*", "mini"]}, "models", ()),
        ({"models": []}, "models", ()),
        ({"tasks": ["code", "general", "coding"]}, "tasks", ("coding", "general")),
        ({"tasks": ["*"]}, "tasks", ()),
        ({"tags": ["a", "a", "b"]}, "tags", ("a", "b")),
        ({"role": "admin"}, "role", "admin"),
        ({"tokens": "off"}, "rates", Rates()),
        ({"tokens": None}, "rates", Rates()),
        ({"requests": "10/hour, burst 2"}, "rates", Rates(Limit(10, 3600, 2), Limit(9, 60))),
        ({"cache": "10m"}, "cache", 600),
        ({"cache": 90}, "cache", 90),
        ({"cache": None}, "cache", 0),
        ({"cache": "off"}, "cache", 0),
        ({"expires": "30d"}, "expires", NOW + 30 * DAY),
        ({"expires": "2w"}, "expires", NOW + 14 * DAY),
        ({"expires": "2026-11-23"}, "expires", NOW + DAY),
        ({"expires": "2026-11-22T02:00:00+01:00"}, "expires", NOW + DAY // 24),
        ({"expires": None}, "expires", None),
        ({"expires": "never"}, "expires", None),
        ({"budgets": []}, "budgets", ()),
        ({"budgets": ["off"]}, "budgets", ()),
        (
            {"budgets": ["5/day", "$0.50 a week", "50/month soft", "7 in all"]},
            "budgets",
            (
                Budget("key", "alice", "day", 5 * USD),
                Budget("key", "alice", "week", USD // 2),
                Budget("key", "alice", "month", 50 * USD, False),
                Budget("key", "alice", "total", 7 * USD),
            ),
        ),
    ],
)
def test_what_is_understood(fields: dict[str, Any], name: str, value: object) -> None:
    """The forms of the settings file, and those of people."""
    assert getattr(said(**fields), name) == value


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *(({"budgets": [text]}, "budgets: expected a budget such as 5/day")
          for text in ("5", "-5/day", "0/day", "5/hour", "5 USD/day", "1000001/day", "5/day hardly", "nan/day")),
        *(({field: value}, f"{field}: one of them is empty; ")
          for field in ("models", "tasks", "budgets") for value in ([""], [" "], ["", "*"], ["a/b", ""])),
        *(({field: value}, f"{field}: it is empty; ")
          for field in ("requests", "tokens", "expires") for value in ("", " ")),
        ({"requests": "fast"}, "requests: expected a limit"),
        ({"tokens": "0/minute"}, "tokens: expected a limit"),
        ({"requests": "1/fortnight"}, "requests: expected a limit"),
        ({"expires": "2026-11-22"}, "expires: 2026-11-22 is in the past"),
        ({"expires": "soon"}, "expires: expected a span"),
        ({"expires": "60"}, "expires: expected a span"),
        ({"expires": "-1d"}, "expires: expected a span"),
        ({"cache": "long"}, "cache: expected a span"),
        ({"cache": -1}, "cache: expected a span"),
        ({"models": ["gpt"]}, "models: expected a model's id such as author/name"),
        ({"models": ["code"]}, "models: code is a task"),
    ],
)  # fmt: skip
def test_what_is_not_understood(fields: dict[str, Any], says: str) -> None:
    """A sentence that names the field and what was expected."""
    with pytest.raises(InvalidRequest) as caught:
        said(**fields)
    assert str(caught.value).startswith(says)
    assert str(caught.value).endswith(".")


def test_an_unknown_task_is_told_as_everywhere() -> None:
    """With its nearest names."""
    with pytest.raises(UnknownTask):
        said(tasks=["codng"])


def test_an_unknown_field_is_refused() -> None:
    """A slip of the pen is no permission."""
    with pytest.raises(msgspec.ValidationError, match="modles"):
        said(modles=["a/b"])


_SPANS = (1, 60, 3600, 86_400)
_WORDS = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=8)


@given(
    st.builds(
        Caller,
        name=st.just("alice"),
        role=st.sampled_from(["user", "admin"]),
        owner=_WORDS,
        tags=st.lists(_WORDS, unique=True, max_size=3).map(tuple),
        models=st.lists(_WORDS.map(lambda word: f"a/{word}"), unique=True, max_size=3).map(tuple),
        tasks=st.lists(st.sampled_from(["coding", "general"]), unique=True).map(tuple),
        rates=st.builds(
            Rates, *[st.none() | st.builds(Limit, st.integers(1, 10**6), st.sampled_from(_SPANS))] * 2
        ),
        budgets=st.lists(
            st.builds(Budget, st.just("key"), st.just("alice"), st.sampled_from(["day", "week", "month", "total"]),
                      st.integers(1, MOST_UNITS), st.booleans()),
            unique_by=lambda one: one.period,
        ).map(tuple),
        cache=st.integers(0, 10**6),
        expires=st.none() | st.integers(1, 10**6).map(lambda span: NOW + span * 1_000_000),
    )
)  # fmt: skip
def test_what_is_told_can_be_said_again(caller: Caller) -> None:
    """A key's JSON, said of a new one, makes the same key."""
    words = told(caller, NOW)
    fields = {name: value for name, value in words.items() if name in Said.__struct_fields__}
    assert said(Caller(name="alice"), **fields) == caller


def test_what_is_told_of_a_key() -> None:
    """Its state at the moment, and no more of its secret than the hint."""
    caller = Caller(name="a", created=NOW, expires=NOW + 1, hint="wxyz")
    words = told(caller, NOW + 1)
    assert (words["state"], words["hint"], words["created"]) == ("expired", "…wxyz", "2026-11-22T00:00:00Z")
    assert told(caller, NOW)["state"] == "active"


def test_spans_and_budgets() -> None:
    """Without a letter a span is in seconds; a budget is told as it may be said."""
    assert [seconds(one) for one in ("90", "90s", "2m", "1h", "1 d", "1W")] == [
        90,
        90,
        120,
        3600,
        86_400,
        604_800,
    ]
    assert budget_text(budget("$5 a month soft", "x")) == "5/month soft"
    with pytest.raises(InvalidRequest):
        expiry("9" * 20 + "d", NOW)
