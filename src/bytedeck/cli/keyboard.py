"""The keyboard while something is drawn live: keys pressed meanwhile are neither shown, which would tear the picture
apart, nor taken for the answer to a question that comes later."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

try:
    import termios
except ImportError:  # not on Windows, where keys are not echoed while nobody reads
    termios = None  # type: ignore[assignment]


def hush() -> Callable[[], None]:
    """Do not show what is typed (`^C` neither), until the function that it returns is called. Ctrl-C still works."""
    fd = _terminal()
    if fd is None:
        return _nothing
    before = termios.tcgetattr(fd)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(fd, termios.TCSADRAIN, quiet)
    return lambda: termios.tcsetattr(fd, termios.TCSADRAIN, before) if _terminal() == fd else None


def forget() -> None:
    """What was typed so far is no answer to what is asked next."""
    fd = _terminal()
    if fd is not None:
        termios.tcflush(fd, termios.TCIFLUSH)


def _terminal() -> int | None:
    """That of stdin, where this process may set it: one in the background would be stopped for it (SIGTTOU)."""
    if termios is None or sys.stdin is None:
        return None
    try:
        fd = sys.stdin.fileno()
        if not os.isatty(fd):
            return None
    except (OSError, ValueError):  # closed, or replaced by something that is no file
        return None
    try:
        return fd if os.tcgetpgrp(fd) == os.getpgrp() else None
    except OSError:  # a terminal that controls nobody stops nobody
        return fd


def _nothing() -> None:
    """There is nothing to put back."""
