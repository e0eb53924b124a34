"""The child of `SimulatorProcess`: settings as JSON on stdin's first line, the URL on stdout, the end with stdin's end."""

from __future__ import annotations

import os
import signal
import sys
import threading

import msgspec

from .errors import SimulatorError
from .settings import Settings


def main() -> int:
    """Exit code 0, or 2 where the settings cannot be meant."""
    from .server import serve
    from .world import DEFAULT_KEY

    def announce(url: str) -> None:
        _say({"url": url, "api_key": DEFAULT_KEY})
        threading.Thread(target=_end_with_stdin, daemon=True).start()

    try:
        settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
        serve(settings, announce)
    except (SimulatorError, msgspec.MsgspecError) as exc:
        _say({"error": str(exc)})
        return 2
    return 0


def _say(told: dict[str, str]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_stdin() -> None:
    # The raw descriptor: a thread inside a buffered read would hold up the interpreter's end.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    # Ctrl-C in a terminal goes to the whole group; this one is the child's own way to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
