"""The edges of the command's life: a stdout that takes nothing, a SIGTERM, a damaged key file, an endless stdin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from answers import Hang, words
from bytedeck.cli import prompt
from upstream import Upstream

BYTE = [sys.executable, "-c", "from bytedeck.cli.entry import main; main()"]


@pytest.mark.parametrize("words_", [["--help"], ["--version"], ["ask", "--help"], ["tasks"], []])
def test_a_full_stdout_is_told(words_: list[str]) -> None:
    """What cannot be said is an exit code and a sentence, never a traceback."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*BYTE, *words_], stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False
        )
    assert done.returncode == 9
    assert b"Traceback" not in done.stderr
    assert b"cannot be written" in done.stderr


def test_a_full_stderr_changes_nothing() -> None:
    """Whether anybody hears the rest must not change what happens."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*BYTE, "tasks"], stdout=subprocess.PIPE, stderr=full, stdin=subprocess.DEVNULL, check=False
        )
    assert done.returncode == 0
    assert b"coding" in done.stdout


def test_sigterm_settles(upstream: Upstream, tmp_path: Path) -> None:
    """Who is ended politely closes the upstream and settles, as with Ctrl-C."""
    upstream.script(words("one two").cut(700, Hang()))
    env = os.environ | {"OPENROUTER_API_KEY": "sk-or-v1-x", "OPENROUTER_BASE_URL": upstream.url}
    command = [*BYTE, "-m", "openai/gpt-4o-mini", "hi"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env
    ) as byte:
        assert byte.stdout is not None
        byte.stdout.read(3)
        byte.send_signal(signal.SIGTERM)
        _, told = byte.communicate(timeout=10)
    assert byte.returncode == 143
    assert b"Traceback" not in told
    assert upstream.wait_closed(1)
    verify = subprocess.run([*BYTE, "ledger", "verify"], capture_output=True, text=True, env=env, check=True)
    assert "orphaned             0" in verify.stdout


@pytest.mark.parametrize("command", [["set"], ["remove"]])
def test_a_damaged_key_file_does_not_lock_out_its_cure(command: list[str]) -> None:
    """`byte keys set` and `remove` work on a file that cannot be read."""
    home = Path(os.environ["BYTE_HOME"])
    home.mkdir(parents=True)
    (home / "keys.toml").write_text("broken")
    done = subprocess.run(
        [*BYTE, "keys", *command], input="sk-or-v1-" + "a" * 40, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_endless_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any model reads is told, not gathered."""
    monkeypatch.setattr(prompt, "MOST", 1000)
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        monkeypatch.setattr(sys, "stdin", os.fdopen(os.dup(yes.stdout.fileno())))  # type: ignore[union-attr]
        try:
            with pytest.raises(Exception, match="larger than"):
                prompt.piped()
        finally:
            sys.stdin.close()
            yes.kill()
