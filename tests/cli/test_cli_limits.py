"""`byte limits`, and what limits and budgets have to say to a question at the terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bytedeck import Hub, Later
from bytedeck.claims import Budget, Limit, Rules
from bytedeck.cli import limits, money
from bytedeck.cli.events import News
from bytedeck.config import load
from bytedeck.events import Waiting
from bytedeck.io.memory import MemoryStore
from bytedeck.standing import standings
from bytedeck.types import Delta, Intent, Settlement
from upstream import MODEL, End, Upstream, usage_of, words

SONNET = "anthropic/claude-sonnet-4.5"


def _set(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text, "utf-8")


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


# The table


def test_nothing_is_set(byte: Any, home: Path) -> None:
    """A sentence, and what would set one; no file is made for saying so."""
    result = byte("limits")
    assert result.exit_code == 0
    assert "There are no limits and no budgets." in result.stdout
    assert "byte limits daily 5" in result.stdout
    assert json.loads(byte("limits", "--json").stdout) == {"limits": [], "budgets": []}
    assert not home.exists()


def test_how_they_stand(byte: Any, keyed: Upstream, home: Path) -> None:
    """A line for each budget and each limit: of what is left, of how much, until when."""
    _set(home, 'limits.per_model = "20/hour"\nbudget.daily = "5"\n[tasks.coding.budget]\ntotal = "7 soft"\n')
    keyed.script(words(usage=usage_of("x", Decimal("1.25"))))
    byte("-m", MODEL, "a")
    budgets, limited = byte("limits").stdout.split("\n\n")
    heads, day, coding = budgets.splitlines()
    assert heads.split() == ["BUDGET", "SPENT", "HELD", "LEFT", "OF", "NEW", "IN"]
    assert day.startswith("a day")
    assert "███" in day
    assert day.split()[3:7] == ["$1.25", "$0", "$3.75", "$5"]
    assert day.endswith(("s", "min"))
    assert coding.split() == ["in", "all,", "task", "coding", "$0", "$0", "$7", "$7", "soft"]
    heads, own, others = limited.splitlines()
    assert heads.split() == ["LIMIT", "LEFT", "OF", "FULL", "IN"]
    assert own.split()[:6] == [MODEL, "19", "20", "requests", "an", "hour"]
    assert others.split() == ["any", "other", "model", "20", "20", "requests", "an", "hour"]
    assert max(map(len, [heads, day, coding, own])) <= 80


def test_the_same_for_programs(byte: Any, keyed: Upstream, home: Path) -> None:
    """Amounts are decimal text, to the unit; moments are ISO in UTC."""
    _set(home, 'limits.per_model = "20/hour, burst 3"\nbudget.total = "5 soft"\n')
    keyed.script(words(usage=usage_of("x", Decimal("0.000000000001"))))
    byte("-m", MODEL, "a")
    told = json.loads(byte("limits", "--json").stdout)
    full_in = told["limits"][0].pop("full_in")
    assert 0 < full_in <= 180
    assert told["limits"][0] == {
        "measure": "requests", "scope": "model", "of": MODEL,
        "count": 20, "seconds": 3600, "at_once": 3, "left": 2,
    }  # fmt: skip
    assert told["budgets"] == [
        {
            "scope": "all", "of": "", "period": "total", "amount": "5", "hard": False, "warn_percent": 80,
            "spent": "0.000000000001", "held": "0", "left": "4.999999999999", "since": None, "until": None,
            "unknown": "0",
        }
    ]  # fmt: skip


def test_what_is_spent_may_be_a_worst_case(byte: Any, keyed: Upstream, home: Path) -> None:
    """How much of it nobody knows is told, to the unit, with what asks for it; what is known has no such line."""
    _set(home, 'budget.daily = "5"\n[tasks.coding]\nbudget.daily = "7"\n[tasks.general]\nbudget.daily = "7"')
    keyed.script(words(), words(usage=None))
    byte("-m", MODEL, "a")
    assert "worst case" not in byte("limits").stdout
    byte("-t", "coding", "-m", MODEL, "-o", "max_tokens", "10", "a")
    told = json.loads(byte("limits", "--json").stdout)["budgets"]
    every, coding, general = (Decimal(one["unknown"]) for one in told)
    assert every == coding == Decimal(told[1]["spent"]) == Decimal(told[0]["spent"]) - Decimal("0.000042")
    assert general == 0
    shown = byte("limits").stdout
    assert f"${every} of what is spent is the worst case of attempts whose cost is not known." in shown
    assert "byte ledger reconcile" in shown


def test_what_runs_is_no_worst_case_of_the_past() -> None:
    """It has no cost yet, and is told as held."""
    store = MemoryStore()
    for attempt, worst in (("a-1", 5), ("b-1", 7)):
        intent = Intent(
            attempt=attempt, request=attempt, number=1, task="", model=MODEL, key="", streamed=True, worst_units=worst
        )  # fmt: skip
        store.begin(intent, lambda _: None)
    store.settle(Settlement(attempt="b-1", outcome="abandoned", quality="unknown", cost_units=None))
    (one,) = standings(store, Rules(budgets=(Budget("all", "", "day", 100),))).budgets
    assert (one.held_units, one.spent_units, limits._unknown((one,), store)) == (5, 7, [7])


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 request an hour"), (2, "2 requests an hour"), (1000, "1,000 requests an hour")]
)
def test_one_is_no_plural(count: int, text: str) -> None:
    """As a person says it."""
    assert limits.rate(Limit(count, 3600), "requests") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (119.4, "119 s"), (120, "2 min"), (7140, "119 min"), (7200, "2 h 0 min"), (30 * 86_400, "30 days")],
)  # fmt: skip
def test_spans_are_short(seconds: float, text: str) -> None:
    """As a person says them."""
    assert limits.span(seconds) == text


# Setting a budget


def test_a_budget_is_set_and_lifted(byte: Any, home: Path) -> None:
    """In a file of the user's own, which is made where it is missing, and keeps all else."""
    result = byte("limits", "daily", "$5")
    assert (result.exit_code, result.stdout) == (0, "At most $5 a day. What could pass it is not sent.\n")
    file = home / "config.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(f"# mine\nretries = 1\n{file.read_text()}")
    assert byte("limits", "monthly", "50", "soft").stdout.startswith("A warning at 80 % of $50 a month.")
    assert byte("limits", "daily", "5").stdout.startswith("As it was: At most $5 a day.")
    assert file.read_text() == '# mine\nretries = 1\n[budget]\ndaily = "5"\nmonthly = "50 soft"\n'
    assert byte("limits", "daily", "off").stdout == "There is no daily budget.\n"
    assert byte("limits", "total", "0.5").stdout.startswith("At most $0.5 in all.")
    found = json.loads(byte("limits", "--json").stdout)["budgets"]
    assert [(one["period"], one["amount"], one["hard"]) for one in found] == [
        ("month", "50", False),
        ("total", "0.5", True),
    ]


