"""`set_budget`: one value of a settings file is changed, and every other byte stays as it was."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytedeck.claims import Budget, Limit, Rates
from bytedeck.config import edit, load, set_budget, set_per_model
from bytedeck.config.edit import changed
from bytedeck.config.files import replace
from bytedeck.errors import ConfigError

USD = 10**12


def said(text: str) -> dict[str, Any]:
    """What a text says: floats as texts, since NaN is not equal to itself; no `[budget]` as an empty one."""
    return {"budget": {}, **tomllib.loads(text, parse_float=str)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[budget]\ndaily = "5"\n'),
        ("\n", '\n[budget]\ndaily = "5"\n'),
        ("retries = 1", 'retries = 1\n\n[budget]\ndaily = "5"\n'),
        ("retries = 1\n\n", 'retries = 1\n\n[budget]\ndaily = "5"\n'),
        ("retries = 1\r\n", 'retries = 1\r\n\r\n[budget]\r\ndaily = "5"\r\n'),
        ("[budget]", '[budget]\ndaily = "5"'),
        ("[budget] # mine\n\n[tasks]\n", '[budget] # mine\ndaily = "5"\n\n[tasks]\n'),
        (
            "[budget]\n  weekly = 9 # w\n\n# next\n[tasks]\n",
            '[budget]\n  weekly = 9 # w\n  daily = "5"\n\n# next\n[tasks]\n',
        ),
        ("[budget]\r\nweekly = 9 # w\r\n", '[budget]\r\nweekly = 9 # w\r\ndaily = "5"\r\n'),
        ("[budget]\ndaily = 4   # four\n", '[budget]\ndaily = "5"   # four\n'),
        ("[ 'budget' ]\n\"daily\"='4'\r\n", '[ \'budget\' ]\n"daily"="5"\r\n'),
        ("budget.weekly = 9\n[tasks]\n", 'budget.weekly = 9\nbudget.daily = "5"\n[tasks]\n'),
        ("budget . daily = 4\n", 'budget . daily = "5"\n'),
        ("budget = {}\n", 'budget = { daily = "5" }\n'),
        ("budget = { weekly = 9 } # b\n", 'budget = { weekly = 9, daily = "5" } # b\n'),
        ("budget = {daily=[1,\n2], weekly=9}\n", 'budget = {daily="5", weekly=9}\n'),
        ("[a.budget]\ndaily = 4\n", '[a.budget]\ndaily = 4\n\n[budget]\ndaily = "5"\n'),
        ("[[a]]\nbudget.daily = 4\n", '[[a]]\nbudget.daily = 4\n\n[budget]\ndaily = "5"\n'),
        ("[budget.more]\nx = 1\n", '[budget.more]\nx = 1\n\n[budget]\ndaily = "5"\n'),
        (
            'x = """\n[budget]\ndaily = 4\n"""\n',
            'x = """\n[budget]\ndaily = 4\n"""\n\n[budget]\ndaily = "5"\n',
        ),
    ],
)
def test_a_value_goes_where_a_person_would_write_it(before: str, after: str) -> None:
    """In its table, below the other keys, however the table is written; else in a table at the end."""
    assert changed(before, "budget", "daily", '"5"') == after
    assert changed(after, "budget", "daily", '"5"') == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("[budget]\nweekly = 9\n", "[budget]\nweekly = 9\n"),
        ("budget = { weekly = 9 }\n", "budget = { weekly = 9 }\n"),
        ("# a\n[budget]\n# b\n  daily = 4 # four\n# c\n", "# a\n[budget]\n# b\n# c\n"),
        ("[budget]\r\ndaily = 4\r\nweekly = 9", "[budget]\r\nweekly = 9"),
        ("[budget]\nweekly = 9\ndaily = [\n4, # four\n]", "[budget]\nweekly = 9\n"),
        ("budget.daily = 4\nretries = 1\n", "retries = 1\n"),
        ("budget = { daily = 4 } # b\n", "budget = {} # b\n"),
        ("budget.daily = 4\r\n\r\n[tasks]\r\n", "[tasks]\r\n"),
        ("# a\nbudget.daily = 4\n\n[tasks]\n", "# a\n\n[tasks]\n"),
        ("budget = { daily = 4, weekly = 9 }\n", "budget = { weekly = 9 }\n"),
        ("budget = { weekly = 9, daily = 4 }\n", "budget = { weekly = 9 }\n"),
        ("budget = { weekly = 9, daily = 4, total = 1 }\n", "budget = { weekly = 9, total = 1 }\n"),
    ],
)
def test_a_value_is_removed_with_its_line(before: str, after: str) -> None:
    """And nothing else is; what is not there need not be removed."""
    assert changed(before, "budget", "daily", None) == after


# Any settings file

_VALUES = ("4", '"4"', "'4'", "0.5", "nan", "true", '"a # \\" b"', '""""4"""', "[1, # [budget]\n'2]',\n]", "{ daily = 1 }")  # fmt: skip
_DAILY = st.sampled_from([one for one in _VALUES if one[0] != "{"])
_NOTES = ("", "", "  ", "# [budget]", "# daily = 1", "\t# it's")
_FILLERS = (
    "retries",
    "'budget x'",
    '"bud\\u0067ets"',
    "daily",
    "x.budget.daily",
    "long.budget",
)  # all different, none of them in [budget]
_BODIES = (*_VALUES, '"""\n[budget]\ndaily = 9\n\\""" # """', "'''\nbudget.daily = 9\n'''", "{ budget = { daily = 1 }, a.b = [{}] }", "1979-05-27")  # fmt: skip


