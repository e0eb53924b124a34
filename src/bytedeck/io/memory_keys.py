"""Virtual keys in memory: for tests, and for a process that shall leave no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec.structs import replace

from ..callers import Caller, Ring
from ..guard.access import digest
from . import keys
from .clock import wall


class MemoryKeys:
    """See `Keys`."""

    def __init__(self, clock: Callable[[], int] = wall) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._version = 0
        self._callers: dict[str, Caller] = {}
        self._secrets: dict[str, tuple[str, int | None]] = {}
        """Digest → name, and until when it is accepted; None: it is the current one."""

    def version(self) -> int:
        return self._version

    def load(self) -> Ring:
        with self._lock:
            now = self._clock()
            alive = {one: of for one, of in self._secrets.items() if of[1] is None or of[1] > now}
            return Ring(
                self._version,
                tuple(self._callers[name] for name in sorted(self._callers)),
                {one: name for one, (name, _) in alive.items()},
                {one: until for one, (_, until) in alive.items() if until is not None},
            )

    def list(self) -> tuple[Caller, ...]:
        return self.load().callers

    def find(self, name: str) -> Caller:
        with self._lock:
            return self._find(name)

    def create(self, caller: Caller) -> str:
        with self._lock:
            kept, secret = keys.made(caller, self._clock())
            if kept.name in self._callers:
                raise keys.taken(kept.name)
            self._secrets[digest(secret)] = kept.name, None
            self._keep(kept)
            return secret

    def update(self, name: str, change: Callable[[Caller], Caller]) -> Caller:
        with self._lock:
            found = self._find(name)
            return self._keep(keys.changed(found, change(found), self._clock()))

    def rotate(self, name: str, grace: float = 0.0) -> str:
        with self._lock:
            now = self._clock()
            kept, secret = keys.rotated(self._find(name), grace, now)
            self._replace(name, now + round(grace * 1_000_000), now)
            self._secrets[digest(secret)] = name, None
            self._keep(kept)
            return secret

    def revoke(self, name: str) -> Caller:
        with self._lock:
            found = self._find(name)
            return found if found.revoked is not None else self._keep(replace(found, revoked=self._clock()))

    def forget(self, name: str) -> None:
        with self._lock:
            self._find(name)
            del self._callers[name]
            self._secrets = {one: of for one, of in self._secrets.items() if of[0] != name}
            self._version += 1

    def _find(self, name: str) -> Caller:
        if name not in self._callers:
            raise keys.unknown(name, self._callers)
        return self._callers[name]

    def _keep(self, caller: Caller) -> Caller:
        self._callers[caller.name] = caller
        self._version += 1
        return caller

    def _replace(self, name: str, until: int, now: int) -> None:
        aged = {
            one: (whose, until if whose == name and old is None else old)
            for one, (whose, old) in self._secrets.items()
        }
        self._secrets = {one: of for one, of in aged.items() if of[1] is None or of[1] > now}
