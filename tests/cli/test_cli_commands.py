"""The commands that ask nobody anything."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from bytedeck.config import load, save_key
from bytedeck.io.local import Local
from canary import CANARY, assert_no_canary
from upstream import MODEL, Upstream, error, nobody, whole, words


def test_tasks_are_listed(byte) -> None:
    """Every task with its first model's display name; as JSON with ids too."""
    result = byte("tasks")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in load().tasks)
    assert "Claude Sonnet (latest)" in result.stdout
    told = json.loads(byte("tasks", "--json").stdout)
    assert [one["name"] for one in told] == list(load().tasks)
    first = told[0]["models"][0]
    assert first == {"model": "~google/gemini-pro-latest", "model_name": "Gemini Pro (latest)"}


@pytest.mark.parametrize("name", ["multi_agent", "multiAgent", "Multi-Agent"])
def test_a_task_is_shown_whole(byte, name: str) -> None:
    """By any of its names: prompt, parameters, models with display names, in words and as JSON."""
    task = load().tasks["multi_agent"]
    result = byte("tasks", "show", name)
    assert result.exit_code == 0
    for expected in ("Claude Opus (latest)", "~anthropic/claude-opus-latest", "4096", "0.7", task.label):
        assert expected in result.stdout
    assert task.system.splitlines()[0] in result.stdout
    told = json.loads(byte("tasks", "show", name, "--json").stdout)
    assert (told["name"], told["system"]) == ("multi_agent", task.system)
    assert told["parameters"] == {"max_tokens": 4096, "temperature": 0.7}
    assert told["light"]["model"] == "~anthropic/claude-sonnet-latest"


def test_an_unknown_task_has_its_nearest_names(byte) -> None:
    """As everywhere else."""
    result = byte("tasks", "show", "codng")
    assert result.exit_code == 6
    assert "coding" in result.stderr


def test_usage_is_drawn(byte, keyed: Upstream) -> None:
    """What was asked stands there by task, model, key or day, with bars, a total, and as JSON."""
    keyed.script(words("one two"), error(400), words("three"))
    byte("-m", MODEL, "a")
    byte("-m", MODEL, "b")
    byte("-t", "coding", "c")
    drawn = byte("usage", "--by", "model").stdout
    assert MODEL in drawn
    assert "█" in drawn
    assert "$0.000084" in drawn.splitlines()[-1]
    assert [line.split()[0] for line in byte("usage").stdout.splitlines()[2:]] == [
        "(none)",
        "coding",
        "total",
    ]
    told = json.loads(byte("usage", "--json", "--since", "1h").stdout)
    assert told["total"]["cost"] == "0.000084"
    assert (told["total"]["attempts"], told["total"]["requests"]) == (3, 3)
    assert json.loads(byte("usage", "--json", "--by", "day").stdout)["by"] == "day"


def test_usage_before_anything_was_asked(byte, home: Path) -> None:
    """No ledger yet: nothing was asked, and no file is made for saying so."""
    result = byte("usage")
    assert (result.exit_code, result.stdout) == (0, "Nothing was asked so far.\n")
    assert not (home / "ledger.db").exists()


@pytest.mark.parametrize("args", [["--since", "soon"], ["--by", "colour"]])
def test_usage_asked_wrongly(byte, args: list[str]) -> None:
    """The possible words are told."""
    result = byte("usage", *args)
    assert result.exit_code == 2
    assert "7d" in result.stderr or "model" in result.stderr


def test_the_ledger_is_verified(byte, keyed: Upstream, home: Path) -> None:
    """0 where all is well, also while costs are awaited; those are counted."""
    keyed.script(words(), words("one", usage=None))
    byte("-m", MODEL, "a")
    byte("-m", MODEL, "--no-save", "b")
    result = byte("ledger", "verify")
    assert result.exit_code == 0
    assert "All is well." in result.stdout
    told = json.loads(byte("ledger", "verify", "--json").stdout)
    assert told["ok"] is True
    assert (told["attempts"], told["problems"]) == (2, [])
    assert told["cost"] == "0.000042"
    assert told["awaiting"] == 1
    assert "not known (yet): 1 attempt." in byte("usage").stdout


