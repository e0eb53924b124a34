"""The question's words: those of the command line, and what is piped in."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Any

from ..errors import InvalidRequest
from . import tell

# After this the user is told what we wait for: a pipe that nobody ever closes looks like a hang.
_PATIENCE = 3.0
# No model reads more; and who pipes in an endless stream wants to be told, not to fill the memory.
MOST = 64 << 20


def is_fed(stdin: Any) -> bool:
    """Whether something is piped in: a pipe, a socket or a file, but no terminal and no /dev/null."""
    if stdin is None or stdin.closed:
        return False
    try:
        mode = os.fstat(stdin.fileno()).st_mode
    except (OSError, ValueError):  # no real file: a stream that a test has put there
        return not stdin.isatty()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def piped() -> bytes:
    """All that is piped in; nothing where nothing is."""
    if not is_fed(sys.stdin):
        return b""
    try:
        waiting = not select.select([sys.stdin], [], [], _PATIENCE)[0]
    except (OSError, ValueError):
        waiting = False
    if waiting:
        tell.note("waiting for the end of the standard input. Without one: byte … < /dev/null")
    try:
        fed = sys.stdin.buffer.read(MOST + 1)
    except OSError as exc:  # a folder, a terminal that is gone
        tell.warn(f"The standard input cannot be read: {exc.strerror or exc}.")
        return b""
    if len(fed) > MOST:
        raise InvalidRequest(f"The standard input is larger than {MOST // 2**20} MB.")
    return fed


def decoded(data: bytes, what: str) -> str:
    """UTF-8 as text; what is none is replaced, and told."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        tell.warn(
            f"{what} is not valid UTF-8 (first at byte {exc.start:,}); what could not be read became �."
        )
        return data.decode("utf-8-sig", "replace")


def joined(words: tuple[str, ...], fed: bytes) -> str:
    """The whole question: what is piped in, an empty line, the words of the command line."""
    typed = " ".join(words)
    if not typed.isascii():
        # Python keeps bytes of the command line that are no UTF-8 as lone surrogates.
        typed = decoded(os.fsencode(typed), "The command line")
    text = decoded(fed, "The standard input").rstrip("\n")
    return f"{text}\n\n{typed}" if text.strip() and typed.strip() else (typed if typed.strip() else text)
