"""Which process an attempt belongs to, and whether that process still lives.

A process is its id, the moment of its start and the place where ids are counted: ids are used again, after a
reboot all of them, and another container counts its own. All together are used once. Processes of two kernels
cannot share a SQLite file with a log (WAL), so one of another boot is dead.
"""

from __future__ import annotations

import os
import secrets
import time
from functools import cache
from hashlib import sha256
from typing import Literal

from .clock import steady, wall

LEASE = 86_400_000_000
"""Microseconds after which an attempt of a process that cannot be looked at, and that never gave a sign of life,
counts as dead. No request takes a day."""
BEAT = 30_000_000
"""Microseconds between two signs of life of a process that has attempts open."""
SILENCE = 300_000_000
"""Microseconds without one after which a process that cannot be looked at counts as dead."""

Standing = Literal["lives", "dead", "hidden"]
"""`hidden`: it runs, or ran, where we cannot look."""

_made: dict[int, tuple[str, str]] = {}


def this_owner() -> str:
    """This process as `<pid>-<start token>-<boot>-<place>`, without the boot where the system does not tell it.
    Another one after a fork."""
    return _own()[0]


def _own() -> tuple[str, str]:
    """This process, and where it is, as before boot and place were told apart."""
    pid = os.getpid()
    if pid not in _made:
        _made.clear()
        token = _start_token(pid) or "r" + secrets.token_hex(6)
        old, new = _places()
        _made[pid] = f"{pid}-{token}-{new or old}", old
    return _made[pid]


def pulse() -> int:
    """Microseconds by the clock of the signs of life: one for all processes of this boot. Nobody can set it, and it
    stands still while the machine sleeps and nobody can give a sign."""
    return time.monotonic_ns() // 1000


def lives(owner: str) -> bool:
    """Whether the process may still be running."""
    return standing(owner) != "dead"


def is_gone(owner: str, begun: int, now: int, silent: int | None = None) -> bool:
    """Whether nobody will settle an attempt of this process any more.

    `begun`, `now`: microseconds since 1970; `silent`: microseconds since its last sign of life, None: it gave none.
    """
    found = standing(owner)
    if found != "hidden":
        return found == "dead"
    return now - begun >= LEASE if silent is None else silent >= SILENCE


def standing(owner: str) -> Standing:
    """How the process is doing. One that is only paused lives."""
    mine, old = _own()
    if owner == mine:
        return "lives"
    pid, _, rest = owner.partition("-")
    token, _, place = rest.partition("-")
    if not pid.isdecimal():
        return "dead"
    ours = mine.split("-", 2)[2]
    if "-" in place and "-" in ours and place.partition("-")[0] != ours.partition("-")[0]:
        return "dead"  # before the machine was last started
    if place and place not in (ours, old):
        return "hidden"
    return _standing(int(pid), token)


def _standing(pid: int, token: str) -> Standing:
    """A process whose ids are counted as ours are."""
    if pid == os.getpid() or not _exists(pid):
        return "dead"
    now = _start_token(pid)
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


def _places() -> tuple[str, str]:
    """Where process ids are counted, as one word and as `<boot>-<namespace of process ids>`; the latter "" where the
    system does not tell."""
    try:
        boot_id, space = _boot_id(), str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return _short(os.uname().nodename), ""
    return _short(f"{boot_id} {space}"), f"{_short(boot_id)}-{_short(space)}"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


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