def test_a_key_comes_and_goes(byte, home: Path) -> None:
    """Set from a pipe, shown by its last four characters alone, kept 0600, removed."""
    key = "sk-or-v1-0123456789abcdef0123456789"
    result = byte("keys", "set", input=f"  {key}\n")
    assert result.exit_code == 0, result.stderr
    assert "…6789" in result.stdout
    assert stat.S_IMODE((home / "keys.toml").stat().st_mode) == 0o600
    shown = byte("keys", "status")
    assert "…6789 from " in shown.stdout
    for one in (result, shown, byte("config")):
        assert "456789" not in one.output
    assert load().api_key.reveal() == key
    assert "Removed" in byte("keys", "remove").stdout
    assert load().api_key is None
    assert "no saved key" in byte("keys", "remove").stdout
    assert "There is no key." in byte("keys", "status").stdout


@pytest.mark.parametrize("given", ["", "  \n", "two words here", "k\u0142ucz"])
def test_what_is_no_key_is_not_saved(byte, home: Path, given: str) -> None:
    """Empty, or with signs that no key has: a sentence that does not repeat it, and no file."""
    result = byte("keys", "set", input=given.encode())
    assert result.exit_code == 5
    assert not (home / "keys.toml").exists()
    assert not given.strip() or given.strip() not in result.stderr


