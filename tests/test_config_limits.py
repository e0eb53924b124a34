"""Limits and budgets as a settings file and the environment say them, and every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bytedeck.claims import Budget, Limit, Rates, Rules
from bytedeck.config import Config, load, shown
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
        ("5 hard", (5 * USD, True)),
        ("$5", (5 * USD, True)),
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
        "5 harder",
        "$",
        "5$",
        ".5",
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
_LABEL = "expected a key as `byte usage --by key` calls it, such as"


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
            "line 2: unknown setting `limits.per_modell`; did you mean `limits.per_model`?",
        ),
        ("[limits]\nmodels = 1", "line 2: `limits.models`: expected a table"),
        (
            '[limits.models."openai/*"]\nrequest = "1/day"',
            'line 2: unknown setting `limits.models."openai/*".request`; did you mean `limits.models."openai/*".requests`?',
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
        ('[budget]\ndayly = "5"', "line 2: unknown setting `budget.dayly`; did you mean `budget.daily`?"),
        ('[budget]\nyearly = "5"', "line 2: unknown setting `budget.yearly`"),
        ('[keys."…abcd".budget]\ndaily = ""', f'line 2: `keys."…abcd".budget.daily`: {_AMOUNT}'),
        ('[keys."…abcd".limits]\ntokens = true', f'line 2: `keys."…abcd".limits.tokens`: {_LIMIT}'),
        ('[keys."…abcd"]\nlimits = []', 'line 2: `keys."…abcd".limits`: expected a table, got a list'),
        ("[keys.Abcd.limits]", f"line 1: `keys.Abcd`: {_LABEL}"),
        ('[keys."…6789a".budget]\ndaily = "5"', f'line 1: `keys."…6789a"`: {_LABEL}'),
        ('[keys."".budget]\ndaily = "5"', f'line 1: `keys.""`: {_LABEL}'),
        (
            '[keys."…abcd".limits]\n[keys."...abcd".budget]',
            'line 2: `keys."...abcd"`: this is `keys."…abcd"`, which has limits or budgets already',
        ),
        (
            "[tasks.multiAgent.budget]\n[tasks.multi_agent.limits]",
            "line 2: `tasks.multi_agent`: this is `tasks.multiAgent`, which has limits or budgets already",
        ),
        (
            '[limits]\nper_model = "1/day"\n[limits.models."*"]\nrequests = "1/day"',
            'line 4: `limits.models."*".requests`: `limits.per_model` says this already',
        ),
        ("[limits]\nwait = -1", "line 2: `limits.wait`: expected a number >= 0"),
        ("[limits]\nwait = nan", "line 2: `limits.wait`: expected a number >= 0"),
        ("[limits]\nwait = 86401", "line 2: `limits.wait`: expected a number <= 86400"),
        ("[limits]\nwait = true", "line 2: `limits.wait`: expected a number, got true or false"),
        ("[budget]\ndaily = true", f"line 2: `budget.daily`: {_AMOUNT}"),
        ("[budget]\ndaily = 1.5", f"line 2: `budget.daily`: {_AMOUNT}"),
        ('[budget]\ndaily = "5 USD"', f"line 2: `budget.daily`: {_AMOUNT}"),
        ('[budget]\ndaily = "0"', f"line 2: `budget.daily`: {_AMOUNT}"),
        ("budget = 5", "line 1: `budget`: expected a table, got a whole number"),
        ("[tasks.coding]\nbudget = 5", "line 2: `tasks.coding.budget`: expected a table, got a whole number"),
        (
            '[tasks.codng.budget]\ndaily = "5"',
            "line 1: `tasks.codng`: a new task needs `models`; did you mean `coding`?",
        ),
        (
            '[tasks.coding.budgets]\ndaily = "5"',
            "line 1: unknown setting `tasks.coding.budgets`; did you mean",
        ),
        ("[keys]\na = 1", "line 2: `keys.a`: expected a table"),
        (
            '[tasks.coding.limits]\nper_model = "1/day"',
            "line 2: unknown setting `tasks.coding.limits.per_model`",
        ),
        ('[tasks.multiAgent.budget]\ndaily = "x"', f"line 2: `tasks.multiAgent.budget.daily`: {_AMOUNT}"),
    ],
)
def test_errors_tell_the_place_and_what_was_expected(tmp_path: Path, text: str, says: str) -> None:
    """File, line, path as it was written, and what would be right; nothing is half-loaded."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/config.toml, {says}")
    assert not str(caught.value).endswith("?.")


