"""The simulator as a process of its own, which ends with the one that started it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from decimal import Decimal
from types import TracebackType
from typing import IO, Any

import msgspec

from .errors import SimulatorError
from .settings import Settings, check

_STOP_SECONDS = 5.0
_ASK_SECONDS = 10.0


class SimulatorProcess:
    """`with SimulatorProcess(tps=50) as sim:`, for load, or for tests that must not share their interpreter.

    It is reached at `sim.base_url`; everything else is asked over HTTP: `sim.get("/sim/journal")`.
    """

    def __init__(self, settings: Settings | None = None, **fields: Any) -> None:
        try:
            self.settings = check(settings or Settings(**fields))
        except TypeError as exc:
            raise SimulatorError(f"That is no setting of the simulator: {exc}.") from exc
        self._child: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.api_key = ""

    @property
    def base_url(self) -> str:
        """What OPENROUTER_BASE_URL has to be."""
        return f"{self.url}/api/v1"

    @property
    def pid(self) -> int:
        """The child's process id; 0 where none runs."""
        return 0 if self._child is None else self._child.pid

    def start(self) -> SimulatorProcess:
        """Start it; returns once it can be reached."""
        command = [sys.executable, "-m", __package__]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        stdin, stdout = _pipes(self._child)
        with contextlib.suppress(BrokenPipeError):  # then it says why
            stdin.write(msgspec.json.encode(self.settings) + b"\n")
            stdin.flush()
        told = stdout.readline()
        try:
            said = json.loads(told)
        except ValueError:
            said = {"error": "The simulator's process ended before it could be reached."}
        if "error" in said:
            self.stop()
            raise SimulatorError(said["error"])
        self.url, self.api_key = said["url"], said["api_key"]
        return self

    def stop(self) -> None:
        """End it; its stdin's end is its sign, and what does not hear is killed."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in _pipes(child):
            pipe.close()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def get(self, path: str) -> Any:
        """What it answers to a GET, decoded; numbers with a point are Decimals, for they may be money."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """What it answers to a POST of JSON, decoded."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.api_key}"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own URL
        # No proxy stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_ASK_SECONDS) as answer:
                return json.loads(answer.read() or b"null", parse_float=Decimal)
        except urllib.error.HTTPError as exc:
            with exc:
                raise SimulatorError(
                    f"{method} {path}: {exc.code} {exc.read(500).decode('utf-8', 'replace')}"
                ) from exc

    def __enter__(self) -> SimulatorProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert child.stdin is not None  # noqa: S101 - asked for above
    assert child.stdout is not None  # noqa: S101
    return child.stdin, child.stdout