@pytest.mark.parametrize(
    ("amount", "says"), [("5 hard", "At most $5 a day."), ("$5 soft", "A warning at 80 %")]
)
def test_an_amount_as_people_write_it(byte: Any, home: Path, amount: str, says: str) -> None:
    """Hard may be said, and the sign of the dollar."""
    assert byte("limits", "daily", amount).stdout.startswith(says)


@pytest.mark.parametrize("amount", [["-1"], ["0"], ["5", "USD"], ["much"], ["1e3"], ["1000001"], ["nan"]])
def test_what_is_no_budget_is_not_set(byte: Any, home: Path, amount: list[str]) -> None:
    """Wrong usage, told with what would be right."""
    result = byte("limits", "weekly", "--", *amount)
    assert result.exit_code == 2
    assert "USD above 0 and up to 1000000, such as 5, 0.50 or 5 soft; or off." in _on_one_line(result.stderr)
    assert not home.exists()


def test_a_limit_of_each_model_is_set_and_lifted(byte: Any, home: Path) -> None:
    """As it is written in the file; what is none is told with what would be one."""
    assert byte("limits", "per-model", "10/minute").stdout == "Each model by itself: 10 requests a minute.\n"
    assert byte("limits", "per-model", "10/minute").stdout.startswith("As it was: ")
    shown = byte("limits").stdout.splitlines()[-1]
    assert shown.split() == ["each", "model", "10", "10", "requests", "a", "minute"]
    paced = byte("limits", "per-model", "10/minute,", "burst", "1").stdout
    assert paced == "Each model by itself: 10 requests a minute, 1 at once.\n"
    assert byte("limits", "per-model", "off").stdout == "No limit for each model.\n"
    assert "There are no limits" in byte("limits").stdout
    for wrong in ("10", "10/fortnight", "0/day", "-5/minute"):
        result = byte("limits", "per-model", wrong)
        assert result.exit_code == 2
        told = "10/minute or 10/minute, burst 3, for a second, minute, hour or day; or off."
        assert told in _on_one_line(result.stderr)


