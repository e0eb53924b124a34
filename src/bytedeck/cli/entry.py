"""The console script: what has to hold before anything is imported, and after everything was said.

Ctrl-C while Python still imports, a SIGTERM in mid-answer, a stdout that takes nothing: none of them is a traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from .codes import EXIT_INTERRUPTED, EXIT_OUTPUT, EXIT_TERMINATED


def main() -> None:
    """`byte`."""
    try:
        # Whoever ends us politely ends the answer as Ctrl-C does: the upstream is closed, the attempt settled.
        signal.signal(signal.SIGTERM, _terminated)
        from .main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    finally:
        _flush()


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_TERMINATED)


def _flush() -> None:
    """Say the last words now: what fails when the interpreter ends is a traceback and exit code 120."""
    failed = False
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            failed = failed or stream is sys.stdout
            with contextlib.suppress(OSError, ValueError):
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, stream.fileno())
                os.close(devnull)
    if failed and sys.exc_info()[1] is None:
        sys.exit(EXIT_OUTPUT)