def test_a_key_of_the_environment_wins_and_that_is_told(byte, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves a key beside one of the environment is told which one is used."""
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    assert "OPENROUTER_API_KEY" in byte("keys", "set", input="sk-or-v1-another-key-entirely").stderr
    assert "OPENROUTER_API_KEY" in byte("keys", "remove").stderr


def test_a_key_can_be_checked(byte, keyed: Upstream, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check asks OpenRouter with that very key; one that is refused is not saved."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    account = {"label": "mine", "limit": 10, "limit_remaining": 7.25, "usage": 2.75, "is_free_tier": False}
    keyed.on("/key", whole({"data": account}), error(401, message="No auth credentials found"))
    result = byte("keys", "set", "--check", input=CANARY)
    assert result.exit_code == 0, result.stderr
    assert "takes the key" in result.stdout
    assert "$7.25" in result.stdout
    assert keyed.requests[-1].headers["authorization"] == f"Bearer {CANARY}"
    byte("keys", "remove")
    refused = byte("keys", "set", "--check", input=CANARY)
    assert refused.exit_code == 10
    assert "Invalid API key" in refused.stderr
    assert not (home / "keys.toml").exists()


def test_nothing_is_asked_about_a_key_without_check(byte, keyed: Upstream) -> None:
    """Saving and looking stay on this machine."""
    byte("keys", "set", input=CANARY)
    byte("keys", "status")
    assert keyed.requests == []


def test_checking_where_nobody_listens(byte, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that fails is told as such, and the key is not saved."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", nobody())
    assert byte("keys", "set", "--check", input=CANARY).exit_code == 23
    assert not (home / "keys.toml").exists()


def test_a_person_types_the_key_unseen(spawn, home: Path) -> None:
    """On a terminal the key is asked for and not echoed."""
    ours, theirs = pty.openpty()
    process = spawn("keys", "set", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    start_new_session=True)  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"OpenRouter key" not in seen:
        data = os.read(process.stdout.fileno(), 4096)
        assert data, seen
        seen += data
    os.write(ours, CANARY.encode() + b"\n")
    rest, _ = process.communicate(timeout=10)
    os.set_blocking(ours, False)
    try:
        echoed = os.read(ours, 4096)
    except (BlockingIOError, OSError):
        echoed = b""
    os.close(ours)
    assert process.returncode == 0
    assert_no_canary(seen, rest, echoed)
    assert CANARY in (home / "keys.toml").read_text()


def test_every_setting_is_shown(byte, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting with value and source; the key is stars."""
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    home.mkdir()
    (home / "config.toml").write_text('retries = 4\n[tasks.poetry]\nmodels = ["sonnet"]\nsystem = "Rhyme."\n')
    shown = byte("config").stdout
    assert "********" in shown
    assert "config.toml, line 1" in shown
    assert "tasks.poetry" in shown
    told = {one["name"]: one for one in json.loads(byte("config", "--json").stdout)}
    assert told["retries"]["value"] == "4"
    assert told["OPENROUTER_API_KEY"] == {
        "name": "OPENROUTER_API_KEY", "value": "********", "source": "OPENROUTER_API_KEY",
    }  # fmt: skip
    assert byte("config", "path").stdout == f"{home / 'config.toml'}\n"


def test_the_local_model_is_not_fetched_unasked(byte, home: Path) -> None:
    """Nobody there to ask, and no --yes: nothing is fetched, and how to say yes is told."""
    result = byte("local", "install")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "93 MB" in result.stderr
    assert not home.exists()


def test_who_says_no_gets_nothing(byte, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the question counts."""
    monkeypatch.setattr("bytedeck.cli.tell.is_terminal", lambda stream: True)
    result = byte("local", "install", input="n\n")
    assert result.exit_code == 1
    assert str(home) in result.stderr
    assert not home.exists()


def test_install_says_where(byte, monkeypatch: pytest.MonkeyPatch) -> None:
    """--yes asks nothing; each step is told on stderr."""
    monkeypatch.setattr(Local, "install", lambda self, say: say("Fetching …"))
    result = byte("local", "install", "--yes")
    assert result.exit_code == 0
    assert "Fetching …" in result.stderr


def test_the_local_model_where_it_is_not(byte, home: Path) -> None:
    """Status and removal before any installation."""
    assert "byte local install" in byte("local", "status").stderr
    told = json.loads(byte("local", "status", "--json").stdout)
    assert (told["installed"], told["ready"], told["bytes"]) == (False, False, 0)
    assert told["path"].startswith(str(home))
    assert byte("local", "remove").stdout == "It is not installed.\n"


def test_models_are_listed(byte, keyed: Upstream) -> None:
    """The catalogue with prices per million; fetched when it is not there, then kept."""
    result = byte("models")
    assert result.exit_code == 0, result.stderr
    assert "Fetching the catalogue" in result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(MODEL)]
    assert line.split()[-3:] == ["128,000", "0.15", "0.6"]
    assert "free" in result.stdout
    assert "varies" in result.stdout
    asked = len(keyed.requests)
    told = json.loads(byte("models", "--json", "SONNET", "latest").stdout)
    assert [one["model"] for one in told] == ["~anthropic/claude-sonnet-latest"]
    assert (told[0]["prompt_per_million"], told[0]["completion_per_million"]) == ("3", "15")
    assert "No model holds these words" in byte("models", "nonsense").stderr
    assert len(keyed.requests) == asked
    byte("models", "--refresh")
    assert len(keyed.requests) > asked


def test_models_where_nobody_listens(byte, monkeypatch: pytest.MonkeyPatch) -> None:
    """No catalogue and no network: a sentence, and what to do."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", nobody())
    result = byte("models")
    assert result.exit_code == 23
    assert "byte models --refresh" in result.stderr


def test_what_only_looks_needs_no_home_that_can_be_written(
    byte, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home below a file: what reads still answers, what writes says why it cannot."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BYTE_HOME", str(tmp_path / "file" / "home"))
    for args in (["tasks"], ["config"], ["keys", "status"], ["local", "status"]):
        assert byte(*args).exit_code == 0, args
    refused = byte("keys", "set", input=CANARY)
    assert refused.exit_code == 5
    assert "cannot be written" in refused.stderr


def test_a_saved_key_is_used(byte, keyed: Upstream, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `keys set` saved is what goes on the wire."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    save_key(home, CANARY)
    assert byte("-m", MODEL, "hi").exit_code == 0
    assert keyed.chats[0].headers["authorization"] == f"Bearer {CANARY}"
