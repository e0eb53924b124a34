"""Which process an attempt belongs to, and whether that process still lives.

A process is its id and the moment of its start: ids are used again, the pair is not.
"""

from __future__ import annotations

import os
import secrets

_made: dict[int, str] = {}


def this_owner() -> str:
    """This process as `<pid>-<start token>`. Another one after a fork."""
    pid = os.getpid()
    if pid not in _made:
        _made.clear()
        _made[pid] = f"{pid}-{_start_token(pid) or 'r' + secrets.token_hex(6)}"
    return _made[pid]


def lives(owner: str) -> bool:
    """Whether the process may still be running; where the system does not tell, that it exists."""
    if owner == this_owner():
        return True
    pid, _, token = owner.partition("-")
    if not pid.isdecimal() or int(pid) == os.getpid() or not _exists(int(pid)):
        return False
    now = _start_token(int(pid))
    return now is None or token.startswith("r") or now == token


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _start_token(pid: int) -> str | None:
    """The process's start in clock ticks since boot; None where there is no such file."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything; the start is the 22nd.
    return stat.rpartition(b")")[2].split()[19].decode()
