"""Limits and budgets as a settings file will say them, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bytedeck.claims import Budget, Limit, Rates, Rules
from bytedeck.config import load
from bytedeck.config.document import Document
from bytedeck.config.limits import amount, limit, rules
from bytedeck.errors import ConfigError

USD = 10**12
TASKS = ("coding", "multi_agent")
FILE = Path("/home/ada/config.toml")


def read(text: str) -> Rules:
    return rules(Document(FILE, text), TASKS)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("10/minute", Limit(10, 60)),
        ("1/second", Limit(1, 1)),
        ("500 / hour", Limit(500, 3600)),
        (" 1_000_000/day ", Limit(1_000_000, 86_400)),
        ("10/minute, burst 3", Limit(10, 60, 3)),
        ("10/minute,burst 20", Limit(10, 60, 20)),
    ],
)
def test_a_limit(text: str, means: Limit) -> None:
    """So many in a second, minute, hour or day, and at once as many, or as it says."""
    assert limit(text) == means


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10/week",
        "10/minutes",
        "ten/minute",
        "0/minute",
        "-1/minute",
        "1.5/minute",
        "1e3/minute",
        "nan/minute",
        "10/minute burst 3",
        "10/minute, burst 0",
        "10/minute, burst -1",
        "1/day, burst 32",
        "9999999999/minute",
        "10000000000000000000000000000000/minute",
        "١٠/minute",
        "10/minute\n10/minute",
    ],
)
def test_what_is_no_limit(text: str) -> None:
    """The error says what a limit looks like."""
    with pytest.raises(ValueError, match=r'expected a limit such as "10/minute" or'):
        limit(text)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("5", (5 * USD, True)),
        (5, (5 * USD, True)),
        ("0.50", (USD // 2, True)),
        ("0.000000000001", (1, True)),
        (" 5 soft ", (5 * USD, False)),
        ("1000000", (10**18, True)),
    ],
)
def test_an_amount(said: str | int, means: tuple[int, bool]) -> None:
    """Dollars to the last unit, hard unless it says soft."""
    assert amount(said) == means


@pytest.mark.parametrize(
    "said",
    [
        0.5,
        float("nan"),
        float("inf"),
        True,
        0,
        -5,
        10**30,
        1_000_001,
        "",
        "0",
        "0.00",
        "-5",
        "NaN",
        "Infinity",
        "1e3",
        "0.0000000000001",
        "1000000.000000000001",
        "5 hard",
        "$5",
        "5,00",
        None,
        ["5"],
    ],
)
def test_what_is_no_amount(said: Any) -> None:
    """A float is not exact; nothing, less than nothing and absurdly much are no budgets."""
    with pytest.raises(ValueError, match=r'expected an amount in USD in quotes, such as "5"'):
        amount(said)


def test_one_line_for_the_common_case() -> None:
    """Ten requests a minute to each model; five dollars a day, and not one more."""
    assert read('[limits]\nper_model = "10/minute"') == Rules(models=(("*", Rates(Limit(10, 60))),))
    assert read('[budget]\ndaily = "5"') == Rules(budgets=(Budget("all", "", "day", 5 * USD, True, 80),))
    assert read("") == Rules()


def test_everything_that_can_be_said() -> None:
    """Limits in all, of models, keys and tasks; budgets of each, hard and soft, with a share to warn at."""
    text = """
    [limits]
    requests = "100/minute"
    tokens = "1_000_000/minute"
    per_model = "10/minute"
    [limits.models."openai/*"]
    requests = "60/minute"
    tokens = "100000/minute"
    [limits.models."*:free"]
    requests = "20/minute, burst 1"
    [budget]
    daily = "5"
    weekly = 20
    warn_percent = 90
    [keys."…abcd".limits]
    requests = "30/minute"
    [keys."…abcd".budget]
    monthly = "50 soft"
    [keys."…efgh".policy]
    hedge = true
    [tasks.multiAgent.limits]
    tokens = "5000/hour"
    [tasks.multiAgent.budget]
    total = "0.50"
    [tasks.coding]
    light = "haiku"
    """
    assert read(text) == Rules(
        everything=Rates(Limit(100, 60), Limit(1_000_000, 60)),
        models=(
            ("*", Rates(Limit(10, 60))),
            ("openai/*", Rates(Limit(60, 60), Limit(100_000, 60))),
            ("*:free", Rates(Limit(20, 60, 1))),
        ),
        keys=(("…abcd", Rates(Limit(30, 60))),),
        tasks=(("multi_agent", Rates(None, Limit(5000, 3600))),),
        budgets=(
            Budget("all", "", "day", 5 * USD, True, 90),
            Budget("all", "", "week", 20 * USD, True, 90),
            Budget("key", "…abcd", "month", 50 * USD, False, 80),
            Budget("task", "multi_agent", "total", USD // 2, True, 80),
        ),
    )


_LIMIT = 'expected a limit such as "10/minute"'
_AMOUNT = "expected an amount in USD in quotes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[limits]\n\nper_model = "fast"', f"line 3: `limits.per_model`: {_LIMIT}"),
        ("[limits]\nper_model = 10", f"line 2: `limits.per_model`: {_LIMIT}"),
        ("[limits]\nrequests = { count = 10 }", f"line 2: `limits.requests`: {_LIMIT}"),
        ('[limits]\ntokens = "0/minute"', "line 2: `limits.tokens`: expected"),
        ("limits = 5", "line 1: `limits`: expected a table, got a whole number"),
        (
            '[limits]\nper_modell = "1/day"',
            "line 2: unknown setting `limits.per_modell`; did you mean `per_model`?",
        ),
        ("[limits]\nmodels = 1", "line 2: `limits.models`: expected a table"),
        (
            '[limits.models."openai/*"]\nrequest = "1/day"',
            'line 2: unknown setting `limits.models."openai/*".request`; did you mean `requests`?',
        ),
        ('[limits.models]\n"a/b" = "1/day"', 'line 2: `limits.models."a/b"`: expected a table'),
        (
            '[limits.models.gpt]\nrequests = "1/day"',
            "line 1: `limits.models.gpt`: expected a model id such as",
        ),
        ("[budget]\ndaily = 0.5", f"line 2: `budget.daily`: {_AMOUNT}"),
        ("[budget]\ndaily = nan", f"line 2: `budget.daily`: {_AMOUNT}"),
        ("[budget]\ntotal = 1000000000000000000000000000000", f"line 2: `budget.total`: {_AMOUNT}"),
        ('[budget]\ndaily = "-5"', f"line 2: `budget.daily`: {_AMOUNT}"),
        ("[budget]\nwarn_percent = 0", "line 2: `budget.warn_percent`: expected a whole number >= 1"),
        ("[budget]\nwarn_percent = 0.8", "line 2: `budget.warn_percent`: expected a whole number, got"),
        ('[budget]\nyearly = "5"', "line 2: unknown setting `budget.yearly`"),
        ('[keys."…a".budget]\ndaily = ""', f'line 2: `keys."…a".budget.daily`: {_AMOUNT}'),
        ('[keys."…a".limits]\ntokens = true', f'line 2: `keys."…a".limits.tokens`: {_LIMIT}'),
        ("[keys.a]\nlimits = []", "line 2: `keys.a.limits`: expected a table, got a list"),
        ("[keys]\na = 1", "line 2: `keys.a`: expected a table"),
        (
            '[tasks.coding.limits]\nper_model = "1/day"',
            "line 2: unknown setting `tasks.coding.limits.per_model`",
        ),
        ('[tasks.multiAgent.budget]\ndaily = "x"', f"line 2: `tasks.multiAgent.budget.daily`: {_AMOUNT}"),
    ],
)
def test_errors_tell_the_place_and_what_was_expected(text: str, says: str) -> None:
    """File, line, path as it was written, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{FILE}, {says}")


def test_nothing_can_be_configured_that_does_not_hold_yet(tmp_path: Path) -> None:
    """Until limits and budgets are looked at, a settings file that names them is refused."""
    for text in ('[limits]\nper_model = "10/minute"', '[budget]\ndaily = "5"'):
        (tmp_path / "config.toml").write_text(text, "utf-8")
        with pytest.raises(ConfigError, match="unknown setting"):
            load({"BYTE_HOME": str(tmp_path)})