def test_the_environment_wins_and_that_is_told(
    byte: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sets a budget that does not count learns so."""
    monkeypatch.setenv("BYTE_DAILY_BUDGET", "2")
    result = byte("limits", "daily", "9")
    assert result.stdout.startswith("At most $2 a day.")
    assert "BYTE_DAILY_BUDGET is set in the environment, and wins over" in result.stderr
    assert 'daily = "9"' in (home / "config.toml").read_text()


def test_a_file_that_cannot_be_read_is_left_alone(byte: Any, home: Path) -> None:
    """Its mistake is told, with the line."""
    _set(home, "retries = \n")
    assert byte("limits", "daily", "5").exit_code == 5
    assert (home / "config.toml").read_text() == "retries = \n"


# What is told of one question


def test_usage_tells_the_day(byte: Any, keyed: Upstream, home: Path) -> None:
    """All that was spent since midnight UTC; beside the budget where there is one; what is not known apart."""
    keyed.script(words(), words(usage=None), words())
    assert "today (UTC) $0.000042\n" in byte("-u", "-m", MODEL, "a").stderr
    unknown = byte("-u", "-m", MODEL, "-o", "max_tokens", "10", "a").stderr
    assert "today (UTC) $0.000042 · not known yet: at most $0.000" in unknown
    assert "today (UTC)" not in byte("-m", MODEL, "a").stderr
    _set(home, '[tasks.coding]\nbudget.daily = "7"\n')
    assert " of $7" not in byte("-u", "-m", MODEL, "a").stderr
    _set(home, 'budget.monthly = "7"\n')
    assert " · this month $0.0" in byte("-u", "-m", MODEL, "a").stderr
    _set(home, 'budget.daily = "5"\n')
    line = byte("-u", "-m", MODEL, "a").stderr.splitlines()[-1]
    assert line.startswith("today (UTC) $0.0")
    assert line.endswith(" of $5")


def test_explain_tells_what_is_left(byte: Any, keyed: Upstream, home: Path) -> None:
    """Of each limit and budget of the first model, and what they would say; in words and as JSON."""
    _set(home, 'limits.per_model = "10/hour, burst 2"\nbudget.daily = "0.001"\nlimits.wait = 600')
    keyed.script(words())
    args = ("--no-save", "-m", MODEL, "-o", "max_tokens", "100", "hi")
    byte(*args)
    told = byte("--explain", *args).stdout
    assert "$0.000958 is left of the hard budget of $0.001 a day: $0.000042 spent." in told
    assert f"1 left of 10 requests an hour, 2 at once to {MODEL}." in told
    assert "It would" not in told
    byte(*args)
    assert "It would wait 6 min: The limit of 10 requests" in byte("--explain", *args).stdout
    _set(home, 'limits.per_model = "10/hour, burst 2"\nbudget.daily = "0.001"\nlimits.wait = 1')
    refused = byte("--explain", *args).stdout
    assert "It would be refused: The limit of 10 requests" in refused
    assert "It can be asked again in 6 min." in refused
    found = json.loads(byte("--explain", "--json", *args).stdout)
    assert found["admission"]["verdict"] == "later"
    assert 300 < found["admission"]["again"] <= 360
    assert found["limits"][0]["left"] == 0
    dear = byte("--explain", "-m", SONNET, "hi").stdout
    assert "It would be refused: At worst this costs $" in dear
    assert "It can be asked again" not in dear  # no new day helps
    assert (
        json.loads(byte("--explain", "--json", "-m", SONNET, "hi").stdout)["admission"]["verdict"] == "denied"
    )
    assert len(keyed.chats) == 2


def test_explain_tells_of_each_that_would_be_asked(byte: Any, keyed: Upstream, home: Path) -> None:
    """Who would be refused, until the one who would be asked; the same for programs, candidate by candidate."""
    byte("models", "--refresh")
    args = (
        "--explain",
        "-m",
        SONNET,
        "-m",
        "google/gemini-3-pro",
        "-m",
        MODEL,
        "-m",
        SONNET,
        "-o",
        "max_tokens",
        "100",
        "hi",
    )
    _set(home, 'budget.daily = "0.0005"')
    told = [line for line in byte(*args).stdout.splitlines() if "would be" in line]
    names = [line.split(" would be ")[0] for line in told]
    assert len(told) == 3, told
    assert "It" not in names
    assert [line.split(" would be ")[1].split(":")[0] for line in told] == ["refused", "refused", "asked."]
    found = json.loads(byte(*args, "--json").stdout)
    verdicts = [one["admission"] and one["admission"]["verdict"] for one in found["candidates"]]
    assert verdicts[:3] == ["denied", "denied", "granted"]
    assert set(verdicts[3:]) <= {None}
    assert found["admission"] == found["candidates"][0]["admission"]


def test_who_answers_for_one_that_was_kept_back(byte: Any, keyed: Upstream, home: Path) -> None:
    """The first model was announced, and a budget keeps it back: who answered is told, and why, in plain sentences."""
    byte("models", "--refresh")
    _set(home, 'budget.daily = "0.0005"')
    keyed.script(words())
    result = byte("-m", SONNET, "-m", MODEL, "-o", "max_tokens", "100", "hi")
    assert result.exit_code == 0
    assert "▸ GPT-4o mini answered instead\n" in result.stderr
    assert "Warning: Claude Sonnet 4.5 was not asked: at worst this costs $" in result.stderr


def test_all_that_were_kept_back_are_named(byte: Any, keyed: Upstream, home: Path) -> None:
    """The first one's reason as the error, the others' as a line each."""
    byte("models", "--refresh")
    _set(home, 'budget.daily = "0.000001"')
    result = byte("-m", SONNET, "-m", MODEL, "-o", "max_tokens", "100", "hi")
    assert result.exit_code == 12
    assert result.stderr.count("kept this back") == 1
    assert "  → GPT-4o mini was not asked, either: at worst this costs $" in result.stderr


def test_a_picture_is_told_first(byte: Any, keyed: Upstream, home: Path) -> None:
    """What no price bounds is in the request, so more `max_tokens` or another model would not help."""
    byte("models", "--refresh")
    _set(home, 'budget.daily = "5"')
    told = byte("-m", MODEL, "-o", "plugins", '[{"id": "web"}]', "-o", "max_tokens", "9", "hi").stderr
    hints = [line for line in told.splitlines() if line.startswith("  → ")]
    assert hints[0].startswith("  → Pictures, files, plugins and web searches")
    told = byte("-m", "openrouter/auto", "-o", "max_tokens", "9", "hi").stderr
    hints = [line for line in told.splitlines() if line.startswith("  → ")]
    assert hints[0].startswith("  → Set max_tokens, and name a model with a listed price")


@pytest.mark.parametrize(("amount", "helps"), [("5", True), ("0.0003", False)])
def test_no_stream_is_named_where_it_would_help(
    byte: Any, keyed: Upstream, home: Path, amount: str, helps: bool
) -> None:
    """An answer that broke off in a pipe: not where a budget keeps back who would go on."""
    byte("models", "--refresh")
    _set(home, f'budget.daily = "{amount}"\nretries = 0')
    keyed.script(words("one two three four", usage=None, finish=None, done=False).then(End()))
    result = byte("-m", MODEL, "-m", SONNET, "-o", "max_tokens", "100", "hi")
    assert result.exit_code == 24
    assert ("--no-stream" in result.stderr) == helps
    assert ("was not asked: at worst" in result.stderr) != helps


REFUSED = [
    ('limits.requests = "1/hour"\nlimits.wait = 0', 13, "The limit of 1 request an hour is reached."),
    ('limits.tokens = "50/hour"', 13, "Ask for fewer max_tokens, or raise the limit's burst."),
    ('budget.daily = "0.000001"', 12, "is left of the hard budget of $0.000001 a day."),
]


@pytest.mark.parametrize(("settings", "exit_code", "words_"), REFUSED)
def test_what_is_kept_back_reads_well(
    byte: Any, keyed: Upstream, home: Path, settings: str, exit_code: int, words_: str
) -> None:
    """Which limit it was, when to come back, where to look; nothing was sent; an exit code of its own kind."""
    _set(home, settings)
    if "requests" in settings:
        keyed.script(words())
        byte("-m", MODEL, "a")
    sent = len(keyed.chats)
    result = byte("-m", MODEL, "-o", "max_tokens", "100", "-u", "b")
    assert result.exit_code == exit_code
    assert "Error: One of your " in result.stderr
    assert words_ in result.stderr
    assert "How your limits and budgets stand: byte limits" in result.stderr
    assert "0 attempts" not in result.stderr
    assert len(keyed.chats) == sent


@pytest.mark.parametrize(("wait", "told"), [(0, "It would be refused: x"), (60, "It would wait: x")])
def test_money_that_is_held(home: Path, wait: int, told: str) -> None:
    """Nobody knows for how long, so it is waited for wherever anything is, and else is not."""
    _set(home, f"limits.wait = {wait}\n")
    with Hub() as hub, hub.testing("a"):
        found = hub.explain("hi", model=MODEL)
    held = replace(found.outlooks[0], verdict=Later("x", 0, held=True))
    assert money.explained(replace(found, outlooks=(held,)), load()) == [told]


def test_waiting_for_a_limit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no failure of the model's; who looks for money every second says so once."""
    news = News()
    news.hear(Delta(event=Waiting(model="a", why="over_limit", seconds=6.2)))
    for _ in range(3):
        news.hear(Delta(event=Waiting(model="a", why="budget_held", seconds=1.0)))
    news.hear(Delta(event=Waiting(model="b", why="budget_held", seconds=1.0)))
    assert capsys.readouterr().err.splitlines() == [
        "… a waits for one of your limits, 6 s",
        "… a waits for money that running requests hold of a budget",
        "… b waits for money that running requests hold of a budget",
    ]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ((), f"… {MODEL} waits for one of your limits, 3"),
        (("--no-stream",), f"… {MODEL} waits for one of your limits, 3"),
        (("--json",), f"… {MODEL} waits for one of your limits, 3"),
    ],
)
def test_who_waits_is_told(
    byte: Any, spawn: Any, keyed: Upstream, home: Path, option: tuple[str, ...], told: str
) -> None:
    """With a stream and without one it is said at once, and Ctrl-C ends it: nothing was sent."""
    _set(home, 'limits.requests = "10/hour, burst 1"\nlimits.wait = 600')
    keyed.script(words())
    byte("-m", MODEL, "a")
    process = spawn("-m", MODEL, *option, "b")
    seen = b""
    while told.encode() not in seen:
        assert select.select([process.stderr], [], [], 20)[0], seen
        seen += os.read(process.stderr.fileno(), 4096)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert rest.endswith(b"Stopped.\n")
    assert len(keyed.chats) == 1


@pytest.mark.parametrize(
    "settings", ["limits.wait = 0", "limits.wait = 300", "limits.wait = 600\ntimeouts.total = 300"]
)
def test_who_will_not_wait_is_not_told_so(byte: Any, keyed: Upstream, home: Path, settings: str) -> None:
    """What would take longer than a request waits at all is refused, and said to be."""
    limited = 'limits.requests = "10/hour, burst 1"'
    _set(home, f"{limited}\n{settings}")
    keyed.script(words())
    byte("-m", MODEL, "a")
    assert "It would be refused: The limit of 10 requests" in byte("--explain", "-m", MODEL, "a").stdout
    result = byte("--no-stream", "-m", MODEL, "b")
    assert result.exit_code == 13
    assert "waiting" not in result.stderr
