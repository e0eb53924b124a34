"""A small storm: nothing broken looks whole, nothing is left over, the books agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bytedeck import Reply
from bytedeck.events import Seam

sys.path.append(str(Path(__file__).parents[1] / "bench"))  # last, for it has an `upstream` of its own

import chaos


@pytest.mark.parametrize(("requests", "at_once", "blocking"), [(300, 100, False), (100, 32, True)])
def test_a_storm(requests: int, at_once: int, blocking: bool) -> None:
    """Every answer is the one that should have come, or says where it is not; no task, thread or socket is left."""
    assert not chaos.chaos(requests, at_once, 0.3, "7", patience=1.2, blocking=blocking)


def _reply(text: str, **fields: Any) -> Reply:
    return Reply(text=text, **({"finish_reason": "stop"} | fields))


def _seam(kind: Any) -> Seam:
    return Seam(kind=kind, from_model="a", to_model="b", why="truncated", attempt=2, after=1)


@pytest.mark.parametrize(
    ("shown", "reply", "says"),
    [
        ("abc", _reply("abc"), ""),
        ("ab", _reply("ab"), "is not"),
        ("ab", _reply("ab", finish_reason="length"), ""),
        ("abc", _reply("abc", finish_reason=""), "without an end"),
        ("ab", _reply("abc"), "shown"),
        ("aabc", _reply("aabc", seams=(_seam("proven"),)), "is not"),
        ("aabc", _reply("aabc", seams=(_seam("restart"),)), "is not"),
        ("aabc", _reply("aabc", seams=(_seam("unproven"),)), ""),
    ],
)
def test_a_broken_answer_is_found(shown: str, reply: Reply, says: str) -> None:
    """The judge lets nothing pass: a difference is either told or found."""
    job = chaos.Job("prompt", {}, "abc", True, None)
    broken = chaos.answered(job, shown, reply)
    assert bool(broken) == bool(says)
    assert says in " ".join(broken)


def test_what_is_left_is_found() -> None:
    """A thread and a socket that stay are told."""
    import socket
    import threading

    before = chaos.Before(chaos.sockets(), frozenset(thread.name for thread in threading.enumerate()))
    stay = threading.Event()
    thread = threading.Thread(target=stay.wait, name="stays")
    thread.start()
    with socket.socket():
        told = chaos.leaks(before, patience=0.05)
    stay.set()
    thread.join()
    assert told == ["threads are left: ['stays']", "1 sockets are left"]
    assert not chaos.leaks(before)