@pytest.mark.parametrize(
    "text",
    [
        '[keys.KEY.budget]\ndaily = "5"',
        "[keys.KEY]\npolicy.hedge = 1",
        "[keys.KEY]\nbudgets = 1",
        "keys.KEY = 1",
        "[keys.KEY]\n[keys.KEY]",
        "KEY = 1",
        "openrouter.KEY = 1",
        'aliases.a = "KEY"',
        'fallback_models = ["KEY"]',
        '[tasks.KEY]\nmodels = ["a/b"]',
    ],
)
@pytest.mark.parametrize("key", ["sk-or-v1-CANARY0123456789abcdef", "sk-CANARY-0123"])
def test_a_key_in_the_settings_is_not_shown(tmp_path: Path, text: str, key: str) -> None:
    """Wherever somebody has put it: the error shows its last four signs, if any, and the line."""
    with pytest.raises(ConfigError, match=r"config\.toml, line [12]: ") as caught:
        loaded(tmp_path, text.replace("KEY", key))
    told = f"{caught.value} {caught.value.hint} {caught.value.detail}"
    assert "CANARY" not in told
    assert key[-4:] in told


def test_a_long_label_is_not_shown_whole(tmp_path: Path) -> None:
    """It may be a key of any make."""
    with pytest.raises(ConfigError, match=r'line 1: `keys\."…nary"`: ') as caught:
        loaded(tmp_path, '[keys.another-Canary.budget]\ndaily = "5"')
    assert "another" not in str(caught.value)
    assert str(caught.value).endswith("; not the key itself.")


