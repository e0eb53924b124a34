"""How a command ends: each failure as sentences on stderr and an exit code, never as a traceback.

The codes of our own errors stand in `errors.TABLE`, the others in `codes`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

import click

from . import tell
from .codes import EXIT_BUG, EXIT_CLOSED_PIPE, EXIT_INTERRUPTED, EXIT_OUTPUT

# What click's own words meet where stdout takes nothing; what we say ourselves goes through `tell`.
_OF_OUTPUT = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EBADF)


@contextlib.contextmanager
def exits() -> Iterator[None]:
    """Within it a command may raise anything."""
    try:
        yield
    except (click.exceptions.Exit, click.ClickException):
        raise  # click's own ways to end
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _silence()
        sys.exit(EXIT_CLOSED_PIPE)
    except tell.OutputFailed as failed:
        _silence()
        tell.say(f"Error: The output cannot be written: {failed}.")
        sys.exit(EXIT_OUTPUT)
    except OSError as exc:
        if exc.errno not in _OF_OUTPUT:
            sys.exit(_told(exc))
        _silence()
        tell.say(f"Error: The output cannot be written: {exc.strerror}.")
        sys.exit(EXIT_OUTPUT)
    except Exception as exc:  # noqa: BLE001 (the last stop before the user: he gets a sentence, not a traceback)
        sys.exit(_told(exc))


def _told(exc: Exception) -> int:
    """Tell of an error, ours or a bug, and return its exit code."""
    from ..errors import ByteError

    if isinstance(exc, ByteError):
        tell.failure(exc)
        return exc.exit_code
    _tell_bug(exc)
    return EXIT_BUG


def _tell_bug(exc: Exception) -> None:
    # Not its message: nobody knows what it holds.
    trace, place = exc.__traceback__, ""
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    tell.say(f"Error: Something went wrong inside Bytedeck. This is a bug ({type(exc).__name__}, {place}).")
    if is_debugging():
        import traceback

        tell.say(_without_keys("".join(traceback.format_exception(exc))))
    else:
        tell.say("  → For the traceback: byte --debug …, or BYTE_DEBUG=1")


def is_debugging() -> bool:
    """Whether the user wants to see tracebacks."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get("debug")) or os.environ.get("BYTE_DEBUG", "0") not in ("", "0")


def _without_keys(text: str) -> str:
    from ..config import load
    from ..config.names import without_keys
    from ..errors import ByteError

    with contextlib.suppress(ByteError):
        key = load().api_key
        if key:
            text = text.replace(key.reveal(), str(key))
    return without_keys(text)


def _silence() -> None:
    """Let the interpreter's last flush of stdout go nowhere, so that it does not complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
