"""Which process an attempt belongs to, and whether that process still lives.

A process is its id, the moment of its start and the place where ids are counted: ids are used again, and
another container or machine that writes to the same file counts its own. The three together are used once.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from hashlib import sha256
from typing import Literal

from .clock import steady, wall

LEASE = 86_400_000_000
"""Microseconds after which an attempt of a process that cannot be looked at counts as dead. No request takes a day."""

Standing = Literal["lives", "dead", "hidden"]
"""`hidden`: it runs, or ran, where we cannot look."""

_made: dict[int, str] = {}


def this_owner() -> str:
    """This process as `<pid>-<start token>-<place>`. Another one after a fork."""
    pid = os.getpid()
    if pid not in _made:
        _made.clear()
        token = _start_token(pid) or "r" + secrets.token_hex(6)
        _made[pid] = f"{pid}-{token}-{_place()}"
    return _made[pid]


def lives(owner: str) -> bool:
    """Whether the process may still be running."""
    return standing(owner) != "dead"


def is_gone(owner: str, begun: int, now: int) -> bool:
    """Whether nobody will settle an attempt of this process any more. Moments are microseconds since 1970."""
    found = standing(owner)
    return found == "dead" or (found == "hidden" and now - begun >= LEASE)


def standing(owner: str) -> Standing:
    """How the process is doing. One that is only paused lives."""
    if owner == this_owner():
        return "lives"
    pid, _, rest = owner.partition("-")
    token, _, place = rest.partition("-")
    if not pid.isdecimal():
        return "dead"
    if place and place != _place():
        return "hidden"
    if int(pid) == os.getpid() or not _exists(int(pid)):
        return "dead"
    now = _start_token(int(pid))
    if now is None or token.startswith("r"):  # the system does not tell when it was started
        return "hidden"
    return "lives" if now == token else "dead"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _start_token(pid: int) -> str | None:
    """The process's start in clock ticks since boot; "" of one that has ended and that its parent has not buried
    yet; None where there is no such file."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything; the start is the 22nd.
    fields = stat.rpartition(b")")[2].split()
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _place() -> str:
    """Where process ids are counted: the boot of a kernel, and the namespace of its process ids."""
    try:
        where = f"{_boot_id()} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        where = os.uname().nodename
    return sha256(where.encode()).hexdigest()[:8]


@cache
def boot() -> str:
    """Which run of this machine it is: another one after each start. Where the system does not tell, to the minute
    when it was started."""
    try:
        return _boot_id()
    except OSError:
        return str((wall() - steady()) // 60_000_000)


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
