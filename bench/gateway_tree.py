"""What a process and all its children have used: CPU to the nanosecond, and memory. Read from Linux."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """KB of a process tree."""

    pss: float
    """Its own pages, and of each page that it shares with any process its share of it."""
    alone: float
    """The same, were there no other processes: those of ours use one interpreter with the load generator and the upstream,
    and would get a part of it for nothing."""


def family(pid: int) -> list[int]:
    """The process, its children, and theirs; those that are gone are left out."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            todo += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
        found.append(one)
    return found


def cpu(pid: int) -> float:
    """Seconds of user and system time of all threads, ended ones too. A child that has ended is not in it."""
    spent = 0.0
    for one in family(pid):
        try:
            spent += time.clock_gettime((~one << 3) | 2)  # Linux' clock of that process
        except OSError:
            continue
    return spent


def memory(pid: int) -> Memory:
    """Raises OSError where a process ends meanwhile."""
    pss = own = 0.0
    files: dict[str, float] = {}
    for one in family(pid):
        mine: dict[str, float] = defaultdict(float)
        for path, rss, share in _mappings(one):
            pss += share
            if path.startswith("/"):
                mine[path] += rss
            else:  # shared within the family alone
                own += share
        files |= {path: max(rss, files.get(path, 0.0)) for path, rss in mine.items()}
    return Memory(pss, own + sum(files.values()))


def _mappings(pid: int) -> Iterator[tuple[str, float, float]]:
    """What each is of, and its RSS and PSS."""
    path = rss = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):
            path = words[5] if len(words) == 6 else ""
        elif words[0] == "Rss:":
            rss = words[1]
        elif words[0] == "Pss:":
            yield path, float(rss), float(words[1])
