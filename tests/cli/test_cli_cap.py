"""A cap on a day's spend is offered once: to a person who saves a key, and to nobody else."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

KEY = "sk-or-v1-0123456789abcdef0123456789"
QUESTION = "Daily cap in USD"
HINT = "byte limits daily 5"


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at a terminal."""
    monkeypatch.setattr("bytedeck.cli.tell.is_terminal", lambda stream: True)


def _file(home: Path) -> str:
    file = home / "config.toml"
    return file.read_text() if file.exists() else ""


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("5", 'daily = "5"'), (" $2.50 ", 'daily = "2.5"'), ("3 soft", 'daily = "3 soft"'),
        ("", ""), ("none", ""), ("lots\n4", 'daily = "4"'), ("0\n", ""),
    ],
)  # fmt: skip
def test_a_person_is_asked_once(byte: Any, home: Path, typed: str, written: str) -> None:
    """What is typed becomes the daily budget, Enter becomes none, a slip is asked again; and never a second time."""
    result = byte("keys", "set", input=f"{KEY}\n{typed}\n")
    assert result.exit_code == 0
    assert QUESTION in result.stderr
    assert ("It has to be USD above 0" in result.stderr) == ("\n" in typed)
    assert _file(home) == (f"[budget]\n{written}\n" if written else "")
    assert ("a day. " in result.stdout) == bool(written)
    assert ("A warning at 80 %" in result.stdout) == ("soft" in written)
    (home / "config.toml").unlink(missing_ok=True)
    again = byte("keys", "set", input=f"{KEY}\n")
    assert again.exit_code == 0
    assert QUESTION not in again.stderr


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(
    ("variable", "settings"),
    [
        ("5", ""),
        ("off", ""),
        (None, 'budget.weekly = "9"'),
        (None, '[tasks.coding]\nbudget.total = "9 soft"'),
    ],
)
def test_who_has_spoken_is_not_asked(
    byte: Any, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, settings: str
) -> None:
    """A budget of any kind, or a "no" in the environment, is an answer."""
    home.mkdir()
    (home / "config.toml").write_text(settings)
    if variable is not None:
        monkeypatch.setenv("BYTE_DAILY_BUDGET", variable)
    result = byte("keys", "set", input=f"{KEY}\n")
    assert result.exit_code == 0
    assert QUESTION not in result.stderr
    assert HINT not in result.stderr


def test_a_script_is_never_asked(byte: Any, home: Path) -> None:
    """It gets one line, once, beside the answer; stdout is as ever."""
    first = byte("keys", "set", input=f"{KEY}\n")
    assert first.stdout == f"Saved the key …6789 in {home / 'keys.toml'}\n"
    assert first.stderr.count(HINT) == 1
    assert HINT not in byte("keys", "set", input=f"{KEY}\n").stderr
    assert _file(home) == ""


def test_ctrl_c_leaves_the_key_saved(spawn: Any, home: Path) -> None:
    """Who leaves at the question has saved the key, set no cap, and is not asked again."""
    ours, theirs = pty.openpty()
    process = spawn("keys", "set", stdin=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    _until(ours, b"OpenRouter key")
    os.write(ours, f"{KEY}\n".encode())
    _until(ours, QUESTION.encode())
    _interrupt(process)
    out, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 130
    assert b"Saved the key" in out
    assert KEY in (home / "keys.toml").read_text()
    assert _file(home) == ""
    again = spawn("keys", "set", stdin=subprocess.PIPE)
    _, told = again.communicate(f"{KEY}\n".encode(), timeout=20)
    assert HINT.encode() not in told


def _interrupt(process: Any) -> None:
    """As often as it takes: between its question and its reading of the answer Python does not hear it."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return
    raise AssertionError("it does not hear Ctrl-C")


def _until(terminal: int, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        assert select.select([terminal], [], [], 20)[0], seen
        seen += os.read(terminal, 4096)


@pytest.mark.usefixtures("person")
def test_who_has_a_key_in_the_environment_is_told(byte: Any, home: Path, keyed: Any) -> None:
    """The first answer that costs something ends with the line that caps a day; the second one does not."""
    model = ("-m", "openai/gpt-4o-mini", "--no-stream")
    assert HINT in byte(*model, "hi").stderr
    assert HINT not in byte(*model, "hi").stderr


@pytest.mark.parametrize("settings", ["", '[budget]\ndaily = "5"\n'])
def test_who_is_no_person_or_has_a_budget_is_told_nothing(
    byte: Any, home: Path, keyed: Any, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script reads no advice behind its answer, and who has a cap needs none."""
    if settings:
        monkeypatch.setattr("bytedeck.cli.tell.is_terminal", lambda stream: True)
        home.mkdir()
        (home / "config.toml").write_text(settings)
    assert HINT not in byte("-m", "openai/gpt-4o-mini", "--no-stream", "hi").stderr
    assert not (home / ".cap-offered").exists()
