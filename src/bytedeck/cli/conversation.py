"""Conversations, so that `-c` can go on with the last one: a file each, a line of JSON a turn.

They live in the home folder and hold prompts and answers: the files are 0600. Nothing here may cost
an answer: what cannot be written or read is told as a warning.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from . import tell

_ENDING = ".jsonl"
_DAMAGED = ".damaged"


class Turn(Struct, frozen=True, kw_only=True):
    """One question and its answer, or what there was of it."""

    user: dict[str, Any]
    """The message as the wire has it."""
    answer: str
    at: str
    """ISO time, UTC."""
    system: str = ""
    task: str = ""
    """What the user named with -t; "" for nothing."""
    models: tuple[str, ...] = ()
    """What the user named with -m."""
    model: str = ""
    """The model that answered."""
    finish_reason: str = ""


class Conversation:
    """A conversation's file and what has been said in it so far."""

    def __init__(self, path: Path, turns: tuple[Turn, ...] = ()) -> None:
        self.path = path
        self.turns = turns

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What has been said, as the wire has it, without a system message."""
        said: list[dict[str, Any]] = []
        for turn in self.turns:
            said += [turn.user, {"role": "assistant", "content": turn.answer}]
        return said

    @property
    def last(self) -> Turn | None:
        return self.turns[-1] if self.turns else None

    def add(self, turn: Turn) -> None:
        """Write a turn at the end of the file. Warns where that cannot be done."""
        line = msgspec.json.encode(turn) + b"\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(line)
        except OSError as exc:
            tell.warn(
                f"This conversation is not kept: {self.path.parent} cannot be written ({exc.strerror})."
            )
            return
        self.turns += (turn,)


def begin(home: Path) -> Conversation:
    """A new conversation; its file appears with the first turn."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return Conversation(_folder(home) / f"{stamp}-{secrets.token_hex(3)}{_ENDING}")


def latest(home: Path) -> Conversation | None:
    """The conversation that was spoken in last; None where there is none.

    A damaged one is set aside, under another name, and the one before it taken.
    """
    for path in _newest_first(_folder(home)):
        try:
            return Conversation(path, _decode(path.read_bytes()))
        except msgspec.MsgspecError:
            _set_aside(path)
        except OSError as exc:
            tell.warn(f"The conversation {path} cannot be read: {exc.strerror}.")
    return None


def now() -> str:
    """The time for `Turn.at`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _folder(home: Path) -> Path:
    return home / "conversations"


def _decode(data: bytes) -> tuple[Turn, ...]:
    turns = tuple(msgspec.json.decode(line, type=Turn) for line in data.splitlines() if line)
    if not turns:
        raise msgspec.DecodeError("no turn in it")
    return turns


def _newest_first(folder: Path) -> list[Path]:
    found = []
    with contextlib.suppress(OSError):
        for path in folder.glob(f"*{_ENDING}"):
            with contextlib.suppress(OSError):  # somebody has just moved it
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]


def _set_aside(path: Path) -> None:
    aside = path.with_name(path.name + _DAMAGED)
    try:
        path.replace(aside)
    except OSError as exc:
        tell.warn(f"The conversation {path} is damaged, and cannot be set aside ({exc.strerror}).")
    else:
        tell.warn(f"The last conversation was damaged; it is set aside as {aside}.")
