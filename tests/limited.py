"""Hubs that have limits and budgets, on a real ledger; who waits for them moves the buckets' clock instead."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bytedeck import house
from bytedeck.claims import State
from bytedeck.io import clock
from bytedeck.io.sqlite import SqliteStore
from faces import Face
from upstream import Upstream


class Clock:
    """The buckets' clock: the machine's own, and what was waited for."""

    def __init__(self) -> None:
        self._ahead = 0
        self.pauses: list[float] = []
        """Seconds that were waited for, one each pause."""

    def steady(self) -> int:
        return clock.steady() + self._ahead

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._ahead += round(seconds * 1_000_000)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Deck:
    """Makes faces that share one home, with what its settings file says. Closes them."""

    def __init__(self, kind: str, upstream: Upstream, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.clock, self.upstream = Clock(), upstream
        self._kind, self._home, self._patch = kind, home, patch
        self._faces: list[Face] = []
        home.mkdir(exist_ok=True)

    @property
    def ledger(self) -> Path:
        return self._home / "limits.db"

    def __call__(self, settings: str = "", *, is_patient: bool = False, **options: Any) -> Face:
        """A hub with these settings. `is_patient`: it really waits."""
        (self._home / "config.toml").write_text(settings, "utf-8")
        steady = clock.steady if is_patient else self.clock.steady
        self._patch.setattr(
            house, "open_store", lambda url: SqliteStore(str(self.ledger), steady=steady, busy_timeout=0.1)
        )
        face = Face(self._kind, self.upstream.url, **options)
        if not is_patient:
            face.hub._sleep = self.clock.sleep if face.loop is None else self.clock.asleep
        self._faces.append(face)
        return face

    def close(self) -> None:
        for face in self._faces:
            face.close()

    def held(self, face: Face) -> int:
        """How many attempts hold tokens, by the file itself."""
        face.hub.house.store.flush()
        with closing(sqlite3.connect(self.ledger)) as connection:
            return int(connection.execute("select count(*) from held").fetchone()[0])


def accounts(face: Face) -> tuple[State, ...]:
    """Spent and held of each of its budgets, units."""
    found = face.hub.house
    return tuple(found.store.standing((), found.config.rules.budgets).accounts)


def outcomes(told: Any) -> list[tuple[str, str]]:
    """Of a reply, or an error."""
    return [(one.model, one.outcome) for one in told.attempts]