@st.composite
def keys(draw: st.DrawFn, names: tuple[str, ...], bodies: st.SearchStrategy[str]) -> list[str]:
    """Some of these keys with values, comments and blank lines between and behind them."""
    lines = []
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4)):
        lines += draw(st.lists(st.sampled_from(_NOTES), max_size=2))
        equals, indent = draw(st.sampled_from(("=", " = ", "\t=  "))), draw(st.sampled_from(("", "", "  ")))
        note = draw(st.sampled_from(("", " # it's ]", "\t#"))) if indent else ""
        lines.append(f"{indent}{name}{equals}{draw(bodies)}{note}")
    return lines


@st.composite
def budgets(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """`[budget]` in one of its spellings: lines before all tables, and tables."""
    own = ("weekly", "monthly", draw(st.sampled_from(("daily", "'daily'", '"d\\u0061ily"'))))
    lines = draw(keys(own, _DAILY))
    match draw(st.sampled_from(("none", "table", "dotted", "inline"))):
        case "table":
            head = draw(st.sampled_from(("[budget]", "[ 'budget' ] # b", '  ["budget"]')))
            more = draw(st.sampled_from(([], [["[budget.more]", "daily = 1"]], [["[[budget.many]]"]])))
            return [], [[head, *lines], *more]
        case "dotted":
            return [f"budget . {line.lstrip()}" if line.strip() and line.lstrip()[0] != "#" else line for line in lines], []  # fmt: skip
        case "inline":
            inside = [line.partition(" # it's")[0].removesuffix("\t#").strip() for line in lines]
            return [f"budget = {{{' , '.join(one for one in inside if one and one[0] != '#')}}} # b"], []
        case _:
            return [], draw(st.sampled_from(([], [["[budget.more]", "x = 1"]])))


@st.composite
def files(draw: st.DrawFn) -> str:
    """A settings file, valid as TOML."""
    bodies = st.sampled_from(_BODIES)
    top, tables = draw(budgets())
    head = draw(st.permutations([draw(keys(_FILLERS, bodies)), top]))
    tables += [
        [name, *draw(keys(_FILLERS, bodies))]
        for name in draw(
            st.lists(st.sampled_from(("[tasks.budget]", "[[many]]", "[a.'b.c']")), unique_by=str, max_size=2)
        )
    ]
    lines = [line for part in (*head, *draw(st.permutations(tables))) for line in part]
    newline = draw(st.sampled_from(("\n", "\r\n")))
    text = "\n".join(lines) + draw(st.sampled_from(("", "\n", "\n\n")))
    return text.replace("\n", newline)


def _kept(one: str, other: str) -> int:
    """How many signs two texts have in common at their beginnings and ends, each counted once."""
    front = _same(one, other)
    return front + _same(one[front:][::-1], other[front:][::-1])


def _same(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


@settings(max_examples=300, deadline=None)
@given(files(), st.sampled_from(('"5"', '"0.50 soft"', None)))
@example("", None)
def test_only_that_one_value_differs(text: str, value: str | None) -> None:
    """tomllib reads the same but for the one value; all bytes stay but those of the old value or its line."""
    before = said(text)
    new = changed(text, "budget", "daily", value)
    wanted = {**before, "budget": dict(before["budget"])}
    had = wanted["budget"].pop("daily", None)
    if value is not None:
        wanted["budget"]["daily"] = value.strip('"')
    assert said(new) == wanted
    if had is None:  # put in, and nothing taken out
        assert _kept(text, new) == len(text)
    elif value is None:  # taken out, and nothing put in
        assert _kept(text, new) == len(new)
    else:
        assert _kept(text, new) >= len(text) - max(len(one.replace("\n", "\r\n")) for one in _VALUES)
    assert changed(new, "budget", "daily", value) == new


# The file


def test_a_file_is_made_and_read_again(tmp_path: Path) -> None:
    """For its owner alone, in a folder of the owner's; what is written is what holds."""
    home = tmp_path / "a" / "home"
    file = home / "config.toml"
    assert set_budget(file, "daily", "5 soft")
    assert file.read_text() == '[budget]\ndaily = "5 soft"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert load({"BYTE_HOME": str(home)}).rules.budgets == (Budget("all", "", "day", 5 * USD, hard=False),)
    assert set_budget(file, "monthly", 20)
    assert set_budget(file, "daily", None)
    assert file.read_text() == '[budget]\nmonthly = "20"\n'
    assert os.listdir(home) == ["config.toml"]


def test_what_holds_already_is_not_written(tmp_path: Path) -> None:
    """The second time nothing is touched; nor is a file made in order to say that there is no budget."""
    file = tmp_path / "config.toml"
    assert not set_budget(file, "daily", "off")
    assert not file.exists()
    set_budget(file, "daily", "0.50")
    before = file.stat()
    assert not set_budget(file, "daily", "0.5")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_two_who_change_it_at_once_both_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes in between reading and writing waits; both budgets stand in the file."""
    file = tmp_path / "home" / "config.toml"
    inner, others = edit.changed, [Thread(target=set_budget, args=(file, "weekly", "7"))]

    def interrupted(*args: Any) -> str:
        if others:
            other = others.pop()
            other.start()
            other.join(0.3)  # ends in this time only where nobody is kept out
            started.append(other)
        return inner(*args)

    started: list[Thread] = []
    monkeypatch.setattr(edit, "changed", interrupted)
    assert set_budget(file, "daily", "5")
    started[0].join()
    assert tomllib.loads(file.read_text()) == {"budget": {"daily": "5", "weekly": "7"}}


def test_what_is_not_there_is_removed_without_a_trace(tmp_path: Path) -> None:
    """No folder is made for saying that there is no budget."""
    assert not set_budget(tmp_path / "home" / "config.toml", "daily", None)
    assert os.listdir(tmp_path) == []


def test_a_file_keeps_its_mode_its_mark_and_its_link(tmp_path: Path) -> None:
    """Settings are often a link into a folder of dot-files, and an editor on Windows marks them."""
    real = tmp_path / "dots" / "bytedeck.toml"
    real.parent.mkdir()
    real.write_bytes(b"\xef\xbb\xbf# mine\r\nretries = 3\r\n")
    real.chmod(0o644)
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    assert set_budget(link, "total", "100")
    assert link.is_symlink()
    assert real.read_bytes() == b'\xef\xbb\xbf# mine\r\nretries = 3\r\n\r\n[budget]\r\ntotal = "100"\r\n'
    assert stat.S_IMODE(real.stat().st_mode) == 0o644
    assert load({"BYTE_HOME": str(tmp_path)}).retries == 3


def test_what_the_rest_says_is_not_judged(tmp_path: Path) -> None:
    """A file with another mistake in it, or with a number that is not equal to itself, can still be changed."""
    file = tmp_path / "config.toml"
    file.write_text("retires = nan\n")
    assert set_budget(file, "weekly", 7)
    assert file.read_text() == 'retires = nan\n\n[budget]\nweekly = "7"\n'


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"retries = ", "line 1: not valid TOML"),
        (b"# \xff", "line 1: not valid UTF-8"),
        (b"\nbudget = 5", "line 2: `budget`: expected a table"),
        (b"[[budget]]", "line 1: `budget`: expected a table"),
        (b"[budget.daily]\nx = 1", "line 1: `budget.daily`: expected a value, not a table"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(tmp_path: Path, raw: bytes, says: str) -> None:
    """The error tells the place, and not a byte is changed."""
    file = tmp_path / "config.toml"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"config\.toml, ") as caught:
        set_budget(file, "daily", "5")
    assert says in str(caught.value)
    assert file.read_bytes() == raw


@pytest.mark.parametrize("amount", ["-5", "0", "5 USD", "1e3", 0.5, True, "", "1000001", '5"\nretries = "9'])
def test_what_is_no_budget_is_not_written(tmp_path: Path, amount: Any) -> None:
    """The error says what was expected; no file is made."""
    with pytest.raises(ConfigError, match="expected an amount in USD in quotes"):
        set_budget(tmp_path / "config.toml", "daily", amount)
    with pytest.raises(ConfigError, match="'yearly' is no budget; there are daily, weekly, monthly, total"):
        set_budget(tmp_path / "config.toml", "yearly", "5")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damaged", ["[budget", 'retries = 4\n[budget]\ndaily = "5"'])
def test_a_mistake_of_ours_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    """What was changed is read again before it is written: were anything else different, the file would stay."""
    file = tmp_path / "config.toml"
    file.write_text("retries = 3\n")
    monkeypatch.setattr(edit, "changed", lambda *_: damaged)
    with pytest.raises(ConfigError, match=r"please set `daily` in \[budget\] yourself"):
        set_budget(file, "daily", "5")
    assert file.read_text() == "retries = 3\n"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told, the settings are whole, and no scratch file stays behind."""
    file = tmp_path / "config.toml"
    file.write_text("retries = 3\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"config\.toml cannot be written: No space left on device"):
        set_budget(file, "daily", "5")
    assert file.read_text() == "retries = 3\n"
    assert os.listdir(tmp_path) == ["config.toml"]
    with pytest.raises(ConfigError, match="cannot be written"):
        set_budget(file / "below" / "config.toml", "daily", "5")


def test_a_limit_of_each_model_is_set_alike(tmp_path: Path) -> None:
    """`set_per_model` writes into [limits], beside what stands there, and removes it again."""
    file = tmp_path / "config.toml"
    file.write_text('[limits.models."a/*"]\nrequests = "1/day"  # mine\n')
    assert set_per_model(file, " 10/minute , burst 3".replace(" ,", ","))
    found = load({"BYTE_HOME": str(tmp_path)}).rules.models
    assert found[0] == ("*", Rates(requests=Limit(10, 60, 3)))
    assert not set_per_model(file, "10/minute,burst 3")
    assert set_per_model(file, "off")
    assert file.read_text() == '[limits.models."a/*"]\nrequests = "1/day"  # mine\n\n[limits]\n'


@pytest.mark.parametrize(
    "said", ["10", "0/minute", "10/fortnight", "10/minute, burst 0", "", '5/day"\nx = "']
)
def test_what_is_no_limit_is_not_written(tmp_path: Path, said: str) -> None:
    """It is told what one looks like, and no file is made."""
    with pytest.raises(ConfigError, match="10/minute"):
        set_per_model(tmp_path / "config.toml", said)
    assert list(tmp_path.iterdir()) == []


def test_a_second_limit_of_each_model_is_refused(tmp_path: Path) -> None:
    """Two would be a file that cannot be read: the one that is there is named."""
    file = tmp_path / "config.toml"
    file.write_text('[limits.models."*"]\nrequests = "5/minute"\n')
    with pytest.raises(ConfigError, match=r"line 2: `limits\.models\.\"\*\"\.requests`"):
        set_per_model(file, "10/minute")
    assert "10" not in file.read_text()
    assert not set_per_model(file, None)


def test_a_device_is_left_alone(tmp_path: Path) -> None:
    """Who names /dev/null as the settings gets an error, and keeps his /dev/null."""
    path = tmp_path / "null"
    os.mkfifo(path)
    with pytest.raises(OSError, match="no regular file"):
        replace(path, b"x")
    assert path.is_fifo()
    assert os.listdir(tmp_path) == ["null"]