def test_what_is_not_toml_is_told_once(tmp_path: Path) -> None:
    """The sentence says it all."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "a = 1\nretries = ")
    assert (caught.value.message.count("Invalid value"), caught.value.detail) == (1, "")


def loaded(home: Path, text: str, **env: str) -> Config:
    (home / "config.toml").write_text(text, "utf-8")
    return load({"BYTE_HOME": str(home), **env})


def test_what_a_file_says_stands_in_the_configuration(tmp_path: Path) -> None:
    """Of new tasks, too; and the tasks themselves are as they were. Without any of it nothing is limited."""
    text = """
    [limits]
    per_model = "10/minute"
    wait = 0
    [tasks.mine]
    models = ["haiku"]
    description = "Mine"
    budget = { daily = "1" }
    [tasks.coding.limits]
    requests = "5/hour"
    """
    found = loaded(tmp_path, text)
    assert found.rules == Rules(
        models=(("*", Rates(Limit(10, 60))),),
        tasks=(("coding", Rates(Limit(5, 3600))),),
        budgets=(Budget("task", "mine", "day", USD),),
    )
    assert found.limit_wait == 0
    plain = load({"BYTE_HOME": str(tmp_path / "other")})
    assert (plain.rules, plain.limit_wait) == (Rules(), 60)
    assert found.tasks["coding"] == plain.tasks["coding"]


def test_a_key_may_be_written_with_three_dots(tmp_path: Path) -> None:
    """In all of its table; a key that is too short to show some of it is one, too."""
    text = """
    [keys."...abcd"]
    policy.hedge = true
    budget.daily = "5"
    [keys."…"]
    budget.daily = "1"
    """
    found = loaded(tmp_path, text)
    assert [(one.of, one.units) for one in found.rules.budgets] == [("…abcd", 5 * USD), ("…", USD)]
    assert found.key_policies["…abcd"].hedge
    assert found.where['keys."…abcd".budget.daily'] == f"{tmp_path}/config.toml, line 4"


FILE_SAYS = '[budget]\ndaily = "5"\nweekly = "20"\nwarn_percent = 90\n[tasks.coding.budget]\ndaily = "1"'


@pytest.mark.parametrize(
    ("text", "said", "daily"),
    [
        ("", "2", Budget("all", "", "day", 2 * USD)),
        ("", "0.50 soft", Budget("all", "", "day", USD // 2, hard=False)),
        ("", "off", None),
        (FILE_SAYS, "2", Budget("all", "", "day", 2 * USD, warn_percent=90)),
        (FILE_SAYS, " Off ", None),
        (FILE_SAYS, " ", Budget("all", "", "day", 5 * USD, warn_percent=90)),
    ],
)
def test_the_environment_sets_the_daily_budget(
    tmp_path: Path, text: str, said: str, daily: Budget | None
) -> None:
    """Or lifts it; whatever else the file says stays."""
    budgets = loaded(tmp_path, text, BYTE_DAILY_BUDGET=said).rules.budgets
    assert next((one for one in budgets if (one.scope, one.period) == ("all", "day")), None) == daily
    others = [
        one for one in loaded(tmp_path, text).rules.budgets if (one.scope, one.period) != ("all", "day")
    ]
    assert [one for one in budgets if one != daily] == others


@pytest.mark.parametrize("said", ["-5", "0", "5 USD", "1e3", "none", "1000001"])
def test_an_environment_that_is_wrong_names_its_variable(tmp_path: Path, said: str) -> None:
    """A cap that is misspelt is no cap, and so it is refused."""
    with pytest.raises(
        ConfigError,
        match=r"^BYTE_DAILY_BUDGET: `budget.daily`: expected USD above 0 and up to 1000000, such as 5, .*; or off\.$",
    ):
        loaded(tmp_path, "", BYTE_DAILY_BUDGET=said)


def test_limits_and_budgets_are_shown_as_they_could_be_written(tmp_path: Path) -> None:
    """With the line that each stands in, as all other settings are; those that are not set, too, where they are general."""
    text = """[limits]
per_model = "10 / minute"
wait = 5
[limits.models."*"]
tokens = "100_000/minute, burst 5000"
[budget]
daily = "0.50"
monthly = "50 soft"
warn_percent = 90
[keys."...abcd".limits]
requests = "30/minute"
[tasks.multiAgent.budget]
total = 7
[tasks.coding]
limits.tokens = "1/second"
"""
    rows = {
        name: (value, source) for name, value, source in shown(loaded(tmp_path, text, BYTE_DAILY_BUDGET="2"))
    }
    file = f"{tmp_path}/config.toml, line"
    ours = {name: row for name, row in rows.items() if "limits" in name or "budget" in name}
    assert ours == {
        "limits.per_model": ("10/minute", f"{file} 2"),
        "limits.requests": ("none", "default"),
        "limits.tokens": ("none", "default"),
        "limits.wait": ("5", f"{file} 3"),
        "budget.daily": ("2", "BYTE_DAILY_BUDGET"),
        "budget.weekly": ("none", "default"),
        "budget.monthly": ("50 soft", f"{file} 8"),
        "budget.total": ("none", "default"),
        'limits.models."*".tokens': ("100000/minute, burst 5000", f"{file} 5"),
        'keys."…abcd".limits.requests': ("30/minute", f"{file} 11"),
        "budget.warn_percent": ("90", f"{file} 9"),
        "tasks.multi_agent.budget.total": ("7", f"{file} 13"),
        "tasks.coding.limits.tokens": ("1/second", f"{file} 15"),
    }
