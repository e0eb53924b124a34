"""The keyboard while a match is drawn live."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
from collections.abc import Iterator

import pytest

from bytedeck.cli import keyboard, tell


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Stdin is a pseudo-terminal: where a person types, and where the program reads."""
    ours, theirs = pty.openpty()
    with open(theirs, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours, theirs
    os.close(ours)


def echoes(fd: int) -> bool:
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


def test_keys_are_not_shown_meanwhile(keys: tuple[int, int]) -> None:
    """No echo until it is put back; the rest of the terminal stays as it was, so Ctrl-C works."""
    before = termios.tcgetattr(keys[1])
    back = keyboard.hush()
    assert not echoes(keys[1])
    assert termios.tcgetattr(keys[1])[3] & termios.ISIG
    back()
    assert termios.tcgetattr(keys[1]) == before


def test_what_was_typed_is_forgotten(keys: tuple[int, int]) -> None:
    """Only what is typed afterwards is read."""
    os.write(keys[0], b"too early\n")
    keyboard.forget()
    os.write(keys[0], b"in time\n")
    assert os.read(keys[1], 100) == b"in time\n"


@pytest.mark.parametrize("stdin", [None, io.StringIO("x"), io.TextIOWrapper(io.BytesIO())])
def test_without_a_keyboard(monkeypatch: pytest.MonkeyPatch, stdin: object) -> None:
    """Nothing is to be done, and nothing fails."""
    monkeypatch.setattr(sys, "stdin", stdin)
    keyboard.hush()()
    keyboard.forget()


def test_in_the_background(keys: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is not in front leaves the terminal alone: to set it would stop the process."""
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    keyboard.hush()
    assert echoes(keys[1])


@pytest.mark.parametrize(("term", "is_styled"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_knows_no_styles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], term: str, is_styled: bool
) -> None:
    """TERM=dumb gets no escape codes, as NO_COLOR does."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(tell, "is_terminal", lambda _: True)
    tell.say("Hello", dim=True)
    assert ("\x1b" in capsys.readouterr().err) == is_styled
